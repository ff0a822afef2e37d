package project

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"weir/internal/diag"
)

// Limits of what is read. A job is a handful of small files; what is beyond these is no job.
const (
	maxFileBytes  = 8 << 20 // of a file of an Azure project
	maxYAMLBytes  = 256 << 10
	maxYAMLLines  = 10_000   // the time to parse some texts grows with the square of their lines
	maxYAMLKeys   = 64       // of the form "? key", of which that is most true
	maxQueryBytes = 1 << 20  // of a query or a script (saql.md 14.1)
	maxValueBytes = 64 << 10 // of a file that ${file:..} names
	maxDepth      = 64       // of lists and objects within each other
	maxNotes      = 50       // findings that are kept; a wrong file has rarely more to tell
)

// source is a text of the job.
type source struct {
	name string // as messages say it
	path string // as it is opened
	text string
	// masked is the text as carets may show it: secrets are stars.
	masked []byte
	// root and home are the directory of the job file and Options.Home.
	root, home string
}

// find is a path that the text names, from where its relative paths start.
func (s *source) find(path string) string {
	full := filepath.Join(s.dir(), path)
	if s.home == "" {
		return full
	}
	if _, err := os.Stat(full); err == nil {
		return full
	}
	rel, err := filepath.Rel(s.root, full)
	if err != nil {
		return full
	}
	return filepath.Join(s.home, rel)
}

// dir is where the relative paths of the file start.
func (s *source) dir() string { return filepath.Dir(s.path) }

// hide makes the carets show stars in a place.
func (s *source) hide(span diag.Span) {
	if s.masked == nil {
		s.masked = []byte(s.text)
	}
	for i := max(0, span.Start); i < min(span.End, len(s.masked)); i++ {
		if c := s.masked[i]; c != '\n' && c != '\r' {
			s.masked[i] = '*'
		}
	}
}

// shown is the text with its secrets hidden. A masked letter of several bytes is several
// stars, so the places behind it stay where they are, in bytes.
func (s *source) shown() string {
	if s.masked == nil {
		return s.text
	}
	return string(s.masked)
}

// reader reads the files of one job and collects what is to be said about them.
type reader struct {
	o       Options
	root    string // directory of the file that describes the job
	sources []*source
	notes   []Note
	values  []substituted // what came from outside and must not show in messages
	secrets []Place       // of secrets that stand in the files
	// overlaid is the overlay; nil if there is none.
	overlaid *node
}

// substituted is a text that a reference like ${env:NAME} was replaced by.
type substituted struct{ value, written string }

// open reads a file of the job. name is what messages call it.
func (r *reader) open(path, name string, limit int64) (*source, error) {
	// A pipe that nobody writes to must not hold us; one that somebody has open is read.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s is longer than %d KiB", name, limit>>10)
	}
	return r.source(path, name, string(b)), nil
}

// source adds a text that messages may point into.
func (r *reader) source(path, name, text string) *source {
	s := &source{name: name, path: path, text: text, root: r.root, home: r.o.Home}
	r.sources = append(r.sources, s)
	return s
}

// files are the files that were read, absolute, each once.
func (r *reader) files() []string {
	var list []string
	for _, s := range r.sources {
		if abs, err := filepath.Abs(s.path); err == nil && !slices.Contains(list, abs) {
			list = append(list, abs)
		}
	}
	return list
}

// place is where a byte of a source stands.
func (s *source) place(offset int) Place {
	line, col := diag.Position(s.text, offset)
	return Place{File: s.name, Line: line, Col: col}
}

// at is the place of a node.
func (n *node) at() Place { return n.src.place(n.span.Start) }

// say adds a finding.
func (r *reader) say(s *source, span diag.Span, severity diag.Severity, text, hint string) {
	n := Note{Severity: severity, Text: r.discreet(text), Hint: r.discreet(hint), Place: s.place(span.Start)}
	if n.Width = 1; span.End > span.Start && span.End <= len(s.text) {
		line, _, _ := strings.Cut(s.text[span.Start:span.End], "\n")
		n.Width = max(1, utf8.RuneCountInString(strings.TrimRight(line, "\r ")))
	}
	r.notes = append(r.notes, n)
}

// fail adds an error about a node.
func (r *reader) fail(n *node, hint, format string, args ...any) {
	r.say(n.src, n.span, diag.SeverityError, fmt.Sprintf(format, args...), hint)
}

// failKey adds an error about a key of an object.
func (r *reader) failKey(m *member, hint, format string, args ...any) {
	r.say(m.value.src, m.span, diag.SeverityError, fmt.Sprintf(format, args...), hint)
}

// warn adds a warning about a node.
func (r *reader) warn(n *node, hint, format string, args ...any) {
	r.say(n.src, n.span, diag.SeverityWarning, fmt.Sprintf(format, args...), hint)
}

