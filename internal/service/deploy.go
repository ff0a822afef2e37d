package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"weir/internal/connect"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/project"
)

// Deployment is a job to be put into force: its files, or where it lies.
type Deployment struct {
	Files  Bundle
	Path   string // a directory or file of this machine, absolute
	By     string // who does it, for people
	DryRun bool   // only say what would happen
	// Discard starts steps empty whose state cannot be kept.
	Discard bool
	// Start starts the job, if it does not run. StartOptions say from where if it has no state.
	Start bool
	StartOptions
	// Match, if set, is the ETag that the job must have; "*" says that it must exist, and
	// None that it must not.
	Match string
	None  bool

	from *Version // of a rollback: the version that it takes up again
	// unlessSeen does nothing if the files were deployed, or rolled back from, before.
	unlessSeen bool
}

// Deployed is what a deployment has done.
type Deployed struct {
	Job         JobView      `json:"job"`
	Version     int          `json:"version"`
	Changed     bool         `json:"changed" doc:"False if the job was so already, and nothing was done."`
	Created     bool         `json:"created" doc:"The job is new."`
	Reload      string       `json:"reload" enum:"hot,none" doc:"Hot: the running job went over to the new version."`
	Steps       []StepChange `json:"steps" doc:"What becomes of the state of the job."`
	Diagnostics []Finding    `json:"diagnostics" doc:"Warnings."`
}

// StepChange is what becomes of the state of a step.
type StepChange struct {
	Step   string `json:"step"`
	Change string `json:"change" enum:"kept,new,gone,lost" doc:"Lost: it begins empty although it had state."`
	Line   int    `json:"line"`
	Text   string `json:"text" doc:"The whole, for people."`
}

// Deploy puts a job into force: it is loaded, compiled and kept as the next version; a job
// that runs goes over to it. A job that is wrong changes nothing.
func (s *Service) Deploy(ctx context.Context, name string, d Deployment) (Deployed, error) {
	if !ValidName(name) {
		return Deployed{}, &InvalidError{name, Findings{{Severity: "error", Message: fmt.Sprintf("%q cannot be the name of a job", name),
			Hint: "use letters in lower case, digits and dashes, at most 63: " + strconv.Quote(NameOf(name))}}}
	}
	m, created, err := s.claim(name)
	if err != nil {
		return Deployed{}, err
	}
	defer m.op.Unlock()
	out, err := m.deploy(ctx, d, created)
	if created && (err != nil || d.DryRun) {
		s.mu.Lock()
		delete(s.jobs, name)
		s.mu.Unlock()
	}
	var invalid *InvalidError
	if errors.As(err, &invalid) && !d.DryRun {
		s.note(Event{Job: name, Version: m.rec.Version, Kind: "refused", Text: invalid.Found.brief()}, slog.LevelWarn)
	}
	return out, err
}

// claim gives a job, with op held; a new one if there is none of the name.
func (s *Service) claim(name string) (m *managed, created bool, err error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, false, ErrClosed
		}
		m, ok := s.jobs[name]
		if !ok {
			m = newManaged(s, record{Name: name, Desired: Stop, Start: job.StartNow})
			m.op.Lock()
			s.jobs[name] = m
			s.mu.Unlock()
			return m, true, nil
		}
		s.mu.Unlock()
		m.op.Lock()
		s.mu.Lock()
		same := s.jobs[name] == m
		s.mu.Unlock()
		if same {
			return m, false, nil
		}
		m.op.Unlock() // it was deleted while we waited
	}
}

// candidate is a job that has been read and can run.
type candidate struct {
	version  Version
	bundle   Bundle
	assembly *Assembly
}

// deploy does the work of Deploy; op is held.
func (m *managed) deploy(ctx context.Context, d Deployment, created bool) (Deployed, error) {
	m.mu.Lock()
	rec := m.rec
	m.mu.Unlock()
	if err := d.matches(rec, created); err != nil {
		return Deployed{}, err
	}
	if err := d.check(); err != nil {
		return Deployed{}, &InvalidError{m.name, loadFindings(err)}
	}
	c, err := m.candidate(d)
	if err != nil {
		return Deployed{}, err
	}
	out := Deployed{Version: rec.Version, Created: created, Reload: "none", Steps: []StepChange{}, Diagnostics: c.assembly.Warnings}
	if out.Diagnostics == nil {
		out.Diagnostics = []Finding{}
	}
	current, err := m.s.store.version(m.name, rec.Version)
	out.Changed = created || err != nil || current.Hash != c.version.Hash || current.Path != c.version.Path
	if d.unlessSeen && rec.Seen == c.version.Hash {
		out.Changed = false // somebody has rolled back from these files: that stays until they change
	}
	if out.Changed && !created {
		if out.Steps, err = m.fates(rec, c.assembly, d.Discard); err != nil {
			return Deployed{}, err
		}
	}
	if !d.DryRun && out.Changed {
		if err := m.install(ctx, d, c, created, &out); err != nil {
			return Deployed{}, err
		}
	}
	m.mu.Lock()
	m.refused = nil
	m.mu.Unlock()
	if d.Start && !d.DryRun {
		if err := m.startDeployed(ctx, d); err != nil {
			return Deployed{}, err
		}
	}
	out.Job = m.view()
	return out, nil
}

