package amqp

import (
	"bytes"
	"context"
	"fmt"
	"testing"
)

// sendAll is a Run that sends n messages of a size.
func sendAll(n, size int) func(ctx context.Context, l *Link) error {
	return func(ctx context.Context, l *Link) error {
		for i := range n {
			if err := l.Send(ctx, uint32(i), bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return nil
			}
		}
		l.Flush()
		for ctx.Err() == nil {
			changed := l.Changed()
			if l.Draining() {
				l.Drained()
			}
			<-changed
		}
		return nil
	}
}

// silent checks that the server has nothing more to say: it answers an echo at once.
func (p *peer) silent(channel uint16) {
	p.t.Helper()
	p.send(channel, codeFlow, uint32(0), uint32(0), uint32(0), uint32(0), nil, nil, nil, nil, nil, true)
	p.expect(codeFlow, 11)
}

func TestCreditIsObeyed(t *testing.T) {
	p := connectTCP(t, &Server{Handler: &recorder{run: sendAll(100, 10)}}).hello().begin(0)
	p.receiver(0, 0, 0)
	flow := func(incoming, count, credit uint32, drain bool) {
		t.Helper()
		p.send(0, codeFlow, incoming, uint32(1000), uint32(0), uint32(1000), uint32(0), count, credit, nil, drain)
	}
	transfers := func(first, n uint32) {
		t.Helper()
		for i := range n {
			if list, _ := p.expect(codeTransfer, 11); list[1] != first+i {
				t.Errorf("delivery %v, want %d", list[1], first+i)
			}
		}
	}
	flow(0, 0, 3, false)
	transfers(0, 3)
	// The client has seen one of them; two of its new credit are used already.
	flow(1, 1, 5, false)
	transfers(3, 3)
	// Less credit than is used is none.
	flow(6, 2, 1, false)
	flow(6, 6, 0, true)
	if list, _ := p.expect(codeFlow, 11); list[5] != uint32(6) || list[6] != uint32(0) || list[9] != false {
		t.Errorf("drained: %v", list)
	}
	// More than there is, drained: the count goes on by what is given back.
	flow(6, 6, 200, true)
	transfers(6, 94)
	if list, _ := p.expect(codeFlow, 11); list[2] != uint32(100) || list[5] != uint32(206) || list[6] != uint32(0) || list[8] != true {
		t.Errorf("drained: %v", list)
	}
	// An echo of the link.
	p.send(0, codeFlow, uint32(100), uint32(1000), uint32(0), uint32(1000), uint32(0), uint32(206), uint32(7), nil, false, true)
	if list, _ := p.expect(codeFlow, 11); list[4] != uint32(0) || list[5] != uint32(206) || list[6] != uint32(7) || list[8] != false {
		t.Errorf("echo: %v", list)
	}
	p.goodbye()
}

func TestNumbersWrap(t *testing.T) {
	r := &recorder{run: func(ctx context.Context, l *Link) error {
		l.Conn.mu.Lock()
		l.deliveryCount -= 2 // 2^32-2
		l.session.nextDelivery -= 2
		l.session.nextOutgoing -= 2
		l.Conn.mu.Unlock()
		l.wake()
		return sendAll(6, 10)(ctx, l)
	}}
	max := ^uint32(0)
	p := connectTCP(t, &Server{Handler: r}).hello().begin(0)
	p.send(0, codeAttach, "in", uint32(0), true, nil, nil, source(), target())
	p.expect(codeAttach, 14)
	p.silent(0)
	p.send(0, codeFlow, max-1, uint32(4), uint32(0), uint32(5000), uint32(0), max-1, uint32(4))
	for i := range uint32(4) {
		if list, _ := p.expect(codeTransfer, 11); list[1] != max-1+i {
			t.Errorf("delivery %v, want %d", list[1], max-1+i)
		}
	}
	p.send(0, codeFlow, uint32(2), max, uint32(0), uint32(5000), uint32(0), uint32(1), uint32(3))
	for i := range uint32(2) {
		if list, _ := p.expect(codeTransfer, 11); list[1] != 2+i {
			t.Errorf("delivery %v, want %d", list[1], 2+i)
		}
	}
	// Incoming ids wrap as well.
	p.sender(0, 1)
	p.transfer(0, "a", uint32(1), max, []byte{0})
	p.expect(codeDisposition, 6)
	p.transfer(0, "b", uint32(1), uint32(0), []byte{0})
	p.expect(codeDisposition, 6)
	p.goodbye()
}

