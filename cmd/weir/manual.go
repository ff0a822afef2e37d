package main

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/fn"
)

// manualEntry is a function, a window or an expression as the manual has it. All of it
// comes from the one declaration in internal/fn.
type manualEntry struct {
	name   string
	syntax string
	kind   string
	doc    fn.Doc
}

// manualEntries is the whole manual, by name.
func manualEntries() []manualEntry {
	var list []manualEntry
	for _, s := range fn.Scalars() {
		list = append(list, manualEntry{s.Name, s.Signature(), "function", s.Doc})
	}
	for _, a := range fn.Aggs() {
		if a.Name == "COUNT_DISTINCT" {
			continue // what COUNT(DISTINCT e) calls
		}
		list = append(list, manualEntry{a.Name, a.Signature(), "aggregate", a.Doc})
	}
	for _, f := range fn.Forms {
		list = append(list, manualEntry{f.Name, f.Syntax, f.Kind, f.Doc})
	}
	slices.SortFunc(list, func(a, b manualEntry) int {
		return strings.Compare(strings.ToUpper(a.name), strings.ToUpper(b.name))
	})
	return list
}

// otherNames are names of entries that people look for, beside their own.
var otherNames = map[string]string{
	"CROSS APPLY": "APPLY", "OUTER APPLY": "APPLY", "INNER JOIN": "JOIN", "LEFT JOIN": "JOIN", "LEFT OUTER JOIN": "JOIN",
	"CREATE FUNCTION": "UDF", "CREATE AGGREGATE": "UDA", "HAVING": "GROUP BY", "PARTITION BY": "OVER", "WHEN": "OVER",
	"LIMIT DURATION": "OVER", "UNION ALL": "UNION", "REFERENCE": "JOIN", "CREATE": "CREATE TABLE", "TIMESTAMP": "TIMESTAMP BY", "GROUP": "GROUP BY",
}

// lookupManual finds an entry without case; windows have short names too (saql.md 2.5).
func lookupManual(name string) (manualEntry, bool) {
	name = strings.Join(strings.Fields(strings.TrimSuffix(name, "()")), " ")
	list := manualEntries()
	for _, want := range []string{name, name + "Window", otherNames[strings.ToUpper(name)]} {
		for _, e := range list {
			if strings.EqualFold(e.name, want) {
				return e, true
			}
		}
	}
	return manualEntry{}, false
}

// text is the entry for a terminal.
func (e manualEntry) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %s\n\n%s\n", e.syntax, e.kind, e.doc.Summary)
	if len(e.doc.Examples) > 0 {
		b.WriteString("\nExamples:\n")
		e.examples(&b, "  ")
	}
	if s := e.doc.Story; s != nil {
		section := func(title string, lines []string) {
			fmt.Fprintf(&b, "\n%s:\n", title)
			for _, l := range lines {
				b.WriteString("  " + l + "\n")
			}
		}
		section("Example", strings.Split(s.Query, "\n"))
		section("Events", s.Events)
		section("Rows", s.Rows)
	}
	return b.String()
}

// examples writes the calls and their results in two columns.
func (e manualEntry) examples(b *strings.Builder, indent string) {
	width := 0
	for _, x := range e.doc.Examples {
		width = max(width, cellWidth(x.In))
	}
	for _, x := range e.doc.Examples {
		fmt.Fprintf(b, "%s%s%s  %s\n", indent, x.In, strings.Repeat(" ", width-cellWidth(x.In)), x.Want)
	}
}

// markdown is the entry for the page.
func (e manualEntry) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n## %s\n\n%s\n\n```\n%s\n```\n", e.name, e.doc.Summary, e.syntax)
	if len(e.doc.Examples) > 0 {
		b.WriteString("\n```\n")
		e.examples(&b, "")
		b.WriteString("```\n")
	}
	if s := e.doc.Story; s != nil {
		fmt.Fprintf(&b, "\n```sql\n%s\n```\n\nEvents and rows:\n\n```\n%s\n\n%s\n```\n", s.Query, strings.Join(s.Events, "\n"), strings.Join(s.Rows, "\n"))
	}
	return b.String()
}
