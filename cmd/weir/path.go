package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/connect"
	"weir/internal/plan"
	"weir/internal/project"

	_ "weir/internal/connect/all" // what jobs may name as types
)

// overlayFlag is the overlay of a job, for the verbs that take one.
type overlayFlag struct {
	Overlay string `placeholder:"FILE" help:"What to lay over the job: secrets, other inputs and outputs, functions. Default: weir.overlay.yaml beside it."`
}

// isJob tells a job from a query file: folders, job files, projects and templates are jobs.
func isJob(path string) bool {
	base, _, _ := strings.Cut(path, "#")
	switch strings.ToLower(filepath.Ext(base)) {
	case ".yaml", ".yml", ".json", ".asaproj", ".bicep":
		return true
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// loadJob loads a job. What is wrong with it is drawn, and the error says only that.
func loadJob(con *console, path string, o project.Options, code int) (*project.Job, error) {
	j, err := project.Load(path, withEnvironment(o))
	if p, ok := asProblem(err); ok {
		p.Render(con.err, con.errColor)
		return nil, silent(code)
	}
	return j, err
}

// withEnvironment gives settings the variables of this process.
func withEnvironment(o project.Options) project.Options {
	o.Env = os.LookupEnv
	return o
}

// asProblem is the list of findings that an error holds.
func asProblem(err error) (*project.Problem, bool) { return errors.AsType[*project.Problem](err) }

// using says what was taken for the job.
func using(con *console, j *project.Job) {
	fmt.Fprintln(con.err, con.paint(con.errColor, dim, j.Using()))
}

// jobEnv is what the query of a job is compiled against, with the functions of flags in the
// place of its own. Functions that do not load are findings.
func jobEnv(j *project.Job, flags *functionFlags) (plan.Env, []project.Note, error) {
	flagged := plan.Env{Level: j.Level}
	if err := flags.declare(&flagged); err != nil {
		return plan.Env{}, nil, err
	}
	j.Functions = slices.DeleteFunc(j.Functions, func(f project.Function) bool {
		return slices.ContainsFunc(flagged.Functions, func(g plan.Function) bool { return f.Aggregate == g.Aggregate && strings.EqualFold(f.Name, g.Name) })
	})
	env, notes := j.Env(flagged.Load)
	env.Functions = append(env.Functions, flagged.Functions...)
	return env, notes, nil
}

// sampleEndpoint is the sample of a job's input as -i or -r would name it.
func sampleEndpoint(in project.Input) endpoint {
	e := endpoint{flag: "-i", alias: in.Name, path: in.Sample, options: formatOptions(in.SampleFormat)}
	if in.Reference {
		e.flag = "-r"
	}
	return e
}

// formatOptions are a format as the options of -i.
func formatOptions(f connect.Format) map[string]string {
	o := map[string]string{}
	if f.Type != "" {
		o["format"] = f.Type
	}
	for name, d := range delimiters {
		if d == f.Delimiter {
			o["delimiter"] = name
		}
	}
	if f.NoHeader {
		o["header"] = "no"
	}
	if f.Compression != "" && f.Compression != string(codec.CompressAuto) {
		o["compression"] = f.Compression
	}
	return o
}

// resultFiles are outputs that go to DIR/<alias>.json each, as the tools of Azure write the
// results of local runs (jobmodel.md 10). The folder is made.
func resultFiles(dir string, names []string, taken []endpoint) ([]endpoint, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, usage("--results: %w", err)
	}
	list := slices.Clone(taken)
	for _, name := range names {
		if slices.ContainsFunc(taken, func(e endpoint) bool { return strings.EqualFold(e.alias, name) }) {
			continue
		}
		if strings.ContainsAny(name, `/\:`) || strings.HasPrefix(name, ".") {
			return nil, usage("--results: the output %q is no name of a file; give it one with -o %q=FILE", name, name)
		}
		list = append(list, endpoint{flag: "-o", alias: name, path: filepath.Join(dir, name+".json"), options: map[string]string{"format": "json"}})
	}
	return list, nil
}
