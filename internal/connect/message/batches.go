package message

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// lanes is how many batches are on their way at a time.
	lanes = 8
	// maxOpenBatches and maxOpenBytes bound the batches that are being filled.
	maxOpenBatches = 1024
	maxOpenBytes   = 8 << 20
)

// ErrFull is the error of Batching.Add for a message that does not fit into the batch.
var ErrFull = errors.New("the batch is full")

// Batching is how a service takes messages in batches.
type Batching[B any] interface {
	// Place is what the messages of a batch must have in common, added to dst, such as a
	// partition key. Batches of one place are sent one after the other. free says that the
	// message has no place: it goes with others of its kind, whose batches are in no order.
	Place(dst []byte, m *Message) (place []byte, free bool)
	// Begin begins a batch of a place; "" for messages without.
	Begin(ctx context.Context, place string, free bool) (B, error)
	// Add adds a message, which is valid during the call, and says how many bytes it took.
	Add(b B, index int, m *Message) (bytes int, err error)
	// Send sends a batch, and returns when the service has it for good. Several goroutines
	// call it.
	Send(ctx context.Context, b B) error
}

// Batches sends the messages of epochs in batches, several at a time. What was acknowledged is
// remembered until the next epoch, so that after an error only the others are sent again. It is
// of use to a Publisher, and one goroutine at a time uses it.
type Batches struct {
	epoch int64
	acked acked
}

// acked is the messages of an epoch that the service has, by their indexes.
type acked []uint64

func (a *acked) add(i int) {
	for len(*a) <= i/64 {
		*a = append(*a, 0)
	}
	(*a)[i/64] |= 1 << (i % 64)
}

func (a acked) has(i int) bool { return i/64 < len(a) && a[i/64]&(1<<(i%64)) != 0 }

// batch is one that is being filled, or sent.
type batch[B any] struct {
	b       B
	place   string
	free    bool
	lane    int
	bytes   int
	indexes []int // of its messages
}

// shipment is an epoch on its way.
type shipment[B any] struct {
	ctx context.Context
	how Batching[B]

	open  map[string]*batch[B] // by place
	free  *batch[B]
	order []*batch[B] // all that are open, as they were opened
	bytes int
	turn  int // counts batches that go any lane
	text  []byte

	lanes   [lanes]chan *batch[B]
	wg      sync.WaitGroup
	stopped atomic.Bool

	mu     sync.Mutex // guards failed and acked
	failed error
	acked  *acked
}

// Publish sends what the service has not acknowledged of an epoch.
func Publish[B any](ctx context.Context, s *Batches, epoch int64, messages *Spool, how Batching[B]) error {
	if s.epoch != epoch {
		s.epoch, s.acked = epoch, s.acked[:0]
	}
	had := slices.Clone(s.acked)
	u := &shipment[B]{ctx: ctx, how: how, open: map[string]*batch[B]{}, acked: &s.acked}
	u.start()
	err := messages.Each(0, func(index int, m *Message) error {
		if had.has(index) {
			return nil
		}
		return u.add(index, m)
	})
	if err == nil {
		err = u.flush()
	}
	return u.end(err)
}

// start starts the lanes.
func (u *shipment[B]) start() {
	for i := range u.lanes {
		u.lanes[i] = make(chan *batch[B])
		u.wg.Go(func() {
			for b := range u.lanes[i] {
				u.send(b)
			}
		})
	}
}

// end waits for the lanes. What is on its way is not taken back: it may have arrived.
func (u *shipment[B]) end(err error) error {
	for i := range u.lanes {
		close(u.lanes[i])
	}
	u.wg.Wait()
	if u.failed != nil {
		return u.failed
	}
	return err
}

// send sends a batch, unless one has failed: those of its place keep their order.
func (u *shipment[B]) send(b *batch[B]) {
	if u.stopped.Load() {
		return
	}
	err := u.how.Send(u.ctx, b.b)
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
		u.acked.add(i)
	}
}

var errStopped = errors.New("a batch has failed")

// add puts a message into the batch of its place.
func (u *shipment[B]) add(index int, m *Message) error {
	place, free := u.how.Place(u.text[:0], m)
	u.text = place
	for {
		b := u.free
		if !free {
			b = u.open[string(place)]
		}
		fresh := b == nil
		if fresh {
			var err error
			if b, err = u.begin(string(place), free); err != nil {
				return err
			}
		}
		n, err := u.how.Add(b.b, index, m)
		if err != nil && (fresh || !errors.Is(err, ErrFull)) {
			return err
		}
		if err == nil {
			if fresh {
				u.keep(b)
			}
			b.indexes = append(b.indexes, index)
			b.bytes += n
			if u.bytes += n; len(u.order) >= maxOpenBatches || u.bytes >= maxOpenBytes {
				return u.flush()
			}
			return nil
		}
		if err := u.dispatch(b); err != nil {
			return err
		}
		u.forget(b)
	}
}

// begin begins a batch. Those of one place have one lane.
func (u *shipment[B]) begin(place string, free bool) (*batch[B], error) {
	b := &batch[B]{place: place, free: free}
	if free {
		b.lane = u.turn % lanes
		u.turn++
	} else {
		b.lane = int(hash(place) % lanes)
	}
	var err error
	b.b, err = u.how.Begin(u.ctx, place, free)
	return b, err
}

// hash is FNV-1a.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h
}

func (u *shipment[B]) keep(b *batch[B]) {
	if u.order = append(u.order, b); b.free {
		u.free = b
	} else {
		u.open[b.place] = b
	}
}

func (u *shipment[B]) forget(b *batch[B]) {
	if b.free {
		u.free = nil
	} else {
		delete(u.open, b.place)
	}
	u.bytes -= b.bytes
	u.order = slices.DeleteFunc(u.order, func(o *batch[B]) bool { return o == b })
}

// flush sends all that is open.
func (u *shipment[B]) flush() error {
	for _, b := range u.order {
		if err := u.dispatch(b); err != nil {
			return err
		}
	}
	clear(u.open)
	clear(u.order)
	u.free, u.order, u.bytes = nil, u.order[:0], 0
	return nil
}

// dispatch puts a batch on its lane, when that is free.
func (u *shipment[B]) dispatch(b *batch[B]) error {
	if u.stopped.Load() {
		return errStopped
	}
	if err := u.ctx.Err(); err != nil {
		return err
	}
	u.lanes[b.lane] <- b
	return nil
}
