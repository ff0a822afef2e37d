package fn

import (
	"regexp"
	"strconv"
	"strings"
)

// A pattern without look-around and back-references describes a regular language, and
// the position of its first match depends on nothing else: neither on the order in which
// ways are tried nor on groups. So such a pattern can be handed to Go's regexp, which
// takes time linear in the text, whatever the pattern. It is written there piece by piece from the parsed
// form, sets as explicit ranges, so that no difference of syntax or of case folding can
// come in.

// linearRegex is the pattern for Go's regexp; nil if it is not regular or too large for it.
func linearRegex(root *regexNode) *regexp.Regexp {
	var b strings.Builder
	if !writeLinear(&b, root) {
		return nil
	}
	re, err := regexp.Compile(b.String())
	if err != nil { // such as a count above 1000
		return nil
	}
	return re
}

// writeLinear writes n in Go's syntax; false if it has no form there.
func writeLinear(b *strings.Builder, n *regexNode) bool {
	switch n.op {
	case reEmpty:
		b.WriteString("(?:)")
	case reSet:
		writeSet(b, n.set)
	case reConcat, reCapture:
		b.WriteString("(?:")
		for _, sub := range n.subs {
			if !writeLinear(b, sub) {
				return false
			}
		}
		b.WriteByte(')')
	case reAlt:
		b.WriteString("(?:")
		for i, sub := range n.subs {
			if i > 0 {
				b.WriteByte('|')
			}
			if !writeLinear(b, sub) {
				return false
			}
		}
		b.WriteByte(')')
	case reRepeat:
		b.WriteString("(?:")
		if !writeLinear(b, n.subs[0]) {
			return false
		}
		b.WriteByte(')')
		writeCount(b, n.min, n.max)
	case reStart:
		b.WriteString(`\A`)
	case reEnd:
		b.WriteString(`\z`)
	case reWord:
		b.WriteString(`\b`)
	case reNotWord:
		b.WriteString(`\B`)
	default:
		return false
	}
	return true
}

func writeCount(b *strings.Builder, lo, hi int) {
	switch {
	case lo == 0 && hi == repeatForever:
		b.WriteByte('*')
	case lo == 1 && hi == repeatForever:
		b.WriteByte('+')
	case hi == repeatForever:
		b.WriteString("{" + strconv.Itoa(lo) + ",}")
	default:
		b.WriteString("{" + strconv.Itoa(lo) + "," + strconv.Itoa(hi) + "}")
	}
}

func writeSet(b *strings.Builder, s *charSet) {
	ranges := s.ranges
	b.WriteByte('[')
	if len(ranges) == 0 { // the empty set
		b.WriteByte('^')
		ranges = anySet.ranges
	}
	for _, r := range ranges {
		b.WriteString(`\x{` + strconv.FormatInt(int64(r.lo), 16) + `}-\x{` + strconv.FormatInt(int64(r.hi), 16) + `}`)
	}
	b.WriteByte(']')
}
