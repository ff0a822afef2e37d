package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// measures computes the rows of matches.
type measures struct {
	exprs []value
	reads []bool // the refs, and behind them the names of Classifier()
	f     frame
	refs  vec.Batch
	out   vec.Batch
	kept  vec.Batch
	sel   []int32
	all   []bool
	cells [][]int32
}

func (m *measures) init(op *plan.Match) {
	m.exprs = newCompiler().all(op.Measures)
	m.reads = make([]bool, len(op.Refs)+1)
	for _, e := range op.Measures {
		plan.MarkExpr(e, m.reads)
	}
	m.refs.Cols = make([]vec.Vec, len(op.Refs)+1)
	m.out.Cols = make([]vec.Vec, len(op.Measures))
	m.all = make([]bool, len(op.Measures))
	for i := range m.all {
		m.all[i] = true
	}
}

// emit passes on the rows of matches.
func (o *match) emit(found []finding, emit Emit) error {
	m := &o.out
	m.refs.N, m.refs.Time, m.cells = len(found), m.refs.Time[:0], m.cells[:0]
	for _, x := range found {
		m.refs.Time = append(m.refs.Time, x.t)
		m.cells = append(m.cells, o.ends[x.at+recCells:x.at+o.stride])
	}
	m.f.start(&m.refs)
	for ref := range o.op.Refs {
		if m.reads[ref] {
			o.refs.gather(ref, &m.refs.Cols[ref], m.cells, &m.f)
		}
	}
	if o.names != nil {
		col := m.refs.Cols[len(o.op.Refs)].Fixed(vec.Array, len(found))
		for i, x := range found {
			col.Rec[i] = o.path(o.ends[x.at+recLink])
		}
	}
	for i, e := range m.exprs {
		m.out.Cols[i] = *e.eval(&m.f)
	}
	if err := o.g.queryErrorsOf(&m.f, o.refLabels); err != nil {
		return err
	}
	m.out.N, m.out.Time = m.refs.N, m.refs.Time
	if m.f.bad == nil {
		return emit(&m.out)
	}
	m.sel = m.sel[:0]
	for i, bad := range m.f.bad {
		if !bad {
			m.sel = append(m.sel, int32(i))
		}
	}
	pick(&m.kept, &m.out, m.sel, m.all)
	return emit(&m.kept)
}

// path is the array of Classifier() for the path that ends with a link.
func (o *match) path(at int32) *vec.Rec {
	n := 0
	for i := at; i >= 0; i = o.links[i].prev {
		n++
	}
	rec := &vec.Rec{Vals: make([]vec.Value, n)}
	for i := at; i >= 0; i = o.links[i].prev {
		n--
		rec.Vals[n] = vec.StringValue(o.names[o.links[i].pos])
	}
	return rec
}

// refLabels are the names of the columns that the measures refer to.
func (o *match) refLabels() []string {
	names := make([]string, len(o.op.Refs))
	for i, ref := range o.op.Refs {
		names[i] = o.g.label(o.node.In[0], ref.Col)
	}
	return names
}
