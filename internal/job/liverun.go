package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/exec"
	"weir/internal/vec"
)

// A live job is a loop of epochs on one goroutine. An epoch reads what each partition has,
// decodes it and pushes it into the graph; rows go to the sinks, which keep them unseen. Then
// its record is appended to the manifest and synced, the sinks prepare it, its dead letters
// are kept, and the sinks commit it. The order is what exactly-once rests on: whatever a sink
// shows is in the manifest, and what is in the manifest can be made again.
//
// Nothing is read while an output or the disk does not answer: that is all the backpressure
// there is.

// Live is a job that runs until it is stopped. Its methods may be called by several
// goroutines at once, Run by one and once.
type Live struct {
	spec LiveSpec
	name string // of the job when its state was begun: targets know it by that
	fs   disk.FS
	dir  *stateDir
	log  *slog.Logger
	now  func() time.Time

	running atomic.Bool   // Run has been called
	ended   chan struct{} // closed at the end of Run
	asks    chan request  // done by the goroutine of Run, between two epochs
	wake    chan struct{} // a source has something to read
	board   board
	dead    *deadLog
	taps    tapList
	peeks   peeks

	// What follows is of the goroutine of Run.

	ctx         context.Context // ends when the job is to stop
	work        context.Context // of calls of sources and sinks: it ends a while after ctx
	graph       *exec.Graph
	inputs      []*liveInput // of streams, by their place in the plan; nil for reference data
	outputs     []*liveOutput
	manifest    *manifest
	checkpoints *checkpoints
	restored    *snapshot      // what the job goes on from; nil if it begins
	pending     []*epochRecord // of the manifest, to be made again

	epoch     int64    // the one at hand, or the last one
	clock     vec.Time // of the epoch at hand
	start     vec.Time // results before it are not wanted
	readFrom  vec.Time // where reading began
	began     vec.Time // when the job was first started
	newest    vec.Time // arrival of the newest event of the epoch
	read      int      // bytes that the epoch has read
	wrote     bool     // the epoch has rows for an output
	letters   []DeadLetter
	at        place
	committed time.Time // of the last epoch
	redriven  []redrivenLetter
	answer    []chan error // of those who wait for the epoch

	saving      chan saved   // the checkpoint that is being written; nil if none
	savers      []chan error // who wait for it
	savedEpoch  int64        // of the newest durable checkpoint
	savedAt     time.Time
	done        []map[string]connect.Position // per kept checkpoint and input: what sources may forget
	broken      error                         // a reload has left the job without an output
	maxManifest int64
	starts      int // that have ended in this epoch, with this one
	careful     int // epochs that are still made event by event
	tried       tries
	references  []*liveReference // by their place in the plan; nil for streams
	shelf       shelf
	still       bool          // no row waits for time to pass, as publish has found
	polled      time.Duration // how long the last idle pass took
	steps       []StepStats   // what the nodes of the plan are
}

// OpenLive opens the state directory of a job, makes it if it is empty, and reads its newest
// good checkpoint. Another process that has the directory is an error that wraps
// disk.ErrLocked. What is opened is freed at the end of Run; without Run, by Close. ctx ends
// the opening and nothing else.
func OpenLive(ctx context.Context, fs disk.FS, spec LiveSpec) (*Live, error) {
	if err := spec.complete(); err != nil {
		return nil, err
	}
	dir, err := openState(fs)
	if err != nil {
		return nil, err
	}
	l := &Live{spec: spec, fs: fs, dir: dir, log: spec.Log, now: spec.Now, ended: make(chan struct{}),
		asks: make(chan request), wake: make(chan struct{}, 1), maxManifest: maxManifest}
	l.board.open(&l.spec, l.now)
	if err := guarded(func() error { return l.open(ctx) }); err != nil {
		dir.close()
		return nil, err
	}
	return l, nil
}

// complete fills in defaults and finds what no job can have.
func (s *LiveSpec) complete() error {
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Checkpoint <= 0 {
		s.Checkpoint = DefaultCheckpoint
	}
	if len(s.Outputs) != len(s.Plan.Outputs) {
		return fmt.Errorf("the query has %d outputs, and %d are given", len(s.Plan.Outputs), len(s.Outputs))
	}
	for _, in := range s.Plan.Inputs {
		if s.input(in.Name) == nil {
			return fmt.Errorf("input %q: %w", in.Name, ErrNoInput)
		}
	}
	switch s.Start {
	case "", StartNow, StartTime, StartLast, StartBeginning:
		return nil
	}
	return fmt.Errorf("there is no start mode %q: a job starts now, at a time, at the last output, or at the beginning", s.Start)
}

