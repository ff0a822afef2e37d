package hub

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func open(t *testing.T, o Options) *Broker {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil && !errors.Is(err, disk.ErrPower) {
			t.Error(err)
		}
	})
	return b
}

func create(t *testing.T, b *Broker, c Config) *Hub {
	t.Helper()
	h, err := b.Create(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func event(text string) []Event { return []Event{{Message: []byte(text)}} }

func add(t *testing.T, p *Partition, from *Producer, texts ...string) Appended {
	t.Helper()
	var events []Event
	for _, s := range texts {
		events = append(events, Event{Message: []byte(s)})
	}
	a, err := p.Append(events, from)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// texts are the messages of a partition from a number on.
func texts(t *testing.T, p *Partition, from int64) []string {
	t.Helper()
	r, err := p.Read(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	for {
		b, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return out
		}
		for _, rec := range b.Records {
			out = append(out, string(rec.Value))
		}
	}
}

func want(t *testing.T, p *Partition, list ...string) {
	t.Helper()
	if got := texts(t, p, p.Range().First); !slices.Equal(got, list) {
		t.Errorf("%q, want %q", got, list)
	}
}

func is(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || want == nil && got != nil {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestHubs: hubs are made, found without case, changed and removed, and are as they were
// after a restart.
func TestHubs(t *testing.T) {
	m := disk.NewMem(1)
	c := newClock()
	o := Options{FS: m.Boot(), MaxHubs: 3, MaxGroups: 2, Now: c.now}
	b := open(t, o)
	h := create(t, b, Config{Name: "Orders", Groups: []string{"one", "$default", "ONE"}})
	if got := h.Config(); got.Partitions != DefaultPartitions || got.Retention != DefaultRetention || !slices.Equal(got.Groups, []string{"one"}) || !h.Created().Equal(c.now()) {
		t.Errorf("%+v", got)
	}
	if g, err := b.Hub("oRDERS"); g != h || err != nil {
		t.Error(err)
	}
	f := func(c Config, want error) {
		t.Helper()
		_, err := b.Create(c)
		is(t, err, want)
	}
	f(Config{Name: "ORDERS"}, ErrExists)
	f(Config{Name: ""}, ErrBadName)
	f(Config{Name: "../x"}, ErrBadName)
	f(Config{Name: "-x"}, ErrBadName)
	f(Config{Name: "a/b"}, ErrBadName)
	f(Config{Name: strings.Repeat("x", 257)}, ErrBadName)
	f(Config{Name: "x", Partitions: -1}, ErrBadConfig)
	f(Config{Name: "x", Partitions: MaxPartitions + 1}, ErrBadConfig)
	f(Config{Name: "x", Retention: -1}, ErrBadConfig)
	f(Config{Name: "x", RetentionBytes: -1}, ErrBadConfig)
	f(Config{Name: "x", Groups: []string{"a", "b", "c"}}, ErrTooMany)
	f(Config{Name: "x", Groups: []string{"\x00"}}, ErrBadName)
	create(t, b, Config{Name: "b", Partitions: 1})
	create(t, b, Config{Name: "a", Partitions: 1})
	f(Config{Name: "x"}, ErrTooMany)

	g := func(c Config, want error) {
		t.Helper()
		is(t, b.Update(c), want)
	}
	p3, _ := h.Partition(3)
	add(t, p3, nil, "kept")
	g(Config{Name: "nobody"}, ErrNoHub)
	g(Config{Name: "orders", Partitions: 3}, ErrBadConfig)
	g(Config{Name: "orders", Retention: time.Hour, RetentionBytes: 1 << 20}, nil)
	g(Config{Name: "orders", Partitions: 6}, nil)
	p5, err := h.Partition(5)
	is(t, err, nil)
	add(t, p5, nil, "new")
	_, err = h.Partition(6)
	is(t, err, ErrNoPartition)
	_, err = h.Partition(-1)
	is(t, err, ErrNoPartition)

	is(t, b.Remove("nobody"), ErrNoHub)
	r, err := p5.Read(0)
	is(t, err, nil)
	defer r.Close()
	other, _ := b.Hub("a")
	pa, _ := other.Partition(0)
	ra, err := pa.Read(0)
	is(t, err, nil)
	defer ra.Close()
	is(t, b.Remove("A"), nil)
	_, err = ra.Next()
	is(t, err, ErrClosed)
	_, err = pa.Append(event("x"), nil)
	is(t, err, ErrClosed)
	is(t, other.SetOffset(DefaultGroup, 0, Commit{}), ErrClosed)
	is(t, other.CreateGroup("x"), ErrClosed)
	_, err = b.Hub("a")
	is(t, err, ErrNoHub)
	if _, err := m.Stat("hubs/a"); err == nil {
		t.Error("the files of the removed hub are there")
	}
	is(t, b.Close(), nil)
	is(t, b.Close(), nil)
	_, err = b.Create(Config{Name: "x"})
	is(t, err, ErrClosed)
	is(t, b.Remove("b"), ErrClosed)

	m.Crash()
	o.FS = m.Boot()
	b = open(t, o)
	h, err = b.Hub("orders")
	is(t, err, nil)
	if got := h.Config(); got.Name != "Orders" || got.Partitions != 6 || got.Retention != time.Hour || got.RetentionBytes != 0 {
		t.Errorf("%+v", got)
	}
	want(t, h.Partitions()[3], "kept")
	want(t, h.Partitions()[5], "new")
	var names []string
	for _, h := range b.Hubs() {
		names = append(names, h.Name())
	}
	if fmt.Sprint(names) != "[b Orders]" {
		t.Error(names)
	}
	if _, err := Open(Options{FS: m.Boot()}); !errors.Is(err, disk.ErrLocked) {
		t.Error(err)
	}
}

// TestMadeAgain: a hub that is made again has nothing of the old one.
func TestMadeAgain(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	h := create(t, b, Config{Name: "h", Partitions: 2, Groups: []string{"g"}})
	add(t, h.Partitions()[1], &Producer{ID: "p", First: 1, Last: 1}, "old")
	is(t, h.SetOffset("g", 1, Commit{Seq: 1}), nil)
	old, err := b.AddRule(Rule{Name: "k", Hub: "H", Rights: Send})
	is(t, err, nil)
	is(t, b.Remove("h"), nil)
	_, err = b.Password("k", old.Primary)
	is(t, err, ErrUnauthorized)
	for range 2 {
		if h, err = b.Hub("h"); err != nil {
			h = create(t, b, Config{Name: "H", Partitions: 2, Groups: []string{"g"}})
		}
		want(t, h.Partitions()[1])
		if _, ok := h.Offset("g", 1); ok {
			t.Error("the offset is there")
		}
		if _, _, ok := h.Partitions()[1].Last("p"); ok {
			t.Error("the producer is known")
		}
		if n := len(b.Rules("h")); n != 0 {
			t.Errorf("%d keys", n)
		}
		is(t, b.Close(), nil)
		m.Crash()
		b = open(t, Options{FS: m.Boot()})
	}
}

// TestStrayDirectory: what is not marked as removed is not removed.
func TestStrayDirectory(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	create(t, b, Config{Name: "h"})
	is(t, b.Close(), nil)
	is(t, m.Rename("hubs/h/hub.json", "x"), nil)
	if _, err := Open(Options{FS: m.Boot()}); err == nil || !strings.Contains(err.Error(), "put its hub.json back") {
		t.Error(err)
	}
	is(t, m.Rename("x", "hubs/h/hub.json"), nil)
	b = open(t, Options{FS: m.Boot()})
	if len(b.Hubs()) != 1 {
		t.Error("the hub is not back")
	}
}

// TestSeek has the places that clients ask for, and those that no event has.
func TestSeek(t *testing.T) {
	c := newClock()
	b := open(t, Options{FS: disk.NewMem(1).Boot(), Now: c.now})
	h := create(t, b, Config{Name: "h", Partitions: 1, Retention: time.Hour})
	p := h.Partitions()[0]
	f := func(at Position, want int64) {
		t.Helper()
		got, err := p.Seek(at)
		if err != nil || got != want {
			t.Errorf("%+v: %d, %v, want %d", at, got, err, want)
		}
	}
	f(Position{Where: Earliest}, 0)
	f(Position{Where: Latest}, 0)
	f(Position{Where: AtTime, Time: c.now()}, 0)
	var places []Appended
	for i := range 3 {
		places = append(places, add(t, p, nil, fmt.Sprint(i)))
		c.move(time.Second)
	}
	f(Position{Where: Earliest}, 0)
	f(Position{Where: Latest}, 3)
	f(Position{Where: AtSequence, Value: 1}, 1)
	f(Position{Where: AtSequence, Value: 1, After: true}, 2)
	f(Position{Where: AtSequence, Value: -5}, 0)
	f(Position{Where: AtSequence, Value: 1<<63 - 1, After: true}, 3)
	f(Position{Where: AtOffset, Value: places[1].Offset}, 1)
	f(Position{Where: AtOffset, Value: places[1].Offset, After: true}, 2)
	f(Position{Where: AtOffset, Value: -1}, 0)
	f(Position{Where: AtOffset, Value: 1<<63 - 1, After: true}, 3)
	f(Position{Where: AtTime, Time: places[1].Enqueued}, 1)
	f(Position{Where: AtTime, Time: places[1].Enqueued, After: true}, 2)
	f(Position{Where: AtTime, Time: places[0].Enqueued.Add(-time.Hour)}, 0)
	f(Position{Where: AtTime, Time: c.now().Add(time.Hour)}, 3)
	c.move(2 * time.Hour)
	h.b.tendAll()
	f(Position{Where: AtSequence, Value: 1}, 3)
	f(Position{Where: AtOffset, Value: 1}, 3)
	f(Position{Where: AtTime, Time: places[0].Enqueued}, 3)
}

// TestLimits: an event and a batch of exactly the limit are taken, one byte more is refused,
// and the log's own limit is not met first.
func TestLimits(t *testing.T) {
	b := open(t, Options{FS: disk.NewMem(1).Boot()})
	h := create(t, b, Config{Name: "h", Partitions: 1})
	p := h.Partitions()[0]
	f := func(want error, events ...Event) {
		t.Helper()
		_, err := p.Append(events, nil)
		is(t, err, want)
		if want != nil && errors.Is(err, log.ErrTooLarge) {
			t.Errorf("the log has refused it: %v", err)
		}
	}
	msg := func(n int) []byte { return make([]byte, n) }
	f(nil, Event{Message: msg(DefaultMaxMessage), Key: msg(MaxKey)})
	f(ErrTooLarge, Event{Message: msg(DefaultMaxMessage + 1)})
	f(ErrTooLarge, Event{Message: msg(1), Key: msg(MaxKey + 1)})
	f(nil, Event{Message: msg(DefaultMaxBatch / 2)}, Event{Message: msg(DefaultMaxBatch / 2)})
	f(ErrTooLarge, Event{Message: msg(DefaultMaxBatch / 2)}, Event{Message: msg(DefaultMaxBatch/2 + 1)})
	tiny := make([]Event, DefaultMaxBatch/11) // the least that an event has in an AMQP batch
	for i := range tiny {
		tiny[i] = Event{Message: msg(6), Key: msg(20)}
	}
	f(nil, tiny...)
	if _, err := p.Append(nil, nil); err == nil {
		t.Error("no events are taken")
	}
	s := p.Stats()
	if s.TooLarge != 3 || s.Refused != 1 || s.Appends != 3 || s.In.Events != 3+int64(len(tiny)) || s.In.Bytes != 2<<20+MaxKey+26*int64(len(tiny)) {
		t.Errorf("%+v", s)
	}
}
