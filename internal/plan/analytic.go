package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Analytic functions are checked here and do not run yet (saql.md 2.6, 8, 11).

// overParts says which parts of OVER a function takes: may, must or (absent) no.
type overParts struct{ partition, order, limit, when byte }

const (
	may  = 'm'
	must = 'M'
)

// analyticCall checks LAG, LAST, ISFIRST and the anomaly functions.
func (x *exprs) analyticCall(e *saql.Call, name string) *Expr {
	parts := overParts{partition: may, limit: must, when: may}
	if name == "ISFIRST" {
		parts.limit = 0
	}
	before := x.errors()
	if !x.over(e, parts) || !x.analyticPlace(e) {
		return x.analyticArgs(e)
	}
	if name == "ISFIRST" {
		x.isFirst(e)
	} else {
		x.analyticArgs(e)
		x.checkAnalytic(e, name)
	}
	if x.errors() == before {
		x.b.notSupported(e.Span, e.Name.Text)
	}
	return bad(e.Span)
}

// analyticPlace reports an analytic function where none may stand.
func (x *exprs) analyticPlace(e *saql.Call) bool {
	switch {
	case x.b.sch.reference != nil:
		x.fail(diag.SA6011, e.Span, e.Name.Text+" cannot be used on reference data", "")
	case x.analytic != "":
		x.fail(diag.SA7013, e.Span, x.analytic+" cannot contain analytic functions", "compute it in a step before")
	case x.place == inTimestampBy || x.place == inTimestampOver:
		x.fail(diag.SA5011, e.Span, "TIMESTAMP BY must read the event: "+quote(x.text(e))+" is made by "+e.Name.Text, "move TIMESTAMP BY to the input; for APPLY: use a second job")
	case x.place == inHaving && x.aggregate == "" && x.b.group != nil:
		x.fail(diag.SA7012, e.Span, e.Name.Text+" cannot be used in HAVING", "compute it in a step before")
	default:
		return true
	}
	return false
}

// analyticArgs compiles the arguments of an analytic function.
func (x *exprs) analyticArgs(e *saql.Call) *Expr {
	inner := *x
	inner.analytic = e.Name.Text
	for _, a := range e.Args {
		inner.valueOf(a)
	}
	return bad(e.Span)
}

// isFirst checks ISFIRST(unit, n).
func (x *exprs) isFirst(e *saql.Call) {
	const signature = "ISFIRST(unit, n) [OVER ([PARTITION BY key] [WHEN condition])]"
	if len(e.Args) != 2 {
		x.fail(diag.SA7002, e.Span, "ISFIRST takes 2 arguments, not "+itoa(len(e.Args)), signature)
		return
	}
	x.span(e.Args[0], e.Args[1], "ISFIRST")
}

