package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// requestCost is what a Produce request of n bytes is counted as: itself, the messages made
// of its records, and these in the log's group.
func requestCost(n int) int64 { return 3 * int64(n) }

// firstRead is the memory that is taken for a request before any of it has come, in bytes.
const firstRead = 256 << 10

// readAll reads requests until the connection ends.
func (c *conn) readAll(ctx context.Context, to chan<- frame) error {
	for {
		f, err := c.readFrame(ctx)
		if err != nil {
			return err
		}
		select {
		case to <- f:
		case <-ctx.Done():
			c.giveIn(f.cost)
			return context.Cause(ctx)
		}
	}
}

func (c *conn) readFrame(ctx context.Context) (frame, error) {
	if err := c.await(); err != nil {
		return frame{}, err
	}
	var head [6]byte // the size, and the key of the request
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return frame{}, unexpected(err)
	}
	n := int(int32(binary.BigEndian.Uint32(head[:])))
	key := int16(binary.BigEndian.Uint16(head[4:]))
	limit, cost := c.s.l.Request, int64(n)+int64(min(n, c.s.l.Entries))*entryCost
	switch {
	case !c.isAdmitted():
		limit = c.s.l.Greeting
	case key == int16(kmsg.Produce):
		limit, cost = c.s.l.Produce, requestCost(n)
	}
	if n < 2 || n > limit {
		return frame{}, bad("a request of %d bytes; %d is the most here. A client of another protocol may have come to this port", n, limit)
	}
	if err := c.takeIn(ctx, cost); err != nil {
		return frame{}, err
	}
	c.deadline(time.Now().Add(c.s.l.Frame))
	body, err := readBody(c.r, head[4:6], n)
	if err != nil {
		c.giveIn(cost)
		return frame{}, unexpected(err)
	}
	return frame{body, cost}, nil
}

// await waits for the first byte of a request.
func (c *conn) await() error {
	c.deadline(time.Now().Add(c.s.l.Idle))
	_, err := c.r.Peek(1)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() && c.isAdmitted() {
		return errIdle
	}
	if err == nil {
		c.deadline(time.Now().Add(c.s.l.Frame))
	}
	return err
}

// deadline sets until when the client must have sent; earlier if it has yet to authenticate.
func (c *conn) deadline(t time.Time) {
	c.gate.Lock()
	defer c.gate.Unlock()
	if !c.admitted && t.After(c.until) {
		t = c.until
	}
	c.nc.SetReadDeadline(t) // if the connection is closed, reading says so
}

func (c *conn) isAdmitted() bool {
	c.gate.Lock()
	defer c.gate.Unlock()
	return c.admitted
}

// admit lets the client send other things than its password.
func (c *conn) admit() {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.admitted = true
	c.nc.SetReadDeadline(time.Now().Add(c.s.l.Idle))
}

// stopReading ends the reader, and leaves the writer time for what is to be written.
func (c *conn) stopReading() {
	c.gate.Lock()
	defer c.gate.Unlock()
	c.admitted, c.until = false, time.Unix(1, 0)
	c.nc.SetReadDeadline(c.until)
}

// readBody reads the n bytes of a request that begin with start. It takes memory as they
// come.
func readBody(r io.Reader, start []byte, n int) ([]byte, error) {
	b := append(takeBuffer(min(n, firstRead)), start...)
	for len(b) < n {
		if len(b) == cap(b) {
			b = slices.Grow(b, min(n-len(b), len(b)))
		}
		more := b[len(b):min(cap(b), n)]
		if _, err := io.ReadFull(r, more); err != nil {
			return nil, err
		}
		b = b[:len(b)+len(more)]
	}
	return b, nil
}

// unexpected is the error of an end within a request.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// maxWrite is how many answers are written at once.
const maxWrite = 64

// writeAll writes answers in their order until there are no more. After an error it lets
// them go.
func (c *conn) writeAll(answers <-chan *answer) error {
	var err error
	var batch []*answer
	for a := range answers {
		wait(a)
		batch = append(batch[:0], a)
	more:
		for len(batch) < maxWrite {
			select {
			case a, ok := <-answers:
				if !ok {
					break more
				}
				if !ready(a) { // those before it need not wait
					err = c.write(batch, err)
					batch = batch[:0]
					wait(a)
				}
				batch = append(batch, a)
			default:
				break more
			}
		}
		err = c.write(batch, err)
	}
	return err
}

func wait(a *answer) {
	if a.done != nil {
		<-a.done
	}
}

func ready(a *answer) bool {
	if a.done == nil {
		return true
	}
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// write writes answers unless there was an error before.
func (c *conn) write(batch []*answer, err error) error {
	var list net.Buffers
	for _, a := range batch {
		if len(a.bytes) > 0 {
			list = append(list, a.bytes)
		}
	}
	defer func() {
		for _, a := range batch {
			giveBuffer(a.bytes)
			a.bytes = nil
			c.giveOut(a.cost, a.spare)
		}
	}()
	if err != nil || len(list) == 0 {
		return err
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.s.l.Write)) // if the connection is closed, writing says so
	if _, err = list.WriteTo(c.nc); err != nil {
		c.nc.Close() // nothing can be said any more
	}
	return err
}
