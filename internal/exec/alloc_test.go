package exec_test

import (
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// TestSteadyStateAllocatesNothing: once windows have filled and memory is taken, a batch of
// some thousand rows costs no allocation, nor does a window that closes.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	f := func(query string, s stream, o exec.Options) {
		t.Helper()
		p := compile(t, query)
		o.Late = -1
		rows := 0
		o.OnRows = func(_ int, b *vec.Batch) error { rows += b.N; return nil }
		g, err := exec.Build(p, o)
		if err != nil {
			t.Fatal(err)
		}
		s.init(p)
		push := func() {
			if err := g.Push(0, s.next(p)); err != nil {
				t.Fatal(err)
			}
		}
		for range 300 {
			push()
		}
		rows = 0
		n := testing.AllocsPerRun(200, push)
		if n > 0 {
			t.Errorf("%s: %v allocations a batch", query, n)
		}
		if rows == 0 {
			t.Errorf("%s: no window closed", query)
		}
	}
	jitter := stream{keys: 100, gap: 1000, jitter: vec.Second}
	late := exec.Options{OutOfOrder: vec.Second}
	f(`SELECT k, v FROM a TIMESTAMP BY at WHERE v >= 500`, jitter, late)
	f(`SELECT k, v * 2 + 1 AS w, UPPER(k) AS u FROM a TIMESTAMP BY at WHERE k <> 'key-1' AND v >= 500`, jitter, late)
	f(`SELECT k, System.Timestamp() AS t, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, jitter, late)
	f(`WITH s AS (SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at WHERE v < 300 GROUP BY k, TumblingWindow(second, 1))
		SELECT k, System.Timestamp() AS t, COUNT(*) AS c, SUM(n) AS n FROM s GROUP BY k, TumblingWindow(second, 10)`, jitter, late)
	f(`SELECT k, AVG(v) AS x FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, jitter, late)
	f(`SELECT k, AVG(v) AS x, MAX(v) AS m FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`, jitter, late)
	f(`SELECT k, SUM(v) AS x, MIN(v) AS y FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`,
		stream{keys: 100, gap: 1000, jitter: vec.Second, mixed: true}, late)
	f(`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 1, 10) OVER (PARTITION BY k)`,
		stream{keys: 100, gap: 100 * vec.Millisecond}, exec.Options{})
	f(`SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, System.Timestamp()`, stream{keys: 100, gap: 100}, exec.Options{})
	f(`SELECT k, COUNT(*) AS n, SUM(v) AS s FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{})
	f(`SELECT k, MAX(v) AS m FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 1)`, stream{keys: 100, gap: 100}, exec.Options{})
	for _, x := range matchBenchmarks[1:4] {
		f(matchQuery("second, 10", x.rest), stream{keys: 100, gap: 100}, exec.Options{})
	}
	f(`SELECT k, TopOne(v) OVER (ORDER BY at DESC) AS x, PERCENTILE_CONT(0.95) OVER (ORDER BY v) AS p FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`,
		stream{keys: 100, gap: 1000}, exec.Options{})
	f(`SELECT k, TopOne(v) OVER (ORDER BY v) AS x, PERCENTILE_DISC(0.5) OVER (ORDER BY v) AS p FROM a TIMESTAMP BY at GROUP BY k, HoppingWindow(second, 10, 1)`,
		stream{keys: 100, gap: 1000, jitter: vec.Second}, late)
	f(`SELECT k, TopOne(v) OVER (ORDER BY v) AS x, PERCENTILE_DISC(0.5) OVER (ORDER BY v) AS p FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 1)`,
		stream{keys: 100, gap: 2000}, exec.Options{})
	f(`SELECT k, STDEV(v) AS x FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1)`, jitter, late)
	f(`SELECT a.k, b.v FROM a TIMESTAMP BY at JOIN a b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN -1 AND 5 WHERE a.v < 10`,
		stream{keys: 300, gap: 100 * vec.Microsecond}, exec.Options{})
	f(`SELECT a.k, b.v FROM a TIMESTAMP BY at LEFT JOIN a b TIMESTAMP BY at ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 1 AND a.v < b.v`,
		stream{keys: 3000, gap: 100 * vec.Microsecond, jitter: vec.Second}, late)
	f(`SELECT TOP 10 k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 1) ORDER BY n DESC`, jitter, late)
	past := stream{keys: 100, gap: 1000}
	f(`SELECT k, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS x, LAG(k, 2) OVER (LIMIT DURATION(second, 1)) AS y FROM a TIMESTAMP BY at`, past, exec.Options{})
	f(`SELECT k, LAG(v, 5, 0) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS x FROM a TIMESTAMP BY at`, stream{keys: 100, gap: 1000, mixed: true}, exec.Options{})
	f(`SELECT k, LAST(v) OVER (PARTITION BY k LIMIT DURATION(second, 1) WHEN v > 500) AS x, ISFIRST(second, 1) OVER (PARTITION BY k) AS y FROM a TIMESTAMP BY at`, past, exec.Options{})
	f(`SELECT k, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS x, COUNT(*) OVER (LIMIT DURATION(second, 1)) AS y FROM a TIMESTAMP BY at`, past, exec.Options{})
	f(`SELECT k, MAX(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS x FROM a TIMESTAMP BY at`, past, exec.Options{})
}
