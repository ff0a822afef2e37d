package job

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// floodSource gives the same block of events again and again, each with the time of now, until
// a number of events is reached.
type floodSource struct {
	marks  []connect.Mark // with them, each event is a message
	block  []byte
	events int // of the block
	left   int
	total  int
}

func newFlood(total, keys int) *floodSource {
	s := &floodSource{left: total, total: total}
	var b bytes.Buffer
	for i := range 4096 {
		fmt.Fprintf(&b, `{"id":"device-%06d","temperature":%d.%d,"humidity":%d,"site":"site %d","note":"nothing to say here"}`+"\n", i*7919%keys, 20+i%10, i%10, i%100, i%8)
		s.events++
	}
	s.block = b.Bytes()
	return s
}

// asMessages makes a message of each event.
func (s *floodSource) asMessages() {
	end := 0
	for line := range bytes.Lines(s.block) {
		end += len(line)
		s.marks = append(s.marks, connect.Mark{End: end, Offset: int64(end), Arrival: timeOf(time.Now())})
	}
}

func (s *floodSource) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }
func (s *floodSource) Seek(context.Context, string, vec.Time) (connect.Position, error) {
	return "", nil
}
func (s *floodSource) Open(context.Context, string, connect.Position) (connect.Reader, error) {
	return s, nil
}
func (s *floodSource) Done(context.Context, string, connect.Position) error { return nil }
func (s *floodSource) Close() error                                         { return nil }
func (s *floodSource) Ready() <-chan struct{}                               { return nil }
func (s *floodSource) Read(_ context.Context, limit int, _ connect.Position) (connect.Chunk, error) {
	if s.left <= 0 {
		return connect.Chunk{Next: connect.Position(fmt.Sprint(s.total)), End: true}, nil
	}
	s.left -= s.events
	return connect.Chunk{Data: s.block, Marks: s.marks, Next: connect.Position(fmt.Sprint(s.total - s.left)), Line: 1}, nil
}

// nullSink takes rows and forgets them.
type nullSink struct{ rows, epoch int64 }

func (s *nullSink) Committed(context.Context) (int64, error) { return 0, nil }
func (s *nullSink) Write(_ context.Context, _ int64, b *vec.Batch) error {
	s.rows += int64(b.N)
	return nil
}
func (s *nullSink) Prepare(context.Context, int64, vec.Time) error { return nil }
func (s *nullSink) Commit(_ context.Context, n int64) error        { s.epoch = n; return nil }
func (s *nullSink) Sync(context.Context) error                     { return nil }
func (s *nullSink) Close() error                                   { return nil }

// BenchmarkLive: events a second from a source in memory through a job with a manifest and
// checkpoints on a real disk.
func BenchmarkLive(b *testing.B) {
	f := func(name, query string, keys int, messages bool) {
		const checkpoint = time.Second
		b.Run(name, func(b *testing.B) {
			const events = 2_000_000
			b.ReportAllocs()
			for b.Loop() {
				fs, err := disk.At(b.TempDir())
				if err != nil {
					b.Fatal(err)
				}
				sink := &nullSink{}
				flood := newFlood(events, keys)
				if messages {
					flood.asMessages()
				}
				spec := LiveSpec{Name: "bench", Plan: compile(b, query), Late: 5 * time.Second, Checkpoint: checkpoint, Start: StartBeginning,
					Inputs:  []LiveInput{{Name: "e", Open: func(connect.SourceEnv) (connect.Source, error) { return flood, nil }}},
					Outputs: []LiveOutput{{Name: "output", Open: func(connect.SinkEnv) (connect.Sink, error) { return sink, nil }}}}
				l, err := OpenLive(b.Context(), fs, spec)
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				if err := l.Run(b.Context()); err != nil {
					b.Fatal(err)
				}
				s := l.Stats()
				b.ReportMetric(events/time.Since(began).Seconds(), "events/s")
				b.ReportMetric(float64(s.Checkpoint.Pause.Microseconds()), "pause-µs")
				b.ReportMetric(float64(s.Checkpoint.Count), "checkpoints")
				b.ReportMetric(float64(s.Epoch), "epochs")
			}
		})
	}
	f("count", `SELECT site, COUNT(*) AS n INTO output FROM e GROUP BY site, TumblingWindow(second, 1)`, 1000, false)
	f("messages", `SELECT site, COUNT(*) AS n INTO output FROM e GROUP BY site, TumblingWindow(second, 1)`, 1000, true)
	f("keys", `SELECT id, COUNT(*) AS n, AVG(temperature) AS t INTO output FROM e GROUP BY id, TumblingWindow(minute, 1)`, 100_000, false)
	f("filter", `SELECT id, temperature INTO output FROM e WHERE humidity > 90`, 1000, false)
}

