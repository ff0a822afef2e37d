package hub

import (
	"errors"

	"sync/atomic"
	"time"

	"weir/internal/hub/log"
)

// Counts are events and their bytes: messages and keys.
type Counts struct{ Events, Bytes int64 }

func (c *Counts) add(d Counts) { c.Events, c.Bytes = c.Events+d.Events, c.Bytes+d.Bytes }

// Stats is what a broker has done since it was opened, and what it holds. All structs of
// statistics are copies.
type Stats struct {
	Hubs   []HubStats
	Denied int64 // tokens and keys that were wrong
}

// HubStats is what a hub holds and has done since it was opened. In, Out, Bytes and Events
// are the sums of its partitions.
type HubStats struct {
	Config     Config
	Created    time.Time
	In, Out    Counts
	Bytes      int64 // on the disk
	Events     int64 // kept, at most: numbers may be left out
	Partitions []PartitionStats
	Groups     []GroupStats
}

// PartitionStats is what a partition holds and has done since it was opened.
type PartitionStats struct {
	ID      int
	Range   log.Range
	In, Out Counts // appended; read, as protocols say (CountRead)
	Appends int64  // that succeeded and were no duplicates
	// What was not appended: repeated by its producer; refused because too much waited
	// (ErrBusy), it was too large (ErrTooLarge), its producer fenced or out of order (ErrFenced,
	// ErrGap), the disk or the log full, or another error; failed on the disk.
	Duplicates, Throttled, TooLarge, OutOfOrder, Refused, Failed int64
	Producers                                                    int     // that are remembered
	Latency                                                      Latency // of Appends
	ProducersForgotten                                           int64   // for their number or their age
}

// GroupStats is where a consumer group is.
type GroupStats struct {
	Name       string
	Created    time.Time
	Partitions []GroupPlace // those in which it has a place
	Lag        int64        // the sum
}

// GroupPlace is where a consumer group is in a partition.
type GroupPlace struct {
	Partition int
	Commit    Commit
	Lag       int64 // events that are kept and not consumed, at most: numbers may be left out
}

// counters are the numbers of a partition.
type counters struct {
	in, out                                               counter
	appends, duplicates, throttled, large, order, refused atomic.Int64
	failed                                                atomic.Int64
	latency                                               latency
}

type counter struct{ events, bytes atomic.Int64 }

func (c *counter) add(events, bytes int64) {
	c.events.Add(events)
	c.bytes.Add(bytes)
}

func (c *counter) now() Counts { return Counts{c.events.Load(), c.bytes.Load()} }

// refuse counts an append that was not even started.
func (c *counters) refuse(err error) {
	switch {
	case errors.Is(err, log.ErrBusy):
		c.throttled.Add(1)
	case errors.Is(err, ErrTooLarge):
		c.large.Add(1)
	case errors.Is(err, ErrFenced), errors.Is(err, ErrGap):
		c.order.Add(1)
	default:
		c.refused.Add(1)
	}
}

// CountRead counts events that a protocol has brought to a reader, and their bytes.
func (p *Partition) CountRead(events, bytes int64) { p.n.out.add(events, bytes) }

// Stats is what the partition holds and has done.
func (p *Partition) Stats() PartitionStats {
	s := PartitionStats{ID: p.id, Range: p.Range(), In: p.n.in.now(), Out: p.n.out.now(), Appends: p.n.appends.Load(),
		Duplicates: p.n.duplicates.Load(), Throttled: p.n.throttled.Load(), TooLarge: p.n.large.Load(), OutOfOrder: p.n.order.Load(),
		Refused: p.n.refused.Load(), Failed: p.n.failed.Load(), Latency: p.n.latency.now()}
	s.Producers, s.ProducersForgotten = p.producers.counts()
	return s
}

// Stats is what the hub holds and has done.
func (h *Hub) Stats() HubStats {
	s := HubStats{Config: h.Config(), Created: h.Created()}
	for _, p := range h.Partitions() {
		ps := p.Stats()
		s.In.add(ps.In)
		s.Out.add(ps.Out)
		s.Bytes += ps.Range.Bytes
		s.Events += ps.Range.Next - ps.Range.First
		s.Partitions = append(s.Partitions, ps)
	}
	for _, name := range h.Groups() {
		if g, err := h.GroupStats(name); err == nil {
			s.Groups = append(s.Groups, g)
		}
	}
	return s
}

// Created is when the hub was made.
func (h *Hub) Created() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record.Created
}

func (h *Hub) retentionBytes() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.record.RetentionBytes
}

// GroupStats is where a consumer group is, and how far behind the newest events: its lag.
func (h *Hub) GroupStats(name string) (GroupStats, error) {
	g, ok := h.group(name)
	if !ok {
		return GroupStats{}, h.noGroup(name)
	}
	s := GroupStats{Name: g.Name, Created: g.Created}
	places := h.offsets.of(g.ID)
	for i, p := range h.Partitions() {
		c, ok := places[i]
		if !ok {
			continue
		}
		lag := p.Lag(c.Seq)
		s.Partitions = append(s.Partitions, GroupPlace{i, c, lag})
		s.Lag += lag
	}
	return s, nil
}

// Lag is how many events are kept from a sequence number on, at most.
func (p *Partition) Lag(seq int64) int64 {
	rg := p.Range()
	return max(rg.Next-max(seq, rg.First), 0)
}

// Stats is what the broker holds and has done.
func (b *Broker) Stats() Stats {
	s := Stats{Denied: b.denied.Load()}
	for _, h := range b.Hubs() {
		s.Hubs = append(s.Hubs, h.Stats())
	}
	return s
}
