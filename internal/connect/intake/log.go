package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

// Record is an entry of the log: a key and properties, which the job does not see but for
// Options.Meta, and the text of a message. Property is a named text of it.
type (
	Record   = log.Record
	Property = log.Property
)

// The errors of appends that the other side hears as "come again", and of those that are
// too large for that.
var (
	ErrFull     = log.ErrLogFull
	ErrBusy     = log.ErrBusy
	ErrTooLarge = log.ErrTooLarge
	ErrClosed   = log.ErrClosed
)

// Options of a log.
type Options struct {
	Fsync  string        // always, interval or none; "" is always
	Keep   time.Duration // how long records stay that the job is done with
	MaxLog int64         // bytes that may lie in the log; 0 is DefaultMaxLog
	// MaxAppend is the largest append in bytes, MaxPending what may wait for the disk; 0 are
	// the log's own.
	MaxAppend  int
	MaxPending int64
	// Cutter makes the cutter of a reader, which brings payloads onto lines. nil: every record
	// is one line already.
	Cutter func() *message.Cutter
	// Meta is the metadata of a record; it is given away. nil: records have none.
	Meta func(r *Record) map[string]vec.Value
	// Arrival is when a record arrived, for services whose own times rise with the numbers; Seek
	// then is not by it. nil: when it was appended.
	Arrival func(r *Record) vec.Time
	// Trouble is why nothing can come now, nil if it can: readers tell it when they have given
	// all there is. nil: nobody knows.
	Trouble func() error
}

// DefaultMaxLog is what may lie in a log, in bytes.
const DefaultMaxLog = 4 << 30

// Fields are the settings of inputs that FromConfig reads; a connector adds them to its own.
func Fields() []connect.Field {
	return []connect.Field{
		{Name: "retention", Type: connect.Duration, Default: "10m", Input: true,
			Doc: "How long events are kept after the job is done with them, as far as max_log allows."},
		{Name: "max_log", Type: connect.Size, Default: "4GiB", Input: true,
			Doc: "How much may wait to be read; beyond it no more is taken from the other side."},
		{Name: "fsync", Type: connect.Enum, Values: []string{"always", "interval", "none"}, Default: "always", Input: true,
			Doc: "`always`: events are on the disk when the other side hears that they were taken. `interval`: a loss of power may take the last 200 ms of them. `none`: it may take all that the system had not written yet."},
	}
}

// CheckFields finds what is wrong with the settings of Fields.
func CheckFields(c connect.Config) []connect.Problem {
	if c.Int("max_log") < 1<<20 {
		return []connect.Problem{{Field: "max_log", Text: "\"max_log\" is too small", Hint: "the least is 1MiB"}}
	}
	return nil
}

// FromConfig are the options that the settings of Fields say.
func FromConfig(c connect.Config) Options {
	return Options{Fsync: c.Text("fsync"), Keep: c.Duration("retention"), MaxLog: c.Int("max_log")}
}

// Log is the log of an input, and the Source that reads it. Any number of goroutines may
// append beside the one that uses it as a Source.
type Log struct {
	o     Options
	log   *log.Log
	part  *log.Partition
	warn  *slog.Logger
	freed chan struct{} // Done was called
	waits atomic.Bool   // Keep has said that it waits
}

// Open opens the log in the state directory of an input, or makes it.
func Open(env connect.SourceEnv, o Options) (*Log, error) {
	if o.MaxLog == 0 {
		o.MaxLog = DefaultMaxLog
	}
	if o.MaxAppend == 0 {
		o.MaxAppend = int(min(log.DefaultMaxAppend, o.MaxLog/4))
	}
	warn, now := env.Log, env.Now
	if warn == nil {
		warn = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	state, err := env.State.Sub("log")
	if err != nil {
		return nil, err
	}
	l, err := log.Open(state, log.Options{Fsync: log.Fsync(o.Fsync), Keep: o.Keep, MaxBytes: o.MaxLog,
		MaxAppend: o.MaxAppend, MaxPending: o.MaxPending, Log: warn, Now: now})
	if err != nil {
		return nil, err
	}
	return &Log{o: o, log: l, part: l.Partition(0), warn: warn, freed: make(chan struct{}, 1)}, nil
}

// Append adds records, all or none, and returns when they are as durable as Options.Fsync
// says: the number of the first and the time that all have. The errors above and those of the
// disk come at once. The records may be changed afterwards.
func (l *Log) Append(records []Record) (first int64, arrival time.Time, err error) {
	a, err := l.part.Append(records)
	return a.Seq, a.Enqueued, err
}

// How long Keep waits before it tries again.
const (
	firstWait = 10 * time.Millisecond
	longWait  = time.Second
)

// Keep is Append for those who can have the other side wait: it tries until there is room and
// the disk takes them. An error is that of ctx, or one that no waiting heals.
func (l *Log) Keep(ctx context.Context, records []Record) (first int64, err error) {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		first, _, err = l.Append(records)
		if err == nil {
			l.waits.Store(false)
		}
		if err == nil || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrClosed) {
			return first, err
		}
		if !l.waits.Swap(true) {
			l.warn.Warn("what was received cannot be kept yet; the other side waits", "error", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.freed:
		case <-t.C:
		}
		t.Stop()
	}
}

