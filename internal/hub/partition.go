package hub

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/hub/log"
)

// Hub is an event hub.
type Hub struct {
	b     *Broker
	dir   string // its name in lower case
	log   *log.Log
	parts []*Partition
	next  atomic.Uint64 // partition of the next events without a key

	mu      sync.Mutex // guards what follows
	record  hubRecord
	offsets map[groupPartition]Commit
}

// Name is the name as it was given.
func (h *Hub) Name() string { return h.record.Name }

// Created is when the hub was made.
func (h *Hub) Created() time.Time { return h.record.Created }

// Config is what the hub is made of now.
func (h *Hub) Config() Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.record
	return Config{Name: r.Name, Partitions: r.Partitions, Retention: r.Retention, RetentionBytes: r.RetentionBytes, Groups: append([]string(nil), r.Groups...)}
}

// Partitions are the partitions in order; the slice must not be changed.
func (h *Hub) Partitions() []*Partition { return h.parts }

// Partition is a partition by its number.
func (h *Hub) Partition(i int) (*Partition, error) {
	if i < 0 || i >= len(h.parts) {
		return nil, fmt.Errorf("%w: %d; %s has 0 to %d", ErrNoPartition, i, h.record.Name, len(h.parts)-1)
	}
	return h.parts[i], nil
}

// Route is the partition of events with a key, by the hash that the SDKs use
// (eventhubs.md 7); nil is any partition, another one each time.
func (h *Hub) Route(key []byte) *Partition {
	if key == nil {
		return h.parts[h.next.Add(1)%uint64(len(h.parts))]
	}
	return h.parts[PartitionOf(key, len(h.parts))]
}

func (h *Hub) close() error { return h.log.Close() }

// Partition is a partition of a hub. Read, Range and what else does not append is the log's.
type Partition struct {
	*log.Partition
	hub *Hub
	id  int

	mu        sync.Mutex
	producers map[string]*producerState
}

type producerState struct {
	mu    sync.Mutex
	epoch int32
	last  int64
	seq   int64
	known bool
}

// ID is the number of the partition.
func (p *Partition) ID() int { return p.id }

// Hub is the hub of the partition.
func (p *Partition) Hub() *Hub { return p.hub }

// Append adds events, all or none, in one place, and returns when they are as durable as
// Options.Fsync says. from, if set, makes sure that what is appended again is kept once.
// Besides the errors of the log there are ErrTooLarge, ErrFenced and ErrGap. The events may
// be changed afterwards.
func (p *Partition) Append(events []Event, from *Producer) (Appended, error) {
	records := make([]log.Record, len(events))
	for i, e := range events {
		if n := len(e.Key) + len(e.Message); n > p.hub.b.o.MaxMessage {
			return Appended{}, fmt.Errorf("%w: it has %d bytes; %d is the most", ErrTooLarge, n, p.hub.b.o.MaxMessage)
		}
		records[i] = log.Record{Key: e.Key, Value: e.Message}
	}
	if from == nil {
		return p.append(records)
	}
	p.mu.Lock()
	s := p.producers[from.ID]
	if s == nil {
		s = &producerState{}
		p.producers[from.ID] = s
	}
	p.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known {
		switch {
		case from.Epoch < s.epoch:
			return Appended{}, fmt.Errorf("%w: its epoch is %d and %d was seen", ErrFenced, from.Epoch, s.epoch)
		case from.Epoch == s.epoch && from.Last <= s.last:
			return Appended{Seq: s.seq, Offset: -1, Duplicate: true}, nil
		case from.Epoch == s.epoch && from.Strict && from.First != s.last+1:
			return Appended{}, fmt.Errorf("%w: %d was seen last and these begin with %d", ErrGap, s.last, from.First)
		}
	}
	a, err := p.append(records)
	if err == nil {
		s.known, s.epoch, s.last, s.seq = true, from.Epoch, from.Last, a.Seq
	}
	return a, err
}

func (p *Partition) append(records []log.Record) (Appended, error) {
	a, err := p.Partition.Append(records)
	if errors.Is(err, log.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return Appended{Seq: a.Seq, Offset: a.Offset, Enqueued: a.Enqueued}, err
}

// Last is the highest number that a producer has appended in its newest epoch; false if it
// is not known here.
func (p *Partition) Last(producer string) (epoch int32, last int64, ok bool) {
	p.mu.Lock()
	s := p.producers[producer]
	p.mu.Unlock()
	if s == nil {
		return 0, 0, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.last, s.known
}

// Seek is the sequence number to read from for a place: that of the first event at or, with
// After, behind it. A place before the first event that is kept gives the first event.
func (p *Partition) Seek(at Position) (int64, error) {
	var seq int64
	var err error
	rg := p.Range()
	switch at.Where {
	case Earliest:
		seq = rg.First
	case Latest:
		seq = rg.Next
	case AtSequence:
		seq = at.Value
		if at.After {
			seq++
		}
	case AtOffset:
		off := at.Value
		if at.After {
			off++
		}
		seq, err = p.SeekOffset(max(off, 0))
	case AtTime:
		t := at.Time
		if at.After {
			t = t.Add(1)
		}
		seq, err = p.SeekTime(t)
	}
	if errors.Is(err, log.ErrGone) {
		return p.Range().First, nil
	}
	return min(max(seq, rg.First), p.Range().Next), err
}

type groupPartition struct {
	group     string // lower case
	partition int
}

// Commit is what a consumer group has kept of a partition: the sequence number of the next
// event that it wants, and a text of its own.
type Commit struct {
	Seq      int64
	Metadata string
}

// HasGroup reports whether a consumer group exists, without case.
func (h *Hub) HasGroup(name string) bool {
	if strings.EqualFold(name, DefaultGroup) {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.record.Groups {
		if strings.EqualFold(g, name) {
			return true
		}
	}
	return false
}

// SetOffset keeps the place of a consumer group in a partition; it is durable on return.
func (h *Hub) SetOffset(group string, partition int, c Commit) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offsets[groupPartition{strings.ToLower(group), partition}] = c
	return nil
}

// Offset is the place of a consumer group in a partition; false if it has none.
func (h *Hub) Offset(group string, partition int) (Commit, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.offsets[groupPartition{strings.ToLower(group), partition}]
	return c, ok
}
