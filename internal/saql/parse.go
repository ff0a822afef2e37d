package saql

import (
	"fmt"

	"weir/internal/diag"
)

const (
	maxDepth = 250  // nesting of expressions and queries (saql.md 14.1)
	maxItems = 4096 // columns of a select list
	maxSteps = 512  // steps of a script

	// maxChain limits what grows deep without nesting: operators in a row, joins,
	// properties of properties. The tree is as deep as they are many, and whoever walks it
	// has a stack.
	maxChain = 10000

	maxReported = 1000 // errors that are collected before the list is cut
)

// Parse reads a script (saql.md section 2). It goes on after errors, at the next clause
// or statement, and reports all of them. The Script is never nil; where something was
// wrong it holds what could be read, *Bad for expressions, and statements that are
// marked Broken.
func Parse(src string) (*Script, diag.List) {
	p := parseTokens(src)
	return p.script, p.errs.Sorted()
}

// parser reads tokens by recursive descent. After an error it is *lost*: it reports
// nothing and takes no token until it finds itself again at the border of an item, a
// clause or a statement.
type parser struct {
	src  string
	toks []token
	i    int
	lost bool
	errs diag.List // those of the lexer first
	tail int       // see lexer.tail

	lexErrs int // number of errors of the lexer
	lexed   int // those before the current statement
	depth   int // nesting of expressions and queries
	open    int // parentheses that are open
	cases   int // CASE expressions that are open
	// inTimestamp tells that the expression of a TIMESTAMP BY is read.
	inTimestamp bool
	steps       int
	script      *Script
}

func parseTokens(src string) *parser {
	l := lex(src)
	p := &parser{src: src, toks: l.toks, errs: l.errs, lexErrs: len(l.errs), tail: l.tail}
	p.script = &Script{Src: src, Comments: l.comments}
	for !p.at(tokEOF) {
		p.statement()
	}
	return p
}

// tok is the current token.
func (p *parser) tok() *token { return &p.toks[p.i] }

// ahead is the token n places on.
func (p *parser) ahead(n int) *token { return &p.toks[min(p.i+n, len(p.toks)-1)] }

func (p *parser) at(k tokenKind) bool { return p.tok().kind == k }

// op tells whether the token is the operator or mark s.
func (p *parser) op(s string) bool { return p.tok().is(s) }

// isWord tells whether a token is the word w (folded), reserved or not.
func (t *token) isWord(w string) bool { return t.kind == tokWord && t.text == w }

func (p *parser) word(w string) bool { return p.tok().isWord(w) }

// words tells whether the next tokens are these words.
func (p *parser) words(ws ...string) bool {
	for n, w := range ws {
		if !p.ahead(n).isWord(w) {
			return false
		}
	}
	return true
}

// next takes the current token.
func (p *parser) next() *token {
	t := p.tok()
	switch {
	case t.is("("):
		p.open++
	case t.is(")") && t.pair >= 0:
		p.open--
	}
	if t.kind != tokEOF {
		p.i++
	}
	return t
}

// accept takes the mark s if it is there.
func (p *parser) accept(s string) bool {
	if p.lost || !p.op(s) {
		return false
	}
	p.next()
	return true
}

// keyword takes the words if they are there, as keywords.
func (p *parser) keyword(ws ...string) bool {
	if p.lost || !p.words(ws...) {
		return false
	}
	for range ws {
		p.next().role = roleKeyword
	}
	return true
}

// clause is keyword for words that Format may put at the start of a line.
func (p *parser) clause(lay layout, ws ...string) bool {
	t := p.tok()
	if !p.keyword(ws...) {
		return false
	}
	t.lay = lay
	return true
}

// expect takes the mark s or reports that it is missing.
func (p *parser) expect(s string) bool {
	if p.accept(s) {
		return true
	}
	p.expected(`"` + s + `"`)
	return false
}

// closing takes the ")" that belongs to the "(" at open.
func (p *parser) closing(open diag.Span) {
	if p.lost || p.accept(")") {
		return
	}
	p.expected(`")"`).Related = []diag.Label{{Span: open, Text: "opened here"}}
}

