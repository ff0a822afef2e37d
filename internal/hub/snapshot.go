package hub

import (
	"container/list"
	"errors"
	"fmt"
	"path"
	"strconv"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// The state of the producers of partition N is written to producersDir/N now and then and at
// Close. What they have appended since is found in the log, which forgets nothing before it
// is in the file.
const producersDir = "producers"

// snapshotBytes is how much is appended to a partition between two snapshots at most; it
// bounds what is read when a hub opens.
const snapshotBytes = 64 << 20

// producersImage is the content of a snapshot.
type producersImage struct {
	Next      int64           `json:"next"` // number of the first event that may not be in it
	Producers []producerImage `json:"producers"`
}

type producerImage struct {
	ID     string `json:"id"`
	Strict bool   `json:"strict,omitempty"`
	Seen   int64  `json:"seen"` // microseconds
	Epoch  int32  `json:"epoch"`
	Last   int64  `json:"last"`
	Recent []spot `json:"recent"`
}

// openPartition makes the partition with its producers as they were.
func (h *Hub) openPartition(i int) (*Partition, error) {
	l := h.log.Partition(i)
	p := &Partition{Partition: l, hub: h, id: i, producers: newProducers(l, h.b.o.MaxProducers)}
	var image producersImage
	name := path.Join(producersDir, strconv.Itoa(i))
	if err := readSealed(h.fs, name, &image, "what producers repeat whose events have expired is kept twice"); ignoreMissing(err) != nil {
		return nil, err
	}
	rg := l.Range()
	p.producers.load(image, rg.Next)
	from := max(image.Next, rg.First)
	if from > rg.Next {
		h.b.log.Warn("the log of a partition has fewer events than it had; what producers appended is read from it again", "hub", h.name, "partition", i, "file", h.fs.Path(name))
		from = rg.First
	}
	l.Hold(from)
	if err := p.scan(from); err != nil {
		return nil, err
	}
	return p, nil
}

// load takes the producers of a snapshot over, the idlest first. What they appended at next
// or behind it has been lost.
func (s *producers) load(image producersImage, next int64) {
	for _, i := range image.Producers {
		if n := len(i.Recent); n > 0 && i.Recent[n-1].Seq >= next {
			continue
		}
		pr := s.get(i.ID, i.Strict, time.UnixMicro(i.Seen).UTC())
		pr.known, pr.epoch, pr.last, pr.recent = true, i.Epoch, i.Last, i.Recent
	}
}

// scan finds what producers have appended from a number on.
func (p *Partition) scan(from int64) error {
	r, err := p.Read(from)
	if err != nil {
		return err
	}
	defer r.Close()
	for {
		b, err := r.Next()
		if err != nil || b == nil {
			return err
		}
		p.grown.Add(1) // there is something that is not in the snapshot
		first := &b.Records[0]
		for _, prop := range first.Properties {
			if prop.Name != producerProperty {
				continue
			}
			pr, err := parseProducer(prop.Value)
			if err != nil {
				return fmt.Errorf("event %d: %w", b.Seq, err)
			}
			p.producers.restore(pr, b.Seq, first.Offset, b.Enqueued)
		}
	}
}

// tend forgets what has expired and writes a snapshot if there is something new.
func (p *Partition) tend() {
	p.producers.expire(p.hub.b.now().Add(-p.hub.Config().Retention))
	if err := p.trySnapshot(); err != nil {
		p.hub.b.log.Warn("the state of producers could not be written; it is tried again later", "hub", p.hub.name, "partition", p.id, "error", err)
	}
	if err := p.Clean(); err != nil && !errors.Is(err, ErrClosed) {
		p.hub.b.log.Warn("expired events could not be removed", "hub", p.hub.name, "partition", p.id, "error", err)
	}
}

func (p *Partition) trySnapshot() error {
	p.tending.Lock()
	defer p.tending.Unlock()
	return p.snapshotIfNew()
}

// lastSnapshot is the one before the partition is closed.
func (p *Partition) lastSnapshot() error {
	p.tending.Lock()
	defer p.tending.Unlock()
	err := p.snapshotIfNew()
	p.ended = true
	return err
}

// snapshotIfNew writes a snapshot if events have come since the last one. tending is held.
func (p *Partition) snapshotIfNew() error {
	if p.ended || p.grown.Load() == 0 && !p.producers.busy() {
		return nil
	}
	grown := p.grown.Swap(0)
	err := p.snapshot()
	if err != nil {
		p.grown.Add(grown)
	}
	return err
}

// snapshot writes the state of the producers, and lets the log forget what it was read from.
// tending is held.
func (p *Partition) snapshot() error {
	p.producers.finish()
	image := p.producers.image()
	if p.hub.b.o.Fsync != log.Always && p.hub.b.o.Fsync != "" {
		// The snapshot must not know of events that a loss of power takes.
		if err := p.Sync(); err != nil {
			return err
		}
	}
	err := p.hub.fs.MkdirAll(producersDir)
	if err == nil {
		err = writeSealed(p.hub.fs, path.Join(producersDir, strconv.Itoa(p.id)), image)
	}
	switch {
	case err == nil:
	case errors.Is(err, disk.ErrFull):
		// Expired events must go, or the disk stays full for ever. What a crash now takes is
		// the memory of producers that were not seen since those events.
	default:
		return err
	}
	p.Hold(image.Next)
	return err
}

// busy reports whether an append is under way.
func (s *producers) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.underWay > 0
}

// finish waits for all that is under way. Whoever has started an append waits for it; one who
// has died with its connection must not hold up snapshots and what they let go.
func (s *producers) finish() {
	s.mu.Lock()
	var underWay []*Appending
	for _, l := range []*list.List{&s.kept, &s.strict} {
		for e := l.Front(); e != nil; e = e.Next() {
			underWay = append(underWay, e.Value.(*producer).pending...)
		}
	}
	s.mu.Unlock()
	for _, a := range underWay {
		_, _ = a.Wait() // whoever has started it is told
	}
}

// image is what is known now, the idlest first, and from where on it may not be all.
func (s *producers) image() producersImage {
	s.mu.Lock()
	defer s.mu.Unlock()
	// What is under way, or done and not noted, has a number from its lower on; what has
	// not started gets one behind all that is there now.
	image := producersImage{Next: s.log.Next()}
	for _, l := range []*list.List{&s.kept, &s.strict} {
		for e := l.Back(); e != nil; e = e.Prev() {
			pr := e.Value.(*producer)
			for _, a := range pr.pending {
				image.Next = min(image.Next, a.lower)
			}
			if pr.known {
				image.Producers = append(image.Producers, producerImage{ID: pr.id, Strict: pr.strict, Seen: pr.seen.UnixMicro(),
					Epoch: pr.epoch, Last: pr.last, Recent: append([]spot(nil), pr.recent...)})
			}
		}
	}
	return image
}
