package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/web"
)

// openHub is a service with a hub that has no events.
func openHub(t *testing.T, o web.Options) (*site, *hub.Broker) {
	t.Helper()
	b, err := hub.Open(hub.Options{FS: disk.NewMem(1).Boot(), MaxHubs: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	o.Hub = &web.Hub{Broker: b, CA: "/data/ca.pem", ForwardHub: "Logs", Ports: []web.HubPort{{"amqp", "127.0.0.1:5672"}, {"amqp", "127.0.0.1:5671"}, {"https", "127.0.0.1:8443"},
		{"kafka", "127.0.0.1:9092"}, {"mqtt", "127.0.0.1:1883"}, {"mqtt", "127.0.0.1:8883"}, {"forward", "127.0.0.1:24224"}}}
	return open(t, o), b
}

func TestHubs(t *testing.T) {
	s, b := openHub(t, web.Options{})
	var h web.HubView
	head := s.want(200, &h, "POST", "/api/v1/hubs", map[string]any{"name": "Telemetry", "partitions": 2, "groups": []string{"audit"}})
	if h.Name != "Telemetry" || h.Partitions != 2 || h.Retention != "24h0m0s" || fmt.Sprint(h.Groups) != "[$Default audit]" || head.Get("Location") != "/api/v1/hubs/Telemetry" {
		t.Errorf("%+v %v", h, head)
	}
	s.want(200, &h, "PATCH", "/api/v1/hubs/telemetry", map[string]any{"retention": "90m", "retention_bytes": 1 << 30})
	if h.Retention != "1h30m0s" || h.RetentionBytes != 1<<30 || h.Partitions != 2 {
		t.Errorf("%+v", h)
	}
	s.want(200, &h, "PATCH", "/api/v1/hubs/telemetry", map[string]any{"partitions": 3})
	if h.Retention != "1h30m0s" || h.RetentionBytes != 1<<30 || h.Partitions != 3 {
		t.Errorf("%+v", h)
	}
	var list struct {
		Namespace string
		Hubs      []web.HubView
	}
	s.want(200, &list, "GET", "/api/v1/hubs", nil)
	if list.Namespace != "weir" || len(list.Hubs) != 1 {
		t.Errorf("%+v", list)
	}
	f := func(status int, method, path string, body any, text string) {
		t.Helper()
		if got, _, answer := s.ask(method, path, body); got != status || !strings.Contains(answer, text) {
			t.Errorf("%s %s %v: %d %s", method, path, body, got, answer)
		}
	}
	f(409, "POST", "/api/v1/hubs", map[string]any{"name": "TELEMETRY"}, "exists already")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "a b"}, "not a name")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "-"}, "not a name")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "x", "partitions": 1025}, "partitions")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "x", "retention": "-1h"}, "no time for events to stay")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "x", "retention": "3fortnights"}, "30m, 24h or 7d")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "x", "retention": "0d"}, "30m, 24h or 7d")
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "x", "retention": "2d-1h"}, "30m, 24h or 7d")
	f(200, "PATCH", "/api/v1/hubs/telemetry", map[string]any{"retention": "7d"}, `"retention":"168h0m0s"`)
	f(200, "PATCH", "/api/v1/hubs/telemetry", map[string]any{"retention": "1d12h"}, `"retention":"36h0m0s"`)
	f(422, "PATCH", "/api/v1/hubs/telemetry", map[string]any{"partitions": 1}, "fewer")
	for _, path := range []string{"/api/v1/hubs/telemtry", "/api/v1/hubs/telemtry/groups", "/api/v1/hubs/telemtry/keys"} {
		f(404, "GET", path, nil, `did you mean \"Telemetry\"?`)
	}
	f(404, "DELETE", "/api/v1/hubs/telemtry", nil, `did you mean \"Telemetry\"?`)
	f(404, "PATCH", "/api/v1/hubs/nowhere", map[string]any{"partitions": 1}, "no such event hub")
	f(404, "GET", "/api/v1/hubs/nowhere", nil, "no such event hub")
	f(404, "DELETE", "/api/v1/hubs/nowhere", nil, "no such event hub")
	f(204, "DELETE", "/api/v1/hubs/telemetry", nil, "")
	for i := range 3 {
		f(200, "POST", "/api/v1/hubs", map[string]any{"name": fmt.Sprint("h", i)}, "")
	}
	f(422, "POST", "/api/v1/hubs", map[string]any{"name": "h3"}, "too many event hubs")
	if len(b.Hubs()) != 3 {
		t.Error("not three")
	}
}

