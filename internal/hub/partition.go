package hub

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// Hub is an event hub.
type Hub struct {
	b     *Broker
	fs    disk.FS // its directory
	name  string
	dir   string // its name in lower case, and that of its directory
	log   *log.Log
	parts atomic.Pointer[[]*Partition]
	next  atomic.Uint64 // partition of the next events without a key
	ended atomic.Bool   // it was removed, or the broker closed

	offsets *offsets

	writing sync.Mutex // held by who changes hubFile; taken before mu
	mu      sync.Mutex // guards record
	record  hubRecord
}

// Name is the name as it was given.
func (h *Hub) Name() string { return h.name }

// Config is what the hub is made of now.
func (h *Hub) Config() Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &h.record
	c := Config{Name: r.Name, Partitions: len(h.Partitions()), Retention: r.Retention, RetentionBytes: r.RetentionBytes}
	for _, g := range r.Groups {
		c.Groups = append(c.Groups, g.Name)
	}
	return c
}

// Partitions are the partitions in order; the slice must not be changed. There may be more of
// them later.
func (h *Hub) Partitions() []*Partition { return *h.parts.Load() }

// Partition is a partition by its number.
func (h *Hub) Partition(i int) (*Partition, error) {
	parts := h.Partitions()
	if i < 0 || i >= len(parts) {
		return nil, fmt.Errorf("%w: %d; %s has 0 to %d", ErrNoPartition, i, h.name, len(parts)-1)
	}
	return parts[i], nil
}

// Route is the partition of events with a key, by the hash that the SDKs use
// (eventhubs.md 7); nil is any partition, another one each time.
func (h *Hub) Route(key []byte) *Partition {
	parts := h.Partitions()
	if key == nil {
		return parts[h.next.Add(1)%uint64(len(parts))]
	}
	return parts[PartitionOf(key, len(parts))]
}

// close writes down what is known of producers and closes the hub. It is called once.
func (h *Hub) close() error {
	var errs []error
	h.ended.Store(true)
	for _, p := range h.Partitions() {
		errs = append(errs, p.lastSnapshot())
	}
	h.writing.Lock() // nothing is written to the directory any more
	defer h.writing.Unlock()
	return errors.Join(append(errs, h.log.Close(), h.offsets.close())...)
}

// Partition is a partition of a hub. Read, Range and what else does not append is the log's.
type Partition struct {
	*log.Partition
	hub       *Hub
	id        int
	producers *producers

	tending sync.Mutex   // held by who writes a snapshot
	ended   bool         // no more of them; tending is held
	grown   atomic.Int64 // bytes appended since the last snapshot

	n counters
}

// ID is the number of the partition.
func (p *Partition) ID() int { return p.id }

// Hub is the hub of the partition.
func (p *Partition) Hub() *Hub { return p.hub }

// Append adds events, all or none, in one place, and returns when they are as durable as
// Options.Fsync says. from, if set, makes sure that what is appended again is kept once.
// Besides the errors of the log there are ErrTooLarge, ErrFenced, ErrGap and ErrBadName. The
// events may be changed afterwards.
func (p *Partition) Append(events []Event, from *Producer) (Appended, error) {
	a, err := p.Start(events, from)
	if err != nil {
		return Appended{}, err
	}
	return a.Wait()
}

// Appending is an append that has its turn and may not be durable yet.
type Appending struct {
	p     *Partition
	log   *log.Pending
	count int64
	bytes int64
	told  atomic.Bool // the counters know of it
	began time.Time

	// Of an append of a producer.
	from     Producer
	producer *producer
	lower    int64 // its sequence number is not below
	settled  bool  // the producers' mutex guards it

	// Of a duplicate: the append that has its numbers and is under way, or where that went.
	of    *Appending
	exact bool
	known Appended
}

// Start is the first half of Append: it gives events their turn, in the order in which it is
// called. The second half is Wait, which must follow. So one caller can have several appends
// under way that are forced to the disk together. The events may be changed when Start
// returns.
func (p *Partition) Start(events []Event, from *Producer) (*Appending, error) {
	a, err := p.start(events, from)
	if err != nil {
		p.n.refuse(err)
	}
	return a, err
}

