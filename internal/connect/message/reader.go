package message

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"weir/internal/connect"
	"weir/internal/vec"
)

// Incoming is a message that was received. A Reader owns it from then on.
type Incoming struct {
	Seq        int64    // number in its partition: they rise, and may have gaps
	Offset     int64    // for people and event ids; Seq if the service has no other
	Arrival    vec.Time // when the service took it
	Body       []byte
	Properties map[string]vec.Value // metadata (saql.md 7.9); nil if it has none of its own
}

// Feed brings the messages of a partition. One goroutine uses it.
type Feed interface {
	// Next waits until there are messages, and gives them in order. clock, if not 0: all that
	// arrived before it has been given with them; it may come with no message at all. end, if
	// more than 0: no message before that number is missing, though the numbers below it that
	// were not given are not used (a log that was compacted, marks of transactions).
	Next(ctx context.Context) (list []Incoming, clock vec.Time, end int64, err error)
	Close() error
}

// Begin opens the feed of a partition from a number on. connect.ErrGone says that messages
// behind it are no longer kept.
type Begin func(ctx context.Context, from int64) (Feed, error)

// maxWaiting is how many bytes of messages a Reader has received and not given.
const maxWaiting = 8 << 20

// perMessage is about what a message takes beside its body.
const perMessage = 128

// Reader is a connect.Reader of a Feed. A goroutine waits for the service, so that Read need
// not. Positions are the numbers of the next messages. After an error the feed is begun again
// where it stands.
type Reader struct {
	begin Begin
	cut   *Cutter
	props map[string]vec.Value // of all messages
	ready chan struct{}
	next  int64 // number of the first message that Read has not given
	buf   []byte
	marks []connect.Mark

	mu      sync.Mutex
	room    *sync.Cond
	waiting []Incoming
	bytes   int
	clock   vec.Time
	end     int64
	failed  error
	running bool
	closed  bool

	stop context.CancelFunc
	done chan struct{}
}

// NewReader reads from a number on. props are metadata of all messages; they are not changed.
func NewReader(from int64, begin Begin, cut *Cutter, props map[string]vec.Value) *Reader {
	r := &Reader{begin: begin, cut: cut, props: props, next: from, ready: make(chan struct{}, 1)}
	r.room = sync.NewCond(&r.mu)
	return r
}

// Position is the number of the next message as a position, and Number the other way round.
func Position(seq int64) connect.Position { return connect.Position(strconv.FormatInt(seq, 10)) }

// Number reads a position; "" is not one.
func Number(p connect.Position) (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("position %.40q is no number of a message", string(p))
	}
	return n, nil
}

