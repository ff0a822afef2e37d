package diag

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

const (
	tabWidth = 4
	// maxShown is how many columns of a line are drawn: of a longer one the part around
	// the caret, with an ellipsis where it was cut.
	maxShown = 240
	ellipsis = "…"
)

// The colours of a terminal.
const (
	plain  = "\x1b[0m"
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	blue   = "\x1b[1;34m"
)

// Render draws one finding with its lines of the text (saql.md 13.1). Carets stand under
// the span, up to the end of its first line; dashes under the related places. A finding
// with neither file nor text is its first line and its hint.
func Render(w io.Writer, file, src string, d *Diagnostic, color bool) {
	r := drawing{color: color}
	r.draw(file, src, d)
	io.WriteString(w, r.String())
}

// Render draws all findings with an empty line between them.
func (l List) Render(w io.Writer, file, src string, color bool) {
	for i, d := range l {
		if i > 0 {
			io.WriteString(w, "\n")
		}
		Render(w, file, src, d, color)
	}
}

// drawing is the text of a finding as it grows.
type drawing struct {
	strings.Builder
	color  bool
	accent string // colour of the severity
	digits int    // of the greatest line number
}

// mark is a span of one line, in columns from 0.
type mark struct {
	line, from, to int
	primary        bool
	text           string
}

// paint writes a text in a colour.
func (r *drawing) paint(color, text string) {
	if r.color && text != "" {
		text = color + text + plain
	}
	r.WriteString(text)
}

func (r *drawing) draw(file, src string, d *Diagnostic) {
	r.accent = red
	if d.Severity == SeverityWarning {
		r.accent = yellow
	}
	head := d.Severity.String()
	if d.Code != "" {
		head += "[" + string(d.Code) + "]"
	}
	r.paint(r.accent, head)
	r.paint(bold, ": "+clean(d.Message))
	r.WriteByte('\n')
	r.digits = 1
	if file != "" || src != "" {
		r.place(file, src, d)
	}
	if d.Hint != "" {
		if file != "" || src != "" {
			r.gutter("")
			r.WriteByte('\n')
		}
		r.WriteString(strings.Repeat(" ", r.digits+2))
		r.paint(blue, "=")
		r.WriteString(" hint: " + clean(d.Hint) + "\n")
	}
}

// place writes where the finding is, and the lines with its marks.
func (r *drawing) place(file, src string, d *Diagnostic) {
	lines := map[int]string{}
	marks := []mark{newMark(src, d.Span, lines)}
	marks[0].primary = true
	marks[0].text = d.Text
	for _, l := range d.Related {
		m := newMark(src, l.Span, lines)
		m.text = l.Text
		marks = append(marks, m)
	}
	last := 0
	for n := range lines {
		last = max(last, n)
	}
	r.digits = len(strconv.Itoa(last))
	line, col := Position(src, d.Span.Start)
	r.WriteString(strings.Repeat(" ", r.digits+1))
	r.paint(blue, "-->")
	fmt.Fprintf(r, " %s:%d:%d\n", clean(file), line, col)
	r.gutter("")
	r.WriteByte('\n')
	slices.SortStableFunc(marks, func(a, b mark) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.from, b.from))
	})
	before := 0
	for len(marks) > 0 {
		n := 1
		for n < len(marks) && marks[n].line == marks[0].line {
			n++
		}
		if before > 0 && marks[0].line > before+1 {
			r.paint(blue, "...")
			r.WriteByte('\n')
		}
		before = marks[0].line
		r.marked(lines[before], marks[:n])
		marks = marks[n:]
	}
}

// gutter writes the left edge, with a line number or without.
func (r *drawing) gutter(number string) {
	r.paint(blue, fmt.Sprintf(" %*s |", r.digits, number))
}

// marked writes a line and its marks. The text of the rightmost mark stands beside it,
// the others below, under their marks.
func (r *drawing) marked(line string, marks []mark) {
	line, marks = cut(line, marks)
	r.gutter(strconv.Itoa(marks[0].line))
	r.row(line)
	at := 0
	r.gutter("")
	for _, m := range marks {
		if m.from < at {
			m.from = at
		}
		if m.to <= m.from && at > 0 {
			continue
		}
		if at == 0 {
			r.WriteByte(' ')
		}
		r.WriteString(strings.Repeat(" ", m.from-at))
		r.mark(m, strings.Repeat(m.sign(), m.to-m.from))
		at = m.to
	}
	if last := marks[len(marks)-1]; last.text != "" {
		r.WriteByte(' ')
		r.mark(last, clean(last.text))
	}
	r.WriteByte('\n')
	for _, m := range slices.Backward(marks[:len(marks)-1]) {
		if m.text == "" {
			continue
		}
		r.gutter("")
		r.WriteString(strings.Repeat(" ", m.from+1))
		r.mark(m, clean(m.text))
		r.WriteByte('\n')
	}
}

