package amqp

import "fmt"

// session is a session that a client has begun (amqp-core 2.5). Its channel and the handles of
// its links are the client's numbers in both directions. Its fields are guarded by the
// connection's mutex; sessions and links are made by the reader only.
type session struct {
	conn    *Conn
	channel uint16
	ending  bool // the client has sent end; the reply waits for links to deliver
	ended   bool // we have sent end with an error, and wait for the client's

	nextIncoming   uint32 // transfer-id of the next transfer from the client
	incomingWindow uint32 // transfers that it may send
	nextOutgoing   uint32 // transfer-id of our next
	remoteWindow   uint32 // transfers that we may send
	nextDelivery   uint32 // delivery-id of our next
	unsettled      bool   // a link of ours sends what has to be settled

	links []*Link // by handle
}

// session is the session of a channel; nil is none. c.mu is held.
func (c *Conn) session(channel uint16) *session {
	if int(channel) < len(c.sessions) {
		return c.sessions[channel]
	}
	return nil
}

// begin takes a begin of the client (amqp-core 2.5.1).
func (c *Conn) begin(channel uint16, f *fields) error {
	if int(channel) >= c.limits.Sessions {
		return framing("channel %d is beyond channel-max %d", channel, c.limits.Sessions-1)
	}
	if f.raw() != nil {
		return &Error{Condition: NotAllowed, Description: "a begin that answers one which was not sent"}
	}
	next, _ := f.uint()
	window, _ := f.uint()
	if f.err != nil {
		return f.err
	}
	err := c.awaitEnd(func() bool { // the client may use the channel again before it has the answer to its end
		s := c.session(channel)
		return s != nil && s.ending
	})
	if err != nil {
		return err
	}
	s := &session{conn: c, channel: channel, nextIncoming: next, incomingWindow: c.limits.IncomingWindow, remoteWindow: window}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session(channel) != nil {
		return &Error{Condition: NotAllowed, Description: fmt.Sprintf("channel %d has a session already", channel)}
	}
	if c.state += sessionState; c.state > c.atMost(c.limits.ConnState) {
		return &Error{Condition: ResourceLimitExceeded, Description: "the sessions of the connection hold too much"}
	}
	for len(c.sessions) <= int(channel) {
		c.sessions = append(c.sessions, nil)
	}
	c.sessions[channel] = s
	c.server.stats.sessions.Add(1)
	dst, mark := c.startFrame(channel, codeBegin, 8)
	dst = AppendValue(dst, channel)
	dst = AppendUint(dst, s.nextOutgoing)
	dst = AppendUint(dst, s.incomingWindow)
	dst = AppendUint(dst, c.limits.OutgoingWindow)
	dst = AppendUint(dst, uint32(c.limits.Links-1))
	dst = append(dst, codeNull, codeNull) // capabilities
	c.out.buf = endFrame(AppendFields(dst, nil), mark)
	return nil
}

// startFrame begins a frame in the output. c.mu is held.
func (c *Conn) startFrame(channel uint16, code, fieldCount byte) ([]byte, int) {
	c.server.stats.framesOut.Add(1)
	return startFrame(c.out.take(c.server), frameAMQP, channel, code, fieldCount)
}

// frame takes a frame of the session. An error ends the connection.
func (s *session) frame(code uint64, f *fields, payload []byte) error {
	if s.gone(code) {
		return nil // sent before the client knew
	}
	switch code {
	case codeAttach:
		return s.attach(f)
	case codeFlow:
		return s.flow(f)
	case codeTransfer:
		return s.transfer(f, payload)
	case codeDisposition:
		return s.disposition(f)
	case codeDetach:
		return s.detach(f)
	}
	s.endedByClient()
	return nil
}

// gone tells that a frame is nothing to the session any more.
func (s *session) gone(code uint64) bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.ending || s.ended && code != codeEnd
}

// fail ends the session with an error. What the client sends until it has heard of it is
// dropped. c.mu is held.
func (s *session) fail(condition, format string, args ...any) {
	e := &Error{Condition: condition, Description: fmt.Sprintf(format, args...)}
	s.conn.server.log.Debug("AMQP session ended", "client", s.conn.Remote(), "error", e)
	s.ended = true
	s.closeLinks()
	s.sayEnd(e)
}

func (s *session) sayEnd(e *Error) {
	if s.conn.dead {
		return
	}
	dst, mark := s.conn.startFrame(s.channel, codeEnd, 1)
	s.conn.out.buf = endFrame(appendError(dst, e), mark)
}

// endedByClient takes an end. Its reply waits for what the links have to deliver.
func (s *session) endedByClient() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.ended {
		s.forget()
		return
	}
	s.ending = true
	s.closeLinks()
	s.endIfIdle()
}

// closeLinks ends all links without a word to the client. c.mu is held.
func (s *session) closeLinks() {
	for _, l := range s.links {
		if l != nil && !l.closed {
			l.silent = true
			l.close()
		}
	}
}

