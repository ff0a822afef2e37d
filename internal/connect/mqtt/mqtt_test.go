package mqtt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sinkEnv is what a job opens its output with.
func sinkEnv(columns ...string) connect.SinkEnv {
	env := connect.SinkEnv{Job: "job", Output: "out", Instance: "one", Columns: connecttest.Columns(), State: disk.NewMem(1).Boot(),
		Log: slog.New(slog.DiscardHandler), Now: time.Now, Reject: func(connect.RowError) error { return nil }}
	if len(columns) > 0 {
		env.Columns = connect.Columns{Names: columns}
	}
	return env
}

// sink opens an output.
func (p peer) sink(t testing.TB, values map[string]any) connect.Sink {
	t.Helper()
	s, err := openSink(t.Context(), p.config(t, false, values), sinkEnv())
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// commit writes and commits an epoch, as often as it takes.
func commit(t testing.TB, s connect.Sink, epoch int64, rows []connecttest.Row) (failures int) {
	t.Helper()
	must(t, s.Write(t.Context(), epoch, connecttest.Batch(rows)))
	must(t, s.Prepare(t.Context(), epoch, 0))
	until := time.Now().Add(30 * time.Second)
	for err := s.Commit(t.Context(), epoch); err != nil; err = s.Commit(t.Context(), epoch) {
		if failures++; connect.IsPermanent(err) || time.Now().After(until) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return failures
}

// firsts are rows without later copies.
func firsts(t testing.TB, texts []heard) (list []connecttest.Row) {
	t.Helper()
	all, err := rowsOf(texts)
	must(t, err)
	had := map[int64]bool{}
	for _, r := range all {
		if !had[r.ID] {
			had[r.ID], list = true, append(list, r)
		}
	}
	return list
}

// TestFaults: connections that are cut, messages that are refused, a broker that is slow, or
// goes and comes again. No row is missing, and first copies keep their order.
func TestFaults(t *testing.T) {
	f := func(what string, values map[string]any, fault func(l *local)) {
		t.Run(what, func(t *testing.T) {
			l := newLocal(t, nil)
			all := map[string]any{"topic": "a/rows", "timeout": 2 * time.Second, "window": int64(10)}
			for k, v := range values {
				all[k] = v
			}
			s := l.sink(t, all)
			rows := connecttest.Rows(1, 300)
			commit(t, s, 1, rows[:100])
			fault(l)
			failures := commit(t, s, 2, rows[100:])
			got := firsts(t, l.hook.below("a"))
			if what == "refused" { // those behind it were under way
				slices.SortFunc(got, func(a, b connecttest.Row) int { return int(a.ID - b.ID) })
			}
			if !slices.Equal(got, rows) {
				t.Errorf("%d rows of %d, or in another order", len(got), len(rows))
			}
			if failures == 0 && what != "slow" {
				t.Error("nothing has failed: the test shows nothing")
			}
		})
	}
	f("cut", nil, func(l *local) { l.hook.set(func(h *hook) { h.cut = 50 }) })
	f("cut, qos 2", map[string]any{"qos": "2"}, func(l *local) { l.hook.set(func(h *hook) { h.cut = 50 }) })
	f("refused", nil, func(l *local) { l.hook.set(func(h *hook) { h.refuse = 3 }) })
	f("restarted", nil, func(l *local) {
		l.stop()
		go func() {
			time.Sleep(30 * time.Millisecond)
			l.start(t)
		}()
	})
	f("slow", nil, func(l *local) { l.hook.set(func(h *hook) { h.pause = time.Millisecond }) })
	f("too slow", map[string]any{"timeout": 150 * time.Millisecond, "window": int64(1)}, func(l *local) {
		l.hook.set(func(h *hook) { h.pause = 300 * time.Millisecond })
		time.AfterFunc(400*time.Millisecond, func() { l.hook.set(func(h *hook) { h.pause = 0 }) })
	})
}

// TestEnded: a call whose context has ended gives that error, and can be made again.
func TestEnded(t *testing.T) {
	l := newLocal(t, nil)
	s := l.sink(t, map[string]any{"topic": "a/rows"})
	l.hook.set(func(h *hook) { h.pause = 20 * time.Millisecond })
	rows := connecttest.Rows(1, 10)
	must(t, s.Write(t.Context(), 1, connecttest.Batch(rows)))
	must(t, s.Prepare(t.Context(), 1, 0))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Commit(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	must(t, s.Commit(t.Context(), 1))
	if got := firsts(t, l.hook.below("a")); !slices.Equal(got, rows) {
		t.Errorf("%v", got)
	}
}

// TestRefused: what a broker refuses at the start is permanent; nothing tells the password.
func TestRefused(t *testing.T) {
	f := func(what string, p peer, input bool, values map[string]any, permanent bool, want string) {
		t.Helper()
		var logs bytes.Buffer
		log := slog.New(slog.NewTextHandler(&logs, nil))
		all := map[string]any{"topics": []string{"a/#"}, "topic": "a", "timeout": time.Second}
		for k, v := range values {
			all[k] = v
		}
		c := p.config(t, input, all)
		var err error
		if input {
			_, err = openSource(t.Context(), c, connect.SourceEnv{Input: "in", State: disk.NewMem(1).Boot(), Log: log})
		} else {
			env := sinkEnv()
			env.Log = log
			_, err = openSink(t.Context(), c, env)
		}
		if err == nil || connect.IsPermanent(err) != permanent || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: permanent %v: %v", what, connect.IsPermanent(err), err)
		}
		problems := probe(t.Context(), c, connect.ProbeEnv{Input: input})
		for _, text := range []string{fmt.Sprint(err), logs.String(), fmt.Sprint(problems)} {
			for _, s := range []string{secret, "another-" + secret} {
				if strings.Contains(text, s) {
					t.Errorf("%s: the password is told: %s", what, text)
				}
			}
		}
		if len(problems) == 0 || problems[0].Hint == "" {
			t.Errorf("%s: the probe says %v", what, problems)
		}
	}
	p := newLocal(t, nil).peer
	wrong := p
	wrong.password = "another-" + secret
	gone := peer{closed(t), "weir", secret, nil}
	f("a wrong password", wrong, true, nil, true, "bad user name or password")
	f("a wrong password", wrong, false, nil, true, "bad user name or password")
	f("a topic without a right", p, true, map[string]any{"topics": []string{"forbidden/x"}}, true, `"forbidden/x": not authorized`)
	f("nobody listens", gone, false, nil, false, "connection refused")
	poor := newLocal(t, func(c *mochi.Capabilities) { c.MaximumQos = 0 }).peer
	f("a qos that it does not have", poor, false, nil, true, "highest qos")
}

// TestFits: what a broker says of itself is compared with the settings.
func TestFits(t *testing.T) {
	l := &link{broker: &broker{url: &url.URL{Host: "h:1"}, way: plain}, connack: &paho.Connack{Properties: &paho.ConnackProperties{}}}
	err := (&publisher{broker: l.broker, retain: true}).fits(l)
	if !connect.IsPermanent(atStart(err)) || !strings.Contains(err.Error(), "does not retain") || hintOf(err) != "remove retain" {
		t.Errorf("%v", err)
	}
	size, window := uint32(5000), uint16(7)
	l.connack.Properties.MaximumPacketSize, l.connack.Properties.ReceiveMaximum = &size, &window
	p := &publisher{broker: l.broker, link: l, window: 100}
	if err := p.fits(l); err != nil || p.room() != 5000 || p.width() != 7 {
		t.Errorf("%v, %d bytes, %d messages", err, p.room(), p.width())
	}
}

// TestProbe: what is right gives no problem, and takes no message from others.
func TestProbe(t *testing.T) {
	p := newLocal(t, nil).peer
	if got := probe(t.Context(), p.config(t, true, map[string]any{"topics": []string{"$share/g/a/#", "b"}}), connect.ProbeEnv{Input: true}); len(got) != 0 {
		t.Error(got)
	}
	if got := probe(t.Context(), p.config(t, false, map[string]any{"topic": "a"}), connect.ProbeEnv{}); len(got) != 0 {
		t.Error(got)
	}
}

// TestBrokerAway: an input whose broker is not there waits for it, says so, and reads what it
// has.
func TestBrokerAway(t *testing.T) {
	l := newLocal(t, nil)
	var logs bytes.Buffer
	d := disk.NewMem(1)
	id := unique(t)
	values := map[string]any{"topics": []string{"x/+"}, "client_id": id, "qos": "0"}
	s := l.input(t, d.Boot(), &logs, values)
	must(t, l.server.Publish("x/1", []byte(`{"id":1}`), false, 0))
	count(t, s, 1)
	must(t, s.Close())
	l.stop()
	s = l.input(t, d.Boot(), &logs, values)
	defer s.Close()
	count(t, s, 1)
	r, err := s.Open(t.Context(), "0", "1")
	must(t, err)
	defer r.Close()
	if _, err := r.Read(t.Context(), 100, ""); err == nil || connect.IsPermanent(err) || !strings.Contains(err.Error(), l.address) {
		t.Errorf("%v", err)
	}
	l.start(t)
	wait(t, func() bool { return s.(*source).trouble() == nil })
	must(t, l.server.Publish("x/1", []byte(`{"id":2}`), false, 0))
	if ids, _ := count(t, s, 2); ids[2] != 1 {
		t.Errorf("%v", ids)
	}
}

func wait(t testing.TB, is func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come")
		}
	}
}

