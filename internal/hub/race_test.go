package hub

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
	"weir/internal/hub/sas"
)

// TestAllAtOnce does everything at the same time, for the race detector; then what was
// acknowledged is there.
func TestAllAtOnce(t *testing.T) {
	m := disk.NewMem(1)
	b := open(t, Options{FS: m.Boot()})
	h := create(t, b, Config{Name: "h", Partitions: 2, Groups: []string{"g"}, RetentionBytes: 1 << 20})
	key := b.Rules("")[0].Primary
	var all sync.WaitGroup
	var sent, kept, read atomic.Int64
	const n = 60
	loop := func(f func(i int)) {
		all.Go(func() {
			for i := range n {
				f(i)
			}
		})
	}
	for who := range 3 {
		loop(func(i int) {
			p := h.Route(nil)
			if _, err := p.Append(event(fmt.Sprint(who, i)), nil); err != nil {
				t.Error(err)
			}
			sent.Add(1)
		})
		loop(func(i int) {
			a, err := h.Partitions()[1].Start(event("x"), &Producer{ID: fmt.Sprint(who), First: int64(i), Last: int64(i), Strict: true})
			if err != nil {
				t.Error(err)
				return
			}
			for range 2 { // two wait for one append
				all.Go(func() {
					if _, err := a.Wait(); err != nil {
						t.Error(err)
					}
				})
			}
			sent.Add(1)
		})
		loop(func(i int) {
			if err := h.SetOffsets("g", map[int]Commit{0: {Seq: int64(i)}, 1: {Seq: int64(i)}}); err != nil {
				t.Error(err)
			}
			kept.Add(1)
		})
	}
	all.Go(func() {
		r, err := h.Partitions()[1].Read(0)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		for read.Load() < 3*n {
			<-r.Ready()
			for {
				batch, err := r.Next()
				if err != nil {
					t.Error(err)
					return
				}
				if batch == nil {
					break
				}
				for _, rec := range batch.Records {
					if string(rec.Value) == "x" {
						read.Add(1)
					}
				}
				h.Partitions()[1].CountRead(int64(len(batch.Records)), 1)
			}
		}
	})
	loop(func(i int) { is(t, b.Update(Config{Name: "h", Partitions: 2 + i/20}), nil) })
	loop(func(i int) { b.tendAll() })
	loop(func(i int) { b.Stats() })
	loop(func(i int) { h.Config(); h.Groups(); h.Offsets("g"); h.GroupStats("g"); b.Hubs() })
	loop(func(i int) {
		name := fmt.Sprint("k", i)
		if _, err := b.AddRule(Rule{Name: name, Hub: "h", Rights: Send}); err != nil {
			t.Error(err)
		}
		if _, err := b.Regenerate("h", name, Secondary); err != nil {
			t.Error(err)
		}
		is(t, b.RemoveRule("h", name), nil)
	})
	loop(func(i int) {
		if _, err := b.Token(sas.Sign("sb://x/h", RootRule, key, time.Now().Add(time.Hour))); err != nil {
			t.Error(err)
		}
	})
	loop(func(i int) {
		name := fmt.Sprint("other", i%2)
		o, err := b.Create(Config{Name: name, Partitions: 1})
		if err != nil {
			t.Error(err)
			return
		}
		all.Go(func() {
			if _, err := o.Partitions()[0].Append(event("y"), nil); err != nil && !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
		is(t, h.EnsureGroup(name), nil)
		is(t, h.RemoveGroup(name), nil)
		is(t, b.Remove(name), nil)
	})
	all.Wait()
	s := h.Stats()
	if s.Events != sent.Load() || s.In.Events != sent.Load() || s.Out.Events < 3*n || len(s.Partitions) != 4 || kept.Load() != 3*n {
		t.Errorf("%d events are sent: %+v", sent.Load(), s)
	}
	for i := range 3 {
		if _, last, ok := h.Partitions()[1].Last(fmt.Sprint(i)); !ok || last != n-1 {
			t.Error(last, ok)
		}
	}
}

// TestCloseMeanwhile: what is acknowledged while the broker closes is there afterwards, and
// nothing waits for ever.
func TestCloseMeanwhile(t *testing.T) {
	for seed := range uint64(20) {
		m := disk.NewMem(seed)
		b := open(t, Options{FS: m.Boot()})
		h := create(t, b, Config{Name: "h", Partitions: 1})
		p := h.Partitions()[0]
		var acked [4]int64
		var all sync.WaitGroup
		begun := make(chan bool, 4)
		for i := range acked {
			all.Go(func() {
				for n := int64(0); ; n++ {
					_, err := p.Append(event(fmt.Sprint(n)), &Producer{ID: fmt.Sprint(i), First: n, Last: n, Strict: true})
					if err != nil {
						is(t, err, log.ErrClosed)
						return
					}
					if acked[i]++; n == int64(seed) {
						begun <- true
					}
				}
			})
		}
		<-begun
		is(t, b.Close(), nil)
		all.Wait()
		m.Crash()
		b = open(t, Options{FS: m.Boot()})
		h, _ = b.Hub("h")
		for i, n := range acked {
			if _, last, _ := h.Partitions()[0].Last(fmt.Sprint(i)); n > 0 && last < n-1 {
				t.Errorf("seed %d: producer %d has %d acknowledged and %d is known", seed, i, n, last)
			}
		}
	}
}

// BenchmarkAppend is appends of 500 events of 200 bytes to a log without fsync, so that what
// the broker itself costs shows.
func BenchmarkAppend(b *testing.B) {
	for _, name := range []string{"plain", "producer"} {
		b.Run(name, func(b *testing.B) {
			fs, err := disk.At(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			broker, err := Open(Options{FS: fs, Fsync: log.None})
			if err != nil {
				b.Fatal(err)
			}
			defer broker.Close()
			h, err := broker.Create(Config{Name: "h", Partitions: 1, RetentionBytes: 256 << 20})
			if err != nil {
				b.Fatal(err)
			}
			p := h.Partitions()[0]
			events := make([]Event, 500)
			for i := range events {
				events[i].Message = make([]byte, 200)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range int64(b.N) {
				var from *Producer
				if name == "producer" {
					from = &Producer{ID: "p", First: i * 500, Last: i*500 + 499, Strict: true}
				}
				if _, err := p.Append(events, from); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "events/s")
		})
	}
}
