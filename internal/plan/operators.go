package plan

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

func (x *exprs) unary(e *saql.Unary) *Expr {
	if e.Op == "NOT" {
		return &Expr{Op: OpNot, Args: []*Expr{x.truth(e.X)}, Span: e.Span}
	}
	v := x.valueOf(e.X)
	t := v.Type.NotNull()
	verb := map[string]string{"-": "negate", "+": "use + on", "~": "invert"}[e.Op]
	if t != 0 && t&(numbers|vec.KindsOf(vec.String)) == 0 {
		x.fail(diag.SA3005, e.Span, "cannot "+verb+" "+typeText(t), unaryHint(t))
		return bad(e.Span)
	}
	if bad := x.notANumber(v, e.X); bad != nil {
		return bad
	}
	switch e.Op {
	case "+":
		if t.Within(numbers) {
			return v
		}
		zero := constant(vec.IntValue(0), e.Span)
		return &Expr{Op: OpArith, Sub: "+", Args: []*Expr{zero, v}, Type: asNumber(t) | nulls(v.Type), Span: e.Span}
	case "~":
		r := vec.KindsOf(vec.Int)
		if t.Has(vec.Bit) {
			r |= vec.KindsOf(vec.Bit)
			if t == vec.KindsOf(vec.Bit) {
				r = t
			}
		}
		return &Expr{Op: OpBitNot, Args: []*Expr{v}, Type: r | nulls(v.Type), Span: e.Span}
	default:
		return &Expr{Op: OpNeg, Args: []*Expr{v}, Type: asNumber(t) | nulls(v.Type), Span: e.Span}
	}
}

func (x *exprs) binary(e *saql.Binary) *Expr {
	switch e.Op {
	case "AND", "OR":
		op := OpAnd
		if e.Op == "OR" {
			op = OpOr
		}
		out := &Expr{Op: op, Span: e.Span}
		for _, side := range []saql.Expr{e.L, e.R} {
			v := x.truth(side)
			if v.Op == op && len(v.Args) > 0 {
				out.Args = append(out.Args, v.Args...)
			} else {
				out.Args = append(out.Args, v)
			}
		}
		return out
	case "=", "<>", "<", "<=", ">", ">=":
		l, r := x.valueOf(e.L), x.valueOf(e.R)
		x.checkComparison(e.Op, l, r, e.Span, e)
		return &Expr{Op: OpCmp, Sub: e.Op, Args: []*Expr{l, r}, Span: e.Span}
	default:
		return x.arithmetic(e)
	}
}

// verbs name the operators in messages, with the word between the operands.
var verbs = map[string][2]string{
	"+": {"add", "and"}, "-": {"subtract", "and"}, "*": {"multiply", "and"}, "/": {"divide", "and"}, "%": {"divide", "and"},
	"&": {"combine", "and"}, "|": {"combine", "and"}, "^": {"combine", "and"},
}

// arithmetic compiles + - * / % & | ^ (saql.md 3.5).
func (x *exprs) arithmetic(e *saql.Binary) *Expr {
	l, r := x.valueOf(e.L), x.valueOf(e.R)
	a, b := l.Type.NotNull(), r.Type.NotNull()
	operand := numbers | vec.KindsOf(vec.String)
	if a != 0 && a&operand == 0 || b != 0 && b&operand == 0 {
		d := x.fail(diag.SA3005, e.Span, "cannot "+verbs[e.Op][0]+" "+typeText(a)+" and "+typeText(b), arithmeticHint(a, b))
		d.Text = "operand of " + e.Op
		return bad(e.Span)
	}
	bothText := e.Op == "+" && mayBeText(a) && mayBeText(b)
	if !bothText {
		if bad := x.notANumber(l, e.L); bad != nil {
			return bad
		}
		if bad := x.notANumber(r, e.R); bad != nil {
			return bad
		}
	}
	out := &Expr{Op: OpArith, Sub: e.Op, Args: []*Expr{l, r}, Span: e.Span}
	out.Type = arithmeticType(e.Op, a, b) | nulls(l.Type, r.Type)
	if e.Op == "/" && a == vec.KindsOf(vec.Int) && b == vec.KindsOf(vec.Int) {
		hint := "CAST(" + x.text(e.L) + " AS float)"
		x.warn(diag.W3001, e.Span, "bigint / bigint drops the fraction", hint).Fix = []diag.Edit{{Span: e.L.Pos(), Text: hint}}
	}
	return out
}

