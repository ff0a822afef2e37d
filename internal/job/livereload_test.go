package job

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
	"weir/internal/saql"
)

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
			c.source.add("p", texts(0, 25)...)
			l, stop := c.start(t)
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