func TestSessionWindowIsObeyed(t *testing.T) {
	p := connectTCP(t, &Server{Handler: &recorder{run: sendAll(3, 2000)}}).hello("c", nil, uint32(512))
	p.send(0, codeBegin, nil, uint32(0), uint32(2), uint32(2))
	p.expect(codeBegin, 8)
	p.send(0, codeAttach, "in", uint32(0), true, nil, nil, source(), target())
	p.expect(codeAttach, 14)
	window := func(incoming, window uint32) {
		t.Helper()
		p.send(0, codeFlow, incoming, window, uint32(0), uint32(2))
	}
	p.send(0, codeFlow, uint32(0), uint32(2), uint32(0), uint32(2), uint32(0), uint32(0), uint32(10))
	got := map[uint32]int{}
	frames := uint32(0)
	take := func(n int) {
		t.Helper()
		for range n {
			list, payload := p.expect(codeTransfer, 11)
			frames++
			got[list[1].(uint32)] += len(payload)
			if more := got[list[1].(uint32)] < 2000; list[5] != more || len(payload) > 512-transferHead {
				t.Errorf("%v with %d bytes, %d in all", list, len(payload), got[list[1].(uint32)])
			}
		}
	}
	take(2)
	window(1, 2) // one of the window is on its way still
	take(1)
	window(frames, 0)
	p.silentNow(0)
	window(frames, 5)
	take(5)
	window(frames, ^uint32(0))
	take(7)
	for i := range uint32(3) {
		if got[i] != 2000 {
			t.Errorf("message %d has %d bytes", i, got[i])
		}
	}
	p.goodbye()
}

// silentNow is silent, without changing the window.
func (p *peer) silentNow(channel uint16) {
	p.t.Helper()
	p.send(channel, codeFlow, uint32(3), uint32(0), uint32(0), uint32(0), nil, nil, nil, nil, nil, true)
	p.expect(codeFlow, 11)
}

// Credit for those who send to us comes back when half of it is used and its messages are
// taken, and not before.
func TestCreditIsReplenished(t *testing.T) {
	hold := make(chan struct{}, 100)
	r := &recorder{deliver: func(context.Context, []Delivery) { <-hold }}
	p := connectTCP(t, &Server{Handler: r, Limits: Limits{Credit: 4}}).hello().begin(0).sender(0, 0)
	id := uint32(0)
	send := func(n int) {
		t.Helper()
		for range n {
			p.transfer(0, "x", uint32(0), id, []byte{0}, nil, true)
			id++
		}
	}
	send(4)
	p.silent(0)
	for range 4 {
		hold <- struct{}{}
	}
	credit := uint32(0)
	for credit < id+3 { // less than half of it may be kept back
		list, _ := p.expect(codeFlow, 11)
		credit = list[5].(uint32) + list[6].(uint32)
	}
	send(1)
	p.send(0, codeFlow, uint32(0), uint32(9), uint32(5), uint32(9), uint32(0), uint32(6), uint32(0), nil, false, true)
	hold <- struct{}{}
	// The client has used credit up without sending.
	for credit < 6+3 {
		list, _ := p.expect(codeFlow, 11)
		credit = list[5].(uint32) + list[6].(uint32)
	}
	p.goodbye()
}

// TestSlowHandlerStopsReading: beyond ConnPending the client is not read any more, and nothing
// is lost when the handler goes on.
func TestSlowHandlerStopsReading(t *testing.T) {
	hold := make(chan struct{})
	r := &recorder{deliver: func(context.Context, []Delivery) { <-hold }}
	s := &Server{Handler: r, Limits: Limits{ConnPending: 10_000, LinkPending: 5_000}}
	p := connect(t, s).hello().begin(0).sender(0, 0)
	payload := string(bytes.Repeat([]byte{'x'}, 1000))
	written := make(chan int, 1)
	go func() {
		for i := range uint32(100) {
			p.conn.Write(performative(frameAMQP, 0, codeTransfer, []byte(payload), uint32(0), i, []byte{0}, nil, true))
			if i == 8 {
				written <- 1
			}
		}
		written <- 2
	}()
	<-written
	for stalled := false; !stalled; { // the reader has come to stand
		r.mu.Lock()
		c := r.links[0].Conn
		r.mu.Unlock()
		c.mu.Lock()
		stalled = c.room != nil
		if c.pending > 20_000 {
			t.Fatalf("%d bytes are held", c.pending)
		}
		c.mu.Unlock()
	}
	close(hold)
	<-written
	p.conn.Close()
	p.end()
	if len(r.got) != 100 {
		t.Errorf("%d messages", len(r.got))
	}
}

