package amqp

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
)

// Server serves connections. Its fields are set before the first of them.
type Server struct {
	Handler   Handler
	Container string // container-id that clients see
	// Mechanisms of SASL that are offered, in the order of preference.
	Mechanisms []string
	Limits     Limits
	Log        *slog.Logger // slog.Default() if nil

	once   sync.Once
	limits Limits // with the defaults
	log    *slog.Logger
	stats  counters
	// buffers are read and write buffers of a frame or more; *[]byte.
	buffers  sync.Pool
	batches  sync.Pool    // of *batch
	messages sync.Pool    // of *[]byte
	pending  atomic.Int64 // bytes of messages of all connections that have come and are not taken
}

// Stats are the figures of a server: the first three are of now, the others since it began.
type Stats struct {
	Connections, Sessions, Links           int64
	FramesIn, FramesOut, BytesIn, BytesOut int64
	// Refused counts connections that were not let in or were cut, by reason: one of Reasons.
	Refused map[string]int64
}

// Reasons are why connections are refused or cut.
var Reasons = []string{
	"header",    // no AMQP 1.0, or no SASL before it
	"handshake", // not done within Limits.Handshake
	"auth",      // the handler did not accept the response
	"protocol",  // malformed frames and what the protocol forbids
	"limit",     // a limit of memory
	"idle",      // silent for longer than Limits.Idle allows
	"slow",      // did not take what was written for Limits.Write, or stood for Limits.Stall
	"forced",    // closed by the handler or by the end of the server
}

type reason int

const (
	reasonNone reason = iota - 1 // the network's doing, or the client's good right
	reasonHeader
	reasonHandshake
	reasonAuth
	reasonProtocol
	reasonLimit
	reasonIdle
	reasonSlow
	reasonForced
	reasonCount
)

type counters struct {
	conns, sessions, links                 atomic.Int64
	framesIn, framesOut, bytesIn, bytesOut atomic.Int64
	refused                                [reasonCount]atomic.Int64
}

// Stats returns the figures.
func (s *Server) Stats() Stats {
	n := &s.stats
	st := Stats{
		Connections: n.conns.Load(), Sessions: n.sessions.Load(), Links: n.links.Load(),
		FramesIn: n.framesIn.Load(), FramesOut: n.framesOut.Load(),
		BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(),
		Refused: make(map[string]int64, reasonCount),
	}
	for i, name := range Reasons {
		st.Refused[name] = n.refused[i].Load()
	}
	return st
}

func (s *Server) init() {
	s.once.Do(func() {
		s.limits = s.Limits.withDefaults()
		if s.log = s.Log; s.log == nil {
			s.log = slog.Default()
		}
	})
}

// buffer gets a buffer that a frame fits into; give brings it back.
func (s *Server) buffer() []byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, max(s.limits.MaxFrame, DefaultMaxFrame))
}

func (s *Server) give(b []byte) {
	if size := max(s.limits.MaxFrame, DefaultMaxFrame); cap(b) >= size && cap(b) <= 8*size {
		s.buffers.Put(&b)
	}
}

// Serve serves a connection until it ends or ctx does, and closes it. TLS and WebSockets have
// been taken off by the caller. It returns after the goroutines of the connection have ended;
// nil if the client said goodbye, else why the connection is no more.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error {
	s.init()
	s.stats.conns.Add(1)
	defer s.stats.conns.Add(-1)
	c := newConn(ctx, s, nc)
	defer c.cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		c.abort(reasonForced, &Error{Condition: ConnectionForced, Description: "the server shuts down"})
	})
	defer stop()
	err := c.handshake()
	if err == nil {
		err = c.readFrames()
	}
	return c.end(err)
}
