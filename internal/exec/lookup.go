package exec

import (
	"fmt"
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// lookup pairs rows with reference data (plan.Lookup; saql.md 6.6). It holds an index of each
// version that rows have asked for, until the watermark says that no row will any more.
type lookup struct {
	g        *Graph
	op       *plan.Lookup
	right    *plan.Node
	inputs   []int // of reference data that the right side reads
	versions []refTable
	stale    bool // there are other versions than these
	mark     vec.Time
	pairs    pairs
	first    []int32
	found    []int32 // scratch: what a finder has found
	numbers  numbers
	part     vec.Batch // rows that one version is in force for
}

// refTable is the right side of a look-up as it is from a time on.
type refTable struct {
	effective vec.Time
	of        []*refVersion // what is in force then of each input
	index     *refIndex     // nil: no row has asked for it
}

// finder finds the rows of reference data that may satisfy a plan.Spatial: an index of
// geographies.
type finder interface {
	// find appends to rows those that may match the geography in row i of v, in ascending
	// order.
	find(v *vec.Vec, i int, rows []int32) []int32
}

func newLookup(g *Graph, n *plan.Node, op *plan.Lookup, live []bool) *lookup {
	o := &lookup{g: g, op: op, right: n.In[1], inputs: inputsOf(g.plan, n.In[1]), stale: true, mark: vec.MinTime}
	o.pairs.init(g, n.In[1], op.Out, op.On, op.Outer, live)
	return o
}

// refresh takes note of the versions that there are now. An index stays as long as it is of
// the same data.
func (o *lookup) refresh() {
	if !o.stale {
		return
	}
	o.stale = false
	var times []vec.Time
	for _, i := range o.inputs {
		for _, v := range o.g.references[i].versions {
			times = append(times, v.effective)
		}
	}
	slices.SortFunc(times, compareTimes)
	was := slices.DeleteFunc(o.versions, func(v refTable) bool { return v.index == nil })
	o.versions = nil
	for _, t := range slices.Compact(times) {
		v := refTable{effective: t}
		for _, i := range o.inputs {
			v.of = append(v.of, o.g.references[i].at(t))
		}
		for _, old := range was {
			if slices.Equal(old.of, v.of) {
				v.index = old.index
			}
		}
		o.versions = append(o.versions, v)
	}
}

// Advance forgets the versions that are in force for no row to come.
func (o *lookup) Advance(_ int, t vec.Time, _ Emit) error {
	o.mark = t
	o.refresh()
	n := 0
	for n+1 < len(o.versions) && o.versions[n+1].effective <= t {
		n++
	}
	if n > 0 {
		o.versions = slices.Delete(o.versions, 0, n)
		o.g.forgetReferences()
	}
	return nil
}

// version is the place of the version that is in force at t, and the time of the next one.
func (o *lookup) version(t vec.Time) (i int, next vec.Time) {
	i, found := slices.BinarySearchFunc(o.versions, t, func(v refTable, t vec.Time) int { return compareTimes(v.effective, t) })
	if !found {
		i = max(i-1, 0)
	}
	if i+1 < len(o.versions) {
		return i, o.versions[i+1].effective
	}
	return i, vec.MaxTime
}

// index is the index of a version, computed when it is asked for.
func (o *lookup) index(i int) (*refIndex, error) {
	v := &o.versions[i]
	o.g.uses++
	for _, of := range v.of {
		if of != nil {
			of.used = o.g.uses
		}
	}
	if v.index != nil {
		return v.index, nil
	}
	rows, err := o.g.referenceRows(o.right, v.effective)
	if err != nil {
		return nil, err
	}
	v.index = newRefIndex(rows, o.op.Keys[1])
	if s := o.op.Spatial; s != nil && len(o.op.Keys[1]) == 0 {
		v.index.finder = newFinder(o.g, s, &rows.Cols[s.Right])
	}
	return v.index, nil
}

// forget drops what was made of a version of an input whose rows are dropped.
func (o *lookup) forget(of *refVersion) {
	for i := range o.versions {
		if slices.Contains(o.versions[i].of, of) {
			o.versions[i].index = nil
		}
	}
}

func (o *lookup) Push(_ int, b *vec.Batch, emit Emit) error {
	o.refresh()
	if len(o.versions) == 0 {
		return fmt.Errorf("exec: no rows for reference data %q", o.g.plan.Inputs[o.inputs[0]].Name)
	}
	for from := 0; from < b.N; {
		i, next := o.version(b.Time[from])
		to := b.N
		if len(o.versions) > 1 {
			for to = from + 1; to < b.N && b.Time[to] < next && (i == 0 || b.Time[to] >= o.versions[i].effective); {
				to++
			}
		}
		index, err := o.index(i)
		if err != nil {
			return err
		}
		if err := o.lookUp(index, o.rows(b, from, to), emit); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// rows is the rows from to to of b.
func (o *lookup) rows(b *vec.Batch, from, to int) *vec.Batch {
	if from == 0 && to == b.N {
		return b
	}
	if len(o.part.Cols) < len(b.Cols) {
		o.part.Cols = make([]vec.Vec, len(b.Cols))
	}
	o.part.N, o.part.Time, o.part.Seq = to-from, b.Time[from:to], nil
	if b.Seq != nil {
		o.part.Seq = b.Seq[from:to]
	}
	for c := range b.Cols {
		if b.Cols[c].N == b.N {
			slice(&o.part.Cols[c], &b.Cols[c], from, to)
		}
	}
	return &o.part
}

// lookUp pairs rows with those of a version.
func (o *lookup) lookUp(x *refIndex, b *vec.Batch, emit Emit) error {
	p := &o.pairs
	p.cols = [2][]vec.Vec{b.Cols, x.rows.Cols}
	if o.op.Outer {
		p.waits = resize(p.waits, b.N)
		for i := range p.waits {
			p.waits[i] = true
		}
	}
	keyed := len(x.keys) > 0
	if keyed {
		o.first = resizeInts(o.first, b.N)
		x.find(b, o.op.Keys[0], o.first)
	}
	full := max(limits.results, b.N)
	for i := range b.N {
		var err error
		switch {
		case keyed:
			err = o.chain(x, b, i, full, emit)
		case x.finder != nil:
			o.found = x.finder.find(&b.Cols[o.op.Spatial.Left], i, o.found[:0])
			for _, r := range o.found {
				p.add(b.Time[i], int32(i), r)
			}
		default:
			err = o.scan(x, b, i, full, emit)
		}
		if err != nil {
			return err
		}
		if o.op.Outer {
			p.add(b.Time[i], int32(i), -1)
		}
		if p.len() >= full {
			if err := o.flush(b, emit); err != nil {
				return err
			}
		}
	}
	return o.flush(b, emit)
}

// chain adds the pairs of row i with the rows of its key.
func (o *lookup) chain(x *refIndex, b *vec.Batch, i, full int, emit Emit) error {
	for r := o.first[i]; r >= 0; r = x.next[r] {
		o.pairs.add(b.Time[i], int32(i), r)
		if x.next == nil {
			return nil
		}
		if o.pairs.len() >= full {
			if err := o.flush(b, emit); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan adds the pairs of row i with all rows.
func (o *lookup) scan(x *refIndex, b *vec.Batch, i, full int, emit Emit) error {
	for r := range x.rows.N {
		o.pairs.add(b.Time[i], int32(i), int32(r))
		if o.pairs.len() >= full {
			if err := o.flush(b, emit); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *lookup) flush(b *vec.Batch, emit Emit) error {
	p := &o.pairs
	if p.len() == 0 {
		return nil
	}
	out, err := p.result()
	if err == nil && out.N > 0 {
		out.Seq = o.numbers.of(b.Seq, p.left)
		err = emit(out)
	}
	p.clear()
	return err
}

func (o *lookup) Freeze(m *state.Memory) saved { return eager(o.numbers.snapshot) }

func (o *lookup) Restore(r *state.Reader) error { return o.numbers.restore(r) }

// numbers gives the rows that an operator makes of numbered rows numbers of their own, in the
// same order: those of each leaf and partition (see concat) are counted anew, so that several
// rows made of one do not share its number.
type numbers struct {
	next []int64 // per leaf and partition
	out  []int64
}

// of numbers rows made of the rows from; nil if those have no numbers. It is valid until the
// next call.
func (n *numbers) of(seq []int64, from []int32) []int64 {
	if seq == nil {
		return nil
	}
	n.out = n.out[:0]
	for _, i := range from {
		leaf := seq[i] >> rowBits
		for int64(len(n.next)) <= leaf {
			n.next = append(n.next, 0)
		}
		n.out = append(n.out, leaf<<rowBits|n.next[leaf]&(1<<rowBits-1))
		n.next[leaf]++
	}
	return n.out
}

func (n *numbers) snapshot(w *state.Writer) {
	w.Uint(uint64(len(n.next)))
	for _, x := range n.next {
		w.Int(x)
	}
}

func (n *numbers) restore(r *state.Reader) error {
	n.next = n.next[:0]
	for range r.Count() {
		x := r.Int()
		if x < 0 {
			r.Fail()
		}
		n.next = append(n.next, x)
	}
	return r.Err()
}
