package exec

import (
	"cmp"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// comparison is a comparison of values of a thread, or of one with a constant. Most
// definitions that look back are of these, and they need no evaluator.
type comparison struct {
	op   fn.CmpOp
	a, b operand
}

// operand is a ref, or a constant where ref is negative.
type operand struct {
	ref int
	val vec.Value
}

// comparisons are the terms as such, nil if one of them is more than a comparison.
func comparisons(terms []*plan.Expr) []comparison {
	var out []comparison
	for _, e := range terms {
		if e.Op != plan.OpCmp {
			return nil
		}
		c := comparison{op: cmpOps[e.Sub]}
		for i, x := range []*operand{&c.a, &c.b} {
			switch a := e.Args[i]; a.Op {
			case plan.OpCol:
				x.ref = a.Col
			case plan.OpConst:
				x.ref, x.val = -1, a.Val
			default:
				return nil
			}
		}
		out = append(out, c)
	}
	return out
}

// ask evaluates the definition of a variable for a row of the batch at hand and the cells
// of a thread that has it.
func (o *match) ask(v int32, say uint8, cells []int32, row int32) (bool, error) {
	d := o.defs[v]
	if say == askRest && d.plain != nil {
		if holds, ok := o.refs.all(d.plain, cells); ok {
			return holds, nil
		}
	}
	p, reads := d.full, d.reads
	if say == askRest {
		p, reads = d.rest, d.restReads
	}
	d.row.Time[0] = o.in.Time[row]
	d.one.start(&d.row)
	for _, ref := range reads {
		o.refs.view(ref, cells, &d.row.Cols[ref])
		if at := &o.refs.of[ref]; cells[at.cell] < noRow {
			d.one.fail(at.span, 0, o.refs.cells[at.cell].misfit(cells[at.cell]))
		}
	}
	ok := p.test(&d.one)[0] == fn.True
	if e := d.one.first; e != nil {
		return false, &QueryError{Span: e.Span, Message: e.Message, Row: int(row)}
	}
	return ok, nil
}

// view makes out a column of one row: a ref over the cells of a thread. It shares memory
// with the rows.
func (r *matchRefs) view(ref int, cells []int32, out *vec.Vec) {
	at := &r.of[ref]
	row := cells[at.cell]
	if row < 0 {
		*out = vec.Vec{N: 1, Kind: vec.Null}
		return
	}
	col, i := r.find(at.col, row)
	if r.cells[at.cell].numbers && col.KindAt(i) == vec.String {
		*out = vec.Vec{}
		out.Append(r.value(ref, cells))
		return
	}
	slice(out, col, i, i+1)
}

// all reports whether all comparisons are true. It is not ok if one would be a query error.
func (r *matchRefs) all(list []comparison, cells []int32) (holds, ok bool) {
	holds = true
	for i := range list {
		c := &list[i]
		if c.a.ref >= 0 && cells[r.of[c.a.ref].cell] < noRow || c.b.ref >= 0 && cells[r.of[c.b.ref].cell] < noRow {
			return false, false
		}
		switch r.test(c, cells) {
		case fn.False:
			return false, true // the others are not evaluated (saql.md 3.2)
		case fn.Unknown:
			holds = false
		}
	}
	return holds, true
}

// test is a comparison over the cells of a thread.
func (r *matchRefs) test(c *comparison, cells []int32) fn.Truth {
	x, isInt := r.whole(&c.a, cells)
	if isInt {
		if y, isInt := r.whole(&c.b, cells); isInt {
			return c.op.Of(cmp.Compare(x, y))
		}
	}
	return fn.CompareValues(c.op, r.operand(&c.a, cells), r.operand(&c.b, cells))
}

// whole is an operand if it is a bigint.
func (r *matchRefs) whole(x *operand, cells []int32) (int64, bool) {
	if x.ref < 0 {
		return x.val.Int, x.val.Kind == vec.Int
	}
	at := &r.of[x.ref]
	row := cells[at.cell]
	if row < 0 {
		return 0, false
	}
	col, i := r.find(at.col, row)
	if col.KindAt(i) != vec.Int {
		return 0, false
	}
	return col.Int[i], true
}

func (r *matchRefs) operand(x *operand, cells []int32) vec.Value {
	if x.ref < 0 {
		return x.val
	}
	return r.value(x.ref, cells)
}
