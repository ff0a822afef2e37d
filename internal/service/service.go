package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/diag"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/udf"
)

// Options say how a service works.
type Options struct {
	// FS is the data directory, which the service owns.
	FS disk.FS
	// Env looks variables of job files up; nil means that there are none.
	Env func(name string) (string, bool)
	// Functions bounds user functions; zeros are the usual limits.
	Functions udf.Limits
	Log       *slog.Logger
	Now       func() time.Time // nil is the clock
	// Backoff is how long a job that failed waits before the n-th start in a row, from 1; nil
	// is a second, doubled with each up to a minute.
	Backoff func(n int) time.Duration
	// Context has values that connectors look for: the broker of hubs (connect/hub.With). Its
	// end means nothing. nil is none.
	Context context.Context
}

// Service runs the jobs of a data directory. Several goroutines may use it.
type Service struct {
	store  store
	o      Options
	log    *slog.Logger
	now    func() time.Time
	events *eventLog
	// secrets takes what jobs keep secret out of texts.
	secrets *Secrets
	lock    io.Closer
	ctx     context.Context // of the jobs; ended by Close
	cancel  context.CancelFunc
	work    sync.WaitGroup // everything that the service has started

	mu      sync.Mutex // guards what follows
	jobs    map[string]*managed
	staged  int
	taps    int // that are open
	resumed bool
	closed  bool
}

