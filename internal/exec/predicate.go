package exec

import (
	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

var cmpOps = map[string]fn.CmpOp{"=": fn.Eq, "<>": fn.Ne, "<": fn.Lt, "<=": fn.Le, ">": fn.Gt, ">=": fn.Ge}

// mirrored is the operator with its sides swapped.
var mirrored = map[fn.CmpOp]fn.CmpOp{fn.Eq: fn.Eq, fn.Ne: fn.Ne, fn.Lt: fn.Gt, fn.Le: fn.Ge, fn.Gt: fn.Lt, fn.Ge: fn.Le}

func resizeTruth(s []fn.Truth, n int) []fn.Truth {
	if cap(s) < n {
		return make([]fn.Truth, n)
	}
	return s[:n]
}

// cmpExpr compares two columns, cmpConstExpr a column with a constant.
type cmpExpr struct {
	op   fn.CmpOp
	a, b value
	out  []fn.Truth
}

type cmpConstExpr struct {
	op    fn.CmpOp
	a     value
	b     vec.Value
	cache fn.DictCache
	out   []fn.Truth
}

func newCmp(c *compiler, op fn.CmpOp, a, b *plan.Expr) truth {
	switch {
	case b.Op == plan.OpConst:
		return &cmpConstExpr{op: op, a: c.value(a), b: b.Val}
	case a.Op == plan.OpConst:
		return &cmpConstExpr{op: mirrored[op], a: c.value(b), b: a.Val}
	}
	return &cmpExpr{op: op, a: c.value(a), b: c.value(b)}
}

func (e *cmpExpr) test(f *frame) []fn.Truth {
	a := e.a.eval(f)
	b := e.b.eval(f)
	e.out = resizeTruth(e.out, f.n)
	fn.Compare(e.op, e.out, a, b, f.n)
	return e.out
}

func (e *cmpConstExpr) test(f *frame) []fn.Truth {
	a := e.a.eval(f)
	e.out = resizeTruth(e.out, f.n)
	fn.CompareConst(e.op, e.out, a, e.b, &e.cache, f.n)
	return e.out
}

// logicExpr is AND and OR in three-valued logic (saql.md 3.2), left to right: errors of
// an argument count only where the ones before left the result open.
type logicExpr struct {
	or      bool
	args    []truth
	canFail []bool
	open    []bool
	out     []fn.Truth
}

func (e *logicExpr) test(f *frame) []fn.Truth {
	outer := f.active
	defer func() { f.active = outer }()
	e.out = resizeTruth(e.out, f.n)
	stop := fn.False
	if e.or {
		stop = fn.True
	}
	for j, a := range e.args {
		if j > 0 && e.canFail[j] {
			e.open = resize(e.open, f.n)
			for i := range e.open {
				e.open[i] = (outer == nil || outer[i]) && e.out[i] != stop
			}
			f.active = e.open
		} else {
			f.active = outer
		}
		t := a.test(f)
		switch {
		case j == 0:
			copy(e.out, t)
		case e.or:
			fn.Or(e.out, t)
		default:
			fn.And(e.out, t)
		}
	}
	return e.out
}

type notExpr struct {
	x   truth
	out []fn.Truth
}

func (e *notExpr) test(f *frame) []fn.Truth {
	e.out = append(e.out[:0], e.x.test(f)...)
	fn.Not(e.out)
	return e.out
}

type isNullExpr struct {
	x   value
	out []fn.Truth
}

func (e *isNullExpr) test(f *frame) []fn.Truth {
	x := e.x.eval(f)
	e.out = resizeTruth(e.out, f.n)
	for i := range e.out {
		e.out[i] = fn.False
		if x.KindAt(i).IsNull() {
			e.out[i] = fn.True
		}
	}
	return e.out
}

// likeExpr is LIKE (saql.md 3.6). Compiled patterns are kept for as long as the pattern
// of the rows stays the same.
type likeExpr struct {
	x, pattern value
	escape     rune
	span       diag.Span
	f          *frame
	call       fn.Call
	xText      vec.Vec
	patText    vec.Vec
	last       string
	compiled   *fn.LikePattern
	out        []fn.Truth
}

var likeParam = fn.Param{Types: fn.Text}

func newLike(c *compiler, e *plan.Expr) *likeExpr {
	x := &likeExpr{x: c.value(e.Args[0]), pattern: c.value(e.Args[1]), escape: e.Escape, span: e.Span}
	x.call.OnError = func(row int, message string) { x.f.fail(x.span, row, message) }
	return x
}

func (e *likeExpr) test(f *frame) []fn.Truth {
	e.f = f
	x := fn.Coerce(&e.call, "LIKE", 1, likeParam, &e.xText, e.x.eval(f), f.n)
	p := fn.Coerce(&e.call, "LIKE", 2, likeParam, &e.patText, e.pattern.eval(f), f.n)
	e.out = resizeTruth(e.out, f.n)
	for i := range f.n {
		if x.KindAt(i) != vec.String || p.KindAt(i) != vec.String {
			e.out[i] = fn.Unknown
			continue
		}
		if pat := p.StrAt(i); e.compiled == nil || pat != e.last {
			e.last = string([]byte(pat))
			e.compiled = fn.CompileLike(e.last, e.escape)
		}
		e.out[i] = fn.False
		if e.compiled.Match(x.StrAt(i)) {
			e.out[i] = fn.True
		}
	}
	return e.out
}
