package saql

import (
	"math"
	"strings"

	"weir/internal/diag"
)

// condition reads the expression of WHERE, HAVING or ON; Format may break it at AND and OR.
func (p *parser) condition() Expr {
	from := p.i
	e := p.expr()
	cases := 0
	for i := from; i < p.i; i++ {
		t := &p.toks[i]
		switch {
		case t.is("(") && t.pair > int32(i):
			i = int(min(t.pair, int32(p.i)))
		case t.isWord("case"):
			cases++
		case t.isWord("end"):
			cases--
		case cases == 0 && t.role == roleKeyword && (t.text == "or" || t.text == "and" && !t.between):
			t.lay = layBool
		}
	}
	return e
}

// nested is expr one level further in.
func (p *parser) nested() Expr {
	if !p.deeper() {
		p.depth--
		return p.bad()
	}
	e := p.expr()
	p.depth--
	return e
}

func (p *parser) bad() Expr {
	return &Bad{Span: diag.Span{Start: p.start(), End: p.start()}}
}

// expr reads an expression (saql.md 2.6): OR binds weakest.
func (p *parser) expr() Expr {
	e := p.andExpr()
	for n := 0; !p.lost; {
		op := p.tok()
		switch {
		case p.keyword("or"):
		case p.op("||"):
			p.mistake("OR", "use OR; to join texts use `+` or CONCAT")
		default:
			return e
		}
		if !p.chain(&n) {
			break
		}
		e = p.binary("OR", op, e, p.andExpr())
	}
	return e
}

func (p *parser) andExpr() Expr {
	e := p.notExpr()
	for n := 0; !p.lost; {
		op := p.tok()
		switch {
		case p.keyword("and"):
		case p.op("&&"):
			p.mistake("AND", "use AND")
		default:
			return e
		}
		if !p.chain(&n) {
			break
		}
		e = p.binary("AND", op, e, p.notExpr())
	}
	return e
}

func (p *parser) binary(op string, at *token, l, r Expr) Expr {
	return &Binary{Span: l.Pos().To(r.Pos()), Op: op, Written: op, OpSpan: at.span, L: l, R: r}
}

func (p *parser) notExpr() Expr {
	start := p.start()
	switch {
	case p.lost:
		return p.bad()
	case p.word("not") && !p.reservedName():
		p.keyword("not")
	case p.op("!"):
		p.mistake("NOT", "use NOT")
	default:
		return p.test()
	}
	x := p.bad()
	if p.deeper() {
		x = p.notExpr()
	}
	p.depth--
	return &Unary{Span: diag.Span{Start: start, End: x.Pos().End}, Op: "NOT", X: x}
}

// comparisons maps the operators, as written, to their normal form.
var comparisons = map[string]string{
	"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">=", "!<": ">=", "!>": "<=",
	"==": "=", "=>": ">=", "=<": "<=",
}

// test reads a value and at most one comparison.
func (p *parser) test() Expr {
	e := p.value()
	var first *token
	for n := 0; !p.lost; {
		at := p.tok()
		next := p.comparison(e)
		if next == nil {
			return e
		}
		if first != nil {
			d := p.note(diag.SA3003, at.span, "comparisons cannot be chained")
			d.Hint = "`a < b AND b < c`"
			d.Related = []diag.Label{{Span: first.span, Text: "first comparison"}}
		}
		if e, first = next, at; !p.chain(&n) {
			break
		}
	}
	return e
}

