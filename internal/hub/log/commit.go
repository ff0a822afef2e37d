package log

import (
	"errors"
	"fmt"
	"math"
)

// What follows is called by who holds the disk.

// stamp gives the batches of g their places and gives what the last segment is when they
// are in it. The disk is held.
func (p *Partition) stamp(g *group) []header {
	s := p.tail()
	off, seq := s.end, s.nextSeq
	batches := make([]header, 0, len(g.starts))
	for i, start := range g.starts {
		if g.errs[i] != nil {
			g.seqs, g.offsets = append(g.seqs, 0), append(g.offsets, 0)
			continue
		}
		back := min(off-p.durable, math.MaxUint32)
		size, count := stampBatch(g.buf[start:], seq, g.micros, uint32(back))
		g.seqs, g.offsets = append(g.seqs, seq), append(g.offsets, off)
		batches = append(batches, header{size: size, seq: seq, micros: g.micros, count: count})
		off += int64(size)
		seq += int64(count)
	}
	return batches
}

// store puts a stamped group on the disk and makes it visible. The disk is held.
func (p *Partition) store(g *group, batches []header) error {
	if p.broken != nil {
		return p.broken
	}
	if p.doubt != nil {
		if err := p.flush(); err != nil {
			return err
		}
	}
	s := p.tail()
	full := s.end > s.base && (s.end-s.base+int64(len(g.buf)) > p.o.SegmentBytes || g.micros-s.created > p.o.SegmentAge.Microseconds())
	if full && p.file != nil {
		// What is in the segment must be durable before another one says that it is.
		if err := p.flush(); err != nil {
			return err
		}
	}
	if full || p.file == nil {
		return p.storeNew(g, batches)
	}
	if _, err := p.file.Write(g.buf); err != nil {
		err = fmt.Errorf("append to %s: %w", p.fs.Path(s.name), err)
		if cut := p.cut(s); cut != nil {
			return errors.Join(err, p.abandon(cut))
		}
		return err
	}
	if p.o.Fsync == Always {
		if err := p.file.Sync(); err != nil {
			p.kill(err)
			return p.storeNew(g, batches)
		}
	}
	p.publish(s, batches)
	switch p.o.Fsync {
	case Always:
		p.durable = s.end
	case Interval:
		p.syncLater()
	case None:
	}
	return nil
}

// cut takes what a failed write has left off the last segment.
func (p *Partition) cut(s *segment) error {
	if err := p.file.Truncate(s.at(s.end)); err != nil {
		return err
	}
	_, err := p.file.Seek(s.at(s.end), 0)
	return err
}

// abandon gives the last segment up when its file cannot be brought into order again, and
// keeps what it holds.
func (p *Partition) abandon(err error) error {
	if p.durable < p.tail().end {
		p.doubt = err
		return p.flush()
	}
	p.kill(err)
	return nil
}

// kill gives the last segment up after an error that leaves its end in doubt: nothing is
// written to it any more, and the next one says where it ends.
func (p *Partition) kill(err error) {
	s := p.tail()
	p.o.Log.Error("a segment of the log is given up; a new one goes on", "file", p.fs.Path(s.name), "offset", s.at(p.durable), "error", err)
	// If the disk still can, the doubtful end goes at once. If not, it is dead all the same.
	cut := p.file.Truncate(s.at(p.durable))
	if err := errors.Join(cut, p.file.Close()); err != nil {
		p.o.Log.Warn("the end of a segment that was given up could not be cut", "file", p.fs.Path(s.name), "error", err)
	}
	p.file = nil
}

