package twin

import (
	"slices"
	"sort"
	"strings"

	"weir/internal/saql"
)

// patternFunctions are the aggregates of DEFINE and MEASURES (saql.md 9.3, 9.5).
var patternFunctions = map[string]bool{"FIRST": true, "LAST": true, "MIN": true, "MAX": true, "CLASSIFIER": true}

// step is a row that a pattern matched: as a variable, or as "." for any row.
type step struct {
	variable string
	place    int
}

// binding is what DEFINE and MEASURES see: the rows matched so far, the last one being
// the row that is tried as variable own; own is empty in MEASURES.
type binding struct {
	block *block
	own   string
	steps []step
}

// path is v.col, col of the last row of v; a bare col means the own variable (9.3). In
// MEASURES it means a column of the partition, which all rows share.
func (p *binding) path(names []saql.Name) Value {
	variable, column := p.split(names)
	if variable == "" {
		return p.column(p.steps[len(p.steps)-1].place, column)
	}
	rows := p.rows(variable)
	if len(rows) == 0 {
		return null
	}
	return p.column(rows[len(rows)-1], column)
}

func (p *binding) split(names []saql.Name) (variable string, column []saql.Name) {
	if len(names) > 1 {
		return names[0].Text, names[1:]
	}
	return p.own, names
}

func (p *binding) column(place int, names []saql.Name) Value {
	return p.block.row(place).path(names)
}

func (p *binding) rows(variable string) []int {
	var out []int
	for _, s := range p.steps {
		if strings.EqualFold(s.variable, variable) {
			out = append(out, s.place)
		}
	}
	return out
}

func (p *binding) call(name string, c *saql.Call) Value {
	if name == "CLASSIFIER" {
		out := Value{Kind: Array}
		for _, s := range p.steps {
			out.Items = append(out.Items, textValue(s.variable))
		}
		return out
	}
	variable, column := p.split(c.Args[0].(*saql.Path).Names)
	var vals []Value
	for _, place := range p.rows(variable) {
		vals = append(vals, p.column(place, column))
	}
	switch {
	case name == "FIRST" && len(vals) > 0:
		return vals[0]
	case name == "LAST" && len(vals) > 0:
		return vals[len(vals)-1]
	case name == "FIRST" || name == "LAST":
		return null
	}
	return extreme(name, slices.DeleteFunc(vals, Value.isNull), false)
}

// found is a match: when it was settled, and its rows.
type found struct {
	t     int64
	start int
	steps []step
}

