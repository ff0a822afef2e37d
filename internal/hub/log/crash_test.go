package log

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
)

var (
	seeds = flag.Int("seeds", 300, "random histories of crashes to go through")
	first = flag.Uint64("seed", 1, "the first of them")
)

// history is what a test knows of a partition through crashes: what it asked for, and what
// was promised.
type history struct {
	t     *testing.T
	disk  *disk.Mem
	clock *clock
	o     Options
	seed  uint64
	rng   *rand.Rand

	log   *Log
	n     int              // appends tried
	tried map[string]bool  // every record ever given to Append
	acked map[int64]string // by sequence number
	top   int64            // behind the last acknowledged or seen one
	most  int64            // behind the last one that there ever was, lost or not
	low   int64            // given free
	calm  bool             // the power stays after the next start
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, seed: seed, disk: disk.NewMem(seed), clock: newClock(), rng: rand.New(rand.NewPCG(seed, 7)),
		tried: map[string]bool{}, acked: map[int64]string{}}
	h.o = Options{SegmentBytes: minSegmentBytes, Now: h.clock.now, Keep: 3 * time.Second}
	return h
}

func (h *history) failf(format string, args ...any) {
	h.t.Helper()
	h.t.Fatalf("seed %d, after %d operations: %s", h.seed, h.disk.Ops(), fmt.Sprintf(format, args...))
}

// power opens the log after a crash, at once or after further crashes, and compares it with
// what was promised.
func (h *history) power() {
	h.t.Helper()
	h.disk.Restart()
	for !h.calm && h.rng.IntN(4) == 0 {
		h.disk.CrashAt(1 + h.rng.Int64N(12))
		l, err := Open(h.disk.Boot(), h.o)
		if err == nil {
			h.log = l
			h.compare()
			h.disk.Crash()
		} else if !errors.Is(err, disk.ErrPower) {
			h.failf("open: %v", err)
		}
		h.disk.Restart()
	}
	l, err := Open(h.disk.Boot(), h.o)
	if err != nil {
		h.failf("open: %v", err)
	}
	h.log = l
	h.compare()
}

// compare reads the whole log: nothing promised is missing or changed, nothing is there
// that nobody gave. What is there now has been seen, and so is a promise from now on.
func (h *history) compare() {
	h.t.Helper()
	p := h.log.Partition(0)
	rg := p.Range()
	for seq := range h.acked {
		if h.low <= seq && seq < rg.First {
			h.failf("record %d is the first, and only those before %d were given free", rg.First, h.low)
		}
	}
	if rg.Next < h.top {
		h.failf("the next record is %d, and %d were acknowledged", rg.Next, h.top)
	}
	r, err := p.Read(rg.First)
	if errors.Is(err, disk.ErrPower) {
		return
	}
	if err != nil {
		h.failf("read: %v", err)
	}
	defer r.Close()
	seq := rg.First
	var before time.Time
	for {
		b, err := r.Next()
		if errors.Is(err, disk.ErrPower) {
			return
		}
		if err != nil {
			h.failf("read: %v", err)
		}
		if b == nil {
			break
		}
		if b.Enqueued.Before(before) {
			h.failf("time goes back at record %d", b.Seq)
		}
		before = b.Enqueued
		if b.Seq < seq || b.Seq > seq && !h.weak() {
			h.failf("record %d comes behind %d", b.Seq, seq-1)
		}
		seq = b.Seq
		for _, rec := range b.Records {
			text := string(rec.Value)
			if !h.tried[text] {
				h.failf("record %d was never appended", seq)
			}
			if old, ok := h.acked[seq]; ok && old != text {
				h.failf("record %d has changed", seq)
			}
			h.acked[seq] = text
			seq++
		}
	}
	for n := range h.acked {
		if n >= seq {
			h.failf("reading ends at record %d, and %d was acknowledged", seq, n)
		}
	}
	h.top = seq
}

