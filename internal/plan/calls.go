package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// isSystem reports whether a call is System.name.
func isSystem(e *saql.Call, name string) bool {
	return e.Prefix != nil && sameName(e.Prefix.Text, "System") && sameName(e.Name.Text, name)
}

// call compiles a function call (saql.md 7).
func (x *exprs) call(e *saql.Call) *Expr {
	if x.match != nil {
		if v, ok := x.matchCall(e); ok {
			return v
		}
	}
	if e.Prefix != nil {
		switch {
		case isSystem(e, "Timestamp"):
			return x.timestamp(e)
		case isSystem(e, "Window"):
			return x.windowRecord(e)
		case sameName(e.Prefix.Text, "UDF"):
			return x.userFunction(e, false)
		case sameName(e.Prefix.Text, "UDA"):
			return x.userFunction(e, true)
		case x.systemPrefix(e):
			return x.userFunction(e, false)
		case x.env.Level == Level12 || !isBuiltin(e.Name.Text):
			return x.badPrefix(e)
		}
	}
	name := strings.ToUpper(e.Name.Text)
	switch name {
	case "DURATION", "HOP", "OFFSET", "TIMEOUT", "MAXDURATION", "WINDOW":
		return x.wrongPlace(e, e.Name.Text+" only works inside a window function")
	case "WINDOWS", "TUMBLINGWINDOW", "TUMBLING", "HOPPINGWINDOW", "HOPPING", "SLIDINGWINDOW", "SLIDING", "SESSIONWINDOW", "SESSION":
		return x.wrongPlace(e, e.Name.Text+" only works inside GROUP BY")
	case "CLASSIFIER", "FIRST":
		return x.wrongPlace(e, e.Name.Text+" only works inside MATCH_RECOGNIZE")
	case "GETARRAYELEMENTS", "GETRECORDPROPERTIES":
		return x.rowsFunction(e)
	case "LAG", "LAST", "ISFIRST", "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT":
		return x.analyticCall(e, name)
	case "GETMETADATAPROPERTYVALUE":
		return x.metadata(e)
	case "COALESCE":
		return x.coalesce(e)
	}
	if a, ok := fn.LookupAgg(name); ok {
		return x.aggregateCall(e, a)
	}
	s, ok := fn.LookupScalar(name)
	switch {
	case !ok:
		return x.noFunction(e)
	case e.Over != nil:
		x.fail(diag.SA7011, e.Over.Span, e.Name.Text+" cannot be used with OVER", "remove OVER")
		return x.ignoreArgs(e)
	case s.Name == "DATEDIFF" && x.sourceTimes(e):
		return x.datediffOfSources(e)
	case s.Before12 != nil && x.env.Level != Level12:
		s = s.Before12
	}
	return x.scalarCall(e, s)
}

// systemPrefix reports whether a call is system.f of a user function f, which levels below
// 1.2 take (saql.md 3.9).
func (x *exprs) systemPrefix(e *saql.Call) bool {
	if x.env.Level == Level12 || !sameName(e.Prefix.Text, "System") || isBuiltin(e.Name.Text) {
		return false
	}
	_, ok := x.env.function(e.Name.Text, false)
	return ok
}

// isBuiltin reports whether a name is a function of the language.
func isBuiltin(name string) bool {
	if _, ok := fn.LookupScalar(name); ok {
		return true
	}
	if _, ok := fn.LookupAgg(name); ok {
		return true
	}
	return fn.IsAnalytic(name) || sameName(name, "COALESCE") || sameName(name, "GetMetadataPropertyValue")
}

// ignoreArgs checks the arguments of a call that is wrong.
func (x *exprs) ignoreArgs(e *saql.Call) *Expr {
	for _, a := range e.Args {
		if p, ok := bare(a).(*saql.Path); ok && len(p.Names) == 1 {
			if _, isPart := fn.LookupPart(p.Names[0].Text); isPart {
				continue // it may be a date part
			}
			x.bareOrText(p)
			continue
		}
		x.expr(a)
	}
	return bad(e.Span)
}

