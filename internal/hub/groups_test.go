package hub

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/disk"
)

// TestGroups: groups are made once, found without case, bounded, and removed with their
// offsets.
func TestGroups(t *testing.T) {
	m := disk.NewMem(1)
	o := Options{FS: m.Boot(), MaxGroups: 3}
	b := open(t, o)
	h := create(t, b, Config{Name: "h", Partitions: 2, Groups: []string{"b"}})
	is(t, h.CreateGroup("A"), nil)
	is(t, h.CreateGroup("a"), ErrGroupExists)
	is(t, h.CreateGroup("$default"), ErrGroupExists)
	is(t, h.EnsureGroup("a"), nil)
	is(t, h.EnsureGroup("spring:app/1 ü"), nil)
	is(t, h.CreateGroup("c"), ErrTooMany)
	is(t, h.EnsureGroup("c"), ErrTooMany)
	for _, bad := range []string{"", " a", "a\n", "\xff", strings.Repeat("x", 257)} {
		is(t, h.EnsureGroup(bad), ErrBadName)
	}
	is(t, h.RemoveGroup("$DEFAULT"), ErrBadName)
	is(t, h.RemoveGroup("nobody"), ErrNoGroup)
	is(t, h.SetOffset("a", 1, Commit{Seq: 5}), nil)
	is(t, h.RemoveGroup("a"), nil)
	is(t, h.SetOffset("a", 1, Commit{Seq: 5}), ErrNoGroup)
	for range 2 {
		if err := h.EnsureGroup("a"); err != nil {
			t.Error(err)
		}
		if _, ok := h.Offset("a", 1); ok {
			t.Error("the offset of the removed group is back")
		}
		if got := h.Groups(); !slices.Equal(got, []string{"$Default", "a", "b", "spring:app/1 ü"}) && !slices.Equal(got, []string{"$Default", "A", "b", "spring:app/1 ü"}) {
			t.Errorf("%q", got)
		}
		m.Crash()
		o.FS = m.Boot()
		b = open(t, o)
		h, _ = b.Hub("h")
	}
}

// TestOffsets: what a group commits is kept with its text and time, the last one counts, and
// what cannot be is refused.
func TestOffsets(t *testing.T) {
	m := disk.NewMem(1)
	c := newClock()
	b := open(t, Options{FS: m.Boot(), Now: c.now})
	h := create(t, b, Config{Name: "h", Partitions: 3, Groups: []string{"g"}})
	if _, ok := h.Offset("g", 0); ok {
		t.Error("there is a place before the first commit")
	}
	for range 4 {
		add(t, h.Partitions()[1], nil, "x")
	}
	at := c.now().Add(-time.Hour)
	is(t, h.SetOffset("G", 1, Commit{Seq: 9}), nil)
	is(t, h.SetOffsets("g", map[int]Commit{1: {Seq: 3, Metadata: "m", Time: at}, 2: {Seq: 1}}), nil)
	is(t, h.SetOffsets("g", nil), nil)
	is(t, h.SetOffset(DefaultGroup, 0, Commit{Seq: 0}), nil)
	is(t, h.SetOffset("x", 0, Commit{}), ErrNoGroup)
	is(t, h.SetOffset("g", 3, Commit{}), ErrNoPartition)
	is(t, h.SetOffset("g", 0, Commit{Seq: -1}), ErrBadConfig)
	is(t, h.SetOffset("g", 0, Commit{Metadata: strings.Repeat("x", MaxMetadata+1)}), ErrTooLarge)
	// All or none.
	is(t, h.SetOffsets("g", map[int]Commit{0: {Seq: 1}, 3: {Seq: 1}}), ErrNoPartition)
	for range 2 {
		if got := fmt.Sprint(h.Offsets("g")); got != fmt.Sprint(map[int]Commit{1: {3, "m", at}, 2: {1, "", c.now()}}) {
			t.Error(got)
		}
		if got, ok := h.Offset("$default", 0); !ok || got.Seq != 0 {
			t.Error(got, ok)
		}
		if h.Offsets("nobody") != nil {
			t.Error("nobody has places")
		}
		s, err := h.GroupStats("g")
		if err != nil || s.Lag != 1 || len(s.Partitions) != 2 || s.Partitions[0].Lag != 1 || s.Partitions[1].Lag != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		if s := b.Stats(); len(s.Hubs) != 1 || len(s.Hubs[0].Groups) != 2 || s.Hubs[0].Events != 4 {
			t.Errorf("%+v", s)
		}
		m.Crash()
		b = open(t, Options{FS: m.Boot(), Now: c.now})
		h, _ = b.Hub("h")
	}
	_, err := h.GroupStats("nobody")
	is(t, err, ErrNoGroup)
}

