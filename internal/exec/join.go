package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// join pairs the rows of two streams.
type join struct{ stateless }

func newJoin(g *Graph, n *plan.Node, op *plan.Join, live []bool) *join { return &join{} }

func (o *join) Push(int, *vec.Batch, Emit) error { return nil }
