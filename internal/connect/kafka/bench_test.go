//go:build services

package kafka

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect"
	"weir/internal/vec"
)

const benchRecords = 1_000_000

// benchText is an event of 200 bytes, with its number behind the rest.
const benchText = `{"device":"device-000123","temperature":21.5,"humidity":40,"site":"site 7","note":"nothing to say here, and a little more of it so that the event has two hundred bytes as a whole","n":%09d}`

// BenchmarkServiceRead: records a second from the broker, through the connector and with the
// client alone.
func BenchmarkServiceRead(b *testing.B) {
	c := real(b)
	topic := c.topic(4)
	cl := c.clientOf(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	for i := range benchRecords {
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: fmt.Appendf(nil, benchText, i)}, nil)
	}
	if err := cl.Flush(c.within()); err != nil {
		b.Fatal(err)
	}
	rate := func(b *testing.B) { b.ReportMetric(benchRecords*float64(b.N)/b.Elapsed().Seconds(), "records/s") }
	b.Run("alone", func(b *testing.B) {
		for b.Loop() {
			from := map[int32]kgo.Offset{}
			for p := range int32(4) {
				from[p] = kgo.NewOffset().At(0)
			}
			cl := c.clientOf(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
			for n := 0; n < benchRecords; {
				f := cl.PollFetches(c.within())
				if err := f.Err(); err != nil {
					b.Fatal(err)
				}
				n += f.NumRecords()
			}
			cl.Close()
		}
		rate(b)
	})
	b.Run("weir", func(b *testing.B) {
		for b.Loop() {
			s, err := openSource(c.within(), c.config(topic, nil), connect.SourceEnv{Metadata: []string{}})
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			wake := make(chan struct{}, 1)
			var readers []connect.Reader
			stop := make(chan struct{})
			var waits sync.WaitGroup
			for p := range 4 {
				r, err := s.Open(context.Background(), fmt.Sprint(p), "")
				if err != nil {
					b.Fatal(err)
				}
				readers = append(readers, r)
				waits.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-r.Ready():
							select {
							case wake <- struct{}{}:
							default:
							}
						}
					}
				})
			}
			for n < benchRecords {
				some := 0
				for _, r := range readers {
					chunk, err := r.Read(context.Background(), 512<<10, "")
					if err != nil {
						b.Fatal(err)
					}
					some += len(chunk.Marks)
				}
				if n += some; some == 0 {
					<-wake
				}
			}
			close(stop)
			waits.Wait()
			for _, r := range readers {
				r.Close()
			}
			s.Close()
		}
		rate(b)
	})
}

// BenchmarkServiceWrite: rows a second to the broker, in transactions of 20,000 rows, through the
// connector and with the client alone, which has the bytes ready.
func BenchmarkServiceWrite(b *testing.B) {
	c := real(b)
	const epoch = 20_000
	rate := func(b *testing.B) { b.ReportMetric(benchRecords*float64(b.N)/b.Elapsed().Seconds(), "records/s") }
	b.Run("alone", func(b *testing.B) {
		topic := c.topic(4)
		text := fmt.Appendf(nil, benchText, 7)
		for b.Loop() {
			cl := c.clientOf(kgo.TransactionalID("bench"+topic), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(maxRecords))
			var failed atomic.Int64
			for i := 0; i < benchRecords; i += epoch {
				if err := cl.BeginTransaction(); err != nil {
					b.Fatal(err)
				}
				for range epoch {
					cl.Produce(context.Background(), &kgo.Record{Topic: topic, Value: append([]byte{}, text...)}, func(_ *kgo.Record, err error) {
						if err != nil {
							failed.Add(1)
						}
					})
				}
				if err := cl.Flush(c.within()); err != nil {
					b.Fatal(err)
				}
				if err := cl.EndTransaction(c.within(), kgo.TryCommit); err != nil || failed.Load() > 0 {
					b.Fatal(err, failed.Load())
				}
			}
			cl.Close()
		}
		rate(b)
	})
	b.Run("weir", func(b *testing.B) {
		topic := c.topic(4)
		rows := benchBatch(epoch)
		for b.Loop() {
			o := c.mustWrite(topic, nil, nil)
			o.p.second = time.Second
			last, err := o.Committed(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			for i := range int64(benchRecords / epoch) {
				n := last + i + 1
				if err := o.Write(context.Background(), n, rows); err != nil {
					b.Fatal(err)
				}
				if err := o.Prepare(context.Background(), n, vec.MaxTime); err != nil {
					b.Fatal(err)
				}
				if err := o.Commit(context.Background(), n); err != nil {
					b.Fatal(err)
				}
			}
			o.Close()
		}
		rate(b)
	})
}

// benchBatch are rows whose JSON has 200 bytes.
func benchBatch(n int) *vec.Batch {
	b := &vec.Batch{N: n, Time: make([]vec.Time, n)}
	var ids []int64
	var texts []string
	for i := range n {
		ids, texts = append(ids, int64(100_000_000+i)), append(texts, fmt.Sprintf("%0175d", i))
	}
	b.Cols = []vec.Vec{vec.Ints(ids...), vec.Strings(texts...)}
	return b
}
