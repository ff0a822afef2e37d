package saql

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"weir/internal/diag"
)

const (
	maxText = 1 << 20 // bytes of a query text (saql.md 14.1)
	maxName = 1024    // code points of a name (saql.md 1.3)
)

// lexer cuts a text into tokens (saql.md section 1). It never fails: what is wrong is
// reported and replaced by what was probably meant.
type lexer struct {
	src      string
	pos      int
	toks     []token
	comments []Comment
	errs     diag.List
	// tail is the place of a text or comment that runs to the end for want of its
	// closing mark, or -1. Syntax errors behind it tell nothing.
	tail int
	// barren is an offset before which no "]" follows any more.
	barren int
}

// lex cuts src. The last token is tokEOF.
func lex(src string) *lexer {
	l := &lexer{src: src, tail: -1}
	if l.admit() {
		l.toks = make([]token, 0, 8+len(src)/6)
		for l.space(); l.pos < len(src); l.space() {
			l.next()
		}
		l.pairs()
	}
	// The end stands right behind the last token: that is where something is missing.
	end := 0
	if n := len(l.toks); n > 0 {
		end = l.toks[n-1].span.End
	}
	l.toks = append(l.toks, token{kind: tokEOF, pair: -1, span: diag.Span{Start: end, End: end}})
	return l
}

// admit checks the text as a whole.
func (l *lexer) admit() bool {
	if len(l.src) > maxText {
		l.fail(diag.SA2101, 0, 0, "the query is too long: at most 1 MiB").Hint = "move steps to a job of their own"
		return false
	}
	for i, r := range l.src {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(l.src[i:]); n == 1 {
				l.fail(diag.SA1001, i, i+1, "the query is not valid UTF-8").Hint = "save the file as UTF-8"
				return false
			}
		}
	}
	return true
}

// fail reports an error at [start, end).
func (l *lexer) fail(code diag.Code, start, end int, format string, args ...any) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: code, Span: diag.Span{Start: start, End: end}, Message: fmt.Sprintf(format, args...)}
	if len(l.errs) < maxReported {
		l.errs = append(l.errs, d)
	}
	return d
}

// pairs finds the partner of each parenthesis.
func (l *lexer) pairs() {
	var open []int32
	for i := range l.toks {
		t := &l.toks[i]
		t.pair = -1
		switch {
		case t.is("("):
			open = append(open, int32(i))
		case t.is(")") && len(open) > 0:
			t.pair = open[len(open)-1]
			l.toks[t.pair].pair = int32(i)
			open = open[:len(open)-1]
		}
	}
}

// is tells whether the token is the operator or mark op.
func (t *token) is(op string) bool { return t.kind == tokOp && t.text == op }

// rune is the code point at the position, or -1 at the end.
func (l *lexer) rune() (rune, int) {
	if l.pos >= len(l.src) {
		return -1, 0
	}
	return utf8.DecodeRuneInString(l.src[l.pos:])
}

func (l *lexer) peek(prefix string) bool { return strings.HasPrefix(l.src[l.pos:], prefix) }

// push adds a token from start to the position.
func (l *lexer) push(kind tokenKind, start int, text string) *token {
	l.toks = append(l.toks, token{kind: kind, text: text, span: diag.Span{Start: start, End: l.pos}})
	return &l.toks[len(l.toks)-1]
}

// space skips white space and keeps comments.
func (l *lexer) space() {
	for {
		r, n := l.rune()
		switch {
		case isSpace(r):
			l.pos += n
		case l.peek("--"):
			start := l.pos
			if i := strings.IndexAny(l.src[start:], "\r\n"); i >= 0 {
				l.pos += i
			} else {
				l.pos = len(l.src)
			}
			l.comment(start)
		case l.peek("/*"):
			l.block()
		default:
			return
		}
	}
}

func (l *lexer) comment(start int) {
	l.comments = append(l.comments, Comment{l.src[start:l.pos], diag.Span{Start: start, End: l.pos}})
}

// block reads a block comment. They nest (saql.md 1.1).
func (l *lexer) block() {
	start, depth := l.pos, 0
	for l.pos < len(l.src) {
		switch {
		case l.peek("/*"):
			depth++
			l.pos += 2
		case l.peek("*/"):
			depth--
			l.pos += 2
		default:
			l.pos++
		}
		if depth == 0 {
			l.comment(start)
			return
		}
	}
	l.unclosed("comment", "*/", start, start+2)
	l.tail = start
}

// unclosed reports a text without its end. The caret is at the opening.
func (l *lexer) unclosed(what, end string, start, stop int) {
	d := l.fail(diag.SA1002, start, stop, "unclosed %s: no %s follows", what, end)
	d.Text = "opened here"
	d.Hint = "add `" + end + "`"
}

