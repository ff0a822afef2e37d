package plan

import (
	"slices"

	"weir/internal/window"
)

// optimise improves the plan and puts its nodes in order. The passes change no row.
func (p *Plan) optimise() {
	passes := []func(){
		p.mergeProjects,
		p.groupReadsColumns,
		p.dropIdentities,
		p.orderRows,
		p.sortNodes,
		p.passColumns,
		p.eventTimes,
		p.passedFields,
		p.cutStages,
		p.nameStepColumns,
	}
	for _, pass := range passes {
		pass()
	}
}

// consumers are the nodes that read each node.
func (p *Plan) consumers() map[*Node][]*Node {
	out := map[*Node][]*Node{}
	for _, n := range p.Nodes {
		for _, in := range n.In {
			out[in] = append(out[in], n)
		}
	}
	return out
}

// remove takes a node out of the plan; its readers read its input instead.
func (p *Plan) remove(n *Node) {
	for _, c := range p.Nodes {
		for i, in := range c.In {
			if in == n {
				c.In[i] = n.In[0]
			}
		}
	}
	for i := range p.Steps {
		if p.Steps[i].Node == n {
			p.Steps[i].Node = n.In[0]
		}
	}
	p.Nodes = slices.DeleteFunc(p.Nodes, func(m *Node) bool { return m == n })
}

// mergeProjects makes one projection of two that follow each other in the same step, where
// one of them only picks columns and nobody else reads the first. Nodes of different steps
// stay apart, for taps. Merging two that compute could double expressions at every level.
func (p *Plan) mergeProjects() {
	readers := p.consumers()
	for _, n := range slices.Clone(p.Nodes) {
		outer, ok := n.Op.(*Project)
		if !ok {
			continue
		}
		for {
			in := n.In[0]
			inner, ok := in.Op.(*Project)
			if !ok || in.Step != n.Step || len(readers[in]) != 1 || p.isStep(in) || !picksOrNull(outer) && !picksOrNull(inner) {
				break
			}
			done := map[*Expr]*Expr{}
			for i, e := range outer.Exprs {
				outer.Exprs[i] = substitute(e, inner.Exprs, done)
			}
			p.remove(in)
			readers = p.consumers()
		}
	}
}

// substitute replaces the columns in e by expressions.
func substitute(e *Expr, by []*Expr, done map[*Expr]*Expr) *Expr {
	if r, ok := done[e]; ok {
		return r
	}
	r := e
	if e.Op == OpCol {
		r = by[e.Col]
	} else if len(e.Args) > 0 {
		c := *e
		c.Args = make([]*Expr, len(e.Args))
		for i, a := range e.Args {
			c.Args[i] = substitute(a, by, done)
		}
		r = &c
	}
	done[e] = r
	return r
}

// picksOrNull reports whether a projection only picks columns and makes absent fields NULL.
func picksOrNull(p *Project) bool {
	return !slices.ContainsFunc(p.Exprs, func(e *Expr) bool {
		return e.Op != OpCol && !(e.Op == OpNull && e.Args[0].Op == OpCol)
	})
}

// isStep reports whether n gives the rows of a step.
func (p *Plan) isStep(n *Node) bool {
	return slices.ContainsFunc(p.Steps, func(s StepInfo) bool { return s.Node == n })
}

// groupReadsColumns drops the projection in front of a group that only picks columns.
func (p *Plan) groupReadsColumns() {
	readers := p.consumers()
	for _, n := range slices.Clone(p.Nodes) {
		g, ok := n.Op.(*Group)
		if !ok {
			continue
		}
		in := n.In[0]
		pre, ok := in.Op.(*Project)
		if !ok || len(readers[in]) != 1 || p.isStep(in) || !picksColumns(pre) {
			continue
		}
		remap := func(cols []int) {
			for i, c := range cols {
				cols[i] = pre.Exprs[c].Col
			}
		}
		remap(g.Keys)
		for _, w := range g.Windows {
			remap(w.Over)
		}
		for _, a := range g.Aggs {
			remap(a.Args)
		}
		p.remove(in)
	}
}

func picksColumns(p *Project) bool {
	return !slices.ContainsFunc(p.Exprs, func(e *Expr) bool { return e.Op != OpCol })
}

// dropIdentities drops projections in front of an output that change nothing.
func (p *Plan) dropIdentities() {
	for _, n := range slices.Clone(p.Nodes) {
		if _, ok := n.Op.(*Write); !ok {
			continue
		}
		in := n.In[0]
		pr, ok := in.Op.(*Project)
		if !ok || !picksColumns(pr) || len(pr.Exprs) != len(p.columnsOf(in.In[0])) || len(p.consumers()[in]) != 1 || p.isStep(in) {
			continue
		}
		same := true
		for i, e := range pr.Exprs {
			same = same && e.Col == i
		}
		if same {
			p.remove(in)
		}
	}
}

// columnsOf is the columns of a node; many kinds of nodes pass on those of their input.
func (p *Plan) columnsOf(n *Node) []Col {
	for passesColumns(n) {
		n = n.In[0]
	}
	return n.Cols
}

func passesColumns(n *Node) bool {
	switch n.Op.(type) {
	case *Stamp, *Filter:
		return true
	case *Order:
		return len(n.In) == 1
	}
	return false
}

// need says how much the readers of a node want its rows in the order of time.
type need uint8