// bareOrText resolves a name that may stand for a row.
func (x *exprs) bareOrText(p *saql.Path) *Expr {
	if x.match != nil {
		return x.matchPath(p)
	}
	if p.Names[0].Quote == '"' {
		return x.quoted(p)
	}
	return x.bareName(p, true)
}

func (x *exprs) wrongPlace(e *saql.Call, message string) *Expr {
	x.fail(diag.SA7012, e.Span, message, "")
	return bad(e.Span)
}

func (x *exprs) rowsFunction(e *saql.Call) *Expr {
	arg := "x"
	if len(e.Args) == 1 {
		arg = x.text(e.Args[0])
	}
	x.fail(diag.SA7006, e.Span, e.Name.Text+" returns rows", "CROSS APPLY "+e.Name.Text+"("+arg+") AS e")
	return bad(e.Span)
}

// badPrefix reports a prefix that stands for nothing (saql.md 2.8).
func (x *exprs) badPrefix(e *saql.Call) *Expr {
	d := x.fail(diag.SA7003, e.Prefix.Span.To(e.Name.Span), quote(e.Prefix.Text+"."+e.Name.Text)+": built-in functions have no prefix", e.Name.Text+"(..); user functions: UDF."+e.Name.Text)
	if isBuiltin(e.Name.Text) {
		d.Fix = []diag.Edit{{Span: diag.Span{Start: e.Prefix.Span.Start, End: e.Name.Span.Start}}}
	}
	return x.ignoreArgs(e)
}

// elsewhere are names of other languages, with what to use here.
var elsewhere = map[string]string{
	"ISNULL": "COALESCE", "IFNULL": "COALESCE", "NVL": "COALESCE", "GETDATE": "System.Timestamp()", "GETUTCDATE": "System.Timestamp()",
	"NOW": "System.Timestamp()", "SYSUTCDATETIME": "System.Timestamp()", "CURRENT_TIMESTAMP": "System.Timestamp()",
	"CONVERT": "CAST", "TRY_CONVERT": "TRY_CAST", "LENGTH": "LEN", "DATALENGTH": "LEN", "IIF": "CASE WHEN .. THEN .. ELSE .. END", "IF": "CASE WHEN .. THEN .. ELSE .. END",
	"ROW_NUMBER": "CollectTop", "SUBSTR": "SUBSTRING", "INSTR": "CHARINDEX", "CEIL": "CEILING", "POW": "POWER", "FIRST_VALUE": "TopOne", "LAST_VALUE": "LAST",
	"FORMAT": "write a UDF", "LOG": "write a UDF", "LOG10": "write a UDF", "PARSE": "write a UDF", "TRY_PARSE": "write a UDF", "RAND": "write a UDF",
	"SIN": "write a UDF", "COS": "write a UDF", "TAN": "write a UDF", "ASIN": "write a UDF", "ACOS": "write a UDF", "ATAN": "write a UDF", "ATN2": "write a UDF",
	"PI": "write a UDF", "LN": "write a UDF", "GREATEST": "write a UDF", "LEAST": "write a UDF", "NEWID": "write a UDF",
	"LEAD": "LAG: a row can look back, not ahead", "RANK": "CollectTop", "MEDIAN": "PERCENTILE_CONT(0.5) OVER (ORDER BY ..)",
	"STRING_AGG": "Collect", "ARRAY_AGG": "Collect", "LISTAGG": "Collect", "GROUP_CONCAT": "Collect", "APPROX_COUNT_DISTINCT": "COUNT(DISTINCT ..)",
	"UNNEST": "CROSS APPLY GetArrayElements(..) AS e", "EXPLODE": "CROSS APPLY GetArrayElements(..) AS e", "OPENJSON": "CROSS APPLY GetRecordProperties(..) AS e",
	"JSON_VALUE": "GetRecordPropertyValue", "ST_CONTAINS": "ST_WITHIN with its arguments swapped", "ISNUMERIC": "TRY_CAST", "ISDATE": "TRY_CAST",
	"ANOMALYDETECTION": "AnomalyDetection_SpikeAndDip or AnomalyDetection_ChangePoint",
}

// otherShape are functions of elsewhere that are written differently from what they replace, so
// that a new name alone is no fix.
var otherShape = []string{"CAST", "TRY_CAST", "CollectTop", "Collect", "TopOne", "LAST"}

