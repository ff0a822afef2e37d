package amqp

import "time"

// Limits bound what a client can make a server hold or wait for. A zero is the default.
type Limits struct {
	MaxFrame    int    // bytes of a frame, both ways; DefaultMaxFrame
	Sessions    int    // of a connection: some clients begin one for each link; DefaultSessions
	Links       int    // of a session; DefaultLinks
	MessageSize int    // bytes of a message; DefaultMessageSize
	Response    int    // bytes of a frame of SASL; DefaultResponse
	Credit      uint32 // messages that a client may have on its way to us on a link; DefaultCredit

	// LinkPending is how many bytes of messages a link holds that its Incoming has not taken;
	// beyond that the client gets no new credit. ConnPending is that of all links of a
	// connection, with messages of which only a part has come: beyond that nothing is read.
	LinkPending int // DefaultLinkPending
	ConnPending int // DefaultConnPending
	// ConnState is how many bytes the sessions and links of a connection hold, with their names
	// and properties. A link beyond it is refused, a session closes the connection.
	ConnState int // DefaultConnState
	// Stranger bounds messages, sessions and links, and replies, each in bytes, of a client that
	// the handler does not know yet: see Conn.Stranger.
	Stranger int // DefaultStranger
	// AllPending bounds the messages that have come and are not taken of all connections
	// together, in bytes. When there are more, a connection may hold no more than a stranger.
	AllPending int // DefaultAllPending
	// IncomingWindow is how many transfers a client may send on a session before it hears of
	// us, OutgoingWindow what we tell it of ours.
	IncomingWindow uint32 // DefaultWindow
	OutgoingWindow uint32 // DefaultWindow
	// WriteBuffer is how many bytes wait to be written before Send waits; ReplyBuffer how many
	// before nothing more is read, since what is read asks for replies.
	WriteBuffer int // DefaultWriteBuffer
	ReplyBuffer int // DefaultReplyBuffer

	Handshake time.Duration // from the connection to the end of its open; DefaultHandshake
	Idle      time.Duration // idle-time-out of ours; a client silent for two of it is cut; DefaultIdle
	MinIdle   time.Duration // a shorter idle-time-out of a client is taken as this; DefaultMinIdle
	Write     time.Duration // a client that takes no frame's worth of bytes in that time is cut; DefaultWrite
	Stall     time.Duration // how long reading may stand still; DefaultStall
	Close     time.Duration // how long the end of a connection is waited for; DefaultClose
}

// The defaults of Limits.
const (
	DefaultMaxFrame    = 64 << 10
	DefaultSessions    = 2048
	DefaultLinks       = 255
	DefaultMessageSize = 1 << 20
	DefaultResponse    = 2 << 10
	DefaultCredit      = 300
	DefaultLinkPending = 4 << 20
	DefaultConnPending = 32 << 20
	DefaultConnState   = 8 << 20
	DefaultStranger    = 64 << 10
	DefaultAllPending  = 256 << 20
	DefaultWindow      = 5000
	DefaultWriteBuffer = 256 << 10
	DefaultReplyBuffer = 1 << 20

	DefaultHandshake = 5 * time.Second
	DefaultIdle      = 2 * time.Minute
	DefaultMinIdle   = time.Second
	DefaultWrite     = 30 * time.Second
	DefaultStall     = time.Minute
	DefaultClose     = 2 * time.Second
)

// maxOpen is the bytes of the largest open that is taken. Sizes are not agreed on before it,
// and clients have much to say of themselves; yet nobody knows them.
const maxOpen = 8 << 10

// What a session and a link hold beside what the client said of them, in bytes: about, with
// the stack of a goroutine.
const (
	sessionState = 1 << 10
	linkState    = 4 << 10
)

// minMaxFrame is the smallest frame size that a peer may ask for (amqp-core 2.7.1).
const minMaxFrame = 512

func (l Limits) withDefaults() Limits {
	or(&l.MaxFrame, DefaultMaxFrame)
	or(&l.Sessions, DefaultSessions)
	or(&l.Links, DefaultLinks)
	or(&l.MessageSize, DefaultMessageSize)
	or(&l.Response, DefaultResponse)
	or(&l.Credit, DefaultCredit)
	or(&l.LinkPending, DefaultLinkPending)
	or(&l.ConnPending, DefaultConnPending)
	or(&l.ConnState, DefaultConnState)
	or(&l.Stranger, DefaultStranger)
	or(&l.AllPending, DefaultAllPending)
	or(&l.IncomingWindow, DefaultWindow)
	or(&l.OutgoingWindow, DefaultWindow)
	or(&l.WriteBuffer, DefaultWriteBuffer)
	or(&l.ReplyBuffer, DefaultReplyBuffer)
	or(&l.Handshake, DefaultHandshake)
	or(&l.Idle, DefaultIdle)
	or(&l.MinIdle, DefaultMinIdle)
	or(&l.Write, DefaultWrite)
	or(&l.Stall, DefaultStall)
	or(&l.Close, DefaultClose)
	l.MaxFrame = max(l.MaxFrame, minMaxFrame)
	l.Sessions = min(l.Sessions, 1<<16)
	return l
}

func or[T int | uint32 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
