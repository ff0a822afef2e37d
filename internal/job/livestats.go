package job

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// publishEvery is how often Stats change while a job runs.
const publishEvery = 100 * time.Millisecond

// board is what others may see of a live job.
type board struct {
	now func() time.Time

	mu       sync.Mutex
	base     State
	since    time.Time // of the state that is shown
	reason   string
	problems map[string]string // what does not work now, and why
	again    bool
	notes    []string
	stats    Stats // all but the state
	shown    time.Time
}

func (b *board) open(spec *LiveSpec, now func() time.Time) {
	b.now, b.base, b.since, b.problems = now, Starting, now(), map[string]string{}
	b.stats.Version = spec.Version
}

// state is what is shown; the caller has the lock.
func (b *board) state() (State, string) {
	if len(b.problems) > 0 && (b.base == Running || b.base == Starting) {
		var list []string
		for _, what := range sortedNames(b.problems) {
			list = append(list, what+": "+b.problems[what])
		}
		return Degraded, strings.Join(list, "; ")
	}
	return b.base, b.reason
}

func (b *board) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was, _ := b.state()
	f()
	if is, _ := b.state(); is != was {
		b.since = b.now()
	}
}

func (b *board) set(s State, reason string) { b.change(func() { b.base, b.reason = s, reason }) }

func (b *board) degrade(what string, err error) {
	b.change(func() { b.problems[what] = explain(err) })
}

func (b *board) heal(what string) { b.change(func() { delete(b.problems, what) }) }

func (b *board) replaying(is bool) { b.change(func() { b.again = is }) }

// note keeps something that whoever looks after the job should know.
func (b *board) note(text string) { b.change(func() { b.notes = append(b.notes, text) }) }

func (b *board) checkpoint(s saved) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := &b.stats.Checkpoint
	if s.err != nil {
		c.Failures++
		return
	}
	c.Count++
	c.Last, c.Bytes, c.Pause, c.Elapsed = s.began, s.size, s.pause, s.took
}

// Stats tells what the job is doing. The caller owns the answer.
func (l *Live) Stats() Stats {
	b := &l.board
	b.mu.Lock()
	s := b.stats
	s.State, s.Reason = b.state()
	s.Since, s.Replaying, s.Notes = b.since, b.again, slices.Clone(b.notes)
	b.mu.Unlock()
	// What publish makes is never changed afterwards, so that a shallow copy will do; those who
	// want to change something get their own.
	s.Inputs, s.Steps, s.Outputs = slices.Clone(s.Inputs), slices.Clone(s.Steps), slices.Clone(s.Outputs)
	s.Dead, _ = l.dead.counts()
	return s
}

// publish shows the counts, now and then.
func (l *Live) publish(now bool) {
	at := l.now()
	if !now && at.Sub(l.board.shown) < publishEvery || l.graph == nil {
		return
	}
	l.board.shown = at
	if l.taps.stale() {
		l.retap()
	}
	nodes := l.graph.NodeStats(nil)
	var inputs []InputStats
	for i, in := range l.inputs {
		inputs = append(inputs, l.inputStats(i, in, at))
	}
	var outputs []OutputStats
	for _, out := range l.outputs {
		outputs = append(outputs, out.stats())
		l.look(out)
	}
	steps := l.stepStats(nodes)
	l.still = l.spec.Late < 0 || still(steps)
	b := &l.board
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Version, b.stats.Epoch = l.spec.Version, l.epoch
	b.stats.Inputs, b.stats.Steps, b.stats.Outputs = inputs, steps, outputs
}

// look shows what does not work in the background of a sink.
func (l *Live) look(out *liveOutput) {
	sink, ok := out.sink.(connect.Ailing)
	if !ok {
		return
	}
	what := out.what + " in the background"
	if err := sink.Ailing(); err != nil {
		l.board.degrade(what, err)
	} else {
		l.board.heal(what)
	}
}

func (l *Live) inputStats(index int, in *liveInput, now time.Time) InputStats {
	c := &l.graph.Counts.Inputs[index]
	s := InputStats{Name: l.spec.Plan.Inputs[index].Name,
		Late:       Moved{c.Dropped[exec.Late], c.Adjusted[exec.Late]},
		OutOfOrder: Moved{c.Dropped[exec.OutOfOrder], c.Adjusted[exec.OutOfOrder]},
		Early:      c.Dropped[exec.Early]}
	if in == nil {
		s.Reference = l.references[index].stats(l.clock, now)
		return s
	}
	s.Events, s.Bytes, s.Errors = in.events, in.bytes, maps.Clone(in.errors)
	for _, why := range []exec.Reason{exec.NoTime, exec.NoKey, exec.TypeConversion} {
		if n := c.Dropped[why]; n > 0 {
			s.Errors[why.String()] = n
		}
	}
	backlog, knows := in.source.(connect.Backlog)
	for _, p := range in.parts {
		waiting := int64(-1)
		if knows && !p.ended {
			if n, ok := backlog.Waiting(p.name, p.pos); ok {
				waiting = n
			}
		}
		s.Partitions = append(s.Partitions, PartitionStats{Name: p.name, Events: p.events, Position: p.pos, Waiting: waiting,
			Watermark: l.graph.PartitionWatermark(index, p.index), Idle: max(now.Sub(instant(p.read)), 0), Ended: p.ended})
	}
	return s
}

