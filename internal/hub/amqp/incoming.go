package amqp

import (
	"errors"
	"fmt"
)

// inLink is what a link has that brings us messages. It is guarded by the connection's mutex.
type inLink struct {
	incoming Incoming
	queue    *batch // what has come and is not taken; nil is nothing
	queued   int    // bytes of messages that are queued or with the Incoming
	waiting  uint32 // messages of these
	working  bool   // a goroutine delivers, or tells the end

	// Of the message of which a part has come:
	partial        []byte
	partialHead    received
	partialStarted bool
	// tooLarge is the size of that message if it has more than MaxMessage bytes: the rest of it
	// is thrown away as it comes, and the message rejected.
	tooLarge uint64
}

// received is what is to be said of a delivery.
type received struct {
	id      uint32
	settled bool
	format  uint32
}

// batch is deliveries that are given to an Incoming at once.
type batch struct {
	list []Delivery
	told []received
	data []byte // the messages that came in one frame
	// large are the buffers of those that came in several.
	large [][]byte
	size  int
}

// perMessage is what a queued message costs beside its bytes.
const perMessage = 100

// startIncoming begins with the first credit. c.mu is held.
func (l *Link) startIncoming(in Incoming) {
	l.incoming = in
	l.credit = l.Conn.limits.Credit
	l.session.sayFlow(l)
}

// flowFromSender takes what a client says of a link on which it sends.
func (l *Link) flowFromSender(w *flow) {
	if w.hasCount {
		// A sender may use credit up without sending.
		skipped := w.deliveryCount - l.deliveryCount
		if int32(skipped) > 0 {
			l.deliveryCount = w.deliveryCount
			l.credit -= min(skipped, l.credit)
			l.replenish()
		}
	}
	if w.echo {
		l.session.sayFlow(l)
	}
}

