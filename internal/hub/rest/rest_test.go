package rest

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/sas"
)

var noon = time.Date(2025, 11, 22, 12, 0, 0, 0, time.UTC)

// site is a broker with a hub h1 of 2 partitions and a hub h10.
type site struct {
	t      testing.TB
	disk   *disk.Mem
	broker *hub.Broker
	h      *Handler
	root   hub.Rule
}

func newSite(t testing.TB, o hub.Options) *site {
	t.Helper()
	m := disk.NewMem(1)
	o.FS, o.Now = m.Boot(), func() time.Time { return noon }
	b, err := hub.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range []string{"H1", "h10"} {
		if _, err := b.Create(hub.Config{Name: name, Partitions: 2}); err != nil {
			t.Fatal(err)
		}
	}
	return &site{t, m, b, New(Options{Broker: b, Now: func() time.Time { return noon }}), b.Rules("")[0]}
}

func (s *site) token(resource string) string {
	return sas.Sign(resource, s.root.Name, s.root.Primary, noon.Add(time.Hour))
}

// post asks and gives the answer.
func (s *site) post(path, body string, headers ...string) (int, string) {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", s.token("sb://localhost/h1"))
	for i := 0; i < len(headers); i += 2 {
		r.Header[http.CanonicalHeaderKey(headers[i])] = headers[i+1 : i+2]
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// events are all events of a hub, as texts, partition by partition.
func (s *site) events(name string) []string {
	s.t.Helper()
	h, err := s.broker.Hub(name)
	if err != nil {
		s.t.Fatal(err)
	}
	var list []string
	for _, p := range h.Partitions() {
		r, err := p.Read(0)
		if err != nil {
			s.t.Fatal(err)
		}
		for {
			b, err := r.Next()
			if err != nil {
				s.t.Fatal(err)
			}
			if b == nil {
				break
			}
			for _, x := range b.Records {
				m, err := amqp.Decode(x.Value)
				if err != nil {
					s.t.Fatal(err)
				}
				list = append(list, fmt.Sprintf("%s|%s|%v|%v|%v", x.Key, m.Body, m.Properties.ContentType, m.Application, m.Annotations))
			}
		}
		if err := r.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	return list
}

// TestFullDisk: the client is told to come again, and nothing is kept of what it sent.
func TestFullDisk(t *testing.T) {
	s := newSite(t, hub.Options{})
	s.disk.Limit(1)
	if status, answer := s.post("/h1/messages", "one"); status != 503 || !strings.Contains(answer, "no space left") || strings.Contains(answer, "mem:") {
		t.Errorf("a full disk: %d %s", status, answer)
	}
	s.disk.Limit(-1)
	if status, answer := s.post("/h1/messages", "two"); status != 201 {
		t.Errorf("a disk with space again: %d %s", status, answer)
	}
	if got := s.events("h1"); len(got) != 1 || !strings.Contains(got[0], "|two|") {
		t.Errorf("kept: %q", got)
	}
}

func TestSingle(t *testing.T) {
	f := func(path, body, want string, headers ...string) {
		t.Helper()
		s := newSite(t, hub.Options{})
		if status, answer := s.post(path, body, headers...); status != 201 || answer != "" {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
		if got := s.events("h1"); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, not %q", path, got, want)
		}
	}
	f("/h1/messages", "x", "|x||[]|[]")
	f("/H1/Messages/", "x", "|x||[]|[]")
	f("/h1/messages?timeout=60&api-version=2014-01", "", "|||[]|[]")
	f("/h1/messages", "\x00\xff", "|\x00\xff||[]|[]")
	f("/h1/messages", "x", "|x|application/json|[{Alert Strong Wind} {X-N 7} {X-Quoted a \"b\"}]|[]",
		"Content-Type", "application/json", "alert", "Strong Wind", "X-N", "7", "X-Quoted", `"a "b""`, "User-Agent", "curl", "x-ms-retrypolicy", "NoRetry", "Accept", "*/*")
	f("/h1/messages", "x", "k|x||[]|[]", "BrokerProperties", `{"PartitionKey":"k","TimeToLive":90}`)
	f("/h1/partitions/1/messages", "x", "|x||[]|[]")
	f("/h1/publishers/Dev1/messages", "x", "Dev1|x||[]|[{x-opt-publisher Dev1}]")
	f("/h1/publishers/Dev1/messages", "x", "Dev1|x||[]|[{x-opt-publisher Dev1}]", "BrokerProperties", `{"partitionkey":"Dev1"}`)
}

func TestBrokerProperties(t *testing.T) {
	s := newSite(t, hub.Options{})
	status, answer := s.post("/h1/partitions/0/messages", "x", "Content-Type", "text/plain",
		"BrokerProperties", `{"MessageId":"m","CorrelationId":"c","Label":"l","To":"t","ReplyTo":"r","SessionId":"s","ReplyToSessionId":"rs","ContentType":"a/b","PartitionKey":"k"}`)
	if status != 201 {
		t.Fatal(answer)
	}
	h, _ := s.broker.Hub("h1")
	p, _ := h.Partition(0)
	r, err := p.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	m, err := amqp.Decode(b.Records[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	q := m.Properties
	if got := strings.TrimSpace(fmt.Sprintln(q.MessageID, q.CorrelationID, q.Subject, q.To, q.ReplyTo, q.GroupID, q.ReplyToGroupID, q.ContentType, string(b.Records[0].Key))); got != "m c l t r s rs a/b k" {
		t.Error(got)
	}
}

func TestBatch(t *testing.T) {
	f := func(body string, want ...string) {
		t.Helper()
		s := newSite(t, hub.Options{})
		if status, answer := s.post("/h1/partitions/0/messages", body, "Content-Type", "application/vnd.microsoft.servicebus.json; charset=utf-8", "X-Ignored", "1"); status != 201 || answer != "" {
			t.Fatalf("%s: %d %s", body, status, answer)
		}
		if got := s.events("h1"); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: %q, not %q", body, got, want)
		}
	}
	f(`[{"Body":"Message1"},{"Body":"Message2", "UserProperties":{"Alert":"Strong Wind"}}, {"body":"é\u0000"}]`,
		"|Message1||[]|[]", "|Message2||[{Alert Strong Wind}]|[]", "|é\x00||[]|[]")
	f(` [{"Body":"AP8=","IsBodyBase64":true,"BrokerProperties":{"PartitionKey":"k","ContentType":"x/y"}},{"BrokerProperties":{"PartitionKey":"k"}}] `,
		"k|\x00\xff|x/y|[]|[]", "k|||[]|[]")
	f(`[{"Body":"x","UserProperties":{"i":-9223372036854775808,"f":1.5,"big":9223372036854775808,"t":true,"n":null},"BrokerProperties":null,"Other":[1]}]`,
		"|x||[{big 9.223372036854776e+18} {f 1.5} {i -9223372036854775808} {n <nil>} {t true}]|[]")
}

// TestRefused: what is wrong gets its status, and nothing of it is kept.
func TestRefused(t *testing.T) {
	s := newSite(t, hub.Options{MaxMessage: 2000, MaxBatch: 3000})
	f := func(status int, text, path, body string, headers ...string) {
		t.Helper()
		got, answer := s.post(path, body, headers...)
		if got != status || !strings.Contains(answer, text) || !strings.HasPrefix(answer, fmt.Sprintf("<Error><Code>%d</Code><Detail>", status)) {
			t.Errorf("%s %.60q: %d %s", path, body, got, answer)
		}
		if strings.Contains(answer, s.root.Primary) || strings.Contains(answer, "sig=") || strings.Contains(answer, url.QueryEscape(s.root.Primary)) {
			t.Errorf("a secret is told: %s", answer)
		}
	}
	many := []string{"Content-Type", batchType}
	f(404, "posted to", "/", "x")
	f(404, "posted to", "/h1", "x")
	f(404, "posted to", "/h1/message", "x")
	f(404, "posted to", "/h1/partitions//messages", "x")
	f(404, "posted to", "/h1/consumers/1/messages", "x")
	f(404, "no such event hub", "/h2/messages", "x", "Authorization", s.token("sb://localhost/"))
	f(404, "no such partition", "/h1/partitions/2/messages", "x")
	f(404, "is no partition", "/h1/partitions/-1/messages", "x")
	f(404, "is no partition", "/h1/partitions/99999999999/messages", "x")
	f(413, "the event is too large", "/h1/messages", strings.Repeat("x", 2001))
	f(413, "at most 3000 bytes", "/h1/messages", strings.Repeat("x", 3001))
	f(415, "Content-Encoding", "/h1/messages", "x", "Content-Encoding", "gzip")
	f(400, "BrokerProperties", "/h1/messages", "x", "BrokerProperties", `{"PartitionKey":`)
	f(400, "BrokerProperties", "/h1/messages", "x", "BrokerProperties", `{"PartitionKey":5}`)
	f(400, "129 bytes", "/h1/messages", "x", "BrokerProperties", `{"PartitionKey":"`+strings.Repeat("k", 129)+`"}`)
	f(400, "its name", "/h1/publishers/p/messages", "x", "BrokerProperties", `{"PartitionKey":"k"}`)
	f(400, "not UTF-8", "/h1/messages", "x", "X-Bad", "\xff")
	f(400, "no array", "/h1/messages", `{"Body":"x"}`, many...)
	f(400, "no event", "/h1/messages", `[]`, many...)
	f(400, "event 2: it does not end", "/h1/messages", `[{"Body":"x"},{"Body":`, many...)
	f(400, "event 2: it is null", "/h1/messages", `[{"Body":"x"},null]`, many...)
	f(400, "event 1: Body is not of the right type", "/h1/messages", `[{"Body":{"a":1}}]`, many...)
	f(400, "text behind", "/h1/messages", `[{"Body":"x"}]]`, many...)
	f(400, "event 2 is not base64", "/h1/messages", `[{"Body":"x"},{"Body":"!","IsBodyBase64":true}]`, many...)
	f(400, `property &#34;a&#34; of event 1`, "/h1/messages", `[{"UserProperties":{"a":[1]}}]`, many...)
	f(400, "another partition key", "/h1/messages", `[{"BrokerProperties":{"PartitionKey":"a"}},{"BrokerProperties":{"PartitionKey":"b"}}]`, many...)
	f(400, "another partition key", "/h1/messages", `[{"BrokerProperties":{"PartitionKey":"a"}},{}]`, many...)
	f(401, "needs the header", "/h1/messages", "x", "Authorization", "")
	f(401, "Entra", "/h1/messages", "x", "Authorization", "Bearer abc")
	if got := s.events("h1"); len(got) != 0 {
		t.Errorf("%q was kept", got)
	}
	r := httptest.NewRequest(http.MethodGet, "/h1/messages", nil)
	r.Header.Set("Authorization", s.token("sb://localhost/h1"))
	w := httptest.NewRecorder()
	if s.h.ServeHTTP(w, r); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", w.Code)
	}
}

// TestTokens is row 2 of the security table (reliability.md 6).
func TestTokens(t *testing.T) {
	s := newSite(t, hub.Options{})
	se := fmt.Sprint(noon.Add(time.Hour).Unix())
	good := s.token("sb://localhost/h1")
	f := func(want int, token string) {
		t.Helper()
		if got, answer := s.post("/h1/messages", "x", "Authorization", token); got != want {
			t.Errorf("%.120q: %d %s", token, got, answer)
		} else if got == 401 && strings.Contains(answer, "sig=") {
			t.Errorf("the token is told: %s", answer)
		}
	}
	f(201, good)
	f(201, sas.Sign("sb://localhost/h1", s.root.Name, s.root.Secondary, noon.Add(time.Hour)))
	for _, sr := range []string{"sb://localhost", "sb://localhost/", "ns.servicebus.windows.net", "localhost", "sb://localhost/h1/", "http://LOCALHOST/H1", "https://localhost/h1/messages", "amqps://x/h1", "https://localhost:8443/h1/messages?timeout=60"} {
		f(201, s.token(sr))
	}
	for _, sr := range []string{"sb://localhost/h2", "sb://localhost/h", "sb://localhost/h10", "sb://localhost/h1/partitions/0", "sb://localhost/h1/publishers/p", "sb://localhost/h1/messages/x", "sb:///h1"} {
		f(401, s.token(sr))
	}
	f(401, sas.Sign("sb://localhost/h1", s.root.Name, s.root.Primary, noon.Add(-time.Second)))
	f(401, sas.Sign("sb://localhost/h1", s.root.Name, s.root.Primary, noon))
	f(401, sas.Sign("sb://localhost/h1", s.root.Name, s.root.Primary+"x", noon.Add(time.Hour)))
	f(401, sas.Sign("sb://localhost/h1", "Nobody", s.root.Primary, noon.Add(time.Hour)))
	f(401, strings.Replace(good, "&se="+se, "", 1))
	for _, bad := range []string{"x", "-1", "1e30", "99999999999999999999999", ""} {
		f(401, strings.Replace(good, "&se="+se, "&se="+bad, 1))
	}
	f(401, good+"&sig=AAAA")
	f(401, good+strings.Repeat("x", 1<<20))
	f(401, strings.Replace(good, "sr=", "sR=", 1))
	f(401, strings.ToLower(good))
	// One bit of the signature, and the other alphabet of base64.
	text, err := url.QueryUnescape(between(good, "sig=", "&"))
	if err != nil {
		t.Fatal(err)
	}
	mac, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	mac[5] ^= 1
	f(401, strings.Replace(good, between(good, "sig=", "&"), url.QueryEscape(base64.StdEncoding.EncodeToString(mac)), 1))
	mac[5] ^= 1
	mac[0] = 0xff // so that the alphabets differ
	f(401, strings.Replace(good, between(good, "sig=", "&"), base64.URLEncoding.EncodeToString(mac), 1))
	// The other way around: what is for h10 is not for h1, and the token never stands in the
	// query.
	if got, _ := s.post("/h10/messages", "x"); got != 401 {
		t.Errorf("a token of h1 on h10: %d", got)
	}
	if got, _ := s.post("/h1/messages?Authorization="+url.QueryEscape(good), "x", "Authorization", ""); got != 401 {
		t.Errorf("a token in the query: %d", got)
	}
	if got, _ := s.post("/h1/publishers/p/messages", "x", "Authorization", s.token("sb://localhost/h1/publishers/p")); got != 201 {
		t.Errorf("the token of a publisher: %d", got)
	}
	if got, _ := s.post("/h1/publishers/p2/messages", "x", "Authorization", s.token("sb://localhost/h1/publishers/p")); got != 401 {
		t.Errorf("the token of another publisher: %d", got)
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// fluentd is the request of fluent-plugin-azureeventhubs 0.0.7, byte for byte (eventhubs.md
// 1.4), with the signature of a key.
func fluentd(host, key string) string {
	sr := strings.ToLower(url.QueryEscape("https://" + host + "/hub1/messages"))
	se := fmt.Sprint(noon.Add(time.Hour).Unix())
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(sr + "\n" + se))
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	body := `{"status":200,"path":"/","time":1400000000}`
	return "POST /hub1/messages HTTP/1.1\r\nContent-Type: application/atom+xml;type=entry;charset=utf-8\r\n" +
		"Authorization: SharedAccessSignature sr=" + sr + "&sig=" + sig + "&se=" + se + "&skn=RootManageSharedAccessKey\r\n" +
		"X-Prop: 1\r\nConnection: close\r\nHost: " + host + "\r\nContent-Length: " + fmt.Sprint(len(body)) + "\r\n\r\n" + body
}

func TestFluentd(t *testing.T) {
	s := newSite(t, hub.Options{})
	if _, err := s.broker.Create(hub.Config{Name: "hub1"}); err != nil {
		t.Fatal(err)
	}
	f := func(key string, want int) {
		t.Helper()
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(fluentd("localhost:8444", key))))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	f(s.root.Primary, 201)
	f("wrong", 401)
	want := `|{"status":200,"path":"/","time":1400000000}|application/atom+xml;type=entry;charset=utf-8|[{X-Prop 1}]|[]`
	if got := s.events("hub1"); len(got) != 1 || got[0] != want {
		t.Errorf("%q", got)
	}
}

// TestBodies: what a client says of its length is not believed, and the room for all bodies is
// bounded and given back.
func TestBodies(t *testing.T) {
	s := newSite(t, hub.Options{})
	s.h.o.MaxBodies = 100 << 10
	post := func(body io.Reader, length int64) (int, http.Header) {
		r := httptest.NewRequest(http.MethodPost, "/h1/messages", body)
		r.ContentLength = length
		r.Header.Set("Authorization", s.token("sb://localhost/h1"))
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		return w.Code, w.Header()
	}
	f := func(want int, size, said int64) {
		t.Helper()
		got, h := post(io.LimitReader(letters{}, size), said)
		if got != want || got == 503 && h.Get("Retry-After") == "" {
			t.Errorf("%d bytes, %d said: %d", size, said, got)
		}
		if n := s.h.bodies.Load(); n != 0 {
			t.Errorf("%d bytes are still held", n)
		}
	}
	f(201, 50<<10, -1)
	f(201, 50<<10, 50<<10)
	f(503, 300<<10, -1)
	f(503, 300<<10, 300<<10)
	f(413, 10, 2<<30)
	s.h.o.MaxBodies = DefaultMaxBodies
	f(413, 2<<30, -1)
	f(413, 1<<20+1, -1)
	if got := s.h.Answered(); got["201"] != 2 || got["503"] != 2 || got["413"] != 3 {
		t.Errorf("%v", got)
	}
}

// letters never end.
type letters struct{}

func (letters) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}