func (o *liveOutput) stats() OutputStats {
	s := OutputStats{Name: o.spec.Name, Guarantee: o.spec.Guarantee, Rows: o.total, Epoch: o.committed, Rejected: maps.Clone(o.rejected),
		Retries: o.retries, Blocked: o.blocked, LastError: o.failure, LastTime: o.lastTime, Latency: o.latency, BeforeStart: o.unwanted}
	s.Latency.Counts = slices.Clone(o.latency.Counts)
	return s
}

// add counts a duration.
func (h *Histogram) add(d time.Duration) {
	if h.Counts == nil {
		h.Counts = make([]int64, len(LatencyBounds)+1)
	}
	i, _ := slices.BinarySearch(LatencyBounds, d)
	h.Counts[i]++
	h.Sum += d
}

func (l *Live) stepStats(nodes []exec.NodeStats) []StepStats {
	if l.steps == nil {
		l.steps = describe(l.spec.Plan)
	}
	out := slices.Clone(l.steps)
	for i := range out {
		s, n := &out[i], &nodes[i]
		s.In, s.Out, s.Busy, s.Held, s.Watermark = n.In, n.Out, time.Duration(n.BusyNanos), n.Held, n.Watermark
		for why, k := range n.Dropped {
			if k > 0 {
				if s.Dropped == nil {
					s.Dropped = map[string]int64{}
				}
				s.Dropped[exec.Reason(why).String()] = k
			}
		}
		if in, part := l.graph.Holder(i); in >= 0 {
			s.HeldBy = l.partitionName(in, part)
		}
	}
	return out
}

// still reports whether no row or window waits for time to pass. What analytic functions
// remember does not: it comes out with events only.
func still(steps []StepStats) bool {
	for i := range steps {
		if steps[i].Held > 0 && steps[i].Kind != "history" {
			return false
		}
	}
	return true
}

// partitionName names a partition for people: input/partition, or just the input if it has one.
func (l *Live) partitionName(input, part int) string {
	name := l.spec.Plan.Inputs[input].Name
	if in := l.inputs[input]; in != nil && len(in.parts) > 1 && part < len(in.parts) && in.parts[part].name != "" {
		return name + "/" + in.parts[part].name
	}
	return name
}

// describe says of each node what it is.
func describe(p *plan.Plan) []StepStats {
	out := make([]StepStats, len(p.Nodes))
	for i, n := range p.Nodes {
		s := StepStats{Node: i, Step: n.Step, Kind: kindOf(n), Watermark: vec.MinTime}
		if n.Span.Start >= 0 && n.Span.End <= len(p.Src) && n.Span.Start < n.Span.End {
			s.Line = 1 + strings.Count(p.Src[:n.Span.Start], "\n")
			s.Detail = oneLineOf(p.Src[n.Span.Start:n.Span.End])
		}
		if words := p.Words(n); words != "" {
			s.Detail = oneLineOf(words)
		}
		if w, ok := n.Op.(*plan.Write); ok {
			s.Step, s.Detail = p.Outputs[w.Output].Name, ""
		}
		out[i] = s
	}
	for i := len(out) - 1; i >= 0; i-- { // what is of no step is of what reads it
		for _, in := range p.Nodes[i].In {
			if out[in.ID].Step == "" {
				out[in.ID].Step = out[i].Step
			}
		}
	}
	return out
}

func oneLineOf(text string) string {
	const most = 120
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func kindOf(n *plan.Node) string {
	switch n.Op.(type) {
	case *plan.Source:
		return "source"
	case *plan.Stamp:
		return "time"
	case *plan.Filter:
		return "filter"
	case *plan.Project:
		return "project"
	case *plan.Order:
		return "merge"
	case *plan.Group:
		return "group"
	case *plan.Top:
		return "top"
	case *plan.Join:
		return "join"
	case *plan.Lookup:
		return "lookup"
	case *plan.Apply:
		return "apply"
	case *plan.History:
		return "history"
	case *plan.Match:
		return "match"
	case *plan.Write:
		return "output"
	}
	return "node"
}