// storeNew puts a stamped group into a new segment.
func (p *Partition) storeNew(g *group, batches []header) error {
	old := p.tail()
	s := old.follow(g.micros, p.o.Fsync != Always)
	if old.base == old.end { // it takes its place
		s.prevEnd, s.prevSeq = old.prevEnd, old.prevSeq
	}
	f, err := createSegment(p.fs, s, g.buf)
	// Also after an error the file of s may be there, and says that old ends here: nothing
	// must be written to old any more. The next try goes over it.
	if p.file != nil {
		if err := p.file.Close(); err != nil {
			p.o.Log.Warn("a finished segment could not be closed", "file", p.fs.Path(old.name), "error", err)
		}
		p.file = nil
	}
	if err != nil {
		return err
	}
	p.file = f
	if old.base == old.end {
		// It has no records and its name is that of the new one, which has replaced it.
		p.replaceTail(s)
	} else {
		p.addTail(s)
	}
	p.publish(s, batches)
	p.durable = s.end
	if err := p.forget(false); err != nil {
		p.o.Log.Warn("a finished part of the log could not be removed", "path", p.fs.Path("."), "error", err)
	}
	return nil
}

func (p *Partition) replaceTail(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	segs := append([]*segment(nil), p.segs...)
	segs[len(segs)-1] = s
	p.segs = segs
}

func (p *Partition) addTail(s *segment) {
	old := p.tail()
	if old.indexed {
		if err := old.saveIndex(p.fs); err != nil {
			p.o.Log.Warn("the index of a segment could not be written; it is made again when it is needed", "error", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.segs = append(p.segs[:len(p.segs):len(p.segs)], s)
}

// publish shows batches that have been written to readers.
func (p *Partition) publish(s *segment, batches []header) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range batches {
		s.add(h)
	}
}

// flush makes all that was written durable. The disk is held, and there is a file.
func (p *Partition) flush() error {
	s := p.tail()
	if p.durable == s.end {
		return nil
	}
	if p.doubt == nil {
		if p.doubt = p.file.Sync(); p.doubt == nil {
			p.durable = s.end
			return nil
		}
	}
	if err := p.rescue(p.doubt); err != nil {
		return err
	}
	p.doubt = nil
	return nil
}

// rescue writes what was acknowledged without an fsync into a new segment, after an fsync of
// it has failed: the system may still have it in memory.
func (p *Partition) rescue(failed error) error {
	s := p.tail()
	b := make([]byte, s.end-p.durable)
	_, err := p.file.ReadAt(b, s.at(p.durable))
	seq := int64(-1)
	for rest := b; err == nil && len(rest) > 0; {
		h, problem := checkBatch(rest, seq)
		if problem != "" {
			err = errors.New(problem)
			break
		}
		seq = h.seq + int64(h.count)
		rest = rest[h.size:]
	}
	if err != nil {
		p.broken = fmt.Errorf("the log %s lost records that were acknowledged without an fsync: %w, and then %w; open it again to go on without them", p.fs.Path(s.name), failed, err)
		p.o.Log.Error(p.broken.Error())
		return p.broken
	}
	return p.moveTail(s, b, failed)
}

// moveTail puts the batches behind the durable part of s into a new segment.
func (p *Partition) moveTail(s *segment, b []byte, failed error) error {
	keep := s.blank()
	if err := keep.scan(p.fs, p.file, s.at(p.durable)); err != nil {
		return err
	}
	fresh := keep.follow(s.created, s.weak)
	if keep.base == keep.end {
		fresh.prevEnd, fresh.prevSeq = keep.prevEnd, keep.prevSeq
	}
	f, err := createSegment(p.fs, fresh, b)
	if err != nil {
		return err
	}
	p.kill(failed)
	p.file = f
	for len(b) > 0 {
		h, _ := readHeader(b, int64(len(b)))
		fresh.add(h)
		b = b[h.size:]
	}
	p.mu.Lock()
	segs := append([]*segment(nil), p.segs[:len(p.segs)-1]...)
	if keep.end > keep.base {
		segs = append(segs, keep)
	}
	p.segs = append(segs, fresh)
	p.mu.Unlock()
	p.durable = fresh.end
	return nil
}
