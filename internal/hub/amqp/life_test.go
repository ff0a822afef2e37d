package amqp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// heap is what is allocated and held, in bytes, with stacks.
func heap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// idleMemory is what each of n connections holds on the server's side and the test's together.
func idleMemory(t testing.TB, n int, up func(p *peer)) int64 {
	s := &Server{Handler: &recorder{deliver: func(_ context.Context, list []Delivery) { list[0].Message = nil }}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.Serve(context.Background(), nc) })
		}
	})
	s.Mechanisms = []string{"ANONYMOUS"}
	peers := make([]*peer, n)
	before := heap()
	for i := range peers {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peers[i] = &peer{t: t, conn: nc}
		up(peers[i])
	}
	each := (heap() - before) / int64(n)
	for _, p := range peers {
		p.conn.Close()
	}
	ln.Close()
	wg.Wait()
	return each
}

// A silent connection holds little, so that very many of them can be held (issue: 50 KiB
// each, at ten thousand). What is measured has the test's own end of the connection in it.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	f := func(name string, limit int64, up func(p *peer)) {
		t.Helper()
		each := idleMemory(t, 500, up)
		t.Logf("%s: %d bytes a connection", name, each)
		if each > limit {
			t.Errorf("%s: %d bytes a connection, %d allowed", name, each, limit)
		}
	}
	f("nothing said", 20<<10, func(p *peer) {})
	f("part of a frame of SASL", 20<<10, func(p *peer) {
		p.write([]byte(headerSASL + "\x00\x00\x08\x00\x02\x01\x00\x00"))
		p.header(headerSASL)
	})
	f("part of an open", 30<<10, func(p *peer) {
		p.write([]byte(headerSASL))
		p.write(performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS")))
		p.write([]byte(headerAMQP + "\x00\x00\x20\x00\x02\x00\x00\x00"))
		p.header(headerSASL)
		p.expect(codeSASLMechanisms, 1)
		p.expect(codeSASLOutcome, 2)
		p.header(headerAMQP)
	})
	f("open", 20<<10, func(p *peer) { p.hello() })
	f("a session and a link each way", 50<<10, func(p *peer) {
		p.hello().begin(0).sender(0, 0).receiver(0, 1, 100)
		p.transfer(0, strings.Repeat("x", 50_000), uint32(0), uint32(0), []byte{0})
		p.expect(codeDisposition, 6)
	})
}

// Sessions and links that come and go leave nothing behind.
func TestSessionsAndLinksThatComeAndGo(t *testing.T) {
	s := &Server{Handler: &recorder{attached: func(l *Link) error {
		if l.Name == "bad" {
			return &Error{Condition: NotFound}
		}
		return nil
	}}}
	r := s.Handler.(*recorder)
	p := connectTCP(t, s).hello()
	round := func(n int) {
		for i := range n {
			channel := uint16(i % 256)
			p.begin(channel).sender(channel, uint32(i%255)).receiver(channel, uint32((i+1)%255), 1)
			p.send(channel, codeAttach, "bad", uint32((i+2)%255), i%2 == 0, nil, nil, source(), target())
			p.expect(codeAttach, 14)
			p.expect(codeDetach, 3)
			p.send(channel, codeDetach, uint32((i+2)%255), true)
			p.send(channel, codeDetach, uint32(i%255), true)
			p.expect(codeDetach, 3)
			p.send(channel, codeEnd)
			p.expect(codeEnd, 1)
		}
		r.mu.Lock()
		r.links = nil
		r.mu.Unlock()
	}
	round(300)
	before := heap()
	round(3000)
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more", grown)
	}
	if st := s.Stats(); st.Sessions != 0 || st.Links != 0 {
		t.Errorf("%+v", st)
	}
	p.goodbye()
	if r.told != 3300 || r.ended != 3300 {
		t.Errorf("%d and %d told of their end", r.told, r.ended)
	}
}

// Connections that break at any byte leave nothing behind, and their links are told.
func TestConnectionsThatBreak(t *testing.T) {
	var all []byte
	all = append(all, headerSASL...)
	all = append(all, performative(frameSASL, 0, codeSASLInit, nil, Symbol("ANONYMOUS"))...)
	all = append(all, headerAMQP...)
	for _, b := range goodFrames() {
		all = append(all, b...)
	}
	for n := range len(all) {
		feed(t, all[:n], false)
	}
}

func TestRunThatReturns(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		p := connectTCP(t, &Server{Handler: &recorder{run: func(context.Context, *Link) error { return err }}}).hello().begin(0)
		p.send(0, codeAttach, "in", uint32(0), true, nil, nil, source(), target())
		p.expect(codeAttach, 14)
		list, _ := p.expect(codeDetach, 3)
		if got := condition(list[2]); list[1] != true || got != want {
			t.Errorf("%v: %v", err, list)
		}
		p.send(0, codeDetach, uint32(0), true)
		p.goodbye()
	}
	f(nil, "")
	f(&Error{Condition: Stolen}, Stolen)
	f(errors.New("secret"), InternalError)
	f(errors.Join(errors.New("x"), &Error{Condition: NotFound}), NotFound)
}

