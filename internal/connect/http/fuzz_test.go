package http

import (
	"bytes"
	"slices"
	"testing"

	"weir/internal/vec"
)

// FuzzCutEvents: whatever is posted, what is taken is an event a line, each an object that
// the engine reads, and taking the lines again gives the same events.
func FuzzCutEvents(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[{"a":1},{"b":"x\ny"}]`, "{}\n{}\n", "a,b\n1,\"2\n3\"\n", `[{]`, "[[[", `{"a":"\ud800"}`, "\x00", `{"a":1e5}{"b":-0}`} {
		f.Add(s, "application/json")
		f.Add(s, "text/csv")
	}
	f.Fuzz(func(t *testing.T, text, kind string) {
		if len(text) > 1<<16 {
			return
		}
		events, err := cutEvents([]byte(text), kind)
		if err != nil {
			if len(events) > 0 {
				t.Fatal("events and an error")
			}
			return
		}
		for _, e := range events {
			if bytes.ContainsAny(e, "\r\n") {
				t.Fatalf("%q is no line", e)
			}
			if v, err := vec.ParseJSON(e); err != nil || v.Kind != vec.Record {
				t.Fatalf("%q is no event: %v", e, err)
			}
		}
		if len(events) == 0 {
			return
		}
		again, err := cutEvents(bytes.Join(events, []byte("\n")), "")
		if err != nil || !slices.EqualFunc(again, events, bytes.Equal) {
			t.Fatalf("taken again: %q, %v", again, err)
		}
	})
}
