package job

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
)

// TestLivePeek: some rows of what filters and windows are given can be seen, the first and the
// last, and no more than the limits say, however many came.
func TestLivePeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT k, COUNT(*) AS c INTO o FROM e TIMESTAMP BY at WHERE n >= 0 GROUP BY k, TumblingWindow(day, 1)`)
		c.source.add("p")
		l, stop := c.start(t)
		for i := range 300 {
			c.source.add("p", event(i, float64(i)))
			time.Sleep(time.Second)
		}
		before := func(kind string) int {
			for _, s := range l.Stats().Steps {
				if s.Kind == kind {
					return c.spec.Plan.Nodes[s.Node].In[0].ID
				}
			}
			t.Fatalf("the job has no %s", kind)
			return 0
		}
		for _, kind := range []string{"filter", "group"} {
			rows, total := l.Peek(before(kind))
			if len(rows) != peekFirst+peekLast || total != 0 {
				t.Fatalf("%d rows, of %d, come to the %s", len(rows), total, kind)
			}
			if first, last := rows[0].T, rows[len(rows)-1].T; kind == "group" && (first != moment(0) || last != moment(299)) {
				t.Errorf("the rows of the %s are from %s to %s", kind, first, last)
			}
			if text := strings.Join(rows[1].Cols, " "); !strings.Contains(text, `"k1"`) {
				t.Errorf("a row of the %s is %s", kind, text)
			}
		}
		for _, node := range []int{len(c.spec.Plan.Nodes) - 1, 1000} {
			if rows, _ := l.Peek(node); rows != nil {
				t.Errorf("node %d gives %v", node, rows)
			}
		}
		mustStop(t, stop)
		if rows, _ := l.Peek(before("filter")); len(rows) == 0 {
			t.Error("of a job that has ended nothing can be seen")
		}
	})
}

// TestPeekTable: the rows of reference data can be seen.
func TestPeekTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT e.n INTO o FROM e`)
		c.spec.Plan = compileWith(t, `SELECT e.n INTO o FROM e JOIN r ON e.k = r.k`)
		refs := &memSource{}
		refs.add("0", memEvent{`{"k":"x","unread":1}`, 0}, memEvent{`{"k":"y"}`, 0})
		refs.end()
		c.spec.Inputs = append(c.spec.Inputs, LiveInput{Name: "r", Open: func(connect.SourceEnv) (connect.Source, error) { return refs, nil }})
		c.source.add("p", event(1, 1))
		l, stop := c.start(t)
		time.Sleep(time.Second)
		for _, n := range c.spec.Plan.Nodes {
			if _, ok := n.Op.(*plan.Lookup); !ok {
				continue
			}
			rows, total := l.Peek(n.In[1].ID)
			if total != 2 || len(rows) != 2 || strings.Trim(fmt.Sprint(rows[1].Cols), "[ ]") != `"y"` {
				t.Errorf("%d rows: %v", total, rows)
			}
			if rows, _ := l.Peek(n.In[0].ID); len(rows) != 1 {
				t.Errorf("of the stream: %v", rows)
			}
		}
		mustStop(t, stop)
	})
}

// TestLiveBeforeStart: rows of before the start are counted, and the count survives a restart;
// rows that the target rejects are not counted as committed.
func TestLiveBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLiveCase(t, `SELECT n INTO o FROM e TIMESTAMP BY at`)
		c.spec.Start, c.spec.StartAt = StartTime, instant(moment(10))
		c.spec.Late = time.Hour
		c.spec.Outputs[0].OnError = OnErrorDrop
		c.target.reject = func(row string) *connect.RowError {
			if strings.Contains(row, "12") {
				return &connect.RowError{Name: "X", Reason: "no twelves"}
			}
			return nil
		}
		for i := range 20 {
			c.source.add("p", memEvent{event(i, float64(i)).text, moment(30)})
		}
		l, stop := c.start(t)
		f := func() {
			t.Helper()
			time.Sleep(2 * time.Second)
			out := l.Stats().Outputs[0]
			if out.BeforeStart != 10 || out.Rows != 9 || len(c.target.all()) != 9 || len(out.Rejected) != 1 || out.Rejected["X"] != 1 {
				t.Errorf("%+v, rows %v", out, c.target.all())
			}
			mustStop(t, stop)
		}
		f()
		l, stop = c.start(t)
		f()
	})
}
