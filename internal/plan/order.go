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
			case *Join, *History, *Match, *Top:
				most = hardOrder
			case *Filter, *Project, *Apply, *Order: // a union shows the order of its branches
				most = max(most, needOf(r))
			case *Lookup:
				if r.In[0] == n {
					most = max(most, needOf(r))
				}
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
		case *Join, *History, *Match, *Top:
		default:
			continue
		}
		for port, in := range n.In {
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
			n.In[port] = order
		}
	}
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
