package diag

import (
	"cmp"
	"slices"
	"strings"
)

// MaxErrors is the number of errors that are reported for one text (saql.md 13.1).
const MaxErrors = 20

// List is the findings about one text. It is an error when it holds errors.
type List []*Diagnostic

// Error joins the findings, one a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, d := range l {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// HasErrors tells whether the list holds more than warnings.
func (l List) HasErrors() bool {
	return slices.ContainsFunc(l, func(d *Diagnostic) bool { return d.Severity == SeverityError })
}

// Err is the list as an error, or nil when it holds no error.
func (l List) Err() error {
	if !l.HasErrors() {
		return nil
	}
	return l
}

// Sorted is a new list in the order of the text, without findings that repeat code,
// place and message, and cut after MaxErrors errors. Warnings are not counted, but
// those behind the last error kept go with what is cut.
func (l List) Sorted() List {
	s := slices.Clone(l)
	slices.SortStableFunc(s, func(a, b *Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Span.Start, b.Span.Start), cmp.Compare(a.Severity, b.Severity),
			cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message))
	})
	s = slices.CompactFunc(s, func(a, b *Diagnostic) bool {
		return a.Code == b.Code && a.Span.Start == b.Span.Start && a.Message == b.Message
	})
	errors := 0
	for i, d := range s {
		if d.Severity != SeverityError {
			continue
		}
		if errors++; errors > MaxErrors {
			return s[:i]
		}
	}
	return s
}
