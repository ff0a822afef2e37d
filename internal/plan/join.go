package plan

import (
	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Joins, APPLY and MATCH_RECOGNIZE are checked here and do not run yet (saql.md 6, 9).

// join checks a join whose left sources are b.sources[:left].
func (b *block) join(t *saql.Join, left int) {
	c := b.c
	before := c.errors()
	if left > 0 && b.sources[0].kind == fromReference && len(b.sources) > left && b.sources[left].kind != fromReference {
		c.fail(diag.SA6004, b.sources[0].span, "reference data must be on the right side of JOIN", "swap the sides")
	}
	if t.On == nil {
		return
	}
	x := b.exprs(inOn)
	x.condition(t.On)
	if c.errors() == before && !b.clash && len(b.sources) > left && b.sources[left].kind != fromReference {
		b.checkBounds(t, left)
	}
	if c.errors() == before {
		b.checkPartitionedJoin(t, left)
	}
	if c.errors() == before && !b.clash {
		c.unsupported(t.KeyPos, "JOIN")
	}
}

// checkPartitionedJoin demands that ON equates the partition keys of both sides, and that
// both have as many shards (saql.md 4.6).
func (b *block) checkPartitionedJoin(t *saql.Join, left int) {
	l, r := b.sources[0], b.sources[len(b.sources)-1]
	if left == 0 || left == len(b.sources) || len(l.parts) == 0 || len(r.parts) == 0 {
		return
	}
	x := b.exprs(inOn)
	for i := range min(len(l.parts), len(r.parts)) {
		found := false
		for _, conj := range conjuncts(t.On, nil) {
			e, ok := conj.(*saql.Binary)
			if !ok || e.Op != "=" {
				continue
			}
			x.muted++
			a, c := x.valueOf(e.L), x.valueOf(e.R)
			x.muted--
			found = found || same(a, l.parts[i]) && same(c, r.parts[i]) || same(c, l.parts[i]) && same(a, r.parts[i])
		}
		if !found {
			want := l.name + "." + lastName(b.c.textAt(l.parts[i].Span)) + " = " + r.name + "." + lastName(b.c.textAt(r.parts[i].Span))
			b.c.fail(diag.SA6007, t.KeyPos, "partitioned join without "+quote(want), "add it to ON")
			return
		}
	}
	if len(l.parts) != len(r.parts) || l.shards != r.shards {
		b.c.fail(diag.SA6007, t.KeyPos, "partitioned join without equal shard counts", "make the shard counts equal")
	}
}

// bound is an interval of T(b) - T(a), in ticks.
type bound struct {
	a, b   *source
	lo, hi vec.Time
	at     diag.Span
}

// checkBounds demands a lower and an upper time bound for the right side (saql.md 6.2).
func (b *block) checkBounds(t *saql.Join, left int) {
	c := b.c
	var bounds []bound
	for _, conj := range conjuncts(t.On, nil) {
		if n, ok := b.timeBound(conj); ok {
			n.at = conj.Pos()
			bounds = append(bounds, n)
		}
	}
	at := t.On.Pos()
	if len(bounds) > 0 {
		at = bounds[len(bounds)-1].at
	}
	lo, hi := distances(b.sources, bounds)
	right := left
	bestLo, bestHi := vec.Time(vec.MinTime), vec.Time(vec.MaxTime)
	for i := range b.sources[:left] {
		bestLo, bestHi = max(bestLo, lo[i][right]), min(bestHi, hi[i][right])
		if lo[i][right] > hi[i][right] {
			c.fail(diag.SA6003, at, "the time bounds of the join exclude each other", "")
			return
		}
	}
	if bestLo == vec.MinTime || bestHi == vec.MaxTime {
		which := "lower"
		switch {
		case bestLo == vec.MinTime && bestHi == vec.MaxTime:
			which = "lower and upper"
		case bestHi == vec.MaxTime:
			which = "upper"
		}
		add := " AND DATEDIFF(minute, " + saql.Quote(b.sources[0].name) + ", " + saql.Quote(b.sources[right].name) + ") BETWEEN 0 AND 10"
		hint := "add:" + add + "; if " + quote(b.sources[right].name) + " is a lookup table, declare it as reference input"
		end := t.On.Pos().End
		d := c.fail(diag.SA6001, t.KeyPos, "the join has no "+which+" time bound", hint)
		if e, ok := t.On.(*saql.Binary); ok && e.Op == "OR" {
			return // the edit would need parentheses
		}
		d.Fix = []diag.Edit{{Span: diag.Span{Start: end, End: end}, Text: add}}
		return
	}
	if bestLo < -longestWindow || bestHi > longestWindow {
		c.fail(diag.SA6002, at, "the join spans more than 7 days", "")
	}
	b.checkEqualities(t)
}

// conjuncts are the top-level conjuncts of a condition.
func conjuncts(e saql.Expr, out []saql.Expr) []saql.Expr {
	switch e := e.(type) {
	case *saql.Paren:
		return conjuncts(e.X, out)
	case *saql.Binary:
		if e.Op == "AND" {
			return conjuncts(e.R, conjuncts(e.L, out))
		}
	}
	return append(out, e)
}

// timeBound reads a conjunct as a bound: DATEDIFF over two sources compared with
// constants.
func (b *block) timeBound(e saql.Expr) (bound, bool) {
	switch e := e.(type) {
	case *saql.Between:
		n, unit, ok := b.sourceDistance(e.X)
		lo, okLo := b.ticks(e.Lo, unit)
		hi, okHi := b.ticks(e.Hi, unit)
		n.lo, n.hi = lo, hi
		return n, ok && okLo && okHi && !e.Not
	case *saql.Binary:
		l, r, op := e.L, e.R, e.Op
		n, unit, ok := b.sourceDistance(l)
		if !ok {
			n, unit, ok = b.sourceDistance(r)
			r = l
			op = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}[op]
		}
		v, okV := b.ticks(r, unit)
		n.lo, n.hi = vec.MinTime, vec.MaxTime
		switch op {
		case "=":
			n.lo, n.hi = v, v
		case "<":
			n.hi = v - 1
		case "<=":
			n.hi = v
		case ">":
			n.lo = v + 1
		case ">=":
			n.lo = v
		default:
			ok = false
		}
		return n, ok && okV
	}
	return bound{}, false
}

