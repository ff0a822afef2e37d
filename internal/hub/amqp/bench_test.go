package amqp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// batchOf is a message of Event Hubs with n events of size bytes in it.
func batchOf(n, size int) []byte {
	b := sections(0x72, []Pair{{"x-opt-partition-key", "key"}})
	for i := range n {
		m := Message{Application: []Pair{{"k", fmt.Sprint(i)}}, Body: bytes.Repeat([]byte{'x'}, size)}
		b = AppendBinary(AppendSection(b, SectionData), m.Append(nil))
	}
	return b
}

// BenchmarkSplitBatch takes the events out of a batch of 500, and their payload out of them.
func BenchmarkSplitBatch(b *testing.B) {
	batch := batchOf(500, 200)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := Split(batch)
		if err != nil {
			b.Fatal(err)
		}
		for data, rest, ok := NextData(s.Body); ok; data, rest, ok = NextData(rest) {
			if _, err := Body(data); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}

// sink takes everything.
type sink struct{ net.Conn }

func (sink) Write(b []byte) (int, error)      { return len(b), nil }
func (sink) SetReadDeadline(time.Time) error  { return nil }
func (sink) SetWriteDeadline(time.Time) error { return nil }

// BenchmarkSend is what an event costs from Send to the write.
func BenchmarkSend(b *testing.B) {
	s := &Server{Handler: &recorder{}}
	s.init()
	c := newConn(b.Context(), s, sink{})
	ss := &session{conn: c, remoteWindow: 1 << 30}
	l := &Link{Conn: c, session: ss, sender: true}
	prefix, message := make([]byte, 100), make([]byte, 230)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		l.credit, ss.remoteWindow = 1, 1
		if err := l.Send(ctx, 0, prefix, message); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIncoming is what an event costs in batches of 500 from the bytes of a connection to
// the handler.
func BenchmarkIncoming(b *testing.B) {
	batch := batchOf(500, 200)
	var frames []byte
	for at := 0; at < len(batch); at += 60_000 {
		end := min(at+60_000, len(batch))
		frames = append(frames, performative(frameAMQP, 0, codeTransfer, batch[at:end], uint32(0), uint32(0), []byte{0}, nil, true, end < len(batch))...)
	}
	done := make(chan int, 1000)
	r := &recorder{deliver: func(_ context.Context, list []Delivery) {
		done <- len(list)
		clear(list)
	}}
	s := &Server{Handler: r}
	p := connectTCP(b, s).hello().begin(0).sender(0, 0)
	go func() {
		for {
			if _, _, _, err := p.read(); err != nil {
				return
			}
		}
	}()
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		p.write(frames)
		<-done
		r.mu.Lock()
		r.got = nil
		r.mu.Unlock()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/event")
}

// BenchmarkIdleConnection reports the memory of one.
func BenchmarkIdleConnection(b *testing.B) {
	each := idleMemory(b, 2000, func(p *peer) { p.hello().begin(0).receiver(0, 0, 10) })
	for b.Loop() {
	}
	b.ReportMetric(float64(each), "bytes/conn")
}
