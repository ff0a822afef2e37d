package exec

import (
	"cmp"
	"errors"
	"slices"

	"weir/internal/plan"
	"weir/internal/vec"
)

// match is MATCH_RECOGNIZE (saql.md 9): every row starts an attempt, which looks for the
// preferred match from there on among the rows of the same keys.
//
// An attempt is a list of threads, the most preferred first. A thread is a path through
// the pattern over the rows so far: a position of the automaton, and in its cells the
// rows that the values of DEFINE and MEASURES come from. With every row each thread is
// followed by those of the positions that can take the row. A path that is complete cuts
// all threads behind it, so it stands last; when it stands alone the attempt is settled.
//
// Threads of an attempt at one position have the same future unless DEFINE looks at
// earlier rows, and then if it finds the same rows there; only the most preferred of such
// threads lives on. Rows that no thread points to are not kept.
type match struct {
	g    *Graph
	node *plan.Node
	op   *plan.Match
	keys *keyTable
	auto *automaton // nil: the pattern is too large
	defs []*definition
	refs *matchRefs
	// sees tells per position the cells that DEFINE of what may follow reads.
	sees   [][]int32
	names  []string // per position, for Classifier(); nil if nobody asks for it
	stride int

	parts  []matchPart // by group
	links  []link
	linked int        // links after the last sweep
	dues   queue[due] // the attempts that were alive after their first row, in order
	found  []finding  // matches that wait for their time
	ends   []int32    // their threads
	rowNo  int64      // rows seen
	tries  int        // attempts alive
	lives  int        // their threads

	in      *vec.Batch
	groups  []int32
	touched []int32 // groups that have taken rows of the batch at hand
	starts  []bool  // rows that the pattern may start with
	frame   frame
	next    []int32 // threads of the partition after the row at hand
	kept    []try
	begin   int // where those of the attempt at hand begin
	gen     int64
	seen    []int64 // per position: gen of the attempt and row that has reached it
	twins   threadSet
	blank   []int32 // the thread of an attempt without rows
	out     measures

	peak    int   // most attempts and matches held since checked
	checked int64 // rowNo when keys were last looked through for those without attempts
	looked  int64 // how many there were then
	load    vec.Batch
}

// maxMatchStates is how many threads the attempts of a partition may have at a time
// (saql.md 9.7).
const maxMatchStates = 10_000

// A thread is stride numbers: its position, its newest link, and its cells, which are
// numbers of rows or noRow.
const (
	recPos = iota
	recLink
	recCells
	complete int32 = -1 // the position of a path that is complete
	noRow    int32 = -1
)

// matchPart is a partition: its attempts in the order of their first rows, and their
// threads one attempt behind the other.
type matchPart struct {
	tries   []try
	threads []int32
	batch   int64 // rowNo of the batch that touched it last, + 1
}

// try is an attempt.
type try struct {
	t   vec.Time // of its first row
	seq int64    // number of its first row
	n   int32    // threads
}

// due is an attempt that ends with its time limit.
type due struct {
	t     vec.Time // of its first row
	seq   int64
	group int32
}

// finding is a match: its T, the number of its first row, and where its thread is.
type finding struct {
	t   vec.Time
	seq int64
	at  int
}

// link is a row of a path and what it was taken as. Paths share their beginnings.
type link struct{ prev, pos int32 }

func newMatch(g *Graph, n *plan.Node, op *plan.Match) *match {
	o := &match{g: g, node: n, op: op, keys: newKeyTable(op.Keys, n.In[0].Cols), auto: newAutomaton(op.Pattern)}
	if o.auto == nil {
		return o
	}
	o.refs = newMatchRefs(op, o.auto, n.In[0].Cols)
	for _, v := range op.Vars {
		o.defs = append(o.defs, newDefinition(op, len(o.defs), v.Define))
	}
	o.sees = seenCells(o.auto, o.defs, o.refs)
	if usesClassifier(op) {
		for _, v := range o.auto.vars {
			if v == plan.AnyVar {
				o.names = append(o.names, ".")
			} else {
				o.names = append(o.names, op.Vars[v].Name)
			}
		}
	}
	o.stride = recCells + len(o.refs.cells)
	o.blank = make([]int32, o.stride)
	for i := range o.blank {
		o.blank[i] = noRow
	}
	o.seen = make([]int64, len(o.auto.vars))
	o.out.init(op)
	return o
}