func TestAbortedDeliveries(t *testing.T) {
	r := &recorder{}
	p := connectTCP(t, &Server{Handler: r, Limits: Limits{Credit: 3}}).hello().begin(0).sender(0, 0)
	for i := range uint32(10) {
		p.transfer(0, "part", uint32(0), i, []byte{0}, nil, false, true)
		p.transfer(0, "", uint32(0), i, []byte{0}, nil, false, false, nil, nil, nil, true)
		if i%2 == 1 {
			p.expect(codeFlow, 11)
		}
	}
	p.transfer(0, "who", uint32(0), uint32(10), []byte{0}, nil, false, true)
	p.transfer(0, "le", uint32(0), nil, nil, nil, true)
	p.goodbye()
	if fmt.Sprintf("%s", r.got) != "[whole]" {
		t.Errorf("%q", r.got)
	}
}

// Dispositions cover runs of a link's own deliveries only.
func TestDispositionsAreRanges(t *testing.T) {
	first := make(chan struct{})
	gate := make(chan struct{})
	r := &recorder{deliver: func(_ context.Context, list []Delivery) {
		if string(list[0].Message) == "first" {
			close(first)
			<-gate
		}
		for i := range list {
			if string(list[i].Message) == "bad" {
				list[i].Err = &Error{Condition: "a:b"}
			}
		}
	}}
	p := connectTCP(t, &Server{Handler: r}).hello().begin(0).sender(0, 0).sender(0, 1)
	p.transfer(0, "first", uint32(0), uint32(0), []byte{0})
	<-first
	for i, m := range []string{"a", "a", "other", "a", "bad", "bad", "a", "settled", "a", "a"} {
		handle := uint32(0)
		if m == "other" {
			handle = 1
		}
		p.transfer(0, m, handle, uint32(i+1), []byte{0}, nil, m == "settled")
	}
	if list, _ := p.expect(codeDisposition, 6); list[1] != uint32(3) || list[2] != uint32(3) {
		t.Errorf("%v for the other link", list)
	}
	close(gate)
	f := func(first, last uint32, outcome uint64) {
		t.Helper()
		list, _ := p.expect(codeDisposition, 6)
		if list[1] != first || list[2] != last || list[4].(Described).Descriptor != outcome {
			t.Errorf("%v, want %d to %d", list, first, last)
		}
	}
	f(0, 0, codeAccepted)
	f(1, 2, codeAccepted)
	f(4, 4, codeAccepted)
	f(5, 5, codeRejected)
	f(6, 6, codeRejected)
	f(7, 7, codeAccepted)
	f(9, 10, codeAccepted)
	p.goodbye()
}

// TestReceiverSettlesAtOnce: also if it is asked to settle second.
func TestReceiverSettlesAtOnce(t *testing.T) {
	p := connectTCP(t, &Server{Handler: &recorder{}}).hello().begin(0)
	p.send(0, codeAttach, "out", uint32(0), false, uint8(0), uint8(1), source(), target(), nil, nil, uint32(0))
	p.expect(codeAttach, 14)
	p.expect(codeFlow, 11)
	p.transfer(0, "x", uint32(0), uint32(0), []byte{0})
	if list, _ := p.expect(codeDisposition, 6); list[3] != true {
		t.Errorf("not settled: %v", list)
	}
	p.send(0, codeDisposition, false, uint32(0), uint32(0), true)
	p.goodbye()
}

func TestOutcomesAreSettled(t *testing.T) {
	p := connectTCP(t, &Server{Handler: &recorder{run: sendAll(10, 10)}}).hello().begin(0)
	p.send(0, codeAttach, "in", uint32(0), true, uint8(0), nil, source(), target())
	p.expect(codeAttach, 14)
	p.credit(0, 0, 10)
	for range 10 {
		if list, _ := p.expect(codeTransfer, 11); list[4] != false {
			t.Errorf("settled: %v", list)
		}
	}
	state := func(code uint64, list ...any) any { return Described{code, list} }
	f := func(first, last uint32, sent any, want uint64) {
		t.Helper()
		p.send(0, codeDisposition, true, first, last, false, sent)
		if want == 0 {
			p.silent(0)
			return
		}
		list, _ := p.expect(codeDisposition, 6)
		if list[0] != false || list[1] != first || list[2] != last || list[3] != true || list[4].(Described).Descriptor != want {
			t.Errorf("%v", list)
		}
	}
	f(0, 3, state(codeAccepted), codeAccepted)
	f(4, 4, state(codeReleased), codeReleased)
	f(5, 5, state(codeModified, true, true), codeModified)
	f(6, 6, state(codeRejected, state(codeError, Symbol("a"), string(make([]byte, 1000)))), codeAccepted)
	f(7, 7, state(codeReceived, uint32(0), uint64(0)), 0)
	f(7, 7, nil, 0)
	f(7, 10, state(codeAccepted), 0) // 10 is not sent
	f(9, 7, state(codeAccepted), 0)
	f(1<<31, 1<<31, state(codeAccepted), 0)
	p.send(0, codeDisposition, true, uint32(7), uint32(9), true)
	p.silent(0)
	p.goodbye()
}
