package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/internal/job"
	"weir/internal/service"
)

type topCmd struct {
	serverFlags `embed:""`
	Job         string `arg:"" optional:"" placeholder:"JOB" help:"The steps of this job. Default: all jobs."`
	Once        bool   `help:"Print one frame as text and end."`
}

// Help shows examples before the flags.
func (topCmd) Help() string {
	return `Examples:
  weir top
  weir top downtime
  weir top downtime --once

It draws twice a second. Keys: the arrows select; enter opens a job, and taps an input, step
or output; w asks where the rows of an output went; d shows dead letters; q goes back, and
ends. IN/s, OUT/s and DROP/s are rows a second, BUSY the part of a processor that a step took,
HELD the rows and groups that wait for time to pass and, of an input from a hub, the events
that wait to be read; HELD BY is who holds time back.`
}

// Run shows a frame, or frames until somebody ends it.
func (c *topCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	w := &topWatch{api: api}
	if c.Once {
		f, err := w.frame(ctx, c.Job)
		if err != nil {
			return err
		}
		v := topView{frame: f, width: con.width, once: true}
		_, err = fmt.Fprintln(con.out, strings.Join(v.lines(), "\n"))
		return err
	}
	if !con.outTTY {
		return usage("weir top draws on a terminal; --once prints one frame as text")
	}
	if _, err := w.frame(ctx, c.Job); err != nil { // what is wrong from the start is said as usual
		return err
	}
	return runTop(ctx, con, w, c.Job)
}

// topFrame is what is known at a moment: of all jobs, or of one with its steps.
type topFrame struct {
	at     time.Time
	server string
	jobs   []topJob // nil: not known yet
	// Of one job:
	job   *topJob
	parts []topPart
	err   error // why nothing newer is known
}

// topJob is a job with its rates.
type topJob struct {
	service.JobView
	in, out float64 // a second
	delay   float64 // seconds
	stats   service.StatsView
}

// What a topPart is.
const (
	topInput = iota
	topStep
	topOutput
)

// topPart is an input, a step or an output of a job.
type topPart struct {
	kind      int
	name      string
	in, out   float64 // rows a second; negative: does not apply
	drop      float64
	busy      float64
	held      int64
	watermark time.Time
	heldBy    string
	note      string   // at the end of the line
	details   []string // below the table, when it is selected
}

// topWatch asks the service.
type topWatch struct {
	api   *client
	mu    sync.Mutex                  // held while a frame is made; guards what follows
	graph map[string]service.Topology // by job and version
	drops map[string]int64            // by job and part, as of the frame before
	then  time.Time
}

// maxTopJobs is of how many jobs the rates are asked for.
const maxTopJobs = 100

// frame asks what is now, of one job or of all.
func (w *topWatch) frame(ctx context.Context, name string) (topFrame, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := topFrame{at: time.Now(), server: w.api.base}
	if name == "" {
		var list struct{ Jobs []service.JobView }
		if err := w.api.do(ctx, "GET", apiPath("jobs"), nil, &list); err != nil {
			return f, err
		}
		f.jobs = []topJob{}
		for i, j := range list.Jobs {
			t := topJob{JobView: j}
			if i < maxTopJobs && (j.State == job.Running || j.State == job.Degraded) {
				if err := w.stats(ctx, &t); err != nil {
					return f, err
				}
			}
			f.jobs = append(f.jobs, t)
		}
		return f, nil
	}
	f.job = &topJob{}
	if err := w.api.do(ctx, "GET", apiPath("jobs", name), nil, &f.job.JobView); err != nil {
		return f, err
	}
	if err := w.stats(ctx, f.job); err != nil {
		return f, err
	}
	key := fmt.Sprintf("%s/%d", name, f.job.Version)
	if _, known := w.graph[key]; !known || len(w.graph[key].Nodes) == 0 || f.job.State == job.Starting {
		var t service.Topology
		if err := w.api.do(ctx, "GET", apiPath("jobs", name, "topology"), nil, &t); err != nil {
			return f, err
		}
		w.graph = map[string]service.Topology{key: t}
	}
	f.parts = w.parts(name, f.at, &f.job.stats, w.graph[key])
	return f, nil
}

// stats asks for the statistics of a job.
func (w *topWatch) stats(ctx context.Context, t *topJob) error {
	if err := w.api.do(ctx, "GET", apiPath("jobs", t.Name, "stats"), nil, &t.stats); err != nil {
		return err
	}
	for _, in := range t.stats.Inputs {
		t.in += in.EventsPerSecond
	}
	for _, out := range t.stats.Outputs {
		t.out += out.RowsPerSecond
	}
	for _, s := range t.stats.Steps {
		t.delay = max(t.delay, s.DelaySeconds)
	}
	return nil
}

