package hub

import (
	"container/list"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/internal/hub/log"
)

// producers is what a partition knows of who has appended to it.
//
// # Why several appends of a producer may be under way
//
// An append is taken or refused by comparing its numbers with the tail: the newest append of
// the producer that is under way, or else the newest that has succeeded. It is started while
// mu is held, so the log has the appends of a producer in the order of their numbers; and it
// is started behind the tail (log.Start), so it is written only if the tail is. Hence what
// the log has of a producer is a first part of what was taken, at any time and after any
// crash.
//
// When an append fails, so do all that were started behind it and have not been written: the
// tail is then the newest that has succeeded, and numbers go on from there. A strict producer
// of which nothing has succeeded yet could go on anywhere; wants keeps it at what failed.
type producers struct {
	most int
	log  *log.Partition

	mu        sync.Mutex
	byID      map[string]*producer
	strict    list.List // of *producer, the idlest last
	kept      list.List // those that are not strict
	forgotten int64
	underWay  int // appends that are not settled
}

// recents is how many appends of a producer are remembered with their places: as many as
// Kafka clients have under way.
const recents = 5

// producer is the state of one. The mutex of producers guards it.
type producer struct {
	id     string
	place  *list.Element
	strict bool
	seen   time.Time

	known   bool // something has succeeded
	epoch   int32
	last    int64
	recent  []spot       // the newest last
	pending []*Appending // under way, oldest first

	wanting    bool // if nothing of wantsEpoch has succeeded, it begins with wants
	wantsEpoch int32
	wants      int64
}

// spot is where an append of a producer went.
type spot struct {
	Epoch  int32 `json:"e"`
	First  int64 `json:"f"`
	Last   int64 `json:"l"`
	Seq    int64 `json:"s"`
	Offset int64 `json:"o"`
	Micros int64 `json:"t"`
}

func (s spot) appended() Appended {
	return Appended{Seq: s.Seq, Offset: s.Offset, Enqueued: time.UnixMicro(s.Micros).UTC(), Duplicate: true}
}

func newProducers(p *log.Partition, most int) *producers {
	return &producers{log: p, most: most, byID: map[string]*producer{}}
}

// get finds a producer or makes it, and makes it the busiest one.
func (s *producers) get(id string, strict bool, now time.Time) *producer {
	pr := s.byID[id]
	if pr == nil {
		for len(s.byID) >= s.most && s.evict() {
		}
		pr = &producer{id: id, strict: strict}
		pr.place = s.listOf(pr).PushFront(pr)
		s.byID[id] = pr
	}
	if pr.strict != strict {
		s.listOf(pr).Remove(pr.place)
		pr.strict = strict
		pr.place = s.listOf(pr).PushFront(pr)
	}
	s.listOf(pr).MoveToFront(pr.place)
	if now.After(pr.seen) {
		pr.seen = now
	}
	return pr
}

func (s *producers) listOf(pr *producer) *list.List {
	if pr.strict {
		return &s.strict
	}
	return &s.kept
}

// evict forgets the idlest producer that has nothing under way; false if there is none.
func (s *producers) evict() bool {
	for _, l := range []*list.List{&s.strict, &s.kept} {
		for e := l.Back(); e != nil; e = e.Prev() {
			if pr := e.Value.(*producer); len(pr.pending) == 0 {
				s.forget(pr)
				return true
			}
		}
	}
	return false
}

func (s *producers) forget(pr *producer) {
	s.listOf(pr).Remove(pr.place)
	delete(s.byID, pr.id)
	s.forgotten++
}

// expire forgets the strict producers that were last seen before a time.
func (s *producers) expire(before time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.strict.Back(); e != nil; {
		pr := e.Value.(*producer)
		if !pr.seen.Before(before) {
			return // the others are busier
		}
		e = e.Prev()
		if len(pr.pending) == 0 {
			s.forget(pr)
		}
	}
}

// tail is the newest append that was taken; false if there is none.
func (pr *producer) tail() (epoch int32, last int64, ok bool) {
	if n := len(pr.pending); n > 0 {
		return pr.pending[n-1].from.Epoch, pr.pending[n-1].from.Last, true
	}
	return pr.epoch, pr.last, pr.known
}

// start takes an append of a producer, of so many bytes, or answers it as a duplicate, or
// refuses it.
func (s *producers) start(p *Partition, records []log.Record, size int64, from Producer) (*Appending, error) {
	now := p.hub.b.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	pr := s.get(from.ID, from.Strict, now)
	if a, err := pr.judge(from); a != nil || err != nil {
		if a != nil {
			a.p = p
		}
		return a, err
	}
	var after *log.Pending
	if n := len(pr.pending); n > 0 {
		after = pr.pending[n-1].log
	}
	records[0].Properties = []log.Property{{Name: producerProperty, Value: producerValue(from)}}
	lower := s.log.Next()
	pending, err := s.log.Start(records, after)
	if err != nil {
		pr.refused(from)
		return nil, err
	}
	// Others may wait for it as soon as mu is free.
	a := &Appending{p: p, log: pending, count: int64(len(records)), bytes: size, began: time.Now(), from: from, producer: pr, lower: lower}
	pr.pending = append(pr.pending, a)
	s.underWay++
	return a, nil
}

