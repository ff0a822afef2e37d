package job

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
)

// saved is the end of writing a checkpoint.
type saved struct {
	snapshot *snapshot
	size     int64
	err      error
	began    time.Time
	pause    time.Duration
	took     time.Duration
	done     map[string]connect.Position
	image    *exec.Image
}

// save starts a checkpoint: sinks are synced and the graph is frozen at once, all else happens
// while epochs go on. One is written at a time.
func (l *Live) save() error {
	if err := l.await(); err != nil {
		return err
	}
	began := l.now()
	for _, out := range l.outputs {
		if err := l.callSink(out, out.sink.Sync); err != nil {
			return err
		}
	}
	l.manifest.rotate()
	s := l.snapshot()
	image := l.graph.Freeze()
	pause := l.now().Sub(began)
	l.saving = make(chan saved, 1)
	l.savedAt = began
	done := l.positions()
	go func(out chan<- saved) {
		r := saved{snapshot: s, began: began, pause: pause, done: done}
		r.err = guarded(func() (err error) {
			s.Image = image.Bytes()
			r.size, err = l.checkpoints.write(s)
			return err
		})
		r.took, r.image = l.now().Sub(began), image
		s.Image = nil
		out <- r
	}(l.saving)
	return nil
}

// saveNow makes a checkpoint and waits until it is durable.
func (l *Live) saveNow() error {
	if err := l.save(); err != nil {
		return err
	}
	s := <-l.saving
	return errors.Join(l.saved(s), s.err)
}

// await waits for the checkpoint that is being written.
func (l *Live) await() error {
	if l.saving == nil {
		return nil
	}
	s := <-l.saving
	return l.saved(s)
}

// saved is told that a checkpoint is durable, or that it failed: then the one before it stays
// good, and the manifest with it.
func (l *Live) saved(s saved) error {
	l.saving = nil
	l.graph.Release(s.image)
	for _, w := range l.savers {
		w <- s.err
	}
	l.savers = nil
	l.board.checkpoint(s)
	if s.err != nil {
		l.log.Error("a checkpoint could not be written; the job goes on and tries again", "job", l.spec.Name, "error", s.err)
		l.board.degrade("checkpoint", s.err)
		return nil
	}
	l.board.heal("checkpoint")
	l.savedEpoch = s.snapshot.Epoch
	if err := l.checkpoints.prune(); err != nil {
		l.log.Warn("old checkpoints cannot be removed", "error", err)
	}
	if err := l.manifest.forget(l.checkpoints.oldest()); err != nil {
		l.log.Warn("old epochs cannot be removed", "error", err)
	}
	// Sources keep what the oldest checkpoint needs: it is used if the newest is damaged.
	l.done = append(l.done, s.done)
	if len(l.done) > keptCheckpoints {
		l.done = l.done[len(l.done)-keptCheckpoints:]
	}
	if len(l.done) == keptCheckpoints {
		l.release(l.done[0])
	}
	l.sweepReferences()
	return nil
}

// release tells the sources what will not be asked for again. One that does not answer hears
// of it the next time.
func (l *Live) release(done map[string]connect.Position) {
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		for _, p := range in.parts {
			pos, ok := done[partKey(in, p)]
			if !ok || pos == p.released {
				continue
			}
			if err := in.source.Done(l.work, p.name, pos); err != nil {
				l.log.Warn("a source was not told what it may forget", "input", in.spec.Name, "partition", p.name, "error", err)
				continue
			}
			p.released = pos
		}
	}
}

func partKey(in *liveInput, p *livePart) string {
	return strings.ToLower(in.spec.Name) + "\x00" + p.name
}

func (l *Live) positions() map[string]connect.Position {
	m := map[string]connect.Position{}
	for _, in := range l.inputs {
		if in != nil {
			for _, p := range in.parts {
				m[partKey(in, p)] = p.pos
			}
		}
	}
	return m
}

