package plan

import (
	"slices"

	"weir/internal/window"
)

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
	needs := p.needs()
	for _, n := range p.Nodes {
		if o, ok := n.Op.(*Order); ok {
			switch needs[n] {
			case noOrder:
				o.Concat = true
			case softOrder:
				o.Soft = true
			}
		}
	}
	sorted := map[*Node]*Node{}
	for _, n := range slices.Clone(p.Nodes) {
		need := n.need()
		if need == noOrder {
			continue
		}
		for port, in := range n.In {
			if isOrdered(in) {
				continue
			}
			order := sorted[in]
			if order == nil {
				order = &Node{Op: &Order{Soft: need == softOrder}, In: []*Node{in}, Span: n.Span, Step: n.Step}
				sorted[in] = order
				p.Nodes = append(p.Nodes, order)
			}
			if need == hardOrder {
				order.Op.(*Order).Soft = false
			}
			n.In[port] = order
		}
	}
}

// needs says of each node how much those above it want its rows in the order of time.
func (p *Plan) needs() map[*Node]need {
	readers := p.consumers()
	needs := map[*Node]need{}
	var visit func(n *Node) need
	visit = func(n *Node) need {
		if most, ok := needs[n]; ok {
			return most // unions of unions are reached in many ways
		}
		most := noOrder
		for _, r := range readers[n] {
			want := r.need()
			switch r.Op.(type) {
			case *Filter, *Project, *Apply, *Order: // a union shows the order of its branches
				want = visit(r)
			case *Lookup:
				if r.In[0] == n {
					want = visit(r)
				}
			}
			most = max(most, want)
		}
		needs[n] = most
		return most
	}
	for _, n := range p.Nodes {
		visit(n)
	}
	return needs
}

// need is how much a node itself wants its rows in the order of time.
func (n *Node) need() need {
	switch op := n.Op.(type) {
	case *Write:
		return softOrder
	case *Group:
		if op.seesOrder() {
			return hardOrder
		}
	case *Join, *History, *Match, *Top:
		return hardOrder
	}
	return noOrder
}

// isOrdered reports whether the rows of n come in the order of time.
func isOrdered(n *Node) bool {
	switch op := n.Op.(type) {
	case *Group, *Join, *History, *Match, *Top:
		return true
	case *Order:
		return !op.Concat
	case *Filter, *Project, *Lookup, *Apply:
		return isOrdered(n.In[0])
	}
	return false
}

// seesOrder reports whether the results depend on rows coming in the order of time.
func (g *Group) seesOrder() bool {
	return slices.ContainsFunc(g.Windows, func(w window.Spec) bool { return w.Kind != window.Tumbling && w.Kind != window.Hopping }) ||
		slices.ContainsFunc(g.Aggs, func(a GroupAgg) bool { return a.Fn.InOrder })
}