// judge is the answer to an append of what was appended before, or the error of one that
// cannot be taken; neither if it is to be appended.
func (pr *producer) judge(from Producer) (*Appending, error) {
	epoch, last, ok := pr.tail()
	switch {
	case ok && from.Epoch < epoch:
		return nil, fmt.Errorf("%w: its epoch is %d and %d was seen", ErrFenced, from.Epoch, epoch)
	case ok && from.Epoch == epoch && from.Last <= last:
		return pr.duplicate(from), nil
	case ok && from.Epoch == epoch && from.First <= last:
		return nil, fmt.Errorf("%w: %d to %d are appended, and %d was the last before: a part of them is there", ErrGap, from.First, from.Last, last)
	case ok && from.Epoch == epoch && from.Strict && from.First != last+1:
		return nil, fmt.Errorf("%w: %d was seen last and these begin with %d", ErrGap, last, from.First)
	case (!ok || from.Epoch != epoch) && from.Strict && pr.wanting && pr.wantsEpoch == from.Epoch && from.First != pr.wants:
		return nil, fmt.Errorf("%w: the append that begins with %d failed and must be repeated; these begin with %d", ErrGap, pr.wants, from.First)
	}
	return nil, nil
}

// duplicate answers an append whose numbers have been taken: with what becomes of the one
// that has them and is under way, or with the place where it went.
func (pr *producer) duplicate(from Producer) *Appending {
	for _, a := range pr.pending {
		if a.from.Epoch == from.Epoch && from.Last <= a.from.Last {
			return &Appending{of: a, exact: a.from.First == from.First && a.from.Last == from.Last}
		}
	}
	for _, s := range pr.recent {
		if s.Epoch == from.Epoch && s.First == from.First && s.Last == from.Last {
			return &Appending{known: s.appended()}
		}
	}
	return &Appending{known: unknownPlace}
}

// unknownPlace is the answer to a duplicate whose place is no longer remembered.
var unknownPlace = Appended{Seq: -1, Offset: -1, Duplicate: true}

// refused notes that an append was not even started: a strict producer must repeat it first.
func (pr *producer) refused(from Producer) {
	epoch, _, ok := pr.tail()
	if from.Strict && (!ok || epoch < from.Epoch) && !(pr.wanting && pr.wantsEpoch >= from.Epoch) {
		pr.wanting, pr.wantsEpoch, pr.wants = true, from.Epoch, from.First
	}
}

// tooLarge notes that an append was refused for what it holds.
func (s *producers) tooLarge(from Producer, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pr := s.get(from.ID, from.Strict, now)
	if a, err := pr.judge(from); a == nil && err == nil {
		pr.refused(from)
	}
}

// settle notes what has become of an append that is done, of those before it, which are done
// too, and of those behind it if it has failed.
func (s *producers) settle(a *Appending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pr := a.producer
	for !a.settled {
		x := pr.pending[0]
		where, err := x.log.Wait()
		if err != nil {
			for _, y := range pr.pending {
				y.settled = true
			}
			s.underWay -= len(pr.pending)
			pr.pending = nil
			pr.refused(x.from)
			return
		}
		x.settled = true
		pr.pending = pr.pending[1:]
		s.underWay--
		pr.apply(x.from, where.Seq, where.Offset+log.BatchHeader, where.Enqueued)
	}
	if len(pr.pending) == 0 {
		pr.pending = nil // gives its memory free
	}
}

// apply notes an append that has succeeded.
func (pr *producer) apply(from Producer, seq, offset int64, at time.Time) {
	if len(pr.recent) == recents {
		pr.recent = append(pr.recent[:0], pr.recent[1:]...)
	}
	pr.recent = append(pr.recent, spot{from.Epoch, from.First, from.Last, seq, offset, at.UnixMicro()})
	pr.known, pr.epoch, pr.last = true, from.Epoch, from.Last
	if pr.wanting && pr.wantsEpoch <= from.Epoch {
		pr.wanting = false
	}
}

// restore notes an append that was found in the log. Finding one again, or an older one than
// is known, changes nothing.
func (s *producers) restore(from Producer, seq, offset int64, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pr := s.get(from.ID, from.Strict, at)
	if pr.known && (from.Epoch < pr.epoch || from.Epoch == pr.epoch && from.Last <= pr.last) {
		return
	}
	pr.apply(from, seq, offset, at)
}

// lastOf is the newest append of a producer that has succeeded.
func (s *producers) lastOf(id string) (epoch int32, last int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pr := s.byID[id]
	if pr == nil {
		return 0, 0, false
	}
	return pr.epoch, pr.last, pr.known
}

func (s *producers) counts() (known int, forgotten int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID), s.forgotten
}

// producerProperty names the property of the first record of an append that has its
// producer: epoch, first and last number, s if it is strict, and the name.
const producerProperty = "producer"

func producerValue(p Producer) string {
	b := make([]byte, 0, 32+len(p.ID))
	b = strconv.AppendInt(b, int64(p.Epoch), 10)
	b = strconv.AppendInt(append(b, ' '), p.First, 10)
	b = strconv.AppendInt(append(b, ' '), p.Last, 10)
	kind := byte('k')
	if p.Strict {
		kind = 's'
	}
	b = append(b, ' ', kind, ' ')
	return string(append(b, p.ID...))
}

var errNotProducer = errors.New("the producer of an append cannot be read")

func parseProducer(value string) (Producer, error) {
	f := strings.SplitN(value, " ", 5)
	if len(f) != 5 || f[3] != "s" && f[3] != "k" {
		return Producer{}, errNotProducer
	}
	epoch, err1 := strconv.ParseInt(f[0], 10, 32)
	first, err2 := strconv.ParseInt(f[1], 10, 64)
	last, err3 := strconv.ParseInt(f[2], 10, 64)
	if errors.Join(err1, err2, err3) != nil {
		return Producer{}, errNotProducer
	}
	return Producer{ID: f[4], Epoch: int32(epoch), First: first, Last: last, Strict: f[3] == "s"}, nil
}
