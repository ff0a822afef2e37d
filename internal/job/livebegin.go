package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"weir/internal/connect"
	"weir/internal/vec"
)

// startName is the file that says when and how a job has begun that has no checkpoint yet. It
// is there before the first source is opened: what a source takes from then on belongs to the
// job, also if the process is killed before its first checkpoint is durable.
const startName = "START"

// begin0 finds the times of a job that begins (saql.md 4.9).
func (l *Live) begin0() error {
	if l.spec.Start == StartLast {
		return connect.Permanent(errors.New("the job has never run, so there is no last output to go on from; start it now, at a time, or at the beginning"))
	}
	l.began = timeOf(l.now())
	if err := l.keepStart(); err != nil {
		return err
	}
	l.clock = max(l.began, timeOf(l.now()))
	switch l.spec.Start {
	case StartBeginning:
		l.start, l.readFrom = vec.MinTime, vec.MinTime
		return nil
	case StartTime:
		l.start = timeOf(l.spec.StartAt)
	default:
		l.start = l.began
	}
	l.readFrom = l.spec.readFrom(l.start)
	return nil
}

// keepStart makes the start of the job durable, or takes the one that a killed process has
// left, if it was of the same kind.
func (l *Live) keepStart() error {
	kind := fmt.Sprintf("weir start 1\ninstance %s\nmode %q at %d\n", l.dir.instance, l.spec.Start, l.spec.StartAt.UnixNano())
	return l.insist(l.ctx, "the state directory", nil, func(context.Context) error {
		text, err := readAll(l.fs, startName)
		if err != nil && !isNotExist(err) {
			return err
		}
		var began int64
		if n, _ := fmt.Sscanf(string(text), kind+"began %d\n", &began); n == 1 {
			l.began = vec.Time(began)
			return nil
		}
		_, err = writeWhole(l.fs, ".", startName, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%sbegan %d\n", kind, l.began)
			return err
		})
		return err
	})
}

// dropStart forgets the start of a job that has ended without a checkpoint: the next one
// begins when it is started.
func (l *Live) dropStart() {
	if l.restored == nil && len(l.checkpoints.serials) == 0 {
		if err := l.fs.Remove(startName); err != nil && !isNotExist(err) {
			l.log.Warn("the start of a job that did not begin could not be forgotten", "error", err)
		}
	}
}
