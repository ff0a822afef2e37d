package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// An event may end the whole process: memory runs out, a library crashes. The epoch that it is
// in is in no record yet, so the next start reads the event again, and so on. Starts are
// counted, therefore: after some in a row that ended without a stop and without progress, the
// job becomes careful. It reads an event at a time, keeps the record of an epoch before it
// touches the event, and notes durably when it begins with it and when it is done. If it ends
// in between that often again, the event becomes a dead letter. A process that others kill,
// however often, is mostly elsewhere.

const (
	startsName = "STARTS"
	triesName  = "TRIES"
	// maxStarts is how many starts in a row may end in the same epoch, and then how many tries
	// of one event.
	maxStarts = 3
	// carefulEpochs is how many epochs without an accident end the care.
	carefulEpochs = 1000
	// PoisonEvent is the name of dead letters that have ended the process, or the job by a
	// fault of the engine.
	PoisonEvent = "PoisonEvent"
)

// countStart counts this start, durably. The count begins anew when an epoch was made since
// the last one, or when the job was stopped.
func (l *Live) countStart() error {
	last := l.epoch
	if n := len(l.pending); n > 0 {
		last = l.pending[n-1].N
	}
	var epoch int64
	if text, err := readAll(l.fs, startsName); err == nil {
		if n, _ := fmt.Sscanf(string(text), "%d %d", &epoch, &l.starts); n != 2 || epoch != last {
			l.starts = 0
		}
	}
	l.starts++
	if l.starts > maxStarts {
		l.careful = carefulEpochs
		note := fmt.Sprintf("the last %d starts of the job have ended in epoch %d, without a stop: it now reads event by event from %s, to find the one that does it",
			l.starts-1, last+1, l.whereabouts())
		l.board.note(note)
		l.log.Error(note, "job", l.spec.Name)
	}
	l.tried = tries{}
	if text, err := readAll(l.fs, triesName); err == nil {
		if n, _ := fmt.Sscanf(string(text), "%d %d", &l.tried.epoch, &l.tried.n); n != 2 {
			l.tried = tries{}
		}
	}
	return l.insist(l.ctx, "the state directory", nil, func(context.Context) error { return l.keepStarts(last) })
}

// tries is how often a careful epoch was begun and not done.
type tries struct {
	epoch int64
	n     int
}

// try notes that a careful epoch begins; done is to be called at its end.
func (l *Live) try(epoch int64) (done func() error, err error) {
	if l.tried.epoch != epoch {
		l.tried = tries{epoch: epoch}
	}
	l.tried.n++
	return func() error {
		l.tried = tries{}
		return l.keepTries()
	}, l.keepTries()
}

func (l *Live) keepTries() error {
	return l.insist(l.ctx, "the state directory", nil, func(context.Context) error { return l.writeTries() })
}

func (l *Live) writeTries() error {
	_, err := writeWhole(l.fs, ".", triesName, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d %d\n", l.tried.epoch, l.tried.n)
		return err
	})
	return err
}

func (l *Live) keepStarts(last int64) error {
	_, err := writeWhole(l.fs, ".", startsName, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%d %d\n", last, l.starts)
		return err
	})
	return err
}

// endStart notes that this start has ended as it should, or in a way that is known and no
// fault of the engine.
func (l *Live) endStart(err error) {
	var fault *PanicError
	if errors.As(err, &fault) {
		return
	}
	if l.tried.n > 0 {
		l.tried.n = 0
		if err := l.writeTries(); err != nil {
			l.log.Warn("the end of the job could not be noted", "error", err)
		}
	}
	if l.starts == 0 {
		return
	}
	l.starts = 0
	if err := l.keepStarts(l.epoch); err != nil {
		l.log.Warn("the end of the job could not be noted", "error", err)
	}
}

// whereabouts says where the inputs are read.
func (l *Live) whereabouts() string {
	var list []string
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			if !p.ended {
				list = append(list, fmt.Sprintf("input %q, partition %q, position %q", in.spec.Name, p.name, p.pos))
			}
		}
	}
	return strings.Join(list, "; ")
}

// one leaves one chunk in the record, and the others for later: their readers go back.
func (l *Live) one(rec *epochRecord, reads []reading) []reading {
	if len(reads) < 2 {
		return reads
	}
	at := int(rec.N) % len(reads) // each in its turn
	for i := range reads {
		if i != at {
			reads[i].p.close()
		}
	}
	rec.Ranges = rec.Ranges[at : at+1]
	return reads[at : at+1]
}

// intend keeps the record of an epoch before its events are touched.
func (l *Live) intend(rec *epochRecord) error {
	rec.Careful, rec.Acked = true, l.acked()
	return l.insist(l.ctx, "the manifest", nil, func(context.Context) error { return l.manifest.append(rec) })
}

// poisoned reports whether the record is of an event that has ended the job too often. One
// whose rows some output has was survived.
func (l *Live) poisoned(rec *epochRecord) bool {
	for _, out := range l.outputs {
		if !out.forgetful && out.committed >= rec.N {
			return false
		}
	}
	return rec.Careful && l.tried.epoch == rec.N && l.tried.n >= maxStarts
}

// pass makes a dead letter of a chunk instead of pushing it.
func (l *Live) pass(r *reading) {
	l.at = place{r.in, r.p, &r.chunk, nil}
	defer func() { l.at = place{} }()
	l.bury(DeadLetter{Name: PoisonEvent, Reason: fmt.Sprintf("%d starts of the job have ended with it", l.tried.n), Offset: r.chunk.Offset, Line: r.chunk.Line}, r.chunk.Data)
	r.in.errors[PoisonEvent]++
	l.log.Error("an event is passed over because the job has ended with it too often; it is a dead letter", "input", r.in.spec.Name, "partition", r.p.name, "position", r.p.pos)
	r.chunk.Data, r.chunk.Marks = nil, nil
}
