package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/internal/caserun"
	"weir/internal/connect"
	_ "weir/internal/connect/all" // the connectors that jobs name
	"weir/internal/diag"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/saql"
	"weir/internal/udf"
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
	a.notes(j.Notes)
	p := a.compile()
	a.notes(slices.DeleteFunc(j.Refusals(true), a.goesToResults))
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

// notes adds findings of the reader of the job's files.
func (a *assembler) notes(notes []project.Note) {
	for _, n := range notes {
		a.found = append(a.found, noteFinding(n, func(b *bytes.Buffer) { a.job.Render(b, []project.Note{n}, false) }))
	}
}

// goesToResults reports whether a note is about an output that AssembleOptions.Results takes.
func (a *assembler) goesToResults(n project.Note) bool {
	return a.o.Results != nil && slices.ContainsFunc(a.job.Outputs, func(o project.Output) bool { return o.Connector == nil && o.Place == n.Place })
}

// queryPlace is the start of the query.
func (a *assembler) queryPlace() project.Place {
	return project.Place{File: a.job.QueryFile, Line: a.job.QueryLine, Col: min(a.job.QueryLine, 1)}
}

// compile gives the plan, or nil with the reasons among the findings.
func (a *assembler) compile() *plan.Plan {
	file, text := a.job.Text()
	script, list := saql.Parse(text)
	env, notes := a.job.Env(func(s plan.FunctionSource) (plan.Function, error) { return caserun.LoadFunction(s, a.o.Functions) })
	a.notes(notes)
	var p *plan.Plan
	if len(notes) == 0 && !list.HasErrors() {
		var more diag.List
		p, more = plan.Compile(script, env)
		list = append(list, more...)
	}
	list = list.Sorted()
	a.found = append(a.found, queryFindings(file, text, list)...)
	if list.HasErrors() {
		return nil
	}
	return p
}

// inputs joins the inputs that the query reads with connectors.
func (a *assembler) inputs(p *plan.Plan) {
	for _, want := range p.Inputs {
		in := a.input(want.Name)
		if in == nil {
			a.found.refuse(a.queryPlace(), "", "input %q of the query is not among the inputs of the job", want.Name)
			continue
		}
		if in.Connector == nil {
			continue // among the refusals
		}
		if !canRead(in) {
			what := "an input"
			if in.Reference {
				what = "reference data"
			}
			a.found.refuse(in.Place, "", "input %q: the connector %q gives no events as %s", in.Name, in.Connector.Name, what)
			continue
		}
		reads := metadataOf(want)
		a.in = append(a.in, job.LiveInput{Name: want.Name, Format: in.Format, EventArrival: in.Arrival == "event",
			ID:          identity(in.Connector, in.Config, in.Format, in.Format.Registry.Expose(), in.Arrival, reads),
			MetaColumns: in.Config.Bool("metadata_columns"), MaxVersions: int(in.MaxVersions),
			Open: func(env connect.SourceEnv) (connect.Source, error) {
				env.Metadata = reads
				return in.Connector.Source(a.ctx, in.Config, env)
			}})
	}
}

// metadataOf are the names of the metadata that a query reads of an input (SourceEnv.Metadata).
func metadataOf(in plan.Input) []string {
	names := []string{}
	add := func(n ...string) {
		for _, n := range n {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	for _, f := range in.Fields {
		switch {
		case f.Meta != "":
			add(f.Meta)
		case len(f.Path) == 0:
			add(job.AddedColumns()...)
		default:
			for _, n := range job.AddedColumns() {
				if strings.EqualFold(n, f.Path[0]) {
					add(n)
				}
			}
		}
	}
	slices.Sort(names)
	return names
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
		case out != nil && out.Connector != nil && out.Connector.Sink == nil:
			a.found.refuse(out.Place, "", "output %q: the connector %q takes no rows", out.Name, out.Connector.Name)
			continue
		case out != nil && out.Connector != nil:
			live.ID, live.Guarantee = identity(out.Connector, out.Config, out.Format), out.Connector.Out
			live.Open = func(env connect.SinkEnv) (connect.Sink, error) { return out.Connector.Sink(a.ctx, out.Config, env) }
		case a.o.Results != nil:
			live.Open = func(env connect.SinkEnv) (connect.Sink, error) { return a.o.Results(want.Name, env) }
		case out == nil:
			a.found.refuse(a.queryPlace(), "declare it, in weir.overlay.yaml if the job itself is not to be changed",
				"output %q of the query is not among the outputs of the job", want.Name)
			continue
		default:
			continue // among the refusals
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
