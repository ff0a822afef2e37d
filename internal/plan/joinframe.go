package plan

import (
	"slices"
	"strings"

	"weir/internal/fn"
	"weir/internal/vec"
)

// joinFrame is the rows of a join: columns of both sides.
type joinFrame struct {
	outs
	j     *joining
	sides [2]*sideFrame
}

func (f *joinFrame) node() *Node { return f.n }

// side is the port of a source.
func (f *joinFrame) side(s *source) int {
	if slices.Contains(f.j.left.all(), s) {
		return 0
	}
	return 1
}

// column hands on a column of a side.
func (f *joinFrame) column(port, col int) *Expr { return f.hand(port, col, port == 1 && f.j.outer) }

func (f *joinFrame) field(s *source, path []string) int {
	port := f.side(s)
	return f.column(port, f.sides[port].field(s, path)).Col
}

func (f *joinFrame) row(s *source) *Expr {
	port := f.side(s)
	return f.column(port, f.sides[port].row(s))
}

func (f *joinFrame) time(s *source) *Expr {
	port := f.side(s)
	return f.column(port, f.sides[port].time(s))
}

// result hands on a result of an analytic function of ON, column col of its side.
func (f *joinFrame) result(h *historyFrame, col int) int {
	port := slices.Index(f.j.history[:], h)
	return f.column(port, f.sides[port].add(f.c.columnAt(h.node(), col))).Col
}

// frame makes the join, and in front of it a projection per side.
func (j *joining) frame() timed {
	f := &joinFrame{j: j}
	for port, t := range []table{j.left, j.right} {
		below := t.frame()
		if h := j.history[port]; h != nil {
			h.inner = below
			below = h
		}
		f.sides[port] = j.b.side(below)
	}
	names := [2]string{sideName(j.left), sideName(j.right)}
	var op Op
	if j.right.reference() {
		l := &Lookup{Outer: j.outer, Sides: names}
		op, f.list = l, &l.Out
	} else {
		l := &Join{Outer: j.outer, Sides: names, Lo: j.dist.lo, Hi: j.dist.hi}
		op, f.list = l, &l.Out
	}
	f.c, f.n = j.b.c, j.b.newNode(op, f.sides[0].n, f.sides[1].n)
	f.n.Span = j.at
	keys, rest := j.keys(f)
	on := j.residuals(f)
	switch op := op.(type) {
	case *Lookup:
		op.Keys = keys
		if i := j.spatial(); i >= 0 {
			op.Spatial = f.spatial(j.on[i])
		}
	case *Join:
		op.Keys = keys
		for _, u := range j.until {
			if j.plain {
				break
			}
			op.Until = append(op.Until, TimeBound{f.sides[0].time(u.s), u.hi})
		}
	}
	for _, e := range rest {
		resolve(e, f, nil)
		on = append(on, e)
	}
	switch op := op.(type) {
	case *Lookup:
		op.On = allOf(on)
	case *Join:
		op.On = allOf(on)
	}
	return f
}

// sideName is what the query calls a side that is one source.
func sideName(t table) string {
	if all := t.all(); len(all) == 1 {
		return all[0].name
	}
	return ""
}

// allOf is the conjunction of predicates, nil if there are none.
func allOf(list []*Expr) *Expr {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return &Expr{Op: OpAnd, Args: list, Span: list[0].Span.To(list[len(list)-1].Span)}
}

// keys computes the keys of both sides and gives the other conjuncts. A key that can fail
// is computed only where the conjuncts of its side in front of it are true, for `a AND b`
// stops early (saql.md 14.2, 50); NULL matches nothing.
func (j *joining) keys(f *joinFrame) (keys [2][]int, rest []*Expr) {
	for _, e := range j.on {
		l, r, ok := j.equality(e)
		if !ok {
			rest = append(rest, e)
			continue
		}
		for port, k := range []*Expr{l, r} {
			side := []table{j.left, j.right}[port]
			if !cannotFail(k) {
				k = guarded(k, rest, side)
			}
			keys[port] = append(keys[port], f.sides[port].value(k))
		}
	}
	return keys, rest
}

// guarded is k where the conditions over the same side are true, else NULL.
func guarded(k *Expr, conditions []*Expr, side table) *Expr {
	var guards []*Expr
	for _, e := range conditions {
		if readsOnly(e, side) {
			guards = append(guards, e.clone())
		}
	}
	if guards == nil {
		return k
	}
	null := constant(vec.NullValue(), k.Span)
	return &Expr{Op: OpCase, Args: []*Expr{allOf(guards), k, null}, Type: k.Type | nullOnly, Span: k.Span}
}

