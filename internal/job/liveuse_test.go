package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/plan"
	"weir/internal/saql"
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
	f("query error", `SELECT CAST(k AS bigint) AS k INTO o FROM e`, "cannot cast value 'k0' of type nvarchar(max) to bigint in expression 'CAST(k AS bigint)'", func(*liveCase) {})
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

// TestLiveDeadLetters: what is malformed, late or fails becomes a dead letter with its place.
func TestLiveDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n, CAST(x AS bigint) AS x INTO o FROM e TIMESTAMP BY at`)
		c.source.marks, c.spec.Drop, c.spec.DropErrors = true, true, true
		c.source.add("p", event(0, 100), memEvent{`{"n":1`, moment(100)}, memEvent{`{"n":2,"at":"1999-12-31"}`, moment(101)},
			memEvent{`{"n":3,"x":"?","at":"2000-01-01T00:01:42Z"}`, moment(102)},
			memEvent{`{"n":4}`, moment(103)}, event(5, 104), memEvent{`{"n":6,"at":"2000-01-01T02:00:00Z"}`, moment(105)})
		c.source.end()
		l, err := c.run(t)
		if err != nil {
			t.Fatal(err)
		}
		list, err := l.DeadLetters(0, 100)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range list {
			got = append(got, fmt.Sprintf("%d %s %s/%s@%d %s", d.ID, d.Name, d.Input, d.Partition, d.Offset, d.Payload))
		}
		want := []string{
			`1 InputDeserializerError.InvalidData e/p@1 {"n":1`,
			`2 LateInputEvent e/p@2 {"n":2,"at":"1999-12-31"}`,
			`3 InvalidInputTimeStamp e/p@4 {"n":4}`,
			`4 EarlyInputEvent e/p@6 {"n":6,"at":"2000-01-01T02:00:00Z"}`,
		}
		counts, _ := l.DeadCounts()
		for _, w := range want {
			w = w[2:]
			if !strings.Contains(strings.Join(got, "\n"), w) {
				t.Errorf("no %s in\n%s", w, strings.Join(got, "\n"))
			}
		}
		if counts["QueryError"] != 1 || len(list) != 5 || l.Stats().Dead["LateInputEvent"] != 1 {
			t.Errorf("counts %v, %s", counts, strings.Join(got, "\n"))
		}
		if got := len(c.target.all()); got != 2 {
			t.Errorf("%d rows", got)
		}
	})
}

// TestLiveRedrive: dead letters are tried again, once, also if the power goes.
func TestLiveRedrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		c.spec.Outputs[0].OnError = OnErrorDeadLetter
		var picky atomic.Bool
		picky.Store(true)
		c.target.reject = func(row string) *connect.RowError {
			if picky.Load() && strings.Contains(row, "7") {
				return &connect.RowError{Name: "X", Reason: "no sevens"}
			}
			return nil
		}
		c.source.marks = true
		c.source.add("p", memEvent{`{"n":`, moment(1)}, event(7, 7), event(8, 8))
		l, stop := c.start(t)
		time.Sleep(time.Second)
		picky.Store(false)
		if err := l.Redrive(t.Context(), []Redriven{{1, []byte(`{"n":100}`)}, {ID: 2}}); err != nil {
			t.Fatal(err)
		}
		c.disk.CrashAt(1)
		time.Sleep(2 * time.Second)
		stop()
		c.disk.Restart()
		l, stop = c.start(t)
		time.Sleep(2 * time.Second)
		if got := strings.Join(c.target.all(), ""); got != `{"n":8}`+"\n"+`{"n":100}`+"\n"+`{"n":7}`+"\n" {
			t.Errorf("rows %s", got)
		}
		if err := l.Redrive(t.Context(), []Redriven{{ID: 99}}); err == nil || !strings.Contains(err.Error(), "no dead letter 99") {
			t.Errorf("error %v", err)
		}
		mustStop(t, stop)
	})
}

// TestLiveTap: rows of steps, outputs and inputs can be looked at, and nobody waits for it.
func TestLiveTap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `WITH w AS (SELECT n, k FROM e WHERE n > 2) SELECT n*2 AS m INTO o FROM w`)
		c.source.add("p")
		l, stop := c.start(t)
		time.Sleep(time.Second)
		taps := map[string]*Tapping{}
		for _, name := range []string{"w", "o", "e"} {
			tap, err := l.Tap(name, TapLimits{Rows: 3})
			if err != nil {
				t.Fatal(err)
			}
			taps[name] = tap
		}
		if _, err := l.Tap("nothing", TapLimits{}); err == nil {
			t.Error("a tap of nothing")
		}
		c.source.add("p", texts(0, 8)...)
		time.Sleep(time.Second)
		f := func(name, want string) {
			t.Helper()
			rows, err := taps[name].Next(t.Context())
			var got []string
			for _, r := range rows.Rows {
				got = append(got, string(r))
			}
			if s := fmt.Sprint(strings.Join(got, " "), " dropped ", rows.Dropped); s != want || err != nil {
				t.Errorf("%s: %s, error %v", name, s, err)
			}
		}
		f("w", `{"n":5} {"n":6} {"n":7} dropped 2`)
		f("o", `{"m":10} {"m":12} {"m":14} dropped 2`)
		f("e", `{"n":5} {"n":6} {"n":7} dropped 5`)
		taps["w"].Close()
		mustStop(t, stop)
		for name, tap := range taps {
			if _, err := tap.Next(t.Context()); err == nil || err.Error() != "EOF" {
				t.Errorf("%s: error %v at the end", name, err)
			}
		}
		if _, err := l.Tap("w", TapLimits{}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("error %v of a job that has ended", err)
		}
	})
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

// TestLiveStats: the counts say what happened, and go on after a restart.
func TestLiveStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `WITH w AS (SELECT k, COUNT(*) AS c FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)) SELECT k, c INTO o FROM w WHERE c > 1`)
		c.source.add("quiet")
		c.source.add("p", texts(0, 30)...)
		c.source.add("p", memEvent{"{", moment(30)})
		l, stop := c.start(t)
		time.Sleep(12 * time.Second)
		s := l.Stats()
		if s.State != Running || s.Epoch == 0 || s.Checkpoint.Count == 0 || s.Checkpoint.Bytes == 0 || s.Replaying {
			t.Errorf("%+v", s)
		}
		in := s.Inputs[0]
		if in.Events != 30 || in.Errors["InputDeserializerError.InvalidData"] != 1 || in.Bytes == 0 || len(in.Partitions) != 2 ||
			in.Partitions[1].Position != "31" || in.Partitions[1].Name != "p" || in.Partitions[0].Idle < 10*time.Second {
			t.Errorf("%+v", in)
		}
		kinds := map[string]StepStats{}
		for _, n := range s.Steps {
			kinds[n.Kind] = n
		}
		if g := kinds["group"]; g.In != 30 || g.Step != "w" || g.Line != 1 || g.HeldBy != "e/quiet" || g.Held == 0 {
			t.Errorf("%+v", g)
		}
		if o := kinds["output"]; o.Step != "o" {
			t.Errorf("%+v", o)
		}
		mustStop(t, stop)
		l, stop = c.start(t)
		time.Sleep(time.Second)
		again := l.Stats()
		if again.Inputs[0].Events != 30 || again.Outputs[0].Rows != s.Outputs[0].Rows || again.Inputs[0].Errors["InputDeserializerError.InvalidData"] != 1 {
			t.Errorf("after a restart %+v, before %+v", again.Inputs[0], in)
		}
		if err := l.Checkpoint(t.Context()); err != nil {
			t.Error(err)
		}
		mustStop(t, stop)
		if err := l.Checkpoint(t.Context()); !errors.Is(err, ErrNotRunning) {
			t.Errorf("error %v of a job that has ended", err)
		}
	})
}

// TestLiveReload: another version keeps positions, state and sinks, or nothing changes.
func TestLiveReload(t *testing.T) {
	const query = `SELECT k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, query)
		opened := 0
		open := c.spec.Outputs[0].Open
		c.spec.Outputs[0].ID, c.spec.Inputs[0].ID = "1", "1"
		c.spec.Outputs[0].Open = func(env connect.SinkEnv) (connect.Sink, error) { opened++; return open(env) }
		l, stop := c.start(t)
		tap, err := l.Tap("o", TapLimits{})
		if err != nil {
			t.Fatal(err)
		}
		c.source.add("p", texts(0, 25)...)
		time.Sleep(time.Second)
		next := c.spec
		next.Version, next.Shards = 2, 3
		report, err := l.Reload(t.Context(), next, ReloadOptions{})
		if err != nil || len(report.Outputs) != 0 || opened != 1 || l.Stats().Version != 2 {
			t.Errorf("%+v, error %v, %d opened", report, err, opened)
		}
		c.source.add("p", texts(25, 10)...)
		time.Sleep(time.Second)
		next.Outputs = append([]LiveOutput(nil), next.Outputs...)
		next.Outputs[0].ID = "2"
		if report, err = l.Reload(t.Context(), next, ReloadOptions{}); err != nil || len(report.Outputs) != 1 || opened != 2 {
			t.Errorf("%+v, error %v, %d opened", report, err, opened)
		}
		bad := next
		bad.Outputs = []LiveOutput{{Name: "o", ID: "3", Open: func(connect.SinkEnv) (connect.Sink, error) { return nil, errors.New("refused") }}}
		if _, err = l.Reload(t.Context(), bad, ReloadOptions{}); err == nil || !strings.Contains(err.Error(), `output "o": refused`) || l.Stats().Version != 2 {
			t.Errorf("error %v", err)
		}
		c.source.add("p", texts(35, 25)...)
		c.disk.CrashAt(20)
		time.Sleep(2 * time.Second)
		stop()
		c.disk.Restart()
		c.source.end()
		c.spec = next
		if _, err := c.run(t); err != nil {
			t.Fatal(err)
		}
		if got := len(c.target.all()); got != 19 {
			t.Errorf("%d rows: %s", got, strings.Join(c.target.all(), ""))
		}
		if rows, err := tap.Next(t.Context()); err != nil || len(rows.Rows) == 0 {
			t.Errorf("the tap has %d rows, error %v", len(rows.Rows), err)
		}
	})
}

