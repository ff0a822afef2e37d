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
	restFails  bool // rest may raise a query error
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
		d.restReads = refsIn(op, allOf(rest))
	}
	d.reads = refsIn(op, e)
	d.row = vec.Batch{N: 1, Time: make([]vec.Time, 1), Cols: make([]vec.Vec, len(op.Refs))}
	return d
}

// refsIn are the refs that e reads.
func refsIn(op *plan.Match, e *plan.Expr) []int {
	read := make([]bool, len(op.Refs))
	markExpr(e, read)
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

// ask evaluates the definition of a variable for a row of the batch at hand and the cells
// of a thread that has it.
func (o *match) ask(v int32, say uint8, cells []int32, row int32) (bool, error) {
	d := o.defs[v]
	p, reads := d.full, d.reads
	if say == askRest {
		p, reads = d.rest, d.restReads
	}
	d.row.Time[0] = o.in.Time[row]
	d.one.start(&d.row)
	for _, ref := range reads {
		d.row.Cols[ref].Reset()
		d.row.Cols[ref].Append(o.refs.value(ref, cells))
		if at := &o.refs.of[ref]; cells[at.cell] < noRow {
			d.one.fail(at.span, 0, o.refs.cells[at.cell].misfit(cells[at.cell]))
		}
	}
	ok := p.test(&d.one)[0] == fn.True
	if e := d.one.first; e != nil {
		return false, &QueryError{Span: e.Span, Message: e.Message, Row: int(row)}
	}
	return ok, nil
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

// threadSet finds threads of the attempt at hand that have the same future.
type threadSet struct {
	table []int32 // where a thread stands in match.next, + 1
	gens  []int64 // and for which attempt and row
	gen   int64
	n     int
}

// add reports whether a thread with the future of the one at at is there already, and else
// adds it.
func (s *threadSet) add(o *match, at int) bool {
	if s.gen != o.gen {
		s.gen, s.n = o.gen, 0
	}
	if 2*(s.n+1) > len(s.table) {
		s.grow(o, at)
	}
	return !s.put(o, at)
}

// put adds a thread unless an equal one is there.
func (s *threadSet) put(o *match, at int) bool {
	x := o.next[at:]
	sees := o.sees[x[recPos]]
	h := hash64(uint64(x[recPos]))
	for _, c := range sees {
		h = hash64(h ^ uint64(uint32(x[recCells+c])))
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if s.gens[i] != s.gen {
			s.table[i], s.gens[i] = int32(at+1), s.gen
			s.n++
			return true
		}
		if sameFuture(o.next[s.table[i]-1:], x, sees) {
			return false
		}
	}
}

func sameFuture(a, b []int32, sees []int32) bool {
	if a[recPos] != b[recPos] {
		return false
	}
	for _, c := range sees {
		if a[recCells+c] != b[recCells+c] {
			return false
		}
	}
	return true
}

// grow makes the table larger, for the threads of the attempt in front of at.
func (s *threadSet) grow(o *match, at int) {
	size := max(64, 2*len(s.table))
	s.table, s.gens, s.n = make([]int32, size), make([]int64, size), 0
	for x := o.begin; x < at; x += o.stride {
		if q := o.next[x+recPos]; q >= 0 && len(o.sees[q]) > 0 {
			s.put(o, x)
		}
	}
}
