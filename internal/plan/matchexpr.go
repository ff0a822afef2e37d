package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// What names and calls mean in DEFINE and MEASURES (saql.md 9.3, 9.5).

// classifierUse is the use of Classifier().
const classifierUse = -1

// value over rows of a match.
func (m *matching) use(v int, of MatchFn, col *Expr, t vec.Kinds, at diag.Span) *Expr {
	i := slices.IndexFunc(m.uses, func(u matchUse) bool { return u.v == v && u.of == of && same(u.col, col) })
	if i < 0 {
		i = len(m.uses)
		m.uses = append(m.uses, matchUse{v, of, col})
	}
	return &Expr{Op: OpCol, Type: t, Span: at, ref: &ref{kind: refMatch, n: i}}
}

// matchPath resolves a name or path.
func (x *exprs) matchPath(p *saql.Path) *Expr {
	m, first := x.match, p.Names[0]
	_, isColumn := m.src.rel.schema().find(first.Text)
	if len(p.Names) == 1 && first.Quote == '"' && !isColumn && !strings.HasPrefix(first.Text, "[") {
		return x.quoted(p)
	}
	v := m.variable(first.Text)
	switch {
	case len(p.Names) > 1 && v >= 0:
		return x.matchValue(v, LastOf, p)
	case len(p.Names) > 1 && isColumn && x.place == inDefine, len(p.Names) == 1 && x.place == inDefine && (isColumn || v < 0):
		x.extension(p.Span, "a column without a variable in DEFINE", "write "+m.vars[x.variable].name+"."+x.text(p))
		col := x.column(m.src, p.Names, p)
		if isBad(col) {
			return col
		}
		return m.use(x.variable, LastOf, col, col.Type, p.Span)
	}
	if x.place == inMeasures {
		if e := x.matchKey(p); e != nil {
			return e
		}
	}
	if len(p.Names) > 1 {
		return x.noVariable(first)
	}
	hint := "only keys of PARTITION BY stand without a variable"
	if v >= 0 {
		hint = quote(first.Text) + " is a pattern variable: write " + first.Text + ".<column>"
	} else if len(m.vars) > 0 {
		hint = "write " + m.vars[0].name + "." + x.text(p) + "; " + hint
	}
	x.fail(diag.SA2002, p.Span, "no column "+quote(first.Text)+" in "+x.place.String(), hint)
	return bad(p.Span)
}

// noVariable reports a name in front of a point that is no variable.
func (x *exprs) noVariable(n saql.Name) *Expr {
	var names []string
	for _, v := range x.match.vars {
		names = append(names, v.name)
	}
	d := x.b.failName(diag.SA8004, n, "", "pattern variable "+quote(n.Text)+" is unknown", "define it in DEFINE")
	if near, ok := diag.Nearest(n.Text, names); ok {
		d.Hint = "did you mean " + quote(near) + "?"
		d.Fix = []diag.Edit{{Span: n.Span, Text: saql.Quote(near)}}
	}
	return bad(n.Span)
}

// matchKey is a key of PARTITION BY, or a property of one, by its name: that of the last
// row of the match.
func (x *exprs) matchKey(p *saql.Path) *Expr {
	for _, k := range x.match.keys {
		if k.ref == nil || k.ref.kind != refField || len(k.ref.path) > len(p.Names) {
			continue
		}
		n := len(k.ref.path)
		if !slices.EqualFunc(k.ref.path, p.Names[:n], func(a string, b saql.Name) bool { return sameName(a, b.Text) }) {
			continue
		}
		x.extension(p.Span, "a partition key in MEASURES", "take it from a variable")
		e := x.match.use(AnyVar, LastOf, k, k.Type, p.Span)
		for _, more := range p.Names[n:] {
			e = &Expr{Op: OpField, Name: x.columnName(more.Text), Args: []*Expr{e}, Type: vec.AnyKind, Span: p.Span}
		}
		return e
	}
	return nil
}

