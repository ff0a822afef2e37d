package connecttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// Feed is the outside of a source: events that are there to be read.
type Feed struct {
	// Open opens the source.
	Open func(env connect.SourceEnv) (connect.Source, error)
	// Add makes more rows readable; nil if all are there from the start.
	Add func(rows []Row) error
	// Rows are those that are there when the suite begins.
	Rows []Row
}

// Sources is a connector's source under test. Events have the fields of Row.
type Sources struct {
	New    func(t testing.TB) *Feed
	Format connect.Format
	// Ends: a partition ends when all is read.
	Ends bool
	// Unordered sources give the rows of the feed in any order.
	Unordered bool
}

// Run runs the suite.
func (s Sources) Run(t *testing.T) {
	t.Run("whole", s.whole)
	t.Run("again", s.again)
	t.Run("positions", s.positions)
	t.Run("grow", s.grow)
	t.Run("cancelled", s.cancelledSource)
	t.Run("closed", s.closed)
	t.Run("seek", s.seek)
}

// feed is a feed with a source over it, and what was read.
type feed struct {
	s     Sources
	f     *Feed
	state *disk.Mem
	src   connect.Source
}

func (s Sources) open(t testing.TB) *feed {
	t.Helper()
	f := &feed{s: s, f: s.New(t), state: disk.NewMem(3)}
	f.reopen(t)
	t.Cleanup(func() { f.src.Close() })
	return f
}

// reopen opens the source as another process does.
func (f *feed) reopen(t testing.TB) {
	t.Helper()
	if f.src != nil {
		must(t, f.src.Close())
	}
	f.state.Kill()
	state, err := f.state.Boot().Sub("state")
	must(t, err)
	f.src, err = f.f.Open(connect.SourceEnv{Job: "job", Input: "in", Format: f.s.Format, State: state,
		Log: slog.New(slog.DiscardHandler), Now: time.Now})
	must(t, err)
}

// step is a chunk that was read.
type step struct {
	after, next connect.Position
	rows        []Row
	bad         int
}

// read reads a partition to where nothing is left, in chunks of max bytes. It gives up
// after a long time of nothing if less than want rows came.
func (f *feed) read(t testing.TB, part string, after connect.Position, max int, want int) []step {
	t.Helper()
	r, err := f.src.Open(context.Background(), part, after)
	must(t, err)
	defer r.Close()
	d := &decode{format: f.s.Format}
	var steps []step
	got := 0
	until := time.Now().Add(20 * time.Second)
	for {
		c, err := r.Read(context.Background(), max, "")
		must(t, err)
		st := step{after: after, next: c.Next}
		st.rows, st.bad = d.chunk(t, &c)
		got += len(st.rows)
		if len(c.Data) > 0 {
			if c.Next == after {
				t.Fatalf("data came and the position stays %q", after)
			}
			steps = append(steps, st)
			after = c.Next
			continue
		}
		if c.End != f.s.Ends && got >= want {
			t.Fatalf("End is %v at the end", c.End)
		}
		if c.End || got >= want || time.Now().After(until) {
			return steps
		}
		if ready := r.Ready(); ready != nil {
			select {
			case <-ready:
			case <-time.After(time.Second):
			}
		}
	}
}

// some reads what there is. If there must be something it waits for it, a long time: a reader
// that fetches on a goroutine of its own has nothing at first.
func some(t testing.TB, r connect.Reader, max int, wait bool) connect.Chunk {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); ; {
		c, err := r.Read(context.Background(), max, "")
		must(t, err)
		if len(c.Data) > 0 || c.End || !wait || time.Now().After(until) {
			return c
		}
		pause := time.Second
		if r.Ready() == nil {
			pause = time.Millisecond
		}
		select {
		case <-r.Ready():
		case <-time.After(pause):
		}
	}
}

func rowsOf(steps []step) (rows []Row) {
	for _, s := range steps {
		rows = append(rows, s.rows...)
	}
	return rows
}

func (f *feed) parts(t testing.TB) []string {
	t.Helper()
	parts, err := f.src.Partitions(context.Background())
	must(t, err)
	return parts
}

// all reads all partitions.
func (f *feed) all(t testing.TB, max, want int) (rows []Row) {
	t.Helper()
	for _, p := range f.parts(t) {
		n := want
		if len(f.parts(t)) > 1 {
			n = 0
		}
		rows = append(rows, rowsOf(f.read(t, p, "", max, n))...)
	}
	return rows
}

