package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Ports are where a protocol is answered.
type Ports struct {
	Addresses []string // host:port; none, and the protocol is off
	// Asked says that somebody has asked for them: then one that cannot be opened is an error.
	Asked bool
}

// ParsePorts reads a flag: addresses with commas between them, off, or nothing, which is the
// defaults.
func ParsePorts(flag string, defaults ...string) (Ports, error) {
	switch flag {
	case "":
		return Ports{Addresses: defaults}, nil
	case "off":
		return Ports{}, nil
	}
	p := Ports{Asked: true}
	for a := range strings.SplitSeq(flag, ",") {
		a = strings.TrimSpace(a)
		if _, _, err := net.SplitHostPort(a); err != nil {
			return Ports{}, fmt.Errorf("%q is no address to listen on; write HOST:PORT, such as %s, or off", a, defaults[0])
		}
		p.Addresses = append(p.Addresses, a)
	}
	return p, nil
}

// Hosts are the names and addresses that the ports are opened on.
func (p Ports) Hosts() []string {
	var list []string
	for _, a := range p.Addresses {
		if host, _, err := net.SplitHostPort(a); err == nil && host != "" {
			list = append(list, host)
		}
	}
	return list
}

// Loopback reports whether all ports can be reached from this machine only.
func (p Ports) Loopback() bool {
	for _, a := range p.Addresses {
		host, _, err := net.SplitHostPort(a)
		ip, bad := netip.ParseAddr(host)
		if err != nil || !strings.EqualFold(host, "localhost") && (bad != nil || !ip.Unmap().IsLoopback()) {
			return false
		}
	}
	return true
}

// The default addresses of each protocol.
var (
	DefaultAMQP    = []string{"127.0.0.1:5672", "127.0.0.1:5671"}
	DefaultHTTPS   = []string{"127.0.0.1:8443"}
	DefaultKafka   = []string{"127.0.0.1:9092"}
	DefaultMQTT    = []string{"127.0.0.1:1883", "127.0.0.1:8883"}
	DefaultForward = []string{"127.0.0.1:24224"}
)

// port is an open one.
type port struct {
	protocol string
	listener net.Listener
	handler  handler
	open     atomic.Int64 // connections
}

// open opens all ports.
func (s *Server) open() error {
	var taken []error
	for _, p := range s.protocols() {
		for _, a := range p.ports.Addresses {
			l, err := net.Listen("tcp", a)
			if err != nil {
				err = inUse(p.name, p.name, a, err)
				if p.ports.Asked || !errors.Is(err, syscall.EADDRINUSE) {
					return err
				}
				taken = append(taken, err)
				continue
			}
			s.ports = append(s.ports, &port{protocol: p.name, listener: l, handler: s.handlers[p.name]})
		}
	}
	s.sayTaken(taken)
	return nil
}

// sayTaken tells of default ports that other programs have: of each, or once if none is left.
func (s *Server) sayTaken(taken []error) {
	if len(taken) > 0 && len(s.ports) == 0 {
		s.log.Warn("no client can come to the hub: other programs have all of its ports, perhaps another weir; give addresses with " + s.flags())
		return
	}
	for _, err := range taken {
		s.log.Warn(err.Error() + "; the other ports are answered")
	}
}

// flags are the flags of the protocols that have addresses, in one text.
func (s *Server) flags() string {
	var list []string
	for _, p := range s.protocols() {
		if len(p.ports.Addresses) > 0 {
			list = append(list, "--"+p.name)
		}
	}
	return strings.Join(list, ", ")
}

// protocolPorts are the ports of a protocol.
type protocolPorts struct {
	name  string
	ports Ports
}

// protocols are the protocols that this server has, in the order of their ports.
func (s *Server) protocols() (list []protocolPorts) {
	for _, p := range []protocolPorts{{"amqp", s.o.AMQP}, {"https", s.o.HTTPS}, {"kafka", s.o.Kafka}, {"mqtt", s.o.MQTT}, {"forward", s.o.Forward}} {
		if _, ok := s.handlers[p.name]; ok {
			list = append(list, p)
		}
	}
	return list
}

// The pauses after an accept that failed, such as for want of file descriptors.
const (
	firstPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// acceptFrom lets connections in until the port is closed.
func (s *Server) acceptFrom(p *port) {
	pause := time.Duration(0)
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			pause = min(max(2*pause, firstPause), mostPause)
			s.log.Warn("a connection could not be accepted", "protocol", p.protocol, "error", err)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
			continue
		}
		pause = 0
		s.letIn(p, c)
	}
}

// letIn takes a connection if there is room for it.
func (s *Server) letIn(p *port, c net.Conn) {
	from := addressOf(c)
	k := &counted{Conn: c, s: s, p: p, from: from}
	reason := ""
	s.mu.Lock()
	switch {
	case s.closed:
		reason = "closing"
	case p.open.Load() >= int64(s.o.MaxConnections):
		reason = "connections"
	case !from.IsLoopback() && s.addresses[machine(from)] >= s.o.MaxPerAddress:
		reason = "address"
	default:
		p.open.Add(1)
		s.addresses[machine(from)]++
		s.conns[k] = struct{}{}
		s.served.Add(1)
	}
	s.mu.Unlock()
	if reason != "" {
		s.refuse(p, reason, from)
		_ = c.Close()
		return
	}
	s.stats.accepted(p.protocol)
	go s.handle(p, k)
}

