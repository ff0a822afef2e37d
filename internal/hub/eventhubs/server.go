package eventhubs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// Options of a server. Zero values are the defaults.
type Options struct {
	Broker *hub.Broker
	// Limits are those of the protocol.
	Limits amqp.Limits
	// SignIn is how long a client may take until its first token that is good; then its
	// connection is closed. A key (SASL PLAIN) comes before that.
	SignIn time.Duration // DefaultSignIn
	Log    *slog.Logger
	Now    func() time.Time
}

// DefaultSignIn is the default of Options.SignIn.
const DefaultSignIn = time.Minute

// Server speaks AMQP for a broker. Any number of goroutines may use it.
type Server struct {
	broker    *hub.Broker
	log       *slog.Logger
	now       func() time.Time
	signIn    time.Duration
	engine    *amqp.Server
	readers   readers
	producers producers
	counts    counters
}

// mechanisms are the ways to sign in that are offered. Clients of .NET ask for MSSBCBS, which
// is ANONYMOUS by another name: what counts are the tokens that follow (eventhubs.md 1.1,
// item 2).
var mechanisms = []string{"ANONYMOUS", "PLAIN", "EXTERNAL", "MSSBCBS"}

// New makes a server for a broker.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SignIn <= 0 {
		o.SignIn = DefaultSignIn
	}
	s := &Server{broker: o.Broker, log: o.Log, now: o.Now, signIn: o.SignIn}
	s.counts.init()
	s.engine = &amqp.Server{Handler: handler{s}, Container: o.Broker.Namespace(), Mechanisms: mechanisms, Limits: o.Limits, Log: o.Log}
	return s
}

// Serve talks to one client until it has left or ctx ends, and closes nc.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error { return s.engine.Serve(ctx, nc) }

// handler is the server as the protocol sees it.
type handler struct{ s *Server }

// Authenticate takes the key of PLAIN. The other mechanisms prove nothing and need not.
func (h handler) Authenticate(c *amqp.Conn, mechanism string, response []byte) error {
	state := h.s.conn(c)
	if mechanism != "PLAIN" {
		state.awaitToken()
		return nil
	}
	// RFC 4616: authorization identity, authentication identity, password.
	parts := bytes.SplitN(response, []byte{0}, 3)
	if len(parts) != 3 {
		return fmt.Errorf("%w: the response of PLAIN has not the three parts it should", hub.ErrUnauthorized)
	}
	g, err := h.s.broker.Password(string(parts[1]), string(parts[2]))
	if err != nil {
		return err
	}
	state.mu.Lock()
	defer state.mu.Unlock()
	state.claims.key = &g
	return nil
}

// Incoming opens a sender of a client, or the half of a node that takes requests.
func (h handler) Incoming(l *amqp.Link) (amqp.Incoming, error) {
	in, err := h.incoming(l)
	h.s.counts.refuse(err)
	return in, err
}

func (h handler) incoming(l *amqp.Link) (amqp.Incoming, error) {
	a, err := parseAddress(l.Target.Address)
	if err != nil {
		return nil, err
	}
	c := h.s.conn(l.Conn)
	switch {
	case a.node != "":
		// Requests are looked at one by one: the SDK of Java opens the links to $management
		// before its first token.
		return &requests{c: c, node: a.node, link: l}, nil
	case a.group != "":
		return nil, &amqp.Error{Condition: condNotAllowed, Description: "A consumer group is read from and not sent to."}
	}
	return c.openSender(l, a)
}

// Outgoing opens a receiver of a client, or the half of a node that answers.
func (h handler) Outgoing(l *amqp.Link) (amqp.Outgoing, error) {
	out, err := h.outgoing(l)
	h.s.counts.refuse(err)
	return out, err
}

func (h handler) outgoing(l *amqp.Link) (amqp.Outgoing, error) {
	a, err := parseAddress(l.Source.Address)
	if err != nil {
		return nil, err
	}
	c := h.s.conn(l.Conn)
	switch {
	case a.node != "":
		return c.openReplies(l, a.node)
	case a.group == "":
		return nil, notFound(l.Source.Address)
	}
	return c.openReceiver(l, a)
}

// Closed stops what the connection has of its own.
func (h handler) Closed(c *amqp.Conn) { h.s.conn(c).close() }

// conn is our side of a connection. It is called on the connection's goroutine.
func (s *Server) conn(c *amqp.Conn) *conn {
	if state, ok := c.State.(*conn); ok {
		return state
	}
	state := &conn{s: s, amqp: c, links: map[*grantedLink]struct{}{}}
	c.State = state
	return state
}
