package eventhubs

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

const (
	benchBody  = 200 // bytes of an event
	benchBatch = 250 // events of a batch, which fit into a frame
)

// onDisk is a broker in a directory of its own.
func onDisk(b *testing.B) *hub.Broker {
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return newBroker(b, hub.Options{FS: fs})
}

func perEvent(b *testing.B, events int) {
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}

// encodedBatch is a batch of events as a client sends it.
func encodedBatch(b *testing.B) []byte {
	var events [][]byte
	for range benchBatch {
		events = append(events, annotated(b, strings.Repeat("x", benchBody)))
	}
	return batchOf(b, nil, events...)
}

// BenchmarkServerIn sends encoded batches over loopback with a client that costs next to
// nothing, with fsync.
func BenchmarkServerIn(b *testing.B) {
	s := serve(b, onDisk(b))
	r := s.dialRaw()
	r.sender("orders/partitions/0")
	payload := encodedBatch(b)
	const ahead = 64 // batches that are under way
	sent, done := 0, 0
	b.ResetTimer()
	for done < b.N {
		for sent < b.N && sent-done < ahead {
			r.write(performative(0, codeTransfer, payload, uint32(0), uint32(sent), []byte{1}, uint32(batchFormat)))
			sent++
		}
		v, _, err := amqp.DecodeValue(r.await(codeDisposition))
		if err != nil {
			b.Fatal(err)
		}
		done = int(v.(amqp.Described).Value.([]any)[2].(uint32)) + 1
	}
	perEvent(b, b.N*benchBatch)
}

// fill appends events to partition 0.
func fill(b *testing.B, broker *hub.Broker, events int) {
	b.Helper()
	h, err := broker.Hub("orders")
	if err != nil {
		b.Fatal(err)
	}
	m := (&amqp.Message{Properties: amqp.Properties{MessageID: "0b6f0a9e-5a52-4bd1-8f0e-1f0a5a6f7d11"}, Body: make([]byte, benchBody)}).Append(nil)
	list := make([]hub.Event, 500)
	for i := range list {
		list[i] = hub.Event{Message: m}
	}
	for events > 0 {
		n := min(events, len(list))
		if _, err := h.Partitions()[0].Append(list[:n], nil); err != nil {
			b.Fatal(err)
		}
		events -= n
	}
}

// BenchmarkServerOut receives with a client that only counts frames.
func BenchmarkServerOut(b *testing.B) {
	const n = 200_000
	broker := onDisk(b)
	fill(b, broker, n)
	s := serve(b, broker)
	for b.Loop() {
		r := s.dialRaw()
		r.receiver("orders/ConsumerGroups/$Default/Partitions/0")
		r.credit(0, n)
		for range n {
			r.await(codeTransfer)
		}
		r.conn.Close()
	}
	perEvent(b, b.N*n)
}

// BenchmarkSDKSend sends batches with the SDK for Go, which is in this process too.
func BenchmarkSDKSend(b *testing.B) {
	s := serve(b, onDisk(b))
	p := s.producer(nil)
	body := make([]byte, benchBody)
	b.ResetTimer()
	for range b.N {
		batch, err := p.NewEventDataBatch(context.Background(), to("0"))
		if err != nil {
			b.Fatal(err)
		}
		for range benchBatch {
			if err := batch.AddEventData(&azeventhubs.EventData{Body: body}, nil); err != nil {
				b.Fatal(err)
			}
		}
		if err := p.SendEventDataBatch(context.Background(), batch, nil); err != nil {
			b.Fatal(err)
		}
	}
	perEvent(b, b.N*benchBatch)
}

// BenchmarkSDKReceive receives with the SDK for Go.
func BenchmarkSDKReceive(b *testing.B) {
	const n = 50_000
	broker := onDisk(b)
	fill(b, broker, n)
	s := serve(b, broker)
	c := s.consumer(nil)
	for b.Loop() {
		pc, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{Prefetch: 5000, StartPosition: azeventhubs.StartPosition{Earliest: ptr(true)}})
		if err != nil {
			b.Fatal(err)
		}
		for got := 0; got < n; {
			list, err := pc.ReceiveEvents(context.Background(), 1000, nil)
			if err != nil {
				b.Fatal(err)
			}
			got += len(list)
		}
		pc.Close(context.Background())
	}
	perEvent(b, b.N*n)
}

// BenchmarkLatency is the time from before an event is sent until it is received, on an idle
// hub with fsync: the SDK for Go on both sides.
func BenchmarkLatency(b *testing.B) {
	s := serve(b, onDisk(b))
	p := s.producer(nil)
	pc := open(b, s.consumer(nil), "0", nil)
	send(b, p, to("0"), "first")
	receive(b, pc, 1)
	came := make(chan time.Time)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		for {
			if _, err := pc.ReceiveEvents(ctx, 1, nil); err != nil {
				return
			}
			came <- time.Now()
		}
	}()
	var took []time.Duration
	for b.Loop() {
		batch, err := p.NewEventDataBatch(ctx, to("0"))
		if err != nil {
			b.Fatal(err)
		}
		if err := batch.AddEventData(&azeventhubs.EventData{Body: make([]byte, benchBody)}, nil); err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		if err := p.SendEventDataBatch(ctx, batch, nil); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-came).Sub(start))
	}
	slices.Sort(took)
	at := func(share float64) float64 { return float64(took[int(share*float64(len(took)-1))].Microseconds()) }
	b.ReportMetric(at(0.5), "p50-µs")
	b.ReportMetric(at(0.99), "p99-µs")
	b.ReportMetric(at(0.999), "p99.9-µs")
}

// BenchmarkIdle opens connections with a receiver each, which has received all there is, and
// says what memory one costs.
func BenchmarkIdle(b *testing.B) {
	s := serve(b, newBroker(b, hub.Options{}))
	h, _ := s.broker.Hub("orders")
	const n = 500
	for b.Loop() {
		before := inUse()
		var list []*raw
		for i := range n {
			r := s.dialRaw()
			group := fmt.Sprint("idle", i/MaxReaders)
			if err := h.EnsureGroup(group); err != nil {
				b.Fatal(err)
			}
			r.receiver(fmt.Sprintf("orders/ConsumerGroups/%s/Partitions/0", group))
			r.credit(0, 100)
			r.in = nil // the client's buffer does not count
			list = append(list, r)
		}
		s.awaitReaders(b, n)
		b.ReportMetric(float64(inUse()-before)/n, "bytes/connection")
		for _, r := range list {
			r.conn.Close()
		}
		s.awaitReaders(b, 0)
	}
}

// inUse is the memory of the process that is in use: heap and stacks.
func inUse() uint64 {
	goruntime.GC()
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
