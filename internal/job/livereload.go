package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir/internal/exec"
	"weir/internal/plan"
)

// ErrNotRunning is the error of asking something of a job whose Run has not begun or has
// ended.
var ErrNotRunning = errors.New("the job is not running")

// ReloadOptions say how Reload treats what has changed.
type ReloadOptions struct {
	// DiscardState starts the steps empty whose state cannot be kept; else Reload is refused.
	DiscardState bool
}

// ReloadReport tells what a reload has kept.
type ReloadReport struct {
	Kept    []string // steps that go on with their state
	New     []string // steps that start empty
	Dropped []string // steps that are gone, with their state
	Inputs  []string // inputs that start, the others go on where they were
	Outputs []string // outputs that were opened anew
	Epoch   int64    // the last epoch of the old version
}

// StateError is the error of a change that cannot keep the state of a step.
type StateError struct {
	Steps  []string
	Reason string
}

func (e *StateError) Error() string {
	return fmt.Sprintf("the state of %s cannot be kept: %s; --discard-state lets it begin empty", strings.Join(e.Steps, ", "), e.Reason)
}

// Reload goes over to another version of the job between two epochs, whole or not at all:
// after an error the old version runs on. Steps that have not changed keep their state, inputs
// of the same name their positions, outputs of the same name and ID their sinks. A *StateError
// names the steps that cannot keep their state.
func (l *Live) Reload(ctx context.Context, spec LiveSpec, o ReloadOptions) (ReloadReport, error) {
	if spec.Log == nil {
		spec.Log = l.log
	}
	if spec.Now == nil {
		spec.Now = l.now
	}
	if err := spec.complete(); err != nil {
		return ReloadReport{}, err
	}
	var report ReloadReport
	err := l.do(ctx, func() (err error) {
		report, err = l.reload(&spec, o)
		return err
	})
	return report, err
}

// successor is a version of a job while it is made, or one that has been replaced.
type successor struct {
	spec    *LiveSpec
	inputs  []*liveInput
	outputs []*liveOutput
	graph   *exec.Graph
	refs    []*liveReference
	opened  []*liveInput // whose sources are its own
	fresh   []*liveOutput
}

func (l *Live) reload(spec *LiveSpec, o ReloadOptions) (ReloadReport, error) {
	report := ReloadReport{Epoch: l.epoch}
	if err := l.await(); err != nil {
		return report, err
	}
	if len(l.redriven) > 0 { // they were asked for before, of this version
		if _, err := l.step(); err != nil {
			l.broken = err
			return report, err
		}
		report.Epoch = l.epoch
	}
	next := &successor{spec: spec}
	if err := l.succeed(next, &report, o); err != nil {
		next.discard()
		l.abandon(next.refs)
		return report, errors.Join(err, l.reopenInputs())
	}
	before := l.spec
	old := &successor{spec: &before, inputs: l.inputs, outputs: l.outputs, graph: l.graph, refs: l.references}
	l.use(next)
	if err := l.settle(old, next); err != nil {
		next.discard()
		l.abandon(next.refs)
		l.use(old)
		return report, errors.Join(err, l.undo(), l.reopenInputs(), l.reopen(old))
	}
	old.retire(next)
	l.abandon(old.refs)
	l.watchReferences()
	l.done = nil
	l.retarget()
	l.log.Info("another version of the job runs", "job", spec.Name, "version", spec.Version, "epoch", l.epoch)
	l.publish(true)
	return report, nil
}

// use makes a version the one that runs.
func (l *Live) use(v *successor) {
	l.spec, l.inputs, l.outputs, l.graph, l.references, l.steps = *v.spec, v.inputs, v.outputs, v.graph, v.refs, nil
	for i, out := range v.outputs { // one that stays may have another place
		out.index, out.spec = i, v.spec.Outputs[i]
	}
}

// discard frees what only this version has.
func (v *successor) discard() {
	for _, in := range v.opened {
		in.close()
	}
	for _, out := range v.fresh {
		out.close()
	}
}

// retire frees a version that has been replaced, apart from what the next one uses.
func (v *successor) retire(next *successor) {
	for _, in := range v.inputs {
		if in == nil {
			continue
		}
		if slices.ContainsFunc(next.inputs, func(n *liveInput) bool { return n != nil && n.source == in.source }) {
			in.source = nil
		}
		in.close()
	}
	for _, out := range v.outputs {
		if !slices.Contains(next.outputs, out) {
			out.close()
		}
	}
}

