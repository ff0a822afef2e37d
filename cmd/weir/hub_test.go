package main

import "testing"

func TestShortTimeOf(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := shortTimeOf(text); got != want {
			t.Errorf("%s: %s, not %s", text, got, want)
		}
	}
	f("24h0m0s", "24h")
	f("36h0m0s", "36h")
	f("168h0m0s", "7d")
	f("1h30m0s", "1h30m")
	f("30m0s", "30m")
	f("1s", "1s")
}

// TestNothingReceived is about what recv says on a terminal when it shows nothing.
func TestNothingReceived(t *testing.T) {
	f := func(c recvCmd, seen int, want string) {
		t.Helper()
		r := receiver{recvCmd: &c, hub: &eventHub{name: "heat"}, seen: seen}
		if got := r.nothing(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	f(recvCmd{}, 0, "heat has no events")
	f(recvCmd{From: "seq:9"}, 0, "heat has no events there")
	f(recvCmd{Partition: []int{1}}, 0, "heat has no events there")
	f(recvCmd{Where: "n = 1"}, 7, "none of 7 events of heat is shown")
}
