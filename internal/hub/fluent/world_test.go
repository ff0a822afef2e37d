package fluent

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/tinylib/msgp/msgp"
	"go.uber.org/goleak"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker with the hubs logs and other, and a server before it.
type world struct {
	t      testing.TB
	mem    *disk.Mem
	broker *hub.Broker
	s      *Server
	addr   *net.TCPAddr
	log    *texts
}

// texts keeps what is logged.
type texts struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *texts) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *texts) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, mem: disk.NewMem(1), log: &texts{}}
	var err error
	if w.broker, err = hub.Open(hub.Options{FS: w.mem.Boot()}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"logs", "other"} {
		if _, err := w.broker.Create(hub.Config{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Broker: w.broker, Hub: "logs", Log: slog.New(slog.NewTextHandler(w.log, nil))}
	for _, f := range change {
		f(&o)
	}
	w.s = New(o)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr = l.Addr().(*net.TCPAddr)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { _ = w.s.Serve(context.Background(), c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.s.Close()
		all.Wait()
		if err := w.broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// event is an event as it is stored.
type event struct{ key, tag, time, body string }

func (w *world) stored(name string) []event {
	w.t.Helper()
	h, err := w.broker.Hub(name)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []event
	for _, p := range h.Partitions() {
		r, err := p.Read(0)
		if err != nil {
			w.t.Fatal(err)
		}
		for {
			b, err := r.Next()
			if err != nil {
				w.t.Fatal(err)
			}
			if b == nil {
				break
			}
			for _, rec := range b.Records {
				m, err := amqp.Decode(rec.Value)
				if err != nil {
					w.t.Fatal(err)
				}
				e := event{key: string(rec.Key), body: string(m.Body)}
				for _, p := range m.Application {
					switch p.Key {
					case "tag":
						e.tag = p.Value.(string)
					case "time":
						e.time = p.Value.(string)
					}
				}
				out = append(out, e)
			}
		}
		r.Close()
	}
	return out
}

func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		<-tick.C
	}
}

// raw is a client that sends what it likes.
type raw struct {
	t testing.TB
	net.Conn
	r *msgp.Reader
}

func (w *world) raw() *raw {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr.String())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		w.t.Fatal(err)
	}
	return &raw{w.t, c, msgp.NewReader(c)}
}

func (c *raw) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// ack reads an acknowledgement; "" is the end of the connection.
func (c *raw) ack() string {
	c.t.Helper()
	m := map[string]any{}
	err := c.r.ReadMapStrIntf(m)
	if err != nil {
		if errors.Is(err, io.EOF) || strings.Contains(err.Error(), "reset") {
			return ""
		}
		c.t.Fatal(err)
	}
	return m["ack"].(string)
}

// eventTime is the extension of Fluentd.
func eventTime(b []byte, sec, nanos uint32) []byte {
	return append(b, 0xd7, 0, byte(sec>>24), byte(sec>>16), byte(sec>>8), byte(sec), byte(nanos>>24), byte(nanos>>16), byte(nanos>>8), byte(nanos))
}

func entry(i int) []byte {
	b := eventTime([]byte{0x92}, 1400000000, uint32(i))
	b = msgp.AppendMapHeader(b, 1)
	return msgp.AppendInt(msgp.AppendString(b, "i"), i)
}

func entriesOf(from, to int) (packed []byte) {
	for i := from; i < to; i++ {
		packed = append(packed, entry(i)...)
	}
	return packed
}

func options(b []byte, pairs ...string) []byte {
	b = msgp.AppendMapHeader(b, uint32(len(pairs)/2))
	for _, p := range pairs {
		b = msgp.AppendString(b, p)
	}
	return b
}

func packedForward(tag string, packed []byte, pairs ...string) []byte {
	b := msgp.AppendString([]byte{0x93}, tag)
	return options(msgp.AppendBytes(b, packed), pairs...)
}

func gzipped(t testing.TB, parts ...[]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, p := range parts { // Fluentd puts members one behind the other
		z := gzip.NewWriter(&out)
		if _, err := z.Write(p); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(b, nil)
}
