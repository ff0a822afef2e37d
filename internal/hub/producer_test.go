package hub

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// strict is a strict producer's append.
func strict(epoch int32, first, last int64) *Producer {
	return &Producer{ID: "p", Epoch: epoch, First: first, Last: last, Strict: true}
}

// TestProducers: what is sent twice is kept once, gaps and old epochs are refused, and a
// restart changes nothing of that, with a snapshot or without.
func TestProducers(t *testing.T) {
	for _, crash := range []bool{true, false} {
		m := disk.NewMem(1)
		b := open(t, Options{FS: m.Boot()})
		h := create(t, b, Config{Name: "h", Partitions: 1})
		p := h.Partitions()[0]
		again := func() {
			t.Helper()
			if !crash {
				is(t, b.Close(), nil)
			}
			m.Crash()
			b = open(t, Options{FS: m.Boot()})
			h, _ = b.Hub("h")
			p = h.Partitions()[0]
		}
		f := func(from *Producer, seq int64, dup bool, err error) {
			t.Helper()
			for range 2 {
				a, e := p.Append(event(fmt.Sprint(from.Epoch, from.First)), from)
				if is(t, e, err); e == nil && (a.Seq != seq || a.Duplicate != dup) {
					t.Errorf("%+v, want %d, %v", a, seq, dup)
				}
				if dup && seq >= 0 && e == nil {
					r, _ := p.Read(seq)
					if b, _ := r.Next(); b == nil || b.Records[0].Offset != a.Offset || !b.Enqueued.Equal(a.Enqueued) {
						t.Errorf("the place of the duplicate is wrong: %+v, %+v", a, b)
					}
					r.Close()
				}
				if dup = true; crash {
					continue
				}
				again()
			}
		}
		f(strict(0, 7, 9), 0, false, nil)
		f(strict(0, 10, 10), 1, false, nil)
		f(strict(0, 7, 9), 0, true, nil)
		again()
		f(strict(0, 7, 9), 0, true, nil)
		f(strict(0, 12, 12), 0, false, ErrGap)
		f(strict(0, 10, 11), 0, false, ErrGap)
		f(strict(0, 8, 9), -1, true, nil) // not sent so before
		for i := range int64(4) {
			f(strict(0, 11+i, 11+i), 2+i, false, nil)
		}
		f(strict(0, 7, 9), -1, true, nil) // too long ago
		f(strict(0, 10, 10), 1, true, nil)
		f(strict(1, 3, 3), 6, false, nil)
		again()
		f(strict(0, 15, 15), 0, false, ErrFenced)
		f(strict(1, 2, 2), -1, true, nil)
		f(&Producer{ID: "job", Epoch: 0, First: 5, Last: 5}, 7, false, nil)
		f(&Producer{ID: "job", Epoch: 0, First: 9, Last: 9}, 8, false, nil)
		f(&Producer{ID: "job", Epoch: 0, First: 5, Last: 5}, 7, true, nil)
		f(&Producer{ID: "job", Epoch: 0, First: 8, Last: 10}, 0, false, ErrGap)
		if epoch, last, ok := p.Last("job"); epoch != 0 || last != 9 || !ok {
			t.Error(epoch, last, ok)
		}
		if _, _, ok := p.Last("nobody"); ok {
			t.Error("nobody is known")
		}
		for _, bad := range []*Producer{{ID: ""}, {ID: strings.Repeat("x", MaxProducerID+1)}} {
			_, err := p.Append(event("x"), bad)
			is(t, err, ErrBadName)
		}
		_, err := p.Append(event("x"), &Producer{ID: "p", First: 2, Last: 1})
		is(t, err, ErrGap)
		want(t, p, "0 7", "0 10", "0 11", "0 12", "0 13", "0 14", "1 3", "0 5", "0 9")
	}
}

