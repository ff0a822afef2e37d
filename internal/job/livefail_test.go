package job

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
)

// TestLivePolicies: what becomes of a row that the target does not take.
func TestLivePolicies(t *testing.T) {
	f := func(policy, wantError string, rows, dead int, rejected int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT n INTO o FROM e`)
			c.source.marks = true
			c.source.add("p", texts(0, 10)...)
			c.spec.Outputs[0].OnError = policy
			c.target.reject = func(row string) *connect.RowError {
				if !strings.Contains(row, "4") {
					return nil
				}
				return &connect.RowError{Name: "OutputDataConversionError.TypeConversionError", Column: "n", Reason: "no fours"}
			}
			l, stop := c.start(t)
			time.Sleep(3 * time.Second)
			s := l.Stats()
			err := stop()
			if (err == nil) != (wantError == "") || err != nil && !strings.Contains(err.Error(), wantError) {
				t.Errorf("%s: error %v", policy, err)
			}
			if policy == OnErrorRetry && (s.State != Degraded || !strings.Contains(s.Reason, "no fours") || s.Outputs[0].Retries == 0 && s.Inputs == nil) {
				t.Errorf("%s: %s, %s", policy, s.State, s.Reason)
			}
			list, _ := l.DeadLetters(0, 10)
			if got := c.target.all(); len(got) != rows || len(list) != dead || len(s.Outputs) > 0 && s.Outputs[0].Rejected["OutputDataConversionError.TypeConversionError"] != rejected {
				t.Errorf("%s: %d rows, %d dead letters, %v", policy, len(got), len(list), s.Outputs)
			}
			if dead > 0 && (list[0].Output != "o" || list[0].Payload != `{"n":4}` || list[0].Reason != `no fours, column "n"`) {
				t.Errorf("%+v", list[0])
			}
		})
	}
	f(OnErrorDrop, "", 9, 0, 1)
	f(OnErrorDeadLetter, "", 9, 1, 1)
	f(OnErrorRetry, "", 0, 0, 0)
	f(OnErrorStop, `(row {"n":4})`, 0, 0, 0)
	f("", "no fours", 0, 0, 0)
}

// TestLiveOutage: while an output does not answer nothing is read, and all goes on when it
// does.
func TestLiveOutage(t *testing.T) {
	for _, op := range []string{"write", "prepare", "commit", "sync"} {
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, `SELECT n INTO o FROM e`)
			c.source.add("p")
			out := false
			c.target.fault = func(got string) (before, after error) {
				if out && got == op {
					return errors.New("connection refused"), nil
				}
				return nil, nil
			}
			l, stop := c.start(t)
			time.Sleep(2 * time.Second)
			c.target.mu.Lock()
			out = true
			c.target.mu.Unlock()
			for i := range 100 {
				c.source.add("p", event(i, float64(i)))
				time.Sleep(200 * time.Millisecond)
			}
			s := l.Stats()
			if s.State != Degraded || !strings.Contains(s.Reason, "connection refused") || !strings.Contains(s.Reason, `output "o"`) {
				t.Errorf("%s: %s: %s", op, s.State, s.Reason)
			}
			if s.Inputs[0].Events > 30 {
				t.Errorf("%s: %d events were read while the output was away", op, s.Inputs[0].Events)
			}
			// Whoever asks for something meanwhile is told so, and does not wait for the output.
			began := time.Now()
			if err := l.Checkpoint(t.Context()); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "connection refused") || time.Since(began) > 6*time.Second {
				t.Errorf("%s: a checkpoint: %v after %s", op, err, time.Since(began))
			}
			if _, err := l.Tap("o", TapLimits{}); !errors.Is(err, ErrBusy) {
				t.Errorf("%s: a tap: %v", op, err)
			}
			if _, err := l.Reload(t.Context(), l.spec, ReloadOptions{}); !errors.Is(err, ErrBusy) {
				t.Errorf("%s: a reload: %v", op, err)
			}
			c.target.mu.Lock()
			out = false
			c.target.mu.Unlock()
			time.Sleep(longestPause + time.Second)
			if s := l.Stats(); s.State != Running || s.Outputs[0].Rows != 100 || s.Outputs[0].Retries == 0 || s.Outputs[0].Blocked == 0 {
				t.Errorf("%s: %s, %+v", op, s.State, s.Outputs[0])
			}
			mustStop(t, stop)
			if got := len(c.target.all()); got != 100 {
				t.Errorf("%s: %d rows", op, got)
			}
		})
	}
}

// TestLiveDiskFull: a disk without space holds the job, and says so; it goes on by itself.
func TestLiveDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n INTO o FROM e`)
		l, stop := c.start(t)
		c.source.add("p", texts(0, 10)...)
		time.Sleep(2 * time.Second)
		c.disk.Limit(0)
		c.source.add("p", texts(10, 10)...)
		time.Sleep(20 * time.Second)
		if s := l.Stats(); s.State != Degraded || !strings.Contains(s.Reason, "no space left") || !strings.Contains(s.Reason, "goes on when there is space") {
			t.Errorf("%s: %s", s.State, s.Reason)
		}
		if got := len(c.target.all()); got != 10 {
			t.Errorf("%d rows while the disk was full", got)
		}
		c.disk.Limit(-1)
		time.Sleep(10 * time.Second)
		if s := l.Stats(); s.State != Running || len(c.target.all()) != 20 {
			t.Errorf("%s, %d rows", s.State, len(c.target.all()))
		}
		mustStop(t, stop)
	})
}

