package main

import (
	"context"
	"slices"
	"strings"

	"weir/internal/plan"
	"weir/internal/project"
)

// runJob runs the query of a job over its samples, as the tools of Azure run one on this
// machine: rows in the order of their time, no policies, one result per output (jobmodel.md
// 10). -i and -o give inputs and outputs other files.
func (r *runCmd) runJob(ctx context.Context, con *console) error {
	j, err := loadJob(con, r.File, project.Options{Overlay: r.Overlay, KeepReferences: true}, exitUsage)
	if err != nil {
		return err
	}
	if !r.Quiet {
		using(con, j)
		if len(j.Notes) > 0 {
			j.Render(con.err, j.Notes, con.errColor)
		}
	}
	inputs, err := r.endpoints("-i", r.Input)
	if err != nil {
		return err
	}
	refs, err := r.endpoints("-r", r.Reference)
	if err != nil {
		return err
	}
	outputs, err := r.endpoints("-o", r.Output)
	if err != nil {
		return err
	}
	env, notes, err := jobEnv(j, &r.functionFlags)
	if err != nil {
		return err
	}
	if r.options().Sample {
		env.Policies = nil // they do not apply, so nothing is to be said of them
	}
	streams, tables, err := r.jobFiles(j, &env, append(inputs, refs...))
	if err != nil {
		return err
	}
	if notes = append(notes, j.Refusals(false)...); len(notes) > 0 {
		j.Render(con.err, notes, con.errColor)
		return silent(exitUsage)
	}
	file, text := j.Text()
	q := compile(file, text, env)
	if err := q.valid(con); err != nil {
		return err
	}
	if j.QueryErrors == "drop" {
		r.QueryErrors = "drop"
	}
	if streams, tables, err = jobSamples(j, q.plan, streams, tables); err != nil {
		return err
	}
	return r.start(ctx, con, q, env, append(streams, tables...), outputs)
}

// jobFiles sorts the files of flags by what the job says of its inputs, which are then no
// longer refused. An input that only a flag names is one of the query.
func (r *runCmd) jobFiles(j *project.Job, env *plan.Env, given []endpoint) (streams, tables []endpoint, err error) {
	for _, e := range given {
		at := slices.IndexFunc(j.Inputs, func(in project.Input) bool { return strings.EqualFold(in.Name, e.alias) })
		if at < 0 && e.alias == "" && e.flag == "-i" && len(j.Inputs) == 1 {
			at = 0
			e.alias = j.Inputs[0].Name
		}
		switch {
		case at >= 0:
			in := &j.Inputs[at]
			if e.flag == "-r" {
				in.Reference = true
			} else if in.Reference {
				e.flag = "-r"
			}
			in.Sample, in.Refused = e.path, ""
		case e.alias != "":
			env.Inputs = append(env.Inputs, plan.InputDecl{Name: e.alias, Reference: e.flag == "-r"})
		case e.flag == "-r":
			return nil, nil, usage("-r %s: write -r ALIAS=%s", e.path, e.path)
		}
		if e.flag == "-r" {
			tables = append(tables, e)
		} else {
			streams = append(streams, e)
		}
	}
	for i := range env.Inputs {
		for _, in := range j.Inputs {
			if in.Name == env.Inputs[i].Name {
				env.Inputs[i].Reference = in.Reference
			}
		}
	}
	return streams, tables, nil
}

// jobSamples adds the samples of the inputs that no flag gave a file.
func jobSamples(j *project.Job, p *plan.Plan, streams, tables []endpoint) ([]endpoint, []endpoint, error) {
	given := func(list []endpoint, name string) bool {
		return slices.ContainsFunc(list, func(e endpoint) bool { return e.alias == "" || strings.EqualFold(e.alias, name) })
	}
	for _, in := range p.Inputs {
		if given(streams, in.Name) || given(tables, in.Name) {
			continue
		}
		at := slices.IndexFunc(j.Inputs, func(x project.Input) bool { return strings.EqualFold(x.Name, in.Name) })
		if at < 0 || j.Inputs[at].Sample == "" {
			return nil, nil, usage("input %q of the job has no sample; add -i %s=FILE, or write sample: FILE into the job; with --live it is read where it really comes from", in.Name, in.Name)
		}
		e := sampleEndpoint(j.Inputs[at])
		if e.flag == "-r" {
			tables = append(tables, e)
		} else {
			streams = append(streams, e)
		}
	}
	return streams, tables, nil
}
