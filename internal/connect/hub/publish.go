package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// maxPublishing is how many bytes of an epoch wait for their appends in memory, over all
// partitions.
const maxPublishing = 64 << 20

// errTwice: another process writes in the name of the job.
var errTwice = errors.New("it has rows of this job that this process has not written: the job is running twice; stop the one or the other, and do not copy its state")

// publication is an epoch on its way into the hub. What goes where, and under which number,
// is a function of the epoch's messages alone: when it is done again it is the same.
type publication struct {
	s       *publisher
	h       *hub.Hub
	epoch   int64
	limit   int // bytes of an append
	keyless int // partition of the messages without a key
	lots    []lot
	doubt   bool // an append of the epoch has failed in this process
	text    []byte

	mu sync.Mutex // guards publisher.touched
}

// lot is what waits for an append to a partition.
type lot struct {
	events []hub.Event
	bytes  []byte
	chunk  int64
}

// Publish implements message.Publisher: it appends the messages of an epoch.
func (s *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	p, err := s.begin(epoch)
	if err != nil {
		return err
	}
	s.doubt = epoch
	last := -1
	err = messages.Each(0, func(_ int, m *message.Message) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		last, err = p.add(m)
		return err
	})
	if err == nil {
		err = p.finish(last)
	}
	if err != nil {
		return fmt.Errorf("append to the event hub %s: %w", s.name, err)
	}
	return nil
}

// begin makes the publication of an epoch.
func (s *publisher) begin(epoch int64) (*publication, error) {
	h, err := find(s.broker, s.name)
	if err != nil {
		return nil, err
	}
	n := len(h.Partitions())
	for len(s.known) < n {
		s.known = append(s.known, -1)
	}
	_, batch := s.broker.Limits()
	return &publication{s: s, h: h, epoch: epoch, limit: min(batch, max(maxPublishing/n, 64<<10)), keyless: int(epoch % int64(n)),
		lots: make([]lot, n), doubt: s.doubt == epoch}, nil
}

// add puts a message with those of its partition.
func (p *publication) add(m *message.Message) (to int, err error) {
	out := amqp.Message{Properties: amqp.Properties{ContentType: p.s.contentType}, Body: m.Body}
	for _, x := range m.Properties {
		out.Application = append(out.Application, amqp.Pair{Key: x.Name, Value: x.Any()})
	}
	p.text = out.Append(p.text[:0])
	size := len(m.Key) + len(p.text) + eventOverhead
	for to = p.keyless; ; to = p.keyless {
		if m.Key != nil {
			to = hub.PartitionOf(m.Key, len(p.lots))
		}
		l := &p.lots[to]
		if len(l.events) == 0 || len(l.bytes)+len(l.events)*eventOverhead+size <= p.limit {
			break
		}
		if l.chunk >= chunkLast-1 {
			return to, connect.Permanent(fmt.Errorf("epoch %d has more than %d appends to a partition", p.epoch, chunkLast))
		}
		if err := p.append(to, l.chunk); err != nil {
			return to, err
		}
		l.chunk++
		if m.Key == nil { // the next partition has its turn
			p.keyless = (p.keyless + 1) % len(p.lots)
		}
	}
	p.lots[to].take(m.Key, p.text)
	return to, nil
}

// eventOverhead is about what the log adds to an event, in bytes.
const eventOverhead = 16

// take copies a message.
func (l *lot) take(key, message []byte) {
	start := len(l.bytes)
	l.bytes = append(append(l.bytes, key...), message...)
	mid := start + len(key)
	e := hub.Event{Message: l.bytes[mid:len(l.bytes):len(l.bytes)]}
	if key != nil {
		e.Key = l.bytes[start:mid:mid]
	}
	l.events = append(l.events, e)
}

// finish appends what waits, the partition of the last message behind all others.
func (p *publication) finish(last int) error {
	var wg sync.WaitGroup
	errs := make([]error, len(p.lots))
	for i := range p.lots {
		if i != last && len(p.lots[i].events) > 0 {
			wg.Go(func() { errs[i] = p.append(i, p.lots[i].chunk) })
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return p.append(last, chunkLast)
}

// append appends the lot of a partition under a number.
func (p *publication) append(to int, chunk int64) error {
	part, err := p.h.Partition(to)
	if err != nil {
		return err
	}
	l := &p.lots[to]
	n := number(p.epoch, chunk)
	a, err := part.Append(l.events, &hub.Producer{ID: p.s.id, First: n, Last: n})
	switch {
	case errors.Is(err, hub.ErrTooLarge), errors.Is(err, hub.ErrFenced):
		return connect.Permanent(err)
	case err != nil:
		return err
	case a.Duplicate && n > p.s.known[to] && !p.doubt:
		return connect.Permanent(errTwice)
	}
	p.mu.Lock()
	p.s.touched[to] = true
	p.mu.Unlock()
	l.events, l.bytes = l.events[:0], l.bytes[:0]
	return nil
}
