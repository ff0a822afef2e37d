package kafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// conn is a connection of a client.
type conn struct {
	s      *Server
	nc     net.Conn
	r      *bufio.Reader
	remote string
	tls    bool
	cancel context.CancelCauseFunc

	in, out memory // the connection's share

	gate     sync.Mutex // guards what follows: the reader's deadline goes by it
	admitted bool       // the client has authenticated
	until    time.Time  // it must have by then

	// What follows belongs to the goroutine that runs requests.
	login    login
	client   string         // its name, as the last request gave it
	software string         // as the client says
	appends  sync.WaitGroup // that wait for the disk
	cache    readers
}

// frame is a request as it has come.
type frame struct {
	body []byte
	cost int64 // of Limits.InMemory
}

// answer is what is written for a request, in the order of requests.
type answer struct {
	done  chan struct{} // closed when the rest is set; nil if it is from the start
	bytes []byte
	cost  int64 // of Limits.OutMemory
	spare bool  // or of the memory for small ones
}

// badRequest is something that a client must not send.
type badRequest struct{ reason string }

func (e *badRequest) Error() string { return e.reason }

func bad(format string, args ...any) error { return &badRequest{fmt.Sprintf(format, args...)} }

// errIdle ends a connection on which nothing comes.
var errIdle = errors.New("nothing has come for a long time")

func newConn(s *Server, nc net.Conn, cancel context.CancelCauseFunc) *conn {
	c := &conn{s: s, nc: nc, r: bufio.NewReaderSize(nc, 4<<10), remote: nc.RemoteAddr().String(), tls: isTLS(nc),
		cancel: cancel, until: time.Now().Add(s.l.Login)}
	c.cache.limit, c.cache.open = s.l.Readers, &s.open
	c.in.size, c.out.size = s.l.InMemory/share, s.l.OutMemory/share
	if s.o.AllowAnonymous && isLoopback(nc) {
		c.login.anonymous()
		c.admitted = true
	}
	return c
}

// serve runs the connection. It ends when the client leaves or does what it must not, and
// when all that was begun has ended.
func (c *conn) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	frames := make(chan frame)
	answers := make(chan *answer, c.s.l.Pipeline)
	var readErr, writeErr error
	var both sync.WaitGroup
	both.Go(func() {
		readErr = c.readAll(ctx, frames)
		close(frames)
		cancel(readErr) // nobody is there to wait for
	})
	both.Go(func() {
		writeErr = c.writeAll(answers)
	})
	runErr := c.runAll(ctx, frames, answers)
	cancel(runErr)
	close(answers)
	if runErr != nil {
		// What was answered before is still written; the reader must not wait for more.
		c.stopReading()
	}
	both.Wait()
	c.appends.Wait()
	c.cache.close()
	if runErr == nil {
		runErr = writeErr
	}
	if runErr == nil {
		runErr = readErr
	}
	return runErr
}

func (c *conn) runAll(ctx context.Context, frames <-chan frame, answers chan<- *answer) error {
	for f := range frames {
		c.s.count.requests.Add(1)
		a, err := c.run(ctx, f)
		if a != nil {
			answers <- a
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// takeIn takes memory for a request, of the connection's share and of all.
func (c *conn) takeIn(ctx context.Context, n int64) error {
	if err := c.in.take(ctx, n); err != nil {
		return err
	}
	err := c.s.in.take(ctx, n)
	if err != nil {
		c.in.give(n)
	}
	return err
}

func (c *conn) giveIn(n int64) {
	c.in.give(n)
	c.s.in.give(n)
}

// crowdTime is how long an answer waits for memory before it makes do with little.
const crowdTime = 250 * time.Millisecond

// errCrowded: answers that others do not take have all the memory.
var errCrowded = errors.New("there is no memory for answers")

// takeOut takes memory for an answer. errCrowded is for connections that hold none yet: they
// are not to wait for clients that take nothing.
func (c *conn) takeOut(ctx context.Context, n int64) error {
	if err := c.out.take(ctx, n); err != nil {
		return err
	}
	if c.out.inUse() == n {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, crowdTime, errCrowded)
		defer stop()
	}
	err := c.s.out.take(ctx, n)
	if err != nil {
		c.out.give(n)
	}
	return err
}

// takeSpare takes memory for a small answer.
func (c *conn) takeSpare(ctx context.Context, n int64) error {
	if err := c.out.take(ctx, n); err != nil {
		return err
	}
	err := c.s.spare.take(ctx, n)
	if err != nil {
		c.out.give(n)
	}
	return err
}

// giveOut gives memory of an answer back.
func (c *conn) giveOut(n int64, spare bool) {
	c.out.give(n)
	if spare {
		c.s.spare.give(n)
	} else {
		c.s.out.give(n)
	}
}
