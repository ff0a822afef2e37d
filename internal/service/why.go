package service

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/plan"
)

// Why is where the rows of an output went: a funnel from what was received to what came out
// (ux.md 13.1), the likely cause of what is missing, and what to try.
type Why struct {
	Job    string     `json:"job"`
	Output string     `json:"output"`
	State  job.State  `json:"state"`
	Rows   int64      `json:"rows" doc:"That the output has."`
	Stages []WhyStage `json:"stages" doc:"The funnel, from what was received on."`
	// Biggest is the index of the stage with the greatest loss.
	Biggest int       `json:"biggest" doc:"The stage where most is lost; -1 if nothing is."`
	Cause   string    `json:"cause" doc:"The likely cause, in a sentence with numbers."`
	Fix     string    `json:"fix,omitempty" doc:"What to try."`
	Closes  *WhyClose `json:"closes,omitempty" doc:"If a window has yet to close."`
	Text    string    `json:"text" doc:"The whole, for people."`
}

// WhyStage is a stage of the funnel.
type WhyStage struct {
	Kind   string `json:"kind" enum:"received,lost,step,waits,out"`
	Name   string `json:"name" doc:"What happens there: malformed, early, filter, join ..."`
	Step   string `json:"step,omitempty" doc:"The WITH step, or output, that it belongs to."`
	Count  int64  `json:"count" doc:"Received, lost, waiting or given."`
	Left   int64  `json:"left" doc:"What goes on behind it."`
	Detail string `json:"detail,omitempty"`
	Line   int    `json:"line,omitempty" doc:"Of the query."`
}

// WhyClose says when the next window closes.
type WhyClose struct {
	At        time.Time `json:"at,omitzero" doc:"The end of the next window; it closes when the watermark is behind it."`
	Watermark time.Time `json:"watermark,omitzero"`
	Clock     time.Time `json:"clock,omitzero" doc:"About when it closes by the clock if no newer event comes."`
	HeldBy    string    `json:"held_by,omitempty" doc:"The input and partition that the watermark waits for."`
}

// Why follows the events of a job to one of its outputs. A job that has stopped or failed tells
// what it did while it ran, if that was in the life of this service.
func (s *Service) Why(name, output string) (Why, error) {
	m, err := s.find(name)
	if err != nil {
		return Why{}, err
	}
	a, st, e, err := m.evidence()
	if err != nil {
		return Why{}, err
	}
	p := a.Spec.Plan
	at := slices.IndexFunc(p.Outputs, func(o plan.Output) bool { return strings.EqualFold(o.Name, output) })
	if output == "" && len(p.Outputs) == 1 {
		at = 0
	}
	if at < 0 {
		var known []string
		for _, o := range p.Outputs {
			known = append(known, o.Name)
		}
		return Why{}, m.noSuch("output", output, known...)
	}
	w := Explain(name, a, at, st, e)
	w.Cause, w.Text = s.Scrub(w.Cause), s.Scrub(w.Text)
	return w, nil
}

// Evidence is what is asked for where counts do not say why. Its functions may be nil.
type Evidence struct {
	// Letters gives some dead letters of an error.
	Letters func(of string) []job.DeadLetter
	// Peek is job.Live.Peek.
	Peek func(node int) (rows []job.PeekRow, total int)
	// Samples says that it is a run over samples, which no service knows.
	Samples bool
}

// evidence is what is known of a job that runs, or ran.
func (m *managed) evidence() (*Assembly, job.Stats, Evidence, error) {
	live, a, err := m.live("counts to follow")
	if err == nil {
		letters := func(of string) []job.DeadLetter {
			list, err := lettersOf(live, of, 0, sampleLetters)
			if err != nil {
				return nil
			}
			return list
		}
		return a, live.Stats(), Evidence{Letters: letters, Peek: live.Peek}, nil
	}
	m.mu.Lock()
	st := m.stats()
	m.mu.Unlock()
	if len(st.Steps) == 0 && st.Reason == "" {
		return nil, st, Evidence{}, err
	}
	a, err = m.assemble(st.Version)
	return a, st, Evidence{}, err
}

// sampleLetters is how many dead letters are looked at for a cause.
const sampleLetters = 200

