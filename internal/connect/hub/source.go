package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

func toTime(t time.Time) vec.Time { return message.ToTime(t) }

func isMissing(err error) bool { return errors.Is(err, hub.ErrNoHub) }

// source is an input that reads a hub. Positions are sequence numbers.
type source struct {
	broker *hub.Broker
	name   string
	group  string
	format connect.Format
	unwrap string
	wants  message.Wants
	log    *slog.Logger
}

func openSource(ctx context.Context, c connect.Config, env connect.SourceEnv) (connect.Source, error) {
	fail := func(err error) (connect.Source, error) { return nil, fmt.Errorf("input %s: %w", env.Input, err) }
	if problems := check(c, true); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	switch {
	case env.Reference:
		return fail(connect.Permanent(errors.New("a hub has no end, so it cannot be reference data")))
	case env.Format.Type == "csv" && c.Text("unwrap") != "":
		return fail(connect.Permanent(errors.New("unwrap is for JSON; remove it, or the format csv")))
	}
	b, h, err := open(ctx, c)
	if err != nil {
		return fail(err)
	}
	if err := h.EnsureGroup(c.Text("consumer_group")); err != nil {
		return fail(connect.Permanent(err))
	}
	logger := env.Log
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &source{broker: b, name: h.Name(), group: c.Text("consumer_group"), format: env.Format, unwrap: c.Text("unwrap"),
		wants: message.WantsOf(env.Metadata), log: logger}, nil
}

// Partitions are those of the hub: "0", "1" ...
func (s *source) Partitions(context.Context) ([]string, error) {
	h, err := find(s.broker, s.name)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range h.Partitions() {
		names = append(names, strconv.Itoa(i))
	}
	return names, nil
}

// partition finds a partition by its name.
func (s *source) partition(name string) (*hub.Partition, error) {
	h, err := find(s.broker, s.name)
	if err != nil {
		return nil, err
	}
	i, err := strconv.Atoi(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %.40q", hub.ErrNoPartition, name)
	}
	return h.Partition(i)
}

func position(seq int64) connect.Position { return connect.Position(strconv.FormatInt(seq, 10)) }

// sequence reads a position; "" is the first event that is kept.
func sequence(part *hub.Partition, p connect.Position) (int64, error) {
	if p == "" {
		return part.Range().First, nil
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("position %.40q is none of a hub", string(p))
	}
	return n, nil
}

// Seek implements connect.Source.
func (s *source) Seek(_ context.Context, partition string, arrived vec.Time) (connect.Position, error) {
	p, err := s.partition(partition)
	if err != nil {
		return "", err
	}
	rg := p.Range()
	switch {
	case arrived <= 0:
		return position(rg.First), nil
	case arrived > vec.MaxDatetime:
		return position(rg.Next), nil
	}
	seq, err := p.SeekTime(message.FromTime(arrived))
	return position(seq), err
}

// Open implements connect.Source.
func (s *source) Open(_ context.Context, partition string, after connect.Position) (connect.Reader, error) {
	p, err := s.partition(partition)
	if err != nil {
		return nil, err
	}
	seq, err := sequence(p, after)
	if err != nil {
		return nil, err
	}
	r, err := p.Read(seq)
	if err != nil {
		return nil, gone(err)
	}
	m := meta{message.NewMeta(s.wants, p.ID())}
	return &reader{r: r, cut: message.NewCutter(s.format, s.unwrap), meta: m, chunk: m.Chunk()}, nil
}

// gone makes the contract's error of the log's.
func gone(err error) error {
	if errors.Is(err, log.ErrGone) {
		return fmt.Errorf("%w: %w", connect.ErrGone, err)
	}
	return err
}

// Done shows others how far the job is: it is the place of the consumer group. The hub keeps
// events as long as it is told to, read or not.
func (s *source) Done(_ context.Context, partition string, upTo connect.Position) error {
	p, err := s.partition(partition)
	if err != nil {
		return err
	}
	seq, err := sequence(p, upTo)
	if err != nil {
		return err
	}
	h := p.Hub()
	if had, ok := h.Offset(s.group, p.ID()); ok && had.Seq == seq {
		return nil
	}
	return h.SetOffset(s.group, p.ID(), hub.Commit{Seq: seq})
}