// expectKeyword takes the words or reports that they are missing.
func (p *parser) expectKeyword(shown string, ws ...string) bool {
	if p.keyword(ws...) {
		return true
	}
	for len(ws) > 1 && p.word(ws[0]) { // the first word that is another one
		p.next()
		ws = ws[1:]
	}
	p.expected(shown)
	return false
}

// prev is the token before the current one.
func (p *parser) prev() *token { return &p.toks[max(p.i-1, 0)] }

// since is the span from start to the last token taken.
func (p *parser) since(start int) diag.Span {
	return diag.Span{Start: start, End: max(p.prev().span.End, start)}
}

func (p *parser) start() int { return p.tok().span.Start }

// deeper guards the nesting of expressions and queries. The caller calls p.depth--.
func (p *parser) deeper() bool {
	if p.depth++; p.depth <= maxDepth {
		return true
	}
	d := p.fail(diag.SA2101, p.tok().span, "nested too deep: at most %d levels", maxDepth)
	d.Hint = "compute parts in steps before"
	return false
}

// statement reads one statement and finds the start of the next.
func (p *parser) statement() {
	if p.op(";") {
		p.next()
		return
	}
	stmts, at := len(p.script.Stmts), p.i
	p.open, p.depth = 0, 0
	p.tok().stmt = true
	p.oneStatement()
	if !p.lost && !p.at(tokEOF) && !p.op(";") && !p.statementStart() {
		p.trailing()
	}
	if p.lost {
		p.skipStatement(p.i == at)
	}
	if len(p.script.Stmts) > stmts {
		if q, ok := p.script.Stmts[stmts].(*Query); ok {
			q.Broken = p.errorsFrom(p.toks[at].span.Start)
		}
	}
}

// errorsFrom tells whether there are errors between an offset and the current token.
func (p *parser) errorsFrom(offset int) bool {
	if n := len(p.errs); n > 0 && p.errs[n-1].Span.Start >= offset && p.errs[n-1].Span.Start <= p.start() {
		return true
	}
	for p.lexed < p.lexErrs && p.errs[p.lexed].Span.Start < offset {
		p.lexed++
	}
	return p.lexed < p.lexErrs && (p.at(tokEOF) || p.errs[p.lexed].Span.Start < p.start())
}

// chain guards the length of what grows deep without nesting; n is its length so far.
func (p *parser) chain(n *int) bool {
	if *n++; *n <= maxChain {
		return true
	}
	p.fail(diag.SA2101, p.tok().span, "too long: at most %d in a row", maxChain).Hint = "compute parts in steps before; for many values use IN"
	return false
}

func (p *parser) add(s Stmt) { p.script.Stmts = append(p.script.Stmts, s) }

func (p *parser) oneStatement() {
	switch {
	case p.word("create"):
		p.create()
	case p.word("with") || p.word("select") || p.op("("):
		p.query()
	default:
		p.foreign()
	}
}

// statementStart tells whether a new statement begins here (saql.md 2.2).
func (p *parser) statementStart() bool {
	return p.word("select") || p.word("with") || p.word("create")
}

// skipStatement goes to the next statement. If stuck, the current token is passed.
func (p *parser) skipStatement(stuck bool) {
	p.lost = false
	for first := true; !p.at(tokEOF); first = false {
		if !(first && stuck) && (p.op(";") || p.statementStart() && p.open <= 0) {
			break
		}
		if p.op("(") && p.tok().pair > 0 {
			p.i = int(p.tok().pair)
			p.open++
		}
		p.next()
	}
}

// query reads [WITH ...] query_expression.
func (p *parser) query() {
	q := &Query{}
	start, errs := p.start(), len(p.errs)
	if p.word("with") {
		p.withClause(q)
		if p.op(",") {
			p.extraComma(p.next())
		}
		switch {
		case !p.at(tokEOF) || p.lost:
		case len(p.errs) > errs:
			p.lost = true // what is missing may stand in what is wrong
		default:
			p.noSelect()
		}
	}
	q.Body = p.queryExpr()
	q.Span = p.since(start)
	p.add(q)
}