// step does one thing; false if the power went.
func (h *history) step() bool {
	h.t.Helper()
	p := h.log.Partition(0)
	var err error
	switch h.rng.IntN(20) {
	case 0:
		h.clock.move(time.Second)
	case 1:
		h.low = max(h.low, h.top-h.rng.Int64N(40)) // is kept when the power goes in between
		err = p.Trim(h.low)
	case 2:
		err = p.Sync()
	case 3:
		if h.o.Fsync == Always || h.o.Fsync == "" {
			h.compare()
		}
	default:
		err = h.append(p)
	}
	return !errors.Is(err, disk.ErrPower)
}

func (h *history) append(p *Partition) error {
	h.t.Helper()
	var records []Record
	h.n++
	for i := range 1 + h.rng.IntN(3) {
		size := h.rng.IntN(50)
		if h.rng.IntN(8) == 0 {
			size = h.rng.IntN(6000)
		}
		text := fmt.Sprintf("%d/%d %s", h.n, i, strings.Repeat("x", size))
		h.tried[text] = true
		records = append(records, Record{Value: []byte(text)})
	}
	a, err := p.Append(records)
	if err != nil {
		return err
	}
	if a.Seq != h.top && !h.weak() || a.Seq < h.most {
		h.failf("an append went to record %d, want %d", a.Seq, max(h.top, h.most))
	}
	h.top = a.Seq
	for _, rec := range records {
		h.acked[h.top] = string(rec.Value)
		h.top++
	}
	h.most = max(h.most, h.top)
	return nil
}

// weak says that numbers may be left out after a crash.
func (h *history) weak() bool { return h.o.Fsync == None || h.o.Fsync == Interval }

// run goes on until the ordered crash.
func (h *history) run() {
	h.t.Helper()
	for h.step() {
	}
	h.power()
}

// TestCrashAtEveryOperation takes the power away in each operation of a history, then once
// more in the history that follows.
func TestCrashAtEveryOperation(t *testing.T) {
	for seed := *first; seed < *first+3; seed++ {
		for at := int64(1); at <= 150; at++ {
			h := newHistory(t, seed)
			h.disk.CrashAt(at)
			if l, err := Open(h.disk.Boot(), h.o); err == nil {
				h.log = l
				for h.step() {
				}
			} else if !errors.Is(err, disk.ErrPower) {
				h.failf("open: %v", err)
			}
			h.power()
			h.disk.CrashAt(1 + h.rng.Int64N(40))
			h.run()
		}
	}
}

// TestCrashes goes through random histories of losses of power, kills and failing
// operations. -seeds sets how many.
func TestCrashes(t *testing.T) {
	crashes := 0
	for seed := *first; seed < *first+uint64(*seeds); seed++ {
		h := newHistory(t, seed)
		h.power()
		for range 8 {
			for range h.rng.IntN(3) { // the disk answers with errors first
				h.disk.FailAt(1+h.rng.Int64N(30), errors.New("input/output error"))
				for range 40 {
					h.step()
				}
				h.disk.Restart()
			}
			if n := 1 + h.rng.Int64N(60); h.rng.IntN(4) == 0 {
				h.disk.KillAt(n)
			} else {
				h.disk.CrashAt(n)
			}
			h.run()
			crashes++
		}
	}
	t.Logf("%d crashes", crashes)
}

// TestDiskFull: appends that do not fit fail with disk.ErrFull and leave nothing; they go on
// when there is space; and nothing acknowledged is harmed, also if the power goes.
func TestDiskFull(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		h := newHistory(t, seed)
		h.power()
		for range 3 {
			h.disk.Limit(20_000)
			for i, full := 0, false; !full || i < 30; i++ {
				err := h.append(h.log.Partition(0))
				if full = full || errors.Is(err, disk.ErrFull); err != nil && !errors.Is(err, disk.ErrFull) {
					h.failf("append: %v", err)
				}
			}
			h.compare()
			h.disk.Limit(100_000_000)
			if seed%2 == 0 {
				h.disk.Crash()
				h.power()
			}
			if err := h.append(h.log.Partition(0)); err != nil {
				h.failf("append after space returned: %v", err)
			}
			h.compare()
			h.low = h.top
			if err := h.log.Partition(0).Trim(h.low); err != nil {
				h.failf("trim: %v", err)
			}
			h.clock.move(time.Minute)
			h.log.Partition(0).reclaim()
		}
	}
}