// startDeployed starts the job if it does not run. One that has state goes on where it was: the
// same deployment again and again is no start from the beginning.
func (m *managed) startDeployed(ctx context.Context, d Deployment) error {
	m.mu.Lock()
	busy := m.run != nil
	m.mu.Unlock()
	o := d.StartOptions
	switch {
	case busy:
		return nil
	case m.s.hasState(m.name) && !d.Discard:
		o = StartOptions{}
	}
	o.Discard = o.Discard || d.Discard
	return m.start(ctx, o)
}

// ETag is the entity tag of a job: its version and what is wanted of it.
func (v JobView) ETag() string { return fmt.Sprintf(`"%d-%s"`, v.Version, v.Desired) }

// matches checks the conditions of the deployment.
func (d Deployment) matches(rec record, created bool) error {
	have := JobView{Version: rec.Version, Desired: rec.Desired}.ETag()
	switch {
	case d.None && !created:
		return fmt.Errorf("%w: there is a job %q already", ErrPrecondition, rec.Name)
	case d.Match != "" && created:
		return fmt.Errorf("%w: there is no job %q", ErrPrecondition, rec.Name)
	case d.Match != "" && d.Match != "*" && d.Match != have:
		return fmt.Errorf("%w: its ETag is %s, not %s", ErrPrecondition, have, d.Match)
	}
	return nil
}

// fates tells what becomes of the state of the job in a new version, and refuses to lose some
// unless that is wanted. A job that never ran has none.
func (m *managed) fates(rec record, a *Assembly, discard bool) ([]StepChange, error) {
	steps := []StepChange{}
	if !m.s.hasState(m.name) || rec.Discard {
		return steps, nil
	}
	m.mu.Lock()
	var before *Assembly
	if m.run != nil {
		before = m.run.assembly
	}
	m.mu.Unlock()
	if before == nil {
		var err error
		if before, err = m.assemble(max(rec.Ran, 1)); err != nil {
			return steps, nil // the runner will say whether it can go on with the state
		}
	}
	lost := &StateError{Job: m.name}
	var reasons []string
	for _, c := range plan.Diff(before.Spec.Plan, a.Spec.Plan) {
		fate := map[plan.Fate]string{plan.Same: "kept", plan.New: "new", plan.Gone: "gone", plan.Lost: "lost"}[c.Fate]
		steps = append(steps, StepChange{c.Step, fate, c.Line, c.String()})
		if c.Fate == plan.Lost {
			lost.Steps, reasons = append(lost.Steps, c.Step), append(reasons, c.String())
		}
	}
	if len(reasons) > 0 && !discard {
		lost.Reason = strings.Join(reasons, "; ")
		return nil, lost
	}
	return steps, nil
}