// noSelect reports a WITH without the query that uses it.
func (p *parser) noSelect() {
	p.fail(diag.SA2001, p.tok().span, "the query writes to no output").Hint = "add a SELECT after the WITH steps"
}

// withClause reads WITH and its steps.
func (p *parser) withClause(q *Query) {
	p.keyword("with")
	for {
		p.tok().lay = layStep
		if len(q.With) == 0 {
			p.tok().lay = layNone
		}
		q.With = append(q.With, p.step())
		if p.lost {
			p.syncStep()
		}
		if p.missingStepComma() {
			continue
		}
		if !p.op(",") || !p.stepFollows() {
			return
		}
		p.next()
	}
}

// stepFollows tells whether the comma here leads to one more step.
func (p *parser) stepFollows() bool {
	t := p.ahead(1)
	return !t.isWord("select") && !t.isWord("with") && t.kind != tokEOF && !t.is(",") && !t.is(";")
}

// missingStepComma reports two steps without a comma between them.
func (p *parser) missingStepComma() bool {
	if p.lost || !nameToken(p.tok()) || !(p.ahead(1).isWord("as") || p.ahead(1).is("(")) {
		return false
	}
	d := p.fail(diag.SA2101, p.tok().span, `expected "," between the steps of WITH, found %s`, p.found())
	d.Hint = "put a comma before the next step"
	d.Fix = []diag.Edit{{Span: diag.Span{Start: p.prev().span.End, End: p.prev().span.End}, Text: ","}}
	p.lost = false
	return true
}

// step reads name AS ( query ).
func (p *parser) step() *Step {
	s := &Step{}
	start := p.start()
	p.open = 0
	s.Name = p.name("the name of a step")
	if p.steps++; p.steps == maxSteps+1 {
		p.note(diag.SA2101, s.Name.Span, "too many steps: at most %d", maxSteps)
	}
	switch {
	case p.keyword("as"):
	case p.op("(") && nameToken(p.ahead(1)):
		p.fail(diag.SA2101, p.tok().span, "a step has no list of columns").Hint = "name the columns in its SELECT"
	case p.op("("):
		d := p.note(diag.SA2101, p.tok().span, `expected AS before the parenthesis of step "%s", found "("`, s.Name.Text)
		d.Hint = "`" + Quote(s.Name.Text) + " AS (`"
		d.Fix = []diag.Edit{{Span: diag.Span{Start: p.start(), End: p.start()}, Text: "AS "}}
	default:
		p.expected("AS")
	}
	open := p.tok()
	if p.expect("(") {
		open.lay = layOpen
		s.Body = p.queryExpr()
		p.tok().lay = layClose
		p.closing(open.span)
	} else {
		s.Body = &Select{Span: p.since(start)}
	}
	s.Span = p.since(start)
	return s
}

// syncStep goes behind the ")" that ends a broken step.
func (p *parser) syncStep() {
	for !p.at(tokEOF) && !p.op(";") {
		if p.open <= 0 && (p.statementStart() || p.op(",")) {
			break
		}
		if p.next(); p.open <= 0 && p.prev().is(")") {
			break
		}
	}
	p.lost = false
}

// fail reports an error and gets lost.
func (p *parser) fail(code diag.Code, at diag.Span, format string, args ...any) *diag.Diagnostic {
	d := p.note(code, at, format, args...)
	p.lost = true
	return d
}

// note reports an error that does not confuse what follows. When lost, the result goes
// nowhere.
func (p *parser) note(code diag.Code, at diag.Span, format string, args ...any) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: code, Span: at, Message: fmt.Sprintf(format, args...)}
	swallowed := p.tail >= 0 && (at.Start > p.tail || p.at(tokEOF))
	if !p.lost && !swallowed && len(p.errs) < p.lexErrs+maxReported {
		p.errs = append(p.errs, d)
	}
	return d
}
