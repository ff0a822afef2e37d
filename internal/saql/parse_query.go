package saql

import "weir/internal/diag"

// queryExpr reads terms with UNION between them (saql.md 2.3).
func (p *parser) queryExpr() QueryExpr {
	start := p.start()
	first := p.queryTerm()
	if p.lost || !p.word("union") {
		return first
	}
	u := &Union{Branches: []QueryExpr{first}}
	for p.clause(layClause, "union") {
		if p.word("all") {
			p.keyword("all")
			u.All = append(u.All, true)
		} else {
			u.All = append(u.All, false)
			if p.word("distinct") {
				d := p.note(diag.SA2101, p.tok().span, "UNION DISTINCT is not part of this language: UNION keeps duplicates")
				d.Hint = "UNION, and DISTINCT in a step with a window"
				p.next()
			}
		}
		u.Branches = append(u.Branches, p.queryTerm())
	}
	u.Span = p.since(start)
	return u
}

// queryTerm reads a SELECT or a query in parentheses.
func (p *parser) queryTerm() QueryExpr {
	start := p.start()
	if !p.op("(") || p.lost {
		return p.selectBlock()
	}
	if !p.deeper() {
		p.depth--
		return &Select{Span: p.since(start)}
	}
	defer func() { p.depth-- }()
	open := p.next()
	open.lay = layOpen
	q := p.queryExpr()
	switch q := q.(type) {
	case *Select:
		q.Paren = true
	case *Union:
		q.Paren = true
	}
	p.tok().lay = layClose
	p.closing(open.span)
	return q
}

// resync ends an error inside of a SELECT: it goes to the next clause, to the ")" that
// closes the SELECT, to the end of the statement or, if comma, to the next item. base is
// the number of parentheses that were open where the SELECT began.
func (p *parser) resync(base int, comma bool) bool {
	if !p.lost {
		return false
	}
	for !p.at(tokEOF) && !p.op(";") {
		if p.open <= base && (p.op(")") && p.tok().pair >= 0 || comma && p.op(",")) {
			break
		}
		if p.clauseWord() && (p.clauseHere() >= 0 || p.word("union") || p.statementStart()) && (p.open <= base || !p.word("order")) {
			break
		}
		if p.op("(") && p.ahead(1).isWord("select") && p.tok().pair > 0 {
			p.i = int(p.tok().pair) + 1
			continue
		}
		p.next()
	}
	p.open = base
	p.lost = false
	return true
}

// selectBlock reads a SELECT.
func (p *parser) selectBlock() QueryExpr {
	s := &Select{}
	start, base, errs := p.start(), p.open, len(p.errs)
	word := p.tok()
	if !p.clause(layClause, "select") {
		p.expected("SELECT")
		s.Span = p.since(start)
		return s
	}
	switch {
	case p.word("all") && !p.nameAfterAll(1):
		s.All = p.keyword("all")
	case p.word("distinct") && !p.reservedName():
		s.Distinct = p.keyword("distinct")
	}
	if s.Top = p.top(); s.Top != nil && p.word("distinct") && !p.reservedName() {
		p.note(diag.SA2101, p.tok().span, "expected DISTINCT before TOP, found it after").Hint = "`SELECT DISTINCT TOP n ..`"
		s.Distinct = p.keyword("distinct")
	}
	p.list(func() {
		p.tok().lay = layItem
		if len(s.Items) == maxItems {
			p.note(diag.SA2101, p.tok().span, "too many columns: a select list has at most %d", maxItems)
		}
		s.Items = append(s.Items, p.selectItem())
		p.itemEnd()
		p.resync(base, true)
	})
	p.clauses(s, base)
	if s.From == nil && len(p.errs) == errs && !p.hyphen() {
		d := p.note(diag.SA4001, word.span, "SELECT needs FROM")
		d.Text = "reads nothing"
		d.Hint = "add FROM and the name of an input"
	}
	s.Span = p.since(start)
	return s
}

// nameAfterAll tells whether ALL, n tokens before, is a name: nothing follows that it
// could belong to.
func (p *parser) nameAfterAll(n int) bool {
	t := p.ahead(n)
	return t.is(",") || t.is(".") || t.is("=") || t.is(")") || t.isWord("from") || t.isWord("into") ||
		t.isWord("as") || t.kind == tokEOF
}