// usesClassifier reports whether a measure reads the column behind the refs.
func usesClassifier(op *plan.Match) bool {
	read := make([]bool, len(op.Refs)+1)
	for _, e := range op.Measures {
		plan.MarkExpr(e, read)
	}
	return read[len(op.Refs)]
}

// tooComplex is the query error of saql.md 9.7.
func (o *match) tooComplex(row int32) *QueryError {
	return &QueryError{Span: o.node.Span, Message: "pattern too complex", Row: int(row)}
}

func (o *match) Push(_ int, b *vec.Batch, _ Emit) error {
	if o.auto == nil {
		return o.tooComplex(0)
	}
	o.in, o.refs.in = b, b
	o.groups, _ = o.keys.groups(b)
	if n := int(o.keys.n); n > len(o.parts) {
		o.parts = append(o.parts, make([]matchPart, n-len(o.parts))...)
	}
	o.judge(b)
	found := len(o.found)
	for i := range b.N {
		p := &o.parts[o.groups[i]]
		if len(p.tries) == 0 && !o.starts[i] {
			continue
		}
		if err := o.row(p, int32(i)); err != nil {
			if !o.g.opts.DropErrors {
				return err
			}
			var failed *QueryError
			if !errors.As(err, &failed) {
				return err
			}
			failed.Row = i
			o.g.rowFailed(failed, b)
		}
	}
	o.keep(found)
	o.rowNo += int64(b.N)
	return nil
}

// row lets the attempts of a partition take a row, and the row start one. A row with a
// query error changes nothing.
func (o *match) row(p *matchPart, row int32) error {
	t := o.in.Time[row]
	found, ends, links := len(o.found), len(o.ends), len(o.links)
	o.next, o.kept = o.next[:0], o.kept[:0]
	at := 0
	for _, x := range p.tries {
		threads := p.threads[at : at+int(x.n)*o.stride]
		at += len(threads)
		if x.t+o.op.Limit < t {
			o.expire(x, threads)
			continue
		}
		if err := o.advance(threads, row); err != nil {
			o.found, o.ends, o.links = o.found[:found], o.ends[:ends], o.links[:links]
			return err
		}
		o.settle(x, t)
	}
	old := len(o.kept)
	o.begin = len(o.next)
	o.gen++
	if o.starts[row] {
		for _, q := range o.auto.first {
			if cut, err := o.take(o.blank, q, row); err != nil {
				o.found, o.ends, o.links = o.found[:found], o.ends[:ends], o.links[:links]
				return err
			} else if cut {
				break
			}
		}
		o.settle(try{t: t, seq: o.rowNo + int64(row)}, t)
	}
	if len(o.kept) > old {
		o.dues.push(due{t, o.rowNo + int64(row), o.groups[row]})
	}
	o.tries += len(o.kept) - len(p.tries)
	o.lives += (len(o.next) - len(p.threads)) / o.stride
	p.set(o.kept, o.next)
	if p.batch != o.rowNo+1 {
		p.batch = o.rowNo + 1
		o.touched = append(o.touched, o.groups[row])
	}
	return nil
}

// set replaces the attempts. What has been long and is empty gives its memory back.
func (p *matchPart) set(tries []try, threads []int32) {
	p.tries, p.threads = append(p.tries[:0], tries...), append(p.threads[:0], threads...)
	if len(tries) == 0 && cap(p.threads) > 256 {
		p.tries, p.threads = nil, nil
	}
}

// advance lets the threads of an attempt take a row.
func (o *match) advance(threads []int32, row int32) error {
	o.begin = len(o.next)
	o.gen++
	for ; len(threads) > 0; threads = threads[o.stride:] {
		from := threads[:o.stride]
		if from[recPos] == complete {
			o.next = append(o.next, from...)
			return nil
		}
		for _, q := range o.auto.next[from[recPos]] {
			if cut, err := o.take(from, q, row); cut || err != nil {
				return err
			}
		}
	}
	return nil
}

