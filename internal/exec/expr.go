package exec

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// QueryError is an expression that failed on a row (saql.md 0). The runner stops the job
// with it, or drops the row, by policy.
type QueryError struct {
	Span    diag.Span
	Message string
	Row     int // of the batch that was pushed to the node
}

func (e *QueryError) Error() string { return e.Message }

// In is the message with the expression that failed, which is cut from the query text
// (saql.md 13.4). A hint stays at the end.
func (e *QueryError) In(src string) string {
	if e.Span.Start < 0 || e.Span.End > len(src) || e.Span.Start >= e.Span.End {
		return e.Message
	}
	what, hint, _ := strings.Cut(e.Message, fn.HintSep)
	word := " in '"
	if strings.HasPrefix(what, "cannot cast") {
		word = " in expression '"
	}
	what += word + src[e.Span.Start:e.Span.End] + "'"
	if hint != "" {
		what += fn.HintSep + hint
	}
	return what
}

// frame is the evaluation of one batch by one operator.
type frame struct {
	b   *vec.Batch
	n   int
	gen int // numbers the batches, for the memos of shared expressions
	// active marks the rows whose evaluation counts; nil means all. Errors of other rows
	// do not happen: AND, OR, CASE and COALESCE stop when the result is known (saql.md 3.2).
	active []bool
	first  *QueryError  // the error of the smallest row
	bad    []bool       // rows that failed; nil if none
	errs   []QueryError // the first error of each of them
}

func (f *frame) start(b *vec.Batch) {
	f.b, f.n = b, b.N
	f.gen++
	f.active, f.first, f.bad, f.errs = nil, nil, nil, f.errs[:0]
}

func (f *frame) fail(span diag.Span, row int, message string) {
	if f.active != nil && !f.active[row] {
		return
	}
	if f.bad == nil {
		f.bad = make([]bool, f.n)
	}
	if !f.bad[row] {
		f.bad[row] = true
		f.errs = append(f.errs, QueryError{Span: span, Message: message, Row: row})
	}
	if f.first == nil || row < f.first.Row {
		f.first = &QueryError{Span: span, Message: message, Row: row}
	}
}

// value is a compiled expression that gives a column. The column is valid until the next
// batch.
type value interface {
	eval(f *frame) *vec.Vec
}

// truth is a compiled predicate. The slice is valid until the next batch.
type truth interface {
	test(f *frame) []fn.Truth
}

// compiler turns the expressions of one operator into evaluators. An *Expr that stands
// in several places becomes one evaluator.
type compiler struct {
	values map[*plan.Expr]value
	counts *Counts // for what functions count; nil: nobody wants to know
	halt   bool    // the first error ends the run
}

func newCompiler() *compiler { return &compiler{values: map[*plan.Expr]value{}} }

// compiler is a compiler of expressions whose functions count what they note.
func (g *Graph) compiler() *compiler {
	c := newCompiler()
	c.counts, c.halt = &g.Counts, !g.opts.DropErrors
	return c
}

func (c *compiler) value(e *plan.Expr) value {
	if v, ok := c.values[e]; ok {
		return v
	}
	v := c.build(e)
	switch e.Op {
	case plan.OpCol, plan.OpConst, plan.OpTime:
	default:
		v = &memo{x: v}
	}
	c.values[e] = v
	return v
}

func (c *compiler) all(es []*plan.Expr) []value {
	out := make([]value, len(es))
	for i, e := range es {
		out[i] = c.value(e)
	}
	return out
}

