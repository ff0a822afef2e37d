package kafka

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/disk"
)

// event is what benchmarks send: 200 bytes.
var event = strings.Repeat("0123456789", 20)

// benchSite is a broker in a directory, with fsync before every acknowledgement.
func benchSite(b *testing.B, partitions int) *site {
	b.Helper()
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	s := &site{t: b, fs: fs, ended: make(chan error, 1)}
	s.start(Options{}, "127.0.0.1:0")
	b.Cleanup(s.stop)
	s.hub("hub", partitions)
	return s
}

// cpu is what the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report tells of n events and the time of the processor for each, of both sides together.
func report(b *testing.B, n int, before time.Duration) {
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/float64(n), "cpu-ns/event")
}

// BenchmarkProduceClient sends events with a whole client, which shares the machine with the
// server.
func BenchmarkProduceClient(b *testing.B) {
	s := benchSite(b, 4)
	cl := s.client(kgo.DefaultProduceTopic("hub"), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	value := []byte(event)
	before := cpu()
	for b.Loop() {
		for range 100_000 {
			cl.Produce(context.Background(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := cl.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	report(b, 100_000*b.N, before)
}

// BenchmarkFetchClient reads events with a whole client.
func BenchmarkFetchClient(b *testing.B) {
	s := benchSite(b, 4)
	s.fillAll(b, 250_000)
	before := cpu()
	n := 0
	for b.Loop() {
		cl := s.client(kgo.ConsumeTopics("hub"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		for got := 0; got < 1_000_000; {
			f := cl.PollFetches(context.Background())
			if err := f.Err(); err != nil {
				b.Fatal(err)
			}
			got += f.NumRecords()
		}
		n += 1_000_000
		cl.Close()
	}
	report(b, n, before)
}

// fillAll appends events to all partitions.
func (s *site) fillAll(b *testing.B, each int) {
	b.Helper()
	h, err := s.broker.Hub("hub")
	if err != nil {
		b.Fatal(err)
	}
	values := make([]string, 500)
	for i := range values {
		values[i] = event
	}
	for _, p := range h.Partitions() {
		for range each / len(values) {
			put(b, p, values...)
		}
	}
}

// BenchmarkProduce sends requests that are made before, so that nearly all of the work is the
// server's: batches of 500 events for each of four partitions, five requests under way.
func BenchmarkProduce(b *testing.B) {
	s := benchSite(b, 4)
	r := s.login()
	r.nc.SetDeadline(time.Time{})
	values := make([]string, 500)
	for i := range values {
		values[i] = event
	}
	q := produceOf(0, -1, batchOf(nil, values...))
	for i := range int32(3) {
		p := q.Topics[0].Partitions[0]
		p.Partition = i + 1
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	request := kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)
	const pipelined = 5
	read := func() {
		if _, err := r.frame(); err != nil {
			b.Fatal(err)
		}
	}
	before := cpu()
	under := 0
	for b.Loop() {
		if _, err := r.nc.Write(request); err != nil {
			b.Fatal(err)
		}
		if under++; under == pipelined {
			read()
			under--
		}
	}
	for range under {
		read()
	}
	report(b, b.N*4*500, before)
	if n := s.server.Stats().RecordsIn; n != int64(b.N)*4*500 {
		b.Errorf("%d events are there", n)
	}
}

// BenchmarkFetch reads with requests of a megabyte and looks at nothing in the answers but
// where to go on.
func BenchmarkFetch(b *testing.B) {
	s := benchSite(b, 1)
	s.fillAll(b, 500_000)
	r := s.login()
	r.nc.SetDeadline(time.Time{})
	q := fetchOf(12, 0)
	form := kmsg.NewRequestFormatter()
	before := cpu()
	n := int64(0)
	for b.Loop() {
		p := &q.Topics[0].Partitions[0]
		if _, err := r.nc.Write(form.AppendRequest(nil, q, 1)); err != nil {
			b.Fatal(err)
		}
		answer, err := r.frame()
		if err != nil {
			b.Fatal(err)
		}
		a := kmsg.NewFetchResponse()
		a.Version = 12
		if err := a.ReadFrom(answer[5:]); err != nil {
			b.Fatal(err)
		}
		for rest := a.Topics[0].Partitions[0].RecordBatches; len(rest) > 0; rest = rest[12+be.Uint32(rest[8:]):] {
			n += int64(be.Uint32(rest[57:]))
			p.FetchOffset += int64(be.Uint32(rest[57:]))
		}
		if p.FetchOffset >= 500_000 {
			p.FetchOffset = 0
		}
	}
	report(b, int(n), before)
}
