package amqp

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"
)

// recorder is a handler that takes all, and keeps what it is told.
type recorder struct {
	deliver  func(ctx context.Context, list []Delivery)
	run      func(ctx context.Context, l *Link) error
	attached func(l *Link) error

	mu     sync.Mutex
	links  []*Link
	got    [][]byte
	told   int // Incoming.Closed
	ended  int // Run
	closed int
	plain  []string // responses of SASL
}

func (r *recorder) Authenticate(_ *Conn, mechanism string, response []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plain = append(r.plain, mechanism+":"+string(response))
	if string(response) == "wrong" {
		return &Error{Condition: UnauthorizedAccess, Description: "no"}
	}
	return nil
}

func (r *recorder) Incoming(l *Link) (Incoming, error) { return (*taker)(r), r.add(l) }
func (r *recorder) Outgoing(l *Link) (Outgoing, error) { return (*giver)(r), r.add(l) }

func (r *recorder) add(l *Link) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links = append(r.links, l)
	if r.attached != nil {
		return r.attached(l)
	}
	return nil
}

func (r *recorder) Closed(*Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
}

type taker recorder

func (r *taker) Deliver(ctx context.Context, list []Delivery) {
	if r.deliver != nil {
		r.deliver(ctx, list)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range list {
		r.got = append(r.got, append([]byte{}, d.Message...))
	}
}

func (r *taker) Closed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told++
}

type giver recorder

func (r *giver) Run(ctx context.Context, l *Link) error {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended++
	}()
	if r.run != nil {
		return r.run(ctx, l)
	}
	<-ctx.Done()
	return nil
}

// peer is a client that writes frames as the test says, right or wrong.
type peer struct {
	t    testing.TB
	conn net.Conn
	done chan error // of Serve
}

// connect is a connection to the server over a pipe, with nothing said on it yet.
func connect(t testing.TB, s *Server) *peer {
	t.Helper()
	ours, theirs := net.Pipe()
	if s.Mechanisms == nil {
		s.Mechanisms = []string{"ANONYMOUS", "PLAIN"}
	}
	s.Log = slog.New(slog.DiscardHandler)
	p := &peer{t, ours, make(chan error, 1)}
	go func() { p.done <- s.Serve(context.Background(), theirs) }()
	t.Cleanup(func() { ours.Close() })
	return p
}

// connectTCP is connect over loopback, where writes do not wait for reads.
func connectTCP(t testing.TB, s *Server) *peer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if s.Mechanisms == nil {
		s.Mechanisms = []string{"ANONYMOUS", "PLAIN"}
	}
	s.Log = slog.New(slog.DiscardHandler)
	p := &peer{t, ours, make(chan error, 1)}
	go func() { p.done <- s.Serve(context.Background(), theirs) }()
	t.Cleanup(func() {
		ours.Close()
		p.end()
	})
	return p
}

// end waits for the server to be done with the connection.
func (p *peer) end() error {
	p.t.Helper()
	err := <-p.done
	p.done <- err
	return err
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// performative is a frame.
func performative(kind byte, channel uint16, code uint64, payload []byte, list ...any) []byte {
	b := []byte{0, 0, 0, 0, 2, kind, byte(channel >> 8), byte(channel)}
	b = AppendValue(b, Described{code, list})
	b = append(b, payload...)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func (p *peer) send(channel uint16, code uint64, list ...any) {
	p.t.Helper()
	p.write(performative(frameAMQP, channel, code, nil, list...))
}

func (p *peer) transfer(channel uint16, payload string, list ...any) {
	p.t.Helper()
	p.write(performative(frameAMQP, channel, codeTransfer, []byte(payload), list...))
}

func (p *peer) header(want string) {
	p.t.Helper()
	var b [8]byte
	if _, err := io.ReadFull(p.conn, b[:]); err != nil || string(b[:]) != want {
		p.t.Fatalf("header %q, %v; want %q", b, err, want)
	}
}

// read is the next frame, empty ones too.
func (p *peer) read() (kind byte, channel uint16, body []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return 0, 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])-8)
	_, err = io.ReadFull(p.conn, body)
	return head[5], binary.BigEndian.Uint16(head[6:]), body, err
}

