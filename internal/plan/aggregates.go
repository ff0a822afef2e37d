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
	name := e.Name.Text
	if e.Over != nil && (!a.Later || e.Over.Limit != nil) {
		return x.aggregateOver(e, a)
	}
	if a.Later {
		return x.laterAggregate(e, a)
	}
	if !x.aggregatePlace(e, name) {
		return x.argsOf(e, name)
	}
	x.b.noteAggregate(name, e.Span)
	call := &aggCall{fn: a, span: e.Span}
	isCount := sameName(a.Name, "COUNT")
	switch {
	case e.Distinct && isCount:
		call.fn, _ = fn.LookupAgg("COUNT_DISTINCT")
	case e.Distinct:
		x.fail(diag.SA7002, e.Span, name+" takes no DISTINCT", "COUNT(DISTINCT e)")
		return x.argsOf(e, name)
	case e.Star && !isCount:
		x.fail(diag.SA7002, e.Span, name+" takes 1 argument, not *", name+"(e)")
		return bad(e.Span)
	}
	want := len(call.fn.Params)
	if n := len(e.Args); n != want && !(isCount && !e.Distinct && n == 0) {
		x.fail(diag.SA7002, e.Span, name+" takes "+itoa(want)+" argument, not "+itoa(n), name+"(e)")
		return x.argsOf(e, name)
	}
	inner := *x
	inner.aggregate = name
	var types []vec.Kinds
	for i, arg := range e.Args {
		v := foldConstants(inner.rowOrValue(arg, isCount))
		if isCount && !e.Distinct && v.ref != nil && v.ref.kind == refRow {
			break // COUNT(source) counts rows
		}
		p := call.fn.Params[i]
		if !anyAccepted(p, v.Type) {
			x.argumentType(name, i, v, p.Types, arg)
			return bad(e.Span)
		}
		call.args = append(call.args, v)
		types = append(types, v.Type)
	}
	call.typ = call.fn.Result(types)
	if !isCount && !e.Distinct {
		call.typ |= nullOnly
	}
	if x.b.group == nil {
		return bad(e.Span)
	}
	return x.b.group.addAgg(call)
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
		b.firstAgg = firstAgg{strings.ToUpper(name), at}
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