// Explain makes the funnel of output number at of a job from its statistics.
func Explain(name string, a *Assembly, at int, st job.Stats, e Evidence) Why {
	p := a.Spec.Plan
	x := &tracer{plan: p, spec: &a.Spec, job: name, st: &st, letters: e.Letters, peek: e.Peek, samples: e.Samples, biggest: -1, output: p.Outputs[at].Name,
		nodes: map[int]*job.StepStats{}, needed: map[int]bool{}}
	if x.letters == nil {
		x.letters = func(string) []job.DeadLetter { return nil }
	}
	for i := range st.Steps {
		x.nodes[st.Steps[i].Node] = &st.Steps[i]
	}
	x.need(p.Outputs[at].Node)
	w := Why{Job: name, Output: x.output, State: st.State}
	for i := range st.Outputs {
		if o := &st.Outputs[i]; o.Name == x.output {
			x.out = o
			w.Rows = o.Rows
		}
	}
	x.received()
	for _, n := range p.Nodes {
		if x.needed[n.ID] {
			x.node(n)
		}
	}
	x.written(w.Rows)
	w.Stages, w.Biggest = x.stages, x.biggest
	w.Cause, w.Fix, w.Closes = x.cause(p.Outputs[at].Node)
	w.Text = w.render()
	return w
}

// tracer follows the counts of a plan to one of its outputs.
type tracer struct {
	plan    *plan.Plan
	spec    *job.LiveSpec
	job     string
	output  string
	st      *job.Stats
	out     *job.OutputStats // nil if there are none yet
	letters func(of string) []job.DeadLetter
	peek    func(node int) ([]job.PeekRow, int)
	samples bool // Evidence.Samples
	nodes   map[int]*job.StepStats
	needed  map[int]bool // nodes that the output follows from

	stages  []WhyStage
	biggest int
	events  int64 // that were received and could be read
	bad     int64 // that could not be
	stamps  []*plan.Node
}

// need marks a node and those that it reads.
func (x *tracer) need(n *plan.Node) {
	if x.needed[n.ID] {
		return
	}
	x.needed[n.ID] = true
	for _, in := range n.In {
		x.need(in)
	}
}

// add puts a stage into the funnel.
func (x *tracer) add(s WhyStage) {
	if s.Kind == "lost" && (x.biggest < 0 || s.Count > x.stages[x.biggest].Count) {
		x.biggest = len(x.stages)
	}
	x.stages = append(x.stages, s)
}

// inputs are the inputs that the output follows from.
func (x *tracer) inputs() []*job.InputStats {
	var list []*job.InputStats
	for _, n := range x.plan.Nodes {
		src, ok := n.Op.(*plan.Source)
		if !ok || !x.needed[n.ID] || x.plan.Inputs[src.Input].Reference {
			continue
		}
		for i := range x.st.Inputs {
			if in := &x.st.Inputs[i]; in.Name == x.plan.Inputs[src.Input].Name && !slices.Contains(list, in) {
				list = append(list, in)
			}
		}
	}
	return list
}

// received is what came, and what of it was no event.
func (x *tracer) received() {
	for _, in := range x.inputs() {
		bad, worst := unread(in)
		var parts []string
		for _, p := range in.Partitions {
			if len(in.Partitions) > 1 && len(parts) < 8 {
				parts = append(parts, fmt.Sprintf("%s %s", p.Name, grouped(p.Events)))
			}
		}
		x.add(WhyStage{Kind: "received", Name: in.Name, Count: in.Events + bad, Left: in.Events + bad, Detail: strings.Join(parts, " · ")})
		if bad > 0 {
			x.add(WhyStage{Kind: "lost", Name: "malformed", Count: bad, Left: in.Events, Detail: worst})
		}
		x.events += in.Events
		x.bad += bad
	}
}

// unread is how many texts of an input could not be read, and the error that most of them had.
func unread(in *job.InputStats) (bad int64, worst string) {
	for _, name := range sortedKeys(in.Errors) {
		if lossWords[name] != "" {
			continue // an event, dropped at a node
		}
		n := in.Errors[name]
		bad += n
		if worst == "" || n > in.Errors[worst] {
			worst = name
		}
	}
	return bad, worst
}

// kinds of loss at a node, by the names of the original, in words.
var lossWords = map[string]string{
	"LateInputEvent":                             "late",
	"EarlyInputEvent":                            "early",
	"OutOfOrderEvent":                            "out of order",
	"InvalidInputTimeStamp":                      "without a time",
	"InvalidInputTimeStampKey":                   "without a key of time",
	"QueryError":                                 "failed in the query",
	"InputDeserializerError.TypeConversionError": "of a wrong type",
}

