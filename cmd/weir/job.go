package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/service"
)

// jobCmd are the verbs about the jobs of a service: clients of its REST interface.
type jobCmd struct {
	List        jobListCmd        `cmd:"" help:"All jobs."`
	Show        jobShowCmd        `cmd:"" help:"A job: its state, inputs and outputs."`
	Deploy      jobDeployCmd      `cmd:"" help:"Make a job, or go over to a new version."`
	Start       jobStartCmd       `cmd:"" help:"Start a job."`
	Stop        jobStopCmd        `cmd:"" help:"Stop a job after a last checkpoint."`
	Checkpoint  jobCheckpointCmd  `cmd:"" help:"Make a checkpoint now."`
	Rollback    jobRollbackCmd    `cmd:"" help:"Put an older version into force again."`
	Rm          jobRmCmd          `cmd:"" help:"Stop a job and remove it with its state."`
	Deadletters jobDeadlettersCmd `cmd:"" help:"Events and rows that did not go where they should have."`
	History     jobHistoryCmd     `cmd:"" help:"Runs and versions of a job."`
	Events      jobEventsCmd      `cmd:"" help:"What was done to jobs, and what happened to them."`
}

// jobArg names a job of a service.
type jobArg struct {
	serverFlags `embed:""`
	Job         string `arg:"" placeholder:"JOB" help:"The name of the job."`
}

type jobListCmd struct {
	serverFlags `embed:""`
}

// Run lists the jobs.
func (c *jobListCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var list struct{ Jobs []service.JobView }
	if err := api.do(ctx, "GET", apiPath("jobs"), nil, &list); err != nil {
		return err
	}
	rows := newListing(con, "JOB", "STATE", "VERSION", "SINCE", "EVENTS", "ROWS", "DEAD", "REASON")
	for _, j := range list.Jobs {
		if err := rows.add(j, j.Name, string(j.State), strconv.Itoa(j.Version), ago(j.Since), grouped(j.Events), grouped(j.Rows), grouped(j.DeadLetters), reasonOf(j)); err != nil {
			return err
		}
	}
	return rows.close()
}

// reasonOf is why a job is not well, in one line.
func reasonOf(j service.JobView) string {
	reason := j.Reason
	if j.Error != "" {
		reason = strings.TrimPrefix(reason+"; the files as they are now were refused: "+j.Error, "; ")
	}
	reason, _, _ = strings.Cut(reason, "\n")
	return reason
}

// ago is how long something was ago, in short.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}

// listing shows things as a table to a person, and as JSON lines to a program.
type listing struct {
	con   *console
	table *table
}

func newListing(con *console, names ...string) *listing {
	l := &listing{con: con}
	if con.outTTY {
		l.table = newTable(con.out, names)
		l.table.fit = con.width
	}
	return l
}

// add shows a thing by its cells, or itself.
func (l *listing) add(thing any, cells ...string) error {
	if l.table == nil {
		return json.NewEncoder(l.con.out).Encode(thing)
	}
	numbers := make([]bool, len(cells))
	for i, c := range cells {
		numbers[i] = c == "" || strings.Trim(c, "0123456789,.-") == ""
	}
	return l.table.add(cells, numbers)
}

// close ends the table.
func (l *listing) close() error {
	if l.table == nil {
		return nil
	}
	return l.table.end()
}

type jobShowCmd struct {
	jobArg `embed:""`
}

// Run shows a job.
func (c *jobShowCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var j service.JobView
	if err := api.do(ctx, "GET", apiPath("jobs", c.Job), nil, &j); err != nil {
		return err
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(j)
	}
	var st service.StatsView
	if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "stats"), nil, &st); err != nil {
		return err
	}
	showJob(con, j, st)
	return nil
}

