package saql

import (
	"strings"

	"weir/internal/diag"
)

// from reads a table and its joins (saql.md 2.4). It is nil if there is not even a table.
func (p *parser) from() TableExpr {
	start := p.start()
	left := p.table()
	for n := 0; left != nil && !p.lost; {
		next := p.joined(left, start)
		if next == nil || !p.chain(&n) {
			break
		}
		left = next
	}
	return left
}

// table reads a source, a query in parentheses or a table expression in parentheses.
func (p *parser) table() TableExpr {
	start := p.start()
	if !p.op("(") {
		return p.source()
	}
	if !p.deeper() {
		p.depth--
		return nil
	}
	defer func() { p.depth-- }()
	if p.queryAhead(p.i, maxDepth) {
		return p.derived()
	}
	open := p.next()
	open.lay = layOpen
	p.tok().lay = layClause
	t := p.from()
	if t == nil {
		return nil
	}
	p.tok().lay = layClose
	p.closing(open.span)
	return &ParenTable{Span: p.since(start), Table: t}
}

// queryAhead tells whether the "(" at token i opens a query, not a table expression:
// SELECT follows, or a query in parentheses with nothing or UNION behind it.
func (p *parser) queryAhead(i, depth int) bool {
	next := &p.toks[i+1]
	if !next.is("(") {
		return next.isWord("select") || next.isWord("with")
	}
	if next.pair < 0 || depth == 0 {
		return false
	}
	behind := &p.toks[next.pair+1]
	return (behind.is(")") || behind.isWord("union")) && p.queryAhead(i+1, depth-1)
}

// source reads name [[AS] alias] {PARTITION BY | TIMESTAMP BY} [MATCH_RECOGNIZE].
func (p *parser) source() TableExpr {
	start := p.start()
	s := &Source{Name: p.name("the name of an input or step")}
	if p.lost {
		return nil
	}
	s.Alias, s.AliasAs = p.sourceAlias()
	for !p.lost {
		switch at := p.tok().span; {
		case p.words("timestamp", "by"):
			if s.TimestampBy != nil {
				p.twice("TIMESTAMP BY", at)
			}
			s.TimestampBy = p.timestampBy()
		case p.words("partition", "by"):
			if s.PartitionBy != nil {
				p.twice("PARTITION BY", at)
			}
			s.PartitionBy = p.partitionBy()
		default:
			p.lateAlias(s)
			s.Match = p.match()
			s.Span = p.since(start)
			return s
		}
	}
	s.Span = p.since(start)
	return s
}

func (p *parser) twice(what string, at diag.Span) {
	p.note(diag.SA2101, at, "expected one %s, found two", what)
}

// lateAlias reports an alias that stands behind TIMESTAMP BY or PARTITION BY.
func (p *parser) lateAlias(s *Source) {
	if s.Alias != nil || s.TimestampBy == nil && s.PartitionBy == nil || p.lost {
		return
	}
	if !p.word("as") && !(nameToken(p.tok()) && !p.matchAhead()) {
		return
	}
	if p.tok().kind == tokWord && notPart[p.tok().text] != "" {
		return
	}
	d := p.note(diag.SA2101, p.tok().span, "expected the alias behind the name, found it after BY")
	d.Hint = "`" + Quote(s.Name.Text) + " AS alias TIMESTAMP BY ..`"
	s.Alias, s.AliasAs = p.sourceAlias()
}

// matchAhead tells whether MATCH_RECOGNIZE ( is next.
func (p *parser) matchAhead() bool { return p.word("match_recognize") && p.ahead(1).is("(") }

// sourceAlias reads [AS] name, if it is there. TIMESTAMP BY, PARTITION BY and
// MATCH_RECOGNIZE ( are no aliases (saql.md 1.7).
func (p *parser) sourceAlias() (*Name, bool) {
	as := p.keyword("as")
	special := p.words("timestamp", "by") || p.words("partition", "by") || p.matchAhead()
	if !as && (p.lost || !nameToken(p.tok()) || special) {
		return nil, false
	}
	n := p.name("an alias name")
	if p.lost {
		return nil, as
	}
	p.setOperation(n, as)
	return &n, as
}

