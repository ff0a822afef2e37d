package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
	"weir/internal/window"
)

// grouping is the GROUP BY of a block (saql.md 5): its windows, keys and aggregates.
type grouping struct {
	b       *block
	keys    []*Expr // over the input row
	windows []window.Spec
	overs   [][]*Expr // keys of OVER (PARTITION BY ..), a list per window
	aggs    []*aggCall
	withID  bool
	// timeKey tells that System.Timestamp() is a key beside a window, for W5006.
	timeKey bool

	// wrong tells that there is a window and that it has been reported.
	wrong bool

	done map[*Expr]*Expr // expressions that behind has seen

	pre    *Project // lowered: computes keys and arguments
	node   *Node
	op     *Group
	idRefs []*Expr // columns that hold the window id, known when all aggregates are
}

// aggCall is a call of an aggregate.
type aggCall struct {
	fn   *fn.Agg
	args []*Expr // over the input row: values, order keys, time
	desc []bool  // per order key
	cons vec.Value
	typ  vec.Kinds
	span diag.Span
	col  int // lowered: column of the group node, -1 until it is asked for
}

// groupBy compiles the items of GROUP BY.
func (b *block) groupBy() {
	g := &grouping{b: b, done: map[*Expr]*Expr{}}
	b.group = g
	var first diag.Span
	var snapshots []*saql.GroupItem
	windows := 0
	for i := range b.sel.GroupBy {
		item := &b.sel.GroupBy[i]
		switch {
		case item.Window != nil || item.Windows != nil:
			if windows++; windows > 1 {
				d := b.c.fail(diag.SA5002, item.Span, "only one window per GROUP BY", "Windows(a, b) computes several")
				d.Related = []diag.Label{{Span: first, Text: "the first one"}}
				continue
			}
			first = item.Span
			if item.Window != nil {
				g.window(item.Window, nil)
			} else {
				g.windowSet(item.Windows)
			}
		case item.Snapshot != nil:
			snapshots = append(snapshots, item)
		default:
			b.groupKey(item.Key)
		}
	}
	g.snapshots(snapshots, windows > 0)
	g.wrong = windows > 0 && len(g.windows) == 0
}

const windowHint = "GROUP BY TumblingWindow(minute, 1); for rows with equal time: System.Timestamp()"

// groupKey compiles a key, once if it stands there twice.
func (b *block) groupKey(e saql.Expr) {
	x := b.exprs(inGroupBy)
	k := foldConstants(x.valueOf(e))
	if !slices.ContainsFunc(b.group.keys, func(other *Expr) bool { return same(other, k) }) {
		b.group.keys = append(b.group.keys, k)
	}
}

// snapshots handles the bare System.Timestamp() items: alone they are the window, beside
// a window they are a key (saql.md 2.5).
func (g *grouping) snapshots(items []*saql.GroupItem, window bool) {
	for i, item := range items {
		if i == 0 && !window {
			g.windows = append(g.windows, snapshotSpec())
			g.overs = append(g.overs, nil)
			continue
		}
		g.timeKey = window
		if window && i == 0 {
			g.keys = append(g.keys, &Expr{Op: OpTime, Type: vec.KindsOf(vec.Datetime), Span: item.Span})
		}
	}
}

// hasKeyNamed reports whether a key is the column of a name.
func (g *grouping) hasKeyNamed(name string) bool {
	return slices.ContainsFunc(g.keys, func(k *Expr) bool {
		if k.ref != nil && k.ref.kind == refField {
			return sameName(k.ref.path[len(k.ref.path)-1], name)
		}
		return k.Op == OpField && sameName(k.Name, name)
	})
}

// behind turns an expression over input rows into one over the results of the group:
// keys and aggregates become their columns; any other column is an error (saql.md 5.8).
func (g *grouping) behind(e *Expr) *Expr {
	if r, ok := g.done[e]; ok {
		return r
	}
	r := g.replace(e)
	g.done[e] = r
	g.done[r] = r
	return r
}

func (g *grouping) replace(e *Expr) *Expr {
	if e.Op == OpConst || e.ref != nil && e.ref.kind >= refKey {
		return e
	}
	if e.Op == OpTime {
		if g.timeKey {
			g.b.c.warn(diag.W5006, e.Span, "System.Timestamp() here is the window end, not the grouping key", "project the key in a step before")
		}
		return e
	}
	for i, k := range g.keys {
		if same(k, e) {
			return g.keyRef(i, e.Span)
		}
	}
	if e.ref != nil {
		if r := g.partOfKey(e); r != nil {
			return r
		}
		g.notGrouped(e)
		return bad(e.Span)
	}
	out := *e
	out.Args = make([]*Expr, len(e.Args))
	for i, a := range e.Args {
		out.Args[i] = g.behind(a)
	}
	return &out
}

func (g *grouping) keyRef(i int, at diag.Span) *Expr {
	return &Expr{Op: OpCol, Type: g.keys[i].Type, Span: at, ref: &ref{kind: refKey, n: i}}
}

// partOfKey resolves a path a.b.c where a.b is a key.
func (g *grouping) partOfKey(e *Expr) *Expr {
	if e.ref.kind != refField {
		return nil
	}
	for n := len(e.ref.path) - 1; n > 0; n-- {
		prefix := &Expr{Op: OpCol, Type: e.Type, ref: &ref{kind: refField, src: e.ref.src, path: e.ref.path[:n]}}
		for i, k := range g.keys {
			if !same(k, prefix) {
				continue
			}
			r := g.keyRef(i, e.Span)
			for _, name := range e.ref.path[n:] {
				r = &Expr{Op: OpField, Name: name, Args: []*Expr{r}, Type: vec.AnyKind, Span: e.Span}
			}
			return r
		}
	}
	return nil
}

func (g *grouping) notGrouped(e *Expr) {
	if slices.ContainsFunc(g.keys, isBad) {
		return // it may be the key that is wrong
	}
	c := g.b.c
	name := c.textAt(e.Span)
	hint := "add it to GROUP BY, or use an aggregate such as MAX(" + name + ")"
	d := g.b.failName(diag.SA4005, saql.Name{Text: name, Span: e.Span}, "GROUP BY", quote(name)+" is neither grouped nor aggregated", hint)
	if n := len(g.b.sel.GroupBy); n > 0 {
		at := g.b.sel.GroupBy[0].Span
		d.Fix = []diag.Edit{{Span: diag.Span{Start: at.Start, End: at.Start}, Text: name + ", "}}
	}
}

// addAgg adds a call of an aggregate, once if it is there already, and gives the column
// of its result.
func (g *grouping) addAgg(call *aggCall) *Expr {
	i := slices.IndexFunc(g.aggs, func(a *aggCall) bool {
		return a.fn == call.fn && slices.EqualFunc(a.args, call.args, same) && slices.Equal(a.desc, call.desc) && sameValue(a.cons, call.cons)
	})
	if i < 0 {
		i = len(g.aggs)
		call.col = -1
		g.aggs = append(g.aggs, call)
	}
	return &Expr{Op: OpCol, Type: call.typ, Span: call.span, ref: &ref{kind: refAgg, n: i}}
}