// parts are the inputs, steps and outputs of a job, in the order of the query.
func (w *topWatch) parts(name string, now time.Time, st *service.StatsView, t service.Topology) []topPart {
	seconds := now.Sub(w.then).Seconds()
	was := w.drops
	w.drops, w.then = map[string]int64{}, now
	rate := func(part string, dropped int64) float64 {
		key := name + "/" + part
		w.drops[key] = dropped
		old, known := was[key]
		if !known || seconds <= 0 || dropped < old {
			return 0
		}
		return float64(dropped-old) / seconds
	}
	var list []topPart
	for _, in := range st.Inputs {
		list = append(list, inputPart(in, rate("i/"+in.Name, inputDrops(in))))
	}
	for _, step := range stepsOf(st) {
		p, dropped := stepPart(step, st, t)
		p.drop = rate("s/"+step, dropped)
		list = append(list, p)
	}
	for _, out := range st.Outputs {
		var rejected int64
		for _, n := range out.Rejected {
			rejected += n
		}
		list = append(list, outputPart(out, rate("o/"+out.Name, rejected+out.BeforeStart)))
	}
	return list
}

func inputDrops(in service.InputView) int64 {
	n := in.Late.Dropped + in.OutOfOrder.Dropped + in.Early
	for name, k := range in.Errors {
		if name != "LateInputEvent" && name != "EarlyInputEvent" && name != "OutOfOrderEvent" {
			n += k
		}
	}
	return n
}

func inputPart(in service.InputView, drop float64) topPart {
	p := topPart{kind: topInput, name: in.Name, in: in.EventsPerSecond, out: in.EventsPerSecond, drop: drop, busy: -1, held: -1}
	for _, x := range in.Partitions {
		if x.Waiting != nil {
			p.held = max(p.held, 0) + *x.Waiting
		}
	}
	if len(in.Partitions) > 0 {
		slowest := in.Partitions[0]
		for _, x := range in.Partitions {
			if !x.Ended && (slowest.Ended || x.Watermark.Before(slowest.Watermark)) {
				slowest = x
			}
		}
		p.watermark = slowest.Watermark
		if len(in.Partitions) > 1 {
			p.heldBy = slowest.Name
		}
		switch {
		case slowest.Ended:
			p.heldBy = strings.TrimSpace(p.heldBy + " ended")
		case slowest.IdleSeconds >= 1:
			p.heldBy = strings.TrimSpace(p.heldBy + " idle " + shortSeconds(slowest.IdleSeconds))
		}
	}
	p.details = []string{fmt.Sprintf("%s, %s bytes, %s", plural(in.Events, "event"), grouped(in.Bytes), plural(int64(len(in.Partitions)), "partition"))}
	if d := inputDrops(in); d > 0 || in.Late.Adjusted+in.OutOfOrder.Adjusted > 0 {
		p.details = append(p.details, fmt.Sprintf("left out %s; time moved by policy: late %s, out of order %s", grouped(d), grouped(in.Late.Adjusted), grouped(in.OutOfOrder.Adjusted)))
	}
	return p
}

// stepsOf are the steps that work, in the order of the plan; the select of an output has the
// output's name.
func stepsOf(st *service.StatsView) []string {
	var names []string
	for _, n := range st.Steps {
		if !reads(n) && n.Kind != "output" && n.Step != "" && !slices.Contains(names, n.Step) {
			names = append(names, n.Step)
		}
	}
	return names
}

// reads reports whether a node belongs to an input and not to a step.
func reads(n service.StepView) bool { return n.Kind == "source" || n.Kind == "time" }

// stepPart sums up the nodes of a step, and how many rows it has dropped.
func stepPart(step string, st *service.StatsView, t service.Topology) (p topPart, dropped int64) {
	p = topPart{kind: topStep, name: step}
	inside := map[int]bool{}
	for _, n := range st.Steps {
		inside[n.Node] = n.Step == step && !reads(n) && n.Kind != "output"
	}
	entry := map[int]bool{}
	for _, e := range t.Edges {
		if inside[e.To] && !inside[e.From] {
			entry[e.To] = true
		}
	}
	for _, n := range st.Steps {
		if !inside[n.Node] {
			continue
		}
		if entry[n.Node] {
			p.in += n.InPerSecond
		}
		p.out, p.watermark, p.heldBy = n.OutPerSecond, n.Watermark, n.HeldBy // of the last one
		p.busy += n.Busy
		p.held += n.Held
		for _, k := range n.Dropped {
			dropped += k
		}
		if n.Kind == "filter" {
			dropped += max(0, n.In-n.Out)
		}
		text := n.Kind
		if n.Detail != "" {
			text += ": " + n.Detail
		}
		if n.Line > 0 {
			text += fmt.Sprintf(" (line %d)", n.Line)
		}
		p.details = append(p.details, fmt.Sprintf("%s   %s in, %s out", text, grouped(n.In), grouped(n.Out)))
	}
	return p, dropped
}

