package exec

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// timelines are the times of one partition of an input (saql.md 4.4): what its events and
// its arrival clock say of rows to come.
type timelines struct {
	newest vec.Time // largest T accepted
	clock  vec.Time // latest arrival, or what the source knows of it
	mark   vec.Time // W of the partition; vec.MaxTime once it is closed
	rows   int64    // given so far, for the order of rows of equal T

	keys   *keyTable  // of OVER; nil without
	lines  []timeline // per group of keys
	looked int        // rows since the lines were last looked through
}

// timeline is a substream of TIMESTAMP BY .. OVER (saql.md 4.5): the watermark of its key.
type timeline struct{ mark vec.Time }

func newOverKeys(n int) *keyTable {
	cols := make([]int, n)
	for i := range cols {
		cols[i] = i
	}
	return newKeyTable(cols, nil)
}

func (c *timelines) growLines() {
	for int(c.keys.n) > len(c.lines) {
		c.lines = append(c.lines, timeline{vec.MinTime})
	}
}

// addPartition begins the times of a new partition. Its last arrival is clock, and it says
// of no row before floor that it may come.
func (s *stamp) addPartition(clock, floor vec.Time) {
	c := &timelines{newest: vec.MinTime, clock: vec.MinTime, mark: floor}
	if s.over != nil {
		c.keys = newOverKeys(len(s.over))
	}
	s.parts = append(s.parts, c)
	if !s.sample {
		s.tick(c, clock)
	}
	s.findLow()
}

// lower brings low up to date after the mark of a partition has moved from was.
func (s *stamp) lower(was vec.Time) {
	if was <= s.low {
		s.findLow()
	}
}

func (s *stamp) findLow() {
	low := vec.MaxTime
	for _, c := range s.parts {
		low = min(low, c.mark)
	}
	s.low = max(s.low, low)
}

// holder is the partition whose mark is the smallest.
func (s *stamp) holder() int {
	at := 0
	for p, c := range s.parts {
		if c.mark < s.parts[at].mark {
			at = p
		}
	}
	return at
}

// tick moves the arrival clock of a partition, and with it the watermark.
func (s *stamp) tick(c *timelines, a vec.Time) {
	c.clock = max(c.clock, a)
	if t := s.idle(c); t > c.mark {
		c.mark = t
	}
}

// idle is the watermark that the arrival clock alone gives.
func (s *stamp) idle(c *timelines) vec.Time {
	if s.late < 0 || c.clock < vec.MinTime+s.late {
		return vec.MinTime
	}
	return c.clock - s.late
}

// clockTo takes over that everything of a partition that arrived before clock is there.
func (s *stamp) clockTo(partition int, clock vec.Time) {
	c := s.parts[partition]
	if s.sample || clock <= c.clock {
		return
	}
	was := c.mark
	s.tick(c, clock)
	s.lower(was)
}

// closePartition says that no row of a partition comes any more.
func (s *stamp) closePartition(partition int) {
	c := s.parts[partition]
	was := c.mark
	c.mark = vec.MaxTime
	s.lower(was)
}

// number gives the numbers of the next n rows of the partition at hand, by which rows of
// equal T are put into the order (partition, arrival) (saql.md 4.3 step 4). With a single
// partition rows come in that order.
func (s *stamp) number(n int) []int64 {
	c := s.cur
	if len(s.parts) > 1 {
		base := int64(s.g.partition) << rowBits
		s.seq = s.seq[:0]
		for i := range int64(n) {
			s.seq = append(s.seq, base|(c.rows+i)&(1<<rowBits-1))
		}
	}
	c.rows += int64(n)
	if len(s.parts) > 1 {
		return s.seq
	}
	return nil
}

// forget drops the timelines that the arrival clock has overtaken: a new one would be the
// same (saql.md 4.5). It looks when there are many, after as many rows.
func (s *stamp) forget(c *timelines) {
	if len(c.lines) < limits.idleGroups || c.looked < len(c.lines) {
		return
	}
	c.looked = 0
	w := state.Part()
	s.freezeLines(c, nil)(w)
	c.keys, c.lines = newOverKeys(len(s.over)), c.lines[:0]
	r := state.PartReader(w.Bytes())
	if s.loadLines(r, c); r.Err() != nil {
		panic("exec: the state of a timeline does not read back: " + r.Err().Error())
	}
}

func (s *stamp) Freeze(m *state.Memory) saved {
	behind, low := s.behind, s.low
	parts := make([]timelines, len(s.parts))
	lines := make([]saved, len(s.parts))
	for p, c := range s.parts {
		parts[p], lines[p] = *c, s.freezeLines(c, m)
	}
	return func(w *state.Writer) {
		w.Int(int64(behind))
		w.Int(int64(low))
		w.Uint(uint64(len(parts)))
		for p := range parts {
			c := &parts[p]
			w.Int(int64(c.newest))
			w.Int(int64(c.clock))
			w.Int(int64(c.mark))
			w.Int(c.rows)
			lines[p](w)
		}
	}
}

// freezeLines copies the timelines that the arrival clock has not overtaken.
func (s *stamp) freezeLines(c *timelines, m *state.Memory) saved {
	if c.keys == nil {
		return func(w *state.Writer) { w.Uint(0) }
	}
	lines, keys, idle := state.Copy(m, c.lines), c.keys.freeze(), s.idle(c)
	return func(w *state.Writer) {
		n := 0
		for i := range lines {
			if lines[i].mark > idle {
				n++
			}
		}
		w.Uint(uint64(n))
		for i := range lines {
			if lines[i].mark > idle {
				keys.save(w, int32(i))
				w.Int(int64(lines[i].mark))
			}
		}
	}
}

func (s *stamp) Restore(r *state.Reader) error {
	s.behind, s.low = vec.Time(r.Int()), vec.Time(r.Int())
	n := r.Count()
	if n > MaxPartitions {
		r.Fail()
	}
	for p := range n {
		if r.Err() != nil {
			return r.Err()
		}
		if p == len(s.parts) {
			s.addPartition(vec.MinTime, vec.MinTime)
		}
		c := s.parts[p]
		c.newest, c.clock, c.mark = vec.Time(r.Int()), vec.Time(r.Int()), vec.Time(r.Int())
		c.rows = r.Int()
		s.loadLines(r, c)
	}
	return r.Err()
}

func (s *stamp) loadLines(r *state.Reader, c *timelines) {
	var row vec.Batch // not keyRow, whose columns belong to others
	for range r.Count() {
		if c.keys == nil {
			r.Fail()
		}
		if r.Err() != nil {
			return
		}
		group, _ := c.keys.loadKey(r, &row)
		c.growLines()
		c.lines[group].mark = vec.Time(r.Int())
	}
}