// Ready implements connect.Reader.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// start has the feed brought, if it is not. r.mu is held.
func (r *Reader) start() {
	if r.running || r.closed {
		return
	}
	from := r.next
	if n := len(r.waiting); n > 0 {
		from = r.waiting[n-1].Seq + 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.running, r.stop, r.done = true, cancel, make(chan struct{})
	go r.fetch(ctx, max(from, r.end), r.done)
}

// fetch receives until an error.
func (r *Reader) fetch(ctx context.Context, from int64, done chan struct{}) {
	defer close(done)
	f, err := r.begin(ctx, from)
	for err == nil {
		var list []Incoming
		var clock vec.Time
		var end int64
		if list, clock, end, err = f.Next(ctx); err == nil {
			err = r.take(ctx, list, clock, end)
		}
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	r.mu.Lock()
	r.running = false
	if !r.closed {
		r.failed = err
	}
	r.mu.Unlock()
	r.signal()
}

// take keeps messages for Read, when there is room.
func (r *Reader) take(ctx context.Context, list []Incoming, clock vec.Time, end int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range list {
		for r.bytes > maxWaiting && !r.closed {
			r.room.Wait()
		}
		if r.closed {
			return ctx.Err()
		}
		r.waiting = append(r.waiting, m)
		r.bytes += len(m.Body) + perMessage
		r.signal()
	}
	if clock != 0 {
		r.clock = clock
	}
	r.end = max(r.end, end)
	r.signal()
	return nil
}

func (r *Reader) signal() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Close implements connect.Reader. It waits for the goroutine of the feed.
func (r *Reader) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.room.Broadcast()
	done := r.done
	if r.stop != nil {
		r.stop()
	}
	r.mu.Unlock()
	if done != nil {
		<-done
	}
	return nil
}

var errClosed = errors.New("the reader is closed")

// Read implements connect.Reader. With until it waits for the messages up to there.
func (r *Reader) Read(ctx context.Context, most int, until connect.Position) (connect.Chunk, error) {
	stop := int64(-1)
	if until != "" {
		n, err := Number(until)
		if err != nil || n < r.next {
			return connect.Chunk{}, fmt.Errorf("position %.40q is not behind %d", string(until), r.next)
		}
		stop = n
	}
	if err := ctx.Err(); err != nil {
		return connect.Chunk{}, err
	}
	if cap(r.buf) > maxKeptChunk {
		r.buf = nil
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Line: r.next + 1, Offset: -1, Properties: r.props}
	r.cut.Begin(&c)
	back := r.next
	for stop < 0 && len(r.buf) < most || stop >= 0 && r.next < stop {
		m, ok, err := r.peek(ctx, stop)
		if err != nil {
			r.again(back)
			return connect.Chunk{}, err
		}
		if !ok {
			r.next = max(r.next, stop) // the numbers up to there are not used
			break
		}
		if r.add(&c, m, most, stop) {
			break
		}
	}
	if stop >= 0 && r.next != stop {
		r.again(back)
		return connect.Chunk{}, fmt.Errorf("the messages up to number %d are not those that were read once", stop)
	}
	c.Data, c.Marks, c.Next = r.buf, r.marks, Position(r.next)
	if c.Offset < 0 {
		c.Offset = 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case stop >= 0:
	case len(r.waiting) > 0:
		c.Clock = r.waiting[0].Arrival
	default:
		c.Clock = r.clock
	}
	return c, nil
}

// again has a chunk that failed read once more: what was taken from those that wait is fetched
// again.
func (r *Reader) again(from int64) {
	if r.next == from {
		return
	}
	r.mu.Lock()
	stop, done := r.stop, r.done
	r.mu.Unlock()
	if stop != nil {
		stop()
		r.drain(done)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.waiting, r.bytes, r.end, r.failed = from, nil, 0, 0, nil
}

// drain lets the goroutine of the feed end, which may wait for room.
func (r *Reader) drain(done chan struct{}) {
	r.mu.Lock()
	r.bytes = 0
	r.room.Broadcast()
	r.mu.Unlock()
	<-done
}

// peek is the first message that waits; false if there is none now, or none before stop.
func (r *Reader) peek(ctx context.Context, stop int64) (m *Incoming, ok bool, err error) {
	for {
		r.mu.Lock()
		switch {
		case r.closed:
			err = errClosed
		case len(r.waiting) > 0:
			m = &r.waiting[0]
		case r.failed != nil:
			err, r.failed = r.failed, nil
		}
		if m == nil && err == nil {
			r.start()
		}
		end := r.end
		r.mu.Unlock()
		switch {
		case err != nil:
			return nil, false, err
		case m != nil:
			return m, stop < 0 || m.Seq < stop, nil
		case stop < 0 || end >= stop:
			return nil, false, nil
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
}

// add adds a message to the chunk. full says that the chunk ends, before or behind it.
func (r *Reader) add(c *connect.Chunk, m *Incoming, max int, stop int64) (full bool) {
	before := len(r.buf)
	if stop < 0 && before > 0 && before+len(m.Body) > max {
		return true
	}
	text, ends := r.cut.Append(c, r.buf, m.Body)
	if ends {
		return true
	}
	r.buf = text
	if len(text) > before {
		if c.Offset < 0 {
			c.Offset = m.Offset
		}
		r.marks = append(r.marks, connect.Mark{End: len(text), Offset: m.Seq, Arrival: m.Arrival, Properties: m.Properties})
	}
	r.next = m.Seq + 1
	r.mu.Lock()
	r.bytes -= len(m.Body) + perMessage
	r.waiting[0] = Incoming{}
	if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
		r.waiting = nil
	}
	r.room.Signal()
	r.mu.Unlock()
	return r.cut.Alone(c)
}
