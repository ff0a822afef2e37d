package saql

import (
	"strings"
)

// Print writes an expression on one line: keywords in upper case, names and literals as
// they were written. What it writes is read back as the same tree.
func Print(e Expr) string {
	var p printer
	p.expr(e)
	return p.String()
}

// String is the name as it is written in a text.
func (n Name) String() string {
	switch n.Quote {
	case '[':
		return "[" + strings.ReplaceAll(n.Text, "]", "]]") + "]"
	case '"':
		return `"` + strings.ReplaceAll(n.Text, `"`, `""`) + `"`
	case '\'':
		return "'" + strings.ReplaceAll(n.Text, "'", "''") + "'"
	}
	return n.Text
}

// printer collects the text of an expression.
type printer struct{ strings.Builder }

// put writes texts and expressions one after the other.
func (p *printer) put(parts ...string) {
	for _, s := range parts {
		p.WriteString(s)
	}
}

func (p *printer) list(list []Expr) {
	for i, e := range list {
		if i > 0 {
			p.put(", ")
		}
		p.expr(e)
	}
}

func (p *printer) expr(e Expr) {
	switch e := e.(type) {
	case nil:
	case *Literal:
		p.put(e.Raw)
	case *Path:
		for i, n := range e.Names {
			if i > 0 {
				p.put(".")
			}
			p.put(n.String())
		}
	case *FieldExpr:
		p.expr(e.X)
		if l, ok := e.X.(*Literal); ok && l.Kind == LitInt {
			p.put(" ") // 1.a would be the number 1. and a
		}
		p.put(".", e.Name.String())
	case *Call:
		p.call(e)
	case *Case:
		p.caseExpr(e)
	case *Cast:
		if e.Try {
			p.put("TRY_")
		}
		p.put("CAST(")
		p.expr(e.X)
		p.put(" AS ", e.Type.Text, ")")
	case *Paren:
		p.put("(")
		p.expr(e.X)
		p.put(")")
	case *Bad:
		p.put("?")
	default:
		p.operator(e)
	}
}

func (p *printer) operator(e Expr) {
	switch e := e.(type) {
	case *Unary:
		p.unary(e)
	case *Binary:
		p.expr(e.L)
		op := e.Written
		if op == "" {
			op = e.Op
		}
		p.put(" ", op, " ")
		p.expr(e.R)
	case *Between:
		p.expr(e.X)
		p.put(notText(e.Not), " BETWEEN ")
		p.expr(e.Lo)
		p.put(" AND ")
		p.expr(e.Hi)
	case *In:
		p.expr(e.X)
		p.put(notText(e.Not), " IN (")
		p.list(e.List)
		p.put(")")
	case *Like:
		p.expr(e.X)
		p.put(notText(e.Not), " LIKE ")
		p.expr(e.Pattern)
		if e.Escape != nil {
			p.put(" ESCAPE ", e.Escape.Raw)
		}
	case *IsNull:
		p.expr(e.X)
		p.put(" IS", notText(e.Not), " NULL")
	default:
		panic("saql: unknown expression")
	}
}

func notText(not bool) string {
	if not {
		return " NOT"
	}
	return ""
}

// unary keeps two minus signs apart: together they start a comment.
func (p *printer) unary(e *Unary) {
	p.put(e.Op)
	if e.Op == "NOT" {
		p.put(" ")
	}
	at := p.Len()
	p.expr(e.X)
	if s := p.String(); e.Op == "-" && strings.HasPrefix(s[at:], "-") {
		p.Reset()
		p.put(s[:at], " ", s[at:])
	}
}

func (p *printer) call(c *Call) {
	if c.Prefix != nil {
		p.put(c.Prefix.String(), ".")
	}
	p.put(c.Name.String())
	if c.NoParens {
		return
	}
	p.put("(")
	switch {
	case c.Star:
		p.put("*")
	case c.Distinct:
		p.put("DISTINCT ")
	case c.All:
		p.put("ALL ")
	}
	p.list(c.Args)
	p.put(")")
	if c.Over != nil {
		p.put(" OVER (", strings.Join(overParts(c.Over), " "), ")")
	}
}

// overParts are the parts of OVER in the order of the reference.
func overParts(o *Over) []string {
	var parts []string
	if o.PartitionBy != nil {
		parts = append(parts, "PARTITION BY "+printList(o.PartitionBy))
	}
	if o.OrderBy != nil {
		var keys []string
		for _, k := range o.OrderBy {
			s := Print(k.Expr)
			switch {
			case k.Desc:
				s += " DESC"
			case k.Asc:
				s += " ASC"
			}
			keys = append(keys, s)
		}
		parts = append(parts, "ORDER BY "+strings.Join(keys, ", "))
	}
	if o.Limit != nil {
		parts = append(parts, "LIMIT DURATION("+o.Limit.Unit.String()+", "+Print(o.Limit.Value)+")")
	}
	if o.When != nil {
		parts = append(parts, "WHEN "+Print(o.When))
	}
	return parts
}

func printList(list []Expr) string {
	var p printer
	p.list(list)
	return p.String()
}

func (p *printer) caseExpr(c *Case) {
	p.put("CASE")
	if c.Operand != nil {
		p.put(" ")
		p.expr(c.Operand)
	}
	for _, w := range c.Whens {
		p.put(" WHEN ")
		p.expr(w.Cond)
		p.put(" THEN ")
		p.expr(w.Then)
	}
	if c.Else != nil {
		p.put(" ELSE ")
		p.expr(c.Else)
	}
	p.put(" END")
}
