package job

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/generate"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

var benchQueries = []struct{ name, query string }{
	{"Q1", `SELECT TeamId, ServiceId, StatusCode FROM events TIMESTAMP BY Date WHERE StatusCode >= 500`},
	{"Q2", `SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS c FROM events TIMESTAMP BY Date
		GROUP BY TeamId, TumblingWindow(second, 1)`},
	{"Q3", `WITH step AS (SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS Cnt FROM events TIMESTAMP BY Date
		WHERE Status = 0 GROUP BY TeamId, TumblingWindow(second, 1))
		SELECT TeamId, System.Timestamp() AS Time, COUNT(*) AS DownSeconds, SUM(Cnt) AS Failures FROM step
		GROUP BY TeamId, TumblingWindow(minute, 1)`},
	{"Q4", `SELECT TeamId, System.Timestamp() AS Time, AVG(StatusCode) AS a FROM events TIMESTAMP BY Date
		GROUP BY TeamId, HoppingWindow(second, 10, 1)`},
	{"Q5session", `SELECT ServiceId, COUNT(*) AS c FROM events TIMESTAMP BY Date WHERE StatusCode = 500
		GROUP BY ServiceId, SessionWindow(second, 5, 3600) OVER (PARTITION BY ServiceId)`},
	{"Q5sliding", `SELECT TeamId, System.Timestamp() AS t, COUNT(*) AS c FROM events TIMESTAMP BY Date
		WHERE StatusCode = 503 GROUP BY TeamId, SlidingWindow(second, 10) HAVING COUNT(*) > 120`},
}

// benchFile writes n events of the downtime story.
func benchFile(b testing.TB, n, teams int) string {
	if name := os.Getenv("WEIR_BENCH_EVENTS"); name != "" {
		return name
	}
	d := generate.Downtime{Settings: generate.Settings{Seed: 1, Start: generate.DefaultStart, Rate: generate.DefaultRate,
		Jitter: 2 * time.Second}, Teams: teams}
	name := filepath.Join(b.TempDir(), "events.jsonl")
	f, err := os.Create(name)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, generate.NewReader(d.Stream(), int64(n))); err != nil {
		b.Fatal(err)
	}
	return name
}

func compile(t testing.TB, query string) *plan.Plan {
	script, list := saql.Parse(query)
	if list.HasErrors() {
		t.Fatal(list)
	}
	p, list := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() {
		t.Fatal(list)
	}
	return p
}

func BenchmarkRun(b *testing.B) {
	const events = 1_000_000
	file := benchFile(b, events, 100)
	for _, q := range benchQueries {
		p := compile(b, q.query)
		for _, workers := range []int{1, 2} {
			b.Run(q.name+"/workers="+string(rune('0'+workers)), func(b *testing.B) {
				b.ReportAllocs()
				var res Result
				for b.Loop() {
					var err error
					res, err = Run(context.Background(), p, []Input{{Name: "events", Path: file}},
						Options{OutOfOrder: 2 * time.Second, Late: -1, Workers: workers, OnRows: func(int, *vec.Batch) error { return nil }})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(res.Events), "ns/event")
				b.ReportMetric(float64(res.Rows[0]), "rows")
			})
		}
	}
}