// failFile adds an error about a file as a whole.
func (r *reader) failFile(name, hint, format string, args ...any) {
	r.notes = append(r.notes, Note{Place: Place{File: name}, Text: r.discreet(fmt.Sprintf(format, args...)), Hint: r.discreet(hint)})
}

// discreet takes what came from the environment or from files out of a message.
func (r *reader) discreet(text string) string {
	for _, v := range r.values {
		text = strings.ReplaceAll(text, v.value, v.written)
	}
	return text
}

// failed tells whether an error was found.
func (r *reader) failed() bool {
	return slices.ContainsFunc(r.notes, func(n Note) bool { return n.Severity == diag.SeverityError })
}

// sorted are the findings by file, in the order in which the files were read, and place.
func (r *reader) sorted() []Note {
	order := map[string]int{}
	for i, s := range r.sources {
		if _, ok := order[s.name]; !ok {
			order[s.name] = i + 1
		}
	}
	slices.SortStableFunc(r.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	r.notes = slices.Compact(r.notes)
	return r.notes[:min(len(r.notes), maxNotes)]
}

// problem is what was found, as an error.
func (r *reader) problem() *Problem {
	p := &Problem{Notes: r.sorted(), Source: map[string]string{}}
	texts := r.texts()
	for _, n := range p.Notes {
		if text, ok := texts[n.File]; ok && n.Line > 0 {
			p.Source[n.File] = text
		}
	}
	return p
}

// texts are the texts that findings may point into, by name, with their secrets hidden.
func (r *reader) texts() map[string]string {
	m := map[string]string{}
	for _, s := range r.sources {
		text := s.shown()
		for _, v := range r.values { // a secret may stand in a second place
			text = strings.ReplaceAll(text, v.value, stars(v.value))
		}
		m[s.name] = text
	}
	return m
}

// standing notes a secret that stands in a file. What holds a reference came from outside.
func (r *reader) standing(n *node) {
	if at := n.at(); n.scalar() && n.text != "" && !n.outside && !n.open && !slices.Contains(r.secrets, at) {
		r.secrets = append(r.secrets, at)
	}
}

// secretHeader is the name of a header, and secretQuery a parameter of an address, whose value
// is a secret. The addresses of Azure's functions and logic apps end in code= and sig=.
var (
	secretHeader = regexp.MustCompile(`(?i)auth|cookie|key|pass|pwd|secret|token|credential|signature`)
	secretQuery  = regexp.MustCompile(`(?i)[?&](?:code|sig|[^=&]*(?:key|pass|pwd|secret|token|credential|signature))=[^&#]`)
)

// stars is a text as stars, line by line.
func stars(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c != '\n' && c != '\r' {
			b[i] = '*'
		}
	}
	return string(b)
}

// Error is the findings as text, one a line.
func (p *Problem) Error() string {
	lines := make([]string, len(p.Notes))
	for i, n := range p.Notes {
		lines[i] = n.String()
	}
	return strings.Join(lines, "\n")
}

// Render draws the findings with their lines and carets, an empty line between them.
func (p *Problem) Render(w io.Writer, color bool) { RenderNotes(w, p.Notes, p.Source, color) }

// RenderNotes draws findings. text has the files that they point into, by name.
func RenderNotes(w io.Writer, notes []Note, text map[string]string, color bool) {
	for i, n := range notes {
		if i > 0 {
			io.WriteString(w, "\n")
		}
		src := text[n.File]
		start := diag.Offset(src, n.Line, n.Col)
		text, more, _ := strings.Cut(n.Text, "\n")
		d := &diag.Diagnostic{Severity: n.Severity, Message: text, Hint: n.Hint, Span: diag.Span{Start: start, End: diag.Offset(src, n.Line, n.Col+n.Width)}}
		switch {
		case n.Line == 0 && n.File != "":
			d.Message = n.File + ": " + d.Message
			diag.Render(w, "", "", d, color)
		default:
			diag.Render(w, n.File, src, d, color)
		}
		if more != "" { // lines to write into a file
			io.WriteString(w, "\n    "+strings.ReplaceAll(more, "\n", "\n    ")+"\n")
		}
	}
}

// String is the finding on one line: place, severity, text and hint.
func (n Note) String() string {
	var b strings.Builder
	if n.File != "" {
		b.WriteString(n.File)
		if n.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", n.Line, n.Col)
		}
		b.WriteString(": ")
	}
	b.WriteString(n.Severity.String() + ": " + n.Text)
	if n.Hint != "" {
		b.WriteString("; " + n.Hint)
	}
	return b.String()
}

// reason says in words why a file cannot be read.
func reason(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "it may not be read"
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// nearFile is a hint that names the file beside a missing one that was probably meant.
func nearFile(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return didYouMean(filepath.Base(path), names)
}

// didYouMean is a hint with the nearest of some names, or "" when none is near.
func didYouMean(name string, known []string) string {
	if near, ok := diag.Nearest(name, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}