const (
	noOrder   need = iota
	softOrder      // only for the looks of an output
	hardOrder
)

// orderRows puts the sorts where they are needed and as late as possible: right in front
// of an output or of a group whose windows see the order (saql.md 4.3 step 4).
func (p *Plan) orderRows() {
	readers := p.consumers()
	var needOf func(n *Node) need
	needOf = func(n *Node) need {
		most := noOrder
		for _, r := range readers[n] {
			switch op := r.Op.(type) {
			case *Write:
				most = max(most, softOrder)
			case *Group:
				if op.seesOrder() {
					most = hardOrder
				}
			case *Filter, *Project:
				most = max(most, needOf(r))
			}
		}
		return most
	}
	for _, n := range p.Nodes {
		if o, ok := n.Op.(*Order); ok {
			switch needOf(n) {
			case noOrder:
				o.Concat = true
			case softOrder:
				o.Soft = true
			}
		}
	}
	sorted := map[*Node]*Node{}
	for _, n := range slices.Clone(p.Nodes) {
		soft := false
		switch op := n.Op.(type) {
		case *Write:
			soft = true
		case *Group:
			if !op.seesOrder() {
				continue
			}
		default:
			continue
		}
		in := n.In[0]
		if isOrdered(in) {
			continue
		}
		order := sorted[in]
		if order == nil {
			order = &Node{Op: &Order{Soft: soft}, In: []*Node{in}, Span: n.Span, Step: n.Step}
			sorted[in] = order
			p.Nodes = append(p.Nodes, order)
		}
		if !soft {
			order.Op.(*Order).Soft = false
		}
		n.In[0] = order
	}
}

// isOrdered reports whether the rows of n come in the order of time.
func isOrdered(n *Node) bool {
	switch op := n.Op.(type) {
	case *Group:
		return true
	case *Order:
		return !op.Concat
	case *Filter, *Project:
		return isOrdered(n.In[0])
	}
	return false
}

// seesOrder reports whether the results depend on rows coming in the order of time.
func (g *Group) seesOrder() bool {
	return slices.ContainsFunc(g.Windows, func(w window.Spec) bool { return w.Kind != window.Tumbling && w.Kind != window.Hopping }) ||
		slices.ContainsFunc(g.Aggs, func(a GroupAgg) bool { return a.Fn.InOrder })
}

// sortNodes puts every node behind those that it reads and numbers them.
func (p *Plan) sortNodes() {
	var sorted []*Node
	seen := map[*Node]bool{}
	var visit func(*Node)
	visit = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, in := range n.In {
			visit(in)
		}
		n.ID = len(sorted)
		sorted = append(sorted, n)
	}
	for _, o := range p.Outputs {
		visit(o.Node)
	}
	p.Nodes = sorted
}

// passColumns gives nodes that pass rows on the columns of their input.
func (p *Plan) passColumns() {
	for _, n := range p.Nodes {
		if passesColumns(n) {
			n.Cols = n.In[0].Cols
		}
	}
}

// passedFields marks the fields of inputs that are only handed on to outputs: no
// expression, key or order looks at them.
func (p *Plan) passedFields() {
	seen := map[*Node][]bool{} // columns that somebody looks at
	for _, n := range p.Nodes {
		seen[n] = make([]bool, len(n.Cols))
	}
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		n := p.Nodes[i]
		for _, in := range n.In {
			n.look(seen[n], seen[in])
		}
		if src, ok := n.Op.(*Source); ok {
			for c := range p.Inputs[src.Input].Fields {
				p.Inputs[src.Input].Fields[c].Passed = !seen[n][c]
			}
		}
	}
}

// look marks the columns of an input that n or its readers look at, given those of n.
func (n *Node) look(own, in []bool) {
	mark := func(cols []int) {
		for _, c := range cols {
			in[c] = true
		}
	}
	switch op := n.Op.(type) {
	case *Project:
		for c, e := range op.Exprs {
			if own[c] || !e.handsOn() {
				e.columns(mark)
			}
		}
		return
	case *Stamp:
		op.By.columns(mark)
		for _, e := range op.Over {
			e.columns(mark)
		}
	case *Filter:
		op.Pred.columns(mark)
	case *Group:
		mark(op.Keys)
		for _, a := range op.Aggs {
			mark(a.Args)
		}
		for _, w := range op.Windows {
			mark(w.Over)
		}
		return
	case *Order:
		if !op.Concat && !op.Soft {
			for c := range in {
				in[c] = true // rows wait, and codes wait at less cost than texts
			}
		}
	case *Write:
		return
	}
	for c := range own {
		if own[c] {
			in[c] = true
		}
	}
}

// handsOn reports whether e is a column as it is, or with absent turned into NULL.
func (e *Expr) handsOn() bool {
	for e.Op == OpNull {
		e = e.Args[0]
	}
	return e.Op == OpCol
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

// nameStepColumns notes which columns of a step's node belong to the step.
func (p *Plan) nameStepColumns() {
	p.Steps = slices.DeleteFunc(p.Steps, func(s StepInfo) bool { return s.Node.ID >= len(p.Nodes) || p.Nodes[s.Node.ID] != s.Node })
	for i := range p.Steps {
		s := &p.Steps[i]
		for c, col := range s.Node.Cols {
			if col.Name != "" {
				s.Cols = append(s.Cols, c)
			}
		}
	}
}
