package amqp

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// restBuffer is what a connection that is silent holds to read into. Frames of control fit;
// for others a buffer is borrowed from the server, and given back when all of it is read.
const restBuffer = 2 << 10

// reader splits what comes over a connection into frames.
type reader struct {
	conn       net.Conn
	server     *Server
	buf        []byte // rest[:] or borrowed
	start, end int    // what of buf is read from the connection and not taken
	borrowed   bool
	rest       [restBuffer]byte
	early      bool // before the open: nobody may hold much
	onRead     func(n int)
	// beforeRead is called before the connection is asked for more: what has been taken is
	// done with, and replies to it should go out.
	beforeRead func() error
}

// fill reads until n bytes are there. They must fit into a borrowed buffer.
func (r *reader) fill(n int) error {
	for r.end-r.start < n {
		if err := r.beforeRead(); err != nil {
			return err
		}
		r.makeRoom(n)
		got, err := r.conn.Read(r.buf[r.end:])
		r.end += got
		if got > 0 {
			r.onRead(got)
			continue
		}
		if err == nil {
			err = io.ErrNoProgress
		}
		if err == io.EOF && r.end > r.start {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}

// makeRoom makes buf hold n bytes from start, with what is there.
func (r *reader) makeRoom(n int) {
	have := r.end - r.start
	if have == 0 && r.borrowed && n <= restBuffer {
		r.release()
	}
	if r.buf == nil {
		r.buf = r.rest[:]
	}
	if n > len(r.buf) && !r.borrowed {
		var big []byte
		if r.early {
			big = make([]byte, 0, n)
		} else {
			big = r.server.buffer()
		}
		big = big[:cap(big)]
		copy(big, r.buf[r.start:r.end])
		r.buf, r.start, r.end, r.borrowed = big, 0, have, true
		return
	}
	if r.start > 0 && (have == 0 || r.start+n > len(r.buf) || r.start > len(r.buf)/2) {
		copy(r.buf, r.buf[r.start:r.end])
		r.start, r.end = 0, have
	}
}

// release gives a borrowed buffer back.
func (r *reader) release() {
	if r.borrowed {
		r.server.give(r.buf)
		r.buf, r.start, r.end, r.borrowed = nil, 0, 0, false
	}
}

// take takes n bytes, which are valid until the next call of the reader.
func (r *reader) take(n int) ([]byte, error) {
	if err := r.fill(n); err != nil {
		return nil, err
	}
	b := r.buf[r.start : r.start+n : r.start+n]
	r.start += n
	return b, nil
}

// frame is a frame that has been read; its body is valid until the next.
type frame struct {
	kind    byte
	channel uint16
	body    []byte // behind the extended header; empty if it only keeps alive
}

// next reads a frame of at most limit bytes. The size is judged before anything is held for it.
func (r *reader) next(limit int) (f frame, err error) {
	if err := r.fill(frameHeader); err != nil {
		return f, err
	}
	head := r.buf[r.start:]
	size, offset := binary.BigEndian.Uint32(head), 4*int(head[4])
	if size < frameHeader || uint64(size) > uint64(limit) {
		return f, framing("a frame of %d bytes; it may have 8 to %d", size, limit)
	}
	if offset < frameHeader || offset > int(size) {
		return f, framing("a frame of %d bytes whose body begins at byte %d", size, offset)
	}
	b, err := r.take(int(size))
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return f, err
	}
	return frame{b[5], binary.BigEndian.Uint16(b[6:]), b[offset:]}, nil
}

func framing(format string, args ...any) error {
	return &Error{Condition: FramingError, Description: fmt.Sprintf(format, args...)}
}

// linger reads and drops what still comes until the peer closes, so that the system does not
// take back what was last written to it. The deadline bounds it.
func (r *reader) linger(until time.Time) {
	r.conn.SetReadDeadline(until)
	if r.buf == nil {
		r.buf = r.rest[:]
	}
	for dropped := 0; dropped < 1<<20; {
		n, err := r.conn.Read(r.buf)
		if err != nil {
			return
		}
		dropped += n
	}
}
