package eventhubs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/connect/namespace"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/sas"
)

func numbered(from, n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprintf(`{"n":%d}`, from+i))
	}
	return texts
}

// TestSourceCut: connections that break while events come. All are read, once and in order.
func TestSourceCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	want := numbered(0, 7000)
	w.texts(0, want...)
	s := w.source(map[string]any{"prefetch": int64(500)}, connect.SourceEnv{})
	n := 0
	cut := func(nc net.Conn) net.Conn { // what the hub sends, this time
		if n++; n > 6 {
			return nc
		}
		return &cutWrites{Conn: nc, left: 40_000 * n}
	}
	w.wrap.Store(&cut)
	got, at, failed := reads(t, s, "0", "", len(want))
	if strings.Join(got, "") != strings.Join(want, "") || at != "7000" {
		t.Errorf("%d messages, up to %s", len(got), at)
	}
	t.Logf("%d errors over %d connections", failed, n)
}

type cutWrites struct {
	net.Conn
	left int
}

func (c *cutWrites) Write(b []byte) (int, error) {
	if c.left -= len(b); c.left < 0 {
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// TestSourceStopped: the hub goes away and comes back, with more events.
func TestSourceStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, hub.Options{})
	s := w.source(nil, connect.SourceEnv{})
	w.texts(1, numbered(0, 10)...)
	got, at, _ := reads(t, s, "1", "", 10)
	w.stop()
	if _, err := s.Open(t.Context(), "1", ""); err == nil || connect.IsPermanent(err) {
		t.Errorf("%v", err)
	}
	if names, err := s.Partitions(t.Context()); err != nil || len(names) != 2 {
		t.Error(names, err)
	}
	w.texts(1, numbered(10, 10)...)
	more, at, failed := heals(t, s, "1", at, 10, w.start)
	if got = append(got, more...); strings.Join(got, "") != strings.Join(numbered(0, 20), "") || at != "20" || failed == 0 {
		t.Errorf("%v up to %s, %d errors", got, at, failed)
	}
}

// frozen holds up what the hub reads while it is shut.
type frozen struct {
	mu   sync.Mutex
	cond *sync.Cond
	shut bool
}

func newFrozen() *frozen {
	f := &frozen{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *frozen) set(shut bool) {
	f.mu.Lock()
	f.shut = shut
	f.cond.Broadcast()
	f.mu.Unlock()
}

func (f *frozen) wrap(nc net.Conn) net.Conn { return &frozenConn{nc, f} }

type frozenConn struct {
	net.Conn
	f *frozen
}

func (c *frozenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.mu.Lock()
	for c.f.shut && err == nil {
		c.f.cond.Wait()
	}
	c.f.mu.Unlock()
	return n, err
}

// TestSlow: a hub that takes connections and does not answer. Calls end, nothing is lost, and
// all goes on when it answers again.
func TestSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	ice := newFrozen()
	wrap := ice.wrap
	w.wrap.Store(&wrap)
	src := w.source(nil, connect.SourceEnv{})
	sink := w.sink(nil, connect.SinkEnv{})
	src.at.within = 200 * time.Millisecond
	write(t, sink, 1, keyed(50, 1))
	commit(t, sink, 1)
	_, at, _ := reads(t, src, "0", "", 50)
	ice.set(true)
	t.Cleanup(func() { ice.set(false) })
	begun := time.Now()
	if _, err := src.Seek(t.Context(), "0", 1<<60); err == nil || !strings.Contains(err.Error(), "no answer in 200ms") {
		t.Error(err)
	}
	if _, err := src.Partitions(t.Context()); err != nil {
		t.Error(err)
	}
	if time.Since(begun) > 15*time.Second {
		t.Error("it took", time.Since(begun))
	}
	time.AfterFunc(300*time.Millisecond, func() { ice.set(false) })
	write(t, sink, 2, keyed(50, 1))
	commit(t, sink, 2)
	if _, at, _ = reads(t, src, "0", at, 50); at != "100" {
		t.Error(at)
	}
}

// TestBusy: a hub that is too busy to take events, for a while.
func TestBusy(t *testing.T) {
	t.Parallel()
	m := disk.NewMem(1)
	w := newWorld(t, 1, hub.Options{FS: m.Boot()})
	s := w.sink(nil, connect.SinkEnv{})
	write(t, s, 1, keyed(2000, 1))
	m.Limit(1)
	err := s.Commit(t.Context(), 1)
	if err == nil || connect.IsPermanent(err) || !strings.Contains(err.Error(), "the service is busy") {
		t.Fatal(err)
	}
	m.Limit(-1)
	commit(t, s, 1)
	if n := len(w.messages()); n != 2000 {
		t.Errorf("%d messages", n)
	}
}

