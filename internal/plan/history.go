package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/vec"
)

// historyCall is a call of an analytic function over the rows of a frame.
type historyCall struct {
	op   HistoryCall // what does not depend on columns
	args []*Expr     // over the inner frame, as are keys
	keys []*Expr
	when *Expr // nil: every row counts
	col  int   // lowered: column of the frame's node, -1 until it is asked for
}

// reads are the expressions that the call reads.
func (c *historyCall) reads() []*Expr {
	list := slices.Concat(c.args, c.keys)
	if c.when != nil {
		list = append(list, c.when)
	}
	return list
}

// historyFrame is the rows of another frame with the results of analytic functions: they
// are computed before WHERE, GROUP BY and HAVING (saql.md 8.1). A projection in front
// computes arguments and keys; what the block reads itself passes through both.
type historyFrame struct {
	b     *block
	inner frame
	calls []*historyCall

	pre     *Project
	preNode *Node
	op      *History
	n       *Node
	picked  map[int]int // column of the inner frame: column of preNode
	passed  map[int]int // column of preNode: column of n
}

// add collects a call, once if it is there already, and gives its result as an expression.
// Equal predicates become one expression, for what is the same is evaluated once.
func (h *historyFrame) add(call *historyCall) *Expr {
	call.col = -1
	call.guard()
	for _, other := range h.calls {
		if call.when != nil && other.when != nil && same(call.when, other.when) {
			call.when = other.when
		}
	}
	i := slices.IndexFunc(h.calls, func(other *historyCall) bool { return sameCall(call, other) })
	if i < 0 {
		i = len(h.calls)
		h.calls = append(h.calls, call)
	}
	return &Expr{Op: OpCol, Type: call.op.Type, Span: call.op.Span, ref: &ref{kind: refHistory, calls: h, n: i}}
}

// guard lets WHEN protect the value: rows that fail it do not count, so what would be a query
// error there must not happen. The default of LAG and LAST belongs to the current row.
func (c *historyCall) guard() {
	for i, a := range c.args {
		if c.when == nil || cannotFail(a) || i > 0 && c.op.Kind != Over {
			continue
		}
		null := constant(vec.NullValue(), a.Span)
		c.args[i] = &Expr{Op: OpCase, Args: []*Expr{c.when.clone(), a, null}, Type: a.Type | nullOnly, Span: a.Span}
	}
}

func sameCall(a, b *historyCall) bool {
	x, y := &a.op, &b.op
	return x.Kind == y.Kind && x.Limit == y.Limit && x.Offset == y.Offset && x.Agg.Fn == y.Agg.Fn &&
		slices.Equal(x.Agg.Desc, y.Agg.Desc) && sameValue(x.Agg.Const, y.Agg.Const) &&
		x.Confidence == y.Confidence && x.Size == y.Size && x.Mode == y.Mode && a.when == b.when &&
		slices.EqualFunc(a.args, b.args, same) && slices.EqualFunc(a.keys, b.keys, same)
}

// node makes the projection and the node of the functions.
func (h *historyFrame) node() *Node {
	if h.n != nil {
		return h.n
	}
	at := diag.Span{}
	for i, c := range h.calls {
		if i == 0 || c.op.Span.Start < at.Start {
			at = c.op.Span
		}
	}
	h.picked, h.passed = map[int]int{}, map[int]int{}
	h.pre = &Project{}
	h.preNode = h.b.newNode(h.pre, h.inner.node())
	h.op = &History{}
	h.n = h.b.newNode(h.op, h.preNode)
	h.preNode.Span, h.n.Span = at, at
	return h.n
}

// result gives the column of call i; it is computed when it is first asked for.
func (h *historyFrame) result(i int) int {
	h.node()
	c := h.calls[i]
	if c.col >= 0 {
		return c.col
	}
	call := c.op
	for _, a := range c.args {
		call.Args = append(call.Args, h.input(a))
	}
	if call.Kind == Over {
		call.Agg.Args, call.Args = call.Args, nil
	}
	for _, k := range c.keys {
		call.Keys = append(call.Keys, h.input(k))
	}
	if c.when != nil {
		resolve(c.when, historyInput{h}, nil)
		call.When = c.when
	}
	c.col = h.out(Out{Made, len(h.op.Calls)}, call.Type)
	h.op.Calls = append(h.op.Calls, call)
	return c.col
}

// out adds a column to the node.
func (h *historyFrame) out(o Out, t vec.Kinds) int {
	h.op.Out = append(h.op.Out, o)
	h.n.Cols = append(h.n.Cols, Col{Type: t})
	return len(h.op.Out) - 1
}

// input gives the column of the projection that holds e.
func (h *historyFrame) input(e *Expr) int {
	resolve(e, h.inner, nil)
	for i, other := range h.pre.Exprs {
		if same(other, e) {
			return i
		}
	}
	h.pre.Exprs = append(h.pre.Exprs, e)
	h.preNode.Cols = append(h.preNode.Cols, Col{Type: e.Type})
	return len(h.pre.Exprs) - 1
}

// pick gives the column of the projection that holds a column of the inner frame as it is.
func (h *historyFrame) pick(col int) int {
	i, ok := h.picked[col]
	if !ok {
		t := h.b.c.plan.columnsOf(h.inner.node())[col].Type
		i = h.input(&Expr{Op: OpCol, Col: col, Type: t})
		h.picked[col] = i
	}
	return i
}

// pass gives the column of the node that holds a column of the inner frame.
func (h *historyFrame) pass(col int) int {
	h.node()
	in := h.pick(col)
	i, ok := h.passed[in]
	if !ok {
		i = h.out(Out{0, in}, h.preNode.Cols[in].Type)
		h.passed[in] = i
	}
	return i
}

func (h *historyFrame) field(s *source, path []string) int { return h.pass(h.inner.field(s, path)) }

func (h *historyFrame) row(s *source) *Expr { return moved(h.inner.row(s), h.pass) }

func (h *historyFrame) time(s *source) *Expr { return moved(h.inner.(timed).time(s), h.pass) }

// historyInput is the rows that the node of analytic functions reads, for WHEN.
type historyInput struct{ h *historyFrame }

func (f historyInput) node() *Node { return f.h.preNode }

func (f historyInput) field(s *source, path []string) int { return f.h.pick(f.h.inner.field(s, path)) }

func (f historyInput) row(s *source) *Expr { return moved(f.h.inner.row(s), f.h.pick) }

// moved is e with column numbers changed by to.
func moved(e *Expr, to func(col int) int) *Expr {
	c := *e
	if e.Op == OpCol {
		c.Col = to(e.Col)
	}
	c.Args = make([]*Expr, len(e.Args))
	for i, a := range e.Args {
		c.Args[i] = moved(a, to)
	}
	return &c
}
