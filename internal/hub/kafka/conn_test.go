package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/hub"
	"weir/internal/hub/sas"
)

// raw is a connection on which a test writes what it likes.
type raw struct {
	t  testing.TB
	nc net.Conn
	id int32
}

func (s *site) dial() *raw {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &raw{t: s.t, nc: nc}
}

// login lets a connection in with all rights.
func (s *site) login() *raw {
	s.t.Helper()
	return s.loginAs(hub.RootRule, s.key())
}

func (s *site) loginAs(user, password string) *raw {
	s.t.Helper()
	r := s.dial()
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Version, h.Mechanism = 1, "PLAIN"
	r.ask(h)
	a := kmsg.NewPtrSASLAuthenticateRequest()
	a.Version, a.SASLAuthBytes = 2, []byte("\x00"+user+"\x00"+password)
	if code := r.ask(a).(*kmsg.SASLAuthenticateResponse).ErrorCode; code != 0 {
		s.t.Fatalf("login: code %d", code)
	}
	return r
}

func (r *raw) send(q kmsg.Request) {
	r.t.Helper()
	if !r.trySend(q) {
		r.t.Fatalf("%s cannot be sent", kmsg.NameForKey(q.Key()))
	}
}

func (r *raw) trySend(q kmsg.Request) bool {
	r.id++
	_, err := r.nc.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, q, r.id))
	return err == nil
}

// answer reads the answer to a request that was sent as number id.
func (r *raw) answer(q kmsg.Request, id int32) kmsg.Response {
	r.t.Helper()
	b, err := r.frame()
	if err != nil {
		r.t.Fatalf("%s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	if got := int32(binary.BigEndian.Uint32(b)); got != id {
		r.t.Fatalf("the answer has the number %d; want %d", got, id)
	}
	b = b[4:]
	a := q.ResponseKind()
	if a.IsFlexible() && a.Key() != 18 {
		b = b[1:]
	}
	if err := a.ReadFrom(b); err != nil {
		r.t.Fatalf("%s v%d: %v", kmsg.NameForKey(q.Key()), q.GetVersion(), err)
	}
	if left := len(b) - len(a.AppendTo(nil)); left != 0 {
		r.t.Fatalf("%s v%d: the answer is %d bytes longer than what it says", kmsg.NameForKey(q.Key()), q.GetVersion(), left)
	}
	return a
}

func (r *raw) ask(q kmsg.Request) kmsg.Response {
	r.t.Helper()
	r.send(q)
	return r.answer(q, r.id)
}

func (r *raw) frame() ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r.nc, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(r.nc, b)
	return b, err
}

// ended waits until the server closes the connection without another word.
func (r *raw) ended() {
	r.t.Helper()
	if b, err := io.ReadAll(r.nc); err != nil && !strings.Contains(err.Error(), "reset") || len(b) > 0 {
		r.t.Errorf("the server says %x, %v; it should have closed the connection", b, err)
	}
}

func TestApiVersions(t *testing.T) {
	s := newSite(t, Options{})
	r := s.dial()
	for v := range int16(5) {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = v, "name", "1"
		a := r.ask(q).(*kmsg.ApiVersionsResponse)
		if a.ErrorCode != 0 || len(a.ApiKeys) != len(apis) {
			t.Errorf("v%d: code %d, %d requests; want %d", v, a.ErrorCode, len(a.ApiKeys), len(apis))
		}
	}
	// A version that is not known is answered in the oldest form, with what is known (KIP-511).
	frame := []byte{0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0xff}
	if _, err := r.nc.Write(frame); err != nil {
		t.Fatal(err)
	}
	b, err := r.frame()
	a := kmsg.NewPtrApiVersionsResponse()
	if err != nil || a.ReadFrom(b[4:]) != nil || a.ErrorCode != errUnsupportedVersion || len(a.ApiKeys) != len(apis) {
		t.Errorf("%v %+v", err, a)
	}
}

// Every request that has the right form gets an answer that has.
func TestEveryVersionOfEveryRequestIsAnswered(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Wait: time.Millisecond, Gather: time.Millisecond}})
	s.hub("some", 2)
	r := s.login()
	rnd := rand.New(rand.NewPCG(1, 1))
	for key, a := range apis {
		if a.request == nil || a.open {
			continue
		}
		for v := a.min; v <= a.max; v++ {
			for i := range 8 {
				q := a.request()
				if i > 0 {
					fill(rnd, reflect.ValueOf(q).Elem())
				}
				if i > 3 {
					nameAll(reflect.ValueOf(q).Elem(), "some")
				}
				if key == 11 || key == 14 {
					reflect.ValueOf(q).Elem().FieldByName("Group").SetString(fmt.Sprint("g", i))
				}
				if f, ok := q.(*kmsg.FetchRequest); ok {
					f.MaxWaitMillis = 1
				}
				q.SetVersion(v)
				r.ask(q)
			}
		}
	}
	if got := s.log.String(); strings.Contains(got, "panic") {
		t.Error(got)
	}
}

