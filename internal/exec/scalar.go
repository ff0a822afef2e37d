package exec

import (
	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// callExpr is a call of a scalar function.
type callExpr struct {
	fn      *fn.Scalar
	args    []value
	call    fn.Call
	span    diag.Span
	f       *frame
	in      []*vec.Vec
	scratch []vec.Vec
	out     vec.Vec
}

func newCall(c *compiler, e *plan.Expr) value {
	x := newCallExpr(c, e)
	x.call.Halt = c.halt
	if e.Fn.Costly {
		return &costlyExpr{callExpr: x}
	}
	return x
}

func newCallExpr(c *compiler, e *plan.Expr) *callExpr {
	x := &callExpr{fn: e.Fn, args: c.all(e.Args), span: e.Span}
	x.call.Part = e.Part
	x.call.OnError = func(row int, message string) { x.f.fail(x.span, row, message) }
	if counts := c.counts; counts != nil {
		x.call.OnNote = func(n fn.Note) { counts.Notes[n]++ }
	}
	x.in = make([]*vec.Vec, len(x.args))
	x.scratch = make([]vec.Vec, len(x.args))
	return x
}

func (e *callExpr) eval(f *frame) *vec.Vec {
	e.f = f
	for i, a := range e.args {
		e.in[i] = a.eval(f)
	}
	e.call.Time = f.b.Time
	e.fn.Run(&e.call, &e.out, e.in, e.scratch, f.n)
	return &e.out
}

// costlyExpr is a call of a costly function: only for active rows, and for each row once,
// whatever the masks of the places where the expression stands.
type costlyExpr struct {
	*callExpr
	gen   int
	done  []bool // rows that have their value in kept
	leave []bool
	kept  vec.Vec
}

func (e *costlyExpr) eval(f *frame) *vec.Vec {
	fresh := e.gen != f.gen
	if fresh && f.active == nil {
		e.call.Leave = nil
		return e.callExpr.eval(f) // a memo keeps it for the batch
	}
	if fresh {
		e.gen, e.done, e.leave = f.gen, resize(e.done, f.n), resize(e.leave, f.n)
		clear(e.done)
		e.kept.Tagged(f.n)
	}
	asked := false
	for i := range f.n {
		e.leave[i] = e.done[i] || f.active != nil && !f.active[i]
		asked = asked || !e.leave[i]
	}
	if !asked {
		return &e.kept
	}
	e.call.Leave = e.leave
	out := e.callExpr.eval(f)
	for i, leave := range e.leave {
		if !leave {
			e.kept.Set(i, out.At(i))
			e.done[i] = true
		}
	}
	return &e.kept
}

// castExpr is CAST and TRY_CAST.
type castExpr struct {
	x    value
	to   vec.Kind
	try  bool
	span diag.Span
	f    *frame
	call fn.Call
	out  vec.Vec
}

func (e *castExpr) eval(f *frame) *vec.Vec {
	e.f = f
	if e.call.OnError == nil {
		e.call.OnError = func(row int, message string) { e.f.fail(e.span, row, message) }
	}
	in := e.x.eval(f)
	if in.Tag == nil && in.Kind == e.to {
		return in
	}
	fn.Cast(&e.call, e.try, e.to, &e.out, in, f.n)
	return &e.out
}

// arithExpr is a binary arithmetic or bitwise operator.
type arithExpr struct {
	op   byte
	a, b value
	span diag.Span
	f    *frame
	call fn.Call
	out  vec.Vec
}

func (e *arithExpr) eval(f *frame) *vec.Vec {
	e.f = f
	if e.call.OnError == nil {
		e.call.OnError = func(row int, message string) { e.f.fail(e.span, row, message) }
	}
	a := e.a.eval(f)
	b := e.b.eval(f)
	fn.Arith(e.op, &e.call, &e.out, a, b, f.n)
	return &e.out
}

// unaryExpr is - and ~.
type unaryExpr struct {
	op   plan.ExprOp
	x    value
	span diag.Span
	f    *frame
	call fn.Call
	out  vec.Vec
}

func (e *unaryExpr) eval(f *frame) *vec.Vec {
	e.f = f
	if e.call.OnError == nil {
		e.call.OnError = func(row int, message string) { e.f.fail(e.span, row, message) }
	}
	x := e.x.eval(f)
	if e.op == plan.OpNeg {
		fn.Neg(&e.call, &e.out, x, f.n)
	} else {
		fn.BitNot(&e.call, &e.out, x, f.n)
	}
	return &e.out
}

// caseExpr is CASE in the searched form; plan lowers the simple form to it. Like every
// value it computes all rows, active or not: the same expression may stand elsewhere under
// another mask, and then it must not take away rows that are in use here.
type caseExpr struct {
	conds   []truth
	thens   []value
	other   value
	toFloat bool
	canFail bool
	open    []bool // rows not decided yet
	mine    []bool // rows of the branch at hand
	mask    []bool
	out     vec.Vec
}

func newCase(c *compiler, e *plan.Expr) *caseExpr {
	x := &caseExpr{toFloat: e.To == vec.Float, canFail: canFail(e)}
	n := len(e.Args) / 2
	for i := range n {
		x.conds = append(x.conds, c.truth(e.Args[2*i]))
		x.thens = append(x.thens, c.value(e.Args[2*i+1]))
	}
	x.other = c.value(e.Args[2*n])
	return x
}

func (e *caseExpr) eval(f *frame) *vec.Vec {
	outer := f.active
	defer func() { f.active = outer }()
	e.open = resize(e.open, f.n)
	e.mine = resize(e.mine, f.n)
	for i := range e.open {
		e.open[i] = true
	}
	e.out.Tagged(f.n)
	for j, cond := range e.conds {
		if e.canFail {
			e.mask = f.within(e.mask, outer, e.open)
		}
		t := cond.test(f)
		for i := range f.n {
			e.mine[i] = e.open[i] && t[i] == fn.True
			if e.mine[i] {
				e.open[i] = false
			}
		}
		e.take(f, outer, e.thens[j], e.mine)
	}
	e.take(f, outer, e.other, e.open)
	return &e.out
}

// take fills the rows of branch from x.
func (e *caseExpr) take(f *frame, outer []bool, x value, branch []bool) {
	if e.canFail {
		e.mask = f.within(e.mask, outer, branch)
	}
	col := x.eval(f)
	for i, m := range branch {
		if !m {
			continue
		}
		v := col.At(i)
		if e.toFloat && (v.Kind == vec.Int || v.Kind == vec.Bit) {
			v = vec.FloatValue(float64(v.Int))
		}
		if v.Kind == vec.Missing {
			v.Kind = vec.Null
		}
		e.out.Set(i, v)
	}
}

// within makes the rows of branch that are active outside the active ones. It uses buf for
// that and gives it back.
func (f *frame) within(buf, outer, branch []bool) []bool {
	buf = resize(buf, f.n)
	for i, b := range branch {
		buf[i] = b && (outer == nil || outer[i])
	}
	f.active = buf
	return buf
}

func resize(s []bool, n int) []bool {
	if cap(s) < n {
		return make([]bool, n)
	}
	return s[:n]
}

// coalesceExpr is COALESCE: the first non-NULL argument as it is; later ones do not count.
type coalesceExpr struct {
	args    []value
	canFail bool
	open    []bool // rows without a value yet
	mask    []bool
	out     vec.Vec
}

func (e *coalesceExpr) eval(f *frame) *vec.Vec {
	outer := f.active
	defer func() { f.active = outer }()
	e.open = resize(e.open, f.n)
	for i := range e.open {
		e.open[i] = true
	}
	for j, a := range e.args {
		if e.canFail {
			e.mask = f.within(e.mask, outer, e.open)
		}
		col := a.eval(f)
		if j == 0 {
			if col.Tag == nil && !col.Kind.IsNull() {
				return col
			}
			e.out.Tagged(f.n)
		}
		for i, open := range e.open {
			if open && !col.KindAt(i).IsNull() {
				e.out.Set(i, col.At(i))
				e.open[i] = false
			}
		}
	}
	return &e.out
}
