package hub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub"
)

// publisher appends messages to a hub.
type publisher struct {
	broker      *hub.Broker
	name        string // of the hub
	id          string // of the producer
	contentType string

	// known is per partition the last number that was there when the sink was opened, and
	// doubt the last epoch that may be there without an answer that said so.
	known   []int64
	doubt   int64
	touched map[int]bool // partitions that were appended to since the last Sync
}

func openSink(ctx context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
	fail := func(err error) (connect.Sink, error) { return nil, fmt.Errorf("output %s: %w", env.Output, err) }
	if problems := check(c, false); len(problems) > 0 {
		return fail(connect.Permanent(fmt.Errorf("%s; %s", problems[0].Text, problems[0].Hint)))
	}
	b, h, err := open(ctx, c)
	if err != nil {
		return fail(err)
	}
	p := &publisher{broker: b, name: h.Name(), id: producerID(env), contentType: c.Text("content_type"), touched: map[int]bool{}}
	return p.sink(ctx, c, env, p)
}

// sink makes the sink of an output, whose messages are sent by `by`: p itself, but for tests.
func (s *publisher) sink(ctx context.Context, c connect.Config, env connect.SinkEnv, by message.Publisher) (connect.Sink, error) {
	limit, _ := s.broker.Limits()
	o := message.FromConfig(c, env, limit-len(c.Text("content_type")))
	o.MaxKey = hub.MaxKey
	rows, err := message.NewRows(o)
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", env.Output, connect.Permanent(err))
	}
	out, err := message.NewSink(ctx, env, s.id, rows, by)
	if err != nil {
		return nil, fmt.Errorf("output %s: %w", env.Output, err)
	}
	return out, nil
}

// producerID is the name that the job appends under.
func producerID(env connect.SinkEnv) string {
	id := message.Sender(env)
	if len(id) <= hub.MaxProducerID {
		return id
	}
	h := sha256.Sum256([]byte(id))
	return hex.EncodeToString(h[:])
}

// An append of an epoch has a number of its own: the epoch, and which append to the partition
// it is. The last append of an epoch, over all partitions, has chunkLast: a partition that
// has it says that all others have theirs.
const (
	chunkBits = 20
	chunkLast = 1<<chunkBits - 1
)

func number(epoch int64, chunk int64) int64 { return epoch<<chunkBits | chunk }

// Committed implements message.Publisher: it finds the last epoch that the hub has whole. What
// a partition knows of a producer is forgotten in time; the state has the epoch of the last
// Sync.
func (s *publisher) Committed(_ context.Context, noted int64) (int64, error) {
	h, err := find(s.broker, s.name)
	if err != nil {
		return 0, err
	}
	whole := noted
	s.known = s.known[:0]
	for _, p := range h.Partitions() {
		_, last, ok := p.Last(s.id)
		if !ok {
			last = -1
		}
		s.known = append(s.known, last)
		switch {
		case !ok:
		case last&chunkLast == chunkLast:
			whole = max(whole, last>>chunkBits)
		default: // it was begun, so the one before was whole
			whole = max(whole, last>>chunkBits-1)
		}
	}
	return whole, nil
}

// Sync implements message.Publisher.
func (s *publisher) Sync(context.Context) error {
	if len(s.touched) == 0 {
		return nil
	}
	h, err := find(s.broker, s.name)
	if err != nil {
		return err
	}
	for i := range s.touched {
		p, err := h.Partition(i)
		if err == nil {
			err = p.Sync()
		}
		if err != nil {
			return fmt.Errorf("sync the event hub %s: %w", s.name, err)
		}
		delete(s.touched, i)
	}
	return nil
}

// Close implements message.Publisher: the hub is the broker's.
func (s *publisher) Close() error { return nil }
