package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// match finds sequences of rows.
type match struct{ stateless }

func newMatch(g *Graph, n *plan.Node, op *plan.Match) *match { return &match{} }

func (o *match) Push(int, *vec.Batch, Emit) error { return nil }
