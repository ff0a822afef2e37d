package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
)

// Options of a server. Zero values are the defaults.
type Options struct {
	Broker *hub.Broker
	// Hub is where devices send to when the first label of the host in their user name is not
	// the name of a hub. It need not exist; then such devices are turned away.
	Hub    string // DefaultHub
	Limits Limits
	Log    *slog.Logger
	Now    func() time.Time
}

// DefaultHub is the hub of devices.
const DefaultHub = "iothub"

// Limits are what a server bounds. Zero values are the defaults.
type Limits struct {
	// Connections bounds the connections, signed in or not. More are closed at once and
	// counted in Stats.Refused.
	Connections int // 10,000
	// ConnectBytes bounds the first packet, and ConnectTime is how long it may take.
	ConnectBytes int           // 64 KiB
	ConnectTime  time.Duration // 10 s
	// WriteTime is how long a client may take to receive what is written to it; then it is
	// disconnected and counted in Stats.Slow.
	WriteTime time.Duration // 10 s
	// QueueBytes bounds the messages of a connection that wait for the log; reading from it
	// pauses meanwhile.
	QueueBytes int // 1 MiB
	// Subscriptions bounds the hubs that all connections watch together; more are refused.
	Subscriptions int // 1,000
	// Window bounds the messages with QoS 1 that a subscriber has not acknowledged.
	Window int // 256
}

func (l *Limits) complete() {
	for _, d := range []struct {
		v   *int
		def int
	}{{&l.Connections, 10_000}, {&l.ConnectBytes, 64 << 10}, {&l.QueueBytes, 1 << 20}, {&l.Subscriptions, 1000}, {&l.Window, 256}} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if l.ConnectTime <= 0 {
		l.ConnectTime = 10 * time.Second
	}
	if l.WriteTime <= 0 {
		l.WriteTime = 10 * time.Second
	}
}

// overhead is what a packet may have besides the body of its event: topic and properties, in
// bytes.
const overhead = 128 << 10

// Stats counts since the server was made; Connections and Subscriptions are now.
type Stats struct {
	Connections   int64
	Accepted      int64 // connections that have signed in
	Refused       int64 // connections turned away: too many, no CONNECT, wrong credentials
	TakenOver     int64 // connections ended by another one of the same client
	Expired       int64 // connections ended because their token did, or their key was replaced
	Broken        int64 // connections ended by a packet that made the decoder panic
	Slow          int64 // connections ended because they did not take what was written
	Events        int64 // appended
	Failed        int64 // events that were not appended; with QoS 1 the client knows
	Subscriptions int64
	Delivered     int64 // events sent to subscribers
	Missed        int64 // events that a subscriber was too slow for: the hub forgot them before, or they are larger than it takes
}

type counters struct {
	connections, accepted, refused, takenOver, expired, broken, slow, events, failed, subscriptions, delivered, missed atomic.Int64
}

// Server speaks MQTT with clients. Any number of goroutines may use it.
type Server struct {
	o     Options
	log   *slog.Logger
	now   func() time.Time
	mochi *mochi.Server
	n     counters
	live  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	open     map[*session]struct{}
	sessions map[string]*session // by the identity of the client
	closed   bool
}

// New makes a server, which has nothing running until Serve.
func New(o Options) *Server {
	o.Limits.complete()
	if o.Hub == "" {
		o.Hub = DefaultHub
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, log: o.Log, now: o.Now, open: map[*session]struct{}{}, sessions: map[string]*session{}}
	body, _ := o.Broker.Limits()
	can := mochi.NewDefaultServerCapabilities()
	can.MaximumPacketSize = uint32(body + overhead)
	can.MaximumClientWritesPending = 1 // nothing is queued: see deliver
	can.MaximumSessionExpiryInterval = 0
	can.ReceiveMaximum = 1024
	can.TopicAliasMaximum = 0 // so a client has nothing to make us keep
	can.SharedSubAvailable = 0
	can.MinimumProtocolVersion = 4
	can.MaximumQos = 1
	can.RetainAvailable = 1 // retained messages are taken as IoT Hub does: see event
	can.Compatibilities.NoInheritedPropertiesOnAck = true
	s.mochi = mochi.New(&mochi.Options{Capabilities: can, Logger: slog.New(quiet{o.Log.Handler()})})
	if err := s.mochi.AddHook(&hook{s: s}, nil); err != nil {
		panic(fmt.Sprintf("mqtt: a hook that cannot fail: %v", err))
	}
	return s
}

