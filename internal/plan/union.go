package plan

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

// union is the rows of several branches (saql.md 6.8).
type union struct {
	c        *compiler
	at       diag.Span
	step     string
	branches []relation
	sch      schema

	out      *Node // lowered
	projects []*Project
	nodes    []*Node // of the projects
	wants    map[string]int
}

func (c *compiler) union(q *saql.Union, step string) relation {
	u := &union{c: c, at: q.Span, step: step, wants: map[string]int{}}
	before := c.errors()
	for _, b := range q.Branches {
		u.branches = append(u.branches, c.branch(b, step))
	}
	if c.errors() == before {
		u.checkReference(q)
	}
	u.check(q)
	u.setSchema()
	return u
}

// checkReference refuses rows of reference data, which have no time, among rows of streams
// (saql.md 6.6).
func (u *union) checkReference(q *saql.Union) {
	isReference := func(r relation) bool { return r.schema().reference != nil }
	i := slices.IndexFunc(u.branches, isReference)
	if i >= 0 && slices.ContainsFunc(u.branches, func(r relation) bool { return !isReference(r) }) {
		u.c.fail(diag.SA6011, headOf(q.Branches[i]), "UNION with a stream cannot be used on reference data", "JOIN the stream with the data")
	}
}

// check demands that branches with known columns have the same ones.
func (u *union) check(q *saql.Union) {
	first := -1
	for i, b := range u.branches {
		if b.schema().open {
			continue
		}
		if first < 0 {
			first = i
			continue
		}
		u.compare(u.branches[first].schema(), b.schema(), q.Branches[first], q.Branches[i])
	}
	u.comparePartitions(q)
}

// compare reports the first difference between the columns of two branches.
func (u *union) compare(a, b *schema, qa, qb saql.QueryExpr) {
	message, hint := "", "same number, order and names; alias with AS"
	at := headOf(qb)
	if len(a.cols) != len(b.cols) {
		message = itoa(len(a.cols)) + " and " + itoa(len(b.cols)) + " columns"
	}
	for i := 0; i < len(a.cols) && i < len(b.cols) && message == ""; i++ {
		ta, tb := a.cols[i].Type.NotNull(), b.cols[i].Type.NotNull()
		mixed := ta != 0 && tb != 0 && (ta.Within(containers) && tb.Within(scalars) || tb.Within(containers) && ta.Within(scalars))
		switch {
		case !sameName(a.cols[i].Name, b.cols[i].Name):
			message = "column " + itoa(i+1) + " is " + quote(a.cols[i].Name) + " and " + quote(b.cols[i].Name)
		case mixed:
			message = typeText(ta) + " and " + typeText(tb)
		default:
			continue
		}
		if sel, ok := qb.(*saql.Select); ok && i < len(sel.Items) && len(sel.Items) == len(b.cols) {
			at = sel.Items[i].Span
		}
	}
	if message == "" {
		return
	}
	d := u.c.fail(diag.SA4007, at, "UNION branches differ: "+message, hint)
	d.Related = []diag.Label{{Span: headOf(qa), Text: "the first branch"}}
}

// comparePartitions demands that branches agree on PARTITION BY (saql.md 4.6).
func (u *union) comparePartitions(q *saql.Union) {
	var first *block
	for i, rel := range u.branches {
		b, ok := rel.(*block)
		if !ok {
			return
		}
		if i == 0 {
			first = b
			continue
		}
		same := slices.EqualFunc(first.parts, b.parts, func(x, y *Expr) bool {
			return sameName(lastName(u.c.textAt(x.Span)), lastName(u.c.textAt(y.Span)))
		})
		if !same || first.shards != b.shards {
			u.c.fail(diag.SA4017, headOf(q.Branches[i]), "the branches of the UNION are partitioned differently", "PARTITION BY the same key INTO the same number in a step")
		}
	}
}

// setSchema joins the schemas of the branches: the names of the first, the types of all.
func (u *union) setSchema() {
	u.sch.what, u.sch.name = "the union", "the union"
	u.sch.reference = u.branches[0].schema().reference
	for _, b := range u.branches {
		u.sch.open = u.sch.open || b.schema().open
		if b.schema().reference == nil {
			u.sch.reference = nil
		}
	}
	if u.sch.open {
		return
	}
	u.sch.cols = slices.Clone(u.branches[0].schema().cols)
	for _, b := range u.branches[1:] {
		for i, col := range b.schema().cols {
			if i < len(u.sch.cols) {
				u.sch.cols[i].Type |= col.Type
			}
		}
	}
}

func (u *union) schema() *schema { return &u.sch }

func (u *union) node() *Node {
	if u.out != nil {
		return u.out
	}
	for _, b := range u.branches {
		p := &Project{}
		n := u.c.newNode(p, b.node())
		n.Span, n.Step = u.at, u.step
		u.projects = append(u.projects, p)
		u.nodes = append(u.nodes, n)
	}
	u.out = u.c.newNode(&Order{}, u.nodes...)
	u.out.Span, u.out.Step = u.at, u.step
	return u.out
}

// column asks every branch for the column, at the same position of each.
func (u *union) column(path []string) int {
	return u.ask(pathKey(path), path[len(path)-1], func(b relation) *Expr {
		sch := b.schema()
		if !sch.open {
			i := slices.IndexFunc(u.sch.cols, func(c Col) bool { return c.Name == path[0] })
			if i < 0 {
				// Another branch is open and this one may lack the column.
				col, ok := sch.find(path[0])
				if !ok {
					return constant(vec.NullValue(), u.at)
				}
				return fieldsOf(columnOf(b, col.Name, col.Type), path[1:])
			}
			return columnOf(b, sch.cols[i].Name, sch.cols[i].Type)
		}
		return &Expr{Op: OpCol, Col: b.column(path), Type: vec.AnyKind}
	})
}

func (u *union) row() int {
	return u.ask("", "", rowOf)
}

func (u *union) ask(key, name string, expr func(relation) *Expr) int {
	u.node()
	if i, ok := u.wants[key]; ok {
		return i
	}
	i := len(u.projects[0].Exprs)
	u.wants[key] = i
	var t vec.Kinds
	for n, b := range u.branches {
		e := expr(b)
		t |= e.Type
		u.projects[n].Exprs = append(u.projects[n].Exprs, e)
		u.nodes[n].Cols = append(u.nodes[n].Cols, Col{name, e.Type})
	}
	u.out.Cols = append(u.out.Cols, Col{name, t})
	return i
}
