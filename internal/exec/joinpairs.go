package exec

import (
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// joinPairs is the pairs of a join that have been found and not looked at yet: a left and a
// right row each, and T of the result. The right row -1 stands for the result that the left
// row has if it finds no match.
type joinPairs struct {
	time  []vec.Time
	left  []int32
	right []int32

	on     truth  // nil: every pair matches
	onCols []bool // columns of the node that on reads
	f      frame
	tried  vec.Batch // the pairs as rows, for on
	lefts  []int32   // the pairs that on looks at, if not all
	rights []int32
	times  []vec.Time
	out    vec.Batch
	nulls  []int32 // scratch
}

func (p *joinPairs) init(op *plan.Join, cols int) {
	p.out.Cols = make([]vec.Vec, cols)
	if op.On == nil {
		return
	}
	p.on = newCompiler().truth(op.On)
	p.onCols = make([]bool, cols)
	markExpr(op.On, p.onCols)
	p.tried.Cols = make([]vec.Vec, cols)
}

func (p *joinPairs) add(t vec.Time, left, right int32) {
	p.time = append(p.time, t)
	p.left = append(p.left, left)
	p.right = append(p.right, right)
}

// addLefts adds the pairs of a right row with some left rows.
func (p *joinPairs) addLefts(t vec.Time, lefts []uint32, base uint32, right int32) {
	for _, l := range lefts {
		p.time = append(p.time, t)
		p.left = append(p.left, int32(l-base))
		p.right = append(p.right, right)
	}
}

// addRights adds the pairs of a left row with some right rows.
func (p *joinPairs) addRights(t vec.Time, left int32, rights []uint32, base uint32) {
	for _, r := range rights {
		p.time = append(p.time, t)
		p.left = append(p.left, left)
		p.right = append(p.right, int32(r-base))
	}
}

func (p *joinPairs) clear() {
	p.time, p.left, p.right = p.time[:0], p.left[:0], p.right[:0]
}

func (o *join) flushFull(emit Emit) error {
	if len(o.pairs.left) < limits.results {
		return nil
	}
	return o.flush(emit)
}

// flush looks at the pairs and passes the results on.
func (o *join) flush(emit Emit) error {
	p := &o.pairs
	if len(p.left) == 0 {
		return nil
	}
	if p.on != nil || o.op.Outer {
		if err := o.match(); err != nil {
			return err
		}
	}
	p.out.N, p.out.Time = len(p.left), p.time
	for c, live := range o.live {
		if live {
			o.column(&p.out.Cols[c], o.op.Out[c], p.left, p.right)
		}
	}
	defer p.clear()
	if p.out.N == 0 {
		return nil
	}
	return emit(&p.out)
}

// match keeps the pairs that match, and the left rows that have found none.
func (o *join) match() error {
	p := &o.pairs
	var matches []fn.Truth
	if p.on != nil {
		var err error
		if matches, err = o.try(); err != nil {
			return err
		}
	}
	waits := o.sides[0].waits
	n, tried := 0, 0
	for i, r := range p.right {
		l := p.left[i]
		if r < 0 {
			if !waits[l] {
				continue
			}
			waits[l] = false
		} else {
			if matches != nil {
				tried++
				if matches[tried-1] != fn.True {
					continue
				}
			}
			if waits != nil {
				waits[l] = false
			}
		}
		p.time[n], p.left[n], p.right[n] = p.time[i], l, r
		n++
	}
	p.time, p.left, p.right = p.time[:n], p.left[:n], p.right[:n]
	return nil
}

// try evaluates On for the pairs with a right row.
func (o *join) try() ([]fn.Truth, error) {
	p := &o.pairs
	lefts, rights, times := p.left, p.right, p.time
	if o.op.Outer {
		p.lefts, p.rights, p.times = p.lefts[:0], p.rights[:0], p.times[:0]
		for i, r := range p.right {
			if r >= 0 {
				p.lefts, p.rights, p.times = append(p.lefts, p.left[i]), append(p.rights, r), append(p.times, p.time[i])
			}
		}
		lefts, rights, times = p.lefts, p.rights, p.times
	}
	p.tried.N, p.tried.Time = len(lefts), times
	for c, reads := range p.onCols {
		if reads {
			o.column(&p.tried.Cols[c], o.op.Out[c], lefts, rights)
		}
	}
	p.f.start(&p.tried)
	matches := p.on.test(&p.f)
	if err := o.g.queryErrors(&p.f); err != nil {
		return nil, err
	}
	for i, bad := range p.f.bad {
		if bad {
			matches[i] = fn.Unknown
		}
	}
	return matches, nil
}

// column sets out to a column of the pairs.
func (o *join) column(out *vec.Vec, from plan.Out, lefts, rights []int32) {
	if from.Port == 0 {
		out.Gather(&o.sides[0].cols[from.Col], lefts)
		return
	}
	gatherOuter(out, &o.sides[1].cols[from.Col], rights, &o.pairs.nulls)
}

// gatherOuter sets out to the rows of src at the positions sel; -1 gives NULL. It uses the
// memory of nulls.
func gatherOuter(out, src *vec.Vec, sel []int32, nulls *[]int32) {
	missing := (*nulls)[:0]
	for i, r := range sel {
		if r < 0 {
			missing = append(missing, int32(i))
		}
	}
	*nulls = missing
	switch {
	case len(missing) == 0:
		out.Gather(src, sel)
		return
	case len(missing) == len(sel):
		out.Reset()
		out.Fixed(vec.Null, len(sel))
		return
	}
	for _, i := range missing {
		sel[i] = 0
	}
	out.Gather(src, sel)
	for _, i := range missing {
		sel[i] = -1
		out.SetNull(int(i))
	}
}
