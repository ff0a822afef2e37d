package saql

import (
	"slices"
	"strings"
	"unicode/utf8"

	"weir/internal/diag"
)

const (
	lineWidth = 80
	indent    = 4
)

// Format writes a text in the canonical layout: each clause on a line of its own, the
// items of a long clause too, keywords in upper case, one blank line between statements.
// Names, literals and comments stay as they are, so the text means the same as before.
// Formatting a formatted text changes nothing. A text with errors comes back unchanged.
func Format(src string) (string, diag.List) {
	p := parseTokens(src)
	if errs := p.errs.Sorted(); errs.HasErrors() {
		return src, errs
	}
	f := newFormatter(p)
	f.lay()
	return f.write(), nil
}

// A formatter works on the tokens, not on the tree: what it writes are the same tokens in
// the same order, and comments stand where they stood. First lay decides which tokens
// start a line; then write puts out tokens and comments.
type formatter struct {
	src  string
	toks []token
	gaps [][]remark // comments before each token
	// blank tells for a token behind comments that an empty line stands between.
	blank []bool
	brk   []lineBreak
}

// lineBreak tells how a token starts a line: lines 0 not at all, 1 new line, 2 a blank
// line before it.
type lineBreak struct{ lines, col int }

// remark is a comment with what must be kept of its place.
type remark struct {
	text  string
	line  bool // a -- comment
	own   bool // nothing but white space before it on its line
	blank bool // an empty line before it
}

func newFormatter(p *parser) *formatter {
	f := &formatter{src: p.src, toks: p.toks}
	f.gaps = make([][]remark, len(p.toks))
	f.brk = make([]lineBreak, len(p.toks))
	f.blank = make([]bool, len(p.toks))
	last := len(p.toks) - 1
	i, end := 0, 0
	for _, c := range p.script.Comments {
		for i < last && p.toks[i].span.Start < c.Span.Start {
			end = max(end, p.toks[i].span.End)
			i++
		}
		between := p.src[end:c.Span.Start]
		own := end == 0 || strings.ContainsAny(between, "\r\n")
		r := remark{text: c.Text, line: strings.HasPrefix(c.Text, "--"), own: own, blank: blankLine(between)}
		if r.line {
			r.text = strings.TrimRightFunc(r.text, isSpace)
		}
		f.gaps[i] = append(f.gaps[i], r)
		end = c.Span.End
		f.blank[i] = blankLine(p.src[end:max(end, p.toks[i].span.Start)])
	}
	// A comma goes in front of the comments before it: they belong to the item before.
	for i := range f.toks {
		if t := &f.toks[i]; (t.is(",") || t.is(";")) && i > 0 && len(f.gaps[i]) > 0 {
			f.gaps[i+1] = slices.Concat(f.gaps[i], f.gaps[i+1])
			f.gaps[i] = nil
		}
	}
	return f
}

// blankLine tells whether white space holds an empty line.
func blankLine(space string) bool {
	n := 0
	for space != "" {
		end, next := 0, 0
		if end = strings.IndexAny(space, "\r\n"); end < 0 {
			break
		}
		next = end + 1
		if strings.HasPrefix(space[end:], "\r\n") {
			next++
		}
		n++
		space = space[next:]
	}
	return n > 1
}

// text is a token as it is written.
func (f *formatter) text(i int) string {
	t := &f.toks[i]
	switch {
	case t.role == roleKeyword:
		return strings.ToUpper(t.text)
	case t.kind == tokOp:
		return t.text
	}
	return f.src[t.span.Start:t.span.End]
}

// space tells whether a space stands before token i when it follows the token before it on
// a line.
func (f *formatter) space(i int) bool {
	if i == 0 {
		return false
	}
	a, b := &f.toks[i-1], &f.toks[i]
	switch {
	case b.is(","), b.is(";"), b.is(")"), a.is("("), b.role == roleCall, b.role == roleQuantifier, a.role == roleTight:
		return false
	case b.role == roleTight:
		return a.kind == tokInt // 1.a would be the number 1. and a
	case a.role == roleUnary:
		return b.role == roleUnary && a.text == b.text // two minus signs start a comment
	}
	return true
}

// lay decides the line breaks of all statements.
func (f *formatter) lay() {
	f.block(0, len(f.toks)-1, 0)
}

// block lays out the tokens [from, to): the clauses of one query or statement list, at a
// column.
func (f *formatter) block(from, to, col int) {
	for i := from; i < to; {
		end := f.segmentEnd(i, to)
		f.segment(i, end, col)
		i = end
	}
}

