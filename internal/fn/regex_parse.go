package fn

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The syntax of REGEXMATCH is that of ECMAScript's regular expressions with the flags i
// and s, over code points: the forms of Annex B that browsers take (a lone brace or
// bracket, an escaped letter without meaning) are taken, and so are \u{..} and \p{..} of
// the flag u, because as text nobody wants them.

// regexOp is what a piece of a pattern does.
type regexOp uint8

const (
	reEmpty   regexOp = iota // matches the empty text
	reSet                    // one code point of set
	reConcat                 // subs one after another
	reAlt                    // one of subs, the first that leads to a match
	reRepeat                 // subs[0], min to max times
	reCapture                // subs[0] as group number
	reBackref                // what group number has matched
	reLook                   // subs[0] matches here (behind: up to here); negate: it does not
	reStart                  // ^
	reEnd                    // $
	reWord                   // \b
	reNotWord                // \B
)

// regexNode is a piece of a pattern.
type regexNode struct {
	op       regexOp
	set      *charSet
	subs     []*regexNode
	min, max int // of reRepeat; max is repeatForever for no limit
	lazy     bool
	group    int
	negate   bool
	behind   bool
	// The groups inside a reRepeat: from firstGroup up to, not including, endGroup.
	// They forget their text when an iteration begins.
	firstGroup, endGroup int
}

const repeatForever = math.MaxInt32

// maxRegexDepth bounds the nesting of a pattern, and with it the recursion over it.
const maxRegexDepth = 200

// regexError is why a pattern is invalid.
type regexError struct {
	pos    int // in code points, from 1
	reason string
}

func (e *regexError) Error() string {
	return "at character " + strconv.Itoa(e.pos) + ": " + e.reason
}

type regexParser struct {
	src    string
	pos    int
	depth  int
	groups int            // groups opened so far
	total  int            // groups of the whole pattern
	names  map[string]int // of groups
	err    *regexError
}

// parseRegex parses a pattern. total is the number of its groups.
func parseRegex(src string) (root *regexNode, total int, err *regexError) {
	p := &regexParser{src: src, names: map[string]int{}}
	p.countGroups()
	root = p.alternatives()
	if p.err == nil && p.pos < len(p.src) {
		p.fail("unmatched )") // nothing else ends an alternative
	}
	return root, p.total, p.err
}

// fail records why the pattern is invalid; the first reason counts.
func (p *regexParser) fail(reason string) {
	if p.err == nil {
		p.err = &regexError{utf8.RuneCountInString(p.src[:p.pos]) + 1, reason}
	}
	p.pos = len(p.src) // nothing more is read
}

// countGroups finds the number of groups and their names, which escapes may use before
// the group stands.
func (p *regexParser) countGroups() {
	inClass := false
	for i := 0; i < len(p.src); i++ {
		switch c := p.src[i]; {
		case c == '\\':
			i++
		case inClass:
			inClass = c != ']'
		case c == '[':
			inClass = true
		case c == '(':
			name, named := groupName(p.src[i+1:])
			if named {
				p.total++
				if p.names[name] != 0 {
					p.pos = i
					p.fail("two groups are called " + name)
				}
				p.names[name] = p.total
			} else if !strings.HasPrefix(p.src[i+1:], "?") {
				p.total++
			}
		}
	}
}

// groupName is the name of the group whose text, behind the parenthesis, is s.
func groupName(s string) (string, bool) {
	s, ok := strings.CutPrefix(s, "?<")
	if !ok || s == "" || s[0] == '=' || s[0] == '!' {
		return "", false
	}
	name, _, ok := strings.Cut(s, ">")
	if !ok || name == "" {
		return "", false
	}
	for i, c := range name {
		if c != '_' && c != '$' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c)) {
			return "", false
		}
	}
	return name, true
}

