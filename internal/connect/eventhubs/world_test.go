package eventhubs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	server "weir/internal/hub/eventhubs"
)

// atEnd is what is done after the last test.
var atEnd []func()

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, f := range atEnd {
			f()
		}
		os.Exit(code)
	}))
}

// world is Weir's hub on a port of this machine.
type world struct {
	t      testing.TB
	broker *hub.Broker
	key    hub.Rule
	tls    *tls.Config
	wrap   atomic.Pointer[func(net.Conn) net.Conn]

	addr string
	stop func()
}

// newWorld starts a hub "events" of so many partitions.
func newWorld(t testing.TB, partitions int, o hub.Options) *world {
	t.Helper()
	if o.FS == nil {
		o.FS = disk.NewMem(1).Boot()
	}
	b, err := hub.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	w := &world{t: t, broker: b, key: b.Rules("")[0], addr: "127.0.0.1:0"}
	w.create(hub.Config{Name: "events", Partitions: partitions})
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) create(c hub.Config) {
	w.t.Helper()
	if _, err := w.broker.Create(c); err != nil {
		w.t.Fatal(err)
	}
}

// start opens the port, the same one after a stop.
func (w *world) start() {
	w.t.Helper()
	ln, err := net.Listen("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = fmt.Sprint("127.0.0.1:", ln.Addr().(*net.TCPAddr).Port)
	if w.tls != nil {
		ln = tls.NewListener(ln, w.tls)
	}
	s := server.New(server.Options{Broker: w.broker})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if f := w.wrap.Load(); f != nil {
				nc = (*f)(nc)
			}
			wg.Go(func() { s.Serve(ctx, nc) })
		}
	})
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			ln.Close()
			cancel()
			wg.Wait()
		})
	}
}

func (w *world) connection() string {
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", w.addr, w.key.Name, w.key.Primary)
}

// config is settings with the defaults of the others.
func (w *world) config(input bool, given map[string]any) connect.Config {
	values := map[string]any{"connection_string": connect.NewHidden(w.connection()), "hub": "events", "sign_in": "key", "transport": "amqp",
		"consumer_group": defaultGroup, "prefetch": int64(1000), "idle_check": 100 * time.Millisecond, "metadata_columns": true}
	if !input {
		values["pack"], values["pack_bytes"], values["routing"] = message.PackOne, int64(64<<10), routeService
	}
	for k, v := range given {
		if values[k] = v; v == nil {
			delete(values, k)
		}
	}
	return connect.Config{Values: values}
}

func (w *world) source(given map[string]any, env connect.SourceEnv) *source {
	w.t.Helper()
	env.Input = "in"
	s, err := openSource(w.t.Context(), w.config(true, given), env)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s.(*source)
}

func (w *world) partition(n int) *hub.Partition {
	h, err := w.broker.Hub("events")
	if err != nil {
		w.t.Fatal(err)
	}
	return h.Partitions()[n]
}

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

// add appends rows to a partition, as messages of several forms.
func (w *world) add(n int, rows []connecttest.Row) error {
	var list []hub.Event
	for i, r := range rows {
		body, err := json.Marshal(event(r))
		if err != nil {
			return err
		}
		if i%3 == 1 { // an array, and white space
			body = fmt.Appendf(nil, " [\n%s\n] \r\n", body)
		}
		list = append(list, hub.Event{Message: (&amqp.Message{Body: body}).Append(nil)})
	}
	_, err := w.partition(n).Append(list, nil)
	return err
}

// texts appends messages to a partition.
func (w *world) texts(n int, texts ...string) {
	w.t.Helper()
	var list []hub.Event
	for _, s := range texts {
		list = append(list, hub.Event{Message: (&amqp.Message{Body: []byte(s)}).Append(nil)})
	}
	if _, err := w.partition(n).Append(list, nil); err != nil {
		w.t.Fatal(err)
	}
}

// rows are those that the hub has.
func (w *world) rows() (list []connecttest.Row, err error) {
	for _, m := range w.messages() {
		var e []event
		text := string(m.Body)
		if !strings.HasPrefix(text, "[") {
			text = "[" + text + "]"
		}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, err
		}
		for _, x := range e {
			list = append(list, connecttest.Row(x))
		}
	}
	return list, nil
}

// stored is a message of the hub, and where it is.
type stored struct {
	amqp.Message
	partition int
	key       string
}

func (w *world) messages() (list []stored) {
	w.t.Helper()
	h, err := w.broker.Hub("events")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range h.Partitions() {
		r, err := p.Read(p.Range().First)
		if err != nil {
			w.t.Fatal(err)
		}
		for {
			batch, err := r.Next()
			if err != nil {
				w.t.Fatal(err)
			}
			if batch == nil {
				break
			}
			for _, rec := range batch.Records {
				m, err := amqp.Decode(append([]byte{}, rec.Value...))
				if err != nil {
					w.t.Fatal(err)
				}
				list = append(list, stored{m, p.ID(), string(rec.Key)})
			}
		}
		r.Close()
	}
	return list
}

// reads reads until there are so many messages, over errors.
func reads(t testing.TB, s *source, partition string, after connect.Position, n int) (texts []string, at connect.Position, failed int) {
	t.Helper()
	return heals(t, s, partition, after, n, func() {})
}

// heals is reads, and calls heal after the first error.
func heals(t testing.TB, s *source, partition string, after connect.Position, n int, heal func()) (texts []string, at connect.Position, failed int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var r connect.Reader
	defer func() {
		if r != nil {
			r.Close()
		}
	}()
	at = after
	for len(texts) < n {
		var err error
		if r == nil {
			r, err = s.Open(ctx, partition, at)
		}
		var c connect.Chunk
		if err == nil {
			c, err = r.Read(ctx, 1<<20, "")
		}
		if ctx.Err() != nil {
			t.Fatalf("%d of %d messages, and then %v", len(texts), n, err)
		}
		if err != nil {
			if failed++; failed == 1 {
				heal()
			}
			if r != nil {
				r.Close()
				r = nil
			}
			wait(ctx, 20*time.Millisecond, nil)
			continue
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(c.Data), "\n"), "\n") {
			if line != "" {
				texts = append(texts, line)
			}
		}
		at = c.Next
		if len(c.Data) == 0 {
			wait(ctx, time.Second, r.Ready())
		}
	}
	return texts, at, failed
}

func wait(ctx context.Context, d time.Duration, ready <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ready:
	case <-ctx.Done():
	}
}