// showJob writes a job for a person.
func showJob(con *console, j service.JobView, st service.StatsView) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(con.out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("job", "%s  version %d  %s", con.paint(con.outColor, bold, j.Name), j.Version, j.Kind)
	line("state", "%s, %s; %s is wanted", j.State, ago(j.Since), j.Desired)
	if r := reasonOf(j); r != "" {
		line("reason", "%s", r)
	}
	if j.Path != "" {
		line("path", "%s", j.Path)
	}
	line("epoch", "%d", st.Epoch)
	if c := st.Checkpoint; c.Count > 0 {
		line("checkpoint", "%s, %s bytes, the job stood still for %.0f ms", ago(c.Last), grouped(c.Bytes), c.PauseSeconds*1000)
	}
	for _, in := range st.Inputs {
		if r := in.Reference; r != nil {
			line("reference", "%s  %s", in.Name, referenceText(r))
			continue
		}
		line("input", "%s  %s events, %.3g a second", in.Name, grouped(in.Events), in.EventsPerSecond)
	}
	for _, out := range st.Outputs {
		line("output", "%s  %s rows, %.3g a second, %s", out.Name, grouped(out.Rows), out.RowsPerSecond, out.Guarantee)
		if out.LastError != "" {
			line("", "%s", out.LastError)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(st.DeadLetters)) {
		line("dead letters", "%s %s", grouped(st.DeadLetters[name]), name)
	}
}

// referenceText tells of reference data for people.
func referenceText(r *service.ReferenceView) string {
	text := grouped(r.Rows) + " rows"
	if r.Rows < 0 {
		text = "not read yet"
	}
	if r.Since != nil {
		text += ", in force since " + r.Since.Format(time.RFC3339)
	}
	if r.Versions > 1 {
		text += fmt.Sprintf(", %d versions", r.Versions)
	}
	text += fmt.Sprintf(", looked at %s ago", time.Duration(r.AgeSeconds*float64(time.Second)).Round(time.Second))
	if r.Failure != "" {
		text += "; " + r.Failure
	}
	return text
}

type jobDeployCmd struct {
	serverFlags  `embed:""`
	Path         string `arg:"" placeholder:"PATH" help:"The job: a folder or file of any form."`
	Name         string `placeholder:"NAME" help:"The name of the job. Default: what its file says."`
	Start        string `placeholder:"WHERE" help:"Start it if it does not run: now, last, beginning, a time, or -10m."`
	InPlace      bool   `help:"Do not send the files: the service, on this machine, reads them where they are, and relative paths lead there."`
	DryRun       bool   `help:"Only say what is wrong; nothing changes."`
	DiscardState bool   `help:"Steps whose state cannot be kept start empty."`
}

// Help shows examples before the flags.
func (jobDeployCmd) Help() string {
	return `Examples:
  weir job deploy ./downtime --start now
  weir job deploy ./downtime --in-place --start beginning
  weir job deploy ./legacy-asa --name legacy --dry-run

The job is checked first; one that is wrong changes nothing. A job that runs goes over to
the new version without a stop. If a step cannot keep its state, that is said, and
--discard-state starts it empty. References to secrets (${env:NAME}) are resolved by the
service.`
}

// Run deploys a job.
func (c *jobDeployCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	j, err := loadJob(con, c.Path, project.Options{KeepReferences: true}, exitUsage)
	if err != nil {
		return err
	}
	name := c.Name
	if name == "" {
		name = service.NameOf(j.Name)
	}
	body := map[string]any{}
	if c.InPlace {
		abs, err := filepath.Abs(c.Path)
		if err != nil {
			return usage("%w", err)
		}
		body["path"] = abs
	} else if body["files"], err = bundleOf(j, c.Path); err != nil {
		return err
	}
	q := url.Values{}
	if c.Start != "" {
		o, err := service.StartAt(c.Start, time.Now())
		if err != nil {
			return usage("--start: %w", err)
		}
		q.Set("start", string(o.From))
		if !o.At.IsZero() {
			q.Set("at", o.At.Format(time.RFC3339Nano))
		}
	}
	if c.DryRun {
		q.Set("dry_run", "true")
	}
	if c.DiscardState {
		q.Set("discard_state", "true")
	}
	var d service.Deployed
	if err := api.do(ctx, "PUT", apiPath("jobs", name, "?"+q.Encode()), body, &d); err != nil {
		return err
	}
	for _, f := range d.Diagnostics {
		fmt.Fprintln(con.err, f)
	}
	return tellDeployed(con, name, d, c.DryRun)
}

// tellDeployed says what a deployment did.
func tellDeployed(con *console, name string, d service.Deployed, dry bool) error {
	if !con.outTTY {
		if err := json.NewEncoder(con.out).Encode(d); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s: version %d", name, d.Version)
	switch {
	case dry && d.Changed:
		text = name + ": nothing is wrong; it would be a new version"
	case !d.Changed:
		text += ", as it was"
	case d.Reload == "hot":
		text += ", the running job went over to it"
	case d.Created:
		text += ", new"
	}
	if !dry {
		text += "; the job is " + string(d.Job.State)
	}
	fmt.Fprintln(con.err, text)
	for _, s := range d.Steps {
		fmt.Fprintln(con.err, "  "+s.Text)
	}
	return nil
}

// bundleOf reads the files that a job consists of, by their names below its folder.
func bundleOf(j *project.Job, path string) (map[string]string, error) {
	path, _, _ = strings.Cut(path, "#")
	dir, err := filepath.Abs(path)
	if err != nil {
		return nil, usage("%w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		dir = filepath.Dir(dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, usage("%w", err)
	}
	defer root.Close()
	files := map[string]string{}
	for _, file := range j.Files {
		rel, err := filepath.Rel(dir, file)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, usage("%s does not lie in the folder of the job, %s; with --in-place the service reads it where it is", file, dir)
		}
		b, err := fs.ReadFile(root.FS(), filepath.ToSlash(rel))
		if err != nil {
			return nil, usage("%w", err)
		}
		files[filepath.ToSlash(rel)] = string(b)
	}
	return files, nil
}

type jobStartCmd struct {
	jobArg       `embed:""`
	From         string `placeholder:"WHERE" help:"Where to start: last (where the job was; the default), now, beginning, a time, or -10m."`
	DiscardState bool   `help:"Begin anew although there is state."`
}

// Run starts a job.
func (c *jobStartCmd) Run(ctx context.Context, con *console) error {
	o, err := service.StartAt(c.From, time.Now())
	if err != nil {
		return usage("--from: %w", err)
	}
	body := map[string]any{"discard_state": c.DiscardState}
	if o.From != "" {
		body["from"] = o.From
	}
	if o.From == job.StartTime {
		body["at"] = o.At.Format(time.RFC3339Nano)
	}
	return c.act(ctx, con, ":start", body)
}

// act does something to a job and tells its state.
func (c *jobArg) act(ctx context.Context, con *console, action string, body any) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var j service.JobView
	if err := api.do(ctx, "POST", apiPath("jobs", c.Job, action), body, &j); err != nil {
		return err
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(j)
	}
	fmt.Fprintf(con.out, "%s is %s, version %d\n", j.Name, j.State, j.Version)
	return nil
}

type jobStopCmd struct {
	jobArg `embed:""`
}

// Run stops a job.
func (c *jobStopCmd) Run(ctx context.Context, con *console) error {
	return c.act(ctx, con, ":stop", nil)
}

type jobCheckpointCmd struct {
	jobArg `embed:""`
}

// Run makes a checkpoint.
func (c *jobCheckpointCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var v struct {
		Epoch          int64   `json:"epoch"`
		Bytes          int64   `json:"bytes"`
		PauseSeconds   float64 `json:"pause_seconds"`
		ElapsedSeconds float64 `json:"elapsed_seconds"`
	}
	if err := api.do(ctx, "POST", apiPath("jobs", c.Job, ":checkpoint"), nil, &v); err != nil {
		return err
	}
	if !con.outTTY {
		return json.NewEncoder(con.out).Encode(v)
	}
	fmt.Fprintf(con.out, "epoch %d, %s bytes, durable after %.0f ms; the job stood still for %.0f ms\n", v.Epoch, grouped(v.Bytes), v.ElapsedSeconds*1000, v.PauseSeconds*1000)
	return nil
}

type jobRollbackCmd struct {
	jobArg       `embed:""`
	Version      int  `arg:"" optional:"" help:"The version. Default: the one before."`
	DiscardState bool `help:"Steps whose state cannot be kept start empty."`
}

// Run puts an older version into force.
func (c *jobRollbackCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	body := map[string]any{"discard_state": c.DiscardState}
	if c.Version > 0 {
		body["version"] = c.Version
	}
	var d service.Deployed
	if err := api.do(ctx, "POST", apiPath("jobs", c.Job, ":rollback"), body, &d); err != nil {
		return err
	}
	return tellDeployed(con, c.Job, d, false)
}

type jobRmCmd struct {
	jobArg `embed:""`
	Yes    bool `help:"Do not ask."`
}

// Run removes a job.
func (c *jobRmCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if !c.Yes {
		fmt.Fprintf(con.err, "%s and its state will be removed. Type its name to go on: ", c.Job)
		var answer string
		if _, err := fmt.Fscanln(con.in, &answer); err != nil || answer != c.Job {
			return usage("nothing was removed; --yes does not ask")
		}
	}
	if err := api.do(ctx, "DELETE", apiPath("jobs", c.Job), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(con.err, "%s was removed\n", c.Job)
	return nil
}

type jobDeadlettersCmd struct {
	jobArg  `embed:""`
	Name    string `placeholder:"ERROR" help:"Of one error only, such as LateInputEvent."`
	After   int64  `placeholder:"ID" help:"Those with larger ids."`
	Limit   int    `default:"100" placeholder:"N" help:"How many. Default ${default}."`
	Count   bool   `help:"Only how many there have been, by error."`
	Redrive bool   `help:"Try again those of --name, or all, that were not tried yet, a thousand at once."`
}

// Run shows dead letters, or tries them again.
func (c *jobDeadlettersCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.Redrive {
		var v struct {
			Redriven, Refused int64
		}
		body := map[string]any{"all": true}
		if c.Name != "" {
			body = map[string]any{"name": c.Name}
		}
		if err := api.do(ctx, "POST", apiPath("jobs", c.Job, "deadletters")+":redrive", body, &v); err != nil {
			return err
		}
		fmt.Fprintf(con.err, "%s tried again; what failed again is a new one\n", plural(v.Redriven, "dead letter"))
		if v.Refused > 0 {
			fmt.Fprintf(con.err, "%s cannot be tried: cut, of an input or output that is gone, or a step has failed on it\n", plural(v.Refused, "dead letter"))
		}
		return nil
	}
	q := url.Values{"after": {strconv.FormatInt(c.After, 10)}, "limit": {strconv.Itoa(c.Limit)}}
	if c.Name != "" {
		q.Set("name", c.Name)
	}
	var v struct {
		Counts  map[string]int64
		Letters []job.DeadLetter
	}
	if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "deadletters", "?"+q.Encode()), nil, &v); err != nil {
		return err
	}
	if c.Count {
		rows := newListing(con, "ERROR", "COUNT")
		for _, name := range slices.Sorted(maps.Keys(v.Counts)) {
			if err := rows.add(map[string]any{"name": name, "count": v.Counts[name]}, name, grouped(v.Counts[name])); err != nil {
				return err
			}
		}
		return rows.close()
	}
	rows := newListing(con, "ID", "ERROR", "FROM", "REASON", "PAYLOAD")
	for _, l := range v.Letters {
		from := l.Input + l.Output
		if l.Object != "" {
			from += fmt.Sprintf(" %s:%d", l.Object, l.Line)
		}
		if err := rows.add(l, strconv.FormatInt(l.ID, 10), l.Name, from, l.Reason, l.Payload); err != nil {
			return err
		}
	}
	return rows.close()
}

