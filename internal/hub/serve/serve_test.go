package serve

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/eventhubs"
	"weir/internal/hub/sas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// any is a free port of loopback.
var anyPort = Ports{Addresses: []string{"127.0.0.1:0"}, Asked: true}

// site is a server over a broker with a hub hub1, and protocols of the test's own.
type site struct {
	*Server
	t      *testing.T
	broker *hub.Broker
	ca     string // path
	log    *lines
}

func newSite(t *testing.T, o Options, more map[string]handler) *site {
	t.Helper()
	b, err := hub.Open(hub.Options{FS: disk.NewMem(1).Boot()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(hub.Config{Name: "hub1"}); err != nil {
		t.Fatal(err)
	}
	dir, err := disk.At(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := &lines{}
	o.Broker, o.Log = b, slog.New(slog.NewTextHandler(log, nil))
	if o.Certificates, err = OpenCertificates(CertificateOptions{FS: dir, Log: o.Log}); err != nil {
		t.Fatal(err)
	}
	s := prepare(o)
	if err := s.wire(); err != nil {
		t.Fatal(err)
	}
	for name, h := range more {
		s.handlers[name] = h
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return &site{s, t, b, dir.Path(CAFile), log}
}

// lines is a log that can be read.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// address is where a protocol is answered.
func (s *site) address(protocol string) string {
	s.t.Helper()
	for _, a := range s.Addresses() {
		if a.Protocol == protocol {
			return a.Address
		}
	}
	s.t.Fatal("no " + protocol)
	return ""
}

func (s *site) trust() *tls.Config {
	s.t.Helper()
	text, err := os.ReadFile(s.ca)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		s.t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

// dial connects, plainly or with TLS.
func (s *site) dial(protocol string, secure bool) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.address(protocol))
	if err != nil {
		s.t.Fatal(err)
	}
	if secure {
		c = tls.Client(c, s.trust())
	}
	s.t.Cleanup(func() { c.Close() })
	return c
}

// echo is a protocol that says back what it hears, and ends with the server if it is told to.
type echo struct{ deaf bool }

func (e echo) Serve(ctx context.Context, c net.Conn) error {
	_, secure := c.(interface{ ConnectionState() tls.ConnectionState })
	if !e.deaf {
		defer context.AfterFunc(ctx, func() { c.Close() })()
	}
	fmt.Fprintf(c, "secure %v:", secure)
	_, err := io.Copy(c, c)
	return err
}

// says is what a connection gives before it ends, or as much as want.
func says(t *testing.T, c net.Conn, want string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, len(want))
	n, err := io.ReadFull(c, b)
	if string(b[:n]) != want {
		t.Errorf("%q, not %q: %v", b[:n], want, err)
	}
}

// ends waits until the other side has closed.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	_, err := io.Copy(io.Discard, c)
	if n, ok := err.(net.Error); ok && n.Timeout() {
		t.Errorf("the connection is still open")
	}
}

// fluentd is the request of fluent-plugin-azureeventhubs 0.0.7, byte for byte (eventhubs.md
// 1.4), with the signature of a key.
func fluentd(host, key string) string {
	sr := strings.ToLower(url.QueryEscape("https://" + host + "/hub1/messages"))
	se := fmt.Sprint(time.Now().Add(time.Hour).Unix())
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sr + "\n" + se))
	body := `{"status":200,"path":"/","time":1400000000}`
	return "POST /hub1/messages HTTP/1.1\r\nContent-Type: application/atom+xml;type=entry;charset=utf-8\r\n" +
		"Authorization: SharedAccessSignature sr=" + sr + "&sig=" + url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))) + "&se=" + se + "&skn=RootManageSharedAccessKey\r\n" +
		"X-Prop: 1\r\nConnection: close\r\nHost: " + host + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body
}