// TestFailedSync: the segment whose fsync failed is not written to again, and what was not
// acknowledged goes into a new one, so that the append succeeds all the same.
func TestFailedSync(t *testing.T) {
	for _, alsoCut := range []bool{true, false} {
		h := newHistory(t, 1)
		h.power()
		p := h.log.Partition(0)
		add(t, p, "a")
		failed := false
		h.disk.Hook(func(op disk.Op, name string) error {
			if op == disk.OpTruncate && !alsoCut {
				return errors.New("input/output error")
			}
			if op == disk.OpSync && !failed {
				failed = true
				return errors.New("input/output error")
			}
			return nil
		})
		if a := add(t, p, "b"); !failed || a.Seq != 1 {
			t.Errorf("appended at %+v", a)
		}
		if n := p.Range().Segments; n != 2 {
			t.Errorf("%d segments after a failed fsync", n)
		}
		add(t, p, "c")
		want(t, all(t, p, 0), "a", "b", "c")
		h.disk.Crash()
		h.disk.Hook(nil)
		want(t, all(t, open(t, h.disk.Boot(), h.o).Partition(0), 0), "a", "b", "c")
	}
}

// TestWeakerSync: with fsync=interval and none a kill takes nothing, and a loss of power
// nothing but an end; after Sync it takes nothing either. A failed fsync of what was
// acknowledged before moves it to a new segment.
func TestWeakerSync(t *testing.T) {
	for seed := uint64(1); seed <= 100; seed++ {
		h := newHistory(t, seed)
		h.o.Fsync = None
		h.power()
		for range 6 {
			for range 30 {
				h.step()
			}
			if h.rng.IntN(3) == 0 {
				h.disk.FailAt(1+h.rng.Int64N(10), errors.New("input/output error"))
				for range 20 {
					h.step()
				}
				h.disk.Restart()
			}
			p := h.log.Partition(0)
			if p.broken != nil {
				// The disk in memory forgets what it failed to sync, as some systems do.
				h.forgetBehind(p.durable)
			} else if h.rng.IntN(2) == 0 {
				if err := p.Sync(); err != nil {
					h.failf("sync: %v", err)
				}
			} else if h.rng.IntN(2) == 0 {
				h.disk.Kill()
				h.calm = true
				h.power()
				h.calm = false
				continue
			} else {
				h.forgetBehind(p.durable)
			}
			h.disk.Crash()
			h.power()
		}
	}
}

// forgetBehind gives up the promises about records behind an offset.
func (h *history) forgetBehind(off int64) {
	p := h.log.Partition(0)
	for _, s := range p.segs {
		if s.end <= off {
			continue
		}
		h.top = s.seq
		for _, m := range s.index { // coarse: what lies before a mark is older than it
			if m.off <= off {
				h.top = m.seq
			}
		}
		break
	}
	for seq := range h.acked {
		if seq >= h.top {
			delete(h.acked, seq)
		}
	}
}

