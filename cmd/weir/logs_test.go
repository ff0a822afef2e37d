package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestRepeatsAreCounted(t *testing.T) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	r := newRepeats(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}), func() time.Time { return now })
	log := slog.New(r)
	f := func(want ...string) {
		t.Helper()
		if got := strings.TrimSpace(b.String()); got != strings.Join(want, "\n") {
			t.Errorf("the log is\n%s\nand not\n%s", got, strings.Join(want, "\n"))
		}
		b.Reset()
	}
	one, two := log.With("job", "one"), log.With("job", "two")
	one.Warn("away", "error", errors.New("refused"))
	f(`level=WARN msg=away job=one error=refused`)
	for i := range 5 {
		one.Warn("away", "error", i)
	}
	two.Warn("away")
	log.Warn("away", "job", "three")
	log.Info("started")
	log.Info("started")
	f(`level=WARN msg=away job=two`, `level=WARN msg=away job=three`, `level=INFO msg=started`, `level=INFO msg=started`)
	now = now.Add(repeatWindow + 1)
	log.Info("well")
	f(`level=WARN msg=away job=one error=4 repeated=5`, `level=INFO msg=well`)
	one.Warn("away")
	f(`level=WARN msg=away job=one`)
	if c := r.Counts(); c["warn"] != 9 || c["info"] != 3 {
		t.Errorf("counts: %v", c)
	}
	for i := range 2 * maxRepeats { // memory is bounded: what is not remembered is written
		log.Error("e" + strings.Repeat("x", i))
	}
	if n := len(r.shared.said); n > maxRepeats {
		t.Errorf("%d lines are remembered", n)
	}
}
