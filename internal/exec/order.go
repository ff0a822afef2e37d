package exec

import (
	"cmp"
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// order merges its inputs by (T, input, partition, arrival). Rows wait until no earlier one
// can come (saql.md 4.3 step 4).
//
// Rows are collected in runs of some thousand. A run is sorted by itself once one of its
// rows may go; from then on the rows of a run that may go are always the next ones, and
// only those of all runs are sorted together.
type order struct {
	keptRows
	cols  []plan.Col
	ports []vec.Time // watermark of each
	lanes []*lane    // by port and part; each port has one at least
	last  *lane      // the one that took rows last
	// stamps give the rows, if nothing between here and there holds them. Where one has several
	// partitions, rows of the watermark's own time have to wait.
	stamps []*stamp
	some   []*run // the runs that give rows now
	due    []dueRow
	spare  []dueRow
	pool   []*run
	out    vec.Batch
	merge  columnMerge
}

// lane is the rows of one partition of a port. Part is what stands above rowBits in the
// numbers of its rows.
type lane struct {
	port int
	part int64
	runs []*run // in order of arrival
}

// run is rows of one lane, copied. Those before at are gone.
type run struct {
	b      vec.Batch
	arena  vec.Arena
	first  vec.Time // the earliest T
	sealed bool     // no rows are added any more; sorted holds them in order
	sorted []dueRow
	at     int
}

// dueRow is a row that is being sorted: its time, and where it is.
type dueRow struct {
	t   vec.Time
	run int32
	row int32
}

// runRows is how many rows a run takes.
const runRows = 4096

func newOrder(ports int, live []bool, cols []plan.Col) *order {
	o := &order{keptRows: keptRows{live: live}, cols: cols, ports: make([]vec.Time, ports)}
	for i := range o.ports {
		o.ports[i] = vec.MinTime
		o.lanes = append(o.lanes, &lane{port: i})
	}
	return o
}

func (o *order) Push(port int, b *vec.Batch, emit Emit) error {
	part := int64(0)
	if b.Seq != nil {
		part = b.Seq[0] >> rowBits // all rows of a batch have come together
	}
	r := o.openRun(o.lane(port, part))
	for i, live := range o.live {
		if live {
			r.b.Cols[i].AppendRows(&b.Cols[i], nil, &r.arena)
		}
	}
	r.add(b.Time[:b.N])
	// Rows that do not move time on, such as those of an input without times, are followed
	// by no Advance. They need not wait for the next one.
	if len(o.ports) == 1 && !o.wide() && slices.Max(b.Time[:b.N]) <= o.ports[0] {
		return o.give(o.ports[0], emit)
	}
	return nil
}

// wide reports whether an input has several partitions.
func (o *order) wide() bool {
	for _, s := range o.stamps {
		if len(s.parts) > 1 {
			return true
		}
	}
	return false
}

// lane finds the rows of a partition, or makes the place for them.
func (o *order) lane(port int, part int64) *lane {
	if l := o.last; l != nil && l.port == port && l.part == part {
		return l
	}
	i, found := slices.BinarySearchFunc(o.lanes, lane{port: port, part: part}, func(l *lane, want lane) int {
		if c := cmp.Compare(l.port, want.port); c != 0 {
			return c
		}
		return cmp.Compare(l.part, want.part)
	})
	if !found {
		o.lanes = slices.Insert(o.lanes, i, &lane{port: port, part: part})
	}
	o.last = o.lanes[i]
	return o.last
}

// openRun is the run of a lane that takes rows.
func (o *order) openRun(l *lane) *run {
	if n := len(l.runs); n > 0 {
		if r := l.runs[n-1]; !r.sealed && r.b.N < runRows {
			return r
		}
	}
	var r *run
	if n := len(o.pool); n > 0 {
		r, o.pool = o.pool[n-1], o.pool[:n-1]
		r.b.Reset(len(o.live))
		r.arena.Reset()
		r.sealed, r.at = false, 0
	} else {
		r = &run{b: vec.Batch{Cols: make([]vec.Vec, len(o.live))}}
	}
	r.first = vec.MaxTime
	l.runs = append(l.runs, r)
	return r
}

func (r *run) add(times []vec.Time) {
	r.b.Time = append(r.b.Time, times...)
	r.b.N += len(times)
	for _, t := range times {
		r.first = min(r.first, t)
	}
}

func (o *order) Advance(port int, t vec.Time, emit Emit) error {
	o.ports[port] = t
	low := o.ports[0]
	for _, p := range o.ports[1:] {
		low = min(low, p)
	}
	if low == vec.MinTime {
		return nil // an input has not begun
	}
	// With one input a row at the watermark may go: later rows of that time come after it.
	// With several, an input or partition of smaller number may still bring one.
	limit := low
	if low != vec.MaxTime && (len(o.ports) > 1 || o.wide()) {
		limit--
	}
	return o.give(limit, emit)
}

// give passes on what waits up to limit.
func (o *order) give(limit vec.Time, emit Emit) error {
	o.take(limit)
	defer o.free()
	for from := 0; from < len(o.due); from += limits.results {
		if err := o.release(o.due[from:min(from+limits.results, len(o.due))], emit); err != nil {
			return err
		}
	}
	return nil
}

// take sets due to the rows that may go, in order: those of equal time by lane, run, and
// place in the run.
func (o *order) take(limit vec.Time) {
	o.due, o.some = o.due[:0], o.some[:0]
	for _, l := range o.lanes {
		for _, r := range l.runs {
			if r.first > limit {
				continue
			}
			if !r.sealed {
				o.seal(r)
			}
			k := int32(len(o.some))
			o.some = append(o.some, r)
			for r.at < len(r.sorted) && r.sorted[r.at].t <= limit {
				o.due = append(o.due, dueRow{r.sorted[r.at].t, k, r.sorted[r.at].row})
				r.at++
			}
			if r.first = vec.MaxTime; r.at < len(r.sorted) {
				r.first = r.sorted[r.at].t
			}
		}
	}
	if len(o.some) > 1 {
		o.due, o.spare = sortDue(o.due, o.spare)
	}
}

// seal sorts a run.
func (o *order) seal(r *run) {
	r.sealed = true
	r.sorted = r.sorted[:0]
	for i, t := range r.b.Time {
		r.sorted = append(r.sorted, dueRow{t, 0, int32(i)})
	}
	r.sorted, o.spare = sortDue(r.sorted, o.spare)
}

// free takes back the runs whose rows are gone.
func (o *order) free() {
	for _, l := range o.lanes {
		kept := l.runs[:0]
		for _, r := range l.runs {
			if r.sealed && r.at == len(r.sorted) {
				o.pool = append(o.pool, r)
			} else {
				kept = append(kept, r)
			}
		}
		clear(l.runs[len(kept):])
		l.runs = kept
	}
}

// release emits rows.
func (o *order) release(rows []dueRow, emit Emit) error {
	o.out.Time = o.out.Time[:0]
	for i := range rows {
		o.out.Time = append(o.out.Time, rows[i].t)
	}
	o.out.N = len(rows)
	if len(o.out.Cols) < len(o.live) {
		o.out.Cols = make([]vec.Vec, len(o.live))
	}
	for c, live := range o.live {
		if live {
			o.merge.column(&o.out.Cols[c], c, o.some, rows)
		}
	}
	return emit(&o.out)
}

// Freeze copies the waiting rows per lane, in order of arrival.
func (o *order) Freeze(m *state.Memory) saved {
	ports := slices.Clone(o.ports)
	type frozenRun struct {
		time []vec.Time
		gone []dueRow
		cols []vec.Vec
	}
	type frozenLane struct {
		port int
		part int64
		runs []frozenRun
	}
	lanes := make([]frozenLane, len(o.lanes))
	for i, l := range o.lanes {
		lanes[i] = frozenLane{port: l.port, part: l.part}
		for _, r := range l.runs {
			lanes[i].runs = append(lanes[i].runs, frozenRun{state.Copy(m, r.b.Time), state.Copy(m, r.sorted[:r.at]), o.freeze(r.b.Cols, 0, m)})
		}
	}
	return func(w *state.Writer) {
		for _, t := range ports {
			w.Int(int64(t))
		}
		w.Uint(uint64(len(lanes)))
		for _, l := range lanes {
			w.Uint(uint64(l.port))
			w.Int(l.part)
			n := 0
			for _, r := range l.runs {
				n += len(r.time) - len(r.gone)
			}
			w.Uint(uint64(n))
			for _, r := range l.runs {
				gone := make([]bool, len(r.time))
				for _, x := range r.gone {
					gone[x.row] = true
				}
				for i, t := range r.time {
					if !gone[i] {
						w.Int(int64(t))
						saveRow(w, r.cols, i)
					}
				}
			}
		}
	}
}

func (o *order) Restore(r *state.Reader) error {
	for p := range o.ports {
		o.ports[p] = vec.Time(r.Int())
	}
	for range r.Count() {
		port, part := r.Uint(), r.Int()
		if port >= uint64(len(o.ports)) || part < 0 {
			r.Fail()
		}
		for range r.Count() {
			if r.Err() != nil {
				return r.Err()
			}
			x := o.openRun(o.lane(int(port), part))
			x.add([]vec.Time{vec.Time(r.Int())})
			o.load(r, x.b.Cols, func(c int) vec.Kinds { return o.cols[c].Type })
		}
	}
	return r.Err()
}