func mayBeText(t vec.Kinds) bool { return t == 0 || t.Has(vec.String) }

// arithmeticType is the type of a op b without the NULL that comes from NULL operands.
func arithmeticType(op string, a, b vec.Kinds) vec.Kinds {
	if a == 0 || b == 0 {
		return nullOnly
	}
	var t vec.Kinds
	if op == "+" && a.Has(vec.String) && b.Has(vec.String) {
		t |= vec.KindsOf(vec.String)
		if a == t && b == t {
			return t
		}
	}
	if op == "&" || op == "|" || op == "^" {
		t = vec.KindsOf(vec.Int)
		bit := vec.KindsOf(vec.Bit)
		if a == bit && b == bit {
			return bit
		}
		if a.Has(vec.Bit) && b.Has(vec.Bit) {
			t |= bit
		}
		return t
	}
	na, nb := asNumber(a), asNumber(b)
	if na.Has(vec.Int) && nb.Has(vec.Int) {
		t |= vec.KindsOf(vec.Int)
	}
	if na.Has(vec.Float) || nb.Has(vec.Float) {
		t |= vec.KindsOf(vec.Float, vec.Null) // not finite: NULL
	}
	if op == "/" || op == "%" {
		t |= nullOnly // by zero
	}
	return t
}

// arithmeticHint says what to do about operands that have no arithmetic.
func arithmeticHint(a, b vec.Kinds) string {
	if (a | b).Has(vec.Datetime) {
		if a.Has(vec.Datetime) && b.Has(vec.Datetime) {
			return "DATEDIFF(second, a, b)"
		}
		return "DATEADD(second, n, d)"
	}
	return castHint(a | b)
}

func unaryHint(t vec.Kinds) string {
	if t&containers != 0 {
		return castHint(t)
	}
	return ""
}

func castHint(t vec.Kinds) string {
	if t&containers != 0 {
		return "take one of its parts"
	}
	return "CAST"
}

// notANumber reports a text literal that must be a number and is none.
func (x *exprs) notANumber(v *Expr, e saql.Expr) *Expr {
	if v.Op != OpConst || v.Val.Kind != vec.String {
		return nil
	}
	text := strings.TrimSpace(v.Val.Str)
	if _, err := strconv.ParseFloat(text, 64); err == nil && !strings.ContainsAny(text, "xXpPnN_") {
		return nil
	}
	x.fail(diag.SA3004, e.Pos(), quote(v.Val.Str)+" is not a number", "to join text use CONCAT(..) or CAST the number AS nvarchar(max)")
	return bad(e.Pos())
}

// checkComparison checks the operands of a comparison (saql.md 3.6). e is the comparison
// as written, where it is one operator.
func (x *exprs) checkComparison(op string, l, r *Expr, at diag.Span, e *saql.Binary) {
	a, b := l.Type.NotNull(), r.Type.NotNull()
	if e != nil && (op == "=" || op == "<>") && (isNullLiteral(e.L) || isNullLiteral(e.R)) {
		x.warnEqualsNull(op, e)
		return
	}
	if a == 0 || b == 0 {
		return
	}
	if a.Within(containers) && b.Within(containers) && op != "=" && op != "<>" {
		x.fail(diag.SA3007, at, typeText(a)+" values have no order", "compare one of their parts")
		return
	}
	if !anyComparable(a, b) {
		d := x.fail(diag.SA3005, at, "cannot compare "+typeText(a)+" and "+typeText(b), compareHint(a, b))
		d.Text = typeText(a) + " and " + typeText(b)
		return
	}
	text := vec.KindsOf(vec.String)
	switch {
	case x.place == inOn && op == "=": // keys do not convert, see W6001
	case a == text && l.Op != OpConst && b.Within(numbers):
		x.warn(diag.W3003, at, "comparing "+typeText(a)+" with "+typeText(b)+" converts every row", "CAST once in a step")
	case b == text && r.Op != OpConst && a.Within(numbers):
		x.warn(diag.W3003, at, "comparing "+typeText(a)+" with "+typeText(b)+" converts every row", "CAST once in a step")
	}
}

func compareHint(a, b vec.Kinds) string {
	if (a | b).Has(vec.Datetime) {
		return "DATEDIFF(second, '1970-01-01', d) makes a number of a datetime"
	}
	if (a|b)&containers != 0 {
		return "compare one of its parts"
	}
	return "CAST"
}