// A Send whose context ends in the middle of a message takes the message back.
func TestSendGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("enough")
	r := &recorder{run: func(run context.Context, l *Link) error {
		if err := l.Send(ctx, 0, make([]byte, 2000)); err != stop {
			t.Error(err)
		}
		l.Send(run, 0, []byte("next"))
		l.Flush()
		<-run.Done()
		if err := l.Send(context.Background(), 0, nil); err == nil {
			t.Error("sent on a link that has ended")
		}
		return nil
	}}
	p := connectTCP(t, &Server{Handler: r}).hello("c", nil, uint32(512))
	p.send(0, codeBegin, nil, uint32(0), uint32(2), uint32(2))
	p.expect(codeBegin, 8)
	p.send(0, codeAttach, "in", uint32(0), true, nil, nil, source(), target())
	p.expect(codeAttach, 14)
	p.send(0, codeFlow, uint32(0), uint32(2), uint32(0), uint32(2), uint32(0), uint32(0), uint32(10))
	p.expect(codeTransfer, 11)
	p.expect(codeTransfer, 11)
	// Without room for the frame that says so, the link goes.
	cancel(stop)
	list, _ := p.expect(codeDetach, 3)
	if condition(list[2]) != DetachForced {
		t.Error(list)
	}
	p.send(0, codeDetach, uint32(0), true)
	p.goodbye()
}

func TestSendAborted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &recorder{}
	r.run = func(run context.Context, l *Link) error {
		l.Send(ctx, 0, make([]byte, 5000))
		l.Send(run, 0, []byte("next"))
		l.Flush()
		<-run.Done()
		return nil
	}
	p := connect(t, &Server{Handler: r, Limits: Limits{WriteBuffer: 600}}).hello("c", nil, uint32(512)).begin(0).receiver(0, 0, 10)
	p.expect(codeTransfer, 11)
	cancel()
	for {
		list, payload := p.expect(codeTransfer, 11)
		if list[9] == true {
			if list[1] != uint32(0) || list[5] != false || len(payload) != 0 {
				t.Errorf("%v", list)
			}
			break
		}
	}
	if list, payload := p.expect(codeTransfer, 11); list[1] != uint32(1) || string(payload) != "next" {
		t.Errorf("%v %q", list, payload)
	}
	p.conn.Close()
	p.end()
}

func TestSecure(t *testing.T) {
	if (&Conn{conn: secureConn{}}).Secure() != true || (&Conn{conn: &memory{}}).Secure() {
		t.Error("Secure does not say what the connection says")
	}
}

type secureConn struct{ net.Conn }

func (secureConn) Secure() bool { return true }

func TestTransactionsAreRefused(t *testing.T) {
	p := connectTCP(t, &Server{Handler: &recorder{}}).hello().begin(0)
	p.send(0, codeAttach, "tx", uint32(0), false, nil, nil, source(), Described{uint64(0x30), []any{}}, nil, nil, uint32(0))
	if list, _ := p.expect(codeAttach, 14); list[6] != nil {
		t.Error(list)
	}
	if list, _ := p.expect(codeDetach, 3); condition(list[2]) != NotImplemented {
		t.Error(list)
	}
	p.send(0, codeDetach, uint32(0), true)
	p.goodbye()
}

// The answer to a wrong beginning is read by the client, though more of it was under way.
func TestAnswerIsNotLost(t *testing.T) {
	s := &Server{Handler: &recorder{}}
	p := connectTCP(t, s)
	p.write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	b, err := io.ReadAll(io.LimitReader(p.conn, 8))
	if string(b) != headerSASL || err != nil {
		t.Errorf("%q %v", b, err)
	}
	p.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
}

// What the sessions and links of a connection hold is bounded, and given back with them.
func TestStateOfAConnection(t *testing.T) {
	s := &Server{Handler: &recorder{}, Limits: Limits{ConnState: 50_000}}
	p := connectTCP(t, s).hello().begin(0)
	name := strings.Repeat("n", 10_000)
	attach := func(handle uint32, want string) {
		t.Helper()
		p.send(0, codeAttach, name, handle, true, nil, nil, source(), target())
		p.expect(codeAttach, 14)
		if want != "" {
			list, _ := p.expect(codeDetach, 3)
			if got := condition(list[2]); got != want {
				t.Error(list)
			}
		}
	}
	detach := func(handle uint32, answer bool) {
		t.Helper()
		p.send(0, codeDetach, handle, true)
		if answer {
			p.expect(codeDetach, 3)
		}
	}
	for range 3 {
		for handle := range uint32(3) {
			attach(handle, "")
		}
		attach(3, ResourceLimitExceeded)
		detach(3, false)
		for handle := range uint32(3) {
			detach(handle, true)
		}
	}
	for handle := range uint32(3) {
		attach(handle, "")
	}
	p.send(0, codeEnd)
	p.expect(codeEnd, 1)
	for channel := range uint16(48) {
		p.begin(channel)
	}
	p.send(48, codeBegin, nil, uint32(0), uint32(1), uint32(1))
	p.closes(ResourceLimitExceeded)
	if s.Stats().Refused["limit"] != 1 {
		t.Error(s.Stats().Refused)
	}
}

// Messages that are sent at the same time on one link do not get into each other.
func TestConcurrentSends(t *testing.T) {
	const n, size = 40, 3000
	r := &recorder{run: func(ctx context.Context, l *Link) error {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { l.Send(ctx, 0, bytes.Repeat([]byte{byte(i)}, size)) })
		}
		wg.Wait()
		l.Flush()
		<-ctx.Done()
		return nil
	}}
	p := connectTCP(t, &Server{Handler: r}).hello("c", nil, uint32(512)).begin(0).receiver(0, 0, n)
	seen := map[byte]bool{}
	for range n {
		var message []byte
		for more := true; more; {
			list, payload := p.expect(codeTransfer, 11)
			message = append(message, payload...)
			more = list[5] == true
		}
		if !bytes.Equal(message, bytes.Repeat(message[:1], size)) || seen[message[0]] {
			t.Fatalf("% x", message[:100])
		}
		seen[message[0]] = true
	}
	p.goodbye()
}
