package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/caserun"
	"weir/internal/codec"
	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Query is a query without its job: any input and output is accepted.
type Query struct {
	Text      string
	Level     string   // 1.0, 1.1 or 1.2; "" is 1.2
	Reference []string // inputs that hold reference data
}

// maxQueryBytes bounds the text of a query (saql.md 14.1).
const maxQueryBytes = 1 << 20

// compile gives the plan of a query, nil if there are errors.
func (s *Service) compile(q Query) (*plan.Plan, Findings) {
	var l Findings
	if len(q.Text) > maxQueryBytes {
		return nil, append(l, Finding{Severity: "error", Message: "the query is longer than 1 MiB"})
	}
	env := plan.Env{AnyInput: true, AnyOutput: true}
	env.Load = func(f plan.FunctionSource) (plan.Function, error) { return caserun.LoadFunction(f, s.o.Functions) }
	if q.Level != "" {
		var ok bool
		if env.Level, ok = plan.ParseLevel(q.Level); !ok {
			return nil, append(l, Finding{Severity: "error", Message: fmt.Sprintf("there is no compatibility level %q; there are 1.0, 1.1 and 1.2", q.Level)})
		}
	}
	for _, name := range q.Reference {
		env.Inputs = append(env.Inputs, plan.InputDecl{Name: name, Reference: true})
	}
	script, list := saql.Parse(q.Text)
	var p *plan.Plan
	if !list.HasErrors() {
		var more diag.List
		p, more = plan.Compile(script, env)
		list = append(list, more...)
	}
	l = queryFindings("query", q.Text, list.Sorted())
	if l.Errors() > 0 {
		return nil, l
	}
	return p, l
}

// CheckQuery says what is wrong with a query.
func (s *Service) CheckQuery(q Query) Findings {
	_, l := s.compile(q)
	return l
}

// CheckJob says what is wrong with a job that is sent. Nothing is kept.
func (s *Service) CheckJob(ctx context.Context, b Bundle) (Findings, error) {
	m := newManaged(s, record{Name: "check"})
	c, err := m.candidate(Deployment{Files: b})
	if invalid, ok := errors.AsType[*InvalidError](err); ok {
		return invalid.Found, nil
	}
	if err != nil {
		return nil, err
	}
	return c.assembly.Warnings, nil
}

// FormatQuery lays a query out.
func (s *Service) FormatQuery(text string) (string, Findings) {
	if len(text) > maxQueryBytes {
		return "", Findings{{Severity: "error", Message: "the query is longer than 1 MiB"}}
	}
	out, list := saql.Format(text)
	return out, queryFindings("query", text, list.Sorted())
}

// ExplainQuery says how a query is computed.
func (s *Service) ExplainQuery(q Query) (string, Findings) {
	p, l := s.compile(q)
	if p == nil {
		return "", l
	}
	var b strings.Builder
	p.Explain(&b)
	return b.String(), l
}

// SampleRun is a query and samples to run it over.
type SampleRun struct {
	Query
	Inputs map[string]string // texts of events: JSON, or CSV
	Steps  bool              // the rows of each WITH step too
	// Late and the others switch the time policies on; without them rows come in the order of
	// their own time and nothing is late (saql.md 4.10).
	Policies   bool
	Late       time.Duration
	OutOfOrder time.Duration
	Drop       bool
}

// SampleResult is what a run over samples gave.
type SampleResult struct {
	Outputs     []SampleRows     `json:"outputs"`
	Steps       []SampleRows     `json:"steps"`
	Events      int64            `json:"events"`
	Dropped     map[string]int64 `json:"dropped" doc:"Events that did not become rows, by name of the error."`
	Letters     []job.DeadLetter `json:"dead_letters" doc:"The first of them."`
	Seconds     float64          `json:"seconds"`
	Error       string           `json:"error,omitempty" doc:"The query error that ended the run."`
	Diagnostics []Finding        `json:"diagnostics"`
}

// SampleRows are rows of an output or step.
type SampleRows struct {
	Name string            `json:"name"`
	Rows []json.RawMessage `json:"rows"`
	More int64             `json:"more" doc:"Rows beyond those that are given."`
}

// The limits of a run over samples.
const (
	maxSampleRows  = 1000
	maxSampleTime  = 10 * time.Second
	maxSampleBad   = 100
	maxSampleHeld  = 1_000_000
	maxSampleSteps = 100
	sampleStep     = "$step:"
	maxSampleBytes = 8 << 20 // of the rows given
)

