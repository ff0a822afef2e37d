package service

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"weir/internal/diag"
	"weir/internal/project"
)

// Finding is something that is wrong with a job, or worth a word, with its place: for people
// and for programs.
type Finding struct {
	Severity  string `json:"severity" enum:"error,warning" doc:"Errors keep a job from running; warnings do not."`
	Code      string `json:"code,omitempty" doc:"The code of a finding about a query, such as SA2002."`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty" doc:"Counts from 1; absent if it is about the whole file."`
	Column    int    `json:"column,omitempty" doc:"Counts from 1, in code points."`
	EndLine   int    `json:"end_line,omitempty"`
	EndColumn int    `json:"end_column,omitempty"`
	Message   string `json:"message"`
	Label     string `json:"label,omitempty" doc:"What stands beside the caret."`
	Hint      string `json:"hint,omitempty" doc:"What to do."`
	Text      string `json:"text,omitempty" doc:"The finding drawn for people, with the lines it is about."`
}

// String is the finding as it is drawn, or in one line if it has not been.
func (f Finding) String() string {
	if f.Text != "" {
		return strings.TrimRight(f.Text, "\n")
	}
	return f.brief()
}

// brief is the finding in one line.
func (f Finding) brief() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", f.Line, max(f.Column, 1))
		}
		b.WriteString(": ")
	}
	b.WriteString(f.Severity + ": " + f.Message)
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// Findings are what is said about a job. They are an error when one of them is.
type Findings []Finding

// Error is the errors among them, one behind the other.
func (l Findings) Error() string {
	var parts []string
	for _, f := range l {
		if f.Severity == diag.SeverityError.String() {
			parts = append(parts, f.String())
		}
	}
	return strings.Join(parts, "\n")
}

// brief is the first error in one line, and how many there are.
func (l Findings) brief() string {
	for _, f := range l {
		if f.Severity == diag.SeverityError.String() {
			text := f.brief()
			if n := l.Errors(); n > 1 {
				text += fmt.Sprintf(" (and %d more)", n-1)
			}
			return text
		}
	}
	return ""
}

// Errors is how many of them are errors.
func (l Findings) Errors() int {
	n := 0
	for _, f := range l {
		if f.Severity == diag.SeverityError.String() {
			n++
		}
	}
	return n
}

// Err is the list as an error, or nil when it holds warnings only.
func (l Findings) Err() error {
	if l.Errors() == 0 {
		return nil
	}
	return l
}

// refuse adds an error at a place.
func (l *Findings) refuse(at project.Place, hint, format string, args ...any) {
	*l = append(*l, Finding{Severity: diag.SeverityError.String(), File: at.File, Line: at.Line, Column: at.Col,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

// noteFinding is a note of the reader of job files; draw draws it.
func noteFinding(n project.Note, draw func(*bytes.Buffer)) Finding {
	f := Finding{Severity: n.Severity.String(), File: n.File, Line: n.Line, Column: n.Col, Message: n.Text, Hint: n.Hint}
	if n.Width > 0 {
		f.EndLine, f.EndColumn = n.Line, n.Col+n.Width
	}
	var b bytes.Buffer
	draw(&b)
	f.Text = b.String()
	return f
}

// queryFindings are findings about a query text.
func queryFindings(file, src string, list diag.List) Findings {
	var out Findings
	for _, d := range list {
		f := Finding{Severity: d.Severity.String(), Code: string(d.Code), File: file, Message: d.Message, Label: d.Text, Hint: d.Hint}
		f.Line, f.Column = diag.Position(src, d.Span.Start)
		f.EndLine, f.EndColumn = diag.Position(src, d.Span.End)
		var b bytes.Buffer
		diag.Render(&b, file, src, d, false)
		f.Text = b.String()
		out = append(out, f)
	}
	return out
}

// loadFindings are the findings in an error of project.Load; other errors become one.
func loadFindings(err error) Findings {
	var p *project.Problem
	if errors.As(err, &p) {
		var l Findings
		for _, n := range p.Notes {
			l = append(l, noteFinding(n, func(b *bytes.Buffer) { project.RenderNotes(b, []project.Note{n}, p.Source, false) }))
		}
		if l.Errors() > 0 {
			return l
		}
	}
	var l Findings
	if errors.As(err, &l) {
		return l
	}
	return Findings{{Severity: diag.SeverityError.String(), Message: err.Error()}}
}