// succeed makes all of the next version. Of the one that runs it touches sources only, which
// have to make room for their successors.
func (l *Live) succeed(next *successor, report *ReloadReport, o ReloadOptions) error {
	p := next.spec.Plan
	for i := range p.Inputs {
		in, began, err := l.succeedInput(next, i)
		next.inputs = append(next.inputs, in)
		if err != nil {
			return fmt.Errorf("input %q: %w", p.Inputs[i].Name, err)
		}
		if began {
			report.Inputs = append(report.Inputs, p.Inputs[i].Name)
		}
	}
	if !o.DiscardState {
		if err := lostSteps(l.spec.Plan, p); err != nil {
			return err
		}
	}
	next.refs = newReferences(next.spec)
	for _, r := range next.refs {
		if r == nil {
			continue
		}
		if err := l.succeedReference(r); err != nil {
			return fmt.Errorf("input %q: %w", r.spec.Name, err)
		}
	}
	g, err := l.build(next.spec, next.inputs, next.refs)
	if err != nil {
		return err
	}
	next.graph = g
	kept, err := carry(g, l.graph.Snapshot(), o.DiscardState)
	if err != nil {
		return err
	}
	report.Kept, report.New, report.Dropped = kept.Kept, kept.New, kept.Dropped
	for i := range next.spec.Outputs {
		out := l.stays(next.spec, i)
		if out == nil {
			out = newOutput(next.spec, i)
			next.fresh = append(next.fresh, out)
			report.Outputs = append(report.Outputs, out.spec.Name)
		}
		next.outputs = append(next.outputs, out)
	}
	return nil
}

// succeedInput makes an input of the next version: where the old one was, if there is one of
// its name.
func (l *Live) succeedInput(next *successor, index int) (in *liveInput, began bool, err error) {
	if in = l.newInput(next.spec, index); in == nil {
		return nil, false, nil
	}
	var old *liveInput
	for _, x := range l.inputs {
		if x != nil && strings.EqualFold(x.spec.Name, in.spec.Name) {
			old = x
		}
	}
	if old != nil && old.spec.ID == in.spec.ID && in.spec.ID != "" {
		in.source = old.source
	} else {
		if old != nil {
			old.close() // the next one may want what it holds: its directory, its address
		}
		if in.source, err = in.spec.Open(l.sourceEnv(next.spec, &in.spec, false)); err != nil {
			return in, false, err
		}
		next.opened = append(next.opened, in)
	}
	if old == nil {
		return in, true, l.seek(in, l.readFromNow(next.spec))
	}
	in.none.clock, in.none.untold = old.none.clock, old.none.untold
	in.events, in.bytes, in.errors, in.listed = old.events, old.bytes, cloneCounts(old.errors), old.listed
	for _, x := range old.parts {
		p := newPart(x.name, x.index, l.began)
		p.pos, p.released, p.ended, p.events = x.pos, x.released, x.ended, x.events
		p.arrival, p.read, p.clock, p.untold, p.text.mode = x.arrival, x.read, x.clock, x.untold, x.text.mode
		in.parts = append(in.parts, p)
	}
	return in, false, nil
}

// succeedReference gives reference data of the next version the versions that the old one has, if
// it is of the same source; else it begins.
func (l *Live) succeedReference(r *liveReference) error {
	ctx, cancel := context.WithTimeout(l.work, lookPatience)
	defer cancel()
	for _, old := range l.references {
		if old == nil || !strings.EqualFold(old.spec.Name, r.spec.Name) || old.spec.ID != r.spec.ID || r.spec.ID == "" || old.source == nil || !old.versioned() {
			continue
		}
		old.trim(l.graph)
		r.versions = slices.Clone(old.versions)
		r.reading.Lock()
		defer r.reading.Unlock()
		return l.openReference(r)
	}
	return l.tryReference(ctx, r, l.readFromNow(r.of))
}

