package saql

// Walk calls visit for e and, where visit gives true, for the expressions inside of e, in
// the order of the text. A nil expression is passed over.
func Walk(e Expr, visit func(Expr) bool) {
	if e == nil || !visit(e) {
		return
	}
	switch e := e.(type) {
	case *FieldExpr:
		Walk(e.X, visit)
	case *Call:
		walkList(e.Args, visit)
		walkOver(e.Over, visit)
	case *Case:
		Walk(e.Operand, visit)
		for _, w := range e.Whens {
			Walk(w.Cond, visit)
			Walk(w.Then, visit)
		}
		Walk(e.Else, visit)
	case *Cast:
		Walk(e.X, visit)
	case *Unary:
		Walk(e.X, visit)
	case *Binary:
		Walk(e.L, visit)
		Walk(e.R, visit)
	case *Between:
		Walk(e.X, visit)
		Walk(e.Lo, visit)
		Walk(e.Hi, visit)
	case *In:
		Walk(e.X, visit)
		walkList(e.List, visit)
	case *Like:
		Walk(e.X, visit)
		Walk(e.Pattern, visit)
		if e.Escape != nil {
			Walk(e.Escape, visit)
		}
	case *IsNull:
		Walk(e.X, visit)
	case *Paren:
		Walk(e.X, visit)
	case *Literal, *Path, *Bad:
	default:
		panic("saql: unknown expression")
	}
}

func walkList(list []Expr, visit func(Expr) bool) {
	for _, e := range list {
		Walk(e, visit)
	}
}

func walkOver(o *Over, visit func(Expr) bool) {
	if o == nil {
		return
	}
	walkList(o.PartitionBy, visit)
	for _, k := range o.OrderBy {
		Walk(k.Expr, visit)
	}
	if o.Limit != nil {
		Walk(o.Limit.Value, visit)
	}
	Walk(o.When, visit)
}
