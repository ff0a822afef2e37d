package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weir/internal/project"
	"weir/internal/service"
)

// connect tries the inputs and outputs of a job.
func (f *findings) connect(ctx context.Context, j *project.Job) error {
	a, err := service.Assemble(ctx, j, service.AssembleOptions{})
	if err != nil {
		return usage("%w", err)
	}
	list := service.Probe(ctx, a, f.c.Within)
	for i := range list {
		if list[i].State == "failed" {
			f.unreached++
		}
		if f.c.JSON {
			if err := f.enc.Encode(&list[i]); err != nil {
				return err
			}
			continue
		}
		f.probed(&list[i])
	}
	return nil
}

// probed shows a try: a line, and one for each further problem and each hint.
func (f *findings) probed(p *service.Probed) {
	what := "output"
	if p.Input {
		what = "input"
	}
	line := fmt.Sprintf("%-6s  %-16s  %-12s  ", what, p.Name, p.Type)
	blank := strings.Repeat(" ", len(line))
	switch p.State {
	case "ok":
		fmt.Fprintf(f.con.out, "%sok, %s\n", line, p.Took.Round(time.Millisecond))
	case "untried":
		fmt.Fprintf(f.con.out, "%snothing to try\n", line)
	}
	for i, x := range p.Problems {
		if i > 0 {
			line = blank
		}
		fmt.Fprintf(f.con.out, "%s%s\n", line, x.Text)
		for hint := range strings.Lines(x.Hint) {
			fmt.Fprintf(f.con.out, "%s  %s\n", blank, strings.TrimRight(hint, "\n"))
		}
	}
}
