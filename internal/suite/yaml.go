package suite

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"weir/internal/diag"
	"weir/internal/project"
)

// Limits of test files. Beyond them a file is refused with a message.
const (
	maxTestFileBytes = 8 << 20  // of a test file
	maxDataFileBytes = 64 << 20 // of a file of events or expected rows, unpacked
	maxDepth         = 64       // of lists and objects within each other
	maxFindings      = 20       // that are shown of one file
)

// kind is what a value of a test file is.
type kind uint8

const (
	nullNode kind = iota
	textNode
	numberNode
	boolNode
	listNode
	objectNode
)

func (k kind) String() string {
	return [...]string{"nothing", "a text", "a number", "true or false", "a list", "a mapping"}[k]
}

// node is a value of a YAML text with its place.
type node struct {
	kind kind
	// text is a scalar's content: of a number its JSON form. plain says that it stood without
	// quotes, so that 12:00:11 may be a time.
	text  string
	plain bool
	items []*node
	keys  []key // of an object, in order
	// start and end are byte offsets in the text: of a scalar, all of it with its quotes; of a
	// list or object its first byte, and end is meaningless unless flow is set.
	start, end int
	flow       bool // written in [] or {}
	inFlow     bool // stands within such a value
	block      bool // a text of several lines behind | or >
	dash       int  // offset of the "-" that makes this an item of a block list; else -1
}

// key is a key of an object and its value.
type key struct {
	name  string
	start int
	value *node
}

// get is the value of a key, nil if there is none.
func (n *node) get(name string) *node {
	for i := range n.keys {
		if n.keys[i].name == name {
			return n.keys[i].value
		}
	}
	return nil
}

// textFile is a text that findings point into.
type textFile struct {
	name  string // as messages say it
	path  string
	text  string
	lines []int // offsets of the lines
	notes []project.Note
}

func newTextFile(name, path, text string) *textFile {
	f := &textFile{name: name, path: path, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	return f
}

// readTextFile reads a file of settings or tests.
func readTextFile(path string) (*textFile, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	return newTextFile(path, path, string(b)), nil
}

// place is where a byte stands.
func (f *textFile) place(offset int) project.Place {
	line, col := diag.Position(f.text, offset)
	return project.Place{File: f.name, Line: line, Col: col}
}

// fail adds an error about the text at an offset.
func (f *textFile) fail(offset int, hint, format string, args ...any) {
	f.notes = append(f.notes, project.Note{Place: f.place(offset), Width: f.width(offset), Text: fmt.Sprintf(format, args...), Hint: hint})
}

// width is how much of a line the word or text at an offset takes, in code points.
func (f *textFile) width(offset int) int {
	rest := f.text[min(offset, len(f.text)):]
	if rest == "" {
		return 1
	}
	if rest[0] == '"' || rest[0] == '\'' {
		rest = rest[:f.scalarEnd(&node{start: offset, kind: textNode})-offset]
		rest, _, _ = strings.Cut(rest, "\n")
	} else if end := strings.IndexAny(rest, " ,[]{}\r\n"); end >= 0 {
		rest = strings.TrimSuffix(rest[:end], ":")
	}
	return max(1, utf8.RuneCountInString(rest))
}

// err is what was found, nil if nothing was.
func (f *textFile) err() error {
	if len(f.notes) == 0 {
		return nil
	}
	slices.SortStableFunc(f.notes, func(a, b project.Note) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return &Findings{Notes: f.notes[:min(len(f.notes), maxFindings)], Text: f.text}
}

// Findings are what is wrong in a test file, in the order of places.
type Findings struct {
	Notes []project.Note
	Text  string // of the file, for carets
}

// Error lists the findings, one a line.
func (f *Findings) Error() string {
	var b strings.Builder
	for i, n := range f.Notes {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(where(n.Place) + ": " + n.Text)
		if n.Hint != "" {
			b.WriteString("; " + n.Hint)
		}
	}
	return b.String()
}

// where is a place in words: file:line:col.
func where(p project.Place) string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// parse reads the YAML text of f. nil says that it is wrong; the findings are in f.
func (f *textFile) parse() *node {
	if !utf8.ValidString(f.text) {
		f.notes = append(f.notes, project.Note{Place: project.Place{File: f.name}, Text: "the file is not valid UTF-8", Hint: "save it as UTF-8"})
		return nil
	}
	if at := tooDeep(f.text); at >= 0 {
		f.fail(at, "", "lists and mappings are more than %d deep", maxDepth)
		return nil
	}
	file, err := parseYAML(f.text)
	if err != nil {
		f.syntax(err)
		return nil
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return &node{kind: objectNode, dash: -1}
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		f.fail(f.offset(file.Docs[1].Body.GetToken()), "put the second one into a file of its own", "a test file is one YAML document")
		return nil
	}
	root := f.node(file.Docs[0].Body, 0)
	root.markFlow(false)
	return root
}

// markFlow marks what stands within brackets or braces.
func (n *node) markFlow(in bool) {
	n.inFlow = in
	for _, item := range n.items {
		item.markFlow(in || n.flow)
	}
	for _, k := range n.keys {
		k.value.markFlow(in || n.flow)
	}
}

// parseYAML calls the parser. A panic of it is a fault of the text as far as people are
// concerned.
func parseYAML(text string) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the text is no YAML")
		}
	}()
	// The parser counts a line end of CR LF twice behind comments. Blanks do the same as CR.
	return parser.ParseBytes([]byte(strings.ReplaceAll(text, "\r\n", " \n")), 0)
}

