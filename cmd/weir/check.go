package main

import (
	"encoding/json"
	"fmt"

	"weir/internal/diag"
)

type checkCmd struct {
	Files []string `arg:"" placeholder:"FILE" help:"Queries to check; - is standard input."`
	JSON  bool     `help:"Print an object per finding on standard output."`
}

// Help shows examples before the flags.
func (checkCmd) Help() string {
	return `Examples:
  weir check *.saql
  weir check --json job.saql

Every error is shown with its place and, where there is one, a fix. The exit status is 1
if there are errors. "weir explain SA2002" says what a code means.`
}

// Run checks the files.
func (c *checkCmd) Run(con *console) error {
	errors, warnings, shown := 0, 0, false
	enc := json.NewEncoder(con.out)
	for _, file := range c.Files {
		src, err := readText(con, file)
		if err != nil {
			return err
		}
		q := compile(file, src, anyEnv)
		for _, d := range q.found {
			if d.Severity == diag.SeverityError {
				errors++
			} else {
				warnings++
			}
			if c.JSON {
				if err := enc.Encode(diag.AsJSON(file, src, d)); err != nil {
					return err
				}
			}
		}
		if c.JSON || len(q.found) == 0 {
			continue
		}
		if shown {
			fmt.Fprintln(con.err)
		}
		shown = true
		q.show(con, false)
	}
	if !c.JSON {
		c.verdict(con, errors, warnings)
	}
	if errors > 0 {
		return silent(exitFindings)
	}
	return nil
}

func (c *checkCmd) verdict(con *console, errors, warnings int) {
	switch {
	case errors+warnings == 0 && len(c.Files) == 1:
		fmt.Fprintln(con.err, "no findings")
	case errors+warnings == 0:
		fmt.Fprintf(con.err, "no findings in %d files\n", len(c.Files))
	default:
		fmt.Fprintf(con.err, "\n%s, %s\n", plural(int64(errors), "error"), plural(int64(warnings), "warning"))
	}
}
