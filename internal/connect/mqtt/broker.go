package mqtt

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session"

	"weir/internal/connect"
)

// scheme is a way to a broker.
type scheme struct {
	tls, web bool
	port     string
}

var (
	plain   = &scheme{port: "1883"}
	secured = &scheme{tls: true, port: "8883"}
	schemes = map[string]*scheme{"mqtt": plain, "tcp": plain, "mqtts": secured, "ssl": secured, "tls": secured,
		"ws": {web: true}, "wss": {web: true, tls: true}}
)

// broker is where a broker is and who we are to it.
type broker struct {
	url      *url.URL
	way      *scheme
	tls      *tls.Config // nil without TLS
	clientID string
	user     string
	password connect.Hidden
	timeout  time.Duration
}

// newBroker reads the settings; its errors are permanent. name is what the client id is made of
// if none is given.
func newBroker(c connect.Config, name string) (*broker, error) {
	u, err := url.Parse(c.Text("url"))
	if err != nil || schemes[strings.ToLower(u.Scheme)] == nil {
		return nil, connect.Permanent(errors.New("\"url\" is no address of a broker")) // not quoted: it may hold a secret
	}
	b := &broker{url: u, way: schemes[strings.ToLower(u.Scheme)], clientID: c.Text("client_id"), user: c.Text("user"), password: c.Secret("password"), timeout: c.Duration("timeout")}
	if b.clientID == "" {
		sum := sha256.Sum256([]byte(name))
		b.clientID = "weir" + hex.EncodeToString(sum[:8])
	}
	if !b.way.tls {
		return b, nil
	}
	b.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if path := c.Text("tls_ca"); path != "" {
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, connect.Permanent(fmt.Errorf("read tls_ca: %w", err))
		}
		b.tls.RootCAs = x509.NewCertPool()
		if !b.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, connect.Permanent(fmt.Errorf("tls_ca %s has no certificate in PEM", path))
		}
	}
	if path := c.Text("tls_cert"); path != "" {
		pair, err := tls.LoadX509KeyPair(path, c.Text("tls_key"))
		if err != nil {
			return nil, connect.Permanent(fmt.Errorf("load tls_cert and tls_key: %w", err))
		}
		b.tls.Certificates = []tls.Certificate{pair}
	}
	return b, nil
}

// address is host and port, for people too.
func (b *broker) address() string {
	if b.url.Port() != "" || b.way.web {
		return b.url.Host
	}
	return net.JoinHostPort(b.url.Hostname(), b.way.port)
}

// dial opens a connection.
func (b *broker) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if b.way.web {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = b.tls
		defer transport.CloseIdleConnections()
		c, resp, err := websocket.Dial(ctx, b.url.String(), &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"mqtt"}})
		if err != nil {
			if resp != nil {
				return nil, fmt.Errorf("the WebSocket was answered with %s", resp.Status)
			}
			return nil, innermost(err) // the outer ones have the whole URL
		}
		c.SetReadLimit(-1) // a frame may hold many packets, whose sizes the broker knows the limit of
		return websocket.NetConn(context.Background(), c, websocket.MessageBinary), nil
	}
	if b.tls != nil {
		return (&tls.Dialer{Config: b.tls}).DialContext(ctx, "tcp", b.address())
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", b.address())
}

