package plan

import (
	"slices"

	"weir/internal/vec"
)

// pushFilters moves conditions that read one side of a join below it, so that rows which
// they refuse are neither sorted nor kept. Only what cannot fail moves, and nothing moves
// past what can: no query error comes or goes.
func (p *Plan) pushFilters() {
	for {
		readers := p.consumers()
		moved := false
		for _, n := range slices.Clone(p.Nodes) {
			if f, ok := n.Op.(*Filter); ok && len(readers[n.In[0]]) == 1 && !p.isStep(n.In[0]) && safeBelow(n.In[0]) {
				rest, did := p.push(n.In[0], f.Pred, wherePorts)
				f.Pred = rest
				if rest == nil {
					p.remove(n)
				}
				moved = moved || did
			}
			did := false
			switch op := n.Op.(type) {
			case *Join:
				op.On, did = p.push(n, op.On, onPorts)
			case *Lookup:
				op.On, did = p.push(n, op.On, onPorts)
			}
			moved = moved || did
		}
		if !moved {
			return
		}
	}
}

// safeBelow reports whether conditions behind n may be tried before it: what n evaluates
// cannot fail.
func safeBelow(n *Node) bool {
	switch op := n.Op.(type) {
	case *Join:
		return op.On == nil || cannotFail(op.On)
	case *Lookup:
		return op.On == nil || cannotFail(op.On)
	case *Apply:
		return cannotFail(op.Arg) && op.Arg.Type.NotNull().Within(vec.KindsOf(op.Of))
	}
	return false
}

// wherePorts says whether a condition behind n over the columns of one input may move to
// that input: a left row that has no match and is not wanted is not missed.
func wherePorts(n *Node, port int) bool { return port == 0 || !outerJoin(n) }

// onPorts is the same for a condition of ON: a right row that it refuses matches nothing,
// but a left row must come out of an outer join.
func onPorts(n *Node, port int) bool { return port == 1 || !outerJoin(n) }

func outerJoin(n *Node) bool {
	switch op := n.Op.(type) {
	case *Join:
		return op.Outer
	case *Lookup:
		return op.Outer
	}
	return false
}

// push moves the conjuncts of a predicate over the columns of n below n, where may allows
// it, and gives what is left.
func (p *Plan) push(n *Node, pred *Expr, may func(n *Node, port int) bool) (rest *Expr, moved bool) {
	if pred == nil {
		return nil, false
	}
	var stay []*Expr
	list := conjunctsOf(pred, nil)
	for i, e := range list {
		if !cannotFail(e) {
			stay = append(stay, list[i:]...)
			break
		}
		port := portOf(n, e)
		if port < 0 || !may(n, port) {
			stay = append(stay, e)
			continue
		}
		below := e.replace(func(e *Expr) *Expr {
			if e.Op != OpCol {
				return e
			}
			col := n.outs()[e.Col].Col
			return &Expr{Op: OpCol, Col: col, Type: p.columnsOf(n.In[port])[col].Type, Span: e.Span}
		})
		p.filterBelow(n, port, below)
		moved = true
	}
	if !moved {
		return pred, false
	}
	return allOf(stay), true
}

// conjunctsOf are the conjuncts of a predicate.
func conjunctsOf(e *Expr, out []*Expr) []*Expr {
	if e.Op != OpAnd {
		return append(out, e)
	}
	for _, a := range e.Args {
		out = conjunctsOf(a, out)
	}
	return out
}

// portOf is the input whose columns, and no others, e reads behind n; -1 if there is none.
func portOf(n *Node, e *Expr) int {
	port := -1
	_, join := n.Op.(*Join)
	mixed := false
	walk(e, func(e *Expr) bool {
		switch {
		case e.Op == OpTime && join:
			mixed = true // T behind a join is another one
		case e.Op == OpCol:
			of := n.outs()[e.Col].Port
			mixed = mixed || of == Made || port >= 0 && port != of
			port = of
		}
		return true
	})
	if mixed {
		return -1
	}
	return port
}

// filterBelow keeps only the rows of an input of n for which pred is true.
func (p *Plan) filterBelow(n *Node, port int, pred *Expr) {
	readers := p.consumers()
	for {
		in := n.In[port]
		pr, ok := in.Op.(*Project)
		if !ok || len(readers[in]) != 1 || p.isStep(in) || !letsThrough(pr, pred) {
			break
		}
		pred = substitute(pred, pr.Exprs, map[*Expr]*Expr{})
		n, port = in, 0
	}
	in := n.In[port]
	f := &Node{Op: &Filter{Pred: pred}, In: []*Node{in}, Span: pred.Span, Step: n.Step}
	p.Nodes = append(p.Nodes, f)
	n.In[port] = f
}

// letsThrough reports whether a condition may be tried before a projection: it reads only
// columns that are there before it, and nothing in the projection can fail.
func letsThrough(pr *Project, pred *Expr) bool {
	ok := !slices.ContainsFunc(pr.Exprs, func(e *Expr) bool { return !cannotFail(e) })
	pred.columns(func(cols []int) {
		for _, c := range cols {
			ok = ok && pr.Exprs[c].handsOn()
		}
	})
	return ok
}
