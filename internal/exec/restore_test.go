package exec_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// restoreQueries have every kind of state.
var restoreQueries = []string{
	`SELECT k, v FROM a TIMESTAMP BY at`,
	`SELECT k, g, COUNT(*) AS n, SUM(v) AS s, MIN(v) AS m FROM a TIMESTAMP BY at GROUP BY k, g, TumblingWindow(second, 5)`,
	`SELECT k, MAX(v) AS m, AVG(v) AS a, COUNT(DISTINCT g) AS d FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 3)`,
	`SELECT g, MAX(v) AS m, STDEV(v) AS a FROM a TIMESTAMP BY at GROUP BY g, SlidingWindow(second, 5)`,
	`SELECT k, g, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, g, SessionWindow(second, 2, 7) OVER (PARTITION BY g)`,
	`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at OVER k GROUP BY k, System.Timestamp()`,
	`SELECT MAX(CAST(g AS nvarchar(max))) AS n FROM a TIMESTAMP BY at GROUP BY SlidingWindow(second, 5)`,
	`WITH s AS (SELECT CAST(g AS nvarchar(max)) AS g, MIN(CAST(g AS nvarchar(max))) AS m FROM a TIMESTAMP BY at
		GROUP BY CAST(g AS nvarchar(max)), TumblingWindow(second, 5)) SELECT MAX(g) AS x, MIN(m) AS y FROM s GROUP BY SlidingWindow(second, 5)`,
	`SELECT * FROM a TIMESTAMP BY at MATCH_RECOGNIZE (LIMIT DURATION(second, 6) PARTITION BY k MEASURES k AS k, Min(B.v) AS m, First(A.g) AS g, Classifier() AS c
		PATTERN (A (B | C)* D) DEFINE B AS B.v >= First(A.v), D AS D.g = A.g) AS m`,
	`SELECT x.k, x.v, y.g FROM a x TIMESTAMP BY at JOIN a y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN -3 AND 4 AND x.v < y.v`,
	`SELECT x.g, y.v AS yv, z.v AS zv FROM a x TIMESTAMP BY at LEFT JOIN b y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 4
		LEFT JOIN a z TIMESTAMP BY at ON x.k = z.k AND DATEDIFF(second, x, z) BETWEEN 0 AND 5 AND DATEDIFF(second, y, z) BETWEEN 0 AND 2`,
	`SELECT k, LAG(v, 2) OVER (PARTITION BY k LIMIT DURATION(second, 6)) AS l, LAST(g) OVER (LIMIT DURATION(second, 3) WHEN v IS NOT NULL) AS x,
		ISFIRST(second, 4) OVER (PARTITION BY g) AS f, SUM(TRY_CAST(v AS float)) OVER (PARTITION BY k LIMIT DURATION(second, 5)) AS s,
		MAX(TRY_CAST(v AS float)) OVER (LIMIT DURATION(second, 4)) AS m, Collect(g) OVER (PARTITION BY k LIMIT DURATION(second, 2)) AS c FROM a TIMESTAMP BY at`,
	`SELECT AnomalyDetection_SpikeAndDip(TRY_CAST(v AS float), 90, 6, 'spikes') OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS s,
		AnomalyDetection_ChangePoint(TRY_CAST(v AS float), 90, 6) OVER (LIMIT DURATION(second, 9)) AS c FROM a TIMESTAMP BY at`,
	`SELECT k, Collect(v) AS c, TopOne(g) OVER (ORDER BY TRY_CAST(v AS float) DESC) AS t, CollectTop(2, g) OVER (ORDER BY TRY_CAST(v AS float)) AS n, Percentile_Disc(0.4) OVER (ORDER BY TRY_CAST(v AS float)) AS p
		FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 9, 3)`,
	`SELECT CollectTop(2) OVER (ORDER BY TRY_CAST(v AS float)) AS n, Percentile_Cont(0.5) OVER (ORDER BY TRY_CAST(v AS float) DESC) AS p, COUNT(DISTINCT a) AS d
		FROM a TIMESTAMP BY at GROUP BY Windows(SlidingWindow(second, 4), SessionWindow(second, 2, 9))`,
	`SELECT TOP 2 k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 5) ORDER BY n DESC`,
	`WITH u AS (SELECT k, v FROM a TIMESTAMP BY at UNION SELECT k, v FROM b TIMESTAMP BY at),
		w AS (SELECT u.v, e.ArrayValue AS x FROM u CROSS APPLY GetArrayElements(TRY_CAST(u.k AS array)) AS e)
		SELECT x, COUNT(*) AS n FROM w GROUP BY x, TumblingWindow(second, 5)`,
	`WITH u AS (SELECT k, v FROM a TIMESTAMP BY at UNION SELECT k, v FROM b TIMESTAMP BY at)
		SELECT k, COUNT(v) AS n FROM u GROUP BY k, Windows(TumblingWindow(second, 4), SessionWindow(second, 3, 9), SlidingWindow(second, 2))`,
}

