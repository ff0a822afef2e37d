package project

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"weir/internal/diag"
)

// yaml parses a YAML text. nil says that it is wrong, and was reported. Of YAML we take what
// a settings file needs: anchors, aliases, merges, tags and several documents are refused,
// so that what a line says is all that it means.
func (r *reader) yaml(s *source) *node {
	y := &yamlReader{r: r, s: s}
	s.text = strings.TrimPrefix(s.text, "\ufeff")
	// The parser counts lines by \n only, and \r twice after comments.
	s.text = strings.ReplaceAll(s.text, "\r\n", "\n")
	if !utf8.ValidString(s.text) {
		r.failFile(s.name, "save it as UTF-8", "the file is not valid UTF-8")
		return nil
	}
	if at, what := tooMuch(s.text); what != "" {
		r.say(s, diag.Span{Start: at, End: at + 1}, diag.SeverityError, what, "")
		return nil
	}
	y.lines = lineOffsets(s.text)
	file, err := parseYAML(s.text)
	if err != nil {
		y.syntax(err)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			r.say(s, y.token(d.Body.GetToken()), diag.SeverityError, "a job file is one document", "put the second one into a file of its own")
			return nil
		}
		body = d.Body
	}
	if body == nil {
		return &node{kind: objectNode, src: s}
	}
	return y.node(body, 0)
}

// parseYAML calls the parser. A panic of it is a fault of the text as far as the user is
// concerned.
func parseYAML(text string) (file *ast.File, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the text is no YAML")
		}
	}()
	return parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
}

type yamlReader struct {
	r     *reader
	s     *source
	lines []int // offsets of the lines
}

func lineOffsets(text string) []int {
	list := []int{0}
	for i := range len(text) {
		if text[i] == '\n' {
			list = append(list, i+1)
		}
	}
	return list
}

// tooMuch finds where a text has more lines, keys or lists within each other than a settings
// file has, so that the parser, which calls itself, is not asked to. what is "" if it has not.
func tooMuch(text string) (at int, what string) {
	tooDeep := fmt.Sprintf("lists and objects are more than %d deep", maxDepth)
	flow, lines, keys := 0, 0, 0
	for start := 0; start < len(text); {
		line, _, _ := strings.Cut(text[start:], "\n")
		if lines++; lines > maxYAMLLines {
			return start, fmt.Sprintf("a job file has at most %d lines", maxYAMLLines)
		}
		if strings.HasPrefix(strings.TrimLeft(line, " "), "?") {
			if keys++; keys > maxYAMLKeys {
				return start, "a key is a text on one line, without ?"
			}
		}
		blocks := 0
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case c == '[' || c == '{':
				flow++
			case (c == ']' || c == '}') && flow > 0:
				flow--
			case (c == '-' || c == '?' || c == ':') && (i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t'):
				blocks++
			}
			if flow > maxDepth || blocks > maxDepth {
				return start + i, tooDeep
			}
		}
		if indent := len(line) - len(strings.TrimLeft(line, " ")); indent > 16*maxDepth && strings.TrimSpace(line) != "" {
			return start + indent, tooDeep
		}
		if strings.TrimSpace(line) == "" || line[0] != ' ' {
			flow = min(flow, maxDepth/2) // a bracket in a text may have been counted
		}
		start += len(line) + 1
	}
	return 0, ""
}

// syntax reports a text that is no YAML.
func (y *yamlReader) syntax(err error) {
	y.s.hideLikely()
	var e yaml.Error
	if !errors.As(err, &e) || e.GetToken() == nil {
		y.r.failFile(y.s.name, "", "the text is no YAML")
		return
	}
	span := y.token(e.GetToken())
	text, hint := "this is no YAML: "+e.GetMessage(), ""
	if line := y.lineOf(span.Start); strings.Contains(leading(line), "\t") {
		text, hint = "YAML is not indented by tabs", "use spaces"
		span.End = span.Start + 1
	}
	if strings.ContainsAny(e.GetMessage(), "\"`:") {
		text = "this is no YAML" // the message may repeat part of the file, which may be a secret
	}
	y.r.say(y.s, span, diag.SeverityError, text, hint)
}

