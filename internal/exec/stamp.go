package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// EarlyLimit is how far an event's time may lie after its arrival (saql.md 4.3 step 1).
const EarlyLimit = 5 * vec.Minute

// source passes decoded events on and enforces the types of a CREATE TABLE.
type source struct {
	stateless
	g     *Graph
	input int
	table *typed
}

func newSource(g *Graph, input int, in plan.Input) *source {
	s := &source{g: g, input: input}
	if len(in.Table) > 0 {
		s.table = newTyped(g, input, in, input < len(g.opts.Text) && g.opts.Text[input])
	}
	return s
}

func (s *source) Push(_ int, b *vec.Batch, emit Emit) error {
	if s.table != nil {
		b = s.table.convert(b)
		s.g.rows[s.input] = s.table.sel
	}
	return emit(b)
}

// stamp gives rows their timestamps by the policies of saql.md 4.3 and makes the
// watermark of 4.4. A row that is adjusted or kept never lies before the watermark as it
// was when the row came. Each partition of the input has times of its own; the watermark
// of the stream is the smallest of theirs.
type stamp struct {
	stateless
	g         *Graph
	input     int
	by        value
	over      []value
	late      vec.Time // < 0: no limit
	tolerance vec.Time // < 0: no limit; rows wait for the end
	drop      bool
	sample    bool
	live      []bool

	parts []*timelines // per partition
	cur   *timelines   // that of the batch at hand
	low   vec.Time     // the smallest mark of parts
	seq   []int64      // numbers of the rows at hand, if there are several partitions

	keyRow vec.Batch // the keys of the batch at hand
	// Behind is the furthest that an event lay behind the newest before it: what Sample
	// runs need to know of their input.
	behind vec.Time

	f    frame
	buf  []int32
	sel  []int32 // rows kept; nil: all
	t    []vec.Time
	out  vec.Batch
	kept vec.Batch
}

func newStamp(g *Graph, n *plan.Node, op *plan.Stamp, live []bool) *stamp {
	s := &stamp{g: g, late: g.opts.Late, tolerance: g.opts.OutOfOrder, drop: g.opts.Drop, sample: g.opts.Sample,
		live: live, low: vec.MinTime}
	if src, ok := n.In[0].Op.(*plan.Source); ok {
		s.input = src.Input
	}
	c := g.compiler()
	if op.By != nil {
		s.by = c.value(op.By)
	}
	if len(op.Over) > 0 {
		s.over = c.all(op.Over)
	}
	for range g.partitions(s.input) {
		s.addPartition(g.firstClock(), vec.MinTime)
	}
	return s
}

// Watermark is W of the stream: no row to come is older.
func (s *stamp) Watermark() vec.Time { return s.low }

func (s *stamp) Push(_ int, b *vec.Batch, emit Emit) error {
	if b.N == 0 {
		return nil
	}
	s.cur = s.parts[s.g.partition]
	was := s.cur.mark
	err := s.stamped(b, emit)
	if s.cur.mark > was {
		s.lower(was)
	}
	return err
}

// stamped gives the rows their times and passes them on.
func (s *stamp) stamped(b *vec.Batch, emit Emit) error {
	s.f.start(b)
	if cap(s.t) < b.N {
		s.t = make([]vec.Time, b.N)
	}
	s.t = s.t[:b.N]
	switch {
	case s.by == nil:
		s.byArrival(b)
	case s.over == nil && b.Arrival == nil && s.g.opts.OnMove == nil && s.plain(b):
	default:
		if err := s.byExpr(b); err != nil {
			return err
		}
	}
	if s.sel == nil {
		s.out.N, s.out.Cols, s.out.Seq, s.out.Time = b.N, b.Cols, s.number(b.N), s.t
		return emit(&s.out)
	}
	// Some rows were dropped. The times stand packed at the start of s.t.
	s.kept.Time = nil
	pick(&s.kept, b, s.sel, s.live)
	s.kept.Time, s.kept.Seq = s.t[:s.kept.N], s.number(s.kept.N)
	return emit(&s.kept)
}

// byArrival: T is the arrival time, never running back.
func (s *stamp) byArrival(b *vec.Batch) {
	s.sel = nil
	c := s.cur
	for i := range b.N {
		a := s.g.opts.Start
		if b.Arrival != nil {
			a = b.Arrival[i]
		}
		c.mark = max(c.mark, a)
		s.t[i] = c.mark
	}
}

// plain is the common case in one loop: all events have a time, no arrival times, one
// timeline. It reports false, with nothing changed, if that is not so.
func (s *stamp) plain(b *vec.Batch) bool {
	col := s.by.eval(&s.f)
	if col.Tag != nil || col.Kind != vec.Datetime || s.f.first != nil {
		return false
	}
	s.sel = nil
	if s.sample && s.tolerance < 0 {
		newest, behind := s.cur.newest, s.behind
		for i, x := range col.Int[:b.N] {
			t := vec.Time(x)
			s.t[i] = t
			if t > newest {
				newest = t
			} else if newest-t > behind {
				behind = newest - t
			}
		}
		s.cur.newest, s.behind = newest, behind
		return true
	}
	if s.drop && !s.sample {
		return s.plainDrop(b.N, col.Int)
	}
	newest, mark, moved := s.cur.newest, s.cur.mark, int64(0)
	for i, x := range col.Int[:b.N] {
		t := vec.Time(x)
		if t < mark {
			t = mark
			moved++
		}
		s.t[i] = t
		if t > newest {
			newest = t
			if s.tolerance >= 0 {
				mark = max(mark, t-s.tolerance)
			}
		}
	}
	s.cur.newest, s.cur.mark = newest, mark
	s.g.adjusted(s.input, OutOfOrder, moved)
	return true
}

