package amqp

import (
	"context"
	"testing"
	"testing/synctest"
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
