package file

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/connecttest"
	"weir/internal/disk"
)

// BenchmarkRead reads a file of lines in chunks of 2 MiB.
func BenchmarkRead(b *testing.B) {
	dir := b.TempDir()
	var text strings.Builder
	for i := range 400_000 {
		fmt.Fprintf(&text, "{\"id\":%d,\"text\":\"%080d\"}\n", i, i)
	}
	ok(b, os.WriteFile(dir+"/log", []byte(text.String()), 0o600))
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		src, err := input(dir+"/log", false)(connect.SourceEnv{State: disk.NewMem(1), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		ok(b, err)
		r, err := src.Open(context.Background(), partition, "")
		ok(b, err)
		for {
			c, err := r.Read(context.Background(), 2<<20, "")
			ok(b, err)
			if c.End {
				break
			}
		}
		ok(b, r.Close())
		ok(b, src.Close())
	}
}

// BenchmarkCommit commits epochs of 500 rows to a real file, with a sync after every 100.
func BenchmarkCommit(b *testing.B) {
	dir := b.TempDir()
	d, err := disk.Shared(dir)
	ok(b, err)
	state, err := disk.At(dir + "/state")
	ok(b, err)
	s, err := openSink(d, "out", connect.SinkEnv{Columns: connecttest.Columns(), State: state, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	ok(b, err)
	batch := connecttest.Batch(connecttest.Rows(1, 500))
	ctx := context.Background()
	n := int64(0)
	for b.Loop() {
		n++
		ok(b, s.Write(ctx, n, batch))
		ok(b, s.Commit(ctx, n))
		if n%100 == 0 {
			ok(b, s.Sync(ctx))
		}
	}
	ok(b, s.Close())
}
