package twin

import (
	"fmt"
	"strings"

	"weir/internal/saql"
)

// anyKind is the static type of what differs by row.
const anyKind = Kind(255)

// env is what an expression sees: a row of FROM, or a group of rows in a window.
type env struct {
	block *block
	tuple tuple
	// at is the place of the tuple among the block's, for history; -1 inside ON.
	at int
	// on tells that the expression stands in ON: DATEDIFF takes aliases, and history looks
	// at the rows of one side.
	on    bool
	sides []side

	group   *group
	aliases map[string]Value // of the select list, seen by HAVING
	pattern *binding         // inside MATCH_RECOGNIZE
}

// group is a group of a window's rows: places in block.tuples.
type group struct {
	end   int64
	id    Value
	keys  []saql.Expr
	vals  []Value
	rows  []int
	first int // place of its first row
}

// key is the value of a key expression. System.Timestamp() is the window end even where it
// is a key (saql.md 4.8).
func (g *group) key(b *block, e saql.Expr) (Value, bool) {
	if c, ok := saql.Unparen(e).(*saql.Call); ok && c.Prefix != nil {
		return null, false
	}
	for i, k := range g.keys {
		if b.same(e, k) {
			return g.vals[i], true
		}
	}
	return null, false
}

// row is the environment of one row of the block.
func (b *block) row(at int) *env { return &env{block: b, tuple: b.tuples[at], at: at} }

// value evaluates an expression.
func (x *env) value(e saql.Expr) Value {
	if x.group != nil {
		if v, ok := x.group.key(x.block, e); ok {
			return v
		}
	}
	switch e := e.(type) {
	case *saql.Paren:
		return x.value(e.X)
	case *saql.Literal:
		return literal(e)
	case *saql.Path:
		return x.path(e.Names)
	case *saql.FieldExpr:
		return property(x.value(e.X), e.Name.Text)
	case *saql.Call:
		return x.call(e)
	case *saql.Case:
		return x.caseOf(e)
	case *saql.Cast:
		return x.cast(e)
	case *saql.Unary:
		return unary(e.Op, x.value(e.X))
	case *saql.Binary:
		l := x.value(e.L)
		return arithmetic(e.Op, l, x.value(e.R))
	}
	panic(fmt.Sprintf("twin: value of %T", e))
}

// truth evaluates a condition (saql.md 3.2). AND and OR stop when the result is known.
func (x *env) truth(e saql.Expr) tri {
	switch e := e.(type) {
	case *saql.Paren:
		return x.truth(e.X)
	case *saql.Unary:
		return not(x.truth(e.X))
	case *saql.Binary:
		switch e.Op {
		case "AND":
			if l := x.truth(e.L); l != no {
				return min(l, x.truth(e.R))
			}
			return no
		case "OR":
			if l := x.truth(e.L); l != yes {
				return max(l, x.truth(e.R))
			}
			return yes
		}
		l := x.value(e.L)
		return holds(e.Op, l, x.value(e.R))
	case *saql.Between:
		v := x.value(e.X)
		lo, hi := x.value(e.Lo), x.value(e.Hi)
		return notIf(e.Not, min(holds(">=", v, lo), holds("<=", v, hi)))
	case *saql.In:
		v := x.value(e.X)
		t := no
		for _, item := range e.List {
			t = max(t, holds("=", v, x.value(item)))
		}
		return notIf(e.Not, t)
	case *saql.IsNull:
		return notIf(e.Not, triOf(x.value(e.X).isNull()))
	case *saql.Like:
		return notIf(e.Not, x.like(e))
	}
	panic(fmt.Sprintf("twin: truth of %T", e))
}

func notIf(n bool, t tri) tri {
	if n {
		return not(t)
	}
	return t
}