// next reads one token.
func (l *lexer) next() {
	start := l.pos
	r, n := l.rune()
	switch {
	case r == 'N' || r == 'n':
		if l.peek("N'") || l.peek("n'") {
			l.pos++
			l.quoted(start, tokString, '\'', "string")
			return
		}
		l.bare()
	case isNameStart(r):
		l.bare()
	case r == '\'':
		l.quoted(start, tokString, '\'', "string")
	case r == '"':
		l.quoted(start, tokDouble, '"', "name")
	case r == '[':
		l.quoted(start, tokBrack, ']', "name")
	case '0' <= r && r <= '9', r == '.' && n < len(l.src)-l.pos && isDigit(l.src[l.pos+1]):
		l.number()
	case l.operator():
	default:
		l.strange(r, n)
	}
}

// bare reads a name or reserved word.
func (l *lexer) bare() {
	start := l.pos
	for {
		r, n := l.rune()
		if !isNamePart(r) {
			break
		}
		l.pos += n
	}
	t := l.push(tokWord, start, Fold(l.src[start:l.pos]))
	t.word = reserved[t.text]
	l.nameLength(start, l.src[start:l.pos])
}

func (l *lexer) nameLength(start int, name string) {
	if n := utf8.RuneCountInString(name); n > maxName {
		l.fail(diag.SA2101, start, l.pos, "the name is too long: %d characters, at most %d", n, maxName)
	}
}

// quoted reads a string or a quoted name, from an opening mark to close; close twice
// stands for itself.
func (l *lexer) quoted(start int, kind tokenKind, close byte, what string) {
	l.pos++
	from := l.pos
	for l.pos < len(l.src) && !(kind == tokBrack && l.pos < l.barren) {
		c := l.src[l.pos]
		if c == close {
			l.pos++
			if l.pos < len(l.src) && l.src[l.pos] == close {
				l.pos++
				continue
			}
			l.quotedToken(start, kind, close, l.src[from:l.pos-1])
			return
		}
		if kind == tokBrack && (c == '\n' || c == '\r') {
			break
		}
		l.pos++
	}
	l.unclosed(what, string(close), start, from)
	if kind == tokBrack {
		l.barren = max(l.barren, l.pos)
	}
	l.pos = from
	if kind == tokString {
		l.tail = start
		l.pos = len(l.src)
		l.push(tokString, start, l.src[from:])
		return
	}
	// A name: take the word behind the mark and go on there.
	for r, n := l.rune(); isNamePart(r); r, n = l.rune() {
		l.pos += n
	}
	name := l.src[from:l.pos]
	if name == "" {
		name = "?"
	}
	l.push(kind, start, name)
}

func (l *lexer) quotedToken(start int, kind tokenKind, close byte, content string) {
	text := strings.ReplaceAll(content, string(close)+string(close), string(close))
	l.push(kind, start, text)
	switch {
	case kind == tokBrack && text == "":
		l.fail(diag.SA2101, start, l.pos, "expected a name, found []")
	case kind == tokBrack:
		l.nameLength(start, text)
	}
}

// operators, longest first within a first character. Two-character ones may have white
// space inside (saql.md 1.1).
var compound = map[string]bool{"<>": true, "!=": true, ">=": true, "<=": true, "!<": true, "!>": true}

// mistaken are operators of other languages; the parser reports them.
var mistaken = []string{"==", "=>", "=<", "&&", "||"}

// operator reads an operator or mark.
func (l *lexer) operator() bool {
	start := l.pos
	c := l.src[l.pos]
	for _, m := range mistaken {
		if l.peek(m) {
			l.pos += len(m)
			l.push(tokOp, start, m)
			return true
		}
	}
	switch c {
	case '<', '>', '!':
		l.pos++
		after := l.pos
		for r, n := l.rune(); isSpace(r); r, n = l.rune() {
			l.pos += n
		}
		if l.pos < len(l.src) && compound[string(c)+l.src[l.pos:l.pos+1]] {
			l.pos++
			l.push(tokOp, start, string(c)+l.src[l.pos-1:l.pos])
			return true
		}
		l.pos = after
	case '+', '-', '*', '/', '%', '&', '|', '^', '~', '=', '(', ')', ',', ';', '.':
		l.pos++
	case '?', '{', '}', '$', ':', '\\', ']':
		l.pos++
		l.push(tokOdd, start, string(c))
		return true
	default:
		return false
	}
	l.push(tokOp, start, string(c))
	return true
}
