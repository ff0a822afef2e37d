package web

import (
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"weir/internal/job"
	"weir/internal/vec"
)

// The limits of labels: what is beyond them counts as "other".
const (
	maxPartitionLabels = 64
	maxKindLabels      = 32
	other              = "other"
)

// desc is a metric. The names are a contract: dashboards have them.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("weir_"+name, help, append([]string{"job"}, labels...), nil)
}

var (
	inputEvents     = desc("input_events_total", "Events that were read.", "input", "partition")
	inputBytes      = desc("input_bytes_total", "Bytes of events that were read.", "input")
	inputErrors     = desc("input_errors_total", "Texts that are no events.", "input", "kind")
	referenceAge    = desc("reference_age_seconds", "How long ago the source of reference data last said what it has.", "input")
	referenceRows   = desc("reference_rows", "Rows of the version of reference data that is in force.", "input")
	referenceKept   = desc("reference_versions", "Versions of reference data that rows may need.", "input")
	eventsLate      = desc("events_late_total", "Events behind the late arrival limit.", "input", "action")
	eventsEarly     = desc("events_early_total", "Events ahead of their arrival.", "input", "action")
	eventsDisorder  = desc("events_out_of_order_total", "Events behind the out-of-order limit.", "input", "action")
	watermark       = desc("watermark_timestamp_seconds", "The watermark of a step, or of a partition of an input.", "step", "partition")
	watermarkDelay  = desc("watermark_delay_seconds", "How far the watermark is behind the clock.", "step", "partition")
	stepRows        = desc("step_rows_total", "Rows that came to a step, and that it gave.", "step", "direction")
	stepFiltered    = desc("step_filtered_total", "Rows that a step has left out.", "step", "reason")
	stepBusy        = desc("step_busy_seconds_total", "Time that a step has worked.", "step")
	stepBlocked     = desc("step_blocked_seconds_total", "Time that a step has waited for its output.", "step")
	stepKeys        = desc("step_state_keys", "Rows and groups that wait in a step.", "step")
	runtimeErrors   = desc("runtime_errors_total", "Query errors.", "step", "code")
	outputEvents    = desc("output_events_total", "Rows that were committed.", "output")
	outputRetries   = desc("output_retries_total", "Attempts that an output needed beyond the first.", "output")
	outputErrors    = desc("output_errors_total", "Rows that an output did not take.", "output", "kind")
	outputBefore    = desc("output_before_start_total", "Rows left out because their time is before the start of the job.", "output")
	endToEnd        = desc("end_to_end_seconds", "From the arrival of an event to the commit of its rows.", "output")
	checkpointTime  = desc("checkpoint_seconds", "How long the last checkpoint took until it was durable.")
	checkpointBytes = desc("checkpoint_bytes", "Size of the last checkpoint.")
	checkpointLast  = desc("checkpoint_last_success_timestamp_seconds", "When the last checkpoint was made.")
	checkpointFails = desc("checkpoint_failures_total", "Checkpoints that failed.")
	deadLetters     = desc("deadletter_events_total", "Dead letters.", "type")
	jobState        = desc("job_state", "1 for the state that the job is in.", "state")
	buildInfo       = prometheus.NewDesc("weir_build_info", "Always 1.", []string{"version", "goversion"}, nil)
)

// states are all states of a job.
var states = []job.State{job.Starting, job.Running, job.Degraded, job.Stopping, job.Stopped, job.Failed, job.Completed}

// metrics serves the metrics for Prometheus.
func (s *Server) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collector{s})
	for _, c := range s.o.Collectors {
		r.MustRegister(c)
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorLog: nil})
}

// collector reads the statistics of all jobs when it is asked.
type collector struct{ s *Server }

// Describe names no metric: they are checked as they are collected.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect gives the metrics of all jobs.
func (c collector) Collect(to chan<- prometheus.Metric) {
	e := emitter{to: to, now: time.Now()}
	to <- prometheus.MustNewConstMetric(buildInfo, prometheus.GaugeValue, 1, c.s.o.Version, runtime.Version())
	for name, st := range c.s.svc.RawStats() {
		e.job = name
		e.jobMetrics(&st)
		for i := range st.Inputs {
			e.input(&st.Inputs[i])
		}
		e.steps(st.Steps)
		for i := range st.Outputs {
			e.output(&st.Outputs[i])
		}
	}
}

// emitter gives the metrics of a job.
type emitter struct {
	to  chan<- prometheus.Metric
	job string
	now time.Time
}

func (e *emitter) count(d *prometheus.Desc, n float64, labels ...string) {
	e.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, append([]string{e.job}, labels...)...)
}

func (e *emitter) gauge(d *prometheus.Desc, n float64, labels ...string) {
	e.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, append([]string{e.job}, labels...)...)
}

// kinds gives counts by name, at most maxKindLabels of them.
func (e *emitter) kinds(d *prometheus.Desc, counts map[string]int64, labels ...string) {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	var rest int64
	for i, name := range names {
		if i >= maxKindLabels {
			rest += counts[name]
			continue
		}
		e.count(d, float64(counts[name]), append(slices.Clone(labels), name)...)
	}
	if rest > 0 {
		e.count(d, float64(rest), append(slices.Clone(labels), other)...)
	}
}

