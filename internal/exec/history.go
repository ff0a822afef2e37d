package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// history computes analytic functions.
type history struct{ stateless }

func newHistory(g *Graph, n *plan.Node, op *plan.History, live []bool) *history { return &history{} }

func (o *history) Push(int, *vec.Batch, Emit) error { return nil }