// Open takes a data directory. Another process that has it is an error that wraps
// disk.ErrLocked. No job runs before Resume.
func Open(o Options) (*Service, error) {
	lock, err := o.FS.Lock(lockFile)
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("the data directory %s is in use: another weir serves it: %w", o.FS.Path("."), err)
	}
	if err != nil {
		return nil, err
	}
	s := &Service{store: store{o.FS}, o: o, log: o.Log, now: o.Now, events: newEventLog(), secrets: &Secrets{}, lock: lock, jobs: map[string]*managed{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.secrets.Log(s.log)
	if s.now == nil {
		s.now = time.Now
	}
	if s.o.Env == nil {
		s.o.Env = func(string) (string, bool) { return "", false }
	}
	if s.o.Backoff == nil {
		s.o.Backoff = func(n int) time.Duration { return min(time.Second<<min(n-1, 6), time.Minute) }
	}
	if o.Context == nil {
		o.Context = context.Background()
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(o.Context))
	if err := s.read(); err != nil {
		s.cancel()
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// read finds the jobs in the data directory and removes what a crash has left.
func (s *Service) read() error {
	if err := removeAll(s.store.fs, stagingDir); err != nil {
		return err
	}
	names, err := s.store.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		rec, err := s.store.record(name)
		if err != nil {
			// A directory without record is a deployment, or a removal, that a crash cut off.
			s.log.Warn("a job cannot be read and is left alone", "job", name, "error", err)
			continue
		}
		m := newManaged(s, rec)
		if v, err := s.store.version(name, rec.Version); err == nil {
			m.kind = v.Kind
		}
		s.jobs[name] = m
	}
	return nil
}

// Resume starts the jobs that are wanted running. A job that cannot be started is tried again
// if that may help, and says why in its view.
func (s *Service) Resume() {
	s.mu.Lock()
	s.resumed = true
	jobs := slices.Collect(maps.Values(s.jobs))
	s.mu.Unlock()
	s.work.Go(s.sample)
	for _, m := range jobs {
		m.op.Lock()
		m.mu.Lock()
		wanted := m.rec.Desired == Run
		m.mu.Unlock()
		if wanted {
			m.launch(nil, nil)
		}
		m.op.Unlock()
	}
}

// Close stops the jobs, each after a last checkpoint, and frees the data directory. What is
// wanted of the jobs stays: the next service goes on with them.
func (s *Service) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	return s.lock.Close()
}

// find gives a job by its name.
func (s *Service) find(name string) (*managed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	m, ok := s.jobs[name]
	if !ok {
		hint := ""
		if near, ok := diag.Nearest(name, slices.Sorted(maps.Keys(s.jobs))); ok {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return nil, fmt.Errorf("%w as %q%s", ErrNoJob, name, hint)
	}
	return m, nil
}

// all are the jobs in the order of their names.
func (s *Service) all() []*managed {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*managed
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		list = append(list, s.jobs[name])
	}
	return list
}

// Jobs are all jobs in the order of their names.
func (s *Service) Jobs() []JobView {
	out := []JobView{}
	for _, m := range s.all() {
		out = append(out, m.view())
	}
	return out
}

// Job is a job.
func (s *Service) Job(name string) (JobView, error) {
	m, err := s.find(name)
	if err != nil {
		return JobView{}, err
	}
	return m.view(), nil
}

// Versions are the versions of a job, newest first.
func (s *Service) Versions(name string) ([]Version, error) {
	m, err := s.find(name)
	if err != nil {
		return nil, err
	}
	list, err := s.store.versions(m.name)
	slices.Reverse(list)
	return list, err
}

// VersionFiles is a version with its files.
func (s *Service) VersionFiles(name string, n int) (Version, Bundle, error) {
	m, err := s.find(name)
	if err != nil {
		return Version{}, nil, err
	}
	v, err := s.store.version(m.name, n)
	if err != nil {
		return v, nil, fmt.Errorf("%w: job %q has no version %d", ErrNoJob, name, n)
	}
	b, err := s.store.bundle(m.name, v)
	return v, b, err
}

// History is the runs of a job that have ended, newest first.
func (s *Service) History(name string) ([]Past, error) {
	m, err := s.find(name)
	if err != nil {
		return nil, err
	}
	list := s.store.runs(m.name)
	slices.Reverse(list)
	return list, nil
}

// note puts an event into the audit log and the log.
func (s *Service) note(e Event, level slog.Level, args ...any) {
	e.Time, e.Text = s.now().UTC(), s.Scrub(e.Text)
	s.events.add(e)
	args = append([]any{"job", e.Job, "version", e.Version}, args...)
	s.log.Log(context.Background(), level, e.Kind+": "+e.Text, args...)
}

// load reads a version of a job and compiles it.
func (s *Service) load(name string, v Version) (*Assembly, error) {
	if len(v.Files) == 0 {
		return s.compiled(name, place{root: v.Path})
	}
	return s.compiled(name, s.placeOf(name, v, path.Join(versionDir(name, v.Version), "files")))
}

// place is where a job is read from. For a copy of its files, home is where its relative paths
// lead, and from where the user has the files, "" if they were sent.
type place struct{ root, main, home, from string }

// placeOf is the place of a copy of a version's files in the data directory. Jobs that were
// sent have a directory of their own for what they write.
func (s *Service) placeOf(name string, v Version, copied string) place {
	at := place{root: s.store.fs.Path(copied), main: v.Main}
	if v.Path != "" {
		at.from = homeOf(v.Path)
		at.home = at.from
		return at
	}
	at.home = s.store.fs.Path(path.Join(dirOf(name), "home"))
	return at
}

// compiled reads a job and compiles it. What is wrong with it is an InvalidError.
func (s *Service) compiled(name string, at place) (*Assembly, error) {
	var a *Assembly
	j, err := s.loadFrom(at.root, at.main, at.home)
	if err == nil {
		a, err = Assemble(s.ctx, j, AssembleOptions{Functions: s.o.Functions})
	}
	told := func(l Findings) Findings {
		if at.home == "" {
			return l
		}
		return shown(l, at.root, at.from)
	}
	if err != nil {
		return nil, &InvalidError{name, told(loadFindings(err))}
	}
	a.Warnings = told(a.Warnings)
	return a, nil
}

// loadFrom reads a job. home is where its data is, if its files are a copy.
func (s *Service) loadFrom(root, main, home string) (*project.Job, error) {
	j, err := project.Load(filepath.Join(root, filepath.FromSlash(main)), project.Options{Env: s.o.Env, Home: home})
	if err == nil {
		s.secrets.Learn(j)
	}
	return j, err
}

// shown makes the files of findings what the user calls them: root is where a copy of them
// lies, and home where they come from, "" if they were sent.
func shown(l Findings, root, home string) Findings {
	names := []string{root}
	if wd, err := os.Getwd(); err == nil { // messages name files from there if they are below
		if rel, err := filepath.Rel(wd, root); err == nil {
			names = append(names, rel)
		}
	}
	prefix, whole := "", "."
	if home != "" {
		prefix, whole = home+string(filepath.Separator), home
	}
	var pairs []string
	for _, n := range names {
		pairs = append(pairs, n+string(filepath.Separator), prefix)
	}
	for _, n := range names {
		pairs = append(pairs, n, whole)
	}
	replace := strings.NewReplacer(pairs...)
	out := slices.Clone(l)
	for i := range out {
		f := &out[i]
		f.File, f.Text, f.Message, f.Hint = replace.Replace(f.File), replace.Replace(f.Text), replace.Replace(f.Message), replace.Replace(f.Hint)
	}
	return out
}

// spec completes the specification of a version.
func (s *Service) spec(a *Assembly, rec record, version int) job.LiveSpec {
	spec := a.Spec
	spec.Name, spec.Version = rec.Name, version
	spec.Start, spec.StartAt, spec.DiscardState = rec.Start, rec.At, rec.Discard
	spec.Log = s.log // the runner says which job and version
	spec.Now = s.now
	return spec
}