func (s *stamp) plainDrop(n int, times []int64) bool {
	sel, c := s.room(n), s.cur
	for i, x := range times[:n] {
		t := vec.Time(x)
		if t < c.mark {
			s.dropped(i, OutOfOrder)
			continue
		}
		s.t[len(sel)] = t
		sel = append(sel, int32(i))
		if t > c.newest {
			c.newest = t
			if s.tolerance >= 0 {
				c.mark = max(c.mark, t-s.tolerance)
			}
		}
	}
	s.keep(sel, n)
	return true
}

func (s *stamp) room(n int) []int32 {
	if cap(s.buf) < n {
		s.buf = make([]int32, 0, n)
	}
	return s.buf[:0]
}

// keep sets the selection; nil when every row is kept.
func (s *stamp) keep(sel []int32, n int) {
	s.sel = sel
	if len(sel) == n {
		s.sel = nil
	}
}

func (s *stamp) dropped(row int, why Reason) {
	s.g.eventDropped(s.input, row, why)
}

// byExpr is the general case.
func (s *stamp) byExpr(b *vec.Batch) error {
	col := s.by.eval(&s.f)
	groups := s.groups(b.N)
	sel := s.room(b.N)
	for i := range b.N {
		t, ok := s.eventTime(col, i)
		if !ok || s.f.bad != nil && s.f.bad[i] {
			s.dropped(i, NoTime)
			continue
		}
		var line *timeline
		if groups != nil {
			if s.noKey(i) {
				s.dropped(i, NoKey)
				continue
			}
			line = &s.cur.lines[groups[i]]
		}
		if t, ok = s.police(b, i, t, line); !ok {
			continue
		}
		s.t[len(sel)] = t
		sel = append(sel, int32(i))
	}
	s.keep(sel, b.N)
	s.f.first = nil
	return nil
}

// eventTime reads the application time E of row i.
func (s *stamp) eventTime(col *vec.Vec, i int) (vec.Time, bool) {
	switch col.KindAt(i) {
	case vec.Datetime:
		return vec.Time(col.Int[i]), true
	case vec.String:
		return vec.ParseTime(col.StrAt(i))
	}
	return 0, false
}

// groups gives the timeline of each row; nil without OVER.
func (s *stamp) groups(n int) []int32 {
	c := s.cur
	if c.keys == nil {
		return nil
	}
	s.forget(c)
	c.looked += n
	s.keyRow.N, s.keyRow.Cols = n, s.keyRow.Cols[:0]
	for _, k := range s.over {
		s.keyRow.Cols = append(s.keyRow.Cols, *k.eval(&s.f))
	}
	groups, _ := c.keys.groups(&s.keyRow)
	c.growLines()
	return groups
}

// noKey reports whether a key of row i is NULL.
func (s *stamp) noKey(i int) bool {
	for c := range s.keyRow.Cols {
		if s.keyRow.Cols[c].KindAt(i).IsNull() {
			return true
		}
	}
	return false
}

// police applies the policies to one event: early, late, disorder (saql.md 4.3).
func (s *stamp) police(b *vec.Batch, i int, t vec.Time, line *timeline) (vec.Time, bool) {
	c := s.cur
	if s.sample {
		s.behind = max(s.behind, c.newest-t)
		if c.newest == vec.MinTime {
			s.behind = 0
		}
		c.newest = max(c.newest, t)
		if s.tolerance >= 0 {
			c.mark = max(c.mark, c.newest-s.tolerance)
		}
		return t, true
	}
	if b.Arrival != nil {
		a := b.Arrival[i]
		if t-a > EarlyLimit {
			s.dropped(i, Early)
			s.moved(b, i, Move{Reason: Early, Dropped: true, Time: t, Mark: c.mark})
			return 0, false
		}
		if s.late >= 0 && a-t > s.late {
			if s.drop {
				s.dropped(i, Late)
				s.moved(b, i, Move{Reason: Late, Dropped: true, Time: t, Mark: c.mark})
				s.tick(c, a)
				return 0, false
			}
			s.g.adjusted(s.input, Late, 1)
			s.moved(b, i, Move{Reason: Late, Time: t, To: a - s.late, Mark: c.mark})
			t = a - s.late
		}
	}
	mark := c.mark
	if line != nil {
		line.mark = max(line.mark, s.idle(c))
		mark = line.mark
	}
	if t < mark {
		if s.drop {
			s.dropped(i, OutOfOrder)
			s.moved(b, i, Move{Reason: OutOfOrder, Dropped: true, Time: t, Mark: mark})
			s.arrive(b, i)
			return 0, false
		}
		s.g.adjusted(s.input, OutOfOrder, 1)
		s.moved(b, i, Move{Reason: OutOfOrder, Time: t, To: mark, Mark: mark})
		t = mark
	}
	if line != nil {
		if s.tolerance >= 0 {
			line.mark = max(line.mark, t-s.tolerance)
		}
	} else {
		c.newest = max(c.newest, t)
		if s.tolerance >= 0 {
			c.mark = max(c.mark, c.newest-s.tolerance)
		}
	}
	s.arrive(b, i)
	return t, true
}

// arrive moves the arrival clock, and with it the watermark: nothing that passes the late
// policy is older than clock - late (saql.md 4.4).
func (s *stamp) arrive(b *vec.Batch, i int) {
	if b.Arrival != nil {
		s.tick(s.cur, b.Arrival[i])
	}
}
