//go:build peers

package peertest

import (
	"strings"
	"testing"
)

// TestPython: azure-eventhub for Python, as Debian has it and as it is today. Debian's knows
// TLS on port 5671 only.
func TestPython(t *testing.T) {
	w := program(t)
	f := func(c client, version string, ways ...string) {
		t.Helper()
		for i, way := range ways {
			t.Run(version+" "+way, func(t *testing.T) {
				h := w.newHub(t, 2)
				sent := []event{
					{Base64: encoded("one"), Key: "k", Properties: map[string]string{"kind": "first", "größe": "3"}, ContentType: "application/json"},
					{Base64: encoded("\x00\xff\x80 bytes"), Key: "k"},
				}
				w.run(t, c, h, "send", args{"way": way, "key": "k", "events": sent})
				got := w.run(t, c, h, "receive", args{"way": way, "count": 2}).events(t)
				same(t, got, sent)
				w.run(t, c, h, "send", args{"way": way, "partition": got[0].Partition, "events": letters("later", 3)})
				on := args{"way": way, "partitions": []string{got[0].Partition}, "count": 3}
				on["from"] = args{"kind": "offset", "value": got[1].Offset}
				same(t, w.run(t, c, h, "receive", on).events(t), letters("later", 3))
				on["from"] = args{"kind": "sequence", "value": got[1].Seq + 1, "inclusive": true}
				same(t, w.run(t, c, h, "receive", on).events(t), letters("later", 3))
				d := w.run(t, c, h, "describe", args{"way": way})
				if v := one[struct {
					Version string
					Hub     struct{ Name string }
				}](t, d, "hub"); !strings.HasPrefix(v.Version, version) || v.Hub.Name != h {
					t.Errorf("this is azure-eventhub %s, and the hub is %q", v.Version, v.Hub.Name)
				}
				if i > 0 {
					return // the SDK takes its time to give up
				}
				wrong := args{"way": way, "events": letters("x", 1), "connection": strings.Replace(w.connection(way, version), w.key, encoded("wrong"), 1)}
				if _, err := w.try(t, c, h, "send", wrong); err == nil || err.Name != "AuthenticationError" {
					t.Errorf("a wrong key: %+v", err)
				}
			})
		}
	}
	f(python("eventhubs_client.py"), "5.15", "plain", "tls", "websocket")
	f(debianPython("eventhubs_client.py"), "5.11", "tls")
}

// connection is the connection string that a version takes by default.
func (w *world) connection(way, version string) string {
	switch {
	case way == "plain":
		return w.plain
	case version == "5.11":
		return w.standardTLS
	}
	return w.tls
}
