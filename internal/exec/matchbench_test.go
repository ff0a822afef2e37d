package exec_test

import (
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// matchBenchmarks are patterns over v, which is 0 to 999 at random, a row each 10 µs.
var matchBenchmarks = []struct{ name, rest string }{
	{"rare", "PARTITION BY k MEASURES k AS k, First(A.at) AS f, Last(C.at) AS l PATTERN (A B+ C) DEFINE A AS A.v < 50, B AS B.v < 100, C AS C.v >= 990"},
	{"often", "PARTITION BY k MEASURES k AS k, First(A.at) AS f, Last(B.v) AS b, Last(C.at) AS l PATTERN (A B+ C) DEFINE A AS A.v < 500, B AS B.v >= 500, C AS C.v < 500"},
	{"status", "PARTITION BY k MEASURES First(A.k) AS k, First(A.at) AS t0, Last(C.at) AS t1 PATTERN (A B+ C) DEFINE A AS A.v < 900, B AS B.v >= 950, C AS C.v < 900"},
	{"looks back", "PARTITION BY k MEASURES k AS k, First(A.at) AS f, Last(C.at) AS l PATTERN (A B+ C) DEFINE A AS A.v < 50, B AS B.v > Last(A.v), C AS C.v < First(A.v)"},
	{"names", "PARTITION BY k MEASURES Classifier() AS c PATTERN (A B+ C) DEFINE A AS A.v < 50, B AS B.v >= 500, C AS C.v < 500"},
}

func BenchmarkMatch(b *testing.B) {
	for _, x := range matchBenchmarks {
		b.Run(x.name, func(b *testing.B) {
			p := compile(b, matchQuery("minute, 1", x.rest))
			rows := 0
			g, err := exec.Build(p, exec.Options{Late: -1, OnRows: func(_ int, b *vec.Batch) error { rows += b.N; return nil }})
			if err != nil {
				b.Fatal(err)
			}
			s := stream{keys: 100, gap: 100}
			s.init(p)
			for range 100 {
				if err := g.Push(0, s.next(p)); err != nil {
					b.Fatal(err)
				}
			}
			rows = 0
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := s.next(p)
				b.StartTimer()
				if err := g.Push(0, batch); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n)/streamRows, "ns/row")
			b.ReportMetric(float64(rows)/float64(n)/streamRows, "results/row")
			b.ReportMetric(0, "ns/op")
		})
	}
}
