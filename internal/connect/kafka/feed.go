package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/connect/message"
	"weir/internal/vec"
)

// perRecord is about what a record takes beside its value, in bytes.
const perRecord = 128

var errFeedClosed = errors.New("the feed is closed")

// feed is a message.Feed of a partition: the pump fills it, a message.Reader empties it.
type feed struct {
	place
	pump *pump
	meta meta // of the pump's goroutine

	ready chan struct{} // signalled when there is something
	spare []message.Incoming

	mu     sync.Mutex
	queue  []message.Incoming
	bytes  int
	next   int64 // behind all that was received
	told   int64 // what Next has said of it
	clock  vec.Time
	err    error
	paused bool
	over   bool
}

func newFeed(p *pump, at place, from int64) *feed {
	return &feed{place: at, pump: p, meta: newMeta(p.source.wants, at), ready: make(chan struct{}, 1), next: from, told: from}
}

// put takes records that were fetched.
func (f *feed) put(part *kgo.FetchPartition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.signal()
	if f.over {
		return
	}
	before := f.bytes
	defer func() { f.pump.held.Add(int64(f.bytes - before)) }()
	f.queue = slices.Grow(f.queue, len(part.Records))
	for _, r := range part.Records {
		if r.Offset < f.next {
			continue
		}
		f.next = r.Offset + 1
		if r.Attrs.IsControl() {
			continue
		}
		arrival := message.ToTime(r.Timestamp)
		f.queue = append(f.queue, message.Incoming{Seq: r.Offset, Offset: r.Offset, Arrival: arrival, Body: r.Value, Properties: f.meta.of(r, arrival)})
		f.bytes += len(r.Value) + perRecord
	}
	if part.Err != nil && f.err == nil {
		f.err = part.Err
	}
}

// fail ends the feed behind what it has.
func (f *feed) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.signal()
}

func (f *feed) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Next implements message.Feed.
func (f *feed) Next(ctx context.Context) (list []message.Incoming, clock vec.Time, end int64, err error) {
	for {
		f.mu.Lock()
		if len(f.queue) > 0 || f.clock != 0 || f.next > f.told {
			list, clock, end = f.queue, f.clock, f.next
			f.pump.held.Add(int64(-f.bytes))
			clear(f.spare)
			f.queue, f.spare, f.bytes, f.clock, f.told = f.spare[:0], list, 0, 0, f.next
			paused := f.paused
			f.paused = false
			f.mu.Unlock()
			if paused {
				f.pump.source.cl.ResumeFetchPartitions(map[string][]int32{f.topic: {f.partition}})
			}
			select {
			case f.pump.room <- struct{}{}:
			default:
			}
			return list, clock, end, nil
		}
		err, next := f.err, f.next
		f.mu.Unlock()
		if err != nil {
			return nil, 0, 0, f.explain(ctx, err, next)
		}
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil, 0, 0, ctx.Err()
		}
	}
}

// explain is the error of a feed with its place.
func (f *feed) explain(ctx context.Context, err error, next int64) error {
	if isGone(err) {
		err = f.pump.source.outOfRange(ctx, f.place, next)
	}
	return f.pump.source.link.while(f.String(), f.pump.source.health, err)
}

// full says that the feed has no room for more, and that more would come.
func (f *feed) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes > maxQueued && !f.paused
}

// pause has nothing fetched until the feed is emptied.
func (f *feed) pause() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bytes <= maxQueued || f.over {
		return
	}
	f.paused = true
	f.pump.source.cl.PauseFetchPartitions(map[string][]int32{f.topic: {f.partition}})
}

// reached says that the partition ended at an offset at a time, in which all that arrived
// before it was there.
func (f *feed) reached(end int64, at vec.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.next >= end && f.err == nil {
		f.clock = at
		f.signal()
	}
}

func (f *feed) closed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

// Close implements message.Feed.
func (f *feed) Close() error {
	f.mu.Lock()
	over := f.over
	f.over = true
	f.pump.held.Add(int64(-f.bytes))
	f.queue, f.bytes = nil, 0
	if f.err == nil {
		f.err = errFeedClosed
	}
	f.mu.Unlock()
	if !over {
		f.pump.remove(f)
	}
	return nil
}