// TestLiveFails: errors that no retry heals end the job, by name; a restart goes on.
func TestLiveFails(t *testing.T) {
	f := func(name, query, want string, change func(c *liveCase)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, query)
			c.source.add("p", texts(0, 10)...)
			c.source.end()
			change(c)
			l, err := c.run(t)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v", name, err)
			}
			if s := l.Stats(); s.State != Failed || !strings.Contains(s.Reason, want) {
				t.Errorf("%s: %s, %s", name, s.State, s.Reason)
			}
			c.target.fault = nil
			c.source.fault = nil
			if _, err := c.run(t); (err == nil) != (query == plainQuery) {
				t.Errorf("%s: the next start: %v", name, err)
			}
		})
	}
	f("permanent", plainQuery, `output "o": no such table`, func(c *liveCase) {
		c.target.fault = func(op string) (error, error) {
			if op == "commit" {
				return connect.Permanent(errors.New("no such table")), nil
			}
			return nil, nil
		}
	})
	f("query error", `SELECT CAST(k AS bigint) AS k INTO o FROM e`, "cannot cast value 'k0' of type nvarchar(max) to bigint in expression 'CAST(k AS bigint)' (input \"e\", partition \"p\", in the events behind position \"\")", func(*liveCase) {})
	f("input", plainQuery, `input "e": forbidden`, func(c *liveCase) {
		c.source.fault = func(op string) error {
			if op == "read" {
				return connect.Permanent(errors.New("forbidden"))
			}
			return nil
		}
	})
	f("panic", plainQuery, "this is a fault of Weir", func(c *liveCase) {
		c.target.fault = func(op string) (error, error) {
			if op == "prepare" {
				panic("a mistake")
			}
			return nil, nil
		}
	})
}

const plainQuery = `SELECT n INTO o FROM e`

// TestLiveGone: events that are no longer kept are not passed over in silence.
func TestLiveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.source.add("p", texts(0, 10)...)
		_, stop := c.start(t)
		time.Sleep(time.Second)
		mustStop(t, stop)
		c.source.parts[0].forgot = 20
		_, err := c.run(t)
		if !errors.Is(err, connect.ErrGone) || !strings.Contains(err.Error(), `input "e", partition "p"`) || !strings.Contains(err.Error(), "--discard-state") {
			t.Errorf("error %v", err)
		}
	})
}

// TestLiveTargetAhead: a target that knows epochs which the state does not is refused.
func TestLiveTargetAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.source.add("p", texts(0, 10)...)
		l, stop := c.start(t)
		time.Sleep(time.Second)
		mustStop(t, stop)
		c.target.committed[l.dir.instance] += 5
		if _, err := c.run(t); err == nil || !strings.Contains(err.Error(), "a part of the state is missing") {
			t.Errorf("error %v", err)
		}
	})
}

