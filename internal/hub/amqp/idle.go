package amqp

import (
	"fmt"
	"time"
)

// idleTimer keeps a connection alive in both directions with one timer (amqp-core 2.4.5):
// it writes empty frames at half the time that the peer allows for silence, and cuts a peer
// that is silent for twice the time that it was told.
type idleTimer struct {
	timer *time.Timer
	beat  time.Duration // how long we may be silent; 0 for ever
	done  bool
}

// start begins, for a peer that asks for an idle-time-out; 0 is none. c.mu is held.
func (c *Conn) startIdle(peer time.Duration) {
	if peer > 0 {
		c.idle.beat = max(peer, c.limits.MinIdle) / 2
	}
	c.out.at = int64(time.Since(c.began))
	c.idle.timer = time.AfterFunc(c.nextIdle(), c.tick)
}

func (t *idleTimer) stop() {
	t.done = true
	if t.timer != nil {
		t.timer.Stop()
	}
}

// nextIdle is the time until something has to be done if nothing is read and written. c.mu
// is held.
func (c *Conn) nextIdle() time.Duration {
	now := time.Since(c.began)
	next := 2*c.limits.Idle - (now - time.Duration(c.lastRead.Load()))
	if c.idle.beat > 0 {
		next = min(next, c.idle.beat-(now-time.Duration(c.out.at)))
	}
	return max(next, time.Millisecond)
}

// tick does what the time asks for.
func (c *Conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle.done || c.dead || c.fatal != nil {
		return
	}
	now := time.Since(c.began)
	silent := now - time.Duration(c.lastRead.Load())
	if c.stalled.Load() {
		c.lastRead.Store(int64(now))
	} else if silent >= 2*c.limits.Idle {
		c.abortLocked(reasonIdle, &Error{Condition: ResourceLimitExceeded,
			Description: fmt.Sprintf("nothing has come for %v; the idle-time-out is %v", 2*c.limits.Idle, c.limits.Idle)})
		return
	}
	if c.idle.beat > 0 && now-time.Duration(c.out.at) >= c.idle.beat {
		c.out.at = int64(now)
		if c.out.size() == 0 {
			c.out.buf = appendEmptyFrame(c.out.take(c.server))
			c.flushReplies()
		}
	}
	c.idle.timer.Reset(c.nextIdle())
}
