package fluent

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"
	"sync"
	"time"

	"weir/internal/hub"
)

// state is how far a chunk with an id has come.
type state struct {
	key  stateKey
	busy chan struct{} // holds one value while a connection stores the chunk
	done bool
	// batches are those that are durable, in the order in which the chunk gives them.
	// partitions are those of the next batch that have theirs.
	batches    int
	home       *hub.Partition // of events without a key
	partitions map[int]bool
}

// stateKey is the id of a chunk together with its bytes, so that two chunks with one id, of
// clients that do not know of each other, are two.
type stateKey struct {
	id     string
	length int
	sum    uint64
}

// window knows the last chunks that came.
type window struct {
	seed maphash.Seed

	mu    sync.Mutex // guards what follows
	byKey map[stateKey]*list.Element
	order *list.List // of *state; the last one that came is in front
}

func newWindow() *window {
	return &window{seed: maphash.MakeSeed(), byKey: map[stateKey]*list.Element{}, order: list.New()}
}

// enter gives the state of a chunk and waits until no other connection is storing it. leave
// must be called.
func (w *window) enter(ctx context.Context, id string, message []byte, most int) (*state, error) {
	key := stateKey{id, len(message), maphash.Bytes(w.seed, message)}
	w.mu.Lock()
	e := w.byKey[key]
	if e == nil {
		e = w.order.PushFront(&state{key: key, busy: make(chan struct{}, 1)})
		w.byKey[key] = e
		for last := w.order.Back(); w.order.Len() > most; last = w.order.Back() {
			w.order.Remove(last)
			delete(w.byKey, last.Value.(*state).key)
		}
	} else {
		w.order.MoveToFront(e)
	}
	w.mu.Unlock()
	s := e.Value.(*state)
	select {
	case s.busy <- struct{}{}:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *state) leave() { <-s.busy }

// ErrBad is wrapped by the errors of messages that the protocol does not have.
var ErrBad = errors.New("a message of the forward protocol cannot be read")

// hub finds the hub of a tag.
func (s *Server) hub(tag string) (*hub.Hub, error) {
	name, length := s.o.Hub, -1
	for _, r := range s.o.Tags {
		rest, ok := strings.CutPrefix(tag, r.Prefix)
		if ok && (rest == "" || rest[0] == '.' || r.Prefix == "") && len(r.Prefix) > length {
			name, length = r.Hub, len(r.Prefix)
		}
	}
	if name == "" {
		return nil, fmt.Errorf("no hub is given for the tag %.80q", tag)
	}
	return s.o.Broker.Hub(name)
}

// store appends the events of a message, all of them; message is the whole of it.
func (p *peer) store(ctx context.Context, c *chunk, message []byte) error {
	s := p.s
	h, err := s.hub(c.tag)
	if err != nil {
		return err
	}
	st := &state{}
	if c.id != "" {
		if st, err = s.chunks.enter(ctx, c.id, message, s.o.Limits.Chunks); err != nil {
			return err
		}
		defer st.leave()
		if st.done {
			s.n.repeated.Add(1)
			return nil
		}
	}
	var room *room
	select {
	case room = <-s.rooms:
		defer func() { s.rooms <- room.emptied() }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if st.home == nil || st.home.Hub() != h {
		st.home = p.route(c, h)
	}
	w := &writer{room: room, s: s, h: h, c: c, st: st, enc: newEncoder(&s.o, c.tag, room), skip: st.batches}
	_, w.most = s.o.Broker.Limits()
	if err := w.run(); err != nil {
		return err
	}
	st.done = true
	return nil
}

// route is the partition of events without a key. Those that come one by one stay together,
// so that the order of the connection is kept; of chunks each goes to another one, because
// Fluentd sends everything over few connections, and chunks in no order anyway.
func (p *peer) route(c *chunk, h *hub.Hub) *hub.Partition {
	if !c.single {
		return h.Route(nil)
	}
	to := p.homes[h.Name()]
	if to == nil || to.Hub() != h {
		if p.homes == nil {
			p.homes = map[string]*hub.Partition{}
		}
		to = h.Route(nil)
		p.homes[h.Name()] = to
	}
	return to
}

// writer appends the events of a chunk in batches. The same chunk gives the same batches
// each time.
type writer struct {
	s    *Server
	h    *hub.Hub
	c    *chunk
	st   *state
	enc  *encoder
	most int // bytes of a batch
	skip int // batches that are durable already

	checked bool // nothing is wrong with any event
	*room
}

// room is the memory in which a batch is made. There are only so many, which bounds what is
// made at the same time.
type room struct {
	arena  []byte
	events []place
	body   []byte // JSON of an event
}

// keptRoom is the most bytes that a room keeps for the next chunk.
const keptRoom = 4 << 20

func (r *room) emptied() *room {
	if cap(r.arena)+cap(r.body) > keptRoom {
		return &room{}
	}
	r.arena, r.events = r.arena[:0], r.events[:0]
	return r
}

// place is where an event of a batch is in the arena: its key, and behind that its message.
type place struct {
	from, key, to int
	hasKey        bool
}

func (w *writer) run() error {
	e, err := w.c.open(&w.s.o.Limits)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBad, err)
	}
	defer e.Close()
	for {
		at, record, err := e.next()
		if err == io.EOF {
			w.checked = true
			return w.flush()
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBad, err)
		}
		if at.IsZero() {
			at = w.s.now()
		}
		before := len(w.arena)
		w.add(at, record)
		if len(w.arena) > w.most && before > 0 {
			last := w.events[len(w.events)-1]
			w.events = w.events[:len(w.events)-1]
			if err := w.flush(); err != nil {
				return err
			}
			w.arena = append(w.arena[:0], w.arena[last.from:last.to]...)
			w.events = append(w.events[:0], place{0, last.key - last.from, last.to - last.from, last.hasKey})
		}
	}
}

