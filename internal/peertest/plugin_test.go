//go:build peers

package peertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestFluentdPlugin: the requests of fluent-plugin-azureeventhubs, by the same library, over
// TLS that is checked.
func TestFluentdPlugin(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	var records []map[string]any
	var want []event
	for i := range 3 {
		r := map[string]any{"status": 200 + i, "path": "/", "time": 1_400_000_000 + i}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
		want = append(want, event{Text: string(b), Properties: map[string]string{"x-prop": "1"}})
	}
	plugin := ruby("plugin.rb")
	got := w.run(t, plugin, h, args{"records": records, "properties": args{"X-Prop": "1"}})
	for _, s := range each[struct {
		Status int
		Body   string
	}](t, got, "status") {
		if s.Status != 201 || s.Body != "" {
			t.Errorf("the answer is %+v", s)
		}
	}
	events := w.run(t, eventhubsJS, h, "receive", args{"count": 3}).events(t)
	if len(events) != 3 {
		t.Fatalf("%d events have come", len(events))
	}
	for i, e := range events {
		var r map[string]any
		if err := json.Unmarshal([]byte(e.body()), &r); err != nil || fmt.Sprint(r["status"]) != fmt.Sprint(200+i) {
			t.Errorf("event %d is %q: %v", i, e.body(), err)
		}
		found := false
		for k, v := range e.Properties {
			found = found || strings.EqualFold(k, "x-prop") && v == "1"
		}
		if !found {
			t.Errorf("event %d has the properties %v", i, e.Properties)
		}
	}
	_ = want
	refused := w.run(t, plugin, h, args{"records": records[:1], "key": encoded("wrong")})
	if s := one[struct{ Status int }](t, refused, "status").Status; s != 401 {
		t.Errorf("a wrong key is answered with %d", s)
	}
}

// TestCurl: a batch by the command line.
func TestCurl(t *testing.T) {
	w := program(t)
	h := w.newHub(t, 1)
	url := fmt.Sprintf("https://localhost:%d/%s/messages", w.HTTPSPort, h)
	token := w.token("https://localhost/"+h, w.key)
	batch := `[{"Body":"one","UserProperties":{"kind":"first"}},{"Body":"two","UserProperties":{"n":"2"}},{"Body":"AP8=","IsBodyBase64":true}]`
	code := w.tool(t, batch, "curl", "-sS", "--cacert", w.caFile, "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: "+token,
		"-H", "Content-Type: application/vnd.microsoft.servicebus.json", "--data-binary", "@-", url)
	if code != "201" {
		t.Errorf("a batch is answered with %s", code)
	}
	same(t, w.run(t, eventhubsJS, h, "receive", args{"count": 3}).events(t),
		[]event{{Text: "one", Properties: map[string]string{"kind": "first"}}, {Text: "two", Properties: map[string]string{"n": "2"}}, {Base64: "AP8="}})
}
