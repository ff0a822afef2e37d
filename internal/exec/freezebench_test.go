package exec_test

import (
	"fmt"
	"testing"
	"time"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// millions are queries that keep something for each of a million keys.
var millions = []struct{ name, query string }{
	{"tumbling", `SELECT k, COUNT(*) AS n, SUM(v) AS s FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(hour, 1)`},
	{"tumblingfloat", `SELECT k, COUNT(*) AS n, SUM(v * 1.5) AS s FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(hour, 1)`},
	{"lag", `SELECT k, v - LAG(v) OVER (PARTITION BY k LIMIT DURATION(hour, 1)) AS d FROM a TIMESTAMP BY at`},
	{"sessions", `SELECT k, COUNT(*) AS n, MAX(v) AS m FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(minute, 10, 60) OVER (PARTITION BY k)`},
	{"session", `SELECT k, COUNT(*) AS n, MAX(v) AS m FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(minute, 10, 60)`},
}

// millionKeys is a graph that has seen each of n keys once.
func millionKeys(b testing.TB, p *plan.Plan, n int) *exec.Graph {
	g, err := exec.Build(p, exec.Options{Late: -1})
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < n; from += 4000 {
		batch := &vec.Batch{N: 4000, Cols: make([]vec.Vec, len(p.Inputs[0].Fields))}
		for c, f := range p.Inputs[0].Fields {
			for i := from; i < from+4000; i++ {
				switch f.Path[0] {
				case "k":
					batch.Cols[c].Append(vec.StringValue(fmt.Sprintf("device-%07d", i)))
				case "at":
					batch.Cols[c].Append(vec.TimeValue(base + vec.Time(i)*vec.Microsecond))
				default:
					batch.Cols[c].Append(vec.IntValue(int64(i)))
				}
			}
		}
		if err := g.Push(0, batch); err != nil {
			b.Fatal(err)
		}
	}
	return g
}

const million = 1_000_000

// BenchmarkFreeze1M is how long a job stands still for a snapshot; encode is what comes
// after, on another goroutine if the runner likes.
func BenchmarkFreeze1M(b *testing.B) {
	for _, x := range millions {
		b.Run(x.name, func(b *testing.B) {
			g := millionKeys(b, compile(b, x.query), million)
			var image *exec.Image
			worst, n := time.Duration(0), 0
			for b.Loop() {
				start := time.Now()
				image = g.Freeze()
				took := time.Since(start)
				if n > 0 {
					worst = max(worst, took) // the first one takes the memory
				}
				n++
				g.Release(image)
			}
			image = g.Freeze()
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
			start := time.Now()
			size := len(image.Bytes())
			b.ReportMetric(float64(time.Since(start).Milliseconds()), "encode-ms")
			b.ReportMetric(float64(size), "bytes")
		})
	}
}

func BenchmarkRestore1M(b *testing.B) {
	for _, x := range millions {
		b.Run(x.name, func(b *testing.B) {
			p := compile(b, x.query)
			image := millionKeys(b, p, million).Snapshot()
			for b.Loop() {
				g, err := exec.Build(p, exec.Options{Late: -1})
				if err != nil {
					b.Fatal(err)
				}
				if err := g.Restore(image); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