// TestPipeline: several appends of a producer that are under way share one fsync, whoever
// waits first, and a repeated one waits for the one it repeats.
func TestPipeline(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	p := create(t, b, Config{Name: "h", Partitions: 1}).Partitions()[0]
	syncs := 0
	m.Hook(func(op disk.Op, _ string) error {
		if op == disk.OpSync {
			syncs++
		}
		return nil
	})
	var list []*Appending
	for i := range int64(5) {
		a, err := p.Start(event(fmt.Sprint(i)), strict(0, i, i))
		is(t, err, nil)
		list = append(list, a)
	}
	dup, err := p.Start(event("2"), strict(0, 2, 2))
	is(t, err, nil)
	_, err = p.Start(event("6"), strict(0, 6, 6))
	is(t, err, ErrGap)
	if _, _, ok := p.Last("p"); ok {
		t.Error("known before it is durable")
	}
	a, err := dup.Wait()
	if err != nil || a.Seq != 2 || !a.Duplicate {
		t.Error(a, err)
	}
	for _, i := range []int{4, 0, 3, 1, 2, 4} {
		a, err := list[i].Wait()
		if err != nil || a.Seq != int64(i) || a.Duplicate {
			t.Error(a, err)
		}
	}
	if syncs != 1 {
		t.Errorf("%d fsyncs", syncs)
	}
	if _, last, _ := p.Last("p"); last != 4 {
		t.Error(last)
	}
	want(t, p, "0", "1", "2", "3", "4")
	if s := p.Stats(); s.Appends != 5 || s.In.Events != 5 || s.Duplicates != 1 || s.OutOfOrder != 1 {
		t.Errorf("%+v", s)
	}
}

// TestPipelineFails: when an append fails, those behind it fail too, and the producer must
// repeat them from there on, also if nothing of it has ever succeeded.
func TestPipelineFails(t *testing.T) {
	bad := errors.New("input/output error")
	for _, before := range []bool{false, true} {
		m := disk.NewMem(1)
		b := open(t, Options{FS: m.Boot()})
		p := create(t, b, Config{Name: "h", Partitions: 1}).Partitions()[0]
		n := int64(0)
		if before {
			add(t, p, strict(0, 0, 0), "0")
			n = 1
		}
		failing := true
		m.Hook(func(op disk.Op, _ string) error {
			if failing && (op == disk.OpWrite || op == disk.OpCreate) {
				return bad
			}
			return nil
		})
		begin := func(i int64) *Appending {
			t.Helper()
			a, err := p.Start(event(fmt.Sprint(i)), strict(0, i, i))
			is(t, err, nil)
			return a
		}
		a1, a2, dup := begin(n), begin(n+1), begin(n)
		_, err := a2.Wait()
		is(t, err, bad)
		failing = false
		_, err = p.Append(event("late"), strict(0, n+2, n+2)) // before anybody has waited for a1
		is(t, err, ErrGap)
		_, err = a1.Wait()
		is(t, err, bad)
		_, err = dup.Wait()
		is(t, err, bad)
		for i := n; i < n+3; i++ {
			if a, err := p.Append(event(fmt.Sprint(i)), strict(0, i, i)); err != nil || a.Duplicate || a.Seq != i {
				t.Errorf("%+v, %v", a, err)
			}
		}
		if s := p.Stats(); s.Failed != 2 {
			t.Errorf("%+v", s)
		}
	}
}

// TestFirstRefused: the first append of a strict producer that was refused for its size or
// for what waits must come before all others, and a new epoch ends that.
func TestFirstRefused(t *testing.T) {
	b := open(t, Options{FS: disk.NewMem(1).Boot()})
	p := create(t, b, Config{Name: "h", Partitions: 1}).Partitions()[0]
	_, err := p.Append([]Event{{Message: make([]byte, DefaultMaxMessage+1)}}, strict(0, 0, 4))
	is(t, err, ErrTooLarge)
	_, err = p.Append(event("x"), strict(0, 5, 5))
	is(t, err, ErrGap)
	add(t, p, strict(1, 5, 5), "y")
	_, err = p.Append([]Event{{Message: make([]byte, DefaultMaxMessage+1)}}, strict(2, 0, 4))
	is(t, err, ErrTooLarge)
	_, err = p.Append(event("x"), strict(2, 5, 5))
	is(t, err, ErrGap)
	add(t, p, strict(2, 0, 1), "z")
	add(t, p, strict(2, 2, 2), "w")
	want(t, p, "y", "z", "w")
}

