package main

import (
	"context"
	"errors"
	"slices"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// withTimes compiles q again with what the first event of each file shows: fields with
// times, where the query takes the arrival time. It is for the warning W5001 only.
func withTimes(ctx context.Context, q *query, env plan.Env, from []job.Input) *query {
	found := false
	for _, n := range q.plan.Nodes {
		stamp, ok := n.Op.(*plan.Stamp)
		if !ok || stamp.By != nil {
			continue
		}
		name := q.plan.Inputs[n.In[0].Op.(*plan.Source).Input].Name
		at := slices.IndexFunc(from, func(in job.Input) bool { return in.Name == name })
		if at < 0 || from[at].Reader != nil {
			continue
		}
		if times := timeFields(ctx, from[at]); len(times) > 0 {
			env.Inputs = append(slices.Clone(env.Inputs), plan.InputDecl{Name: name, Times: times})
			found = true
		}
	}
	if !found {
		return q
	}
	if again := compile(q.file, q.src, env); again.plan != nil {
		return again
	}
	return q
}

// errSeen ends a run that has seen enough.
var errSeen = errors.New("seen")

// timeFields are the fields of the first event of a file whose texts are times. What is
// wrong with the file is left for the run to say.
func timeFields(ctx context.Context, in job.Input) []string {
	q := compile("", "SELECT * FROM x", anyEnv)
	if q.plan == nil {
		return nil
	}
	in.Name = "x"
	var fields []string
	_, err := job.Run(ctx, q.plan, []job.Input{in}, job.Options{Late: -1, Workers: 1, OnRows: func(_ int, b *vec.Batch) error {
		first := b.Cols[0].At(0).Rec
		for i, v := range first.Vals {
			if _, ok := vec.ParseTime(v.Str); ok && v.Kind == vec.String && len(v.Str) > len("2006-01-02") {
				fields = append(fields, first.Names[i])
			}
		}
		return errSeen
	}})
	if !errors.Is(err, errSeen) {
		return nil
	}
	return fields
}
