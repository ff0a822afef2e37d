package log

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/internal/disk"
)

// Partition is a sequence of records.
type Partition struct {
	fs disk.FS
	o  Options

	// disk is held by who writes, rolls or removes files: a token in it. What it guards
	// follows. It is taken before mu.
	disk    chan struct{}
	file    disk.File // of the last segment; nil if that is dead
	durable int64     // offset up to which an fsync has succeeded
	timer   *time.Timer
	late    sync.WaitGroup // fsyncs that the timer has started
	doubt   error          // why the end of the last segment must go into a new one before all else
	broken  error          // records that readers have seen were lost: nothing goes any more
	gone    bool           // a file was removed, and the directory not synced since

	mu      sync.Mutex
	closed  bool
	segs    []*segment // never empty
	group   *group     // collects appends
	writing int        // bytes of the group that is being written
	low     int64      // records before it may go
	hold    *int64     // records from it on stay; nil: none must
	last    int64      // time that was given last, microseconds
	stamped int64      // time of the group that is being written; 0: none is
	ready   map[chan struct{}]struct{}
	seek    sync.Mutex // of those that read indexes
}

// group is appends that are written at once.
type group struct {
	buf    []byte
	starts []int // of each append in buf
	// after has, by append, the one that must not have failed; nil if none asks for that.
	after map[int]*Pending
	done  chan struct{}
	// What has become of it; set before done is closed.
	seqs    []int64
	offsets []int64
	micros  int64
	err     error         // of all of it
	errs    map[int]error // of single appends that were left out
}

// Appended says where records went.
type Appended struct {
	Seq      int64 // sequence number of the first
	Offset   int64 // byte offset of their batch
	Enqueued time.Time
}

// Range is what a partition holds.
type Range struct {
	First, Next             int64 // sequence numbers: of the first record, and behind the last
	FirstOffset, NextOffset int64
	LastEnqueued            time.Time // of the last record there ever was; zero if there was none
	Bytes                   int64
	Segments                int
	Pending                 int64 // bytes that wait to be written
}

func openPartition(fs disk.FS, o Options) (*Partition, error) {
	p := &Partition{fs: fs, o: o, disk: make(chan struct{}, 1), ready: map[chan struct{}]struct{}{}}
	segs, err := listSegments(fs)
	if err != nil {
		return nil, err
	}
	if len(segs) == 0 {
		s := (&segment{}).follow(p.now(), o.Fsync != Always)
		if p.file, err = createSegment(fs, s, nil); err != nil {
			return nil, err
		}
		p.segs = []*segment{s}
		return p, nil
	}
	s := segs[len(segs)-1]
	var torn int64
	if p.file, torn, err = recoverTail(fs, s); err != nil {
		return nil, err
	}
	if torn > 0 {
		o.Log.Warn("the log was not closed; a tail that was never acknowledged was cut", "file", fs.Path(s.name), "offset", s.at(s.end), "bytes", torn)
	}
	p.segs, p.durable, p.last, p.low = segs, s.end, s.last, segs[0].seq
	if s.weak || o.Fsync != Always {
		if err := p.skip(); err != nil {
			return nil, errors.Join(err, p.file.Close())
		}
	}
	return p, nil
}

// skip goes on in a new segment, and leaves numbers out if records may have been lost that
// were acknowledged and read.
func (p *Partition) skip() error {
	old := p.tail()
	s := old.follow(p.now(), p.o.Fsync != Always)
	if old.weak {
		s.skip()
	} else if old.end == old.base {
		p.segs = p.segs[:len(p.segs)-1] // the new one has its name
	}
	f, err := createSegment(p.fs, s, nil)
	if err != nil {
		return err
	}
	err = p.file.Close()
	p.file, p.durable, p.segs = f, s.end, append(p.segs, s)
	return err
}

func (p *Partition) now() int64 { return p.o.Now().UnixMicro() }

