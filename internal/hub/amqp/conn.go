package amqp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection of a client.
type Conn struct {
	// State is the handler's own.
	State any

	server    *Server
	limits    *Limits
	conn      net.Conn
	ctx       context.Context
	cancel    context.CancelCauseFunc
	hostname  string
	container string
	maxFrame  int // the smaller of the peer's and ours
	in        reader
	framesIn  int64 // not counted by the server yet
	began     time.Time
	lastRead  atomic.Int64 // since began
	stalled   atomic.Bool  // the server does not read, which is not the client's silence

	wg sync.WaitGroup // of the goroutines of links and of the writer

	mu       sync.Mutex
	sessions []*session // by channel
	out      output
	opened   bool // our open is written
	dead     bool // nothing more is to be written
	fatal    error
	why      reason
	idle     idleTimer
	pending  int           // bytes of messages that have come and are not taken
	partial  int           // of these, of messages of which a part has come
	stranger bool          // the handler does not know the client yet
	state    int           // bytes of sessions and links
	working  int           // incoming links with a goroutine that delivers
	room     chan struct{} // closed when pending, working or the output has become less; nil if nobody waits
}

// errClosed is the end of a connection that the client has closed in order.
var errClosed = errors.New("closed by the client")

func newConn(ctx context.Context, s *Server, nc net.Conn) *Conn {
	c := &Conn{server: s, limits: &s.limits, conn: nc, maxFrame: s.limits.MaxFrame, began: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	c.in = reader{conn: nc, server: s, early: true, onRead: c.onRead, beforeRead: c.beforeRead}
	return c
}

// Context ends with the connection.
func (c *Conn) Context() context.Context { return c.ctx }

// Remote is the address of the client.
func (c *Conn) Remote() net.Addr { return c.conn.RemoteAddr() }

// Hostname is the name under which the client asked for the server; it is there before the
// first link.
func (c *Conn) Hostname() string { return c.hostname }

// Container is the container-id of the client; it is there before the first link.
func (c *Conn) Container() string { return c.container }

// Secure tells whether nobody on the way can read or change what is sent: the connection is
// one of TLS, or has a method Secure that says so.
func (c *Conn) Secure() bool {
	switch nc := c.conn.(type) {
	case interface{ Secure() bool }:
		return nc.Secure()
	case interface{ ConnectionState() tls.ConnectionState }:
		return true
	}
	return false
}

// Close closes the connection with an error, or without one if it is nil. It does not wait.
func (c *Conn) Close(e *Error) {
	if e == nil {
		c.abort(reasonNone, errClosed)
		return
	}
	c.abort(reasonForced, e)
}

// abort makes the reader stop, which then ends the connection with err. The first call counts.
func (c *Conn) abort(why reason, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abortLocked(why, err)
}

func (c *Conn) abortLocked(why reason, err error) {
	if c.fatal != nil {
		return
	}
	c.fatal, c.why = err, why
	c.wake()
	c.conn.SetReadDeadline(time.Unix(1, 0))
}

// onRead notes that the client lives.
func (c *Conn) onRead(n int) {
	c.server.stats.bytesIn.Add(int64(n))
	c.lastRead.Store(int64(time.Since(c.began)))
}

// beforeRead lets replies out and waits until there is room for what comes.
func (c *Conn) beforeRead() error {
	c.server.stats.framesIn.Add(c.framesIn)
	c.framesIn = 0
	c.mu.Lock()
	c.flushReplies()
	for c.fatal == nil && !c.dead && c.crowded() {
		if err := c.waitRoom(); err != nil {
			c.mu.Unlock()
			return err
		}
	}
	err := c.fatal
	c.mu.Unlock()
	return err
}

// crowded tells that reading must wait for messages to be taken or replies to be written. It
// does not wait for what only reading can bring.
func (c *Conn) crowded() bool {
	queued := c.pending - c.partial
	return queued > 0 && c.pending > c.mostPending() || c.out.size() > c.atMost(c.limits.ReplyBuffer)
}

// Stranger says whether the client has yet to show who it is. Until it has, it can make the
// server hold no more than Limits.Stranger of anything.
func (c *Conn) Stranger(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stranger = yes
	c.wake()
}

// atMost is a limit as it counts for who the client is. c.mu is held.
func (c *Conn) atMost(limit int) int {
	if c.stranger {
		return min(limit, c.limits.Stranger)
	}
	return limit
}

// mostPending bounds pending. c.mu is held.
func (c *Conn) mostPending() int {
	if c.server.pending.Load() > int64(c.limits.AllPending) {
		return min(c.limits.ConnPending, c.limits.Stranger)
	}
	return c.atMost(c.limits.ConnPending)
}

// hold counts bytes of messages that have come, or are taken or dropped if n is negative;
// partial says that they are of a message that is not complete. c.mu is held.
func (c *Conn) hold(n int, partial bool) {
	c.server.pending.Add(int64(n))
	c.pending += n
	if partial {
		c.partial += n
	}
}

// waitRoom lets c.mu go until room is made, and ends the connection when that takes too long.
func (c *Conn) waitRoom() error {
	ch := c.roomChan()
	c.mu.Unlock()
	defer c.mu.Lock()
	c.stalled.Store(true)
	defer func() {
		c.lastRead.Store(int64(time.Since(c.began)))
		c.stalled.Store(false)
	}()
	timer := time.NewTimer(c.limits.Stall)
	defer timer.Stop()
	select {
	case <-ch:
		return nil
	case <-timer.C:
		err := &Error{Condition: ResourceLimitExceeded, Description: fmt.Sprintf("the connection stood still for %v", c.limits.Stall)}
		c.abort(reasonSlow, err)
		return err
	}
}

// awaitEnd lets the reader wait while a link or a session that the client has ended is not
// through. leaving is asked with c.mu held.
func (c *Conn) awaitEnd(leaving func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for leaving() {
		if c.fatal != nil {
			return c.fatal
		}
		c.flushReplies()
		if err := c.waitRoom(); err != nil {
			return err
		}
	}
	return nil
}

// roomChan is closed at the next wake. c.mu is held.
func (c *Conn) roomChan() chan struct{} {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

// wake lets those on who wait for room. c.mu is held.
func (c *Conn) wake() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// readFrames takes the frames of an open connection until it ends.
func (c *Conn) readFrames() error {
	for {
		f, err := c.in.next(c.limits.MaxFrame)
		if err != nil {
			return err
		}
		c.framesIn++
		if f.kind != frameAMQP {
			return framing("a frame of type %d on an open connection", f.kind)
		}
		if len(f.body) == 0 {
			continue
		}
		if err := c.frame(f); err != nil {
			return err
		}
	}
}

// frame takes one frame. An error ends the connection; those of sessions and links are told
// to the client by whom they concern.
func (c *Conn) frame(f frame) error {
	code, list, err := descriptor(f.body)
	if err != nil {
		return err
	}
	fs, payload, err := composite(list)
	if err != nil {
		return err
	}
	switch code {
	case codeOpen:
		return &Error{Condition: IllegalState, Description: "a second open"}
	case codeClose:
		return c.closedBy(&fs)
	case codeBegin:
		return c.begin(f.channel, &fs)
	case codeAttach, codeFlow, codeTransfer, codeDisposition, codeDetach, codeEnd:
	default:
		return malformed("a frame with something that is no performative (descriptor 0x%x)", code)
	}
	if int(f.channel) >= c.limits.Sessions {
		return framing("channel %d is beyond channel-max %d", f.channel, c.limits.Sessions-1)
	}
	c.mu.Lock()
	s := c.session(f.channel)
	c.mu.Unlock()
	if s == nil {
		return &Error{Condition: NotAllowed, Description: fmt.Sprintf("channel %d has no session", f.channel)}
	}
	return s.frame(code, &fs, payload)
}

// closedBy takes a close of the client.
func (c *Conn) closedBy(f *fields) error {
	e, err := decodeError(f.raw())
	if err != nil || e == nil {
		return errClosed
	}
	return fmt.Errorf("%w, which says %q", errClosed, e.Condition+": "+e.Description)
}

// end ends the connection for err, which the reader has come to, or for what another
// goroutine has ended it with.
func (c *Conn) end(err error) error {
	c.mu.Lock()
	if c.fatal != nil {
		err = c.fatal
	} else {
		c.fatal, c.why = err, c.reasonOf(err)
	}
	if c.why != reasonNone {
		c.server.stats.refused[c.why].Add(1)
	}
	c.mu.Unlock()
	var e *Error
	violation := errors.As(err, &e)
	if !violation {
		// What the client has sent for good (settled) is taken, though it is gone.
		c.awaitWorkers()
	}
	c.cancel(err)
	if c.sayClose(e); violation || errors.Is(err, errHeader) {
		c.in.linger(time.Now().Add(c.limits.Close))
	}
	c.in.release()
	c.conn.Close()
	c.endSessions()
	c.wg.Wait()
	c.server.Handler.Closed(c)
	if errors.Is(err, errClosed) || err == io.EOF {
		return nil
	}
	return fmt.Errorf("AMQP client %v: %w", c.Remote(), err)
}

// reasonOf is why the reader has ended.
func (c *Conn) reasonOf(err error) reason {
	var e *Error
	switch {
	case errors.As(err, &e) && e.Condition == ResourceLimitExceeded:
		return reasonLimit
	case errors.As(err, &e) && e.Condition == UnauthorizedAccess:
		return reasonAuth
	case errors.Is(err, errHeader):
		return reasonHeader
	case errors.As(err, &e):
		return reasonProtocol
	case errors.Is(err, os.ErrDeadlineExceeded):
		return reasonHandshake
	}
	return reasonNone
}

// awaitWorkers waits until the links have delivered what came, for Limits.Close at most.
func (c *Conn) awaitWorkers() {
	timer := time.NewTimer(c.limits.Close)
	defer timer.Stop()
	for {
		c.mu.Lock()
		working, ch := c.working, c.roomChan()
		c.mu.Unlock()
		if working == 0 {
			return
		}
		select {
		case <-ch:
		case <-timer.C:
			return
		case <-c.ctx.Done():
			return
		}
	}
}

// sayClose writes the close, waits until it is out, and lets nothing be written behind it.
func (c *Conn) sayClose(e *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened && !c.dead {
		dst, mark := startFrame(c.out.take(c.server), frameAMQP, 0, codeClose, 1)
		c.out.buf = endFrame(appendError(dst, e), mark)
		c.server.stats.framesOut.Add(1)
	}
	c.out.last.Store(true)
	c.conn.SetWriteDeadline(time.Now().Add(c.limits.Close))
	c.flushReplies()
	for c.out.writing {
		ch := c.roomChan()
		c.mu.Unlock()
		<-ch
		c.mu.Lock()
	}
	c.dead = true
	c.idle.stop()
}
