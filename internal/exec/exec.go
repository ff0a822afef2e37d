// Package exec runs plans: pure operators over batches. Rows and time go in, rows and
// snapshots come out; there is no goroutine, clock, network, disk or chance in here.
package exec

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// Emit passes a batch on. The batch is valid until Emit returns.
type Emit func(b *vec.Batch) error

// Operator is one running node. One goroutine calls it. Port numbers the input that a
// batch or a watermark comes from, in the order of plan.Node.In.
//
// The rules: a batch is valid until Push returns; after Advance(p, t) no Push on port p
// brings a row with T < t; Advance never goes back; an operator emits all rows with
// T < t that it will ever emit before its Advance(t) (minimum over its ports) returns, so
// the graph can pass the watermark on unchanged. A result that covers rows up to and
// including e comes out when the watermark is > e (saql.md 4.4). The end of the input is
// Advance(vec.MaxTime).
type Operator interface {
	Push(port int, b *vec.Batch, emit Emit) error
	Advance(port int, t vec.Time, emit Emit) error
	// Snapshot writes all state, Restore reads it into a new operator of the same plan.
	Snapshot(w *state.Writer)
	Restore(r *state.Reader) error
}
