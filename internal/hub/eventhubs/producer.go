package eventhubs

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"sync"

	"weir/internal/hub"
	"weir/internal/hub/amqp"
)

// producer is an idempotent producer on a link: its events are numbered, and those that are
// sent again are kept once. The client may bring its id, epoch and last number, or have them
// from us; the SDK for JavaScript does so with enableIdempotentRetries.
type producer struct {
	partition *hub.Partition
	id        int64
	epoch     int32
	life      context.Context // of the link
	detach    func(*amqp.Error)
}

// name is the producer's in the broker, apart from those of other protocols.
func (p *producer) name() string { return "eventhubs:" + strconv.FormatInt(p.id, 10) }

// openProducer reads what a link says of its producer and completes it: a new id, the epoch
// behind the last one known, the last number that was appended. What the client gives is
// given back as it is, since it numbers what it sends from there.
func (s *Server) openProducer(l *amqp.Link, partition *hub.Partition) (*producer, error) {
	if partition == nil {
		return nil, &amqp.Error{Condition: condNotAllowed, Description: "An idempotent producer sends to a partition: hub/Partitions/0."}
	}
	given := map[string]*int64{}
	for _, name := range []string{annotProducer, annotEpoch, annotNumber} {
		v, err := linkNumber(l.Properties, name)
		if err != nil {
			return nil, err
		}
		given[name] = v
	}
	p := &producer{partition: partition, life: l.Context(), detach: l.Detach}
	last := int64(0)
	if id := given[annotProducer]; id != nil {
		p.id = *id
		epoch, known, ok := partition.Last(p.name())
		if ok {
			p.epoch, last = epoch, known
			if given[annotEpoch] == nil { // a new instance takes over, and begins anew
				p.epoch, last = epoch+1, 0
			}
		}
		if e := given[annotEpoch]; e != nil && ok && *e < int64(epoch) {
			return nil, refusal(fmt.Errorf("%w: its epoch is %d and %d was seen", hub.ErrFenced, *e, epoch))
		} else if e != nil && ok && *e > int64(epoch) {
			last = 0
		}
	} else {
		p.id = newProducerID()
	}
	if e := given[annotEpoch]; e != nil {
		if *e < 0 || *e > math.MaxInt16 {
			return nil, &amqp.Error{Condition: condOutOfRange, Description: fmt.Sprintf("The epoch of a producer is 0 to %d.", math.MaxInt16)}
		}
		p.epoch = int32(*e)
	}
	if n := given[annotNumber]; n != nil {
		last = *n
	}
	if err := s.producers.add(p); err != nil {
		return nil, err
	}
	l.Offered = append(l.Offered, capIdempotent)
	l.Reply = append(l.Reply, amqp.Pair{Key: annotProducer, Value: p.id}, amqp.Pair{Key: annotEpoch, Value: int16(p.epoch)}, amqp.Pair{Key: annotNumber, Value: int32(last)})
	return p, nil
}

// linkNumber is a whole number among the properties of a link; nil if it is null or missing.
func linkNumber(properties []amqp.Pair, name string) (*int64, error) {
	for _, p := range properties {
		if p.Key != name || p.Value == nil {
			continue
		}
		n, ok := integer(p.Value)
		if !ok {
			return nil, &amqp.Error{Condition: condArgument, Description: fmt.Sprintf("The link property %s must be a whole number.", name)}
		}
		return &n, nil
	}
	return nil, nil
}

// newProducerID is an id that nobody has. JavaScript reads numbers up to 2^53 exactly.
func newProducerID() int64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return int64(binary.BigEndian.Uint64(b[:])>>12) + 1
}

// producers knows the links of idempotent producers, so that a newer instance ends the older
// ones before it has sent anything.
type producers struct {
	mu   sync.Mutex // guards what follows
	open map[producerPlace][]*producer
}

type producerPlace struct {
	partition *hub.Partition
	id        int64
}

func (p *producers) add(n *producer) error {
	place := producerPlace{n.partition, n.id}
	p.mu.Lock()
	var kept, ended []*producer
	for _, old := range p.open[place] {
		switch {
		case old.life.Err() != nil:
		case old.epoch > n.epoch:
			p.mu.Unlock()
			return refusal(fmt.Errorf("%w: its epoch is %d and %d was seen", hub.ErrFenced, n.epoch, old.epoch))
		case old.epoch < n.epoch:
			ended = append(ended, old)
		default:
			kept = append(kept, old)
		}
	}
	if p.open == nil {
		p.open = map[producerPlace][]*producer{}
	}
	p.open[place] = append(kept, n)
	p.mu.Unlock()
	for _, old := range ended {
		old.detach(refusal(fmt.Errorf("%w: its epoch is %d", hub.ErrFenced, n.epoch)))
	}
	return nil
}

func (p *producers) remove(n *producer) {
	place := producerPlace{n.partition, n.id}
	p.mu.Lock()
	defer p.mu.Unlock()
	var kept []*producer
	for _, old := range p.open[place] {
		if old != n {
			kept = append(kept, old)
		}
	}
	if len(kept) == 0 {
		delete(p.open, place)
		return
	}
	p.open[place] = kept
}