// noFunction reports an unknown name.
func (x *exprs) noFunction(e *saql.Call) *Expr {
	hint := ""
	var fix []diag.Edit
	if use, ok := elsewhere[strings.ToUpper(e.Name.Text)]; ok {
		hint = "use " + use
		switch {
		case use == "write a UDF":
			hint = use
		case isBuiltin(use) && !slices.Contains(otherShape, use):
			fix = []diag.Edit{{Span: e.Name.Span, Text: use}}
		}
	}
	for _, f := range x.env.Functions {
		if sameName(f.Name, e.Name.Text) {
			hint = f.full()
			fix = []diag.Edit{{Span: e.Name.Span, Text: hint}}
		}
	}
	if hint == "" {
		if near, ok := diag.Nearest(e.Name.Text, fn.Names()); ok {
			hint = "did you mean " + quote(near) + "?"
			fix = []diag.Edit{{Span: e.Name.Span, Text: near}}
		}
	}
	x.fail(diag.SA7001, e.Name.Span, "no function named "+quote(e.Name.Text), hint).Fix = fix
	return x.ignoreArgs(e)
}

// userFunction compiles UDF.f and UDA.f (saql.md 10).
func (x *exprs) userFunction(e *saql.Call, aggregate bool) *Expr {
	full := e.Prefix.Text + "." + e.Name.Text
	f, ok := x.env.function(e.Name.Text, aggregate)
	if !ok {
		x.noUserFunction(e, full)
		return x.ignoreArgs(e)
	}
	if e.Star || e.Distinct || e.All {
		x.fail(diag.SA7002, e.Span, full+" takes arguments, not * or DISTINCT", full+"(e)")
		return x.ignoreArgs(e)
	}
	if e.Over != nil {
		hint := "remove OVER"
		if aggregate {
			hint = "use a SlidingWindow"
		}
		x.fail(diag.SA7011, e.Over.Span, full+" cannot be used with OVER", hint)
		return x.ignoreArgs(e)
	}
	x.warnUnrepeatable(e, f)
	if aggregate {
		return x.userAggregate(e, f, full)
	}
	if x.when {
		x.extension(e.Span, "a user function in WHEN", "")
	} else if x.analytic != "" {
		x.fail(diag.SA7013, e.Span, x.analytic+" cannot contain user functions", "compute it in a step before")
		return x.ignoreArgs(e)
	}
	out := &Expr{Op: OpCall, Fn: f.Scalar, Span: e.Span}
	var types []vec.Kinds
	for _, a := range e.Args {
		v := foldConstants(x.rowOrValue(a, true))
		out.Args = append(out.Args, v)
		types = append(types, v.Type)
	}
	if f.Scalar == nil {
		return bad(e.Span) // reported where it is declared
	}
	out.Type = f.Scalar.Result(types)
	return out
}

// userAggregate compiles UDA.f(e).
func (x *exprs) userAggregate(e *saql.Call, f Function, full string) *Expr {
	if !x.aggregatePlace(e, full) {
		return x.argsOf(e, full)
	}
	x.b.noteAggregate(full, e.Span)
	if len(e.Args) != 1 {
		x.fail(diag.SA7002, e.Span, full+" takes 1 argument, not "+itoa(len(e.Args)), full+"(e)")
		return x.argsOf(e, full)
	}
	inner := *x
	inner.aggregate = full
	v := foldConstants(inner.rowOrValue(e.Args[0], true))
	if f.Agg == nil {
		return bad(e.Span) // reported where it is declared
	}
	return x.groupAggregate(&aggCall{fn: f.Agg, args: []*Expr{v}, typ: f.Agg.Result([]vec.Kinds{v.Type}), span: e.Span})
}

// noUserFunction reports a user function that the job does not have.
func (x *exprs) noUserFunction(e *saql.Call, full string) {
	var names []string
	for _, f := range x.env.Functions {
		names = append(names, f.full())
	}
	at := e.Prefix.Span.To(e.Name.Span)
	hint := "the job has no such function"
	var fix []diag.Edit
	if near, ok := diag.Nearest(full, names); ok {
		hint = "did you mean " + quote(near) + "?"
		fix = []diag.Edit{{Span: at, Text: near}}
	}
	x.fail(diag.SA7001, at, "no function named "+quote(full), hint).Fix = fix
}