// nameAll gives all topics of a request a name.
func nameAll(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			if n := v.Type().Field(i).Name; n == "Topic" && f.Kind() == reflect.String {
				f.SetString(name)
			} else if n == "Topic" && f.Kind() == reflect.Pointer {
				f.Set(reflect.ValueOf(&name))
			} else {
				nameAll(f, name)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			nameAll(v.Index(i), name)
		}
	}
}

func TestBadFramesEndTheConnection(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Request: 1000, Produce: 2000, Greeting: 500}})
	s.hub("hub", 1)
	frame := func(b ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	sized := func(n uint32, b ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), b...) }
	f := func(b []byte, in bool, reason string) {
		t.Helper()
		before := s.server.Stats().Malformed
		r := s.dial()
		if in {
			r = s.login()
		}
		r.nc.Write(b)
		r.ended()
		if got := s.why(); !strings.Contains(got, reason) {
			t.Errorf("%q; want %q", got, reason)
		}
		if n := s.server.Stats().Malformed - before; n != 1 {
			t.Errorf("%q is counted %d times", reason, n)
		}
	}
	f(sized(0xffffffff, 0, 18), false, "a request of -1 bytes")
	f(sized(0x7fffffff, 0, 18), false, "a request of 2147483647 bytes; 500 is the most here")
	f(sized(501, 0, 18), false, "a request of 501 bytes; 500 is the most here")
	f([]byte("GET / HTTP/1.1\r\n\r\n"), false, "A client of another protocol")
	f(sized(1, 0, 0), true, "a request of 1 bytes")
	f(sized(1001, 0, 3), true, "a request of 1001 bytes; 1000 is the most here")
	f(sized(2001, 0, 0), true, "a request of 2001 bytes; 2000 is the most here")
	f(frame(0, 3, 0, 1), true, "a request whose header ends too early")
	f(frame(0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff), true, "a request whose header ends too early")
	f(frame(0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f), true, "a request whose header has bad tags")
	f(frame(0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff), true, "request 99")
	f(frame(0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff), true, "Metadata v99 is not served; v0 to v13 are")
	f(frame(0, 3, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff), true, "Metadata v-1 is not served")
	f(frame(0, 1, 0, 3, 0, 0, 0, 1, 0xff, 0xff), true, "Fetch v3 is not served")
	f(frame(0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff), true, "Metadata v1: it ends too early, or claims to be longer than it is")
	f(frame(0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0, 1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f), false, "ApiVersions v3: it ends too early")
	f(frame(0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff), true, "Produce v3: it ends too early")
	f(frame(0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0), true, "Produce with acks 9")
	f(frame(0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0), false, "Metadata comes before a password; the client needs security.protocol SASL_PLAINTEXT or SASL_SSL")
	r := s.login() // others are not harmed
	r.ask(kmsg.NewPtrMetadataRequest())
}

func TestSASL(t *testing.T) {
	s := newSite(t, Options{})
	string1 := "Endpoint=sb://localhost/;SharedAccessKeyName=" + hub.RootRule + ";SharedAccessKey=" + s.key() + ";EntityPath=hub"
	f := func(user, password string, want int16, text string) {
		t.Helper()
		for v := range int16(3) {
			r := s.dial()
			h := kmsg.NewPtrSASLHandshakeRequest()
			h.Version, h.Mechanism = 1, "PLAIN"
			if a := r.ask(h).(*kmsg.SASLHandshakeResponse); a.ErrorCode != 0 || fmt.Sprint(a.SupportedMechanisms) != "[PLAIN]" {
				t.Errorf("%+v", a)
			}
			q := kmsg.NewPtrSASLAuthenticateRequest()
			q.Version, q.SASLAuthBytes = v, []byte("\x00"+user+"\x00"+password)
			a := r.ask(q).(*kmsg.SASLAuthenticateResponse)
			if a.ErrorCode != want || want != 0 && !strings.Contains(*a.ErrorMessage, text) {
				t.Errorf("%s: v%d: %d %v", user, v, a.ErrorCode, a.ErrorMessage)
			}
			if want != 0 {
				if strings.Contains(*a.ErrorMessage, password) {
					t.Errorf("the error has the password in it: %s", *a.ErrorMessage)
				}
				r.ended()
				continue
			}
			r.ask(kmsg.NewPtrMetadataRequest())
		}
	}
	f(hub.RootRule, s.key(), 0, "")
	const string2 = "Endpoint=sb://localhost/;SharedAccessSignature="
	f("$ConnectionString", string1, 0, "")
	f("$connectionstring", string1, 0, "")
	f(hub.RootRule, "wrong-key", errAuthenticationFailed, "wrong key name or key")
	f("nobody", s.key(), errAuthenticationFailed, "wrong key name or key")
	f("$ConnectionString", "Endpoint=sb://localhost/", errAuthenticationFailed, "needs a connection string")
	f("$ConnectionString", strings.Replace(string1, s.key(), "AAAA", 1), errAuthenticationFailed, "wrong key name or key")
	sign := func(resource string) string {
		return string2 + sas.Sign(resource, hub.RootRule, s.key(), time.Now().Add(time.Hour))
	}
	f("$ConnectionString", sign("sb://localhost/"), 0, "")
	f("$ConnectionString", sign("sb://localhost/orders"), 0, "")
	f("$ConnectionString", sign("sb://localhost/orders/publishers/x"), errAuthenticationFailed, "the token is for")
	if n := s.server.Stats().Failed; n != 5*3 {
		t.Errorf("%d failed logins are counted", n)
	}

	// Responses without a header follow version 0 of the handshake.
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "PLAIN"
	r := s.dial()
	r.ask(handshake)
	token := []byte("\x00" + hub.RootRule + "\x00" + s.key())
	r.nc.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	if b, err := r.frame(); err != nil || len(b) != 0 {
		t.Fatalf("%x, %v", b, err)
	}
	r.ask(kmsg.NewPtrMetadataRequest())
	r = s.dial()
	r.ask(handshake)
	r.nc.Write([]byte{0, 0, 0, 5, 0, 'a', 0, 'b', 'c'})
	r.ended()

	r = s.dial()
	handshake.Mechanism = "SCRAM-SHA-256"
	if a := r.ask(handshake).(*kmsg.SASLHandshakeResponse); a.ErrorCode != errUnsupportedMechanism || fmt.Sprint(a.SupportedMechanisms) != "[PLAIN]" {
		t.Errorf("%+v", a)
	}
	q := kmsg.NewPtrSASLAuthenticateRequest()
	if a := r.ask(q).(*kmsg.SASLAuthenticateResponse); a.ErrorCode != errIllegalSASLState {
		t.Errorf("%+v", a)
	}
}

