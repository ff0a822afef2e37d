package twin

import (
	"math"
	"slices"

	"weir/internal/saql"
)

// join pairs every row of the left side with every row of the right side (saql.md 6).
func (r *run) join(j *saql.Join) *block {
	left, right := r.from(j.Left), r.from(j.Right)
	b := &block{partition: left.partition}
	b.sources = append(append(b.sources, left.sources...), right.sources...)
	reference := right.reference()
	b.loose = reference && left.loose
	n := len(left.sources)
	b.bounds = slices.Clone(left.bounds)
	for _, e := range right.bounds {
		b.bounds = append(b.bounds, edge{e.from + n, e.to + n, e.high})
	}
	for i, l := range left.tuples {
		matched := false
		for k, rt := range right.tuples {
			t := tuple{max(l.t, rt.t), append(slices.Clone(l.parts), rt.parts...)}
			if reference {
				t.t = l.t
			}
			x := &env{block: b, tuple: t, at: -1, on: true, sides: []side{{left, i, 0}, {right, k, n}}}
			if x.joins(j.On, n) {
				matched = true
				b.tuples = append(b.tuples, t)
			}
		}
		if len(b.tuples) > tooLarge {
			panic(ErrTooLarge)
		}
		if !matched && j.Kind == saql.LeftJoin {
			t := tuple{l.t, append(slices.Clone(l.parts), make([]*row, len(right.sources))...)}
			if !reference {
				x := &env{block: b, tuple: t, at: -1, on: true}
				t.t = max(t.t, x.latest(j.On, n, b.bounds))
			}
			b.tuples = append(b.tuples, t)
		}
	}
	slices.SortStableFunc(b.tuples, func(x, y tuple) int { return order(x.t, y.t) })
	b.bounds = append(b.bounds, (&env{block: b}).edges(j.On)...)
	return b
}

// joins tells if the pair satisfies ON, whose left sources are the first n. An equality
// between the sides uses key equality, and NULL matches nothing (saql.md 3.7).
func (x *env) joins(on saql.Expr, n int) bool {
	for _, c := range conjuncts(on) {
		if e, ok := c.(*saql.Binary); ok && e.Op == "=" && !x.bounds(e) && x.acrossSides(e, n) {
			l, r := x.value(e.L), x.value(e.R)
			if l.isNull() || r.isNull() || l.key() != r.key() {
				return false
			}
			continue
		}
		if x.bound(c) != yes {
			return false
		}
	}
	return true
}

// side is a side of a join: its rows, the one at hand, and its first source in the joined
// row.
type side struct {
	*block
	at, first int
}

// ofSide is the row of the side that an analytic function in ON reads: it looks at the rows
// before the join (saql.md 8.1).
func (x *env) ofSide(c *saql.Call) *env {
	_, right := x.readsOf(c, x.sides[1].first)
	s := x.sides[0]
	if right {
		s = x.sides[1]
	}
	return s.row(s.at)
}

// conjuncts are the parts of an AND.
func conjuncts(e saql.Expr) []saql.Expr {
	e = saql.Unparen(e)
	if b, ok := e.(*saql.Binary); ok && b.Op == "AND" {
		return append(conjuncts(b.L), conjuncts(b.R)...)
	}
	return []saql.Expr{e}
}

// acrossSides tells if one operand reads only left sources and the other only right ones.
func (x *env) acrossSides(e *saql.Binary, n int) bool {
	l, l2 := x.readsOf(e.L, n)
	r, r2 := x.readsOf(e.R, n)
	return l && !l2 && r2 && !r || l2 && !l && r && !r2
}

// readsOf tells which sides an expression reads.
func (x *env) readsOf(e saql.Expr, n int) (left, right bool) {
	saql.Walk(e, func(e saql.Expr) bool {
		if p, ok := e.(*saql.Path); ok {
			part, _ := x.block.resolve(p.Names)
			left = left || part >= 0 && part < n
			right = right || part >= n
		}
		return true
	})
	return left, right
}

// elapsedArgs tells if a call is DATEDIFF(unit, alias, alias).
func (x *env) elapsedArgs(c *saql.Call) bool {
	return len(c.Args) == 3 && x.sourceOf(c.Args[1]) >= 0 && x.sourceOf(c.Args[2]) >= 0
}

// sourceOf is the source that an expression names, or -1.
func (x *env) sourceOf(e saql.Expr) int {
	if p, ok := e.(*saql.Path); ok && len(p.Names) == 1 {
		return x.block.alias(p.Names[0].Text)
	}
	return -1
}

// elapsed is T(b) - T(a) of DATEDIFF over aliases; ok is false if a row is missing.
func (x *env) elapsed(c *saql.Call) (t int64, ok bool) {
	a, b := x.tuple.parts[x.sourceOf(c.Args[1])], x.tuple.parts[x.sourceOf(c.Args[2])]
	if a == nil || b == nil {
		return 0, false
	}
	return b.t - a.t, true
}

// elapsedUnits is DATEDIFF over aliases where it does not bound: in whole units, toward
// zero.
func (x *env) elapsedUnits(c *saql.Call) Value {
	t, ok := x.elapsed(c)
	if !ok {
		return null
	}
	return intValue(t / unitTicks(c.Args[0].(*saql.Path).Names[0].Text))
}

// timeBound is DATEDIFF(unit, a, b) in [low, high], in ticks.
type timeBound struct {
	call      *saql.Call
	low, high int64
}