func (s Sources) same(t testing.TB, what string, got, want []Row) {
	t.Helper()
	if s.Unordered {
		order := func(a, b Row) int { return int(a.ID - b.ID) }
		got, want = slices.Clone(got), slices.Clone(want)
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s: row %d is %.80q, and must be %.80q", what, i, fmt.Sprint(got[i]), fmt.Sprint(want[i]))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, and must be %d", what, len(got), len(want))
	}
}

var sizes = []int{1, 100, 1000, 20_000, 1 << 20}

// whole reads all, in chunks of any size.
func (s Sources) whole(t *testing.T) {
	for _, max := range sizes {
		f := s.open(t)
		s.same(t, fmt.Sprint("chunks of ", max), f.all(t, max, len(f.f.Rows)), f.f.Rows)
	}
}

// again reads each chunk again from its position to its next one, in another process too,
// and everything behind each position.
func (s Sources) again(t *testing.T) {
	for _, max := range []int{1, 1000, 1 << 20} {
		f := s.open(t)
		for _, p := range f.parts(t) {
			want := len(f.f.Rows)
			if len(f.parts(t)) > 1 {
				want = 0
			}
			steps := f.read(t, p, "", max, want)
			total := len(rowsOf(steps))
			stride := len(steps)/12 + 1
			f.reopen(t)
			for i := 0; i < len(steps); i += stride {
				f.exact(t, p, steps[i:min(i+3, len(steps))])
				rest := rowsOf(steps[i:])
				got := rowsOf(f.read(t, p, steps[i].after, 777, total-len(rowsOf(steps[:i]))))
				s.same(t, fmt.Sprintf("behind %q", steps[i].after), got, rest)
			}
		}
	}
}

// exact reads chunks again, each to its end.
func (f *feed) exact(t testing.TB, part string, steps []step) {
	t.Helper()
	r, err := f.src.Open(context.Background(), part, steps[0].after)
	must(t, err)
	defer r.Close()
	d := &decode{format: f.s.Format}
	for _, want := range steps {
		c, err := r.Read(context.Background(), 1, want.next)
		if err != nil {
			t.Fatalf("from %q to %q: %v", want.after, want.next, err)
		}
		if c.Next != want.next {
			t.Fatalf("from %q to %q: came to %q", want.after, want.next, c.Next)
		}
		rows, bad := d.chunk(t, &c)
		if !slices.Equal(rows, want.rows) || bad != want.bad {
			t.Fatalf("from %q to %q: %d rows and %d bad ones, and there were %d and %d", want.after, want.next, len(rows), bad, len(want.rows), want.bad)
		}
	}
}

// positions come from one process and are used in others.
func (s Sources) positions(t *testing.T) {
	f := s.open(t)
	for _, p := range f.parts(t) {
		var got []Row
		at := connect.Position("")
		for range 60 + len(f.f.Rows) { // a reader may have little at first
			r, err := f.src.Open(context.Background(), p, at)
			must(t, err)
			c := some(t, r, 2000, len(f.parts(t)) == 1 && len(got) < len(f.f.Rows))
			d := &decode{format: f.s.Format}
			rows, _ := d.chunk(t, &c)
			got = append(got, rows...)
			must(t, r.Close())
			if len(c.Data) == 0 && len(got) >= len(f.f.Rows) {
				break
			}
			must(t, f.src.Done(context.Background(), p, at))
			at = c.Next
			f.reopen(t)
		}
		if len(f.parts(t)) == 1 {
			s.same(t, "a process for each chunk", got, f.f.Rows)
		}
	}
}

// grow has rows that come while the source is read, and ranges that are read again after
// more has come.
func (s Sources) grow(t *testing.T) {
	f := s.open(t)
	if f.f.Add == nil || len(f.parts(t)) != 1 {
		return
	}
	part := f.parts(t)[0]
	want := slices.Clone(f.f.Rows)
	var steps []step
	at := connect.Position("")
	for round := range 4 {
		got := f.read(t, part, at, 3000, len(want)-len(rowsOf(steps)))
		steps = append(steps, got...)
		s.same(t, fmt.Sprint("round ", round), rowsOf(steps), want)
		if len(steps) > 0 {
			at = steps[len(steps)-1].next
		}
		more := Rows(len(want)+1, 30+round)
		must(t, f.f.Add(more))
		want = append(want, more...)
		for i := 0; i < len(steps); i += len(steps)/10 + 1 {
			f.exact(t, part, steps[i:i+1])
		}
		if round == 1 {
			f.reopen(t)
		}
	}
}

