package objects

import (
	"context"
	"errors"
	"sync"
	"time"

	"weir/internal/connect"
)

const (
	// maxAhead is how many bytes of chunks a reader has read and not given.
	maxAhead = 8 << 20
	// sizeRange: a chunk that was read ahead is given though a smaller one is asked for, if it
	// is no more than so many times as large.
	sizeRange = 32
)

var errClosed = errors.New("the reader is closed")

// ahead is a chunk that waits for Read.
type ahead struct {
	connect.Chunk
	asked int // the size that was asked for when it was read
}

// reader is a connect.Reader of a partition. A goroutine reads ahead, so that Read need not
// wait for the service.
type reader struct {
	w     *walk
	ready chan struct{}

	// at is behind what Read gave. Only Read uses it.
	at connect.Position

	mu      sync.Mutex
	room    *sync.Cond
	queue   []ahead
	bytes   int // of the queue
	asked   int // the size of the next ones
	failed  error
	running bool
	closed  bool
	stop    context.CancelFunc
	done    chan struct{}
}

func newReader(w *walk) *reader {
	r := &reader{w: w, ready: make(chan struct{}, 1), at: w.at.text()}
	r.room = sync.NewCond(&r.mu)
	return r
}

// Ready implements connect.Reader.
func (r *reader) Ready() <-chan struct{} { return r.ready }

// Close implements connect.Reader.
func (r *reader) Close() error {
	r.mu.Lock()
	was := r.closed
	r.closed = true
	r.mu.Unlock()
	if !was {
		r.halt()
		r.w.close()
	}
	return nil
}

// Read implements connect.Reader.
func (r *reader) Read(ctx context.Context, max int, until connect.Position) (connect.Chunk, error) {
	r.mu.Lock()
	closed := r.closed
	r.mu.Unlock()
	if closed {
		return connect.Chunk{}, errClosed
	}
	if err := ctx.Err(); err != nil {
		return connect.Chunk{}, err
	}
	if until != "" {
		return r.again(ctx, until)
	}
	r.mu.Lock()
	if len(r.queue) > 0 && r.queue[0].asked/sizeRange > max {
		r.mu.Unlock()
		if err := r.back(); err != nil {
			return connect.Chunk{}, err
		}
		r.mu.Lock()
	}
	defer r.mu.Unlock()
	r.asked = max
	if len(r.queue) > 0 {
		c := r.queue[0].Chunk
		r.queue[0] = ahead{}
		if r.queue = r.queue[1:]; len(r.queue) == 0 {
			r.queue = nil
		}
		r.bytes -= len(c.Data)
		r.room.Signal()
		if len(r.queue) > 0 {
			r.signal()
		}
		r.at = c.Next
		return c, nil
	}
	if err := r.failed; err != nil {
		r.failed = nil
		return connect.Chunk{}, err
	}
	if !r.running {
		r.start(max)
	}
	return connect.Chunk{Next: r.at}, nil
}

// back drops what was read ahead: it is read again from where Read stands.
func (r *reader) back() error {
	r.halt()
	at, err := parsePlace(r.at)
	if err != nil {
		return connect.Permanent(err)
	}
	r.queue, r.bytes, r.failed = nil, 0, nil
	r.w.at = at
	return nil
}

// again reads up to a position, and waits for it.
func (r *reader) again(ctx context.Context, until connect.Position) (connect.Chunk, error) {
	if err := r.back(); err != nil {
		return connect.Chunk{}, err
	}
	// A request that was begun may serve the next call too: it ends with this context alone if
	// that is cancelled.
	if r.stop == nil {
		var life context.Context
		life, r.stop = context.WithCancel(context.Background())
		r.w.use(life)
	}
	end := context.AfterFunc(ctx, r.stop)
	c, err := r.w.again(until)
	if !end() { // it was cancelled
		r.w.close()
		r.stop = nil
	}
	if err == nil {
		r.at = c.Next
	}
	return c, err
}

// start begins to read ahead. r.mu is held.
func (r *reader) start(max int) {
	if r.stop != nil {
		r.stop()
	}
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.w.use(ctx)
	r.running, r.asked, r.done = true, max, make(chan struct{})
	go r.run(ctx, r.done)
}

// halt ends reading ahead. The contexts of again stay, if none is read ahead.
func (r *reader) halt() {
	r.mu.Lock()
	done, stop := r.done, r.stop
	closed := r.closed
	if done == nil && !closed {
		r.mu.Unlock()
		return
	}
	r.stop, r.done = nil, nil
	r.mu.Unlock()
	if stop != nil {
		stop()
	}
	if done != nil {
		r.mu.Lock()
		r.room.Broadcast()
		r.mu.Unlock()
		<-done
	}
}

func (r *reader) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// run reads ahead until an error.
func (r *reader) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	told := r.w.at.text()
	for {
		r.mu.Lock()
		max := r.asked
		r.mu.Unlock()
		c, ok, err := r.w.next(max)
		if err == nil && !ok {
			c = connect.Chunk{Next: r.w.at.text()}
			ok = c.Next != told
		}
		if err == nil && ok {
			told = c.Next
			err = r.put(ctx, ahead{c, max})
		} else if err == nil {
			err = r.pause(ctx)
		}
		if err != nil {
			r.mu.Lock()
			r.running = false
			if ctx.Err() == nil {
				r.failed = err
			}
			r.mu.Unlock()
			r.signal()
			return
		}
	}
}

// put keeps a chunk for Read, when there is room.
func (r *reader) put(ctx context.Context, c ahead) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.bytes > 0 && r.bytes+len(c.Data) > maxAhead && ctx.Err() == nil {
		r.room.Wait()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.queue = append(r.queue, c)
	r.bytes += len(c.Data)
	r.signal()
	return nil
}

// pause waits for the next look.
func (r *reader) pause(ctx context.Context) error {
	t := time.NewTimer(r.w.p.wait())
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
