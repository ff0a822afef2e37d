package fluent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/tinylib/msgp/msgp"

	"weir/internal/hub"
)

// peer is a client of a connection.
type peer struct {
	s     *Server
	c     net.Conn
	buf   []byte // received and not yet dealt with
	limit int    // bytes of a message
	held  int    // bytes that are counted in Server.held
	out   []byte
	homes map[string]*hub.Partition // of events that come one by one, by hub
}

// The sizes of the buffer of a connection that has nothing large to say.
const (
	firstBuffer = 16 << 10
	// freeBuffer is what is not counted in Limits.BufferedBytes, and kept between messages.
	freeBuffer = 64 << 10
	// leastRate is how many bytes a second come of a message, once Limits.StallTime is over.
	leastRate = 8 << 10
)

var errBuffered = errors.New("too much is being received by all connections together")

// read gives the next message, which is valid until the next call; io.EOF is the end between
// two. first is how long it may take to begin; 0 is for ever.
func (p *peer) read(used int, first time.Duration) ([]byte, error) {
	p.buf = p.buf[:copy(p.buf, p.buf[used:])]
	if cap(p.buf) > freeBuffer && len(p.buf) <= firstBuffer {
		p.buf = append(make([]byte, 0, firstBuffer), p.buf...)
		p.free()
	}
	var sc scanner
	began := time.Now()
	for {
		whole, err := sc.scan(p.buf, p.limit)
		if errors.Is(err, errTooLarge) {
			return nil, fmt.Errorf("%w: it has more than %d bytes", ErrBad, p.limit)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBad, err)
		}
		if whole {
			return p.buf[:sc.pos], nil
		}
		var deadline time.Time
		if len(p.buf) > 0 {
			// It comes at some rate at least, not byte by byte for ever.
			deadline = began.Add(p.s.o.Limits.StallTime + time.Duration(len(p.buf)/leastRate)*time.Second)
		} else if first > 0 {
			deadline = time.Now().Add(first)
		}
		idle := len(p.buf) == 0
		err = p.fill(deadline)
		if idle {
			began = time.Now()
		}
		if err != nil {
			if len(p.buf) > 0 && err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// fill receives some more. The buffer grows with what has come.
func (p *peer) fill(deadline time.Time) error {
	if len(p.buf) == cap(p.buf) {
		size := max(2*cap(p.buf), firstBuffer)
		if grow := size - freeBuffer - p.held; grow > 0 {
			p.held += grow
			if p.s.held.Add(int64(grow)) > int64(p.s.o.Limits.BufferedBytes) {
				p.s.n.overflow.Add(1)
				return errBuffered
			}
		}
		p.buf = append(make([]byte, 0, size), p.buf...)
	}
	if err := p.c.SetReadDeadline(deadline); err != nil {
		return err
	}
	n, err := p.c.Read(p.buf[len(p.buf):cap(p.buf)])
	p.buf = p.buf[:len(p.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// free gives back what the buffer was counted for.
func (p *peer) free() {
	p.s.held.Add(-int64(p.held))
	p.held = 0
}

func (p *peer) write(b []byte) error {
	if err := p.c.SetWriteDeadline(time.Now().Add(p.s.o.Limits.StallTime)); err != nil {
		return err
	}
	_, err := p.c.Write(b)
	return err
}

// run takes messages until the connection ends.
func (p *peer) run(ctx context.Context) error {
	used := 0
	for {
		message, err := p.read(used, 0)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if ctx.Err() == nil {
				p.failed(nil, err)
			}
			return err
		}
		used = len(message)
		if used == 1 && message[0] == 0xc0 {
			continue // nil is a heartbeat
		}
		c, err := parseChunk(message)
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrBad, err)
		} else {
			err = p.store(ctx, c, message)
		}
		if err != nil {
			p.failed(c, err)
			return err
		}
		p.s.n.chunks.Add(1)
		if c.id == "" {
			continue
		}
		p.out = msgp.AppendMapHeader(p.out[:0], 1)
		p.out = msgp.AppendString(p.out, "ack")
		p.out = msgp.AppendString(p.out, c.id)
		if err := p.write(p.out); err != nil {
			return err
		}
	}
}

// failed counts and logs why a connection is closed.
func (p *peer) failed(c *chunk, err error) {
	n := &p.s.n
	var late net.Error
	switch {
	case errors.Is(err, ErrBad):
		n.bad.Add(1)
	case c != nil:
		n.failed.Add(1)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &late) && !late.Timeout():
		return // the client has gone
	}
	tag := ""
	if c != nil {
		tag = c.tag
		if c.id == "" {
			n.unacked.Add(1)
		}
	}
	p.s.log.Error("a forward client is disconnected", "remote", p.c.RemoteAddr().String(), "tag", fmt.Sprintf("%.80q", tag), "error", err)
}
