package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	. "weir/internal/hub/amqp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a handler that keeps what comes in memory and gives it to who asks.
type broker struct {
	mu       sync.Mutex
	got      []Delivery
	batches  int
	incoming int // links that have not ended
	outgoing int
	closed   int // connections
	came     chan struct{}

	hold   chan struct{} // Deliver waits for it, if it is not nil
	prefix []byte        // sent before every message
	reject func(m []byte) error
	attach func(l *Link) // looks at and changes links
	run    func(ctx context.Context, l *Link) error
	auth   func(mechanism string, response []byte) error
}

func newBroker() *broker { return &broker{came: make(chan struct{}, 1)} }

func (b *broker) Authenticate(c *Conn, mechanism string, response []byte) error {
	if b.auth != nil {
		return b.auth(mechanism, response)
	}
	return nil
}

func (b *broker) Incoming(l *Link) (Incoming, error) {
	if b.attach != nil {
		b.attach(l)
	}
	if err := b.refuse(l.Target.Address); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.incoming++
	return &incoming{b, l}, nil
}

func (b *broker) Outgoing(l *Link) (Outgoing, error) {
	if b.attach != nil {
		b.attach(l)
	}
	if err := b.refuse(l.Source.Address); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outgoing++
	return &outgoing{b}, nil
}

func (b *broker) refuse(address string) error {
	switch {
	case strings.HasPrefix(address, "missing"):
		return &Error{Condition: NotFound, Description: "there is no " + address}
	case address == "broken":
		return errors.New("the disk of Alice with the key hunter2 is full")
	}
	return nil
}

func (b *broker) Closed(*Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
}

type incoming struct {
	b *broker
	l *Link
}

func (in *incoming) Deliver(ctx context.Context, list []Delivery) {
	b := in.b
	if b.hold != nil {
		select {
		case <-b.hold:
		case <-ctx.Done():
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.batches++
	for i := range list {
		if b.reject != nil {
			list[i].Err = b.reject(list[i].Message)
		}
		if list[i].Err == nil {
			b.got = append(b.got, Delivery{Format: list[i].Format, Message: append([]byte(nil), list[i].Message...)})
		}
	}
	select {
	case b.came <- struct{}{}:
	default:
	}
}

func (in *incoming) Closed() {
	in.b.mu.Lock()
	defer in.b.mu.Unlock()
	in.b.incoming--
}

func (b *broker) messages() []Delivery {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got
}

// await waits until so many messages have come.
func (b *broker) await(t testing.TB, n int) []Delivery {
	t.Helper()
	for {
		if got := b.messages(); len(got) >= n {
			return got
		}
		select {
		case <-b.came:
		case <-t.Context().Done():
			t.Fatal("the messages have not come")
		}
	}
}

type outgoing struct{ b *broker }

// Run sends what is there, and what comes afterwards.
func (o *outgoing) Run(ctx context.Context, l *Link) error {
	b := o.b
	defer func() {
		b.mu.Lock()
		b.outgoing--
		b.mu.Unlock()
	}()
	if b.run != nil {
		return b.run(ctx, l)
	}
	for next := 0; ; {
		got := b.messages()
		for ; next < len(got); next++ {
			if err := l.Send(ctx, got[next].Format, b.prefix, got[next].Message); err != nil {
				return nil
			}
		}
		l.Flush()
		changed := l.Changed()
		if l.Draining() {
			l.Drained()
		}
		select {
		case <-b.came:
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// mechanisms are those of Event Hubs.
var mechanisms = []string{"ANONYMOUS", "PLAIN", "MSSBCBS", "EXTERNAL"}

// serve listens on loopback, and checks in the end that nothing is left.
func serve(t testing.TB, b *broker, limits Limits) (*Server, string) {
	t.Helper()
	s := &Server{Handler: b, Container: "weir", Mechanisms: mechanisms, Limits: limits, Log: slog.New(slog.DiscardHandler)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	conns := 0
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			conns++
			wg.Go(func() { s.Serve(ctx, nc) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		cancel()
		wg.Wait()
		st := s.Stats()
		if st.Connections != 0 || st.Sessions != 0 || st.Links != 0 {
			t.Errorf("left at the end: %+v", st)
		}
		if b.incoming != 0 || b.outgoing != 0 || b.closed != conns {
			t.Errorf("left at the end: %d incoming, %d outgoing, %d of %d closed", b.incoming, b.outgoing, b.closed, conns)
		}
	})
	return s, fmt.Sprintf("amqp://%s", ln.Addr())
}
