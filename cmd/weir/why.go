package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"weir/internal/project"
	"weir/internal/service"
	"weir/internal/udf"
)

type whyCmd struct {
	serverFlags `embed:""`
	Job         string `arg:"" placeholder:"JOB" help:"The name of a job, or the path of one, which is then run over its samples."`
	Output      string `arg:"" optional:"" placeholder:"OUTPUT" help:"Of this output. Default: of each."`
	JSON        bool   `name:"json" help:"As JSON, a line for each output."`
	Overlay     string `placeholder:"FILE" help:"With a path: settings that the job lacks. Default: weir.overlay.yaml beside it."`
}

// Help shows examples before the flags.
func (whyCmd) Help() string {
	return `Examples:
  weir why downtime
  weir why downtime teams --json
  weir why ./downtime                    a run over the samples of the job

It follows the events of a job to its outputs: how many came, where they were left out and
why, what still waits and until when; then the likely cause of what is missing, and what to
try.`
}

// jobName is how jobs of a service are named; anything else is a path.
var jobName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Run shows where the rows of outputs went.
func (c *whyCmd) Run(ctx context.Context, con *console) error {
	var list []service.Why
	var err error
	if jobName.MatchString(c.Job) {
		list, err = c.ask(ctx)
	} else {
		list, err = c.samples(ctx, con)
	}
	if err != nil {
		return err
	}
	for i, w := range list {
		if c.JSON {
			if err := json.NewEncoder(con.out).Encode(w); err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(con.out)
		}
		fmt.Fprint(con.out, paintWhy(con, w))
	}
	return nil
}

// ask asks the service.
func (c *whyCmd) ask(ctx context.Context) ([]service.Why, error) {
	api, err := c.client()
	if err != nil {
		return nil, err
	}
	outputs := []string{c.Output}
	if c.Output == "" {
		var t service.Topology
		if err := api.do(ctx, "GET", apiPath("jobs", c.Job, "topology"), nil, &t); err != nil {
			return nil, err
		}
		outputs = t.Outputs
	}
	var list []service.Why
	for _, name := range outputs {
		w, err := api.why(ctx, c.Job, name)
		if err != nil {
			return nil, err
		}
		list = append(list, w)
	}
	return list, nil
}

// why asks where the rows of an output went.
func (c *client) why(ctx context.Context, job, output string) (w service.Why, err error) {
	q := url.Values{}
	if output != "" {
		q.Set("output", output)
	}
	err = c.do(ctx, "GET", apiPath("jobs", job, "why", "?"+q.Encode()), nil, &w)
	return w, err
}

// paintWhy is the text of an answer, with the biggest loss and the cause in colour.
func paintWhy(con *console, w service.Why) string {
	if !con.outColor {
		return w.Text
	}
	var b strings.Builder
	for i, line := range strings.Split(strings.TrimSuffix(w.Text, "\n"), "\n") {
		switch {
		case i == w.Biggest+1 && w.Biggest >= 0: // the first line says how many rows there are
			line = con.paint(true, red, line)
		case i == 0 || strings.HasPrefix(line, "likely cause:"):
			line = con.paint(true, bold, line)
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// samples runs a job over its samples.
func (c *whyCmd) samples(ctx context.Context, con *console) ([]service.Why, error) {
	j, err := loadJob(con, c.Job, project.Options{Overlay: c.Overlay, KeepReferences: true}, exitUsage)
	if err != nil {
		return nil, err
	}
	using(con, j)
	list, err := service.WhySamples(ctx, j, c.Output, udf.Limits{})
	if found, ok := errors.AsType[service.Findings](err); ok {
		fmt.Fprintln(con.err, found.Error())
		return nil, silent(exitUsage)
	}
	if errors.Is(err, service.ErrNoPart) {
		return nil, usage("%w", err)
	}
	return list, err
}