func (p *Partition) start(events []Event, from *Producer) (*Appending, error) {
	if len(events) == 0 {
		return nil, errors.New("append: there are no events")
	}
	if from != nil {
		if err := from.check(); err != nil {
			return nil, err
		}
	}
	size, err := p.measure(events)
	if err != nil {
		if from != nil {
			p.producers.tooLarge(*from, p.hub.b.now())
		}
		return nil, err
	}
	records := takeRecords(len(events))
	defer giveRecords(records)
	for i, e := range events {
		records[i] = log.Record{Key: e.Key, Value: e.Message}
	}
	var a *Appending
	if from != nil {
		a, err = p.producers.start(p, records, size, *from)
	} else {
		var pending *log.Pending
		pending, err = p.Partition.Start(records, nil)
		a = &Appending{p: p, log: pending, count: int64(len(events)), bytes: size, began: time.Now()}
	}
	if errors.Is(err, log.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// recordBuffers has the memory in which events become records of the log, which copies them.
// Without it an append of 500 events leaves 40 KiB to collect (BenchmarkAppend).
var recordBuffers sync.Pool

// maxSpareRecords is the largest memory of that kind that is kept.
const maxSpareRecords = 4096

func takeRecords(n int) []log.Record {
	if b, ok := recordBuffers.Get().(*[]log.Record); ok && cap(*b) >= n {
		return (*b)[:n]
	}
	return make([]log.Record, n)
}

func giveRecords(records []log.Record) {
	if cap(records) <= maxSpareRecords {
		clear(records) // they hold the events
		recordBuffers.Put(&records)
	}
}

// measure is how many bytes events have, with their keys. Event Hubs counts the messages as
// they are sent, so keys have a limit of their own.
func (p *Partition) measure(events []Event) (int64, error) {
	messages, keys := 0, 0
	most, batch := p.hub.b.Limits()
	for i := range events {
		e := &events[i]
		if len(e.Message) > most {
			return 0, fmt.Errorf("%w: it has %d bytes; %d is the most", ErrTooLarge, len(e.Message), most)
		}
		if len(e.Key) > MaxKey {
			return 0, fmt.Errorf("%w: its partition key has %d bytes; %d is the most", ErrTooLarge, len(e.Key), MaxKey)
		}
		messages += len(e.Message)
		keys += len(e.Key)
	}
	if messages > batch {
		return 0, fmt.Errorf("%w: %d events together have %d bytes; %d is the most", ErrTooLarge, len(events), messages, batch)
	}
	return int64(messages + keys), nil
}

func (f *Producer) check() error {
	switch {
	case f.ID == "" || len(f.ID) > MaxProducerID:
		return fmt.Errorf("%w: a producer's has 1 to %d bytes, and this one %d", ErrBadName, MaxProducerID, len(f.ID))
	case f.First > f.Last:
		return fmt.Errorf("%w: the numbers %d to %d go backwards", ErrGap, f.First, f.Last)
	}
	return nil
}

// Wait waits until the events are as durable as Options.Fsync says. Any number of goroutines
// may call it, and again.
func (a *Appending) Wait() (Appended, error) {
	if a.of != nil {
		where, err := a.of.Wait()
		if err != nil {
			return Appended{}, err
		}
		if where.Duplicate = true; !a.exact {
			where = unknownPlace
		}
		a.tell(true, nil)
		return where, nil
	}
	if a.known.Duplicate {
		a.tell(true, nil)
		return a.known, nil
	}
	where, err := a.log.Wait()
	if a.producer != nil {
		a.p.producers.settle(a)
	}
	a.tell(false, err)
	if err != nil {
		return Appended{}, err
	}
	return Appended{Seq: where.Seq, Offset: where.Offset + log.BatchHeader, Enqueued: where.Enqueued}, nil
}

// tell counts what has become of an append, once.
func (a *Appending) tell(duplicate bool, err error) {
	if a.told.Swap(true) {
		return
	}
	p := a.p
	switch {
	case duplicate:
		p.n.duplicates.Add(1)
		return
	case err != nil:
		p.n.failed.Add(1)
		return
	}
	p.n.in.add(a.count, a.bytes)
	p.n.appends.Add(1)
	p.n.latency.add(time.Since(a.began))
	due := int64(snapshotBytes)
	if b := p.hub.retentionBytes(); b > 0 {
		due = min(due, max(b/segmentsOfRetention, 1))
	}
	if grown := p.grown.Add(a.bytes); grown >= due && grown-a.bytes < due {
		select {
		case p.hub.b.wake <- p:
		default: // it is looked after within TendInterval
		}
	}
}

// Last is the highest number that a producer has appended in its newest epoch; false if it
// is not known here.
func (p *Partition) Last(producer string) (epoch int32, last int64, ok bool) {
	return p.producers.lastOf(producer)
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
		seq = behind(at.Value, at.After)
	case AtOffset:
		seq, err = p.SeekOffset(max(behind(at.Value, at.After), 0))
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
	return min(max(seq, rg.First), p.Next()), err
}

// behind is the number to look for.
func behind(n int64, after bool) int64 {
	if after && n < math.MaxInt64 {
		n++
	}
	return n
}
