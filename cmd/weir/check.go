package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/diag"
	"weir/internal/plan"
	"weir/internal/vec"
)

type checkCmd struct {
	Files []string `arg:"" optional:"" placeholder:"FILE" help:"Queries to check; - is standard input."`
	Query string   `short:"q" placeholder:"SAQL" help:"A query itself."`
	JSON  bool     `help:"Print an object per finding on standard output."`
	Azure bool     `help:"Say line by line what Azure Stream Analytics would not take."`

	Reference  []string `short:"r" sep:"none" placeholder:"ALIAS" help:"An input that holds reference data."`
	Late       *limit   `placeholder:"D" help:"The job's late tolerance, for warnings about it."`
	OutOfOrder *limit   `placeholder:"D" help:"The job's out-of-order tolerance."`
	Policy     string   `enum:"adjust,drop," default:"" placeholder:"P" help:"The job's policy: adjust or drop."`

	levelFlag     `embed:""`
	functionFlags `embed:""`
}

// Help shows examples before the flags.
func (checkCmd) Help() string {
	return `Examples:
  weir check *.saql
  weir check --json job.saql
  weir check --azure job.saql
  weir check job.saql -r people --function initials.js
  weir check -q "SELECT a, LEN(b) FROM input"

Every error is shown with its place and, where there is one, a fix. The exit status is 1
if there are errors, and with --azure also if something is an extension of this engine.
"weir explain SA2002" says what a code means.`
}

// Run checks the files.
func (c *checkCmd) Run(con *console) error {
	errors, warnings, extensions, shown, texts := 0, 0, 0, false, ""
	enc := json.NewEncoder(con.out)
	env := c.env()
	if err := c.declare(&env); err != nil {
		return err
	}
	list, err := c.texts(con)
	if err != nil {
		return err
	}
	for _, t := range list {
		file, src := t.file, t.src
		texts += src + "\n"
		q := compile(file, src, env)
		for _, d := range q.found {
			extension := c.Azure && isExtension(d)
			switch {
			case extension:
				extensions++
			case d.Severity == diag.SeverityError:
				errors++
			default:
				warnings++
			}
			if extension && !c.JSON {
				line, _ := diag.Position(src, d.Span.Start)
				fmt.Fprintf(con.out, "%s:%d: %s\n", file, line, extensionText(d))
			}
			if c.JSON {
				if err := enc.Encode(diag.AsJSON(file, src, d)); err != nil {
					return err
				}
			}
		}
		if c.Azure { // said above
			q.found = slices.DeleteFunc(q.found, isExtension)
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
	if c.Azure && !c.JSON && errors == 0 && extensions == 0 {
		fmt.Fprintln(con.out, "nothing in it is an extension")
	}
	switch {
	case c.JSON:
	case extensions > 0:
		fmt.Fprintf(con.err, "%s, %s, %s\n", plural(int64(extensions), "extension"), plural(int64(errors), "error"), plural(int64(warnings), "warning"))
	default:
		c.verdict(con, errors, warnings)
	}
	if errors > 0 && !c.JSON {
		if err := unknownReferences(texts, env.Inputs); err != nil {
			fmt.Fprintf(con.err, "weir: %v\n", err)
		}
	}
	if errors > 0 || extensions > 0 {
		return silent(exitFindings)
	}
	return nil
}

// queryText is a query and the name that messages give it.
type queryText struct{ file, src string }

// texts are the queries to check.
func (c *checkCmd) texts(con *console) ([]queryText, error) {
	var list []queryText
	if c.Query != "" {
		list = append(list, queryText{"query", c.Query})
	}
	for _, file := range c.Files {
		src, err := readText(con, file)
		if err != nil {
			return nil, err
		}
		list = append(list, queryText{file, src})
	}
	if len(list) == 0 {
		return nil, usage("say what to check: weir check QUERY.saql, or --query 'SELECT ...'")
	}
	return list, nil
}

// env is what the queries are checked against.
func (c *checkCmd) env() plan.Env {
	env := anyEnv
	env.Inputs = referenceNames(c.Reference)
	env.Portable = c.Azure
	env.Level = c.level()
	if c.Late != nil || c.OutOfOrder != nil || c.Policy != "" {
		ticks := func(d time.Duration) vec.Time {
			if d < 0 {
				return -1
			}
			return vec.Time(d / 100)
		}
		env.Policies = &plan.Policies{Late: ticks(c.Late.or(5 * time.Second)), OutOfOrder: ticks(c.OutOfOrder.or(0)), Drop: c.Policy == "drop"}
	}
	return env
}

// isExtension tells what is said because a query is to run elsewhere too.
func isExtension(d *diag.Diagnostic) bool { return d.Code == diag.W9001 || d.Code == diag.SA4016 }

// extensionText is what an extension is, and what to write in its place.
func extensionText(d *diag.Diagnostic) string {
	text := strings.TrimSuffix(d.Message, "; other engines reject it")
	if d.Hint != "" {
		text += "; portable: " + d.Hint
	}
	return text
}

func (c *checkCmd) verdict(con *console, errors, warnings int) {
	switch {
	case errors+warnings == 0 && len(c.Files) <= 1:
		fmt.Fprintln(con.err, "no findings")
	case errors+warnings == 0:
		fmt.Fprintf(con.err, "no findings in %d files\n", len(c.Files))
	default:
		fmt.Fprintf(con.err, "\n%s, %s\n", plural(int64(errors), "error"), plural(int64(warnings), "warning"))
	}
}
