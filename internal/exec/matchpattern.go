package exec

import "weir/internal/plan"

// automaton is a pattern as steps from row to row. A position is a place of the pattern
// that takes a row; a path that has taken its last row there is said to be at it. What
// may come next depends on the position alone, so it is found once, here.
//
// Preference is that of backtracking (saql.md 9.2), with one word on what it leaves open:
// an iteration of *, + or ? takes at least one row, but the first of a +. So what repeats
// something that may be empty ends when there is nothing to take, not sooner.
type automaton struct {
	vars []int32 // per position: the variable, or plan.AnyVar for the dot
	// next are the positions that may follow one, most preferred first. Those behind the end
	// of the pattern are left out: a path that is complete is preferred to them.
	next [][]int32
	// final tells that the pattern may end at a position. The paths over next are preferred
	// to that end.
	final []bool
	first []int32 // the positions that may take the first row
}

// maxFollow bounds the work of building an automaton, and so its size.
const maxFollow = 1 << 20

// newAutomaton gives nil for a pattern that is too large.
func newAutomaton(p *plan.Pattern) *automaton {
	b := &patternBuilder{auto: &automaton{}, budget: maxFollow}
	start := b.add(p, b.node(part{kind: partEnd}), 1)
	a := b.auto
	a.next, a.final = make([][]int32, len(a.vars)), make([]bool, len(a.vars))
	b.listed = make([]int32, len(a.vars))
	b.visited = map[visit]int32{}
	a.first, _ = b.follow(start, 1)
	for _, n := range b.parts {
		if n.kind == partRow {
			a.next[n.pos], a.final[n.pos] = b.follow(n.outs[0], n.depth)
		}
	}
	if b.budget < 0 {
		return nil
	}
	return a
}

// patternBuilder turns a pattern into parts that lead to each other, and walks over them.
type patternBuilder struct {
	auto    *automaton
	parts   []part
	budget  int
	walk    int32 // numbers the walks
	visited map[visit]int32
	listed  []int32 // per position: the walk that has listed it
	list    []int32
	ended   bool
}

type partKind uint8

const (
	partEnd    partKind = iota // of the pattern
	partRow                    // takes a row at position pos, then goes to outs[0]
	partChoice                 // goes to each of outs, the first preferred
	partTaken                  // the end of an iteration, which leads on if it has taken a row
)

// part is a node of the graph of a pattern. depth is 1 for parts outside of repetitions,
// and one more in each.
type part struct {
	kind  partKind
	pos   int32
	depth int32
	outs  []int32
}

func (b *patternBuilder) node(p part) int32 {
	b.parts = append(b.parts, p)
	return int32(len(b.parts) - 1)
}

// add makes the parts of p, which lead to the part then, and gives the first of them.
func (b *patternBuilder) add(p *plan.Pattern, then, depth int32) int32 {
	switch p.Kind {
	case plan.One, plan.AnyRow:
		v := int32(p.Var)
		if p.Kind == plan.AnyRow {
			v = plan.AnyVar
		}
		b.auto.vars = append(b.auto.vars, v)
		return b.node(part{kind: partRow, pos: int32(len(b.auto.vars) - 1), depth: depth, outs: []int32{then}})
	case plan.Sequence:
		for i := len(p.Parts) - 1; i >= 0; i-- {
			then = b.add(p.Parts[i], then, depth)
		}
		return then
	case plan.Choice:
		choice := part{kind: partChoice, depth: depth}
		for _, alt := range p.Parts {
			choice.outs = append(choice.outs, b.add(alt, then, depth))
		}
		return b.node(choice)
	case plan.Optional:
		once := b.node(part{kind: partTaken, depth: depth + 1, outs: []int32{then}})
		return b.node(part{kind: partChoice, depth: depth, outs: []int32{b.add(p.Parts[0], once, depth+1), then}})
	}
	loop := b.node(part{kind: partChoice, depth: depth})
	again := b.node(part{kind: partTaken, depth: depth + 1, outs: []int32{loop}})
	body := b.add(p.Parts[0], again, depth+1)
	b.parts[loop].outs = []int32{body, then}
	if p.Kind == plan.Plus && !nullable(p.Parts[0]) {
		return body
	}
	return loop
}

// nullable reports whether p may match no row.
func nullable(p *plan.Pattern) bool {
	switch p.Kind {
	case plan.Star, plan.Optional:
		return true
	case plan.Plus:
		return nullable(p.Parts[0])
	case plan.Sequence:
		for _, x := range p.Parts {
			if !nullable(x) {
				return false
			}
		}
		return true
	case plan.Choice:
		for _, x := range p.Parts {
			if nullable(x) {
				return true
			}
		}
	}
	return false
}

// visit is a part with what matters of the way to it: the repetitions around it from depth
// fresh on have taken no row in their iteration, those outside of them have.
type visit struct{ part, fresh int32 }

// follow lists the positions that a path may take at part n, most preferred first, and
// tells whether the pattern may end instead of them.
func (b *patternBuilder) follow(n, depth int32) (next []int32, final bool) {
	b.walk++
	b.list, b.ended = b.list[:0], false
	b.reach(visit{n, depth})
	return append(next, b.list...), b.ended
}

// reach goes on from a part, in the order of preference.
func (b *patternBuilder) reach(v visit) {
	if b.ended || b.visited[v] == b.walk {
		return
	}
	if b.budget--; b.budget < 0 {
		return
	}
	b.visited[v] = b.walk
	p := &b.parts[v.part]
	switch p.kind {
	case partEnd:
		b.ended = true
	case partRow:
		if b.listed[p.pos] != b.walk {
			b.listed[p.pos] = b.walk
			b.list = append(b.list, p.pos)
		}
	case partChoice:
		for _, out := range p.outs {
			b.reach(visit{out, v.fresh})
		}
	case partTaken:
		if v.fresh == p.depth { // the iteration has taken a row
			b.reach(visit{p.outs[0], v.fresh - 1})
		}
	}
}
