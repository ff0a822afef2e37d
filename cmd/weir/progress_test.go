package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressWaitsAndIsSparing(t *testing.T) {
	var b strings.Builder
	now := time.Unix(0, 0)
	p := &progress{w: &b, width: 80, thing: "event", now: func() time.Time { return now }, start: now, count: now}
	step := func(d time.Duration) {
		now = now.Add(d)
		p.update(10, 100, 1000)
	}
	step(499 * time.Millisecond)
	p.clear()
	if b.Len() != 0 {
		t.Fatalf("shown before half a second: %q", b.String())
	}
	step(time.Millisecond)
	step(99 * time.Millisecond)
	if n := strings.Count(b.String(), "\r"); n != 1 {
		t.Fatalf("drawn %d times within 100 ms", n)
	}
	step(time.Millisecond)
	p.clear()
	p.clear()
	if n := strings.Count(b.String(), "\x1b[2K"); n != 3 {
		t.Errorf("two lines and one clear wrote %q", b.String())
	}
}

func TestNoProgress(t *testing.T) {
	var p *progress
	p.update(1, 2, 3)
	p.clear()
}

func TestProgressLine(t *testing.T) {
	f := func(done, total, events int64, elapsed time.Duration, want string) {
		t.Helper()
		if got := progressLine(done, total, elapsed, counted(events, "event", elapsed)); got != want {
			t.Errorf("line is\n%s\nwant\n%s", got, want)
		}
	}
	f(50, 100, 2_000_000, time.Second, " 50% ▕██████████          ▏ 2,000,000 events · 2 M/s · ~1 second left")
	f(1, 100, 999, time.Second, "  1% ▕▏                   ▏ 999 events · 999/s")
	f(100, 100, 5_123_456, 2*time.Second, "100% ▕████████████████████▏ 5,123,456 events · 2.56 M/s")
	f(0, 0, 12_345, time.Second, "12,345 events · 12.3 k/s")
	f(10, 100, 1, time.Minute, " 10% ▕██                  ▏ 1 event · 0.0167/s · ~9 minutes left")
	f(3, 100, 1, time.Hour, "  3% ▕▌                   ▏ 1 event · 0.000278/s · ~32 hours left")
}

func TestNumbers(t *testing.T) {
	f := func(n int64, want string) {
		t.Helper()
		if got := grouped(n); got != want {
			t.Errorf("%d is %s; want %s", n, got, want)
		}
	}
	f(0, "0")
	f(999, "999")
	f(1000, "1,000")
	f(-123456, "-123,456")
	f(-1234567, "-1,234,567")
	g := func(x float64, want string) {
		t.Helper()
		if got := short(x); got != want {
			t.Errorf("%v is %s; want %s", x, got, want)
		}
	}
	g(0.5, "0.5")
	g(999, "999")
	g(999.6, "1 k")
	g(12345678, "12.3 M")
	g(2.5e9, "2.5 G")
}
