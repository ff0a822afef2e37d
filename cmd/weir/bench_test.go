package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/generate"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// BenchmarkRun runs the standard queries over the events of "weir bench" in this process,
// from a file to rows that nobody takes.
func BenchmarkRun(b *testing.B) {
	const events = 1_000_000
	d := generate.Downtime{Teams: generate.DefaultTeams, Settings: generate.Settings{
		Seed: 1, Start: generate.DefaultStart, Rate: generate.DefaultRate, Jitter: 2 * time.Second}}
	file := filepath.Join(b.TempDir(), "events.jsonl")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(f, generate.NewReader(d.Stream(), events)); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	for _, q := range benchQueries {
		if q.ManyKeys || q.Teams {
			continue // asks for other events
		}
		script, list := saql.Parse(q.SAQL)
		p, more := plan.Compile(script, benchEnv())
		if list.HasErrors() || more.HasErrors() {
			b.Fatal(q.ID, list, more)
		}
		for _, workers := range []int{1, 6} {
			b.Run(fmt.Sprintf("%s/workers=%d", q.ID, workers), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, err := job.Run(context.Background(), p, []job.Input{{Name: "events", Path: file}}, job.Options{
						OutOfOrder: d.Jitter, Late: -1, Workers: workers,
						OnRows: func(int, *vec.Batch) error { return nil }})
					if err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
			})
		}
	}
}
