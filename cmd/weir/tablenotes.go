package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
)

// tableNotes says why reference data may match nothing, by the start of each file: it has no
// rows, or lacks the column that is looked up, or has texts there where the events have
// numbers, as a CSV file without CREATE TABLE does (saql.md 6.6).
func tableNotes(ctx context.Context, q *query, from []job.Input) []string {
	t := &tableCheck{ctx: ctx, from: from, samples: map[string]sample{}}
	for _, n := range q.plan.Nodes {
		op, ok := n.Op.(*plan.Lookup)
		if !ok {
			continue
		}
		src, ok := n.In[1].Op.(*plan.Source)
		if !ok {
			continue
		}
		table := q.plan.Inputs[src.Input]
		at := slices.IndexFunc(from, func(in job.Input) bool { return in.Name == table.Name })
		if at < 0 || from[at].Reader != nil {
			continue
		}
		for i, k := range op.Keys[1] {
			if path := table.Fields[k].Path; len(path) > 0 {
				t.check(&table, from[at], n.In[0].Cols[op.Keys[0][i]].Name, path)
			}
		}
	}
	slices.Sort(t.notes)
	return slices.Compact(t.notes)
}

// tableCheck looks at the files of a run.
type tableCheck struct {
	ctx     context.Context
	from    []job.Input
	samples map[string]sample // by path
	notes   []string
}

func (t *tableCheck) sample(in job.Input) sample {
	s, known := t.samples[in.Path]
	if !known {
		s = sampleOf(t.ctx, in)
		t.samples[in.Path] = s
	}
	return s
}

// check looks at a table and a field of it that must equal a field of the events.
func (t *tableCheck) check(table *plan.Input, file job.Input, field string, path []string) {
	note := func(format string, args ...any) {
		t.notes = append(t.notes, fmt.Sprintf("reference input %q: ", table.Name)+fmt.Sprintf(format, args...))
	}
	rows, name := t.sample(file), path[0]
	v, found := rows.value(name)
	_, err := strconv.ParseFloat(v.Str, 64)
	switch {
	case !rows.ok:
	case len(rows.names) == 0:
		note("%s has no rows", file.Path)
	case !found:
		note("%s has no column %q; it has %s%s", file.Path, name, strings.Join(rows.names, ", "), didYouMean(name, rows.names))
	case err == nil && file.Format.CSV && table.Table == nil && t.isNumber(table.Name, field):
		note("%q in %s is text, which equals no number; declare it: CREATE TABLE %s (%s bigint, ..)", name, file.Path, table.Name, name)
	}
}

// isNumber reports whether a field of the events is seen to be a number.
func (t *tableCheck) isNumber(table, field string) bool {
	return slices.ContainsFunc(t.from, func(in job.Input) bool {
		if in.Name == table || in.Reader != nil || in.Format.CSV {
			return false
		}
		events := t.sample(in)
		v, found := events.value(field)
		return found && v.Kind.IsNumber()
	})
}

// sample is what the first events of a file show: the names of their fields, and a value of
// each.
type sample struct {
	ok     bool
	names  []string
	values []vec.Value
}

// value finds a field, without case.
func (s *sample) value(name string) (vec.Value, bool) {
	i := slices.IndexFunc(s.names, func(x string) bool { return strings.EqualFold(x, name) })
	if i < 0 {
		return vec.Value{}, false
	}
	return s.values[i], true
}

// sampleOf reads the first batch of a file. What is wrong with the file is left for the run
// to say.
func sampleOf(ctx context.Context, in job.Input) sample {
	q := compile("", "SELECT * FROM x", anyEnv)
	if q.plan == nil {
		return sample{}
	}
	in.Name, in.Effective = "x", 0
	var s sample
	result, err := job.Run(ctx, q.plan, []job.Input{in}, job.Options{Late: -1, Workers: 1, OnRows: func(_ int, b *vec.Batch) error {
		for i := range b.N {
			row := b.Cols[0].At(i).Rec
			for k, name := range row.Names {
				if !slices.Contains(s.names, name) && len(s.names) < maxSampled {
					s.names = append(s.names, strings.Clone(name))
					s.values = append(s.values, vec.Value{Kind: row.Vals[k].Kind, Str: strings.Clone(row.Vals[k].Str)})
				}
			}
		}
		return errSeen
	}})
	s.ok = errors.Is(err, errSeen) || err == nil && result.Bad == 0
	return s
}

// maxSampled bounds the fields that a sample has.
const maxSampled = 1000
