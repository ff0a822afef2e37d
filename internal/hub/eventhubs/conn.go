package eventhubs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// conn is what the server knows of a connection.
type conn struct {
	s    *Server
	amqp *amqp.Conn

	mu      sync.Mutex  // guards what follows
	signIn  *time.Timer // ends the connection if no token comes; nil: one has come
	claims  claims
	links   map[*grantedLink]struct{}
	replies []*replies
	timer   *time.Timer // wakes expire when the next link's token ends; nil: none will
	due     time.Time
	closed  bool
}

// grantedLink is a link that lives as long as a token allows it.
type grantedLink struct {
	c      *conn
	right  hub.Right
	a      address
	detach func(*amqp.Error)
}

// grant lets a link live as long as the connection's tokens allow what it does.
func (c *conn) grant(l *amqp.Link, right hub.Right, a address) (*grantedLink, error) {
	return c.grantFor(right, a, l.Detach)
}

func (c *conn) grantFor(right hub.Right, a address, detach func(*amqp.Error)) (*grantedLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.s.now()
	until, err := c.claims.may(right, a, now)
	if err != nil {
		return nil, refusal(err)
	}
	g := &grantedLink{c: c, right: right, a: a, detach: detach}
	c.links[g] = struct{}{}
	c.wake(check(until, now))
	return g, nil
}

// release ends a grant; a second time does nothing.
func (g *grantedLink) release() {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	delete(g.c.links, g)
}

// may says why something is not allowed now.
func (c *conn) may(right hub.Right, a address) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.claims.may(right, a, c.s.now())
	return err
}

// put keeps a token for an audience.
func (c *conn) put(audience, token string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.claims.put(c.s.broker, audience, token, c.s.now()); err != nil {
		return err
	}
	if c.signIn != nil {
		c.signIn.Stop()
		c.signIn = nil
		c.amqp.Stranger(false)
	}
	return nil
}

// awaitToken holds the client for a stranger until it has put a token, for which it has so
// long. Nothing else ends a connection that keeps itself alive and does nothing.
func (c *conn) awaitToken() {
	c.amqp.Stranger(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.signIn = time.AfterFunc(c.s.signIn, func() {
		c.amqp.Close(&amqp.Error{Condition: condUnauthorized, Description: fmt.Sprintf("No token was put within %v.", c.s.signIn)})
	})
}

// check is when to look again at what may be done until a time; zero is without end. Keys are
// replaced at any time.
func check(until, now time.Time) time.Time {
	if again := now.Add(hub.KeyCheck); until.IsZero() || again.Before(until) {
		return again
	}
	return until
}

// wake sees to it that expire runs at a time; zero is never. mu is held.
func (c *conn) wake(at time.Time) {
	if at.IsZero() || c.closed || c.timer != nil && !c.due.After(at) {
		return
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	c.due = at
	c.timer = time.AfterFunc(at.Sub(c.s.now()), c.expire)
}

// expire detaches the links whose tokens have ended and were not followed by others, or whose
// key was replaced.
func (c *conn) expire() {
	c.mu.Lock()
	c.timer = nil
	now := c.s.now()
	var next time.Time
	ended := map[*grantedLink]*amqp.Error{}
	for g := range c.links {
		until, err := c.claims.may(g.right, g.a, now)
		switch {
		case err != nil:
			ended[g] = refusal(err)
			delete(c.links, g)
		default:
			if until = check(until, now); next.IsZero() || until.Before(next) {
				next = until
			}
		}
	}
	c.claims.forget(now)
	c.wake(next)
	c.mu.Unlock()
	for g, err := range ended {
		c.s.counts.refuse(err)
		g.detach(err)
	}
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.signIn != nil {
		c.signIn.Stop()
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
}

// maxReplies is how many answers wait for the client's credit; its next requests wait then.
const maxReplies = 16

// replies is the half of a node that answers: a link that the client receives from.
type replies struct {
	c    *conn
	node string
	link *amqp.Link
	wait chan []byte
}

func (c *conn) openReplies(l *amqp.Link, node string) (amqp.Outgoing, error) {
	r := &replies{c: c, node: node, link: l, wait: make(chan []byte, maxReplies)}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.replies = append(c.replies, r)
	return r, nil
}

// Run sends answers as they come.
func (r *replies) Run(ctx context.Context, l *amqp.Link) error {
	defer r.c.closeReplies(r)
	for {
		changed := l.Changed()
		if len(r.wait) == 0 && l.Draining() {
			l.Drained()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case m := <-r.wait:
			if err := l.Send(ctx, plainFormat, m); err != nil {
				return nil
			}
			if len(r.wait) == 0 {
				if err := l.Flush(); err != nil {
					return nil
				}
			}
		}
	}
}

func (c *conn) closeReplies(r *replies) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, old := range c.replies {
		if old == r {
			c.replies = append(c.replies[:i:i], c.replies[i+1:]...)
			return
		}
	}
}

// requests is the half of a node that takes requests.
type requests struct {
	c    *conn
	node string
	link *amqp.Link
}

// Deliver answers requests one after the other.
func (q *requests) Deliver(ctx context.Context, list []amqp.Delivery) {
	for i := range list {
		list[i].Err = q.answer(ctx, list[i].Message)
		q.c.s.counts.refuse(list[i].Err)
	}
}

// Closed has nothing to do.
func (q *requests) Closed() {}

func (q *requests) answer(ctx context.Context, message []byte) error {
	r, err := readRequest(message)
	if err != nil {
		return err
	}
	to := q.c.replyLink(q.node, q.link, r.replyTo)
	if to == nil {
		return &amqp.Error{Condition: condNotFound, Description: fmt.Sprintf("There is no link to send the answer over: receive from %s first, and name that link's target as reply-to.", q.node)}
	}
	var a reply
	if q.node == cbsNode {
		a = q.c.putToken(r)
	} else {
		a = q.c.read(r)
	}
	if a.status >= 400 {
		q.c.s.counts.refuse(&amqp.Error{Condition: a.condition})
		q.c.s.log.Info("a request was refused", "node", q.node, "status", a.status, "reason", a.text, "client", q.c.remote(q.link))
	}
	select {
	case to.wait <- a.encode(r.id):
		return nil
	case <-to.link.Context().Done():
	case <-ctx.Done():
	}
	return &amqp.Error{Condition: condForced, Description: "The link for the answer has ended."}
}

func (c *conn) remote(l *amqp.Link) string { return fmt.Sprint(l.Conn.Remote()) }

// replyLink finds the link for an answer: by its target address, which reply-to names; by its
// name (JavaScript, $cbs); or, if there is no reply-to, the one in the session of the request
// (Python). eventhubs.md 1.2, 7.
func (c *conn) replyLink(node string, from *amqp.Link, replyTo string) *replies {
	c.mu.Lock()
	defer c.mu.Unlock()
	var byName, bySession, last *replies
	for _, r := range c.replies {
		if r.node != node {
			continue
		}
		last = r
		switch {
		case replyTo != "" && r.link.Target.Address == replyTo:
			return r
		case replyTo != "" && r.link.Name == replyTo:
			byName = r
		case r.link.SameSession(from):
			bySession = r
		}
	}
	switch {
	case byName != nil:
		return byName
	case replyTo != "":
		return nil
	case bySession != nil:
		return bySession
	}
	return last
}