// One that guesses counts at once is not answered out of order, nor too late.
func TestAnswersComeInTheOrderOfRequests(t *testing.T) {
	s := newSite(t, Options{Limits: Limits{Pipeline: 4}})
	h := s.hub("hub", 2)
	r := s.login()
	var sent []kmsg.Request
	first := r.id + 1
	for i := range 40 {
		var q kmsg.Request = kmsg.NewPtrMetadataRequest()
		if i%3 > 0 {
			q = produceOf(int32(i%2), 1, batchOf(nil, fmt.Sprint(i)))
		}
		sent = append(sent, q)
		r.send(q)
	}
	next := [2]int64{}
	for i, q := range sent {
		if a, ok := r.answer(q, first+int32(i)).(*kmsg.ProduceResponse); ok {
			p := a.Topics[0].Partitions[0]
			if p.ErrorCode != 0 || p.BaseOffset != next[p.Partition] {
				t.Fatalf("request %d: %+v; want offset %d", i, p, next[p.Partition])
			}
			next[p.Partition]++
		}
	}
	for i, p := range h.Partitions() {
		if p.Range().Next != next[i] {
			t.Errorf("partition %d has %d records; want %d", i, p.Range().Next, next[i])
		}
	}
}

// produceOf is a request that brings a batch to a partition of the topic "hub".
func produceOf(partition int32, acks int16, batch []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks = 9, acks
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.Partitions = "hub", []kmsg.ProduceRequestTopicPartition{p}
	q.Topics = append(q.Topics, t)
	return q
}

func TestAnonymousOnlyWhereAllowed(t *testing.T) {
	s := newSite(t, Options{AllowAnonymous: true})
	s.hub("hub", 1)
	r := s.dial()
	if a := r.ask(kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse); len(a.Topics) != 1 {
		t.Errorf("%+v", a)
	}
	// A wrong password does not leave what was there without one.
	h := kmsg.NewPtrSASLHandshakeRequest()
	h.Version, h.Mechanism = 1, "PLAIN"
	r.ask(h)
	q := kmsg.NewPtrSASLAuthenticateRequest()
	q.SASLAuthBytes = []byte("\x00a\x00b")
	r.ask(q)
	r.ended()
	for addr, want := range map[string]bool{"127.0.0.1:5": true, "[::1]:5": true, "10.1.2.3:5": false, "[fe80::1%eth0]:5": false, "nonsense": false} {
		if got := isLoopback(fakeConn{remote: addr}); got != want {
			t.Errorf("%s: %v; want %v", addr, got, want)
		}
	}
}

// fakeConn has an address and nothing else.
type fakeConn struct {
	net.Conn
	remote string
}

func (f fakeConn) RemoteAddr() net.Addr { return fakeAddr(f.remote) }

type fakeAddr string

func (a fakeAddr) Network() string { return "tcp" }
func (a fakeAddr) String() string  { return string(a) }

// A connection ends when the key that it came in with is replaced.
func TestKeyIsReplaced(t *testing.T) {
	s := newSite(t, Options{})
	r, other := s.login(), s.loginAs(hub.RootRule, s.broker.Rules("")[0].Secondary)
	if _, err := s.broker.Regenerate("", hub.RootRule, hub.Primary); err != nil {
		t.Fatal(err)
	}
	r.trySend(kmsg.NewPtrMetadataRequest())
	r.ended()
	other.ask(kmsg.NewPtrMetadataRequest())
}
