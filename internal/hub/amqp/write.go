package amqp

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// output is what waits to be written on a connection. Frames are appended to it under the
// connection's mutex and written together: one write for each event would be most of what a
// delivery costs (eventhubs.md 1.2, quirk 12).
type output struct {
	buf     []byte      // not being written
	spare   []byte      // for the next buf, while one is being written
	inWrite int         // bytes that are being written
	writing bool        // a goroutine writes
	asked   bool        // what waits shall be written; without it, more is to come
	last    atomic.Bool // the write deadline is set for good
	at      int64       // time of the last write, since the connection began
}

// size is the bytes that wait or are being written.
func (o *output) size() int { return len(o.buf) + o.inWrite }

// take is the buffer to append to.
func (o *output) take(s *Server) []byte {
	if o.buf == nil {
		o.buf = s.buffer()
	}
	return o.buf
}

// flushReplies starts to write what waits, on a goroutine of its own: the reader must not
// wait for a client that writes before it reads. c.mu is held.
func (c *Conn) flushReplies() {
	if !c.ask() {
		return
	}
	c.wg.Go(func() {
		c.mu.Lock()
		c.write()
		c.mu.Unlock()
	})
}

// flush writes what waits, on the caller's goroutine unless another writes already, which
// then takes it too. c.mu is held, and let go for the time of writing.
func (c *Conn) flush() {
	if c.ask() {
		c.write()
	}
}

// ask asks for what waits to be written, and says whether the caller has to see to it. c.mu
// is held.
func (c *Conn) ask() bool {
	if len(c.out.buf) == 0 || c.dead {
		return false
	}
	c.out.asked = true
	if c.out.writing {
		return false
	}
	c.out.writing = true
	return true
}

// write writes until nothing waits that was asked for: what was appended since is of someone
// who has more and will ask. c.mu is held and c.out.writing set.
func (c *Conn) write() {
	o := &c.out
	for o.asked && !c.dead {
		o.asked = false
		b := o.buf
		o.buf, o.spare = o.spare, nil
		o.inWrite = len(b)
		c.mu.Unlock()
		err := c.writeBytes(b)
		c.mu.Lock()
		o.inWrite = 0
		o.at = int64(time.Since(c.began))
		c.server.stats.bytesOut.Add(int64(len(b)))
		if o.buf == nil {
			o.buf = b[:0]
		} else {
			o.spare = b[:0]
		}
		if err != nil {
			c.dead = true
			why := reasonNone
			if errors.Is(err, os.ErrDeadlineExceeded) {
				why = reasonSlow
			}
			c.abortLocked(why, err)
			c.endSenders()
		}
		c.wake()
	}
	o.writing = false
	if len(o.buf) == 0 {
		c.server.give(o.buf)
		o.buf = nil
	}
	c.server.give(o.spare)
	o.spare = nil
	c.wake()
}

// writeBytes writes b in pieces, each of which has its own time.
func (c *Conn) writeBytes(b []byte) error {
	for len(b) > 0 {
		if !c.out.last.Load() {
			c.conn.SetWriteDeadline(time.Now().Add(c.limits.Write))
			if c.out.last.Load() { // set meanwhile
				c.conn.SetWriteDeadline(time.Now().Add(c.limits.Close))
			}
		}
		n, err := c.conn.Write(b[:min(len(b), DefaultMaxFrame)])
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
