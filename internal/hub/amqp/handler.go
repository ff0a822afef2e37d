package amqp

import "context"

// Handler is what stands behind a server. Its methods are called on the goroutine of the
// connection and must not wait.
type Handler interface {
	// Authenticate checks the response of a SASL mechanism that the server offers; an error
	// refuses the connection (outcome "auth"). The response is valid until it returns.
	Authenticate(c *Conn, mechanism string, response []byte) error
	// Incoming is asked when a client wants to send to Link.Target, Outgoing when it wants to
	// receive from Link.Source. They may fill in the fields of Link that are for the answer.
	// An error refuses the link; an *Error with its condition and description.
	Incoming(l *Link) (Incoming, error)
	Outgoing(l *Link) (Outgoing, error)
	// Closed is told once, after the links of the connection have ended; also of a connection
	// that was not let in.
	Closed(c *Conn)
}

// Incoming takes what a client sends over a link. Its methods are called on a goroutine of
// the link's own, one at a time.
type Incoming interface {
	// Deliver takes the messages that have come, in order, and sets Err of those that it does
	// not take. They are valid until it returns; then the client is told. ctx is that of the
	// link, which does not end before all has been delivered that came before the client's
	// detach, end or close.
	Deliver(ctx context.Context, list []Delivery)
	// Closed is told once, when the link has ended, after the last Deliver.
	Closed()
}

// Outgoing brings a client what it receives over a link.
type Outgoing interface {
	// Run sends until ctx ends, which it does with the link. It is called on a goroutine of its
	// own. Before it waits it calls Link.Flush, and Link.Drained if Link.Draining. A return
	// detaches the link, with the error if there is one.
	Run(ctx context.Context, l *Link) error
}

// Delivery is a message that a client has sent.
type Delivery struct {
	Format  uint32 // message-format of the transfer
	Message []byte // encoded sections
	Err     error  // set by Deliver: why it is rejected; an *Error as it is
}

// Terminus is the source or target of a link, as the client gave it.
type Terminus struct {
	Address      string
	Dynamic      bool
	Filters      []Filter
	Capabilities []string
}

// Filter is an entry of a source's filter set.
type Filter struct {
	Name       string // the key
	Descriptor any    // Symbol or uint64; nil if the value is not described
	Value      any
}

// Error is an error of the protocol (amqp-core 2.8.14): what the peer is told.
type Error struct {
	Condition   string // amqp:not-found, com.microsoft:server-busy ...
	Description string
	Info        []Pair // nil is no map
}

// Error is the condition and the description.
func (e *Error) Error() string { return e.Condition + ": " + e.Description }

// Pair is an entry of a map whose keys are symbols or texts.
type Pair struct {
	Key   string
	Value any
}
