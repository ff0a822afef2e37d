package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// When a table stops waiting for more rows and fixes the widths of its columns.
const (
	tableRows = 500
	tableWait = 300 * time.Millisecond
)

// A cell wider than maxCell terminal cells is cut. Where a table is wider than the terminal,
// its cells are cut down to minCell, which leaves a time its seconds, and then columns are
// left out.
const (
	maxCell = 60
	minCell = 20
)

// table draws rows for a person. It holds the first rows back, for a moment, to see how
// wide they are; later rows are cut to the widths that were found.
type table struct {
	w      io.Writer
	names  []string
	rows   [][]string
	right  []bool // the column holds numbers
	widths []int  // set once the header has been drawn
	since  time.Time
	title  string
	fit    int // how wide the table may be; 0: as wide as it gets
	shown  int // how many columns fit
}

func newTable(w io.Writer, names []string) *table {
	t := &table{w: w, names: names, right: make([]bool, len(names))}
	for i := range t.right {
		t.right[i] = true
	}
	return t
}

// add takes a row of as many cells as there are names. numbers tells which are numbers or
// empty; a column with anything else is set flush left.
func (t *table) add(cells []string, numbers []bool) error {
	if t.widths == nil {
		for i, n := range numbers {
			t.right[i] = t.right[i] && n
		}
	}
	if len(t.rows) == 0 {
		t.since = time.Now()
	}
	t.rows = append(t.rows, cells)
	if len(t.rows) >= tableRows || t.widths != nil || time.Since(t.since) > tableWait {
		return t.flush()
	}
	return nil
}

// flush draws what is there, under the header if it is the first time.
func (t *table) flush() error {
	var b strings.Builder
	if t.widths == nil && len(t.names) > 0 {
		t.measure()
		if t.title != "" {
			fmt.Fprintf(&b, "%s\n", t.title)
		}
		t.rule(&b, "┌", "┬", "┐")
		t.line(&b, t.names)
		t.rule(&b, "├", "┼", "┤")
	}
	for _, r := range t.rows {
		t.line(&b, r)
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(t.w, b.String())
	return err
}

// end draws the last rows and the lower edge.
func (t *table) end() error {
	if t.widths == nil && len(t.rows) == 0 {
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	var b strings.Builder
	t.rule(&b, "└", "┴", "┘")
	if more := len(t.names) - t.shown; more > 0 {
		fmt.Fprintf(&b, "and %s that the terminal has no room for; a pipe gets all of them: | cat\n", plural(int64(more), "column"))
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

func (t *table) measure() {
	t.widths = make([]int, len(t.names))
	for i, n := range t.names {
		t.widths[i] = min(max(cellWidth(printable(n)), 1), maxCell)
		for _, r := range t.rows {
			t.widths[i] = max(t.widths[i], min(cellWidth(printable(r[i])), maxCell))
		}
	}
	t.shown = len(t.names)
	if t.fit > 0 {
		t.narrow()
	}
}

// narrow cuts wide cells, and then leaves columns out at the right, until the table fits.
func (t *table) narrow() {
	total := func(most, columns int) int {
		sum := 1
		for _, w := range t.widths[:columns] {
			sum += min(w, most) + 3 // a blank on both sides, and a line
		}
		return sum
	}
	most := maxCell
	for most > minCell && total(most, t.shown) > t.fit {
		most--
	}
	for t.shown > 1 && total(most, t.shown) > t.fit {
		t.shown--
	}
	if t.shown == 1 {
		most = max(min(most, t.fit-4), 1)
	}
	for i, w := range t.widths {
		t.widths[i] = min(w, most)
	}
	t.widths = t.widths[:t.shown]
}

func (t *table) rule(b *strings.Builder, left, middle, right string) {
	for i, w := range t.widths {
		if i == 0 {
			b.WriteString(left)
		} else {
			b.WriteString(middle)
		}
		b.WriteString(strings.Repeat("─", w+2))
	}
	b.WriteString(right + "\n")
}

func (t *table) line(b *strings.Builder, cells []string) {
	for i, w := range t.widths {
		cell := fitCell(cells[i], w)
		pad := strings.Repeat(" ", max(w-cellWidth(cell), 0))
		if t.right[i] {
			fmt.Fprintf(b, "│ %s%s ", pad, cell)
		} else {
			fmt.Fprintf(b, "│ %s%s ", cell, pad)
		}
	}
	b.WriteString("│\n")
}

// fitCell makes s fit into w cells: control characters become blanks, and what is too
// long ends in "…". It never cuts a character with its marks, such as an emoji of several
// code points, in two.
func fitCell(s string, w int) string {
	return displaywidth.TruncateString(printable(s), w, "…")
}

// printable is s with blanks in place of control characters.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// cellWidth is how many cells of a terminal s takes.
func cellWidth(s string) int { return displaywidth.String(s) }