// open reads what there is of the job.
func (l *Live) open(ctx context.Context) error {
	if l.spec.DiscardState {
		if err := l.dir.discard(); err != nil {
			return fmt.Errorf("the state cannot be discarded: %w", err)
		}
	}
	l.manifest = &manifest{fs: l.fs, instance: l.dir.instance}
	l.checkpoints = &checkpoints{fs: l.fs, instance: l.dir.instance}
	l.dead = &deadLog{fs: l.fs, instance: l.dir.instance, limit: l.spec.MaxDead, log: l.log}
	if err := l.dead.load(); err != nil {
		return err
	}
	if err := l.shelf.open(l.fs); err != nil {
		return err
	}
	s, notes, err := l.checkpoints.load(l.log)
	for _, n := range notes {
		l.board.note(n)
	}
	if err != nil {
		return err
	}
	l.restored, l.name = s, l.spec.Name
	if s != nil {
		l.name = s.Job
		l.epoch, l.savedEpoch = s.Epoch, s.Epoch
	}
	if l.pending, err = l.manifest.load(l.epoch); err != nil {
		return err
	}
	if s == nil && len(l.pending) > 0 {
		return &DamageError{l.fs.Path(checkpointDir), 0, "there are epochs and no checkpoint before them"}
	}
	return ctx.Err()
}

// Close frees a job that was opened and not run. After Run it does nothing.
func (l *Live) Close() error {
	if !l.running.CompareAndSwap(false, true) {
		return nil
	}
	close(l.ended)
	return l.dir.close()
}

// Run runs the job. It returns nil when ctx ends (the state is then Stopped, after a last
// checkpoint) and when all inputs have ended (Completed). Any other end is an error (Failed);
// the state on disk is good, and the next start goes on from it. Run closes the job.
func (l *Live) Run(ctx context.Context) error {
	if !l.running.CompareAndSwap(false, true) {
		return ErrNotRunning
	}
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	l.ctx, l.work = ctx, work
	finished, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		endLate(ctx, finished, stopWork)
	}()
	err := guarded(l.all)
	l.endStart(err)
	l.shut()
	l.dropStart()
	close(finished)
	<-watched
	stopWork()
	state, reason := Completed, ""
	switch {
	case errors.Is(err, errStopped), err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled):
		state, err = Stopped, nil
	case err != nil:
		state, reason = Failed, err.Error()
		l.log.Error("the job has failed", "job", l.spec.Name, "error", err)
	}
	l.publish(true)
	l.board.set(state, reason)
	close(l.ended)
	if failed := l.dir.close(); err == nil {
		err = failed
	}
	return err
}

// endLate ends the calls of sources and sinks that still do not answer a while after the job
// was told to stop.
func endLate(ctx context.Context, finished <-chan struct{}, stop func()) {
	select {
	case <-ctx.Done():
	case <-finished:
		return
	}
	t := time.NewTimer(graceful)
	defer t.Stop()
	select {
	case <-t.C:
		stop()
	case <-finished:
	}
}

// all is Run from the first file to the last.
func (l *Live) all() error {
	if err := l.prepare(); err != nil {
		return err
	}
	if err := l.countStart(); err != nil {
		return err
	}
	if err := l.replay(); err != nil {
		return err
	}
	if err := l.renewReferences(); err != nil {
		return err
	}
	l.watchReferences()
	if l.restored != nil && !l.restored.numbers(&l.spec) {
		if err := l.settled(); err != nil {
			return err
		}
	}
	l.board.set(Running, "")
	l.log.Info("the job runs", "job", l.spec.Name, "version", l.spec.Version, "epoch", l.epoch)
	l.committed, l.savedAt = l.now(), l.now()
	for {
		if l.ctx.Err() != nil {
			return l.finish(errStopped)
		}
		worked, err := l.step()
		if err != nil {
			return err
		}
		if err := l.housekeeping(); err != nil {
			return err
		}
		switch {
		case worked && l.read >= breathBytes:
			l.still = false
		case worked:
			l.still = false
			l.idle(breath)
		case l.complete():
			return l.finish(nil)
		default:
			l.idle(l.patience())
		}
	}
}

// complete reports whether all inputs have ended.
func (l *Live) complete() bool {
	for _, in := range l.inputs {
		if in != nil && !in.ended() {
			return false
		}
	}
	return true
}

