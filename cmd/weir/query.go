package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"weir/internal/caserun"
	"weir/internal/diag"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/udf"
)

// query is a query text and what the compiler says about it.
type query struct {
	file   string // as messages name it
	src    string
	script *saql.Script
	plan   *plan.Plan // nil if there are errors
	found  diag.List
	inputs []plan.InputDecl // those that flags declare
}

// maxQueryBytes bounds the text of a query (saql.md 14.1).
const maxQueryBytes = 1 << 20

// readText reads a text file, or standard input for "-".
func readText(con *console, file string) (string, error) {
	in := con.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", usage("cannot read the query: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxQueryBytes+1))
	if errors.Is(err, context.Canceled) {
		return "", errInterrupted
	}
	if err != nil {
		return "", usage("cannot read the query: %w", err)
	}
	if len(b) > maxQueryBytes {
		return "", usage("the query %s is longer than 1 MiB", file)
	}
	return string(b), nil
}

// compile parses and compiles a text. The findings are in the result.
func compile(file, src string, env plan.Env) *query {
	q := &query{file: file, src: src, inputs: env.Inputs}
	q.script, q.found = saql.Parse(src)
	if q.found.HasErrors() {
		q.found = q.found.Sorted()
		return q
	}
	p, more := plan.Compile(q.script, env)
	q.found = append(q.found, more...).Sorted()
	adviseFlags(q.found)
	if !q.found.HasErrors() {
		q.plan = p
	}
	return q
}

// anyEnv takes any input and output: what can be said of a query without its job.
var anyEnv = plan.Env{AnyInput: true, AnyOutput: true,
	Load: func(f plan.FunctionSource) (plan.Function, error) { return caserun.LoadFunction(f, udf.Limits{}) }}

// show draws the findings on standard error. With onlyErrors it leaves out warnings.
func (q *query) show(con *console, onlyErrors bool) {
	list := q.found
	if onlyErrors {
		list = nil
		for _, d := range q.found {
			if d.Severity == diag.SeverityError {
				list = append(list, d)
			}
		}
	}
	list.Render(con.err, q.file, q.src, con.errColor)
}

// valid shows the errors, if there are any, and says that the query is wrong.
func (q *query) valid(con *console) error {
	if q.plan != nil {
		return nil
	}
	q.show(con, true)
	if err := unknownReferences(q.src, q.inputs); err != nil {
		return err
	}
	return silent(exitUsage)
}

// didYouMean is "; did you mean NAME?" for the nearest of some names, or nothing when
// none is near.
func didYouMean(name string, known []string) string {
	if near, ok := diag.Nearest(name, known); ok {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
