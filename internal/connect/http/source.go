package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"weir/internal/connect"
	"weir/internal/hub/log"
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

// Source is an input that takes posted events. Positions are numbers of events in its log.
type Source struct {
	log   *log.Log
	part  *log.Partition
	in    *intake
	route *route
}

func openSource(_ context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	switch {
	case env.Format.Type != "" && env.Format.Type != "json":
		return nil, connect.Permanent(fmt.Errorf("input %s: events come as JSON, also those posted as CSV; remove the format %q", env.Input, env.Format.Type))
	case env.Reference:
		return nil, connect.Permanent(fmt.Errorf("input %s: reference data cannot be posted", env.Input))
	}
	if problems := checkInput(c); len(problems) > 0 {
		return nil, connect.Permanent(fmt.Errorf("input %s: %s; %s", env.Input, problems[0].Text, problems[0].Hint))
	}
	logger := env.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	s, err := openLog(c, env, logger)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", env.Input, err)
	}
	if s.route, err = listen(c.Text("listen"), c.Text("path"), c.Text("tls_cert"), c.Text("tls_key"), s.in, logger); err != nil {
		return nil, fmt.Errorf("input %s: %w", env.Input, errors.Join(err, s.log.Close()))
	}
	return s, nil
}

// openLog opens the log of an input and reads the keys in it.
func openLog(c connect.Config, env connect.SourceEnv, logger *slog.Logger) (*Source, error) {
	now := env.Now
	if now == nil {
		now = time.Now
	}
	state, err := env.State.Sub("log")
	if err != nil {
		return nil, err
	}
	maxBody := c.Int("max_body")
	l, err := log.Open(state, log.Options{Fsync: log.Fsync(c.Text("fsync")), Keep: c.Duration("retention"), MaxBytes: c.Int("max_log"),
		MaxAppend: int(min(8*maxBody, c.Int("max_log"))), MaxPending: MaxIntake, Log: logger, Now: now})
	if err != nil {
		return nil, err
	}
	in := &intake{part: l.Partition(0), log: logger, now: now, cross: http.NewCrossOriginProtection(),
		o: intakeOptions{address: c.Text("listen"), token: c.Secret("token"), maxBody: maxBody, readTimeout: c.Duration("read_timeout"), lenient: c.Bool("lenient")}}
	in.budget.max = MaxIntake
	in.keys.keep = c.Duration("retention")
	if err := in.keys.load(in.part, now()); err != nil {
		return nil, errors.Join(fmt.Errorf("read the idempotency keys: %w", err), l.Close())
	}
	return &Source{log: l, part: l.Partition(0), in: in}, nil
}

// Addr is where events can be posted, "" for an input without a listener: a port of 0 in the
// settings is one that the system chose.
func (s *Source) Addr() string { return s.route.l.addr() }

// Partitions is one, "0".
func (s *Source) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }

func position(seq int64) connect.Position { return connect.Position(strconv.FormatInt(seq, 10)) }

func (s *Source) seq(p connect.Position) (int64, error) {
	if p == "" {
		return s.part.Range().First, nil
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("position %.40q is none of an http input", string(p))
	}
	return n, nil
}

// Seek implements connect.Source.
func (s *Source) Seek(_ context.Context, _ string, arrived vec.Time) (connect.Position, error) {
	rg := s.part.Range()
	switch {
	case arrived <= 0:
		return position(rg.First), nil
	case arrived > vec.MaxDatetime:
		return position(rg.Next), nil
	}
	seq, err := s.part.SeekTime(fromTime(arrived))
	return position(seq), err
}

// Open implements connect.Source.
func (s *Source) Open(_ context.Context, _ string, after connect.Position) (connect.Reader, error) {
	seq, err := s.seq(after)
	if err != nil {
		return nil, err
	}
	r, err := s.part.Read(seq)
	if err != nil {
		return nil, gone(err)
	}
	return &reader{r: r}, nil
}

// gone makes the contract's error of the log's.
func gone(err error) error {
	if errors.Is(err, log.ErrGone) {
		return fmt.Errorf("%w: %w", connect.ErrGone, err)
	}
	return err
}

// Done implements connect.Source.
func (s *Source) Done(_ context.Context, _ string, upTo connect.Position) error {
	seq, err := s.seq(upTo)
	if err != nil {
		return err
	}
	return s.part.Trim(seq)
}

// Close frees the path, lets the requests that are under way end, and closes the log.
func (s *Source) Close() error {
	err := s.route.close()
	s.in.requests.Wait()
	return errors.Join(err, s.log.Close())
}

// reader reads the log.
type reader struct {
	r     *log.Reader
	batch *log.Batch // the last one
	given int        // events of it that were given
	buf   []byte
	marks []connect.Mark
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.r.Ready() }

// Close implements connect.Reader.
func (r *reader) Close() error { return r.r.Close() }

// maxKeptChunk is the largest chunk whose memory is kept for the next one.
const maxKeptChunk = 4 << 20

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	stop := int64(-1)
	if until != "" {
		var err error
		if stop, err = strconv.ParseInt(string(until), 10, 64); err != nil || stop < r.seq() {
			return connect.Chunk{}, fmt.Errorf("position %.40q is not behind %d", string(until), r.seq())
		}
	}
	if cap(r.buf) > maxKeptChunk {
		r.buf = nil
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Line: r.seq() + 1}
	for stop < 0 && len(r.buf) < max || stop >= 0 && r.seq() < stop {
		if err := ctx.Err(); err != nil && stop >= 0 {
			return c, err
		}
		rec, at, err := r.next()
		if err != nil {
			return c, gone(err)
		}
		if stop >= 0 && (rec == nil || r.seq() > stop) {
			if rec != nil {
				r.given--
			}
			return c, fmt.Errorf("the log of the input ends before event %d, up to which the job has read: it is not the log that the job was run with, or a loss of power took events from it that were not synced (fsync); start the job without its state", stop)
		}
		if rec == nil {
			break
		}
		if len(r.marks) > 0 && stop < 0 && len(r.buf)+len(rec.Value) > max {
			r.given--
			break
		}
		if len(r.marks) == 0 {
			c.Offset = rec.Offset
		}
		r.buf = append(append(r.buf, rec.Value...), '\n')
		r.marks = append(r.marks, connect.Mark{End: len(r.buf), Offset: r.seq() - 1, Arrival: at})
	}
	c.Data, c.Marks, c.Next = r.buf, r.marks, position(r.seq())
	if stop < 0 {
		c.Clock = r.clock()
	}
	return c, nil
}

// seq is the number of the next event.
func (r *reader) seq() int64 {
	if r.batch != nil {
		return r.batch.Seq + int64(r.given)
	}
	return r.r.Seq()
}

// next takes the next event, nil if there is none now.
func (r *reader) next() (*log.Record, vec.Time, error) {
	if r.batch == nil || r.given == len(r.batch.Records) {
		b, err := r.r.Next()
		r.batch, r.given = b, 0
		if b == nil || err != nil {
			r.batch = nil
			return nil, 0, err
		}
	}
	r.given++
	return &r.batch.Records[r.given-1], toTime(r.batch.Enqueued), nil
}

// clock is the time before which all has been read.
func (r *reader) clock() vec.Time {
	if r.batch != nil && r.given < len(r.batch.Records) {
		return toTime(r.batch.Enqueued)
	}
	return toTime(r.r.Clock())
}
