package saql

import "weir/internal/diag"

// match reads MATCH_RECOGNIZE (...) [[AS] alias], if it is there (saql.md 2.7).
func (p *parser) match() *MatchRecognize {
	if p.lost || !p.matchAhead() {
		return nil
	}
	start := p.start()
	m := &MatchRecognize{}
	p.clause(layJoin, "match_recognize")
	open := p.next()
	open.lay = layOpen
	p.matchHead(m)
	if p.tok().lay = layClause; p.expectKeyword("MEASURES", "measures") {
		p.list(func() {
			p.tok().lay = layItem
			m.Measures = append(m.Measures, p.measure())
		})
	}
	if p.word("after") && !p.lost {
		p.tok().lay = layClause
		m.SkipToNext = p.expectKeyword("AFTER MATCH SKIP TO NEXT ROW", "after", "match", "skip", "to", "next", "row")
	}
	at := p.tok()
	if p.expectKeyword("PATTERN", "pattern") {
		at.lay = layClause
		inner := p.tok()
		if p.expect("(") {
			m.Pattern = p.pattern()
			p.closing(inner.span)
		}
	}
	if m.Pattern == nil {
		m.Pattern = &PatternSeq{Span: p.bad().Pos()}
	}
	at = p.tok()
	if p.expectKeyword("DEFINE", "define") {
		at.lay = layClause
		p.list(func() {
			p.tok().lay = layItem
			d := Definition{Name: p.name("a pattern variable")}
			p.expectKeyword("AS", "as")
			d.Cond = p.expr()
			m.Define = append(m.Define, d)
		})
	}
	p.tok().lay = layClose
	p.closing(open.span)
	m.Alias, m.AliasAs = p.sourceAlias()
	m.Span = p.since(start)
	return m
}

// matchHead reads LIMIT DURATION and PARTITION BY, in either order.
func (p *parser) matchHead(m *MatchRecognize) {
	for !p.lost {
		at := p.tok()
		switch {
		case p.words("limit", "duration"):
			if m.Limit != nil {
				p.twice("LIMIT DURATION", at.span)
			}
			m.Limit = p.limit()
		case p.keyword("partition", "by"):
			if m.PartitionBy != nil {
				p.twice("PARTITION BY", at.span)
			}
			m.PartitionBy = p.keys()
		default:
			if m.Limit == nil {
				p.expected("LIMIT DURATION")
			}
			return
		}
		at.lay = layClause
	}
}

func (p *parser) measure() Measure {
	m := Measure{Expr: p.expr()}
	if p.expectKeyword("AS and a name", "as") {
		m.Alias = p.columnAlias()
	}
	return m
}

// pattern reads sequences with | between them.
func (p *parser) pattern() Pattern {
	if !p.deeper() {
		p.depth--
		return &PatternSeq{Span: p.bad().Pos()}
	}
	defer func() { p.depth-- }()
	start := p.start()
	alts := []Pattern{p.sequence()}
	for p.accept("|") {
		alts = append(alts, p.sequence())
	}
	if len(alts) == 1 {
		return alts[0]
	}
	return &PatternAlt{Span: p.since(start), Alts: alts}
}

// sequence reads one factor or more.
func (p *parser) sequence() Pattern {
	start := p.start()
	var parts []Pattern
	for !p.lost && !p.op(")") && !p.op("|") {
		f := p.factor()
		if f == nil {
			break
		}
		parts = append(parts, f)
	}
	switch {
	case len(parts) == 1:
		return parts[0]
	case len(parts) == 0:
		p.expected("a pattern variable")
	}
	return &PatternSeq{Span: p.since(start), Parts: parts}
}

// factor reads an atom with at most one quantifier.
func (p *parser) factor() Pattern {
	t := p.tok()
	var x Pattern
	switch {
	case nameToken(t):
		x = &PatternVar{Span: t.span, Name: p.take()}
	case t.is("."):
		p.next()
		x = &PatternVar{Span: t.span, Any: true}
	case t.is("("):
		open := p.next()
		inner := p.pattern()
		p.closing(open.span)
		x = &PatternGroup{Span: open.span.To(p.prev().span), X: inner}
	case t.kind == tokEOF || t.word:
		p.expected(`a pattern variable or ")"`)
		return nil
	default:
		p.fail(diag.SA8003, t.span, `%s is not allowed in PATTERN`, p.found()).Hint = "quantifiers are * + ?, alternatives use |"
		return nil
	}
	if q := p.tok(); q.is("*") || q.is("+") || q.kind == tokOdd && q.text == "?" {
		p.next().role = roleQuantifier
		x = &PatternRepeat{Span: diag.Span{Start: t.span.Start, End: q.span.End}, X: x, Op: q.text[0]}
	}
	return x
}
