package job

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
	"weir/internal/vec"
)

const (
	// epochBytes is about how much text an epoch reads, maxChunk and minChunk what it reads
	// of a partition. Epochs are short, so that rows come out soon and a replay is exact.
	epochBytes = 8 << 20
	maxChunk   = 2 << 20
	minChunk   = 64 << 10
	// maxPartitions bounds the partitions of an input.
	maxPartitions = 4096
	// listEvery is how often sources are asked for new partitions.
	listEvery = time.Second
	// readAnyway is how often a partition is read that signals nothing.
	readAnyway = time.Second
	// maxSkew is how far the watermark of a partition may be ahead of one that still has
	// something to read: it waits then, so that joins and merges need not hold what it brings.
	maxSkew = vec.Minute
)

// liveInput is an input of a live job.
type liveInput struct {
	spec     LiveInput
	index    int // in the plan
	plan     plan.Input
	level    plan.Level // of the query that reads it
	chosen   []int
	source   connect.Source
	parts    []*livePart
	none     *livePart // stands for the partitions while there are none
	listed   time.Time // when the source was last asked for its partitions
	unlisted bool      // it did not answer
	events   int64
	bytes    int64
	errors   map[string]int64
	meta     metaColumns
	// eventTime: the events bring their time, and arrival times are not given.
	eventTime bool
}

// livePart is a partition of an input, and how far it has been read.
type livePart struct {
	name    string
	index   int
	reader  connect.Reader
	signal  atomic.Bool // there may be something to read
	signals bool        // the reader tells
	stop    chan struct{}
	stopped chan struct{}

	pos      connect.Position
	released connect.Position // what the source was last told that it may forget
	ended    bool
	events   int64
	arrival  vec.Time // of the last event
	read     vec.Time // clock of the epoch that read it
	clock    vec.Time // of the last tick
	source   vec.Time // latest Chunk.Clock; 0 if the source does not know
	untold   bool     // the last tick is in no record
	more     bool     // the last read gave something
	last     time.Time
	tried    int // failed reads in a row
	retry    time.Time

	text partText
}

// open starts reading behind the position.
func (l *Live) openPart(ctx context.Context, in *liveInput, p *livePart) error {
	r, err := in.source.Open(ctx, p.name, p.pos)
	if errors.Is(err, connect.ErrGone) {
		return l.gone(in, p, err)
	}
	if err != nil {
		return err
	}
	p.reader, p.more = r, true
	ready := r.Ready()
	if p.signals = ready != nil; !p.signals {
		return nil
	}
	p.stop, p.stopped = make(chan struct{}), make(chan struct{})
	go func(stop, stopped chan struct{}) {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-ready:
				p.signal.Store(true)
				select {
				case l.wake <- struct{}{}:
				default:
				}
			}
		}
	}(p.stop, p.stopped)
	return nil
}

// gone explains that a job cannot go on because its events are no longer there.
func (l *Live) gone(in *liveInput, p *livePart, err error) error {
	return connect.Permanent(fmt.Errorf("input %q, partition %q: events behind position %q are no longer kept, so the job cannot go on where it was; "+
		"start it with --discard-state and --from to begin anew at a time of your choice (%w)", in.spec.Name, p.name, p.pos, err))
}

func (p *livePart) close() {
	if p.stop != nil {
		close(p.stop)
		<-p.stopped
		p.stop = nil
	}
	if p.reader != nil {
		p.reader.Close() // it was only read
		p.reader = nil
	}
}

func (in *liveInput) close() {
	for _, p := range in.parts {
		p.close()
	}
	if in.source != nil {
		in.source.Close() // it was only read
		in.source = nil
	}
}

// ended reports whether nothing will come any more.
func (in *liveInput) ended() bool {
	for _, p := range in.parts {
		if !p.ended {
			return false
		}
	}
	return len(in.parts) > 0
}

// list asks the source for partitions that are not known yet.
func (l *Live) list(ctx context.Context, in *liveInput) (added []string, err error) {
	names, err := in.source.Partitions(ctx)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, p := range in.parts {
		known[p.name] = true
	}
	for _, name := range names {
		if !known[name] {
			known[name] = true
			added = append(added, name)
		}
	}
	if len(in.parts)+len(added) > maxPartitions {
		return nil, connect.Permanent(fmt.Errorf("input %q has %d partitions, and the limit is %d", in.spec.Name, len(in.parts)+len(added), maxPartitions))
	}
	return added, nil
}

// addPart makes a partition known, to the graph too.
func (l *Live) addPart(in *liveInput, name string) error {
	p := newPart(name, len(in.parts), l.began)
	in.parts = append(in.parts, p)
	if p.index == 0 { // the graph has it from the start, and has been told the time
		p.clock, p.untold = in.none.clock, in.none.untold
		return nil
	}
	n, err := l.graph.AddPartition(in.index)
	if err == nil && n != p.index {
		panic(fmt.Sprintf("job: partition %d of input %d is %d in the graph", p.index, in.index, n))
	}
	return err
}

// estimate is the arrival clock of a partition that has nothing to read: the arrival of its
// last event plus the time since (saql.md 4.4). A partition without events counts from when
// the job began.
func (l *Live) estimate(in *liveInput, p *livePart, now vec.Time) vec.Time {
	arrival := p.arrival
	if in.eventTime {
		arrival = vec.MinTime
		if w := l.graph.PartitionWatermark(in.index, p.index); w > 0 && w < vec.MaxTime {
			arrival = w + max(ticks(l.spec.OutOfOrder), 0)
		}
		if p.events == 0 {
			arrival = vec.MinTime
		}
	}
	if arrival == vec.MinTime {
		return max(now, l.began)
	}
	return arrival + max(now-p.read, 0)
}

func newPart(name string, index int, began vec.Time) *livePart {
	return &livePart{name: name, index: index, arrival: vec.MinTime, read: began, clock: vec.MinTime}
}
