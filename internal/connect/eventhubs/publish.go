package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"weir/internal/connect"
	"weir/internal/connect/message"
	"weir/internal/hub"
)

const (
	// lanes is how many batches are on their way at a time. Batches of one key are on one lane.
	lanes = 8
	// maxOpen and maxOpenBytes bound the batches that are being filled.
	maxOpen      = 1024
	maxOpenBytes = 8 << 20
)

// publication is an epoch on its way.
type publication struct {
	p      *publisher
	client *azeventhubs.ProducerClient
	epoch  int64
	ctx    context.Context

	open  map[place]*batch
	order []*batch // those of open, as they were opened
	bytes int
	turn  int // lane of the next batch without a key

	lanes   [lanes]chan *batch
	wg      sync.WaitGroup
	stopped atomic.Bool

	mu     sync.Mutex // guards failed and publisher.acked
	failed error
}

// place is what the messages of a batch have in common.
type place struct {
	keyed     bool
	key       string // "" with partition
	partition string
}

// batch is one that is being filled, or sent.
type batch struct {
	*azeventhubs.EventDataBatch
	place   place
	lane    int
	indexes []int // of its messages
}

// Publish implements message.Publisher.
func (p *publisher) Publish(ctx context.Context, epoch int64, messages *message.Spool) error {
	if p.epoch != epoch {
		p.epoch, p.acked = epoch, p.acked[:0]
	}
	c, err := p.sends.get()
	if err != nil {
		return err
	}
	u := &publication{p: p, client: c, epoch: epoch, ctx: ctx, open: map[place]*batch{}}
	had := slices.Clone(p.acked)
	u.start()
	err = messages.Each(0, func(index int, m *message.Message) error {
		if had.has(index) {
			return nil
		}
		return u.add(index, m)
	})
	if err == nil {
		err = u.flush()
	}
	if err = u.end(err); err == nil {
		return nil
	}
	if k := kindOf(err); k == lost || errors.Is(err, context.DeadlineExceeded) {
		p.sends.drop(c)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return p.at.failed(false, "send", err)
}

// start starts the lanes.
func (u *publication) start() {
	for i := range u.lanes {
		u.lanes[i] = make(chan *batch)
		u.wg.Go(func() {
			for b := range u.lanes[i] {
				u.send(b)
			}
		})
	}
}

// end waits for the lanes. What is on its way is not taken back: it may have arrived.
func (u *publication) end(err error) error {
	for i := range u.lanes {
		close(u.lanes[i])
	}
	u.wg.Wait()
	if u.failed != nil {
		return u.failed
	}
	return err
}

// send sends a batch, unless one before it has failed: order.
func (u *publication) send(b *batch) {
	if u.stopped.Load() {
		return
	}
	ctx, cancel := context.WithTimeout(u.ctx, u.p.at.within)
	defer cancel()
	err := u.client.SendEventDataBatch(ctx, b.EventDataBatch, nil)
	if err != nil && u.ctx.Err() == nil && ctx.Err() != nil {
		err = fmt.Errorf("a batch was not acknowledged in %s: %w", u.p.at.within, context.DeadlineExceeded)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		u.stopped.Store(true)
		if u.failed == nil {
			u.failed = err
		}
		return
	}
	for _, i := range b.indexes {
		u.p.acked.add(i)
	}
}

var errStopped = errors.New("a batch has failed")

// add puts a message into the batch of its place.
func (u *publication) add(index int, m *message.Message) error {
	at := place{}
	switch {
	case m.Key == nil:
	case u.p.partitions != nil:
		at = place{keyed: true, partition: u.p.partitions[hub.PartitionOf(m.Key, len(u.p.partitions))]}
	default:
		at = place{keyed: true, key: string(m.Key)}
	}
	e := u.p.event(u.epoch, index, m)
	for {
		b := u.open[at]
		fresh := b == nil
		if fresh {
			var err error
			if b, err = u.batch(at); err != nil {
				return err
			}
		}
		before := b.NumBytes()
		err := b.AddEventData(e, nil)
		switch {
		case err == nil:
			b.indexes = append(b.indexes, index)
			u.bytes += int(b.NumBytes() - before)
			if fresh {
				u.open[at], u.order = b, append(u.order, b)
			}
			if len(u.order) >= maxOpen || u.bytes >= maxOpenBytes {
				return u.flush()
			}
			return nil
		case !errors.Is(err, azeventhubs.ErrEventDataTooLarge):
			return err
		case fresh:
			return connect.Permanent(fmt.Errorf("message %d of the epoch is too large for the event hub, which takes less than it said", index))
		}
		if err := u.dispatch(b); err != nil {
			return err
		}
		delete(u.open, at)
		u.bytes -= int(b.NumBytes())
		for i, o := range u.order {
			if o == b {
				u.order = append(u.order[:i], u.order[i+1:]...)
				break
			}
		}
	}
}

// batch begins a batch. Those of one key, or partition, have one lane.
func (u *publication) batch(at place) (*batch, error) {
	o := &azeventhubs.EventDataBatchOptions{}
	b := &batch{place: at}
	switch {
	case !at.keyed:
		b.lane = u.turn % lanes
		u.turn++
	case at.partition != "":
		o.PartitionID = &at.partition
		b.lane = number(at.partition) % lanes
	default:
		o.PartitionKey = &at.key
		b.lane = hub.PartitionOf([]byte(at.key), lanes)
	}
	var err error
	b.EventDataBatch, err = u.client.NewEventDataBatch(u.ctx, o)
	return b, err
}

// flush sends all that is open.
func (u *publication) flush() error {
	for _, b := range u.order {
		if err := u.dispatch(b); err != nil {
			return err
		}
	}
	clear(u.open)
	clear(u.order)
	u.order, u.bytes = u.order[:0], 0
	return nil
}

// dispatch puts a batch on its lane, when that is free.
func (u *publication) dispatch(b *batch) error {
	if u.stopped.Load() {
		return errStopped
	}
	if err := u.ctx.Err(); err != nil {
		return err
	}
	u.lanes[b.lane] <- b
	return nil
}
