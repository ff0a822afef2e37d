// Package servicetest has connectors in memory for tests of the service and of the HTTP
// interface: events that a test adds, rows that it looks at, and faults that it makes.
// Importing it registers the connectors "memory" and makes jobs that use them.
package servicetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/vec"
)

var (
	mu      sync.Mutex
	feeds   = map[string]*Feed{}
	targets = map[string]*Target{}
)

func init() {
	connect.Register(&connect.Spec{Name: "memory", Summary: "Events and rows of tests.",
		Fields: []connect.Field{
			{Name: "name", Type: connect.Text, Required: true, Doc: "The feed or target."},
			{Name: "password", Type: connect.Secret, Doc: "A secret."},
		},
		In: "exactly once", Out: "exactly once",
		Source: func(_ context.Context, c connect.Config, _ connect.SourceEnv) (connect.Source, error) {
			return &source{FeedOf(c.Text("name"))}, nil
		},
		Sink: func(_ context.Context, c connect.Config, env connect.SinkEnv) (connect.Sink, error) {
			t := TargetOf(c.Text("name"))
			if err := t.failure(c); err != nil {
				return nil, err
			}
			return &sink{t: t, c: c, env: env, encoder: codec.NewEncoder(codec.JSONLines, env.Columns.Names, env.Columns.Row)}, nil
		},
		Example: "  events:\n    type: memory\n    name: events\n",
	})
}

// Feed is what a source of a name gives.
type Feed struct {
	mu      sync.Mutex
	events  []string
	arrival []vec.Time
	ended   bool
	signals []chan struct{}
	hold    chan struct{} // reads wait for it
	fault   error
}

// FeedOf is the feed of a name, a new one if there is none.
func FeedOf(name string) *Feed {
	mu.Lock()
	defer mu.Unlock()
	if feeds[name] == nil {
		feeds[name] = &Feed{}
	}
	return feeds[name]
}

// Add gives events, which have no arrival time of their own.
func (f *Feed) Add(events ...string) {
	for _, e := range events {
		f.AddAt(0, e)
	}
}

// AddAt gives an event that arrived at a time.
func (f *Feed) AddAt(arrival vec.Time, event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events, f.arrival = append(f.events, event), append(f.arrival, arrival)
	f.wake()
}

// End says that no event will follow.
func (f *Feed) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.wake()
}

// Fail makes all reads fail with an error, or work again with nil.
func (f *Feed) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
	f.wake()
}

// Hold makes the source wait, where it is asked where to begin and where it is opened for
// reading, until release is called.
func (f *Feed) Hold() (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := make(chan struct{})
	f.hold = c
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.hold == c {
			f.hold = nil
		}
		close(c)
	}
}