// TestManyProducers: a partition remembers so many, the idlest strict one goes first, and
// those that have been idle for the retention go; jobs stay, and their state outlives their
// events and restarts.
func TestManyProducers(t *testing.T) {
	m := disk.NewMem(1)
	c := newClock()
	o := Options{FS: m.Boot(), MaxProducers: 4, Now: c.now}
	b := open(t, o)
	h := create(t, b, Config{Name: "h", Partitions: 1, Retention: time.Hour})
	p := h.Partitions()[0]
	from := func(id string, n int64, strict bool) *Producer {
		return &Producer{ID: id, First: n, Last: n, Strict: strict}
	}
	f := func(want ...string) {
		t.Helper()
		var got []string
		for _, id := range []string{"job", "job2", "a", "b", "c", "d"} {
			if _, _, ok := p.Last(id); ok {
				got = append(got, id)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v are known, want %v", got, want)
		}
	}
	add(t, p, from("job", 1, false), "j")
	add(t, p, from("a", 1, true), "a")
	add(t, p, from("b", 1, true), "b")
	add(t, p, from("a", 2, true), "a")
	add(t, p, from("c", 1, true), "c")
	f("job", "a", "b", "c")
	add(t, p, from("d", 1, true), "d") // b is the idlest
	f("job", "a", "c", "d")
	c.move(30 * time.Minute)
	add(t, p, from("d", 2, true), "d")
	c.move(31 * time.Minute)
	p.tend()
	f("job", "d")
	add(t, p, from("job2", 1, false), "k")
	c.move(2 * time.Hour)
	p.tend()
	f("job", "job2")
	if rg := p.Range(); rg.First != rg.Next {
		t.Errorf("events are left: %+v", rg)
	}
	for range 2 {
		m.Crash()
		o.FS = m.Boot()
		b = open(t, o)
		h, _ = b.Hub("h")
		p = h.Partitions()[0]
		f("job", "job2")
		if a, err := p.Append(event("x"), from("job", 1, false)); err != nil || !a.Duplicate || a.Seq != 0 {
			t.Error(a, err)
		}
	}
	if s := p.Stats(); s.Producers != 2 {
		t.Errorf("%+v", s)
	}
	for i, id := range []string{"a", "b", "c", "d"} {
		add(t, p, from(id, int64(i), true), id)
	}
	f("job", "job2", "c", "d")
}

// TestNothingIsForgottenBeforeItIsWritten: retention by size does not run ahead of the
// snapshot, and a snapshot that cannot be written for want of space does not keep the disk
// full.
func TestNothingIsForgottenBeforeItIsWritten(t *testing.T) {
	m := disk.NewMem(1)
	o := Options{FS: m.Boot()}
	b := open(t, o)
	h := create(t, b, Config{Name: "h", Partitions: 1, RetentionBytes: 1 << 18})
	p := h.Partitions()[0]
	is(t, stopTending(b), nil)
	add(t, p, &Producer{ID: "job", First: 3, Last: 3}, "job")
	for range 16 {
		add(t, p, nil, strings.Repeat("x", 1<<16))
	}
	if rg := p.Range(); rg.First != 0 {
		t.Errorf("forgotten before the snapshot: %+v", rg)
	}
	m.Limit(0)
	p.tend()
	if rg := p.Range(); rg.First == 0 {
		t.Errorf("nothing is forgotten: %+v", rg)
	}
	if _, last, ok := p.Last("job"); last != 3 || !ok {
		t.Error("the producer is forgotten")
	}
	m.Limit(-1)
	p.tend()
	m.Crash()
	o.FS = m.Boot()
	b = open(t, o)
	h, _ = b.Hub("h")
	if _, last, ok := h.Partitions()[0].Last("job"); last != 3 || !ok {
		t.Error("the producer is forgotten")
	}
}

// stopTending ends what a broker does by itself, so that a test does it.
func stopTending(b *Broker) error {
	stop := make(chan struct{})
	close(b.stop)
	<-b.done
	b.stop, b.done = stop, make(chan struct{})
	close(b.done)
	return nil
}

// TestDamagedSnapshot: it is an error that says what to do, and the hub opens without the
// file.
func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	fs, err := disk.At(dir)
	is(t, err, nil)
	b := open(t, Options{FS: fs})
	h := create(t, b, Config{Name: "h", Partitions: 1})
	add(t, h.Partitions()[0], strict(0, 1, 1), "x")
	is(t, b.Close(), nil)
	file := dir + "/hubs/h/producers/0"
	text, err := os.ReadFile(file)
	is(t, err, nil)
	text[len(text)-2] ^= 1
	is(t, os.WriteFile(file, text, 0o600), nil)
	if _, err := Open(Options{FS: fs}); err == nil || !strings.Contains(err.Error(), file+" is damaged; put it back from a copy, or remove it") {
		t.Error(err)
	}
	is(t, os.Remove(file), nil)
	b = open(t, Options{FS: fs})
	h, _ = b.Hub("h")
	if _, last, ok := h.Partitions()[0].Last("p"); !ok || last != 1 {
		t.Error("not found in the log")
	}
}