func (c *compiler) build(e *plan.Expr) value {
	switch e.Op {
	case plan.OpCol:
		return colExpr(e.Col)
	case plan.OpConst:
		return &constExpr{val: e.Val}
	case plan.OpTime:
		return &timeExpr{}
	case plan.OpField:
		return &fieldExpr{x: c.value(e.Args[0]), name: e.Name}
	case plan.OpCall:
		return newCall(c, e)
	case plan.OpCast, plan.OpTryCast:
		return &castExpr{x: c.value(e.Args[0]), to: e.To, try: e.Op == plan.OpTryCast, span: e.Span}
	case plan.OpCase:
		return newCase(c, e)
	case plan.OpCoalesce:
		return &coalesceExpr{args: c.all(e.Args), canFail: canFail(e)}
	case plan.OpPresent:
		return &presentExpr{args: c.all(e.Args)}
	case plan.OpArith:
		return &arithExpr{op: e.Sub[0], a: c.value(e.Args[0]), b: c.value(e.Args[1]), span: e.Span}
	case plan.OpNeg, plan.OpBitNot:
		return &unaryExpr{op: e.Op, x: c.value(e.Args[0]), span: e.Span}
	case plan.OpRecord:
		return &recordExpr{names: e.Names, args: c.all(e.Args)}
	case plan.OpNull:
		return &nullExpr{x: c.value(e.Args[0])}
	}
	panic("exec: a predicate where a value is expected")
}

func (c *compiler) truth(e *plan.Expr) truth {
	switch e.Op {
	case plan.OpAnd, plan.OpOr:
		x := &logicExpr{or: e.Op == plan.OpOr}
		for _, a := range e.Args {
			x.args = append(x.args, c.truth(a))
			x.canFail = append(x.canFail, canFail(a))
		}
		return x
	case plan.OpNot:
		return &notExpr{x: c.truth(e.Args[0])}
	case plan.OpCmp:
		return newCmp(c, cmpOps[e.Sub], e.Args[0], e.Args[1])
	case plan.OpIn:
		x := &logicExpr{or: true}
		for _, a := range e.Args[1:] {
			x.args = append(x.args, newCmp(c, fn.Eq, e.Args[0], a))
			x.canFail = append(x.canFail, canFail(a))
		}
		return x
	case plan.OpLike:
		return newLike(c, e)
	case plan.OpIsNull:
		return &isNullExpr{x: c.value(e.Args[0])}
	}
	panic("exec: a value where a predicate is expected")
}

// canFail reports whether evaluating e may raise a query error.
func canFail(e *plan.Expr) bool {
	switch e.Op {
	case plan.OpCall, plan.OpCast, plan.OpArith, plan.OpNeg, plan.OpBitNot, plan.OpLike:
		return true
	}
	for _, a := range e.Args {
		if canFail(a) {
			return true
		}
	}
	return false
}

// memo evaluates x once per batch. Only a result of an evaluation in which every row was
// active is kept: another place may count the errors of other rows.
type memo struct {
	x   value
	gen int
	out *vec.Vec
}

func (m *memo) eval(f *frame) *vec.Vec {
	if m.gen == f.gen {
		return m.out
	}
	out := m.x.eval(f)
	if f.active == nil {
		m.gen, m.out = f.gen, out
	}
	return out
}

type colExpr int

func (c colExpr) eval(f *frame) *vec.Vec { return &f.b.Cols[c] }

type constExpr struct {
	val vec.Value
	out vec.Vec
}

func (c *constExpr) eval(f *frame) *vec.Vec {
	fillConst(&c.out, c.val, f.n)
	return &c.out
}

// fillConst makes out n rows of val, keeping what is there already: a constant's column
// only ever grows.
func fillConst(out *vec.Vec, val vec.Value, n int) {
	if out.N < n || out.Kind != val.Kind {
		if val.Kind.IsNull() {
			*out = vec.Vec{Kind: vec.Null}
		}
		out.Fixed(val.Kind, n)
		for i := range n {
			switch val.Kind {
			case vec.Bit, vec.Int, vec.Datetime:
				out.Int[i] = val.Int
			case vec.Float:
				out.Float[i] = val.Float
			case vec.String:
				out.Str[i] = val.Str
			case vec.Record, vec.Array:
				out.Rec[i] = val.Rec
			}
		}
		return
	}
	out.N = n
	switch val.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		out.Int = out.Int[:n]
	case vec.Float:
		out.Float = out.Float[:n]
	case vec.String:
		out.Str = out.Str[:n]
	case vec.Record, vec.Array:
		out.Rec = out.Rec[:n]
	}
}

// timeExpr is System.Timestamp(): T of the row.
type timeExpr struct{ out vec.Vec }

