package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"weir/internal/hub"
	"weir/internal/hub/eventhubs"
	"weir/internal/hub/rest"
)

// Protocol talks to the clients of a port.
type Protocol interface {
	// Serve talks to one client until it has left or ctx ends, and closes conn. When ctx ends
	// the server does: the client is told in the words of the protocol, if it has some. What
	// is still open at the deadline of the server is closed by it. The error is for the log;
	// nil says that the client has left in good order. A conn over TLS has the method
	// ConnectionState of *tls.Conn.
	Serve(ctx context.Context, conn net.Conn) error
}

// The defaults of Options.
const (
	DefaultMaxConnections = 20_000
	DefaultMaxPerAddress  = 2_000
	DefaultHandshakeTime  = 5 * time.Second
	DefaultDrain          = 5 * time.Second
	DefaultForwardHub     = "fluentd"
)

// Options of a server. Zero values are the defaults.
type Options struct {
	Broker *hub.Broker
	// Where each protocol is answered.
	AMQP, HTTPS, Kafka, MQTT, Forward Ports
	// Certificates, if set, take TLS; without them only plain connections come in.
	Certificates *Certificates
	// AllowPlain lets other machines in without TLS.
	AllowPlain bool
	// KafkaAdvertise is the host:port that Kafka clients are told to connect to; by default the
	// one that they have connected to.
	KafkaAdvertise string
	// DeviceHub is the hub of MQTT devices that name none; mqtt.DefaultHub.
	DeviceHub string
	// ForwardHub is the hub of what comes by forward; DefaultForwardHub. ForwardKey is the
	// shared key of its clients; without one only this machine is served.
	ForwardHub string
	ForwardKey string
	// MaxConnections bounds the connections of a port, MaxPerAddress those of another machine
	// on all ports, or of a network of 64 bits of IPv6. Connections of this machine are bounded by MaxConnections only.
	MaxConnections int // DefaultMaxConnections
	MaxPerAddress  int // DefaultMaxPerAddress
	// HandshakeTime is how long a client may take for the first byte and for TLS, and then for
	// what its protocol begins with.
	HandshakeTime time.Duration // DefaultHandshakeTime
	// Drain is how long connections may take to end when the server does.
	Drain time.Duration // DefaultDrain
	// Hosts are the names that the server goes by; HTTP requests that are let in without a
	// token must ask for one of them, localhost or an address.
	Hosts []string
	Log   *slog.Logger
	Now   func() time.Time
}

// Server answers on the ports of the broker.
type Server struct {
	o     Options
	log   *slog.Logger
	rest  *rest.Handler
	amqp  *eventhubs.Server
	web   *webServer
	ports []*port
	stats stats
	// handlers are the protocols that are there; closers close them when their connections
	// have ended.
	handlers map[string]handler
	closers  []func()
	clients  clients

	ctx    context.Context // of connections
	cancel context.CancelFunc
	accept sync.WaitGroup // goroutines that accept
	served sync.WaitGroup // connections

	mu        sync.Mutex // guards what follows
	conns     map[*counted]struct{}
	addresses map[netip.Addr]int
	closed    bool
}