// wait waits while the feed is held.
func (f *Feed) wait(ctx context.Context) error {
	f.mu.Lock()
	hold := f.hold
	f.mu.Unlock()
	if hold == nil {
		return nil
	}
	select {
	case <-hold:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Feed) wake() {
	for _, c := range f.signals {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

type source struct{ f *Feed }

func (s *source) Partitions(context.Context) ([]string, error) { return []string{"0"}, nil }

func (s *source) Seek(ctx context.Context, _ string, arrived vec.Time) (connect.Position, error) {
	if err := s.f.wait(ctx); err != nil {
		return "", err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	if arrived == vec.MinTime {
		return "", nil
	}
	for i, a := range s.f.arrival {
		if a >= arrived {
			return position(i), nil
		}
	}
	return position(len(s.f.events)), nil
}

func position(n int) connect.Position {
	if n == 0 {
		return ""
	}
	return connect.Position(strconv.Itoa(n))
}

func index(p connect.Position) int {
	n, _ := strconv.Atoi(string(p))
	return n
}

func (s *source) Open(ctx context.Context, _ string, after connect.Position) (connect.Reader, error) {
	if err := s.f.wait(ctx); err != nil {
		return nil, err
	}
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	r := &reader{f: s.f, at: index(after), ready: make(chan struct{}, 1)}
	r.ready <- struct{}{}
	s.f.signals = append(s.f.signals, r.ready)
	return r, nil
}

func (s *source) Done(context.Context, string, connect.Position) error { return nil }
func (s *source) Close() error                                         { return nil }

type reader struct {
	f     *Feed
	at    int
	ready chan struct{}
	buf   []byte
}

func (r *reader) Ready() <-chan struct{} { return r.ready }

func (r *reader) Close() error {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.f.signals = slices.DeleteFunc(r.f.signals, func(c chan struct{}) bool { return c == r.ready })
	return nil
}

func (r *reader) Read(_ context.Context, limit int, until connect.Position) (connect.Chunk, error) {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	if r.f.fault != nil {
		return connect.Chunk{}, r.f.fault
	}
	stop := len(r.f.events)
	if until != "" {
		stop, limit = index(until), 1<<30
	}
	r.buf = r.buf[:0]
	c := connect.Chunk{Line: int64(r.at + 1)}
	for first := r.at; r.at < stop && len(r.buf) < limit && r.f.arrival[r.at] == r.f.arrival[first]; r.at++ {
		c.Arrival = r.f.arrival[r.at]
		r.buf = append(append(r.buf, r.f.events[r.at]...), '\n')
	}
	if r.at < len(r.f.events) {
		select {
		case r.ready <- struct{}{}:
		default:
		}
	}
	c.Data, c.Next, c.End = r.buf, position(r.at), r.f.ended && r.at == len(r.f.events)
	return c, nil
}

// Target is what a sink of a name has been given. It outlives the sinks, as a database does.
type Target struct {
	mu        sync.Mutex
	rows      []string
	committed map[string]int64 // by instance
	fault     error
	changed   chan struct{}
	opened    int
}

// TargetOf is the target of a name, a new one if there is none.
func TargetOf(name string) *Target {
	mu.Lock()
	defer mu.Unlock()
	if targets[name] == nil {
		targets[name] = &Target{committed: map[string]int64{}, changed: make(chan struct{})}
	}
	return targets[name]
}

// Rows are the rows that were committed, as JSON objects.
func (t *Target) Rows() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.rows)
}

// Opened is how many sinks have been opened.
func (t *Target) Opened() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.opened
}

// Wait waits until there are n rows.
func (t *Target) Wait(ctx context.Context, n int) ([]string, error) {
	for {
		t.mu.Lock()
		rows, changed := slices.Clone(t.rows), t.changed
		t.mu.Unlock()
		if len(rows) >= n {
			return rows, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return rows, fmt.Errorf("%d rows have come, not %d: %s", len(rows), n, strings.Join(rows, " "))
		}
	}
}

// Fail makes all commits and openings fail with an error that names the target's password, as
// drivers do, or work again with nil.
func (t *Target) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault = err
}

func (t *Target) failure(c connect.Config) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fault == nil || errors.Is(t.fault, ErrBug) {
		t.opened++
		return nil
	}
	err := fmt.Errorf("login with %q: %w", c.Secret("password").Expose(), t.fault)
	if errors.Is(t.fault, ErrPermanent) {
		return connect.Permanent(err)
	}
	return err
}

// ErrPermanent is an error for Fail that no retry heals.
var ErrPermanent = errors.New("no such table")

// ErrBug is an error for Fail that makes commits panic.
var ErrBug = errors.New("index out of range")

type sink struct {
	t       *Target
	c       connect.Config
	env     connect.SinkEnv
	encoder *codec.Encoder
	pending []string
	epoch   int64
}

func (s *sink) Committed(context.Context) (int64, error) {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.t.committed[s.env.Instance], nil
}

func (s *sink) Write(_ context.Context, epoch int64, b *vec.Batch) error {
	if epoch != s.epoch {
		s.pending, s.epoch = nil, epoch
	}
	for line := range strings.Lines(string(s.encoder.Encode(nil, b))) {
		s.pending = append(s.pending, strings.TrimSpace(line))
	}
	return nil
}

func (s *sink) Prepare(_ context.Context, epoch int64, _ vec.Time) error {
	if epoch != s.epoch {
		s.pending, s.epoch = nil, epoch
	}
	return nil
}

func (s *sink) Commit(_ context.Context, epoch int64) error {
	s.t.mu.Lock()
	fault := s.t.fault
	s.t.mu.Unlock()
	switch {
	case errors.Is(fault, ErrBug):
		panic(fault)
	case fault != nil:
		return s.t.failure(s.c)
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if epoch > s.t.committed[s.env.Instance] {
		s.t.rows = append(s.t.rows, s.pending...)
		s.t.committed[s.env.Instance] = epoch
		close(s.t.changed)
		s.t.changed = make(chan struct{})
	}
	s.pending = nil
	return nil
}

func (s *sink) Sync(context.Context) error { return nil }
func (s *sink) Close() error               { return nil }

// Job is a job file: events of the feed NAME go through the query to the target NAME.
func Job(name, query string) string {
	return fmt.Sprintf(`version: 1
job:
  name: %s
  query: |
    %s
inputs:
  events:
    type: memory
    name: %s
    password: ${env:SECRET:-}
outputs:
  rows:
    type: memory
    name: %s
    password: ${env:SECRET:-}
`, name, strings.ReplaceAll(query, "\n", "\n    "), name, name)
}
