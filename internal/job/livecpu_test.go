//go:build unix

package job

import (
	"bytes"
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/vec"
)

// BenchmarkLiveRate: 200,000 events a second for some seconds with a checkpoint every second:
// the time from an event to its row.
func BenchmarkLiveRate(b *testing.B) {
	for b.Loop() {
		fs, err := disk.At(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		source := &rateSource{perSecond: 200_000, began: time.Now(), lasts: 5 * time.Second, flood: newFlood(1, 10_000)}
		spec := LiveSpec{Name: "bench", Plan: compile(b, `SELECT id, COUNT(*) AS n INTO output FROM e GROUP BY id, TumblingWindow(second, 1)`),
			Late: 0, Checkpoint: time.Second, Start: StartBeginning,
			Inputs:  []LiveInput{{Name: "e", Open: func(connect.SourceEnv) (connect.Source, error) { return source, nil }}},
			Outputs: []LiveOutput{{Name: "output", Open: func(connect.SinkEnv) (connect.Sink, error) { return &nullSink{}, nil }}}}
		l, err := OpenLive(b.Context(), fs, spec)
		if err != nil {
			b.Fatal(err)
		}
		var before, after syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &before)
		if err := l.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		s := l.Stats()
		most := 0
		for i, n := range s.Outputs[0].Latency.Counts {
			if n > 0 {
				most = i
			}
		}
		b.ReportMetric(float64(LatencyBounds[min(most, len(LatencyBounds)-1)].Milliseconds()), "worst-ms-up-to")
		b.ReportMetric(float64(s.Inputs[0].Events)/source.lasts.Seconds(), "events/s")
		b.ReportMetric(float64(cpu(&after)-cpu(&before))/float64(source.lasts)*100, "cpu-%")
		b.ReportMetric(float64(s.Epoch)/source.lasts.Seconds(), "epochs/s")
	}
}

func cpu(u *syscall.Rusage) time.Duration {
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rateSource gives as many events as should have come.
type rateSource struct {
	perSecond int64
	began     time.Time
	lasts     time.Duration
	given     int64
	flood     *floodSource
	ready     chan struct{} // nil: it has to be polled
	lines     [][]byte
	buf       []byte
}

func (s *rateSource) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }
func (s *rateSource) Seek(context.Context, string, vec.Time) (connect.Position, error) {
	return "", nil
}
func (s *rateSource) Open(context.Context, string, connect.Position) (connect.Reader, error) {
	return s, nil
}
func (s *rateSource) Done(context.Context, string, connect.Position) error { return nil }
func (s *rateSource) Close() error                                         { return nil }
func (s *rateSource) Ready() <-chan struct{}                               { return s.ready }
func (s *rateSource) Read(_ context.Context, limit int, _ connect.Position) (connect.Chunk, error) {
	since := time.Since(s.began)
	due := int64(min(since, s.lasts).Seconds()*float64(s.perSecond)) - s.given
	s.buf = s.buf[:0]
	if s.lines == nil {
		s.lines = bytes.SplitAfter(s.flood.block, []byte("\n"))
	}
	for ; due > 0 && len(s.buf) < limit; due-- {
		s.buf = append(s.buf, s.lines[s.given%4096]...)
		s.given++
	}
	return connect.Chunk{Data: s.buf, Next: connect.Position(fmt.Sprint(s.given)), Line: 1, End: since > s.lasts && due <= 0}, nil
}

// BenchmarkLiveIdle: what a job costs that has nothing to do.
func BenchmarkLiveIdle(b *testing.B) {
	for b.Loop() {
		fs, err := disk.At(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		source := &rateSource{began: time.Now(), lasts: 5 * time.Second, flood: newFlood(1, 1), ready: make(chan struct{})}
		spec := LiveSpec{Name: "bench", Plan: compile(b, `SELECT id, COUNT(*) AS n INTO output FROM e GROUP BY id, TumblingWindow(second, 1)`), Late: 0, Start: StartBeginning,
			Inputs:  []LiveInput{{Name: "e", Open: func(connect.SourceEnv) (connect.Source, error) { return source, nil }}},
			Outputs: []LiveOutput{{Name: "output", Open: func(connect.SinkEnv) (connect.Sink, error) { return &nullSink{}, nil }}}}
		l, err := OpenLive(b.Context(), fs, spec)
		if err != nil {
			b.Fatal(err)
		}
		var before, after syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &before)
		if err := l.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
		syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		b.ReportMetric(float64(cpu(&after)-cpu(&before))/float64(source.lasts)*100, "cpu-%")
	}
}
