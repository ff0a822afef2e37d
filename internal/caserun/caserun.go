// Package caserun runs conformance cases through the whole engine: parse, compile, build,
// push, in any way that testkit asks for. weir test and the tests of the repository use it.
package caserun

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/internal/codec"
	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/testkit"
	"weir/internal/udf"
	"weir/internal/vec"
)

// start is T of events without TIMESTAMP BY and arrival time: "the start of the run"
// (saql.md 4.10), always the same so that cases repeat.
var start = vec.FromCivil(2020, 1, 1)

// Engine is a testkit.Engine. An error of the query lists all its diagnostics.
func Engine(c *testkit.Case, w testkit.Way) (map[string][]testkit.Row, error) {
	p, err := Compile(c)
	if err != nil {
		return nil, err
	}
	r := &collector{plan: p, rows: map[string][]testkit.Row{}}
	for _, o := range p.Outputs {
		r.rows[o.Name] = nil
		r.encoders = append(r.encoders, newEncoder(o))
	}
	o := job.EventOptions{Options: options(c), Snapshot: w.Snapshot, Crash: w.Crashes()}
	o.OnRows = r.take
	o.Shards = w.Shards
	if w.Batch > 0 || w.Seed != 0 {
		o.Cuts = w.Cuts
	}
	if _, err := job.RunEvents(p, events(c), o); err != nil {
		return nil, located(c, err)
	}
	return r.rows, nil
}

// Compile gives the plan of a case.
func Compile(c *testkit.Case) (*plan.Plan, error) {
	script, list := saql.Parse(c.Query)
	if list.HasErrors() {
		return nil, rendered(c.Query, list)
	}
	e, err := env(c)
	if err != nil {
		return nil, err
	}
	p, list := plan.Compile(script, e)
	if list.HasErrors() {
		return nil, rendered(c.Query, list)
	}
	return p, nil
}

// QueryErrors is a query that did not compile.
type QueryErrors struct {
	Src  string
	List diag.List
}

func (e *QueryErrors) Error() string {
	var b strings.Builder
	for _, d := range e.List {
		diag.Render(&b, "query", e.Src, d, false)
	}
	return b.String()
}

func rendered(src string, list diag.List) error { return &QueryErrors{src, list} }

func env(c *testkit.Case) (plan.Env, error) {
	e := plan.Env{AnyOutput: true, Load: loadFunction}
	if c.Level != "" {
		var ok bool
		if e.Level, ok = plan.ParseLevel(c.Level); !ok {
			return e, fmt.Errorf("there is no compatibility level %q", c.Level)
		}
	}
	for _, in := range c.Inputs {
		e.Inputs = append(e.Inputs, plan.InputDecl{Name: in.Name})
	}
	for _, in := range c.Reference {
		e.Inputs = append(e.Inputs, plan.InputDecl{Name: in.Name, Reference: true})
	}
	for _, f := range c.Functions {
		prefix, name, _ := strings.Cut(f.Name, ".")
		made, err := loadFunction(plan.FunctionSource{Name: name, Aggregate: strings.EqualFold(prefix, "UDA"), Script: f.Source, Level: e.Level})
		if err != nil {
			return e, fmt.Errorf("function %q does not load: %w", f.Name, err)
		}
		e.Functions = append(e.Functions, made)
	}
	return e, nil
}

// loadFunction is LoadFunction with the usual limits.
func loadFunction(f plan.FunctionSource) (plan.Function, error) {
	return LoadFunction(f, udf.Limits{})
}

// LoadFunction makes a function of a script, for plan.Env. Limits of zero are the usual ones.
func LoadFunction(f plan.FunctionSource, limits udf.Limits) (plan.Function, error) {
	src := udf.Source{Name: f.Name, Script: f.Script, Returns: f.Returns, BitAsInt: f.Level != plan.Level12, Limits: limits}
	out := plan.Function{Name: f.Name, Aggregate: f.Aggregate, Unrepeatable: udf.Unrepeatable(f.Script)}
	var err error
	if f.Aggregate {
		out.Agg, err = udf.Aggregate(src)
	} else {
		out.Scalar, err = udf.Scalar(src)
	}
	return out, err
}

// options are the policies of a case. Without arrival times and policies it is a run on
// samples: rows in the order of their own time (FORMAT.md, saql.md 4.10).
func options(c *testkit.Case) exec.Options {
	o := exec.Options{Late: vec.Time(c.Policies.Late / 100), OutOfOrder: vec.Time(c.Policies.OutOfOrder / 100),
		Drop: c.Policies.Drop, Sample: true, Start: start}
	for _, in := range c.Inputs {
		if in.Arrival != nil {
			o.Sample = false
		}
	}
	return o
}

func events(c *testkit.Case) []job.Events {
	var out []job.Events
	for _, in := range c.Inputs {
		e := job.Events{Name: in.Name, Text: in.Events}
		for _, t := range in.Arrival {
			e.Arrival = append(e.Arrival, timeOf(t))
		}
		out = append(out, e)
	}
	for _, in := range c.Reference {
		out = append(out, job.Events{Name: in.Name, Text: in.Events})
	}
	return out
}

func timeOf(t time.Time) vec.Time {
	t = t.UTC()
	return vec.FromCivil(t.Year(), int(t.Month()), t.Day()) +
		vec.Time(t.Sub(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC))/100)
}

// located adds the place in the query to a query error.
func located(c *testkit.Case, err error) error {
	var q *exec.QueryError
	if errors.As(err, &q) {
		line, col := diag.Position(c.Query, q.Span.Start)
		return fmt.Errorf("query:%d:%d: %s", line, col, q.In(c.Query))
	}
	return err
}

// collector turns the batches of outputs into rows, through the encoder that files use.
type collector struct {
	plan     *plan.Plan
	encoders []*codec.Encoder
	rows     map[string][]testkit.Row
	buf      []byte
}

func newEncoder(o plan.Output) *codec.Encoder {
	var names []string
	for _, c := range o.Node.Cols {
		names = append(names, c.Name)
	}
	return codec.NewEncoder(codec.JSONLines, names, o.Node.Op.(*plan.Write).Row)
}

func (r *collector) take(output int, b *vec.Batch) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	r.buf = r.encoders[output].Encode(r.buf[:0], b)
	for _, line := range strings.Split(strings.TrimSpace(string(r.buf)), "\n") {
		row, err := testkit.ParseValue([]byte(line))
		if err != nil {
			return fmt.Errorf("output %q: %w", r.plan.Outputs[output].Name, err)
		}
		name := r.plan.Outputs[output].Name
		r.rows[name] = append(r.rows[name], row)
	}
	return nil
}