// expect reads the next frame, which must have that performative with so many fields.
func (p *peer) expect(code uint64, count int) (list []any, payload []byte) {
	p.t.Helper()
	for {
		_, _, body, err := p.read()
		if err != nil {
			p.t.Fatalf("waiting for 0x%x: %v", code, err)
		}
		if len(body) == 0 {
			continue
		}
		v, payload, err := DecodeValue(body)
		if err != nil {
			p.t.Fatal(err)
		}
		d := v.(Described)
		if list = d.Value.([]any); d.Descriptor != code || len(list) != count {
			p.t.Fatalf("0x%x with %d fields, want 0x%x with %d: %v", d.Descriptor, len(list), code, count, list)
		}
		return list, payload
	}
}

// skipFlows is the next performative that is no flow, which must be the one that is wanted.
func (p *peer) skipFlows(code uint64) []any {
	p.t.Helper()
	for {
		_, _, body, err := p.read()
		if err != nil {
			p.t.Fatalf("waiting for 0x%x: %v", code, err)
		}
		if len(body) == 0 {
			continue
		}
		v, _, err := DecodeValue(body)
		if err != nil {
			p.t.Fatal(err)
		}
		switch d := v.(Described); d.Descriptor {
		case uint64(codeFlow):
		case code:
			return d.Value.([]any)
		default:
			p.t.Fatalf("0x%x, want 0x%x: %v", d.Descriptor, code, d.Value)
		}
	}
}

// hello goes through SASL and open.
func (p *peer) hello(open ...any) *peer {
	p.t.Helper()
	p.write([]byte(headerSASL))
	p.header(headerSASL)
	p.expect(codeSASLMechanisms, 1)
	p.write(performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS")))
	if list, _ := p.expect(codeSASLOutcome, 2); list[0] != uint8(0) {
		p.t.Fatal(list)
	}
	p.write([]byte(headerAMQP))
	p.header(headerAMQP)
	if open == nil {
		open = []any{"peer"}
	}
	p.send(0, codeOpen, open...)
	p.expect(codeOpen, 10)
	return p
}

// begin begins a session.
func (p *peer) begin(channel uint16) *peer {
	p.t.Helper()
	p.send(channel, codeBegin, nil, uint32(0), uint32(5000), uint32(5000))
	p.expect(codeBegin, 8)
	return p
}

// sender attaches a link to send on, and takes its credit.
func (p *peer) sender(channel uint16, handle uint32) *peer {
	p.t.Helper()
	p.send(channel, codeAttach, "out", handle, false, nil, nil, source(), target(), nil, nil, uint32(0))
	p.expect(codeAttach, 14)
	p.expect(codeFlow, 11)
	return p
}

// receiver attaches a link to receive on, and gives credit.
func (p *peer) receiver(channel uint16, handle uint32, credit uint32) *peer {
	p.t.Helper()
	p.send(channel, codeAttach, "in", handle, true, nil, nil, source(), target())
	p.expect(codeAttach, 14)
	p.credit(channel, handle, credit)
	return p
}

func (p *peer) credit(channel uint16, handle, credit uint32) {
	p.t.Helper()
	p.send(channel, codeFlow, uint32(0), uint32(5000), uint32(0), uint32(5000), handle, uint32(0), credit)
}

func source() any { return Described{uint64(codeSource), []any{"hub"}} }
func target() any { return Described{uint64(codeTarget), []any{"hub"}} }

// condition is that of an error, or "".
func condition(v any) string {
	d, ok := v.(Described)
	if !ok {
		return ""
	}
	return string(d.Value.([]any)[0].(Symbol))
}

// closes checks that the server closes the connection with the condition, and then is done.
func (p *peer) closes(want string) error {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		_, _, body, err := p.read()
		if err != nil {
			p.t.Fatalf("want a close with %s: %v", want, err)
		}
		if len(body) < 3 || body[2] != codeClose {
			continue
		}
		v, _, err := DecodeValue(body)
		if err != nil {
			p.t.Fatal(err)
		}
		if got := condition(v.(Described).Value.([]any)[0]); got != want {
			p.t.Errorf("closed with %q, want %q: %v", got, want, v)
		}
		break
	}
	p.conn.Close()
	return p.end()
}

// goodbye closes the connection, which must still be well.
func (p *peer) goodbye() {
	p.t.Helper()
	p.send(0, codeClose)
	for {
		_, _, body, err := p.read()
		if err != nil {
			p.t.Fatal(err)
		}
		if len(body) > 2 && body[2] == codeClose {
			break
		}
	}
	p.conn.Close()
	if err := p.end(); err != nil {
		p.t.Error(err)
	}
}
