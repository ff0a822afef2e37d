package service

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"weir/internal/job"
)

// The limits of what is kept of the results of a job for those who look.
const (
	ringRows      = 500       // of an output
	ringBytes     = 4 << 20   // of an output
	ringPerSecond = 1000      // rows taken; the others are counted
	maxTapRows    = 10_000    // that may wait for one who taps
	maxTaps       = 64        // at a time, of the whole service
	maxRowBytes   = 256 << 10 // of a row that is kept; longer ones are counted as left out
)

// Rows are rows for those who look, and how many were left out before them.
type Rows struct {
	Rows    []json.RawMessage
	Dropped int64
}

// rowRing holds the last rows of an output.
type rowRing struct {
	mu      sync.Mutex
	rows    []json.RawMessage // the last ones
	bytes   int
	last    int64 // number of the last row, from 1; those left out count
	dropped int64 // rows that the tap did not give
	ended   bool
	signal  chan struct{}
}

func newRowRing() *rowRing { return &rowRing{signal: make(chan struct{})} }

// add keeps rows.
func (r *rowRing) add(t job.TapRows) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped += t.Dropped
	for _, row := range t.Rows {
		if len(row) > maxRowBytes {
			r.dropped++
			continue
		}
		r.last++
		r.rows = append(r.rows, append(json.RawMessage(nil), row...))
		r.bytes += len(row)
	}
	cut := 0
	for cut < len(r.rows) && (len(r.rows)-cut > ringRows || r.bytes > ringBytes) {
		r.bytes -= len(r.rows[cut])
		cut++
	}
	if cut > 0 {
		r.rows = append(r.rows[:0], r.rows[cut:]...)
		clear(r.rows[len(r.rows):cap(r.rows)])
	}
	r.wake()
}

func (r *rowRing) wake() {
	close(r.signal)
	r.signal = make(chan struct{})
}

// end says that no rows follow.
func (r *rowRing) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.wake()
}

// Results is a reader of the rows of an output: the last ones, then new ones as they come.
type Results struct {
	ring    *rowRing
	at      int64
	dropped int64
}

// Next gives the rows that there are; ok is false if there will be none any more. Without
// rows it gives a channel that is closed when there may be some.
func (r *Results) Next() (rows Rows, wait <-chan struct{}, ok bool) {
	q := r.ring
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.last - int64(len(q.rows))
	if r.at < first {
		rows.Dropped += first - r.at
		r.at = first
	}
	rows.Dropped += q.dropped - r.dropped
	r.dropped = q.dropped
	rows.Rows = append(rows.Rows, q.rows[r.at-first:]...)
	r.at = q.last
	return rows, q.signal, !q.ended || len(rows.Rows) > 0
}

// watchRows keeps the last rows of each output while the job runs. It is called before the run,
// so that the first rows are seen, and after a reload, which may have brought new outputs.
func (m *managed) watchRows(r *running) {
	m.mu.Lock()
	live := r.live
	var names []string
	for _, o := range r.assembly.Spec.Outputs {
		if r.rows[o.Name] == nil {
			names = append(names, o.Name)
		}
	}
	m.mu.Unlock()
	if live == nil {
		return
	}
	for _, name := range names {
		tap, err := live.Tap(name, ringLimits)
		if err != nil {
			continue // the run has ended meanwhile, or a step has the name
		}
		ring := newRowRing()
		m.mu.Lock()
		r.rows[name] = ring
		m.mu.Unlock()
		r.watch.Go(func() { m.watchOutput(r, name, tap, ring) })
	}
}

// ringLimits are the limits of the taps that fill rings.
var ringLimits = job.TapLimits{Rows: ringRows, PerSecond: ringPerSecond}

// watchOutput fills a ring until the run ends or the output is gone.
func (m *managed) watchOutput(r *running, output string, tap *job.Tapping, ring *rowRing) {
	defer ring.end()
	defer tap.Close()
	for {
		rows, err := tap.Next(r.watching)
		if len(rows.Rows) > 0 || rows.Dropped > 0 {
			ring.add(rows)
		}
		if err != nil {
			break
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.rows[output] == ring {
		delete(r.rows, output)
	}
}

// Results reads the rows of an output of a running job: the last n of those that are kept,
// and then new ones.
func (s *Service) Results(name, output string, n int) (*Results, error) {
	m, err := s.find(name)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		return nil, &NotRunningError{m.name, "rows"}
	}
	var ring *rowRing
	var known []string
	for name, r := range m.run.rows {
		if known = append(known, name); strings.EqualFold(name, output) {
			ring = r
		}
	}
	if ring == nil {
		slices.Sort(known)
		return nil, m.noSuch("output", output, known...)
	}
	ring.mu.Lock()
	defer ring.mu.Unlock()
	return &Results{ring: ring, at: max(ring.last-int64(n), ring.last-int64(len(ring.rows))), dropped: ring.dropped}, nil
}