// Stats are the counters.
func (s *Server) Stats() Stats {
	n := &s.n
	return Stats{
		Connections: n.connections.Load(), Accepted: n.accepted.Load(), Refused: n.refused.Load(), TakenOver: n.takenOver.Load(),
		Expired: n.expired.Load(), Broken: n.broken.Load(), Slow: n.slow.Load(), Events: n.events.Load(), Failed: n.failed.Load(),
		Subscriptions: n.subscriptions.Load(), Delivered: n.delivered.Load(), Missed: n.missed.Load(),
	}
}

// The reasons of Serve for a connection that was not served.
var (
	ErrTooMany = errors.New("too many MQTT connections")
	ErrClosed  = errors.New("the MQTT server is closed")
)

// Serve speaks with a client until its connection or ctx ends, closes the connection and says
// why it ended; nil is the client's wish.
func (s *Server) Serve(ctx context.Context, c net.Conn) error {
	defer c.Close()
	x, err := s.enter(c)
	if err != nil {
		s.n.refused.Add(1)
		return err
	}
	defer s.live.Done()
	defer x.end()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	if err := x.sock.begin(s.o.Limits); err != nil {
		s.n.refused.Add(1)
		return err
	}
	return s.establish(x)
}

// ErrPanic: a packet has found a bug in the decoder, which is mochi's.
var ErrPanic = errors.New("an MQTT packet has made its decoder panic")

// establish runs the connection. What mochi does with a packet is done on this goroutine, so
// that a panic of its decoder ends this connection and no other.
func (s *Server) establish(x *session) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.n.broken.Add(1)
			s.log.Error(ErrPanic.Error(), "remote", x.sock.RemoteAddr().String(), "panic", r, "stack", string(debug.Stack()))
			if cl := x.client(); cl != nil {
				cl.Stop(ErrPanic)
			}
			err = fmt.Errorf("%w: %v", ErrPanic, r)
		}
	}()
	return s.mochi.EstablishConnection("hub", x.sock)
}

func (s *Server) enter(c net.Conn) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if len(s.open) >= s.o.Limits.Connections {
		return nil, fmt.Errorf("%w: %d is the most", ErrTooMany, s.o.Limits.Connections)
	}
	x := newSession(s, c)
	s.open[x] = struct{}{}
	s.n.connections.Add(1)
	s.live.Add(1)
	return x, nil
}

// Close ends all connections and waits until they have ended.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	var list []*session
	for x := range s.open {
		list = append(list, x)
	}
	s.mu.Unlock()
	for _, x := range list {
		go x.kick(packets.ErrServerShuttingDown) // it ends before the session does
	}
	s.live.Wait()
}

// disconnect ends a connection; MQTT 5 has a packet that says why.
func (s *Server) disconnect(cl *mochi.Client, why packets.Code) {
	if cl.Properties.ProtocolVersion == 5 {
		_ = s.mochi.DisconnectClient(cl, why) // its error is why
	}
	cl.Stop(why)
}

// quiet is the log of mochi: what it says is about single packets and connections, so it is
// for debugging; and it gives whole packets, which have passwords in them and are left out.
type quiet struct{ slog.Handler }

// Enabled is true for what the log below takes of debugging.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle gives a record on, without packets.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, slog.LevelDebug, "mqtt: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" || a.Key == "client" || a.Key == "remote" {
			out.AddAttrs(a)
		}
		return true
	})
	return q.Handler.Handle(ctx, out)
}

// WithAttrs leaves the attributes of mochi out.
func (q quiet) WithAttrs([]slog.Attr) slog.Handler { return q }

// WithGroup leaves the groups of mochi out.
func (q quiet) WithGroup(string) slog.Handler { return q }