// stays is the output of the old version whose sink serves the next one too; nil if there is
// none.
func (l *Live) stays(spec *LiveSpec, index int) *liveOutput {
	want := &spec.Outputs[index]
	for _, x := range l.outputs {
		was, is := ColumnsOf(l.spec.Plan, x.index), ColumnsOf(spec.Plan, index)
		if strings.EqualFold(x.spec.Name, want.Name) && x.spec.ID == want.ID && want.ID != "" && x.spec.Format == want.Format &&
			slices.Equal(was.Names, is.Names) && slices.Equal(was.Types, is.Types) && was.Row == is.Row {
			return x
		}
	}
	return nil
}

// settle opens the sinks that are new and makes the first checkpoint of the next version: from
// then on a crash leads to it.
func (l *Live) settle(old, next *successor) error {
	for _, out := range old.outputs {
		if !slices.Contains(next.outputs, out) {
			if err := l.callSink(out, out.sink.Sync); err != nil {
				return err
			}
			out.close() // another sink of the name may want what it holds
		}
	}
	for _, out := range next.fresh {
		if err := l.openSink(l.work, out); err != nil {
			return fmt.Errorf("output %q: %w", out.spec.Name, err)
		}
		for _, x := range old.outputs {
			if strings.EqualFold(x.spec.Name, out.spec.Name) {
				out.inherit(x)
			}
		}
	}
	if err := l.agree(); err != nil {
		return err
	}
	if err := l.saveNow(); err != nil {
		return err
	}
	// Once more, so that the older one is of the next version too: see settled.
	if err := l.saveNow(); err != nil {
		l.log.Warn("a second checkpoint of the new version could not be made", "error", err)
	}
	return nil
}

// undo removes the checkpoint of a version that does not run after all: what could not be
// made durable may be there, and a crash must not lead to it.
func (l *Live) undo() error {
	err := l.insist(l.ctx, "the state directory", nil, func(context.Context) error { return l.checkpoints.prune() })
	if err != nil {
		l.broken = err
	}
	return err
}

// inherit takes the counts of the output of the same name, and what a sink that cannot tell
// has.
func (o *liveOutput) inherit(x *liveOutput) {
	o.unwanted = x.unwanted
	o.total, o.lastTime, o.rejected, o.retries, o.blocked, o.latency = x.total, x.lastTime, x.rejected, x.retries, x.blocked, x.latency
	if o.forgetful {
		o.committed = x.committed
	}
}

// reopenInputs opens the sources again that had to make room for those of a version that does
// not run after all.
func (l *Live) reopenInputs() error {
	for _, in := range l.inputs {
		if in == nil || in.source != nil {
			continue
		}
		err := l.insist(l.ctx, in.what(), nil, func(context.Context) (err error) {
			in.source, err = in.spec.Open(l.sourceEnv(&l.spec, &in.spec, false))
			return err
		})
		if err != nil {
			l.broken = err
			return err
		}
	}
	return nil
}

// reopen opens the sinks of the old version again that had to make room. Without them the job
// cannot go on.
func (l *Live) reopen(old *successor) error {
	for _, out := range old.outputs {
		if out.sink != nil {
			continue
		}
		if err := l.callSink(out, func(ctx context.Context) error { return l.openSink(ctx, out) }); err != nil {
			l.broken = err
			return err
		}
	}
	return nil
}

// carry brings the state of a graph, of whatever version, into a new one. Unless discard is
// set, a step that would lose its state is a *StateError.
func carry(g *exec.Graph, image []byte, discard bool) (ReloadReport, error) {
	kept, err := g.RestoreKept(image)
	if err != nil {
		return ReloadReport{}, err
	}
	report := ReloadReport{Kept: kept.Kept, New: kept.New, Dropped: kept.Dropped}
	var lost []string
	for _, name := range kept.New {
		if slices.Contains(kept.Dropped, name) && !slices.Contains(lost, name) {
			lost = append(lost, name)
		}
	}
	if len(lost) > 0 && !discard {
		return report, &StateError{lost, "it computes something else now"}
	}
	return report, nil
}

// lostSteps refuses a plan in which a step would lose its state.
func lostSteps(old, new *plan.Plan) error {
	var e StateError
	var reasons []string
	for _, c := range plan.Diff(old, new) {
		if c.Fate == plan.Lost {
			e.Steps, reasons = append(e.Steps, c.Step), append(reasons, c.String())
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	e.Reason = strings.Join(reasons, "; ")
	return &e
}

func isState(err error) bool {
	var s *StateError
	return errors.As(err, &s)
}
