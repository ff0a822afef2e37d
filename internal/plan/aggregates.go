package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// aggregateCall compiles a call of an aggregate (saql.md 7.6).
func (x *exprs) aggregateCall(e *saql.Call, a *fn.Agg) *Expr {
	if e.Over != nil && (!a.Ordered || e.Over.Limit != nil) {
		return x.aggregateOver(e, a)
	}
	name := e.Name.Text
	if !x.aggregatePlace(e, name) {
		return x.argsOf(e, name)
	}
	x.b.noteAggregate(strings.ToUpper(name), e.Span)
	if a.Ordered && !x.over(e, overParts{order: must}) {
		return x.argsOf(e, name)
	}
	inner := *x
	inner.aggregate = name
	call := inner.aggregateArgs(e, a)
	if call == nil {
		return bad(e.Span)
	}
	return x.groupAggregate(call)
}

// groupAggregate adds a call to the group of the block and gives its result. Arguments
// are over the input row; T is added where the function takes it.
func (x *exprs) groupAggregate(call *aggCall) *Expr {
	if x.b.group == nil {
		return bad(call.span)
	}
	if call.fn.WithTime {
		call.args = append(call.args, &Expr{Op: OpTime, Type: vec.KindsOf(vec.Datetime), Span: call.span})
	}
	return x.b.group.addAgg(call)
}

// aggregateArgs compiles what stands between the parentheses of an aggregate, and its
// order keys. It gives nil after an error. The caller has said in x that an aggregate, or
// an analytic function, is being compiled.
func (x *exprs) aggregateArgs(e *saql.Call, a *fn.Agg) *aggCall {
	name := e.Name.Text
	call := &aggCall{fn: a, span: e.Span}
	isCount := sameName(a.Name, "COUNT")
	switch {
	case e.Distinct && isCount:
		call.fn, _ = fn.LookupAgg("COUNT_DISTINCT")
	case e.Distinct:
		x.fail(diag.SA7002, e.Span, name+" takes no DISTINCT", "COUNT(DISTINCT e)")
		x.ignoreArgs(e)
		return nil
	case e.Star && !isCount:
		x.fail(diag.SA7002, e.Span, name+" takes "+argumentCount(a)+", not *", callShape(e, a))
		return nil
	}
	hi := len(call.fn.Params)
	lo := hi - b2i(a.Row || isCount && !e.Distinct)
	if n := len(e.Args); n < lo || n > hi {
		x.fail(diag.SA7002, e.Span, name+" takes "+argumentCount(call.fn)+", not "+itoa(n), callShape(e, a))
		x.ignoreArgs(e)
		return nil
	}
	args := e.Args
	if a.Literal {
		x.valueOf(args[0])
		if !x.literalArg(e, a, call) {
			return nil
		}
		args = args[1:]
	}
	if !x.valueArgs(e, args, call) || a.Ordered && !x.orderKeys(e, call) {
		return nil
	}
	types := make([]vec.Kinds, len(call.args))
	for i, v := range call.args {
		types[i] = v.Type
	}
	call.typ = call.fn.Result(types)
	if !isCount {
		call.typ |= nullOnly
	}
	return call
}

// valueArgs compiles the arguments behind the literal. Where none is given and one may
// be, it is the whole row.
func (x *exprs) valueArgs(e *saql.Call, args []saql.Expr, call *aggCall) bool {
	isCount := sameName(e.Name.Text, "COUNT")
	rows := isCount || call.fn.Row && x.b.openSources() > 1
	first := b2i(call.fn.Literal)
	if call.fn.Row && len(args) == 0 {
		call.args = append(call.args, x.wholeRow(e.Span))
	}
	for i, arg := range args {
		v := foldConstants(x.rowOrValue(arg, rows))
		if isCount && !e.Distinct && v.ref != nil && v.ref.kind == refRow && !v.ref.src.nullable {
			break // COUNT(source) counts rows
		}
		p := call.fn.Params[first+i]
		if !anyAccepted(p, v.Type) {
			x.argumentType(e.Name.Text, first+i, v, p.Types, arg)
			return false
		}
		call.args = append(call.args, v)
	}
	return true
}

// openSources is how many sources have columns that are not known. Beside one of them a
// bare name is a column of it (saql.md 2.8); where there are several it can be none.
func (b *block) openSources() int {
	n := 0
	for _, s := range b.sources {
		n += b2i(s.rel.schema().open)
	}
	return n
}

// wholeRow is the row as `*` would give it; in a block with several sources a record
// with a property per source (saql.md 7.6).
func (x *exprs) wholeRow(at diag.Span) *Expr {
	if len(x.b.sources) == 1 {
		return x.rowOf(x.b.sources[0], at)
	}
	e := &Expr{Op: OpRecord, Type: vec.KindsOf(vec.Record), Span: at}
	for _, s := range x.b.sources {
		e.Names = append(e.Names, s.name)
		e.Args = append(e.Args, x.rowOf(s, at))
	}
	return e
}

