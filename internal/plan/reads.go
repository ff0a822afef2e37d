package plan

// Which columns of its inputs a node reads, and by which of its fields.

// positions calls f with every place in n that holds the number of a column of input
// port, but for those in Out and in expressions.
func (n *Node) positions(port int, f func(col *int)) {
	each := func(cols []int) {
		for i := range cols {
			f(&cols[i])
		}
	}
	switch op := n.Op.(type) {
	case *Group:
		each(op.Keys)
		for _, w := range op.Windows {
			each(w.Over)
		}
		for _, a := range op.Aggs {
			each(a.Args)
		}
	case *Top:
		each(op.By)
	case *Join:
		each(op.Keys[port])
		for i := range op.Until {
			if port == 0 {
				f(&op.Until[i].Col)
			}
		}
	case *Lookup:
		each(op.Keys[port])
		switch s := op.Spatial; {
		case s == nil:
		case port == 0:
			f(&s.Left)
		default:
			f(&s.Right)
		}
	case *History:
		for i := range op.Calls {
			c := &op.Calls[i]
			each(c.Args)
			each(c.Keys)
			each(c.Agg.Args)
		}
	case *Match:
		each(op.Keys)
		for i := range op.Refs {
			f(&op.Refs[i].Col)
		}
	}
}

// inputExprs calls f with every place in n that holds an expression over the columns of
// its input.
func (n *Node) inputExprs(f func(e **Expr)) {
	switch op := n.Op.(type) {
	case *Stamp:
		f(&op.By)
		for i := range op.Over {
			f(&op.Over[i])
		}
	case *Filter:
		f(&op.Pred)
	case *Project:
		for i := range op.Exprs {
			f(&op.Exprs[i])
		}
	case *Apply:
		f(&op.Arg)
	case *History:
		for i := range op.Calls {
			f(&op.Calls[i].When)
		}
	}
}

// outs is the list of the columns that n hands on or makes, nil if it has none.
func (n *Node) outs() []Out {
	switch op := n.Op.(type) {
	case *Join:
		return op.Out
	case *Lookup:
		return op.Out
	case *Apply:
		return op.Out
	case *History:
		return op.Out
	}
	return nil
}

// on is the predicate of a join over its own columns, or nil.
func (n *Node) on() *Expr {
	switch op := n.Op.(type) {
	case *Join:
		return op.On
	case *Lookup:
		return op.On
	}
	return nil
}

// columns calls f with every column that e reads. A nil e reads none.
func (e *Expr) columns(f func(cols []int)) {
	if e == nil {
		return
	}
	if e.Op == OpCol {
		f([]int{e.Col})
	}
	for _, a := range e.Args {
		a.columns(f)
	}
}

// passedFields marks the fields of inputs that are only handed on to outputs: no
// expression, key or order looks at them. Where rows wait their texts are copied; that costs
// less than to look for ones that repeat, the more so when they do not.
func (p *Plan) passedFields() {
	seen := map[*Node][]bool{} // columns that somebody looks at
	for _, n := range p.Nodes {
		seen[n] = make([]bool, len(n.Cols))
	}
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		n := p.Nodes[i]
		for port, in := range n.In {
			n.look(port, seen[n], seen[in])
		}
		if src, ok := n.Op.(*Source); ok {
			for c := range p.Inputs[src.Input].Fields {
				p.Inputs[src.Input].Fields[c].Passed = !seen[n][c]
			}
		}
	}
}

// look marks the columns of an input that n or its readers look at, given those of n.
func (n *Node) look(port int, own, in []bool) {
	mark := func(cols []int) {
		for _, c := range cols {
			in[c] = true
		}
	}
	if m, ok := n.Op.(*Match); ok {
		m.look(own, in)
		return
	}
	n.positions(port, func(col *int) { in[*col] = true })
	switch op := n.Op.(type) {
	case *Project:
		for c, e := range op.Exprs {
			if own[c] || !e.handsOn() {
				e.columns(mark)
			}
		}
		return
	case *Group, *Write:
		return
	case *Join, *Lookup, *Apply, *History:
		n.inputExprs(func(e **Expr) { (*e).columns(mark) })
		n.on().columns(func(cols []int) {
			for _, c := range cols {
				own[c] = true
			}
		})
		_, lookup := op.(*Lookup)
		n.lookThrough(port, func(c int) bool { return own[c] || lookup && port == 1 }, in) // reference data waits
		return
	case *Stamp, *Filter:
		n.inputExprs(func(e **Expr) { (*e).columns(mark) })
	}
	for c := range own {
		if own[c] {
			in[c] = true
		}
	}
}

// look marks the columns of the input that the pattern looks at: the keys, what DEFINE reads,
// and what measures do more with than hand on.
func (m *Match) look(own, in []bool) {
	for _, c := range m.Keys {
		in[c] = true
	}
	ref := func(cols []int) {
		for _, c := range cols {
			if c < len(m.Refs) { // else it is Classifier()
				in[m.Refs[c].Col] = true
			}
		}
	}
	for _, v := range m.Vars {
		v.Define.columns(ref)
	}
	for i, e := range m.Measures {
		if own[i] || !e.handsOn() {
			e.columns(ref)
		}
	}
	for i, r := range m.Refs {
		if r.Of == MinOf || r.Of == MaxOf {
			ref([]int{i})
		}
	}
}

// lookThrough marks the columns of an input that n hands on where looked says so of n's.
func (n *Node) lookThrough(port int, looked func(c int) bool, in []bool) {
	for c, o := range n.outs() {
		if o.Port == port && looked(c) {
			in[o.Col] = true
		}
	}
}
