package twin

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/saql"
)

// source is a source of a block: its schema and the name it goes by.
type source struct {
	alias string
	*relation
	applied bool // by APPLY: its row stands for an element
}

// tuple is a row of FROM: a row of each source, nil where an outer join or OUTER APPLY
// found none.
type tuple struct {
	t     int64
	parts []*row
}

// block is a query block at work: the sources and all rows of its FROM, in order.
type block struct {
	sources []source
	tuples  []tuple
	loose   bool   // see Output
	bounds  []edge // of the joins in it
	// partition are the PARTITION BY keys of its sources (saql.md 4.6).
	partition []saql.Expr
}

func (r *run) from(t saql.TableExpr) *block {
	switch t := t.(type) {
	case *saql.ParenTable:
		return r.from(t.Table)
	case *saql.Source:
		rel := r.named(t)
		alias := t.Name.Text
		if t.Alias != nil {
			alias = t.Alias.Text
		}
		return r.single(alias, rel, t.PartitionBy, t.Match)
	case *saql.Derived:
		alias := ""
		if t.Alias != nil {
			alias = t.Alias.Text
		}
		return r.single(alias, r.query(t.Body), t.PartitionBy, t.Match)
	case *saql.Join:
		return r.join(t)
	case *saql.Apply:
		return r.apply(t)
	}
	panic(fmt.Sprintf("twin: FROM %T", t))
}

// single is a block of one source.
func (r *run) single(alias string, rel *relation, p *saql.PartitionBy, m *saql.MatchRecognize) *block {
	b := &block{sources: []source{{alias: alias, relation: rel}}, loose: rel.loose}
	for _, x := range rel.rows {
		b.tuples = append(b.tuples, tuple{x.t, []*row{x}})
	}
	if p != nil {
		b.partition = p.Keys
	}
	if m != nil {
		return r.match(b, alias, m)
	}
	return b
}

// named is a step, a stream or a reference input.
func (r *run) named(s *saql.Source) *relation {
	name := strings.ToLower(s.Name.Text)
	if body, ok := r.bodies[name]; ok {
		if s.TimestampBy != nil {
			return r.query(timed(body, s.TimestampBy))
		}
		if r.steps[name] == nil {
			r.steps[name] = r.query(body)
		}
		return r.steps[name]
	}
	for _, in := range r.job.Inputs {
		if strings.EqualFold(in.Name, s.Name.Text) {
			return r.stream(in, s.TimestampBy)
		}
	}
	for _, in := range r.job.Reference {
		if strings.EqualFold(in.Name, s.Name.Text) {
			rel := &relation{open: true, reference: true}
			for _, text := range in.Events {
				rel.rows = append(rel.rows, &row{fields: fieldsOf(text)})
			}
			return rel
		}
	}
	panic("twin: no source " + s.Name.Text)
}

// timed is a pass-through step with the TIMESTAMP BY written at the input (saql.md 4.2).
func timed(body saql.QueryExpr, by *saql.TimestampBy) saql.QueryExpr {
	q := *body.(*saql.Select)
	source := *q.From.(*saql.Source)
	source.TimestampBy = by
	q.From = &source
	return &q
}

func fieldsOf(text string) []Field {
	v, err := ParseJSON(text)
	if err != nil || v.Kind != Record {
		panic("twin: no event: " + text)
	}
	return v.Fields
}

// stream gives the events of an input their times (saql.md 4).
func (r *run) stream(in Input, by *saql.TimestampBy) *relation {
	table, declared := r.tables[strings.ToLower(in.Name)]
	rel := &relation{open: !declared, columns: table, loose: !r.job.Sample && by != nil}
	marks := &clocks{newest: map[string]int64{}}
	for i, text := range in.Events {
		x := &row{fields: fieldsOf(text)}
		arrival := int64(0)
		if in.Arrival != nil {
			arrival = in.Arrival[i]
		}
		keep := true
		if declared {
			if x.fields, keep = typed(x.fields, table); !keep {
				continue
			}
		}
		switch {
		case by == nil && r.job.Sample:
			x.t = r.job.Start
		case by == nil:
			marks.arrived = max(marks.arrived, arrival)
			x.t = marks.arrived
		default:
			keep = r.stamp(x, rel, in.Name, by, arrival, marks)
		}
		if keep {
			rel.rows = append(rel.rows, x)
		}
	}
	slices.SortStableFunc(rel.rows, func(a, b *row) int { return order(a.t, b.t) })
	return rel
}

func order(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// stamp sets T of an event by TIMESTAMP BY and the policies; it says if the event stays.
func (r *run) stamp(x *row, rel *relation, name string, by *saql.TimestampBy, arrival int64, marks *clocks) bool {
	b := &block{sources: []source{{alias: name, relation: rel}}, tuples: []tuple{{0, []*row{x}}}}
	at := &env{block: b, tuple: b.tuples[0]}
	e, ok := at.try(by.Expr)
	if !ok {
		return false
	}
	if e.Kind == Text {
		t, ok := parseTime(e.Text)
		if !ok {
			return false
		}
		e = timeValue(t)
	}
	if e.Kind != Time {
		return false
	}
	var over []Value
	for _, k := range by.Over {
		v, ok := at.try(k)
		if v.isNull() || !ok {
			return false
		}
		over = append(over, v)
	}
	x.t = e.Int
	if r.job.Sample {
		return true
	}
	return r.police(x, arrival, keys(over), marks)
}

// try evaluates an expression of TIMESTAMP BY: what fails there is no time.
func (x *env) try(e saql.Expr) (v Value, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, failed := r.(*QueryError); !failed {
				panic(r)
			}
			v, ok = null, false
		}
	}()
	return x.value(e), true
}

// clocks are the clocks of an input: the latest arrival, and the newest T of each key of
// TIMESTAMP BY OVER (of the empty key without OVER).
type clocks struct {
	arrived int64
	newest  map[string]int64
}

// police applies the policies in their order (saql.md 4.3): early, late, disorder. The
// watermark is the one before the event. It says if the event stays.
func (r *run) police(x *row, arrival int64, key string, c *clocks) bool {
	j := r.job
	if x.t-arrival > 5*minute {
		return false
	}
	before := c.arrived
	c.arrived = max(c.arrived, arrival)
	if arrival-x.t > j.Late {
		if j.Drop {
			return false
		}
		x.t = arrival - j.Late
	}
	newest, known := c.newest[key]
	w := before - j.Late
	if known {
		w = max(w, newest-j.OutOfOrder)
	}
	if x.t < w {
		if j.Drop {
			return false
		}
		x.t = w
	}
	c.newest[key] = max(newest, x.t)
	return true
}