// RunSample runs a query over samples that are sent with it, within limits.
func (s *Service) RunSample(ctx context.Context, r SampleRun) (SampleResult, error) {
	out := SampleResult{Outputs: []SampleRows{}, Steps: []SampleRows{}, Dropped: map[string]int64{}, Letters: []job.DeadLetter{}, Diagnostics: []Finding{}}
	p, l := s.compile(r.Query)
	out.Diagnostics = append(out.Diagnostics, l...)
	if p == nil {
		return out, &InvalidError{"query", l}
	}
	if r.Steps && len(p.Steps) <= maxSampleSteps {
		q := r.Query
		for _, st := range p.Steps {
			q.Text += fmt.Sprintf("\nSELECT * INTO [%s%s] FROM [%s]", sampleStep, st.Name, st.Name)
		}
		if more, _ := s.compile(q); more != nil {
			p = more
		}
	}
	inputs, err := sampleInputs(p, r.Inputs)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, maxSampleTime)
	defer cancel()
	t := newSampleTaker(ctx, p, &out)
	o := job.Options{Sample: !r.Policies, Late: r.Late, OutOfOrder: r.OutOfOrder, Drop: r.Drop, Start: s.now(), Workers: 1, MaxHeld: maxSampleHeld,
		OnRows: t.rows, OnBad: t.bad}
	began := s.now()
	res, err := job.Run(ctx, p, inputs, o)
	out.Seconds = s.now().Sub(began).Seconds()
	out.Events = res.Events
	t.give()
	var q *exec.QueryError
	switch {
	case errors.As(err, &q):
		line, col := diag.Position(r.Text, q.Span.Start)
		out.Error = fmt.Sprintf("query:%d:%d: %s", line, col, q.In(r.Text))
	case errors.Is(err, context.DeadlineExceeded):
		out.Error = fmt.Sprintf("the run took longer than %s and was ended", maxSampleTime)
	case err != nil:
		out.Error = err.Error()
	}
	return out, nil
}

// sampleInputs finds the sample of each input.
func sampleInputs(p *plan.Plan, texts map[string]string) ([]job.Input, error) {
	var inputs []job.Input
	var l Findings
	for _, in := range p.Inputs {
		text, found := "", false
		for name, t := range texts {
			if strings.EqualFold(name, in.Name) {
				text, found = t, true
			}
		}
		if !found {
			l = append(l, Finding{Severity: "error", Message: fmt.Sprintf("there is no sample for input %q", in.Name)})
		}
		f := job.Format{}
		if t := strings.TrimLeft(text, "\ufeff \t\r\n"); t != "" && t[0] != '{' && t[0] != '[' {
			f.CSV = true
		}
		inputs = append(inputs, job.Input{Name: in.Name, Reader: strings.NewReader(text), Format: f})
	}
	if len(l) > 0 {
		return nil, &InvalidError{"query", l}
	}
	return inputs, nil
}

// sampleTaker collects what a run over samples gives.
type sampleTaker struct {
	ctx      context.Context // of the run; a few events can give rows for hours
	out      *SampleResult
	encoders []*codec.Encoder
	taken    []SampleRows
	bytes    int
}

func newSampleTaker(ctx context.Context, p *plan.Plan, out *SampleResult) *sampleTaker {
	t := &sampleTaker{ctx: ctx, out: out}
	for _, o := range p.Outputs {
		var names []string
		for _, c := range o.Node.Cols {
			names = append(names, c.Name)
		}
		t.encoders = append(t.encoders, codec.NewEncoder(codec.JSONLines, names, o.Node.Op.(*plan.Write).Row))
		t.taken = append(t.taken, SampleRows{Name: o.Name, Rows: []json.RawMessage{}})
	}
	return t
}

func (t *sampleTaker) rows(output int, b *vec.Batch) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	to := &t.taken[output]
	if len(to.Rows) >= maxSampleRows || t.bytes > maxSampleBytes {
		to.More += int64(b.N)
		return nil
	}
	for line := range bytes.Lines(t.encoders[output].Encode(nil, b)) {
		if len(to.Rows) >= maxSampleRows || t.bytes+len(line) > maxSampleBytes {
			to.More++
			continue
		}
		t.bytes += len(line)
		to.Rows = append(to.Rows, json.RawMessage(bytes.TrimSpace(line)))
	}
	return nil
}

func (t *sampleTaker) bad(d job.Dropped) {
	t.out.Dropped[d.Name]++
	if len(t.out.Letters) < maxSampleBad {
		text := d.Text[:min(len(d.Text), 4096)]
		t.out.Letters = append(t.out.Letters, job.DeadLetter{ID: int64(len(t.out.Letters) + 1), Name: d.Name, Reason: d.Reason, Input: d.Input,
			Offset: d.Offset, Line: d.Line, Payload: strings.ToValidUTF8(string(text), "\ufffd"), Cut: len(text) < len(d.Text)})
	}
}

// give puts the rows where they belong.
func (t *sampleTaker) give() {
	for _, rows := range t.taken {
		if step, ok := strings.CutPrefix(rows.Name, sampleStep); ok {
			rows.Name = step
			t.out.Steps = append(t.out.Steps, rows)
		} else {
			t.out.Outputs = append(t.out.Outputs, rows)
		}
	}
}
