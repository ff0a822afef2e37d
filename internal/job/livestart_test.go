package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/disk"
)

// start runs the job until stop is called, which gives Run's answer. It runs in a bubble.
func (c *liveCase) start(t *testing.T) (l *Live, stop func() error) {
	t.Helper()
	l, err := OpenLive(t.Context(), c.disk.Boot(), c.spec)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	end := make(chan error, 1)
	go func() { end <- l.Run(ctx) }()
	return l, func() error {
		cancel()
		return <-end
	}
}

// texts are the events n.. as memEvents, a second apart.
func texts(from, n int) []memEvent {
	var out []memEvent
	for i := from; i < from+n; i++ {
		out = append(out, event(i, float64(i)))
	}
	return out
}

func mustStop(t *testing.T, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestLiveStartModes: where reading begins, and which results come (saql.md 4.9).
func TestLiveStartModes(t *testing.T) {
	f := func(mode StartMode, at time.Duration, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT COUNT(*) AS c, MIN(n) AS low INTO o FROM e TIMESTAMP BY at GROUP BY TumblingWindow(minute, 1)`)
			c.source.marks = true
			for i := range 60 { // two a minute, half an hour
				c.source.add("p", event(i, float64(30*i)))
			}
			c.source.end()
			time.Sleep(15*time.Minute + 30*time.Second)
			c.spec.Start, c.spec.StartAt = mode, simStart.Add(at)
			if _, err := c.run(t); err != nil {
				t.Fatal(err)
			}
			rows := c.target.all()
			if len(rows) == 0 || strings.TrimSpace(rows[0]) != want {
				t.Errorf("%s: %d rows, the first is %s", mode, len(rows), rows)
			}
		})
	}
	f(StartBeginning, 0, `{"c":1,"low":0}`)
	f(StartNow, 0, `{"c":2,"low":31}`)               // the window that ends at 16 is whole
	f(StartTime, 20*time.Minute, `{"c":2,"low":39}`) // (19, 20]
	f("", 0, `{"c":2,"low":31}`)
}

// TestLiveStartLast needs a state; a state is gone on from, whatever the mode.
func TestLiveStartLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n INTO o FROM e`)
		c.source.add("p", texts(0, 3)...)
		c.spec.Start = StartLast
		if _, err := c.run(t); err == nil || !strings.Contains(err.Error(), "the job has never run") {
			t.Errorf("error %v", err)
		}
		c.spec.Start = StartBeginning
		_, stop := c.start(t)
		time.Sleep(time.Second)
		mustStop(t, stop)
		c.source.add("p", texts(3, 3)...)
		_, stop = c.start(t)
		time.Sleep(time.Second)
		mustStop(t, stop)
		if got := len(c.target.all()); got != 6 {
			t.Errorf("%d rows", got)
		}
		c.spec.DiscardState = true
		_, stop = c.start(t)
		time.Sleep(time.Second)
		mustStop(t, stop)
		if got := len(c.target.all()); got != 12-c.source.parts[0].forgot {
			t.Errorf("%d rows after the state was discarded", got)
		}
	})
}

// TestLiveIdle: windows close when no event comes, after the late limit, and the first idle
// source holds nobody up longer.
func TestLiveIdle(t *testing.T) {
	f := func(late time.Duration, clock bool, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT COUNT(*) AS c INTO o FROM e TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)`)
			c.spec.Late = late
			c.source.clock = clock
			c.source.add("quiet")
			c.source.add("p", event(1, 1))
			_, stop := c.start(t)
			for len(c.target.all()) == 0 && time.Since(simStart) < time.Minute {
				time.Sleep(time.Millisecond)
			}
			if got := time.Since(simStart); got < want || got > want+20*time.Millisecond {
				t.Errorf("late limit %v: the window (0, 10] came after %v, want %v", late, got, want)
			}
			mustStop(t, stop)
		})
	}
	f(2*time.Second, false, 12*time.Second)
	f(0, false, 10*time.Second)
	f(5*time.Second, true, 15*time.Second) // the source knows the time better
	f(-1, false, time.Minute)
}

// TestLiveLatency: an event of an idle job is out within the poll, or at once if the source
// tells.
func TestLiveLatency(t *testing.T) {
	f := func(ready bool, most time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT n INTO o FROM e`)
			c.source.ready = ready
			c.source.add("p")
			l, stop := c.start(t)
			for i := range 20 {
				time.Sleep(777 * time.Millisecond)
				c.source.add("p", memEvent{fmt.Sprintf(`{"n":%d}`, i), timeOf(time.Now())})
				began := time.Now()
				for len(c.target.all()) <= i {
					time.Sleep(100 * time.Microsecond)
				}
				if took := time.Since(began); took > most {
					t.Errorf("ready %v: event %d took %v", ready, i, took)
				}
			}
			time.Sleep(time.Second)
			if h := l.Stats().Outputs[0].Latency; h.Sum > 20*most || len(h.Counts) != len(LatencyBounds)+1 {
				t.Errorf("latency %+v", h)
			}
			mustStop(t, stop)
		})
	}
	f(true, time.Millisecond)
	f(false, pollEvery+time.Millisecond)
}

// TestLiveNewPartitions: partitions that appear are read from their start, also after a crash.
func TestLiveNewPartitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		_, stop := c.start(t)
		time.Sleep(time.Second)
		n := 0
		for _, name := range []string{"b", "a", "c"} {
			c.source.add(name, texts(n, 5)...)
			n += 5
			time.Sleep(1100 * time.Millisecond)
			c.disk.CrashAt(1)
			time.Sleep(time.Second)
			stop()
			c.disk.Restart()
			_, stop = c.start(t)
		}
		time.Sleep(2 * time.Second)
		mustStop(t, stop)
		if got := len(c.target.all()); got != 15 {
			t.Errorf("%d rows", got)
		}
	})
}

// TestLiveLock: a second process is refused while the first runs.
func TestLiveLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		boot := c.disk.Boot()
		l, err := OpenLive(t.Context(), boot, c.spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLive(t.Context(), boot, c.spec); !errors.Is(err, disk.ErrLocked) {
			t.Errorf("error %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Run(t.Context()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("error %v of Run after Close", err)
		}
		if l, err = OpenLive(t.Context(), boot, c.spec); err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}

// TestLiveSpec: what no job can have.
func TestLiveSpec(t *testing.T) {
	f := func(want string, change func(s *LiveSpec)) {
		t.Helper()
		c := newLiveCase(t, plainQuery)
		change(&c.spec)
		if _, err := OpenLive(t.Context(), c.disk.Boot(), c.spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if n := c.disk.Ops(); n != 0 {
			t.Errorf("%s: %d changes on the disk", want, n)
		}
	}
	f(`input "e": no file given`, func(s *LiveSpec) { s.Inputs = nil })
	f("the query has 1 outputs, and 0 are given", func(s *LiveSpec) { s.Outputs = nil })
	f(`there is no start mode "soon"`, func(s *LiveSpec) { s.Start = "soon" })
}