func (t *timeExpr) eval(f *frame) *vec.Vec {
	t.out.Fixed(vec.Datetime, f.n)
	for i, x := range f.b.Time {
		t.out.Int[i] = int64(x)
	}
	return &t.out
}

// fieldExpr is a property of a record (saql.md 7.5: rec.name).
type fieldExpr struct {
	x    value
	name string
	out  vec.Vec
}

func (e *fieldExpr) eval(f *frame) *vec.Vec {
	x := e.x.eval(f)
	e.out.Tagged(f.n)
	for i := range f.n {
		if k := x.KindAt(i); k != vec.Record {
			if k.IsNull() { // no record, no property: a column to its right may have the name
				e.out.Tag[i] = vec.Missing
			}
			continue
		}
		v, ok := x.Rec[i].Get(e.name)
		if !ok {
			e.out.Tag[i] = vec.Missing
			continue
		}
		e.out.Set(i, v)
	}
	return &e.out
}

// presentExpr is the first argument that the event has: a name that a `*` to the left may
// bring (saql.md 6.9).
type presentExpr struct {
	args []value
	out  vec.Vec
}

func (e *presentExpr) eval(f *frame) *vec.Vec {
	first := e.args[0].eval(f)
	if first.Tag == nil && first.Kind != vec.Missing {
		return first
	}
	e.out.Tagged(f.n)
	for i := range f.n {
		e.out.Tag[i] = vec.Missing
	}
	for _, a := range e.args {
		col := a.eval(f)
		for i := range f.n {
			if e.out.Tag[i] == vec.Missing && col.KindAt(i) != vec.Missing {
				e.out.Set(i, col.At(i))
			}
		}
	}
	return &e.out
}

// nullExpr turns absent into NULL: a column that a select list names is never absent.
type nullExpr struct {
	x   value
	tag []vec.Kind
	out vec.Vec
}

func (e *nullExpr) eval(f *frame) *vec.Vec {
	x := e.x.eval(f)
	if x.Tag == nil {
		if x.Kind != vec.Missing {
			return x
		}
		e.out = vec.Vec{N: f.n, Kind: vec.Null}
		return &e.out
	}
	e.tag = append(e.tag[:0], x.Tag...)
	for i, k := range e.tag {
		if k == vec.Missing {
			e.tag[i] = vec.Null
		}
	}
	e.out = *x
	e.out.Tag = e.tag
	return &e.out
}

// recordExpr makes records; the leftmost name wins (saql.md 6.9).
type recordExpr struct {
	names []string
	args  []value
	cols  []*vec.Vec
	out   vec.Vec
}

func (e *recordExpr) eval(f *frame) *vec.Vec {
	e.cols = e.cols[:0]
	for _, a := range e.args {
		e.cols = append(e.cols, a.eval(f))
	}
	if len(e.cols) == 1 && e.names[0] == "" && e.cols[0].Tag == nil && e.cols[0].Kind == vec.Record {
		return e.cols[0]
	}
	e.out.Fixed(vec.Record, f.n)
	for i := range f.n {
		e.out.Rec[i] = e.row(i)
	}
	return &e.out
}

func (e *recordExpr) row(i int) *vec.Rec {
	rec := &vec.Rec{Names: make([]string, 0, len(e.names)), Vals: make([]vec.Value, 0, len(e.names))}
	add := func(name string, v vec.Value) {
		for _, n := range rec.Names {
			if n == name {
				return
			}
		}
		rec.Names = append(rec.Names, name)
		rec.Vals = append(rec.Vals, v)
	}
	for j, name := range e.names {
		col := e.cols[j]
		if name != "" {
			add(name, keep(col.At(i)))
			continue
		}
		if col.KindAt(i) != vec.Record {
			continue
		}
		for k, n := range col.Rec[i].Names {
			add(n, col.Rec[i].Vals[k])
		}
	}
	return rec
}

// keep makes v independent of reused buffers, and absent NULL.
func keep(v vec.Value) vec.Value {
	switch v.Kind {
	case vec.Missing:
		v.Kind = vec.Null
	case vec.String:
		v.Str = string([]byte(v.Str))
	}
	return v
}
