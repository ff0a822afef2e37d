package amqp_test

import (
	"errors"
	"testing"

	goamqp "github.com/Azure/go-amqp"

	. "weir/internal/hub/amqp"
)

// early detaches links before the client has its answer, as another goroutine can do once the
// handler knows the link.
type early struct{ *broker }

func (b early) Incoming(l *Link) (Incoming, error) {
	l.Detach(&Error{Condition: Stolen, Description: "too late"})
	return b.broker.Incoming(l)
}

func (b early) Outgoing(l *Link) (Outgoing, error) {
	l.Detach(&Error{Condition: Stolen, Description: "too late"})
	return b.broker.Outgoing(l)
}

// TestDetachedEarly says that the client sees a link that begins and ends, in this order.
func TestDetachedEarly(t *testing.T) {
	b := newBroker()
	server, url := serve(t, b, Limits{})
	server.Handler = early{b}
	_, s := dial(t, url, nil)
	stolen := func(err error) {
		t.Helper()
		var link *goamqp.LinkError
		if !errors.As(err, &link) || link.RemoteErr == nil || link.RemoteErr.Condition != Stolen {
			t.Errorf("%v", err)
		}
	}
	r, err := s.NewReceiver(t.Context(), "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Receive(t.Context(), nil)
	stolen(err)
	w, err := s.NewSender(t.Context(), "hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	stolen(w.Send(t.Context(), goamqp.NewMessage([]byte("x")), nil))
}
