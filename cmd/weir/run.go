package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/fn"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/project"
)

type runCmd struct {
	File           string   `arg:"" optional:"" placeholder:"PATH" help:"What to run: a query, such as downtime.saql (- is standard input), or a job: a folder, weir.yaml, asaproj.json, *.asaproj, an ARM template (FILE#NAME if it holds several)."`
	Query          string   `short:"q" placeholder:"SAQL" help:"The query itself, in place of a file."`
	Input          []string `short:"i" sep:"none" placeholder:"[ALIAS=]FILE" help:"Where an input's events are; - is standard input. Options: ,format=json|csv|auto ,delimiter=tab ,header=no (columns are column1, column2, ..) ,compression=gzip."`
	referenceFlags `embed:""`
	functionFlags  `embed:""`
	levelFlag      `embed:""`
	overlayFlag    `embed:""`
	liveFlags      `embed:""`
	Output         []string `short:"o" sep:"none" placeholder:"[ALIAS=]FILE" help:"Write an output's rows to FILE, not to standard output. Options: ,format=json|array|csv|avro|parquet ,delimiter=tab. Names ending in .gz, .zst or .sz are compressed."`
	Results        string   `placeholder:"DIR" help:"Write the rows of each output to DIR/ALIAS.json, an object a line."`
	OutputFormat   string   `enum:"auto,table,json,array,csv" default:"auto" help:"Form of rows on standard output: ${enum}. auto is a table on a terminal, else JSON lines."`
	Late           *limit   `placeholder:"D" help:"How late an event may be, such as 5s, or none for no limit."`
	OutOfOrder     *limit   `placeholder:"D" help:"How far behind the newest event one may be, such as 2s."`
	Policy         string   `enum:"adjust,drop," default:"" placeholder:"P" help:"What happens to events beyond that: adjust (their time is moved) or drop."`
	QueryErrors    string   `enum:"stop,drop" default:"stop" placeholder:"P" help:"What a query error does, such as a CAST that cannot convert: stop (the run) or drop (the row). Default ${default}."`
	DeadLetters    string   `placeholder:"FILE" help:"Write events that were dropped to FILE, with the reason, as JSON lines."`
	Workers        int      `placeholder:"N" help:"Goroutines that decode. Default: three per processor."`
	MaxHeld        int64    `default:"50000000" placeholder:"N" help:"How many rows and groups may wait for their time; beyond it the run ends. Default ${default}."`
	Quiet          bool     `help:"No closing line and no warnings."`
}

// Help shows examples before the flags.
func (runCmd) Help() string {
	return `Examples:
  weir run downtime.saql -i downtime=events.jsonl
  weir run ./my-azure-project --results results
  weir run ./downtime --live
  weir generate downtime | weir run downtime.saql -i -
  weir run -q "SELECT status, COUNT(*) AS n FROM log TIMESTAMP BY time GROUP BY status, TumblingWindow(minute, 1)" -i access.csv.gz
  weir run job.saql -i a=a.jsonl -i b=b.csv -o alerts=alerts.jsonl --late 5s --policy drop
  weir run job.saql -i scans=scans.jsonl -r people=people.csv --function initials.js
  weir run job.saql -i scans=scans.jsonl -r 'people=people/{date}/{time}.csv' --query-errors drop

A run over files takes all events in the order of their own time (TIMESTAMP BY), and none
is late. With --late, --out-of-order or --policy the job's time policies apply as they do
live: defaults are 5s, 0s and adjust, and events arrive in the order of the file. Then
the rows of a pipe come out while its events come in; without them, at its end.`
}

// limit is a duration of 0 or more, or none: no limit.
type limit time.Duration

// UnmarshalText reads a limit from the command line.
func (l *limit) UnmarshalText(b []byte) error {
	if string(b) == "none" {
		*l = -1
		return nil
	}
	d, err := time.ParseDuration(string(b))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no duration; write 5s, 200ms, 1m30s, or none for no limit", b)
	}
	*l = limit(d)
	return nil
}

// or is the limit, or other if it was not given.
func (l *limit) or(other time.Duration) time.Duration {
	if l == nil {
		return other
	}
	return time.Duration(*l)
}