// BenchmarkLiveState: a million groups of state: how long the job stands still for a
// checkpoint, how long the checkpoint takes, and how long a start from it.
func BenchmarkLiveState(b *testing.B) {
	const keys = 1_000_000
	for b.Loop() {
		fs, err := disk.At(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		source := &keySource{keys: keys}
		spec := LiveSpec{Name: "bench", Plan: compile(b, `SELECT id, COUNT(*) AS n, AVG(v) AS a INTO output FROM e GROUP BY id, TumblingWindow(day, 7)`),
			Late: -1, Checkpoint: time.Hour, Start: StartBeginning,
			Inputs:  []LiveInput{{Name: "e", Open: func(connect.SourceEnv) (connect.Source, error) { return source, nil }}},
			Outputs: []LiveOutput{{Name: "output", Open: func(connect.SinkEnv) (connect.Sink, error) { return &nullSink{}, nil }}}}
		run := func() (*Live, func()) {
			l, err := OpenLive(b.Context(), fs, spec)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			end := make(chan error, 1)
			go func() { end <- l.Run(ctx) }()
			return l, func() {
				cancel()
				if err := <-end; err != nil {
					b.Fatal(err)
				}
			}
		}
		l, stop := run()
		for source.at.Load() < keys {
			time.Sleep(time.Millisecond)
		}
		for range 3 { // the second one has memory to reuse
			if err := l.Checkpoint(b.Context()); err != nil {
				b.Fatal(err)
			}
			source.at.Store(keys - 1)
			time.Sleep(100 * time.Millisecond)
		}
		s := l.Stats().Checkpoint
		b.ReportMetric(float64(s.Pause.Microseconds())/1000, "pause-ms")
		b.ReportMetric(float64(s.Elapsed.Microseconds())/1000, "checkpoint-ms")
		b.ReportMetric(float64(s.Bytes)/1e6, "MB")
		stop()
		began := time.Now()
		l, stop = run()
		for l.Stats().State != Running {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "restore-ms")
		stop()
	}
}

// keySource gives an event for each key, and then none.
type keySource struct {
	keys int64
	at   atomic.Int64
	buf  []byte
}

func (s *keySource) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }
func (s *keySource) Seek(context.Context, string, vec.Time) (connect.Position, error) {
	return "", nil
}
func (s *keySource) Open(context.Context, string, connect.Position) (connect.Reader, error) {
	return s, nil
}
func (s *keySource) Done(context.Context, string, connect.Position) error { return nil }
func (s *keySource) Close() error                                         { return nil }
func (s *keySource) Ready() <-chan struct{}                               { return nil }
func (s *keySource) Read(_ context.Context, limit int, _ connect.Position) (connect.Chunk, error) {
	s.buf = s.buf[:0]
	at := s.at.Load()
	for ; at < s.keys && len(s.buf) < limit; at++ {
		s.buf = fmt.Appendf(s.buf, `{"id":"device-%08d","v":%d}`+"\n", at, at%100)
	}
	s.at.Store(at)
	return connect.Chunk{Data: s.buf, Next: connect.Position(fmt.Sprint(at)), Line: 1}, nil
}
