package exec

import (
	"weir/internal/diag"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// apply makes a row of each element of an array or property of a record (plan.Apply;
// saql.md 6.7).
type apply struct {
	stateless
	g    *Graph
	op   *plan.Apply
	live []bool
	arg  value
	span diag.Span

	f       frame
	from    []int32    // the row that each row is made of
	made    [2]vec.Vec // index or name, and value
	out     vec.Batch
	numbers numbers
}

func newApply(g *Graph, _ *plan.Node, op *plan.Apply, live []bool) *apply {
	o := &apply{g: g, op: op, live: live, arg: g.compiler().value(op.Arg), span: op.Arg.Span}
	o.out.Cols = make([]vec.Vec, len(op.Out))
	return o
}

func (o *apply) Push(_ int, b *vec.Batch, emit Emit) error {
	o.f.start(b)
	arg := o.arg.eval(&o.f)
	for i := range b.N {
		if k := arg.KindAt(i); !k.IsNull() && k != o.op.Of {
			o.f.fail(o.span, i, "cannot cast value of type "+k.String()+" to type "+o.op.Of.String())
		}
	}
	if err := o.g.queryErrors(&o.f); err != nil {
		return err
	}
	o.begin()
	for i := range b.N {
		if o.f.bad != nil && o.f.bad[i] {
			continue
		}
		var r *vec.Rec
		if !arg.KindAt(i).IsNull() {
			r = arg.Rec[i]
		}
		if r == nil || len(r.Vals) == 0 {
			if o.op.Outer {
				o.add(i, vec.NullValue(), vec.NullValue())
			}
			continue
		}
		for e := range r.Vals {
			o.element(i, r, e)
			if len(o.from) >= limits.results {
				if err := o.flush(b, emit); err != nil {
					return err
				}
			}
		}
	}
	return o.flush(b, emit)
}

func (o *apply) begin() {
	o.from = o.from[:0]
	o.made[0].Reset()
	o.made[1].Reset()
}

// element adds a row for element e of r.
func (o *apply) element(row int, r *vec.Rec, e int) {
	at := vec.IntValue(int64(e))
	if o.op.Of == vec.Record {
		at = vec.StringValue(r.Names[e])
	}
	v := r.Vals[e]
	if v.Kind == vec.Missing {
		v.Kind = vec.Null
	}
	o.add(row, at, v)
}

func (o *apply) add(row int, at, v vec.Value) {
	o.from = append(o.from, int32(row))
	o.made[0].Append(at)
	o.made[1].Append(v)
}

func (o *apply) flush(b *vec.Batch, emit Emit) error {
	if len(o.from) == 0 {
		return nil
	}
	o.out.N = len(o.from)
	o.out.Time = pickLane(o.out.Time, b.Time, o.from)
	o.out.Seq = o.numbers.of(b.Seq, o.from)
	for c, live := range o.live {
		if !live {
			continue
		}
		if from := o.op.Out[c]; from.Port == plan.Made {
			o.out.Cols[c] = o.made[from.Col]
		} else {
			o.out.Cols[c].Gather(&b.Cols[from.Col], o.from)
		}
	}
	err := emit(&o.out)
	o.begin()
	return err
}

func (o *apply) Freeze(m *state.Memory) saved { return eager(o.numbers.snapshot) }

func (o *apply) Restore(r *state.Reader) error { return o.numbers.restore(r) }
