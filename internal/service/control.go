package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"weir/internal/job"
)

// StartOptions say where a job starts. The zero value goes on where the job was, and a job
// that never ran starts now.
type StartOptions struct {
	From    job.StartMode
	At      time.Time
	Discard bool // begin anew although there is state
}

// check finds what is wrong with the options.
func (o StartOptions) check() error {
	var l Findings
	switch o.From {
	case "", job.StartNow, job.StartLast, job.StartBeginning:
		if !o.At.IsZero() {
			l = append(l, Finding{Severity: "error", Message: `a time goes with from "time" only`})
		}
	case job.StartTime:
		if o.At.IsZero() {
			l = append(l, Finding{Severity: "error", Message: `from "time" needs the time: at "2026-01-31T12:00:00Z"`})
		}
	default:
		l = append(l, Finding{Severity: "error", Message: fmt.Sprintf("%q is no place to start from; write now, last, beginning or a time", o.From)})
	}
	return l.Err()
}

// apply puts the options into a record. state tells whether the job has state.
func (o StartOptions) apply(rec *record, state bool) error {
	if err := o.check(); err != nil {
		return &InvalidError{rec.Name, loadFindings(err)}
	}
	if o.Discard {
		rec.Discard = true
	}
	if o.From == "" || o.From == job.StartLast && state {
		return nil
	}
	if state && !rec.Discard {
		return &StateError{Job: rec.Name, Reason: fmt.Sprintf("the job goes on where it was, and to start from %q it has to forget that", o.From)}
	}
	rec.Start, rec.At = o.From, o.At
	return nil
}

// hasState reports whether a job has ever run.
func (s *Service) hasState(name string) bool {
	list, err := s.store.fs.ReadDir(path.Join(dirOf(name), "state"))
	return err == nil && len(list) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// Start starts a job. One that runs already goes on.
func (s *Service) Start(ctx context.Context, name string, o StartOptions) (JobView, error) {
	m, err := s.find(name)
	if err != nil {
		return JobView{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.start(ctx, o); err != nil {
		return JobView{}, err
	}
	return m.view(), nil
}

// start starts the job; op is held.
func (m *managed) start(ctx context.Context, o StartOptions) error {
	m.mu.Lock()
	rec, busy, waits := m.rec, m.run != nil, m.run != nil && !m.run.next.IsZero()
	m.mu.Unlock()
	if busy && !waits {
		if o.From != "" && o.From != job.StartLast || o.Discard {
			return fmt.Errorf("%w: the job %q runs; stop it to start it elsewhere", ErrConflict, m.name)
		}
		return nil
	}
	if err := o.apply(&rec, m.s.hasState(m.name)); err != nil {
		return err
	}
	if waits {
		if err := m.halt(ctx); err != nil {
			return err
		}
	}
	live, a, err := m.open(rec)
	if err != nil {
		return err
	}
	rec.Desired = Run
	if err := m.change(func(r *record) { *r = rec }); err != nil {
		return errors.Join(err, live.Close())
	}
	m.launch(live, a)
	return nil
}

// Stop stops a job after a last checkpoint, and keeps it stopped.
func (s *Service) Stop(ctx context.Context, name string) (JobView, error) {
	m, err := s.find(name)
	if err != nil {
		return JobView{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.change(func(rec *record) { rec.Desired = Stop }); err != nil {
		return JobView{}, err
	}
	if err := m.halt(ctx); err != nil {
		return JobView{}, err
	}
	return m.view(), nil
}

// Checkpoint makes a checkpoint of a running job now.
func (s *Service) Checkpoint(ctx context.Context, name string) (CheckpointView, int64, error) {
	m, err := s.find(name)
	if err != nil {
		return CheckpointView{}, 0, err
	}
	live, _, err := m.live("checkpoint")
	if err != nil {
		return CheckpointView{}, 0, err
	}
	if err := live.Checkpoint(ctx); err != nil {
		return CheckpointView{}, 0, err
	}
	st := live.Stats()
	v := viewStats(st, s.now(), st, s.now())
	s.note(Event{Job: name, Version: st.Version, Kind: "checkpoint", Text: fmt.Sprintf("epoch %d", st.Epoch)}, slog.LevelInfo)
	return v.Checkpoint, st.Epoch, nil
}

// Delete stops a job and removes it with its state and versions.
func (s *Service) Delete(ctx context.Context, name string) error {
	m, err := s.find(name)
	if err != nil {
		return err
	}
	m.op.Lock()
	defer m.op.Unlock()
	if err := m.halt(ctx); err != nil {
		return err
	}
	// Without its record a directory is no job, whatever else a crash leaves of it.
	if err := s.store.fs.Remove(path.Join(dirOf(name), recordFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.store.fs.SyncDir(dirOf(name)); err != nil {
		return err
	}
	m.mu.Lock()
	version := m.rec.Version
	m.mu.Unlock()
	s.mu.Lock()
	delete(s.jobs, name)
	s.mu.Unlock()
	s.note(Event{Job: name, Version: version, Kind: "deleted", Text: "with its state"}, slog.LevelInfo)
	return removeAll(s.store.fs, dirOf(name))
}
