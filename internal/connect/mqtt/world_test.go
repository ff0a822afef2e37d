package mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho3 "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// peer is a broker that tests talk to.
type peer struct {
	address        string
	user, password string
	// hook is what the broker in this process is asked by; nil for a real one. What it delivers
	// is to have QoS 0: mochi can stand still for ever when it delivers others while
	// acknowledgements come (Inflight.NextImmediate locks twice).
	hook *hook
}

const secret = "s3cret-of-mqtt"

// local is a broker in this process.
type local struct {
	peer
	server *mochi.Server
	set    func(*mochi.Capabilities)
}

// newLocal starts a broker. set, if not nil, changes what it is able to do.
func newLocal(t testing.TB, set func(*mochi.Capabilities)) *local {
	t.Helper()
	l := &local{peer: peer{"127.0.0.1:0", "weir", secret, &hook{}}, set: set}
	l.start(t)
	t.Cleanup(l.stop)
	return l
}

// start starts the broker, at the address that it has had.
func (l *local) start(t testing.TB) {
	t.Helper()
	caps := mochi.NewDefaultServerCapabilities()
	if l.set != nil {
		l.set(caps)
	}
	l.server = mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler), Capabilities: caps, InlineClient: true})
	must(t, l.server.AddHook(l.hook, nil))
	until := time.Now().Add(5 * time.Second)
	listener := listeners.NewTCP(listeners.Config{ID: "t", Address: l.address})
	for err := l.server.AddListener(listener); err != nil; err = l.server.AddListener(listener) {
		if time.Now().After(until) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	must(t, l.server.Serve())
	l.address = listener.Address()
}

func (l *local) stop() {
	l.server.Close()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var names atomic.Int64

// unique is a name that no other test has.
func unique(t testing.TB) string {
	return fmt.Sprintf("t%d-%d", time.Now().UnixNano(), names.Add(1))
}

// config is settings with the defaults of the others.
func (p peer) config(t testing.TB, input bool, values map[string]any) connect.Config {
	t.Helper()
	c := connect.Config{Values: map[string]any{"url": "mqtt://" + p.address, "user": p.user, "password": connect.NewHidden(p.password)}}
	for _, f := range spec.Fields {
		if f.Default == "" || f.Input != f.Output && f.Input != input {
			continue
		}
		var v any = f.Default
		var err error
		switch f.Type {
		case connect.Int:
			v, err = strconv.ParseInt(f.Default, 10, 64)
		case connect.Bool:
			v, err = strconv.ParseBool(f.Default)
		case connect.Duration:
			v, err = time.ParseDuration(f.Default)
		case connect.Size:
			unit := map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[f.Default[len(f.Default)-3:]]
			var n int64
			n, err = strconv.ParseInt(f.Default[:len(f.Default)-3], 10, 64)
			v = n * unit
		}
		must(t, err)
		c.Values[f.Name] = v
	}
	for k, v := range values {
		c.Values[k] = v
	}
	return c
}

// client is a client that others wrote.
func (p peer) client(t testing.TB) paho3.Client {
	t.Helper()
	o := paho3.NewClientOptions().AddBroker("tcp://" + p.address).SetClientID(unique(t)).SetUsername(p.user).SetPassword(p.password)
	o.SetOrderMatters(true).SetConnectTimeout(5 * time.Second).SetMaxReconnectInterval(100 * time.Millisecond).SetCleanSession(false)
	c := paho3.NewClient(o)
	done(t, c.Connect())
	t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func done(t testing.TB, token paho3.Token) {
	t.Helper()
	if !token.WaitTimeout(10 * time.Second) {
		t.Fatal("a client of the test has no answer")
	}
	must(t, token.Error())
}

// watch collects what is published below a topic.
type watch struct {
	c     paho3.Client // nil: the hook of the broker has it
	hook  *hook
	below string

	mu    sync.Mutex
	list  []heard
	marks chan string
	n     int
}

// heard is a message that was published.
type heard struct{ topic, text string }

func (p peer) watch(t testing.TB, below string) *watch {
	t.Helper()
	w := &watch{hook: p.hook, below: below, marks: make(chan string, 100)}
	if w.hook != nil {
		return w
	}
	w.c = p.client(t)
	done(t, w.c.Subscribe(below+"/#", 1, func(_ paho3.Client, m paho3.Message) {
		if m.Topic() == below+"/mark" {
			w.marks <- string(m.Payload())
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = append(w.list, heard{m.Topic(), string(m.Payload())})
	}))
	return w
}

// all is what has been published up to now: a message of the watch's own comes behind it.
func (w *watch) all() ([]heard, error) {
	if w.hook != nil {
		return w.hook.below(w.below), nil
	}
	w.n++
	mark := strconv.Itoa(w.n)
	if token := w.c.Publish(w.below+"/mark", 1, false, mark); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		return nil, fmt.Errorf("the mark could not be published: %w", token.Error())
	}
	for {
		select {
		case got := <-w.marks:
			if got != mark {
				continue
			}
		case <-time.After(10 * time.Second):
			return nil, fmt.Errorf("the mark did not come")
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.Clone(w.list), nil
	}
}

type event struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
}

func rowsOf(texts []heard) (list []connecttest.Row, err error) {
	for _, m := range texts {
		s := m.text
		var e []event
		if !strings.HasPrefix(s, "[") {
			s = "[" + strings.ReplaceAll(strings.TrimSpace(s), "\n", ",") + "]"
		}
		if err := json.Unmarshal([]byte(s), &e); err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		for _, x := range e {
			list = append(list, connecttest.Row(x))
		}
	}
	return list, nil
}

// sinks is the suite of the output over a broker.
func (p peer) sinks(values map[string]any) connecttest.Sinks {
	return connecttest.Sinks{Unknown: true, Unordered: true, Stride: 5, New: func(t testing.TB) *connecttest.Target {
		below := unique(t)
		w := p.watch(t, below)
		return &connecttest.Target{
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				all := map[string]any{"topic": below + "/rows", "timeout": 5 * time.Second}
				for k, v := range values {
					all[k] = v
				}
				s, err := openSink(t.Context(), p.config(t, false, all), env)
				if err == nil {
					t.Cleanup(func() { s.Close() })
				}
				return s, err
			},
			Rows: func() ([]connecttest.Row, error) {
				texts, err := w.all()
				if err != nil {
					return nil, err
				}
				return rowsOf(texts)
			},
		}
	}}
}

// sources is the suite of the input over a broker.
func (p peer) sources(values map[string]any) connecttest.Sources {
	return connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		below := unique(t)
		c := p.client(t)
		opened := false
		var in *source
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200)}
		f.Add = func(rows []connecttest.Row) error {
			_, from, _ := in.Range()
			for i, r := range rows {
				body, err := json.Marshal(event(r))
				if err != nil {
					return err
				}
				if i%3 == 1 { // an array, and white space
					body = fmt.Appendf(nil, " [\n%s\n] \r\n", body)
				}
				c.Publish(below+"/rows", 1, false, body)
			}
			// They are there to be read when the broker has delivered them.
			for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
				if _, next, _ := in.Range(); next >= from+int64(len(rows)) {
					return nil
				}
				if time.Now().After(until) {
					return fmt.Errorf("not all of %d messages came", len(rows))
				}
			}
		}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			all := map[string]any{"topics": []string{below + "/+"}, "client_id": below}
			for k, v := range values {
				all[k] = v
			}
			s, err := openSource(t.Context(), p.config(t, true, all), env)
			if err != nil {
				return nil, err
			}
			if in = s.(*source); !opened {
				opened = true
				err = f.Add(f.Rows)
			}
			return s, err
		}
		return f
	}}
}

