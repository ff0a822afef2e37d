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
	// Next waits until there are messages, and gives them in order; the list is valid until the
	// next call. clock, if not 0: all that arrived before it has been given with them; it may
	// come with no message at all. end, if more than 0: no message before that number is
	// missing, though the numbers below it that were not given are not used (a log that was
	// compacted, marks of transactions).
	Next(ctx context.Context) (list []Incoming, clock vec.Time, end int64, err error)
	Close() error
}

// Begin opens the feed of a partition from a number on. Messages before it that it gives all
// the same are left out. connect.ErrGone says that messages behind it are no longer kept.
type Begin func(ctx context.Context, from int64) (Feed, error)

// maxWaiting is how many bytes of messages a Reader has received and not looked at yet. As much
// again may be at hand.
const maxWaiting = 4 << 20

// perMessage is about what a message takes beside its body.
const perMessage = 128

// Reader is a connect.Reader of a Feed. A goroutine waits for the service, so that Read need
// not. Positions are the numbers of the next messages. After an error the feed is begun again
// behind what was received; what was received before the error is given first.
type Reader struct {
	begin Begin
	cut   *Cutter
	props map[string]vec.Value // of all messages
	ready chan struct{}
	next  int64 // number of the first message that Read has not given
	buf   []byte
	marks []connect.Mark
	// hand are messages that no longer wait: those from base on are in the chunk at hand, and
	// those from at on behind it.
	hand     []Incoming
	base, at int

	mu      sync.Mutex
	room    *sync.Cond
	waiting []Incoming
	bytes   int   // of waiting
	from    int64 // number of the next message to receive
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
	r := &Reader{begin: begin, cut: cut, props: props, next: from, from: from, ready: make(chan struct{}, 1)}
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
	if r.running {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.running, r.stop, r.done = true, cancel, make(chan struct{})
	go r.fetch(ctx, max(r.from, r.end), r.done)
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
			err = r.learn(ctx, list, clock, end)
		}
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	r.mu.Lock()
	r.running, r.failed = false, err
	r.mu.Unlock()
	r.signal()
}

// learn takes messages, once all is known that is needed to read them; those before one of
// which it is not are taken.
func (r *Reader) learn(ctx context.Context, list []Incoming, clock vec.Time, end int64) error {
	for i := range list {
		if err := r.cut.Prepare(ctx, list[i].Body); err != nil {
			return errors.Join(r.take(list[:i], 0, 0), err)
		}
	}
	return r.take(list, clock, end)
}

// take keeps messages for Read, when there is room.
func (r *Reader) take(list []Incoming, clock vec.Time, end int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.signal()
	for _, m := range list {
		if m.Seq < r.from {
			continue
		}
		for r.bytes > maxWaiting && !r.closed {
			r.signal()
			r.room.Wait()
		}
		if r.closed {
			return errClosed
		}
		r.waiting, r.from = append(r.waiting, m), m.Seq+1
		r.bytes += len(m.Body) + perMessage
	}
	r.clock, r.end = max(r.clock, clock), max(r.end, end)
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
	r.closed = true
	r.room.Broadcast()
	stop, done := r.stop, r.done
	r.mu.Unlock()
	if stop != nil {
		stop()
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
	if cap(r.buf) > maxKeptChunk {
		r.buf = nil
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Line: r.next + 1, Offset: -1, Properties: r.props}
	back, cut := r.next, r.cut.mark()
	err := r.open()
	if err == nil {
		err = r.fill(ctx, &c, most, stop)
	}
	if err == nil && stop >= 0 && r.next != stop {
		err = fmt.Errorf("the messages up to number %d are not those that were read once", stop)
	}
	if err != nil { // all of it is read once more
		r.next, r.at = back, r.base
		r.cut.reset(cut)
		return connect.Chunk{}, err
	}
	clear(r.hand[r.base:r.at])
	r.base = r.at
	if stop < 0 {
		r.next = max(r.next, r.reached())
	}
	c.Data, c.Marks, c.Next, c.Offset = r.buf, r.marks, Position(r.next), max(c.Offset, 0)
	if stop < 0 {
		c.Clock = r.told()
	}
	return c, nil
}

// open says whether it is not closed.
func (r *Reader) open() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	return nil
}

// fill adds messages to a chunk.
func (r *Reader) fill(ctx context.Context, c *connect.Chunk, most int, stop int64) error {
	begun := r.next
	r.cut.Begin(c)
	for full := false; !full && (stop < 0 && len(r.buf) < most || stop >= 0 && r.next < stop); {
		m, err := r.peek(ctx, stop, r.next > begun)
		switch {
		case err != nil:
			return err
		case m == nil || stop >= 0 && m.Seq >= stop:
			r.next = max(r.next, stop) // the numbers up to there are not used
			return nil
		}
		full = r.add(c, m, most, stop)
	}
	return nil
}

// reached is a number before which all messages have been given; 0 if some wait. Positions go
// over numbers that are not used: when what is before them is no longer kept, a position in
// their midst would not be either.
func (r *Reader) reached() int64 {
	if r.at < len(r.hand) {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		return 0
	}
	return r.end
}

// told is the time before which all that arrived has been read; 0 if that is not known.
func (r *Reader) told() vec.Time {
	if r.at < len(r.hand) {
		return r.hand[r.at].Arrival
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		return r.waiting[0].Arrival
	}
	return r.clock
}

// peek is the next message; nil if there is none now, or none before stop. With stop it waits.
// An error of the feed stays for the next Read if the chunk has something.
func (r *Reader) peek(ctx context.Context, stop int64, some bool) (*Incoming, error) {
	for r.at == len(r.hand) {
		if err := ctx.Err(); err != nil {
			if stop < 0 && some {
				return nil, nil // messages without text must not keep the job from being stopped
			}
			return nil, err
		}
		end, err := r.refill(some && stop < 0)
		switch {
		case err != nil:
			return nil, err
		case r.at < len(r.hand):
		case stop < 0 || end >= stop:
			return nil, nil
		default:
			select {
			case <-r.ready:
			case <-ctx.Done():
			}
		}
	}
	return &r.hand[r.at], nil
}

// refill takes in hand what waits, and has the feed brought if nothing does. keep leaves its
// error where it is.
func (r *Reader) refill(keep bool) (end int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, errClosed
	case len(r.waiting) > 0:
		if r.base == len(r.hand) {
			r.hand, r.waiting = r.waiting, r.hand[:0]
		} else {
			r.hand = append(r.hand[:copy(r.hand, r.hand[r.base:])], r.waiting...)
			clear(r.waiting)
			r.waiting = r.waiting[:0]
		}
		r.base, r.at, r.bytes = 0, r.at-r.base, 0
		r.room.Signal()
	case r.failed == nil:
		r.start()
	case !keep:
		err, r.failed = r.failed, nil
	}
	return r.end, err
}

// add adds a message to the chunk. full says that the chunk ends, before or behind it.
func (r *Reader) add(c *connect.Chunk, m *Incoming, most int, stop int64) (full bool) {
	before := len(r.buf)
	if stop < 0 && before > 0 && before+len(m.Body) > most {
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
	r.at++
	// With stop, only numbers that are not used may be left up to there.
	return stop < 0 && r.cut.Alone(c)
}
