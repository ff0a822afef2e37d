package kafka

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// maxQueued is how many bytes of records a feed may hold in any case. Fetching for one that
	// has more stops when all together have more than maxHeld.
	maxQueued = 2 << 20
	maxHeld   = 32 << 20
	// roomWait is how long fetching stops for all, so that a partition that is slow gets room:
	// the client throws away what it has of a partition that is paused.
	roomWait = 100 * time.Millisecond
	// pollEvery is how often the pump looks whether brokers answer.
	pollEvery = time.Second
	// watchEvery is how often partitions with nothing to read are asked for their ends.
	watchEvery = 500 * time.Millisecond
)

// pump takes what the client fetches and gives it to the feeds of partitions. Only its
// goroutine polls the client, and adds and removes partitions, so that what was fetched for a
// feed never comes to the next one of that partition.
type pump struct {
	source *source
	ctx    context.Context
	stop   context.CancelFunc
	ended  sync.WaitGroup
	room   chan struct{} // signalled by feeds that were emptied
	held   atomic.Int64  // bytes that feeds hold, and how many they may
	most   atomic.Int64
	feeds  map[place]*feed

	mu     sync.Mutex
	orders []func() // what the goroutine is to do next
	poll   context.CancelFunc
	opened map[place]*feed // those that are open, for others than the goroutine
	ends   map[place]int64 // what is known of where partitions end
}

// errTaken is the error of a feed whose partition somebody else has opened.
var errTaken = errors.New("the partition was opened once more")

func newPump(s *source) *pump {
	p := &pump{source: s, room: make(chan struct{}, 1), feeds: map[place]*feed{}, opened: map[place]*feed{}, ends: map[place]int64{}}
	p.most.Store(maxHeld)
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.ended.Go(p.run)
	p.ended.Go(p.watch)
	return p
}

func (p *pump) close() {
	p.stop()
	p.ended.Wait()
}

// order has the goroutine do something before it polls again.
func (p *pump) order(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orders = append(p.orders, do)
	if p.poll != nil {
		p.poll()
	}
}

// open begins a feed. A partition has one at a time: it ends the one before.
func (p *pump) open(at place, from int64) *feed {
	f := newFeed(p, at, from)
	p.mu.Lock()
	p.opened[at] = f
	p.mu.Unlock()
	p.order(func() {
		if f.closed() {
			return
		}
		if old := p.feeds[at]; old != nil {
			old.fail(errTaken)
			p.source.cl.RemoveConsumePartitions(map[string][]int32{at.topic: {at.partition}})
		}
		p.feeds[at] = f
		p.source.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{at.topic: {at.partition: kgo.NewOffset().At(from)}})
	})
	return f
}

// remove ends a feed.
func (p *pump) remove(f *feed) {
	p.mu.Lock()
	if p.opened[f.place] == f {
		delete(p.opened, f.place)
	}
	p.mu.Unlock()
	p.order(func() {
		if p.feeds[f.place] != f {
			return
		}
		delete(p.feeds, f.place)
		one := map[string][]int32{f.topic: {f.partition}}
		p.source.cl.RemoveConsumePartitions(one)
		p.source.cl.ResumeFetchPartitions(one)
	})
}

// run polls until the end.
func (p *pump) run() {
	for p.ctx.Err() == nil {
		p.mu.Lock()
		orders := p.orders
		p.orders = nil
		ctx, cancel := context.WithTimeout(p.ctx, pollEvery)
		p.poll = cancel
		p.mu.Unlock()
		for _, do := range orders {
			do()
		}
		fetches := p.source.cl.PollFetches(ctx)
		cancel()
		p.deal(fetches)
		p.fail()
		p.wait()
	}
}

// deal gives what was fetched to the feeds.
func (p *pump) deal(fetches kgo.Fetches) {
	for i := range fetches {
		for t := range fetches[i].Topics {
			topic := &fetches[i].Topics[t]
			for x := range topic.Partitions {
				part := &topic.Partitions[x]
				switch {
				case part.Partition >= 0:
					at := place{topic.Topic, part.Partition}
					if f := p.feeds[at]; f != nil {
						p.know(at, p.lastOf(part))
						f.put(part)
					}
				case part.Err != nil && !errors.Is(part.Err, context.Canceled) && !errors.Is(part.Err, context.DeadlineExceeded):
					for _, f := range p.feeds {
						f.fail(part.Err)
					}
				}
			}
		}
	}
}

// lastOf is where a partition ended when it was fetched.
func (p *pump) lastOf(part *kgo.FetchPartition) int64 {
	if p.source.committed && part.LastStableOffset >= 0 {
		return part.LastStableOffset
	}
	return part.HighWatermark
}

// know notes where a partition ends.
func (p *pump) know(at place, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[at] = end
}

// endOf is where a partition ends, as far as it is known.
func (p *pump) endOf(at place) (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end, ok := p.ends[at]
	return end, ok
}

// fail tells the feeds of partitions whose leader does not answer.
func (p *pump) fail() {
	for at, f := range p.feeds {
		leader, _, err := p.source.cl.PartitionLeader(at.topic, at.partition)
		switch {
		case err == nil && leader >= 0:
			err = p.source.health.of(leader)
		default: // the brokers that were asked first do not say who leads it
			err = p.source.health.any()
		}
		if err != nil {
			f.fail(err)
		}
	}
}

// wait gives feeds that are full a little time, and then has nothing more fetched for them.
func (p *pump) wait() {
	var timer *time.Timer
	for {
		full := p.full()
		if len(full) == 0 {
			return
		}
		if timer == nil {
			timer = time.NewTimer(roomWait)
			defer timer.Stop()
		}
		select {
		case <-p.ctx.Done():
			return
		case <-p.room:
		case <-timer.C:
			for _, f := range full {
				f.pause()
			}
			return
		}
	}
}

// full are the feeds that have no room and are fetched for.
func (p *pump) full() (list []*feed) {
	if p.held.Load() <= p.most.Load() {
		return nil
	}
	for _, f := range p.feeds {
		if f.full() {
			list = append(list, f)
		}
	}
	return list
}
