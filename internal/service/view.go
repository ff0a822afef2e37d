package service

import (
	"slices"
	"time"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// JobView is a job as people and programs see it.
type JobView struct {
	Name        string    `json:"name"`
	Kind        string    `json:"kind" doc:"The form that the job was written in."`
	Version     int       `json:"version"`
	Desired     Desired   `json:"desired" enum:"running,stopped"`
	State       job.State `json:"state" enum:"starting,running,degraded,stopping,stopped,failed,completed"`
	Since       time.Time `json:"since,omitzero" doc:"Of the state."`
	Reason      string    `json:"reason,omitempty" doc:"Why it failed, or what it waits for."`
	Path        string    `json:"path,omitempty" doc:"Where the job lies, if it was not sent."`
	Started     time.Time `json:"started,omitzero"`
	Restarts    int       `json:"restarts" doc:"Since somebody started it."`
	NextRestart time.Time `json:"next_restart,omitzero"`
	Epoch       int64     `json:"epoch"`
	Inputs      []string  `json:"inputs"`
	Outputs     []string  `json:"outputs"`
	Events      int64     `json:"events"`
	Rows        int64     `json:"rows"`
	DeadLetters int64     `json:"dead_letters"`
	Error       string    `json:"error,omitempty" doc:"Why the files of the job, as they are now, were refused; an older version is in force."`
	Diagnostics []Finding `json:"diagnostics,omitempty" doc:"Findings about the version in force, or about the files that were refused."`
}

// StatsView is job.Stats for people and programs, with rates.
type StatsView struct {
	State       job.State        `json:"state" enum:"starting,running,degraded,stopping,stopped,failed,completed"`
	Since       time.Time        `json:"since,omitzero"`
	Reason      string           `json:"reason,omitempty"`
	Version     int              `json:"version"`
	Epoch       int64            `json:"epoch"`
	Replaying   bool             `json:"replaying"`
	At          time.Time        `json:"at"`
	Checkpoint  CheckpointView   `json:"checkpoint"`
	Inputs      []InputView      `json:"inputs"`
	Steps       []StepView       `json:"steps"`
	Outputs     []OutputView     `json:"outputs"`
	DeadLetters map[string]int64 `json:"dead_letters" doc:"By name of the error."`
	Notes       []string         `json:"notes,omitempty" doc:"What whoever looks after the job should know."`
}

// CheckpointView is about checkpoints.
type CheckpointView struct {
	Count          int64     `json:"count"`
	Failures       int64     `json:"failures"`
	Last           time.Time `json:"last,omitzero"`
	Bytes          int64     `json:"bytes"`
	PauseSeconds   float64   `json:"pause_seconds" doc:"How long the job stood still for the last one."`
	ElapsedSeconds float64   `json:"elapsed_seconds" doc:"Until the last one was durable."`
}

// InputView is about an input.
type InputView struct {
	Name            string           `json:"name"`
	Events          int64            `json:"events"`
	Bytes           int64            `json:"bytes"`
	EventsPerSecond float64          `json:"events_per_second"`
	Errors          map[string]int64 `json:"errors" doc:"What did not become an event, by name of the error."`
	Late            MovedView        `json:"late"`
	OutOfOrder      MovedView        `json:"out_of_order"`
	Early           int64            `json:"early" doc:"Dropped."`
	Partitions      []PartitionView  `json:"partitions"`
	Reference       *ReferenceView   `json:"reference,omitempty" doc:"Of reference data."`
}

// ReferenceView is about reference data.
type ReferenceView struct {
	Version    string     `json:"version" doc:"In force now; empty if the source has no versions."`
	Since      *time.Time `json:"since,omitempty" doc:"From when on it is in force; none if it always is."`
	Rows       int64      `json:"rows" doc:"-1 if it has not been read yet."`
	Versions   int        `json:"versions" doc:"That rows may still need, or that are to come."`
	AgeSeconds float64    `json:"age_seconds" doc:"Since the source last said what it has."`
	Failure    string     `json:"failure,omitempty" doc:"Of the last look for a new version."`
}

// MovedView counts events beyond a policy's limit.
type MovedView struct {
	Dropped  int64 `json:"dropped"`
	Adjusted int64 `json:"adjusted"`
}

// PartitionView is about a partition.
type PartitionView struct {
	Name        string    `json:"name"`
	Events      int64     `json:"events"`
	Position    string    `json:"position"`
	Waiting     *int64    `json:"waiting,omitempty" doc:"Events that the source has behind the position. Absent: it does not know."`
	Watermark   time.Time `json:"watermark,omitzero"`
	IdleSeconds float64   `json:"idle_seconds"`
	Ended       bool      `json:"ended"`
}

// StepView is about a node of the plan.
type StepView struct {
	Node         int              `json:"node"`
	Step         string           `json:"step"`
	Kind         string           `json:"kind"`
	Detail       string           `json:"detail,omitempty"`
	Line         int              `json:"line,omitempty"`
	In           int64            `json:"in"`
	Out          int64            `json:"out"`
	InPerSecond  float64          `json:"in_per_second"`
	OutPerSecond float64          `json:"out_per_second"`
	Dropped      map[string]int64 `json:"dropped"`
	BusySeconds  float64          `json:"busy_seconds"`
	Busy         float64          `json:"busy" doc:"Of the last seconds, from 0 to 1."`
	Held         int64            `json:"held" doc:"Rows and groups that wait."`
	Watermark    time.Time        `json:"watermark,omitzero"`
	DelaySeconds float64          `json:"delay_seconds" doc:"How far the watermark is behind the clock."`
	HeldBy       string           `json:"held_by,omitempty" doc:"The input and partition that hold the watermark."`
}

// OutputView is about an output.
type OutputView struct {
	Name           string           `json:"name"`
	Guarantee      string           `json:"guarantee"`
	Rows           int64            `json:"rows" doc:"Committed."`
	RowsPerSecond  float64          `json:"rows_per_second"`
	Epoch          int64            `json:"epoch"`
	Rejected       map[string]int64 `json:"rejected"`
	BeforeStart    int64            `json:"before_start" doc:"Rows left out because their time is before the start of the job."`
	Retries        int64            `json:"retries"`
	BlockedSeconds float64          `json:"blocked_seconds"`
	LastError      string           `json:"last_error,omitempty"`
	LastTime       time.Time        `json:"last_time,omitzero" doc:"The time of the last row committed."`
	Latency        LatencyView      `json:"latency"`
}

// LatencyView is how long it takes from the arrival of an event to the commit of its epoch.
type LatencyView struct {
	Count      int64   `json:"count"`
	P50Seconds float64 `json:"p50_seconds"`
	P99Seconds float64 `json:"p99_seconds"`
}

// Topology is the plan of a job as a graph.
type Topology struct {
	Nodes   []TopologyNode `json:"nodes"`
	Edges   []TopologyEdge `json:"edges"`
	Inputs  []string       `json:"inputs"`
	Steps   []string       `json:"steps"`
	Outputs []string       `json:"outputs"`
}

// TopologyNode is a node of the plan; its number is StepView.Node.
type TopologyNode struct {
	ID     int    `json:"id"`
	Step   string `json:"step"`
	Kind   string `json:"kind"`
	Detail string `json:"detail,omitempty"`
	Line   int    `json:"line,omitempty"`
}

// TopologyEdge says that rows go from a node to another one.
type TopologyEdge struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// vecEpoch is 1970 in ticks.
var vecEpoch = vec.FromCivil(1970, 1, 1)

// civil is a time for people; times before and after all time are zero.
func civil(t vec.Time) time.Time {
	if !t.Valid() {
		return time.Time{}
	}
	return time.Unix(int64(t-vecEpoch)/1e7, int64(t-vecEpoch)%1e7*100).UTC()
}

// counted makes an absent map an empty one: clients need not know the difference.
func counted(m map[string]int64) map[string]int64 {
	if m == nil {
		return map[string]int64{}
	}
	return m
}

// viewStats is a job's statistics with the rates since an older reading.
func viewStats(s job.Stats, now time.Time, old job.Stats, then time.Time) StatsView {
	seconds := now.Sub(then).Seconds()
	rate := func(now, old int64) float64 {
		if seconds <= 0 || now < old {
			return 0
		}
		return float64(now-old) / seconds
	}
	v := StatsView{State: s.State, Since: s.Since, Reason: s.Reason, Version: s.Version, Epoch: s.Epoch, Replaying: s.Replaying, At: now,
		Inputs: []InputView{}, Steps: []StepView{}, Outputs: []OutputView{}, DeadLetters: counted(s.Dead), Notes: s.Notes}
	c := s.Checkpoint
	v.Checkpoint = CheckpointView{c.Count, c.Failures, c.Last, c.Bytes, c.Pause.Seconds(), c.Elapsed.Seconds()}
	for i := range s.Inputs {
		in := viewInput(&s.Inputs[i])
		if o := named(old.Inputs, in.Name, func(i *job.InputStats) string { return i.Name }); o != nil {
			in.EventsPerSecond = rate(in.Events, o.Events)
		}
		v.Inputs = append(v.Inputs, in)
	}
	same := s.Version == old.Version && len(s.Steps) == len(old.Steps)
	for i := range s.Steps {
		st := viewStep(&s.Steps[i], now)
		if o := old.Steps; same && o[i].Node == st.Node {
			st.InPerSecond, st.OutPerSecond = rate(st.In, o[i].In), rate(st.Out, o[i].Out)
			st.Busy = min(1, rate(int64(s.Steps[i].Busy), int64(o[i].Busy))/1e9)
		}
		v.Steps = append(v.Steps, st)
	}
	for i := range s.Outputs {
		out := viewOutput(&s.Outputs[i])
		if o := named(old.Outputs, out.Name, func(i *job.OutputStats) string { return i.Name }); o != nil {
			out.RowsPerSecond = rate(out.Rows, o.Rows)
		}
		v.Outputs = append(v.Outputs, out)
	}
	return v
}

// named finds an element by its name.
func named[T any](list []T, name string, of func(*T) string) *T {
	for i := range list {
		if of(&list[i]) == name {
			return &list[i]
		}
	}
	return nil
}

func viewInput(in *job.InputStats) InputView {
	v := InputView{Name: in.Name, Events: in.Events, Bytes: in.Bytes, Errors: counted(in.Errors), Late: MovedView(in.Late),
		OutOfOrder: MovedView(in.OutOfOrder), Early: in.Early, Partitions: []PartitionView{}}
	for _, p := range in.Partitions {
		var waiting *int64
		if n := p.Waiting; n >= 0 {
			waiting = &n
		}
		v.Partitions = append(v.Partitions, PartitionView{Name: p.Name, Waiting: waiting, Events: p.Events, Position: string(p.Position),
			Watermark: civil(p.Watermark), IdleSeconds: p.Idle.Seconds(), Ended: p.Ended})
	}
	if r := in.Reference; r != nil {
		v.Reference = &ReferenceView{Version: r.Version, Rows: r.Rows, Versions: r.Versions, AgeSeconds: r.Age.Seconds(), Failure: r.Failure}
		if since := civil(r.Effective); !since.IsZero() {
			v.Reference.Since = &since
		}
	}
	return v
}

func viewStep(s *job.StepStats, now time.Time) StepView {
	v := StepView{Node: s.Node, Step: s.Step, Kind: s.Kind, Detail: s.Detail, Line: s.Line, In: s.In, Out: s.Out, Dropped: counted(s.Dropped),
		BusySeconds: s.Busy.Seconds(), Held: s.Held, Watermark: civil(s.Watermark), HeldBy: s.HeldBy}
	if !v.Watermark.IsZero() {
		v.DelaySeconds = max(0, now.Sub(v.Watermark).Seconds())
	}
	return v
}

func viewOutput(o *job.OutputStats) OutputView {
	v := OutputView{Name: o.Name, Guarantee: o.Guarantee, Rows: o.Rows, Epoch: o.Epoch, Rejected: counted(o.Rejected), BeforeStart: o.BeforeStart, Retries: o.Retries,
		BlockedSeconds: o.Blocked.Seconds(), LastError: o.LastError, LastTime: civil(o.LastTime)}
	for _, n := range o.Latency.Counts {
		v.Latency.Count += n
	}
	v.Latency.P50Seconds = quantile(o.Latency, 0.50).Seconds()
	v.Latency.P99Seconds = quantile(o.Latency, 0.99).Seconds()
	return v
}

// quantile is the upper bound of the bucket that holds a quantile; beyond the last bound it is
// that bound.
func quantile(h job.Histogram, q float64) time.Duration {
	var total int64
	for _, n := range h.Counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	want := int64(q * float64(total))
	for i, n := range h.Counts {
		if want -= n; want < 0 {
			return job.LatencyBounds[min(i, len(job.LatencyBounds)-1)]
		}
	}
	return job.LatencyBounds[len(job.LatencyBounds)-1]
}

// viewTopology is the graph of a plan; kinds and details are those of the statistics, which
// may be missing.
func viewTopology(p *plan.Plan, steps []job.StepStats) Topology {
	t := Topology{Nodes: []TopologyNode{}, Edges: []TopologyEdge{}, Inputs: []string{}, Steps: []string{}, Outputs: []string{}}
	for _, n := range p.Nodes {
		node := TopologyNode{ID: n.ID, Step: n.Step}
		if i := slices.IndexFunc(steps, func(s job.StepStats) bool { return s.Node == n.ID }); i >= 0 {
			s := &steps[i]
			node = TopologyNode{s.Node, s.Step, s.Kind, s.Detail, s.Line}
		}
		t.Nodes = append(t.Nodes, node)
		for _, in := range n.In {
			t.Edges = append(t.Edges, TopologyEdge{in.ID, n.ID})
		}
	}
	for _, in := range p.Inputs {
		t.Inputs = append(t.Inputs, in.Name)
	}
	for _, s := range p.Steps {
		t.Steps = append(t.Steps, s.Name)
	}
	for _, o := range p.Outputs {
		t.Outputs = append(t.Outputs, o.Name)
	}
	return t
}