// TestFluentd: the plugin's request gets its 201 over TLS and without, and another key's 401,
// on the port of HTTPS and on that of AMQP.
func TestFluentd(t *testing.T) {
	s := newSite(t, Options{HTTPS: anyPort, AMQP: anyPort}, map[string]handler{"amqp": {protocol: echo{}, http: true}})
	f := func(protocol string, secure bool, key string, want string) {
		t.Helper()
		c := s.dial(protocol, secure)
		if _, err := io.WriteString(c, fluentd(s.address(protocol), key)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		answer, err := io.ReadAll(c)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+want) {
			t.Errorf("%q %v", answer, err)
		}
	}
	key := s.broker.Rules("")[0].Primary
	for _, protocol := range []string{"https", "amqp"} {
		for _, secure := range []bool{false, true} {
			f(protocol, secure, key, "201 Created\r\n")
			f(protocol, secure, "wrong", "401 Unauthorized\r\n")
		}
	}
	h, err := s.broker.Hub("hub1")
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, p := range h.Partitions() {
		n += p.Range().Next
	}
	if n != 4 {
		t.Errorf("%d events", n)
	}
}

// TestFirstByte: one port takes plain and TLS; what was read of the connection is not lost.
func TestFirstByte(t *testing.T) {
	s := newSite(t, Options{AMQP: anyPort, Kafka: anyPort}, map[string]handler{"amqp": {protocol: echo{}, http: true}, "kafka": {protocol: echo{}}})
	f := func(protocol string, secure bool) {
		t.Helper()
		c := s.dial(protocol, secure)
		if _, err := io.WriteString(c, "AMQP\x00"); err != nil {
			t.Fatal(err)
		}
		says(t, c, fmt.Sprintf("secure %v:AMQP\x00", secure))
	}
	f("amqp", false)
	f("amqp", true)
	f("kafka", false)
	f("kafka", true)
	c := s.dial("amqp", false)
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	says(t, c, "HTTP/1.1 404 Not Found\r\n")
}

// TestPorts: a default port of another program is left out with a warning; one that was asked
// for is an error, and off is off.
func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	s := newSite(t, Options{HTTPS: Ports{Addresses: []string{taken, "127.0.0.1:0"}}}, nil)
	if len(s.Addresses()) != 1 || !strings.Contains(s.log.String(), "https cannot be answered on "+taken) || !strings.Contains(s.log.String(), "--https off") {
		t.Errorf("%v: %s", s.Addresses(), s.log)
	}
	s = newSite(t, Options{AMQP: Ports{Addresses: []string{taken}}, HTTPS: Ports{Addresses: []string{taken}}}, nil)
	if said := s.log.String(); len(s.Addresses()) != 0 || strings.Count(said, "level=WARN") != 1 || strings.Contains(said, "the other ports") || !strings.Contains(said, "give addresses with --amqp, --https\"") {
		t.Errorf("%v: %s", s.Addresses(), said)
	}
	_, err = Start(Options{Broker: s.broker, HTTPS: Ports{Addresses: []string{"127.0.0.1:0", taken}, Asked: true}})
	if err == nil || !strings.Contains(err.Error(), "https cannot be answered on "+taken) {
		t.Errorf("%v", err)
	}
	f := func(flag, want string) {
		t.Helper()
		p, err := ParsePorts(flag, "127.0.0.1:5672", "127.0.0.1:5671")
		if got := fmt.Sprint(p, p.Loopback(), err); got != want {
			t.Errorf("%q: %s", flag, got)
		}
	}
	f("", "{[127.0.0.1:5672 127.0.0.1:5671] false} true <nil>")
	f("off", "{[] false} true <nil>")
	f(":1, [::1]:2", "{[:1 [::1]:2] true} false <nil>")
	f("localhost:1,[::ffff:127.0.0.2]:2", "{[localhost:1 [::ffff:127.0.0.2]:2] true} true <nil>")
	f("5672", `{[] false} true "5672" is no address to listen on; write HOST:PORT, such as 127.0.0.1:5672, or off`)
}

// from is a connection that comes from somewhere.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }

