package amqp

import (
	"context"
	"errors"
	"fmt"
)

// Link is a link as the server sees it.
type Link struct {
	Name string
	Conn *Conn
	// What the client gave.
	Source, Target Terminus
	Properties     []Pair
	Desired        []string // capabilities
	// For the answer, set by the handler while it is asked. Source.Address or Target.Address
	// is for the answer too if the client asked for a dynamic one.
	MaxMessage uint64   // bytes of a message; the server's limit by default, and somewhat more when we send
	Offered    []string // capabilities
	Reply      []Pair   // properties

	session *session
	handle  uint32
	sender  bool // we send
	ctx     context.Context
	cancel  context.CancelCauseFunc
	sndMode []byte // as the client wrote them; nil is null
	rcvMode []byte
	state   int // bytes that it holds

	// All below is guarded by the connection's mutex.
	attached       bool   // our attach is written
	early          *Error // why it was detached before that
	closed         bool   // no more traffic
	detached       bool   // our detach is written
	remoteDetached bool   // the client's detach has come, and its answer is ours to write
	remoteClosed   bool   // it was a closing one
	silent         bool   // the session is over: no detach is written
	deliveryCount  uint32
	credit         uint32
	drain          bool
	changed        chan struct{} // closed when credit, drain, windows or the output change; nil if nobody waits

	out outLink
	inLink
}

// senderUnsettled is the settle mode of a sender that sends all unsettled (amqp-core 2.8.2).
const senderUnsettled = 0

// attached is what an attach says.
type attached struct {
	link           *Link
	receiver       bool     // the client receives
	source, target terminus // with what is to be answered
}

// Context ends with the link.
func (l *Link) Context() context.Context { return l.ctx }

// Session identifies the session: it is equal for links of the same one. Some clients send no
// reply-to, and expect the answer on the link of the session that comes from the same node
// (eventhubs.md 1.2, quirk 7).
func (l *Link) Session() any { return l.session }

// Unsettled tells whether the client wants to settle what it receives. All else is delivered
// settled: clients of Event Hubs never settle, and would starve (eventhubs.md 1.2, quirk 2).
func (l *Link) Unsettled() bool {
	mode, ok := field1(l.sndMode).number(8)
	return ok && mode == senderUnsettled
}

// attach takes an attach of the client and asks the handler (amqp-core 2.6.3).
func (s *session) attach(f *fields) error {
	a, err := s.decodeAttach(f)
	if err != nil {
		return err
	}
	l, c := a.link, s.conn
	if int64(l.handle) >= int64(c.limits.Links) {
		return framing("the handle %d is beyond handle-max %d", l.handle, c.limits.Links-1)
	}
	if err := s.awaitHandle(l.handle); err != nil {
		return err
	}
	if s.handleInUse(l.handle) {
		return nil
	}
	l.ctx, l.cancel = context.WithCancelCause(c.ctx)
	var in Incoming
	var out Outgoing
	switch {
	case !c.reserve(l):
		err = &Error{Condition: ResourceLimitExceeded, Description: "the sessions and links of the connection hold too much"}
	case a.source.other || a.target.other:
		err = &Error{Condition: NotImplemented, Description: "transactions are not offered"}
	case l.sender:
		out, err = c.server.Handler.Outgoing(l)
	default:
		in, err = c.server.Handler.Incoming(l)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(s.links) <= int(l.handle) {
		s.links = append(s.links, nil)
	}
	s.links[l.handle] = l
	if err != nil {
		l.refuse(&a, l.errorOf(err, "refused"))
		return nil
	}
	c.server.stats.links.Add(1)
	s.sayAttach(&a, false)
	l.attached = true
	if l.sender {
		s.unsettled = s.unsettled || l.Unsettled()
		c.wg.Go(func() { l.run(out) })
	} else {
		l.startIncoming(in)
	}
	if l.early != nil {
		l.abort(l.early)
	}
	return nil
}

// reserve counts what the link holds. It is false if that is too much.
func (c *Conn) reserve(l *Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state += l.state
	return c.state <= c.atMost(c.limits.ConnState)
}

// awaitHandle waits while the handle's link, which the client has detached, has still to
// deliver: the client may use the handle again before it has the answer.
func (s *session) awaitHandle(handle uint32) error {
	return s.conn.awaitEnd(func() bool {
		if int(handle) >= len(s.links) {
			return false
		}
		l := s.links[handle]
		return l != nil && l.remoteDetached && !l.detached
	})
}

// handleInUse fails the session if the handle has a link.
func (s *session) handleInUse(handle uint32) bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if int(handle) >= len(s.links) || s.links[handle] == nil {
		return false
	}
	s.fail(HandleInUse, "the handle %d has a link already", handle)
	return true
}

