package exec_test

import (
	"cmp"
	"errors"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// TestMaxHeld: a run ends with an error when more rows or groups wait than it may hold,
// and counts the most that waited.
func TestMaxHeld(t *testing.T) {
	f := func(query string, limit int64, fails bool) {
		t.Helper()
		script, list := saql.Parse(query)
		p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
		if list.HasErrors() || more.HasErrors() {
			t.Fatal(list, more)
		}
		g, err := exec.Build(p, exec.Options{Late: -1, OutOfOrder: -1, MaxHeld: limit})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			at := vec.Vec{Kind: vec.Datetime}
			n := vec.Vec{Kind: vec.Int}
			for k := range 10 {
				at.Append(vec.TimeValue(vec.Time(1+i*10+k) * vec.Second))
				n.Append(vec.IntValue(int64(i*10 + k)))
			}
			if err = g.Push(0, &vec.Batch{N: 10, Cols: []vec.Vec{at, n}}); err != nil {
				break
			}
		}
		var held *exec.HeldError
		if errors.As(err, &held) != fails || fails && (held.Held <= limit || !strings.Contains(err.Error(), "the limit is")) {
			t.Errorf("%s: error %v", query, err)
		}
		if want := cmp.Or(limit, 640); !fails && g.Counts.PeakHeld != want {
			t.Errorf("%s: peak %d, want %d", query, g.Counts.PeakHeld, want)
		}
	}
	const joins = `SELECT x.n FROM e x TIMESTAMP BY at JOIN e y TIMESTAMP BY at ON x.n = y.n AND DATEDIFF(second, x, y) BETWEEN 0 AND `
	f(joins+`3600`, 300, true)
	f(joins+`3600`, 640, false)
	const waits = `SELECT n, COUNT(*) AS c FROM e TIMESTAMP BY at GROUP BY n, `
	f(waits+`SlidingWindow(second, 1)`, 300, true)
	f(waits+`SlidingWindow(second, 1)`, 0, false)
	f(waits+`TumblingWindow(second, 1)`, 300, true)
	f(waits+`TumblingWindow(second, 1)`, 640, false)
}

// TestMaxHeldWithinABatch: one batch of a join that pairs every row with every other fills a
// window far beyond the limit; the run ends long before all pairs are made.
func TestMaxHeldWithinABatch(t *testing.T) {
	script, list := saql.Parse(`WITH pairs AS (SELECT x.n AS a, y.n AS b FROM e x TIMESTAMP BY at JOIN e y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN -1 AND 1)
		SELECT COLLECT(a) AS c FROM pairs GROUP BY TumblingWindow(minute, 1)`)
	p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() || more.HasErrors() {
		t.Fatal(list, more)
	}
	const rows, limit = 3000, 100_000
	g, err := exec.Build(p, exec.Options{Late: -1, OutOfOrder: -1, MaxHeld: limit})
	if err != nil {
		t.Fatal(err)
	}
	b := &vec.Batch{N: rows, Cols: make([]vec.Vec, len(p.Inputs[0].Fields))}
	for c, field := range p.Inputs[0].Fields {
		for i := range rows {
			switch v := vec.IntValue(int64(i)); field.Path[0] {
			case "at":
				b.Cols[c].Append(vec.TimeValue(vec.Second))
			case "k":
				b.Cols[c].Append(vec.IntValue(1))
			default:
				b.Cols[c].Append(v)
			}
		}
	}
	if err = g.Push(0, b); err == nil {
		err = g.Close(0)
	}
	var held *exec.HeldError
	if !errors.As(err, &held) || held.Held > 2*limit+1<<19 {
		t.Errorf("error %v; want one of some 400,000 held, not of %d", err, rows*rows)
	}
}
