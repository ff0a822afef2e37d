package saql

import "weir/internal/diag"

// pathOrCall reads a dotted path or a call with or without prefix.
func (p *parser) pathOrCall() Expr {
	start := p.start()
	if p.ahead(1).is("(") {
		return p.call(nil)
	}
	var names []Name
	if p.at(tokDouble) { // also the empty text
		names = append(names, p.take())
	} else {
		names = append(names, p.name("a name"))
	}
	for !p.lost && p.op(".") {
		if len(names) == 1 && p.callAhead() {
			return p.prefixed(names[0])
		}
		p.next().role = roleTight
		names = append(names, p.name("a name behind the dot"))
		if len(names) == 2 && isSystemTimestamp(names) {
			return &Call{Span: p.since(start), Prefix: &names[0], Name: names[1], NoParens: true}
		}
	}
	if p.op("(") && !p.lost {
		p.fail(diag.SA7003, p.since(start), `"%s": built-in functions have no prefix`, p.src[start:p.prev().span.End]).Hint =
			"`" + names[len(names)-1].Text + "(..)`; for user functions: UDF."
	}
	if p.at(tokFloat) && !p.lost && p.tok().text[0] == '.' && p.prev().span.End == p.start() {
		d := p.expected("a name behind the dot")
		d.Hint = "`.[" + p.tok().text[1:] + "]`"
	}
	return &Path{Span: p.since(start), Names: names}
}

func isSystemTimestamp(names []Name) bool {
	return names[0].Quote == 0 && names[1].Quote == 0 &&
		Fold(names[0].Text) == "system" && Fold(names[1].Text) == "timestamp"
}

// callAhead tells whether ". name (" is next.
func (p *parser) callAhead() bool {
	t := p.ahead(1)
	return (nameToken(t) || t.word) && p.ahead(2).is("(")
}

// prefixed reads .name(...) behind a prefix.
func (p *parser) prefixed(prefix Name) Expr {
	p.next().role = roleTight
	return p.call(&prefix)
}

// call reads name(arguments) [OVER (...)].
func (p *parser) call(prefix *Name) Expr {
	c := &Call{Prefix: prefix, Name: p.take()}
	start := c.Name.Span.Start
	if prefix != nil {
		start = prefix.Span.Start
	}
	open := p.next()
	open.role = roleCall
	if p.subquery(open) {
		return &Bad{Span: diag.Span{Start: start, End: p.prev().span.End}}
	}
	p.arguments(c)
	p.closing(open.span)
	if at := p.tok(); !p.timestampOver() && p.keyword("over") {
		c.Over = p.over(at.span)
	}
	c.Span = p.since(start)
	return c
}

// timestampOver tells whether an OVER here belongs to the TIMESTAMP BY around it: no part
// of the OVER of a function follows.
func (p *parser) timestampOver() bool {
	if !p.inTimestamp {
		return false
	}
	part := p.ahead(2)
	return !p.ahead(1).is("(") || !(part.is(")") || part.isWord("partition") && p.ahead(3).isWord("by") ||
		part.isWord("order") || part.isWord("limit") && p.ahead(3).isWord("duration") || part.isWord("when"))
}

// arguments reads * | DISTINCT e | ALL e | e, ...
func (p *parser) arguments(c *Call) {
	switch t := p.tok(); {
	case t.is(")"):
		return
	case t.is("*"):
		p.next().role = roleStar
		c.Star = true
		return
	case t.isWord("distinct") && !p.reservedName():
		c.Distinct = p.keyword("distinct")
		c.Args = []Expr{p.nested()}
		return
	case t.isWord("all") && Fold(c.Name.Text) == "count" && !p.nameAfterAll(1):
		c.All = p.keyword("all")
		c.Args = []Expr{p.nested()}
		return
	}
	p.list(func() { c.Args = append(c.Args, p.nested()) })
}

// over reads the parts of OVER (...) in any order, each at most once (saql.md 2.6).
func (p *parser) over(at diag.Span) *Over {
	o := &Over{}
	open, base := p.tok(), p.open
	if !p.expect("(") {
		return o
	}
	if !p.deeper() {
		p.depth--
		return o
	}
	defer func() { p.depth-- }()
	for !p.lost && !p.op(")") {
		part := p.tok().span
		var slot *diag.Span
		var name string
		switch {
		case p.keyword("partition", "by"):
			slot, name = &o.PartAt, "PARTITION BY"
			o.PartitionBy = p.keys()
		case p.keyword("order", "by"):
			slot, name = &o.OrderAt, "ORDER BY"
			o.OrderBy = p.orderItems()
		case p.words("limit", "duration"):
			slot, name = &o.LimitAt, "LIMIT DURATION"
			o.Limit = p.limit()
		case p.keyword("when"):
			slot, name = &o.WhenAt, "WHEN"
			o.When = p.nested()
		default:
			p.expected("PARTITION BY, ORDER BY, LIMIT DURATION or WHEN")
			continue
		}
		if *slot != (diag.Span{}) {
			p.twice(name, part)
		}
		*slot = part.To(p.prev().span)
	}
	if p.lost && open.pair > 0 && int(open.pair) >= p.i {
		p.i, p.open, p.lost = int(open.pair), base+1, false
	}
	p.closing(open.span)
	o.Span = at.To(p.prev().span)
	return o
}

// limit reads LIMIT DURATION(unit, n).
func (p *parser) limit() *Limit {
	start := p.start()
	l := &Limit{}
	if !p.expectKeyword("LIMIT DURATION", "limit", "duration") {
		l.Value = p.bad()
		return l
	}
	open := p.tok()
	if p.expect("(") {
		open.role = roleCall
		l.Unit = p.name("a unit of time")
		p.expect(",")
		l.Value = p.nested()
		p.closing(open.span)
	}
	if l.Value == nil {
		l.Value = p.bad()
	}
	l.Span = p.since(start)
	return l
}
