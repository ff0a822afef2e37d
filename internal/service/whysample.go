package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/disk"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/udf"
	"weir/internal/vec"
)

// WhySamples runs a job over the samples of its inputs, as a test run does: events arrive at
// their own time and no policy drops any. It gives the funnel of an output, or of each if the
// name is empty. Nothing is written: rows go nowhere, and state is kept in memory. The error of
// a job that cannot be run is of type Findings.
func WhySamples(ctx context.Context, j *project.Job, output string, limits udf.Limits) ([]Why, error) {
	sampled(j)
	a, err := Assemble(ctx, j, AssembleOptions{Functions: limits, Results: func(string, connect.SinkEnv) (connect.Sink, error) { return &nowhere{}, nil }})
	if err != nil {
		return nil, err
	}
	p := a.Spec.Plan
	if output != "" && !slices.ContainsFunc(p.Outputs, func(o plan.Output) bool { return strings.EqualFold(o.Name, output) }) {
		var known []string
		for _, o := range p.Outputs {
			known = append(known, o.Name)
		}
		return nil, partError(fmt.Sprintf("the query has no output %q; there are %s", output, strings.Join(known, ", ")))
	}
	spec := a.Spec
	spec.Late, spec.OutOfOrder, spec.Drop = -1, -1, false
	spec.Start, spec.Log = job.StartBeginning, slog.New(slog.DiscardHandler)
	for i := range spec.Inputs {
		spec.Inputs[i].EventArrival = true
	}
	live, err := job.OpenLive(ctx, disk.NewMem(0).Boot(), spec)
	if err != nil {
		return nil, err
	}
	failure := live.Run(ctx)
	if errors.Is(failure, context.Canceled) || ctx.Err() != nil {
		return nil, context.Canceled
	}
	st := live.Stats()
	if failure != nil {
		st.State, st.Reason = job.Failed, failure.Error()
	}
	e := Evidence{Samples: true, Peek: live.Peek, Letters: func(of string) []job.DeadLetter {
		list, err := lettersOf(live, of, 0, sampleLetters)
		if err != nil {
			return nil
		}
		return list
	}}
	var list []Why
	for i, o := range p.Outputs {
		if output == "" || strings.EqualFold(o.Name, output) {
			list = append(list, Explain(j.Name, a, i, st, e))
		}
	}
	return list, nil
}

// sampled makes the samples of a job the files that its inputs read.
func sampled(j *project.Job) {
	file, ok := connect.Find("file")
	if !ok {
		panic("service: there is no connector for files")
	}
	for i := range j.Inputs {
		in := &j.Inputs[i]
		if in.Sample == "" {
			continue // the query may not read it
		}
		in.Connector, in.Format, in.Missing, in.Refused, in.Arrival = file, in.SampleFormat, "", "", "event"
		in.Config = connect.Config{Values: map[string]any{"path": in.Sample, "follow": false, "order": "name",
			"scan": time.Second, "rotate_wait": time.Second, "max_open": int64(64)}}
	}
	for i := range j.Outputs {
		j.Outputs[i].Connector, j.Outputs[i].Refused, j.Outputs[i].Missing = nil, "", ""
	}
}

// nowhere takes rows and forgets them.
type nowhere struct{}

// Committed is not known.
func (*nowhere) Committed(context.Context) (int64, error) { return -1, nil }

// Write forgets rows, as all that follows does.
func (*nowhere) Write(context.Context, int64, *vec.Batch) error { return nil }

// Prepare does nothing.
func (*nowhere) Prepare(context.Context, int64, vec.Time) error { return nil }

// Commit does nothing.
func (*nowhere) Commit(context.Context, int64) error { return nil }

// Sync does nothing.
func (*nowhere) Sync(context.Context) error { return nil }

// Close does nothing.
func (*nowhere) Close() error { return nil }