// finish makes the last checkpoint. how is the answer of the run if that succeeds.
func (l *Live) finish(how error) error {
	l.board.set(Stopping, "")
	if err := l.await(); err != nil {
		return err
	}
	if l.epoch > l.savedEpoch {
		if err := l.save(); err != nil {
			return err
		}
		if err := l.await(); err != nil {
			return err
		}
	}
	return how
}

// shut frees everything but the lock.
func (l *Live) shut() {
	if l.saving != nil {
		l.saved(<-l.saving)
	}
	for _, in := range l.inputs {
		if in != nil {
			in.close()
		}
	}
	for _, r := range l.references {
		if r != nil {
			r.close()
		}
	}
	for _, out := range l.outputs {
		out.close()
	}
	l.manifest.close()
	l.dead.close()
	l.taps.closeAll()
	for _, a := range l.answer {
		a <- ErrNotRunning
	}
	l.answer = nil
}

// request is something to be done between two epochs.
type request struct {
	do   func() error
	done chan error
}

// ErrBusy is the error of asking something of a job that is between no two epochs for long:
// it waits for an output, or makes up for what it has missed.
var ErrBusy = errors.New("the job has no time for this")

// askPatience is how long somebody who asks waits for the job to be between two epochs.
const askPatience = 5 * time.Second

// do has f done by the goroutine of Run between two epochs, and gives its answer. With
// ErrBusy f is never done.
func (l *Live) do(ctx context.Context, f func() error) error {
	a := request{f, make(chan error, 1)}
	patience := time.NewTimer(askPatience)
	defer patience.Stop()
	select {
	case l.asks <- a:
	case <-l.ended:
		return ErrNotRunning
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		s := l.Stats()
		reason := ""
		if s.Reason != "" {
			reason = ": " + s.Reason
		}
		return fmt.Errorf("%w: it is %s%s; try again, or stop it first", ErrBusy, s.State, reason)
	}
	select {
	case err := <-a.done:
		return err
	case <-l.ended:
		select {
		case err := <-a.done:
			return err
		default:
			return ErrNotRunning
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Live) serve(a request) {
	err := guarded(a.do)
	a.done <- err
}

// housekeeping is what has to be done between two epochs, under load too.
func (l *Live) housekeeping() error {
	for {
		if l.broken != nil {
			return l.broken
		}
		select {
		case a := <-l.asks:
			l.serve(a)
			continue
		case s := <-l.saving:
			if err := l.saved(s); err != nil {
				return err
			}
			continue
		default:
		}
		break
	}
	if l.saving == nil && l.now().Sub(l.savedAt) >= l.spec.Checkpoint && l.epoch > l.savedEpoch {
		if err := l.save(); err != nil {
			return err
		}
	}
	if l.manifest.size() > l.maxManifest { // it waits for checkpoints, which make it shorter
		if err := l.insist(l.ctx, "checkpoint", nil, func(context.Context) error { return l.saveNow() }); err != nil {
			return err
		}
	}
	l.publish(false)
	return nil
}

const (
	// pollEvery is how often sources are read that do not say when there is something; idle
	// inputs move time on as often.
	pollEvery = 5 * time.Millisecond
	// stillEvery is how often a job looks that is told of events and holds no rows.
	stillEvery = 200 * time.Millisecond
	// pollShare is the part of the time that an idle job may spend on that.
	pollShare = 150
	// breath is how long the job waits after an epoch of less than breathBytes: what comes at a
	// moderate rate then makes fewer and larger epochs.
	breath      = 2 * time.Millisecond
	breathBytes = 64 << 10
	// maxManifest bounds the manifest: beyond it the job waits for a checkpoint.
	maxManifest = 256 << 20
)

// patience is how long a job may wait that has nothing to do. Nothing has to be polled if the
// sources tell when there is something, and no row waits for time to pass.
func (l *Live) patience() time.Duration {
	if l.still && !l.polls() {
		return stillEvery
	}
	return max(pollEvery, min(l.polled*pollShare, time.Second))
}

// polls reports whether a partition has to be read to know whether there is something.
func (l *Live) polls() bool {
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			if !p.ended && (!p.signals || p.tried > 0) {
				return true
			}
		}
	}
	return false
}

// idle waits until there may be something to do.
func (l *Live) idle(most time.Duration) {
	t := time.NewTimer(most)
	defer t.Stop()
	wake := l.wake
	if most == breath {
		wake = nil
	}
	select {
	case <-l.ctx.Done():
	case <-wake:
	case a := <-l.asks:
		l.serve(a)
	case s := <-l.saving:
		l.saving <- s // housekeeping takes it
	case <-t.C:
	}
}