// Range is what the log has: the numbers of the first record and of the next one to come, and
// the bytes.
func (l *Log) Range() (first, next, bytes int64) {
	rg := l.part.Range()
	return rg.First, rg.Next, rg.Bytes
}

// Each goes through what was appended at or after a time, append by append: the number of its
// first record, its arrival, and its records, which are valid during the call.
func (l *Log) Each(since time.Time, do func(first int64, arrival time.Time, records []Record) error) error {
	from, err := l.part.SeekTime(since)
	if err != nil {
		return err
	}
	r, err := l.part.Read(from)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if b == nil || err != nil {
			return err
		}
		if err := do(b.Seq, b.Enqueued, b.Records); err != nil {
			return err
		}
	}
}

// Partitions implements connect.Source: there is one, "0".
func (l *Log) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }

// number reads a position; "" is the first event that is kept.
func (l *Log) number(p connect.Position) (int64, error) {
	if p == "" {
		return l.part.Range().First, nil
	}
	return message.Number(p)
}

// Seek implements connect.Source.
func (l *Log) Seek(_ context.Context, _ string, arrived vec.Time) (connect.Position, error) {
	rg := l.part.Range()
	switch {
	case arrived <= 0:
		return message.Position(rg.First), nil
	case arrived > vec.MaxDatetime:
		return message.Position(rg.Next), nil
	}
	seq, err := l.part.SeekTime(fromTime(arrived))
	return message.Position(seq), err
}

// Open implements connect.Source.
func (l *Log) Open(_ context.Context, _ string, after connect.Position) (connect.Reader, error) {
	seq, err := l.number(after)
	if err != nil {
		return nil, err
	}
	r, err := l.part.Read(seq)
	if err != nil {
		return nil, gone(err)
	}
	out := &reader{r: r, meta: l.o.Meta, arrival: l.o.Arrival, trouble: l.o.Trouble}
	if l.o.Cutter != nil {
		out.cut = l.o.Cutter()
	}
	return out, nil
}

// Done implements connect.Source.
func (l *Log) Done(_ context.Context, _ string, upTo connect.Position) error {
	seq, err := l.number(upTo)
	if err != nil {
		return err
	}
	err = l.part.Trim(seq)
	select {
	case l.freed <- struct{}{}:
	default:
	}
	return err
}

// Waiting implements connect.Backlog.
func (l *Log) Waiting(_ string, after connect.Position) (int64, bool) {
	seq, err := l.number(after)
	rg := l.part.Range()
	return max(rg.Next-max(seq, rg.First), 0), err == nil
}

// Close implements connect.Source. Who appends has ended before.
func (l *Log) Close() error { return l.log.Close() }

// gone makes the contract's error of the log's.
func gone(err error) error {
	if errors.Is(err, log.ErrGone) {
		return fmt.Errorf("%w: %w", connect.ErrGone, err)
	}
	return err
}

// unixTicks is 1970-01-01 as a vec.Time.
const unixTicks vec.Time = 621_355_968_000_000_000

func toTime(t time.Time) vec.Time { return unixTicks + vec.Time(t.UnixMicro())*vec.Microsecond }

// fromTime is the first microsecond at or after t.
func fromTime(t vec.Time) time.Time {
	d := t - unixTicks
	micros := d / vec.Microsecond
	if d%vec.Microsecond > 0 {
		micros++
	}
	return time.UnixMicro(int64(micros))
}
