package project

import (
	"strings"

	"weir/internal/diag"
)

// kind is what a value of a YAML or JSON text is.
type kind uint8

const (
	nullNode kind = iota
	textNode
	numberNode
	boolNode
	listNode
	objectNode
)

var kindNames = [...]string{"nothing", "text", "a number", "true or false", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

// node is a value of a YAML or JSON text with its place. All readers work on it.
type node struct {
	kind kind
	// text is a scalar: the text without quotes, a number or true as it is written.
	text string
	// written is what messages may quote: the text before ${..} was replaced.
	written string
	// outside: part of the text came from the environment or a file.
	outside bool
	// open: a reference or an expression in it has no value. Missing names it.
	open    bool
	missing string
	items   []*node
	members []member
	src     *source
	span    diag.Span
	// block is the line on which a text of several lines (YAML's |) starts; else 0.
	block int
	// indent is by how many columns its lines are set in.
	indent int
}

// member is a key of an object and its value.
type member struct {
	name  string
	span  diag.Span
	value *node
}

// member finds a key of an object exactly.
func (n *node) member(name string) *member {
	if n == nil || n.kind != objectNode {
		return nil
	}
	for i := range n.members {
		if n.members[i].name == name {
			return &n.members[i]
		}
	}
	return nil
}

// get finds the value of a key exactly, nil if there is none.
func (n *node) get(name string) *node {
	if m := n.member(name); m != nil {
		return m.value
	}
	return nil
}

// look finds the value of one of some keys without case: the first that is not null. Azure's
// files write keys in any case.
func (n *node) look(names ...string) *node {
	if n == nil || n.kind != objectNode {
		return nil
	}
	for _, name := range names {
		for i := range n.members {
			if v := n.members[i].value; v.kind != nullNode && strings.EqualFold(n.members[i].name, name) {
				return v
			}
		}
	}
	return nil
}

// path goes down by keys without case.
func (n *node) path(names ...string) *node {
	for _, name := range names {
		n = n.look(name)
	}
	return n
}

// word is the text of a scalar that one of some keys has; "" if there is none.
func (n *node) word(names ...string) string {
	if v := n.look(names...); v.scalar() && !v.open {
		return v.text
	}
	return ""
}

// scalar tells whether a node is one value.
func (n *node) scalar() bool {
	return n != nil && (n.kind == textNode || n.kind == numberNode || n.kind == boolNode)
}

// quoted is a scalar as messages quote it.
func (n *node) quoted() string {
	if n.outside {
		return "the value of " + n.written
	}
	text := n.text
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return `"` + text + `"`
}
