package job

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// input is the declaration of an input of the plan; nil if there is none.
func (s *LiveSpec) input(name string) *LiveInput {
	for i := range s.Inputs {
		if strings.EqualFold(s.Inputs[i].Name, name) {
			return &s.Inputs[i]
		}
	}
	return nil
}

// prepare opens sources and sinks, and brings the graph to where the checkpoint is.
func (l *Live) prepare() error {
	if l.restored == nil {
		if err := l.begin0(); err != nil {
			return err
		}
	}
	for i := range l.spec.Plan.Inputs {
		in := l.newInput(&l.spec, i)
		l.inputs = append(l.inputs, in)
		if in == nil {
			continue
		}
		err := l.insist(l.ctx, in.what(), nil, func(context.Context) (err error) {
			in.source, err = in.spec.Open(l.sourceEnv(&l.spec, &in.spec, false))
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := l.place(); err != nil {
		return err
	}
	if err := l.openReferences(); err != nil {
		return err
	}
	g, err := l.build(&l.spec, l.inputs, l.references)
	if err != nil {
		return err
	}
	l.graph = g
	l.retap()
	if l.restored != nil {
		if err := l.restore(l.restored); err != nil {
			return err
		}
	}
	for i := range l.spec.Outputs {
		out := newOutput(&l.spec, i)
		l.outputs = append(l.outputs, out)
		if err := l.callSink(out, func(ctx context.Context) error { return l.openSink(ctx, out) }); err != nil {
			return err
		}
	}
	l.recall()
	if err := l.agree(); err != nil {
		return err
	}
	if l.restored == nil {
		if err := l.first(); err != nil {
			return err
		}
		l.fs.Remove(startName) // the checkpoint says it
	}
	return nil
}

// newInput is an input of the plan that is not open; nil for reference data.
func (l *Live) newInput(spec *LiveSpec, index int) *liveInput {
	p := spec.Plan
	in := &liveInput{spec: *spec.input(p.Inputs[index].Name), index: index, plan: p.Inputs[index], level: p.Level, chosen: usedFields(p, index),
		errors: map[string]int64{}, none: newPart("", 0, l.began)}
	if in.plan.Reference {
		return nil
	}
	in.meta = newMetaColumns(p, index, in.chosen, in.spec.MetaColumns)
	in.eventTime = in.spec.EventArrival && stampedByEvents(p, index)
	return in
}

func (l *Live) sourceEnv(spec *LiveSpec, in *LiveInput, reference bool) connect.SourceEnv {
	env := connect.SourceEnv{Job: l.name, Input: in.Name, Format: in.Format, Log: l.log.With("input", in.Name), Now: l.now, Reference: reference}
	env.State, _ = l.fs.Sub("inputs/" + dirName(in.Name)) // a source that needs it says that it is nil
	return env
}

// place finds where each partition is read from: where the job was, or where its start mode
// says.
func (l *Live) place() error {
	if s := l.restored; s != nil {
		l.start, l.began, l.readFrom, l.clock = s.Start, s.Began, s.ReadFrom, s.Clock
		for _, in := range l.inputs {
			if in == nil {
				continue
			}
			in.none.read = l.began
			if x := s.input(in.spec.Name); x != nil {
				in.resume(x, l.began)
			} else if err := l.seek(in, l.readFromNow(&l.spec)); err != nil { // the query has come to read it
				return err
			}
		}
		return nil
	}
	for _, in := range l.inputs {
		if in == nil {
			continue
		}
		in.none.read = l.began
		if err := l.seek(in, l.readFrom); err != nil {
			return err
		}
	}
	return nil
}

// readFrom is where reading begins so that results from start on are complete.
func (s *LiveSpec) readFrom(start vec.Time) vec.Time {
	return max(start-min(s.Plan.History(), start)-max(ticks(s.OutOfOrder), 0)-exec.EarlyLimit, 0)
}

// readFromNow is where an input is read from that a running job has come to read.
func (l *Live) readFromNow(s *LiveSpec) vec.Time { return s.readFrom(max(l.clock, timeOf(l.now()))) }

// seek lists the partitions of an input that begins, and finds where to read them.
func (l *Live) seek(in *liveInput, from vec.Time) error {
	return l.insist(l.ctx, in.what(), nil, func(ctx context.Context) error {
		in.parts = nil
		names, err := l.list(ctx, in)
		if err != nil {
			return err
		}
		for i, name := range names {
			p := newPart(name, i, l.began)
			if p.pos, err = in.source.Seek(ctx, name, from); err != nil {
				return err
			}
			in.parts = append(in.parts, p)
		}
		in.listed = l.now()
		return nil
	})
}

// resume takes the partitions of a checkpoint.
func (in *liveInput) resume(s *inputSnapshot, began vec.Time) {
	in.events, in.bytes = s.Events, s.Bytes
	for k, n := range s.Errors {
		in.errors[k] = n
	}
	for i, x := range s.Parts {
		p := newPart(x.Name, i, began)
		p.pos, p.ended, p.events, p.arrival, p.read, p.clock, p.text.mode = x.Position, x.Ended, x.Events, x.Arrival, x.Read, x.Clock, x.Mode
		in.parts = append(in.parts, p)
	}
}

// build makes a graph for inputs that are open, with the versions of reference data.
func (l *Live) build(spec *LiveSpec, inputs []*liveInput, refs []*liveReference) (*exec.Graph, error) {
	began := time.Now()
	o := exec.Options{
		Late: ticks(spec.Late), OutOfOrder: ticks(spec.OutOfOrder), Drop: spec.Drop, DropErrors: spec.DropErrors,
		Start: l.readFrom, Shards: spec.Shards, MaxHeld: spec.MaxHeld, Partitions: make([]int, len(inputs)), Text: make([]bool, len(inputs)),
		Nanos:  func() int64 { return int64(time.Since(began)) },
		OnRows: l.rowsOut, OnDrop: l.dropped, OnQueryError: l.queryError,
	}
	for i, in := range inputs {
		if in == nil {
			continue
		}
		o.Partitions[i] = len(in.parts)
		object := ""
		if len(in.parts) > 0 {
			object = in.parts[0].name
		}
		o.Text[i] = isCSV(in.spec.Format, object)
	}
	g, err := exec.Build(spec.Plan, o)
	if err != nil {
		return nil, err
	}
	l.enforceAll(g, refs)
	return g, nil
}

func newOutput(spec *LiveSpec, index int) *liveOutput {
	return &liveOutput{spec: spec.Outputs[index], index: index, what: fmt.Sprintf("output %q", spec.Outputs[index].Name), told: vec.MinTime, last: vec.MinTime, rejected: map[string]int64{}}
}

// openSink opens the sink of an output, unless it is open, and asks which epoch it has.
func (l *Live) openSink(ctx context.Context, out *liveOutput) (err error) {
	if out.sink == nil {
		env := connect.SinkEnv{Job: l.name, Output: out.spec.Name, Instance: l.dir.instance, Columns: ColumnsOf(l.spec.Plan, out.index), Format: out.spec.Format,
			Reject: func(e connect.RowError) error { return l.reject(out, e) }, Log: l.log.With("output", out.spec.Name), Now: l.now}
		if env.State, err = l.fs.Sub(OutputDir(out.spec.Name)); err != nil {
			return err
		}
		sink, err := out.spec.Open(env)
		if err != nil {
			return err
		}
		out.sink = sink
	}
	out.committed, err = out.sink.Committed(ctx)
	if out.forgetful = out.committed < 0; out.forgetful {
		out.committed = 0
	}
	return err
}

func (o *liveOutput) close() {
	if o.sink != nil {
		o.sink.Close() // what counts is committed
		o.sink = nil
	}
}

// recall finds for sinks that cannot tell which epochs they have, and takes the counts of the
// checkpoint.
func (l *Live) recall() {
	for _, out := range l.outputs {
		var s *outputSnapshot
		was := -1
		if l.restored != nil {
			s, was = l.restored.output(out.spec.Name)
		}
		if out.forgetful {
			for _, rec := range l.pending {
				if was >= 0 && was < len(rec.Acked) {
					out.committed = max(out.committed, rec.Acked[was])
				}
			}
		}
		if s == nil {
			// It begins now. What other versions of the job wrote elsewhere is not for it.
			if n := len(l.pending); n > 0 {
				out.committed = max(out.committed, l.pending[n-1].N)
			}
			continue
		}
		if out.forgetful {
			out.committed = max(out.committed, s.Epoch)
		}
		out.total, out.lastTime, out.wrote = s.Rows, s.LastTime, s.Epoch
		for k, n := range s.Rejected {
			if k == beforeStart {
				out.unwanted = n
				continue
			}
			out.rejected[k] = n
		}
		if out.committed < s.Epoch {
			l.log.Warn("the target of an output has less than was written to it; rows that are missing there are not written again",
				"output", out.spec.Name, "has", out.committed, "had", s.Epoch)
		}
	}
}

// agree refuses targets that know of epochs which the state does not: then the state is older
// than what was written.
func (l *Live) agree() error {
	last := l.epoch
	if n := len(l.pending); n > 0 {
		last = l.pending[n-1].N
	}
	for _, out := range l.outputs {
		if out.committed > last {
			return connect.Permanent(fmt.Errorf("output %q has epoch %d of this job, and the state in %s ends with epoch %d: a part of the state is missing; "+
				"bring it back, or begin anew without it (--discard-state)", out.spec.Name, out.committed, l.fs.Path("."), last))
		}
	}
	return nil
}

// settled makes all checkpoints that are kept ones of the definition that runs: epochs behind
// those of another one would number other inputs and outputs, and an input that the job has
// come to read has its place in none.
func (l *Live) settled() error {
	for range keptCheckpoints {
		if err := l.first(); err != nil {
			return err
		}
	}
	return nil
}

// first makes the checkpoint that a job begins with: from then on its start is settled.
func (l *Live) first() error {
	return l.insist(l.ctx, "the first checkpoint", nil, func(context.Context) error { return l.saveNow() })
}

// stampedByEvents reports whether every use of an input has TIMESTAMP BY.
func stampedByEvents(p *plan.Plan, input int) bool {
	for _, n := range p.Nodes {
		s, ok := n.Op.(*plan.Stamp)
		if !ok || s.By != nil {
			continue
		}
		if src, ok := n.In[0].Op.(*plan.Source); ok && src.Input == input {
			return false
		}
	}
	return true
}
