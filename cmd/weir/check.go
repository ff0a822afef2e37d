package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"weir/internal/diag"
	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/vec"
)

type checkCmd struct {
	Files []string `arg:"" optional:"" placeholder:"PATH" help:"What to check: queries (- is standard input), or jobs: folders, weir.yaml, asaproj.json, *.asaproj, ARM templates (FILE#NAME if one holds several)."`
	Query string   `short:"q" placeholder:"SAQL" help:"A query itself."`
	JSON  bool     `help:"Print an object per finding on standard output."`
	Azure bool     `help:"Say line by line what Azure Stream Analytics would not take."`

	Reference  []string `short:"r" sep:"none" placeholder:"ALIAS" help:"An input that holds reference data."`
	Late       *limit   `placeholder:"D" help:"The job's late tolerance, for warnings about it."`
	OutOfOrder *limit   `placeholder:"D" help:"The job's out-of-order tolerance."`
	Policy     string   `enum:"adjust,drop," default:"" placeholder:"P" help:"The job's policy: adjust or drop."`

	Live    bool          `help:"Of jobs: is all there that it takes to run live?"`
	Connect bool          `help:"Of jobs: try each input and output, and say what is wrong with it. Nothing is changed."`
	Within  time.Duration `default:"10s" placeholder:"D" help:"With --connect: how long a try may take. Default ${default}."`
	SkipEnv bool          `help:"Of jobs: environment variables and files that settings name need not be there."`

	levelFlag     `embed:""`
	functionFlags `embed:""`
	overlayFlag   `embed:""`
}

// Help shows examples before the flags.
func (checkCmd) Help() string {
	return `Examples:
  weir check *.saql
  weir check ./my-azure-project
  weir check --json job.saql
  weir check ./my-azure-project --connect
  weir check --azure job.saql
  weir check job.saql -r people --function initials.js
  weir check -q "SELECT a, LEN(b) FROM input"

Every error is shown with its place and, where there is one, a fix. The exit status is 1
if there are errors, and with --azure also if something is an extension of this engine.
"weir explain SA2002" says what a code means.`
}

// Run checks the files.
func (c *checkCmd) Run(ctx context.Context, con *console) error {
	if c.Query == "" && len(c.Files) == 0 && project.Holds(".") {
		c.Files = []string{"."}
	}
	env := c.env()
	if err := c.declare(&env); err != nil {
		return err
	}
	list, err := c.texts(con)
	if err != nil {
		return err
	}
	f := &findings{c: c, con: con, enc: json.NewEncoder(con.out)}
	texts := ""
	for _, t := range list {
		if t.job {
			if err := f.job(ctx, t.file); err != nil {
				return err
			}
			continue
		}
		texts += t.src + "\n"
		if err := f.query(compile(t.file, t.src, env)); err != nil {
			return err
		}
	}
	f.verdict()
	if f.errors > 0 && !c.JSON {
		if err := unknownReferences(texts, env.Inputs); err != nil {
			fmt.Fprintf(con.err, "weir: %v\n", err)
		}
	}
	if f.errors > 0 || f.extensions > 0 || f.unreached > 0 {
		return silent(exitFindings)
	}
	return nil
}

// queryText is a query and the name that messages give it.
type queryText struct {
	file, src string
	job       bool // file is a job, and is read by others
}

// texts are the queries and jobs to check.
func (c *checkCmd) texts(con *console) ([]queryText, error) {
	var list []queryText
	if c.Query != "" {
		list = append(list, queryText{file: "query", src: c.Query})
	}
	for _, file := range c.Files {
		if isJob(file) {
			list = append(list, queryText{file: file, job: true})
			continue
		}
		src, err := readText(con, file)
		if err != nil {
			return nil, err
		}
		list = append(list, queryText{file: file, src: src})
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
