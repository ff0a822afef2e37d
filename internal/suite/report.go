package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"weir/internal/project"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// How much of a difference is shown.
const (
	maxShownRows    = 10
	maxShownColumns = 8
	maxShownCell    = 40 // terminal cells
	maxShownReasons = 3
)

// Failure is something that a test found wrong.
type Failure struct {
	Place project.Place
	Text  string // several lines, without a line end
}

// String is the place and the text.
func (f Failure) String() string {
	if f.Place.File == "" {
		return f.Text
	}
	return where(f.Place) + "  " + f.Text
}

// title names the stream of an expectation.
func (e *expectation) title() string {
	switch e.kind {
	case stepStream:
		return fmt.Sprintf("step %q", e.name)
	case systemStream:
		return e.name
	}
	return fmt.Sprintf("output %q", e.name)
}

// failure tells a difference.
func (d *difference) failure(day vec.Time) Failure {
	f := Failure{Place: d.e.place}
	for _, p := range d.pairs {
		if p.want != nil && p.want.place.Line > 0 {
			f.Place = p.want.place
			break
		}
	}
	want := len(d.e.rows)
	if !d.e.checkRows {
		want = d.e.count
	}
	head := fmt.Sprintf("%s: %s, %d expected", d.e.title(), count(len(d.got), "row"), want)
	if len(d.got) == want {
		head = fmt.Sprintf("%s: %d of %s differ", d.e.title(), len(d.pairs), count(want, "row"))
		if len(d.pairs) == 1 {
			head = fmt.Sprintf("%s: 1 of %s differs", d.e.title(), count(want, "row"))
		}
	}
	if d.e.exact {
		head += ", in this order"
	}
	f.Text = head
	if table := d.table(day); table != "" {
		f.Text += "\n" + table
	}
	if d.e.checkRows && d.e.count >= 0 && d.e.count != len(d.got) {
		f.Text += fmt.Sprintf("\n%s expected by count", count(d.e.count, "row"))
	}
	return f
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// table draws the rows that differ: "1 ≠ 2" is a 1 where 2 was expected, "-" before a row
// says that it is missing and "+" that nobody expected it.
func (d *difference) table(day vec.Time) string {
	if len(d.pairs) == 0 {
		return ""
	}
	names, more := d.columns()
	lines := [][]string{append([]string{""}, names...)}
	for i, p := range d.pairs {
		if i == maxShownRows {
			break
		}
		mark := ""
		if p.got == nil {
			mark = "-"
		} else if p.want == nil {
			mark = "+"
		}
		line := []string{mark}
		for _, name := range names {
			line = append(line, p.cell(d.e, name, day))
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	writeTable(&b, lines)
	if n := len(d.pairs) - maxShownRows; n > 0 {
		fmt.Fprintf(&b, "  and %s\n", count(n, "more row"))
	}
	if more > 0 {
		fmt.Fprintf(&b, "  and %s that %s equal\n", count(more, "column"), map[bool]string{true: "is", false: "are"}[more == 1])
	}
	return strings.TrimRight(b.String(), "\n")
}

// columns are the names of the columns to show. Where there are too many, those in which all
// rows agree are left out, the last ones first.
func (d *difference) columns() (names []string, more int) {
	differs := map[string]bool{}
	see := func(v testkit.Value) {
		for _, n := range v.Names {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	for _, p := range d.pairs {
		if p.want != nil {
			see(d.e.seen(p.want.Value))
		}
	}
	for _, p := range d.pairs {
		if p.got != nil && (d.e.kind != systemStream || p.want == nil) {
			see(d.e.seen(*p.got))
		}
	}
	for _, name := range names {
		for _, p := range d.pairs {
			differs[name] = differs[name] || p.want != nil && p.got != nil && strings.Contains(p.cell(d.e, name, 0), " ≠ ")
		}
	}
	for i := len(names) - 1; i >= 0 && len(names) > maxShownColumns; i-- {
		if !differs[names[i]] {
			names, more = slices.Delete(names, i, i+1), more+1
		}
	}
	return names, more
}

// cell is a cell of a differing row.
func (p *pair) cell(e *expectation, name string, day vec.Time) string {
	show := func(v testkit.Value, ok bool) string {
		if !ok {
			return "·"
		}
		return shownValue(v, day)
	}
	if p.want == nil {
		return show(p.got.Get(name))
	}
	want, wanted := p.want.Get(name)
	if p.got == nil {
		return show(want, wanted)
	}
	got, ok := p.got.Get(name)
	if wanted == ok && (!ok || equal(want, got)) || e.kind == systemStream && !wanted {
		return show(got, ok)
	}
	return show(got, ok) + " ≠ " + show(want, wanted)
}

// shownValue is a value in a table. A text that looks like something else has quotes.
func shownValue(v testkit.Value, day vec.Time) string {
	s := v.Raw
	if v.Kind == testkit.String {
		s = v.Text
		if t, ok := momentOf(s); ok {
			return shortTime(t, day)
		}
		plain := &node{kind: textNode, text: s, plain: true}
		other, err := testkit.ParseValue([]byte(s))
		if s == "" || s != strings.TrimSpace(s) || err == nil && other.Kind != testkit.Object || plain.value(0).Text != s || strings.ContainsAny(s, "\n\r\t") {
			s = v.Raw
		}
	}
	if displaywidth.String(s) > maxShownCell {
		s = displaywidth.TruncateString(s, maxShownCell, "…")
	}
	return s
}

// writeTable sets lines as columns, the first one without a line behind it.
func writeTable(b *strings.Builder, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, c := range l {
			widths[i] = max(widths[i], displaywidth.String(c))
		}
	}
	for _, l := range lines {
		var line strings.Builder
		line.WriteString("  ")
		for i, c := range l {
			switch {
			case i == 0 && widths[0] == 0:
				continue
			case i == 0:
				line.WriteString(c + strings.Repeat(" ", widths[0]-displaywidth.String(c)+1))
				continue
			case i > 1:
				line.WriteString(" │ ")
			}
			line.WriteString(c + strings.Repeat(" ", widths[i]-displaywidth.String(c)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}
