package service

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"weir/internal/connect"
	"weir/internal/job"
	"weir/internal/project"
)

// Probed is what came of trying an input or output of a job.
type Probed struct {
	Input bool   `json:"input"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	// State is "ok", "failed", or "untried" for connectors that have nothing to try.
	State    string           `json:"state" enum:"ok,failed,untried"`
	Took     time.Duration    `json:"-"`
	Millis   int64            `json:"milliseconds"`
	Problems []ProbedProblem  `json:"problems,omitempty"`
	config   connect.Config   // of the try
	probe    connect.ProbeEnv // likewise
	spec     *connect.Spec
}

// ProbedProblem is one thing that is wrong, and what to do about it.
type ProbedProblem struct {
	Setting string `json:"setting,omitempty"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

// Probe tries the inputs and outputs of a job that its query uses, all at once, each for so
// long at most. Nothing is changed at the services. ctx is as for Assemble.
func Probe(ctx context.Context, a *Assembly, limit time.Duration) []Probed {
	list := probes(a)
	secrets := SecretsOf(a.Job)
	var wg sync.WaitGroup
	for i := range list {
		wg.Go(func() { list[i].try(ctx, limit, secrets) })
	}
	wg.Wait()
	return list
}

// probes are what is to be tried, inputs first.
func probes(a *Assembly) (list []Probed) {
	for _, want := range a.Spec.Plan.Inputs {
		for i := range a.Job.Inputs {
			in := &a.Job.Inputs[i]
			if strings.EqualFold(in.Name, want.Name) && in.Connector != nil {
				list = append(list, Probed{Input: true, Name: in.Name, Type: in.Connector.Name, spec: in.Connector, config: in.Config,
					probe: connect.ProbeEnv{Job: a.Job.Name, Name: in.Name, Input: true, Reference: in.Reference, Format: in.Format}})
			}
		}
	}
	for n, want := range a.Spec.Plan.Outputs {
		for i := range a.Job.Outputs {
			out := &a.Job.Outputs[i]
			if strings.EqualFold(out.Name, want.Name) && out.Connector != nil {
				list = append(list, Probed{Name: out.Name, Type: out.Connector.Name, spec: out.Connector, config: out.Config,
					probe: connect.ProbeEnv{Job: a.Job.Name, Name: out.Name, Format: out.Format, Columns: job.ColumnsOf(a.Spec.Plan, n)}})
			}
		}
	}
	return list
}

// try tries one.
func (p *Probed) try(ctx context.Context, limit time.Duration, secrets *Secrets) {
	if p.State = "untried"; p.spec.Probe == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	done := make(chan []connect.Problem, 1)
	go func() { done <- p.spec.Probe(ctx, p.config, p.probe) }()
	var found []connect.Problem
	select {
	case found = <-done:
	case <-ctx.Done():
		// A library that does not listen to its context must not keep the others' answers back.
		select {
		case found = <-done:
		case <-time.After(time.Second):
			found = []connect.Problem{{Text: fmt.Sprintf("no answer within %s", limit), Hint: "is the address right, and does a firewall let us through?"}}
		}
	}
	p.Took = time.Since(began)
	p.Millis = p.Took.Milliseconds()
	p.State = "ok"
	for _, f := range found {
		p.State = "failed"
		p.Problems = append(p.Problems, ProbedProblem{f.Field, secrets.Text(f.Text), secrets.Text(f.Hint)})
	}
}

// Alone is a job that reads one input of another one whole, to an output that nothing
// connects: for looking at its events.
func Alone(j *project.Job, input string) (*project.Job, error) {
	for _, in := range j.Inputs {
		if !strings.EqualFold(in.Name, input) {
			continue
		}
		if in.Reference {
			return nil, fmt.Errorf("%s is reference data: its source can be read as it is", in.Name)
		}
		one := *j
		one.Name, one.Late, one.OutOfOrder = j.Name+"-sample", -1, 0
		one.Query, one.QueryFile, one.QueryLine = fmt.Sprintf("SELECT * INTO [sample] FROM [%s]", in.Name), "sample", 0
		one.Inputs, one.Functions, one.Tests, one.Notes = []project.Input{in}, nil, nil, nil
		one.Outputs = []project.Output{{Name: "sample", Place: in.Place}}
		return &one, nil
	}
	var names []string
	for _, in := range j.Inputs {
		names = append(names, in.Name)
	}
	return nil, fmt.Errorf("the job has no input %q; it has %s", input, strings.Join(names, ", "))
}
