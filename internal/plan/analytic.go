package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Analytic functions are checked here (saql.md 2.6, 7.6, 8, 11). They become calls of the
// frame of the block, see historyFrame.

// analyticCall compiles LAG, LAST, ISFIRST and the anomaly functions.
func (x *exprs) analyticCall(e *saql.Call, name string) *Expr {
	parts := overParts{partition: may, limit: must, when: may}
	if name == "ISFIRST" {
		parts.limit = 0
	}
	before := x.errors()
	o, ok := x.overClause(e, parts)
	if !ok || !x.analyticPlace(e) {
		return x.analyticArgs(e)
	}
	call := &historyCall{keys: o.keys, when: o.when}
	call.op = HistoryCall{Limit: o.limit, Span: e.Span}
	switch {
	case e.Distinct || e.All:
		x.fail(diag.SA7002, e.Span, e.Name.Text+" takes no DISTINCT or ALL", "")
	case name == "ISFIRST":
		x.isFirst(e, call)
	default:
		x.analyticCompile(e, name, call)
	}
	if x.errors() > before {
		return bad(e.Span)
	}
	return x.addCall(e, call)
}

// addCall gives the result of a call. In ON it is one of the rows of a side of the join,
// elsewhere of the rows of FROM (saql.md 8.1).
func (x *exprs) addCall(e *saql.Call, call *historyCall) *Expr {
	h := &x.b.history
	if j := x.b.joining; x.place == inOn {
		h = j.historyOf(call)
		switch {
		case h == &j.history[0]:
			call.within(partitionKeys(j.left.all()))
		case h == &j.history[1] && !j.right.reference():
			call.within(partitionKeys(j.right.all()))
		case h == &j.history[1]:
			x.fail(diag.SA6011, e.Span, e.Name.Text+" cannot be used on reference data", "")
			return bad(e.Span)
		case h == nil:
			x.fail(diag.SA7012, e.Span, e.Name.Text+" in ON must read one side of the join", "compute it in a step before")
			return bad(e.Span)
		}
	} else {
		call.within(partitionKeys(x.b.sources))
	}
	x.checkSubstreams(e, call)
	if *h == nil {
		*h = &historyFrame{b: x.b}
	}
	return (*h).add(call)
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
	case x.place == inApply || x.place == inPartitionBy:
		x.fail(diag.SA7012, e.Span, e.Name.Text+" cannot be used in "+x.place.String(), "compute it in a step before")
	case x.place == inHaving && x.aggregate == "" && x.b.group != nil:
		x.fail(diag.SA7012, e.Span, e.Name.Text+" cannot be used in HAVING", "compute it in a step before")
	default:
		return true
	}
	return false
}

// analyticArgs checks the arguments of an analytic function that is wrong.
func (x *exprs) analyticArgs(e *saql.Call) *Expr {
	inner := *x
	inner.analytic = e.Name.Text
	for _, a := range e.Args {
		inner.valueOf(a)
	}
	return bad(e.Span)
}

// isFirst compiles ISFIRST(unit, n).
func (x *exprs) isFirst(e *saql.Call, call *historyCall) {
	const signature = "ISFIRST(unit, n) [OVER ([PARTITION BY key] [WHEN condition])]"
	if len(e.Args) != 2 {
		x.fail(diag.SA7002, e.Span, "ISFIRST takes 2 arguments, not "+itoa(len(e.Args)), signature)
		return
	}
	call.op.Kind, call.op.Type = IsFirst, vec.KindsOf(vec.Int)
	call.op.Limit = x.span(e.Args[0], e.Args[1], "ISFIRST")
}