// matchValue is a value over the rows of variable v, the first name of a path.
func (x *exprs) matchValue(v int, of MatchFn, p *saql.Path) *Expr {
	m := x.match
	if x.place == inDefine && v != x.variable {
		if d := m.vars[v].def; d >= 0 && d > m.vars[x.variable].def {
			x.fail(diag.SA8001, p.Names[0].Span, quote(p.Names[0].Text)+" is not yet defined in the definition of "+quote(m.vars[x.variable].name), "reorder DEFINE")
			return bad(p.Span)
		}
	}
	col := x.column(m.src, p.Names[1:], p)
	if isBad(col) {
		return col
	}
	t := col.Type
	if v != x.variable {
		t |= nullOnly // perhaps no row is v
	}
	return m.use(v, of, col, t, p.Span)
}

// matchCall compiles a call that means something else here than elsewhere, or that may not
// stand here.
func (x *exprs) matchCall(e *saql.Call) (*Expr, bool) {
	if e.Prefix != nil {
		if sameName(e.Prefix.Text, "UDA") {
			return x.notInMatch(e, e.Prefix.Text+"."+e.Name.Text), true
		}
		return nil, false
	}
	name := strings.ToUpper(e.Name.Text)
	switch name {
	case "FIRST", "LAST", "MIN", "MAX":
		return x.matchAggregate(e, map[string]MatchFn{"FIRST": FirstOf, "LAST": LastOf, "MIN": MinOf, "MAX": MaxOf}[name]), true
	case "CLASSIFIER":
		return x.classifier(e), true
	case "LAG", "ISFIRST", "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT", "GETMETADATAPROPERTYVALUE":
		return x.notInMatch(e, e.Name.Text), true
	}
	if _, ok := fn.LookupAgg(name); ok {
		return x.notInMatch(e, e.Name.Text), true
	}
	return nil, false
}

// notInMatch reports a function that has no meaning over the rows of a match.
func (x *exprs) notInMatch(e *saql.Call, name string) *Expr {
	x.fail(diag.SA7012, e.Span, name+" cannot be used in "+x.place.String(), "First, Last, Min and Max of variable.field; or compute it in a step before")
	return bad(e.Span)
}

// matchAggregate compiles First, Last, Min or Max of variable.field.
func (x *exprs) matchAggregate(e *saql.Call, of MatchFn) *Expr {
	name := e.Name.Text
	if e.Over != nil {
		x.fail(diag.SA7011, e.Over.Span, name+" cannot be used with OVER", "remove OVER")
		return bad(e.Span)
	}
	at := e.Span
	if len(e.Args) == 1 {
		at = e.Args[0].Pos()
		if p, ok := bare(e.Args[0]).(*saql.Path); ok && len(p.Names) > 1 && !e.Distinct {
			v := x.match.variable(p.Names[0].Text)
			if v < 0 {
				return x.noVariable(p.Names[0])
			}
			return x.matchExtreme(name, of, x.matchValue(v, of, p), e)
		}
	}
	x.fail(diag.SA8002, at, name+" here takes one field: variable.field", "compute the expression in a step before")
	return bad(e.Span)
}

// matchExtreme checks that what Min or Max takes has an order.
func (x *exprs) matchExtreme(name string, of MatchFn, v *Expr, e *saql.Call) *Expr {
	v.Span = e.Span
	if of != MinOf && of != MaxOf || isBad(v) {
		return v
	}
	a, _ := fn.LookupAgg("MIN")
	if t := a.Params[0]; !anyAccepted(t, v.Type) {
		v.Span = e.Args[0].Pos()
		x.argumentType(name, 0, v, t.Types, e.Args[0])
		return bad(e.Span)
	}
	v.Type = a.Result([]vec.Kinds{v.Type}) | nullOnly
	return v
}

// classifier compiles Classifier().
func (x *exprs) classifier(e *saql.Call) *Expr {
	switch {
	case x.place != inMeasures:
		return x.wrongPlace(e, e.Name.Text+" only works inside MEASURES")
	case e.Over != nil:
		x.fail(diag.SA7011, e.Over.Span, e.Name.Text+" cannot be used with OVER", "remove OVER")
		return bad(e.Span)
	case len(e.Args) > 0 || e.Star:
		x.fail(diag.SA7002, e.Span, e.Name.Text+" takes 0 arguments, not "+itoa(max(len(e.Args), 1)), "Classifier()")
		return bad(e.Span)
	}
	return &Expr{Op: OpCol, Type: vec.KindsOf(vec.Array), Span: e.Span, ref: &ref{kind: refMatch, n: classifierUse}}
}