func (x *env) like(e *saql.Like) tri {
	v, p := x.value(e.X), x.value(e.Pattern)
	if v.isNull() || p.isNull() {
		return unknown
	}
	if v.Kind >= Record || p.Kind >= Record {
		fail("LIKE of a record or array")
	}
	escape := rune(-1)
	if e.Escape != nil {
		escape = []rune(e.Escape.Str)[0]
	}
	return triOf(likes([]rune(asText(v)), []rune(asText(p)), escape))
}

func literal(l *saql.Literal) Value {
	switch l.Kind {
	case saql.LitString:
		return textValue(l.Str)
	case saql.LitInt:
		return intValue(l.Int)
	case saql.LitFloat:
		return Value{Kind: Float, Float: l.Float}
	case saql.LitTrue, saql.LitFalse:
		return bitValue(l.Kind == saql.LitTrue)
	}
	return null
}

// caseOf is CASE: the first branch that matches, in the type of all branches (3.4).
func (x *env) caseOf(c *saql.Case) Value {
	v := null
	matched := false
	for _, w := range c.Whens {
		if c.Operand == nil {
			matched = x.truth(w.Cond) == yes
		} else {
			matched = holds("=", x.value(c.Operand), x.value(w.Cond)) == yes
		}
		if matched {
			v = x.value(w.Then)
			break
		}
	}
	if !matched && c.Else != nil {
		v = x.value(c.Else)
	}
	if v.Kind == Int && x.block.floatBranch(c) {
		return floatValue(float64(v.Int))
	}
	return v
}

func (b *block) floatBranch(c *saql.Case) bool {
	for _, w := range c.Whens {
		if b.static(w.Then) == Float {
			return true
		}
	}
	return c.Else != nil && b.static(c.Else) == Float
}

func (x *env) cast(c *saql.Cast) Value {
	v := x.value(c.X)
	out, ok := cast(v, typeKind(c.Type))
	if !ok && c.Try {
		return null
	}
	if !ok {
		fail("cannot cast value '%s' of type %s to %s", asText(v), v.Kind, c.Type.Text)
	}
	return out
}

func typeKind(t saql.TypeName) Kind {
	for k, name := range kindNames {
		if strings.EqualFold(t.Text, name) {
			return Kind(k)
		}
	}
	return Text // nvarchar
}

// path reads a column and properties of it (saql.md 2.8).
func (x *env) path(names []saql.Name) Value {
	if x.pattern != nil {
		return x.pattern.path(names)
	}
	if len(names) == 1 && x.aliases != nil {
		for name, v := range x.aliases {
			if strings.EqualFold(name, names[0].Text) {
				return v
			}
		}
	}
	if x.group != nil {
		panic("twin: " + names[0].Text + " is neither grouped nor aggregated")
	}
	part, rest := x.block.resolve(names)
	if part == nowhere {
		panic("twin: no column " + names[0].Text)
	}
	if part < 0 {
		return textValue(names[0].Text)
	}
	v := x.whole(part)
	for _, name := range rest {
		v = property(v, name.Text)
	}
	return v
}

// whole is the row of a source as a record; NULL where a join found none.
func (x *env) whole(part int) Value {
	if p := x.tuple.parts[part]; p == nil || p.missing {
		return null
	}
	return recordValue(x.tuple.parts[part].fields)
}

// resolve finds the source that a path speaks of, and the rest of the path.
func (b *block) resolve(names []saql.Name) (part int, rest []saql.Name) {
	if len(names) > 1 {
		if i := b.alias(names[0].Text); i >= 0 {
			return i, names[1:]
		}
	}
	open, opens, known := -1, 0, -1
	for i, s := range b.sources {
		if s.open {
			open, opens = i, opens+1
		} else if s.has(names[0].Text) {
			known = i
		}
	}
	quoted := len(names) == 1 && names[0].Quote == '"' && !strings.HasPrefix(names[0].Text, "[")
	switch {
	case known >= 0:
		return known, names
	case quoted:
		return -1, nil // double quoted text (saql.md 1.4)
	case opens == 1:
		return open, names
	}
	if i := b.alias(names[0].Text); i >= 0 {
		return i, nil
	}
	return nowhere, nil
}