// warnUnrepeatable tells of a function of the job that asks for the time or for chance.
// Those that the script creates are reported where they are created.
func (x *exprs) warnUnrepeatable(e *saql.Call, f Function) {
	if f.Unrepeatable.What != "" && f.at == (diag.Span{}) {
		x.warn(diag.W7003, e.Prefix.Span.To(e.Name.Span), f.Unrepeatable.What+" makes results unrepeatable", unrepeatableHint)
	}
}

const unrepeatableHint = "here it follows the time of the event"

// timestamp compiles System.Timestamp() (saql.md 4.8).
func (x *exprs) timestamp(e *saql.Call) *Expr {
	switch x.place {
	case inTimestampBy, inTimestampOver:
		x.fail(diag.SA5010, e.Span, "System.Timestamp() cannot define itself", "use a payload field")
		return bad(e.Span)
	case inOn:
		if x.analytic == "" {
			x.fail(diag.SA6008, e.Span, "System.Timestamp() is not allowed in ON: two rows meet here", "DATEDIFF(second, a, b)")
			return bad(e.Span)
		}
	}
	if len(e.Args) > 0 {
		x.fail(diag.SA7002, e.Span, "System.Timestamp takes 0 arguments, not "+itoa(len(e.Args)), "System.Timestamp()")
	}
	if len(x.b.sources) > 0 && !slices.ContainsFunc(x.b.sources, func(s *source) bool { return !s.reference }) {
		x.fail(diag.SA6010, e.Span, "reference data has no time", "read System.Timestamp() where a stream is joined with the data")
		return bad(e.Span)
	}
	return &Expr{Op: OpTime, Type: vec.KindsOf(vec.Datetime), Span: e.Span}
}

// windowRecord compiles System.Window(), a record with the property Id (saql.md 5.7).
func (x *exprs) windowRecord(e *saql.Call) *Expr {
	id := x.windowID(e)
	if isBad(id) {
		return id
	}
	return &Expr{Op: OpRecord, Names: []string{"Id"}, Args: []*Expr{id}, Type: vec.KindsOf(vec.Record), Span: e.Span}
}

// windowField compiles System.Window().Id.
func (x *exprs) windowField(call *saql.Call, e *saql.FieldExpr) *Expr {
	if !sameName(e.Name.Text, "Id") {
		return &Expr{Op: OpField, Name: e.Name.Text, Args: []*Expr{x.windowRecord(call)}, Type: vec.AnyKind, Span: e.Span}
	}
	id := x.windowID(call)
	id.Span = e.Span
	return id
}

func (x *exprs) windowID(e *saql.Call) *Expr {
	g := x.b.group
	if g == nil || x.place != inSelect && x.place != inHaving || x.aggregate != "" {
		x.fail(diag.SA5003, e.Span, "System.Window() needs a GROUP BY window", "")
		return bad(e.Span)
	}
	hasIDs := false
	for _, w := range g.windows {
		hasIDs = hasIDs || w.HasID
	}
	if !hasIDs {
		return constant(vec.NullValue(), e.Span)
	}
	g.withID = true
	return &Expr{Op: OpCol, Type: vec.KindsOf(vec.String), Span: e.Span, ref: &ref{kind: refWindowID}}
}

// coalesce compiles COALESCE, which does not evaluate more arguments than it needs.
func (x *exprs) coalesce(e *saql.Call) *Expr {
	if len(e.Args) < 2 {
		x.fail(diag.SA7002, e.Span, "COALESCE takes 2 or more arguments, not "+itoa(len(e.Args)), "COALESCE(e1, e2, ...)")
		return x.ignoreArgs(e)
	}
	out := &Expr{Op: OpCoalesce, Span: e.Span}
	all := vec.NullKind
	for _, a := range e.Args {
		v := x.valueOf(a)
		out.Args = append(out.Args, v)
		out.Type |= v.Type.NotNull()
		all &= v.Type
	}
	if all != 0 || out.Type == 0 {
		out.Type |= nullOnly
	}
	return out
}
