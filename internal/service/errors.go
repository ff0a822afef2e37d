package service

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoJob is the error of a name that no job has.
var ErrNoJob = errors.New("there is no such job")

// ErrNoPart is the error of a step, output or version that a job does not have.
var ErrNoPart = errors.New("there is no such part")

// partError says which part it is: an ErrNoPart in its own words.
type partError string

func (e partError) Error() string { return string(e) }

// Is makes it an ErrNoPart.
func (e partError) Is(target error) bool { return target == ErrNoPart }

// ErrConflict is the error of what the state of the job does not allow: it runs, or somebody
// else has changed it.
var ErrConflict = errors.New("this does not fit what the job is now")

// ErrPrecondition is the error of a condition of a deployment that does not hold: somebody else
// was faster.
var ErrPrecondition = errors.New("the job is not as it was expected to be")

// ErrBusy is the error of a limit that has been reached.
var ErrBusy = errors.New("too many")

// ErrGone is the error of a position of a feed whose changes are no longer kept.
var ErrGone = errors.New("these changes are gone")

// ErrClosed is the error of asking a service that ends.
var ErrClosed = errors.New("the service is stopping")

// InvalidError is a job that cannot be taken as it is written.
type InvalidError struct {
	Job   string
	Found Findings
}

func (e *InvalidError) Error() string {
	n := e.Found.Errors()
	s := "s"
	if n == 1 {
		s = ""
	}
	return fmt.Sprintf("the job %q is wrong: %d error%s\n%s", e.Job, n, s, e.Found.Error())
}

// Unwrap gives the findings.
func (e *InvalidError) Unwrap() error { return e.Found }

// StateError is a change that the state of the job does not survive.
type StateError struct {
	Job    string
	Steps  []string
	Reason string
}

func (e *StateError) Error() string {
	what := ""
	if len(e.Steps) > 0 {
		what = " of " + strings.Join(e.Steps, ", ")
	}
	return fmt.Sprintf("the state%s cannot be kept: %s; with --discard-state (discard_state) it begins empty", what, e.Reason)
}

// NotRunningError is the error of asking a job that does not run for what only a running one
// has.
type NotRunningError struct{ Job, What string }

func (e *NotRunningError) Error() string {
	return fmt.Sprintf("the job %q does not run, so it has no %s; start it with \"weir job start %s\"", e.Job, e.What, e.Job)
}
