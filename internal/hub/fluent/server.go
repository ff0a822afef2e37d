package fluent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/hub"
)

// Options of a server. Zero values are the defaults.
type Options struct {
	Broker *hub.Broker
	// Hub takes the events of all tags but those of Tags; "" refuses them.
	Hub  string
	Tags []Route
	// Key says what the partition key of an event is: "" is none, and the events of a chunk
	// stay together; KeyTag is the tag; anything else is the field of the record of that name, and
	// none if the record has none, or one of more than hub.MaxKey bytes.
	Key string
	// IncludeTag and IncludeTime are names of fields that the tag and the time (seconds since
	// 1970) are written to, besides the properties; "" leaves them out.
	IncludeTag, IncludeTime string
	// SharedKey is what clients must know. Without one, only clients on this machine are
	// served. Users, name by password, are asked for in addition if there are any.
	SharedKey string
	Users     map[string]string
	Hostname  string // what clients are told; "weir"

	Limits Limits
	Log    *slog.Logger
	Now    func() time.Time
}

// KeyTag is the Options.Key for which the tag of an event is its partition key.
const KeyTag = "$tag"

// Route leads tags to a hub: the tag that is its prefix, and those that go on with a period
// behind it. The longest one counts.
type Route struct{ Prefix, Hub string }

// Limits are what a server bounds. Zero values are the defaults.
type Limits struct {
	// Connections bounds the connections; more are closed at once and counted in
	// Stats.Refused.
	Connections int // 1,000
	// HandshakeBytes bounds the messages of a client that has not shown its key, and
	// HandshakeTime is how long that may take.
	HandshakeBytes int           // 16 KiB
	HandshakeTime  time.Duration // 10 s
	// ChunkBytes bounds a message as it is sent, EventBytes an event within a compressed one,
	// UnpackedBytes all that a compressed one unpacks to.
	ChunkBytes    int // 64 MiB
	EventBytes    int // 4 MiB
	UnpackedBytes int // 256 MiB
	// BufferedBytes bounds what all connections together have received of messages that are
	// not yet whole; the one that goes over it is closed.
	BufferedBytes int // 128 MiB
	// StallTime is how long a client may take to send a message, besides a second for each 8 KiB
	// of it, and how long to receive an acknowledgement.
	StallTime time.Duration // 10 s
	// Chunks are how many ids of chunks are remembered, so that one that comes again is kept
	// once.
	Chunks int // 65,536
}

func (l *Limits) complete() {
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.Connections, 1000}, {&l.HandshakeBytes, 16 << 10}, {&l.ChunkBytes, 64 << 20}, {&l.EventBytes, 4 << 20},
		{&l.UnpackedBytes, 256 << 20}, {&l.BufferedBytes, 128 << 20}, {&l.Chunks, 1 << 16}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if l.HandshakeTime <= 0 {
		l.HandshakeTime = 10 * time.Second
	}
	if l.StallTime <= 0 {
		l.StallTime = 10 * time.Second
	}
}

// Stats counts since the server was made; Connections is now.
type Stats struct {
	Connections int64
	Refused     int64 // connections turned away: too many, no key, a wrong key
	Chunks      int64 // messages with events that were stored
	Events      int64 // appended
	Repeated    int64 // chunks that had been stored before
	Bad         int64 // messages that could not be read; their connections were closed
	Failed      int64 // chunks that could not be appended; their connections were closed
	Unacked     int64 // of Bad and Failed, those whose client had not asked for an acknowledgement, and so may not send them again
	TooLarge    int64 // events left out because a hub does not take them
	Overflow    int64 // connections closed because of Limits.BufferedBytes
}

type counters struct {
	connections, refused, chunks, events, repeated, bad, failed, unacked, tooLarge, overflow atomic.Int64
}

// Server speaks the forward protocol with clients. Any number of goroutines may use it.
type Server struct {
	o      Options
	log    *slog.Logger
	now    func() time.Time
	n      counters
	chunks *window
	rooms  chan *room
	held   atomic.Int64 // bytes of messages that are not yet whole
	live   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	open   map[net.Conn]struct{}
	closed bool
}

// New makes a server, which has nothing running until Serve.
func New(o Options) *Server {
	o.Limits.complete()
	if o.Hostname == "" {
		o.Hostname = "weir"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, log: o.Log, now: o.Now, chunks: newWindow(), open: map[net.Conn]struct{}{}, rooms: make(chan *room, max(8, 2*runtime.GOMAXPROCS(0)))}
	for range cap(s.rooms) {
		s.rooms <- &room{}
	}
	return s
}

// Stats are the counters.
func (s *Server) Stats() Stats {
	n := &s.n
	return Stats{
		Connections: n.connections.Load(), Refused: n.refused.Load(), Chunks: n.chunks.Load(), Events: n.events.Load(), Repeated: n.repeated.Load(),
		Bad: n.bad.Load(), Failed: n.failed.Load(), Unacked: n.unacked.Load(), TooLarge: n.tooLarge.Load(), Overflow: n.overflow.Load(),
	}
}

// The reasons of Serve for a connection that was not served.
var (
	ErrTooMany = errors.New("too many forward connections")
	ErrClosed  = errors.New("the forward server is closed")
	// ErrNoKey: the client is on another machine, and there is no shared key that it could
	// show.
	ErrNoKey = errors.New("clients on other machines need a shared key, and the hub has none")
	// ErrUnauthorized: the client has shown a wrong key, user name or password.
	ErrUnauthorized = errors.New("wrong shared key, user name or password")
)

// Serve takes the events of a client until its connection or ctx ends, closes the connection
// and says why it ended; nil is the client's wish.
func (s *Server) Serve(ctx context.Context, c net.Conn) error {
	defer c.Close()
	if err := s.enter(c); err != nil {
		s.n.refused.Add(1)
		return err
	}
	defer s.leave(c)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	p := &peer{s: s, c: c, limit: s.o.Limits.ChunkBytes}
	defer p.free()
	if s.o.SharedKey != "" || len(s.o.Users) > 0 {
		if err := p.handshake(); err != nil {
			s.n.refused.Add(1)
			s.log.Warn("a forward client is refused", "remote", c.RemoteAddr().String(), "error", err)
			return err
		}
	} else if !isLocal(c.RemoteAddr()) {
		s.n.refused.Add(1)
		s.log.Warn("a forward client is refused", "remote", c.RemoteAddr().String(), "error", ErrNoKey)
		return ErrNoKey
	}
	return p.run(ctx)
}

// isLocal reports whether a client is on this machine.
func isLocal(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

func (s *Server) enter(c net.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if len(s.open) >= s.o.Limits.Connections {
		return fmt.Errorf("%w: %d is the most", ErrTooMany, s.o.Limits.Connections)
	}
	s.open[c] = struct{}{}
	s.n.connections.Add(1)
	s.live.Add(1)
	return nil
}

func (s *Server) leave(c net.Conn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.n.connections.Add(-1)
	s.live.Done()
}

// Close ends all connections and waits until they have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.live.Wait()
}
