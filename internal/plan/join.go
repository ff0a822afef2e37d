package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// table is a part of FROM: a source, a join or an APPLY.
type table interface {
	// all are its sources in the order of the text.
	all() []*source
	// reference reports whether all its rows come from reference data.
	reference() bool
	// known are the bounds between its sources that hold in every row that has both.
	known() []bound
	// age is how far T of a row lies behind T of a source in it.
	age(s *source) interval
	// frame lowers it.
	frame() timed
}

// leaf is a source as a table.
type leaf struct{ s *source }

func (l leaf) all() []*source       { return []*source{l.s} }
func (l leaf) reference() bool      { return l.s.reference }
func (l leaf) known() []bound       { return nil }
func (l leaf) age(*source) interval { return interval{} }
func (l leaf) frame() timed         { return plainFrame(l) }

// joining is a JOIN (saql.md 6).
type joining struct {
	b           *block
	left, right table
	outer       bool
	at          diag.Span
	on          []*Expr // the conjuncts of ON but the time bounds
	bounds      []bound // the time bounds of ON
	// dist bounds T(right) - T(left).
	dist interval
	// history are the analytic functions of ON over the rows of each side, or nil.
	history [2]*historyFrame
	// residual are the bounds that dist does not say exactly.
	residual []bound
	// until bounds T of a match of an outer join by left sources; plain tells that T of the
	// left row and dist say the same.
	until []until
	plain bool
	ages  map[*source]interval
}

// until says that a match comes at most hi behind the row of s.
type until struct {
	s  *source
	hi vec.Time
}

func (j *joining) all() []*source  { return slices.Concat(j.left.all(), j.right.all()) }
func (j *joining) reference() bool { return j.left.reference() && j.right.reference() }
func (j *joining) known() []bound {
	return slices.Concat(j.left.known(), j.right.known(), j.bounds)
}

// join checks a join. Its ON sees the sources of the block from number first on.
func (b *block) join(t *saql.Join, left, right table, first int) table {
	c := b.c
	j := &joining{b: b, left: left, right: right, outer: t.Kind == saql.LeftJoin, at: t.KeyPos}
	before := c.errors()
	if left.reference() && !right.reference() {
		c.fail(diag.SA6004, left.all()[0].span, "reference data must be on the right side of JOIN", "swap the sides")
	}
	if t.On == nil {
		return j
	}
	sources := b.sources
	b.sources = sources[first:]
	b.joining = j
	j.condition(t.On)
	b.joining = nil
	if c.errors() == before && !b.clash {
		if right.reference() {
			j.checkLookup()
		} else {
			j.checkBounds(t)
		}
	}
	if c.errors() == before {
		j.checkPartitions(t)
	}
	if c.errors() == before && !right.reference() {
		j.checkOverKeys()
	}
	b.sources = sources
	if j.outer {
		for _, s := range right.all() {
			s.nullable = true
		}
	}
	return j
}

// condition compiles ON: its time bounds and what else it demands.
func (j *joining) condition(on saql.Expr) {
	x := j.b.exprs(inOn)
	for _, conj := range conjuncts(on, nil) {
		e := x.condition(conj)
		if n, ok := j.b.timeBound(conj); ok {
			n.at = conj.Pos()
			j.bounds = append(j.bounds, n)
		} else {
			j.on = append(j.on, e)
		}
	}
}

// historyOf gives the analytic functions of the side whose rows a call reads; nil if it
// does not read just one.
func (j *joining) historyOf(call *historyCall) **historyFrame {
	switch e := (&Expr{Args: call.reads()}); {
	case readsOnly(e, j.left):
		return &j.history[0]
	case readsOnly(e, j.right):
		return &j.history[1]
	}
	return nil
}

