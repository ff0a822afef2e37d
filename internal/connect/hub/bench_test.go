package hub

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/connect/file"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

const benchEvents = 500_000

// benchLine is an event of some 130 bytes.
func benchLine(i int) []byte {
	return fmt.Appendf(nil, `{"id":"device-%06d","temperature":%d.%d,"humidity":%d,"site":"site %d","note":"nothing to say here"}`, i*7919%1000, 20+i%10, i%10, i%100, i%8)
}

// benchBroker is a broker on the disk with a hub full of events.
func benchBroker(b *testing.B, dir string) *hub.Broker {
	b.Helper()
	fs, err := disk.At(filepath.Join(dir, "hub"))
	if err != nil {
		b.Fatal(err)
	}
	broker, err := hub.Open(hub.Options{FS: fs, Fsync: log.None})
	if err != nil {
		b.Fatal(err)
	}
	h, err := broker.Create(hub.Config{Name: "events", Partitions: 1})
	if err != nil {
		b.Fatal(err)
	}
	list := make([]hub.Event, 0, 1000)
	for i := 0; i < benchEvents; i += 1000 {
		list = list[:0]
		for k := range 1000 {
			list = append(list, hub.Event{Message: (&amqp.Message{Body: benchLine(i + k)}).Append(nil)})
		}
		if _, err := h.Partitions()[0].Append(list, nil); err != nil {
			b.Fatal(err)
		}
	}
	return broker
}

// BenchmarkRead: events a second from the log into chunks.
func BenchmarkRead(b *testing.B) {
	broker := benchBroker(b, b.TempDir())
	defer broker.Close()
	f := func(name string, metadata []string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				src, err := openSource(With(context.Background(), broker), config(true, nil), connect.SourceEnv{Metadata: metadata})
				if err != nil {
					b.Fatal(err)
				}
				r, err := src.Open(context.Background(), "0", "")
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for n < benchEvents {
					c, err := r.Read(context.Background(), 2<<20, "")
					if err != nil {
						b.Fatal(err)
					}
					n += len(c.Marks)
				}
				r.Close()
			}
			b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	f("plain", []string{})
	f("times", []string{"EventEnqueuedUtcTime"})
	f("all", nil)
}

// BenchmarkJob: events a second through a job, from the hub and from a file of the same events.
func BenchmarkJob(b *testing.B) {
	dir := b.TempDir()
	broker := benchBroker(b, dir)
	defer broker.Close()
	var text bytes.Buffer
	for i := range benchEvents {
		text.Write(benchLine(i))
		text.WriteByte('\n')
	}
	path := filepath.Join(dir, "events.jsonl")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	script, _ := saql.Parse(`SELECT site, COUNT(*) AS n INTO output FROM e GROUP BY site, TumblingWindow(second, 1)`)
	p, list := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() {
		b.Fatal(list)
	}
	f := func(name string, open func(env connect.SourceEnv) (connect.Source, error)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fs, err := disk.At(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				l, err := job.OpenLive(b.Context(), fs, job.LiveSpec{Name: "bench", Plan: p, Late: 5 * time.Second, Start: job.StartBeginning,
					Inputs:  []job.LiveInput{{Name: "e", Open: open}},
					Outputs: []job.LiveOutput{{Name: "output", Open: func(connect.SinkEnv) (connect.Sink, error) { return nowhere{}, nil }}}})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				go func() { ended <- l.Run(ctx) }()
				for l.Stats().Inputs == nil || l.Stats().Inputs[0].Events < benchEvents {
					time.Sleep(time.Millisecond)
				}
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(benchEvents*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
	f("hub", func(env connect.SourceEnv) (connect.Source, error) {
		env.Metadata = []string{}
		return openSource(With(context.Background(), broker), config(true, nil), env)
	})
	f("file", func(env connect.SourceEnv) (connect.Source, error) {
		return file.Spec.Source(context.Background(), connect.Config{Values: map[string]any{"path": path, "follow": true, "scan": time.Second, "rotate_wait": time.Second, "max_open": int64(4), "order": "name"}}, env)
	})
}

// nowhere takes rows and forgets them.
type nowhere struct{}

func (nowhere) Committed(context.Context) (int64, error)       { return 0, nil }
func (nowhere) Write(context.Context, int64, *vec.Batch) error { return nil }
func (nowhere) Prepare(context.Context, int64, vec.Time) error { return nil }
func (nowhere) Commit(context.Context, int64) error            { return nil }
func (nowhere) Sync(context.Context) error                     { return nil }
func (nowhere) Close() error                                   { return nil }