// node adds what a node has done to the rows.
func (x *tracer) node(n *plan.Node) {
	s := x.nodes[n.ID]
	if s == nil {
		return
	}
	left := s.In
	for _, name := range sortedKeys(s.Dropped) {
		count := s.Dropped[name]
		if count == 0 {
			continue
		}
		word := lossWords[name]
		if word == "" {
			word = "dropped"
		}
		left -= count
		x.add(WhyStage{Kind: "lost", Name: word, Step: s.Step, Count: count, Left: max(left, 0), Detail: name, Line: s.Line})
	}
	lost := func(name string, count int64) {
		if count > 0 {
			x.add(WhyStage{Kind: "lost", Name: name, Step: s.Step, Count: count, Left: s.Out, Detail: s.Detail, Line: s.Line})
		}
	}
	switch op := n.Op.(type) {
	case *plan.Stamp:
		x.stamps = append(x.stamps, n)
	case *plan.Filter:
		lost("filtered out", left-s.Out)
	case *plan.Join, *plan.Lookup:
		what := "matched by a join"
		if s.Out == 0 && s.In > 0 {
			lost("without a partner in a join", s.In)
			break
		}
		x.add(WhyStage{Kind: "step", Name: what, Step: s.Step, Count: s.Out, Left: s.Out, Detail: s.Detail, Line: s.Line})
	case *plan.Group:
		if s.Held > 0 && s.Out == 0 {
			x.add(WhyStage{Kind: "waits", Name: "wait for their window to close", Step: s.Step, Count: s.In, Left: s.Out, Detail: s.Detail, Line: s.Line})
			break
		}
		x.add(WhyStage{Kind: "step", Name: "rows of groups", Step: s.Step, Count: s.Out, Left: s.Out, Detail: s.Detail, Line: s.Line})
	case *plan.Match:
		if s.Out == 0 && s.In > 0 {
			lost("in no match of the pattern", s.In)
			break
		}
		x.add(WhyStage{Kind: "step", Name: "matches of the pattern", Step: s.Step, Count: s.Out, Left: s.Out, Detail: s.Detail, Line: s.Line})
	case *plan.Top:
		if op.N >= 0 {
			lost("behind the top", left-s.Out)
		}
	}
}

// written is what the output took.
func (x *tracer) written(rows int64) {
	if x.out == nil {
		return
	}
	for _, name := range sortedKeys(x.out.Rejected) {
		if n := x.out.Rejected[name]; n > 0 {
			x.add(WhyStage{Kind: "lost", Name: "rejected by the output", Step: x.output, Count: n, Left: rows, Detail: name})
		}
	}
	if n := x.out.BeforeStart; n > 0 {
		x.add(WhyStage{Kind: "lost", Name: "from before the start", Step: x.output, Count: n, Left: rows, Detail: "their time is before the job was started"})
	}
	x.add(WhyStage{Kind: "out", Name: x.output, Count: rows, Left: rows, Detail: x.out.Guarantee})
}

func sortedKeys(m map[string]int64) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// grouped writes a number with commas between the thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// render draws the funnel for people.
func (w *Why) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %s", w.Output, rowsText(w.Rows))
	switch w.State {
	case job.Running, job.Completed, "":
	default:
		fmt.Fprintf(&b, "; the job is %s", w.State)
	}
	b.WriteString("\n")
	width := 8
	for _, s := range w.Stages {
		width = max(width, len(grouped(s.Count))+2)
	}
	for _, s := range w.Stages {
		sign, name := "", s.Name
		switch s.Kind {
		case "received":
			name = "received from " + s.Name
		case "lost":
			sign = "− "
		case "out":
			name = strings.TrimPrefix(rowsText(s.Count), grouped(s.Count)+" ") + " in " + s.Name
		}
		count := sign + grouped(s.Count)
		pad := max(0, width-len([]rune(count)))
		fmt.Fprintf(&b, "%s%s %s", strings.Repeat(" ", pad), count, name)
		var more []string
		if s.Step != "" && s.Kind != "out" {
			more = append(more, "in "+s.Step)
		}
		if s.Line > 0 {
			more = append(more, fmt.Sprintf("line %d", s.Line))
		}
		if s.Detail != "" {
			more = append(more, s.Detail)
		}
		if len(more) > 0 {
			b.WriteString("   " + strings.Join(more, ", "))
		}
		b.WriteString("\n")
	}
	if w.Cause != "" {
		b.WriteString("likely cause: " + w.Cause + "\n")
	}
	if w.Fix != "" {
		b.WriteString("fix: " + w.Fix + "\n")
	}
	return b.String()
}

// rowsText counts rows for people.
func rowsText(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return grouped(n) + " rows"
}

func wereText(n int64) string {
	if n == 1 {
		return "1 row was"
	}
	return grouped(n) + " rows were"
}
