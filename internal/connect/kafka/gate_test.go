package kafka

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// gate is the network before brokers of this process: it can be cut, and slow.
type gate struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
	down  bool
	delay time.Duration // before each read
}

// gated starts brokers behind a gate.
func gated(t testing.TB, opts ...kfake.Opt) (*cluster, *gate) {
	t.Helper()
	g := &gate{conns: map[net.Conn]bool{}}
	c := fakes(t, append(opts, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return &gateListener{l, g}, err
	}))...)
	return c, g
}

type gateListener struct {
	net.Listener
	g *gate
}

func (l *gateListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.g.mu.Lock()
		down := l.g.down
		if !down {
			l.g.conns[c] = true
		}
		l.g.mu.Unlock()
		if !down {
			return &gateConn{c, l.g}, nil
		}
		c.Close()
	}
}

type gateConn struct {
	net.Conn
	g *gate
}

func (c *gateConn) Read(b []byte) (int, error) {
	c.g.mu.Lock()
	delay := c.g.delay
	c.g.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay) // a slow network
	}
	return c.Conn.Read(b)
}

func (c *gateConn) Close() error {
	c.g.mu.Lock()
	delete(c.g.conns, c.Conn)
	c.g.mu.Unlock()
	return c.Conn.Close()
}

// cut ends all connections; with down no new one comes.
func (g *gate) cut(down bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = down
	for c := range g.conns {
		c.Close()
	}
	clear(g.conns)
}

func (g *gate) heal() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.down = false
}

func (g *gate) slow(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.delay = d
}
