package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// bound is an interval of T(b) - T(a), in ticks.
type bound struct {
	a, b   *source
	lo, hi vec.Time
	at     diag.Span
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
	if !ok || unit == 0 {
		return 0, false
	}
	most := int64(vec.MaxTime / 4 / unit) // more than any join may span
	return vec.Time(min(max(v, -most), most)) * unit, true
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

// interval is lo <= d <= hi.
type interval struct{ lo, hi vec.Time }

func (a interval) plus(b interval) interval { return interval{a.lo + b.lo, a.hi + b.hi} }

// age is known when the bounds are; a look-up changes no time.
func (j *joining) age(s *source) interval {
	if j.right.reference() {
		return j.left.age(s)
	}
	return j.ages[s]
}

// findAges says how far T of a joined row, the later one of its sides, lies behind the
// sources. lo and hi are the distances of all sources, those of the left first.
func (j *joining) findAges(lo, hi [][]vec.Time) {
	j.ages = map[*source]interval{}
	all := j.all()
	left := len(j.left.all())
	for i, s := range all {
		own, other, begin, end := j.left, j.right, left, len(all)
		away := j.dist
		if i >= left {
			own, other, begin, end = j.right, j.left, 0, left
			away = interval{-j.dist.hi, -j.dist.lo}
		}
		a := own.age(s)
		far := a.plus(away) // T of the other side - T of s
		for k := begin; k < end; k++ {
			if r := all[k]; !r.reference && j.sure(r) {
				b := other.age(r)
				far = interval{max(far.lo, sum(lo[i][k], b.lo)), min(far.hi, sum(hi[i][k], b.hi))}
			}
		}
		age := interval{max(a.lo, far.lo), max(a.hi, far.hi)}
		if j.outer && i < left {
			age = interval{a.lo, max(age.hi, j.unmatchedAge(i))}
		}
		j.ages[s] = age
	}
}

// unmatchedAge is how far T of an unmatched row lies behind left source i at most. A bound
// by a source that is missing says nothing.
func (j *joining) unmatchedAge(i int) vec.Time {
	all := j.left.all()
	_, hi := distances(all, j.left.known())
	least, most := vec.MaxTime, vec.MinTime
	for _, u := range j.until {
		d := sum(hi[i][slices.Index(all, u.s)], u.hi)
		most = max(most, d)
		if !u.s.nullable {
			least = min(least, d)
		}
	}
	if least == vec.MaxTime {
		return most
	}
	return least
}

// checkBounds demands a lower and an upper time bound for the right side (saql.md 6.2),
// and derives what the join needs of them.
func (j *joining) checkBounds(t *saql.Join) {
	c := j.b.c
	at := t.On.Pos()
	if n := len(j.bounds); n > 0 {
		at = j.bounds[n-1].at
	}
	sources := j.all()
	lo, hi := distances(sources, j.known())
	best := interval{vec.MinTime, vec.MaxTime}
	j.dist = best
	left := len(j.left.all())
	for i, l := range sources[:left] {
		for k, r := range sources {
			if i == k || l.reference || r.reference {
				continue
			}
			if lo[i][k] > hi[i][k] {
				c.fail(diag.SA6003, at, "the time bounds of the join exclude each other", "")
				return
			}
			if k < left || !j.sure(l) || !j.sure(r) {
				continue
			}
			best = interval{max(best.lo, lo[i][k]), min(best.hi, hi[i][k])}
			a, b := j.left.age(l), j.right.age(r)
			j.dist.lo = max(j.dist.lo, sum(lo[i][k], b.lo-a.hi))
			j.dist.hi = min(j.dist.hi, sum(hi[i][k], b.hi-a.lo))
		}
	}
	if best.lo == vec.MinTime || best.hi == vec.MaxTime {
		j.unbounded(t, best)
		return
	}
	if best.lo < -longestWindow || best.hi > longestWindow {
		c.fail(diag.SA6002, at, "the join spans more than 7 days", "")
	}
	for _, n := range j.bounds {
		if !j.exact(n) {
			j.residual = append(j.residual, n)
		}
	}
	if j.outer {
		j.findUntil()
	}
	j.findAges(lo, hi)
	if !j.checkEqualities() {
		c.warn(diag.W6002, j.at, "the join has no equality: every pair in the time bound is compared", "")
	}
}

// sure reports whether a pair cannot match without a row of s: an outer join left none out,
// or a bound of ON, which would be unknown, reads it.
func (j *joining) sure(s *source) bool {
	return !s.nullable || slices.ContainsFunc(j.bounds, func(n bound) bool { return n.a == s || n.b == s })
}

// exact reports whether a bound of ON says no more than that dist holds: it is between the
// sides, and the times of its sources are the times of the sides.
func (j *joining) exact(n bound) bool {
	l, r := n.a, n.b
	if slices.Contains(j.right.all(), l) {
		l, r = r, l
	}
	return slices.Contains(j.left.all(), l) && slices.Contains(j.right.all(), r) && !l.nullable && !r.nullable &&
		j.left.age(l) == interval{} && j.right.age(r) == interval{}
}

// findUntil finds when a match of a left row can come at the latest, by the left sources
// that ON bounds (saql.md 6.4).
func (j *joining) findUntil() {
	all := j.all()
	_, hi := distances(all, slices.Concat(j.right.known(), j.bounds))
	left := len(j.left.all())
	j.plain = true
	for i, l := range all[:left] {
		if l.reference {
			continue
		}
		latest := vec.MaxTime
		for k, r := range all[left:] {
			if !r.reference && j.sure(r) {
				latest = min(latest, sum(hi[i][left+k], j.right.age(r).hi))
			}
		}
		if latest != vec.MaxTime {
			j.plain = j.plain && !l.nullable && j.left.age(l) == interval{}
			j.until = append(j.until, until{l, latest})
		}
	}
}

// unbounded reports a join without a lower or upper bound.
func (j *joining) unbounded(t *saql.Join, best interval) {
	which := "lower"
	switch {
	case best.lo == vec.MinTime && best.hi == vec.MaxTime:
		which = "lower and upper"
	case best.hi == vec.MaxTime:
		which = "upper"
	}
	l, r := j.left.all()[0], j.right.all()[0]
	add := " AND DATEDIFF(minute, " + saql.Quote(l.name) + ", " + saql.Quote(r.name) + ") BETWEEN 0 AND 10"
	input := r.name
	if r.orig != "" {
		input = r.orig
	}
	hint := "add:" + add + "; if " + quote(input) + " is a lookup table, declare it as reference input"
	end := t.On.Pos().End
	if call, l, r := j.columnsDiff(t.On); call != nil {
		hint = "DATEDIFF takes the sources here, not their columns: DATEDIFF(" + j.b.c.text(call.Args[0]) + ", " + l + ", " + r + ")"
		d := j.b.c.fail(diag.SA6001, t.KeyPos, "the join has no "+which+" time bound", hint)
		d.Fix = []diag.Edit{{Span: call.Args[2].Pos(), Text: r}, {Span: call.Args[1].Pos(), Text: l}}
		return
	}
	d := j.b.c.fail(diag.SA6001, t.KeyPos, "the join has no "+which+" time bound", hint)
	if e, ok := t.On.(*saql.Binary); ok && e.Op == "OR" {
		return // the edit would need parentheses
	}
	d.Fix = []diag.Edit{{Span: diag.Span{Start: end, End: end}, Text: add}}
}

// columnsDiff finds a DATEDIFF over a column of each of two sources, and the names of the
// sources as a query writes them. It is a common slip: DATEDIFF(second, a.time, b.time) is a
// function like others and bounds nothing (saql.md 6.2).
func (j *joining) columnsDiff(on saql.Expr) (found *saql.Call, left, right string) {
	sourceOf := func(e saql.Expr) *source {
		p, ok := bare(e).(*saql.Path)
		if !ok || len(p.Names) < 2 {
			return nil
		}
		for _, s := range j.all() {
			if sameName(s.name, p.Names[0].Text) {
				return s
			}
		}
		return nil
	}
	saql.Walk(on, func(e saql.Expr) bool {
		if call, ok := e.(*saql.Call); ok && found == nil && sameName(call.Name.Text, "DATEDIFF") && len(call.Args) == 3 {
			if l, r := sourceOf(call.Args[1]), sourceOf(call.Args[2]); l != nil && r != nil && l != r {
				found, left, right = call, saql.Quote(l.name), saql.Quote(r.name)
			}
		}
		return found == nil
	})
	return found, left, right
}