// leading is the white space that a line starts with.
func leading(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

func (y *yamlReader) lineOf(offset int) string {
	start := strings.LastIndexByte(y.s.text[:offset], '\n') + 1
	line, _, _ := strings.Cut(y.s.text[start:], "\n")
	return line
}

// token is where a token stands.
func (y *yamlReader) token(t *token.Token) diag.Span {
	if t == nil || t.Position == nil {
		return diag.Span{}
	}
	line := min(max(t.Position.Line, 1), len(y.lines))
	at := y.lines[line-1]
	for n := t.Position.Column; n > 1 && at < len(y.s.text) && y.s.text[at] != '\n'; n-- {
		_, size := utf8.DecodeRuneInString(y.s.text[at:])
		at += size
	}
	text, _, _ := strings.Cut(strings.TrimLeft(t.Origin, " \t\r\n"), "\n")
	if text = strings.TrimRight(text, " \t\r"); text == "" || !strings.HasPrefix(y.s.text[at:], text) {
		return diag.Span{Start: at, End: min(at+1, len(y.s.text))}
	}
	return diag.Span{Start: at, End: at + len(text)}
}

// node turns a value of the parser into ours. nil says that it is refused, and was reported.
func (y *yamlReader) node(n ast.Node, depth int) *node {
	if n == nil {
		return &node{src: y.s}
	}
	out := &node{src: y.s, span: y.token(n.GetToken())}
	if depth > maxDepth {
		y.r.fail(out, "", "lists and objects are more than %d deep", maxDepth)
		return nil
	}
	switch n := n.(type) {
	case *ast.NullNode:
		return out
	case *ast.StringNode:
		out.kind, out.text = textNode, n.Value
	case *ast.LiteralNode:
		out.kind, out.text = textNode, n.Value.Value
		if line := n.Start.Position.Line; n.Start.Type == token.LiteralType && line < len(y.lines) {
			out.block = line + 1
			out.indent = y.indent(line)
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = numberNode, n.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.text = boolNode, n.GetToken().Value
	case *ast.SequenceNode:
		out.kind = listNode
		for _, v := range n.Values {
			if item := y.node(v, depth+1); item != nil {
				out.items = append(out.items, item)
			}
		}
	case *ast.MappingNode:
		out.kind = objectNode
		for _, v := range n.Values {
			y.member(out, v, depth)
		}
		if len(out.members) > 0 {
			out.span = out.members[0].span
		}
	case *ast.MappingValueNode:
		out.kind = objectNode
		y.member(out, n, depth)
	case *ast.AnchorNode:
		y.r.fail(out, "write the value out where it is needed", "anchors and aliases are not part of job files")
		return y.node(n.Value, depth+1)
	case *ast.AliasNode:
		y.r.fail(out, "write the value out where it is needed", "anchors and aliases are not part of job files")
	case *ast.TagNode:
		y.r.fail(out, "leave it out; put a text into quotes", "tags such as !!str are not part of job files")
		return y.node(n.Value, depth+1)
	default:
		y.r.fail(out, "", "this is not part of job files")
		return nil
	}
	return out
}

// indent is the indentation of the first line of a block that has text.
func (y *yamlReader) indent(line int) int {
	for _, at := range y.lines[line:] {
		if text, _, _ := strings.Cut(y.s.text[at:], "\n"); strings.TrimSpace(text) != "" {
			return len(leading(text))
		}
	}
	return 0
}

// member adds a key and its value. A key that stands twice is reported.
func (y *yamlReader) member(to *node, v *ast.MappingValueNode, depth int) {
	key := &node{src: y.s, span: y.token(v.Key.GetToken())}
	switch k := v.Key.(type) {
	case *ast.StringNode:
		key.text = k.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		key.text = v.Key.GetToken().Value
	case *ast.MergeKeyNode:
		y.r.fail(key, "write the values out where they are needed", "merges (<<) are not part of job files")
		return
	default:
		y.r.fail(key, "", "a key is a text on one line")
		return
	}
	if first := to.member(key.text); first != nil {
		line, _ := diag.Position(y.s.text, first.span.Start)
		y.r.fail(key, "", "%q stands here twice; first in line %d", key.text, line)
		return
	}
	value := y.node(v.Value, depth+1)
	if value == nil {
		return
	}
	if value.kind == nullNode {
		value.span = key.span
	}
	to.members = append(to.members, member{key.text, key.span, value})
}

// likelySecret is a line whose value may be a secret, in a text that cannot be parsed.
var likelySecret = regexp.MustCompile(`(?im)(?:pass\w*|pwd|secret|token|key|dsn|connection\w*|credential\w*|sig)["']?\s*[:=]\s*(.+)$|://([^/\s]+@)`)

// hideLikely hides from carets what may be a secret.
func (s *source) hideLikely() {
	for _, m := range likelySecret.FindAllStringSubmatchIndex(s.text, -1) {
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				s.hide(diag.Span{Start: m[g], End: m[g+1]})
			}
		}
	}
}
