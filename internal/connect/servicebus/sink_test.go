package servicebus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"go.uber.org/goleak"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	server "weir/internal/hub/eventhubs"
	"weir/internal/vec"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is Weir's AMQP side on a port of this machine. What is a queue to the client of Service
// Bus is an event hub of one partition here: the way in is the same.
type world struct {
	t      testing.TB
	broker *hub.Broker
	disk   *disk.Mem
	key    hub.Rule
	addr   string
	stop   func()
	wrap   func(net.Conn) net.Conn
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, disk: disk.NewMem(1), addr: "127.0.0.1:0"}
	b, err := hub.Open(hub.Options{FS: w.disk.Boot()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Create(hub.Config{Name: "alerts", Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	w.broker, w.key = b, b.Rules("")[0]
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	w.t.Helper()
	ln, err := net.Listen("tcp", w.addr)
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = ln.Addr().String()
	s := server.New(server.Options{Broker: w.broker})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if w.wrap != nil {
				nc = w.wrap(nc)
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

func (w *world) config(given map[string]any) connect.Config {
	values := map[string]any{"connection_string": connect.NewHidden(fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", w.addr, w.key.Name, w.key.Primary)),
		"queue": "alerts", "sign_in": "key", "transport": "amqp", "content_type": "application/json", "pack": message.PackOne, "pack_bytes": int64(64 << 10)}
	for k, v := range given {
		if values[k] = v; v == nil {
			delete(values, k)
		}
	}
	return connect.Config{Values: values}
}

func (w *world) messages() (list []amqp.Message) {
	w.t.Helper()
	h, err := w.broker.Hub("alerts")
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := h.Partitions()[0].Read(0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	for {
		batch, err := r.Next()
		if err != nil {
			w.t.Fatal(err)
		}
		if batch == nil {
			return list
		}
		for _, rec := range batch.Records {
			m, err := amqp.Decode(slices.Clone(rec.Value))
			if err != nil {
				w.t.Fatal(err)
			}
			list = append(list, m)
		}
	}
}

func (w *world) rows() (list []connecttest.Row, err error) {
	for _, m := range w.messages() {
		var e struct {
			ID   int64  `json:"id"`
			Text string `json:"text"`
		}
		if err := json.Unmarshal(m.Body, &e); err != nil {
			return nil, err
		}
		list = append(list, connecttest.Row(e))
	}
	return list, nil
}

// TestSinkSuite: rows come at least once; as long as the service knows the ids, once.
func TestSinkSuite(t *testing.T) {
	connecttest.Sinks{Unknown: true, Unordered: true, Early: true, Stride: 5, Seeds: 1, New: func(t testing.TB) *connecttest.Target {
		w := newWorld(t)
		return &connecttest.Target{Disk: disk.NewMem(1), Rows: w.rows,
			Open: func(env connect.SinkEnv) (connect.Sink, error) {
				s, err := openSink(t.Context(), w.config(nil), env)
				if err == nil {
					t.Cleanup(func() { s.Close() })
				}
				return s, err
			}}
	}}.Run(t)
}

func (w *world) sink(given map[string]any, columns connect.Columns, reject func(connect.RowError) error) connect.Sink {
	w.t.Helper()
	s, err := openSink(w.t.Context(), w.config(given), connect.SinkEnv{Job: "job", Output: "out", Instance: "one", Columns: columns, State: disk.NewMem(1).Boot(), Reject: reject})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { s.Close() })
	return s
}

func write(t testing.TB, s connect.Sink, epoch int64, b *vec.Batch) {
	t.Helper()
	if err := s.Write(t.Context(), epoch, b); err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), epoch, 0); err != nil {
		t.Fatal(err)
	}
}

// commit commits, over errors, and says how many there were.
func commit(t testing.TB, s connect.Sink, epoch int64) (failed int) {
	t.Helper()
	for {
		err := s.Commit(t.Context(), epoch)
		if err == nil {
			return failed
		}
		if failed++; failed > 50 || connect.IsPermanent(err) {
			t.Fatal(failed, err)
		}
		pause(t)
	}
}

func pause(t testing.TB) {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

func batchOf(n int, cols ...vec.Vec) *vec.Batch {
	b := &vec.Batch{N: n, Cols: cols}
	for range b.N {
		b.Time = append(b.Time, connecttest.Origin)
	}
	return b
}

func column(values ...vec.Value) vec.Vec {
	c := vec.Vec{}
	for _, v := range values {
		c.Append(v)
	}
	return c
}

// TestMessage: what a message has beside its body, as the service gets it.
func TestMessage(t *testing.T) {
	w := newWorld(t)
	var rejected []string
	s := w.sink(map[string]any{"property_columns": []string{"severity", "device"}, "system_property_columns": map[string]string{
		"MessageId": "key", "sessionid": "device", "Label": "subject", "CorrelationId": "n", "TimeToLive": "ttl", "ScheduledEnqueueTimeUtc": "at"}},
		connect.Columns{Names: []string{"n", "severity", "device", "key", "subject", "ttl", "at", "body"}},
		func(e connect.RowError) error {
			rejected = append(rejected, fmt.Sprintf("%s %s: %s", e.Name, e.Column, e.Reason))
			return nil
		})
	text, null := vec.StringValue, vec.NullValue()
	const n = 6
	write(t, s, 3, batchOf(n, vec.Ints(0, 1, 2, 3, 4, 5),
		column(vec.IntValue(7), null, text("x"), null, null, null),
		column(text("d1"), text("d2"), null, null, null, null),
		column(text("id 1"), null, null, text(strings.Repeat("i", 129)), null, null),
		column(text("s"), null, null, null, null, null),
		column(vec.IntValue(60), null, text("01:30:00"), null, text("soon"), null),
		column(vec.TimeValue(connecttest.Origin), null, null, null, null, text("tomorrow")),
		column(text("a"), text("b"), text("c"), null, null, null)))
	commit(t, s, 3)
	var got []string
	for _, m := range w.messages() {
		slices.SortFunc(m.Application, func(a, b amqp.Pair) int { return strings.Compare(a.Key, b.Key) })
		p := m.Properties
		got = append(got, fmt.Sprintf("%s %v|%s|%s|%v|%s %v %v", m.Body, p.MessageID, p.GroupID, p.Subject, p.CorrelationID, p.ContentType, m.Application, m.Annotations))
	}
	slices.Sort(got)
	want := []string{
		`{"body":"a"} id 1|d1|s|0|application/json [{device d1} {severity 7}] [{x-opt-scheduled-enqueue-time 2022-09-28 22:13:20 +0000 UTC}]`,
		`{"body":"b"} job/out/one/3/1|d2||1|application/json [{device d2}] []`,
		`{"body":"c"} job/out/one/3/2|||2|application/json [{severity x}] []`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	slices.Sort(rejected)
	wantRejected := []string{
		"OutputDataConversionError.TypeConversionError at: ScheduledEnqueueTimeUtc: \"tomorrow\" is no datetime",
		"OutputDataConversionError.TypeConversionError key: MessageId: it has 129 characters; 128 is the most",
		"OutputDataConversionError.TypeConversionError ttl: TimeToLive: \"soon\" is no time span: seconds, or hh:mm:ss",
	}
	if !slices.Equal(rejected, wantRejected) {
		t.Errorf("%s\nwant\n%s", strings.Join(rejected, "\n"), strings.Join(wantRejected, "\n"))
	}
}

// TestProperties: what a value becomes.
func TestProperties(t *testing.T) {
	f := func(property string, v vec.Value, want string) {
		t.Helper()
		m := &azservicebus.Message{}
		set, ok := setters[strings.ToLower(property)]
		if !ok {
			t.Fatal(property)
		}
		if err := set(m, v); err != nil {
			if got := "!" + err.Error(); got != want {
				t.Errorf("%s: %s; want %s", property, got, want)
			}
			return
		}
		text, _ := json.Marshal(m)
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		var got []string
		for k, v := range fields {
			if v != nil {
				got = append(got, fmt.Sprint(k, "=", v))
			}
		}
		if fmt.Sprint(got) != "["+want+"]" {
			t.Errorf("%s: %v; want %s", property, got, want)
		}
	}
	text := vec.StringValue
	for _, name := range settable {
		if _, ok := setters[strings.ToLower(name)]; !ok {
			t.Error(name)
		}
	}
	f("MessageId", vec.IntValue(5), "MessageID=5")
	f("SessionId", text(""), "SessionID=")
	f("Subject", text("x"), "Subject=x")
	f("ReplyToSessionId", text("r"), "ReplyToSessionID=r")
	f("To", vec.BitValue(true), "To=true")
	f("PartitionKey", text(strings.Repeat("é", 128)), "PartitionKey="+strings.Repeat("é", 128))
	f("TimeToLive", vec.IntValue(90), "TimeToLive=9e+10")
	f("TimeToLive", vec.FloatValue(0.5), "TimeToLive=5e+08")
	f("TimeToLive", text("00:00:01.5"), "TimeToLive=1.5e+09")
	f("TimeToLive", text("1.00:00:00"), "TimeToLive=8.64e+13")
	for _, bad := range []vec.Value{vec.IntValue(0), vec.IntValue(-1), vec.BitValue(true), vec.FloatValue(1e10)} {
		f("TimeToLive", bad, fmt.Sprintf("!%q is no time span: seconds, or hh:mm:ss", textOf(bad)))
	}
	for _, bad := range []string{"", "1:2", "a:b:c", "1.5.0:0:0", "-1:00:00"} {
		f("TimeToLive", text(bad), fmt.Sprintf("!%q is no time span: seconds, or hh:mm:ss", bad))
	}
}

// TestOrder: messages of a session stay in order over many batches and connections that break,
// and so do those of none.
func TestOrder(t *testing.T) {
	f := func(sessions int, system map[string]string) {
		t.Helper()
		w := newWorld(t)
		left := []int{60_000, 90_000, 150_000}
		w.stop()
		w.wrap = func(nc net.Conn) net.Conn {
			if len(left) == 0 {
				return nc
			}
			c := &cutConn{nc, left[0]}
			left = left[1:]
			return c
		}
		w.start()
		s := w.sink(map[string]any{"system_property_columns": system}, connect.Columns{Names: []string{"id", "session"}}, nil)
		const n = 4000
		var ids []int64
		var texts []string
		for i := range n {
			ids, texts = append(ids, int64(i)), append(texts, fmt.Sprint("session ", i%sessions))
		}
		write(t, s, 1, batchOf(n, vec.Ints(ids...), vec.Strings(texts...)))
		failed := commit(t, s, 1)
		last, seen := map[string]int{}, map[int]bool{}
		list := w.messages()
		for _, m := range list {
			var e struct{ ID int }
			if err := json.Unmarshal(m.Body, &e); err != nil {
				t.Fatal(err)
			}
			if seen[e.ID] {
				continue
			}
			if before, ok := last[m.Properties.GroupID]; ok && e.ID <= before {
				t.Fatalf("%d behind %d", e.ID, before)
			}
			last[m.Properties.GroupID], seen[e.ID] = e.ID, true
		}
		if len(seen) != n {
			t.Errorf("%d messages of %d", len(seen), n)
		}
		t.Logf("%d messages for %d, %d errors", len(list), n, failed)
	}
	f(50, map[string]string{"SessionId": "session"})
	f(1, nil)
}

type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.left -= n; c.left < 0 {
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// TestFaults: a service that goes away, and one that is busy; both come back.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	s := w.sink(nil, connecttest.Columns(), nil)
	rows := func(n int) *vec.Batch { return connecttest.Batch(connecttest.Rows(1, n)) }
	write(t, s, 1, rows(10))
	commit(t, s, 1)
	w.stop()
	write(t, s, 2, rows(10))
	if err := s.Commit(t.Context(), 2); err == nil || connect.IsPermanent(err) {
		t.Fatal(err)
	}
	w.start()
	commit(t, s, 2)
	w.disk.Limit(1)
	write(t, s, 3, rows(100))
	if err := s.Commit(t.Context(), 3); err == nil || !strings.Contains(err.Error(), "the service is busy and wants fewer requests") {
		t.Fatal(err)
	}
	w.disk.Limit(-1)
	commit(t, s, 3)
	if n := len(w.messages()); n != 120 {
		t.Errorf("%d messages", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	write(t, s, 4, rows(1))
	if err := s.Commit(ctx, 4); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	commit(t, s, 4)
}

// TestErrors: what is wrong, and what to do about it; in no text is a secret.
func TestErrors(t *testing.T) {
	w := newWorld(t)
	listen, err := w.broker.AddRule(hub.Rule{Name: "listener", Rights: hub.Listen})
	if err != nil {
		t.Fatal(err)
	}
	const secret = "cGxhbnRlZC1zZWNyZXQtMTIzNDU2Nzg5MA=="
	with := func(name, key string) any {
		return connect.NewHidden(fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true", w.addr, name, key))
	}
	f := func(given map[string]any, want ...string) {
		t.Helper()
		c := w.config(given)
		_, err := openSink(t.Context(), c, connect.SinkEnv{Output: "out", State: disk.NewMem(1).Boot(), Columns: connecttest.Columns()})
		if err == nil {
			t.Errorf("%v: no error", given)
			return
		}
		all := []string{fmt.Sprintf("%v %v", connect.IsPermanent(err), err)}
		for _, p := range probe(t.Context(), c, connect.ProbeEnv{}) {
			all = append(all, p.Text+"; "+p.Hint)
		}
		for _, s := range want {
			if !strings.Contains(all[0], s) {
				t.Errorf("%s; want %s", all[0], s)
			}
		}
		for _, text := range all {
			if strings.Contains(text, secret) || strings.Contains(text, listen.Primary) || strings.Contains(text, w.key.Primary) || strings.Contains(text, "\n") {
				t.Errorf("%q", text)
			}
		}
	}
	f(map[string]any{"queue": "nope"}, "true output out: queue nope at "+w.addr+": open it for sending: ", "check the name of the queue or topic")
	f(map[string]any{"queue": nil, "topic": "nope"}, "true output out: topic nope at ")
	f(map[string]any{"connection_string": with("listener", listen.Primary)}, "true ", "has no right to Send", "Send")
	f(map[string]any{"connection_string": with("listener", secret)}, "true ", "check the key")
	f(map[string]any{"connection_string": connect.NewHidden("Endpoint=sb://127.0.0.1:1;SharedAccessKeyName=a;SharedAccessKey=" + secret + ";UseDevelopmentEmulator=true")}, "false ", "connection refused")
	f(map[string]any{"topic": "t"}, "true ", "to a queue or to a topic")
	f(map[string]any{"queue": nil}, "true ", "write queue: NAME or topic: NAME")
	f(map[string]any{"queue": "a b"}, "true ", `"a b" is no name of a queue`)
	f(map[string]any{"system_property_columns": map[string]string{"Nope": "id"}}, "true ", `"Nope" is no property that can be set`)
	f(map[string]any{"system_property_columns": map[string]string{"MessageId": "nope"}}, "true ", `the rows have no column "nope"`)
	if p := probe(t.Context(), w.config(nil), connect.ProbeEnv{}); len(p) != 0 {
		t.Errorf("%+v", p)
	}
	entity := map[string]any{"queue": nil, "connection_string": connect.NewHidden(with(w.key.Name, w.key.Primary).(connect.Hidden).Expose() + ";EntityPath=alerts")}
	if p := probe(t.Context(), w.config(entity), connect.ProbeEnv{}); len(p) != 0 {
		t.Errorf("%+v", p)
	}
}

// TestLongSender: ids stay as short as the service wants them.
func TestLongSender(t *testing.T) {
	p := newPublisher(&endpoint{}, connect.Config{}, strings.Repeat("s", 300))
	if id := message.ID(p.sender, 1<<62, 1<<62); len(id) > maxID {
		t.Errorf("%d characters", len(id))
	}
	if p := newPublisher(&endpoint{}, connect.Config{}, strings.Repeat("s", maxSender)); len(message.ID(p.sender, 1<<62, 1<<62)) > maxID || p.sender[0] != 's' {
		t.Error(p.sender)
	}
}
