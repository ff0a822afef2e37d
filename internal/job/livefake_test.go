package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/vec"
)

// memSource is a source in memory: events by partition, each with its arrival. Positions are
// the numbers of events.
type memSource struct {
	mu     sync.Mutex
	parts  []*memPart
	marks  bool // give every event as a message
	ready  bool // signal new events
	timely bool // do not say when events arrived
	clock  bool // say that all that arrived until now has been read
	opened int
	fault  func(op string) error // nil: none
}

type memPart struct {
	name    string
	events  []memEvent
	ended   bool
	shown   bool // known to Partitions
	forgot  int  // events before it are gone
	signals []chan struct{}
}

type memEvent struct {
	text    string
	arrival vec.Time
}

// add appends events to a partition, which is made if it is not there.
func (s *memSource) add(part string, events ...memEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.part(part)
	if p == nil {
		p = &memPart{name: part, shown: true}
		s.parts = append(s.parts, p)
	}
	p.events = append(p.events, events...)
	for _, c := range p.signals {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// end says that nothing more comes.
func (s *memSource) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		p.ended = true
		for _, c := range p.signals {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}

func (s *memSource) part(name string) *memPart {
	for _, p := range s.parts {
		if p.name == name {
			return p
		}
	}
	return nil
}

func (s *memSource) fail(op string) error {
	if s.fault == nil {
		return nil
	}
	return s.fault(op)
}

func (s *memSource) Partitions(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail("partitions"); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range s.parts {
		names = append(names, p.name)
	}
	return names, nil
}

func (s *memSource) Seek(_ context.Context, part string, arrived vec.Time) (connect.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.part(part)
	for i, e := range p.events {
		if i >= p.forgot && e.arrival >= arrived {
			return memPosition(i), nil
		}
	}
	return memPosition(len(p.events)), nil
}

func memPosition(n int) connect.Position {
	if n == 0 {
		return ""
	}
	return connect.Position(strconv.Itoa(n))
}

func memIndex(p connect.Position) int {
	n, _ := strconv.Atoi(string(p))
	return n
}

func (s *memSource) Open(_ context.Context, part string, after connect.Position) (connect.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail("open"); err != nil {
		return nil, err
	}
	p := s.part(part)
	if p == nil {
		return nil, errors.New("no such partition")
	}
	if memIndex(after) < p.forgot {
		return nil, connect.ErrGone
	}
	s.opened++
	r := &memReader{s: s, p: p, at: memIndex(after)}
	if s.ready {
		r.ready = make(chan struct{}, 1)
		r.ready <- struct{}{}
		p.signals = append(p.signals, r.ready)
	}
	return r, nil
}

func (s *memSource) Done(_ context.Context, part string, upTo connect.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.part(part)
	p.forgot = max(p.forgot, memIndex(upTo))
	return nil
}

func (s *memSource) Close() error { return nil }

type memReader struct {
	s     *memSource
	p     *memPart
	at    int
	ready chan struct{}
	buf   []byte
	marks []connect.Mark
}

func (r *memReader) Ready() <-chan struct{} {
	if r.ready == nil {
		return nil
	}
	return r.ready
}

func (r *memReader) Close() error { return nil }

func (r *memReader) Read(_ context.Context, limit int, until connect.Position) (connect.Chunk, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if err := r.s.fail("read"); err != nil {
		return connect.Chunk{}, err
	}
	stop := len(r.p.events)
	if until != "" {
		stop, limit = memIndex(until), 1<<30
	}
	r.buf, r.marks = r.buf[:0], r.marks[:0]
	c := connect.Chunk{Line: int64(r.at + 1)}
	for _, e := range r.p.events[:r.at] {
		c.Offset += int64(len(e.text) + 1)
	}
	arrival := vec.Time(-1)
	for r.at < stop && len(r.buf) < limit {
		e := r.p.events[r.at]
		if !r.s.marks && arrival >= 0 && e.arrival != arrival {
			break // one arrival for a chunk without messages
		}
		arrival = e.arrival
		r.buf = append(append(r.buf, e.text...), '\n')
		r.marks = append(r.marks, connect.Mark{End: len(r.buf), Offset: int64(r.at), Arrival: e.arrival,
			Properties: map[string]vec.Value{"PartitionId": vec.StringValue(r.p.name)}})
		r.at++
	}
	if r.s.timely {
		arrival = 0
		for i := range r.marks {
			r.marks[i].Arrival = 0
		}
	}
	c.Data, c.Next = r.buf, memPosition(r.at)
	if r.s.marks && len(r.marks) > 0 {
		c.Marks = r.marks
	} else {
		c.Arrival = max(arrival, 0)
	}
	if r.ready != nil && r.at < len(r.p.events) {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
	if r.s.clock && r.at == len(r.p.events) {
		c.Clock = timeOf(time.Now())
	}
	c.End = r.p.ended && r.at == len(r.p.events)
	return c, nil
}

// memTarget is a target in memory that takes epochs in transactions, as a database does. It
// outlives the sinks that write to it.
type memTarget struct {
	mu        sync.Mutex
	rows      []string
	committed map[string]int64 // by instance
	forgetful bool
	traceless bool // epochs without rows leave no trace
	again     int  // epochs that were written although the target has them
	commits   []int64
	watermark vec.Time
	told      map[int64]vec.Time                    // watermarks of epochs that were committed
	late      []string                              // rows that a watermark of an earlier epoch has ruled out
	fault     func(op string) (before, after error) // errors before or after the effect
	reject    func(row string) *connect.RowError
}

func (t *memTarget) open(env connect.SinkEnv) (connect.Sink, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.committed == nil {
		t.committed = map[string]int64{}
	}
	return &memSink{t: t, env: env, write: rowWriter(env.Columns)}, nil
}

type memSink struct {
	t       *memTarget
	env     connect.SinkEnv
	write   func(b *vec.Batch) []string
	pending []string
	epoch   int64
}

func (s *memSink) do(op string, effect func() error) error {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	var after error
	if s.t.fault != nil {
		before, late := s.t.fault(op)
		if before != nil {
			return before
		}
		after = late
	}
	if err := effect(); err != nil {
		return err
	}
	return after
}

func (s *memSink) Committed(context.Context) (n int64, err error) {
	err = s.do("committed", func() error {
		n = s.t.committed[s.env.Instance]
		if s.t.forgetful {
			n = -1
		}
		return nil
	})
	return n, err
}

func (s *memSink) Write(_ context.Context, epoch int64, b *vec.Batch) (err error) {
	was, of := s.pending, s.epoch
	defer func() {
		if err != nil { // as if it had not been called
			s.pending, s.epoch = was, of
		}
	}()
	return s.do("write", func() error {
		if epoch != s.epoch {
			s.pending, s.epoch = nil, epoch
		}
		if !s.t.forgetful && epoch <= s.t.committed[s.env.Instance] {
			s.t.again++
		}
		for n, w := range s.t.told {
			if n < epoch && w >= slices.Min(b.Time) {
				s.t.late = append(s.t.late, fmt.Sprintf("epoch %d has a row of %s, and epoch %d the watermark %s", epoch, slices.Min(b.Time), n, w))
			}
		}
		var out []string
		for _, row := range s.write(b) {
			if s.t.reject != nil {
				if e := s.t.reject(row); e != nil {
					e.Row = []byte(strings.TrimSpace(row))
					if err := s.env.Reject(*e); err != nil {
						return err
					}
					continue
				}
			}
			out = append(out, row)
		}
		s.pending = append(s.pending[:len(s.pending):len(s.pending)], out...)
		return nil
	})
}

func (s *memSink) Prepare(_ context.Context, epoch int64, watermark vec.Time) error {
	return s.do("prepare", func() error {
		if epoch != s.epoch {
			s.pending, s.epoch = nil, epoch
		}
		s.t.watermark = watermark
		return nil
	})
}

func (s *memSink) Commit(_ context.Context, epoch int64) error {
	return s.do("commit", func() error {
		if epoch != s.epoch {
			return fmt.Errorf("epoch %d is committed, and %d was written", epoch, s.epoch)
		}
		if s.t.told == nil {
			s.t.told = map[int64]vec.Time{}
		}
		s.t.told[epoch] = s.t.watermark
		if s.t.traceless && len(s.pending) == 0 {
			return nil
		}
		if s.t.forgetful || epoch > s.t.committed[s.env.Instance] {
			s.t.rows = append(s.t.rows, s.pending...)
			s.t.commits = append(s.t.commits, epoch)
			s.t.committed[s.env.Instance] = epoch
		}
		s.pending = nil
		return nil
	})
}

func (s *memSink) Sync(context.Context) error { return s.do("sync", func() error { return nil }) }
func (s *memSink) Close() error               { return nil }

func (t *memTarget) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.rows...)
}
