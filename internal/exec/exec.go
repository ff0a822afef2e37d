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
	// Freeze copies all state, so that it can be written while the operator goes on; nil means
	// that there is none. Restore reads it into a new operator of the same plan.
	Freeze(m *state.Memory) saved
	Restore(r *state.Reader) error
}

// limits are the sizes at which operators change how they work; no result depends on
// them. Only tests set them.
var limits = struct {
	idleGroups int   // groups without state that are kept before they are forgotten
	results    int   // result rows that gather before they are passed on
	ring       int64 // panes of the dense table of open panes
	table      int64 // its cells
	matchRows  int   // rows that a match may keep for nothing
}{idleGroups: 1 << 16, results: 2048, ring: 4096, table: 1 << 22, matchRows: 1024}