// TestDamage: what was acknowledged and cannot be read is an error that names the place,
// when the log is opened or when it is read, and nothing is cut.
func TestDamage(t *testing.T) {
	build := func() *disk.Mem {
		fs := disk.NewMem(1)
		l := open(t, fs, Options{SegmentBytes: minSegmentBytes})
		for i := range 60 {
			add(t, l.Partition(0), fmt.Sprint(i)+strings.Repeat("x", 200))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return fs
	}
	names := func(fs disk.FS) (segs []string) {
		infos, err := fs.ReadDir("0")
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range infos {
			if strings.HasSuffix(d.Name, suffix) {
				segs = append(segs, "0/"+d.Name)
			}
		}
		return segs
	}
	f := func(segment int, at int64, change func(fs disk.FS, name string, at int64), say string) {
		t.Helper()
		fs := build()
		segs := names(fs)
		name := segs[(segment+len(segs))%len(segs)]
		change(fs, name, at)
		before, err := fs.Stat(name)
		l, openErr := Open(fs, Options{})
		if openErr == nil {
			openErr = readAll(l.Partition(0))
			l.Close()
		}
		var damage *DamageError
		if !errors.As(openErr, &damage) || !strings.Contains(openErr.Error(), say) {
			t.Errorf("segment %d, byte %d: %v; want %q", segment, at, openErr, say)
		}
		if after, e := fs.Stat(name); err == nil && (e != nil || after.Size != before.Size) {
			t.Errorf("segment %d, byte %d: the file was changed", segment, at)
		}
	}
	flip := func(fs disk.FS, name string, at int64) {
		file, err := fs.Edit(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		b := make([]byte, 1)
		if _, err := file.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		file.Seek(at, 0)
		if _, err := file.Write([]byte{b[0] ^ 4}); err != nil {
			t.Fatal(err)
		}
	}
	cut := func(fs disk.FS, name string, at int64) {
		file, err := fs.Edit(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := file.Truncate(at); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(fs disk.FS, name string, _ int64) {
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	f(0, 3, flip, "header of the segment cannot be read")
	f(0, 7, flip, "written by a newer program")
	f(0, 1000, flip, "damaged at byte 775: the checksum does not match")
	f(1, segmentHeader+1, flip, "damaged at byte 64: the checksum does not match")
	f(1, segmentHeader+2, flip, "damaged at byte 64: there is no whole batch")
	f(-1, segmentHeader, flip, "damaged at byte 64")      // a length
	f(-1, segmentHeader+8, flip, "damaged at byte 64")    // a number
	f(-1, segmentHeader+100, flip, "damaged at byte 64")  // a value
	f(-1, segmentHeader+300, flip, "damaged at byte 302") // and the second batch
	f(1, 600, cut, "a file is missing or was cut")
	f(1, 0, remove, "a file is missing or was cut")
}

func readAll(p *Partition) error {
	r, err := p.Read(p.Range().First)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		if b, err := r.Next(); b == nil || err != nil {
			return err
		}
	}
}

// TestTornTail: whatever the end of an unfinished write is, what was acknowledged stays, and
// the rest goes.
func TestTornTail(t *testing.T) {
	f := func(tail []byte) {
		t.Helper()
		fs := disk.NewMem(1)
		l := open(t, fs, Options{})
		add(t, l.Partition(0), "a")
		add(t, l.Partition(0), "b")
		l.Close()
		name := "0/" + segmentName(0)
		file, err := openEnd(fs, name)
		if err == nil {
			_, err = file.Write(tail)
		}
		if err != nil {
			t.Fatal(err)
		}
		l = open(t, fs, Options{})
		add(t, l.Partition(0), "c")
		want(t, all(t, l.Partition(0), 0), "a", "b", "c")
		l.Close()
		l = open(t, fs, Options{})
		want(t, all(t, l.Partition(0), 0), "a", "b", "c")
	}
	whole := appendBatch(nil, values("x"))
	stampBatch(whole, 2, 0, 0)
	f(nil)
	f([]byte{0})
	f(make([]byte, 5000))
	f(whole[:len(whole)-1])
	f(whole[:batchHeader])
	f([]byte(strings.Repeat("\xff", 100)))
	// Blocks of a group can reach the disk without those before them.
	later := appendBatch(nil, values("y"))
	stampBatch(later, 3, 0, uint32(len(whole)))
	f(append(make([]byte, len(whole)), later...))
}