// TestAbandoned: an append whose starter has died is written all the same, and holds nothing
// up.
func TestAbandoned(t *testing.T) {
	m := disk.NewMem(1)
	c := newClock()
	b := open(t, Options{FS: m.Boot(), Now: c.now})
	h := create(t, b, Config{Name: "h", Partitions: 1, Retention: time.Hour})
	p := h.Partitions()[0]
	for i := range int64(2) {
		_, err := p.Start(event(fmt.Sprint(i)), strict(0, i, i))
		is(t, err, nil)
	}
	p.tend()
	want(t, p, "0", "1")
	if _, last, ok := p.Last("p"); !ok || last != 1 {
		t.Error(last, ok)
	}
	c.move(2 * time.Hour)
	p.tend()
	if s := p.Stats(); s.Producers != 0 || s.Range.First != 2 || s.In.Events != 2 {
		t.Errorf("%+v", s)
	}
	_, err := p.Start(event("x"), strict(1, 0, 0))
	is(t, err, nil)
	is(t, b.Close(), nil)
	m.Crash()
	b = open(t, Options{FS: m.Boot(), Now: c.now})
	h, _ = b.Hub("h")
	want(t, h.Partitions()[0], "x")
}

// TestProducerValue: what is written is read, and nothing else.
func TestProducerValue(t *testing.T) {
	for _, p := range []Producer{{ID: "a b 1"}, {ID: "x", Epoch: -1, First: -5, Last: 1 << 62, Strict: true}, {ID: " "}} {
		if got, err := parseProducer(producerValue(p)); err != nil || got != p {
			t.Errorf("%+v, %v, want %+v", got, err, p)
		}
	}
	for _, s := range []string{"", "1 2 3 s", "1 2 3 x id", "1 2 z s id", "5000000000 1 1 s id"} {
		if _, err := parseProducer(s); err == nil {
			t.Errorf("%q is read", s)
		}
	}
}

// sender is a strict producer of a test that has up to five appends under way, and repeats
// from the first that fails, as Kafka clients do.
type sender struct {
	id    string
	acked int64 // all numbers below were acknowledged
	under []*Appending
}

// TestSendersOnABadDisk: whatever the disk does, the log has of each producer its numbers
// from 0 on, each once and in order, and all that was acknowledged.
func TestSendersOnABadDisk(t *testing.T) {
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 3))
		m := disk.NewMem(seed)
		b := open(t, Options{FS: m.Boot()})
		create(t, b, Config{Name: "h", Partitions: 1, RetentionBytes: 0})
		senders := []*sender{{id: "a"}, {id: "b"}, {id: "c"}}
		for range 4 {
			h, err := b.Hub("h")
			is(t, err, nil)
			for range 1 + rng.IntN(3) {
				m.FailAt(1+rng.Int64N(6), errors.New("input/output error"))
				for range 60 {
					senders[rng.IntN(3)].step(t, h.Partitions()[0], rng)
				}
			}
			m.Restart()
			m.CrashAt(1 + rng.Int64N(20))
			for range 200 {
				senders[rng.IntN(3)].step(t, h.Partitions()[0], rng)
			}
			m.Restart()
			m.Crash()
			b = open(t, Options{FS: m.Boot()})
			h, err = b.Hub("h")
			is(t, err, nil)
			for _, s := range senders {
				s.check(t, seed, h.Partitions()[0])
			}
			if t.Failed() {
				return
			}
		}
	}
}