// next takes s if it comes next.
func (p *regexParser) next(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

// rune takes the next code point.
func (p *regexParser) rune() rune {
	c, size := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += size
	return c
}

// peek is the next byte, 0 at the end.
func (p *regexParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// alternatives parses sequences between bars, up to a parenthesis or the end.
func (p *regexParser) alternatives() *regexNode {
	if p.depth++; p.depth > maxRegexDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	n := p.sequence()
	if p.peek() != '|' {
		return n
	}
	alt := &regexNode{op: reAlt, subs: []*regexNode{n}}
	for p.next("|") {
		alt.subs = append(alt.subs, p.sequence())
	}
	return alt
}

func (p *regexParser) sequence() *regexNode {
	n := &regexNode{op: reConcat}
	for p.pos < len(p.src) && p.peek() != '|' && p.peek() != ')' {
		n.subs = append(n.subs, p.term())
	}
	switch len(n.subs) {
	case 0:
		return &regexNode{op: reEmpty}
	case 1:
		return n.subs[0]
	}
	return n
}

// term parses an assertion, or an atom with its quantifier.
func (p *regexParser) term() *regexNode {
	switch {
	case p.next("^"):
		return &regexNode{op: reStart}
	case p.next("$"):
		return &regexNode{op: reEnd}
	case p.next(`\b`):
		return &regexNode{op: reWord}
	case p.next(`\B`):
		return &regexNode{op: reNotWord}
	}
	first := p.groups
	n := p.atom()
	lo, hi, ok := p.quantifier()
	if !ok {
		return n
	}
	if n.op == reLook && n.behind {
		p.fail("nothing to repeat")
	}
	return &regexNode{op: reRepeat, subs: []*regexNode{n}, min: lo, max: hi, lazy: p.next("?"),
		firstGroup: first + 1, endGroup: p.groups + 1}
}

// quantifier takes *, +, ? or braces.
func (p *regexParser) quantifier() (lo, hi int, ok bool) {
	switch {
	case p.next("*"):
		return 0, repeatForever, true
	case p.next("+"):
		return 1, repeatForever, true
	case p.next("?"):
		return 0, 1, true
	}
	lo, hi, n := braces(p.src[p.pos:])
	if n == 0 {
		return 0, 0, false
	}
	if hi < lo {
		p.fail("numbers out of order in {}")
		return 0, 0, false
	}
	p.pos += n
	return lo, hi, true
}

// braces reads {n}, {n,} or {n,m} at the start of s; n is its length, 0 if s starts with
// something else.
func braces(s string) (lo, hi, n int) {
	number := func() (int, bool) {
		start, x := n, 0
		for n < len(s) && s[n]-'0' <= 9 {
			x = min(x*10+int(s[n]-'0'), repeatForever)
			n++
		}
		return x, n > start
	}
	if s == "" || s[0] != '{' {
		return 0, 0, 0
	}
	n = 1
	lo, ok := number()
	if !ok {
		return 0, 0, 0
	}
	hi = lo
	if n < len(s) && s[n] == ',' {
		n++
		if hi, ok = number(); !ok {
			hi = repeatForever
		}
	}
	if n == len(s) || s[n] != '}' {
		return 0, 0, 0
	}
	return lo, hi, n + 1
}

func (p *regexParser) atom() *regexNode {
	start := p.pos
	switch c := p.rune(); c {
	case '(':
		return p.group()
	case '[':
		return &regexNode{op: reSet, set: p.class()}
	case '.':
		return &regexNode{op: reSet, set: anySet}
	case '\\':
		return p.escape()
	case '*', '+', '?':
		p.pos = start
		p.fail("nothing to repeat")
		return &regexNode{op: reEmpty}
	case '{':
		if _, _, n := braces(p.src[start:]); n > 0 {
			p.pos = start
			p.fail("nothing to repeat")
			return &regexNode{op: reEmpty}
		}
		return literalNode(c)
	default:
		return literalNode(c)
	}
}

// literalNode matches a code point and what equals it without case.
func literalNode(c rune) *regexNode {
	r := charRange{c, c}
	return &regexNode{op: reSet, set: newCharSet(addFolds([]charRange{r}, r))}
}

// group parses what stands in parentheses, behind the opening one.
func (p *regexParser) group() *regexNode {
	open := p.pos - 1
	n := &regexNode{}
	name, named := groupName(p.src[p.pos:])
	switch {
	case named:
		p.pos += len("?<>") + len(name)
		fallthrough
	case p.peek() != '?':
		p.groups++
		n.op, n.group = reCapture, p.groups
	case p.next("?:"):
		n.op = reConcat
	case p.next("?="):
		n.op = reLook
	case p.next("?!"):
		n.op, n.negate = reLook, true
	case p.next("?<="):
		n.op, n.behind = reLook, true
	case p.next("?<!"):
		n.op, n.behind, n.negate = reLook, true, true
	default:
		p.fail("invalid group")
	}
	n.subs = []*regexNode{p.alternatives()}
	if !p.next(")") {
		p.pos = open
		p.fail("unclosed group")
	}
	return n
}

// class parses a set in brackets, behind the opening one.
func (p *regexParser) class() *charSet {
	open := p.pos - 1
	negate := p.next("^")
	var ranges []charRange
	for !p.next("]") {
		if p.pos >= len(p.src) {
			p.pos = open
			p.fail("unclosed [")
			return anySet
		}
		lo, set := p.classAtom()
		if p.peek() != '-' || strings.HasPrefix(p.src[p.pos:], "-]") || p.pos+1 >= len(p.src) {
			ranges = addMember(ranges, lo, set)
			continue
		}
		dash := p.pos
		p.pos++
		hi, endSet := p.classAtom()
		if set != nil || endSet != nil { // \d-x is no range: three members
			ranges = addMember(ranges, lo, set)
			ranges = addMember(ranges, '-', nil)
			ranges = addMember(ranges, hi, endSet)
			continue
		}
		if hi < lo {
			p.pos = dash
			p.fail("range out of order")
			return anySet
		}
		r := charRange{lo, hi}
		ranges = addFolds(append(ranges, r), r)
	}
	s := newCharSet(ranges)
	if negate {
		return s.negate()
	}
	return s
}

// addMember adds a code point with its other cases, or a set.
func addMember(ranges []charRange, c rune, set *charSet) []charRange {
	if set != nil {
		return append(ranges, set.ranges...)
	}
	r := charRange{c, c}
	return addFolds(append(ranges, r), r)
}

// classAtom parses a member of a class: a code point, or the set of an escape.
func (p *regexParser) classAtom() (rune, *charSet) {
	c := p.rune()
	if c != '\\' {
		return c, nil
	}
	switch {
	case p.next("b"):
		return '\b', nil
	case p.next("-"):
		return '-', nil
	}
	return p.charEscape()
}