// syntax reports a text that is no YAML.
func (f *textFile) syntax(err error) {
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		f.notes = append(f.notes, project.Note{Place: project.Place{File: f.name}, Text: "the text is no YAML"})
		return
	}
	at := f.offset(e.GetToken())
	line := f.text[strings.LastIndexByte(f.text[:at], '\n')+1:]
	if lead := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(lead, "\t") {
		f.fail(at, "use spaces", "YAML is not indented by tabs")
		return
	}
	f.fail(at, "", "this is no YAML: %s", e.GetMessage())
}

// tooDeep is where a text opens more lists and mappings than a test needs, or -1: the
// parser calls itself for each and must not be asked to.
func tooDeep(text string) int {
	flow, start := 0, 0
	for line := range strings.Lines(text) {
		blocks := 0
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case c == '[' || c == '{':
				flow++
			case (c == ']' || c == '}') && flow > 0:
				flow--
			case (c == '-' || c == '?') && i+1 < len(line) && line[i+1] == ' ':
				blocks++
			}
			if flow > 8*maxDepth || blocks > 8*maxDepth {
				return start + i
			}
		}
		if indent := len(line) - len(strings.TrimLeft(line, " ")); indent > 16*maxDepth && strings.TrimSpace(line) != "" {
			return start + indent
		}
		start += len(line)
	}
	return -1
}

// offset is where a token starts.
func (f *textFile) offset(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 0
	}
	line := min(max(t.Position.Line, 1), len(f.lines))
	at := f.lines[line-1]
	if line == 1 {
		at = len(f.text) - len(strings.TrimPrefix(f.text, "\uFEFF"))
	}
	for n := t.Position.Column; n > 1 && at < len(f.text) && f.text[at] != '\n'; n-- {
		_, size := utf8.DecodeRuneInString(f.text[at:])
		at += size
	}
	return at
}

// node turns a value of the parser into ours.
func (f *textFile) node(n ast.Node, depth int) *node {
	out := &node{start: f.offset(n.GetToken()), dash: -1}
	if depth > maxDepth {
		f.fail(out.start, "", "lists and mappings are more than %d deep", maxDepth)
		return out
	}
	switch n := n.(type) {
	case *ast.NullNode:
		out.plain = true
	case *ast.StringNode:
		f.scalar(out, n)
	case *ast.LiteralNode:
		out.kind, out.text, out.block = textNode, n.Value.Value, true
	case *ast.IntegerNode:
		out.kind, out.plain = numberNode, true
		out.text = integer(n.GetToken().Value)
	case *ast.FloatNode:
		out.kind, out.plain = numberNode, true
		out.text = float(n.GetToken().Value)
	case *ast.BoolNode:
		out.kind, out.plain = boolNode, true
		out.text = strings.ToLower(n.GetToken().Value)
	case *ast.SequenceNode:
		f.list(out, n, depth)
	case *ast.MappingNode:
		if len(n.Values) == 1 && f.joined(out, n.Values[0]) {
			break
		}
		out.kind, out.flow = objectNode, n.IsFlowStyle
		for _, v := range n.Values {
			f.member(out, v, depth)
		}
		if len(out.keys) > 0 && !out.flow {
			out.start = out.keys[0].start
		}
	case *ast.MappingValueNode:
		if f.joined(out, n) {
			break
		}
		out.kind = objectNode
		f.member(out, n, depth)
		if len(out.keys) > 0 {
			out.start = out.keys[0].start
		}
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		f.fail(out.start, "write the value out, or put shared events into a file", "anchors and aliases are not part of test files")
	case *ast.TagNode:
		f.fail(out.start, "leave it out; put a text into quotes", "tags such as !!str are not part of test files")
	default:
		f.fail(out.start, "put a text into quotes", "%q is not part of test files", n.GetToken().Value)
	}
	if out.kind < listNode && !out.block {
		out.end = f.scalarEnd(out)
	}
	return out
}