// TestLiveReloadQuery: steps that have not changed keep their state, those that cannot are
// named, and then nothing has changed.
func TestLiveReloadQuery(t *testing.T) {
	const counts = `WITH w AS (SELECT k, COUNT(*) AS c FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)) `
	f := func(name string, change func(l *Live, c *liveCase, spec LiveSpec), rows int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newLiveCase(t, counts+`SELECT k, c INTO o FROM w`)
			c.spec.Outputs[0].ID, c.spec.Inputs[0].ID = "1", "1"
			l, stop := c.start(t)
			c.source.add("p", texts(0, 25)...)
			time.Sleep(time.Second)
			change(l, c, c.spec)
			c.source.add("p", texts(25, 35)...)
			c.source.end()
			time.Sleep(2 * time.Second)
			if s := l.Stats(); s.State != Completed {
				t.Errorf("%s: %s, %s", name, s.State, s.Reason)
			}
			mustStop(t, stop)
			if got := len(c.target.all()); got != rows {
				t.Errorf("%s: %d rows: %s", name, got, strings.Join(c.target.all(), ""))
			}
		})
	}
	f("a filter behind", func(l *Live, c *liveCase, spec LiveSpec) {
		spec.Plan = compile(t, counts+`SELECT k, c, 'new' AS v INTO o FROM w WHERE k <> 'k0'`)
		if r, err := l.Reload(context.Background(), spec, ReloadOptions{}); err != nil || len(r.Kept) == 0 || len(r.Outputs) != 1 {
			t.Errorf("%+v, error %v", r, err)
		}
	}, 7+8)
	f("another window", func(l *Live, c *liveCase, spec LiveSpec) {
		spec.Plan = compile(t, strings.Replace(counts, "10", "5", 1)+`SELECT k, c INTO o FROM w`)
		_, err := l.Reload(context.Background(), spec, ReloadOptions{})
		var lost *StateError
		if !errors.As(err, &lost) || len(lost.Steps) != 1 || lost.Steps[0] != "w" || !strings.Contains(err.Error(), "--discard-state") {
			t.Errorf("error %v", err)
		}
	}, 19)
	f("another window, without state", func(l *Live, c *liveCase, spec LiveSpec) {
		spec.Plan = compile(t, strings.Replace(counts, "10", "5", 1)+`SELECT k, c INTO o FROM w`)
		if _, err := l.Reload(context.Background(), spec, ReloadOptions{DiscardState: true}); err != nil {
			t.Errorf("error %v", err)
		}
	}, 7+22)
}

