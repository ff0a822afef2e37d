package plan

import (
	"slices"

	"weir/internal/vec"
)

// eventTimes makes CAST(f AS datetime), where f is the field of TIMESTAMP BY, read the time
// that the decoder has parsed already. Behind the Stamp every row has that time, for rows
// without one are gone, and both are the same conversion (saql.md 3.8, 4.2).
func (p *Plan) eventTimes() {
	for _, n := range p.Nodes {
		if len(n.In) != 1 {
			continue
		}
		from := n.In[0]
		for passesColumns(from) {
			if s, ok := from.Op.(*Stamp); ok {
				p.eventTime(n, from, s)
				break
			}
			from = from.In[0]
		}
	}
}

// eventTime rewrites the expressions of n, which reads the columns of a Stamp.
func (p *Plan) eventTime(n, stamp *Node, s *Stamp) {
	src, ok := stamp.In[0].Op.(*Source)
	if !ok || s.By == nil || s.By.Op != OpCol {
		return
	}
	fields := p.Inputs[src.Input].Fields
	by := fields[s.By.Col]
	if by.Want != vec.AsDatetime {
		return
	}
	rewrite := func(e *Expr) *Expr {
		return e.replace(func(e *Expr) *Expr {
			if e.Op != OpCast && e.Op != OpTryCast || e.To != vec.Datetime {
				return e
			}
			x := e.Args[0]
			for x.Op == OpNull {
				x = x.Args[0]
			}
			if x.Op != OpCol || fields[x.Col].Want != vec.AsValue || !slices.Equal(fields[x.Col].Path, by.Path) {
				return e
			}
			return &Expr{Op: OpCol, Col: s.By.Col, Type: e.Type, Span: e.Span}
		})
	}
	switch op := n.Op.(type) {
	case *Filter:
		op.Pred = rewrite(op.Pred)
	case *Project:
		for i := range op.Exprs {
			op.Exprs[i] = rewrite(op.Exprs[i])
		}
	}
}

// replace gives e with f applied to it and, where that changes nothing, to its arguments.
// Shared parts stay shared where they do not change.
func (e *Expr) replace(f func(e *Expr) *Expr) *Expr {
	if r := f(e); r != e {
		return r
	}
	for i, a := range e.Args {
		if r := a.replace(f); r != a {
			changed := *e
			changed.Args = slices.Clone(e.Args)
			changed.Args[i] = r
			for k := i + 1; k < len(e.Args); k++ {
				changed.Args[k] = e.Args[k].replace(f)
			}
			return &changed
		}
	}
	return e
}