// endIfIdle answers the client's end when no link has to deliver any more. c.mu is held.
func (s *session) endIfIdle() {
	if !s.ending {
		return
	}
	for _, l := range s.links {
		if l != nil && l.working {
			return
		}
	}
	s.sayEnd(nil)
	s.conn.flushReplies()
	s.forget()
}

// forget takes the session off its channel. c.mu is held.
func (s *session) forget() {
	if s.conn.sessions[s.channel] == s {
		s.conn.sessions[s.channel] = nil
		s.conn.state -= sessionState
		for handle := range s.links {
			s.drop(handle)
		}
		s.conn.server.stats.sessions.Add(-1)
	}
}

// drop takes a link off its handle. c.mu is held.
func (s *session) drop(handle int) {
	if l := s.links[handle]; l != nil {
		s.links[handle] = nil
		s.conn.state -= l.state
	}
}

// endSessions ends what is left at the end of a connection.
func (c *Conn) endSessions() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sessions {
		if s != nil {
			s.closeLinks()
			s.forget()
		}
	}
}

// link is the link of a handle; nil is none. The session has failed then, unless the link was
// detached by us a moment ago. c.mu is held.
func (s *session) link(handle uint32) *Link {
	if uint64(handle) < uint64(len(s.links)) && s.links[handle] != nil {
		return s.links[handle]
	}
	s.fail(UnattachedHandle, "no link is attached with the handle %d", handle)
	return nil
}

// detach takes a detach.
func (s *session) detach(f *fields) error {
	handle, ok := f.uint()
	if !ok {
		f.fail("a detach without a handle")
	}
	closed := f.bool()
	if f.err != nil {
		return f.err
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	l := s.link(handle)
	if l == nil {
		return nil
	}
	switch {
	case l.detached: // this answers ours
		s.drop(int(handle))
	case !l.closed:
		l.remoteDetached, l.remoteClosed = true, closed
		l.close()
	}
	return nil
}

// flow takes a flow of the session or of a link (amqp-core 2.5.6, 2.6.7).
func (s *session) flow(f *fields) error {
	w := decodeFlow(f)
	if f.err != nil {
		return f.err
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	inFlight := int64(int32(s.nextOutgoing - w.nextIncoming))
	before := s.remoteWindow
	s.remoteWindow = uint32(min(max(int64(w.incomingWindow)-inFlight, 0), 1<<31))
	if before == 0 && s.remoteWindow > 0 {
		for _, l := range s.links {
			if l != nil && l.sender {
				l.wake()
			}
		}
	}
	if w.hasHandle {
		if l := s.link(w.handle); l != nil && !l.closed {
			l.flow(&w)
		}
		return nil
	}
	if w.echo {
		s.sayFlow(nil)
	}
	return nil
}

// sayFlow writes a flow with the state of the session, and of a link unless it is nil. c.mu
// is held.
func (s *session) sayFlow(l *Link) {
	if s.conn.dead {
		return
	}
	dst, mark := s.conn.startFrame(s.channel, codeFlow, 11)
	dst = AppendUint(dst, s.nextIncoming)
	dst = AppendUint(dst, s.incomingWindow)
	dst = AppendUint(dst, s.nextOutgoing)
	dst = AppendUint(dst, s.conn.limits.OutgoingWindow)
	if l == nil {
		dst = append(dst, codeNull, codeNull, codeNull, codeNull, codeFalse)
	} else {
		dst = AppendUint(dst, l.handle)
		dst = AppendUint(dst, l.deliveryCount)
		dst = AppendUint(dst, l.credit)
		dst = append(dst, codeNull, boolCode(l.drain)) // available
	}
	s.conn.out.buf = endFrame(append(dst, codeFalse, codeNull), mark) // echo, properties
}

// disposition takes what a client says of deliveries (amqp-core 2.7.6). Nothing is sent again
// for it, whatever the outcome: a log does not take back. So an outcome is settled at once, and
// nothing has to be kept for it. What a client says as a sender needs no answer: its
// deliveries are settled by us.
func (s *session) disposition(f *fields) error {
	receiver := f.bool()
	first, ok := f.uint()
	if !ok {
		f.fail("a disposition without a first delivery")
	}
	last, ok := f.uint()
	if !ok {
		last = first
	}
	settled := f.bool()
	state := f.raw()
	if f.err != nil {
		return f.err
	}
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	sent := int32(s.nextDelivery-first) > 0 && int32(last-first) >= 0 && int32(s.nextDelivery-last) > 0
	if !receiver || settled || !s.unsettled || !sent || s.conn.dead {
		return nil
	}
	outcome := uint64(0)
	if state != nil {
		var err error
		if outcome, _, err = descriptor(state); err != nil {
			return err
		}
	}
	if outcome < codeAccepted || outcome > codeModified {
		return nil
	}
	s.conn.server.stats.framesOut.Add(1)
	dst, mark := appendDisposition(s.conn.out.take(s.conn.server), s.channel, false, first, last)
	if outcome == codeRejected {
		outcome = codeAccepted // to clients, a rejection by us is that settling has failed
	}
	dst = appendOutcome(append(dst, codeTrue), byte(outcome))
	s.conn.out.buf = endFrame(append(dst, codeFalse), mark)
	return nil
}