// TestOffsetsAreWrittenTogether: the log of offsets does not grow for ever, and nothing is
// lost when places are written together.
func TestOffsetsAreWrittenTogether(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	h := create(t, b, Config{Name: "h", Partitions: 2})
	text := strings.Repeat("x", MaxMetadata)
	var all sync.WaitGroup
	for i := range 2 {
		all.Go(func() {
			for n := range int64(4 * compactBytes / MaxMetadata / 2) {
				if err := h.SetOffset(DefaultGroup, i, Commit{Seq: n, Metadata: text}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if bytes := h.offsets.log.Partition(0).Range().Bytes; bytes > 2*compactBytes {
		t.Errorf("%d bytes of offsets", bytes)
	}
	image, err := m.Stat("hubs/h/offsets/places.json")
	if err != nil || image.Size > 3*MaxMetadata {
		t.Error(image, err)
	}
	last := int64(4*compactBytes/MaxMetadata/2 - 1)
	for range 2 {
		for i := range 2 {
			if c, _ := h.Offset(DefaultGroup, i); c.Seq != last || c.Metadata != text {
				t.Errorf("partition %d is at %d, want %d", i, c.Seq, last)
			}
		}
		m.Crash()
		b = open(t, Options{FS: m.Boot()})
		h, _ = b.Hub("h")
	}
}

// TestDamagedOffsets: the file of places that has changed is an error that names it.
func TestDamagedOffsets(t *testing.T) {
	dir := t.TempDir()
	fs, err := disk.At(dir)
	is(t, err, nil)
	b := open(t, Options{FS: fs})
	h := create(t, b, Config{Name: "h", Partitions: 1})
	is(t, h.SetOffset(DefaultGroup, 0, Commit{Seq: 1}), nil)
	is(t, h.offsets.writeImage(), nil)
	is(t, b.Close(), nil)
	file := dir + "/hubs/h/offsets/places.json"
	is(t, os.WriteFile(file, []byte("00000000\n{}"), 0o600), nil)
	if _, err := Open(Options{FS: fs}); err == nil || !strings.Contains(err.Error(), file+" is damaged") {
		t.Error(err)
	}
}

// TestCommitsOnABadDisk: commits of several groups at once on a disk that fails and loses
// power; what was acknowledged counts, or a later one that was tried.
func TestCommitsOnABadDisk(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 5))
		m := disk.NewMem(seed)
		b := open(t, Options{FS: m.Boot()})
		h := create(t, b, Config{Name: "h", Partitions: 2})
		groups := []string{DefaultGroup, "a", "b"}
		acked := map[string]int64{}
		tried := map[string]int64{}
		for range 5 {
			m.FailAt(1+rng.Int64N(5), errors.New("input/output error"))
			for i := range 60 {
				if i == 20 {
					m.Restart()
					m.CrashAt(1 + rng.Int64N(20))
				}
				g := groups[rng.IntN(3)]
				if h.EnsureGroup(g) != nil {
					continue
				}
				tried[g]++
				n := tried[g]
				err := h.SetOffsets(g, map[int]Commit{0: {Seq: n}, 1: {Seq: 2 * n}})
				if err == nil {
					acked[g] = n
				}
				if rng.IntN(10) == 0 && h.offsets.log != nil {
					h.offsets.compact.Lock()
					h.offsets.writeImage() // may fail
					h.offsets.compact.Unlock()
				}
			}
			m.Restart()
			m.Crash()
			b = open(t, Options{FS: m.Boot()})
			h, _ = b.Hub("h")
			for _, g := range groups {
				x, _ := h.Offset(g, 0)
				y, _ := h.Offset(g, 1)
				if x.Seq < acked[g] || x.Seq > tried[g] || y.Seq != 2*x.Seq {
					t.Fatalf("seed %d: %s is at %d and %d, acknowledged %d, tried %d", seed, g, x.Seq, y.Seq, acked[g], tried[g])
				}
			}
		}
	}
}

// BenchmarkCommits is commits of 8 groups at once, durable each.
func BenchmarkCommits(b *testing.B) {
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	broker, err := Open(Options{FS: fs})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	h, err := broker.Create(Config{Name: "h", Partitions: 8})
	if err != nil {
		b.Fatal(err)
	}
	for _, clients := range []int{1, 8} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			var all sync.WaitGroup
			for i := range clients {
				all.Go(func() {
					for n := range b.N / clients {
						if err := h.SetOffset(DefaultGroup, i, Commit{Seq: int64(n)}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
