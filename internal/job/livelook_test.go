package job

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
)

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
		if list, err := l.DeadLetters(0, 9); err != nil || len(list) != 2 || !list[0].Redriven || !list[1].Redriven {
			t.Errorf("letters %v, %v", list, err)
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
