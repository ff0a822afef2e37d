package exec_test

import (
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// BenchmarkLag runs LAG and LAST behind TIMESTAMP BY and the sort that they need; "none" is
// the same query without them.
func BenchmarkLag(b *testing.B) {
	f := func(name, query string, s stream) {
		b.Helper()
		b.Run(name, func(b *testing.B) { benchmarkQuery(b, query+" FROM a TIMESTAMP BY at", s, exec.Options{}) })
	}
	s, many := stream{keys: 100, gap: 100}, stream{keys: 100_000, gap: 100}
	f("none", `SELECT k, v`, s)
	f("key", `SELECT k, v, ISFIRST(second, 1) OVER (PARTITION BY k) AS w`, s)
	f("key/100k", `SELECT k, v, ISFIRST(second, 1) OVER (PARTITION BY k) AS w`, many)
	f("by one", `SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 10)) AS w`, s)
	f("by one/100k", `SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 10)) AS w`, many)
	f("text", `SELECT k, v, LAG(k) OVER (PARTITION BY v LIMIT DURATION(minute, 10)) AS w`, s)
	f("mixed", `SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(minute, 10)) AS w`, stream{keys: 100, gap: 100, mixed: true})
	f("by three", `SELECT k, v, LAG(v, 3) OVER (PARTITION BY k LIMIT DURATION(minute, 10)) AS w`, s)
	f("last when", `SELECT k, v, LAST(v) OVER (PARTITION BY k LIMIT DURATION(minute, 10) WHEN v > 500) AS w`, s)
}

// BenchmarkSumOver runs aggregates with OVER.
func BenchmarkSumOver(b *testing.B) {
	f := func(name, query string, s stream) {
		b.Helper()
		b.Run(name, func(b *testing.B) { benchmarkQuery(b, query+" FROM a TIMESTAMP BY at", s, exec.Options{}) })
	}
	s, many := stream{keys: 100, gap: 100}, stream{keys: 100_000, gap: 100}
	f("sum", `SELECT k, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS w`, s)
	f("sum/100k", `SELECT k, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS w`, many)
	f("sum/alone", `SELECT k, SUM(v) OVER (LIMIT DURATION(second, 1)) AS w`, s)
	f("max", `SELECT k, MAX(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS w`, s)
	f("three", `SELECT k, COUNT(*) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS c, SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS w,
		AVG(v) OVER (PARTITION BY k LIMIT DURATION(second, 1)) AS a`, s)
	f("spike", `SELECT k, AnomalyDetection_SpikeAndDip(v, 95, 120, 'spikes') OVER (PARTITION BY k LIMIT DURATION(second, 120)) AS w`,
		stream{keys: 100, gap: 10 * vec.Millisecond})
}
