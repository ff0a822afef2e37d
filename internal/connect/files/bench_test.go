package files

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
	"weir/internal/vec"
)

// BenchmarkDirectory writes epochs of 10,000 rows to files on the disk, ten to a file.
func BenchmarkDirectory(b *testing.B) {
	d, err := disk.At(b.TempDir())
	ok(b, err)
	state, err := d.Sub("state")
	ok(b, err)
	cfg := config(b, "{n}{ext}", connect.Format{}, connecttest.Columns())
	cfg.maxRows = 100_000
	s, err := openSink(d, nil, cfg, connect.SinkEnv{Job: "job", Output: "out", Columns: connecttest.Columns(), State: state, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(b, err)
	defer s.Close()
	var rows []connecttest.Row
	for i := range 1000 {
		rows = append(rows, connecttest.Row{ID: int64(i), Text: fmt.Sprintf("a text of a row as logs have it, with the number %d", i)})
	}
	batch := connecttest.Batch(rows)
	b.ReportAllocs()
	epoch := int64(0)
	for b.Loop() {
		epoch++
		for range 10 {
			ok(b, s.Write(context.Background(), epoch, batch))
		}
		ok(b, s.Prepare(context.Background(), epoch, vec.MinTime))
		ok(b, s.Commit(context.Background(), epoch))
	}
}
