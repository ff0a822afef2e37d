package plan

import (
	"strconv"
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

func itoa(n int) string { return strconv.Itoa(n) }

// scalarCall compiles a call of a function of one row.
func (x *exprs) scalarCall(e *saql.Call, f *fn.Scalar) *Expr {
	out := &Expr{Op: OpCall, Fn: f, Span: e.Span}
	args := e.Args
	if e.Star || e.Distinct || e.All {
		x.fail(diag.SA7002, e.Span, f.Name+" takes "+f.ArgCount()+" argument"+plural(f)+", not * or DISTINCT", f.Signature())
		return x.ignoreArgs(e)
	}
	n := len(args)
	if f.Part {
		n--
	}
	if n < f.Min || !f.Variadic && n > len(f.Params) {
		d := x.fail(diag.SA7002, e.Span, f.Name+" takes "+f.ArgCount()+" argument"+plural(f)+", not "+itoa(len(args)), f.Signature())
		d.Text = itoa(len(args)) + " given"
		return x.ignoreArgs(e)
	}
	if f.Part {
		part, ok := x.part(args[0], f)
		out.Part, args = part, args[1:]
		if !ok {
			for _, a := range args {
				x.valueOf(a)
			}
			return bad(e.Span)
		}
	}
	var types []vec.Kinds
	failed := false
	for i, a := range args {
		p := f.Params[min(i, len(f.Params)-1)]
		v := foldConstants(x.argument(a, f, i))
		out.Args = append(out.Args, v)
		types = append(types, v.Type.NotNull())
		if !anyAccepted(p, v.Type) {
			x.argumentType(f.Name, i+b2i(f.Part), v, p.Types, a)
			failed = true
		}
	}
	if failed {
		return bad(e.Span)
	}
	if e := x.staticCheck(e, f, args, out); e != nil {
		return e
	}
	out.Type = f.Result(types)
	if !f.KeepNull {
		for _, a := range out.Args {
			out.Type |= nulls(a.Type)
		}
	}
	if r := x.property(out); r != nil {
		return r
	}
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func plural(f *fn.Scalar) string {
	if f.ArgCount() == "1" {
		return ""
	}
	return "s"
}

// rowFunctions take a source for its whole row (saql.md 2.8).
var rowFunctions = map[string]bool{"GETRECORDPROPERTYVALUE": true, "GETRECORDPROPERTIES": true}

// argument compiles argument i of a function. Some take the name of a source, and in
// some a double-quoted text is always a text (saql.md 1.4, 2.8).
func (x *exprs) argument(a saql.Expr, f *fn.Scalar, i int) *Expr {
	p, ok := bare(a).(*saql.Path)
	if !ok || len(p.Names) != 1 || !rowFunctions[strings.ToUpper(f.Name)] {
		return x.valueOf(a)
	}
	if i == 1 && p.Names[0].Quote == '"' {
		return constant(vec.StringValue(p.Names[0].Text), p.Span)
	}
	if i == 0 {
		return x.bareOrText(p)
	}
	return x.valueOf(a)
}

// part resolves a date part (saql.md 1.8).
func (x *exprs) part(a saql.Expr, f *fn.Scalar) (fn.Part, bool) {
	p, ok := bare(a).(*saql.Path)
	word := x.text(a)
	if ok && len(p.Names) == 1 && p.Names[0].Quote == 0 {
		word = p.Names[0].Text
		if part, ok := fn.LookupPart(word); ok {
			return part, true
		}
		if part, ok := fn.LookupUnit(word); ok { // a plural
			return part, true
		}
	}
	d := x.fail(diag.SA7016, a.Pos(), "part of "+f.Name+" must be a date part, not "+strings.Trim(word, `"`), "year, quarter, month, dayofyear, day, week, weekday, hour, minute, second, millisecond or microsecond")
	if near, ok := diag.Nearest(strings.Trim(word, `'"`), fn.PartWords()); ok {
		d.Hint = "did you mean " + quote(near) + "?"
		d.Fix = []diag.Edit{{Span: a.Pos(), Text: near}}
	}
	return 0, false
}

// argumentType reports an argument whose type rules it out.
func (x *exprs) argumentType(name string, i int, v *Expr, want vec.Kinds, a saql.Expr) {
	hint := ""
	wantText := typeText(want)
	switch {
	case want.NotNull() == vec.KindsOf(vec.Datetime) && v.Type.NotNull().Within(numbers):
		hint = "DATEADD(second, " + x.text(a) + ", '1970-01-01')"
	case anyCastable(v.Type, onlyKind(want)):
		hint = "TRY_CAST(" + x.text(a) + " AS " + onlyKind(want).String() + ")"
	}
	d := x.fail(diag.SA3009, v.Span, "argument "+itoa(i+1)+" of "+name+" is "+typeText(v.Type)+"; "+wantText+" wanted", hint)
	d.Text = typeText(v.Type)
	if hint != "" {
		d.Fix = []diag.Edit{{Span: a.Pos(), Text: hint}}
	}
}

// onlyKind is the kind that a CAST for a parameter would name: float for numbers.
func onlyKind(t vec.Kinds) vec.Kind {
	for _, k := range []vec.Kind{vec.Record, vec.Float, vec.Int, vec.String, vec.Datetime, vec.Bit, vec.Array} {
		if t.Has(k) {
			return k
		}
	}
	return vec.String
}

// staticCheck asks the function about its constant arguments.
func (x *exprs) staticCheck(call *saql.Call, f *fn.Scalar, args []saql.Expr, e *Expr) *Expr {
	if f.Check == nil {
		return nil
	}
	consts := make([]*vec.Value, len(e.Args))
	for i, a := range e.Args {
		if a.Op == OpConst && !isBad(a) {
			consts[i] = &a.Val
		}
	}
	s := f.Check(consts)
	if s == nil {
		return nil
	}
	at := call.Span
	if s.Arg >= 0 && s.Arg < len(args) {
		at = args[s.Arg].Pos()
	}
	if strings.HasPrefix(s.Code, "W") {
		x.warn(diag.Code(s.Code), at, s.Message, s.Hint)
		return nil
	}
	x.fail(diag.Code(s.Code), at, s.Message, s.Hint)
	return bad(call.Span)
}

// property reads a field of a row directly where GetRecordPropertyValue names one by a
// literal, so that the rest of the event need not be decoded.
func (x *exprs) property(e *Expr) *Expr {
	if !sameName(e.Fn.Name, "GetRecordPropertyValue") || e.Args[1].Op != OpConst || e.Args[1].Val.Kind != vec.String {
		return nil
	}
	r := e.Args[0].ref
	if r == nil || r.kind != refRow {
		return nil
	}
	name := x.columnName(e.Args[1].Val.Str)
	sch := r.src.rel.schema()
	out := &Expr{Op: OpCol, Span: e.Span, Type: vec.AnyKind, ref: &ref{kind: refField, src: r.src, path: []string{name}}}
	if c, ok := sch.find(name); ok {
		out.Type, out.ref.path = c.Type, []string{c.Name}
		return out
	}
	if !sch.open {
		return constant(vec.NullValue(), e.Span)
	}
	return out
}