// install keeps a candidate as the next version and puts it into force.
func (m *managed) install(ctx context.Context, d Deployment, c *candidate, created bool, out *Deployed) error {
	s := m.s
	m.mu.Lock()
	rec := m.rec
	m.mu.Unlock()
	if created { // what a crash left of a job that was removed
		if err := removeAll(s.store.fs, dirOf(m.name)); err != nil {
			return err
		}
		rec.Created = s.now().UTC()
	}
	v := c.version
	v.Version, v.Created, v.By = rec.Last+1, s.now().UTC(), d.By
	if err := s.store.saveVersion(m.name, v, c.bundle); err != nil {
		return errors.Join(fmt.Errorf("the job %q cannot be kept: %w", m.name, err), removeAll(s.store.fs, versionDir(m.name, v.Version)))
	}
	next := rec
	next.Version, next.Last, next.Path = v.Version, v.Version, v.Path
	if d.from == nil {
		next.Seen = v.Hash
	}
	kind := "deployed"
	a, err := m.assemble(v.Version) // with the paths that it has from now on
	if err != nil {
		return errors.Join(err, removeAll(s.store.fs, versionDir(m.name, v.Version)))
	}
	if live, _, off := m.live(""); off == nil {
		kind, next.Ran = "reloaded", v.Version
		switch err := m.reload(ctx, live, a, next, d.Discard, out); {
		case err != nil && ctx.Err() != nil: // it may yet happen: the version is kept for that, see adopt
			return err
		case err != nil:
			return errors.Join(err, removeAll(s.store.fs, versionDir(m.name, v.Version)))
		}
	} else if d.Discard {
		next.Discard = true
	}
	if err := m.change(func(r *record) { *r = next }); err != nil {
		return err
	}
	m.mu.Lock()
	m.kind, m.warnings = v.Kind, c.assembly.Warnings
	if m.run == nil {
		m.last.Version = next.Version
	}
	waits := m.run != nil && m.run.live == nil
	// A job that was given up is wanted all the same: the new version may do better.
	failed := m.run == nil && m.last.State == job.Failed && next.Desired == Run
	m.mu.Unlock()
	out.Version = v.Version
	s.note(Event{Job: m.name, Version: v.Version, Kind: kind, Text: "by " + d.By}, slog.LevelInfo)
	if waits { // to be started again after a failure: the new version need not wait
		if err := m.halt(ctx); err != nil {
			return err
		}
	}
	if waits || failed && !d.Start {
		m.launch(nil, nil)
	}
	return nil
}

// reload takes a running job over to a new version.
func (m *managed) reload(ctx context.Context, live *job.Live, a *Assembly, next record, discard bool, out *Deployed) error {
	spec := m.s.spec(a, next, next.Version)
	spec.DiscardState = false // of all; what cannot be kept is said below
	_, err := live.Reload(ctx, spec, job.ReloadOptions{DiscardState: discard})
	if err != nil {
		return m.stateError(err)
	}
	out.Reload = "hot"
	m.mu.Lock()
	r := m.run
	if r != nil {
		r.assembly, r.version = a, next.Version
	}
	m.mu.Unlock()
	if r != nil {
		m.watchRows(r)
	}
	return nil
}

// candidate reads and compiles what is to be deployed. Files that were sent lie in a staging
// directory meanwhile.
func (m *managed) candidate(d Deployment) (*candidate, error) {
	if d.from != nil {
		return m.again(*d.from)
	}
	if d.Path != "" {
		return m.lying(d.Path)
	}
	if err := d.Files.check(); err != nil {
		return nil, &InvalidError{m.name, loadFindings(err)}
	}
	return m.sent(Version{Main: d.Files.main(), Hash: d.Files.hash(), Files: d.Files.names()}, d.Files)
}

// sent reads a job of files that have no place of their own.
func (m *managed) sent(v Version, b Bundle) (*candidate, error) {
	s := m.s
	s.mu.Lock()
	s.staged++
	dir := path.Join(stagingDir, strconv.Itoa(s.staged))
	s.mu.Unlock()
	defer removeAll(s.store.fs, dir)
	if err := s.store.saveFiles(dir, b); err != nil {
		return nil, err
	}
	at := s.placeOf(m.name, v, dir)
	if v.Path == "" {
		if err := noLiteralSecrets(at.root, at.main, b); err != nil {
			return nil, &InvalidError{m.name, shown(loadFindings(err), at.root, "")}
		}
	}
	a, err := s.compiled(m.name, at)
	if err != nil {
		return nil, err
	}
	if l := openSecrets(a.Job); len(l) > 0 && v.Path == "" {
		return nil, &InvalidError{m.name, shown(l, at.root, "")}
	}
	v.Kind = string(a.Job.Kind)
	return &candidate{v, b, a}, nil
}

// lying reads a job that lies on this machine.
func (m *managed) lying(lies string) (*candidate, error) {
	s := m.s
	if !filepath.IsAbs(lies) {
		return nil, &InvalidError{m.name, Findings{{Severity: "error", Message: fmt.Sprintf("the path %q is not absolute", lies)}}}
	}
	a, err := s.compiled(m.name, place{root: lies})
	if err != nil {
		return nil, err
	}
	j := a.Job
	c := &candidate{Version{Path: lies, Kind: string(j.Kind), Main: "."}, nil, a}
	b, main, err := snapshot(j, lies)
	if err != nil {
		c.version.Note = "its files are not kept: " + err.Error()
		c.version.Hash = Bundle{"query": j.Query}.hash()
		return c, nil
	}
	c.version.Main, c.version.Hash = main, b.hash()
	if err := noLiteralSecrets(lies, "", b); err != nil || len(j.Secrets) > 0 {
		c.version.Note = "its files are not kept: a secret stands in them"
		return c, nil
	}
	c.version.Files, c.bundle = b.names(), b
	return c, nil
}