// restored builds a graph, restores b and, if that is fine, goes on to the end.
func restored(p *plan.Plan, shards int, b []byte, events []twinEvent) error {
	o := exec.Options{Late: 5 * vec.Second, OutOfOrder: 3 * vec.Second, Shards: shards}
	g, err := exec.Build(p, o)
	if err != nil {
		return err
	}
	if err := g.Restore(b); err != nil {
		return err
	}
	names := []string{"a", "b"}[:len(p.Inputs)]
	lists := [][]twinEvent{events, events}[:len(p.Inputs)]
	return newFeeder(p, names, lists, true, twinWay{cut: 3}).run(g, nil)
}

// kept is restored for a graph of another plan.
func kept(p *plan.Plan, shards int, b []byte, events []twinEvent) error {
	g, err := exec.Build(p, exec.Options{Late: 5 * vec.Second, OutOfOrder: 3 * vec.Second, Shards: shards})
	if err != nil {
		return err
	}
	if _, err := g.RestoreKept(b); err != nil {
		return err
	}
	names := []string{"a", "b"}[:len(p.Inputs)]
	lists := [][]twinEvent{events, events}[:len(p.Inputs)]
	return newFeeder(p, names, lists, true, twinWay{cut: 3}).run(g, nil)
}

// snapshots gives snapshots of a query on its way.
func snapshots(t testing.TB, p *plan.Plan, shards int, events []twinEvent) [][]byte {
	var out [][]byte
	o := exec.Options{Late: 5 * vec.Second, OutOfOrder: 3 * vec.Second, Shards: shards}
	g, err := exec.Build(p, o)
	if err != nil {
		t.Fatal(err)
	}
	f := newFeeder(p, []string{"a", "b"}, [][]twinEvent{events, events}, true, twinWay{cut: 7})
	for i := 0; i < len(events); i += 7 {
		for in := range p.Inputs {
			if err := g.Push(in, f.batch(in, events[i:min(i+7, len(events))])); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, slices.Clone(g.Snapshot()))
	}
	return out
}

// restoreEvents are some seconds apart, so that rows leave the sorts and reach the state
// behind them.
func restoreEvents() []twinEvent {
	return randomEvents(rand.New(rand.NewPCG(1, 15)), 60, twinPolicy{late: 5 * vec.Second, outOfOrder: 3 * vec.Second}, randomKey)
}

// FuzzRestore: no bytes make Restore panic or take memory that they do not have, and a
// graph that has restored damaged bytes without an error can still be used.
func FuzzRestore(f *testing.F) {
	var plans []*plan.Plan
	events := restoreEvents()
	for i, q := range restoreQueries {
		p := compile(f, q)
		plans = append(plans, p)
		for _, shards := range []int{1, 2} {
			for _, b := range snapshots(f, p, shards, events) {
				f.Add(uint8(i), uint8(shards), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, query, shards uint8, b []byte) {
		p := plans[int(query)%len(plans)]
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		restored(p, int(shards%3), b, events)
		kept(p, int(shards%3), b, events)
		runtime.ReadMemStats(&after)
		if took, most := after.TotalAlloc-before.TotalAlloc, uint64(8<<20+8192*len(b)); took > most {
			t.Errorf("%d bytes taken for %d bytes of snapshot", took, len(b))
		}
	})
}

// TestRestoreDamaged damages real snapshots at random: bytes changed, cut off, doubled.
func TestRestoreDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 12))
	events := restoreEvents()
	for i, q := range restoreQueries {
		p := compile(t, q)
		fine := 0
		list := snapshots(t, p, 1+i%2, events)
		for range 300 {
			b := slices.Clone(list[r.IntN(len(list))])
			for range 1 + r.IntN(3) {
				at := r.IntN(len(b))
				switch r.IntN(5) {
				case 0:
					b = b[:at+1]
				case 1:
					b = slices.Insert(b, at, byte(r.Uint32()))
				case 2:
					b = slices.Delete(b, at, min(len(b), at+1+r.IntN(4)))
				default:
					b[at] = byte(r.Uint32())
				}
				if len(b) == 0 {
					break
				}
			}
			if restored(p, 1+i%2, b, events) == nil {
				fine++
			}
			if r.IntN(4) == 0 {
				kept(p, 1+i%2, b, events)
			}
		}
		if fine == 300 {
			t.Errorf("%s: no damage has been seen", q)
		}
	}
}

// TestRestoreKinds puts every small number in the place of every byte: values of other
// kinds than the query lets a column have, among others.
func TestRestoreKinds(t *testing.T) {
	events := restoreEvents()[:20]
	for _, q := range restoreQueries[6:8] {
		p := compile(t, q)
		list := snapshots(t, p, 1, events)
		last := list[len(list)-1]
		for at := range last {
			for x := range byte(vec.NumKinds) {
				b := slices.Clone(last)
				b[at] = x
				restored(p, 1, b, events)
			}
		}
	}
}