// Start opens the ports and answers on them until Close. A port that was asked for and cannot
// be opened is an error, and then none is open; a default one that another program has is
// logged and left out.
func Start(o Options) (*Server, error) {
	s := prepare(o)
	if err := s.wire(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

// prepare makes a server without protocols.
func prepare(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	if o.MaxPerAddress <= 0 {
		o.MaxPerAddress = DefaultMaxPerAddress
	}
	if o.HandshakeTime <= 0 {
		o.HandshakeTime = DefaultHandshakeTime
	}
	if o.Drain <= 0 {
		o.Drain = DefaultDrain
	}
	if o.ForwardHub == "" {
		o.ForwardHub = DefaultForwardHub
	}
	s := &Server{o: o, log: o.Log, conns: map[*counted]struct{}{}, addresses: map[netip.Addr]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// start opens the ports.
func (s *Server) start() error {
	if err := s.open(); err != nil {
		for _, p := range s.ports {
			err = errors.Join(err, p.listener.Close())
		}
		s.cancel()
		for _, f := range s.closers {
			f()
		}
		return err
	}
	s.web.start(s.ctx)
	for _, p := range s.ports {
		s.accept.Go(func() { s.acceptFrom(p) })
	}
	return nil
}

// atClose has a protocol closed with the server.
func (s *Server) atClose(f func()) { s.closers = append(s.closers, f) }

// Address is a port that is open.
type Address struct {
	Protocol string // amqp, https, kafka, mqtt or forward
	Address  string // host:port
}

// Addresses are the ports that are open, in the order of the protocols.
func (s *Server) Addresses() []Address {
	list := make([]Address, 0, len(s.ports))
	for _, p := range s.ports {
		list = append(list, Address{p.protocol, p.listener.Addr().String()})
	}
	return list
}

// Close lets nobody in any more, gives connections the time of Options.Drain to end, closes
// those that are left, and returns when all have ended. The broker is not closed.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	var err error
	for _, p := range s.ports {
		err = errors.Join(err, p.listener.Close())
	}
	s.accept.Wait()
	deadline, stop := context.WithTimeout(context.Background(), s.o.Drain)
	defer stop()
	s.cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.web.stop(deadline)
		s.served.Wait()
		for _, f := range s.closers {
			f()
		}
	}()
	select {
	case <-ended:
		return err
	case <-deadline.Done():
	}
	s.mu.Lock()
	left := len(s.conns)
	for c := range s.conns {
		_ = c.Conn.Close() // its owner sees it and closes it too
	}
	s.mu.Unlock()
	if left > 0 {
		s.log.Info("connections were closed that had not ended in time", "connections", left)
	}
	<-ended
	return err
}

// handler is what a port does with a connection, by what its clients begin with.
type handler struct {
	protocol Protocol // nil: HTTP only
	http     bool     // requests of HTTP come in too
	secure   []byte   // what tells a client of plain text that TLS is needed; may be nil
}

// webServer is the HTTP server behind all ports: its connections come from them.
type webServer struct {
	server *http.Server
	conns  chan net.Conn
	done   chan struct{} // closed when no more connections are taken
	once   sync.Once
	served chan struct{}
}

// The limits of HTTP.
const (
	idleTime       = 2 * time.Minute
	answerTime     = time.Minute
	maxHeaderBytes = 32 << 10
)

func newWebServer(head time.Duration, h http.Handler, log *slog.Logger) *webServer {
	w := &webServer{conns: make(chan net.Conn), done: make(chan struct{}), served: make(chan struct{})}
	w.server = &http.Server{Handler: h, ReadHeaderTimeout: head, IdleTimeout: idleTime, WriteTimeout: answerTime, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	return w
}

func (w *webServer) start(ctx context.Context) {
	w.server.BaseContext = func(net.Listener) context.Context { return ctx }
	go func() {
		defer close(w.served)
		_ = w.server.Serve(w) // it ends by stop only
	}()
}

// stop waits for the requests that are under way, until ctx ends.
func (w *webServer) stop(ctx context.Context) {
	if err := w.server.Shutdown(ctx); err != nil {
		_ = w.server.Close()
	}
	<-w.served
}

// give hands a connection over; it is closed if the server has ended.
func (w *webServer) give(c net.Conn) {
	select {
	case w.conns <- c:
	case <-w.done:
		_ = c.Close()
	}
}

// Accept gives the next connection to the HTTP server.
func (w *webServer) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (w *webServer) Close() error {
	w.once.Do(func() { close(w.done) })
	return nil
}

// Addr is no address: connections come from many.
func (w *webServer) Addr() net.Addr { return &net.TCPAddr{} }

// inUse says that a port is another program's, and what to do.
func inUse(name, flag, address string, err error) error {
	return fmt.Errorf("%s cannot be answered on %s: %w; give another address with --%s, or --%s off", name, address, err, flag, flag)
}
