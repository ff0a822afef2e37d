package amqp

import "context"

// outLink is what a link has on which we send. It is guarded by the connection's mutex.
type outLink struct {
	sending bool // a message is partly out, and others of the link must wait
}

// run is the life of a link on which we send.
func (l *Link) run(out Outgoing) {
	err := out.Run(l.ctx, l)
	if l.ctx.Err() != nil {
		return
	}
	if err == nil {
		l.Detach(nil)
		return
	}
	l.Detach(l.errorOf(err, "detached"))
}

// Credit is how many messages the client wants more.
func (l *Link) Credit() uint32 {
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	return l.credit
}

// Draining tells whether the client wants the credit used up or given back: who sends calls
// Drained as soon as there is nothing to send.
func (l *Link) Draining() bool {
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	return l.drain && l.credit > 0
}

// Drained gives the credit back if the client wants it drained (amqp-core 2.6.7), and writes
// what has been sent.
func (l *Link) Drained() {
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	if l.drain && l.credit > 0 && !l.closed {
		l.deliveryCount += l.credit
		l.credit = 0
		l.session.sayFlow(l)
	}
	l.Conn.flush()
}

// Changed is closed when credit or drain, or what else Send waits for, has changed since the
// call, or the link has ended.
func (l *Link) Changed() <-chan struct{} {
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	return l.waitChan()
}

func (l *Link) waitChan() chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
		if l.closed || l.Conn.dead {
			ch := l.changed
			l.changed = nil
			close(ch)
			return ch
		}
	}
	return l.changed
}

// Flush writes what has been sent and is not written.
func (l *Link) Flush() error {
	l.Conn.mu.Lock()
	defer l.Conn.mu.Unlock()
	l.Conn.flush()
	return l.sendable()
}

// sendable is why nothing can be sent any more. c.mu is held.
func (l *Link) sendable() error {
	if l.closed || l.Conn.dead {
		return errLinkEnded
	}
	return nil
}

// Send sends a message whose encoded sections are parts end to end; they may be used again
// when it returns. It waits for credit and the session's window until ctx or the link ends.
// What it sends is written when there is much of it, when Send has to wait, and by Flush:
// who has nothing more to send calls that. Messages are settled unless the client wants to
// settle them itself.
func (l *Link) Send(ctx context.Context, format uint32, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	c, s := l.Conn, l.session
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := l.await(ctx, (*Link).mayBegin); err != nil {
		return err
	}
	l.credit--
	l.deliveryCount++
	head := transferFrame{channel: s.channel, handle: l.handle, delivery: s.nextDelivery, format: format, settled: !l.Unsettled()}
	s.nextDelivery++
	room := c.maxFrame - transferHead
	if size <= room {
		l.frame(&head, parts, 0, size)
	} else if err := l.sendFrames(ctx, &head, parts, size, room); err != nil {
		return err
	}
	if len(c.out.buf) >= DefaultMaxFrame {
		c.flush()
	}
	return nil
}

// sendFrames sends a message that needs several frames. Between them, others of the session
// may be sent, and its window waited for. A message that cannot be ended is aborted.
func (l *Link) sendFrames(ctx context.Context, head *transferFrame, parts [][]byte, size, room int) error {
	l.out.sending = true
	defer func() {
		l.out.sending = false
		l.wake()
	}()
	for at := 0; at < size; {
		err := context.Cause(ctx)
		if err == nil {
			err = l.await(ctx, (*Link).mayContinue)
		}
		if err != nil {
			l.breakOff(head)
			return err
		}
		n := min(room, size-at)
		head.more = at+n < size
		l.frame(head, parts, at, n)
		at += n
	}
	return nil
}

// breakOff tells the client that a message of which a part is out will not be completed.
func (l *Link) breakOff(head *transferFrame) {
	switch {
	case l.sendable() != nil:
	case l.session.remoteWindow == 0:
		l.abort(&Error{Condition: DetachForced, Description: "a message could not be completed"})
	default:
		head.aborted, head.more = true, false
		l.frame(head, nil, 0, 0)
	}
}

// frame appends a transfer with n bytes of the parts from the byte at. c.mu is held.
func (l *Link) frame(head *transferFrame, parts [][]byte, at, n int) {
	c, s := l.Conn, l.session
	dst := head.append(c.out.take(c.server), n)
	for _, p := range parts {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		p = p[at:]
		p = p[:min(len(p), n)]
		dst = append(dst, p...)
		n -= len(p)
		at = 0
	}
	c.out.buf = dst
	s.nextOutgoing++
	if s.remoteWindow > 0 {
		s.remoteWindow--
	}
	c.server.stats.framesOut.Add(1)
}

func (l *Link) mayBegin() bool {
	return l.credit > 0 && !l.out.sending && l.mayContinue()
}

func (l *Link) mayContinue() bool {
	return l.session.remoteWindow > 0 && l.Conn.out.size() < l.Conn.limits.WriteBuffer
}

// await waits until may is true. c.mu is held, and let go for the time of waiting. Before it
// waits, what has been sent is written.
func (l *Link) await(ctx context.Context, may func(*Link) bool) error {
	c := l.Conn
	for {
		if err := l.sendable(); err != nil {
			return err
		}
		if may(l) {
			return nil
		}
		if c.ask() {
			c.write()
			continue
		}
		var room chan struct{}
		if c.out.size() >= c.limits.WriteBuffer {
			room = c.roomChan()
		}
		changed := l.waitChan()
		c.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-room:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		c.mu.Lock()
		if err != nil {
			return err
		}
	}
}
