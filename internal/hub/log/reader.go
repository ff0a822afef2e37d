package log

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"weir/internal/disk"
)

// Reader reads a partition from a place on. One goroutine uses it; any number of them read
// beside each other and beside appends.
type Reader struct {
	p     *Partition
	seg   *segment
	file  disk.File
	win   window
	off   int64 // of the next batch
	limit int64 // offset up to which seg may be read
	seq   int64 // of the next record to give
	next  int64 // of the first record of the next batch
	last  int64 // time of the last batch given, microseconds
	batch Batch
	recs  []Record
	ready chan struct{}
	ended bool // Close was called
}

// Read makes a reader that begins with the record of a sequence number, which may be one
// that is yet to come. ErrGone says that it is no longer kept.
func (p *Partition) Read(seq int64) (*Reader, error) {
	rg := p.Range()
	if seq < rg.First {
		return nil, fmt.Errorf("%w: record %d is asked for and %d is the first", ErrGone, seq, rg.First)
	}
	if seq > rg.Next {
		return nil, fmt.Errorf("record %d is asked for and the next one will be %d: this is not the log that it was read from", seq, rg.Next)
	}
	m, err := p.before(func(s *segment) bool { return s.seq <= seq }, func(m mark) bool { return m.seq <= seq })
	if err != nil {
		return nil, err
	}
	r := &Reader{p: p, off: m.off, seq: seq, next: m.seq, ready: make(chan struct{}, 1)}
	r.ready <- struct{}{}
	p.mu.Lock()
	p.ready[r.ready] = struct{}{}
	p.mu.Unlock()
	return r, nil
}

// Ready is signalled when there may be something to read, at first too.
func (r *Reader) Ready() <-chan struct{} { return r.ready }

// Seq is the sequence number of the record that Next will begin with.
func (r *Reader) Seq() int64 { return r.seq }

// Next gives the next records, which were appended at once, or nil if there are none now.
// ErrGone says that they have been forgotten meanwhile; *DamageError that they cannot be
// read.
func (r *Reader) Next() (*Batch, error) {
	if r.ended {
		return nil, fmt.Errorf("read: %w", fs.ErrClosed)
	}
	for {
		ok, err := r.position()
		if err != nil || !ok {
			r.idle()
			return nil, err
		}
		h, b, err := r.load()
		if err != nil {
			if r.moved() {
				continue
			}
			return nil, err
		}
		if r.recs == nil {
			r.recs = takeRecords(h.count)
		}
		recs, err := readRecords(r.recs, b, h, r.off)
		if r.recs = recs; err != nil {
			return nil, r.damage(err.Error())
		}
		r.off += int64(h.size)
		r.next = h.seq + int64(h.count)
		r.last = h.micros
		if r.next <= r.seq {
			continue // the index has led to a place before
		}
		r.batch = Batch{Seq: r.seq, Enqueued: microTime(h.micros), Records: recs[r.seq-h.seq:]}
		r.seq = r.next
		return &r.batch, nil
	}
}

// idle gives memory back that a reader does not need while it waits: there may be thousands
// of them.
func (r *Reader) idle() {
	r.win.free()
	r.batch = Batch{}
	giveRecords(r.recs)
	r.recs = nil
}

// load reads and checks the batch at r.off.
func (r *Reader) load() (header, []byte, error) {
	b, err := r.win.batch(r.seg.at(r.off))
	if err != nil {
		return header{}, nil, fmt.Errorf("read %s: %w", r.p.fs.Path(r.seg.name), err)
	}
	h, problem := checkBatch(b, r.next)
	if problem != "" {
		return h, nil, r.damage(problem)
	}
	return h, b, nil
}

// moved reports whether what was in the segment is in another one by now, because the
// segment was given up, and goes there.
func (r *Reader) moved() bool {
	seg, _, err := r.p.find(r.off)
	if err == nil && seg == r.seg {
		return false
	}
	r.closeFile()
	r.seg = nil
	return true
}

func (r *Reader) damage(problem string) error {
	return &DamageError{r.p.fs.Path(r.seg.name), r.seg.at(r.off), problem}
}

// position opens the segment that has r.off; false if nothing is there yet.
func (r *Reader) position() (bool, error) {
	if r.seg != nil && r.off < r.limit {
		return true, nil
	}
	for {
		seg, limit, err := r.p.find(r.off)
		if err != nil || r.off == limit {
			return false, err
		}
		if seg.base > r.off { // numbers were left out
			r.off, r.next, r.seq = seg.base, seg.seq, max(r.seq, seg.seq)
			if r.off == limit {
				return false, nil
			}
		}
		if seg == r.seg {
			r.limit, r.win.size = limit, seg.at(limit)
			return true, nil
		}
		f, err := r.p.fs.Open(seg.name)
		if errors.Is(err, fs.ErrNotExist) {
			if again, _, e := r.p.find(r.off); e != nil || again != seg {
				continue // it was forgotten, or replaced, just now
			}
		}
		if err != nil {
			return false, fmt.Errorf("open %s: %w", r.p.fs.Path(seg.name), err)
		}
		r.closeFile()
		r.seg, r.file, r.limit = seg, f, limit
		r.win = window{f: f, size: seg.at(limit), buf: r.win.buf[:0]}
		return true, nil
	}
}