// Run runs the query over its inputs.
func (r *runCmd) Run(ctx context.Context, con *console) error {
	if r.Query == "" && r.File == "" && project.Holds(".") {
		r.File = "."
	}
	switch {
	case r.Live:
		return r.runLive(ctx, con)
	case r.check() != nil:
		return r.check()
	case r.Query == "" && isJob(r.File):
		return r.runJob(ctx, con)
	}
	file, src, err := r.text(con)
	if err != nil {
		return err
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
	env := anyEnv
	env.Level = r.level()
	if env.Inputs, err = r.declared(refs); err != nil {
		return err
	}
	if err := r.declare(&env); err != nil {
		return err
	}
	q := compile(file, src, env)
	if err := q.valid(con); err != nil {
		return err
	}
	return r.start(ctx, con, q, env, append(inputs, refs...), outputs)
}

// start connects a compiled query with its files, says what is to be said of them, and runs.
func (r *runCmd) start(ctx context.Context, con *console, q *query, env plan.Env, ends, outputs []endpoint) error {
	from, err := r.inputs(con, q.plan, ends)
	if err != nil {
		return err
	}
	if r.Results != "" {
		if outputs, err = resultFiles(r.Results, outputNames(q.plan), outputs); err != nil {
			return err
		}
	}
	if !r.Quiet {
		q = withTimes(ctx, q, env, from)
		if r.QueryErrors == "drop" { // a CAST stops nothing then
			q.found = slices.DeleteFunc(q.found, func(d *diag.Diagnostic) bool { return d.Code == diag.W3005 })
		}
		q.show(con, false)
		for _, note := range tableNotes(ctx, q, from) {
			fmt.Fprintln(con.err, con.paint(con.errColor, dim, note))
		}
	}
	return r.run(ctx, con, q, from, ends, outputs)
}

// text is the query text and the name that messages give it.
func (r *runCmd) text(con *console) (file, src string, err error) {
	switch {
	case r.Query != "" && r.File != "":
		return "", "", usage("give the query as a file or with --query, not both")
	case r.Query != "":
		return "query", r.Query, nil
	case r.File == "":
		return "", "", usage("the query is missing; write weir run QUERY.saql -i FILE, or --query 'SELECT ...'")
	}
	src, err = readText(con, r.File)
	return r.File, src, err
}

// endpoints reads the values of -i, -r or -o.
func (r *runCmd) endpoints(flag string, specs []string) ([]endpoint, error) {
	known := inputOptions
	if flag == "-o" {
		known = outputOptions
	}
	var list []endpoint
	for _, s := range specs {
		e, err := parseEndpoint(flag, s, known)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// run connects the plan with files and drives it.
func (r *runCmd) run(ctx context.Context, con *console, q *query, from []job.Input, inputs, outputs []endpoint) error {
	to, err := matchAliases("output", outputs, outputNames(q.plan))
	if err != nil {
		return err
	}
	if err := distinctFiles(append(versionsOf(from), inputs...), outputs, r.DeadLetters); err != nil {
		return err
	}
	bar := newProgress(con, "event")
	out, err := openSinks(con, q.plan, to, r.OutputFormat, bar.clear)
	if err != nil {
		return err
	}
	dead, err := openDeadLetters(r.DeadLetters, from, r.showDropped(con, bar))
	if err != nil {
		return errors.Join(err, out.close())
	}
	o := r.options()
	o.OnRows = out.Rows
	o.OnBad = dead.add
	if bar != nil {
		o.Progress = bar.show()
	}
	result, err := job.Run(ctx, q.plan, from, o)
	bar.clear()
	err = errors.Join(err, out.close(), dead.close())
	if err != nil {
		return r.failed(con, q, err)
	}
	if !r.Quiet {
		summary(con, &result, dead)
	}
	if result.Events == 0 && result.Bad > 0 {
		return &exitError{exitRuntime, fmt.Errorf("none of the events could be read (%s); "+
			"say what the file is with -i ALIAS=FILE,format=csv or format=json", dead.first)}
	}
	return nil
}

// showDropped gives what shows a sample of the dropped events on standard error.
func (r *runCmd) showDropped(con *console, bar *progress) func(line string) {
	if r.Quiet {
		return nil
	}
	return func(line string) {
		bar.clear()
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, line))
	}
}

// inputs finds the file of each input of the plan.
func (r *runCmd) inputs(con *console, p *plan.Plan, ends []endpoint) ([]job.Input, error) {
	var names, streams, references []string
	reference := map[string]bool{}
	for _, in := range p.Inputs {
		names = append(names, in.Name)
		if reference[in.Name] = in.Reference; in.Reference {
			references = append(references, in.Name)
		} else {
			streams = append(streams, in.Name)
		}
	}
	refsAt := slices.IndexFunc(ends, func(e endpoint) bool { return e.flag == "-r" })
	if refsAt < 0 {
		refsAt = len(ends)
	}
	got, err := matchAliases("input", ends[:refsAt], streams)
	if err != nil {
		return nil, err
	}
	tables, err := matchAliases("reference input", ends[refsAt:], references)
	if err != nil {
		return nil, err
	}
	maps.Copy(got, tables)
	var list []job.Input
	stdin := ""
	for _, name := range names {
		e := got[name]
		if e == nil {
			return nil, usage("input %q of the query has no file; add -i %s=FILE, or -i %s=- for standard input", name, name, name)
		}
		if e.path == "-" {
			if stdin != "" {
				return nil, usage("inputs %q and %q both read standard input", stdin, name)
			}
			stdin = name
		}
		if reference[name] {
			versions, err := r.referenceFlags.inputs(name, e, con)
			if err != nil {
				return nil, err
			}
			list = append(list, versions...)
			continue
		}
		in, err := e.input(name, con)
		if err != nil {
			return nil, err
		}
		list = append(list, in)
	}
	return list, nil
}

// options are the settings of the run that do not depend on the query.
func (r *runCmd) options() job.Options {
	return job.Options{
		Sample:     r.Late == nil && r.OutOfOrder == nil && r.Policy == "",
		Late:       r.Late.or(5 * time.Second),
		OutOfOrder: r.OutOfOrder.or(0),
		Drop:       r.Policy == "drop",
		DropErrors: r.QueryErrors == "drop",
		Start:      time.Now(),
		Workers:    r.Workers,
		MaxHeld:    r.MaxHeld,
	}
}

// failed says why a run failed; a query error gets its place in the query.
func (r *runCmd) failed(con *console, q *query, err error) error {
	if errors.Is(err, context.Canceled) && r.options().Sample {
		return &exitError{exitRuntime, errors.New("interrupted before the end of the input, when the rows come out; " +
			"with --late, --out-of-order or --policy they come out while events come in")}
	}
	if errors.Is(err, context.Canceled) {
		return &exitError{exitRuntime, errors.New("interrupted; the rows so far have been written")}
	}
	var e *exec.QueryError
	if errors.As(err, &e) {
		line, column := diag.Position(q.src, e.Span.Start)
		hint := con.paint(con.errColor, dim, "--query-errors drop goes on without the rows that fail")
		return &exitError{exitRuntime, fmt.Errorf("%s:%d:%d: %s\n%s", q.file, line, column, e.In(q.src), hint)}
	}
	return &exitError{exitRuntime, err}
}

// show gives a function that draws the job's progress. A run in two passes reads little of
// each event in the first.
func (p *progress) show() func(job.Progress) {
	pass := 1
	return func(at job.Progress) {
		done := at.Read
		if at.Passes > 1 {
			done /= 4
			if at.Pass == 2 {
				done = at.Total/4 + at.Read*3/4
			}
		}
		if at.Pass != pass {
			pass = at.Pass
			p.recount()
		}
		p.update(done, at.Total, at.Events)
	}
}

// summary is the closing line.
func summary(con *console, r *job.Result, dead *deadLetters) {
	var rows int64
	for _, n := range r.Rows {
		rows += n
	}
	seconds := r.Elapsed.Seconds()
	parts := []string{plural(r.Events+r.Bad, "event"), plural(rows, "row")}
	late := r.Dropped[exec.Late] + r.Adjusted[exec.Late]
	parts = append(parts, grouped(late)+" late")
	if n := r.Dropped[exec.OutOfOrder] + r.Adjusted[exec.OutOfOrder]; n > 0 {
		parts = append(parts, grouped(n)+" out of order")
	}
	failed := r.Dropped[exec.QueryFailed]
	dropped := r.DroppedTotal() - failed
	if dropped > 0 {
		parts = append(parts, grouped(dropped)+" dropped ("+dead.reasons()+")")
	}
	if failed > 0 {
		parts = append(parts, plural(failed, "row")+" left out by query errors")
	}
	speed := ""
	if seconds > 0.05 && r.Events >= 1000 {
		speed = fmt.Sprintf(", %s events/s", short(float64(r.Events)/seconds))
	}
	parts = append(parts, fmt.Sprintf("%.2f s%s", seconds, speed))
	line := strings.Join(parts, " · ")
	fmt.Fprintln(con.err, con.paint(con.errColor, dim, line))
	if n := r.Dropped[exec.NoTime]; n > 0 && n == r.Events {
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, "none of the events has a time: is TIMESTAMP BY over a column that they have?"))
	}
	for n, times := range r.Notes {
		if times > 0 {
			fmt.Fprintln(con.err, con.paint(con.errColor, dim, fn.Note(n).String()+": "+grouped(times)))
		}
	}
	if dropped > 0 && dead.file == nil {
		fmt.Fprintln(con.err, con.paint(con.errColor, dim, "--dead-letters FILE writes the dropped events and why"))
	}
}

// createFile creates a file that a flag names.
func createFile(flag, path string) (*os.File, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, usage("%s: %w", flag, err)
	}
	return f, nil
}
