package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// order merges its inputs by (T, input, arrival). Rows wait until no earlier one can come
// (saql.md 4.3 step 4).
//
// Rows are collected in runs of some thousand. A run is sorted by itself once one of its
// rows may go; from then on the rows of a run that may go are always the next ones, and
// only those of all runs are sorted together.
type order struct {
	live  []bool
	cols  []plan.Col
	ports []vec.Time // watermark of each
	runs  [][]*run   // per port, in order of arrival
	some  []*run     // the runs that give rows now
	due   []dueRow
	spare []dueRow
	pool  []*run
	out   vec.Batch
	merge columnMerge
}

// run is rows of one port, copied. Those before at are gone.
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
	o := &order{live: live, cols: cols, ports: make([]vec.Time, ports), runs: make([][]*run, ports)}
	for i := range o.ports {
		o.ports[i] = vec.MinTime
	}
	return o
}

func (o *order) Push(port int, b *vec.Batch, emit Emit) error {
	r := o.openRun(port)
	for i, live := range o.live {
		if live {
			r.b.Cols[i].AppendRows(&b.Cols[i], nil, &r.arena)
		}
	}
	r.add(b.Time[:b.N])
	// Rows that do not move time on, such as those of an input without times, are followed
	// by no Advance. They need not wait for the next one.
	if len(o.ports) == 1 && slices.Max(b.Time[:b.N]) <= o.ports[0] {
		return o.give(o.ports[0], emit)
	}
	return nil
}

// openRun is the run of a port that takes rows.
func (o *order) openRun(port int) *run {
	if n := len(o.runs[port]); n > 0 {
		if r := o.runs[port][n-1]; !r.sealed && r.b.N < runRows {
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
	o.runs[port] = append(o.runs[port], r)
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
	// With several, an input of smaller number may still bring one.
	limit := low
	if len(o.ports) > 1 && low != vec.MaxTime {
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

// take sets due to the rows that may go, in order: those of equal time by port, run, and
// place in the run.
func (o *order) take(limit vec.Time) {
	o.due, o.some = o.due[:0], o.some[:0]
	for _, runs := range o.runs {
		for _, r := range runs {
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
	for p, runs := range o.runs {
		kept := runs[:0]
		for _, r := range runs {
			if r.sealed && r.at == len(r.sorted) {
				o.pool = append(o.pool, r)
			} else {
				kept = append(kept, r)
			}
		}
		clear(runs[len(kept):])
		o.runs[p] = kept
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

// Snapshot writes the waiting rows per port, in order of arrival.
func (o *order) Snapshot(w *state.Writer) {
	for p, runs := range o.runs {
		w.Int(int64(o.ports[p]))
		n := 0
		for _, r := range runs {
			n += r.b.N - r.at
		}
		w.Uint(uint64(n))
		for _, r := range runs {
			for i, waits := range r.waiting() {
				if waits {
					o.saveRow(w, r, i)
				}
			}
		}
	}
}

func (o *order) saveRow(w *state.Writer, r *run, i int) {
	w.Int(int64(r.b.Time[i]))
	for c, live := range o.live {
		if live {
			fn.SaveValue(w, r.b.Cols[c].At(i))
		}
	}
}

// waiting tells for each row whether it is still there.
func (r *run) waiting() []bool {
	waits := make([]bool, r.b.N)
	for i := range waits {
		waits[i] = true
	}
	for _, x := range r.sorted[:r.at] {
		waits[x.row] = false
	}
	return waits
}

func (o *order) Restore(r *state.Reader) error {
	for p := range o.ports {
		o.ports[p] = vec.Time(r.Int())
		for range r.Count() {
			x := o.openRun(p)
			x.add([]vec.Time{vec.Time(r.Int())})
			for c, live := range o.live {
				if live {
					x.b.Cols[c].Append(loadColumn(r, o.cols[c].Type))
				}
			}
			if r.Err() != nil {
				return r.Err()
			}
		}
	}
	return r.Err()
}
