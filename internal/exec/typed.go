package exec

import (
	"math"
	"strings"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// typed enforces the types of a CREATE TABLE on the events of an input (saql.md 3.3): it
// converts what the table of that section converts, and drops events with anything else.
type typed struct {
	g         *Graph
	input     int
	text      bool       // values are text of a CSV file, which is read as what is declared
	types     []vec.Kind // per field; Missing: not declared
	converted []vec.Vec  // per field
	tags      [][]vec.Kind
	all       []bool
	bad       []bool
	out       vec.Batch
	kept      vec.Batch
	sel       []int32 // events that fit; nil: all
}

func newTyped(g *Graph, input int, in plan.Input, text bool) *typed {
	t := &typed{g: g, input: input, text: text, types: make([]vec.Kind, len(in.Fields)), all: make([]bool, len(in.Fields)),
		converted: make([]vec.Vec, len(in.Fields)), tags: make([][]vec.Kind, len(in.Fields))}
	for i, f := range in.Fields {
		t.all[i] = true
		if len(f.Path) == 1 && f.Want == vec.AsValue {
			t.types[i] = declaredType(in.Table, f.Path[0])
		}
	}
	return t
}

// declaredType finds a column by its exact name, else without case (saql.md 1.6).
func declaredType(table []plan.TableCol, name string) vec.Kind {
	for _, c := range table {
		if c.Name == name {
			return c.Type
		}
	}
	for _, c := range table {
		if strings.EqualFold(c.Name, name) {
			return c.Type
		}
	}
	return vec.Missing
}

// convert gives the events that fit the table. The result is valid until the next call.
func (t *typed) convert(b *vec.Batch) *vec.Batch {
	t.out.N, t.out.Arrival, t.out.Cols = b.N, b.Arrival, t.out.Cols[:0]
	t.sel = nil
	failed := false
	t.bad = resize(t.bad, b.N)
	clear(t.bad)
	for c := range b.Cols {
		want, col := t.types[c], &b.Cols[c]
		switch {
		case want == vec.Missing || isOf(col, want):
			t.out.Cols = append(t.out.Cols, *col)
		case isOfOrNull(col, want):
			t.out.Cols = append(t.out.Cols, t.present(c, col))
		default:
			failed = !t.column(&t.converted[c], col, want) || failed
			t.out.Cols = append(t.out.Cols, t.converted[c])
		}
	}
	if !failed {
		return &t.out
	}
	return t.without(b.N)
}

// isOf reports whether all rows are of a kind.
func isOf(v *vec.Vec, want vec.Kind) bool { return v.Tag == nil && v.Kind == want && finite(v) }

// isOfOrNull reports whether all rows are of a kind, NULL or absent.
func isOfOrNull(v *vec.Vec, want vec.Kind) bool {
	if v.Tag == nil || !finite(v) {
		return false
	}
	for _, k := range v.Tag {
		if k != want && !k.IsNull() {
			return false
		}
	}
	return true
}

// finite reports whether there is no NaN and no infinity among the floats.
func finite(v *vec.Vec) bool {
	for _, x := range v.Float {
		if x-x != 0 {
			return false
		}
	}
	return true
}

// present is a column with absent values turned into NULL. It shares the rest.
func (t *typed) present(c int, col *vec.Vec) vec.Vec {
	tags := append(t.tags[c][:0], col.Tag...)
	for i, k := range tags {
		if k == vec.Missing {
			tags[i] = vec.Null
		}
	}
	t.tags[c] = tags
	out := *col
	out.Tag = tags
	return out
}

// column converts a column, notes the rows that do not fit, and reports whether all do.
func (t *typed) column(out, col *vec.Vec, want vec.Kind) bool {
	fits := true
	out.Tagged(col.N)
	for i := range col.N {
		v, ok := t.declared(col.At(i), want)
		if ok {
			out.Set(i, v)
			continue
		}
		fits, t.bad[i] = false, true
	}
	return fits
}

// without drops the events that do not fit.
func (t *typed) without(n int) *vec.Batch {
	t.sel = make([]int32, 0, n)
	for i, b := range t.bad {
		if !b {
			t.sel = append(t.sel, int32(i))
			continue
		}
		t.g.eventDropped(t.input, i, TypeConversion)
	}
	pick(&t.kept, &t.out, t.sel, t.all)
	t.kept.Arrival = pickLane(t.kept.Arrival, t.out.Arrival, t.sel)
	return &t.kept
}

// notFinite reports whether v is NaN or an infinity, or in a CSV file a word for one: at
// level 1.0 such an event passes, with NULL (saql.md 3.3).
func notFinite(v vec.Value, text bool) bool {
	switch {
	case v.Kind == vec.Float:
		return v.Float-v.Float != 0
	case v.Kind == vec.String && text:
		word := strings.TrimLeft(strings.ToLower(strings.TrimSpace(v.Str)), "+-")
		return word == "nan" || word == "inf" || word == "infinity"
	}
	return false
}

// declared converts a value to a declared type, or reports that it does not fit. Text of a
// CSV file is read by the rules of CAST; an empty field is NULL (saql.md 3.10).
func (t *typed) declared(v vec.Value, want vec.Kind) (vec.Value, bool) {
	level := t.g.plan.Level
	switch {
	case v.Kind.IsNull():
		return vec.NullValue(), true
	case want == vec.Float && level == plan.Level10 && notFinite(v, t.text):
		return vec.NullValue(), true
	case want == vec.Bit && level != plan.Level12 && v.Kind == vec.Int && v.Int>>1 == 0:
		return vec.Value{Kind: vec.Bit, Int: v.Int}, true
	case t.text && v.Kind == vec.String && want != vec.String:
		if v.Str == "" || want == vec.Bit && v.Str == "null" {
			return vec.NullValue(), true
		}
		return fn.CastValue(v, want)
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