func (s *sender) step(t *testing.T, p *Partition, rng *rand.Rand) {
	if rng.IntN(20) == 0 {
		p.tend()
	}
	if len(s.under) < 5 && rng.IntN(3) > 0 {
		n := s.acked + int64(len(s.under))
		a, err := p.Start(event(fmt.Sprint(s.id, " ", n)), &Producer{ID: s.id, First: n, Last: n, Strict: true})
		if err == nil {
			s.under = append(s.under, a)
		} else if errors.Is(err, ErrGap) && len(s.under) == 0 {
			t.Errorf("%s cannot go on: %v", s.id, err)
		}
		return
	}
	if len(s.under) == 0 {
		return
	}
	if i := rng.IntN(len(s.under)); i > 0 { // answers that are not looked at yet
		s.under[i].Wait()
		return
	}
	if _, err := s.under[0].Wait(); err == nil {
		s.acked++
		s.under = s.under[1:]
		return
	}
	for _, a := range s.under {
		if _, err := a.Wait(); err == nil {
			t.Errorf("%s: an append behind one that failed has succeeded", s.id)
		}
	}
	s.under = nil
}

// check compares the log with what was acknowledged. What was under way is repeated.
func (s *sender) check(t *testing.T, seed uint64, p *Partition) {
	t.Helper()
	s.under = nil
	next := int64(0)
	for _, text := range texts(t, p, 0) {
		if id, _, _ := strings.Cut(text, " "); id != s.id {
			continue
		}
		if want := fmt.Sprint(s.id, " ", next); text != want {
			t.Fatalf("seed %d: %q is in the log, want %q", seed, text, want)
		}
		next++
	}
	if next < s.acked {
		t.Fatalf("seed %d: %s has %d events in the log, and %d were acknowledged", seed, s.id, next, s.acked)
	}
	if _, last, ok := p.Last(s.id); ok != (next > 0) || ok && last != next-1 {
		t.Fatalf("seed %d: %s is known up to %d, and the log has %d", seed, s.id, last, next)
	}
	for n := range next { // all of it is repeated and nothing of it taken
		if a, err := p.Append(event("again"), &Producer{ID: s.id, First: n, Last: n, Strict: true}); err != nil || !a.Duplicate {
			t.Fatalf("seed %d: %d again: %+v, %v", seed, n, a, err)
		}
	}
}

// TestWeakFsync: a loss of power with a weaker fsync takes the numbers of a producer with its
// events, so that what it repeats is kept.
func TestWeakFsync(t *testing.T) {
	for seed := range uint64(40) {
		m := disk.NewMem(seed)
		b := open(t, Options{FS: m.Boot(), Fsync: log.None})
		h := create(t, b, Config{Name: "h", Partitions: 1})
		for i := range int64(10) {
			add(t, h.Partitions()[0], strict(0, i, i), fmt.Sprint(i))
			if i == int64(seed%10) {
				h.Partitions()[0].tend()
			}
		}
		m.Crash()
		b = open(t, Options{FS: m.Boot(), Fsync: log.None})
		h, _ = b.Hub("h")
		p := h.Partitions()[0]
		kept := texts(t, p, 0)
		if len(kept) <= int(seed%10) {
			t.Errorf("seed %d: the snapshot knows of more than the %d events that are left", seed, len(kept))
		}
		for i := range int64(10) {
			a, err := p.Append(event(fmt.Sprint(i)), strict(0, i, i))
			if err != nil || a.Duplicate != (int(i) < len(kept)) {
				t.Errorf("seed %d: %d of %d kept: %+v, %v", seed, i, len(kept), a, err)
			}
		}
	}
}
