package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// pairs is the pairs of a left and a right row that a join or a look-up has found and not
// looked at yet, with T of the result. The right row -1 stands for the result that the left
// row of an outer join has if it finds no match: it stands behind all pairs of that row.
type pairs struct {
	g     *Graph
	outs  []plan.Out
	live  []bool // columns of the result
	outer bool
	on    truth  // nil: every pair matches
	reads []bool // columns of the result that on reads

	cols [2][]vec.Vec // the columns of both sides
	// waits tells of the left rows of an outer join which have found no match so far.
	waits []bool
	// absent are the columns of the result that events may lack: where there is no right
	// row they are absent, so that a column beside r.* can have their name (saql.md 6.9).
	absent []bool

	time  []vec.Time
	left  []int32
	right []int32

	f      frame
	tried  vec.Batch // the pairs as rows, for on
	lefts  []int32   // the pairs that on looks at, if not all
	rights []int32
	times  []vec.Time
	out    vec.Batch
	nulls  []int32 // scratch
}

func (p *pairs) init(g *Graph, right *plan.Node, outs []plan.Out, on *plan.Expr, outer bool, live []bool) {
	p.g, p.outs, p.outer, p.live = g, outs, outer, live
	p.absent = make([]bool, len(outs))
	for c, out := range outs {
		p.absent[c] = out.Port == 1 && right.Cols[out.Col].Type.Has(vec.Missing)
	}
	p.out.Cols = make([]vec.Vec, len(outs))
	if on == nil {
		return
	}
	p.on = g.compiler().truth(on)
	p.reads = make([]bool, len(outs))
	plan.MarkExpr(on, p.reads)
	p.tried.Cols = make([]vec.Vec, len(outs))
}

// labels are the names of the columns of the pairs that are tried.
func (p *pairs) labels() []string {
	names := make([]string, len(p.outs))
	var sides [2]string
	switch op := p.g.at.node.Op.(type) {
	case *plan.Join:
		sides = op.Sides
	case *plan.Lookup:
		sides = op.Sides
	}
	for c, reads := range p.reads {
		if !reads {
			continue
		}
		port := p.outs[c].Port
		name := p.g.label(p.g.at.node.In[port], p.outs[c].Col)
		if slices.Contains(names[:c], name) && sides[port] != "" {
			name = sides[port] + "." + name
		}
		names[c] = name
	}
	return names
}

func (p *pairs) len() int { return len(p.left) }

func (p *pairs) add(t vec.Time, left, right int32) {
	p.time = append(p.time, t)
	p.left = append(p.left, left)
	p.right = append(p.right, right)
}

// addLefts adds the pairs of a right row with some left rows, which are numbered from base.
func (p *pairs) addLefts(t vec.Time, lefts []uint32, base uint32, right int32) {
	for _, l := range lefts {
		p.time = append(p.time, t)
		p.left = append(p.left, int32(l-base))
		p.right = append(p.right, right)
	}
}

// addRights adds the pairs of a left row with some right rows, which are numbered from base.
func (p *pairs) addRights(t vec.Time, left int32, rights []uint32, base uint32) {
	for _, r := range rights {
		p.time = append(p.time, t)
		p.left = append(p.left, left)
		p.right = append(p.right, int32(r-base))
	}
}

func (p *pairs) clear() {
	p.time, p.left, p.right = p.time[:0], p.left[:0], p.right[:0]
}

// result gives the rows of the pairs that match. It is valid until the pairs
// change; the caller clears them.
func (p *pairs) result() (*vec.Batch, error) {
	if p.on != nil || p.outer {
		if err := p.match(); err != nil {
			return nil, err
		}
	}
	p.out.N, p.out.Time = len(p.left), p.time
	for c, live := range p.live {
		if live {
			p.column(&p.out.Cols[c], c, p.left, p.right)
		}
	}
	return &p.out, nil
}

// match keeps the pairs that match, and the left rows that have found none.
func (p *pairs) match() error {
	var matches []fn.Truth
	if p.on != nil {
		var err error
		if matches, err = p.try(); err != nil {
			return err
		}
	}
	n, tried := 0, 0
	for i, r := range p.right {
		l := p.left[i]
		switch {
		case r < 0:
			if !p.waits[l] {
				continue
			}
		case matches != nil:
			tried++
			if matches[tried-1] != fn.True {
				continue
			}
		}
		if p.outer {
			p.waits[l] = false
		}
		p.time[n], p.left[n], p.right[n] = p.time[i], l, r
		n++
	}
	p.time, p.left, p.right = p.time[:n], p.left[:n], p.right[:n]
	return nil
}

// try evaluates on for the pairs with a right row.
func (p *pairs) try() ([]fn.Truth, error) {
	lefts, rights, times := p.left, p.right, p.time
	if p.outer {
		p.lefts, p.rights, p.times = p.lefts[:0], p.rights[:0], p.times[:0]
		for i, r := range p.right {
			if r >= 0 {
				p.lefts, p.rights, p.times = append(p.lefts, p.left[i]), append(p.rights, r), append(p.times, p.time[i])
			}
		}
		lefts, rights, times = p.lefts, p.rights, p.times
	}
	p.tried.N, p.tried.Time = len(lefts), times
	for c, reads := range p.reads {
		if reads {
			p.column(&p.tried.Cols[c], c, lefts, rights)
		}
	}
	p.f.start(&p.tried)
	matches := p.on.test(&p.f)
	if err := p.g.queryErrorsOf(&p.f, p.labels); err != nil {
		return nil, err
	}
	for i, bad := range p.f.bad {
		if bad {
			matches[i] = fn.Unknown
		}
	}
	return matches, nil
}

// column sets out to column c of the pairs.
func (p *pairs) column(out *vec.Vec, c int, lefts, rights []int32) {
	from := p.outs[c]
	if from.Port == 0 {
		out.Gather(&p.cols[0][from.Col], lefts)
		return
	}
	none := vec.Null
	if p.absent[c] {
		none = vec.Missing
	}
	p.gatherRight(out, &p.cols[1][from.Col], rights, none)
}

// gatherRight sets out to the rows of src at the positions sel; -1 gives none, which is NULL
// or absent.
func (p *pairs) gatherRight(out, src *vec.Vec, sel []int32, none vec.Kind) {
	p.nulls = p.nulls[:0]
	if p.outer {
		for i, r := range sel {
			if r < 0 {
				p.nulls = append(p.nulls, int32(i))
			}
		}
	}
	switch len(p.nulls) {
	case 0:
		out.Gather(src, sel)
		return
	case len(sel):
		out.Fixed(none, len(sel))
		return
	}
	for _, i := range p.nulls {
		sel[i] = 0
	}
	out.Gather(src, sel)
	for _, i := range p.nulls {
		sel[i] = -1
		out.SetNull(int(i))
		out.Tag[i] = none
	}
}
