package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// top orders the rows of a time.
type top struct{ stateless }

func newTop(n *plan.Node, op *plan.Top, live []bool) *top { return &top{} }

func (o *top) Push(int, *vec.Batch, Emit) error { return nil }
