package diag

import (
	"strings"
	"unicode/utf8"
)

const byteOrderMark = "\uFEFF"

// Position gives the line and the column of a byte offset, both from 1. LF, CR LF and a
// lone CR end a line each; columns count code points; a leading byte order mark has no
// column (saql.md 1.1).
func Position(src string, offset int) (line, col int) {
	offset = max(0, min(offset, len(src)))
	line = 1
	from := 0
	if strings.HasPrefix(src, byteOrderMark) {
		from = len(byteOrderMark)
	}
	for {
		end, next := lineEnd(src, from)
		if offset < next || next == end {
			return line, 1 + utf8.RuneCountInString(src[from:max(from, min(offset, end))])
		}
		from = next
		line++
	}
}

// Offset is the byte offset of a line and a column, as Position counts them. What is beyond
// the line or the text is its end.
func Offset(src string, line, col int) int {
	at := 0
	if strings.HasPrefix(src, byteOrderMark) {
		at = len(byteOrderMark)
	}
	for ; line > 1; line-- {
		_, next := lineEnd(src, at)
		at = next
	}
	end, _ := lineEnd(src, at)
	for ; col > 1 && at < end; col-- {
		_, n := utf8.DecodeRuneInString(src[at:end])
		at += n
	}
	return at
}

// lineEnd finds the end of the line that holds from, and the start of the next one. On
// the last line both are the end of the text.
func lineEnd(src string, from int) (end, next int) {
	i := strings.IndexAny(src[from:], "\r\n")
	if i < 0 {
		return len(src), len(src)
	}
	end = from + i
	if strings.HasPrefix(src[end:], "\r\n") {
		return end, end + 2
	}
	return end, end + 1
}

// lineStart finds the start of the line that holds offset.
func lineStart(src string, offset int) int {
	if offset > 0 && offset < len(src) && src[offset] == '\n' && src[offset-1] == '\r' {
		offset-- // between CR and LF
	}
	return 1 + strings.LastIndexAny(src[:offset], "\r\n")
}

// JSON is a finding as the command line and the HTTP interface give it to programs
// (saql.md 13.1).
type JSON struct {
	Code      Code       `json:"code"`
	Severity  string     `json:"severity"`
	Message   string     `json:"message"`
	File      string     `json:"file"`
	Line      int        `json:"line"`
	Column    int        `json:"column"`
	EndLine   int        `json:"endLine"`
	EndColumn int        `json:"endColumn"`
	Hint      string     `json:"hint,omitempty"`
	Fix       []JSONEdit `json:"fix,omitempty"`
}

// JSONEdit replaces the text between two places.
type JSONEdit struct {
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"endLine"`
	EndColumn int    `json:"endColumn"`
	Text      string `json:"text"`
}

// AsJSON places a finding in its file.
func AsJSON(file, src string, d *Diagnostic) JSON {
	j := JSON{Code: d.Code, Severity: d.Severity.String(), Message: d.Message, File: file, Hint: d.Hint}
	j.Line, j.Column = Position(src, d.Span.Start)
	j.EndLine, j.EndColumn = Position(src, d.Span.End)
	for _, e := range d.Fix {
		f := JSONEdit{Text: e.Text}
		f.Line, f.Column = Position(src, e.Span.Start)
		f.EndLine, f.EndColumn = Position(src, e.Span.End)
		j.Fix = append(j.Fix, f)
	}
	return j
}

// Apply makes the edits of a fix. Edits do not overlap; their order does not matter.
func Apply(src string, fix []Edit) string {
	edits := sortedEdits(fix)
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.Span.Start < at || e.Span.End < e.Span.Start || e.Span.End > len(src) {
			continue
		}
		b.WriteString(src[at:e.Span.Start])
		b.WriteString(e.Text)
		at = e.Span.End
	}
	b.WriteString(src[at:])
	return b.String()
}
