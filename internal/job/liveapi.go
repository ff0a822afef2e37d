package job

import (
	"context"
	"errors"

	"weir/internal/disk"
)

// Live is a job that runs until it is stopped. Its methods may be called by several
// goroutines at once, Run by one and once.
type Live struct {
	spec LiveSpec
	fs   disk.FS
}

// ErrNotRunning is the error of asking something of a job whose Run has not begun or has
// ended.
var ErrNotRunning = errors.New("the job is not running")

// OpenLive opens the state directory of a job, makes it if it is empty, and reads its newest
// good checkpoint. Another process that has the directory is an error that wraps
// disk.ErrLocked. What is opened is freed at the end of Run; without Run, by Close.
func OpenLive(ctx context.Context, fs disk.FS, spec LiveSpec) (*Live, error) {
	return &Live{spec: spec, fs: fs}, ctx.Err()
}

// Run runs the job. It returns nil when ctx ends (the state is then Stopped, after a last
// checkpoint) and when all inputs have ended (Completed). Any other end is an error (Failed);
// the state on disk is good, and the next start goes on from it. Run closes the job.
func (l *Live) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Close frees a job that was opened and not run. After Run it does nothing.
func (l *Live) Close() error { return nil }

// Stats tells what the job is doing. The caller owns the answer.
func (l *Live) Stats() Stats { return Stats{State: Starting, Version: l.spec.Version} }

// Checkpoint makes a checkpoint now, and waits until it is durable.
func (l *Live) Checkpoint(ctx context.Context) error { return ErrNotRunning }

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

// TapLimits bound what a tap takes. Zeros are defaults.
type TapLimits struct {
	Rows      int // rows that wait to be read; beyond it the oldest go. DefaultTapRows
	PerSecond int // rows taken in a second; 0 is no limit
}

// DefaultTapRows is TapLimits.Rows unless it is set.
const DefaultTapRows = 1000

// TapRows are rows that a tap has seen.
type TapRows struct {
	Rows    [][]byte // each a JSON object
	Dropped int64    // rows that were not taken or not read in time, since the last Next
}

// Tapping is a look at the rows of a step, an input or an output. It never holds the job up.
type Tapping struct{ Columns []string }

// Next waits for rows and gives those that are there. io.EOF says that the tap was closed,
// that the job has ended or that the step is gone.
func (t *Tapping) Next(ctx context.Context) (TapRows, error) { return TapRows{}, ctx.Err() }

// Close ends the tap.
func (t *Tapping) Close() {}

// Tap looks at the rows of a WITH step, an output or an input, whichever has the name.
func (l *Live) Tap(name string, limits TapLimits) (*Tapping, error) { return nil, ErrNotRunning }

// DeadLetters gives up to n dead letters with larger ids than after, oldest first.
func (l *Live) DeadLetters(after int64, n int) ([]DeadLetter, error) { return nil, nil }

// DeadCounts are the dead letters that there have been, by name; forgotten is how many of
// them were given up because the log has reached its size.
func (l *Live) DeadCounts() (byName map[string]int64, forgotten int64) { return nil, 0 }

// Redriven is a dead letter to be tried again: an event is read again, a row is written
// again. Payload, if set, replaces what the dead letter holds.
type Redriven struct {
	ID      int64
	Payload []byte
}

// Redrive tries dead letters again, in one epoch. It returns when the epoch is committed. A
// letter that fails again becomes a new dead letter.
func (l *Live) Redrive(ctx context.Context, letters []Redriven) error { return ErrNotRunning }