// segmentEnd finds where the clause that starts at i ends. Parentheses are passed over.
func (f *formatter) segmentEnd(i, to int) int {
	for k := i; k < to; k++ {
		t := &f.toks[k]
		if k > i && (t.stmt || t.lay == layClause || t.lay == layJoin || t.lay == layStep) {
			return k
		}
		if t.is("(") && int(t.pair) > k {
			k = int(t.pair)
		}
	}
	return to
}

// segment lays out one clause: tokens [from, to).
func (f *formatter) segment(from, to, col int) {
	first := &f.toks[from]
	f.brk[from] = lineBreak{1, col}
	if first.stmt {
		f.brk[from].lines = 2
	}
	opens := false
	for k := from; k < to; k++ {
		t := &f.toks[k]
		if !t.is("(") || int(t.pair) <= k {
			continue
		}
		end := int(t.pair)
		switch t.lay {
		case layOpen:
			opens = true
			f.block(k+1, end, col+indent)
			f.brk[end] = lineBreak{1, col}
		case layList:
			f.columns(k, end, from, to, col)
		}
		k = end
	}
	if first.lay == layJoin {
		f.join(from, to, col, opens)
		return
	}
	if f.long(from, to, col) {
		f.breakAt(from+1, to, col+indent, layItem)
		f.breakAt(from+1, to, col+indent, layBool)
		f.pieces(from, to, col)
	}
}

// pieces breaks the CASE expressions in those lines of a clause that are still long.
// Queries in parentheses have been laid out already.
func (f *formatter) pieces(from, to, col int) {
	for k := from; k < to; {
		t := &f.toks[k]
		if t.lay == layOpen && int(t.pair) > k {
			k = int(t.pair)
		} else {
			k++
		}
		if k < to && f.brk[k].lines == 0 {
			continue
		}
		if f.long(from, k, col) {
			at := col
			if lay := f.toks[from].lay; lay != layItem && lay != layWhen {
				at += indent // behind WHERE, AND and their like
			}
			f.cases(from, k, at)
		}
		if from = k; k < to {
			col = f.brk[k].col
		}
	}
}

// cases gives each WHEN, ELSE and END a line, for the CASE expressions in the tokens
// [from, to), and for those inside of them where that is not enough.
func (f *formatter) cases(from, to, col int) {
	depth, first := 0, 0
	for k := from; k < to; k++ {
		t := &f.toks[k]
		switch {
		case t.role != roleKeyword:
		case t.text == "case":
			depth++
		case t.lay != layWhen:
		case t.text == "end":
			if depth--; depth == 0 {
				f.brk[k] = lineBreak{1, col}
				f.pieces(first, k, col+indent)
				first = 0
			}
		case depth == 1:
			f.brk[k] = lineBreak{1, col + indent}
			if first == 0 {
				first = k
			}
		}
	}
}

// columns lays out the column list of CREATE TABLE.
func (f *formatter) columns(open, end, from, to, col int) {
	if f.long(from, to, col) {
		f.breakAt(open+1, end, col+indent, layItem)
		f.brk[end] = lineBreak{1, col}
	}
}

// join lays out a join: ON on a line of its own if it is long, and the parts of ON if
// they are.
func (f *formatter) join(from, to, col int, opens bool) {
	if !opens && !f.long(from, to, col) {
		return
	}
	on := f.breakAt(from, to, col+indent, layOn)
	if on >= 0 && f.long(on, to, col+indent) {
		f.breakAt(on, to, col+2*indent, layBool)
	}
}

// breakAt starts a line at every token [from, to) of a layout, outside of parentheses, and
// gives the last one, or -1.
func (f *formatter) breakAt(from, to, col int, lay layout) int {
	last := -1
	for k := from; k < to; k++ {
		t := &f.toks[k]
		if t.lay == lay {
			f.brk[k] = lineBreak{1, col}
			last = k
		}
		if t.is("(") && int(t.pair) > k {
			k = int(t.pair)
		}
	}
	return last
}

// long tells whether tokens [from, to) do not fit on a line from a column, or hold
// something that ends a line. A query in parentheses stands on lines of its own and does
// not count.
func (f *formatter) long(from, to, col int) bool {
	width := col
	for k := from; k < to; k++ {
		if k > from {
			if f.space(k) {
				width++
			}
			for _, r := range f.gaps[k] {
				if r.line || r.own || strings.ContainsAny(r.text, "\r\n") {
					return true
				}
				width += 1 + utf8.RuneCountInString(r.text)
			}
		}
		text := f.text(k)
		if strings.ContainsAny(text, "\r\n") {
			return true
		}
		width += utf8.RuneCountInString(text)
		if width > lineWidth {
			return true
		}
		if t := &f.toks[k]; t.lay == layOpen && int(t.pair) > k {
			k = int(t.pair)
		}
	}
	return false
}
