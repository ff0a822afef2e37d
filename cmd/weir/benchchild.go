package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"time"

	"weir/internal/exec"
	"weir/internal/job"
	"weir/internal/plan"
)

// benchTables are the inputs with reference data.
var benchTables = []plan.InputDecl{{Name: "teams", Reference: true}, {Name: "side", Reference: true}}

// benchEnv is what the standard queries are compiled against.
func benchEnv() plan.Env {
	env := anyEnv
	env.Inputs = benchTables
	return env
}

// inputs are the files of a query.
func (b *benchCmd) inputs(p *plan.Plan) []job.Input {
	var list []job.Input
	for _, in := range p.Inputs {
		path := b.Data
		if in.Reference {
			path = b.Table
		}
		list = append(list, job.Input{Name: in.Name, Path: path})
	}
	return list
}

// child runs one query over a file, rows to the null device, and prints its cost.
func (b *benchCmd) child(ctx context.Context, con *console) error {
	b.Queries = []string{b.Child}
	list, err := b.chosen()
	if err != nil {
		return err
	}
	q := compile(list[0].ID, list[0].SAQL, benchEnv())
	if err := q.valid(con); err != nil {
		return err
	}
	null := map[string]*endpoint{}
	for _, o := range q.plan.Outputs {
		null[o.Name] = &endpoint{path: os.DevNull, options: map[string]string{}}
	}
	out, err := openSinks(con, q.plan, null, "json", nil)
	if err != nil {
		return err
	}
	var c cost
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.StartBytes = peakMemory()
	cpu := cpuTime()
	start := time.Now()
	result, err := job.Run(ctx, q.plan, b.inputs(q.plan), job.Options{
		Late: -1, OutOfOrder: b.Jitter, Workers: b.Workers, OnRows: out.Rows,
	})
	if err := errors.Join(err, out.close()); err != nil {
		return err
	}
	c.Seconds = time.Since(start).Seconds()
	c.CPUSeconds = (cpuTime() - cpu).Seconds()
	runtime.ReadMemStats(&after)
	c.Mallocs = after.Mallocs - before.Mallocs
	c.PeakBytes = peakMemory()
	c.Events, c.Bytes = result.Events, result.Bytes
	c.Late = result.Adjusted[exec.Late] + result.Adjusted[exec.OutOfOrder] + result.DroppedTotal()
	for _, n := range result.Rows {
		c.Rows += n
	}
	return json.NewEncoder(con.out).Encode(c)
}
