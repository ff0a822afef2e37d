//go:build services

package redis

import (
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"weir/internal/connect/connecttest"
)

// benchRows is how many rows an epoch of the benchmarks has, of about 110 bytes.
const benchRows = 10_000

const benchText = "2018-01-10T10:10:10.123Z Team01 Team01POI 404 the service did not answer in time"

// BenchmarkService: epochs of 10,000 rows into a stream, and hashes of 1,000 keys. The same by
// pipelines of go-redis alone, 1,000 commands each, which write nothing down.
func BenchmarkService(b *testing.B) {
	s := newServer(b, false)
	rows := connecttest.Rows(1, benchRows)
	for i := range rows {
		rows[i].Text = benchText
		rows[i].ID %= 1000
	}
	batch := connecttest.Batch(rows)
	job := func(values map[string]any) func(b *testing.B) {
		return func(b *testing.B) {
			sink := s.sink(b, unique(), values)
			for i := int64(1); b.Loop(); i++ {
				must(b, sink.Write(b.Context(), i, batch))
				must(b, sink.Prepare(b.Context(), i, 0))
				must(b, sink.Commit(b.Context(), i))
			}
			b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
		}
	}
	alone := func(add func(pipe goredis.Pipeliner, r *connecttest.Row)) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				pipe := s.client.Pipeline()
				for i := range rows {
					add(pipe, &rows[i])
					if i%1000 == 999 {
						if _, err := pipe.Exec(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
				}
			}
			b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
		}
	}
	stream, hashes := unique(), unique()
	b.Run("stream", job(map[string]any{"key": unique(), "max_len": int64(100_000)}))
	b.Run("stream alone", alone(func(pipe goredis.Pipeliner, r *connecttest.Row) {
		pipe.XAdd(b.Context(), &goredis.XAddArgs{Stream: stream, MaxLen: 100_000, Approx: true, Values: []any{"id", r.ID, "text", r.Text}})
	}))
	b.Run("hash", job(map[string]any{"key": unique() + ":{id}", "mode": modeHash}))
	b.Run("hash alone", alone(func(pipe goredis.Pipeliner, r *connecttest.Row) {
		pipe.HSet(b.Context(), fmt.Sprint(hashes, ":", r.ID), "id", r.ID, "text", r.Text)
	}))
}
