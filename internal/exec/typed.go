package exec

import (
	"math"

	"weir/internal/plan"
	"weir/internal/vec"
)

// typed enforces the types of a CREATE TABLE on the events of an input (saql.md 3.3): it
// converts what the table of that section converts, and drops events with anything else.
type typed struct {
	g     *Graph
	input int
	types []vec.Kind // per field; Missing: not declared
	out   vec.Batch
	kept  vec.Batch
	sel   []int32
	all   []bool
}

func newTyped(g *Graph, input int, in plan.Input) *typed {
	t := &typed{g: g, input: input, types: make([]vec.Kind, len(in.Fields)), all: make([]bool, len(in.Fields))}
	for i, f := range in.Fields {
		t.all[i] = true
		if len(f.Path) != 1 || f.Want != vec.AsValue {
			continue
		}
		for _, c := range in.Table {
			if c.Name == f.Path[0] {
				t.types[i] = c.Type
			}
		}
	}
	return t
}

// convert gives the events that fit the table. The result is valid until the next call.
func (t *typed) convert(b *vec.Batch) *vec.Batch {
	t.out.Reset(len(b.Cols))
	t.out.N, t.out.Arrival = b.N, append(t.out.Arrival[:0], b.Arrival...)
	var bad []bool
	for c := range b.Cols {
		want := t.types[c]
		if want == vec.Missing || b.Cols[c].Tag == nil && b.Cols[c].Kind == want && want != vec.Float {
			t.out.Cols[c] = b.Cols[c]
			continue
		}
		out := &vec.Vec{}
		out.Tagged(b.N)
		for i := range b.N {
			v, ok := declared(b.Cols[c].At(i), want)
			if !ok {
				if bad == nil {
					bad = make([]bool, b.N)
				}
				bad[i] = true
				continue
			}
			out.Set(i, v)
		}
		t.out.Cols[c] = *out
	}
	if b.Arrival == nil {
		t.out.Arrival = nil
	}
	if bad == nil {
		return &t.out
	}
	return t.without(bad)
}

func (t *typed) without(bad []bool) *vec.Batch {
	t.sel = t.sel[:0]
	for i, b := range bad {
		if !b {
			t.sel = append(t.sel, int32(i))
			continue
		}
		t.g.Counts.Dropped[TypeConversion]++
		if t.g.opts.OnDrop != nil {
			t.g.opts.OnDrop(t.input, i, TypeConversion)
		}
	}
	pick(&t.kept, &t.out, t.sel, t.all)
	t.kept.Arrival = pickLane(t.kept.Arrival, t.out.Arrival, t.sel)
	return &t.kept
}

// declared converts a value to a declared type, or reports that it does not fit.
func declared(v vec.Value, want vec.Kind) (vec.Value, bool) {
	switch {
	case v.Kind.IsNull():
		return vec.NullValue(), true
	case v.Kind == want:
		return v, want != vec.Float || !math.IsNaN(v.Float) && !math.IsInf(v.Float, 0)
	case want == vec.Float && v.Kind == vec.Int:
		return vec.FloatValue(float64(v.Int)), true
	case want == vec.Int && v.Kind == vec.Bit:
		return vec.IntValue(v.Int), true
	case want == vec.Datetime && v.Kind == vec.String:
		t, ok := vec.ParseTime(v.Str)
		return vec.TimeValue(t), ok
	}
	return v, false
}
