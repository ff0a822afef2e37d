package plan

import (
	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// place is where an expression stands. What is allowed, and what a name means, depends
// on it.
type place uint8

const (
	inSelect place = iota
	inWhere
	inHaving
	inGroupBy
	inOn
	inApply
	inPartitionBy
	inTimestampBy
	inTimestampOver
	inOver // a part of OVER (...) or an argument of an analytic function
	inDefine
	inMeasures
)

// String names the place as messages do.
func (p place) String() string {
	return [...]string{"SELECT", "WHERE", "HAVING", "GROUP BY", "ON", "APPLY", "PARTITION BY", "TIMESTAMP BY", "TIMESTAMP BY .. OVER", "OVER", "DEFINE", "MEASURES"}[p]
}

// exprs compiles the expressions of one place of a block.
type exprs struct {
	*compiler
	b     *block
	place place
	// aggregate is the name of the aggregate whose argument is being compiled, "" outside.
	aggregate string
	// analytic is the name of the analytic function that is being compiled, "" outside; when
	// tells that it is its WHEN.
	analytic string
	when     bool
	// match is the pattern of which DEFINE or MEASURES is being compiled, variable the one
	// that DEFINE defines.
	match    *matching
	variable int
}

func (b *block) exprs(p place) *exprs { return &exprs{compiler: b.c, b: b, place: p} }

// bad stands for an expression with an error. Its type is any, so that nothing follows.
func bad(at diag.Span) *Expr {
	return &Expr{Op: OpConst, Val: vec.NullValue(), Type: vec.AnyKind, Span: at}
}

// isBad reports whether e stands for an error.
func isBad(e *Expr) bool { return e.Op == OpConst && e.Val.Kind == vec.Null && e.Type == vec.AnyKind }

// constant is an expression of a fixed value.
func constant(v vec.Value, at diag.Span) *Expr {
	return &Expr{Op: OpConst, Val: v, Type: vec.KindsOf(v.Kind), Span: at}
}

// value compiles an expression that must have a value. The results of a group are what
// names mean in SELECT and HAVING of a block with GROUP BY.
func (x *exprs) value(e saql.Expr) *Expr {
	return x.finish(x.valueOf(e))
}

// condition compiles an expression that must be a truth value (saql.md 3.2).
func (x *exprs) condition(e saql.Expr) *Expr {
	return x.finish(x.truth(e))
}

// finish replaces keys and aggregates by the columns of the group where the place is
// behind the group.
func (x *exprs) finish(e *Expr) *Expr {
	e = foldConstants(e)
	if x.b.group != nil && (x.place == inSelect || x.place == inHaving) && x.aggregate == "" {
		return x.b.group.behind(e)
	}
	return e
}

// valueOf compiles a value without looking at groups.
func (x *exprs) valueOf(e saql.Expr) *Expr {
	r := x.expr(e)
	if r.Truth() {
		d := x.fail(diag.SA3001, e.Pos(), "a condition cannot be used as a value", "CASE WHEN "+x.text(e)+" THEN 1 ELSE 0 END")
		d.Fix = []diag.Edit{{Span: e.Pos(), Text: "CASE WHEN " + x.text(e) + " THEN 1 ELSE 0 END"}}
		return bad(e.Pos())
	}
	return r
}

// truth compiles a predicate without looking at groups.
func (x *exprs) truth(e saql.Expr) *Expr {
	r := x.expr(e)
	if !r.Truth() && !isBad(r) {
		d := x.fail(diag.SA3002, e.Pos(), "a value cannot be used as a condition", "compare it: `= 1`")
		d.Fix = []diag.Edit{{Span: diag.Span{Start: e.Pos().End, End: e.Pos().End}, Text: " = 1"}}
	}
	if !r.Truth() {
		return &Expr{Op: OpAnd, Span: e.Pos()}
	}
	return r
}

// expr compiles an expression of either sort.
func (x *exprs) expr(e saql.Expr) *Expr {
	switch e := e.(type) {
	case *saql.Literal:
		return x.literal(e)
	case *saql.Path:
		return x.path(e)
	case *saql.FieldExpr:
		return x.field(e)
	case *saql.Call:
		return x.call(e)
	case *saql.Case:
		return x.caseOf(e)
	case *saql.Cast:
		return x.cast(e)
	case *saql.Unary:
		return x.unary(e)
	case *saql.Binary:
		return x.binary(e)
	case *saql.Between:
		return x.between(e)
	case *saql.In:
		return x.in(e)
	case *saql.Like:
		return x.like(e)
	case *saql.IsNull:
		return x.isNull(e)
	case *saql.Paren:
		return x.expr(e.X)
	default:
		return bad(e.Pos())
	}
}

// text is the source text of an expression.
func (c *compiler) text(e saql.Expr) string { return c.textAt(e.Pos()) }

// textAt is the source text at a place.
func (c *compiler) textAt(at diag.Span) string {
	if at.Start < 0 || at.End > len(c.src) || at.Start > at.End {
		return ""
	}
	return c.src[at.Start:at.End]
}

func (x *exprs) literal(e *saql.Literal) *Expr {
	switch e.Kind {
	case saql.LitString:
		return constant(vec.StringValue(e.Str), e.Span)
	case saql.LitInt:
		if len(e.Raw) > 1 && (e.Raw[1] == 'x' || e.Raw[1] == 'X') {
			x.extension(e.Span, "a hexadecimal number", "")
		}
		return constant(vec.IntValue(e.Int), e.Span)
	case saql.LitFloat:
		return constant(vec.FloatValue(e.Float), e.Span)
	case saql.LitTrue, saql.LitFalse:
		for _, s := range x.b.sources {
			if _, ok := s.rel.schema().find(e.Raw); ok {
				return x.path(&saql.Path{Span: e.Span, Names: []saql.Name{{Text: e.Raw, Span: e.Span}}})
			}
		}
		x.extension(e.Span, e.Raw, "CAST(1 AS bit)")
		return constant(vec.BitValue(e.Kind == saql.LitTrue), e.Span)
	default:
		return constant(vec.NullValue(), e.Span)
	}
}

// field compiles x.name where x is no path.
func (x *exprs) field(e *saql.FieldExpr) *Expr {
	if call, ok := e.X.(*saql.Call); ok && isSystem(call, "Window") {
		return x.windowField(call, e)
	}
	v := x.valueOf(e.X)
	return &Expr{Op: OpField, Name: x.columnName(e.Name.Text), Args: []*Expr{v}, Type: vec.AnyKind, Span: e.Span}
}

// caseOf compiles CASE. The simple form compares its operand with = (saql.md 7.1).
func (x *exprs) caseOf(e *saql.Case) *Expr {
	out := &Expr{Op: OpCase, Span: e.Span}
	var operand *Expr
	if e.Operand != nil {
		operand = x.valueOf(e.Operand)
	}
	var results []saql.Expr
	for _, w := range e.Whens {
		var cond *Expr
		if operand != nil {
			v := x.valueOf(w.Cond)
			x.checkComparison("=", operand, v, w.Cond.Pos(), nil)
			cond = &Expr{Op: OpCmp, Sub: "=", Args: []*Expr{operand, v}, Span: w.Cond.Pos()}
		} else {
			cond = x.truth(w.Cond)
		}
		out.Args = append(out.Args, cond, x.valueOf(w.Then))
		results = append(results, w.Then)
	}
	if e.Else != nil {
		out.Args = append(out.Args, x.valueOf(e.Else))
		results = append(results, e.Else)
	} else {
		x.extension(e.Span, "CASE without ELSE", "ELSE NULL")
		out.Args = append(out.Args, constant(vec.NullValue(), e.Span))
	}
	x.caseType(out, results)
	return out
}

// caseType joins the types of the results of a CASE (saql.md 3.4).
func (x *exprs) caseType(out *Expr, results []saql.Expr) {
	var container, scalar *Expr
	float := false
	for i, n := 1, 0; n < len(results); i, n = i+2, n+1 {
		v := out.Args[min(i, len(out.Args)-1)]
		t := v.Type.NotNull()
		out.Type |= v.Type
		switch {
		case t == 0:
		case t.Within(containers):
			container = v
		case t.Within(scalars):
			scalar = v
		}
		float = float || t == vec.KindsOf(vec.Float)
		if container != nil && scalar != nil {
			d := x.fail(diag.SA3006, v.Span, "CASE mixes "+typeText(container.Type)+" and "+typeText(scalar.Type), "CAST the branches to one type")
			other := container
			if v == container {
				other = scalar
			}
			d.Related = []diag.Label{{Span: other.Span, Text: typeText(other.Type)}}
			out.Type = vec.AnyKind
			return
		}
	}
	if len(results)*2 == len(out.Args)-1 {
		out.Type |= nullOnly // no ELSE
	}
	if float {
		out.To = vec.Float
		if out.Type.Has(vec.Int) && out.Type != vec.AnyKind {
			out.Type = out.Type&^vec.KindsOf(vec.Int) | vec.KindsOf(vec.Float)
		}
	}
}

// cast compiles CAST and TRY_CAST (saql.md 3.8).
func (x *exprs) cast(e *saql.Cast) *Expr {
	v := x.valueOf(e.X)
	to, ok := x.typeOf(e.Type)
	if !ok {
		return bad(e.Span)
	}
	out := &Expr{Op: OpCast, To: to, Args: []*Expr{v}, Type: vec.KindsOf(to) | nulls(v.Type), Span: e.Span}
	if e.Try {
		out.Op = OpTryCast
		out.Type |= nullOnly
	}
	if anyCastable(v.Type, to) {
		return out
	}
	if e.Try {
		x.warn(diag.W3002, e.Span, "TRY_CAST of "+typeText(v.Type)+" to "+to.String()+" is always NULL", "")
		return out
	}
	hint := ""
	switch {
	case v.Type.NotNull() == vec.KindsOf(vec.String) && (to == vec.Record || to == vec.Array):
		hint = "JSON_PARSE(" + x.text(e.X) + ")"
	case v.Type.NotNull().Within(numbers) && to == vec.Datetime:
		hint = "DATEADD(second, " + x.text(e.X) + ", '1970-01-01')"
	}
	d := x.fail(diag.SA3008, e.Span, "a "+typeText(v.Type)+" cannot be cast to "+to.String(), hint)
	if hint != "" {
		d.Fix = []diag.Edit{{Span: e.Span, Text: hint}}
	}
	return bad(e.Span)
}