// span checks a unit and a number that stand as arguments.
func (x *exprs) span(unit, value saql.Expr, of string) {
	p, ok := bare(unit).(*saql.Path)
	if !ok || len(p.Names) != 1 {
		x.fail(diag.SA5004, unit.Pos(), quote(x.text(unit))+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
		return
	}
	length, ok := x.unit(p.Names[0])
	if !ok {
		return
	}
	t, ok := x.duration(value, length, false)
	switch {
	case !ok:
		x.fail(diag.SA7016, value.Pos(), "the duration of "+of+" must be positive and a whole number of 100 ns ticks", "")
	case t > longestWindow && of == "ISFIRST":
		x.fail(diag.SA5006, value.Pos(), "a window may be at most 7 days", "aggregate to days in a step, then combine")
	}
}

// checkAnalytic checks the arguments of LAG, LAST and the anomaly functions.
func (x *exprs) checkAnalytic(e *saql.Call, name string) {
	lo, hi, signature := 1, 3, "LAG(e [, offset [, default]]) OVER (LIMIT DURATION(unit, n))"
	switch name {
	case "LAST":
		hi, signature = 2, "LAST(e [, default]) OVER (LIMIT DURATION(unit, n))"
	case "ANOMALYDETECTION_SPIKEANDDIP":
		lo, hi, signature = 4, 4, "AnomalyDetection_SpikeAndDip(x, confidence, historySize, mode) OVER (LIMIT DURATION(unit, n))"
	case "ANOMALYDETECTION_CHANGEPOINT":
		lo, hi, signature = 3, 3, "AnomalyDetection_ChangePoint(x, confidence, historySize) OVER (LIMIT DURATION(unit, n))"
	}
	n := len(e.Args)
	if e.Star {
		n = 1
	}
	if n < lo || n > hi {
		want := itoa(lo)
		if hi > lo {
			want = itoa(lo) + " to " + itoa(hi)
			if hi == lo+1 {
				want = itoa(lo) + " or " + itoa(hi)
			}
		}
		x.fail(diag.SA7002, e.Span, e.Name.Text+" takes "+want+" arguments, not "+itoa(n), signature)
		return
	}
	switch name {
	case "LAG":
		if len(e.Args) > 1 {
			if v, ok := x.literalInt(e.Args[1]); !ok || v < 1 {
				x.fail(diag.SA7014, e.Args[1].Pos(), "the offset of LAG is an integer of 1 or more", "for the current row: LAST")
			}
		}
		x.checkDefault(e, 2)
	case "LAST":
		x.checkDefault(e, 1)
	default:
		x.checkAnomaly(e, name)
	}
}

// checkDefault demands that a default has the type of the value (saql.md 8.2).
func (x *exprs) checkDefault(e *saql.Call, i int) {
	if len(e.Args) <= i {
		return
	}
	x.muted++
	value, def := x.valueOf(e.Args[0]), x.valueOf(e.Args[i])
	x.muted--
	v, d := value.Type.NotNull(), def.Type.NotNull()
	if v == 0 || d == 0 || v&d != 0 || v == vec.KindsOf(vec.Float) && d == vec.KindsOf(vec.Int) {
		return
	}
	x.fail(diag.SA7015, e.Args[i].Pos(), "the default is "+typeText(d)+", the value "+typeText(v), "CAST the default")
}

func (x *exprs) checkAnomaly(e *saql.Call, name string) {
	if v, ok := x.literalNumber(e.Args[1]); !ok || v < 1 || v > 100 {
		x.fail(diag.SA7016, e.Args[1].Pos(), "confidence of "+e.Name.Text+" must be a number from 1 to 100", "")
	}
	if v, ok := x.literalInt(e.Args[2]); !ok || v < 1 || v > 100000 {
		x.fail(diag.SA7016, e.Args[2].Pos(), "historySize of "+e.Name.Text+" must be an integer from 1 to 100000", "")
	}
	if name != "ANOMALYDETECTION_SPIKEANDDIP" {
		return
	}
	l, ok := bare(e.Args[3]).(*saql.Literal)
	if !ok || l.Kind != saql.LitString || !strings.Contains(" SPIKES DIPS SPIKESANDDIPS ", " "+strings.ToUpper(l.Str)+" ") {
		x.fail(diag.SA7016, e.Args[3].Pos(), "mode of "+e.Name.Text+" must be 'spikes', 'dips' or 'spikesanddips'", "")
	}
}

// literalInt is the value of an integer constant.
func (x *exprs) literalInt(e saql.Expr) (int64, bool) {
	x.muted++
	v := foldConstants(x.valueOf(e))
	x.muted--
	return v.Val.Int, v.Op == OpConst && v.Val.Kind == vec.Int
}

// literalNumber is the value of a number constant.
func (x *exprs) literalNumber(e saql.Expr) (float64, bool) {
	x.muted++
	v := foldConstants(x.valueOf(e))
	x.muted--
	if !isNumber(v) {
		return 0, false
	}
	if v.Val.Kind == vec.Int {
		return float64(v.Val.Int), true
	}
	return v.Val.Float, true
}

// over checks the parts of OVER against those that a function takes (saql.md 2.6).
func (x *exprs) over(e *saql.Call, p overParts) bool {
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
	x.overExprs(e, o)
	return ok
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
func (x *exprs) overExprs(e *saql.Call, o *saql.Over) {
	inner := *x
	inner.analytic = e.Name.Text
	for _, k := range o.PartitionBy {
		inner.valueOf(k)
	}
	for _, k := range o.OrderBy {
		inner.valueOf(k.Expr)
	}
	if o.When != nil {
		inner.truth(o.When)
	}
	if o.Limit != nil {
		length, ok := x.unit(o.Limit.Unit)
		if !ok {
			return
		}
		switch t, ok := x.duration(o.Limit.Value, length, false); {
		case !ok:
			x.fail(diag.SA7016, o.Limit.Value.Pos(), "LIMIT DURATION of "+e.Name.Text+" must be positive and a whole number of 100 ns ticks", "")
		case t > longestWindow:
			x.warn(diag.W8001, o.Limit.Span, "LIMIT DURATION of more than 7 days", "")
		}
	}
}

// aggregateOver checks an aggregate with OVER, which is an analytic function (saql.md 8.5).
func (x *exprs) aggregateOver(e *saql.Call, a *fn.Agg) *Expr {
	before := x.errors()
	name := strings.ToUpper(a.Name)
	parts := overParts{partition: may, limit: must, when: may}
	switch name {
	case "SUM", "AVG", "MIN", "MAX", "COUNT", "COLLECT":
	case "TOPONE", "COLLECTTOP":
		parts.order = must
	default:
		x.fail(diag.SA7011, e.Span, e.Name.Text+" cannot be used with OVER", "use a SlidingWindow")
		return x.argsOf(e, e.Name.Text)
	}
	if e.Distinct {
		x.fail(diag.SA7011, e.Span, e.Name.Text+"(DISTINCT) cannot be used with OVER", "use a SlidingWindow")
		return x.argsOf(e, e.Name.Text)
	}
	if x.over(e, parts) && x.analyticPlace(e) {
		inner := *x
		inner.analytic = e.Name.Text
		for _, arg := range e.Args {
			inner.rowOrValue(arg, name == "COUNT")
		}
	}
	if x.errors() == before {
		x.b.notSupported(e.Span, e.Name.Text+" with OVER")
	}
	return bad(e.Span)
}

// callText is the source text of a call without its OVER.
func (x *exprs) callText(e *saql.Call) string {
	if e.Over == nil {
		return x.text(e)
	}
	return strings.TrimSpace(x.textAt(diag.Span{Start: e.Span.Start, End: e.Over.Span.Start}))
}
