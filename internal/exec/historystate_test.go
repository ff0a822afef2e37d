package exec_test

import (
	"bytes"
	"fmt"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// pastQueries have every kind of state of analytic functions.
var pastQueries = []string{
	`SELECT k, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 4)) AS x FROM a TIMESTAMP BY at`,
	`SELECT k, LAG(v, 3, g) OVER (PARTITION BY k LIMIT DURATION(second, 4)) AS x, LAG(g, 9) OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS y FROM a TIMESTAMP BY at`,
	`SELECT k, LAST(v) OVER (PARTITION BY k LIMIT DURATION(second, 4) WHEN v > 1) AS x, ISFIRST(second, 4) OVER (PARTITION BY k) AS y FROM a TIMESTAMP BY at`,
	`SELECT k, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 4)) AS x, MAX(v) OVER (PARTITION BY g, k LIMIT DURATION(second, 4)) AS y FROM a TIMESTAMP BY at`,
	`SELECT k, AnomalyDetection_SpikeAndDip(v, 90, 3, 'dips') OVER (PARTITION BY k LIMIT DURATION(second, 4)) AS x,
		AnomalyDetection_ChangePoint(v, 90, 3) OVER (LIMIT DURATION(second, 4)) AS y FROM a TIMESTAMP BY at`,
	`SELECT Collect(g) OVER (PARTITION BY g LIMIT DURATION(second, 4)) AS x, LAG(CAST(g AS nvarchar(max))) OVER (LIMIT DURATION(second, 4)) AS y FROM a TIMESTAMP BY at`,
}

func init() { restoreQueries = append(restoreQueries, pastQueries...) }

// manyKeys is a batch of rows of different keys, a second apart.
func manyKeys(p *plan.Plan, from, n int) *vec.Batch {
	b := &vec.Batch{N: n, Cols: make([]vec.Vec, len(p.Inputs[0].Fields))}
	for c, f := range p.Inputs[0].Fields {
		for i := range n {
			switch f.Path[0] {
			case "at":
				b.Cols[c].Append(vec.TimeValue(base + vec.Time(from+i)*vec.Second))
			case "v":
				b.Cols[c].Append(vec.IntValue(int64(i)))
			default:
				b.Cols[c].Append(vec.StringValue(fmt.Sprintf("%s %d", f.Path[0], from+i)))
			}
		}
	}
	return b
}

// TestHistoryForgets: keys without rows are dropped, and once all is quiet no state is left
// (saql.md 8.6).
func TestHistoryForgets(t *testing.T) {
	defer exec.SetLimits(16, 8, 64, 5)()
	for _, q := range pastQueries {
		p := compile(t, q)
		build := func() *exec.Graph {
			g, err := exec.Build(p, exec.Options{Late: -1})
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		push := func(g *exec.Graph, from, n int) {
			if err := g.Push(0, manyKeys(p, from, n)); err != nil {
				t.Fatal(err)
			}
		}
		g := build()
		mostKeys, mostHeld := 0, 0
		for i := range 200 {
			push(g, 10*i, 10)
			keys, held := exec.HistoryState(g)
			mostKeys, mostHeld = max(mostKeys, keys), max(mostHeld, held)
		}
		if mostKeys > 300 || mostHeld > 100 {
			t.Errorf("%s: up to %d keys and %d rows are kept", q, mostKeys, mostHeld)
		}
		fresh := build()
		push(g, 100_000, 1)
		push(fresh, 100_000, 1)
		if _, held := exec.HistoryState(g); held > 4 {
			t.Errorf("%s: %d rows are kept after a long time", q, held)
		}
		exec.ForgetCounts(g)
		exec.ForgetCounts(fresh)
		if !bytes.Equal(g.Snapshot(), fresh.Snapshot()) {
			t.Errorf("%s: the state after a long time is not that of a new graph", q)
		}
		if err := g.Close(0); err != nil {
			t.Fatal(err)
		}
		if _, held := exec.HistoryState(g); held != 0 {
			t.Errorf("%s: %d rows are kept at the end", q, held)
		}
	}
}

// TestUniqueKeys: where every row brings a new key, keys are forgotten all the same.
func TestUniqueKeys(t *testing.T) {
	defer exec.SetLimits(16, 8, 64, 5)()
	for _, q := range []string{
		`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 4)`,
		`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 4)`,
		`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 4, 9) OVER (PARTITION BY k)`,
		`SELECT x.k FROM a x TIMESTAMP BY at JOIN a y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 4`,
		`SELECT * FROM a TIMESTAMP BY at MATCH_RECOGNIZE (LIMIT DURATION(second, 4) PARTITION BY k MEASURES k AS k PATTERN (A B) DEFINE B AS B.v > 1) AS m`,
		`SELECT LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 4)) AS x FROM a TIMESTAMP BY at`,
	} {
		p := compile(t, q)
		g, err := exec.Build(p, exec.Options{Late: -1})
		if err != nil {
			t.Fatal(err)
		}
		most := 0
		for i := range 200 {
			if err := g.Push(0, manyKeys(p, 10*i, 10)); err != nil {
				t.Fatal(err)
			}
			most = max(most, exec.KnownKeys(g))
		}
		if most > 300 {
			t.Errorf("%s: up to %d keys are remembered", q, most)
		}
	}
}

// TestHistoryHeld: the rows that are kept count against the limit.
func TestHistoryHeld(t *testing.T) {
	f := func(query string, want int) {
		t.Helper()
		p := compile(t, query)
		g, err := exec.Build(p, exec.Options{Late: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Push(0, manyKeys(p, 0, 40)); err != nil {
			t.Fatal(err)
		}
		if _, held := exec.HistoryState(g); held != want {
			t.Errorf("%s: %d rows are kept, want %d", query, held, want)
		}
	}
	f(`SELECT LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 4)) AS x FROM a TIMESTAMP BY at`, 40)
	f(`SELECT LAG(v) OVER (LIMIT DURATION(minute, 4)) AS x FROM a TIMESTAMP BY at`, 1)
	f(`SELECT LAG(v, 30) OVER (LIMIT DURATION(minute, 4)) AS x FROM a TIMESTAMP BY at`, 30)
	f(`SELECT LAST(v) OVER (LIMIT DURATION(minute, 4) WHEN v < 0) AS x FROM a TIMESTAMP BY at`, 0)
	f(`SELECT ISFIRST(day, 1) OVER (PARTITION BY k) AS x FROM a TIMESTAMP BY at`, 40)
	f(`SELECT SUM(v) OVER (LIMIT DURATION(second, 10)) AS x FROM a TIMESTAMP BY at`, 10)
	f(`SELECT Collect(v) OVER (LIMIT DURATION(second, 10)) AS x FROM a TIMESTAMP BY at`, 20)
	f(`SELECT SUM(v) OVER (LIMIT DURATION(second, 10) WHEN v < 5) AS x FROM a TIMESTAMP BY at`, 0)
	f(`SELECT AnomalyDetection_ChangePoint(v, 90, 3) OVER (LIMIT DURATION(minute, 4)) AS x FROM a TIMESTAMP BY at`, 3)
}

// TestHistoryErrors: a value that a function cannot take ends the run, or its row is
// dropped and no other row sees it (saql.md 0).
func TestHistoryErrors(t *testing.T) {
	events := map[string][]string{"a": {
		`{"at":"12:00:01","v":1}`, `{"at":"12:00:02","v":"no"}`, `{"at":"12:00:03","v":2}`, `{"at":"12:00:04","v":9223372036854775807}`, `{"at":"12:00:05","v":4}`}}
	f := func(items, message string, rows ...string) {
		t.Helper()
		p := &play{query: "SELECT " + items + " FROM a TIMESTAMP BY at", events: events, opts: exec.Options{Sample: true}}
		p.fails(t, message)
		p.opts.DropErrors = true
		p.everyWay(t, rows...)
		if got := int(p.counts.Dropped[exec.QueryFailed]); got != len(events["a"])-len(rows) {
			t.Errorf("%s: %d rows counted as dropped, want %d", items, got, len(events["a"])-len(rows))
		}
	}
	const text = "argument 1 of %s has type nvarchar(max); bigint or float wanted"
	f(`LAG(v) OVER (LIMIT DURATION(minute, 1)) AS p, MIN(v) OVER (LIMIT DURATION(minute, 1)) AS m`,
		"argument 1 of MIN has type nvarchar(max); bigint or float wanted",
		"12:00:01 null 1", "12:00:03 1 1", "12:00:04 2 1", "12:00:05 9223372036854775807 1")
	f(`LAG(v) OVER (LIMIT DURATION(minute, 1) WHEN v + 0 > 1) AS p`, `"no" is not a number; hint: to join text use CONCAT(..) or CAST the number AS nvarchar(max)`,
		"12:00:01 null", "12:00:03 null", "12:00:04 2", "12:00:05 9223372036854775807")
	f(`SUM(v) OVER (LIMIT DURATION(second, 2)) AS s`, fmt.Sprintf(text, "SUM"), "12:00:01 1", "12:00:03 2")
}

// TestIsFirstAtTheBeginning: the first moment that there is ends an interval of its own.
func TestIsFirstAtTheBeginning(t *testing.T) {
	p := compile(t, "SELECT ISFIRST(second, 10) AS x FROM a TIMESTAMP BY at")
	var got []string
	g, err := exec.Build(p, exec.Options{Late: -1, OnRows: onTexts(&got)})
	if err != nil {
		t.Fatal(err)
	}
	var at vec.Vec
	for _, x := range []vec.Time{0, 0, 1, 2} {
		at.Append(vec.TimeValue(x))
	}
	if err := g.Push(0, &vec.Batch{N: at.N, Cols: []vec.Vec{at}}); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(0); err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, row := range got {
		text += row[len(row)-1:]
	}
	if text != "1010" {
		t.Errorf("%q", got)
	}
}
