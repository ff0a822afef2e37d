package plan

import (
	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// applying is an APPLY: a row for each element of a value of the left row (saql.md 6.7).
type applying struct {
	b     *block
	left  table
	elem  *source
	arg   *Expr
	of    vec.Kind // Array or Record
	outer bool
	at    diag.Span
}

func (a *applying) all() []*source  { return append(a.left.all(), a.elem) }
func (a *applying) reference() bool { return a.left.reference() }
func (a *applying) known() []bound  { return a.left.known() }

// age of the element is none: it comes into being with the row.
func (a *applying) age(s *source) interval {
	if s == a.elem {
		return interval{}
	}
	return a.left.age(s)
}

// apply checks APPLY and adds its source.
func (b *block) apply(t *saql.Apply, left table) table {
	c := b.c
	x := b.exprs(inApply)
	a := &applying{b: b, left: left, of: vec.Array, outer: t.Outer, at: diag.Span{Start: t.Func.Span.Start, End: t.Alias.Span.End}}
	a.arg = foldConstants(x.rowOrValue(t.Arg, sameName(t.Func.Text, "GetRecordProperties")))
	if _, ok := bare(t.Arg).(*saql.Path); !ok {
		c.extension(t.Arg.Pos(), "APPLY to what is no column", "compute it in a step before")
	}
	var cols []Col
	switch {
	case sameName(t.Func.Text, "GetArrayElements"):
		cols = []Col{{"ArrayIndex", vec.KindsOf(vec.Int)}, {"ArrayValue", vec.AnyKind}}
	case sameName(t.Func.Text, "GetRecordProperties"):
		a.of = vec.Record
		cols = []Col{{"PropertyName", vec.KindsOf(vec.String)}, {"PropertyValue", vec.AnyKind}}
	default:
		c.fail(diag.SA7001, t.Func.Span, "no function named "+quote(t.Func.Text)+" for APPLY", "GetArrayElements or GetRecordProperties")
	}
	if cols != nil && a.arg.Type.NotNull() != 0 && !a.arg.Type.Has(a.of) {
		c.fail(diag.SA3009, t.Arg.Pos(), "argument 1 of "+t.Func.Text+" is "+typeText(a.arg.Type)+"; "+a.of.String()+" wanted", "")
	}
	u := newUnknown(quote(t.Alias.Text))
	if cols != nil {
		u.sch.open, u.sch.cols = false, cols
	}
	a.elem = &source{name: t.Alias.Text, span: t.Alias.Span, rel: u, kind: fromApply, reference: left.reference(), nullable: t.Outer}
	b.add(a.elem)
	return a
}
