package hub

import (
	"sync/atomic"
	"time"
)

// LatencyBounds are the upper bounds of the classes of Latency; the last class has none.
var LatencyBounds = [...]time.Duration{500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second}

// Latency is how long appends took that succeeded, from their turn until they were as durable
// as was asked for and their caller had seen it.
type Latency struct {
	Counts [len(LatencyBounds) + 1]int64 // by class
	Sum    time.Duration
}

// Add adds another one.
func (l *Latency) Add(o Latency) {
	for i, n := range o.Counts {
		l.Counts[i] += n
	}
	l.Sum += o.Sum
}

// latency counts while others read.
type latency struct {
	counts [len(LatencyBounds) + 1]atomic.Int64
	sum    atomic.Int64
}

func (l *latency) add(d time.Duration) {
	i := 0
	for i < len(LatencyBounds) && d > LatencyBounds[i] {
		i++
	}
	l.counts[i].Add(1)
	l.sum.Add(int64(d))
}

func (l *latency) now() Latency {
	out := Latency{Sum: time.Duration(l.sum.Load())}
	for i := range l.counts {
		out.Counts[i] = l.counts[i].Load()
	}
	return out
}
