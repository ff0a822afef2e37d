package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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

	from    *log.Reader // nil while the receiver waits for credit for long
	next    int64       // sequence number of the first event that is not sent
	started bool        // from was there once
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

// creditHold is how long a receiver without credit keeps what it has read and not sent. After
// that its memory is given back, and the events are read again when there is credit: slow
// receivers cost next to nothing.
const creditHold = time.Second

// Run sends events as long as there is credit for them.
func (r *receiver) Run(ctx context.Context, l *amqp.Link) error {
	defer r.granted.release()
	defer r.c.s.readers.remove(r.reader)
	defer r.put()
	for {
		var err error
		if l.Credit() == 0 {
			err = r.await(ctx, l)
		}
		if err == nil && r.from == nil {
			err = r.open()
		}
		if err == nil {
			err = r.step(ctx, l)
		}
		switch {
		case l.Context().Err() != nil || errors.Is(err, errEnded):
			return nil // the client has left, or knows
		case err != nil:
			return r.failed(err)
		}
	}
}

// errEnded: the link or the connection has ended while something was sent.
var errEnded = errors.New("the link has ended")

// step sends what the log gives next, or waits for it.
func (r *receiver) step(ctx context.Context, l *amqp.Link) error {
	b, err := r.from.Next()
	switch {
	case errors.Is(err, log.ErrGone):
		r.put()
		return nil
	case err != nil:
		return err
	case b != nil:
		return r.send(ctx, l, b)
	}
	changed := l.Changed() // before the look at drain, or one that comes now is missed
	if l.Draining() {
		l.Drained()
	} else if l.Flush() != nil {
		return errEnded
	}
	select {
	case <-r.from.Ready():
	case <-changed:
	case <-ctx.Done():
	}
	return nil
}

// await waits for credit, and after creditHold gives back what has been read.
func (r *receiver) await(ctx context.Context, l *amqp.Link) error {
	if l.Flush() != nil {
		return errEnded
	}
	timer := time.NewTimer(creditHold)
	defer timer.Stop()
	for {
		changed := l.Changed()
		if l.Credit() > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-timer.C:
			r.put()
		case <-ctx.Done():
			return errEnded
		}
	}
}

// put gives the reader back; open goes on where it was.
func (r *receiver) put() {
	if r.from == nil {
		return
	}
	r.at = hub.Position{Where: hub.AtSequence, Value: r.next}
	r.from.Close()
	r.from = nil
	r.c.s.counts.reading.Add(-1)
}

// open makes a reader at the place where the receiver is. If retention has passed that, it is
// the first event that is kept.
func (r *receiver) open() error {
	for try := 0; ; try++ {
		seq, err := r.partition.Seek(r.at)
		if err != nil {
			return err
		}
		from, err := r.partition.Read(seq)
		switch {
		case err == nil:
			if r.from, r.next = from, seq; r.at.Where == hub.AtSequence && seq > r.at.Value && r.started {
				r.missed(r.at.Value, seq)
			}
			r.started = true
			r.c.s.counts.reading.Add(1)
			return nil
		case try == 3 || !errors.Is(err, log.ErrGone):
			return err
		}
	}
}

func (r *receiver) missed(from, to int64) {
	r.c.s.counts.missed.Add(1)
	r.c.s.log.Warn("a receiver was slower than the retention and has missed events", "hub", r.hub.Name(), "partition", r.partition.ID(), "group", r.group,
		"receiver", r.reader.name, "from", from, "to", to)
}

// send sends the events of a batch of the log, as long as there is credit or soon is some.
func (r *receiver) send(ctx context.Context, l *amqp.Link, b *log.Batch) error {
	if r.runtime {
		r.look(b)
	}
	sent, bytes := int64(0), int64(0)
	defer func() { r.partition.CountRead(sent, bytes) }()
	r.next = b.Seq
	for credit, i := l.Credit(), 0; i < len(b.Records); i++ {
		if credit == 0 {
			if err := r.await(ctx, l); err != nil || r.from == nil {
				return err
			}
			credit = l.Credit()
		}
		credit--
		p := placed{seq: b.Seq + int64(i), enqueued: b.Enqueued, record: &b.Records[i]}
		if r.sendOne(ctx, l, p) != nil {
			return errEnded
		}
		r.next = p.seq + 1
		sent++
		bytes += int64(len(p.record.Key) + len(p.record.Value))
	}
	return nil
}

func (r *receiver) sendOne(ctx context.Context, l *amqp.Link, p placed) error {
	r.buf = r.buf[:0]
	if r.runtime {
		r.buf = appendRuntime(r.buf, r.end)
	}
	entries, pairs, tail := stored(p.record.Value)
	r.buf = appendAnnotations(r.buf, p, entries, pairs)
	if len(entries) == 0 {
		return l.Send(ctx, plainFormat, r.buf, tail)
	}
	return l.Send(ctx, plainFormat, r.buf, entries, tail)
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