// TestLiveDamagedCheckpoint: the one before is used, with the epochs since, and that is said.
func TestLiveDamagedCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`)
		_, stop := c.start(t)
		for i := range 50 {
			c.source.add("p", event(i, float64(i)))
			time.Sleep(100 * time.Millisecond)
		}
		mustStop(t, stop)
		files, _ := listNumbered(c.disk, checkpointDir, checkpointExt)
		name := checkpointName(files[len(files)-1])
		data, _ := readAll(c.disk, name)
		data[len(data)/2] ^= 1
		overwrite(t, c.disk, name, string(data))
		c.source.add("p", texts(50, 10)...)
		c.source.end()
		l, err := c.run(t)
		if err != nil {
			t.Fatal(err)
		}
		if s := l.Stats(); len(s.Notes) != 1 || !strings.Contains(s.Notes[0], name) {
			t.Errorf("notes %q", s.Notes)
		}
		if got := len(c.target.all()); got != 19 {
			t.Errorf("%d rows", got)
		}
	})
}

// TestLiveForgetful: a sink that cannot tell what it has gets nothing twice at a stop, and at
// most the last epoch after a crash.
func TestLiveForgetful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.target.forgetful = true
		for round := range 6 {
			ctx, cancel := context.WithCancel(t.Context())
			l, err := OpenLive(ctx, c.disk.Boot(), c.spec)
			if err != nil {
				t.Fatal(err)
			}
			end := make(chan error, 1)
			go func() { end <- l.Run(ctx) }()
			for i := range 5 {
				c.source.add("p", event(round*5+i, float64(i)))
				time.Sleep(100 * time.Millisecond)
			}
			if round%2 == 0 {
				c.disk.CrashAt(1)
				time.Sleep(time.Second)
			}
			cancel()
			<-end
			c.disk.Restart()
		}
		got, seen := c.target.all(), map[string]bool{}
		for _, row := range got {
			seen[row] = true
		}
		if len(seen) != 30 || len(got) > 33 {
			t.Errorf("%d rows, %d different", len(got), len(seen))
		}
	})
}

// TestLiveKillsAreNoPoison: a process that others kill again and again at its start, and now
// and then later, makes no dead letters of the events that it was about to read.
func TestLiveKillsAreNoPoison(t *testing.T) {
	f := func(start, at int64) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, plainQuery)
			c.spec.Late, c.source.marks = -1, true
			c.source.add("p", texts(0, 5)...)
			_, stop := c.start(t)
			time.Sleep(time.Second)
			mustStop(t, stop)
			c.source.add("p", texts(5, 3)...)
			for _, op := range []int64{start, start, start, start, at, start, start, start, start} {
				l, err := OpenLive(context.Background(), c.disk.Boot(), c.spec)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan struct{})
				c.disk.KillAt(op)
				go func() { l.Run(ctx); close(ended) }()
				time.Sleep(time.Second)
				c.disk.Kill()
				cancel()
				<-ended
				c.disk.Restart()
			}
			l, stop := c.start(t)
			time.Sleep(time.Second)
			if list, err := l.DeadLetters(0, 10); len(list) > 0 || err != nil {
				t.Errorf("killed in operations %d and %d: dead letters %+v, %v", start, at, list, err)
			}
			mustStop(t, stop)
			if got := c.target.all(); len(got) != 8 {
				t.Errorf("killed in operations %d and %d: %d rows, want 8: %q", start, at, len(got), got)
			}
		})
	}
	for start := int64(5); start < 9; start++ {
		for at := start; at < start+12; at++ {
			f(start, at)
		}
	}
}

// TestLivePoison: an event with which the job ends again and again is found and passed over,
// and nothing else is lost or comes twice.
func TestLivePoison(t *testing.T) {
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, plainQuery)
			c.source.marks = true
			c.source.add("p", texts(0, 40)...)
			c.source.add("q", texts(40, 10)...)
			died := false
			c.target.reject = func(row string) *connect.RowError {
				if !strings.Contains(row, ":23}") {
					return nil
				}
				if !crash {
					panic("out of memory")
				}
				c.disk.CrashAt(1)
				died = true
				return &connect.RowError{}
			}
			c.spec.Outputs[0].OnError = OnErrorRetry
			starts := 0
			for {
				starts++
				l, stop := c.start(t)
				time.Sleep(5 * time.Second)
				s := l.Stats()
				err := stop()
				c.disk.Restart()
				if starts == maxStarts+1 && (len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "event by event")) {
					t.Errorf("notes %q", s.Notes)
				}
				if err == nil && !died || starts > 20 {
					break
				}
				died = false
			}
			if got := len(c.target.all()); got != 49 || starts > 2*maxStarts+2 {
				t.Errorf("crash %v: %d rows after %d starts", crash, got, starts)
			}
			l, stop := c.start(t)
			time.Sleep(time.Second)
			list, err := l.DeadLetters(0, 10)
			if len(list) != 1 || err != nil || list[0].Name != PoisonEvent || !strings.Contains(list[0].Payload, `"n":23,`) || list[0].Partition != "p" {
				t.Errorf("%+v, error %v", list, err)
			}
			if s := l.Stats(); len(s.Notes) != 0 {
				t.Errorf("notes %q", s.Notes)
			}
			mustStop(t, stop)
		})
	}
}