// again takes an older version up.
func (m *managed) again(v Version) (*candidate, error) {
	if len(v.Files) == 0 {
		return nil, &InvalidError{m.name, Findings{{Severity: "error",
			Message: fmt.Sprintf("version %d cannot be taken up again: %s", v.Version, v.Note)}}}
	}
	b, err := m.s.store.bundle(m.name, v)
	if err != nil {
		return nil, err
	}
	return m.sent(v, b)
}

// Rollback puts an older version into force again, as a new version. 0 is the one before.
func (s *Service) Rollback(ctx context.Context, name string, version int, discard bool) (Deployed, error) {
	m, err := s.find(name)
	if err != nil {
		return Deployed{}, err
	}
	m.op.Lock()
	defer m.op.Unlock()
	m.mu.Lock()
	current := m.rec.Version
	m.mu.Unlock()
	if version == 0 {
		if version, err = m.before(current); err != nil {
			return Deployed{}, err
		}
	}
	v, err := s.store.version(name, version)
	if err != nil {
		return Deployed{}, fmt.Errorf("%w: job %q has no version %d", ErrNoJob, name, version)
	}
	return m.deploy(ctx, Deployment{By: fmt.Sprintf("rollback to %d", version), Discard: discard, from: &v}, false)
}

// before is the newest version that differs from the one in force and is older.
func (m *managed) before(current int) (int, error) {
	list, err := m.s.store.versions(m.name)
	if err != nil {
		return 0, err
	}
	hash := ""
	for _, v := range list {
		if v.Version == current {
			hash = v.Hash
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		if v := list[i]; v.Version < current && v.Hash != hash {
			return v.Version, nil
		}
	}
	return 0, fmt.Errorf("%w: job %q has no version before %d", ErrNoJob, m.name, current)
}

// Reload reads the files of a job that lies on this machine again.
func (s *Service) Reload(ctx context.Context, name string, discard bool) (Deployed, error) {
	m, err := s.find(name)
	if err != nil {
		return Deployed{}, err
	}
	m.mu.Lock()
	place := m.rec.Path
	m.mu.Unlock()
	if place == "" {
		return Deployed{}, &InvalidError{name, Findings{{Severity: "error", Message: fmt.Sprintf("the job %q was sent and lies nowhere; deploy it again", name)}}}
	}
	return s.Deploy(ctx, name, Deployment{Path: place, By: "reload", Discard: discard})
}

// openSecrets refuses the places where secrets stand in the files of a job.
func openSecrets(j *project.Job) Findings {
	var l Findings
	for _, at := range j.Secrets {
		l.refuse(at, "write ${env:NAME} and set the variable for the service, or ${file:PATH}; in files of Azure leave it empty, and give it in weir.overlay.yaml",
			"a secret stands in the file; secrets are never kept")
	}
	return l
}

// noLiteralSecrets refuses files in which a secret stands: the data directory keeps files, and
// no secret is to be in it.
func noLiteralSecrets(root, main string, b Bundle) error {
	j, err := project.Load(filepath.Join(root, filepath.FromSlash(main)), project.Options{KeepReferences: true})
	if err != nil {
		return nil // it loads with its variables only, so they are used
	}
	var l Findings
	look := func(what, name string, at project.Place, c connect.Config) {
		for field, v := range c.Values {
			h, ok := v.(connect.Hidden)
			if !ok || h.Expose() == "" || strings.Contains(h.Expose(), "${") {
				continue
			}
			for _, text := range b {
				if strings.Contains(text, h.Expose()) {
					l.refuse(at, fmt.Sprintf("write %s: ${env:NAME} and set the variable for the service, or ${file:PATH}", field),
						"the secret %q of %s %q stands in the file; secrets are never kept", field, what, name)
					break
				}
			}
		}
	}
	for _, in := range j.Inputs {
		look("input", in.Name, in.Place, in.Config)
	}
	for _, out := range j.Outputs {
		look("output", out.Name, out.Place, out.Config)
	}
	return l.Err()
}
