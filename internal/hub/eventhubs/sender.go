package eventhubs

import (
	"context"
	"fmt"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// sender takes what a client sends to a hub, a partition or a publisher.
type sender struct {
	c         *conn
	hub       *hub.Hub
	partition *hub.Partition // nil: each delivery finds its own
	granted   *grantedLink
	producer  *producer // nil: not idempotent
	in        intake
	maxAppend int // bytes of the messages of one append
	list      []taken
	chunks    []*chunk
}

// chunk is what is appended at once: deliveries to one partition, in their order.
type chunk struct {
	partition *hub.Partition
	events    []hub.Event
	of        []int // indexes of the deliveries
	bytes     int   // of messages
	cost      int   // with keys, and what the log needs
	last      bool  // no other chunk of the partition is behind it
	appending *hub.Appending
	err       error
}

// eventOverhead is what an event takes in the log besides its key and message, at most.
// maxCost is how many times the messages of an append may grow by that.
const (
	eventOverhead = 32
	maxCost       = 2
)

func (c *conn) openSender(l *amqp.Link, a address) (amqp.Incoming, error) {
	g, err := c.grant(l, hub.Send, a)
	if err != nil {
		return nil, err
	}
	s, err := c.newSender(l, a)
	if err != nil {
		g.release()
		return nil, err
	}
	s.granted = g
	return s, nil
}

func (c *conn) newSender(l *amqp.Link, a address) (*sender, error) {
	h, p, err := a.place(c.s.broker)
	if err != nil {
		return nil, err
	}
	message, batch := c.s.broker.Limits()
	l.MaxMessage = uint64(batch)
	s := &sender{c: c, hub: h, partition: p, maxAppend: batch}
	s.in = intake{publisher: a.publisher, maxEvent: message}
	if wants(l, capIdempotent) {
		if s.producer, err = c.s.openProducer(l, p); err != nil {
			return nil, err
		}
		s.in.numbered = true
	}
	return s, nil
}

func wants(l *amqp.Link, capability string) bool {
	for _, c := range l.Desired {
		if c == capability {
			return true
		}
	}
	return false
}

// Deliver appends all that has come, an append for each partition, and returns when it is
// durable or refused.
func (s *sender) Deliver(ctx context.Context, list []amqp.Delivery) {
	s.in.reset()
	s.list = s.list[:0]
	var loose *hub.Partition // of deliveries without a key: one for all, so that one append will do
	for i := range list {
		t, err := s.in.take(&list[i])
		if err == nil && s.partition != nil && t.key != nil {
			err = &amqp.Error{Condition: condNotAllowed, Description: "Events that are sent to a partition must have no partition key."}
		}
		s.list = append(s.list, t)
		if err != nil {
			list[i].Err = err
			continue
		}
		if s.producer != nil {
			list[i].Err = s.appendNumbered(t)
			continue
		}
		p := s.partition
		switch {
		case p != nil:
		case t.key != nil:
			p = s.hub.Route(t.key)
		default:
			if loose == nil {
				loose = s.hub.Route(nil)
			}
			p = loose
		}
		s.add(p, i, s.in.events[t.from:t.to])
	}
	s.appendChunks(list)
	for i := range list {
		if list[i].Err != nil {
			s.c.s.counts.refuse(list[i].Err)
		}
	}
}

// add puts the events of a delivery into the chunk that its partition is at.
func (s *sender) add(p *hub.Partition, i int, events []hub.Event) {
	bytes, cost := 0, 0
	for _, e := range events {
		bytes += len(e.Message)
		cost += len(e.Key) + len(e.Message) + eventOverhead
	}
	var c *chunk
	for _, have := range s.chunks {
		if have.partition == p && have.last {
			c = have
		}
	}
	if c == nil || c.bytes+bytes > s.maxAppend || c.cost+cost > maxCost*s.maxAppend {
		if c != nil {
			c.last = false
		}
		c = s.newChunk(p)
	}
	c.events = append(c.events, events...)
	c.of = append(c.of, i)
	c.bytes += bytes
	c.cost += cost
}

// newChunk adds a chunk, with the memory of one that is done.
func (s *sender) newChunk(p *hub.Partition) *chunk {
	if len(s.chunks) == cap(s.chunks) {
		s.chunks = append(s.chunks, &chunk{})
	} else if s.chunks = s.chunks[:len(s.chunks)+1]; s.chunks[len(s.chunks)-1] == nil {
		s.chunks[len(s.chunks)-1] = &chunk{}
	}
	c := s.chunks[len(s.chunks)-1]
	*c = chunk{partition: p, last: true, events: c.events[:0], of: c.of[:0]}
	return c
}

// appendChunks appends the chunks in their order, and waits for all of them at once.
func (s *sender) appendChunks(list []amqp.Delivery) {
	for _, c := range s.chunks {
		c.appending, c.err = c.partition.Start(c.events, nil)
		clear(c.events)
	}
	for _, c := range s.chunks {
		if c.err == nil {
			_, c.err = c.appending.Wait()
		}
		if c.err == nil {
			continue
		}
		e := s.refused(c.err, c.partition)
		for _, i := range c.of {
			list[i].Err = e
		}
	}
	if len(s.chunks) > maxSpareChunks {
		s.chunks = nil
	}
	s.chunks = s.chunks[:0]
}

// maxSpareChunks is how many chunks a sender keeps the memory of.
const maxSpareChunks = 16

// refused is what the client is told of an append that failed.
func (s *sender) refused(err error, p *hub.Partition) *amqp.Error {
	e := refusal(err)
	if internal(e) {
		s.c.s.log.Error("events could not be kept", "hub", s.hub.Name(), "partition", p.ID(), "error", err)
	}
	return e
}

// appendNumbered appends a delivery of an idempotent producer; one that was there already is
// as good as one that was just appended.
func (s *sender) appendNumbered(t taken) error {
	p := s.producer
	if t.producer.id != p.id || t.producer.epoch != int64(p.epoch) {
		return &amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The events are of the producer %d with the epoch %d, and the link is of %d with %d.", t.producer.id, t.producer.epoch, p.id, p.epoch)}
	}
	_, err := s.partition.Append(s.in.events[t.from:t.to], &hub.Producer{ID: p.name(), Epoch: p.epoch, First: t.producer.first, Last: t.producer.last, Strict: true})
	if err != nil {
		return s.refused(err, s.partition)
	}
	return nil
}

// Closed gives back what the sender has.
func (s *sender) Closed() {
	s.granted.release()
	if s.producer != nil {
		s.c.s.producers.remove(s.producer)
	}
}