func TestHubGroups(t *testing.T) {
	s, b := openHub(t, web.Options{})
	h, err := b.Create(hub.Config{Name: "h", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	var g web.HubGroupView
	s.want(201, &g, "POST", "/api/v1/hubs/h/groups", map[string]any{"name": "a/b c"})
	if g.Name != "a/b c" {
		t.Errorf("%+v", g)
	}
	s.want(409, nil, "POST", "/api/v1/hubs/h/groups", map[string]any{"name": "A/b c"})
	p, _ := h.Partition(1)
	for range 5 {
		if _, err := p.Append([]hub.Event{{Message: (&amqp.Message{}).Append(nil)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.SetOffset("a/b c", 1, hub.Commit{Seq: 2}); err != nil {
		t.Fatal(err)
	}
	var list struct{ Groups []web.HubGroupView }
	s.want(200, &list, "GET", "/api/v1/hubs/h/groups", nil)
	if got := fmt.Sprint(list.Groups); got != "[{$Default 0 []} {a/b c 3 [{1 2 3}]}]" {
		t.Error(got)
	}
	var parts struct{ Partitions []web.HubPartitionView }
	s.want(200, &parts, "GET", "/api/v1/hubs/h/partitions", nil)
	if len(parts.Partitions) != 2 || parts.Partitions[1].Next != 5 || parts.Partitions[1].LastEnqueued == nil || parts.Partitions[0].LastEnqueued != nil {
		t.Errorf("%+v", parts)
	}
	s.want(204, nil, "DELETE", "/api/v1/hubs/h/groups/a%2Fb%20c", nil)
	s.want(404, nil, "DELETE", "/api/v1/hubs/h/groups/a%2Fb%20c", nil)
	s.want(422, nil, "DELETE", "/api/v1/hubs/h/groups/$default", nil)
}

func TestHubEvents(t *testing.T) {
	s, b := openHub(t, web.Options{})
	h, err := b.Create(hub.Config{Name: "h", Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	var sent struct{ Sent []web.HubSent }
	s.want(201, &sent, "POST", "/api/v1/hubs/h/events?partition=1", map[string]any{"events": []map[string]any{
		{"body": "one", "content_type": "text/plain", "message_id": "m1", "application": map[string]string{"a": "b"}}, {"body_base64": "AP8=", "partition_key": "k"}}})
	if got := fmt.Sprint(sent.Sent); got != "[{1 0 32} {1 1 }]" {
		t.Error(got)
	}
	p, _ := h.Partition(1)
	odd := amqp.Message{Annotations: []amqp.Pair{{Key: "x", Value: amqp.Symbol("s")}}, Application: []amqp.Pair{{Key: "u", Value: amqp.UUID{1}}, {Key: "t", Value: time.Unix(0, 0)},
		{Key: "f", Value: 1.5}, {Key: "b", Value: []byte{1}}}, Body: []byte(strings.Repeat("é", 200<<10))}
	if _, err := p.Append([]hub.Event{{Message: odd.Append(nil)}, {Message: []byte("nonsense")}}, nil); err != nil {
		t.Fatal(err)
	}
	var v struct {
		Events []web.HubEventView
		Next   int64
	}
	s.want(200, &v, "GET", "/api/v1/hubs/h/partitions/1/events", nil)
	if len(v.Events) != 4 || v.Next != 4 {
		t.Fatalf("%+v", v)
	}
	if e := v.Events[0]; *e.Body != "one" || e.Properties["content_type"] != "text/plain" || e.Properties["message_id"] != "m1" || e.Application["a"] != "b" || e.Offset != "32" || e.Enqueued.IsZero() {
		t.Errorf("%+v", e)
	}
	if e := v.Events[1]; e.Body != nil || e.BodyBase64 != "AP8=" || e.PartitionKey != "k" || e.BodyBytes != 2 {
		t.Errorf("%+v", e)
	}
	if e := v.Events[2]; e.Body == nil || !e.Truncated || e.BodyBytes != 400<<10 || len(*e.Body) != 256<<10 || strings.ContainsRune(*e.Body, '�') ||
		fmt.Sprint(e.Application, e.Annotations) != "map[b:AQ== f:1.5 t:1970-01-01T00:00:00Z u:01000000-0000-0000-0000-000000000000] map[x:s]" {
		t.Errorf("%v %v %v", e.Application, e.Annotations, e.Truncated)
	}
	if e := v.Events[3]; e.Error == "" {
		t.Errorf("%+v", e)
	}
	f := func(query, want string) {
		t.Helper()
		s.want(200, &v, "GET", "/api/v1/hubs/h/partitions/1/events?"+query, nil)
		var seqs []int64
		for _, e := range v.Events {
			seqs = append(seqs, e.SequenceNumber)
		}
		if got := fmt.Sprint(seqs, v.Next); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	f("from=first&max=2", "[0 1] 2")
	f("from=last&max=1", "[3] 4")
	f("from=2", "[2 3] 4")
	f("from=99", "[] 4")
	f("from=@33", "[1 2 3] 4")
	f("from=2000-01-01T00:00:00Z&max=1", "[0] 1")
	f("from=2100-01-01T00:00:00Z", "[] 4")
	s.want(422, nil, "GET", "/api/v1/hubs/h/partitions/1/events?from=x", nil)
	s.want(422, nil, "GET", "/api/v1/hubs/h/partitions/1/events?max=1001", nil)
	s.want(404, nil, "GET", "/api/v1/hubs/h/partitions/2/events", nil)
	s.want(422, nil, "POST", "/api/v1/hubs/h/events", map[string]any{"events": []map[string]any{{"body_base64": "!"}}})
	s.want(422, nil, "POST", "/api/v1/hubs/h/events", map[string]any{"events": []map[string]any{}})
	s.want(413, nil, "POST", "/api/v1/hubs/h/events", map[string]any{"events": []map[string]any{{"body": strings.Repeat("x", 1<<20+1)}}})
	s.want(201, &sent, "POST", "/api/v1/hubs/h/events", map[string]any{"events": []map[string]any{{"partition_key": "a"}, {"partition_key": "b"}, {"partition_key": "c"}, {"partition_key": "a"}, {}}})
	if len(sent.Sent) != 5 || sent.Sent[0].Partition != sent.Sent[3].Partition || sent.Sent[3].SequenceNumber <= sent.Sent[0].SequenceNumber {
		t.Errorf("%+v", sent)
	}
}

// TestBrowseBounded: however much is asked for, an answer has its bound and says where to go on.
func TestBrowseBounded(t *testing.T) {
	s, b := openHub(t, web.Options{})
	h, err := b.Create(hub.Config{Name: "h", Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := h.Partition(0)
	for range 40 {
		if _, err := p.Append([]hub.Event{{Message: (&amqp.Message{Body: make([]byte, 500<<10)}).Append(nil)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, _, answer := s.ask("GET", "/api/v1/hubs/h/partitions/0/events?max=1000", nil)
	if len(answer) > 32<<20 || !strings.Contains(answer, `"next":16}`) {
		t.Errorf("%d bytes, %s", len(answer), answer[len(answer)-20:])
	}
}

func TestHubKeys(t *testing.T) {
	s, b := openHub(t, web.Options{})
	if _, err := b.Create(hub.Config{Name: "Tele"}); err != nil {
		t.Fatal(err)
	}
	var k web.HubKeyView
	s.want(201, &k, "POST", "/api/v1/hubs/tele/keys", map[string]any{"name": "devices", "rights": []string{"Send"}})
	key := k.Primary
	settings := map[string]string{}
	for _, c := range k.Connect {
		settings[c.For] = c.Settings
	}
	secret := ";SharedAccessKeyName=devices;SharedAccessKey=" + key
	for clients, want := range map[string]string{
		"SDKs of Event Hubs on this machine": "Endpoint=sb://localhost" + secret + ";UseDevelopmentEmulator=true;EntityPath=Tele",
		"SDKs of Event Hubs, with TLS":       "Endpoint=sb://localhost/" + secret + ";EntityPath=Tele",
		"HTTPS":                              "https://localhost:8443/Tele/messages",
		"fluent-plugin-azureeventhubs":       "Endpoint=sb://localhost:8443/" + secret,
		"Kafka":                              "bootstrap.servers=localhost:9092\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.username=$ConnectionString\nsasl.password=Endpoint=sb://localhost/" + secret + ";EntityPath=Tele",
	} {
		if settings[clients] != want {
			t.Errorf("%s: %q, not %q", clients, settings[clients], want)
		}
	}
	var list struct{ Keys []web.HubKeyView }
	s.want(200, &list, "GET", "/api/v1/hubs/TELE/keys", nil)
	if len(list.Keys) != 2 || list.Keys[0].Name != "devices" || list.Keys[1].Name != hub.RootRule {
		t.Errorf("%+v", list)
	}
	s.want(200, &list, "GET", "/api/v1/hubs/-/keys", nil)
	if len(list.Keys) != 1 {
		t.Errorf("%+v", list)
	}
	s.want(200, &k, "POST", "/api/v1/hubs/tele/keys/devices:regenerate", map[string]any{"which": "primary"})
	if k.Primary == key {
		t.Error("the same")
	}
	if _, err := b.Password("devices", key); err == nil {
		t.Error("the old key is taken")
	}
	s.want(409, nil, "POST", "/api/v1/hubs/tele/keys", map[string]any{"name": "devices", "rights": []string{"Send"}})
	s.want(422, nil, "POST", "/api/v1/hubs/tele/keys", map[string]any{"name": "x", "rights": []string{"Fly"}})
	s.want(422, nil, "POST", "/api/v1/hubs/tele/keys", map[string]any{"name": "x", "rights": []string{}})
	s.want(404, nil, "POST", "/api/v1/hubs/tele/keys/nobody:regenerate", map[string]any{"which": "primary"})
	s.want(422, nil, "POST", "/api/v1/hubs/tele/keys/devices:regenerate", map[string]any{"which": "third"})
	s.want(204, nil, "DELETE", "/api/v1/hubs/tele/keys/devices", nil)
	s.want(404, nil, "DELETE", "/api/v1/hubs/tele/keys/devices", nil)
	s.want(404, nil, "GET", "/api/v1/hubs/nowhere/keys", nil)
}

// TestHubGuard: keys are told to nobody without the token, to no page of another site, and to
// no name that points at us.
func TestHubGuard(t *testing.T) {
	const token = "0123456789abcdef"
	s, _ := openHub(t, web.Options{Token: connect.NewHidden(token)})
	for _, path := range []string{"/api/v1/hub", "/api/v1/hubs", "/api/v1/hubs/-/keys"} {
		s.want(401, nil, "GET", path, nil)
		s.want(200, nil, "GET", path, nil, "Authorization", "Bearer "+token)
		s.want(421, nil, "GET", path, nil, "Authorization", "Bearer "+token, "Host", "evil.example")
	}
	s.want(403, nil, "POST", "/api/v1/hubs", map[string]any{"name": "x"}, "Authorization", "Bearer "+token, "Origin", "http://evil.example")
}

// TestNoHub: a service without a hub says so.
func TestNoHub(t *testing.T) {
	s := open(t, web.Options{})
	s.want(200, nil, "GET", "/api/v1/hub", nil)
	s.want(200, nil, "GET", "/api/v1/hubs", nil)
	for _, path := range []string{"/api/v1/hubs/x", "/api/v1/hubs/-/keys", "/api/v1/hubs/x/groups", "/api/v1/hubs/x/partitions/0/events"} {
		if got, _, text := s.ask("GET", path, nil); got != 404 || !strings.Contains(text, "--no-hub") {
			t.Errorf("%s: %d %s", path, got, text)
		}
	}
}

// TestForwardIsToldOfItsHub: all that comes by forward goes to one hub.
func TestForwardIsToldOfItsHub(t *testing.T) {
	s, b := openHub(t, web.Options{})
	for _, name := range []string{"logs", "heat"} {
		if _, err := b.Create(hub.Config{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	f := func(of string, want bool) {
		t.Helper()
		if _, _, answer := s.ask("GET", "/api/v1/hubs/"+of+"/keys", nil); strings.Contains(answer, "hub=Logs") != want {
			t.Errorf("%s: %s", of, answer)
		}
	}
	f("logs", true)
	f("-", true)
	f("heat", false)
}
