package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/exec"
	"weir/internal/job"
)

// managed is a job of the service.
type managed struct {
	s    *Service
	name string
	// op is held by whoever starts, stops or changes the job: one at a time.
	op sync.Mutex
	// saving is held while the record is written.
	saving sync.Mutex
	// redriving is held while dead letters are tried again, so that none is twice.
	redriving sync.Mutex

	mu       sync.Mutex // guards what follows
	rec      record
	kind     string
	state    disk.FS  // the state directory, once it has been opened
	run      *running // nil if the job neither runs nor waits to be started again
	last     job.Stats
	refused  Findings // why the files as they are now were not taken
	warnings Findings // about the version in force
	series   series
}

// running is a job from its start until it is stopped or given up, with all restarts.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	// managed.mu guards what follows.
	live     *job.Live // nil between two starts
	assembly *Assembly
	version  int
	started  time.Time
	restarts int
	next     time.Time // of the next start, if it waits
	reason   string    // why it waits
	adopted  bool      // adopt has been tried
	rows     map[string]*rowRing
	// watch are the goroutines that fill rows, until watching ends.
	watch    sync.WaitGroup
	watching context.Context
}

func newManaged(s *Service, rec record) *managed {
	return &managed{s: s, name: rec.Name, rec: rec, last: job.Stats{State: job.Stopped, Version: rec.Version}}
}

// change changes what is wanted of the job, on the disk first.
func (m *managed) change(f func(rec *record)) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	was := m.rec
	m.mu.Unlock()
	rec := was
	if f(&rec); rec == was {
		return nil
	}
	if err := m.s.store.saveRecord(rec); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rec = rec
	return nil
}

// view is the job for people and programs.
func (m *managed) view() JobView {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.stats()
	v := JobView{Name: m.name, Kind: m.kind, Version: m.rec.Version, Desired: m.rec.Desired, State: st.State, Since: st.Since,
		Reason: m.s.Scrub(st.Reason), Path: m.rec.Path, Epoch: st.Epoch, Inputs: []string{}, Outputs: []string{}, Diagnostics: m.warnings}
	for _, in := range st.Inputs {
		v.Inputs = append(v.Inputs, in.Name)
		v.Events += in.Events
	}
	for _, out := range st.Outputs {
		v.Outputs = append(v.Outputs, out.Name)
		v.Rows += out.Rows
	}
	for _, n := range st.Dead {
		v.DeadLetters += n
	}
	if r := m.run; r != nil {
		v.Started, v.Restarts, v.NextRestart = r.started, r.restarts, r.next
	}
	if len(m.refused) > 0 {
		v.Error, v.Diagnostics = m.s.Scrub(m.refused.Error()), m.s.secrets.findings(m.refused)
	}
	return v
}

// stats are what is known of the job; mu is held.
func (m *managed) stats() job.Stats {
	r := m.run
	switch {
	case r == nil:
		return m.last
	case r.live != nil:
		return r.live.Stats()
	}
	st := m.last
	st.State, st.Reason = job.Starting, r.reason
	switch {
	case m.rec.Desired == Stop:
		st.State, st.Reason = job.Stopping, ""
	case r.reason != "":
		st.State = job.Failed
	}
	return st
}

// live gives the runner of a running job and its assembly.
func (m *managed) live(what string) (*job.Live, *Assembly, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil || m.run.live == nil {
		return nil, nil, &NotRunningError{m.name, what}
	}
	return m.run.live, m.run.assembly, nil
}

// open makes a runner for what the record says.
func (m *managed) open(rec record) (*job.Live, *Assembly, error) {
	a, err := m.assemble(rec.Version)
	if err == nil { // where relative paths of a job that was sent lead
		err = m.s.store.fs.MkdirAll(path.Join(dirOf(m.name), "home"))
	}
	if err != nil {
		return nil, nil, err
	}
	state, err := m.stateDir()
	if err != nil {
		return nil, nil, err
	}
	live, err := job.OpenLive(m.s.ctx, state, m.s.spec(a, rec, rec.Version))
	if err != nil {
		return nil, nil, m.stateError(err)
	}
	return live, a, nil
}

// stateDir is the state directory of the job: one for its life, for each is an open file.
func (m *managed) stateDir() (disk.FS, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	if m.state == nil {
		m.state, err = m.s.store.fs.Sub(path.Join(dirOf(m.name), "state"))
	}
	return m.state, err
}

// assemble loads and compiles a version that is kept.
func (m *managed) assemble(version int) (*Assembly, error) {
	v, err := m.s.store.version(m.name, version)
	if err != nil {
		return nil, fmt.Errorf("version %d of the job cannot be read: %w", version, err)
	}
	return m.s.load(m.name, v)
}

// stateError gives the runner's refusal to go on with a state in the words of the service.
func (m *managed) stateError(err error) error {
	if e, ok := errors.AsType[*job.StateError](err); ok {
		return &StateError{m.name, e.Steps, e.Reason}
	}
	return err
}

// launch starts the goroutine that keeps the job running. live, if set, has been opened; else
// the goroutine opens it. op is held.
func (m *managed) launch(live *job.Live, a *Assembly) {
	ctx, cancel := context.WithCancel(m.s.ctx)
	r := &running{cancel: cancel, done: make(chan struct{}), rows: map[string]*rowRing{}, live: live, assembly: a}
	m.mu.Lock()
	r.version = m.rec.Version
	m.run = r
	m.mu.Unlock()
	m.s.work.Go(func() {
		defer close(r.done)
		defer cancel()
		m.supervise(ctx, r, live, a)
	})
}