// span is the duration of a unit and a number that stand as arguments.
func (x *exprs) span(unit, value saql.Expr, of string) vec.Time {
	p, ok := bare(unit).(*saql.Path)
	if !ok || len(p.Names) != 1 {
		x.fail(diag.SA5004, unit.Pos(), quote(x.text(unit))+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
		return 0
	}
	length, ok := x.unit(p.Names[0])
	if !ok {
		return 0
	}
	t, ok := x.duration(value, length, false)
	switch {
	case !ok:
		x.fail(diag.SA7016, value.Pos(), "the duration of "+of+" must be positive and a whole number of 100 ns ticks", "")
	case t > longestWindow && of == "ISFIRST":
		x.fail(diag.SA5006, value.Pos(), "a window may be at most 7 days", "aggregate to days in a step, then combine")
	}
	return t
}

// analyticCompile compiles the arguments of LAG, LAST and the anomaly functions.
func (x *exprs) analyticCompile(e *saql.Call, name string, call *historyCall) {
	inner := *x
	inner.analytic = e.Name.Text
	if !inner.analyticCount(e, name) {
		inner.analyticArgs(e)
		return
	}
	switch name {
	case "LAG":
		call.op.Kind, call.op.Offset = Lag, 1
		if len(e.Args) > 1 {
			v, ok := x.literalInt(e.Args[1])
			if !ok || v < 1 || v > maxOffset {
				x.fail(diag.SA7014, e.Args[1].Pos(), "the offset of LAG is an integer of 1 or more", "for the current row: LAST")
			}
			call.op.Offset = int(v)
		}
		inner.lookBack(e, 2, call)
	case "LAST":
		call.op.Kind = Last
		inner.lookBack(e, 1, call)
	default:
		inner.anomaly(e, name, call)
	}
}

// maxOffset bounds the offset of LAG; no more rows are ever kept for a key.
const maxOffset = 1<<31 - 1

// analyticCount checks the number of arguments.
func (x *exprs) analyticCount(e *saql.Call, name string) bool {
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
	if n >= lo && n <= hi {
		return true
	}
	want := itoa(lo)
	if hi > lo {
		want = itoa(lo) + " to " + itoa(hi)
		if hi == lo+1 {
			want = itoa(lo) + " or " + itoa(hi)
		}
	}
	x.fail(diag.SA7002, e.Span, e.Name.Text+" takes "+want+" arguments, not "+itoa(n), signature)
	return false
}

// lookBack compiles the value of LAG or LAST, and the default, which is argument i. The
// default must have the type of the value; a bigint for a float becomes one (saql.md 8.2).
func (x *exprs) lookBack(e *saql.Call, i int, call *historyCall) {
	if e.Star {
		row := x.wholeRow(e.Span)
		call.args, call.op.Type = []*Expr{row}, row.Type|nullOnly
		return
	}
	value := foldConstants(x.valueOf(e.Args[0]))
	call.args = []*Expr{value}
	call.op.Type = notMissing(value.Type) | nullOnly
	if len(e.Args) <= i {
		return
	}
	def := foldConstants(x.valueOf(e.Args[i]))
	float := vec.KindsOf(vec.Float)
	v, d := value.Type.NotNull(), def.Type.NotNull()
	switch {
	case v == float && d == vec.KindsOf(vec.Int):
		def = foldConstants(&Expr{Op: OpCast, To: vec.Float, Args: []*Expr{def}, Type: float | nulls(def.Type), Span: def.Span})
	case v != 0 && d != 0 && v&d == 0:
		x.fail(diag.SA7015, e.Args[i].Pos(), "the default is "+typeText(d)+", the value "+typeText(v), "CAST the default")
	}
	call.args = append(call.args, def)
	call.op.Type |= notMissing(def.Type)
}

// anomaly compiles the arguments of the anomaly functions.
func (x *exprs) anomaly(e *saql.Call, name string, call *historyCall) {
	call.op.Kind, call.op.Type = ChangePoint, vec.KindsOf(vec.Record, vec.Null)
	value := foldConstants(x.valueOf(e.Args[0]))
	call.args = []*Expr{value}
	if p := (fn.Param{Types: fn.Num}); !anyAccepted(p, value.Type) {
		x.argumentType(e.Name.Text, 0, value, p.Types, e.Args[0])
	}
	confidence, ok := x.literalNumber(e.Args[1])
	if !ok || confidence < 1 || confidence > 100 {
		x.fail(diag.SA7016, e.Args[1].Pos(), "confidence of "+e.Name.Text+" must be a number from 1 to 100", "")
	}
	size, ok := x.literalInt(e.Args[2])
	if !ok || size < 1 || size > 100000 {
		x.fail(diag.SA7016, e.Args[2].Pos(), "historySize of "+e.Name.Text+" must be an integer from 1 to 100000", "")
	}
	call.op.Confidence, call.op.Size = confidence, int(size)
	if name != "ANOMALYDETECTION_SPIKEANDDIP" {
		return
	}
	call.op.Kind = SpikeAndDip
	l, ok := bare(e.Args[3]).(*saql.Literal)
	if ok {
		call.op.Mode, ok = anomalyModes[strings.ToUpper(l.Str)]
	}
	if !ok || l.Kind != saql.LitString {
		x.fail(diag.SA7016, e.Args[3].Pos(), "mode of "+e.Name.Text+" must be 'spikes', 'dips' or 'spikesanddips'", "")
	}
}

var anomalyModes = map[string]AnomalyMode{"SPIKES": Spikes, "DIPS": Dips, "SPIKESANDDIPS": SpikesAndDips}

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

// within makes a call work within the partitions of PARTITION BY in FROM, as if these keys
// were its own (saql.md 4.6).
func (c *historyCall) within(keys []*Expr) {
	for _, k := range keys {
		c.keys = addKey(c.keys, k)
	}
}

// partitionKeys are the keys of PARTITION BY in FROM. The sides of a join have equal ones,
// and those of the right side of an outer join may be NULL, so the first ones count.
func partitionKeys(sources []*source) []*Expr {
	for _, s := range sources {
		if len(s.parts) == 0 {
			continue
		}
		keys := make([]*Expr, len(s.parts))
		for i, k := range s.parts {
			keys[i] = k.clone()
		}
		return keys
	}
	return nil
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
	o, ok := x.overClause(e, parts)
	if !ok || !x.analyticPlace(e) {
		return x.argsOf(e, e.Name.Text)
	}
	inner := *x
	inner.analytic = e.Name.Text
	agg := inner.aggregateArgs(e, a)
	if agg == nil || x.errors() > before {
		return bad(e.Span)
	}
	call := &historyCall{args: agg.args, keys: o.keys, when: o.when}
	call.op = HistoryCall{Kind: Over, Limit: o.limit, Type: agg.typ, Span: e.Span}
	call.op.Agg = GroupAgg{Fn: agg.fn, Span: e.Span, Desc: agg.desc, Const: agg.cons}
	return x.addCall(e, call)
}