// TestOtherMachines: plain text is refused with the words of the protocol, and a machine has so
// many connections and no more.
func TestOtherMachines(t *testing.T) {
	s := newSite(t, Options{AMQP: anyPort, MaxPerAddress: 2}, map[string]handler{"amqp": {protocol: echo{}, http: true, secure: []byte("AMQP\x02\x01\x00\x00")}})
	come := func(addr string) net.Conn {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close() })
		s.letIn(s.ports[0], from{there, addr})
		return here
	}
	f := func(first, want string) {
		t.Helper()
		c := come("192.0.2.1:999")
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
		says(t, c, want)
		ends(t, c)
	}
	f("A", "AMQP\x02\x01\x00\x00")
	f("G", "HTTP/1.1 400 Bad Request\r\n")
	secure := tls.Client(come("192.0.2.1:999"), s.trust())
	if _, err := io.WriteString(secure, "AMQP"); err != nil {
		t.Fatal(err)
	}
	says(t, secure, "secure true:AMQP")
	come("192.0.2.1:1")
	ends(t, come("192.0.2.1:2"))
	come("192.0.2.2:1")
	for range 5 {
		come("127.0.0.1:3")
	}
	come("[2001:db8::1]:1") // of IPv6, all of a network together
	come("[2001:db8::2]:1")
	ends(t, come("[2001:db8::3]:1"))
	come("[2001:db8:0:1::3]:1")
	if got := s.metric("weir_hub_connections_refused_total", "address"); got != 2 {
		t.Errorf("%v refused", got)
	}
	if got := s.metric("weir_hub_connections_refused_total", "plain"); got != 2 {
		t.Errorf("%v refused", got)
	}
}

// TestMaxConnections: a port that is full closes what comes, and takes others when there is
// room again.
func TestMaxConnections(t *testing.T) {
	s := newSite(t, Options{AMQP: anyPort, MaxConnections: 2}, map[string]handler{"amqp": {protocol: echo{}, http: true}})
	var open []net.Conn
	for range 2 {
		c := s.dial("amqp", false)
		fmt.Fprint(c, "A")
		says(t, c, "secure false:A")
		open = append(open, c)
	}
	ends(t, s.dial("amqp", false))
	for _, c := range open {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		ends(t, c)
	}
	for { // the room is given back just behind the close
		c := s.dial("amqp", false)
		fmt.Fprint(c, "A")
		b := make([]byte, 1)
		if _, err := c.Read(b); err == nil {
			break
		}
	}
	if s.metric("weir_hub_connections_total", "amqp") < 3 || s.metric("weir_hub_connections_refused_total", "connections") < 1 {
		t.Error("not counted")
	}
}

// TestSlow is row 4 of the security table (reliability.md 6): clients of each protocol that send
// a byte now and then are closed in time, however many they are, and others are served.
func TestSlow(t *testing.T) {
	s := newSite(t, Options{AMQP: anyPort, HTTPS: anyPort, Kafka: anyPort, MQTT: anyPort, Forward: anyPort, ForwardKey: "shared key of the test", HandshakeTime: 150 * time.Millisecond}, nil)
	var wg sync.WaitGroup
	for protocol, begin := range map[string]string{"amqp": "AMQP\x03\x01\x00\x00\x00\x00\x00\x40\x02\x01", "https": "POST /hub1/messages HTTP/1.1\r\nHost: x\r\nX: ",
		"kafka": "\x00\x00\x00\x40\x00\x12\x00\x00\x00\x00\x00\x00\x00\x05", "mqtt": "\x10\x40\x00\x04MQTT\x04\x02\x00\x3c\x00\x10", "forward": "\x96\xa4PING\xa4"} {
		for _, secure := range []string{"", "\x16\x03\x01\x02\x00\x01"} {
			for range 50 {
				c := s.dial(protocol, false)
				wg.Go(func() {
					text := begin
					if secure != "" {
						text = secure
					}
					drip(c, text+strings.Repeat("x", 1000))
				})
			}
		}
	}
	c := s.dial("https", true)
	if _, err := io.WriteString(c, fluentd(s.address("https"), s.broker.Rules("")[0].Primary)); err != nil {
		t.Fatal(err)
	}
	says(t, c, "HTTP/1.1 201 Created")
	began := time.Now()
	wg.Wait()
	if took := time.Since(began); took > 9*time.Second { // the machine may be busy; without limits it is 20 seconds
		t.Errorf("the last was closed after %s", took)
	}
	if 2*DefaultHandshakeTime > 10*time.Second {
		t.Error("a client may take longer than ten seconds")
	}
}

// TestSlowBody: whoever has no key is not waited for, however long the body is that they
// promise.
func TestSlowBody(t *testing.T) {
	s := newSite(t, Options{HTTPS: anyPort}, nil)
	c := s.dial("https", true)
	if _, err := io.WriteString(c, "POST /hub1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		drip(c, strings.Repeat("x", 1000))
	}()
	<-done
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("closed after %s", took)
	}
	if n := s.metric("weir_hub_http_requests_total", "401"); n != 1 {
		t.Errorf("%v refused", n)
	}
}

