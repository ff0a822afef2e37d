package plan

import (
	"strings"

	"weir/internal/vec"
)

// newNode adds a node to the plan. Nodes get their order at the end.
func (c *compiler) newNode(op Op, in ...*Node) *Node {
	n := &Node{Op: op, In: in}
	c.plan.Nodes = append(c.plan.Nodes, n)
	return n
}

// pathKey is a path as a key of a map.
func pathKey(path []string) string { return "." + strings.Join(path, "\x00") }

// columnOf is a column of a relation as an expression over its node.
func columnOf(r relation, name string, t vec.Kinds) *Expr {
	return &Expr{Op: OpCol, Col: r.column([]string{name}), Type: t}
}

// rowOf is the row of a relation as a record: of its columns if these are known.
func rowOf(r relation) *Expr {
	t := vec.KindsOf(vec.Record)
	sch := r.schema()
	if sch.open {
		return &Expr{Op: OpCol, Col: r.row(), Type: t}
	}
	e := &Expr{Op: OpRecord, Type: t}
	for _, c := range sch.cols {
		e.Names = append(e.Names, c.Name)
		e.Args = append(e.Args, orNull(columnOf(r, c.Name, c.Type)))
	}
	return e
}

// fieldsOf is e.a.b for the path a, b.
func fieldsOf(e *Expr, path []string) *Expr {
	for _, name := range path {
		e = &Expr{Op: OpField, Name: name, Args: []*Expr{e}, Type: vec.AnyKind, Span: e.Span}
	}
	return e
}

// orNull is e as a named column of a select list: an absent field is NULL.
func orNull(e *Expr) *Expr {
	if !e.Type.Has(vec.Missing) {
		return e
	}
	return &Expr{Op: OpNull, Args: []*Expr{e}, Type: notMissing(e.Type), Span: e.Span}
}

// lower makes the nodes that the outputs need.
func (c *compiler) lower() {
	for _, st := range c.outs {
		c.output(st)
	}
	for _, s := range c.order {
		if s.used {
			c.stepInfo(s)
		}
	}
	for _, g := range c.windowed {
		g.placeID()
	}
	c.plan.optimise()
}

// stepInfo tells where the rows of a step are, if any output needs them.
func (c *compiler) stepInfo(s *step) {
	if n := loweredNode(s.rel); n != nil {
		c.plan.Steps = append(c.plan.Steps, StepInfo{Name: s.name.Text, Node: n})
	}
}

// loweredNode is the node of a relation if it has been lowered.
func loweredNode(r relation) *Node {
	switch r := r.(type) {
	case *named:
		return loweredNode(r.relation)
	case *block:
		return r.out
	case *union:
		return r.out
	}
	return nil
}

// placeID puts the window id behind the aggregates.
func (g *grouping) placeID() {
	if !g.op.WithID {
		return
	}
	id := len(g.node.Cols)
	g.node.Cols = append(g.node.Cols, Col{Type: vec.KindsOf(vec.String, vec.Null)})
	for _, e := range g.idRefs {
		e.Col = id
	}
}

// output makes the node of an output: a projection to its columns, and the write.
func (c *compiler) output(st *statement) {
	sch := st.rel.schema()
	from := st.rel.node()
	p := &Project{}
	n := c.newNode(p, from)
	n.Span = st.query.Body.Pos()
	write := &Write{Output: len(c.plan.Outputs), Row: sch.open}
	if sch.open {
		row := rowOf(st.rel)
		p.Exprs, n.Cols = []*Expr{row}, []Col{{Type: row.Type}}
	} else {
		for _, col := range sch.cols {
			p.Exprs = append(p.Exprs, orNull(columnOf(st.rel, col.Name, col.Type)))
			n.Cols = append(n.Cols, Col{col.Name, notMissing(col.Type)})
		}
	}
	w := c.newNode(write, n)
	w.Span = n.Span
	w.Cols = n.Cols
	c.plan.Outputs = append(c.plan.Outputs, Output{Name: st.output, Node: w})
}

func (b *block) schema() *schema { return &b.sch }

// node makes the nodes of the block: filter, group, filter, project.
func (b *block) node() *Node {
	if b.out != nil {
		return b.out
	}
	n := b.rows().node()
	n = b.filter(n, b.where, nil)
	if b.group != nil {
		n = b.group.lower(n)
	}
	n = b.filter(n, b.having, b.group)
	if !b.passes() {
		b.project = &Project{}
		b.pnode = b.newNode(b.project, n)
		n = b.pnode
	}
	b.out = n
	b.overResults()
	return b.out
}

func (b *block) newNode(op Op, in ...*Node) *Node {
	n := b.c.newNode(op, in...)
	n.Span, n.Step = b.sel.Span, b.step
	return n
}

func (b *block) filter(n *Node, pred *Expr, post *grouping) *Node {
	if pred == nil {
		return n
	}
	resolve(pred, b.rows(), post)
	f := b.newNode(&Filter{Pred: pred}, n)
	f.Span = pred.Span
	return f
}

// column gives the position of a field of the select list; it computes the field when it
// is first asked for.
func (b *block) column(path []string) int {
	b.node()
	if b.passes() {
		return b.sources[0].rel.column(path)
	}
	key := pathKey(path)
	if i, ok := b.wants[key]; ok {
		return i
	}
	if !b.sch.open {
		for _, it := range b.items {
			if it.name == path[0] {
				i := b.itemColumn(it)
				b.wants[key] = i
				return i
			}
		}
		if b.passesKnown() { // a column that * does not show
			col := b.rows().field(b.sources[0], path)
			b.wants[key] = b.add1("", b.c.columnAt(b.rows().node(), col))
			return b.wants[key]
		}
		panic("plan: no column " + path[0])
	}
	i := b.add1(path[len(path)-1], b.openColumn(path))
	b.wants[key] = i
	return i
}