// nowhere is the source of a name that is none of a column.
const nowhere = -2

// alias is the source of a name, or -1.
func (b *block) alias(name string) int {
	for i, s := range b.sources {
		if strings.EqualFold(s.alias, name) {
			return i
		}
	}
	return -1
}

// property is v.name: NULL unless v is a record that has it (saql.md 7.5).
func property(v Value, name string) Value {
	if v.Kind != Record {
		return null
	}
	p, _ := lookup(v.Fields, name)
	return p
}

// same tells if two expressions are the same key (saql.md 5.8): equal trees, or paths to
// the same column.
func (b *block) same(e, k saql.Expr) bool {
	p, ok := saql.Unparen(e).(*saql.Path)
	q, ok2 := saql.Unparen(k).(*saql.Path)
	if !ok || !ok2 {
		return saql.Equal(e, k)
	}
	i, rest := b.resolve(p.Names)
	j, rest2 := b.resolve(q.Names)
	if i != j || len(rest) != len(rest2) || i < 0 {
		return false
	}
	for n := range rest {
		if !saql.EqualNames(rest[n], rest2[n]) {
			return false
		}
	}
	return true
}

// static is the type that an expression has in every row, by its text; anyKind if it may
// differ (saql.md 3.1).
func (b *block) static(e saql.Expr) Kind {
	switch e := e.(type) {
	case *saql.Paren:
		return b.static(e.X)
	case *saql.Literal:
		return literal(e).Kind
	case *saql.Cast:
		return typeKind(e.Type)
	case *saql.Path:
		part, rest := b.resolve(e.Names)
		if part >= 0 && len(rest) == 1 && !b.sources[part].open {
			for _, c := range b.sources[part].columns {
				if strings.EqualFold(c.name, rest[0].Text) {
					return c.fixed
				}
			}
		}
	}
	return b.staticOperator(e)
}

func (b *block) staticOperator(e saql.Expr) Kind {
	switch e := e.(type) {
	case *saql.Unary:
		return b.static(e.X)
	case *saql.Binary:
		l, r := b.static(e.L), b.static(e.R)
		switch {
		case strings.Contains("+-*/%", e.Op) && (l == Float || r == Float):
			return Float // whatever the other is
		case l == Int && r == Int:
			return Int
		}
	case *saql.Case:
		kind := Null
		branches := []saql.Expr{}
		for _, w := range e.Whens {
			branches = append(branches, w.Then)
		}
		if e.Else != nil {
			branches = append(branches, e.Else)
		}
		for _, t := range branches {
			k := b.static(t)
			switch {
			case k == Null || k == kind:
			case kind == Null:
				kind = k
			case kind == Int && k == Float || kind == Float && k == Int:
				kind = Float
			default:
				return anyKind
			}
		}
		return kind
	case *saql.Call:
		return b.staticCall(e)
	}
	return anyKind
}

// staticCall knows the functions whose results have one type, and those that keep the type
// of their argument.
func (b *block) staticCall(c *saql.Call) Kind {
	switch strings.ToUpper(c.Name.Text) {
	case "SQRT", "SQUARE", "EXP", "AVG", "STDEV", "STDEVP", "VAR", "VARP", "PERCENTILE_CONT":
		return Float
	case "COUNT", "LEN", "CHARINDEX", "DATEDIFF", "DATEPART", "ISFIRST":
		return Int
	case "MIN", "MAX", "TOPONE", "LAG", "LAST", "NULLIF":
		if len(c.Args) > 0 {
			return b.static(c.Args[0])
		}
	case "ABS", "CEILING", "FLOOR", "SIGN", "ROUND", "POWER":
		if len(c.Args) > 0 {
			if k := b.static(c.Args[0]); k == Float || k == Int {
				return k
			}
		}
	case "SUM":
		return b.static(c.Args[0])
	}
	return anyKind
}
