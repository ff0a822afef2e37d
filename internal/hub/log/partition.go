package log

import (
	"errors"
	"fmt"
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
	spare   []byte    // memory of the next group
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
	last    int64      // time that was given last, microseconds
	stamped int64      // time of the group that is being written; 0: none is
	ready   map[chan struct{}]struct{}
	seek    sync.Mutex // of those that read indexes
}

// group is appends that are written at once.
type group struct {
	buf    []byte
	starts []int // of each append in buf
	done   chan struct{}
	// What has become of it; set before done is closed.
	seqs    []int64
	offsets []int64
	micros  int64
	err     error
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
	if len(records) == 0 {
		return Appended{}, errors.New("append: there are no records")
	}
	size := batchBytes(records)
	if size > p.o.MaxAppend {
		return Appended{}, fmt.Errorf("%w: %d bytes; %d is the most", ErrTooLarge, size, p.o.MaxAppend)
	}
	g, i, err := p.join(records, size)
	if err != nil {
		return Appended{}, err
	}
	select {
	case <-g.done:
	case p.disk <- struct{}{}:
		p.write(g)
		<-p.disk
	}
	if g.err != nil {
		return Appended{}, g.err
	}
	return Appended{Seq: g.seqs[i], Offset: g.offsets[i], Enqueued: microTime(g.micros)}, nil
}

// join puts records into the group that collects.
func (p *Partition) join(records []Record, size int) (g *group, i int, err error) {
	for try := 0; ; try++ {
		p.mu.Lock()
		err := p.room(size)
		if err == nil {
			break
		}
		p.mu.Unlock()
		if try > 0 || !errors.Is(err, ErrLogFull) {
			return nil, 0, err
		}
		p.reclaim()
	}
	defer p.mu.Unlock()
	if p.group == nil {
		p.group = &group{done: make(chan struct{}), buf: p.spare}
		p.spare = nil
	}
	g = p.group
	g.starts = append(g.starts, len(g.buf))
	g.buf = appendBatch(g.buf, records)
	return g, len(g.starts) - 1, nil
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

	next := p.stamp(g)
	g.err = p.store(g, next)

	p.mu.Lock()
	p.writing, p.stamped = 0, 0
	if cap(g.buf) <= maxSpare {
		p.spare = g.buf[:0]
	}
	g.buf = nil
	p.mu.Unlock()
	close(g.done)
	if g.err == nil {
		p.signal()
	}
}

// maxSpare is the largest group whose memory is kept for the next one.
const maxSpare = 4 << 20

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