// literalArg reads the literal argument of CollectTop and of the percentiles.
func (x *exprs) literalArg(e *saql.Call, a *fn.Agg, call *aggCall) bool {
	arg := e.Args[0]
	if a.Params[0].Types == fn.Bigint {
		n, ok := x.literalInt(arg)
		if !ok || n < 1 {
			x.fail(diag.SA7016, arg.Pos(), a.Params[0].Name+" of "+e.Name.Text+" must be an integer of 1 or more", "")
			return false
		}
		call.cons = vec.IntValue(n)
		return true
	}
	p, ok := x.literalNumber(arg)
	if !ok || p < 0 || p > 1 {
		x.fail(diag.SA7007, arg.Pos(), "a percentile lies between 0 and 1", "95 % is 0.95").Text = "argument of " + e.Name.Text
		return false
	}
	call.cons = vec.FloatValue(p)
	return true
}

// orderKinds are what ORDER BY of an aggregate takes (saql.md 7.6).
var orderKinds = vec.KindsOf(vec.Bit, vec.Int, vec.Float, vec.Datetime)

// orderKeys adds the keys of ORDER BY behind the arguments. What is wrong in them has been
// said when OVER was checked.
func (x *exprs) orderKeys(e *saql.Call, call *aggCall) bool {
	if keys := e.Over.OrderBy; len(keys) > 1 && !call.fn.InOrder {
		x.fail(diag.SA7019, keys[1].Expr.Pos(), "a second key is not allowed in the OVER of "+e.Name.Text, "it needs ORDER BY with one key")
		return false
	}
	want, hint := orderKinds, "ORDER BY takes bigint, float or datetime; CAST it"
	if sameName(call.fn.Name, "PERCENTILE_CONT") {
		want, hint = numbers, "ORDER BY of "+e.Name.Text+" takes bigint or float"
	}
	ok := true
	for _, k := range e.Over.OrderBy {
		if _, ok := bare(k.Expr).(*saql.Path); !ok && call.fn.InOrder {
			x.extension(k.Expr.Pos(), "ORDER BY an expression in "+e.Name.Text, "compute it in a step before")
		}
		x.muted++
		v := foldConstants(x.valueOf(k.Expr))
		x.muted--
		if t := v.Type.NotNull(); t != 0 && t&want == 0 {
			x.fail(diag.SA7008, k.Expr.Pos(), "cannot order by "+typeText(t), hint)
			ok = false
		}
		call.args = append(call.args, v)
		call.desc = append(call.desc, k.Desc)
	}
	return ok
}

// argumentCount says how many arguments an aggregate takes.
func argumentCount(a *fn.Agg) string {
	n := len(a.Params)
	switch {
	case a.Row:
		return itoa(n-1) + " or " + itoa(n) + " arguments"
	case n == 1:
		return "1 argument"
	}
	return itoa(n) + " arguments"
}

// callShape is a call of the aggregate as it should be.
func callShape(e *saql.Call, a *fn.Agg) string {
	if a.Ordered || a.Row {
		return a.Signature()
	}
	return e.Name.Text + "(e)"
}

// rowOrValue compiles an argument; if rows is set, the name of a source stands for its
// row.
func (x *exprs) rowOrValue(a saql.Expr, rows bool) *Expr {
	if p, ok := bare(a).(*saql.Path); ok && len(p.Names) == 1 && rows {
		return x.bareOrText(p)
	}
	return x.valueOf(a)
}

// argsOf checks the arguments of an aggregate that is wrong.
func (x *exprs) argsOf(e *saql.Call, name string) *Expr {
	inner := *x
	inner.aggregate = name
	return inner.ignoreArgs(e)
}

// aggregatePlace reports an aggregate where none may stand.
func (x *exprs) aggregatePlace(e *saql.Call, name string) bool {
	switch {
	case x.aggregate != "":
		d := x.fail(diag.SA7010, e.Span, "aggregates cannot be nested", "aggregate in a step, then again")
		d.Text = "inside " + x.aggregate
	case x.analytic != "":
		x.fail(diag.SA7013, e.Span, x.analytic+" cannot contain aggregate functions", "compute it in a step before")
	case x.place == inSelect || x.place == inHaving:
		return true
	case x.place == inTimestampBy || x.place == inTimestampOver:
		x.fail(diag.SA5011, e.Span, "TIMESTAMP BY must read the event: "+quote(x.text(e))+" is made by aggregate", "move TIMESTAMP BY to the input; for APPLY: use a second job")
	case x.place == inWhere:
		x.fail(diag.SA7012, e.Span, name+" cannot be used in WHERE", "HAVING "+x.text(e)+" .. filters groups")
	default:
		x.fail(diag.SA7012, e.Span, name+" cannot be used in "+x.place.String(), "aggregate in a step before")
	}
	return false
}

// firstAgg notes the first aggregate of the block.
type firstAgg struct {
	name string
	at   diag.Span
}

// noteAggregate remembers an aggregate, which needs a window.
func (b *block) noteAggregate(name string, at diag.Span) {
	if b.firstAgg.name == "" {
		b.firstAgg = firstAgg{name, at}
	}
}

// checkAggregates reports aggregates without GROUP BY.
func (b *block) checkAggregates() {
	if b.firstAgg.name != "" && b.group == nil {
		b.c.fail(diag.SA5001, b.firstAgg.at, "a window must be specified: "+b.firstAgg.name+" groups an endless stream", windowHint)
	}
	if b.group != nil && len(b.group.windows) == 0 && !b.group.wrong {
		what := b.firstAgg.name
		if what == "" {
			what = "GROUP BY"
		}
		b.c.fail(diag.SA5001, b.sel.GroupPos, "a window must be specified: "+what+" groups an endless stream", windowHint)
	}
}
