package log

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"weir/internal/disk"
)

// start begins an append of one record.
func start(t *testing.T, p *Partition, after *Pending, text string) *Pending {
	t.Helper()
	a, err := p.Start([]Record{{Value: []byte(text)}}, after)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestStartKeepsOrder: appends have the order of their Starts, in whatever order they are
// waited for.
func TestStartKeepsOrder(t *testing.T) {
	p := open(t, disk.NewMem(1), Options{}).Partition(0)
	a := start(t, p, nil, "a")
	b := start(t, p, a, "b")
	c := start(t, p, nil, "c")
	for _, f := range []struct {
		a    *Pending
		want int64
	}{{c, 2}, {a, 0}, {b, 1}, {a, 0}} {
		got, err := f.a.Wait()
		if err != nil || got.Seq != f.want {
			t.Errorf("%+v, %v, want record %d", got, err, f.want)
		}
	}
	want(t, all(t, p, 0), "a", "b", "c")
}

// TestChainFails: what was to come behind a failed append is not written either, whether it
// waits in the same group or in the next one; others are.
func TestChainFails(t *testing.T) {
	bad := errors.New("input/output error")
	m := disk.NewMem(1)
	p := open(t, m, Options{}).Partition(0)
	add(t, p, "0")
	a := start(t, p, nil, "a")
	b := start(t, p, a, "b")
	// The write of the first group waits until the second has members.
	writing, goOn := make(chan bool), make(chan bool)
	first := true
	m.Hook(func(op disk.Op, _ string) error {
		if op == disk.OpWrite && first {
			first = false
			close(writing)
			<-goOn
			return bad
		}
		return nil
	})
	done := make(chan error)
	go func() {
		_, err := a.Wait()
		done <- err
	}()
	<-writing
	c := start(t, p, b, "c")
	d := start(t, p, nil, "d")
	e := start(t, p, c, "e")
	f := start(t, p, d, "f")
	close(goOn)
	if err := <-done; !errors.Is(err, bad) || errors.Is(err, ErrAfter) {
		t.Error(err)
	}
	for i, a := range []*Pending{b, c, e} {
		if _, err := a.Wait(); !errors.Is(err, bad) || i > 0 && !errors.Is(err, ErrAfter) {
			t.Errorf("%d: %v", i, err)
		}
	}
	for i, a := range []*Pending{d, f} {
		if got, err := a.Wait(); err != nil || got.Seq != int64(1+i) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	want(t, all(t, p, 0), "0", "d", "f")
	// A chain may go on from an append that is long done, well or not.
	if _, err := start(t, p, f, "g").Wait(); err != nil {
		t.Error(err)
	}
	if _, err := start(t, p, c, "h").Wait(); !errors.Is(err, ErrAfter) {
		t.Error(err)
	}
	m.Hook(nil)
	want(t, all(t, p, 0), "0", "d", "f", "g")
	m.Crash()
	want(t, all(t, open(t, m.Boot(), Options{}).Partition(0), 0), "0", "d", "f", "g")
}

// TestHold: what is held stays, however old; the rest goes, also the last segment once all
// of it has expired.
func TestHold(t *testing.T) {
	c := newClock()
	p := open(t, disk.NewMem(1), Options{Now: c.now, Expire: time.Minute, SegmentAge: time.Second}).Partition(0)
	f := func(first, next int64) {
		t.Helper()
		if err := p.Clean(); err != nil {
			t.Fatal(err)
		}
		if rg := p.Range(); rg.First != first || rg.Next != next {
			t.Errorf("records %d to %d, want %d to %d", rg.First, rg.Next, first, next)
		}
	}
	for i := range 4 {
		add(t, p, fmt.Sprint(i))
		c.move(2 * time.Second)
	}
	p.Hold(2)
	f(0, 4)
	c.move(2 * time.Minute)
	f(2, 4)
	p.Hold(4)
	f(4, 4)
	f(4, 4)
	add(t, p, "4")
	p.Hold(5)
	c.move(2 * time.Minute)
	p.SetExpire(time.Hour, 0)
	f(4, 5)
	p.SetExpire(time.Minute, 0)
	f(5, 5)
}

// TestGrow: new partitions are there after a restart, those that were are as they were.
func TestGrow(t *testing.T) {
	m := disk.NewMem(1)
	l := open(t, m, Options{Partitions: 2})
	add(t, l.Partition(1), "a")
	if err := l.Grow(4); err != nil {
		t.Fatal(err)
	}
	add(t, l.Partition(3), "b")
	add(t, l.Partition(1), "c")
	if err := l.Grow(MaxPartitions + 1); err == nil {
		t.Error("there is no limit")
	}
	m.Crash()
	l = open(t, m.Boot(), Options{Partitions: 4})
	want(t, all(t, l.Partition(1), 0), "a", "c")
	want(t, all(t, l.Partition(3), 0), "b")
}
