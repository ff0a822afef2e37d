package mqtt

import (
	"math"
	"net"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"weir/internal/hub"
)

// session is a connection and who is at its other end. Apart from what mu guards, its fields
// are set before CONNACK and not changed.
type session struct {
	s      *Server
	sock   *socket
	done   chan struct{} // closed when the connection has ended and all it sent is in the log or given up
	will   *packets.Packet
	name   string // of the client, for taking its place; "" is nobody's
	key    []byte // partition key of what it sends; nil is none
	device device // id is "" for other clients
	method []byte // iothub-connection-auth-method of a device
	hub    *hub.Hub
	grant  hub.Grant
	v5     bool
	most   int // bytes of a packet that the client takes
	ids    chan uint16
	expire *time.Timer
	revoke *time.Timer // looks at the key

	mu       sync.Mutex // guards what follows
	cl       *mochi.Client
	unclean  bool                      // it has ended without DISCONNECT
	over     bool                      // end has begun
	parts    map[string]*hub.Partition // of what is sent without a key, by hub
	queue    []message
	queued   int // bytes of queue
	taken    int // bytes that are being written
	working  bool
	changed  sync.Cond // of queued, taken and working
	watching map[string]*subscription
	sent     []bool // which packet ids wait for PUBACK, by id; see makeWindow
}

func newSession(s *Server, c net.Conn) *session {
	x := &session{s: s, done: make(chan struct{})}
	x.changed.L = &x.mu
	x.sock = &socket{Conn: c, session: x}
	return x
}

// client is the client as mochi knows it; nil before CONNECT.
func (x *session) client() *mochi.Client {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cl
}

// end frees what the connection has, after it has been closed.
func (x *session) end() {
	s := x.s
	x.sock.Close()
	if x.expire != nil {
		x.expire.Stop()
	}
	x.mu.Lock()
	x.over = true
	if x.revoke != nil {
		x.revoke.Stop()
	}
	x.mu.Unlock()
	x.unwatch()
	x.mu.Lock()
	for x.working {
		x.changed.Wait()
	}
	unclean := x.unclean
	x.mu.Unlock()
	if x.will != nil && unclean {
		x.sendWill()
	}
	s.mu.Lock()
	delete(s.open, x)
	if s.sessions[x.name] == x {
		delete(s.sessions, x.name)
	}
	s.mu.Unlock()
	s.n.connections.Add(-1)
	close(x.done)
}

// admit says who a client is, after CONNECT, and takes the place of the connection that it had
// before.
func (x *session) admit(cl *mochi.Client, pk packets.Packet) *refusal {
	s := x.s
	x.v5 = pk.ProtocolVersion == 5
	x.most = math.MaxInt
	if n := cl.Properties.Props.MaximumPacketSize; n > 0 {
		x.most = int(n)
	}
	user, password := string(pk.Connect.Username), string(pk.Connect.Password)
	var no *refusal
	if d, ok := parseDevice(user); ok {
		no = s.admitDevice(x, d, pk.Connect.ClientIdentifier, password)
	} else {
		no = s.admitOther(x, pk.Connect.ClientIdentifier, user, password)
	}
	if no != nil {
		return no
	}
	if x.will != nil {
		if _, no := x.target(x.will.TopicName); no != nil {
			x.will = nil
			return refuse(packets.ErrTopicNameInvalid, packets.Err3NotAuthorized, no)
		}
	}
	if e := x.grant.Expires; !e.IsZero() {
		x.expire = time.AfterFunc(e.Sub(s.now()), func() {
			s.n.expired.Add(1)
			s.disconnect(cl, packets.ErrNotAuthorized)
		})
	}
	x.mu.Lock()
	x.revoke = time.AfterFunc(hub.KeyCheck, func() { x.checkKey(cl) })
	x.mu.Unlock()
	x.sock.idle.Store(int64(pk.Connect.Keepalive) * int64(time.Second) * 3 / 2)
	x.replace(cl)
	return nil
}

// checkKey ends the connection when its key was replaced or removed.
func (x *session) checkKey(cl *mochi.Client) {
	if x.grant.Revoked() != nil {
		x.s.n.expired.Add(1)
		x.s.disconnect(cl, packets.ErrNotAuthorized)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		x.revoke.Reset(hub.KeyCheck)
	}
}

// replace takes the place of the connection that the same client had, and waits for what that
// one has sent, so that the order of its events is kept.
func (x *session) replace(cl *mochi.Client) {
	s := x.s
	x.mu.Lock()
	x.cl = cl
	x.mu.Unlock()
	if x.name == "" {
		return
	}
	s.mu.Lock()
	old := s.sessions[x.name]
	s.sessions[x.name] = x
	s.mu.Unlock()
	if old == nil {
		return
	}
	s.n.takenOver.Add(1)
	old.kick(packets.ErrSessionTakenOver)
	<-old.done
}

// kick ends a connection. It takes no longer than hurry, whatever the client does.
func (x *session) kick(why packets.Code) {
	x.sock.hurry()
	if cl := x.client(); cl != nil {
		x.s.disconnect(cl, why)
	}
	x.sock.Close()
}
