package main

import (
	"bytes"
	"encoding/json"
	"strings"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// tapFilter is the filter of a tap: a query over its rows, each for itself.
type tapFilter struct {
	plan    *plan.Plan
	src     string
	encode  *codec.Encoder
	failure string // the last query error
}

// newTapFilter compiles the select list and the condition. An empty list is *.
func newTapFilter(con *console, step, list, where string) (*tapFilter, error) {
	if list == "" {
		list = "*"
	}
	src := "SELECT " + list + "\nINTO out FROM [" + strings.ReplaceAll(step, "]", "") + "]"
	if where != "" {
		src += "\nWHERE " + where
	}
	q := compile("filter", src, anyEnv)
	if err := q.valid(con); err != nil {
		return nil, err
	}
	if len(q.plan.Outputs) != 1 || len(q.plan.Inputs) != 1 {
		return nil, usage("--select and --where are parts of one SELECT over the rows of the tap")
	}
	for _, n := range q.plan.Nodes {
		switch n.Op.(type) {
		case *plan.Source, *plan.Stamp, *plan.Filter, *plan.Project, *plan.Order, *plan.Write:
		default:
			return nil, usage("a tap looks at each row for itself: --select and --where can have no windows, joins, LAG and the like; make a step of it in the query and tap that")
		}
	}
	out := q.plan.Outputs[0].Node
	var names []string
	for _, c := range out.Cols {
		names = append(names, c.Name)
	}
	return &tapFilter{plan: q.plan, src: src, encode: codec.NewEncoder(codec.JSONLines, names, out.Op.(*plan.Write).Row)}, nil
}

// apply gives what the filter makes of rows, and how many of them it failed on.
func (f *tapFilter) apply(rows []json.RawMessage) (out []json.RawMessage, failed int64, err error) {
	in := job.Events{Name: f.plan.Inputs[0].Name}
	for _, r := range rows {
		in.Text = append(in.Text, string(r))
	}
	o := job.EventOptions{Options: exec.Options{Sample: true, DropErrors: true,
		OnQueryError: func(e *exec.QueryError, _ []byte) {
			failed++
			f.failure = e.In(f.src)
		},
		OnRows: func(_ int, b *vec.Batch) error {
			for line := range bytes.Lines(f.encode.Encode(nil, b)) {
				out = append(out, bytes.TrimSpace(line))
			}
			return nil
		}}}
	_, err = job.RunEvents(f.plan, []job.Events{in}, o)
	return out, failed, err
}