// take adds the thread that follows from when the row is taken at position q, if it can
// be. cut tells that the pattern is complete there, so that no thread behind it counts.
func (o *match) take(from []int32, q, row int32) (cut bool, err error) {
	v := o.auto.vars[q]
	say := yes
	if v >= 0 {
		say = o.defs[v].says[row]
	}
	lone := len(o.sees[q]) == 0
	if say == no || lone && o.seen[q] == o.gen {
		return false, nil
	}
	at := len(o.next)
	if at >= maxMatchStates*o.stride {
		return false, o.tooComplex(row)
	}
	o.next = append(o.next, from...)
	to := o.next[at:]
	to[recPos] = q
	o.refs.update(to[recCells:], q, row)
	if say != yes {
		ok, err := o.ask(v, say, to[recCells:], row)
		if !ok || err != nil {
			o.next = o.next[:at]
			return false, err
		}
	}
	switch {
	case lone:
		o.seen[q] = o.gen
	case o.twins.add(o, at):
		o.next = o.next[:at]
		return false, nil
	}
	if o.names != nil {
		o.links = append(o.links, link{from[recLink], q})
		to[recLink] = int32(len(o.links) - 1)
	}
	if !o.auto.final[q] {
		return false, nil
	}
	if len(o.auto.next[q]) > 0 { // it may go on to a better one
		o.next = append(o.next, to...)
		to = o.next[at+o.stride:]
	}
	to[recPos] = complete
	return true, nil
}

// settle keeps an attempt, whose threads are the newest, or takes its match.
func (o *match) settle(x try, t vec.Time) {
	threads := o.next[o.begin:]
	if len(threads) == o.stride && threads[recPos] == complete {
		o.find(t, x.seq, threads)
		o.next = o.next[:o.begin]
		return
	}
	if x.n = int32(len(threads) / o.stride); x.n > 0 {
		o.kept = append(o.kept, x)
	}
}

// expire ends an attempt whose time is over.
func (o *match) expire(x try, threads []int32) {
	if last := threads[len(threads)-o.stride:]; last[recPos] == complete {
		o.find(x.t+o.op.Limit, x.seq, last)
	}
}

func (o *match) find(t vec.Time, seq int64, thread []int32) {
	o.found = append(o.found, finding{t, seq, len(o.ends)})
	o.ends = append(o.ends, thread...)
}

func (o *match) Advance(_ int, t vec.Time, emit Emit) error {
	for o.dues.len() > 0 && o.dues.first().t+o.op.Limit < t {
		x := o.dues.pop()
		if p := &o.parts[x.group]; len(p.tries) > 0 && p.tries[0].seq == x.seq {
			o.expireAll(p, t)
		}
	}
	if err := o.give(t, emit); err != nil {
		return err
	}
	o.tidy()
	return nil
}

// expireAll ends the attempts of a partition whose time is over at t.
func (o *match) expireAll(p *matchPart, t vec.Time) {
	n, at := 0, 0
	for ; n < len(p.tries) && p.tries[n].t+o.op.Limit < t; n++ {
		size := int(p.tries[n].n) * o.stride
		o.expire(p.tries[n], p.threads[at:at+size])
		at += size
	}
	o.tries -= n
	o.lives -= at / o.stride
	p.set(p.tries[n:], p.threads[at:])
}

// give passes on the matches whose T is before t, by T, then by first row (saql.md 9.6).
func (o *match) give(t vec.Time, emit Emit) error {
	slices.SortFunc(o.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.seq, b.seq))
	})
	n := 0
	for n < len(o.found) && o.found[n].t < t {
		n++
	}
	for from := 0; from < n; from += limits.results {
		if err := o.emit(o.found[from:min(from+limits.results, n)], emit); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	rest := o.found[n:]
	ends := o.next[:0] // scratch
	for i := range rest {
		at := rest[i].at
		rest[i].at = len(ends)
		ends = append(ends, o.ends[at:at+o.stride]...)
	}
	o.next = ends
	o.ends = append(o.ends[:0], ends...)
	o.found = append(o.found[:0], rest...)
	return nil
}
