package kafka

import (
	"sync/atomic"

	"weir/internal/hub"
	"weir/internal/hub/log"
)

// readers are the places in partitions that a connection keeps open between fetches, so that
// a consumer that follows need not seek. The one that was used least lately goes when there
// are too many.
type readers struct {
	limit int
	open  *openReaders
	list  []*reader // by use, the latest last
}

// reader is a place in a partition: within a batch of its log, as a rule.
type reader struct {
	from *hub.Partition
	log  *log.Reader
	now  *log.Batch // nil if the next one is to be read
	next int        // of its records
	body body
}

// seq is the offset of the next record.
func (r *reader) seq() int64 {
	if r.now != nil {
		return r.now.Seq + int64(r.next)
	}
	return r.log.Seq()
}

// batch is the batch with the next record; nil if there is none now.
func (r *reader) batch() (*log.Batch, error) {
	if r.now != nil && r.next < len(r.now.Records) {
		return r.now, nil
	}
	var err error
	r.now, err = r.log.Next()
	r.next = 0
	return r.now, err
}

// take gives a reader at an offset, which is the caller's until it puts or closes it.
func (s *readers) take(from *hub.Partition, offset int64) (*reader, error) {
	for i, r := range s.list {
		if r.from == from {
			s.list = append(s.list[:i], s.list[i+1:]...)
			if r.seq() == offset {
				return r, nil
			}
			s.drop(r)
			break
		}
	}
	l, err := from.Read(offset)
	if err != nil {
		return nil, err
	}
	s.open.n.Add(1)
	return &reader{from: from, log: l}, nil
}

// put keeps a reader for the next fetch, if there is room for it.
func (s *readers) put(r *reader) {
	if s.open.n.Load() > s.open.limit {
		s.drop(r)
		return
	}
	if len(s.list) >= s.limit {
		s.drop(s.list[0])
		s.list = append(s.list[:0], s.list[1:]...)
	}
	s.list = append(s.list, r)
}

// drop closes a reader.
func (s *readers) drop(r *reader) {
	r.log.Close()
	s.open.n.Add(-1)
}

func (s *readers) close() {
	for _, r := range s.list {
		s.drop(r)
	}
	s.list = nil
}

// openReaders counts the readers of all connections.
type openReaders struct {
	n     atomic.Int64
	limit int64
}
