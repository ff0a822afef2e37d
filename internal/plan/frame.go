package plan

import (
	"slices"

	"weir/internal/vec"
)

// frame is the rows that the expressions of a block read: those of its source, or of
// what stands above it: joins, APPLY, analytic functions. Like a relation it is lowered
// when it is asked for, and computes no column that nobody asks for.
type frame interface {
	// node gives the rows. It may be called many times.
	node() *Node
	// field gives the position in node().Cols of the field of a source.
	field(s *source, path []string) int
	// row gives the row of a source as an expression over node(): a record, or NULL where
	// an outer join found none.
	row(s *source) *Expr
}

// timed is a frame that stands in FROM: it knows the times of its sources.
type timed interface {
	frame
	// time gives T of the row of a source over node(), NULL where there is no such row.
	time(s *source) *Expr
}

// plainFrame is the rows of one source as they are.
type plainFrame struct{ s *source }

func (f plainFrame) node() *Node                        { return f.s.rel.node() }
func (f plainFrame) field(s *source, path []string) int { return s.rel.column(path) }
func (f plainFrame) row(s *source) *Expr                { return rowOf(s.rel) }

func (f plainFrame) time(*source) *Expr { return timeExpr() }

// timeExpr is T of the row.
func timeExpr() *Expr { return &Expr{Op: OpTime, Type: vec.KindsOf(vec.Datetime)} }

// columnAt is a column of a node as an expression.
func (c *compiler) columnAt(n *Node, col int) *Expr {
	return &Expr{Op: OpCol, Col: col, Type: c.plan.columnsOf(n)[col].Type}
}

// sideFrame is a side of a join. It gives keys, times and whole rows as columns.
type sideFrame struct {
	b     *block
	below timed
	op    *Project
	n     *Node
}

func (b *block) side(below timed) *sideFrame {
	op := &Project{}
	return &sideFrame{b: b, below: below, op: op, n: b.newNode(op, below.node())}
}

// add gives the column of an expression over the rows below.
func (f *sideFrame) add(e *Expr) int {
	for i, other := range f.op.Exprs {
		if same(other, e) {
			return i
		}
	}
	f.op.Exprs = append(f.op.Exprs, e)
	f.n.Cols = append(f.n.Cols, Col{Type: e.Type})
	return len(f.op.Exprs) - 1
}

// value gives the column of an expression over sources.
func (f *sideFrame) value(e *Expr) int {
	resolve(e, f.below, nil)
	return f.add(e)
}

func (f *sideFrame) field(s *source, path []string) int {
	return f.add(f.b.c.columnAt(f.below.node(), f.below.field(s, path)))
}

func (f *sideFrame) row(s *source) int  { return f.add(f.below.row(s)) }
func (f *sideFrame) time(s *source) int { return f.add(f.below.time(s)) }

// outs are the columns of a node that hands on columns of its inputs.
type outs struct {
	c    *compiler
	n    *Node
	list *[]Out
}

// pick gives the column of the node that is column col of an input, or of what it makes.
func (o *outs) pick(port, col int, t vec.Kinds) int {
	out := Out{port, col}
	if i := slices.Index(*o.list, out); i >= 0 {
		return i
	}
	*o.list = append(*o.list, out)
	o.n.Cols = append(o.n.Cols, Col{Type: t})
	return len(*o.list) - 1
}

// hand gives the column of the node that is column col of an input; outer adds NULL.
func (o *outs) hand(port, col int, outer bool) *Expr {
	t := o.c.columnAt(o.n.In[port], col).Type
	if outer {
		t |= nullOnly
	}
	return &Expr{Op: OpCol, Col: o.pick(port, col, t), Type: t}
}

// rows is the frame of the block.
func (b *block) rows() frame {
	if b.frame == nil {
		b.frame = b.table.frame()
	}
	if b.history != nil && b.history.inner == nil {
		b.history.inner = b.frame
		b.frame = b.history
	}
	return b.frame
}
