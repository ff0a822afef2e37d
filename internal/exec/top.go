package exec

import (
	"cmp"
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// top orders the rows of each time and keeps the first of them (plan.Top; saql.md 5.10).
// Rows wait until the watermark has passed their time.
type top struct {
	keptRows
	op    *plan.Top
	cols  []plan.Col
	rows  vec.Batch
	spare vec.Batch
	sel   []int32
	rest  []int32
	out   vec.Batch
	arena [2]*vec.Arena // of rows and of spare
}

func newTop(n *plan.Node, op *plan.Top, live []bool) *top {
	o := &top{op: op, cols: n.Cols, keptRows: keptRows{live: plan.KeptColumns(n, live)[0]}, arena: [2]*vec.Arena{{}, {}}}
	o.rows.Reset(len(live))
	o.spare.Reset(len(live))
	return o
}

func (o *top) Push(_ int, b *vec.Batch, _ Emit) error {
	o.take(&o.rows, b, nil, o.arena[0])
	return nil
}

// take adds rows of src to dst.
func (o *top) take(dst, src *vec.Batch, sel []int32, arena *vec.Arena) {
	for c, live := range o.live {
		if live {
			dst.Cols[c].AppendRows(&src.Cols[c], sel, arena)
		}
	}
	if sel == nil {
		dst.Time = append(dst.Time, src.Time[:src.N]...)
	}
	for _, i := range sel {
		dst.Time = append(dst.Time, src.Time[i])
	}
	dst.N = len(dst.Time)
}

func (o *top) Advance(_ int, t vec.Time, emit Emit) error {
	o.sel, o.rest = o.sel[:0], o.rest[:0]
	for i, x := range o.rows.Time {
		if x < t {
			o.sel = append(o.sel, int32(i))
		} else {
			o.rest = append(o.rest, int32(i))
		}
	}
	if len(o.sel) == 0 {
		return nil
	}
	slices.SortStableFunc(o.sel, o.compare)
	o.cut()
	for from := 0; from < len(o.sel); from += limits.results {
		pick(&o.out, &o.rows, o.sel[from:min(from+limits.results, len(o.sel))], o.live)
		o.out.Seq = nil
		if err := emit(&o.out); err != nil {
			return err
		}
	}
	o.keepRest()
	return nil
}

// compare orders rows by time and the columns of ORDER BY.
func (o *top) compare(a, b int32) int {
	if c := cmp.Compare(o.rows.Time[a], o.rows.Time[b]); c != 0 {
		return c
	}
	for k, by := range o.op.By {
		c := compareOrder(&o.rows.Cols[by], int(a), int(b))
		if c == 0 {
			continue
		}
		if o.op.Desc[k] {
			return -c
		}
		return c
	}
	return 0
}

// cut keeps the first N rows of each time.
func (o *top) cut() {
	if o.op.N < 0 {
		return
	}
	kept, n, at := o.sel[:0], int64(0), vec.MinTime
	for _, i := range o.sel {
		if t := o.rows.Time[i]; t != at {
			n, at = 0, t
		}
		if n < o.op.N {
			kept = append(kept, i)
		}
		n++
	}
	o.sel = kept
}

// keepRest forgets all rows but those that still wait.
func (o *top) keepRest() {
	o.spare.Reset(len(o.live))
	o.arena[1].Reset()
	if len(o.rest) > 0 {
		o.take(&o.spare, &o.rows, o.rest, o.arena[1])
	}
	o.rows, o.spare = o.spare, o.rows
	o.arena[0], o.arena[1] = o.arena[1], o.arena[0]
}

// orderRank orders kinds for ORDER BY: NULL, then by type precedence (saql.md 3.4), numbers
// as one; records and arrays, which have no order, come last.
var orderRank = [vec.NumKinds]int8{vec.String: 1, vec.Bit: 2, vec.Int: 2, vec.Float: 2, vec.Datetime: 3, vec.Record: 4, vec.Array: 5}

// compareOrder compares two rows of a column as ORDER BY does (saql.md 5.10).
func compareOrder(v *vec.Vec, a, b int) int {
	x, y := v.KindAt(a), v.KindAt(b)
	if c := cmp.Compare(orderRank[x], orderRank[y]); c != 0 || x.IsNull() {
		return c
	}
	if x == vec.String {
		return cmp.Compare(v.StrAt(a), v.StrAt(b))
	}
	c, _ := vec.Compare(v.At(a), v.At(b))
	return c
}

// held is how many rows wait.
func (o *top) held() int { return o.rows.N }

func (o *top) Freeze(m *state.Memory) saved {
	time, cols := state.Copy(m, o.rows.Time), o.freeze(o.rows.Cols, 0, m)
	return func(w *state.Writer) {
		w.Uint(uint64(len(time)))
		for i, t := range time {
			w.Int(int64(t))
			saveRow(w, cols, i)
		}
	}
}

func (o *top) Restore(r *state.Reader) error {
	for range r.Count() {
		o.rows.Time = append(o.rows.Time, vec.Time(r.Int()))
		o.rows.N++
		o.load(r, o.rows.Cols, func(c int) vec.Kinds { return o.cols[c].Type })
		if r.Err() != nil {
			return r.Err()
		}
	}
	return r.Err()
}
