package log

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"weir/internal/disk"
)

const recordBytes = 200

func benchLog(b *testing.B, o Options) *Partition {
	b.Helper()
	fs, err := disk.At(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	l := open(b, fs, o)
	b.Cleanup(func() { l.Close() })
	return l.Partition(0)
}

func records(n int) []Record {
	out := make([]Record, n)
	for i := range out {
		out[i].Value = make([]byte, recordBytes)
	}
	return out
}

func report(b *testing.B, n int) {
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkAppend: one appender, batches of 500 records of 200 bytes.
func BenchmarkAppend(b *testing.B) {
	for _, mode := range []Fsync{Always, Interval, None} {
		b.Run(string(mode), func(b *testing.B) {
			p := benchLog(b, Options{Fsync: mode})
			recs := records(500)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Append(recs); err != nil {
					b.Fatal(err)
				}
			}
			report(b, len(recs))
		})
	}
}

// BenchmarkAppenders: 256 appenders of one record of 200 bytes each time, acknowledged after
// fsync.
func BenchmarkAppenders(b *testing.B) {
	p := benchLog(b, Options{})
	const appenders = 256
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range appenders {
		wg.Go(func() {
			recs := records(1)
			for n := i; n < b.N; n += appenders {
				if _, err := p.Append(recs); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	report(b, 1)
}

// BenchmarkRead: one reader from the page cache, checksums checked.
func BenchmarkRead(b *testing.B) {
	p := benchLog(b, Options{Fsync: None})
	const total = 500_000
	recs := records(500)
	for range total / len(recs) {
		if _, err := p.Append(recs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.SetBytes(total * recordBytes)
	for b.Loop() {
		r, err := p.Read(0)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for {
			batch, err := r.Next()
			if err != nil {
				b.Fatal(err)
			}
			if batch == nil {
				break
			}
			n += len(batch.Records)
		}
		if r.Close(); n != total {
			b.Fatalf("%d records", n)
		}
	}
	report(b, total)
}

// BenchmarkBatches: some appenders of batches of 500 records of 200 bytes, and readers that
// follow them.
func BenchmarkBatches(b *testing.B) {
	f := func(mode Fsync, appenders, readers int) {
		b.Run(fmt.Sprintf("%s/%d/%d", mode, appenders, readers), func(b *testing.B) {
			p := benchLog(b, Options{Fsync: mode, ExpireBytes: 1 << 30})
			stop := make(chan struct{})
			var follow, wg sync.WaitGroup
			for range readers {
				follow.Go(func() { followUntil(b, p, stop) })
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range appenders {
				wg.Go(func() {
					recs := records(500)
					for n := i; n < b.N; n += appenders {
						if _, err := p.Append(recs); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			close(stop)
			follow.Wait()
			report(b, 500)
		})
	}
	for _, mode := range []Fsync{Always, None} {
		f(mode, 1, 0)
		f(mode, 4, 0)
		f(mode, 16, 0)
		f(mode, 1, 8)
		f(mode, 16, 8)
	}
}

// followUntil reads all that comes.
func followUntil(b *testing.B, p *Partition, stop chan struct{}) {
	r, err := p.Read(0)
	if err != nil {
		b.Error(err)
		return
	}
	defer r.Close()
	for {
		batch, err := r.Next()
		if errors.Is(err, ErrGone) {
			b.Error("a reader has fallen behind")
			return
		}
		if err != nil {
			b.Error(err)
			return
		}
		if batch != nil {
			continue
		}
		select {
		case <-r.Ready():
		case <-stop:
			return
		}
	}
}