// match finds the matches of MATCH_RECOGNIZE: every row starts an attempt (saql.md 9).
func (r *run) match(b *block, alias string, m *saql.MatchRecognize) *block {
	var all []found
	by := append(append([]saql.Expr(nil), b.partition...), m.PartitionBy...)
	length := constant(m.Limit.Unit, m.Limit.Value)
	split := &block{sources: b.sources, tuples: b.tuples}
	every := make([]int, len(b.tuples))
	for i := range every {
		every[i] = i
	}
	for _, part := range split.partitions(every, by) {
		for i := range part {
			if f, ok := attempt(split, m, part[i:], length); ok {
				all = append(all, f)
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool {
		if all[i].t != all[j].t {
			return all[i].t < all[j].t
		}
		return all[i].start < all[j].start
	})
	rel := &relation{}
	for _, x := range m.Measures {
		rel.columns = append(rel.columns, column{x.Alias.Text, anyKind})
	}
	for _, f := range all {
		x := &env{block: split, tuple: tuple{t: f.t}, at: -1, pattern: &binding{block: split, steps: f.steps}}
		out := &row{t: f.t}
		for _, e := range m.Measures {
			out.fields = append(out.fields, Field{e.Alias.Text, x.value(e.Expr)})
		}
		rel.rows = append(rel.rows, out)
	}
	if m.Alias != nil {
		alias = m.Alias.Text
	}
	return (&run{}).single(alias, rel, nil, nil)
}

// attempt tries to match from the first of rows. Rows are shown to it one by one. It is
// settled when the way that comes first in the order of preference is finished, or when
// there is none (saql.md 9.6).
func attempt(b *block, m *saql.MatchRecognize, rows []int, length int64) (found, bool) {
	start := b.tuples[rows[0]].t
	end := 0
	for end < len(rows) && b.tuples[rows[end]].t <= start+length {
		end++
	}
	for n := 1; n <= end; n++ {
		if w, ok := preferred(b, m, rows[:n], true); !ok || !w.alive {
			return finished(w, ok, found{t: b.tuples[rows[n-1]].t, start: rows[0]})
		}
	}
	// Not settled by a row inside the limit: the best that is finished counts.
	w, ok := preferred(b, m, rows[:end], false)
	return finished(w, ok, found{t: start + length, start: rows[0]})
}

// finished is the match that a way gives; an empty one yields nothing.
func finished(w way, ok bool, f found) (found, bool) {
	f.steps = w.steps
	return f, ok && len(w.steps) > 0
}

// preferred is the first way through the pattern over rows, as backtracking finds it; ok is
// false if there is none. Ways that wait for a row to come count if alive is set.
func preferred(b *block, m *saql.MatchRecognize, rows []int, alive bool) (w way, ok bool) {
	s := &search{block: b, match: m, rows: rows, alive: alive}
	s.run(m.Pattern, nil, func(steps []step) { s.found(way{steps: slices.Clone(steps)}) })
	if len(s.ways) == 0 {
		return way{}, false
	}
	return s.ways[0], true
}

// way is a path through the pattern: complete, or alive and waiting for the next row.
type way struct {
	steps []step
	alive bool
}

// search looks for the first way through a pattern over some rows, in the order of
// preference.
type search struct {
	block *block
	match *saql.MatchRecognize
	rows  []int
	alive bool
	ways  []way // the first one, once it is found
}

func (s *search) found(w way) {
	if len(s.ways) == 0 {
		s.ways = append(s.ways, w)
	}
}

// run takes every way to match p after steps, and calls next for each.
func (s *search) run(p saql.Pattern, steps []step, next func([]step)) {
	if len(s.ways) > 0 {
		return
	}
	switch p := p.(type) {
	case *saql.PatternGroup:
		s.run(p.X, steps, next)
	case *saql.PatternVar:
		s.variable(p, steps, next)
	case *saql.PatternAlt:
		for _, alt := range p.Alts {
			s.run(alt, steps, next)
		}
	case *saql.PatternSeq:
		s.sequence(p.Parts, steps, next)
	case *saql.PatternRepeat:
		s.repeat(p, steps, next)
	}
}

func (s *search) sequence(parts []saql.Pattern, steps []step, next func([]step)) {
	if len(parts) == 0 {
		next(steps)
		return
	}
	s.run(parts[0], steps, func(steps []step) { s.sequence(parts[1:], steps, next) })
}

// repeat is greedy: one more is tried first, as long as it takes a row.
func (s *search) repeat(p *saql.PatternRepeat, steps []step, next func([]step)) {
	if p.Op == '+' {
		s.run(p.X, steps, func(after []step) {
			s.repeat(&saql.PatternRepeat{X: p.X, Op: '*'}, after, next)
		})
		return
	}
	s.run(p.X, steps, func(after []step) {
		switch {
		case len(after) == len(steps):
		case p.Op == '?':
			next(after)
		default:
			s.repeat(p, after, next)
		}
	})
	next(steps)
}

// variable takes the next row, if there is one and it fits.
func (s *search) variable(p *saql.PatternVar, steps []step, next func([]step)) {
	if len(steps) == len(s.rows) {
		if s.alive {
			s.found(way{steps: slices.Clone(steps), alive: true})
		}
		return
	}
	name := p.Name.Text
	if p.Any {
		name = "."
	}
	steps = append(slices.Clone(steps), step{name, s.rows[len(steps)]})
	for _, d := range s.match.Define {
		if !p.Any && strings.EqualFold(d.Name.Text, name) {
			own := &binding{block: s.block, own: d.Name.Text, steps: steps}
			x := &env{block: s.block, at: -1, pattern: own}
			if x.truth(d.Cond) != yes {
				return
			}
		}
	}
	next(steps)
}
