//go:build services

package eventhubs

import (
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/namespace"
	"weir/internal/disk"
	"weir/internal/hub"
	"weir/internal/hub/amqp"
	"weir/internal/hub/log"
	"weir/internal/vec"
)

const benchEvents = 100_000

// benchLine is an event of some 130 bytes.
func benchLine(i int) []byte {
	return fmt.Appendf(nil, `{"id":"device-%06d","temperature":%d.%d,"humidity":%d,"site":"site %d","note":"nothing to say here"}`, i*7919%1000, 20+i%10, i%10, i%100, i%8)
}

// usage reports events a second, and the processor time that one takes, the hub's included: on
// a machine that others use the first says little.
func usage(b *testing.B, unit string) func() {
	time := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Sec+u.Stime.Sec)*1e6 + float64(u.Utime.Usec+u.Stime.Usec)
	}
	begun := time()
	return func() {
		n := benchEvents * float64(b.N)
		b.ReportMetric(n/b.Elapsed().Seconds(), unit+"s/s")
		b.ReportMetric((time()-begun)/n, "µs-cpu/"+unit)
	}
}

func benchWorld(b *testing.B, partitions int) *world {
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	return newWorld(b, partitions, hub.Options{FS: fs, Fsync: log.None})
}

// BenchmarkServiceRead: events a second of the connector, and of the client alone in a loop.
func BenchmarkServiceRead(b *testing.B) {
	w := benchWorld(b, 1)
	for i := 0; i < benchEvents; i += 1000 {
		var list []hub.Event
		for k := range 1000 {
			list = append(list, hub.Event{Message: (&amqp.Message{Body: benchLine(i + k)}).Append(nil)})
		}
		if _, err := w.partition(0).Append(list, nil); err != nil {
			b.Fatal(err)
		}
	}
	for range 2 {
		b.Run("connector", func(b *testing.B) {
			done := usage(b, "event")
			for b.Loop() {
				src, err := openSource(b.Context(), w.config(true, nil), connect.SourceEnv{Metadata: []string{}})
				if err != nil {
					b.Fatal(err)
				}
				r, err := src.Open(b.Context(), "0", "")
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < benchEvents; {
					c, err := r.Read(b.Context(), 2<<20, "")
					if err != nil {
						b.Fatal(err)
					}
					if n += len(c.Marks); len(c.Marks) == 0 {
						<-r.Ready()
					}
				}
				r.Close()
				src.Close()
			}
			done()
		})
		b.Run("library", func(b *testing.B) {
			done := usage(b, "event")
			for b.Loop() {
				c, err := azeventhubs.NewConsumerClientFromConnectionString(w.connection(), "events", defaultGroup, nil)
				if err != nil {
					b.Fatal(err)
				}
				earliest := true
				p, err := c.NewPartitionClient("0", &azeventhubs.PartitionClientOptions{Prefetch: 1000, StartPosition: azeventhubs.StartPosition{Earliest: &earliest}})
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < benchEvents; {
					list, err := p.ReceiveEvents(b.Context(), 500, nil)
					if err != nil {
						b.Fatal(err)
					}
					n += len(list)
				}
				namespace.Shut(p)
				namespace.Shut(c)
			}
			done()
		})
	}
}

// BenchmarkServiceWrite: rows a second of the connector, from batches to acknowledgement, and of
// the client alone with the same bodies, a batch after the other.
func BenchmarkServiceWrite(b *testing.B) {
	var bodies [][]byte
	var batches []*vec.Batch
	columns := connect.Columns{Names: []string{"id", "temperature", "site", "note"}}
	for i := 0; i < benchEvents; i += 1000 {
		rows := &vec.Batch{N: 1000, Time: make([]vec.Time, 1000)}
		var ids, sites, notes []string
		var temperatures []float64
		for k := range 1000 {
			ids = append(ids, fmt.Sprintf("device-%06d", (i+k)*7919%1000))
			temperatures = append(temperatures, 20+float64(k%100)/10)
			sites, notes = append(sites, fmt.Sprint("site ", k%8)), append(notes, "nothing to say here, and that at some length")
			bodies = append(bodies, fmt.Appendf(nil, `{"id":%q,"temperature":%g,"site":%q,"note":%q}`, ids[k], temperatures[k], sites[k], notes[k]))
		}
		rows.Cols = []vec.Vec{vec.Strings(ids...), vec.Floats(temperatures...), vec.Strings(sites...), vec.Strings(notes...)}
		batches = append(batches, rows)
	}
	connector := func(given map[string]any) func(b *testing.B) {
		return func(b *testing.B) {
			w := benchWorld(b, 4)
			s := w.sink(given, connect.SinkEnv{Columns: columns})
			b.ResetTimer()
			done := usage(b, "row")
			epoch := int64(0)
			for b.Loop() {
				for some := range slices.Chunk(batches, 20) {
					epoch++
					for _, rows := range some {
						if err := s.Write(b.Context(), epoch, rows); err != nil {
							b.Fatal(err)
						}
					}
					if err := s.Prepare(b.Context(), epoch, 0); err != nil {
						b.Fatal(err)
					}
					if err := s.Commit(b.Context(), epoch); err != nil {
						b.Fatal(err)
					}
				}
			}
			done()
		}
	}
	for range 2 {
		b.Run("connector", connector(nil))
		b.Run("library", func(b *testing.B) {
			w := benchWorld(b, 4)
			p, err := azeventhubs.NewProducerClientFromConnectionString(w.connection(), "events", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer namespace.Shut(p)
			b.ResetTimer()
			done := usage(b, "row")
			for b.Loop() {
				batch, err := p.NewEventDataBatch(b.Context(), nil)
				for _, body := range bodies {
					if err != nil {
						b.Fatal(err)
					}
					if err = batch.AddEventData(&azeventhubs.EventData{Body: body}, nil); err == nil {
						continue
					}
					if err = p.SendEventDataBatch(b.Context(), batch, nil); err != nil {
						b.Fatal(err)
					}
					if batch, err = p.NewEventDataBatch(b.Context(), nil); err == nil {
						err = batch.AddEventData(&azeventhubs.EventData{Body: body}, nil)
					}
				}
				if err := p.SendEventDataBatch(b.Context(), batch, nil); err != nil {
					b.Fatal(err)
				}
			}
			done()
		})
	}
	b.Run("keys", connector(map[string]any{"partition_key": "id"}))
	b.Run("keys of the client", connector(map[string]any{"partition_key": "id", "routing": routeClient}))
}
