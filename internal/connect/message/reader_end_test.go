package message

import (
	"testing"
	"time"

	"weir/internal/connect"
)

// TestUnusedNumbers: a position goes over numbers that are not used, once all before them is
// given, and they can be read again.
func TestUnusedNumbers(t *testing.T) {
	s := newService()
	r := reading(t, s, 3, connect.Format{})
	s.steps <- step{list: numbered(3, 4), end: 9}
	comes := func(r *Reader, want connect.Position) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; {
			c, err := r.Read(soon(t), 1<<20, "")
			if err != nil {
				t.Fatal(err)
			}
			if c.Next == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("it stands at %q and not at %q", c.Next, want)
			}
			<-r.Ready()
		}
	}
	comes(r, "9")
	s.steps <- step{end: 12}
	comes(r, "12")

	again := newService()
	r = reading(t, again, 3, connect.Format{})
	again.steps <- step{list: numbered(3, 4), end: 9}
	again.steps <- step{end: 12}
	for _, until := range []connect.Position{"9", "12"} {
		if c, err := r.Read(soon(t), 1, until); err != nil || c.Next != until || (len(c.Marks) == 2) != (until == "9") {
			t.Errorf("until %s: %q, %d messages, %v", until, c.Next, len(c.Marks), err)
		}
	}
}