// TestReaders: a consumer group has five readers of a partition; the error of a sixth says what
// to do, and it reads when one has left.
func TestReaders(t *testing.T) {
	w := newWorld(t, 1, hub.Options{})
	w.texts(0, numbered(0, 3)...)
	var open []connect.Reader
	for range 5 {
		s := w.source(nil, connect.SourceEnv{})
		r, err := s.Open(t.Context(), "0", "")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for {
			c, err := r.Read(t.Context(), 1000, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Data) > 0 {
				break
			}
			wait(t.Context(), time.Second, r.Ready())
		}
		open = append(open, r)
	}
	s := w.source(nil, connect.SourceEnv{})
	r, err := s.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		if _, err = r.Read(t.Context(), 1000, ""); err == nil {
			wait(t.Context(), time.Second, r.Ready())
		}
	}
	r.Close()
	if connect.IsPermanent(err) || !strings.Contains(err.Error(), "five readers") || !strings.Contains(err.Error(), "Exceeded the maximum number of allowed receivers") {
		t.Error(err)
	}
	open[0].Close()
	reads(t, s, "0", "", 3)
}

// TestOpenErrors: what is wrong when a job is started, and what to do about it; in no text is a
// secret.
func TestOpenErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	listen, err := w.broker.AddRule(hub.Rule{Name: "listener", Rights: hub.Listen})
	if err != nil {
		t.Fatal(err)
	}
	with := func(key hub.Rule) string {
		return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", w.addr, key.Name, key.Primary)
	}
	const secret = "cGxhbnRlZC1zZWNyZXQtMTIzNDU2Nzg5MA=="
	ended := sas.Sign("sb://"+w.addr+"/events", listen.Name, listen.Primary, time.Now().Add(-time.Hour))
	texts := func(given map[string]any, input bool) (list []string) {
		c := w.config(input, given)
		var err error
		if input {
			_, err = openSource(t.Context(), c, connect.SourceEnv{Input: "in"})
		} else {
			_, err = openSink(t.Context(), c, connect.SinkEnv{Output: "out", State: disk.NewMem(1).Boot()})
		}
		if err == nil {
			return nil
		}
		list = append(list, fmt.Sprintf("%v %v", connect.IsPermanent(err), err))
		for _, p := range probe(t.Context(), c, connect.ProbeEnv{Input: input}) {
			list = append(list, fmt.Sprintf("%s; %s", p.Text, p.Hint))
		}
		for _, p := range check(c, input) {
			list = append(list, fmt.Sprintf("%s; %s", p.Text, p.Hint))
		}
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", c.Values, "error", err)
		return append(list, logged.String())
	}
	f := func(given map[string]any, input bool, want ...string) {
		t.Helper()
		all := texts(given, input)
		if len(all) == 0 {
			t.Errorf("%v: no error", given)
			return
		}
		for _, text := range want {
			if !strings.Contains(all[0], text) {
				t.Errorf("%s; want %s", all[0], text)
			}
		}
		for _, text := range all {
			for _, s := range []string{secret, "cGxhbnRlZC1z", listen.Primary, w.key.Primary, ended, "sig=l"} {
				if strings.Contains(text, s) {
					t.Errorf("%s has a secret", text)
				}
			}
			if strings.Contains(strings.TrimSuffix(text, "\n"), "\n") {
				t.Errorf("%q has several lines", text)
			}
		}
	}
	conn := func(s string) map[string]any { return map[string]any{"connection_string": connect.NewHidden(s)} }
	f(map[string]any{"hub": "nope"}, true, "true input in: event hub nope at "+w.addr+": ask for its partitions: ", "check the names of the event hub")
	f(map[string]any{"hub": "nope"}, false, "true output out: event hub nope at "+w.addr+": open it for sending: ", "check the names")
	f(conn(with(hub.Rule{Name: "listener", Primary: secret})), true, "true ", "check the key and the rights of its policy")
	f(conn(with(hub.Rule{Name: "listener", Primary: secret})), false, "true ", "check the key and the rights of its policy")
	f(conn(with(listen)), false, "true ", "Send to write")
	f(conn("Endpoint=sb://"+w.addr+";SharedAccessSignature="+ended+";UseDevelopmentEmulator=true"), true, "true ", "check the key")
	f(conn("Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey="+secret+";UseDevelopmentEmulator=true"), true, "false ", "connection refused")
	f(conn("Endpoint=sb://"+w.addr+";SharedAccessKeyName=a;SharedAccessKey="+secret), true, "event hub events at "+w.addr) // TLS, and there is none
	f(conn("HostName=a.azure-devices.net;SharedAccessKeyName=a;SharedAccessKey="+secret), true, "Built-in endpoints")
	f(conn("Endpoint=sb://x;"+secret), true, "copy it from the portal")
	f(conn(w.connection()+";EntityPath=other"), true, `is of the event hub "other", and hub is "events"`)
	f(map[string]any{"hub": nil}, true, "write hub: NAME")
	f(map[string]any{"hub": "a b"}, true, `"a b" is no name`)
	f(map[string]any{"connection_string": nil}, true, "nothing says which namespace it is")
	f(map[string]any{"connection_string": nil, "namespace": "shop"}, true, "no key to sign in with")
	f(map[string]any{"connection_string": nil, "namespace": "shop", "key": connect.NewHidden(secret), "key_name": "a", "sign_in": "entra"}, true, "Entra needs no key")
	f(map[string]any{"namespace": "shop"}, true, "give the one or the others")
	f(map[string]any{"transport": "websockets"}, true, "WebSockets go over TLS")
	f(map[string]any{"consumer_group": "a/b"}, true, "no name of a consumer group")
	f(map[string]any{"prefetch": int64(6000)}, true, "it is 1 to 5000")
	f(map[string]any{"idle_check": time.Millisecond}, true, "the least is 100ms")
	f(map[string]any{"routing": routeClient}, false, "there is none")
	// A consumer group that is not there: Open finds it, and the job goes on when it is made.
	s := w.source(map[string]any{"consumer_group": "later"}, connect.SourceEnv{})
	w.texts(0, numbered(0, 2)...)
	if p := probe(t.Context(), w.config(true, map[string]any{"consumer_group": "later"}), connect.ProbeEnv{Input: true}); len(p) != 1 || !strings.Contains(p[0].Text, "later") || !strings.Contains(p[0].Hint, "consumer group") {
		t.Errorf("%+v", p)
	}
	h, err := w.broker.Hub("events")
	if err != nil {
		t.Fatal(err)
	}
	_, _, failed := heals(t, s, "0", "", 2, func() {
		if err := h.EnsureGroup("later"); err != nil {
			t.Error(err)
		}
	})
	if failed == 0 {
		t.Error("a group that is not there is read")
	}
	for _, input := range []bool{true, false} {
		if p := probe(t.Context(), w.config(input, nil), connect.ProbeEnv{Input: input}); len(p) != 0 {
			t.Errorf("%+v", p)
		}
	}
}