// drip sends a text byte by byte until the other side has closed.
func drip(c net.Conn, text string) {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, c)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range len(text) {
		if _, err := c.Write([]byte{text[i]}); err != nil {
			break
		}
		select {
		case <-closed:
			c.Close()
			return
		case <-tick.C:
		}
	}
	c.Close()
	<-closed
}

// TestClose: requests that are under way end well, protocols are told, and what does not end
// is closed.
func TestClose(t *testing.T) {
	s := newSite(t, Options{AMQP: anyPort, Kafka: anyPort, HTTPS: anyPort, Drain: 200 * time.Millisecond},
		map[string]handler{"amqp": {protocol: echo{}, http: true}, "kafka": {protocol: echo{deaf: true}}})
	heard, deaf, idle := s.dial("amqp", false), s.dial("kafka", true), s.dial("https", true)
	fmt.Fprint(heard, "A")
	says(t, heard, "secure false:A")
	fmt.Fprint(deaf, "A")
	says(t, deaf, "secure true:A")
	fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	says(t, idle, "HTTP/1.1 404 Not Found\r\n")
	where := s.address("https")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{heard, deaf, idle} {
		ends(t, c)
	}
	if !strings.Contains(s.log.String(), "had not ended in time") {
		t.Errorf("%s", s.log)
	}
	if c, err := net.Dial("tcp", where); err == nil {
		c.Close()
		t.Error("still open")
	}
}

// broken is a protocol with a mistake in it.
type broken struct{}

func (broken) Serve(context.Context, net.Conn) error { panic("kafka: broken") }

// TestMistake: a mistake of ours ends its connection and no other.
func TestMistake(t *testing.T) {
	s := newSite(t, Options{Kafka: anyPort, AMQP: anyPort}, map[string]handler{"kafka": {protocol: broken{}}, "amqp": {protocol: echo{}, http: true}})
	good := s.dial("amqp", false)
	fmt.Fprint(good, "A")
	bad := s.dial("kafka", false)
	fmt.Fprint(bad, "A")
	ends(t, bad)
	says(t, good, "secure false:A")
	if !strings.Contains(s.log.String(), "kafka: broken") {
		t.Errorf("%s", s.log)
	}
}

// TestSites is rows 13 and 14 of the security table (reliability.md 6): pages of other sites,
// and names that point at us and are not ours.
func TestSites(t *testing.T) {
	s := newSite(t, Options{HTTPS: anyPort, Hosts: []string{"hub.example"}}, nil)
	f := func(want int, path, host string, headers ...string) {
		t.Helper()
		c := s.dial("https", false)
		text := "POST " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Length: 1\r\n"
		for i := 0; i < len(headers); i += 2 {
			text += headers[i] + ": " + headers[i+1] + "\r\n"
		}
		token := sas.Sign("sb://x/hub1", hub.RootRule, s.broker.Rules("")[0].Primary, time.Now().Add(time.Hour))
		if _, err := io.WriteString(c, text+"Authorization: "+token+"\r\n\r\nx"); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if r.StatusCode != want || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s %v: %d", path, host, headers, r.StatusCode)
		}
	}
	const post = "/hub1/messages"
	f(201, post, "localhost:8443")
	f(201, post, "anything.example") // no browser: the signature guards it
	f(201, post, "localhost:8443", "Origin", "https://localhost:8443")
	f(201, post, "HUB.example", "Origin", "https://hub.example", "Sec-Fetch-Site", "same-origin")
	f(403, post, "localhost:8443", "Origin", "http://evil.example")
	f(403, post, "localhost:8443", "Origin", "null")
	f(403, post, "localhost:8443", "Sec-Fetch-Site", "cross-site")
	for _, path := range []string{post, "/", eventhubs.WebSocketPath, "/hub1/partitions/0/messages"} {
		f(421, path, "evil.example", "Origin", "https://evil.example")
		f(421, path, "evil.example", "Sec-Fetch-Site", "same-origin")
	}
	// Row 16: nothing of ours but posts is to be seen.
	for _, path := range []string{"/debug/pprof/", "/debug/vars", "/metrics", "/api/v1/hubs", "/"} {
		f(404, path, "localhost")
	}
}