// input is an open input.
func (p peer) input(t testing.TB, fs disk.FS, log *bytes.Buffer, values map[string]any) connect.Source {
	t.Helper()
	env := connect.SourceEnv{Job: "job", Input: "in", State: fs, Log: slog.New(slog.NewTextHandler(log, nil))}
	s, err := openSource(t.Context(), p.config(t, true, values), env)
	must(t, err)
	return s
}

// count waits until a source has so many events behind its start, and gives their ids.
func count(t testing.TB, s connect.Source, n int) (ids map[int64]int, last connect.Chunk) {
	t.Helper()
	r, err := s.Open(t.Context(), "0", "")
	must(t, err)
	defer r.Close()
	ids = map[int64]int{}
	until := time.Now().Add(30 * time.Second)
	for len(ids) < n {
		c, err := r.Read(t.Context(), 1<<20, "")
		if time.Now().After(until) {
			t.Fatalf("%d of %d events came (%v)", len(ids), n, err)
		}
		for line := range bytes.Lines(c.Data) {
			var e event
			must(t, json.Unmarshal(line, &e))
			ids[e.ID]++
			last = c
		}
		if len(c.Data) == 0 {
			select {
			case <-r.Ready():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	last.Data = nil
	return ids, last
}

// closed is an address that nobody listens on.
func closed(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// hook is what the broker asks: who may come in, and what goes wrong.
type hook struct {
	mochi.HookBase
	mu     sync.Mutex
	list   []heard
	refuse int // messages that are still to be refused
	cut    int // after so many messages the connection is cut
	pause  time.Duration
}

func (h *hook) ID() string { return "test" }

func (h *hook) Provides(b byte) bool {
	return b == mochi.OnPublish || b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (h *hook) OnConnectAuthenticate(_ *mochi.Client, pk packets.Packet) bool {
	return string(pk.Connect.Username) == "weir" && string(pk.Connect.Password) == secret
}

func (h *hook) OnACLCheck(_ *mochi.Client, topic string, _ bool) bool {
	return !strings.HasPrefix(topic, "forbidden/")
}

func (h *hook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	h.mu.Lock()
	pause := h.pause
	h.mu.Unlock()
	time.Sleep(pause)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse > 0 {
		h.refuse--
		return pk, packets.ErrQuotaExceeded
	}
	if h.cut > 0 {
		if h.cut--; h.cut == 0 {
			cl.Stop(packets.ErrServerBusy)
		}
	}
	h.list = append(h.list, heard{pk.TopicName, string(pk.Payload)})
	return pk, nil
}

// set changes what goes wrong.
func (h *hook) set(change func(h *hook)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// below is what was published below a topic.
func (h *hook) below(topic string) (list []heard) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.list {
		if strings.HasPrefix(m.topic, topic+"/") {
			list = append(list, m)
		}
	}
	return list
}