// transfer takes a transfer of the client (amqp-core 2.7.5).
func (s *session) transfer(f *fields, payload []byte) error {
	t := decodeTransfer(f)
	if f.err != nil {
		return f.err
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.incomingWindow == 0 {
		s.fail(WindowViolation, "more transfers than the incoming-window of %d", c.limits.IncomingWindow)
		return nil
	}
	s.nextIncoming++
	if s.incomingWindow--; s.incomingWindow < (c.limits.IncomingWindow+1)/2 {
		s.incomingWindow = c.limits.IncomingWindow
		s.sayFlow(nil)
	}
	l := s.link(t.handle)
	switch {
	case l == nil || l.closed:
		return nil // sent before the client knew
	case l.sender:
		s.fail(NotAllowed, "a transfer on the link %.100q, which is for receiving", l.Name)
		return nil
	}
	return l.transfer(&t, payload)
}

// transfer takes a transfer of the link. An error ends the connection. c.mu is held.
func (l *Link) transfer(t *transfer, payload []byte) error {
	if !l.partialStarted && !l.firstTransfer(t) {
		return nil
	}
	if l.partialStarted && t.hasID && t.id != l.partialHead.id {
		l.fail(NotAllowed, "the delivery %d began before the delivery %d was complete", t.id, l.partialHead.id)
		return nil
	}
	l.partialHead.settled = l.partialHead.settled || t.settled
	if t.aborted {
		l.dropPartial()
		l.replenish()
		return nil
	}
	if size := max(uint64(len(l.partial)), l.tooLarge) + uint64(len(payload)); size > l.MaxMessage {
		l.discard(size, t.more)
		return nil
	}
	if !t.more && l.partial == nil {
		l.partialStarted = false
		b := l.batch()
		at := len(b.data)
		b.data = append(b.data, payload...)
		l.enqueue(b, b.data[at:len(b.data):len(b.data)], len(payload))
		return nil
	}
	l.addPartial(payload)
	c := l.Conn
	c.hold(len(payload), true)
	if !t.more {
		message := l.partial
		l.partial = nil
		c.hold(-len(message), true)
		l.dropPartial()
		b := l.batch()
		b.large = append(b.large, message)
		l.enqueue(b, message, len(message))
	} else if most := c.mostPending(); c.partial > most {
		return &Error{Condition: ResourceLimitExceeded, Description: fmt.Sprintf("more than %d bytes of messages that are not complete", most)}
	}
	return nil
}

// discard throws away what has come of a message that is too large, and rejects it at its end.
// A link that is detached instead would have the SDK for JavaScript wait for its time-out.
// What was sent settled cannot be rejected, and ends the link.
func (l *Link) discard(size uint64, more bool) {
	id, settled := l.partialHead.id, l.partialHead.settled
	l.dropPartial()
	if more {
		l.tooLarge, l.partialStarted = size, true
		return
	}
	if settled {
		l.fail(MessageSizeExceeded, "a message of %d bytes; %d is the most", size, l.MaxMessage)
		return
	}
	l.sayOutcome(id, id, &Error{Condition: MessageSizeExceeded,
		Description: fmt.Sprintf("The received message (delivery-id:%d, size:%d bytes) exceeds the limit (%d bytes) currently allowed on the link.", id, size, l.MaxMessage)})
	l.replenish()
}

// firstTransfer begins a delivery. It is false if the link has failed.
func (l *Link) firstTransfer(t *transfer) bool {
	switch {
	case !t.hasID:
		l.fail(NotAllowed, "a delivery without a delivery-id")
	case t.resumed:
		l.fail(NotImplemented, "deliveries are not resumed here")
	case l.credit == 0:
		l.fail(TransferLimitExceeded, "more messages than the credit given")
	default:
		l.credit--
		l.deliveryCount++
		l.partialStarted = true
		l.partialHead = received{id: t.id, format: t.format}
		return true
	}
	return false
}

// pooledMessage is the size in bytes from which the buffers of messages are used again.
const pooledMessage = 32 << 10

// addPartial adds to the message of which a part has come. Its buffer is never much larger
// than what is in it.
func (l *Link) addPartial(payload []byte) {
	need := len(l.partial) + len(payload)
	if need <= cap(l.partial) || need < pooledMessage {
		l.partial = append(l.partial, payload...)
		return
	}
	s := l.Conn.server
	larger, _ := s.messages.Get().(*[]byte)
	if larger == nil || cap(*larger) < need || cap(*larger) > 4*need {
		b := make([]byte, 0, min(2*need, max(need, s.limits.MessageSize)))
		larger = &b
	}
	old := l.partial
	l.partial = append(append((*larger)[:0], old...), payload...)
	s.giveMessage(old)
}

// giveMessage keeps the buffer of a message for another.
func (s *Server) giveMessage(b []byte) {
	if cap(b) >= pooledMessage {
		s.messages.Put(&b)
	}
}

// dropPartial forgets the message of which a part has come. c.mu is held.
func (l *Link) dropPartial() {
	c := l.Conn
	c.hold(-len(l.partial), true)
	c.server.giveMessage(l.partial)
	l.partial, l.partialStarted, l.tooLarge = nil, false, 0
}

// batch is the batch to put messages into.
func (l *Link) batch() *batch {
	if l.queue == nil {
		l.queue, _ = l.Conn.server.batches.Get().(*batch)
	}
	if l.queue == nil {
		l.queue = new(batch)
	}
	return l.queue
}

// enqueue puts a message into the batch, and starts to deliver.
func (l *Link) enqueue(b *batch, message []byte, size int) {
	b.list = append(b.list, Delivery{Format: l.partialHead.format, Message: message})
	b.told = append(b.told, l.partialHead)
	size += perMessage
	b.size += size
	l.queued += size
	l.waiting++
	l.Conn.hold(size, false)
	if !l.working {
		l.working = true
		l.Conn.working++
		l.Conn.wg.Go(l.work)
	}
}

// work delivers until nothing is queued, and tells the end of a closed link. It runs on a
// goroutine that is there only as long.
func (l *Link) work() {
	c := l.Conn
	c.mu.Lock()
	for l.queue != nil {
		b := l.queue
		l.queue = nil
		c.mu.Unlock()
		l.incoming.Deliver(l.ctx, b.list)
		c.mu.Lock()
		l.tell(b)
		c.hold(-b.size, false)
		l.queued -= b.size
		l.waiting -= uint32(len(b.list))
		l.replenish()
		c.wake()
		c.server.giveBatch(b)
		if l.queue == nil {
			c.flush()
		}
	}
	l.working = false
	c.working--
	if l.closed {
		l.finish()
		l.session.endIfIdle()
		c.flushReplies()
		defer l.incoming.Closed()
	}
	c.wake()
	c.mu.Unlock()
}

// replenish gives new credit when half of it is used and the link does not hold too much.
// c.mu is held.
func (l *Link) replenish() {
	limit := l.Conn.limits.Credit
	if l.closed || l.queued >= l.Conn.limits.LinkPending || l.waiting >= limit {
		return
	}
	if next := limit - l.waiting; next > l.credit && next-l.credit >= (limit+1)/2 {
		l.credit = next
		l.session.sayFlow(l)
	}
}

// tell writes the dispositions of a batch: one for each run of deliveries with the same
// outcome and numbers that follow each other. c.mu is held.
func (l *Link) tell(b *batch) {
	if l.Conn.dead || l.session.ended {
		return
	}
	for i := 0; i < len(b.list); {
		first := i
		for i++; i < len(b.list) && b.list[first].Err == nil && b.list[i].Err == nil &&
			b.told[i].settled == b.told[first].settled && b.told[i].id == b.told[i-1].id+1; i++ {
		}
		if !b.told[first].settled {
			l.sayOutcome(b.told[first].id, b.told[i-1].id, b.list[first].Err)
		}
	}
}

// sayOutcome tells what has become of messages, and settles them at once also if the client
// wants them settled after itself (amqp-core 2.8.3): the SDK for Python asks for that, and
// then waits for nothing else than a settled disposition.
func (l *Link) sayOutcome(first, last uint32, err error) {
	c := l.Conn
	c.server.stats.framesOut.Add(1)
	dst, mark := appendDisposition(c.out.take(c.server), l.session.channel, true, first, last)
	dst = append(dst, codeTrue)
	if err == nil {
		dst = appendOutcome(dst, codeAccepted)
	} else {
		dst = appendRejected(dst, l.rejection(err))
	}
	c.out.buf = endFrame(append(dst, codeFalse), mark)
}

// rejection is what the client is told of a message that was not taken.
func (l *Link) rejection(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return l.errorOf(err, "rejected a message")
	}
	return e
}

// giveBatch keeps a batch for the next, unless it has become large.
func (s *Server) giveBatch(b *batch) {
	if cap(b.data) > 4*DefaultMaxFrame {
		b.data = nil
	}
	for _, m := range b.large {
		s.giveMessage(m)
	}
	clear(b.list)
	clear(b.large)
	*b = batch{list: b.list[:0], told: b.told[:0], data: b.data[:0], large: b.large[:0]}
	s.batches.Put(b)
}