func microTime(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// tail is the last segment; mu or the disk is held.
func (p *Partition) tail() *segment { return p.segs[len(p.segs)-1] }

// Append adds records, all or none, in one place. It returns when they are as durable as
// Options.Fsync says. It waits for the disk, not for room: disk.ErrFull, ErrLogFull and
// ErrBusy come at once. The records may be changed afterwards.
func (p *Partition) Append(records []Record) (Appended, error) {
	a, err := p.Start(records, nil)
	if err != nil {
		return Appended{}, err
	}
	return a.Wait()
}

// Pending is an append that has its turn and may not be written yet.
type Pending struct {
	p *Partition
	g *group
	i int
}

// Start is the first half of Append: it gives records their turn, behind all for which Start
// has returned. The second half is Wait, which must follow: nobody else writes them. The
// records may be changed when Start returns.
//
// after, if not nil, is an append of this partition that was started before. If that one
// fails, this one fails with ErrAfter and leaves nothing, so that of a chain of appends
// there is always a first part.
func (p *Partition) Start(records []Record, after *Pending) (*Pending, error) {
	if len(records) == 0 {
		return nil, errors.New("append: there are no records")
	}
	size := batchBytes(records)
	if size > p.o.MaxAppend {
		return nil, fmt.Errorf("%w: %d bytes; %d is the most", ErrTooLarge, size, p.o.MaxAppend)
	}
	return p.join(records, size, after)
}

// Wait waits until the records are as durable as Options.Fsync says. Any number of
// goroutines may call it, and again.
func (a *Pending) Wait() (Appended, error) {
	p, g := a.p, a.g
	select {
	case <-g.done:
	case p.disk <- struct{}{}:
		p.write(g)
		<-p.disk
	}
	if err := a.failed(); err != nil {
		return Appended{}, err
	}
	return Appended{Seq: g.seqs[a.i], Offset: g.offsets[a.i], Enqueued: microTime(g.micros)}, nil
}

// failed is why a was not written; its group is done, or is being written and has come
// behind a.
func (a *Pending) failed() error {
	if a.g.err != nil {
		return a.g.err
	}
	return a.g.errs[a.i]
}

// join puts records into the group that collects.
func (p *Partition) join(records []Record, size int, after *Pending) (*Pending, error) {
	for try := 0; ; try++ {
		p.mu.Lock()
		err := p.room(size)
		if err == nil {
			break
		}
		p.mu.Unlock()
		if try > 0 || !errors.Is(err, ErrLogFull) {
			return nil, err
		}
		p.reclaim()
	}
	defer p.mu.Unlock()
	if p.group == nil {
		p.group = &group{done: make(chan struct{}), buf: takeBuffer(size)}
	}
	g, i := p.group, len(p.group.starts)
	if after != nil {
		if g.after == nil {
			g.after = map[int]*Pending{}
		}
		g.after[i] = after
	}
	g.starts = append(g.starts, len(g.buf))
	g.buf = appendBatch(slices.Grow(g.buf, size), records)
	return &Pending{p, g, i}, nil
}

// room says why so many bytes cannot be taken now. mu is held.
func (p *Partition) room(size int) error {
	if p.closed {
		return ErrClosed
	}
	pending := p.pending() + int64(size)
	if pending > p.o.MaxPending {
		return fmt.Errorf("%w: %d bytes; %d is the most", ErrBusy, pending, p.o.MaxPending)
	}
	if p.o.MaxBytes == 0 {
		return nil
	}
	if used := bytesOf(p.segs) + pending; used > p.o.MaxBytes {
		return fmt.Errorf("%w: %s has %d bytes of %d; it goes on when its readers have read and given free", ErrLogFull, p.fs.Path("."), used, p.o.MaxBytes)
	}
	return nil
}

// bytesOf is how many bytes of batches segments have.
func bytesOf(segs []*segment) int64 {
	n := int64(0)
	for _, s := range segs {
		n += s.end - s.base
	}
	return n
}

// pending is how many bytes wait or are being written. mu is held.
func (p *Partition) pending() int64 {
	n := int64(p.writing)
	if p.group != nil {
		n += int64(len(p.group.buf))
	}
	return n
}

// write writes the group g, unless it has been written. The disk is held.
func (p *Partition) write(g *group) {
	select {
	case <-g.done:
		return
	default:
	}
	// g is the group that collects: whoever takes another one into work closes its done.
	p.mu.Lock()
	p.group, p.writing = nil, len(g.buf)
	p.last = max(p.last, p.now())
	p.stamped = p.last
	g.micros = p.last
	p.mu.Unlock()

	g.leaveOut()
	if next := p.stamp(g); len(next) > 0 {
		g.err = p.store(g, next)
	}

	p.mu.Lock()
	p.writing, p.stamped = 0, 0
	p.mu.Unlock()
	giveBuffer(g.buf)
	g.buf = nil
	close(g.done)
	if g.err == nil {
		p.signal()
	}
}

// leaveOut takes the appends out of a group whose predecessor has failed. Groups are written
// one after the other, so the predecessor is in this one or in one that is done.
func (g *group) leaveOut() {
	if g.after == nil {
		return
	}
	for i := range g.starts {
		if a := g.after[i]; a != nil {
			if err := a.failed(); err != nil {
				if g.errs == nil {
					g.errs = map[int]error{}
				}
				g.errs[i] = fmt.Errorf("%w: %w", ErrAfter, err)
			}
		}
	}
	g.after = nil // or groups would keep each other for ever
	if g.errs == nil {
		return
	}
	kept := g.buf[:0]
	for i, start := range g.starts {
		end := len(g.buf)
		if i+1 < len(g.starts) {
			end = g.starts[i+1]
		}
		g.starts[i] = len(kept)
		if g.errs[i] == nil {
			kept = append(kept, g.buf[start:end]...)
		}
	}
	g.buf = kept
}

// syncLater starts the timer of fsync=interval, unless it runs.
func (p *Partition) syncLater() {
	if p.timer != nil {
		return
	}
	p.late.Add(1)
	p.timer = time.AfterFunc(p.o.Interval, func() {
		defer p.late.Done()
		p.disk <- struct{}{}
		defer func() { <-p.disk }()
		p.timer = nil
		if p.file == nil || p.broken != nil {
			return
		}
		if err := p.flush(); err != nil {
			p.o.Log.Error("the log could not be forced to the disk", "path", p.fs.Path("."), "error", err)
			if !p.isClosed() {
				p.syncLater()
			}
		}
	})
}

// Sync makes all that was appended durable, whatever Options.Fsync says.
func (p *Partition) Sync() error {
	p.disk <- struct{}{}
	defer func() { <-p.disk }()
	switch {
	case p.isClosed():
		return ErrClosed
	case p.broken != nil:
		return p.broken
	case p.file == nil:
		return nil // what was given up was never acknowledged
	}
	return p.flush()
}

func (p *Partition) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// signal tells readers that there may be more.
func (p *Partition) signal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.ready {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Range is what the partition holds now.
func (p *Partition) Range() Range {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, s := p.segs[0], p.tail()
	r := Range{First: first.seq, Next: s.nextSeq, FirstOffset: first.base, NextOffset: s.end, Bytes: bytesOf(p.segs), Segments: len(p.segs), Pending: p.pending()}
	if s.nextSeq > 0 {
		r.LastEnqueued = microTime(s.last)
	}
	return r
}

// Next is the sequence number behind the last record.
func (p *Partition) Next() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tail().nextSeq
}

// close waits for what is being written, forces it to the disk, and closes the files.
func (p *Partition) close() error {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	g := p.group
	p.mu.Unlock()
	if was {
		return nil
	}
	p.disk <- struct{}{}
	if g != nil {
		p.write(g)
	}
	var err error
	if p.file != nil && p.broken == nil {
		err = p.flush()
	}
	timer := p.timer
	<-p.disk
	if timer != nil && timer.Stop() {
		p.late.Done()
	}
	p.late.Wait()
	if p.file != nil {
		err = errors.Join(err, p.file.Close())
		p.file = nil
	}
	p.signal()
	return err
}