// TestRevoked: a key that is taken away while a job runs is an error that is tried again, and
// not in its text.
func TestRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	key, err := w.broker.AddRule(hub.Rule{Name: "job", Rights: hub.Listen | hub.Send})
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]any{"connection_string": connect.NewHidden(fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=job;SharedAccessKey=%s;UseDevelopmentEmulator=true", w.addr, key.Primary))}
	src, sink := w.source(given, connect.SourceEnv{}), w.sink(given, connect.SinkEnv{})
	write(t, sink, 1, keyed(1, 1))
	commit(t, sink, 1)
	_, at, _ := reads(t, src, "0", "", 1)
	if err := w.broker.RemoveRule("", "job"); err != nil {
		t.Fatal(err)
	}
	w.stop() // connections end, as they do at the end of a token
	w.start()
	write(t, sink, 2, keyed(1, 1))
	fails := func(err error) {
		t.Helper()
		if err == nil || connect.IsPermanent(err) || strings.Contains(err.Error(), key.Primary) {
			t.Error(err)
		}
	}
	fails(sink.Commit(t.Context(), 2))
	_, err = src.Open(t.Context(), "0", "")
	fails(err)
	key.Hub = ""
	if _, err := w.broker.AddRule(key); err != nil {
		t.Fatal(err)
	}
	commit(t, sink, 2)
	reads(t, src, "0", at, 1)
}

// TestClose: what is closed is closed, while somebody waits for it too.
func TestClose(t *testing.T) {
	w := newWorld(t, 1, hub.Options{})
	s := w.source(nil, connect.SourceEnv{})
	r, err := s.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() {
		_, err := r.Read(t.Context(), 1, message.Position(5))
		ended <- err
	}()
	wait(t.Context(), 50*time.Millisecond, nil)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("no error")
	}
	r.Close()
	if _, err := s.Open(t.Context(), "0", ""); !errors.Is(err, namespace.ErrClosed) && (err == nil || !strings.Contains(err.Error(), namespace.ErrClosed.Error())) {
		t.Error(err)
	}
}
