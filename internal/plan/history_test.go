package plan

import (
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// historyOf is the one node of analytic functions of a query.
func historyOf(t *testing.T, query string) (*Plan, *Node, *History) {
	t.Helper()
	p := mustCompile(t, query)
	var found *Node
	for _, n := range p.Nodes {
		if _, ok := n.Op.(*History); ok {
			if found != nil {
				t.Fatalf("%s: two nodes of analytic functions", query)
			}
			found = n
		}
	}
	if found == nil {
		t.Fatalf("%s: no analytic functions", query)
	}
	return p, found, found.Op.(*History)
}

// TestHistoryCalls: equal calls become one, and what differs does not.
func TestHistoryCalls(t *testing.T) {
	f := func(calls int, items string) {
		t.Helper()
		_, n, h := historyOf(t, "SELECT "+items+" FROM input TIMESTAMP BY at")
		if len(h.Calls) != calls {
			t.Errorf("%s: %d calls, want %d", items, len(h.Calls), calls)
		}
		if len(n.Cols) != len(h.Out) {
			t.Errorf("%s: %d columns for %d outs", items, len(n.Cols), len(h.Out))
		}
	}
	f(1, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, lag(V, 1) OVER (LIMIT DURATION(second, 1)) + 1 AS y`)
	f(2, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, LAG(v) OVER (LIMIT DURATION(second, 2)) AS y`)
	f(2, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, LAG(v, 2) OVER (LIMIT DURATION(second, 1)) AS y`)
	f(2, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, LAG(v, 1, 0) OVER (LIMIT DURATION(second, 1)) AS y`)
	f(2, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, LAST(v) OVER (LIMIT DURATION(second, 1)) AS y`)
	f(2, `LAG(v) OVER (LIMIT DURATION(second, 1)) AS x, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS y`)
	f(1, `SUM(v) OVER (PARTITION BY k, k LIMIT DURATION(second, 1)) AS x, SUM(v) OVER (LIMIT DURATION(second, 1) PARTITION BY k) AS y`)
	f(2, `SUM(v) OVER (LIMIT DURATION(second, 1)) AS x, SUM(v) OVER (LIMIT DURATION(second, 1) WHEN v > 1) AS y`)
	f(2, `SUM(v) OVER (LIMIT DURATION(second, 1)) AS x, AVG(v) OVER (LIMIT DURATION(second, 1)) AS y`)
	f(2, `CollectTop(1, v) OVER (ORDER BY v LIMIT DURATION(second, 1)) AS x, CollectTop(2, v) OVER (ORDER BY v LIMIT DURATION(second, 1)) AS y`)
	f(2, `TopOne(v) OVER (ORDER BY v LIMIT DURATION(second, 1)) AS x, TopOne(v) OVER (ORDER BY v DESC LIMIT DURATION(second, 1)) AS y`)
	f(2, `ISFIRST(second, 1) AS x, ISFIRST(minute, 1) AS y`)
	f(1, `AnomalyDetection_ChangePoint(v, 90, 10) OVER (LIMIT DURATION(second, 1)) AS x, AnomalyDetection_ChangePoint(v, 90.0, 10) OVER (LIMIT DURATION(second, 1)) AS y`)
}

// TestHistoryKeys: PARTITION BY in FROM stands among the keys of every call (saql.md 4.6);
// in ON those of the side count.
func TestHistoryKeys(t *testing.T) {
	f := func(query string, want ...int) {
		t.Helper()
		_, _, h := historyOf(t, query)
		var got []int
		for _, c := range h.Calls {
			got = append(got, len(c.Keys))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: numbers of keys %v, want %v", query, got, want)
		}
	}
	f(`SELECT LAG(v) OVER (LIMIT DURATION(second, 1)) AS x FROM input TIMESTAMP BY at PARTITION BY k`, 1)
	f(`SELECT LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS x, ISFIRST(second, 1) AS y FROM input TIMESTAMP BY at PARTITION BY k`, 1, 1)
	f(`SELECT LAG(v) OVER (PARTITION BY g LIMIT DURATION(second, 1)) AS x FROM input TIMESTAMP BY at PARTITION BY k`, 2)
	f(`SELECT a.v FROM input a TIMESTAMP BY at PARTITION BY k JOIN feed b TIMESTAMP BY at PARTITION BY k
		ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 AND LAG(b.v) OVER (LIMIT DURATION(second, 1)) > 1`, 1)
	f(`SELECT LAG(b.v) OVER (LIMIT DURATION(second, 1)) AS x FROM input a TIMESTAMP BY at PARTITION BY k LEFT JOIN feed b TIMESTAMP BY at PARTITION BY k
		ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 5`, 1)
}

// TestHistoryTypes: what the results may be.
func TestHistoryTypes(t *testing.T) {
	f := func(call string, want ...vec.Kind) {
		t.Helper()
		_, _, h := historyOf(t, "SELECT "+call+" OVER (LIMIT DURATION(second, 1)) AS x FROM input TIMESTAMP BY at")
		if got := h.Calls[0].Type; got != vec.KindsOf(want...) {
			t.Errorf("%s is %b, want %b", call, got, vec.KindsOf(want...))
		}
	}
	f(`LAG(TRY_CAST(v AS float))`, vec.Float, vec.Null)
	f(`LAG(TRY_CAST(v AS float), 1, 0)`, vec.Float, vec.Null)
	f(`LAG(LEN(v), 2, -1)`, vec.Int, vec.Null)
	f(`LAST(LEN(v), -1)`, vec.Int, vec.Null)
	f(`LAG(*)`, vec.Record, vec.Null)
	f(`COUNT(*)`, vec.Int)
	f(`SUM(LEN(v))`, vec.Int, vec.Null)
	f(`AVG(LEN(v))`, vec.Float, vec.Null)
	f(`AnomalyDetection_ChangePoint(v, 90, 10)`, vec.Record, vec.Null)
}

// TestHistoryPlace: the functions come before WHERE and GROUP BY, whatever stands there.
func TestHistoryPlace(t *testing.T) {
	const lag = "LAG(v) OVER (LIMIT DURATION(second, 1))"
	f := func(want, query string) {
		t.Helper()
		p, n, _ := historyOf(t, strings.ReplaceAll(query, "LAG", lag))
		var got []string
		for _, m := range p.Nodes[n.ID+1:] {
			switch m.Op.(type) {
			case *Filter:
				got = append(got, "filter")
			case *Group:
				got = append(got, "group")
			case *Write:
				got = append(got, "write")
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: behind the functions come %s, want %s", query, s, want)
		}
	}
	f("write", "SELECT LAG AS x FROM input TIMESTAMP BY at")
	f("filter write", "SELECT LAG AS x FROM input TIMESTAMP BY at WHERE v > 1")
	f("filter write", "SELECT * FROM input TIMESTAMP BY at WHERE LAG > 1")
	f("filter write", "SELECT v FROM input TIMESTAMP BY at HAVING LAG > 1")
	f("filter group write", "SELECT MAX(LAG) AS x FROM input TIMESTAMP BY at WHERE v > 1 GROUP BY Tumbling(second, 1)")
	f("group write", "SELECT LAG AS x FROM input TIMESTAMP BY at GROUP BY LAG, Tumbling(second, 1)")
	f("group filter write", "SELECT k FROM input TIMESTAMP BY at GROUP BY k, Tumbling(second, 1) HAVING SUM(LAG) > 1")
}