// cut shortens a long line to the part around its most important mark, and moves the marks.
// Marks outside of the part go.
func cut(line string, marks []mark) (string, []mark) {
	if len(line) <= maxShown || displaywidth.String(line) <= maxShown {
		return line, marks
	}
	main := marks[0]
	for _, m := range marks {
		if m.primary {
			main = m
		}
	}
	lo := max(0, main.from-maxShown/3)
	hi := lo + maxShown
	var b strings.Builder
	if lo > 0 {
		b.WriteString(ellipsis)
	}
	first, at := -1, 0 // the column where the part begins, and the current one
	whole := true      // the part goes on to the end of the line
	for g := displaywidth.StringGraphemes(line); g.Next(); at += g.Width() {
		if at+g.Width() > hi {
			b.WriteString(ellipsis)
			whole = false
			break
		}
		if at >= lo {
			if first < 0 {
				first = at
			}
			b.WriteString(g.Value())
		}
	}
	if lo > 0 {
		first--
	}
	if whole {
		at++ // a mark may stand behind the last character
	}
	var kept []mark
	for _, m := range marks {
		if m.from >= lo && m.from < at {
			m.from, m.to = m.from-first, min(m.to, at)-first
			kept = append(kept, m)
		}
	}
	return b.String(), kept
}

// row writes a line of the text behind its gutter.
func (r *drawing) row(line string) {
	if line = strings.TrimRight(line, " "); line != "" {
		r.WriteString(" " + line)
	}
	r.WriteByte('\n')
}

func (m mark) sign() string {
	if m.primary {
		return "^"
	}
	return "-"
}

func (r *drawing) mark(m mark, text string) {
	if m.primary {
		r.paint(r.accent, text)
		return
	}
	r.paint(blue, text)
}

// newMark places a span and keeps its line as it is shown. It is at least one column wide.
func newMark(src string, span Span, lines map[int]string) mark {
	start := max(0, min(span.Start, len(src)))
	stop := max(start, min(span.End, len(src)))
	line, _ := Position(src, start)
	from := lineStart(src, start)
	if from == 0 && strings.HasPrefix(src, byteOrderMark) {
		from = len(byteOrderMark)
	}
	end, _ := lineEnd(src, from)
	start = max(from, min(start, end))
	stop = max(start, min(stop, end))
	m := mark{line: line, from: displaywidth.String(shown(src[from:start]))}
	m.to = displaywidth.String(shown(src[from:stop]))
	if m.to <= m.from {
		m.to = m.from + 1
	}
	lines[line] = shown(src[from:end])
	return m
}

// shown is the start of a line as it is printed: tabs as spaces, and a replacement for
// what would disturb the terminal.
func shown(s string) string {
	if !strings.ContainsFunc(s, disturbs) {
		return s
	}
	var b strings.Builder
	column := 0
	for s != "" {
		i := strings.IndexFunc(s, disturbs)
		if i < 0 {
			i = len(s)
		}
		b.WriteString(s[:i])
		column += displaywidth.String(s[:i])
		s = s[i:]
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case n == 0:
		case r == '\t':
			n := tabWidth - column%tabWidth
			b.WriteString(strings.Repeat(" ", n))
			column += n
		default:
			b.WriteString("\uFFFD")
			column++
		}
		s = s[n:]
	}
	return b.String()
}

// disturbs tells whether a character moves the cursor or turns the direction of text.
func disturbs(r rune) bool {
	return unicode.IsControl(r) || '\u202A' <= r && r <= '\u202E' || '\u2066' <= r && r <= '\u2069' ||
		r == '\u2028' || r == '\u2029' || r == '\uFFFD'
}

// clean makes a text of ours that quotes the user safe to print on one line.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if disturbs(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

func sortedEdits(fix []Edit) []Edit {
	return slices.SortedStableFunc(slices.Values(fix), func(a, b Edit) int { return cmp.Compare(a.Span.Start, b.Span.Start) })
}
