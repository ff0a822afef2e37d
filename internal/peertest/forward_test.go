//go:build peers

package peertest

import (
	"encoding/json"
	"testing"
)

// TestForward: Fluentd's own clients for JavaScript, with acknowledgements and in every mode
// of the protocol, and for Python. A record is an event; its tag is a property.
func TestForward(t *testing.T) {
	w := program(t)
	records := []map[string]any{{"status": 200, "path": "/"}, {"status": 404, "path": "/ä"}, {"status": 500, "path": "/x"}}
	check := func(t *testing.T) {
		t.Helper()
		got := w.run(t, eventhubsJS, w.forwardHub, "receive", args{"from": args{"kind": "sequence", "value": w.forwarded - 1}, "count": len(records)}).events(t)
		w.forwarded += int64(len(records))
		for i, e := range got {
			var r map[string]any
			if err := json.Unmarshal([]byte(e.body()), &r); err != nil {
				t.Fatalf("event %d is %q: %v", i, e.body(), err)
			}
			if r["status"] != float64(records[i]["status"].(int)) || r["path"] != records[i]["path"] {
				t.Errorf("event %d is %s, want %v", i, e.body(), records[i])
			}
		}
	}
	for _, mode := range []string{"Message", "Forward", "PackedForward", "CompressedPackedForward"} {
		t.Run(mode, func(t *testing.T) {
			w.run(t, javascript("forward.mjs"), "", "send", args{"tag": "access", "mode": mode, "records": records})
			check(t)
		})
	}
	t.Run("tls", func(t *testing.T) {
		w.run(t, javascript("forward.mjs"), "", "send", args{"tag": "access", "mode": "PackedForward", "records": records, "tls": true})
		check(t)
	})
	t.Run("python", func(t *testing.T) {
		w.run(t, python("forward_client.py"), "", "send", args{"tag": "access", "records": records, "nanoseconds": true})
		check(t)
	})
	t.Run("wrong key", func(t *testing.T) {
		_, err := w.try(t, javascript("forward.mjs"), "", "send", args{"tag": "access", "mode": "Message", "records": records, "security": args{"sharedKey": "wrong"}})
		if err == nil {
			t.Error("a wrong shared key was taken")
		}
	})
}
