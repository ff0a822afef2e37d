package saql

// Equal tells whether two expressions are the same but for their places, parentheses and
// the case of names (saql.md 1.2). A single name in double quotes may be a text, so it is
// only equal to itself with case. COUNT(ALL x) equals COUNT(x), 0x10 equals 16, 1 does not
// equal 1.0.
func Equal(a, b Expr) bool {
	a, b = Unparen(a), Unparen(b)
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch a := a.(type) {
	case *Literal:
		b, ok := b.(*Literal)
		return ok && a.Kind == b.Kind && a.Int == b.Int && a.Str == b.Str && a.Float == b.Float
	case *Path:
		b, ok := b.(*Path)
		return ok && equalPaths(a.Names, b.Names)
	case *FieldExpr:
		b, ok := b.(*FieldExpr)
		return ok && EqualNames(a.Name, b.Name) && Equal(a.X, b.X)
	case *Call:
		b, ok := b.(*Call)
		return ok && equalCalls(a, b)
	case *Case:
		b, ok := b.(*Case)
		return ok && equalCases(a, b)
	case *Cast:
		b, ok := b.(*Cast)
		return ok && a.Try == b.Try && a.Type.Text == b.Type.Text && Equal(a.X, b.X)
	case *Bad:
		_, ok := b.(*Bad)
		return ok
	}
	return equalOperators(a, b)
}

func equalOperators(a, b Expr) bool {
	switch a := a.(type) {
	case *Unary:
		b, ok := b.(*Unary)
		return ok && a.Op == b.Op && Equal(a.X, b.X)
	case *Binary:
		b, ok := b.(*Binary)
		return ok && a.Op == b.Op && Equal(a.R, b.R) && Equal(a.L, b.L)
	case *Between:
		b, ok := b.(*Between)
		return ok && a.Not == b.Not && Equal(a.X, b.X) && Equal(a.Lo, b.Lo) && Equal(a.Hi, b.Hi)
	case *In:
		b, ok := b.(*In)
		return ok && a.Not == b.Not && Equal(a.X, b.X) && equalLists(a.List, b.List)
	case *Like:
		b, ok := b.(*Like)
		return ok && a.Not == b.Not && Equal(a.X, b.X) && Equal(a.Pattern, b.Pattern) &&
			(a.Escape == nil) == (b.Escape == nil) && (a.Escape == nil || a.Escape.Str == b.Escape.Str)
	case *IsNull:
		b, ok := b.(*IsNull)
		return ok && a.Not == b.Not && Equal(a.X, b.X)
	}
	panic("saql: unknown expression")
}

// Unparen looks through parentheses.
func Unparen(e Expr) Expr {
	for {
		p, ok := e.(*Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// EqualNames tells whether two names are the same without case.
func EqualNames(a, b Name) bool { return Fold(a.Text) == Fold(b.Text) }

func equalPaths(a, b []Name) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) == 1 && (a[0].Quote == '"' || b[0].Quote == '"') {
		return a[0].Quote == b[0].Quote && a[0].Text == b[0].Text
	}
	for i := range a {
		if !EqualNames(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalLists(a, b []Expr) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func equalCases(a, b *Case) bool {
	if len(a.Whens) != len(b.Whens) || !Equal(a.Operand, b.Operand) || !Equal(a.Else, b.Else) {
		return false
	}
	for i := range a.Whens {
		if !Equal(a.Whens[i].Cond, b.Whens[i].Cond) || !Equal(a.Whens[i].Then, b.Whens[i].Then) {
			return false
		}
	}
	return true
}

func equalCalls(a, b *Call) bool {
	if (a.Prefix == nil) != (b.Prefix == nil) || a.Prefix != nil && !EqualNames(*a.Prefix, *b.Prefix) {
		return false
	}
	return EqualNames(a.Name, b.Name) && a.Star == b.Star && a.Distinct == b.Distinct &&
		equalLists(a.Args, b.Args) && equalOvers(a.Over, b.Over)
}

func equalOvers(a, b *Over) bool {
	if a == nil || b == nil {
		return a == b
	}
	if len(a.OrderBy) != len(b.OrderBy) || (a.Limit == nil) != (b.Limit == nil) {
		return false
	}
	for i := range a.OrderBy {
		if a.OrderBy[i].Desc != b.OrderBy[i].Desc || !Equal(a.OrderBy[i].Expr, b.OrderBy[i].Expr) {
			return false
		}
	}
	if a.Limit != nil && (!EqualNames(a.Limit.Unit, b.Limit.Unit) || !Equal(a.Limit.Value, b.Limit.Value)) {
		return false
	}
	return equalLists(a.PartitionBy, b.PartitionBy) && Equal(a.When, b.When)
}
