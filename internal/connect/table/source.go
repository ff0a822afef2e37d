package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"modernc.org/sqlite"

	"weir/internal/connect"
	"weir/internal/vec"
)

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

const sqliteBusy = 5

func isBusy(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqliteBusy
}

// source is the feed of a table. A position is that of the last change that was read.
type source struct {
	store *Store
	now   func() time.Time
}

func openSource(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	if env.Format.Type != "" && env.Format.Type != "json" {
		return fail(connect.Permanent(fmt.Errorf("documents are JSON; remove the format %q", env.Format.Type)))
	}
	if c.Text("path") == "" {
		return fail(connect.Permanent(errors.New("path is not set")))
	}
	// The job that writes it may start later than we do.
	s, err := Create(c.Text("path"))
	if err != nil {
		return fail(err)
	}
	now := env.Now
	if now == nil {
		now = time.Now
	}
	return &source{s, now}, nil
}

// Partitions is one, "0".
func (s *source) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }

func place(position int64) connect.Position {
	return connect.Position(strconv.FormatInt(position, 10))
}

// position reads a place; "" is the first change that is kept.
func (s *source) position(ctx context.Context, p connect.Position) (int64, error) {
	if p == "" {
		r, err := s.store.Range(ctx)
		return r.First - 1, err
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("position %.40q is none of a table", string(p))
	}
	return n, nil
}

// Seek implements connect.Source.
func (s *source) Seek(ctx context.Context, _ string, arrived vec.Time) (connect.Position, error) {
	r, err := s.store.Range(ctx)
	switch {
	case err != nil:
		return "", err
	case arrived <= 0:
		return place(r.First - 1), nil
	case arrived > vec.MaxDatetime:
		return place(r.Last), nil
	}
	n, err := s.store.SeekTime(ctx, fromTime(arrived))
	return place(n), err
}

// Open implements connect.Source.
func (s *source) Open(ctx context.Context, _ string, after connect.Position) (connect.Reader, error) {
	at, err := s.position(ctx, after)
	if err != nil {
		return nil, err
	}
	if _, err := s.store.Feed(ctx, at, 1); err != nil {
		return nil, err
	}
	if r, err := s.store.Range(ctx); err != nil || at > r.Last {
		return nil, errors.Join(err, fmt.Errorf("position %d is asked for and the table ends at %d: it is not the table that was read", at, r.Last))
	}
	return &reader{s: s, at: at, follower: s.store.hub.follow(s.store)}, nil
}

// Done does nothing: the feed is kept as the output that writes it says.
func (s *source) Done(context.Context, string, connect.Position) error { return nil }

// Close implements connect.Source.
func (s *source) Close() error { return s.store.Close() }

// reader reads the feed.
type reader struct {
	s        *source
	at       int64
	last     time.Time // of the change at at
	asked    time.Time // when the clock was asked last
	follower *follower
	buf      []byte
	marks    []connect.Mark
	closed   bool
}

const (
	// readRows is how many changes are read at once.
	readRows = 1000
	// clockEvery is how often an idle reader asks for the time before which all is read.
	clockEvery = 50 * time.Millisecond
)

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.follower.ready }

// Close implements connect.Reader.
func (r *reader) Close() error {
	if !r.closed {
		r.closed = true
		r.follower.close()
	}
	return nil
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if r.closed {
		return connect.Chunk{}, errors.New("the reader is closed")
	}
	stop := int64(math.MaxInt64)
	if until != "" {
		var err error
		if stop, err = strconv.ParseInt(string(until), 10, 64); err != nil || stop < r.at {
			return connect.Chunk{}, fmt.Errorf("position %.40q is not behind %d", string(until), r.at)
		}
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Offset: r.at, Line: r.at + 1}
	at := r.at // a read that fails leaves the reader where it was
	last := r.last
	for full := false; !full && at < stop; {
		list, err := r.s.store.feed(ctx, at, stop, readRows)
		if err != nil {
			return connect.Chunk{}, err
		}
		for _, d := range list {
			if full = until == "" && len(r.marks) > 0 && len(r.buf)+len(d.Doc) > max; full {
				break
			}
			r.add(d)
			at, last = d.Position, d.Stored
		}
		if len(list) < readRows {
			break
		}
	}
	if until != "" && at != stop {
		return connect.Chunk{}, fmt.Errorf("the table ends at %d, and it was read up to %d: it is not the table that the job was run with", at, stop)
	}
	r.at, r.last = at, last
	c.Data, c.Marks, c.Next = r.buf, r.marks, place(r.at)
	if until == "" {
		var err error
		if c.Clock, err = r.clock(ctx); err != nil {
			return connect.Chunk{}, err
		}
	}
	return c, nil
}

// add puts a change into the chunk: its document on a line, the rest as metadata.
func (r *reader) add(d Document) {
	r.buf = append(append(r.buf, d.Doc...), '\n')
	r.marks = append(r.marks, connect.Mark{End: len(r.buf), Offset: d.Position, Arrival: toTime(d.Stored), Properties: map[string]vec.Value{
		"DocumentId": vec.StringValue(d.ID), "DocumentPartition": vec.StringValue(d.Partition),
		"DocumentVersion": vec.IntValue(d.Version), "Position": vec.IntValue(d.Position),
	}})
}

// clock is the time before which all changes were read; 0 if it is not known.
func (r *reader) clock(ctx context.Context) (vec.Time, error) {
	known := vec.Time(0)
	if !r.last.IsZero() {
		known = toTime(r.last)
	}
	if len(r.marks) > 0 || r.s.now().Sub(r.asked).Abs() < clockEvery {
		return known, nil
	}
	r.asked = r.s.now()
	last, at, ok, err := r.s.store.quiet(ctx, r.s.now)
	if err != nil || !ok || last > r.at {
		return known, err
	}
	return max(known, toTime(at)), nil
}
