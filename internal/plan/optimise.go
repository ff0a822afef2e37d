package plan

import (
	"slices"
)

// optimise improves the plan and puts its nodes in order. The passes change no row.
func (p *Plan) optimise() {
	passes := []func(){
		p.mergeProjects,
		p.pushFilters,
		p.readColumns,
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

// readColumns drops projections that only pick columns in front of nodes that can pick
// them by themselves.
func (p *Plan) readColumns() {
	readers := p.consumers()
	for _, n := range slices.Clone(p.Nodes) {
		switch n.Op.(type) {
		case *Group, *Join, *Lookup, *Apply, *History, *Match:
		default:
			continue
		}
		for port, in := range n.In {
			pre, ok := in.Op.(*Project)
			if !ok || len(readers[in]) != 1 || p.isStep(in) || !picksColumns(pre) {
				continue
			}
			n.positions(port, func(col *int) { *col = pre.Exprs[*col].Col })
			done := map[*Expr]*Expr{} // what is shared stays shared
			n.inputExprs(func(e **Expr) {
				if *e != nil {
					*e = substitute(*e, pre.Exprs, done)
				}
			})
			outs := n.outs()
			for i, o := range outs {
				if o.Port == port {
					outs[i].Col = pre.Exprs[o.Col].Col
				}
			}
			p.remove(in)
		}
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
	case *Stamp, *Filter, *Top:
		return true
	case *Order:
		return len(n.In) == 1
	}
	return false
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

// handsOn reports whether e is a column as it is, or with absent turned into NULL.
func (e *Expr) handsOn() bool {
	for e.Op == OpNull {
		e = e.Args[0]
	}
	return e.Op == OpCol
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
