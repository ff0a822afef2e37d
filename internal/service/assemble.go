package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/internal/caserun"
	"weir/internal/connect"
	_ "weir/internal/connect/all" // the connectors that jobs name
	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/saql"
	"weir/internal/udf"
	"weir/internal/vec"
)

// Assembly is a written job, ready to run.
type Assembly struct {
	Job  *project.Job
	Spec job.LiveSpec // without Version, Start, Log and Now, which are the starter's
	// Warnings are what is said about the job that keeps it from nothing.
	Warnings Findings
}

// AssembleOptions say how a job is made to run.
type AssembleOptions struct {
	// Functions bounds a call of a user function; zeros are the usual limits.
	Functions udf.Limits
	// Results opens a sink for an output that nothing connects; nil refuses such outputs.
	Results func(output string, env connect.SinkEnv) (connect.Sink, error)
}

// Assemble compiles a job's query and joins it with the job's connectors. It opens nothing.
// Its error is of type Findings: all that keeps the job from running. ctx is for the life of
// the job: connectors are opened with it.
func Assemble(ctx context.Context, j *project.Job, o AssembleOptions) (*Assembly, error) {
	a := &assembler{ctx: ctx, job: j, o: o}
	a.found.notes(j.Notes)
	p := a.compile()
	if p != nil {
		a.inputs(p)
		a.outputs(p)
	}
	if err := a.found.Err(); err != nil {
		return nil, err
	}
	spec := job.LiveSpec{Name: j.Name, Plan: p, Inputs: a.in, Outputs: a.out,
		Late: j.Late, OutOfOrder: j.OutOfOrder, Drop: j.Drop, DropErrors: j.QueryErrors == "drop",
		Shards: j.Shards, Checkpoint: j.Checkpoint, MaxHeld: defaultMaxHeld}
	return &Assembly{Job: j, Spec: spec, Warnings: a.found}, nil
}

// defaultMaxHeld is how many rows and groups of a job may wait for their time, as in runs
// over files.
const defaultMaxHeld = 50_000_000

type assembler struct {
	ctx   context.Context
	job   *project.Job
	o     AssembleOptions
	found Findings
	in    []job.LiveInput
	out   []job.LiveOutput
}

// queryPlace is the start of the query.
func (a *assembler) queryPlace() project.Place {
	return project.Place{File: a.job.QueryFile, Line: a.job.QueryLine, Col: min(a.job.QueryLine, 1)}
}

// compile gives the plan, or nil with the reasons among the findings.
func (a *assembler) compile() *plan.Plan {
	script, list := saql.Parse(a.job.Query)
	env, ok := a.env()
	var p *plan.Plan
	if ok && !list.HasErrors() {
		var more diag.List
		p, more = plan.Compile(script, env)
		list = append(list, more...)
	}
	list = list.Sorted()
	a.found = append(a.found, queryFindings(a.job.QueryFile, a.job.Query, a.job.QueryLine, list)...)
	if list.HasErrors() {
		return nil
	}
	return p
}

// env is what the query is compiled against. It is false if a function does not load.
func (a *assembler) env() (plan.Env, bool) {
	j, ok := a.job, true
	env := plan.Env{Level: j.Level, Policies: &plan.Policies{Late: ticks(j.Late), OutOfOrder: ticks(j.OutOfOrder), Drop: j.Drop}}
	env.Load = func(s plan.FunctionSource) (plan.Function, error) { return caserun.LoadFunction(s, a.o.Functions) }
	for _, in := range j.Inputs {
		env.Inputs = append(env.Inputs, plan.InputDecl{Name: in.Name, Reference: in.Reference})
	}
	for _, out := range j.Outputs {
		env.Outputs = append(env.Outputs, out.Name)
	}
	env.AnyOutput = len(j.Outputs) == 0 && a.o.Results != nil
	for _, f := range j.Functions {
		if f.Refused != "" {
			a.found.refuse(f.Place, "", "function %q cannot run here: %s", f.Name, f.Refused)
			ok = false
			continue
		}
		made, err := env.Load(plan.FunctionSource{Name: f.Name, Aggregate: f.Aggregate, Script: f.Script, Level: j.Level})
		if err != nil {
			at := f.Place
			if f.File != "" {
				at = project.Place{File: f.File}
			}
			var script *fn.ScriptError
			if errors.As(err, &script) && script.Line > 0 && f.File != "" {
				at.Line, at.Col = script.Line, script.Column
			}
			a.found.refuse(at, "", "function %q does not load: %v", f.Name, err)
			ok = false
			continue
		}
		env.Functions = append(env.Functions, made)
	}
	return env, ok
}

// ticks is a duration in ticks; negative stays "no limit".
func ticks(d time.Duration) vec.Time {
	if d < 0 {
		return -1
	}
	return vec.Time(d / 100)
}

