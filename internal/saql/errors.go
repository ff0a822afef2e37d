package saql

import (
	"strings"
	"unicode/utf8"

	"weir/internal/diag"
)

// found names the current token in a message.
func (p *parser) found() string { return p.shown(p.tok()) }

func (p *parser) shown(t *token) string {
	if t.kind == tokEOF {
		return "the end of the query"
	}
	raw := p.src[t.span.Start:t.span.End]
	if i := strings.IndexAny(raw, "\r\n"); i >= 0 {
		raw = raw[:i] + ".."
	}
	if utf8.RuneCountInString(raw) > 40 {
		raw = string([]rune(raw)[:38]) + ".."
	}
	if t.kind == tokString || t.kind == tokDouble {
		return raw
	}
	return `"` + raw + `"`
}

// expected reports that something else should stand here (SA2101) and gets lost.
func (p *parser) expected(what string) *diag.Diagnostic {
	t := p.tok()
	if t.kind == tokOdd {
		d := p.fail(diag.SA1003, t.span, "unexpected character %s", p.found())
		if t.text == "]" {
			d.Hint = "a name in brackets starts with `[`"
		}
		return d
	}
	if d := p.otherLanguage(); d != nil {
		return d
	}
	d := p.fail(diag.SA2101, t.span, "expected %s, found %s", what, p.found())
	switch {
	case t.is(")") && t.pair < 0:
		d.Hint = "this parenthesis was never opened"
	case t.is("!"):
		d.Hint = "use NOT, or `<>` for unequal"
	case p.hyphen():
		end := p.ahead(1).span.End
		d.Hint = "a name with a hyphen: `[" + p.src[p.prev().span.Start:end] + "]`"
	case p.index():
		d.Hint = p.src[p.prev().span.Start:p.prev().span.End] + " is a name; write GetArrayElement(a, i) for an element, r.name for a property"
	case t.kind == tokDouble && strings.HasPrefix(what, "a text"):
		d.Hint = "write '" + strings.ReplaceAll(t.text, "'", "''") + "'"
		d.Fix = []diag.Edit{{Span: t.span, Text: "'" + strings.ReplaceAll(t.text, "'", "''") + "'"}}
	case t.word && !p.clauseWord() && strings.Contains(what, "name"):
		d.Hint = "a reserved word as a name: `[" + p.src[t.span.Start:t.span.End] + "]`"
	}
	return d
}

// notPart are statements and clauses of other dialects, with what serves instead.
var notPart = map[string]string{
	"insert": "use SELECT .. INTO", "update": "a stream is not updated; use SELECT .. INTO",
	"delete": "filter with WHERE", "merge": "use JOIN",
	"declare": "write the value where it is used, or SELECT it in a step",
	"set":     "write the value where it is used, or SELECT it in a step",
	"drop":    "steps and tables live in this text only", "alter": "steps and tables live in this text only",
	"emit":   "windows give their result when they end",
	"window": "write the window in GROUP BY",
	"limit":  "use TOP, or a window", "offset": "use a window", "fetch": "use TOP, or a window",
	"qualify": "filter in a step after", "except": "use LEFT JOIN and IS NULL",
	"intersect": "use JOIN", "go": "separate statements with `;`",
	"rows": "OVER takes LIMIT DURATION(unit, n)", "range": "OVER takes LIMIT DURATION(unit, n)",
}

// otherLanguage reports words of other dialects at a place where they cannot be names.
// An alias that is such a word is looked at too: FROM t LIMIT 10.
func (p *parser) otherLanguage() *diag.Diagnostic {
	t := p.tok()
	if t.kind != tokWord || notPart[t.text] == "" {
		prev := p.prev()
		follows := t.kind == tokInt || t.kind == tokWord || t.is("(")
		if p.i == 0 || prev.kind != tokWord || prev.role == roleKeyword || notPart[prev.text] == "" || !follows {
			return nil
		}
		t = prev
	}
	shown := strings.ToUpper(t.text)
	if t.text == "limit" {
		if t == p.tok() && p.ahead(1).kind == tokWord {
			return nil // LIMIT DURATION, misspelt
		}
		shown = "LIMIT n"
	}
	d := p.fail(diag.SA2101, t.span, "%s is not part of this language", shown)
	d.Hint = notPart[t.text]
	return d
}

// misspelt reports the current word, or the name before it that was taken as an alias, if
// it is nearly one of the keywords that may stand here.
func (p *parser) misspelt(what string, keywords ...string) bool {
	for _, t := range []*token{p.tok(), p.prev()} {
		if t.kind != tokWord || t.word || t.role == roleKeyword {
			continue
		}
		if near, ok := diag.Nearest(p.src[t.span.Start:t.span.End], keywords); ok {
			d := p.fail(diag.SA2101, t.span, "expected %s, found %s", what, p.shown(t))
			d.Hint = `did you mean "` + near + `"?`
			d.Fix = []diag.Edit{{Span: t.span, Text: near}}
			return true
		}
	}
	return false
}

// foreign reports a statement that starts with something else than SELECT, WITH or CREATE.
func (p *parser) foreign() {
	d := p.expected("SELECT, WITH or CREATE")
	if d.Hint == "" && p.tok().kind == tokWord {
		word := p.src[p.tok().span.Start:p.tok().span.End]
		if near, ok := diag.Nearest(word, []string{"SELECT", "WITH", "CREATE"}); ok {
			d.Hint = `did you mean "` + near + `"?`
			d.Fix = []diag.Edit{{Span: p.tok().span, Text: near}}
		}
	}
}

// trailing reports what stands behind a complete statement.
func (p *parser) trailing() {
	p.expected("the end of the statement")
}

// extraComma reports a comma without an item (SA2102).
func (p *parser) extraComma(comma *token) {
	d := p.note(diag.SA2102, comma.span, "a comma too many")
	d.Hint = "remove it"
	d.Fix = []diag.Edit{{Span: comma.span}}
}

// reservedWord reports a reserved word that is used as a name (SA2103).
func (p *parser) reservedWord(t *token) {
	word := p.src[t.span.Start:t.span.End]
	d := p.note(diag.SA2103, t.span, `"%s" is a reserved word`, word)
	d.Hint = "write [" + word + "]"
	d.Fix = []diag.Edit{{Span: t.span, Text: "[" + word + "]"}}
}

// mistake reports an operator of another language; the parser goes on as if it were ours.
func (p *parser) mistake(use, hint string) {
	t := p.tok()
	d := p.note(diag.SA2101, t.span, "expected %s, found %s", use, p.found())
	d.Hint = hint
	d.Fix = []diag.Edit{{Span: t.span, Text: strings.Trim(use, `"`)}}
	p.next()
}

// hyphen reports whether the current token is a hyphen inside of what looks like a name, such
// as output-blob.
func (p *parser) hyphen() bool {
	t, prev, next := p.tok(), p.prev(), p.ahead(1)
	return t.is("-") && prev.kind == tokWord && !prev.word && next.kind == tokWord &&
		prev.span.End == t.span.Start && t.span.End == next.span.Start
}

// index reports whether the token before the current one is a name in brackets that looks
// like the index of what stands before it: tags[0].
func (p *parser) index() bool {
	if p.i < 2 {
		return false
	}
	prev := p.prev()
	return prev.kind == tokBrack && prev.span.Start == p.toks[p.i-2].span.End && nameToken(&p.toks[p.i-2])
}
