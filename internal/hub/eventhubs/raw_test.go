package eventhubs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"weir/internal/hub/amqp"
)

// raw is a client that does no more than it must, so that what is measured is the server.
type raw struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// dialRaw signs in with PLAIN and opens a session on channel 0.
func (s *served) dialRaw() *raw {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	r := &raw{t: s.t, conn: nc, in: bufio.NewReaderSize(nc, 256<<10)}
	r.write([]byte("AMQP\x03\x01\x00\x00"))
	r.skip(8)
	r.frame() // mechanisms
	r.say(1, 0x41, amqp.Symbol("PLAIN"), []byte("\x00"+s.root.Name+"\x00"+s.root.Primary))
	r.frame() // outcome
	r.write([]byte("AMQP\x00\x01\x00\x00"))
	r.skip(8)
	r.say(0, codeOpen, "raw", "localhost", uint32(65536))
	r.await(codeOpen)
	r.say(0, codeBegin, nil, uint32(0), uint32(1<<30), uint32(1<<30))
	r.await(codeBegin)
	return r
}

func (r *raw) write(b []byte) {
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) skip(n int) {
	if _, err := io.CopyN(io.Discard, r.in, int64(n)); err != nil {
		r.t.Fatal(err)
	}
}

// performative is an encoded frame.
func performative(kind byte, code uint64, payload []byte, fields ...any) []byte {
	b := []byte{0, 0, 0, 0, 2, kind, 0, 0}
	b = amqp.AppendValue(b, amqp.Described{Descriptor: code, Value: fields})
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func (r *raw) say(kind byte, code uint64, fields ...any) {
	r.write(performative(kind, code, nil, fields...))
}

// frame reads the next frame, and gives its code and its body, which is valid until the next.
func (r *raw) frame() (byte, []byte) {
	head, err := r.in.Peek(8)
	if err != nil {
		r.t.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(head))
	if cap(r.buf) < n {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if _, err := io.ReadFull(r.in, b); err != nil {
		r.t.Fatal(err)
	}
	if n == 8 {
		return 0, nil
	}
	return b[10], b[8:]
}

// await reads until a frame of a code has come.
func (r *raw) await(code byte) []byte {
	for {
		c, b := r.frame()
		if c == code {
			return b
		}
		if c == codeDetach || c == 0x18 {
			v, _, _ := amqp.DecodeValue(b)
			r.t.Fatalf("the server says %v", v)
		}
	}
}

// sender attaches handle 0 to an address.
func (r *raw) sender(address string) {
	r.say(0, codeAttach, "in", uint32(0), false, nil, nil, described(0x28), described(0x29, address), nil, nil, uint32(0))
	r.await(codeFlow)
}

// receiver attaches handle 0 to an address, to read from the first event on.
func (r *raw) receiver(address string) {
	r.say(0, codeAttach, "out", uint32(0), true, nil, nil, described(0x28, address), described(0x29))
	r.await(codeAttach)
}

func described(code uint64, fields ...any) amqp.Described {
	return amqp.Described{Descriptor: code, Value: fields}
}

// credit lets the server send n more.
func (r *raw) credit(count, n uint32) {
	r.say(0, codeFlow, count, uint32(1<<30), uint32(0), uint32(1<<30), uint32(0), count, n)
}

// TestRaw keeps the raw client working.
func TestRaw(t *testing.T) {
	s := serve(t, nil)
	in := s.dialRaw()
	in.sender("orders/partitions/0")
	for i := range 3 {
		in.write(performative(0, codeTransfer, annotated(t, fmt.Sprint("e", i)), uint32(0), uint32(i), []byte{byte(i)}, uint32(0)))
	}
	last := uint32(0)
	for last < 2 {
		v, _, err := amqp.DecodeValue(in.await(codeDisposition))
		if err != nil {
			t.Fatal(err)
		}
		f := v.(amqp.Described).Value.([]any)
		last = f[2].(uint32)
	}
	out := s.dialRaw()
	out.receiver("orders/ConsumerGroups/$Default/Partitions/0")
	out.credit(0, 3)
	for range 3 {
		out.await(codeTransfer)
	}
}
