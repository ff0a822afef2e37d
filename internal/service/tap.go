package service

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/job"
)

// Tap looks at the rows of a WITH step, an output or an input of a running job. The caller
// closes it. It never holds the job up: rows that are not read in time are counted as dropped.
func (s *Service) Tap(name, step string, limits job.TapLimits) (*Tap, error) {
	m, err := s.find(name)
	if err != nil {
		return nil, err
	}
	live, a, err := m.live("rows")
	if err != nil {
		return nil, err
	}
	known := tappable(a)
	at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, step) })
	if at < 0 {
		return nil, m.noSuch("step, input or output", step, known...)
	}
	s.mu.Lock()
	many := s.taps >= maxTaps
	if !many {
		s.taps++
	}
	s.mu.Unlock()
	if many {
		return nil, fmt.Errorf("%w: %d taps are open, the most there may be; close one", ErrBusy, maxTaps)
	}
	limits.Rows = min(limits.Rows, maxTapRows)
	t, err := live.Tap(known[at], limits)
	if err != nil {
		s.untap()
		return nil, err
	}
	return &Tap{s: s, t: t}, nil
}

func (s *Service) untap() {
	s.mu.Lock()
	s.taps--
	s.mu.Unlock()
}

// Tap is a look at rows. One goroutine uses it.
type Tap struct {
	s *Service
	t *job.Tapping
}

// Next waits for rows. io.EOF says that there will be none any more.
func (t *Tap) Next(ctx context.Context) (job.TapRows, error) { return t.t.Next(ctx) }

// Close ends the tap. Once.
func (t *Tap) Close() {
	t.t.Close()
	t.s.untap()
}

// tappable are the names that a tap can have.
func tappable(a *Assembly) []string {
	var names []string
	for _, st := range a.Spec.Plan.Steps {
		names = append(names, st.Name)
	}
	for _, o := range a.Spec.Plan.Outputs {
		names = append(names, o.Name)
	}
	for _, in := range a.Spec.Plan.Inputs {
		names = append(names, in.Name)
	}
	return names
}

// noSuch is the error of a part of the job that there is not.
func (m *managed) noSuch(what, name string, known ...string) error {
	hint := ""
	if near, ok := diag.Nearest(name, known); ok {
		hint = fmt.Sprintf("; did you mean %q?", near)
	} else if len(known) > 0 {
		hint = "; there are " + strings.Join(known, ", ")
	}
	return partError(fmt.Sprintf("the job %q has no %s %q%s", m.name, what, name, hint))
}

// maxLetters is how many dead letters are given at once, and taken to be tried again.
const maxLetters = 1000

// DeadLetters gives up to n dead letters of a running job with larger ids than after, oldest
// first, of one name if that is set; and how many there have been by name.
func (s *Service) DeadLetters(name, of string, after int64, n int) ([]job.DeadLetter, map[string]int64, int64, error) {
	m, err := s.find(name)
	if err != nil {
		return nil, nil, 0, err
	}
	live, done, err := m.opened()
	if err != nil {
		return nil, nil, 0, err
	}
	defer done()
	counts, forgotten := live.DeadCounts()
	list, err := lettersOf(live, of, after, min(max(n, 0), maxLetters))
	for i := range list {
		list[i].Reason = s.Scrub(list[i].Reason)
	}
	return list, counted(counts), forgotten, err
}

// lettersOf reads dead letters of one name, or of all if it is empty.
func lettersOf(live *job.Live, of string, after int64, n int) ([]job.DeadLetter, error) {
	list := []job.DeadLetter{}
	for len(list) < n {
		some, err := live.DeadLetters(after, maxLetters)
		if err != nil {
			return nil, err
		}
		for _, l := range some {
			after = l.ID
			if len(list) < n && (of == "" || strings.EqualFold(of, l.Name)) {
				list = append(list, l)
			}
		}
		if len(some) < maxLetters {
			break
		}
	}
	return list, nil
}

// opened gives the runner of the job. If the job does not run, its state is opened for the
// caller, and op held until done is called.
func (m *managed) opened() (live *job.Live, done func(), err error) {
	if live, _, err := m.live(""); err == nil {
		return live, func() {}, nil
	}
	m.op.Lock()
	if live, _, err := m.live(""); err == nil {
		m.op.Unlock()
		return live, func() {}, nil
	}
	m.mu.Lock()
	rec, busy := m.rec, m.run != nil
	m.mu.Unlock()
	if busy || !m.s.hasState(m.name) {
		m.op.Unlock()
		return nil, nil, &NotRunningError{m.name, "dead letters"}
	}
	rec.Discard = false
	if live, _, err = m.open(rec); err != nil {
		m.op.Unlock()
		return nil, nil, err
	}
	return live, func() {
		if err := live.Close(); err != nil {
			m.s.log.Warn("the state of a job cannot be closed", "job", m.name, "error", err)
		}
		m.op.Unlock()
	}, nil
}

// Redrive tries dead letters of a running job again: those with the given ids, or all of a
// name that have not been tried yet, a thousand at once. It gives how many were tried, and how
// many of the name were left out because there is no place to try them at: their payload was
// cut, their input or output is gone, or a step of the query has failed on them.
func (s *Service) Redrive(ctx context.Context, name string, ids []int64, of string) (tried, refused int, err error) {
	m, err := s.find(name)
	if err != nil {
		return 0, 0, err
	}
	live, _, err := m.live("dead letters to try again")
	if err != nil {
		return 0, 0, err
	}
	if len(ids) > maxLetters {
		return 0, 0, fmt.Errorf("%w: at most %d dead letters can be tried at once", ErrBusy, maxLetters)
	}
	m.redriving.Lock()
	defer m.redriving.Unlock()
	if len(ids) == 0 {
		if ids, refused, err = untried(live, of); err != nil {
			return 0, 0, err
		}
	}
	if len(ids) == 0 {
		return 0, refused, nil
	}
	var letters []job.Redriven
	for _, id := range ids {
		letters = append(letters, job.Redriven{ID: id})
	}
	if err := live.Redrive(ctx, letters); err != nil {
		return 0, 0, err
	}
	s.note(Event{Job: name, Version: live.Stats().Version, Kind: "redriven", Text: fmt.Sprintf("%d dead letters", len(letters))}, 0)
	return len(letters), refused, nil
}

// maxRetried bounds the text of letters that are tried again at once, in bytes; what they hold
// beyond it waits for the next time.
const maxRetried = 16 << 20

// untried are the first letters of a name that were not tried again yet and can be, at most a
// thousand; refused is how many cannot.
func untried(live *job.Live, of string) (ids []int64, refused int, err error) {
	st, size := live.Stats(), 0
	for after := int64(0); len(ids) < maxLetters && size < maxRetried; {
		some, err := live.DeadLetters(after, maxLetters)
		if err != nil {
			return nil, 0, err
		}
		for _, l := range some {
			after = l.ID
			if len(ids) == maxLetters || size >= maxRetried || l.Redriven || of != "" && !strings.EqualFold(of, l.Name) {
				continue
			}
			read := slices.ContainsFunc(st.Inputs, func(in job.InputStats) bool { return strings.EqualFold(in.Name, l.Input) })
			written := slices.ContainsFunc(st.Outputs, func(out job.OutputStats) bool { return strings.EqualFold(out.Name, l.Output) })
			if l.Cut || !read && !written {
				refused++
				continue
			}
			ids, size = append(ids, l.ID), size+len(l.Payload)
		}
		if len(some) < maxLetters {
			break
		}
	}
	return ids, refused, nil
}