type jobHistoryCmd struct {
	jobArg   `embed:""`
	Versions bool `help:"The versions in place of the runs."`
}

// Run shows the runs of a job that have ended, newest first.
func (c *jobHistoryCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.Versions {
		var v struct{ Versions []service.Version }
		if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "versions"), nil, &v); err != nil {
			return err
		}
		rows := newListing(con, "VERSION", "MADE", "BY", "FILES", "NOTE")
		for _, x := range v.Versions {
			if err := rows.add(x, strconv.Itoa(x.Version), ago(x.Created), x.By, strings.Join(x.Files, " "), x.Note); err != nil {
				return err
			}
		}
		return rows.close()
	}
	var v struct{ Runs []service.Past }
	if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "history"), nil, &v); err != nil {
		return err
	}
	rows := newListing(con, "VERSION", "STARTED", "TOOK", "STATE", "EVENTS", "ROWS", "REASON")
	for _, r := range v.Runs {
		took := r.Ended.Sub(r.Started).Round(time.Second).String()
		if err := rows.add(r, strconv.Itoa(r.Version), ago(r.Started), took, r.State, grouped(r.Events), grouped(r.Rows), r.Reason); err != nil {
			return err
		}
	}
	return rows.close()
}

type jobEventsCmd struct {
	serverFlags `embed:""`
	Job         string `arg:"" optional:"" placeholder:"JOB" help:"Of one job only."`
	Follow      bool   `short:"f" help:"Go on with new ones."`
}

// Run shows the events that the service remembers.
func (c *jobEventsCmd) Run(ctx context.Context, con *console) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	q := url.Values{"live": {strconv.FormatBool(c.Follow)}}
	if c.Job != "" {
		q.Set("job", c.Job)
	}
	return api.stream(ctx, apiPath("events", "?"+q.Encode()), func(e streamed) error {
		if !con.outTTY {
			_, err := fmt.Fprintln(con.out, string(e.Data))
			return err
		}
		var v service.Event
		if err := json.Unmarshal(e.Data, &v); err != nil {
			return err
		}
		_, err := fmt.Fprintf(con.out, "%s  %-20s %s: %s\n", v.Time.Local().Format("15:04:05"), v.Job, v.Kind, v.Text)
		return err
	})
}