func (e *emitter) jobMetrics(st *job.Stats) {
	for _, s := range states {
		on := 0.0
		if s == st.State {
			on = 1
		}
		e.gauge(jobState, on, string(s))
	}
	c := st.Checkpoint
	e.gauge(checkpointTime, c.Elapsed.Seconds())
	e.gauge(checkpointBytes, float64(c.Bytes))
	if !c.Last.IsZero() {
		e.gauge(checkpointLast, float64(c.Last.UnixMilli())/1000)
	}
	e.count(checkpointFails, float64(c.Failures))
	e.kinds(deadLetters, st.Dead)
}

func (e *emitter) input(in *job.InputStats) {
	if r := in.Reference; r != nil {
		e.gauge(referenceAge, r.Age.Seconds(), in.Name)
		e.gauge(referenceKept, float64(r.Versions), in.Name)
		if r.Rows >= 0 {
			e.gauge(referenceRows, float64(r.Rows), in.Name)
		}
		return
	}
	var rest int64
	for i := range in.Partitions {
		p := &in.Partitions[i]
		if i >= maxPartitionLabels {
			rest += p.Events
			continue
		}
		e.count(inputEvents, float64(p.Events), in.Name, p.Name)
		e.watermark(p.Watermark, in.Name, p.Name)
	}
	if rest > 0 {
		e.count(inputEvents, float64(rest), in.Name, other)
	}
	e.count(inputBytes, float64(in.Bytes), in.Name)
	e.kinds(inputErrors, in.Errors, in.Name)
	e.count(eventsLate, float64(in.Late.Dropped), in.Name, "dropped")
	e.count(eventsLate, float64(in.Late.Adjusted), in.Name, "adjusted")
	e.count(eventsEarly, float64(in.Early), in.Name, "dropped")
	e.count(eventsDisorder, float64(in.OutOfOrder.Dropped), in.Name, "dropped")
	e.count(eventsDisorder, float64(in.OutOfOrder.Adjusted), in.Name, "adjusted")
}

// unix1970 is 1970 in ticks.
var unix1970 = vec.FromCivil(1970, 1, 1)

// watermark gives a watermark that is a time.
func (e *emitter) watermark(t vec.Time, step, partition string) {
	if !t.Valid() {
		return
	}
	seconds := float64(t-unix1970) / float64(vec.Second)
	e.gauge(watermark, seconds, step, partition)
	e.gauge(watermarkDelay, max(0, float64(e.now.UnixMilli())/1000-seconds), step, partition)
}

// steps gives the metrics of WITH steps and outputs: a step is several nodes of the plan. The
// nodes of no step read inputs.
func (e *emitter) steps(nodes []job.StepStats) {
	for _, s := range foldSteps(nodes) {
		e.count(stepRows, float64(s.in), s.name, "in")
		e.count(stepRows, float64(s.out), s.name, "out")
		e.count(stepBusy, s.busy.Seconds(), s.name)
		e.gauge(stepKeys, float64(s.held), s.name)
		e.watermark(s.watermark, s.name, "")
		if n := s.dropped[queryError]; n > 0 {
			e.count(runtimeErrors, float64(n), s.name, queryError)
			delete(s.dropped, queryError)
		}
		e.kinds(stepFiltered, s.dropped, s.name)
	}
}

const queryError = "QueryError"

// folded is a step with all its nodes.
type folded struct {
	name      string
	in, out   int64
	busy      time.Duration
	held      int64
	watermark vec.Time
	dropped   map[string]int64
}

// foldSteps adds the nodes of each step up. Rows in are those of its first node, rows out
// those of its last.
func foldSteps(nodes []job.StepStats) []*folded {
	var list []*folded
	for i := range nodes {
		n := &nodes[i]
		at := slices.IndexFunc(list, func(f *folded) bool { return f.name == n.Step })
		if at < 0 {
			at = len(list)
			list = append(list, &folded{name: n.Step, in: n.In, dropped: map[string]int64{}})
		}
		f := list[at]
		if f.out = n.Out; n.Kind == "output" {
			f.out = n.In // what it gives, it gives to a sink
		}
		f.watermark = n.Watermark
		f.busy += n.Busy
		f.held += n.Held
		for name, count := range n.Dropped {
			f.dropped[name] += count
		}
		if n.Kind == "filter" && n.In > n.Out {
			f.dropped["filter"] += n.In - n.Out
		}
	}
	return list
}

func (e *emitter) output(o *job.OutputStats) {
	e.count(outputEvents, float64(o.Rows), o.Name)
	e.count(outputRetries, float64(o.Retries), o.Name)
	e.kinds(outputErrors, o.Rejected, o.Name)
	e.count(outputBefore, float64(o.BeforeStart), o.Name)
	e.count(stepBlocked, o.Blocked.Seconds(), o.Name)
	var total uint64
	buckets := map[float64]uint64{}
	for i, n := range o.Latency.Counts {
		total += uint64(n)
		if i < len(job.LatencyBounds) {
			buckets[job.LatencyBounds[i].Seconds()] = total
		}
	}
	e.to <- prometheus.MustNewConstHistogram(endToEnd, total, o.Latency.Sum.Seconds(), buckets, e.job, o.Name)
}

// LogMessages is the metric weir_log_messages_total, for who counts them.
func LogMessages(counts func() map[string]int64) prometheus.Collector {
	return logCollector{counts, prometheus.NewDesc("weir_log_messages_total", "Lines of the log, those too that repeat and were left out.", []string{"level"}, nil)}
}

type logCollector struct {
	counts func() map[string]int64
	desc   *prometheus.Desc
}

// Describe names the metric.
func (c logCollector) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

// Collect gives it by level.
func (c logCollector) Collect(to chan<- prometheus.Metric) {
	for level, n := range c.counts() {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), level)
	}
}