// find is the segment that has an offset or the next one behind it, and how far it may be
// read.
func (p *Partition) find(off int64) (*segment, int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, ErrClosed
	}
	if off < p.segs[0].base {
		return nil, 0, ErrGone
	}
	i := len(p.segs) - 1
	for p.segs[i].base > off {
		i--
	}
	for i < len(p.segs)-1 && (off >= p.segs[i].end || p.segs[i].base == p.segs[i].end) {
		i++
	}
	return p.segs[i], p.segs[i].end, nil
}

// Clock is a time before which nothing is unread: all records with an earlier time have been
// given by Next, and later ones will not have an earlier time.
func (r *Reader) Clock() time.Time {
	p := r.p
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.off < p.tail().end || p.closed:
		return microTime(r.last)
	case p.stamped != 0:
		return microTime(p.stamped)
	}
	p.last = max(p.last, p.now())
	return microTime(p.last)
}

func (r *Reader) closeFile() {
	if r.file != nil {
		if err := r.file.Close(); err != nil {
			r.p.o.Log.Warn("a segment could not be closed", "error", err)
		}
		r.file = nil
	}
}

// Close frees the reader.
func (r *Reader) Close() error {
	r.p.mu.Lock()
	delete(r.p.ready, r.ready)
	r.p.mu.Unlock()
	r.closeFile()
	r.idle()
	r.ended = true
	return nil
}

// before is a place that is not behind the first batch for which a condition fails. The
// condition holds for records up to some one and for none from there on: inSegment tells it
// of the time before a segment, at of a batch.
func (p *Partition) before(inSegment func(*segment) bool, at func(mark) bool) (mark, error) {
	p.seek.Lock()
	defer p.seek.Unlock()
	p.mu.Lock()
	closed, segs := p.closed, p.segs
	p.mu.Unlock()
	if closed {
		return mark{}, ErrClosed
	}
	i := len(segs) - 1
	for i > 0 && !inSegment(segs[i]) {
		i--
	}
	s := segs[i]
	if i < len(segs)-1 { // the last one always has its index
		if err := s.loadIndex(p.fs); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return mark{}, ErrGone
			}
			return mark{}, err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return s.lastMark(at), nil
}

// SeekTime is the sequence number of the first record that was enqueued at a time or later,
// or of the next one to come.
func (p *Partition) SeekTime(t time.Time) (int64, error) {
	micros := t.UnixMicro()
	if t.After(microTime(micros)) {
		micros++
	}
	var seq int64
	err := p.again(func() error {
		m, err := p.before(func(s *segment) bool { return s.before < micros }, func(m mark) bool { return m.micros < micros })
		if err == nil {
			seq, _, err = p.walk(m, func(h header, _ int64) bool { return h.micros >= micros })
		}
		return err
	})
	return seq, err
}

// SeekOffset is the sequence number of the first record at a byte offset or behind it, or of
// the next one to come.
func (p *Partition) SeekOffset(off int64) (int64, error) {
	var seq int64
	err := p.again(func() error {
		m, err := p.before(func(s *segment) bool { return s.base <= off }, func(m mark) bool { return m.off <= off })
		if err != nil {
			return err
		}
		// The batch that has the offset is the first that ends behind it.
		var b *Batch
		if seq, b, err = p.walk(m, func(h header, at int64) bool { return at+int64(h.size) > off }); err != nil || b == nil {
			return err
		}
		for _, r := range b.Records {
			if r.Offset >= off {
				break
			}
			seq++
		}
		return nil
	})
	return seq, err
}

// again calls f once more if the front of the log was forgotten while it searched there.
func (p *Partition) again(f func() error) error {
	err := f()
	for range 3 {
		if !errors.Is(err, ErrGone) {
			break
		}
		err = f()
	}
	return err
}

// walk goes from a mark to the first batch for which found holds, and gives its first
// sequence number and the batch; the next sequence number and nil if there is none.
func (p *Partition) walk(m mark, found func(h header, off int64) bool) (int64, *Batch, error) {
	r := &Reader{p: p, off: m.off, seq: m.seq, next: m.seq}
	defer r.closeFile() // its memory stays: the batch is the caller's
	for {
		ok, err := r.position()
		if err != nil || !ok {
			return r.next, nil, err
		}
		h, _, err := r.load()
		if err != nil {
			if r.moved() {
				continue
			}
			return 0, nil, err
		}
		if found(h, r.off) {
			r.seq = h.seq
			b, err := r.Next()
			return h.seq, b, err
		}
		r.off += int64(h.size)
		r.next = h.seq + int64(h.count)
	}
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
