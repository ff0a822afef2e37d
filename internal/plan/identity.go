package plan

import (
	"fmt"
	"strings"
)

// Identities name what the nodes of a plan compute, in order to find the state of a node
// again after the query has changed.
type Identities struct {
	// Node names each node by what it computes with all that it reads: nodes of the same name
	// have the same state for the same events. Beside NodeID it counts the scripts of user
	// functions, the compatibility level, and whether an Order makes rows wait.
	Node []string
	// Kept names the columns of the rows that a node keeps, per port; nil for nodes that keep
	// none. Another plan can take over these rows if it needs no other columns.
	Kept [][][]string
}

// Identities names the nodes of the plan.
func (p *Plan) Identities() *Identities {
	ids := newNodeIDs(p)
	live := LiveColumns(p)
	out := &Identities{Node: make([]string, len(p.Nodes)), Kept: make([][][]string, len(p.Nodes))}
	scripts := make([]string, len(p.Nodes))
	for i, n := range p.Nodes {
		parts := n.scripts()
		for _, in := range n.In {
			parts = append(parts, scripts[in.ID])
		}
		if text := strings.Join(parts, " "); strings.TrimSpace(text) != "" {
			scripts[i] = hashOf(text)
		}
		waits := ""
		if op, ok := n.Op.(*Order); ok && !op.Concat && !op.Soft {
			waits = "waits"
		}
		out.Node[i] = hashOf(ids.node[n], scripts[i], fmt.Sprint(p.Level), waits)
		out.Kept[i] = ids.kept(n, live[n])
	}
	return out
}

// kept names the columns of the rows that a node keeps, per port.
func (ids *nodeIDs) kept(n *Node, live []bool) [][]string {
	var out [][]string
	for port, cols := range KeptColumns(n, live) {
		names := ids.cols[n.In[port]]
		if _, ok := n.Op.(*Join); !ok {
			names = ids.cols[n]
		}
		list := []string{}
		for c, kept := range cols {
			if kept {
				list = append(list, names[c])
			}
		}
		out = append(out, list)
	}
	return out
}

// scripts are the user functions that a node itself calls.
func (n *Node) scripts() []string {
	var list []string
	add := func(source string) {
		if source != "" {
			list = append(list, source)
		}
	}
	visit := func(e *Expr) { e.sources(add) }
	n.inputExprs(func(e **Expr) { visit(*e) })
	visit(n.on())
	switch op := n.Op.(type) {
	case *Group:
		for _, a := range op.Aggs {
			add(a.Fn.Source)
		}
	case *History:
		for i := range op.Calls {
			if f := op.Calls[i].Agg.Fn; f != nil {
				add(f.Source)
			}
		}
	case *Match:
		for _, v := range op.Vars {
			visit(v.Define)
		}
		for _, e := range op.Measures {
			visit(e)
		}
	}
	return list
}

// sources calls f with the source of each function in e.
func (e *Expr) sources(f func(source string)) {
	if e == nil {
		return
	}
	if e.Fn != nil {
		f(e.Fn.Source)
	}
	for _, a := range e.Args {
		a.sources(f)
	}
}
