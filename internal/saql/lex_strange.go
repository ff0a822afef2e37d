package saql

import (
	"fmt"
	"strings"
	"unicode"

	"weir/internal/diag"
)

// lookalikes are characters that text processors and web pages put in the place of
// ours.
var lookalikes = map[rune]string{
	'−': "-", '–': "-", '‐': "-", '‑': "-", '×': "*", '÷': "/", '⁄': "/",
	'≠': "<>", '≤': "<=", '≥': ">=", '、': ",", '。': ".", '；': ";",
}

// typographic are quotes as text processors write them; each may open and close.
const typographic = "‘’‚‛´＇“”„‟＂"

// strange reports a character that is no part of the language (SA1003) and goes on
// with the one that was probably meant.
func (l *lexer) strange(r rune, n int) {
	start := l.pos
	switch {
	case strings.ContainsRune(typographic, r):
		l.wrongQuote(r, n, typographic, tokString, "'", "'", "use `'`")
		return
	case r == '`':
		l.wrongQuote(r, n, "`", tokBrack, "[", "]", "use `[name]`")
		return
	}
	l.pos += n
	d := l.fail(diag.SA1003, start, l.pos, "unexpected character %s", runeText(r))
	meant, ok := lookalikes[r]
	if !ok && '！' <= r && r <= '～' { // full width
		meant = string(r - '！' + '!')
	}
	if meant == "" {
		return
	}
	d.Hint = "use `" + meant + "`"
	d.Fix = []diag.Edit{{Span: d.Span, Text: meant}}
	l.push(tokOp, start, meant)
}

// wrongQuote takes the text up to a closing mark on the same line as the string or name
// that was meant.
func (l *lexer) wrongQuote(r rune, n int, closers string, kind tokenKind, open, close, hint string) {
	start := l.pos
	l.pos += n
	d := l.fail(diag.SA1003, start, l.pos, "unexpected character %s", runeText(r))
	d.Hint = hint
	rest := l.src[l.pos:]
	i := strings.IndexAny(rest, closers+"\r\n")
	if i < 0 || rest[i] == '\r' || rest[i] == '\n' {
		return
	}
	from := l.pos
	l.pos += i
	_, n = l.rune()
	d.Fix = []diag.Edit{{Span: d.Span, Text: open}, {Span: diag.Span{Start: l.pos, End: l.pos + n}, Text: close}}
	l.pos += n
	if i == 0 && kind == tokBrack {
		return
	}
	l.push(kind, start, l.src[from:from+i])
}

// runeText names a character: itself in quotes, or its number if it cannot be seen.
func runeText(r rune) string {
	if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
		return `"` + string(r) + `"`
	}
	return fmt.Sprintf("U+%04X", r)
}