// refuse counts a connection that is not let in.
func (s *Server) refuse(p *port, reason string, from netip.Addr) {
	s.stats.refused(p.protocol, reason)
	s.log.Debug("a connection was refused", "protocol", p.protocol, "reason", reason, "from", from)
}

func addressOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// machine is what an address counts for: of IPv6, where a machine has as many as it likes in
// its network, the first 64 bits (RFC 4291 2.5.4).
func machine(a netip.Addr) netip.Addr {
	if !a.Is6() {
		return a
	}
	network, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a
	}
	return network.Addr()
}

// counted is a connection that its port counts until it is closed.
type counted struct {
	net.Conn
	s    *Server
	p    *port
	from netip.Addr
	once sync.Once
}

// Close closes the connection and makes room for another one.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.s.mu.Lock()
		delete(c.s.conns, c)
		from := machine(c.from)
		if c.s.addresses[from]--; c.s.addresses[from] == 0 {
			delete(c.s.addresses, from)
		}
		c.s.mu.Unlock()
		c.p.open.Add(-1)
		c.s.served.Done()
	})
	return err
}

// tlsRecord is the first byte of a TLS handshake (RFC 8446 5.1).
const tlsRecord = 0x16

// handle finds out what a connection is and gives it to its protocol.
func (s *Server) handle(p *port, k *counted) {
	_ = k.SetDeadline(time.Now().Add(s.o.HandshakeTime))
	first := make([]byte, 1, 4)
	if _, err := k.Read(first); err != nil {
		s.refuse(p, "handshake", k.from)
		_ = k.Close()
		return
	}
	var conn net.Conn = &ahead{k, first}
	if first[0] == tlsRecord && s.o.Certificates != nil {
		t := tls.Server(conn, s.o.Certificates.Config())
		if err := t.HandshakeContext(s.ctx); err != nil {
			s.refuse(p, "tls", k.from)
			_ = t.Close()
			return
		}
		conn = t
		if p.handler.http && p.handler.protocol != nil {
			if _, err := t.Read(first[:1]); err != nil {
				s.refuse(p, "handshake", k.from)
				_ = t.Close()
				return
			}
			conn = &secureAhead{t, first}
		}
	} else if !s.o.AllowPlain && !k.from.IsLoopback() {
		s.refuse(p, "plain", k.from)
		s.sayTLS(p, k, first[0])
		return
	}
	_ = k.SetDeadline(time.Time{})
	if p.handler.http && (p.handler.protocol == nil || isRequest(first[0])) {
		s.web.give(conn)
		return
	}
	s.serve(p, conn, k.from)
}

// serve has the protocol talk to a client. A mistake of ours in one connection is logged and
// ends that connection only.
func (s *Server) serve(p *port, conn net.Conn, from netip.Addr) {
	defer conn.Close()
	defer func() {
		if bug := recover(); bug != nil {
			s.stats.refused(p.protocol, "panic")
			s.log.Error("a connection was ended by a mistake in the program; please report it", "protocol", p.protocol, "panic", bug, "stack", string(debug.Stack()))
		}
	}()
	if err := p.handler.protocol.Serve(s.ctx, conn); err != nil {
		s.log.Debug("a connection has ended", "protocol", p.protocol, "from", from, "error", err)
	}
}

// isRequest tells HTTP, whose requests begin with the name of a method, from AMQP, whose
// connections begin with its own name.
func isRequest(first byte) bool { return first >= 'B' && first <= 'Z' }

// sayTLS tells a client of plain text that TLS is needed, if its protocol has words for it.
func (s *Server) sayTLS(p *port, k *counted, first byte) {
	words := p.handler.secure
	if p.handler.http && isRequest(first) {
		words = []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\nThis port takes TLS only.\n")
	}
	if words != nil {
		_, _ = k.Write(words)
	}
	_ = k.Close()
}

// ahead is a connection whose first byte was read.
type ahead struct {
	*counted
	first []byte
}

// Read gives the byte, and then what follows.
func (a *ahead) Read(b []byte) (int, error) {
	if len(a.first) > 0 {
		n := copy(b, a.first)
		a.first = a.first[n:]
		return n, nil
	}
	return a.counted.Read(b)
}

// secureAhead is the same over TLS.
type secureAhead struct {
	*tls.Conn
	first []byte
}

// Read gives the byte, and then what follows.
func (a *secureAhead) Read(b []byte) (int, error) {
	if len(a.first) > 0 {
		n := copy(b, a.first)
		a.first = a.first[n:]
		return n, nil
	}
	return a.Conn.Read(b)
}
