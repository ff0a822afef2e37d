package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"weir/internal/hub"
)

// Options of a server. Broker must be set; zero values of the others are the defaults.
type Options struct {
	Broker *hub.Broker
	Limits Limits
	// Advertise is the host:port that clients are told to connect to, AdvertiseTLS the one for
	// those that have come over TLS. By default it is where they have connected to: the name
	// that TLS carries (SNI), or the address.
	Advertise    string
	AdvertiseTLS string
	// AllowAnonymous lets clients of this machine's loopback address in without a password,
	// with all rights.
	AllowAnonymous bool
	// AutoCreate makes a topic when a client with the right Manage asks for one that is not
	// there.
	AutoCreate bool
	Log        *slog.Logger
	Now        func() time.Time
}

// Server serves connections of Kafka clients. Any number of goroutines may use it.
type Server struct {
	o      Options
	l      Limits
	log    *slog.Logger
	now    func() time.Time
	broker *hub.Broker
	groups *coordinator
	in     memory
	out    memory
	spare  memory // of small answers when out is all taken
	squash memory // of batches that are being decompressed
	count  counters
	open   openReaders
	// plain and secure are the parts of Options.Advertise and AdvertiseTLS.
	plain, secure *address

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[*conn]struct{}
	ids    map[[16]byte]string // names of hubs by their topic IDs, as last seen
	done   sync.WaitGroup      // of Serve
}

// address is where clients are told to connect.
type address struct {
	host string
	port int32
}

// New makes a server. An error says that an address to advertise is not one.
func New(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, l: o.Limits.withDefaults(), log: o.Log, now: o.Now, broker: o.Broker, conns: map[*conn]struct{}{}}
	var err error
	if s.plain, err = parseAddress(o.Advertise); err != nil {
		return nil, err
	}
	if s.secure, err = parseAddress(o.AdvertiseTLS); err != nil {
		return nil, err
	}
	message, _ := o.Broker.Limits()
	s.l.OutMemory = max(s.l.OutMemory, share*int64(s.l.Fetch+recordRoom+message)) // one answer must always fit
	s.in.size, s.out.size = s.l.InMemory, s.l.OutMemory
	s.spare.size = max(s.l.OutMemory/2, int64(spareFetch+recordRoom+message))
	s.open.limit = int64(s.l.AllReaders)
	s.squash.size = 4 * int64(s.l.Inflated)
	s.groups = newCoordinator(s.l, o.Now, &s.count)
	return s, nil
}

func parseAddress(a string) (*address, error) {
	if a == "" {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return nil, fmt.Errorf("the address %q that Kafka clients shall be told: %w", a, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || n == 0 {
		return nil, fmt.Errorf("the address %q that Kafka clients shall be told is not host:port", a)
	}
	return &address{host, int32(n)}, nil
}

// ErrServerClosed: the server has been closed.
var ErrServerClosed = errors.New("the server is closed")

// errTooMany refuses a connection.
var errTooMany = errors.New("too many connections of Kafka clients")

// Serve serves a connection until its client leaves, does what it must not, or ctx ends, and
// closes it. When ctx ends, requests that have come are still answered. The error is for the
// log; it is nil if the client has left.
func (s *Server) Serve(ctx context.Context, nc net.Conn) error {
	defer nc.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := newConn(s, nc, cancel)
	if err := s.admit(c); err != nil {
		s.count.refused.Add(1)
		return fmt.Errorf("a Kafka client was refused: %w", err)
	}
	defer s.release(c)
	// What was begun is still ended and answered.
	stop := context.AfterFunc(ctx, c.stopReading)
	defer stop()
	err := c.serve(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err = s.judge(err); err != nil && c.software != "" {
		return fmt.Errorf("%s: %w", c.software, err)
	}
	return err
}

func (s *Server) admit(c *conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	if len(s.conns) >= s.l.Connections {
		return fmt.Errorf("%w: %d is the most", errTooMany, s.l.Connections)
	}
	s.conns[c] = struct{}{}
	s.done.Add(1)
	s.count.connections.Add(1)
	s.count.opened.Add(1)
	return nil
}

func (s *Server) release(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.count.connections.Add(-1)
	s.done.Done()
}

// judge counts why a connection has ended; nil if that was the client's will.
func (s *Server) judge(err error) error {
	var bad *badRequest
	var ne net.Error
	switch {
	case errors.Is(err, ErrServerClosed):
	case errors.As(err, &bad):
		s.count.malformed.Add(1)
	case errors.As(err, &ne) && ne.Timeout():
		s.count.stalled.Add(1)
		return fmt.Errorf("the client took too long: %w", err)
	case errors.Is(err, errIdle), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe), errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &ne):
		return nil // the client went away in the middle of something
	}
	return err
}

// Close ends all connections and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.cancel(ErrServerClosed)
	}
	s.mu.Unlock()
	s.done.Wait()
	s.groups.close()
	return nil
}

// Stats are the counts of now.
func (s *Server) Stats() Stats {
	c := &s.count
	groups, members := s.groups.size()
	return Stats{
		Connections: c.connections.Load(), Opened: c.opened.Load(), Refused: c.refused.Load(),
		Failed: c.failed.Load(), Malformed: c.malformed.Load(), Stalled: c.stalled.Load(),
		Requests: c.requests.Load(), RecordsIn: c.recordsIn.Load(), BytesIn: c.bytesIn.Load(),
		RecordsOut: c.recordsOut.Load(), BytesOut: c.bytesOut.Load(), Rejected: c.rejected.Load(),
		Duplicates: c.duplicates.Load(), Groups: int64(groups), Members: int64(members),
		Rebalances: c.rebalances.Load(), InMemory: s.in.inUse() + s.squash.inUse(), OutMemory: s.out.inUse() + s.spare.inUse(),
	}
}

// advertised is the address that the clients of a connection are told.
func (s *Server) advertised(c *conn) address {
	a := s.plain
	if c.tls && s.secure != nil {
		a = s.secure
	}
	if a != nil {
		return *a
	}
	host, port, err := net.SplitHostPort(c.nc.LocalAddr().String())
	if err != nil {
		return address{c.nc.LocalAddr().String(), 0}
	}
	if t, ok := c.nc.(secured); ok {
		if name := t.ConnectionState().ServerName; name != "" {
			host = name // its certificate has this name, and may not have the address
		}
	}
	n, _ := strconv.ParseUint(port, 10, 16) // 0 for what is no port
	return address{host, int32(n)}
}

// secured is a connection over TLS.
type secured interface{ ConnectionState() tls.ConnectionState }

// isTLS reports whether a connection is encrypted.
func isTLS(nc net.Conn) bool {
	_, ok := nc.(secured)
	return ok
}

// isLoopback reports whether a connection comes from this machine.
func isLoopback(nc net.Conn) bool {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return nc.RemoteAddr().Network() == "pipe"
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