// comparison reads what compares x, or gives nil.
func (p *parser) comparison(x Expr) Expr {
	t := p.tok()
	if t.kind == tokOp {
		op := comparisons[t.text]
		if op == "" {
			return nil
		}
		written := t.text
		if written == "==" || written == "=>" || written == "=<" {
			p.mistake(`"`+op+`"`, "use `"+op+"`")
			written = op
		} else {
			p.next()
		}
		r := p.value()
		return &Binary{Span: x.Pos().To(r.Pos()), Op: op, Written: written, OpSpan: t.span, L: x, R: r}
	}
	not := false
	if t.isWord("not") {
		if n := p.ahead(1); !n.isWord("between") && !n.isWord("in") && !n.isWord("like") {
			return nil
		}
		not = p.keyword("not")
	}
	switch {
	case p.keyword("between"):
		return p.between(x, not)
	case p.keyword("in"):
		return p.in(x, not)
	case p.keyword("like"):
		l := &Like{Not: not, X: x, Pattern: p.value()}
		if p.word("escape") && !p.lost {
			p.keyword("escape")
			l.Escape = p.textLiteral("a text of one character")
		}
		l.Span = p.since(x.Pos().Start)
		return l
	case p.keyword("is"):
		n := &IsNull{X: x, Not: p.keyword("not")}
		p.expectKeyword("NULL", "null")
		n.Span = p.since(x.Pos().Start)
		return n
	}
	return nil
}

func (p *parser) between(x Expr, not bool) Expr {
	b := &Between{Not: not, X: x, Lo: p.value()}
	and := p.tok()
	if p.expectKeyword("AND", "and") {
		and.between = true
	}
	b.Hi = p.value()
	b.Span = p.since(x.Pos().Start)
	return b
}

func (p *parser) in(x Expr, not bool) Expr {
	in := &In{Not: not, X: x}
	open := p.tok()
	if p.expect("(") {
		if p.subquery(open) {
			in.List = []Expr{&Bad{Span: open.span.To(p.prev().span)}}
		} else {
			p.list(func() { in.List = append(in.List, p.nested()) })
			p.closing(open.span)
		}
	}
	in.Span = p.since(x.Pos().Start)
	return in
}

// subquery reports a query in the parenthesis just opened (SA4010) and passes it.
func (p *parser) subquery(open *token) bool {
	if p.lost || !p.word("select") || open.pair < 0 {
		return false
	}
	d := p.note(diag.SA4010, p.tok().span, "subqueries are not supported in expressions")
	d.Hint = "make it a step and JOIN it"
	p.i = int(open.pair)
	p.next()
	return true
}

func (p *parser) value() Expr {
	e := p.product()
	for n := 0; !p.lost && p.at(tokOp); {
		op := p.tok()
		switch op.text {
		case "+", "-", "&", "^", "|":
			if !p.chain(&n) {
				return e
			}
			p.next()
			e = p.binary(op.text, op, e, p.product())
		default:
			return e
		}
	}
	return e
}

func (p *parser) product() Expr {
	e := p.unary()
	for n := 0; !p.lost && p.at(tokOp); {
		op := p.tok()
		switch op.text {
		case "*", "/", "%":
			if !p.chain(&n) {
				return e
			}
			p.next()
			e = p.binary(op.text, op, e, p.unary())
		default:
			return e
		}
	}
	return e
}

func (p *parser) unary() Expr {
	op := p.tok()
	if p.lost || !(op.is("+") || op.is("-") || op.is("~")) {
		return p.postfix()
	}
	if op.is("-") && p.ahead(1).big {
		return p.postfix()
	}
	p.next().role = roleUnary
	x := p.bad()
	if p.deeper() {
		x = p.unary()
	}
	p.depth--
	return &Unary{Span: op.span.To(x.Pos()), Op: op.text, X: x}
}

// postfix reads a primary and the properties taken from it.
func (p *parser) postfix() Expr {
	e := p.primary()
	for n := 0; !p.lost && p.op(".") && p.chain(&n); {
		p.next().role = roleTight
		name := p.name("the name of a property")
		e = &FieldExpr{Span: diag.Span{Start: e.Pos().Start, End: name.Span.End}, X: e, Name: name}
	}
	return e
}

// primary reads a literal, a path, a call, CASE, CAST or a parenthesis.
func (p *parser) primary() Expr {
	t := p.tok()
	if p.lost {
		return p.bad()
	}
	switch t.kind {
	case tokInt, tokFloat:
		return p.number()
	case tokString:
		p.next()
		return &Literal{Span: t.span, Kind: LitString, Raw: p.src[t.span.Start:t.span.End], Str: t.text}
	case tokOp:
		switch {
		case t.is("("):
			return p.paren()
		case t.is("-"):
			return p.leastInteger()
		}
	case tokWord:
		if e := p.wordExpr(); e != nil {
			return e
		}
	}
	if nameToken(t) || p.reservedName() {
		return p.pathOrCall()
	}
	d := p.expected("an expression")
	if t.isWord("not") && d.Hint == "" {
		d.Hint = "put the NOT in parentheses"
	}
	return p.bad()
}

