package saql

import (
	"strings"

	"weir/internal/diag"
)

// nameToken tells whether a token is a name as it stands.
func nameToken(t *token) bool {
	switch t.kind {
	case tokWord:
		return !t.word
	case tokBrack, tokDouble:
		return true
	}
	return false
}

// take makes a Name of the current token.
func (p *parser) take() Name {
	t := p.next()
	n := Name{Text: t.text, Span: t.span}
	switch t.kind {
	case tokWord:
		n.Text = p.src[t.span.Start:t.span.End]
	case tokBrack:
		n.Quote = '['
	case tokDouble:
		n.Quote = '"'
	case tokString:
		n.Quote = '\''
	}
	return n
}

// name reads a name; what says which one in the error.
func (p *parser) name(what string) Name {
	t := p.tok()
	switch {
	case p.lost:
	case t.kind == tokDouble && t.text == "":
		p.expected(what)
	case nameToken(t):
		return p.take()
	case p.reservedName():
		p.reservedWord(t)
		return p.take()
	default:
		p.expected(what)
	}
	return Name{Span: diag.Span{Start: t.span.Start, End: t.span.Start}}
}

// columnAlias reads a name or 'name'. OVER is taken too, though reserved: behind AS it
// can be nothing else, and published queries use it.
func (p *parser) columnAlias() Name {
	if p.word("over") && !p.lost {
		return p.take()
	}
	if p.at(tokString) && p.tok().text != "" && !p.lost {
		return p.take()
	}
	return p.name("a name for the column")
}

// afterOperand tells whether a token may follow an operand, so that the word before it
// was meant as a name.
func (p *parser) afterOperand(n int) bool {
	t := p.ahead(n)
	switch t.kind {
	case tokEOF:
		return true
	case tokOp:
		return !t.is("(") && !t.is("~") && !t.is("!") && !t.is("-") && !t.is("+")
	case tokWord:
		switch t.text {
		case "as", "from", "into", "where", "having", "and", "or", "is", "in", "like", "between",
			"union", "join", "on", "then", "else", "end", "when", "asc", "desc":
			return true
		case "group", "order":
			return p.ahead(n + 1).isWord("by")
		}
	}
	return false
}

// reservedName tells whether the current token is a reserved word in the place of a
// name: what follows would fit behind a name.
func (p *parser) reservedName() bool {
	t := p.tok()
	if !t.word || p.lost {
		return false
	}
	switch t.text {
	case "case", "null":
		return false
	case "when", "then", "else", "end":
		if p.cases > 0 {
			return false
		}
	case "and", "or", "not", "is", "in", "like", "between", "by":
		if p.ahead(1).kind == tokEOF {
			return false
		}
	case "group", "order":
		if p.ahead(1).isWord("by") {
			return false
		}
	}
	return p.afterOperand(1)
}

// clauseWord tells whether the current token begins a clause: a word of one, and not
// meant as a name.
func (p *parser) clauseWord() bool {
	t := p.tok()
	if t.kind != tokWord || !t.word {
		return false
	}
	next := p.ahead(1)
	switch t.text {
	case "group", "order":
		return next.isWord("by")
	case "left", "right", "full", "cross", "outer", "inner":
		return next.isWord("join") || next.isWord("outer") || next.isWord("apply")
	case "from", "into", "where", "having", "union", "select", "with", "create", "join", "on":
		named := next.is(",") || next.is(")") || next.is(".") || next.is("=") ||
			next.isWord("as") || next.isWord("from")
		return !named
	}
	return false
}

// listEnd tells whether a list has no further item here.
func (p *parser) listEnd() bool {
	return p.at(tokEOF) || p.op(")") || p.op(";") || p.clauseWord()
}

// list reads items with commas between them, and reports commas that are too many.
func (p *parser) list(item func()) {
	var comma *token
	for !p.lost {
		for p.op(",") {
			p.extraComma(p.next())
		}
		if comma != nil && p.listEnd() {
			p.extraComma(comma)
			return
		}
		item()
		if p.lost || !p.op(",") {
			return
		}
		comma = p.next()
	}
}

// typeName reads a type. The checker judges it (SA3010).
func (p *parser) typeName() TypeName {
	start := p.start()
	if !nameToken(p.tok()) || !IsBareName(p.tok().text) || p.lost {
		p.expected("a type")
		return TypeName{Span: diag.Span{Start: start, End: start}}
	}
	var text strings.Builder
	text.WriteString(Fold(p.take().Text))
	if p.op("(") {
		open := p.tok()
		open.role = roleCall
		p.next()
		text.WriteByte('(')
		for first := true; first || p.accept(","); first = false {
			if !first {
				text.WriteByte(',')
			}
			if t := p.tok(); t.kind == tokInt || t.kind == tokWord && !t.word {
				text.WriteString(p.next().text)
			} else {
				p.expected("max")
			}
		}
		text.WriteByte(')')
		p.closing(open.span)
	}
	return TypeName{Text: text.String(), Span: p.since(start)}
}
