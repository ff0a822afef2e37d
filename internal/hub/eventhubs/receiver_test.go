package eventhubs

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/Azure/go-amqp"

	"weir/internal/hub"
	"weir/internal/hub/log"
)

const partition0 = "orders/ConsumerGroups/$Default/Partitions/0"

// TestCreditHold takes events a few at a time, with pauses in which the hub gives back what
// it has read: nothing is lost and nothing comes twice.
func TestCreditHold(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprint("e", i))
	}
	p := s.producer(nil)
	send(t, p, to("0"), want[:30]...) // one batch of the log
	r, err := s.dial(nil).NewReceiver(soon(t), partition0, &client.ReceiverOptions{Credit: -1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	take := func(n int) {
		t.Helper()
		if err := r.IssueCredit(uint32(n)); err != nil {
			t.Fatal(err)
		}
		for range n {
			m, err := r.Receive(soon(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Data[0]))
		}
	}
	take(7)
	for deadline := soon(t); s.Stats().Reading != 0; { // in the middle of the batch
		select {
		case <-deadline.Done():
			t.Fatal("a receiver without credit holds what it has read")
		case <-time.After(time.Millisecond):
		}
	}
	take(3)
	take(20)
	send(t, p, to("0"), want[30:]...)
	take(10)
	equal(t, got, want)
}

// TestRetentionPasses says that a receiver that was too slow goes on with what there is, and
// that the hub says so.
func TestRetentionPasses(t *testing.T) {
	b := newBroker(t, hub.Options{})
	h, _ := b.Hub("orders")
	p := h.Partitions()[0]
	s := New(Options{Broker: b})
	r := &receiver{c: &conn{s: s}, hub: h, partition: p, group: "g1", reader: &reader{}, at: hub.Position{Where: hub.Earliest}}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := p.Append([]hub.Event{{Message: annotated(t, fmt.Sprint("e", i))}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.next = -5 // as if the first event kept were far ahead
	r.put()
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	defer r.put()
	equal(t, []any{r.next, r.from.Seq(), s.Stats().Missed}, []any{p.Range().First, p.Range().First, 1})
	if e := r.failed(fmt.Errorf("read: %w", &log.DamageError{File: "/secret", Reason: "x"})); condition(e) != condInternal || strings.Contains(e.Error(), "/secret") {
		t.Errorf("%v", e)
	}
	equal(t, s.Stats().Refused[condInternal], 1)
}

// TestReaderEnds says that a receiver leaves nothing, however it ends.
func TestReaderEnds(t *testing.T) {
	s := serve(t, nil)
	for _, end := range []func(r *client.Receiver, session *client.Session){
		func(r *client.Receiver, _ *client.Session) { r.Close(context.Background()) },
		func(_ *client.Receiver, session *client.Session) { session.Close(context.Background()) },
	} {
		session := s.dial(nil)
		r, err := session.NewReceiver(soon(t), partition0, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.awaitReaders(t, 1)
		end(r, session)
		s.awaitReaders(t, 0)
	}
}