// top reads TOP n or TOP (n).
func (p *parser) top() *Top {
	paren := p.ahead(1).is("(") && p.ahead(2).kind == tokInt && p.ahead(3).is(")")
	if p.lost || !p.word("top") || !(paren || p.ahead(1).kind == tokInt) {
		return nil
	}
	start := p.start()
	p.keyword("top")
	if paren {
		p.next()
	}
	t := &Top{Count: p.integer().Int, Paren: paren}
	if paren {
		p.next()
	}
	t.Span = p.since(start)
	return t
}

// itemEnd reports what stands between an item of the select list and the next comma or clause.
func (p *parser) itemEnd() {
	if p.lost || p.op(",") || p.listEnd() {
		return
	}
	if p.tok().word && p.reservedName() {
		p.reservedWord(p.tok())
		p.next()
		return
	}
	if !p.misspelt(`"," or FROM`, "FROM", "INTO", "AS", "OVER") {
		p.expected(`"," or FROM`)
	}
}

// selectItem reads an item of the select list.
func (p *parser) selectItem() (item SelectItem) {
	start := p.start()
	defer func() { item.Span = p.since(start) }()
	t := p.tok()
	switch {
	case t.is("*"):
		p.next().role = roleStar
		item.Star = true
		return item
	case (nameToken(t) || t.kind == tokString) && p.ahead(1).is("="):
		n := p.take()
		item.Alias, item.AliasPos = &n, AliasFirst
		p.next()
		item.Expr = p.expr()
		return item
	case t.word && t.text != "null" && p.ahead(1).is("="):
		p.reservedWord(t)
		n := p.take()
		item.Alias, item.AliasPos = &n, AliasFirst
		p.next()
		item.Expr = p.expr()
		return item
	}
	if item.StarOf = p.pathStar(); item.StarOf != nil {
		item.Star = true
		return item
	}
	item.Expr = p.expr()
	switch t = p.tok(); {
	case p.keyword("as"):
		n := p.columnAlias()
		item.Alias, item.AliasPos = &n, AliasAs
	case !p.lost && (nameToken(t) || t.kind == tokString) && t.text != "":
		n := p.take()
		item.Alias, item.AliasPos = &n, AliasBare
	}
	return item
}

// pathStar reads path.*, or nothing.
func (p *parser) pathStar() []Name {
	n := 0
	for nameToken(p.ahead(n)) && p.ahead(n+1).is(".") {
		n += 2
	}
	if n == 0 || !p.ahead(n).is("*") {
		return nil
	}
	var names []Name
	for ; n > 0; n -= 2 {
		names = append(names, p.take())
		p.next().role = roleTight
	}
	p.next().role = roleStar
	return names
}

// The clauses of a SELECT in their order.
var clauseOrder = []string{"INTO", "FROM", "WHERE", "GROUP BY", "HAVING", "ORDER BY"}

// clauseHere is the index in clauseOrder of the clause that starts here, or -1.
func (p *parser) clauseHere() int {
	switch t := p.tok(); {
	case t.kind != tokWord:
	case t.text == "into":
		return 0
	case t.text == "from":
		return 1
	case t.text == "where":
		return 2
	case p.words("group", "by"):
		return 3
	case t.text == "having":
		return 4
	case p.words("order", "by"):
		return 5
	}
	return -1
}

// clauses reads the clauses behind the select list, in any order, and reports a wrong one.
func (p *parser) clauses(s *Select, base int) {
	last := -1
	for k := p.clauseHere(); k >= 0 && !p.lost; k = p.clauseHere() {
		at := p.tok().span
		switch {
		case k == last:
			p.note(diag.SA2101, at, "expected one %s, found two", clauseOrder[k])
		case k < last && k == 0:
			d := p.note(diag.SA2101, at, "expected INTO before FROM, found it after %s", clauseOrder[last])
			d.Hint = "`SELECT .. INTO output FROM ..`"
		case k < last:
			d := p.note(diag.SA2101, at, "expected %s before %s, found it after", clauseOrder[k], clauseOrder[last])
			d.Hint = "move " + clauseOrder[k] + " before " + clauseOrder[last]
		}
		last = max(last, k)
		p.oneClause(s, k)
		if !p.lost && k > 0 {
			p.clauseEnd(base)
		}
		p.resync(base, false)
	}
}