// setOperation reports EXCEPT and INTERSECT, which look like an alias when a SELECT follows.
func (p *parser) setOperation(alias Name, as bool) {
	word := Fold(alias.Text)
	if as || alias.Quote != 0 || word != "except" && word != "intersect" || !p.word("select") && !p.op("(") {
		return
	}
	d := p.note(diag.SA2101, alias.Span, "%s is not part of this language", strings.ToUpper(word))
	d.Hint = notPart[word]
}

// timestampBy reads TIMESTAMP BY expr [OVER keys].
func (p *parser) timestampBy() *TimestampBy {
	start := p.start()
	p.keyword("timestamp", "by")
	p.inTimestamp = true
	t := &TimestampBy{Expr: p.expr()}
	p.inTimestamp = false
	if p.keyword("over") {
		t.Over = p.keys()
	}
	t.Span = p.since(start)
	return t
}

// partitionBy reads PARTITION BY keys [INTO n].
func (p *parser) partitionBy() *PartitionBy {
	start := p.start()
	p.keyword("partition", "by")
	b := &PartitionBy{Keys: p.keys()}
	if p.word("into") && !p.lost {
		p.keyword("into")
		if !p.at(tokInt) {
			p.expected("a number of shards")
		} else {
			b.Into = p.integer()
		}
	}
	b.Span = p.since(start)
	return b
}

// keys reads a list of expressions.
func (p *parser) keys() []Expr {
	var keys []Expr
	p.list(func() { keys = append(keys, p.expr()) })
	return keys
}

// derived reads (query) [[AS] alias] {PARTITION BY} [MATCH_RECOGNIZE].
func (p *parser) derived() TableExpr {
	start := p.start()
	d := &Derived{}
	open := p.next()
	open.lay = layOpen
	if p.word("with") {
		p.expected("SELECT").Hint = "put the steps into the WITH at the start of the statement"
	}
	d.Body = p.queryExpr()
	p.tok().lay = layClose
	p.closing(open.span)
	d.Alias, d.AliasAs = p.sourceAlias()
	for p.words("partition", "by") && !p.lost {
		if d.PartitionBy != nil {
			p.twice("PARTITION BY", p.tok().span)
		}
		d.PartitionBy = p.partitionBy()
	}
	d.Match = p.match()
	d.Span = p.since(start)
	return d
}

// joined reads one join or APPLY behind left, or gives nil when there is none.
func (p *parser) joined(left TableExpr, start int) TableExpr {
	t := p.tok()
	if t.is(",") {
		return p.commaJoin(left, start)
	}
	if p.words("timestamp", "by") {
		p.lateTimestamp(left)
		return nil
	}
	if t.kind != tokWord {
		return nil
	}
	n := 0
	switch t.text {
	case "join":
	case "inner":
		n = 1
	case "left", "right", "full":
		n = 1
		if p.ahead(1).isWord("outer") {
			n = 2
		}
	case "cross", "outer":
		if p.ahead(1).isWord("apply") {
			return p.apply(left, start)
		}
		n = 1
	default:
		return nil
	}
	return p.join(left, start, n)
}

