package project

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// armScope is what the expressions of a template can name (jobmodel.md 3).
type armScope struct {
	parameters map[string]*node // by folded name; nil: it has no value
	variables  map[string]*node
}

// errNoValue says that an expression cannot be worked out from the files alone.
var errNoValue = errors.New("no value")

// evaluate replaces the expressions in all texts below a node by their values. What has no
// value here stays open: it needs an overlay if it turns out to be needed. steps bounds the
// work.
func (s *armScope) evaluate(n *node, steps *int) {
	if *steps--; *steps < 0 {
		n.open = true
		return
	}
	switch n.kind {
	case listNode:
		for _, x := range n.items {
			s.evaluate(x, steps)
		}
	case objectNode:
		for _, m := range n.members {
			s.evaluate(m.value, steps)
		}
	case textNode:
		s.evaluateText(n, steps)
	}
}

// maxSteps bounds the parts of expressions that are worked out for a template.
const maxSteps = 100_000

// maxText bounds what an expression may grow to, in bytes.
const maxText = 1 << 20

func (s *armScope) evaluateText(n *node, steps *int) {
	text := n.text
	if strings.HasPrefix(text, "[[") {
		n.text = text[1:]
		return
	}
	if n.outside || !strings.HasPrefix(text, "[") || !strings.HasSuffix(text, "]") {
		return
	}
	e := &armExpression{text: text[1 : len(text)-1], scope: s, steps: steps}
	v, err := e.whole()
	if err != nil {
		n.open, n.missing = true, text
		return
	}
	n.written = text
	n.kind, n.text, n.items, n.members, n.open, n.outside = v.kind, v.text, v.items, v.members, v.open, v.outside
	if v.outside {
		n.written = v.written
	}
}

// armExpression reads and works out one expression: names, texts, numbers, calls, and what
// follows them with a point or an index.
type armExpression struct {
	text  string
	at    int
	scope *armScope
	steps *int
	depth int
}

func (e *armExpression) whole() (*node, error) {
	v, err := e.term()
	if e.space(); err == nil && e.at < len(e.text) {
		return nil, errNoValue
	}
	return v, err
}

func (e *armExpression) space() {
	for e.at < len(e.text) && strings.IndexByte(" \t\r\n", e.text[e.at]) >= 0 {
		e.at++
	}
}

func (e *armExpression) take(c byte) bool {
	if e.space(); e.at < len(e.text) && e.text[e.at] == c {
		e.at++
		return true
	}
	return false
}

func (e *armExpression) word() string {
	start := e.at
	for e.at < len(e.text) && isVariable("_"+e.text[e.at:e.at+1]) {
		e.at++
	}
	return e.text[start:e.at]
}

func (e *armExpression) term() (*node, error) {
	e.depth++
	defer func() { e.depth-- }()
	if *e.steps--; *e.steps < 0 || e.depth > maxDepth {
		return nil, errNoValue
	}
	e.space()
	if e.at == len(e.text) {
		return nil, errNoValue
	}
	if e.text[e.at] == '\'' {
		return e.quoted()
	}
	word := e.word()
	if n, err := strconv.Atoi(word); err == nil {
		return &node{kind: numberNode, text: strconv.Itoa(n)}, nil
	}
	if word == "" || !e.take('(') {
		return nil, errNoValue
	}
	var args []*node
	for !e.take(')') {
		if len(args) > 0 && !e.take(',') {
			return nil, errNoValue
		}
		a, err := e.term()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
	}
	v, err := e.call(strings.ToLower(word), args)
	if err != nil {
		return nil, err
	}
	return e.follow(v)
}

// quoted reads 'text', in which two quotes are one.
func (e *armExpression) quoted() (*node, error) {
	var b strings.Builder
	for e.at++; e.at < len(e.text); e.at++ {
		c := e.text[e.at]
		if c == '\'' {
			if e.at+1 == len(e.text) || e.text[e.at+1] != '\'' {
				e.at++
				return &node{kind: textNode, text: b.String()}, nil
			}
			e.at++
		}
		b.WriteByte(c)
	}
	return nil, errNoValue
}