// cancelledSource has calls when the run has been told to stop: an error, or what is there.
func (s Sources) cancelledSource(t *testing.T) {
	f := s.open(t)
	part := f.parts(t)[0]
	ctx, cancel := context.WithCancel(context.Background())
	r, err := f.src.Open(ctx, part, "")
	must(t, err)
	defer r.Close()
	cancel()
	c, err := r.Read(ctx, 100, "")
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	d := &decode{format: f.s.Format}
	var rows []Row
	if err == nil {
		rows, _ = d.chunk(t, &c)
	}
	for len(rows) < min(3, len(f.f.Rows)) {
		c = some(t, r, 100, len(f.parts(t)) == 1)
		more, _ := d.chunk(t, &c)
		rows = append(rows, more...)
		if len(c.Data) == 0 {
			return
		}
	}
	if len(f.parts(t)) == 1 && !s.Unordered {
		s.same(t, "after a call that was cancelled", rows[:3], f.f.Rows[:3])
	}
}

// closed uses a reader after its end.
func (s Sources) closed(t *testing.T) {
	f := s.open(t)
	r, err := f.src.Open(context.Background(), f.parts(t)[0], "")
	must(t, err)
	must(t, r.Close())
	if _, err := r.Read(context.Background(), 100, ""); err == nil {
		t.Error("a closed reader reads")
	}
}

// seek finds the two ends.
func (s Sources) seek(t *testing.T) {
	f := s.open(t)
	for _, p := range f.parts(t) {
		first, err := f.src.Seek(context.Background(), p, vec.MinTime)
		must(t, err)
		last, err := f.src.Seek(context.Background(), p, vec.MaxTime)
		must(t, err)
		if rows := rowsOf(f.read(t, p, last, 1000, 0)); len(rows) != 0 {
			t.Errorf("%d rows behind all", len(rows))
		}
		if len(f.parts(t)) == 1 {
			s.same(t, "from the start", rowsOf(f.read(t, p, first, 1000, len(f.f.Rows))), f.f.Rows)
		}
	}
}

// Rows makes n rows from an id on, with texts that formats find hard and of several sizes.
func Rows(from, n int) []Row {
	texts := []string{"plain", "", "comma, quote \" and 'single'", "line\nend", "ünïcödé 🚀", "{\"a\":[1,2]}", "[", "}", strings.Repeat("long ", 300)}
	var list []Row
	for i := range n {
		id := from + i
		list = append(list, Row{int64(id), texts[id%len(texts)]})
	}
	return list
}

// decode turns chunks into rows as the runner does.
type decode struct {
	format connect.Format
	d      codec.Decoder
}

var rowFields = []vec.Field{{Path: []string{"id"}}, {Path: []string{"text"}}}

func (d *decode) chunk(t testing.TB, c *connect.Chunk) (rows []Row, bad int) {
	t.Helper()
	if len(c.Data) == 0 {
		return nil, 0
	}
	lines := false
	if d.d == nil || c.Fresh {
		head := c.Head
		if len(head) == 0 {
			head = c.Data
		}
		switch {
		case d.format.Type == "csv":
			d.d = codec.NewCSV(rowFields, codec.CSVOptions{Delimiter: d.format.Delimiter, Detect: d.format.Delimiter == 0, NoHeader: d.format.NoHeader})
		case c.Marks != nil || codec.LinesOf(head, true):
			d.d, lines = codec.NewJSON(rowFields, codec.JSONOptions{Lines: true}), true
		default:
			d.d = codec.NewJSON(rowFields, codec.JSONOptions{Stream: true})
		}
		if len(c.Head) > 0 && !lines {
			var b vec.Batch
			if _, err := d.d.Decode(&b, c.Head, false, 10, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.d.Begin(c.Offset, c.Line)
	data := c.Data
	stream := d.format.Type != "csv" && c.Marks == nil
	for len(data) > 0 {
		var b vec.Batch
		n, err := d.d.Decode(&b, data, c.Last || !stream, 100, func(codec.Bad) { bad++ })
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.N {
			id := b.Cols[0].At(i)
			if id.Kind == vec.String {
				id.Int, _ = strconv.ParseInt(id.Str, 10, 64)
			}
			text := b.Cols[1].At(i)
			rows = append(rows, Row{id.Int, strings.Clone(text.Str)})
		}
		if n == 0 {
			if rest := bytes.Trim(data, " \t\r\n,[]"); len(rest) > 0 {
				t.Fatalf("%q is left of a chunk", rest)
			}
			break
		}
		data = data[n:]
	}
	return rows, bad
}