// join reads n words before JOIN, the right table and ON.
func (p *parser) join(left TableExpr, start, n int) TableExpr {
	first := p.tok()
	first.lay = layJoin
	var words []string
	for range n {
		words = append(words, strings.ToUpper(p.tok().text))
		p.next().role = roleKeyword
	}
	j := &Join{Left: left, Written: strings.Join(words, " ")}
	if j.Written == "LEFT" || j.Written == "LEFT OUTER" {
		j.Kind = LeftJoin
	}
	switch {
	case p.keyword("join"):
	case j.Written == "CROSS", j.Written == "OUTER":
		p.expected("APPLY")
	default:
		p.expected("JOIN")
	}
	j.KeyPos = first.span.To(p.prev().span)
	refused := p.refuseJoin(j.Written, j.KeyPos)
	if j.Right = p.table(); j.Right == nil {
		return left
	}
	on := p.tok()
	switch {
	case p.keyword("on"):
		on.lay = layOn
		j.On = p.condition()
	case !refused && !p.lost:
		p.expected("ON").Hint = "`JOIN b ON a.k = b.k AND DATEDIFF(minute, a, b) BETWEEN 0 AND 10`"
	}
	if j.On == nil {
		j.On = &Bad{Span: p.since(p.prev().span.End)}
	}
	j.Span = p.since(start)
	return j
}

// refuseJoin reports the joins that the language does not have (SA6006).
func (p *parser) refuseJoin(written string, at diag.Span) bool {
	if p.lost {
		return false
	}
	word, _, _ := strings.Cut(written, " ")
	hint := ""
	switch word {
	case "RIGHT":
		hint = "swap the sides and use LEFT JOIN"
	case "FULL":
		hint = "UNION a LEFT JOIN of each side"
	case "CROSS":
		hint = "use JOIN .. ON with a time bound"
		if nameToken(p.tok()) && p.ahead(1).is("(") {
			hint = "did you mean CROSS APPLY?"
		}
	default:
		return false
	}
	p.note(diag.SA6006, at, "%s JOIN is not supported", word).Hint = hint
	if word == "CROSS" && nameToken(p.tok()) && p.ahead(1).is("(") {
		p.lost = true
	}
	return true
}

// commaJoin reports FROM a, b (SA6005) and reads on.
func (p *parser) commaJoin(left TableExpr, start int) TableExpr {
	comma := p.next()
	if p.listEnd() {
		p.extraComma(comma)
		return left
	}
	p.note(diag.SA6005, comma.span, "sources are joined with JOIN .. ON, not with commas").Hint = "`FROM a JOIN b ON ..`"
	right := p.table()
	if right == nil {
		return left
	}
	return &Join{Span: p.since(start), Left: left, Right: right, KeyPos: comma.span,
		On: &Bad{Span: p.since(p.prev().span.End)}}
}

// lateTimestamp reports TIMESTAMP BY behind something that is no input.
func (p *parser) lateTimestamp(left TableExpr) {
	at := p.tok().span.To(p.ahead(1).span)
	apply, ok := left.(*Apply)
	if !ok {
		d := p.fail(diag.SA2101, at, "expected TIMESTAMP BY behind the name of an input")
		d.Hint = "write it before JOIN, where the input is named"
		return
	}
	i := len(p.errs)
	d := p.note(diag.SA5011, at, "")
	d.Hint = "move TIMESTAMP BY to the input; for APPLY: use a second job"
	column := Print(p.timestampBy().Expr)
	if len(p.errs) > i+1 {
		column = apply.Alias.Text
	}
	d.Message = `TIMESTAMP BY must read the event: "` + column + `" is made by APPLY`
}

// apply reads CROSS|OUTER APPLY f(x) [AS] alias.
func (p *parser) apply(left TableExpr, start int) TableExpr {
	a := &Apply{Left: left, Outer: p.word("outer")}
	p.tok().lay = layJoin
	p.next().role = roleKeyword
	p.keyword("apply")
	a.Func = p.name("GetArrayElements or GetRecordProperties")
	open := p.tok()
	if p.expect("(") {
		open.role = roleCall
		a.Arg = p.nested()
		p.closing(open.span)
	}
	if a.Arg == nil {
		a.Arg = &Bad{Span: p.since(p.prev().span.End)}
	}
	a.AliasAs = p.keyword("as")
	a.Alias = p.name("an alias name for the elements")
	a.Span = p.since(start)
	return a
}
