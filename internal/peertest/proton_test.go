//go:build peers

package peertest

import (
	"fmt"
	"testing"
)

// TestProton: a client of AMQP 1.0 that knows nothing of Event Hubs: PLAIN, messages of the
// common format, dispositions, links that are refused, credit by hand, drain.
func TestProton(t *testing.T) {
	w := program(t)
	proton := debianPython("amqp_proton.py")
	for _, way := range []string{"plain", "tls"} {
		t.Run(way, func(t *testing.T) {
			h := w.newHub(t, 1)
			sent := []event{
				{Base64: encoded("one"), Key: "k", Properties: map[string]string{"kind": "first"}},
				{Base64: encoded("two")},
				{Base64: encoded("three")},
			}
			if n := one[struct{ Accepted int }](t, w.run(t, proton, h, "send", args{"way": way, "events": sent}), "accepted").Accepted; n != 3 {
				t.Errorf("%d messages were accepted", n)
			}
			got := w.run(t, proton, h, "receive", args{"way": way, "partition": "0", "credit": 10, "count": 3})
			same(t, got.events(t), sent)
			if credit := one[struct{ Credit int }](t, got, "credit").Credit; credit != 7 {
				t.Errorf("%d credit is left of 10, want 7", credit)
			}
			if drained := one[struct{ Drained int }](t, got, "drained").Drained; drained != 7 {
				t.Errorf("%d credit was drained, want 7", drained)
			}
			second := fmt.Sprintf("amqp.annotation.x-opt-sequence-number > '%d'", got.events(t)[0].Seq)
			got = w.run(t, proton, h, "receive", args{"way": way, "partition": "0", "credit": 5, "count": 2, "selector": second, "settle": true})
			same(t, got.events(t), sent[1:])
		})
	}
	h := w.newHub(t, 1)
	f := func(name, verb, field, want string, a args) {
		t.Helper()
		got, err := w.try(t, proton, h, verb, a)
		if err != nil {
			t.Fatalf("%s: %+v", name, *err)
		}
		list := each[map[string]any](t, got, field)
		if len(list) == 0 || list[0][field] != want {
			t.Errorf("%s: %s, want %s %s", name, got, field, want)
		}
	}
	one := letters("x", 1)
	f("no such hub", "send", "link", "amqp:not-found", args{"target": "nowhere", "events": one})
	f("no such partition", "receive", "link", "com.microsoft:argument-out-of-range", args{"partition": "9", "credit": 1, "count": 1})
	f("a wrong key", "send", "refused", "amqp:unauthorized-access", args{"password": "wrong", "events": one})
	f("nobody", "send", "link", "amqp:unauthorized-access", args{"anonymous": true, "events": one})
}