// equality gives the sides of an equality of one expression per side: a key (saql.md 6.2).
func (j *joining) equality(e *Expr) (l, r *Expr, ok bool) {
	if e.Op != OpCmp || e.Sub != "=" {
		return nil, nil, false
	}
	l, r = e.Args[0], e.Args[1]
	switch {
	case readsOnly(l, j.left) && readsOnly(r, j.right):
		return l, r, true
	case readsOnly(r, j.left) && readsOnly(l, j.right):
		return r, l, true
	}
	return nil, nil, false
}

// readsOnly reports whether e reads sources of t and no others.
func readsOnly(e *Expr, t table) bool {
	read := sourcesOf(e)
	all := t.all()
	return len(read) > 0 && !slices.ContainsFunc(read, func(s *source) bool { return !slices.Contains(all, s) })
}

// checkLookup looks at the equalities of a reference join.
func (j *joining) checkLookup() {
	if !j.checkEqualities() && j.spatial() < 0 {
		j.b.c.warn(diag.W6003, j.at, "the reference join has no equality: full scan per row", "")
	}
}

// checkPartitions demands that ON equates the partition keys of both sides, and that both
// have as many shards (saql.md 4.6).
func (j *joining) checkPartitions(t *saql.Join) {
	all := j.all()
	l, r := all[0], all[len(all)-1]
	for i := range min(len(l.parts), len(r.parts)) {
		if !j.equates(l.parts[i], r.parts[i]) {
			want := l.name + "." + lastName(j.b.c.textAt(l.parts[i].Span)) + " = " + r.name + "." + lastName(j.b.c.textAt(r.parts[i].Span))
			j.b.c.fail(diag.SA6007, t.KeyPos, "partitioned join without "+quote(want), "add it to ON")
			return
		}
	}
	if len(l.parts) > 0 && len(r.parts) > 0 && (len(l.parts) != len(r.parts) || l.shards != r.shards) {
		j.b.c.fail(diag.SA6007, t.KeyPos, "partitioned join without equal shard counts", "make the shard counts equal")
	}
}

// equates reports whether ON says that a on the left equals b on the right.
func (j *joining) equates(a, b *Expr) bool {
	return slices.ContainsFunc(j.on, func(e *Expr) bool {
		l, r, ok := j.equality(e)
		return ok && same(l, a) && same(r, b)
	})
}

// checkOverKeys demands the keys of TIMESTAMP BY .. OVER among the equalities of ON
// (saql.md 4.5).
func (j *joining) checkOverKeys() {
	for side, t := range []table{j.left, j.right} {
		for _, s := range t.all() {
			for _, k := range overKeys(s.rel) {
				if !slices.ContainsFunc(j.on, func(e *Expr) bool {
					l, r, ok := j.equality(e)
					key := []*Expr{l, r}[side]
					return ok && key.ref != nil && key.ref.kind == refField && k.path != nil && slices.EqualFunc(key.ref.path, k.path, sameName)
				}) {
					j.b.c.fail(diag.SA5015, j.at, quote(k.label)+" of TIMESTAMP BY .. OVER is missing in this ON", "add it")
					return
				}
			}
		}
	}
}

// checkEqualities warns of equalities that never hold, and reports whether there are any.
func (j *joining) checkEqualities() bool {
	found := false
	for _, e := range j.on {
		if _, _, ok := j.equality(e); !ok {
			continue
		}
		found = true
		a, b := e.Args[0].Type.NotNull(), e.Args[1].Type.NotNull()
		text := vec.KindsOf(vec.String)
		if a == text && b.Within(numbers) && b != 0 || b == text && a.Within(numbers) && a != 0 {
			j.b.c.warn(diag.W6001, e.Span, "the join compares "+typeText(a)+" with "+typeText(b)+": never equal", "CAST one side")
		}
	}
	return found
}