// refuse answers with an attach whose own terminus is null, and a detach with the error
// (amqp-core 2.6.3; eventhubs.md 1.2, quirk 9). c.mu is held.
func (l *Link) refuse(a *attached, e *Error) {
	l.session.sayAttach(a, true)
	l.closed = true
	l.sayDetach(true, e)
	l.detached = true
	l.cancel(e)
}

// errorOf is what the client is told of an error of the handler. Only an *Error is meant for
// it; others may have secrets in them and are logged.
func (l *Link) errorOf(err error, what string) *Error {
	var e *Error
	if errors.As(err, &e) {
		l.Conn.server.log.Debug("AMQP link "+what, "client", l.Conn.Remote(), "link", l.Name, "error", e)
		return e
	}
	l.Conn.server.log.Error("AMQP link "+what, "client", l.Conn.Remote(), "link", l.Name, "error", err)
	return &Error{Condition: InternalError, Description: "the server failed; its log has the reason"}
}

// Detach closes the link with an error, or without one if it is nil. It does not wait. What a
// client has sent before is still delivered.
func (l *Link) Detach(e *Error) {
	c := l.Conn
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l.closed:
		return
	case !l.attached: // another goroutine is faster than the answer to the client
		if l.early = e; e == nil {
			l.early = &Error{Condition: DetachForced, Description: "the link is not needed any more"}
		}
		return
	}
	l.abort(e)
	c.flushReplies()
}

// fail is Detach for what the client did wrong. c.mu is held.
func (l *Link) fail(condition, format string, args ...any) {
	l.abort(l.errorOf(&Error{Condition: condition, Description: fmt.Sprintf(format, args...)}, "detached"))
}

func (l *Link) abort(e *Error) {
	l.sayDetach(true, e)
	l.detached = true
	l.close()
}

func (l *Link) sayDetach(closed bool, e *Error) {
	if l.Conn.dead {
		return
	}
	dst, mark := l.Conn.startFrame(l.session.channel, codeDetach, 3)
	dst = append(AppendUint(dst, l.handle), boolCode(closed))
	l.Conn.out.buf = endFrame(appendError(dst, e), mark)
}

// close ends the traffic of the link. What has come is still delivered, and then the end told.
// c.mu is held.
func (l *Link) close() {
	l.closed = true
	l.wake()
	l.Conn.server.stats.links.Add(-1)
	l.dropPartial()
	switch {
	case l.sender:
		l.finish()
	case !l.working:
		l.finish()
		l.Conn.wg.Go(l.incoming.Closed)
	}
}

// finish ends the context of the link, answers the client's detach and frees its handle. c.mu
// is held.
func (l *Link) finish() {
	l.cancel(errLinkEnded)
	if l.silent || l.detached {
		return
	}
	l.sayDetach(l.remoteClosed, nil)
	l.detached = true
	if l.session.links[l.handle] == l {
		l.session.drop(int(l.handle))
	}
}

// errLinkEnded is the cause of the end of a link's context.
var errLinkEnded = errors.New("the link has ended")

// wake lets those on who wait for something of the link. c.mu is held.
func (l *Link) wake() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// endSenders ends the links on which nothing can be sent any more, because the client takes
// nothing or is gone. Those that deliver go on. c.mu is held.
func (c *Conn) endSenders() {
	for _, s := range c.sessions {
		if s == nil {
			continue
		}
		for _, l := range s.links {
			if l != nil && l.sender {
				l.cancel(errLinkEnded)
				l.wake()
			}
		}
	}
}

// flow takes a flow of the link (amqp-core 2.6.7). c.mu is held.
func (l *Link) flow(w *flow) {
	if !l.sender {
		l.flowFromSender(w)
		return
	}
	if w.hasCredit {
		count := uint32(0) // the initial one, if the client does not know it yet
		if w.hasCount {
			count = w.deliveryCount
		}
		ahead := int64(int32(l.deliveryCount - count))
		l.credit = uint32(min(max(int64(w.credit)-ahead, 0), 1<<31))
	}
	l.drain = w.drain
	if l.drain && l.credit == 0 || w.echo {
		l.session.sayFlow(l)
	}
	l.wake()
}

// SameSession reports whether two links are of one session.
func (l *Link) SameSession(o *Link) bool { return l.session == o.session }
