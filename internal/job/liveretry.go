package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
)

const (
	// firstPause and longestPause are how long the job waits before it tries again what has
	// failed; each pause is twice the one before.
	firstPause   = 10 * time.Millisecond
	longestPause = 10 * time.Second
	// repeatEvery is how often a failure that lasts is logged.
	repeatEvery = 30 * time.Second
	// graceful is how long an output may take to answer after the job was told to stop.
	graceful = 10 * time.Second
)

// errStopped says that the job was told to stop while it waited.
var errStopped = errors.New("the job was stopped")

// pauseAfter is how long to wait after a number of failures in a row, from 1.
func pauseAfter(failures int) time.Duration {
	return min(firstPause<<min(failures-1, 20), longestPause)
}

// insist does something until it succeeds, is told to stop, or fails for good. what names it
// for people: `output "x"`. The state is Degraded meanwhile.
func (l *Live) insist(ctx context.Context, what string, retries *int64, do func(ctx context.Context) error) error {
	failures, began, told := 0, time.Time{}, time.Time{}
	for {
		err := do(l.work)
		if err == nil {
			if failures > 0 {
				l.log.Info("it works again", "what", what, "tries", failures, "waited", l.now().Sub(began).Round(time.Millisecond))
				l.board.heal(what)
			}
			return nil
		}
		if connect.IsPermanent(err) || isDamage(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ctx.Err() != nil {
			return errStopped
		}
		now := l.now()
		if failures++; failures == 1 {
			l.endStart(nil) // it waits for others: no event has ended it, whatever comes now
			began = now
		}
		if retries != nil {
			*retries++
		}
		if told.IsZero() || now.Sub(told) >= repeatEvery {
			told = now
			l.log.Warn("it does not work, the job waits and loses nothing", "what", what, "error", err, "tries", failures)
		}
		l.board.degrade(what, err)
		l.publish(false)
		if !l.pause(ctx, pauseAfter(failures)) {
			return errStopped
		}
	}
}

// pause waits. It reports false if the job is told to stop.
func (l *Live) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func isDamage(err error) bool {
	var d *DamageError
	return errors.As(err, &d)
}

// explain says what can be done about an error, where it is known.
func explain(err error) string {
	if errors.Is(err, disk.ErrFull) {
		return err.Error() + "; the job goes on when there is space"
	}
	return err.Error()
}

// PanicError is a fault of the program that ended a job.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the engine failed: %v; this is a fault of Weir: please report it with the log", e.Value)
}

// guarded runs f and makes an error of a panic.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v, debug.Stack()}
		}
	}()
	return f()
}
