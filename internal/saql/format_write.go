package saql

import "strings"

// write puts out the tokens and comments as laid out.
func (f *formatter) write() string {
	w := &layoutWriter{}
	for i := range f.toks {
		f.token(w, i)
	}
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
	return w.String()
}

// layoutWriter is the text so far.
type layoutWriter struct {
	strings.Builder
	col int // indentation of the current line
}

// line starts a line, behind an empty one if lines is 2.
func (w *layoutWriter) line(lines, col int) {
	w.col = col
	if w.Len() > 0 {
		w.WriteString(strings.Repeat("\n", lines))
		w.WriteString(strings.Repeat(" ", col))
	}
}

// token writes the comments before token i, then the token.
func (f *formatter) token(w *layoutWriter, i int) {
	brk := f.brk[i]
	if brk.lines == 0 {
		brk.col = w.col + indent
	}
	if f.toks[i].kind == tokEOF {
		brk.col = 0
	}
	must, own := f.remarks(w, i, brk)
	switch {
	case f.toks[i].kind == tokEOF:
		return
	case own:
		lines := 1
		if brk.lines == 2 && f.blank[i] {
			lines = 2
		}
		w.line(lines, brk.col)
	case brk.lines > 0:
		w.line(brk.lines, brk.col)
	case must:
		w.line(1, brk.col)
	case f.space(i), len(f.gaps[i]) > 0 && !f.toks[i].is(")"):
		w.WriteByte(' ')
	}
	w.WriteString(f.text(i))
}

// remarks writes the comments before token i. A comment that had a line of its own gets
// one; others stay on the line of the token before. must tells that a new line has to
// follow, own that the last line holds nothing but comments.
func (f *formatter) remarks(w *layoutWriter, i int, brk lineBreak) (must, own bool) {
	col := brk.col
	if f.toks[i].is(")") && brk.lines > 0 {
		col += indent // they belong to what is closed
	}
	for n, r := range f.gaps[i] {
		switch {
		case r.own || must:
			lines := 1
			if r.blank || brk.lines == 2 && !own {
				lines = 2
			}
			w.line(lines, col)
			own = true
		case n > 0 || !f.toks[i-1].is("("):
			w.WriteByte(' ')
		}
		w.WriteString(r.text)
		must = must || r.line
	}
	return must, own
}