// calm is how long a job must have run for its earlier failures to be forgotten.
const calm = time.Minute

// supervise runs the job until it is stopped, is done, or fails in a way that no start heals.
func (m *managed) supervise(ctx context.Context, r *running, live *job.Live, a *Assembly) {
	failures := 0
	for {
		began := m.s.now()
		var err error
		if live == nil {
			m.mu.Lock()
			rec := m.rec
			m.mu.Unlock()
			live, a, err = m.open(rec)
		}
		if err == nil {
			err = m.attempt(ctx, r, live, a)
			live = nil
		}
		switch {
		case ctx.Err() != nil || err == nil:
			m.end(r, "")
			return
		case m.adopt(r, err):
			continue
		case !restartable(err):
			m.end(r, err.Error())
			m.s.note(Event{Job: m.name, Version: r.version, Kind: "failed", Text: err.Error()}, slog.LevelError)
			return
		}
		if m.s.now().Sub(began) > calm {
			failures = 0
		}
		failures++
		pause := m.s.o.Backoff(failures)
		m.mu.Lock()
		r.next, r.reason = m.s.now().Add(pause), err.Error()
		r.restarts++
		m.mu.Unlock()
		m.s.note(Event{Job: m.name, Version: r.version, Kind: "restarting", Text: fmt.Sprintf("in %s, after: %v", pause, err)}, slog.LevelWarn)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
		m.mu.Lock()
		r.next = time.Time{}
		m.mu.Unlock()
	}
}

// adopt takes the version behind the one in the record, once, if the state is not of the latter:
// a crash between a reload and the record of it leaves it so.
func (m *managed) adopt(r *running, err error) bool {
	var state *StateError
	if !errors.As(err, &state) || r.adopted {
		return false
	}
	m.mu.Lock()
	rec := m.rec
	m.mu.Unlock()
	v, missing := m.s.store.version(m.name, rec.Last+1)
	if missing != nil || m.change(func(rec *record) { rec.Version, rec.Last = v.Version, v.Version }) != nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kind = v.Kind
	r.version, r.adopted = v.Version, true
	return true
}

// restartable reports whether a job that failed may do better the next time: the outside has
// failed, not the query, the data or the settings.
func restartable(err error) bool {
	var q *exec.QueryError
	var state *StateError
	var invalid *InvalidError
	switch {
	case errors.As(err, &q), errors.As(err, &state), errors.As(err, &invalid):
		return false
	case connect.IsPermanent(err), errors.Is(err, disk.ErrLocked), errors.Is(err, connect.ErrGone):
		return false
	}
	return true
}

// attempt runs an opened runner to its end and keeps what it has done.
func (m *managed) attempt(ctx context.Context, r *running, live *job.Live, a *Assembly) error {
	m.mu.Lock()
	r.live, r.assembly, r.started, r.reason = live, a, m.s.now().UTC(), ""
	m.warnings = a.Warnings
	from := m.rec.Start
	if m.rec.Ran > 0 && !m.rec.Discard {
		from = job.StartLast // a job with state goes on where it was
	}
	m.mu.Unlock()
	// What was to be forgotten has been, and the state is of this version from now on.
	if err := m.change(func(rec *record) { rec.Discard, rec.Ran = false, r.version }); err != nil {
		return errors.Join(err, live.Close())
	}
	m.s.note(Event{Job: m.name, Version: r.version, Kind: "started", Text: "from " + string(from)}, slog.LevelInfo)
	watching, stop := context.WithCancel(context.Background())
	m.mu.Lock()
	r.watching = watching
	m.mu.Unlock()
	m.watchRows(r)
	err := m.stateError(live.Run(ctx))
	stop()
	r.watch.Wait()
	st := live.Stats()
	m.mu.Lock()
	m.last, r.live = st, nil
	past := Past{Version: r.version, Started: r.started, Ended: m.s.now().UTC(), State: string(st.State), From: string(from)}
	m.mu.Unlock()
	if err != nil {
		past.State, past.Reason = string(job.Failed), m.s.Scrub(err.Error())
	}
	for _, in := range st.Inputs {
		past.Events += in.Events
	}
	for _, out := range st.Outputs {
		past.Rows += out.Rows
	}
	if e := m.s.store.addRun(m.name, past); e != nil {
		m.s.log.Warn("the history of a job cannot be written", "job", m.name, "error", e)
	}
	if err == nil {
		m.s.note(Event{Job: m.name, Version: r.version, Kind: string(st.State), Text: fmt.Sprintf("%d events, %d rows", past.Events, past.Rows)}, slog.LevelInfo)
	}
	return err
}

// end says that the job neither runs nor will be started again by itself.
func (m *managed) end(r *running, failure string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == r {
		m.run = nil
	}
	if failure != "" {
		m.last.State, m.last.Reason, m.last.Since = job.Failed, failure, m.s.now().UTC()
		m.last.Version = r.version
	} else if m.last.State != job.Completed {
		m.last.State = job.Stopped
	}
}

// halt stops the goroutine of the job, after a last checkpoint, and waits for it. op is held.
func (m *managed) halt(ctx context.Context) error {
	m.mu.Lock()
	r := m.run
	m.mu.Unlock()
	if r == nil {
		return nil
	}
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the job %q is still stopping: %w", m.name, ctx.Err())
	}
}