// TestLiveOtherQuery: a job that is started with another query keeps what it can, or says what
// it cannot.
func TestLiveOtherQuery(t *testing.T) {
	const query = `SELECT k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, query)
		_, stop := c.start(t)
		c.source.add("p", texts(0, 25)...)
		time.Sleep(time.Second)
		mustStop(t, stop)
		c.spec.Plan = compile(t, strings.Replace(query, "10", "20", 1))
		if _, err := c.run(t); err == nil || !isState(err) {
			t.Errorf("error %v", err)
		}
		c.spec.Plan = compile(t, query+`; SELECT n INTO o2 FROM e TIMESTAMP BY at WHERE n > 24`)
		c.spec.Outputs = append(c.spec.Outputs, LiveOutput{Name: "o2", Open: (&memTarget{}).open})
		c.source.add("p", texts(25, 35)...)
		c.source.end()
		if _, err := c.run(t); err != nil {
			t.Fatal(err)
		}
		if got := len(c.target.all()); got != 19 {
			t.Errorf("%d rows", got)
		}
	})
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

// TestLiveMetadata: properties of messages are columns and metadata (saql.md 7.9).
func TestLiveMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n, PartitionId AS p, EventProcessedUtcTime AS x, GetMetadataPropertyValue(e, 'EventHub.PartitionId') AS h,
			GetMetadataPropertyValue(e, '[User].[a]') AS a, GetMetadataPropertyValue(e, 'EventId') AS id INTO o FROM e`)
		c.source.marks = true
		c.source.add("7", memEvent{`{"n":1,"PartitionId":"mine"}`, moment(0)}, memEvent{`{"n":2}`, moment(0)})
		c.source.end()
		if _, err := c.run(t); err != nil {
			t.Fatal(err)
		}
		const rest = `,"p":"7","x":"2000-01-01T00:00:00.0000000Z","h":"7","a":null,"id":"`
		rows := c.target.all()
		if len(rows) != 2 || !strings.HasPrefix(rows[0], `{"n":1`+rest) || !strings.HasPrefix(rows[1], `{"n":2`+rest) || rows[0][len(rows[0])-20:] == rows[1][len(rows[1])-20:] {
			t.Errorf("%q", rows)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT * INTO o FROM e`)
		c.source.marks, c.spec.Inputs[0].MetaColumns = true, true
		c.source.add("7", memEvent{`{"n":1,"partitionid":"mine"}`, moment(0)})
		c.source.end()
		if _, err := c.run(t); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(c.target.all(), ""); got != `{"n":1,"partitionid":"7","EventProcessedUtcTime":"2000-01-01T00:00:00.0000000Z"}`+"\n" {
			t.Error(got)
		}
	})
}

// TestLiveReference: epochs that are made again see the reference data that they saw; then it
// is read anew.
func TestLiveReference(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, plainQuery)
		script, _ := saql.Parse(`SELECT e.n, r.name INTO o FROM e JOIN r ON e.k = r.k; SELECT e.n, r.name INTO o2 FROM e JOIN r ON e.k = r.k`)
		p, list := plan.Compile(script, plan.Env{Inputs: []plan.InputDecl{{Name: "e"}, {Name: "r", Reference: true}}, AnyOutput: true})
		if list.HasErrors() {
			t.Fatal(list)
		}
		c.spec.Plan, c.spec.Checkpoint = p, time.Hour
		table := &memSource{}
		table.add("names", memEvent{`{"k":"k0","name":"old"}`, 0})
		table.end()
		second := &memTarget{}
		c.spec.Inputs = append(c.spec.Inputs, LiveInput{Name: "r", Open: func(connect.SourceEnv) (connect.Source, error) { return table, nil }})
		c.spec.Outputs = append(c.spec.Outputs, LiveOutput{Name: "o2", Open: second.open})
		second.fault = func(op string) (before, after error) {
			if op == "commit" && len(c.target.all()) > 1 { // the first output has the epoch
				return errors.New("no answer"), nil
			}
			return nil, nil
		}
		_, stop := c.start(t)
		c.source.add("p", event(0, 0))
		time.Sleep(time.Second)
		c.source.add("p", event(3, 3))
		time.Sleep(time.Second)
		c.disk.CrashAt(1)
		stop()
		c.disk.Restart()
		table.parts[0].events = []memEvent{{`{"k":"k0","name":"new"}`, 0}}
		second.fault = nil
		_, stop = c.start(t)
		time.Sleep(time.Second)
		c.source.add("p", event(6, 6))
		time.Sleep(time.Second)
		mustStop(t, stop)
		const want = `{"n":0,"name":"old"}` + "\n" + `{"n":3,"name":"old"}` + "\n" + `{"n":6,"name":"new"}` + "\n"
		for _, target := range []*memTarget{c.target, second} {
			if got := strings.Join(target.all(), ""); got != want {
				t.Errorf("rows %s", got)
			}
		}
	})
}