// wordExpr reads the expressions that start with a word of their own.
func (p *parser) wordExpr() Expr {
	t := p.tok()
	call := p.ahead(1).is("(")
	switch {
	case t.text == "null":
		p.keyword("null")
		return &Literal{Span: t.span, Kind: LitNull, Raw: "NULL"}
	case t.text == "case":
		return p.caseExpr()
	case call && (t.text == "cast" || t.text == "try_cast"):
		return p.cast()
	case call && (t.text == "left" || t.text == "right"):
		return p.call(nil)
	case (t.text == "true" || t.text == "false") && !call && !p.ahead(1).is("."):
		p.next()
		l := &Literal{Span: t.span, Kind: LitFalse, Raw: p.src[t.span.Start:t.span.End]}
		if t.text == "true" {
			l.Kind = LitTrue
		}
		return l
	}
	return nil
}

// number reads a number. An integer that only fits with a minus is out of range here.
func (p *parser) number() Expr {
	t := p.tok()
	if t.kind == tokInt {
		return p.integer()
	}
	p.next()
	return &Literal{Span: t.span, Kind: LitFloat, Raw: t.text, Float: t.float}
}

func (p *parser) integer() *Literal {
	t := p.next()
	if t.big {
		p.note(diag.SA1004, t.span, "number out of range").Hint = bigintHint
	}
	return &Literal{Span: t.span, Kind: LitInt, Raw: t.text, Int: t.value}
}

// leastInteger reads -9223372036854775808 (saql.md 1.5). Another minus is read by unary.
func (p *parser) leastInteger() Expr {
	minus := p.next()
	minus.role = roleUnary
	t := p.next()
	return &Literal{Span: minus.span.To(t.span), Kind: LitInt, Raw: "-" + t.text, Int: math.MinInt64}
}

func (p *parser) paren() Expr {
	open := p.next()
	if p.subquery(open) {
		return &Bad{Span: open.span.To(p.prev().span)}
	}
	x := p.nested()
	p.closing(open.span)
	return &Paren{Span: open.span.To(p.prev().span), X: x}
}

// textLiteral reads a string; "text" is one here too (saql.md 1.4 rule 1).
func (p *parser) textLiteral(what string) *Literal {
	t := p.tok()
	if p.lost || t.kind != tokString && t.kind != tokDouble {
		p.expected(what)
		return &Literal{Span: p.bad().Pos()}
	}
	p.next()
	return &Literal{Span: t.span, Kind: LitString, Raw: p.src[t.span.Start:t.span.End], Str: t.text}
}

// caseExpr reads CASE in both forms.
func (p *parser) caseExpr() Expr {
	start := p.start()
	p.keyword("case")
	c := &Case{}
	p.cases++
	defer func() { p.cases-- }()
	if !p.word("when") {
		c.Operand = p.nested()
	}
	if !p.word("when") {
		p.expected("WHEN")
	}
	for p.clause(layWhen, "when") {
		w := When{Cond: p.nested()}
		if p.expectKeyword("THEN", "then") {
			w.Then = p.nested()
		} else {
			w.Then = p.bad()
		}
		c.Whens = append(c.Whens, w)
	}
	if p.clause(layWhen, "else") {
		c.Else = p.nested()
	}
	if !p.clause(layWhen, "end") {
		p.expected("END")
	}
	c.Span = p.since(start)
	return c
}

// cast reads CAST(x AS type) and TRY_CAST(x AS type).
func (p *parser) cast() Expr {
	start := p.start()
	c := &Cast{Try: strings.HasPrefix(p.tok().text, "try")}
	p.next().role = roleKeyword
	open := p.next()
	open.role = roleCall
	c.X = p.nested()
	if p.expectKeyword("AS and a type", "as") {
		c.Type = p.typeName()
	}
	p.closing(open.span)
	c.Span = p.since(start)
	return c
}
