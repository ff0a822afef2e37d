package eventhubs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/connect/message"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/vec"
)

// TestSourceSuite: what was appended is read as the contract says, through the official client.
func TestSourceSuite(t *testing.T) {
	connecttest.Sources{New: func(t testing.TB) *connecttest.Feed {
		w := newWorld(t, 1, hub.Options{})
		f := &connecttest.Feed{Rows: connecttest.Rows(1, 200), Add: func(rows []connecttest.Row) error { return w.add(0, rows) }}
		f.Open = func(env connect.SourceEnv) (connect.Source, error) {
			return openSource(t.Context(), w.config(true, nil), env)
		}
		if err := f.Add(f.Rows); err != nil {
			t.Fatal(err)
		}
		return f
	}}.Run(t)
}

// TestSeek: a position for each time, and the ends.
func TestSeek(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := newWorld(t, 2, hub.Options{Now: func() time.Time { return now }})
	begin := now
	for i := range 5 {
		w.texts(0, fmt.Sprintf(`{"a":%d}`, i), `{"a":"same time"}`)
		now = now.Add(time.Second)
	}
	s := w.source(nil, connect.SourceEnv{})
	f := func(partition string, at vec.Time, want connect.Position) {
		t.Helper()
		p, err := s.Seek(t.Context(), partition, at)
		if err != nil || p != want {
			t.Errorf("%q, %v; want %q", p, err, want)
		}
	}
	second := func(d time.Duration) vec.Time { return message.ToTime(begin.Add(d)) }
	f("0", vec.MinTime, "0")
	f("0", vec.MaxTime, "10")
	f("0", second(-time.Hour), "0")
	f("0", second(0), "0")
	f("0", second(time.Second), "2")
	f("0", second(time.Second)+1, "4") // a tick later
	f("0", second(1500*time.Millisecond), "4")
	f("0", second(4*time.Second), "8")
	f("0", second(4*time.Second)+1, "10")
	f("0", second(time.Hour), "10")
	f("1", vec.MinTime, "0")
	f("1", second(0), "0")
	f("1", vec.MaxTime, "0")
	if n, ok := s.Waiting("0", "4"); !ok || n != 6 {
		t.Errorf("%d wait, %v", n, ok)
	}
}