// residuals are the time bounds that the distance of the sides does not say exactly.
func (j *joining) residuals(f *joinFrame) []*Expr {
	var on []*Expr
	for _, n := range j.residual {
		args := []*Expr{f.time(n.a), f.time(n.b), constant(vec.IntValue(1), n.at)}
		d := &Expr{Op: OpCall, Fn: fn.Elapsed, Args: args, Type: vec.KindsOf(vec.Int) | nulls(args[0].Type, args[1].Type), Span: n.at}
		if n.lo != vec.MinTime {
			on = append(on, &Expr{Op: OpCmp, Sub: ">=", Args: []*Expr{d, constant(vec.IntValue(int64(n.lo)), n.at)}, Span: n.at})
		}
		if n.hi != vec.MaxTime {
			on = append(on, &Expr{Op: OpCmp, Sub: "<=", Args: []*Expr{d, constant(vec.IntValue(int64(n.hi)), n.at)}, Span: n.at})
		}
	}
	return on
}

// spatial is the place in j.on of a predicate that a spatial index can answer, or -1:
// ST_WITHIN or ST_INTERSECTS of a geography of each side is 1 (saql.md 12.2).
func (j *joining) spatial() int {
	return slices.IndexFunc(j.on, func(e *Expr) bool {
		call := spatialCall(e)
		if call == nil {
			return false
		}
		a, b := call.Args[0], call.Args[1]
		return readsOnly(a, j.left) && readsOnly(b, j.right) || readsOnly(a, j.right) && readsOnly(b, j.left)
	})
}

// spatialCall is the call in f(a, b) = 1, if f is one that an index can answer.
func spatialCall(e *Expr) *Expr {
	if e.Op != OpCmp || e.Sub != "=" {
		return nil
	}
	call, one := e.Args[0], e.Args[1]
	if call.Op == OpConst {
		call, one = one, call
	}
	if call.Op != OpCall || len(call.Args) != 2 || one.Op != OpConst || one.Val.Kind != vec.Int || one.Val.Int != 1 {
		return nil
	}
	if name := strings.ToUpper(call.Fn.Name); name != "ST_WITHIN" && name != "ST_INTERSECTS" {
		return nil
	}
	return call
}

// spatial makes columns of the geographies of a predicate, which then reads these.
func (f *joinFrame) spatial(e *Expr) *Spatial {
	call := spatialCall(e)
	s := &Spatial{Fn: call.Fn, Inner: readsOnly(call.Args[0], f.j.left)}
	for i, a := range call.Args {
		port := 0
		if (i == 0) != s.Inner {
			port = 1
		}
		if !cannotFail(a) {
			before := f.j.on[:slices.Index(f.j.on, e)]
			a = guarded(a, before, []table{f.j.left, f.j.right}[port])
		}
		col := f.sides[port].value(a)
		call.Args[i] = f.column(port, col)
		if port == 0 {
			s.Left = col
		} else {
			s.Right = col
		}
	}
	return s
}

// applyFrame is the rows of an APPLY: columns of the left rows, and the element.
type applyFrame struct {
	outs
	a     *applying
	below timed
}

func (a *applying) frame() timed {
	f := &applyFrame{a: a, below: a.left.frame()}
	resolve(a.arg, f.below, nil)
	op := &Apply{Arg: a.arg, Of: a.of, Outer: a.outer, Name: a.elem.name}
	f.outs = outs{a.b.c, a.b.newNode(op, f.below.node()), &op.Out}
	f.n.Span = a.at
	return f
}

func (f *applyFrame) node() *Node { return f.n }

func (f *applyFrame) field(s *source, path []string) int {
	if s != f.a.elem {
		return f.hand(0, f.below.field(s, path), false).Col
	}
	cols := s.rel.schema().cols
	i := slices.IndexFunc(cols, func(c Col) bool { return c.Name == path[0] })
	return f.pick(Made, i, cols[i].Type|s.nulls())
}

// row of the element is a record of its two fields, or NULL if there is no element.
func (f *applyFrame) row(s *source) *Expr {
	if s != f.a.elem {
		return f.lift(f.below.row(s))
	}
	e := &Expr{Op: OpRecord, Type: vec.KindsOf(vec.Record)}
	for _, c := range s.rel.schema().cols {
		e.Names = append(e.Names, c.Name)
		e.Args = append(e.Args, orNull(f.c.columnAt(f.n, f.field(s, []string{c.Name}))))
	}
	if !f.a.outer {
		return e
	}
	none := &Expr{Op: OpIsNull, Args: e.Args[:1]}
	return &Expr{Op: OpCase, Args: []*Expr{none, constant(vec.NullValue(), f.a.at), e}, Type: e.Type | nullOnly}
}

func (f *applyFrame) time(s *source) *Expr {
	if s == f.a.elem {
		return timeExpr()
	}
	return f.lift(f.below.time(s))
}

// lift turns an expression over the rows below into one over those of the APPLY.
func (f *applyFrame) lift(e *Expr) *Expr {
	return moved(e, func(col int) int { return f.hand(0, col, false).Col })
}