// boundOf reads a conjunct that bounds the time between sources (saql.md 6.2).
func (x *env) boundOf(e saql.Expr) (timeBound, bool) {
	switch e := e.(type) {
	case *saql.Between:
		if c, unit := x.dateDiff(e.X); c != nil && !e.Not {
			return timeBound{c, x.value(e.Lo).Int * unit, x.value(e.Hi).Int * unit}, true
		}
	case *saql.Binary:
		if c, unit := x.dateDiff(e.L); c != nil {
			return boundBy(c, e.Op, x.value(e.R).Int*unit), true
		}
		if c, unit := x.dateDiff(e.R); c != nil {
			return boundBy(c, mirrored[e.Op], x.value(e.L).Int*unit), true
		}
	}
	return timeBound{}, false
}

var mirrored = map[string]string{"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func boundBy(c *saql.Call, op string, n int64) timeBound {
	t := timeBound{c, math.MinInt64, math.MaxInt64}
	switch op {
	case "=":
		t.low, t.high = n, n
	case "<":
		t.high = n - 1
	case "<=":
		t.high = n
	case ">":
		t.low = n + 1
	case ">=":
		t.low = n
	}
	return t
}

func (x *env) dateDiff(e saql.Expr) (*saql.Call, int64) {
	c, ok := saql.Unparen(e).(*saql.Call)
	if !ok || c.Prefix != nil || !x.elapsedArgs(c) {
		return nil, 0
	}
	return c, unitTicks(c.Args[0].(*saql.Path).Names[0].Text)
}

func (x *env) bounds(e saql.Expr) bool {
	_, ok := x.boundOf(e)
	return ok
}

// bound is the truth of a conjunct of ON: a time bound to the tick, else as it stands.
func (x *env) bound(e saql.Expr) tri {
	t, ok := x.boundOf(e)
	if !ok {
		return x.truth(e)
	}
	d, ok := x.elapsed(t.call)
	if !ok {
		return unknown
	}
	return triOf(t.low <= d && d <= t.high)
}

// edge says that T(to) - T(from) is at most high, for two sources of a block.
type edge struct {
	from, to int
	high     int64
}

// edges are the bounds of a condition between sources.
func (x *env) edges(on saql.Expr) []edge {
	var out []edge
	for _, c := range conjuncts(on) {
		t, ok := x.boundOf(c)
		if !ok {
			continue
		}
		a, b := x.sourceOf(t.call.Args[1]), x.sourceOf(t.call.Args[2])
		if t.high != math.MaxInt64 {
			out = append(out, edge{a, b, t.high})
		}
		if t.low != math.MinInt64 {
			out = append(out, edge{b, a, -t.low})
		}
	}
	return out
}

// latest is the latest time at which a partner of the left row could come, the first n
// sources being the left side (saql.md 6.4): for each right source the smallest T(x) + u(x)
// over the left sources x that bound it; a partner of several sources is complete with the
// last of them. What a condition bounds by way of a third source counts (6.2).
func (x *env) latest(on saql.Expr, n int, inside []edge) int64 {
	end := map[int]int64{}
	var inner []edge
	for _, e := range append(x.edges(on), inside...) {
		switch {
		case e.from >= n && e.to >= n:
			inner = append(inner, e)
		case e.to >= n && x.tuple.parts[e.from] != nil:
			relax(end, e.to, x.tuple.parts[e.from].t+e.high)
		}
	}
	for range x.block.sources {
		for _, e := range inner {
			if t, ok := end[e.from]; ok {
				relax(end, e.to, t+e.high)
			}
		}
	}
	last := int64(math.MinInt64)
	for _, t := range end {
		last = max(last, t)
	}
	return last
}

// relax lowers the bound of a source.
func relax(end map[int]int64, source int, t int64) {
	if old, ok := end[source]; !ok || t < old {
		end[source] = t
	}
}

// apply gives a row per element (saql.md 6.7).
func (r *run) apply(a *saql.Apply) *block {
	left := r.from(a.Left)
	b := &block{partition: left.partition, loose: left.loose, sources: slices.Clone(left.sources)}
	names, fixed := []string{"ArrayIndex", "ArrayValue"}, Int
	records := saql.Fold(a.Func.Text) != saql.Fold("GetArrayElements")
	if records {
		names, fixed = []string{"PropertyName", "PropertyValue"}, Text
	}
	elements := &relation{columns: []column{{names[0], fixed}, {names[1], anyKind}}}
	b.sources = append(b.sources, source{alias: a.Alias.Text, relation: elements, applied: true})
	for i, l := range left.tuples {
		add := func(e *row) { b.tuples = append(b.tuples, tuple{l.t, append(slices.Clone(l.parts), e)}) }
		v := left.row(i).argument("GETRECORDPROPERTIES", a.Arg)
		n := 0
		if !v.isNull() && records {
			for _, f := range wants(Record, v).Fields {
				add(&row{t: l.t, fields: []Field{{names[0], textValue(f.Name)}, {names[1], f.Value}}})
				n++
			}
		} else if !v.isNull() {
			for k, item := range wants(Array, v).Items {
				add(&row{t: l.t, fields: []Field{{names[0], intValue(int64(k))}, {names[1], item}}})
				n++
			}
		}
		if n == 0 && a.Outer {
			add(&row{t: l.t, missing: true})
		}
	}
	return b
}
