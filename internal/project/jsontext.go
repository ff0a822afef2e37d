package project

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"weir/internal/diag"
)

// json parses a JSON text as tolerantly as Azure's files need (jobmodel.md 2, 3): with a byte
// order mark, comments, raw line breaks and tabs in texts, wrong escapes such as \I in paths,
// commas too many. nil says that it is no JSON even so, and was reported.
func (r *reader) json(s *source) *node {
	p := &jsonParser{s: s, text: s.text}
	p.at = len(p.text) - len(strings.TrimPrefix(p.text, "\ufeff"))
	n := p.value(0)
	if p.space(); p.err == "" && p.at < len(p.text) {
		p.fail("something follows the end of the JSON text")
	}
	if p.err != "" {
		s.hideLikely()
		r.say(s, diag.Span{Start: p.errAt, End: min(p.errAt+1, len(p.text))}, diag.SeverityError, "this is no JSON: "+p.err, "")
		return nil
	}
	return n
}

type jsonParser struct {
	s     *source
	text  string
	at    int
	err   string
	errAt int
}

// fail keeps the first error.
func (p *jsonParser) fail(text string) {
	if p.err == "" {
		p.err, p.errAt = text, p.at
	}
}

// space skips white space and comments.
func (p *jsonParser) space() {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			p.at++
		case strings.HasPrefix(rest, "\u00a0"):
			p.at += len("\u00a0")
		case strings.HasPrefix(rest, "//"):
			i := strings.IndexByte(rest, '\n')
			if i < 0 {
				i = len(rest)
			}
			p.at += i
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest[2:], "*/")
			if i < 0 {
				p.fail("a comment is never closed")
				p.at = len(p.text)
				return
			}
			p.at += i + 4
		default:
			return
		}
	}
}

// peek is the next letter after white space, 0 at the end.
func (p *jsonParser) peek() byte {
	if p.space(); p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *jsonParser) value(depth int) *node {
	c := p.peek()
	n := &node{src: p.s, span: diag.Span{Start: p.at, End: min(p.at+1, len(p.text))}}
	switch {
	case depth > maxDepth:
		p.fail(fmt.Sprintf("lists and objects are more than %d deep", maxDepth))
	case c == 0:
		p.fail("the text ends too early")
	case c == '{':
		n.kind = objectNode
		p.object(n, depth)
	case c == '[':
		n.kind = listNode
		p.list(n, depth)
	case c == '"':
		n.kind = textNode
		n.text = p.string()
		n.span.End = p.at
	default:
		p.word(n)
		n.span.End = p.at
	}
	return n
}

func (p *jsonParser) object(n *node, depth int) {
	p.at++
	for p.err == "" {
		switch p.peek() {
		case '}':
			p.at++
			return
		case ',':
			p.at++
			continue
		case '"':
		default:
			p.fail("a key in double quotes or } must stand here")
			return
		}
		m := member{span: diag.Span{Start: p.at}}
		m.name = p.string()
		m.span.End = p.at
		if p.peek() != ':' {
			p.fail("a colon must stand here")
			return
		}
		p.at++
		m.value = p.value(depth + 1)
		n.members = append(n.members, m)
		if c := p.peek(); c != ',' && c != '}' {
			p.fail("a comma or } must stand here")
		}
	}
}

func (p *jsonParser) list(n *node, depth int) {
	p.at++
	for p.err == "" {
		switch p.peek() {
		case ']':
			p.at++
			return
		case ',':
			p.at++
			continue
		}
		n.items = append(n.items, p.value(depth+1))
		if c := p.peek(); c != ',' && c != ']' {
			p.fail("a comma or ] must stand here")
		}
	}
}

// word reads a number, true, false or null.
func (p *jsonParser) word(n *node) {
	start := p.at
	for p.at < len(p.text) && (p.text[p.at] >= utf8.RuneSelf || strings.IndexByte("+-.", p.text[p.at]) >= 0 || isVariable("_"+p.text[p.at:p.at+1])) {
		p.at++
	}
	n.text = p.text[start:p.at]
	switch n.text {
	case "null":
		n.text = ""
	case "true", "false":
		n.kind = boolNode
	default:
		n.kind = numberNode
		if _, err := strconv.ParseFloat(n.text, 64); err != nil {
			p.at = start
			p.fail("a value must stand here")
		}
	}
}

// jsonEscapes are the letters that a backslash may stand before.
var jsonEscapes = map[byte]string{'"': `"`, '\\': `\`, '/': "/", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t"}

// string reads a text in double quotes. What JSON does not allow in it stands for itself.
func (p *jsonParser) string() string {
	start := p.at
	p.at++
	rest := p.text[p.at:]
	if i := strings.IndexAny(rest, `"\`); i >= 0 && rest[i] == '"' {
		p.at += i + 1
		return strings.ToValidUTF8(rest[:i], "\ufffd")
	}
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == '"':
			p.at++
			return strings.ToValidUTF8(b.String(), "\ufffd")
		case c != '\\' || p.at+1 == len(p.text):
			b.WriteByte(c)
			p.at++
		default:
			p.escape(&b)
		}
	}
	p.at = start
	p.fail("a text is never closed")
	p.at = len(p.text)
	return ""
}

// escape reads what begins with a backslash.
func (p *jsonParser) escape(b *strings.Builder) {
	c := p.text[p.at+1]
	if s, ok := jsonEscapes[c]; ok {
		b.WriteString(s)
		p.at += 2
		return
	}
	r, ok := p.hex(p.at)
	if c != 'u' || !ok {
		b.WriteByte('\\')
		p.at++
		return
	}
	p.at += 6
	if utf16.IsSurrogate(r) && strings.HasPrefix(p.text[p.at:], `\u`) {
		if low, ok := p.hex(p.at); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				r = both
				p.at += 6
			}
		}
	}
	b.WriteRune(r)
}

// hex reads the four digits of \uXXXX.
func (p *jsonParser) hex(at int) (rune, bool) {
	if at+6 > len(p.text) {
		return 0, false
	}
	v, err := strconv.ParseUint(p.text[at+2:at+6], 16, 32)
	return rune(v), err == nil
}