func outputPart(out service.OutputView, drop float64) topPart {
	p := topPart{kind: topOutput, name: out.Name, in: out.RowsPerSecond, out: out.RowsPerSecond, drop: drop, busy: -1, held: -1, watermark: out.LastTime}
	if out.Latency.Count > 0 {
		p.note = "p99 " + shortSeconds(out.Latency.P99Seconds)
	}
	if out.Retries > 0 {
		retries := fmt.Sprintf("%s retries", grouped(out.Retries))
		if out.Retries == 1 {
			retries = "1 retry"
		}
		p.note = strings.TrimPrefix(p.note+", "+retries, ", ")
	}
	p.details = []string{fmt.Sprintf("%s, %s", plural(out.Rows, "row"), out.Guarantee)}
	if out.Latency.Count > 0 {
		p.details[0] += fmt.Sprintf(", arrival to commit %s (half) %s (99 %%)", shortSeconds(out.Latency.P50Seconds), shortSeconds(out.Latency.P99Seconds))
	}
	if out.LastError != "" {
		p.details = append(p.details, "last error: "+out.LastError)
	}
	return p
}

// shortSeconds is a duration in few characters.
func shortSeconds(s float64) string {
	switch {
	case s < 1:
		return fmt.Sprintf("%.0fms", s*1000)
	case s < 60:
		return strings.Replace(fmt.Sprintf("%.1fs", s), ".0s", "s", 1)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", int(s)/60, int(s)%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", int(s)/3600, int(s)/60%60)
	}
	return fmt.Sprintf("%dd%dh", int(s)/86400, int(s)/3600%24)
}

// letters asks for the last dead letters of a job.
func (w *topWatch) letters(ctx context.Context, name string) ([]string, error) {
	type answer struct {
		Total   int64
		Counts  map[string]int64
		Letters []job.DeadLetter
	}
	ask := func(after, limit int64) (v answer, err error) {
		q := url.Values{"after": {fmt.Sprint(after)}, "limit": {fmt.Sprint(limit)}}
		err = w.api.do(ctx, "GET", apiPath("jobs", name, "deadletters", "?"+q.Encode()), nil, &v)
		return v, err
	}
	v, err := ask(0, 0)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, of := range sortedNames(v.Counts) {
		lines = append(lines, fmt.Sprintf("%12s  %s", grouped(v.Counts[of]), of))
	}
	if v.Total == 0 {
		return []string{"no dead letters"}, nil
	}
	last, err := ask(max(0, v.Total-lastLetters), lastLetters)
	if err != nil {
		return nil, err
	}
	lines = append(lines, "", "the last ones:")
	for _, l := range last.Letters {
		lines = append(lines, fmt.Sprintf("%6d  %s  %s  %s  %s", l.ID, l.Time.Local().Format("15:04:05"), l.Input+l.Output, l.Reason, l.Payload))
	}
	return lines, nil
}

// lastLetters is how many dead letters are shown.
const lastLetters = 50

// whyLines are the answers of why for an output, or for all.
func (w *topWatch) whyLines(ctx context.Context, name, output string) ([]string, error) {
	outputs := []string{output}
	if output == "" {
		var t service.Topology
		if err := w.api.do(ctx, "GET", apiPath("jobs", name, "topology"), nil, &t); err != nil {
			return nil, err
		}
		outputs = t.Outputs
	}
	var lines []string
	for i, o := range outputs {
		a, err := w.api.why(ctx, name, o)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(a.Text, "\n"), "\n")...)
	}
	return lines, nil
}

// tap sends rows of a part of a job until ctx ends.
func (w *topWatch) tap(ctx context.Context, name, step string, came func(row string)) error {
	err := w.api.stream(ctx, apiPath("jobs", name, "steps", step, "tap", "?rate=50"), func(e streamed) error {
		if e.Name != "rows" {
			return nil
		}
		var v struct{ Rows []json.RawMessage }
		if err := json.Unmarshal(e.Data, &v); err != nil {
			return err
		}
		for _, r := range v.Rows {
			came(string(r))
		}
		return nil
	})
	if err == nil && ctx.Err() == nil {
		err = errors.New("the job has stopped, or the step is gone")
	}
	return err
}

func sortedNames(m map[string]int64) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
