package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"weir/internal/disk"
	"weir/internal/hub/log"
)

// Commit is what a consumer group has kept of a partition: the sequence number of the next
// event that it wants, and a text of its own.
type Commit struct {
	Seq      int64
	Metadata string    // MaxMetadata bytes at most
	Time     time.Time // when it was kept; SetOffset fills it in if it is zero
}

// SetOffset keeps the place of a consumer group in a partition; it is durable on return.
// Commits that come while one is being written share the next write.
func (h *Hub) SetOffset(group string, partition int, c Commit) error {
	return h.SetOffsets(group, map[int]Commit{partition: c})
}

// SetOffsets keeps the places of a consumer group in several partitions, all or none.
// ErrNoGroup, ErrNoPartition and ErrTooLarge say why not.
func (h *Hub) SetOffsets(group string, commits map[int]Commit) error {
	g, ok := h.group(group)
	if !ok {
		return h.noGroup(group)
	}
	list := make([]offsetRecord, 0, len(commits))
	for i, c := range commits {
		if _, err := h.Partition(i); err != nil {
			return err
		}
		if c.Seq < 0 {
			return fmt.Errorf("%w: the place %d to keep is negative", ErrBadConfig, c.Seq)
		}
		if len(c.Metadata) > MaxMetadata {
			return fmt.Errorf("%w: the text of a commit has %d bytes; %d is the most", ErrTooLarge, len(c.Metadata), MaxMetadata)
		}
		if c.Time.IsZero() {
			c.Time = h.b.now()
		}
		list = append(list, offsetRecord{Group: g.ID, Partition: i, Seq: c.Seq, Metadata: c.Metadata, Micros: c.Time.UnixMicro()})
	}
	if len(list) == 0 {
		return nil
	}
	return h.offsets.set(list)
}

// Offset is the place of a consumer group in a partition; false if it has none.
func (h *Hub) Offset(group string, partition int) (Commit, bool) {
	g, ok := h.group(group)
	if !ok {
		return Commit{}, false
	}
	h.offsets.mu.Lock()
	defer h.offsets.mu.Unlock()
	c, ok := h.offsets.places[g.ID][partition]
	if !ok || c.Seq < 0 {
		return Commit{}, false
	}
	return c.Commit, true
}

// ForgetOffset forgets the place of a consumer group in a partition, if it has one there; it
// is durable on return.
func (h *Hub) ForgetOffset(group string, partition int) error {
	if _, ok := h.Offset(group, partition); !ok {
		return nil
	}
	g, ok := h.group(group)
	if !ok {
		return nil
	}
	return h.offsets.set([]offsetRecord{{Group: g.ID, Partition: partition, Seq: forgotten, Micros: h.b.now().UnixMicro()}})
}

// forgotten stands for the place of a group that has none any more.
const forgotten = -1

// Offsets are the places of a consumer group by partition.
func (h *Hub) Offsets(group string) map[int]Commit {
	g, ok := h.group(group)
	if !ok {
		return nil
	}
	return h.offsets.of(g.ID)
}

// offsetRecord is a commit in the log of offsets.
type offsetRecord struct {
	Group     int64  `json:"g"`
	Partition int    `json:"p"`
	Seq       int64  `json:"s"`
	Metadata  string `json:"m,omitempty"`
	Micros    int64  `json:"t"`
}

// Offsets lie in a log of their own, which begins with the first commit. When it has grown
// by compactBytes, all places are written to offsetsFile, and what the log had of them goes.
const (
	offsetsDir   = "offsets"
	offsetsFile  = "places.json"
	compactBytes = 4 << 20
)

// offsetsImage is the content of offsetsFile.
type offsetsImage struct {
	Next   int64          `json:"next"` // number of the first record of the log that is not in it
	Places []offsetRecord `json:"places"`
}

// offsets are the places of the consumer groups of a hub.
type offsets struct {
	home disk.FS // of the hub
	o    log.Options

	// ordered is held for reading by who commits, from the append until it shows in places.
	ordered sync.RWMutex
	compact sync.Mutex // held by who writes the image; taken before ordered

	mu     sync.Mutex
	dir    disk.FS  // nil before the first commit, as log
	log    *log.Log // its only partition is 0
	closed bool
	places map[int64]map[int]placed // by group and partition
	grown  int64                    // bytes since the last image
}

type placed struct {
	Commit
	at int64 // number of its record in the log
}

func openOffsets(h *Hub) (*offsets, error) {
	s := &offsets{home: h.fs, places: map[int64]map[int]placed{},
		o: log.Options{Fsync: h.b.o.Fsync, SegmentBytes: compactBytes / 4, Log: h.b.log, Now: h.b.now}}
	if _, err := h.fs.Stat(offsetsDir); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	} else if err != nil {
		return nil, err
	}
	if err := s.openLog(); err != nil {
		return nil, err
	}
	if err := s.load(h.record); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	return s, nil
}

func (s *offsets) openLog() error {
	dir, err := s.home.Sub(offsetsDir)
	if err != nil {
		return err
	}
	l, err := log.Open(dir, s.o)
	if err != nil {
		return err
	}
	s.dir, s.log = dir, l
	return nil
}