// sourcesOf are the sources that an expression reads.
func sourcesOf(e *Expr) []*source {
	var out []*source
	add := func(s *source) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	walk(e, func(e *Expr) bool {
		switch {
		case e.ref == nil:
		case e.ref.src != nil:
			add(e.ref.src)
		case e.ref.kind == refHistory:
			for _, s := range sourcesOf(&Expr{Args: e.ref.calls.calls[e.ref.n].reads()}) {
				add(s)
			}
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
	if b.hasColumn(p.Names[0].Text) {
		return nil
	}
	return b.sourceNamed(p.Names[0].Text)
}

// sourceTimes reports whether a DATEDIFF is over sources.
func (x *exprs) sourceTimes(e *saql.Call) bool {
	if len(e.Args) != 3 || !x.b.joined && x.place != inOn {
		return false
	}
	a, b := x.b.sourceArg(e.Args[1]), x.b.sourceArg(e.Args[2])
	return a != nil && b != nil || (a != nil || b != nil) && x.b.open() != 1
}

// open is the number of sources with unknown columns.
func (b *block) open() int {
	n := 0
	for _, s := range b.sources {
		if s.rel.schema().open {
			n++
		}
	}
	return n
}

// mixedTimes reports a DATEDIFF over a source and something else: a name that is no source,
// or an expression.
func (x *exprs) mixedTimes(e *saql.Call, source, other saql.Expr) *Expr {
	if p, ok := bare(other).(*saql.Path); ok && len(p.Names) == 1 && x.place == inOn && !x.b.hasColumn(p.Names[0].Text) {
		n := p.Names[0]
		if len(x.b.sources) > 0 && x.aliasedSource(n) == nil {
			var names []string
			for _, s := range x.b.sources {
				names = append(names, s.name)
			}
			hint := "the sources are " + someNames(names)
			if near, ok := diag.Nearest(n.Text, names); ok {
				hint = "did you mean " + quote(near) + "?"
			}
			x.fail(diag.SA2005, n.Span, "no input or step named "+quote(n.Text), hint)
		}
		return bad(e.Span)
	}
	x.fail(diag.SA6009, source.Pos(), quote(x.text(source))+" is a source, not a time", "DATEDIFF over sources works only in ON; use columns")
	return bad(e.Span)
}

// hasColumn reports whether a source is known to have a column.
func (b *block) hasColumn(name string) bool {
	return slices.ContainsFunc(b.sources, func(s *source) bool {
		_, ok := s.rel.schema().find(name)
		return ok
	})
}

// datediffOfSources is DATEDIFF over sources, which has a meaning in ON only (saql.md 6.2).
func (x *exprs) datediffOfSources(e *saql.Call) *Expr {
	s, other := x.b.sourceArg(e.Args[1]), x.b.sourceArg(e.Args[2])
	switch {
	case s == nil:
		return x.mixedTimes(e, e.Args[2], e.Args[1])
	case other == nil:
		return x.mixedTimes(e, e.Args[1], e.Args[2])
	}
	if x.place != inOn {
		x.fail(diag.SA6009, e.Args[1].Pos(), quote(x.text(e.Args[1]))+" is a source, not a time", "DATEDIFF over sources works only in ON; use columns")
		return bad(e.Span)
	}
	if s.reference || other.reference {
		x.fail(diag.SA6010, e.Span, "reference data has no time", "remove the DATEDIFF")
		return bad(e.Span)
	}
	unit := vec.Time(0)
	if p, ok := bare(e.Args[0]).(*saql.Path); ok {
		if unit, ok = x.unit(p.Names[0]); !ok {
			return bad(e.Span)
		}
	} else {
		x.fail(diag.SA5004, e.Args[0].Pos(), quote(x.text(e.Args[0]))+" is not a unit of time here", "day, hour, minute, second, millisecond or microsecond")
		return bad(e.Span)
	}
	time := func(s *source) *Expr {
		return &Expr{Op: OpCol, Type: vec.KindsOf(vec.Datetime) | s.nulls(), Span: e.Span, ref: &ref{kind: refTime, src: s}}
	}
	args := []*Expr{time(s), time(other), constant(vec.IntValue(int64(unit)), e.Span)}
	return &Expr{Op: OpCall, Fn: fn.Elapsed, Args: args, Type: vec.KindsOf(vec.Int) | s.nulls() | other.nulls(), Span: e.Span}
}
