package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// definition is DEFINE of a variable. What it asks of the row alone is answered for a whole
// batch before any thread asks; what it asks of earlier rows is answered for one thread at
// a time.
type definition struct {
	quick truth // over the rows of a batch; nil: nothing that the row alone could tell
	// rest is what quick leaves open where it is true, nil if that is nothing; full is all of
	// it. Both are over the refs.
	rest, full truth
	restFails  bool         // rest may raise a query error
	plain      []comparison // what rest is if it is no more than that, else nil
	// The refs that rest and full read.
	restReads, reads []int
	says             []uint8 // per row of the batch at hand
	judged           bool    // says is of the batch at hand
	one              frame   // of one thread
	row              vec.Batch
}

// What a definition says of a row.
const (
	no uint8 = iota
	yes
	askRest // it depends on earlier rows
	askFull // it fails, or it depends on earlier rows whether it does
)

// newDefinition compiles the predicate e of variable v; nil matches every row.
//
// The terms of an AND are answered from left to right (saql.md 3.2). One that reads only
// the row may be answered before one that reads earlier rows if the latter cannot fail.
func newDefinition(op *plan.Match, v int, e *plan.Expr) *definition {
	d := &definition{}
	if e == nil {
		return d
	}
	var quick, rest []*plan.Expr
	blocked := false
	for _, term := range terms(e, nil) {
		back := looksBack(op, v, term)
		switch {
		case !back && !blocked:
			quick = append(quick, ofRow(op, term, map[*plan.Expr]*plan.Expr{}))
		default:
			rest = append(rest, term)
			fails := canFail(term) || readsExtreme(op, term)
			blocked = blocked || back && fails
			d.restFails = d.restFails || fails
		}
	}
	if len(quick) > 0 {
		d.quick = newCompiler().truth(allOf(quick))
	}
	c := newCompiler()
	d.full = c.truth(e)
	if len(rest) > 0 {
		d.rest = c.truth(allOf(rest))
		d.restReads, d.plain = refsIn(op, allOf(rest)), comparisons(rest)
	}
	d.reads = refsIn(op, e)
	d.row = vec.Batch{N: 1, Time: make([]vec.Time, 1), Cols: make([]vec.Vec, len(op.Refs))}
	return d
}

// refsIn are the refs that e reads.
func refsIn(op *plan.Match, e *plan.Expr) []int {
	read := make([]bool, len(op.Refs))
	plan.MarkExpr(e, read)
	var refs []int
	for i, r := range read {
		if r {
			refs = append(refs, i)
		}
	}
	return refs
}

// terms are the top-level terms of an AND.
func terms(e *plan.Expr, out []*plan.Expr) []*plan.Expr {
	if e.Op != plan.OpAnd {
		return append(out, e)
	}
	for _, a := range e.Args {
		out = terms(a, out)
	}
	return out
}

func allOf(terms []*plan.Expr) *plan.Expr {
	if len(terms) == 1 {
		return terms[0]
	}
	return &plan.Expr{Op: plan.OpAnd, Args: terms, Span: terms[0].Span}
}

// looksBack reports whether e reads more than the row that is tried as variable v.
func looksBack(op *plan.Match, v int, e *plan.Expr) bool {
	if e.Op == plan.OpCol {
		r := op.Refs[e.Col]
		return r.Var != v || r.Of != plan.LastOf
	}
	for _, a := range e.Args {
		if looksBack(op, v, a) {
			return true
		}
	}
	return false
}

// readsExtreme reports whether e reads a Min or Max, which may be a query error.
func readsExtreme(op *plan.Match, e *plan.Expr) bool {
	return slices.ContainsFunc(refsIn(op, e), func(r int) bool { return op.Refs[r].Of == plan.MinOf || op.Refs[r].Of == plan.MaxOf })
}

// ofRow is e, which reads the row alone, over the columns of the input.
func ofRow(op *plan.Match, e *plan.Expr, done map[*plan.Expr]*plan.Expr) *plan.Expr {
	if r, ok := done[e]; ok {
		return r
	}
	c := *e
	done[e] = &c
	if e.Op == plan.OpCol {
		c.Col = op.Refs[e.Col].Col
		return &c
	}
	c.Args = make([]*plan.Expr, len(e.Args))
	for i, a := range e.Args {
		c.Args[i] = ofRow(op, a, done)
	}
	return &c
}

// judge lets the definitions say what the rows of a batch tell.
func (o *match) judge(b *vec.Batch) {
	for _, v := range o.auto.vars {
		if v >= 0 {
			o.defs[v].judged = false
		}
	}
	for _, v := range o.auto.vars {
		if v >= 0 && !o.defs[v].judged {
			o.defs[v].judge(&o.frame, b)
		}
	}
	o.starts = resize(o.starts, b.N)
	clear(o.starts)
	for _, q := range o.auto.first {
		v := o.auto.vars[q]
		for i := range o.starts {
			if v < 0 || o.defs[v].says[i] != no {
				o.starts[i] = true
			}
		}
	}
}

func (d *definition) judge(f *frame, b *vec.Batch) {
	d.judged = true
	if cap(d.says) < b.N {
		d.says = make([]uint8, b.N)
	}
	d.says = d.says[:b.N]
	passed, open := yes, no
	if d.rest != nil {
		passed = askRest
		if d.restFails {
			open = askFull
		}
	}
	if d.quick == nil {
		for i := range d.says {
			d.says[i] = passed
		}
		return
	}
	f.start(b)
	say := [...]uint8{fn.False: no, fn.True: passed, fn.Unknown: open}
	for i, t := range d.quick.test(f) {
		d.says[i] = say[t]
	}
	for i, bad := range f.bad {
		if bad {
			d.says[i] = askFull
		}
	}
}

// seenCells gives per position the cells that definitions of what may follow it read. Two
// threads at the position that have the same rows there have the same future.
func seenCells(a *automaton, defs []*definition, r *matchRefs) [][]int32 {
	reads := make([][]bool, len(defs))
	for v, d := range defs {
		reads[v] = make([]bool, len(r.cells))
		for _, ref := range d.reads {
			c := r.of[ref].cell
			own := r.cells[c].v == v && r.cells[c].of == plan.LastOf // the row itself, whatever was there
			reads[v][c] = !own
		}
	}
	see := make([][]bool, len(a.vars))
	for q := range see {
		see[q] = make([]bool, len(r.cells))
	}
	for changed := true; changed; {
		changed = false
		for q := len(see) - 1; q >= 0; q-- {
			for _, n := range a.next[q] {
				for c := range r.cells {
					if !see[q][c] && (see[n][c] || a.vars[n] >= 0 && reads[a.vars[n]][c]) {
						see[q][c], changed = true, true
					}
				}
			}
		}
	}
	out := make([][]int32, len(see))
	for q := range see {
		for c, s := range see[q] {
			if s {
				out[q] = append(out[q], int32(c))
			}
		}
	}
	return out
}
