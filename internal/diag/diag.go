// Package diag is what we tell people about their text: places, codes, texts, hints
// and fixes, and how they are drawn (saql.md section 13).
package diag

// Span is a half-open range of byte offsets in a source text.
type Span struct{ Start, End int }

// To is the span from the start of s to the end of t.
func (s Span) To(t Span) Span { return Span{s.Start, t.End} }

// Severity of a diagnostic.
type Severity uint8

// The severities.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// Edit replaces the text of Span by Text.
type Edit struct {
	Span Span
	Text string
}

// Label marks a related place with a few words.
type Label struct {
	Span Span
	Text string
}

// Diagnostic is one finding. Message is a sentence in lower case without a final
// point, names in double quotes as the user wrote them. Text is what stands beside
// the caret. Hint is an action. Fix, if set, repairs the text.
type Diagnostic struct {
	Code     Code
	Severity Severity
	Span     Span
	Message  string
	Text     string
	Hint     string
	Related  []Label
	Fix      []Edit
}

// Error makes a *Diagnostic usable as an error: "error[SA2002]: message".
func (d *Diagnostic) Error() string {
	return d.Severity.String() + "[" + string(d.Code) + "]: " + d.Message
}

// String is "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// Code names a diagnostic, such as SA2002 or W1003. The codes and their meanings are
// listed in codes.go.
type Code string
