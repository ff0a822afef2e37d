package exec

import (
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// misfitFinder finds the rows that an aggregate cannot take, such as text that reads as no
// number. Where query errors drop rows, such a row is dropped before any aggregate or window
// sees it (saql.md 0: "in an aggregate, the row that fed it"). The aggregate itself is the
// judge: it is fed one value and asked for the result.
type misfitFinder struct {
	acc   fn.Acc
	cols  []int              // the columns to look at: the argument, or the order keys
	at    int                // the place of the first of them among the arguments
	known [vec.NumKinds]int8 // 1: fits, -1: does not; 0: not known, or differs by value
	call  fn.Call
	bad   bool
	// message is what the judge last said against a value.
	message string
	out     vec.Vec
	row     vec.Vec
	args    []*vec.Vec // row, among NULLs
	slot    [1]int32
}

func newMisfitFinder(acc fn.Acc, a plan.GroupAgg) *misfitFinder {
	f := &misfitFinder{acc: acc}
	switch {
	case len(a.Desc) > 0:
		f.at = len(a.Args) - len(a.Desc)
		f.cols = a.Args[f.at:]
	case len(a.Args) == 1 && !a.Fn.InOrder:
		f.cols = a.Args
	}
	null := vec.Values(vec.NullValue())
	for range a.Args {
		f.args = append(f.args, &null)
	}
	if f.cols != nil {
		f.args[f.at] = &f.row
	}
	f.acc.Grow(1)
	f.call.OnError = func(_ int, message string) { f.bad, f.message = true, message }
	for _, k := range []vec.Kind{vec.Missing, vec.Null, vec.Bit, vec.Int, vec.Float} {
		f.known[k] = 1 // all that take arguments take numbers
	}
	return f
}

// misfit reports whether the aggregate cannot take row i of v.
func (f *misfitFinder) misfit(v *vec.Vec, i int) bool {
	k := v.KindAt(i)
	if f.known[k] != 0 {
		return f.known[k] < 0
	}
	f.bad = false
	f.row.Reset()
	f.row.Append(v.At(i))
	f.acc.Add(f.slot[:], f.args)
	f.acc.Result(&f.call, f.slot[:], &f.out)
	f.acc.Reset(f.slot[:])
	if k != vec.String { // texts differ
		f.known[k] = 1
		if f.bad {
			f.known[k] = -1
		}
	}
	return f.bad
}

// misfitOf is the first aggregate that cannot take row i, or -1.
func (o *grouping) misfitOf(b *vec.Batch, i int) int {
	for j, f := range o.misfits {
		for _, c := range f.cols {
			if f.misfit(&b.Cols[c], i) {
				return j
			}
		}
	}
	return -1
}

// fitting gives b without the rows that some aggregate cannot take, and counts these.
func (o *grouping) fitting(b *vec.Batch) *vec.Batch {
	o.sel = o.sel[:0]
	for i := range b.N {
		if bad := o.misfitOf(b, i); bad >= 0 {
			o.g.rowFailed(&QueryError{Span: o.op.Aggs[bad].Span, Message: o.misfits[bad].message, Row: i}, b)
			continue
		}
		o.sel = append(o.sel, int32(i))
	}
	if len(o.sel) == b.N {
		return b
	}
	pick(&o.fits, b, o.sel, o.live)
	return &o.fits
}