// Waiting implements connect.Backlog. Numbers that were left out count.
func (s *source) Waiting(partition string, after connect.Position) (int64, bool) {
	p, err := s.partition(partition)
	if err != nil {
		return 0, false
	}
	seq, err := sequence(p, after)
	if err != nil {
		return 0, false
	}
	rg := p.Range()
	return max(rg.Next-max(seq, rg.First), 0), true
}

// Close has nothing to free: the hub is the broker's.
func (s *source) Close() error { return nil }

// reader reads a partition.
type reader struct {
	r      *log.Reader
	cut    *message.Cutter
	meta   meta
	chunk  map[string]vec.Value // properties of all
	batch  *log.Batch           // the last one
	given  int                  // events of it that were given
	buf    []byte
	marks  []connect.Mark
	closed bool
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.r.Ready() }

// Close implements connect.Reader.
func (r *reader) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return r.r.Close()
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	if r.closed {
		return connect.Chunk{}, errors.New("the reader is closed")
	}
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
	c := connect.Chunk{Line: r.seq() + 1, Offset: -1, Properties: r.chunk}
	r.cut.Begin(&c)
	for stop < 0 && len(r.buf) < max || stop >= 0 && r.seq() < stop {
		// What has no text at all must not keep the job from being stopped.
		if err := ctx.Err(); err != nil && (stop >= 0 || len(r.buf) == 0) {
			return c, err
		}
		full, err := r.message(ctx, &c, max, stop)
		if err != nil {
			return c, err
		}
		if full {
			break
		}
	}
	c.Data, c.Marks, c.Next = r.buf, r.marks, position(r.seq())
	if stop < 0 {
		c.Clock = r.clock()
	}
	if c.Offset < 0 {
		c.Offset = 0
	}
	return c, nil
}

// message adds the next message to the chunk. full says that the chunk ends before it, or
// that there is none.
func (r *reader) message(ctx context.Context, c *connect.Chunk, max int, stop int64) (full bool, err error) {
	rec, err := r.next()
	if err != nil {
		return false, gone(err)
	}
	if stop >= 0 && (rec == nil || r.seq() > stop) {
		if rec != nil {
			r.given--
		}
		return false, fmt.Errorf("the hub ends before event %d, up to which the job has read: it is not the hub that the job was run with, or a loss of power took events from it that were not synced (fsync); start the job without its state", stop)
	}
	if rec == nil {
		return true, nil
	}
	body, err := amqp.Body(rec.Value)
	if err != nil { // nothing that came over a protocol of ours: it is kept as a dead letter
		body = rec.Value
	}
	before := len(r.buf)
	if stop < 0 && before > 0 && before+len(body) > max {
		r.given--
		return true, nil
	}
	if err := r.cut.Prepare(ctx, body); err != nil { // a schema that a registry has to give
		r.given--
		if before > 0 && stop < 0 {
			return true, nil
		}
		return false, err
	}
	text, ends := r.cut.Append(c, r.buf, body)
	if ends {
		r.given--
		return true, nil
	}
	if r.buf = text; len(text) == before {
		return false, nil // an empty message
	}
	if c.Offset < 0 {
		c.Offset = rec.Offset
	}
	r.marks = append(r.marks, connect.Mark{End: len(text), Offset: r.seq() - 1, Arrival: toTime(r.batch.Enqueued),
		Properties: r.meta.of(rec, r.seq()-1, r.batch)})
	return r.cut.Alone(c), nil
}

// seq is the number of the next event.
func (r *reader) seq() int64 {
	if r.batch != nil {
		return r.batch.Seq + int64(r.given)
	}
	return r.r.Seq()
}

// next takes the next event, nil if there is none now.
func (r *reader) next() (*log.Record, error) {
	if r.batch == nil || r.given == len(r.batch.Records) {
		b, err := r.r.Next()
		r.batch, r.given = b, 0
		if b == nil || err != nil {
			r.batch = nil
			return nil, err
		}
	}
	r.given++
	return &r.batch.Records[r.given-1], nil
}

// clock is the time before which all has been read.
func (r *reader) clock() vec.Time {
	if r.batch != nil && r.given < len(r.batch.Records) {
		return toTime(r.batch.Enqueued)
	}
	return toTime(r.r.Clock())
}