// joined tells whether a pair is no pair: a plain text such as 12:00:11, whose colon is not
// followed by a blank, is one text, which the parser takes apart in brackets within braces.
func (f *textFile) joined(out *node, v *ast.MappingValueNode) bool {
	at := f.offset(v.Key.GetToken())
	rest := f.text[at:]
	end := strings.IndexAny(rest, ",[]{}\"'\n\r ")
	if end < 0 {
		end = len(rest)
	}
	word := strings.TrimSuffix(rest[:end], ":")
	if word == "" || !strings.Contains(word, ":") {
		return false
	}
	out.kind, out.text, out.plain, out.start = textNode, word, true, at
	return true
}

func (f *textFile) list(out *node, n *ast.SequenceNode, depth int) {
	out.kind, out.flow = listNode, n.IsFlowStyle
	for i, v := range n.Values {
		item := f.node(v, depth+1)
		if !out.flow && i < len(n.Entries) && n.Entries[i].Start != nil {
			item.dash = f.offset(n.Entries[i].Start)
		}
		out.items = append(out.items, item)
	}
}

// scalar reads a text. What stands without quotes and looks like a number of JSON is one:
// the parser takes 1e3 and integers of 20 digits for texts.
func (f *textFile) scalar(out *node, n *ast.StringNode) {
	t := n.GetToken()
	out.kind, out.text = textNode, n.Value
	out.plain = t.Type != token.SingleQuoteType && t.Type != token.DoubleQuoteType
	if out.plain && n.Value != "" && strings.IndexByte("-0123456789", n.Value[0]) >= 0 && json.Valid([]byte(n.Value)) {
		out.kind = numberNode
	}
}

// scalarEnd finds where the text of a scalar ends.
func (f *textFile) scalarEnd(n *node) int {
	rest := f.text[n.start:]
	if rest == "" {
		return n.start
	}
	switch q := rest[0]; q {
	case '"', '\'':
		for i := 1; i < len(rest); i++ {
			switch {
			case q == '"' && rest[i] == '\\':
				i++
			case rest[i] == q && q == '\'' && i+1 < len(rest) && rest[i+1] == q:
				i++
			case rest[i] == q:
				return n.start + i + 1
			}
		}
		return len(f.text)
	}
	if n.kind == nullNode && !strings.HasPrefix(rest, "~") && !strings.HasPrefix(strings.ToLower(rest), "null") {
		return n.start // nothing stands there
	}
	end := len(rest)
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		if c == '\n' || c == '\r' || strings.IndexByte(",]}", c) >= 0 && !strings.Contains(n.text, string(c)) ||
			c == '#' && i > 0 && rest[i-1] == ' ' {
			end = i
			break
		}
	}
	return n.start + len(strings.TrimRight(rest[:end], " \t"))
}

// member adds a key and its value.
func (f *textFile) member(to *node, v *ast.MappingValueNode, depth int) {
	at := f.offset(v.Key.GetToken())
	var name string
	switch k := v.Key.(type) {
	case *ast.StringNode:
		name = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		name = v.Key.GetToken().Value
	case *ast.MergeKeyNode:
		f.fail(at, "write the values out where they are needed", "merges (<<) are not part of test files")
		return
	default:
		f.fail(at, "", "a key is a text on one line")
		return
	}
	for _, k := range to.keys {
		if k.name == name {
			f.fail(at, "", "%q stands here twice; first in line %d", name, f.place(k.start).Line)
			return
		}
	}
	value := f.node(v.Value, depth+1)
	if value.kind == nullNode && value.end == value.start {
		value.start = at
		value.end = at
	}
	to.keys = append(to.keys, key{name, at, value})
}

// integer is an integer of YAML as JSON writes it: 0x1F, 0o17, 1_000, +5.
func integer(s string) string {
	if json.Valid([]byte(s)) {
		return s
	}
	if i, err := strconv.ParseInt(strings.TrimPrefix(s, "+"), 0, 64); err == nil {
		return strconv.FormatInt(i, 10)
	}
	return strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(s, "+"), "_", ""), "0")
}

// float is a decimal number of YAML as JSON writes it: .5, 1., +1.5.
func float(s string) string {
	if json.Valid([]byte(s)) {
		return s
	}
	x, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil {
		return "0"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// failAt adds an error about a place that is known.
func (f *textFile) failAt(p project.Place, hint, format string, args ...any) {
	f.notes = append(f.notes, project.Note{Place: p, Text: fmt.Sprintf(format, args...), Hint: hint})
}