func isNullLiteral(e saql.Expr) bool {
	switch e := e.(type) {
	case *saql.Literal:
		return e.Kind == saql.LitNull
	case *saql.Paren:
		return isNullLiteral(e.X)
	}
	return false
}

func (x *exprs) warnEqualsNull(op string, e *saql.Binary) {
	test := "IS NULL"
	if op == "<>" {
		test = "IS NOT NULL"
	}
	other := e.L
	if isNullLiteral(e.L) {
		other = e.R
	}
	d := x.warn(diag.W3004, e.Span, "`"+op+" NULL` is never true", test)
	d.Fix = []diag.Edit{{Span: e.Span, Text: x.text(other) + " " + test}}
}

// between compiles x BETWEEN lo AND hi: x >= lo AND x <= hi.
func (x *exprs) between(e *saql.Between) *Expr {
	v, lo, hi := x.valueOf(e.X), x.valueOf(e.Lo), x.valueOf(e.Hi)
	x.checkComparison(">=", v, lo, e.X.Pos().To(e.Lo.Pos()), nil)
	x.checkComparison("<=", v, hi, e.X.Pos().To(e.Hi.Pos()), nil)
	out := &Expr{Op: OpAnd, Span: e.Span, Args: []*Expr{
		{Op: OpCmp, Sub: ">=", Args: []*Expr{v, lo}, Span: e.Span},
		{Op: OpCmp, Sub: "<=", Args: []*Expr{v, hi}, Span: e.Span},
	}}
	return negate(out, e.Not)
}

func (x *exprs) in(e *saql.In) *Expr {
	out := &Expr{Op: OpIn, Span: e.Span, Args: []*Expr{x.valueOf(e.X)}}
	for _, item := range e.List {
		v := x.valueOf(item)
		x.checkComparison("=", out.Args[0], v, item.Pos(), nil)
		out.Args = append(out.Args, foldConstants(v))
	}
	return negate(out, e.Not)
}

func (x *exprs) like(e *saql.Like) *Expr {
	v, p := x.valueOf(e.X), x.valueOf(e.Pattern)
	for _, side := range []*Expr{v, p} {
		if t := side.Type.NotNull(); t != 0 && t.Within(containers) {
			x.fail(diag.SA3005, side.Span, "cannot match "+typeText(t)+" and nvarchar(max)", castHint(t))
		}
	}
	out := &Expr{Op: OpLike, Args: []*Expr{v, p}, Span: e.Span}
	if e.Escape != nil {
		r, n := utf8.DecodeRuneInString(e.Escape.Str)
		if n == 0 || n != len(e.Escape.Str) {
			x.fail(diag.SA7016, e.Escape.Span, "ESCAPE of LIKE must be one character", "ESCAPE '!'")
		}
		out.Escape = r
	}
	return negate(out, e.Not)
}

func (x *exprs) isNull(e *saql.IsNull) *Expr {
	return negate(&Expr{Op: OpIsNull, Args: []*Expr{x.valueOf(e.X)}, Span: e.Span}, e.Not)
}

func negate(e *Expr, not bool) *Expr {
	if !not {
		return e
	}
	return &Expr{Op: OpNot, Args: []*Expr{e}, Span: e.Span}
}

// foldConstants computes what is constant in e: arithmetic and casts of literals. What would
// fail or give NULL stays as it is, so that it fails when and if it is evaluated.
func foldConstants(e *Expr) *Expr {
	for i, a := range e.Args {
		e.Args[i] = foldConstants(a)
	}
	var v vec.Value
	message := "not constant"
	switch {
	case e.Op == OpNeg && isNumber(e.Args[0]):
		v, message = fn.NegValue(e.Args[0].Val)
	case e.Op == OpArith && isNumber(e.Args[0]) && isNumber(e.Args[1]):
		v, message = fn.ArithValue(e.Sub[0], e.Args[0].Val, e.Args[1].Val)
	case e.Op == OpCast && e.Args[0].Op == OpConst && !e.Args[0].Val.Kind.IsNull():
		var ok bool
		if v, ok = fn.CastValue(e.Args[0].Val, e.To); ok {
			message = ""
		}
	}
	if message == "" && !v.Kind.IsNull() {
		return constant(v, e.Span)
	}
	return e
}

func isNumber(e *Expr) bool {
	return e.Op == OpConst && (e.Val.Kind == vec.Int || e.Val.Kind == vec.Float)
}
