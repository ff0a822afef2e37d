package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// overParts says which parts of OVER a function takes: may, must or (absent) no.
type overParts struct{ partition, order, limit, when byte }

const (
	may  = 'm'
	must = 'M'
)

// overClause is a compiled OVER (...).
type overClause struct {
	keys  []*Expr
	order []*Expr
	desc  []bool
	limit vec.Time
	when  *Expr
}

// over checks the parts of OVER.
func (x *exprs) over(e *saql.Call, p overParts) bool {
	_, ok := x.overClause(e, p)
	return ok
}

// overClause checks the parts of OVER against those that a function takes (saql.md 2.6).
func (x *exprs) overClause(e *saql.Call, p overParts) (*overClause, bool) {
	name := e.Name.Text
	o := e.Over
	if o == nil {
		o = &saql.Over{Span: e.Span}
	}
	ok := true
	check := func(rule byte, given bool, at diag.Span, what string) {
		if given && rule == 0 {
			x.fail(diag.SA7019, at, what+" is not allowed in the OVER of "+name, allowedParts(p))
			ok = false
		}
	}
	check(p.partition, o.PartitionBy != nil, o.PartAt, "PARTITION BY")
	check(p.order, o.OrderBy != nil, o.OrderAt, "ORDER BY")
	check(p.limit, o.Limit != nil, o.LimitAt, "LIMIT DURATION")
	check(p.when, o.When != nil, o.WhenAt, "WHEN")
	needs := ""
	switch {
	case p.order == must && o.OrderBy == nil && p.limit == must && o.Limit == nil:
		needs = "ORDER BY .. LIMIT DURATION(..)"
	case p.order == must && o.OrderBy == nil:
		needs = "ORDER BY .."
	case p.limit == must && o.Limit == nil:
		needs = "LIMIT DURATION(..)"
	}
	if needs != "" {
		x.fail(diag.SA7018, e.Span, name+" needs OVER ("+needs+")", "`"+x.callText(e)+" OVER ("+exampleOver(needs)+")`")
		ok = false
	}
	return x.overExprs(e, o), ok
}

// exampleOver is an OVER with the parts that are needed.
func exampleOver(needs string) string {
	needs = strings.ReplaceAll(needs, "ORDER BY ..", "ORDER BY v DESC")
	return strings.ReplaceAll(needs, "DURATION(..)", "DURATION(minute, 10)")
}

// allowedParts says in words which parts of OVER a function takes.
func allowedParts(p overParts) string {
	var need, can []string
	add := func(rule byte, what string) {
		switch rule {
		case must:
			need = append(need, what)
		case may:
			can = append(can, what)
		}
	}
	add(p.partition, "PARTITION BY")
	add(p.order, "ORDER BY")
	add(p.limit, "LIMIT DURATION")
	add(p.when, "WHEN")
	var text []string
	if len(need) > 0 {
		text = append(text, "it needs "+strings.Join(need, ", "))
	}
	if len(can) > 0 {
		text = append(text, "it may have "+strings.Join(can, ", "))
	}
	return strings.Join(text, "; ")
}

// overExprs compiles what stands in OVER.
func (x *exprs) overExprs(e *saql.Call, o *saql.Over) *overClause {
	inner := *x
	inner.analytic = e.Name.Text
	out := &overClause{}
	for _, k := range o.PartitionBy {
		out.keys = addKey(out.keys, foldConstants(inner.valueOf(k)))
	}
	for _, k := range o.OrderBy {
		out.order = append(out.order, foldConstants(inner.valueOf(k.Expr)))
		out.desc = append(out.desc, k.Desc)
	}
	if o.When != nil {
		inner.when = true
		out.when = foldConstants(inner.truth(o.When))
	}
	if o.Limit != nil {
		out.limit = x.limit(e, o.Limit)
	}
	return out
}

// addKey adds a key if it is not there already.
func addKey(keys []*Expr, k *Expr) []*Expr {
	if slices.ContainsFunc(keys, func(other *Expr) bool { return same(other, k) }) {
		return keys
	}
	return append(keys, k)
}

// limit is the duration of LIMIT DURATION.
func (x *exprs) limit(e *saql.Call, l *saql.Limit) vec.Time {
	length, ok := x.unit(l.Unit)
	if !ok {
		return 0
	}
	t, ok := x.duration(l.Value, length, false)
	switch {
	case !ok:
		x.fail(diag.SA7016, l.Value.Pos(), "LIMIT DURATION of "+e.Name.Text+" must be positive and a whole number of 100 ns ticks", "")
	case t > longestWindow:
		x.warn(diag.W8001, l.Span, "LIMIT DURATION of more than 7 days", "")
	}
	return t
}

// callText is the source text of a call without its OVER.
func (x *exprs) callText(e *saql.Call) string {
	if e.Over == nil {
		return x.text(e)
	}
	return strings.TrimSpace(x.textAt(diag.Span{Start: e.Span.Start, End: e.Over.Span.Start}))
}
