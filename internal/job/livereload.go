package job

import (
	"context"
	"errors"
)

// ErrNotRunning is the error of asking something of a job whose Run has not begun or has
// ended.
var ErrNotRunning = errors.New("the job is not running")

// ReloadOptions say how Reload treats what has changed.
type ReloadOptions struct {
	// DiscardState starts the steps empty whose state cannot be kept; else Reload is refused.
	DiscardState bool
}

// ReloadReport tells what a reload has kept.
type ReloadReport struct {
	Kept    []string // steps that go on with their state
	New     []string // steps that start empty
	Dropped []string // steps that are gone, with their state
	Inputs  []string // inputs that start, the others go on where they were
	Outputs []string // outputs that were opened anew
	Epoch   int64    // the last epoch of the old version
}

// StateError is the error of a change that cannot keep the state of a step.
type StateError struct {
	Steps  []string
	Reason string
}

func (e *StateError) Error() string { return e.Reason }

// Reload goes over to another version of the job between two epochs, whole or not at all:
// after an error the old version runs on. A *StateError names the steps that cannot keep
// their state.
func (l *Live) Reload(ctx context.Context, spec LiveSpec, o ReloadOptions) (ReloadReport, error) {
	return ReloadReport{}, ErrNotRunning
}
