package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// lookup pairs rows with reference data.
type lookup struct{ stateless }

func newLookup(g *Graph, n *plan.Node, op *plan.Lookup, live []bool) *lookup { return &lookup{} }

func (o *lookup) Push(int, *vec.Batch, Emit) error { return nil }