func (p *parser) oneClause(s *Select, k int) {
	t := p.tok()
	t.lay = layClause
	switch k {
	case 0:
		p.keyword("into")
		n := p.name("the name of an output")
		s.Into = &n
	case 1:
		p.keyword("from")
		if from := p.from(); from != nil {
			s.From = from
		}
	case 2:
		p.keyword("where")
		s.Where = p.condition()
	case 3:
		p.keyword("group", "by")
		s.GroupPos = t.span.To(p.prev().span)
		p.list(func() {
			p.tok().lay = layItem
			s.GroupBy = append(s.GroupBy, p.groupItem())
		})
	case 4:
		p.keyword("having")
		s.Having = p.condition()
	case 5:
		p.keyword("order", "by")
		s.OrderBy = p.orderItems()
	}
}

// clauseEnd reports what stands behind a clause and belongs to nothing.
func (p *parser) clauseEnd(base int) {
	switch {
	case p.at(tokEOF), p.op(";"), p.clauseWord() && !p.word("join") && !p.word("on"):
	case p.op(")") && p.tok().pair >= 0 && base > 0:
	case p.words("timestamp", "by"), p.words("partition", "by"):
		p.expected(nextClause).Hint = "write it behind the name of the input in FROM"
	case p.word("group"), p.word("order"):
		p.next()
		p.expected("BY")
	default:
		if !p.misspelt(nextClause, clauseWords...) {
			p.expected(nextClause)
		}
	}
}

const nextClause = "a clause or the end of the statement"

var clauseWords = []string{"WHERE", "GROUP BY", "HAVING", "ORDER BY", "UNION", "JOIN", "LEFT", "INNER",
	"CROSS", "OUTER", "TIMESTAMP", "PARTITION", "INTO", "FROM", "AND", "OR", "GROUP", "ORDER"}

// orderItems reads the keys of ORDER BY.
func (p *parser) orderItems() []OrderItem {
	var items []OrderItem
	p.list(func() {
		p.tok().lay = layItem
		o := OrderItem{Expr: p.expr()}
		switch {
		case p.keyword("desc"):
			o.Desc = true
		case p.keyword("asc"):
			o.Asc = true
		}
		items = append(items, o)
	})
	return items
}

// create reads CREATE TABLE, CREATE FUNCTION or CREATE AGGREGATE.
func (p *parser) create() {
	start := p.start()
	p.keyword("create")
	switch {
	case p.keyword("table"):
		c := &CreateTable{Name: p.name("the name of an input")}
		open := p.tok()
		if p.expect("(") {
			open.lay = layList
			p.list(func() {
				p.tok().lay = layItem
				c.Cols = append(c.Cols, ColumnDef{Name: p.name("the name of a column"), Type: p.typeName()})
			})
			p.closing(open.span)
		}
		c.Span = p.since(start)
		p.add(c)
	case p.word("function"), p.word("aggregate"):
		p.createFunction(start)
	default:
		p.expected("TABLE, FUNCTION or AGGREGATE")
	}
}

// createFunction reads the part behind CREATE (saql.md 10.6).
func (p *parser) createFunction(start int) {
	c := &CreateFunction{Aggregate: p.word("aggregate")}
	p.next().role = roleKeyword
	c.Name = p.name("the name of a function")
	if p.keyword("returns") {
		t := p.typeName()
		c.Returns = &t
		if t.Text == "any" {
			c.Returns = nil
		}
	}
	p.expectKeyword("AS", "as")
	if !p.lost && !p.at(tokString) {
		p.expected("a text in single quotes with the JavaScript source")
	}
	if !p.lost {
		t := p.next()
		c.Body = t.text
		c.BodySpan = diag.Span{Start: t.span.End - 1 - p.quotedLen(t), End: t.span.End - 1}
	}
	c.Span = p.since(start)
	p.add(c)
}

// quotedLen is the length in the source of what stands between the quotes of a string.
func (p *parser) quotedLen(t *token) int {
	n := t.span.End - t.span.Start - 2
	if p.src[t.span.Start] != '\'' { // N'..'
		n--
	}
	return n
}
