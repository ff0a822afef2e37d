// Package window is the window kinds: rules about time (saql.md section 5). A window is
// an interval (start, end]. Rows gather in panes; a window is a run of panes. The rules
// know nothing of rows, groups or aggregates.
package window

import "weir/internal/vec"

// Kind is the family of a window.
type Kind uint8

// The families. A snapshot (saql.md 5.6) is a tumbling window of one tick.
const (
	Tumbling Kind = iota
	Hopping
	Sliding
	Session
	Snapshot
)

// Spec is one window of a GROUP BY. All durations are in ticks.
type Spec struct {
	Kind    Kind
	Size    vec.Time // Tumbling, Hopping, Sliding
	Hop     vec.Time // Hopping; equal to Size for Tumbling and Snapshot
	Offset  vec.Time // Tumbling, Hopping; reduced to 0 <= Offset < Hop
	Timeout vec.Time // Session
	Max     vec.Time // Session: longest duration
	Over    []int    // Session: positions in the group's keys of OVER (PARTITION BY ..); may also be columns beyond the keys, see plan.Group
	ID      string   // Window('id', ..)
	HasID   bool
}
