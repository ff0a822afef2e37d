package log

import "time"

// Trim says that records before a sequence number are no longer needed. Whole segments of
// them go when Options.Keep and MaxBytes say so.
func (p *Partition) Trim(seq int64) error {
	p.disk <- struct{}{}
	defer func() { <-p.disk }()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return ErrClosed
	}
	p.low = max(p.low, min(seq, p.tail().nextSeq))
	p.mu.Unlock()
	return p.forget(false)
}

// Hold keeps the records from a sequence number on from being forgotten; it begins with no
// hold. It is for who keeps elsewhere what it has read of the records before.
func (p *Partition) Hold(seq int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &seq
}

// SetExpire changes Options.Expire and ExpireBytes from now on.
func (p *Partition) SetExpire(age time.Duration, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.o.Expire, p.o.ExpireBytes = age, bytes
}

// Clean forgets what Options say should go by now. It happens by itself when a segment is
// full; a partition that nobody appends to needs the call now and then.
func (p *Partition) Clean() error {
	p.disk <- struct{}{}
	defer func() { <-p.disk }()
	if p.isClosed() {
		return ErrClosed
	}
	if p.broken == nil && p.expired() {
		// The segment that is written to has nothing young: end it, or it would never go.
		if err := p.roll(); err != nil {
			return err
		}
	}
	return p.forget(false)
}

// expired reports whether the last segment has records and all are to be forgotten by age.
func (p *Partition) expired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.tail()
	return p.o.Expire > 0 && s.end > s.base && p.now()-s.last > p.o.Expire.Microseconds()
}

// reclaim makes room for appends: what was given free goes, however young.
func (p *Partition) reclaim() {
	p.disk <- struct{}{}
	defer func() { <-p.disk }()
	if p.isClosed() || p.broken != nil {
		return
	}
	if s := p.tail(); p.low >= s.nextSeq && s.end > s.base {
		// All is free, also the segment that is written to: end it.
		if err := p.roll(); err != nil {
			p.o.Log.Warn("a full log could not begin a new segment", "path", p.fs.Path("."), "error", err)
			return
		}
	}
	if err := p.forget(true); err != nil {
		p.o.Log.Warn("a full log could not remove what was read", "path", p.fs.Path("."), "error", err)
	}
}

// roll begins a new segment without records. The disk is held.
func (p *Partition) roll() error {
	if p.file != nil {
		if err := p.flush(); err != nil {
			return err
		}
	}
	return p.storeNew(&group{micros: p.now()}, nil)
}

// forget removes segments from the front. full takes all that was given free. The disk is
// held.
func (p *Partition) forget(full bool) error {
	for {
		// Oldest first and each durably, so that a crash leaves no hole.
		if p.gone {
			if err := p.fs.SyncDir("."); err != nil {
				return err
			}
			p.gone = false
		}
		p.mu.Lock()
		segs := p.segs
		s := segs[0]
		if len(segs) == 1 || !p.mayGo(segs, full) {
			p.mu.Unlock()
			return nil
		}
		p.segs = segs[1:] // readers lose it first
		p.mu.Unlock()
		if err := p.fs.Remove(s.name); err != nil {
			p.mu.Lock()
			p.segs = segs
			p.mu.Unlock()
			return err
		}
		p.gone = true
		if err := ignoreMissing(p.fs.Remove(s.name + indexSuffix)); err != nil {
			p.o.Log.Warn("an index could not be removed", "file", p.fs.Path(s.name+indexSuffix), "error", err)
		}
	}
}

// mayGo reports whether the first of several segments may go. mu is held.
func (p *Partition) mayGo(segs []*segment, full bool) bool {
	s, now := segs[0], p.now()
	if p.hold != nil && s.nextSeq > *p.hold {
		return false
	}
	age := now - s.last
	if free := p.low >= s.nextSeq; free && (full || age >= p.o.Keep.Microseconds()) {
		return true
	}
	if p.o.Expire > 0 && age > p.o.Expire.Microseconds() {
		return true
	}
	return p.o.ExpireBytes > 0 && bytesOf(segs[1:]) >= p.o.ExpireBytes
}
