package log

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/disk"
)

// clock is a clock that moves when it is told to.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)} }

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

func open(t testing.TB, fs disk.FS, o Options) *Log {
	t.Helper()
	l, err := Open(fs, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func values(texts ...string) []Record {
	var out []Record
	for _, s := range texts {
		out = append(out, Record{Value: []byte(s)})
	}
	return out
}

func add(t testing.TB, p *Partition, texts ...string) Appended {
	t.Helper()
	a, err := p.Append(values(texts...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// all are the values from a record on.
func all(t testing.TB, p *Partition, seq int64) []string {
	t.Helper()
	r, err := p.Read(seq)
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
		if b.Seq < seq+int64(len(out)) || b.Seq < lostNumbers && b.Seq != seq+int64(len(out)) {
			t.Fatalf("batch has number %d, want %d", b.Seq, seq+int64(len(out)))
		}
		for _, rec := range b.Records {
			out = append(out, string(rec.Value))
		}
	}
}

func want(t testing.TB, got []string, texts ...string) {
	t.Helper()
	if !slices.Equal(got, texts) {
		t.Errorf("got %q, want %q", got, texts)
	}
}

func TestAppendReadReopen(t *testing.T) {
	fs := disk.NewMem(1)
	c := newClock()
	o := Options{Now: c.now, Partitions: 2}
	l := open(t, fs, o)
	p := l.Partition(1)
	a := add(t, p, "a", "b")
	c.move(-time.Hour) // enqueued times do not go back
	b := add(t, p, "c")
	if a.Seq != 0 || b.Seq != 2 || b.Offset <= a.Offset || !b.Enqueued.Equal(a.Enqueued) {
		t.Errorf("appended at %+v and %+v", a, b)
	}
	want(t, all(t, p, 0), "a", "b", "c")
	want(t, all(t, p, 1), "b", "c")
	want(t, all(t, p, 3))
	want(t, all(t, l.Partition(0), 0))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Append(values("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("append to a closed log: %v", err)
	}
	l = open(t, fs, o)
	p = l.Partition(1)
	if d := add(t, p, "d"); d.Seq != 3 || d.Enqueued.Before(b.Enqueued) {
		t.Errorf("after reopening %+v", d)
	}
	want(t, all(t, p, 2), "c", "d")
	if _, err := p.Read(5); err == nil {
		t.Error("a record that cannot be the next was found")
	}
	l.Close()
	if _, err := Open(fs, Options{Partitions: 1}); err == nil || !strings.Contains(err.Error(), "cannot be fewer") {
		t.Errorf("fewer partitions: %v", err)
	}
}

// TestNumbersLeftOut: a log that may have lost records goes on under numbers that nobody has
// seen, and is read across the gap from any place in it.
func TestNumbersLeftOut(t *testing.T) {
	fs := disk.NewMem(1)
	o := Options{Fsync: None}
	l := open(t, fs, o)
	add(t, l.Partition(0), "a", "b")
	l.Close()
	open(t, fs, o).Close() // nothing came
	l = open(t, fs, o)
	p := l.Partition(0)
	c := add(t, p, "c")
	if c.Seq != 2+2*lostNumbers || c.Offset < 2*lostNumbers {
		t.Errorf("appended at %+v", c)
	}
	r, err := p.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{"[a b]", "[c]"} {
		b, err := r.Next()
		if err != nil || b == nil {
			t.Fatal(b, err)
		}
		var got []string
		for _, rec := range b.Records {
			got = append(got, string(rec.Value))
		}
		if fmt.Sprint(got) != w {
			t.Errorf("%v, want %s", got, w)
		}
	}
	for _, seq := range []int64{2, 3, 1000, lostNumbers, c.Seq} {
		want(t, all(t, p, seq), "c")
	}
	for _, off := range []int64{200, lostNumbers, c.Offset} {
		if seq, err := p.SeekOffset(off); err != nil || seq != c.Seq {
			t.Errorf("offset %d: record %d, %v", off, seq, err)
		}
	}
	if n := p.Range().Bytes; n > 200 {
		t.Errorf("%d bytes", n)
	}
	l.Close()
	// What is appended with fsync is in order again, once.
	l = open(t, fs, Options{})
	d := add(t, l.Partition(0), "d")
	l.Close()
	l = open(t, fs, Options{})
	if e := add(t, l.Partition(0), "e"); e.Seq != d.Seq+1 {
		t.Errorf("record %d comes behind %d", e.Seq, d.Seq)
	}
}

func TestKeysAndProperties(t *testing.T) {
	fs := disk.NewMem(1)
	l := open(t, fs, Options{})
	in := []Record{
		{Key: []byte{}, Value: []byte{}},
		{Key: []byte("k"), Properties: []Property{{"a", "1"}, {"", ""}, {"long", strings.Repeat("x", 300)}}, Value: []byte("v")},
		{Properties: []Property{{"b", "2"}}},
	}
	if _, err := l.Partition(0).Append(in); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, fs, Options{})
	r, err := l.Partition(0).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	for i, rec := range b.Records {
		w := in[i]
		if !bytes.Equal(rec.Key, w.Key) || (rec.Key == nil) != (w.Key == nil) || !slices.Equal(rec.Properties, w.Properties) || !bytes.Equal(rec.Value, w.Value) || rec.Offset <= last {
			t.Errorf("record %d is %+v, want %+v", i, rec, w)
		}
		last = rec.Offset
	}
}

func TestSeek(t *testing.T) {
	fs := disk.NewMem(1)
	c := newClock()
	start := c.now()
	o := Options{Now: c.now, SegmentBytes: minSegmentBytes}
	l := open(t, fs, o)
	p := l.Partition(0)
	var at []Appended
	for i := range 300 { // over many segments; two appends share a time
		if i%2 == 0 {
			c.move(time.Second)
		}
		at = append(at, add(t, p, strings.Repeat("x", 100), "y"))
	}
	check := func() {
		t.Helper()
		p := l.Partition(0)
		if p.Range().Segments < 5 {
			t.Fatalf("there are %d segments", p.Range().Segments)
		}
		f := func(when time.Time, seq int64) {
			t.Helper()
			if got, err := p.SeekTime(when); err != nil || got != seq {
				t.Errorf("at %v: record %d, %v; want %d", when, got, err, seq)
			}
		}
		f(time.Time{}, 0)
		f(start, 0)
		f(start.Add(time.Second), 0)
		f(start.Add(time.Second+time.Nanosecond), 4)
		f(start.Add(100*time.Second), 99*4)
		f(start.Add(100*time.Second+1), 100*4)
		f(start.Add(150*time.Second), 149*4)
		f(start.Add(1000*time.Second), 600)
		for i, a := range at {
			if got, err := p.SeekOffset(a.Offset); err != nil || got != a.Seq {
				t.Fatalf("offset %d: record %d, %v; want %d", a.Offset, got, err, a.Seq)
			}
			if i > 0 {
				if got, err := p.SeekOffset(at[i-1].Offset + batchHeader); err != nil || got != at[i-1].Seq {
					t.Fatalf("offset of the first record of %d: %d, %v", i-1, got, err)
				}
			}
		}
		if got, err := p.SeekOffset(1 << 40); err != nil || got != 600 {
			t.Errorf("an offset behind the end: %d, %v", got, err)
		}
	}
	check()
	l.Close()
	l = open(t, fs, o)
	check()
	l.Close()
	infos, err := fs.ReadDir("0")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range infos { // without index files, and with a bad one
		if strings.HasSuffix(d.Name, indexSuffix) {
			if err := fs.Remove("0/" + d.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, err := fs.Create("0/" + segmentName(0) + indexSuffix)
	if err == nil {
		_, err = f.Write([]byte("no index"))
	}
	if err != nil {
		t.Fatal(err)
	}
	l = open(t, fs, o)
	check()
}

func TestRetention(t *testing.T) {
	c := newClock()
	fill := func(o Options) *Partition {
		o.Now, o.SegmentBytes = c.now, minSegmentBytes
		p := open(t, disk.NewMem(1), o).Partition(0)
		for range 100 {
			c.move(time.Second)
			add(t, p, strings.Repeat("x", 400))
		}
		return p
	}
	f := func(p *Partition, first int64) {
		t.Helper()
		rg := p.Range()
		if rg.First > first || first-rg.First > 20 {
			t.Errorf("the first record is %d, want %d less part of a segment", rg.First, first)
		}
		if _, err := p.Read(rg.First - 1); !errors.Is(err, ErrGone) {
			t.Errorf("a forgotten record: %v", err)
		}
		if got := all(t, p, rg.First); len(got) != int(100-rg.First) {
			t.Errorf("%d records from %d on", len(got), rg.First)
		}
	}
	f(fill(Options{}), 0)
	p := fill(Options{})
	if err := p.Trim(50); err != nil {
		t.Fatal(err)
	}
	f(p, 50)
	p = fill(Options{Keep: 70 * time.Second})
	if err := p.Trim(50); err != nil {
		t.Fatal(err)
	}
	f(p, 30)
	c.move(10 * time.Second)
	if err := p.Clean(); err != nil {
		t.Fatal(err)
	}
	f(p, 40)
	p = fill(Options{Expire: 60 * time.Second})
	f(p, 40)
	p = fill(Options{ExpireBytes: 40 * 432})
	f(p, 60)
}

// TestFull: a full log takes no more until its reader has given something free, then it does
// at once, however long Keep is.
func TestFull(t *testing.T) {
	c := newClock()
	p := open(t, disk.NewMem(1), Options{Now: c.now, MaxBytes: 64 << 10, Keep: time.Hour}).Partition(0)
	n := 0
	fill := func() {
		t.Helper()
		for {
			if _, err := p.Append(values(strings.Repeat("x", 400))); err != nil {
				if !errors.Is(err, ErrLogFull) {
					t.Fatal(err)
				}
				return
			}
			if n++; n > 1000 {
				t.Fatal("the log takes more than its limit")
			}
		}
	}
	fill()
	if n < 140 || n > 152 {
		t.Errorf("%d records of 432 bytes in 64 KiB", n)
	}
	before := n
	if err := p.Trim(100); err != nil {
		t.Fatal(err)
	}
	fill()
	if n-before < 60 || n-before > 100 {
		t.Errorf("%d more after 100 were given free", n-before)
	}
	if err := p.Trim(p.Range().Next); err != nil {
		t.Fatal(err)
	}
	before = n
	fill()
	if n-before < 140 {
		t.Errorf("%d more after all were given free", n-before)
	}
}

func TestLimits(t *testing.T) {
	p := open(t, disk.NewMem(1), Options{MaxAppend: 1000}).Partition(0)
	if _, err := p.Append(values(strings.Repeat("x", 1000))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := p.Append(nil); err == nil {
		t.Error("nothing was appended")
	}
	p = open(t, disk.NewMem(1), Options{MaxPending: 100}).Partition(0)
	if _, err := p.Append(values(strings.Repeat("x", 100))); !errors.Is(err, ErrBusy) {
		t.Errorf("too much waits: %v", err)
	}
	if _, err := Open(disk.NewMem(1), Options{Fsync: "sometimes"}); err == nil {
		t.Error("a wrong fsync was taken")
	}
}

// TestLocked: a second opening of one directory is refused.
func TestLocked(t *testing.T) {
	fs := disk.NewMem(1)
	l := open(t, fs, Options{})
	if _, err := Open(fs, Options{}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a second opening: %v", err)
	}
	l.Close()
	open(t, fs, Options{}).Close()
}

// TestConcurrent: many appenders and readers; each append is whole and in its place, and
// those of one appender are in order.
func TestConcurrent(t *testing.T) {
	for _, mode := range []Fsync{Always, Interval, None} {
		fs, err := disk.At(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l := open(t, fs, Options{Fsync: mode, Interval: time.Millisecond, SegmentBytes: 16 << 10})
		p := l.Partition(0)
		const appenders, each = 32, 50
		var wg sync.WaitGroup
		for i := range appenders {
			wg.Go(func() {
				for n := range each {
					if _, err := p.Append(values(fmt.Sprintf("%d/%d/0", i, n), fmt.Sprintf("%d/%d/1", i, n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		follow := func() {
			r, err := p.Read(0)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			var next [appenders]int
			for got := 0; got < appenders*each*2; {
				b, err := r.Next()
				if err != nil {
					t.Error(err)
					return
				}
				if b == nil {
					<-r.Ready()
					continue
				}
				if b.Seq != int64(got) {
					t.Errorf("batch has number %d, want %d", b.Seq, got)
				}
				for _, rec := range b.Records {
					var i, n, part int
					fmt.Sscanf(string(rec.Value), "%d/%d/%d", &i, &n, &part)
					if next[i] != 2*n+part {
						t.Errorf("%s comes as number %d of its appender", rec.Value, next[i])
					}
					next[i]++
					got++
				}
			}
		}
		for range 3 {
			wg.Go(follow)
		}
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		l = open(t, fs, Options{})
		if n := len(all(t, l.Partition(0), 0)); n != appenders*each*2 {
			t.Errorf("fsync %s: %d records after reopening", mode, n)
		}
		l.Close()
	}
}

// TestClock: nothing comes later with a time before the clock of a reader at the end.
func TestClock(t *testing.T) {
	c := newClock()
	p := open(t, disk.NewMem(1), Options{Now: c.now}).Partition(0)
	r, err := p.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	c.move(time.Minute)
	now := c.now()
	if got := r.Clock(); !got.Equal(now) {
		t.Errorf("idle: %v, want %v", got, now)
	}
	c.move(-time.Hour)
	if a := add(t, p, "a"); a.Enqueued.Before(now) {
		t.Errorf("enqueued at %v after the clock was said to be %v", a.Enqueued, now)
	}
	c.move(2 * time.Hour)
	b := add(t, p, "b")
	if got := r.Clock(); got.After(now) {
		t.Errorf("unread: %v, want %v at most", got, now)
	}
	r.Next()
	if got := r.Clock(); !got.Equal(now) {
		t.Errorf("half read: %v, want the time of the first record", got)
	}
	r.Next()
	c.move(time.Second)
	if got := r.Clock(); !got.Equal(b.Enqueued.Add(time.Second)) {
		t.Errorf("read: %v", got)
	}
}

// TestWaitingReader: a reader that has read all there is holds no memory of records, and
// goes on when there is more.
func TestWaitingReader(t *testing.T) {
	l := open(t, disk.NewMem(1).Boot(), Options{})
	defer l.Close()
	p := l.Partition(0)
	r, err := p.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for round := range 3 {
		want := fmt.Sprintf("round %d", round)
		for range 2 {
			if _, err := p.Append([]Record{{Value: []byte(want)}, {Value: []byte(want)}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			b, err := r.Next()
			if err != nil || b == nil || len(b.Records) != 2 || string(b.Records[1].Value) != want {
				t.Fatalf("%s: got %v, %v", want, b, err)
			}
		}
		if b, err := r.Next(); b != nil || err != nil {
			t.Fatalf("got %v, %v at the end", b, err)
		}
		if r.win.buf != nil || r.recs != nil || r.batch.Records != nil {
			t.Errorf("%s: the reader waits with %d bytes and %d records", want, cap(r.win.buf), cap(r.recs))
		}
	}
}
