package plan

import (
	"slices"
	"strings"

	"weir/internal/diag"
	"weir/internal/saql"
)

// report gathers the findings of a compilation. A muted report forgets what it is told:
// it serves to compile a text a second time.
type report struct {
	list   []*diag.Diagnostic
	failed int // errors in list
	muted  int
	// names are the errors about names, with what they are about.
	names map[*diag.Diagnostic]wrongName
}

// wrongName is a name that means nothing in a block, in lower case, and what it was
// looked for in. It is told once, where it stands first (saql.md 13.1).
type wrongName struct {
	b        *block
	in, name string
}

// failName adds an error about a name of a block.
func (b *block) failName(code diag.Code, n saql.Name, in, message, hint string) *diag.Diagnostic {
	c := b.c
	d := c.fail(code, n.Span, message, hint)
	if c.names == nil {
		c.names = map[*diag.Diagnostic]wrongName{}
	}
	c.names[d] = wrongName{b, in, saql.Fold(n.Text)}
	return d
}

// fail adds an error and gives it back, so that the caller can add labels or a fix.
func (r *report) fail(code diag.Code, at diag.Span, message, hint string) *diag.Diagnostic {
	return r.add(&diag.Diagnostic{Code: code, Span: at, Message: message, Hint: hint})
}

// warn adds a warning.
func (r *report) warn(code diag.Code, at diag.Span, message, hint string) *diag.Diagnostic {
	return r.add(&diag.Diagnostic{Code: code, Severity: diag.SeverityWarning, Span: at, Message: message, Hint: hint})
}

func (r *report) add(d *diag.Diagnostic) *diag.Diagnostic {
	if r.muted > 0 {
		return d
	}
	r.list = append(r.list, d)
	if d.Severity == diag.SeverityError {
		r.failed++
	}
	return d
}

// errors is the number of errors so far.
func (r *report) errors() int { return r.failed }

// result is the findings as they are shown.
func (r *report) result() diag.List {
	told := map[wrongName]bool{}
	return slices.DeleteFunc(diag.List(r.list).Sorted(), func(d *diag.Diagnostic) bool {
		n, ok := r.names[d]
		again := ok && told[n]
		told[n] = told[n] || ok
		return again
	})
}

// quote puts a name in double quotes, as messages show names.
func quote(name string) string { return `"` + name + `"` }

// sameName compares names without case.
func sameName(a, b string) bool { return strings.EqualFold(a, b) }

// someNames lists names for a hint: the first few, and dots if there are more.
func someNames(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", .."
	}
	return strings.Join(names, ", ")
}