// snapshot is what a checkpoint holds beside the graph.
func (l *Live) snapshot() *snapshot {
	s := &snapshot{Engine: EngineVersion, Job: l.name, Version: l.spec.Version, Query: l.spec.Plan.Src, Epoch: l.epoch, Clock: l.clock,
		Start: l.start, Began: l.began, ReadFrom: l.readFrom, Shards: l.spec.Shards}
	for i, in := range l.inputs {
		x := inputSnapshot{Name: l.spec.Plan.Inputs[i].Name}
		if in != nil {
			x.Events, x.Bytes, x.Errors = in.events, in.bytes, cloneCounts(in.errors)
			for _, p := range in.parts {
				x.Parts = append(x.Parts, partSnapshot{p.name, p.pos, p.ended, p.events, p.arrival, p.read, p.clock, p.text.mode})
			}
		}
		s.Inputs = append(s.Inputs, x)
	}
	for _, out := range l.outputs {
		counts := cloneCounts(out.rejected)
		if out.unwanted > 0 {
			counts[beforeStart] = out.unwanted
		}
		s.Outputs = append(s.Outputs, outputSnapshot{out.spec.Name, out.wrote, out.total, counts, out.lastTime})
	}
	s.References = l.referenceSnapshots()
	return s
}

func cloneCounts(m map[string]int64) map[string]int64 {
	out := make(map[string]int64, len(m))
	for k, n := range m {
		out[k] = n
	}
	return out
}

func (s *snapshot) input(name string) *inputSnapshot {
	for i := range s.Inputs {
		if strings.EqualFold(s.Inputs[i].Name, name) {
			return &s.Inputs[i]
		}
	}
	return nil
}

// output is an output of the checkpoint, and its number there; nil and -1 if there is none.
func (s *snapshot) output(name string) (*outputSnapshot, int) {
	for i := range s.Outputs {
		if strings.EqualFold(s.Outputs[i].Name, name) {
			return &s.Outputs[i], i
		}
	}
	return nil, -1
}

// numbers reports whether the epochs of a job number its inputs and outputs as the checkpoint
// does.
func (s *snapshot) numbers(spec *LiveSpec) bool {
	same := len(s.Inputs) == len(spec.Plan.Inputs) && len(s.Outputs) == len(spec.Outputs)
	for i := 0; same && i < len(s.Inputs); i++ {
		same = strings.EqualFold(s.Inputs[i].Name, spec.Plan.Inputs[i].Name)
	}
	for i := 0; same && i < len(s.Outputs); i++ {
		same = strings.EqualFold(s.Outputs[i].Name, spec.Outputs[i].Name)
	}
	return same
}

// inputsOf are the inputs of the job by the numbers that epochs behind the checkpoint use.
func (s *snapshot) inputsOf(l *Live) []*liveInput {
	out := make([]*liveInput, len(s.Inputs))
	for i, x := range s.Inputs {
		for _, in := range l.inputs {
			if in != nil && strings.EqualFold(in.spec.Name, x.Name) {
				out[i] = in
			}
		}
	}
	return out
}

// outputOf is the output of the job that has a number in the epochs behind the checkpoint;
// nil if the job does not have it any more.
func (s *snapshot) outputOf(l *Live, number int) *liveOutput {
	if number < 0 || number >= len(s.Outputs) {
		return nil
	}
	for _, out := range l.outputs {
		if strings.EqualFold(out.spec.Name, s.Outputs[number].Name) {
			return out
		}
	}
	return nil
}

// restore brings a new graph to where the checkpoint is.
func (l *Live) restore(s *snapshot) error {
	report, err := carry(l.graph, s.Image, false)
	if err != nil && !isState(err) {
		return fmt.Errorf("the checkpoint of epoch %d: %w", s.Epoch, err)
	}
	if err == nil && len(report.New)+len(report.Dropped) > 0 {
		l.log.Info("the query has changed since the last checkpoint", "kept", report.Kept, "new", report.New, "gone", report.Dropped)
	}
	return err
}

// Checkpoint makes a checkpoint now, and waits until it is durable.
func (l *Live) Checkpoint(ctx context.Context) error {
	durable := make(chan error, 1)
	err := l.do(ctx, func() error {
		if err := l.save(); err != nil {
			return err
		}
		l.savers = append(l.savers, durable)
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-durable:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
