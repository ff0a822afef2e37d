package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/window"
)

// DISTINCT, ORDER BY and TOP work on the results of each window end: first HAVING, then
// the projection, then these, in this order (saql.md 5.10).

// overWindow checks DISTINCT, TOP and ORDER BY.
func (b *block) overWindow() {
	sel, c := b.sel, b.c
	needsWindow := func(at diag.Span, what string) {
		if b.group != nil {
			return
		}
		hint := "GROUP BY TumblingWindow(..); a stream has no end"
		if what == "DISTINCT" {
			hint += ". For DISTINCT over time: ISFIRST(..) = 1"
		}
		c.fail(diag.SA4012, at, what+" needs a window", hint)
	}
	if sel.Distinct {
		needsWindow(headOf(sel), "DISTINCT")
		c.extension(headOf(sel), "SELECT DISTINCT", "GROUP BY the columns")
	}
	if sel.Top != nil {
		needsWindow(sel.Top.Span, "TOP")
		c.extension(sel.Top.Span, "TOP", "use TopOne or CollectTop")
	}
	if len(sel.OrderBy) == 0 {
		return
	}
	at := sel.OrderBy[0].Expr.Pos()
	if c.env.Portable {
		c.fail(diag.SA4016, at, "ORDER BY is not part of the language", "use TopOne or CollectTop")
		return
	}
	needsWindow(at, "ORDER BY")
	for _, o := range sel.OrderBy {
		b.orderKey(b.exprs(inHaving).value(o.Expr), o.Expr.Pos())
	}
}

// orderKey checks a key of ORDER BY. Behind DISTINCT there are only the columns of the
// select list.
func (b *block) orderKey(e *Expr, at diag.Span) {
	b.order = append(b.order, e)
	if t := e.Type.NotNull(); t != 0 && t.Within(containers) {
		b.c.fail(diag.SA7008, at, "cannot order by "+typeText(t), "ORDER BY takes bigint, float or datetime; CAST it")
		return
	}
	if !b.sel.Distinct || b.group == nil {
		return
	}
	walk(e, func(part *Expr) bool {
		if slices.ContainsFunc(b.items, func(it *item) bool { return same(it.expr, part) }) {
			return false
		}
		if part.ref != nil {
			b.c.fail(diag.SA4005, at, quote(b.c.textAt(at))+" is neither grouped nor aggregated", "SELECT DISTINCT groups by its columns: list it there")
			return false
		}
		return true
	})
}

// overResults makes the nodes of DISTINCT, ORDER BY and TOP.
func (b *block) overResults() {
	sel := b.sel
	if sel.Distinct {
		for _, it := range b.items {
			b.itemColumn(it)
		}
	}
	top := &Top{N: -1}
	for i, e := range b.order {
		top.By = append(top.By, b.orderColumn(e))
		top.Desc = append(top.Desc, sel.OrderBy[i].Desc)
	}
	if sel.Distinct {
		// Keys of the order depend on the columns of the list, so they part no group.
		g := &Group{Windows: []window.Spec{snapshotSpec()}}
		for i := range b.project.Exprs {
			g.Keys = append(g.Keys, i)
		}
		b.out = b.newNode(g, b.out)
		b.out.Cols = slices.Clone(b.pnode.Cols)
	}
	if sel.Top != nil {
		top.N = sel.Top.Count
	}
	if sel.Top != nil || len(top.By) > 0 {
		b.out = b.newNode(top, b.out)
	}
}

// orderColumn computes a key of ORDER BY, which may be a column of the select list.
func (b *block) orderColumn(e *Expr) int {
	for _, it := range b.items {
		if same(it.expr, e) {
			return b.itemColumn(it)
		}
	}
	resolve(e, b.rows(), b.group)
	e = orNull(e)
	for i, other := range b.project.Exprs {
		if same(other, e) {
			return i
		}
	}
	return b.add1("", e)
}
