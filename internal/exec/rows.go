package exec

import (
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// stateless is the part of operators that hold nothing between batches.
type stateless struct{}

func (stateless) Advance(int, vec.Time, Emit) error { return nil }
func (stateless) Freeze(m *state.Memory) saved      { return nil }
func (stateless) Restore(*state.Reader) error       { return nil }

func (w *write) Freeze(m *state.Memory) saved { return nil }
func (w *write) Restore(*state.Reader) error  { return nil }

// pick sets out to the rows sel of b, the live columns only.
func pick(out, b *vec.Batch, sel []int32, live []bool) {
	if cap(out.Cols) < len(b.Cols) {
		out.Cols = make([]vec.Vec, len(b.Cols))
	}
	out.Cols = out.Cols[:len(b.Cols)]
	out.N = len(sel)
	out.Time = pickLane(out.Time, b.Time, sel)
	out.Seq = pickLane(out.Seq, b.Seq, sel)
	for c := range b.Cols {
		if live[c] {
			out.Cols[c].Gather(&b.Cols[c], sel)
		}
	}
}

func pickLane[T any](dst, src []T, sel []int32) []T {
	if src == nil {
		return nil
	}
	if cap(dst) < len(sel) {
		dst = make([]T, len(sel), max(len(sel), 64))
	}
	dst = dst[:len(sel)]
	for o, i := range sel {
		dst[o] = src[i]
	}
	return dst
}

// filter keeps the rows for which the predicate is true.
type filter struct {
	stateless
	g    *Graph
	pred truth
	f    frame
	live []bool
	sel  []int32
	out  vec.Batch
}

func newFilter(g *Graph, op *plan.Filter, live []bool) *filter {
	return &filter{g: g, pred: g.compiler().truth(op.Pred), live: live}
}

func (o *filter) Push(_ int, b *vec.Batch, emit Emit) error {
	o.f.start(b)
	t := o.pred.test(&o.f)
	if err := o.g.queryErrors(&o.f); err != nil {
		return err
	}
	o.sel = selectTrue(o.sel, t)
	if o.f.bad != nil {
		o.sel = without(o.sel, o.f.bad)
	}
	if len(o.sel) == b.N {
		return emit(b)
	}
	pick(&o.out, b, o.sel, o.live)
	return emit(&o.out)
}

// selectTrue gives the positions of true, without a branch per row.
func selectTrue(sel []int32, t []fn.Truth) []int32 {
	if cap(sel) < len(t) {
		sel = make([]int32, len(t))
	}
	sel = sel[:len(t)]
	n := 0
	for i, x := range t {
		sel[n] = int32(i)
		if x == fn.True {
			n++
		}
	}
	return sel[:n]
}

// without removes the rows marked bad from sel.
func without(sel []int32, bad []bool) []int32 {
	kept := sel[:0]
	for _, i := range sel {
		if !bad[i] {
			kept = append(kept, i)
		}
	}
	return kept
}

// project computes columns.
type project struct {
	stateless
	g     *Graph
	exprs []value
	f     frame
	sel   []int32
	all   []bool
	out   vec.Batch
	kept  vec.Batch
}

func newProject(g *Graph, op *plan.Project) *project {
	o := &project{g: g, exprs: g.compiler().all(op.Exprs)}
	o.out.Cols = make([]vec.Vec, len(o.exprs))
	o.all = make([]bool, len(o.exprs))
	for i := range o.all {
		o.all[i] = true
	}
	return o
}

func (o *project) Push(_ int, b *vec.Batch, emit Emit) error {
	o.f.start(b)
	for i, e := range o.exprs {
		o.out.Cols[i] = *e.eval(&o.f)
	}
	if err := o.g.queryErrors(&o.f); err != nil {
		return err
	}
	o.out.N, o.out.Time, o.out.Seq = b.N, b.Time, b.Seq
	if o.f.bad == nil {
		return emit(&o.out)
	}
	o.sel = o.sel[:0]
	for i, bad := range o.f.bad {
		if !bad {
			o.sel = append(o.sel, int32(i))
		}
	}
	pick(&o.kept, &o.out, o.sel, o.all)
	return emit(&o.kept)
}