// inputs joins the inputs that the query reads with connectors.
func (a *assembler) inputs(p *plan.Plan) {
	for _, want := range p.Inputs {
		in := a.input(want.Name)
		if in == nil {
			a.found.refuse(a.queryPlace(), "", "input %q of the query is not among the inputs of the job", want.Name)
			continue
		}
		if in.Refused != "" {
			a.found.refuse(in.Place, "", "input %q cannot be used here: %s", in.Name, in.Refused)
			continue
		}
		if in.Connector == nil {
			a.found.refuse(in.Place, unconnectedHint("inputs", in.Name, a.job.Kind), "input %q cannot be read live: %s", in.Name, reason(in.Missing))
			continue
		}
		if !canRead(in) {
			what := "an input"
			if in.Reference {
				what = "reference data"
			}
			a.found.refuse(in.Place, "", "input %q: the connector %q gives no events as %s", in.Name, in.Connector.Name, what)
			continue
		}
		a.in = append(a.in, job.LiveInput{Name: want.Name, Format: in.Format, EventArrival: in.Arrival == "event",
			ID:   identity(in.Connector, in.Config, in.Format, in.Arrival),
			Open: func(env connect.SourceEnv) (connect.Source, error) { return in.Connector.Source(a.ctx, in.Config, env) }})
	}
}

// identity is a digest of the settings of an input or output, secrets included: a reload leaves
// open what has not changed.
func identity(s *connect.Spec, c connect.Config, more ...any) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v", s.Name, more)
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		v := c.Values[name]
		if secret, ok := v.(connect.Hidden); ok {
			v = secret.Expose()
		}
		fmt.Fprintf(h, "\n%s %T %#v", name, v, v)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// canRead reports whether an input's connector can give what it is asked for.
func canRead(in *project.Input) bool {
	return in.Connector.Source != nil && (in.Connector.Reference || !in.Reference)
}

// input finds an input of the job without case.
func (a *assembler) input(name string) *project.Input {
	for i := range a.job.Inputs {
		if strings.EqualFold(a.job.Inputs[i].Name, name) {
			return &a.job.Inputs[i]
		}
	}
	return nil
}

// outputs joins the outputs that the query writes with connectors, in the plan's order.
func (a *assembler) outputs(p *plan.Plan) {
	for _, want := range p.Outputs {
		out := a.output(want.Name)
		live := job.LiveOutput{Name: want.Name, OnError: string(a.job.OutputErrors)}
		if out != nil {
			live.Format = out.Format
			if out.OnError != "" {
				live.OnError = string(out.OnError)
			}
		}
		switch {
		case out != nil && out.Refused != "":
			a.found.refuse(out.Place, "", "output %q cannot be used here: %s", out.Name, out.Refused)
			continue
		case out != nil && out.Connector != nil && out.Connector.Sink == nil:
			a.found.refuse(out.Place, "", "output %q: the connector %q takes no rows", out.Name, out.Connector.Name)
			continue
		case out != nil && out.Connector != nil:
			live.ID, live.Guarantee = identity(out.Connector, out.Config, out.Format), out.Connector.Out
			live.Open = func(env connect.SinkEnv) (connect.Sink, error) { return out.Connector.Sink(a.ctx, out.Config, env) }
		case a.o.Results != nil:
			live.Open = func(env connect.SinkEnv) (connect.Sink, error) { return a.o.Results(want.Name, env) }
		case out == nil:
			a.found.refuse(a.queryPlace(), "", "output %q of the query is not among the outputs of the job", want.Name)
			continue
		default:
			a.found.refuse(out.Place, unconnectedHint("outputs", out.Name, a.job.Kind), "output %q cannot be written: %s", out.Name, reason(out.Missing))
			continue
		}
		a.out = append(a.out, live)
	}
}

// output finds an output of the job without case.
func (a *assembler) output(name string) *project.Output {
	for i := range a.job.Outputs {
		if strings.EqualFold(a.job.Outputs[i].Name, name) {
			return &a.job.Outputs[i]
		}
	}
	return nil
}

// reason is why nothing connects an input or output.
func reason(missing string) string {
	if missing == "" {
		return "nothing says what it is connected to"
	}
	return missing
}

// unconnectedHint says where a connector is given to an input or output.
func unconnectedHint(section, name string, kind project.Kind) string {
	if kind == project.Weir {
		return fmt.Sprintf("give it a type below %q: %s", section, connectorNames(section == "inputs"))
	}
	return fmt.Sprintf("give it a type in weir.overlay.yaml beside the job: %s: {%s: {type: file, path: ...}}", section, name)
}

// connectorNames are the connectors that can be an input, or an output.
func connectorNames(input bool) string {
	var names []string
	for _, s := range connect.All() {
		if input && s.Source != nil || !input && s.Sink != nil {
			names = append(names, s.Name)
		}
	}
	return strings.Join(names, ", ")
}