// TestGone: events that were removed are an error, before reading and while it is begun.
func TestGone(t *testing.T) {
	w := newWorld(t, 1, hub.Options{})
	w.create(hub.Config{Name: "small", Partitions: 1, RetentionBytes: 256 << 10})
	h, err := w.broker.Hub("small")
	if err != nil {
		t.Fatal(err)
	}
	fill := func() {
		for range 40 {
			e := hub.Event{Message: (&amqp.Message{Body: []byte(`{"a":"` + strings.Repeat("x", 20_000) + `"}`)}).Append(nil)}
			if _, err := h.Partitions()[0].Append([]hub.Event{e}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := w.source(map[string]any{"hub": "small"}, connect.SourceEnv{})
	read := func(at connect.Position) error {
		r, err := s.Open(t.Context(), "0", at)
		if err != nil {
			return err
		}
		defer r.Close()
		for {
			c, err := r.Read(t.Context(), 1000, "")
			if err != nil || len(c.Data) > 0 {
				return err
			}
			<-r.Ready()
		}
	}
	fill()
	rg := h.Partitions()[0].Range()
	for same := 0; rg.First == 0 || same < 20; same++ { // it is cleaned in the background
		wait(t.Context(), 10*time.Millisecond, nil)
		if now := h.Partitions()[0].Range(); now != rg {
			rg, same = now, 0
		}
		if t.Context().Err() != nil || same > 1000 {
			t.Fatalf("the first event is %d", rg.First)
		}
	}
	for at, gone := range map[int64]bool{0: true, rg.First - 1: true, rg.First: false, rg.Next - 1: false} {
		if err := read(message.Position(at)); errors.Is(err, connect.ErrGone) != gone || !gone && err != nil {
			t.Errorf("%d: %v", at, err)
		}
	}
	if err := read(message.Position(rg.Next + 5)); err == nil || !strings.Contains(err.Error(), "not the event hub that the job was run with") {
		t.Error(err)
	}
	if err := read(""); err != nil {
		t.Error(err)
	}
	// Removed between the question and the first event.
	f, err := s.begin(t.Context(), "0", rg.First, message.NewMeta(s.wants, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.(*feed).next = 0
	if _, _, _, err := f.Next(t.Context()); !errors.Is(err, connect.ErrGone) {
		t.Error(err)
	}
}

// TestClock: time goes on in a partition in which nothing happens, and behind no event that is
// still to come.
func TestClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	s := w.source(nil, connect.SourceEnv{})
	r, err := s.Open(t.Context(), "0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	begun := message.ToTime(time.Now())
	until := func(clock vec.Time) connect.Chunk {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; {
			c, err := r.Read(t.Context(), 1000, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Data) > 0 || c.Clock >= clock {
				return c
			}
			if time.Now().After(end) {
				t.Fatalf("the clock is at %v; want %v", c.Clock, clock)
			}
			wait(t.Context(), time.Second, r.Ready())
		}
	}
	if c := until(begun - clockMargin); len(c.Data) > 0 || c.Clock > message.ToTime(time.Now())-clockMargin {
		t.Errorf("%q, clock %v", c.Data, c.Clock)
	}
	w.texts(0, `{"a":1}`)
	c := until(vec.MaxTime)
	if len(c.Marks) != 1 || c.Marks[0].Arrival < begun || c.Clock > c.Marks[0].Arrival {
		t.Errorf("%+v", c)
	}
	until(c.Marks[0].Arrival + 1)
}

// TestClockWaits: an event that is there and does not come holds time up, but not for ever: it may
// be a number that no event has.
func TestClockWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, hub.Options{})
	s := w.source(nil, connect.SourceEnv{})
	w.texts(0, `{"a":1}`)
	fd := &feed{s: s, partition: "0", asked: -1}
	f := func(moves bool) {
		t.Helper()
		if clock, err := fd.idle(t.Context()); err != nil || clock > 0 != moves {
			t.Errorf("clock %v, %v", clock, err)
		}
	}
	f(false)
	f(false)
	fd.same = fd.same.Add(-leftOut)
	f(true)
	w.texts(0, `{"a":2}`)
	f(false)
	fd.next = 2
	f(true)
}

// TestMetadata: what a query can ask of an event, and no more than it asks.
func TestMetadata(t *testing.T) {
	w := newWorld(t, 3, hub.Options{})
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	m := amqp.Message{Body: []byte(`{"a":1}`), Properties: amqp.Properties{MessageID: "m1"},
		Application: []amqp.Pair{{Key: "tenant", Value: "t"}, {Key: "n", Value: int64(5)}},
		Annotations: []amqp.Pair{{Key: "iothub-connection-device-id", Value: "dev"}, {Key: "iothub-enqueuedtime", Value: at}, {Key: "x-opt-mine", Value: "m"}}}
	if _, err := w.partition(2).Append([]hub.Event{{Key: []byte("k"), Message: m.Append(nil)}}, nil); err != nil {
		t.Fatal(err)
	}
	f := func(metadata []string, want string) {
		t.Helper()
		s := w.source(nil, connect.SourceEnv{Metadata: metadata})
		r, err := s.Open(t.Context(), "2", "")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for {
			c, err := r.Read(t.Context(), 1000, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(c.Data) == 0 {
				wait(t.Context(), time.Second, r.Ready())
				continue
			}
			if c.Properties["PartitionId"].Int != 2 {
				t.Error(c.Properties)
			}
			var got []string
			for name, v := range c.Marks[0].Properties {
				if name == "EventEnqueuedUtcTime" {
					if v.Int != int64(c.Marks[0].Arrival) {
						t.Error(v)
					}
					v = vec.StringValue("now")
				}
				got = append(got, name+"="+v.String())
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != want {
				t.Errorf("%s\nwant %s", s, want)
			}
			return
		}
	}
	f([]string{}, "")
	f([]string{"EventEnqueuedUtcTime"}, `EventEnqueuedUtcTime="now" PartitionId=2`)
	f([]string{"EventHub.Offset"}, `EventEnqueuedUtcTime="now" Offset="32" PartitionId=2 SequenceNumber=0`)
	f([]string{"User.tenant"}, `EventEnqueuedUtcTime="now" PartitionId=2 User={"n":5,"tenant":"t"}`)
	f(nil, `EventEnqueuedUtcTime="now" IoTConnectionDeviceId="dev" IoTEnqueueTime="2026-11-22T10:00:00.0000000Z" `+
		`IoTHub={"MessageId":"m1","CorrelationId":null,"ConnectionDeviceId":"dev","EnqueuedTime":"2026-11-22T10:00:00.0000000Z","EnqueueTime":"2026-11-22T10:00:00.0000000Z","StreamId":null} `+
		`Offset="32" PartitionId=2 PartitionKey="k" SequenceNumber=0 User={"n":5,"tenant":"t"}`)
}