// sourceDistance reads DATEDIFF(unit, a, b) over sources.
func (b *block) sourceDistance(e saql.Expr) (bound, vec.Time, bool) {
	call, ok := bare(e).(*saql.Call)
	if !ok || call.Prefix != nil || !sameName(call.Name.Text, "DATEDIFF") || len(call.Args) != 3 {
		return bound{}, 0, false
	}
	from, to := b.sourceArg(call.Args[1]), b.sourceArg(call.Args[2])
	if from == nil || to == nil {
		return bound{}, 0, false
	}
	unit, ok := unitOf(call.Args[0])
	return bound{a: from, b: to}, unit, ok
}

// ticks is an integer constant times a unit.
func (b *block) ticks(e saql.Expr, unit vec.Time) (vec.Time, bool) {
	v, ok := b.exprs(inOn).literalInt(e)
	if !ok || unit == 0 || v > int64(vec.MaxTime/4/unit) || v < int64(vec.MinTime/4/unit) {
		return 0, false
	}
	return vec.Time(v) * unit, true
}

// distances closes the bounds over chains: lo[i][j] <= T(j) - T(i) <= hi[i][j].
func distances(sources []*source, bounds []bound) (lo, hi [][]vec.Time) {
	n := len(sources)
	lo, hi = make([][]vec.Time, n), make([][]vec.Time, n)
	index := map[*source]int{}
	for i, s := range sources {
		index[s] = i
		lo[i], hi[i] = make([]vec.Time, n), make([]vec.Time, n)
		for j := range n {
			if i != j {
				lo[i][j], hi[i][j] = vec.MinTime, vec.MaxTime
			}
		}
	}
	tighten := func(i, j int, l, h vec.Time) {
		lo[i][j], hi[i][j] = max(lo[i][j], l), min(hi[i][j], h)
	}
	for _, b := range bounds {
		i, j := index[b.a], index[b.b]
		tighten(i, j, b.lo, b.hi)
		tighten(j, i, negated(b.hi), negated(b.lo))
	}
	for k := range n {
		for i := range n {
			for j := range n {
				if i != j && i != k && j != k {
					tighten(i, j, sum(lo[i][k], lo[k][j]), sum(hi[i][k], hi[k][j]))
				}
			}
		}
	}
	return lo, hi
}

// negated is -t; the ends of time stay ends.
func negated(t vec.Time) vec.Time {
	switch t {
	case vec.MinTime:
		return vec.MaxTime
	case vec.MaxTime:
		return vec.MinTime
	}
	return -t
}

// sum is a + b; an end of time stays one.
func sum(a, b vec.Time) vec.Time {
	if a == vec.MinTime || a == vec.MaxTime {
		return a
	}
	if b == vec.MinTime || b == vec.MaxTime {
		return b
	}
	return a + b
}

// checkEqualities warns of joins without an equality, and of equalities that never hold.
func (b *block) checkEqualities(t *saql.Join) {
	x := b.exprs(inOn)
	equal := false
	for _, conj := range conjuncts(t.On, nil) {
		e, ok := conj.(*saql.Binary)
		if !ok || e.Op != "=" {
			continue
		}
		x.muted++
		l, r := x.valueOf(e.L), x.valueOf(e.R)
		x.muted--
		ls, rs := sourcesOf(l), sourcesOf(r)
		if len(ls) != 1 || len(rs) != 1 || ls[0] == rs[0] {
			continue
		}
		equal = true
		a, bb := l.Type.NotNull(), r.Type.NotNull()
		text := vec.KindsOf(vec.String)
		if a == text && bb.Within(numbers) && bb != 0 || bb == text && a.Within(numbers) && a != 0 {
			b.c.warn(diag.W6001, e.Span, "the join compares "+typeText(a)+" with "+typeText(bb)+": never equal", "CAST one side")
		}
	}
	if !equal {
		b.c.warn(diag.W6002, t.KeyPos, "the join has no equality: every pair in the time bound is compared", "")
	}
}

