package amqp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A client may use a handle or a channel again as soon as it has sent the detach or the end,
// as qpid-proton does, and the clients that are made of it (amqp-core 2.5.4, 2.6.6): it need
// not wait until what it sent before has been taken.
func TestHandlesAndChannelsAreUsedAgainAtOnce(t *testing.T) {
	f := func(again, expect func(p *peer)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			began, goOn := make(chan struct{}), make(chan struct{})
			first := true
			r := &recorder{deliver: func(context.Context, []Delivery) {
				if first {
					first = false
					close(began)
					<-goOn
				}
			}}
			p := connect(t, &Server{Handler: r}).hello().begin(0).sender(0, 0)
			p.transfer(0, "settled", uint32(0), uint32(0), []byte{0}, nil, true)
			<-began
			again(p)
			synctest.Wait() // the server has read it
			close(goOn)
			expect(p)
			p.transfer(0, "after", uint32(0), uint32(1), []byte{1})
			p.expect(codeDisposition, 6)
			p.goodbye()
		})
	}
	attach := func(p *peer) {
		p.send(0, codeAttach, "again", uint32(0), false, nil, nil, source(), target(), nil, nil, uint32(0))
	}
	attached := func(p *peer) {
		if list, _ := p.expect(codeAttach, 14); list[0] != "again" {
			t.Errorf("the link is %v", list[0])
		}
		p.expect(codeFlow, 11)
	}
	f(func(p *peer) {
		p.send(0, codeDetach, uint32(0), true)
		attach(p)
	}, func(p *peer) {
		p.expect(codeDetach, 3)
		attached(p)
	})
	f(func(p *peer) {
		p.send(0, codeEnd)
		p.send(0, codeBegin, nil, uint32(0), uint32(100), uint32(100))
	}, func(p *peer) {
		p.expect(codeEnd, 1)
		p.expect(codeBegin, 8)
		attach(p)
		attached(p)
	})
}

// When a connection fails while a link delivers, the links that send end at once: they have
// nothing to wait for, and would ask again and again whether they may send.
func TestSendersEndWithTheWriting(t *testing.T) {
	began, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := &recorder{
		deliver: func(context.Context, []Delivery) { close(began); <-goOn },
		run: func(ctx context.Context, l *Link) error {
			defer close(ended)
			for l.Send(ctx, 0, make([]byte, 1000)) == nil && l.Flush() == nil {
			}
			<-ctx.Done()
			return nil
		},
	}
	p := connectTCP(t, &Server{Handler: r, Limits: Limits{Close: time.Hour}}).hello().begin(0).sender(0, 0)
	p.transfer(0, "settled", uint32(0), uint32(0), []byte{0}, nil, true)
	<-began
	p.send(0, codeAttach, "in", uint32(1), true, nil, nil, source(), target())
	p.send(0, codeFlow, uint32(0), uint32(1<<30), uint32(0), uint32(5000), uint32(1), uint32(0), uint32(1<<30))
	p.expect(codeAttach, 14)
	p.expect(codeTransfer, 11)
	p.conn.Close()
	select {
	case <-ended: // while the other link still delivers
	case <-time.After(10 * time.Second):
		t.Error("the link on which nothing can be sent has not ended")
	}
	close(goOn)
}