// follow goes down by .name and [0] or ['name'].
func (e *armExpression) follow(v *node) (*node, error) {
	for {
		switch {
		case e.take('.'):
			v = v.look(e.word())
		case e.take('['):
			key, err := e.term()
			if err != nil || !e.take(']') {
				return nil, errNoValue
			}
			if i, err := strconv.Atoi(key.text); err == nil && v.kind == listNode {
				if i < 0 || i >= len(v.items) {
					return nil, errNoValue
				}
				v = v.items[i]
			} else {
				v = v.look(key.text)
			}
		default:
			return v, nil
		}
		if v == nil {
			return nil, errNoValue
		}
	}
}

// call works out a function of templates.
func (e *armExpression) call(name string, args []*node) (*node, error) {
	if name == "parameters" || name == "variables" {
		return e.named(name, args)
	}
	if name == "union" || name == "createobject" || name == "createarray" {
		return nil, errNoValue
	}
	out := &node{kind: textNode}
	var texts []string
	for _, a := range args {
		if !a.scalar() || a.open {
			return nil, errNoValue
		}
		texts = append(texts, a.text)
		if a.outside {
			out.outside, out.written = true, a.written
		}
	}
	switch {
	case name == "concat" && len(texts) > 0:
		out.text = strings.Join(texts, "")
	case name == "format" && len(texts) > 0:
		out.text = texts[0]
		for i, t := range texts[1:] {
			out.text = strings.ReplaceAll(out.text, "{"+strconv.Itoa(i)+"}", t)
			if len(out.text) > maxText {
				return nil, errNoValue
			}
		}
	case name == "tolower" && len(texts) == 1:
		out.text = strings.ToLower(texts[0])
	case name == "toupper" && len(texts) == 1:
		out.text = strings.ToUpper(texts[0])
	case name == "trim" && len(texts) == 1:
		out.text = strings.TrimSpace(texts[0])
	case name == "string" && len(texts) == 1:
		out.text = texts[0]
	case name == "int" && len(texts) == 1:
		if _, err := strconv.Atoi(texts[0]); err != nil {
			return nil, errNoValue
		}
		out.kind, out.text = numberNode, texts[0]
	case name == "replace" && len(texts) == 3 && texts[1] != "":
		out.text = strings.ReplaceAll(texts[0], texts[1], texts[2])
	case (name == "true" || name == "false") && len(texts) == 0:
		out.kind, out.text = boolNode, name
	default:
		return nil, fmt.Errorf("%s: %w", name, errNoValue)
	}
	if len(out.text) > maxText {
		return nil, errNoValue
	}
	return out, nil
}

// named gives the value of a parameter or variable. While it is worked out it has none, so
// that two that name each other end.
func (e *armExpression) named(what string, args []*node) (*node, error) {
	if len(args) != 1 || !args[0].scalar() {
		return nil, errNoValue
	}
	values := e.scope.parameters
	if what == "variables" {
		values = e.scope.variables
	}
	key := strings.ToLower(args[0].text)
	v := values[key]
	if v == nil {
		return nil, errNoValue
	}
	if !v.outside {
		copied := v.clone()
		values[key] = nil
		e.scope.evaluate(copied, e.steps)
		values[key] = v
		v = copied
	}
	if v.open && v.kind == textNode {
		return nil, errNoValue
	}
	return v, nil
}

// clone is a copy that can be changed.
func (n *node) clone() *node {
	c := *n
	c.items, c.members = nil, nil
	for _, x := range n.items {
		c.items = append(c.items, x.clone())
	}
	for _, m := range n.members {
		c.members = append(c.members, member{m.name, m.span, m.value.clone()})
	}
	return &c
}
