package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
)

// The properties of a receiver's link.
const (
	propEpoch = "com.microsoft:epoch"
	propName  = "com.microsoft:receiver-name"
)

// receiver brings a client the events of a partition.
type receiver struct {
	c         *conn
	hub       *hub.Hub
	partition *hub.Partition
	group     string
	at        hub.Position
	granted   *grantedLink
	reader    *reader
	runtime   bool // the client wants to know the end of the partition with each event
	end       runtime
	buf       []byte
}

func (c *conn) openReceiver(l *amqp.Link, a address) (amqp.Outgoing, error) {
	g, err := c.grant(l, hub.Listen, a)
	if err != nil {
		return nil, err
	}
	r, err := c.newReceiver(l, a)
	if err != nil {
		g.release()
		return nil, err
	}
	r.granted = g
	return r, nil
}

func (c *conn) newReceiver(l *amqp.Link, a address) (*receiver, error) {
	h, p, err := a.place(c.s.broker)
	if err != nil {
		return nil, err
	}
	if !h.HasGroup(a.group) {
		return nil, &amqp.Error{Condition: condNotFound, Description: fmt.Sprintf("The messaging entity '%.200s' could not be found: %s has no consumer group of this name.", a.group, h.Name())}
	}
	at, err := positionOf(l.Source.Filters)
	if err != nil {
		return nil, err
	}
	if at.Where == hub.Latest { // what is sent once the client is told that it receives counts
		at = hub.Position{Where: hub.AtSequence, Value: p.Range().Next}
	}
	epoch, err := linkNumber(l.Properties, propEpoch)
	if err != nil {
		return nil, err
	}
	rd := &reader{place: readerPlace{p, strings.ToLower(a.group)}, name: receiverName(l), epoch: -1, life: l.Context()}
	rd.detach = func(e *amqp.Error) {
		c.s.counts.refuse(e)
		l.Detach(e)
	}
	if epoch != nil {
		if rd.epoch = *epoch; rd.epoch < 0 {
			return nil, &amqp.Error{Condition: condOutOfRange, Description: "The epoch (owner level) of a receiver is 0 or more."}
		}
	}
	if err := c.s.readers.add(rd); err != nil {
		return nil, err
	}
	r := &receiver{c: c, hub: h, partition: p, group: a.group, at: at, reader: rd, runtime: wants(l, capRuntimeMetric)}
	if r.runtime {
		l.Offered = append(l.Offered, capRuntimeMetric)
	}
	l.Reply = append(l.Reply, l.Properties...)
	return r, nil
}

// receiverName is what texts call the receiver.
func receiverName(l *amqp.Link) string {
	for _, p := range l.Properties {
		if name, ok := p.Value.(string); ok && p.Key == propName && name != "" {
			return name
		}
	}
	return l.Name
}

// Run sends events as long as there is credit for them. Nothing is read without credit, so a
// slow receiver holds no more than the batch it is at.
func (r *receiver) Run(ctx context.Context, l *amqp.Link) error {
	defer r.granted.release()
	defer r.c.s.readers.remove(r.reader)
	from, err := r.open()
	if err != nil {
		return r.failed(err)
	}
	defer func() { from.Close() }()
	for {
		if l.Credit() == 0 {
			if err := r.await(ctx, l); err != nil {
				return nil
			}
		}
		b, err := from.Next()
		switch {
		case errors.Is(err, log.ErrGone):
			from.Close()
			if from, err = r.skip(from.Seq()); err != nil {
				return r.failed(err)
			}
		case err != nil:
			return r.failed(err)
		case b != nil:
			if r.send(ctx, l, b) != nil {
				return nil // the link or the connection has ended
			}
		default:
			changed := l.Changed() // before the look at drain, or one that comes now is missed
			if l.Draining() {
				l.Drained()
			} else if err := l.Flush(); err != nil {
				return nil
			}
			select {
			case <-from.Ready():
			case <-changed:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// await waits for credit.
func (r *receiver) await(ctx context.Context, l *amqp.Link) error {
	if err := l.Flush(); err != nil {
		return err
	}
	for {
		changed := l.Changed()
		if l.Credit() > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// open makes a reader at the place that the filter says.
func (r *receiver) open() (*log.Reader, error) {
	for try := 0; ; try++ {
		seq, err := r.partition.Seek(r.at)
		if err != nil {
			return nil, err
		}
		from, err := r.partition.Read(seq)
		if try == 3 || !errors.Is(err, log.ErrGone) {
			return from, err
		}
	}
}

// skip goes on at the first event that is kept, when retention has passed a receiver.
func (r *receiver) skip(seq int64) (*log.Reader, error) {
	first := r.partition.Range().First
	r.c.s.counts.missed.Add(1)
	r.c.s.log.Warn("a receiver was slower than the retention and has missed events", "hub", r.hub.Name(), "partition", r.partition.ID(), "group", r.group,
		"receiver", r.reader.name, "from", seq, "to", first)
	r.at = hub.Position{Where: hub.AtSequence, Value: first}
	return r.open()
}

// send sends the events of a batch of the log.
func (r *receiver) send(ctx context.Context, l *amqp.Link, b *log.Batch) error {
	if r.runtime {
		r.look(b)
	}
	bytes := int64(0)
	for i := range b.Records {
		p := placed{seq: b.Seq + int64(i), enqueued: b.Enqueued, record: &b.Records[i]}
		r.buf = r.buf[:0]
		if r.runtime {
			r.buf = appendRuntime(r.buf, r.end)
		}
		entries, pairs, tail := stored(p.record.Value)
		r.buf = appendAnnotations(r.buf, p, entries, pairs)
		var err error
		if len(entries) == 0 {
			err = l.Send(ctx, plainFormat, r.buf, tail)
		} else {
			err = l.Send(ctx, plainFormat, r.buf, entries, tail)
		}
		if err != nil {
			r.partition.CountRead(int64(i), bytes)
			return err
		}
		bytes += int64(len(p.record.Key) + len(p.record.Value))
	}
	r.partition.CountRead(int64(len(b.Records)), bytes)
	return nil
}

// look finds the end of the partition, unless the one found before still is it.
func (r *receiver) look(b *log.Batch) {
	last := b.Seq + int64(len(b.Records)) - 1
	end := r.partition.Range().Next - 1
	now := r.c.s.now()
	switch {
	case end == last:
		r.end = runtime{seq: last, offset: strconv.FormatInt(b.Records[len(b.Records)-1].Offset, 10), enqueued: b.Enqueued}
	case end != r.end.seq || r.end.offset == "":
		r.end = endOf(r.partition)
	}
	r.end.retrieved = now
}

// failed is what the client is told when reading fails.
func (r *receiver) failed(err error) error {
	e := refusal(err)
	r.c.s.counts.refuse(e)
	if internal(e) {
		r.c.s.log.Error("events could not be read", "hub", r.hub.Name(), "partition", r.partition.ID(), "error", err)
	}
	return e
}