// sourcesOf are the sources that an expression reads.
func sourcesOf(e *Expr) []*source {
	var out []*source
	walk(e, func(e *Expr) bool {
		if e.ref != nil && e.ref.src != nil {
			for _, s := range out {
				if s == e.ref.src {
					return true
				}
			}
			out = append(out, e.ref.src)
		}
		return true
	})
	return out
}

// sourceArg is the source that an argument names, or nil.
func (b *block) sourceArg(e saql.Expr) *source {
	p, ok := bare(e).(*saql.Path)
	if !ok || len(p.Names) != 1 {
		return nil
	}
	for _, s := range b.sources {
		if _, isColumn := s.rel.schema().find(p.Names[0].Text); isColumn {
			return nil
		}
	}
	return b.sourceNamed(p.Names[0].Text)
}

// sourceTimes reports whether a DATEDIFF is over sources.
func (x *exprs) sourceTimes(e *saql.Call) bool {
	if len(e.Args) != 3 || !x.b.joined && x.place != inOn {
		return false
	}
	return x.b.sourceArg(e.Args[1]) != nil && x.b.sourceArg(e.Args[2]) != nil
}

// datediffOfSources is DATEDIFF over sources, which has a meaning in ON only (saql.md 6.2).
func (x *exprs) datediffOfSources(e *saql.Call) *Expr {
	s, other := x.b.sourceArg(e.Args[1]), x.b.sourceArg(e.Args[2])
	if x.place != inOn {
		x.fail(diag.SA6009, e.Args[1].Pos(), quote(x.text(e.Args[1]))+" is a source, not a time", "DATEDIFF over sources works only in ON; use columns")
		return bad(e.Span)
	}
	if s.kind == fromReference || other.kind == fromReference {
		x.fail(diag.SA6010, e.Span, "reference data has no time", "remove the DATEDIFF")
		return bad(e.Span)
	}
	if p, ok := bare(e.Args[0]).(*saql.Path); ok {
		if _, ok := x.unit(p.Names[0]); !ok {
			return bad(e.Span)
		}
	}
	return &Expr{Op: OpConst, Val: vec.NullValue(), Type: vec.KindsOf(vec.Int, vec.Null), Span: e.Span}
}

// apply checks APPLY and adds its source (saql.md 6.7).
func (b *block) apply(t *saql.Apply) {
	c := b.c
	before := c.errors()
	b.opaque = true
	x := b.exprs(inApply)
	arg := x.rowOrValue(t.Arg, sameName(t.Func.Text, "GetRecordProperties"))
	var cols []Col
	want := vec.Array
	switch {
	case sameName(t.Func.Text, "GetArrayElements"):
		cols = []Col{{"ArrayIndex", vec.KindsOf(vec.Int, vec.Null)}, {"ArrayValue", vec.AnyKind}}
	case sameName(t.Func.Text, "GetRecordProperties"):
		want = vec.Record
		cols = []Col{{"PropertyName", vec.KindsOf(vec.String, vec.Null)}, {"PropertyValue", vec.AnyKind}}
	default:
		c.fail(diag.SA7001, t.Func.Span, "no function named "+quote(t.Func.Text)+" for APPLY", "GetArrayElements or GetRecordProperties")
	}
	if cols != nil && arg.Type.NotNull() != 0 && !arg.Type.Has(want) {
		c.fail(diag.SA3009, t.Arg.Pos(), "argument 1 of "+t.Func.Text+" is "+typeText(arg.Type)+"; "+want.String()+" wanted", "")
	}
	u := newUnknown(quote(t.Alias.Text))
	if cols != nil {
		u.sch.open, u.sch.cols = false, cols
	}
	b.add(&source{name: t.Alias.Text, span: t.Alias.Span, rel: u, kind: fromApply})
	if c.errors() == before {
		c.unsupported(diag.Span{Start: t.Func.Span.Start, End: t.Alias.Span.End}, "APPLY")
	}
}

// match replaces a source by the measures of its MATCH_RECOGNIZE.
func (b *block) match(s *source, m *saql.MatchRecognize) {
	u := newUnknown("MATCH_RECOGNIZE")
	u.sch.open = false
	for _, measure := range m.Measures {
		u.sch.cols = append(u.sch.cols, Col{b.c.columnName(measure.Alias.Text), vec.AnyKind})
	}
	s.rel, s.kind, s.orig = u, fromMatch, ""
	if m.Alias != nil {
		s.name, s.span = m.Alias.Text, m.Alias.Span
	}
	b.notSupported(m.Span, "MATCH_RECOGNIZE")
}