// add encodes an event into the arena. One that is too large for a hub is left out: the
// client would send it again for ever, and what is behind it too.
func (w *writer) add(at time.Time, record []byte) {
	p := place{from: len(w.arena)}
	switch key := w.s.o.Key; {
	case key == KeyTag:
		w.arena, p.hasKey = append(w.arena, w.c.tag...), true
	case key != "":
		if k := field(record, key); k != nil && len(k) <= hub.MaxKey {
			w.arena, p.hasKey = append(w.arena, k...), true
		}
	}
	p.key = len(w.arena)
	w.arena = w.enc.append(w.arena, at, record)
	p.to = len(w.arena)
	if most, _ := w.s.o.Broker.Limits(); p.to-p.key > most {
		w.s.n.tooLarge.Add(1)
		w.s.log.Error("an event is too large for a hub and is left out", "tag", w.c.tag, "bytes", p.to-p.key, "most", most)
		w.arena = w.arena[:p.from]
		return
	}
	w.events = append(w.events, p)
}

// flush appends the batch, each partition's part of it at once.
func (w *writer) flush() error {
	if !w.checked { // there is more of the chunk: see that it can be read before the first of it is stored
		if err := w.c.check(&w.s.o.Limits); err != nil {
			return fmt.Errorf("%w: %w", ErrBad, err)
		}
		w.checked = true
	}
	if len(w.events) == 0 {
		return nil
	}
	if w.skip > 0 {
		w.skip--
		return nil
	}
	parts := w.split()
	if w.st.partitions == nil {
		w.st.partitions = map[int]bool{}
	}
	errs := make([]error, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		if w.st.partitions[p.to.ID()] {
			continue
		}
		if i == len(parts)-1 {
			_, errs[i] = p.to.Append(p.events, nil)
			continue
		}
		all.Go(func() { _, errs[i] = p.to.Append(p.events, nil) })
	}
	all.Wait()
	for i, p := range parts {
		if errs[i] == nil && !w.st.partitions[p.to.ID()] {
			w.st.partitions[p.to.ID()] = true
			w.s.n.events.Add(int64(len(p.events)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("append to %s: %w", w.h.Name(), err)
	}
	w.st.batches++
	w.st.partitions = nil
	return nil
}

// part is what goes to a partition.
type part struct {
	to     *hub.Partition
	events []hub.Event
}

// split gives the events of the batch to their partitions.
func (w *writer) split() []part {
	var parts []part
	index := map[int]int{}
	for _, e := range w.events {
		ev := hub.Event{Message: w.arena[e.key:e.to]}
		to := w.st.home
		if e.hasKey {
			ev.Key = w.arena[e.from:e.key]
			to = w.h.Route(ev.Key)
		}
		i, ok := index[to.ID()]
		if !ok {
			i = len(parts)
			index[to.ID()] = i
			parts = append(parts, part{to: to})
		}
		parts[i].events = append(parts[i].events, ev)
	}
	return parts
}
