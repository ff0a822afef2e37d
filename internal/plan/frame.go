package plan

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

// plainFrame is the rows of one source as they are.
type plainFrame struct{ s *source }

func (f plainFrame) node() *Node                        { return f.s.rel.node() }
func (f plainFrame) field(s *source, path []string) int { return s.rel.column(path) }
func (f plainFrame) row(s *source) *Expr                { return rowOf(s.rel) }

// rows is the frame of the block.
func (b *block) rows() frame {
	if b.frame == nil {
		b.frame = plainFrame{b.sources[0]}
	}
	return b.frame
}