func innermost(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// link is a connection to the broker.
type link struct {
	*paho.Client
	broker  *broker
	wire    *wire
	connack *paho.Connack
	lost    chan error // why it ended, if not by us
}

// options are what a link is opened with beside the broker.
type options struct {
	session    session.SessionManager
	receive    uint16 // messages that may be delivered to us without our acknowledgement
	packet     uint32 // bytes of the largest one
	cleanStart bool
	expiry     time.Duration
}

// connect opens a link. A broker that refuses us for what we are gives a refused error.
func (b *broker) connect(ctx context.Context, o options) (*link, error) {
	fail := func(err error) (*link, error) { return nil, fmt.Errorf("MQTT broker %s: %w", b.address(), err) }
	conn, err := b.dial(ctx)
	if err != nil {
		return fail(err)
	}
	l := &link{broker: b, wire: &wire{Conn: conn, timeout: b.timeout}, lost: make(chan error, 1)}
	l.Client = paho.NewClient(paho.ClientConfig{
		ClientID: b.clientID, Conn: l.wire, Session: o.session, PacketTimeout: b.timeout,
		OnPublishReceived:  []func(paho.PublishReceived) (bool, error){func(paho.PublishReceived) (bool, error) { return true, nil }},
		OnClientError:      l.end,
		OnServerDisconnect: func(d *paho.Disconnect) { l.end(disconnected(d)) },
	})
	expiry := uint32(o.expiry / time.Second)
	cp := &paho.Connect{ClientID: b.clientID, KeepAlive: keepAlive, CleanStart: o.cleanStart,
		Properties: &paho.ConnectProperties{ReceiveMaximum: &o.receive, MaximumPacketSize: &o.packet, SessionExpiryInterval: &expiry, RequestProblemInfo: true}}
	if b.user != "" {
		cp.UsernameFlag, cp.Username = true, b.user
	}
	if p := b.password.Expose(); p != "" {
		cp.PasswordFlag, cp.Password = true, []byte(p)
	}
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	l.connack, err = l.Connect(ctx, cp)
	switch {
	case l.connack != nil && l.connack.ReasonCode >= 0x80:
		reason := ""
		if l.connack.Properties != nil {
			reason = l.connack.Properties.ReasonString
		}
		return fail(&refused{"it refuses the connection", l.connack.ReasonCode, b.scrub(reason)})
	case err != nil:
		return fail(fmt.Errorf("it does not answer as a broker of MQTT 5: %w", err))
	}
	return l, nil
}

// scrub takes the password out of a text of the broker.
func (b *broker) scrub(s string) string {
	if p := b.password.Expose(); p != "" {
		return strings.ReplaceAll(s, p, "***")
	}
	return s
}

func (l *link) end(err error) {
	select {
	case l.lost <- err:
	default:
	}
}

// lostTimeout is how long the reason of an end may come behind the end.
const lostTimeout = time.Second

// why is the error of a link that has ended.
func (l *link) why() error {
	t := time.NewTimer(lostTimeout)
	defer t.Stop()
	select {
	case err := <-l.lost:
		l.end(err)
		return fmt.Errorf("MQTT broker %s: the connection was lost: %w", l.broker.address(), err)
	case <-t.C:
		return fmt.Errorf("MQTT broker %s: the connection was lost", l.broker.address())
	}
}

// byeTimeout is how long the broker has to read what was said before the end.
const byeTimeout = 2 * time.Second

// bye ends the link. The broker closes it when it has read all: a connection that is closed
// before takes acknowledgements along that are still on their way.
func (l *link) bye() {
	l.wire.cork(false)
	_, _ = (&paho.Disconnect{}).Packet().WriteTo(l.wire) // it ends with or without having been said
	t := time.NewTimer(byeTimeout)
	defer t.Stop()
	select {
	case <-l.Done():
	case <-t.C:
	}
	_ = l.Disconnect(&paho.Disconnect{})
}

// refused is an answer of the broker that says no.
type refused struct {
	what   string
	code   byte
	reason string // in the broker's words
}

func (r *refused) Error() string {
	text := fmt.Sprintf("%s: %s", r.what, reasonOf(r.code))
	if r.reason != "" {
		text += fmt.Sprintf(" (%.200q)", r.reason)
	}
	return text
}

// forGood reports whether an answer will stay the same until somebody changes the settings of
// the one side or the other.
func (r *refused) forGood() bool {
	switch r.code {
	case 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8f, 0x9a, 0x9b, 0x9e, 0xa1, 0xa2:
		return true
	}
	return false
}

// atStart makes an error of the first attempt permanent, if it is a refusal for good.
func atStart(err error) error {
	var r *refused
	if errors.As(err, &r) && r.forGood() {
		return connect.Permanent(err)
	}
	return err
}

// reasons are those of MQTT 5, 2.4, that a broker gives to us.
var reasons = map[byte]string{
	0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error",
	0x84: "it does not speak MQTT 5", 0x85: "the client_id is not valid", 0x86: "bad user name or password", 0x87: "not authorized",
	0x88: "it is unavailable", 0x89: "it is busy", 0x8a: "we are banned", 0x8b: "it is shutting down", 0x8c: "bad authentication method",
	0x8d: "keep alive timeout", 0x8e: "another client has connected with our client_id", 0x8f: "the topic to subscribe to is not valid",
	0x90: "the topic name is not valid", 0x91: "packet identifier in use", 0x93: "receive maximum exceeded", 0x95: "the packet is too large",
	0x96: "the message rate is too high", 0x97: "a quota is exceeded", 0x98: "an administrator has ended it", 0x99: "the payload format is not valid",
	0x9a: "it does not retain messages", 0x9b: "it does not support the qos", 0x9c: "use another server", 0x9d: "the server has moved",
	0x9e: "it does not support shared subscriptions", 0x9f: "the connection rate is exceeded", 0xa0: "maximum connect time",
	0xa1: "it does not support subscription identifiers", 0xa2: "it does not support wildcards",
}

func reasonOf(code byte) string {
	if s := reasons[code]; s != "" {
		return s
	}
	return fmt.Sprintf("reason %#x", code)
}

// disconnected is the error of a broker that says goodbye.
func disconnected(d *paho.Disconnect) error {
	reason := ""
	if d.Properties != nil {
		reason = d.Properties.ReasonString
	}
	return &refused{"it has ended the connection", d.ReasonCode, reason}
}
