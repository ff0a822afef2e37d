package amqp

// Link is a link as the server sees it.
type Link struct {
	Name string
	Conn *Conn
	// What the client gave.
	Source, Target Terminus
	Properties     []Pair
	Desired        []string // capabilities
	// For the answer, set by the handler while it is asked.
	MaxMessage uint64   // bytes of a message; the server's limit by default
	Offered    []string // capabilities
	Reply      []Pair   // properties
}

// Conn is a connection of a client.
type Conn struct {
	// State is the handler's own.
	State any
}