// load reads the image and the log behind it. What belongs to groups that are gone is left
// out.
func (s *offsets) load(r hubRecord) error {
	known := map[int64]bool{0: true}
	for _, g := range r.Groups {
		known[g.ID] = true
	}
	apply := func(o offsetRecord, at int64) {
		if known[o.Group] && o.Partition < r.Partitions {
			s.apply(o, at)
		}
	}
	var image offsetsImage
	err := readSealed(s.dir, offsetsFile, &image, "consumer groups that have not committed since begin elsewhere")
	if ignoreMissing(err) != nil {
		return err
	}
	for _, o := range image.Places {
		apply(o, -1)
	}
	p := s.log.Partition(0)
	rg := p.Range()
	reader, err := p.Read(min(max(image.Next, rg.First), rg.Next))
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		b, err := reader.Next()
		if err != nil || b == nil {
			return err
		}
		for i, rec := range b.Records {
			var o offsetRecord
			if err := json.Unmarshal(rec.Value, &o); err != nil {
				return fmt.Errorf("record %d of the offsets: %w", b.Seq+int64(i), err)
			}
			apply(o, b.Seq+int64(i))
			s.grown += int64(len(rec.Value))
		}
	}
}

// apply makes a commit count, unless a later one does. mu is held, or nobody else is there.
func (s *offsets) apply(o offsetRecord, at int64) {
	places := s.places[o.Group]
	if places == nil {
		places = map[int]placed{}
		s.places[o.Group] = places
	}
	if old, ok := places[o.Partition]; ok && old.at > at {
		return
	}
	places[o.Partition] = placed{Commit{Seq: o.Seq, Metadata: o.Metadata, Time: time.UnixMicro(o.Micros).UTC()}, at}
}

// set makes commits durable.
func (s *offsets) set(list []offsetRecord) error {
	p, err := s.partition()
	if err != nil {
		return err
	}
	records := make([]log.Record, len(list))
	bytes := int64(0)
	for i, o := range list {
		if records[i].Value, err = json.Marshal(o); err != nil {
			return err
		}
		bytes += int64(len(records[i].Value))
	}
	if err := s.append(p, records, list, bytes); err != nil {
		return fmt.Errorf("keep the offsets: %w", err)
	}
	s.mu.Lock()
	due := s.grown >= compactBytes
	s.mu.Unlock()
	if due && s.compact.TryLock() {
		defer s.compact.Unlock()
		if err := s.writeImage(); err != nil {
			s.o.Log.Warn("the offsets of the consumer groups could not be written together; it is tried again later", "path", s.dir.Path(offsetsFile), "error", err)
		}
	}
	return nil
}

func (s *offsets) append(p *log.Partition, records []log.Record, list []offsetRecord, bytes int64) error {
	s.ordered.RLock()
	defer s.ordered.RUnlock()
	a, err := p.Append(records)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range list {
		s.apply(o, a.Seq+int64(i))
	}
	s.grown += bytes
	return nil
}

// partition is where commits go; the log is made for the first one.
func (s *offsets) partition() (*log.Partition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.log == nil {
		if err := s.openLog(); err != nil {
			return nil, fmt.Errorf("begin to keep offsets: %w", err)
		}
	}
	return s.log.Partition(0), nil
}

// writeImage writes all places to the image and gives the log before it free. compact is
// held.
func (s *offsets) writeImage() error {
	image := s.image()
	p, err := s.partition()
	if err != nil {
		return err
	}
	// With a weaker fsync the image must not know more than the log.
	if err := p.Sync(); err != nil {
		return err
	}
	if err := writeSealed(s.dir, offsetsFile, image); err != nil {
		return err
	}
	return p.Trim(image.Next)
}

func (s *offsets) image() offsetsImage {
	s.ordered.Lock() // now all that is in the log shows
	defer s.ordered.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	image := offsetsImage{Next: s.log.Partition(0).Range().Next}
	for g, places := range s.places {
		for i, c := range places {
			if c.Seq < 0 {
				continue
			}
			image.Places = append(image.Places, offsetRecord{Group: g, Partition: i, Seq: c.Seq, Metadata: c.Metadata, Micros: c.Time.UnixMicro()})
		}
	}
	slices.SortFunc(image.Places, func(x, y offsetRecord) int {
		if x.Group != y.Group {
			return int(x.Group - y.Group)
		}
		return x.Partition - y.Partition
	})
	s.grown = 0
	return image
}

// of is the places of a group.
func (s *offsets) of(group int64) map[int]Commit {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[int]Commit, len(s.places[group]))
	for i, c := range s.places[group] {
		if c.Seq >= 0 {
			out[i] = c.Commit
		}
	}
	return out
}

// forget leaves the places of a group out from now on.
func (s *offsets) forget(group int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.places, group)
}

func (s *offsets) close() error {
	s.compact.Lock() // nothing is written to the directory afterwards
	defer s.compact.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.log == nil {
		return nil
	}
	return s.log.Close()
}