// TestWebSocket: the same over a WebSocket; a path that is none says so.
func TestWebSocket(t *testing.T) {
	l := newLocal(t, nil)
	ws := listeners.NewWebsocket(listeners.Config{ID: "ws", Address: closed(t)})
	must(t, l.server.AddListener(ws))
	l.server.Listeners.Serve("ws", l.server.EstablishConnection)
	wait(t, func() bool { // it serves in the background
		c, err := net.Dial("tcp", ws.Address())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	var logs bytes.Buffer
	url := "ws://" + ws.Address() + "/mqtt"
	in := l.input(t, disk.NewMem(1).Boot(), &logs, map[string]any{"url": url, "topics": []string{"w/+"}, "client_id": unique(t), "qos": "0"})
	defer in.Close()
	commit(t, l.sink(t, map[string]any{"url": url, "topic": "w/rows"}), 1, connecttest.Rows(1, 100))
	count(t, in, 100)
	_, err := openSink(t.Context(), l.config(t, false, map[string]any{"url": "ws://" + l.address + "/mqtt?token=" + secret, "topic": "a", "timeout": time.Second}), sinkEnv())
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}

// TestTopicsLeft: a topic that the settings no longer have is unsubscribed from.
func TestTopicsLeft(t *testing.T) {
	l := newLocal(t, nil)
	var logs bytes.Buffer
	d := disk.NewMem(1)
	values := map[string]any{"topics": []string{"x/+", "y/#"}, "client_id": unique(t), "qos": "0"}
	must(t, l.input(t, d.Boot(), &logs, values).Close())
	values["topics"] = []string{"y/#"}
	s := l.input(t, d.Boot(), &logs, values)
	defer s.Close()
	must(t, l.server.Publish("x/1", []byte(`{"id":1}`), false, 0))
	must(t, l.server.Publish("y/1", []byte(`{"id":2}`), false, 0))
	if ids, _ := count(t, s, 1); ids[1] != 0 || ids[2] != 1 {
		t.Errorf("%v", ids)
	}
}

// TestMetadata: what a query can read of a message beside its text.
func TestMetadata(t *testing.T) {
	l := newLocal(t, nil)
	out := l.sink(t, map[string]any{"topic": "m/{text}", "property_columns": []string{"id"}, "retain": true, "content_type": "application/json"})
	commit(t, out, 1, []connecttest.Row{{ID: 7, Text: "left"}})
	f := func(wanted []string, want map[string]string) {
		t.Helper()
		env := connect.SourceEnv{Job: "job", Input: unique(t), State: disk.NewMem(1).Boot(), Metadata: wanted}
		s, err := openSource(t.Context(), l.config(t, true, map[string]any{"topics": []string{"m/#"}, "qos": "0"}), env)
		must(t, err)
		defer s.Close()
		_, c := count(t, s, 1)
		got := map[string]string{}
		for k, v := range c.Marks[0].Properties {
			if v.Kind != vec.Record {
				got[k] = strings.Trim(v.String(), `"`)
			}
		}
		if r := c.Marks[0].Properties["User"].Rec; r != nil {
			for i, n := range r.Names {
				got["User."+n] = r.Vals[i].Str
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v: %v, and must be %v", wanted, got, want)
		}
	}
	own := map[string]string{"Mqtt.Topic": "m/left", "Mqtt.Qos": "0", "Mqtt.Retain": "true"}
	f([]string{"Mqtt.Topic"}, own)
	f([]string{}, map[string]string{})
	all := map[string]string{"User.id": "7", "User." + IDProperty: "job/out/one/1/0"}
	for k, v := range own {
		all[k] = v
	}
	f(nil, all)
	f([]string{"User.id"}, all)
}

// TestBadRows: rows that no message can hold, or that have no topic.
func TestBadRows(t *testing.T) {
	l := newLocal(t, nil)
	env := sinkEnv()
	var bad []string
	env.Reject = func(e connect.RowError) error {
		bad = append(bad, fmt.Sprintf("%.9s %s", e.Row, e.Name[len("OutputDataConversionError."):]))
		return nil
	}
	s, err := openSink(t.Context(), l.config(t, false, map[string]any{"topic": "t/{text}", "max_message": int64(4000)}), env)
	must(t, err)
	defer s.Close()
	rows := []connecttest.Row{{ID: 1, Text: "ok"}, {ID: 2, Text: "a+b"}, {ID: 3, Text: "a#"}, {ID: 4, Text: strings.Repeat("x", 70_000)}, {ID: 5, Text: strings.Repeat("x", 3000)}, {ID: 6, Text: ""}}
	commit(t, s, 1, rows)
	want := []string{`{"id":2," TypeConversionError`, `{"id":3," TypeConversionError`, `{"id":4," TypeConversionError`, `{"id":5," RecordExceededSizeLimit`}
	if !slices.Equal(bad, want) {
		t.Errorf("%q", bad)
	}
	var topics []string
	for _, m := range l.hook.below("t") {
		topics = append(topics, m.topic)
	}
	if !slices.Equal(topics, []string{"t/ok", "t/"}) {
		t.Errorf("%q", topics)
	}
}

func TestCheck(t *testing.T) {
	p := peer{address: "h:1"}
	f := func(input bool, values map[string]any, want string) {
		t.Helper()
		all := map[string]any{"topics": []string{"a"}, "topic": "a"}
		for k, v := range values {
			all[k] = v
		}
		var got []string
		for _, x := range check(p.config(t, input, all), input) {
			got = append(got, x.Field)
			if strings.Contains(x.Text+x.Hint, secret) {
				t.Errorf("the secret is told: %v", x)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%v: %q, and must be %q", values, s, want)
		}
	}
	f(true, nil, "")
	f(false, nil, "")
	f(true, map[string]any{"url": "http://h"}, "url")
	f(true, map[string]any{"url": "h:1883"}, "url")
	f(true, map[string]any{"url": "mqtt://weir:" + secret + "@h:1883"}, "url")
	f(true, map[string]any{"url": "wss://h/mqtt", "tls_ca": "x"}, "")
	f(true, map[string]any{"tls_ca": "x"}, "url")
	f(true, map[string]any{"url": "mqtts://h", "tls_key": "x"}, "tls_cert")
	f(true, map[string]any{"window": int64(0)}, "window")
	f(true, map[string]any{"window": int64(MaxWindow + 1)}, "window")
	f(true, map[string]any{"timeout": time.Duration(0)}, "timeout")
	f(true, map[string]any{"session_expiry": -time.Second}, "session_expiry")
	f(true, map[string]any{"max_log": int64(1)}, "max_log")
	f(true, map[string]any{"topics": []string{}}, "topics")
	for _, good := range []string{"a/+/b", "#", "+", "/", "$share/g/a/#", "a//b", "$SYS/#"} {
		f(true, map[string]any{"topics": []string{good}}, "")
	}
	for _, bad := range []string{"", "a#", "a/#/b", "a+/b", "$share/g", "$share/+/a", "a\x00"} {
		f(true, map[string]any{"topics": []string{bad}}, "topics")
		if bad != "$share/g" {
			f(false, map[string]any{"topic": bad}, "topic")
		}
	}
	f(false, map[string]any{"topic": "a/{b}"}, "")
	f(false, map[string]any{"max_message": int64(1)}, "max_message")
}

// TestTLSFiles: files that are wrong are told by their names.
func TestTLSFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	f := func(values map[string]any, want string) {
		t.Helper()
		values["url"] = "mqtts://127.0.0.1:1"
		if _, err := newBroker((peer{}).config(t, true, values), "x"); !connect.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	f(map[string]any{"tls_ca": filepath.Join(dir, "none.pem")}, "none.pem")
	f(map[string]any{"tls_ca": empty}, "has no certificate")
	f(map[string]any{"tls_cert": empty, "tls_key": empty}, "tls_cert and tls_key")
}