// itemColumn computes an item.
func (b *block) itemColumn(it *item) int {
	if it.col < 0 {
		resolve(it.expr, b.rows(), b.group)
		it.col = b.add1(it.name, orNull(it.expr))
	}
	return it.col
}

// add1 adds an expression to the projection.
func (b *block) add1(name string, e *Expr) int {
	b.project.Exprs = append(b.project.Exprs, e)
	b.pnode.Cols = append(b.pnode.Cols, Col{name, e.Type})
	return len(b.pnode.Cols) - 1
}

// openColumn is a field of a row of which some fields are named and others come from a
// `*` over unknown columns: the leftmost that has the name (saql.md 6.9), by its exact
// name, else by the first that is equal without case.
func (b *block) openColumn(path []string) *Expr {
	out := &Expr{Op: OpPresent, Type: vec.AnyKind}
	// A single splice may be asked for the whole path. Of several, the leftmost with the
	// first name counts, even if that has not the rest.
	whole, splices := true, 0
	for _, it := range b.items {
		if it.splice {
			splices++
		}
		whole = whole && splices < 2 && (it.splice || !sameName(it.name, path[0]))
	}
	take := path[:1]
	if whole {
		take = path
	}
	// What can never be missing ends the list.
	ended := func() bool {
		n := len(out.Args)
		return n > 0 && !out.Args[n-1].Type.Has(vec.Missing)
	}
	for _, it := range b.items {
		switch {
		case ended():
		case it.splice:
			out.Args = append(out.Args, b.spliced(it, take))
		case it.name == path[0]:
			out.Args = append(out.Args, b.itemExpr(it))
		}
	}
	for _, it := range b.items {
		if !ended() && !it.splice && it.name != path[0] && sameName(it.name, path[0]) {
			out.Args = append(out.Args, b.itemExpr(it))
		}
	}
	if len(out.Args) == 1 {
		out = out.Args[0]
	}
	return fieldsOf(out, path[len(take):])
}

func (b *block) itemExpr(it *item) *Expr {
	resolve(it.expr, b.rows(), b.group)
	return orNull(it.expr)
}

// spliced is a field of a splice.
func (b *block) spliced(it *item, path []string) *Expr {
	if it.src != nil {
		return &Expr{Op: OpCol, Col: b.rows().field(it.src, path), Type: vec.AnyKind, Span: it.span}
	}
	resolve(it.expr, b.rows(), b.group)
	return fieldsOf(it.expr, path)
}

// row gives the whole row as a record.
func (b *block) row() int {
	b.node()
	if b.passes() {
		return b.sources[0].rel.row()
	}
	if b.rowCol >= 0 {
		return b.rowCol
	}
	e := &Expr{Op: OpRecord, Type: vec.KindsOf(vec.Record), Span: b.sel.Span}
	for _, it := range b.items {
		switch {
		case !it.splice:
			e.Names, e.Args = append(e.Names, it.name), append(e.Args, b.itemExpr(it))
		case it.src != nil:
			e.Names = append(e.Names, "")
			e.Args = append(e.Args, b.rows().row(it.src))
		default:
			resolve(it.expr, b.rows(), b.group)
			e.Names, e.Args = append(e.Names, ""), append(e.Args, it.expr)
		}
	}
	b.rowCol = b.add1("", e)
	return b.rowCol
}

// lower makes the projection to keys and arguments, and the group behind it.
func (g *grouping) lower(n *Node) *Node {
	b := g.b
	g.pre = &Project{}
	pre := b.newNode(g.pre, n)
	pre.Span = b.sel.GroupPos
	g.op = &Group{Windows: g.windows, WithID: g.withID}
	g.node = b.newNode(g.op, pre)
	g.node.Span = b.sel.GroupPos
	b.c.windowed = append(b.c.windowed, g)
	for _, k := range g.keys {
		col := g.input(k)
		g.op.Keys = append(g.op.Keys, col)
		g.node.Cols = append(g.node.Cols, Col{Type: k.Type})
	}
	for i, over := range g.overs {
		for _, k := range over {
			g.op.Windows[i].Over = append(g.op.Windows[i].Over, g.input(k))
		}
	}
	return g.node
}

// input gives the column of the projection in front of the group that holds e.
func (g *grouping) input(e *Expr) int {
	resolve(e, g.b.rows(), nil)
	for i, other := range g.pre.Exprs {
		if same(other, e) {
			return i
		}
	}
	g.pre.Exprs = append(g.pre.Exprs, e)
	in := g.node.In[0]
	in.Cols = append(in.Cols, Col{Type: e.Type})
	return len(g.pre.Exprs) - 1
}

// resolveRef gives a column expression behind the group its position.
func (g *grouping) resolveRef(e *Expr, r *ref) {
	switch r.kind {
	case refKey:
		e.Col = r.n
	case refAgg:
		e.Col = g.aggColumn(g.aggs[r.n])
	case refWindowID:
		e.Col = -1 // no other column, until it is placed
		g.idRefs = append(g.idRefs, e)
	}
}

// aggColumn computes an aggregate when it is first asked for.
func (g *grouping) aggColumn(a *aggCall) int {
	if a.col < 0 {
		call := GroupAgg{Fn: a.fn, Span: a.span, Desc: a.desc, Const: a.cons}
		for _, arg := range a.args {
			call.Args = append(call.Args, g.input(arg))
		}
		a.col = len(g.op.Keys) + len(g.op.Aggs)
		g.op.Aggs = append(g.op.Aggs, call)
		g.node.Cols = append(g.node.Cols, Col{Type: a.typ})
	}
	return a.col
}
