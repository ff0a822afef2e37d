package plan

import "slices"

// Which columns of a node somebody reads. Operators keep and pass on only those.

// LiveColumns tells for each node which of its columns a consumer reads. The operators
// that pass rows through copy only those.
func LiveColumns(p *Plan) map[*Node][]bool {
	live := map[*Node][]bool{}
	for _, n := range p.Nodes {
		live[n] = make([]bool, len(n.Cols))
	}
	for i := len(p.Nodes) - 1; i >= 0; i-- {
		n := p.Nodes[i]
		for port, in := range n.In {
			markPort(n, port, live[n], live[in])
		}
	}
	return live
}

// markPort marks the columns of the input at a port that n reads, given the live columns of n.
func markPort(n *Node, port int, own, in []bool) {
	switch op := n.Op.(type) {
	case *Join:
		markOut(op.Out, port, withExpr(own, op.On), in)
		MarkCols(op.Keys[port], in)
		for _, u := range op.Until {
			if port == 0 {
				in[u.Col] = true
			}
		}
	case *Lookup:
		markOut(op.Out, port, withExpr(own, op.On), in)
		MarkCols(op.Keys[port], in)
		if op.Spatial != nil {
			in[[2]int{op.Spatial.Left, op.Spatial.Right}[port]] = true
		}
	default:
		MarkRead(n, own, in)
	}
}

// markOut marks the columns of an input that the live columns of a node come from.
func markOut(out []Out, port int, own, in []bool) {
	for i, o := range out {
		if o.Port == port && own[i] {
			in[o.Col] = true
		}
	}
}

// MarkCols marks columns.
func MarkCols(cols []int, in []bool) {
	for _, c := range cols {
		in[c] = true
	}
}

// withExpr is own with the columns that e reads.
func withExpr(own []bool, e *Expr) []bool {
	own = slices.Clone(own)
	MarkExpr(e, own)
	return own
}

// MarkRead marks the columns of an only input that n reads, given the live columns of n.
func MarkRead(n *Node, own, in []bool) {
	through := func() {
		for c := range in {
			if c < len(own) && own[c] {
				in[c] = true
			}
		}
	}
	switch op := n.Op.(type) {
	case *Stamp:
		through()
		MarkExpr(op.By, in)
		for _, e := range op.Over {
			MarkExpr(e, in)
		}
	case *Filter:
		through()
		MarkExpr(op.Pred, in)
	case *Project:
		for _, e := range op.Exprs {
			MarkExpr(e, in)
		}
	case *Order:
		through()
	case *Group:
		for _, c := range op.Keys {
			in[c] = true
		}
		for _, a := range op.Aggs {
			for _, c := range a.Args {
				in[c] = true
			}
		}
		for _, w := range op.Windows {
			for _, c := range w.Over {
				in[c] = true
			}
		}
	case *Top:
		through()
		MarkCols(op.By, in)
	case *Apply:
		markOut(op.Out, 0, own, in)
		MarkExpr(op.Arg, in)
	case *History:
		markOut(op.Out, 0, own, in)
		for _, c := range op.Calls {
			MarkCols(c.Args, in)
			MarkCols(c.Keys, in)
			MarkCols(c.Agg.Args, in)
			MarkExpr(c.When, in)
		}
	case *Match:
		MarkCols(op.Keys, in)
		for _, r := range op.Refs {
			in[r.Col] = true
		}
	case *Write:
		for c := range in {
			in[c] = true
		}
	}
}

// MarkExpr marks the columns that an expression reads.
func MarkExpr(e *Expr, in []bool) {
	if e == nil {
		return
	}
	if e.Op == OpCol {
		in[e.Col] = true
	}
	for _, a := range e.Args {
		MarkExpr(a, in)
	}
}

// KeptColumns tells for each port of a node that keeps rows which of their columns it keeps;
// nil for other nodes. live is the live columns of the node.
func KeptColumns(n *Node, live []bool) [][]bool {
	switch op := n.Op.(type) {
	case *Order:
		return [][]bool{live}
	case *Top:
		live = slices.Clone(live)
		MarkCols(op.By, live)
		return [][]bool{live}
	case *Join:
		kept := make([][]bool, 2)
		for port := range kept {
			kept[port] = make([]bool, len(n.In[port].Cols))
			markOut(op.Out, port, withExpr(live, op.On), kept[port])
			if port == 0 {
				for _, u := range op.Until {
					kept[port][u.Col] = true
				}
			}
		}
		return kept
	}
	return nil
}
