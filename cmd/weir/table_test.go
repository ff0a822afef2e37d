package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	tab := newTable(&b, []string{"TeamId", "n", "note"})
	for _, r := range [][]string{{"a", "1", "x\ny"}, {"日本語", "200", strings.Repeat("z", 70)}, {"", "", ""}} {
		if err := tab.add(r, []bool{false, true, false}); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("the table did not wait for its rows: %s", b.String())
	}
	if err := tab.end(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("z", 59) + "…"
	edge := strings.Repeat("─", 62)
	gap := strings.Repeat(" ", 57)
	want := "┌────────┬─────┬" + edge + "┐\n" +
		"│ TeamId │   n │ note" + gap[1:] + " │\n" +
		"├────────┼─────┼" + edge + "┤\n" +
		"│ a      │   1 │ x y" + gap + " │\n" +
		"│ 日本語 │ 200 │ " + long + " │\n" +
		"│        │     │    " + gap + " │\n" +
		"└────────┴─────┴" + edge + "┘\n"
	if b.String() != want {
		t.Errorf("the table is\n%swant\n%s", b.String(), want)
	}
}

func TestTableOfManyRows(t *testing.T) {
	var b strings.Builder
	tab := newTable(&b, []string{"i"})
	for i := range 2*tableRows + 1 {
		if err := tab.add([]string{fmt.Sprint(i)}, []bool{true}); err != nil {
			t.Fatal(err)
		}
		if drawn := strings.Count(b.String(), "\n") - 3; drawn > 0 && drawn != i+1 {
			t.Fatalf("%d rows are drawn after row %d", drawn, i)
		}
	}
	if err := tab.end(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "│ 10… │") {
		t.Error("a cell wider than its column is not cut")
	}
}

func TestEmptyTableDrawsNothing(t *testing.T) {
	var b strings.Builder
	if err := newTable(&b, nil).end(); err != nil || b.Len() != 0 {
		t.Errorf("an empty table is %q, error %v", b.String(), err)
	}
}

// The edge of each line is in one place, whatever the texts are made of.
func TestTableOfOddTexts(t *testing.T) {
	f := func(name, first, later string) {
		t.Helper()
		var b strings.Builder
		tab := newTable(&b, []string{name, "n"})
		for i := range tableRows + 1 {
			text := first
			if i == tableRows {
				text = later
			}
			if err := tab.add([]string{text, "1"}, []bool{false, true}); err != nil {
				t.Fatal(err)
			}
		}
		if err := tab.end(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		for _, l := range lines {
			if cellWidth(l) != cellWidth(lines[0]) {
				t.Fatalf("line %q is %d cells wide, the edge %d", l, cellWidth(l), cellWidth(lines[0]))
			}
		}
		if cut := strings.Contains(lines[3], "…"); cut != (cellWidth(printable(first)) > maxCell) {
			t.Errorf("the first row is %q", lines[3])
		}
	}
	f("a", "two\nlines", "x")
	f("a", "x", "two\nlines and\ttabs\x1b[31m")
	f("", "", "a cell under no name")
	f("two\tnames", "", "x")
	f("a", strings.Repeat("\u2764\ufe0f", 70), strings.Repeat("\u2764\ufe0f", 80))
	f("a", "x", strings.Repeat("\U0001F1EF\U0001F1F5", 9))
	f("a", strings.Repeat("\U0001F468\u200D\U0001F469\u200D\U0001F467", 40), "日本")
	f("a", strings.Repeat("e\u0301", 70), "\xff\xfe")
}

func TestCellWidth(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got := cellWidth(s); got != want {
			t.Errorf("%q takes %d cells; want %d", s, got, want)
		}
	}
	f("abc", 3)
	f("日本語", 6)
	f("e\u0301", 1)
	f("ｱ", 1)
	f("😀", 2)
	f("", 0)
}

// A table on a terminal is no wider than it: wide cells are cut, then columns left out.
func TestTableFits(t *testing.T) {
	f := func(width, columns, cell int, want string) {
		t.Helper()
		var b strings.Builder
		row, names, numbers := make([]string, columns), make([]string, columns), make([]bool, columns)
		for i := range row {
			row[i], names[i] = strings.Repeat("x", cell), fmt.Sprint("c", i)
		}
		tab := newTable(&b, names)
		tab.fit = width
		if err := errors.Join(tab.add(row, numbers), tab.end()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		if got := cellWidth(lines[0]); got > width && width > 0 {
			t.Errorf("%d columns are %d wide; there is room for %d", columns, got, width)
		}
		if lines[3] != want {
			t.Errorf("the row is\n%s\nwant\n%s", lines[3], want)
		}
		if left := strings.Contains(b.String(), "has no room for"); left != (strings.Count(want, "│")-1 < columns) {
			t.Errorf("what is left out is told: %v", left)
		}
	}
	x := func(n int) string { return "│ " + strings.Repeat("x", n) + " " }
	f(0, 2, 40, x(40)+x(40)+"│")
	f(87, 2, 40, x(40)+x(40)+"│")
	f(80, 2, 40, "│ "+strings.Repeat("x", 35)+"… │ "+strings.Repeat("x", 35)+"… │")
	f(47, 3, 40, "│ xxxxxxxxxxxxxxxxxxx… │ xxxxxxxxxxxxxxxxxxx… │")
	f(46, 3, 40, "│ xxxxxxxxxxxxxxxxxxx… │")
	f(20, 3, 40, "│ xxxxxxxxxxxxxxx… │")
	f(6, 3, 2, "│ xx │")
	f(5, 3, 2, "│ … │")
}
