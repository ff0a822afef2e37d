//go:build peers

package peertest

import (
	"encoding/json"
	"testing"
)

// TestForward: Fluentd's own clients: that for JavaScript, with acknowledgements and in every
// mode of the protocol, and that for Python. A record is an event; its tag is a property.
func TestForward(t *testing.T) {
	w := program(t)
	records := []map[string]any{{"status": 200, "path": "/"}, {"status": 404, "path": "/ä"}, {"status": 500, "path": "/x"}}
	f := func(name string, c client, a args) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			from := w.next(t, forwardHub, 0)
			a["tag"], a["records"] = "access", records
			w.run(t, c, forwardHub, "send", a)
			got := w.run(t, eventhubsJS, forwardHub, "receive", args{"from": args{"kind": "sequence", "value": from, "inclusive": true}, "count": len(records)}).events(t)
			for i, e := range got {
				var r map[string]any
				if err := json.Unmarshal([]byte(e.body()), &r); err != nil {
					t.Fatalf("event %d is %q: %v", i, e.body(), err)
				}
				if r["status"] != float64(records[i]["status"].(int)) || r["path"] != records[i]["path"] || e.Properties["tag"] != "access" {
					t.Errorf("event %d is %s with %v, want %v", i, e.body(), e.Properties, records[i])
				}
			}
		})
	}
	js := javascript("forward.mjs")
	f("Message", js, args{"mode": "Message"})
	f("Forward", js, args{"mode": "Forward"})
	f("PackedForward", js, args{"mode": "PackedForward"})
	f("CompressedPackedForward", js, args{"mode": "CompressedPackedForward"})
	f("tls", js, args{"mode": "PackedForward", "tls": true})
	f("python", python("forward_client.py"), args{"nanoseconds": true})
}
