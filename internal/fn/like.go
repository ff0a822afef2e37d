package fn

import (
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

// LikePattern is a compiled LIKE pattern (saql.md 3.6): segments with `%` between them.
// Each segment matches a fixed number of code points.
type LikePattern struct {
	never    bool          // an open [ or a trailing escape character: nothing matches
	segments []likeSegment // at least one; a % at an end leaves the first or last empty
}

// likeSegment is what stands between two %.
type likeSegment struct {
	literal string // the text, if there is nothing but literal characters
	items   []likeItem
}

// likeItem matches one code point.
type likeItem struct {
	kind   likeKind
	char   rune
	negate bool
	ranges []runeRange
}

type likeKind uint8

const (
	likeChar likeKind = iota // char
	likeAny                  // any code point
	likeSet                  // one of ranges, or none of them if negate
)

type runeRange struct{ lo, hi rune }

// CompileLike compiles a pattern; escape is the escape character, 0 if there is none.
func CompileLike(pattern string, escape rune) *LikePattern {
	p := &LikePattern{}
	var items []likeItem
	cut := func() {
		p.segments = append(p.segments, newLikeSegment(items))
		items = nil
	}
	rest := []rune(pattern)
	for len(rest) > 0 {
		r := rest[0]
		rest = rest[1:]
		switch {
		case escape != 0 && r == escape:
			if len(rest) == 0 {
				p.never = true
				return p
			}
			items = append(items, likeItem{char: rest[0]})
			rest = rest[1:]
		case r == '%':
			cut()
		case r == '_':
			items = append(items, likeItem{kind: likeAny})
		case r == '[':
			item, n := parseLikeSet(rest, escape)
			if n == 0 {
				p.never = true
				return p
			}
			items = append(items, item)
			rest = rest[n:]
		default:
			items = append(items, likeItem{char: r})
		}
	}
	cut()
	return p
}

// parseLikeSet reads the set after a [ and gives its length with the ], 0 if it is open.
func parseLikeSet(s []rune, escape rune) (item likeItem, n int) {
	item.kind = likeSet
	if n < len(s) && s[n] == '^' {
		item.negate = true
		n++
	}
	// next reads one character of the set.
	next := func() (rune, bool) {
		if n < len(s) && escape != 0 && s[n] == escape {
			n++
		}
		if n >= len(s) {
			return 0, false
		}
		n++
		return s[n-1], true
	}
	for first := true; ; first = false {
		if n < len(s) && s[n] == ']' && !first {
			return item, n + 1
		}
		lo, ok := next()
		if !ok {
			return item, 0
		}
		hi := lo
		if n+1 < len(s) && s[n] == '-' && s[n+1] != ']' {
			n++
			if hi, ok = next(); !ok {
				return item, 0
			}
		}
		item.ranges = append(item.ranges, runeRange{lo, hi})
	}
}

func newLikeSegment(items []likeItem) likeSegment {
	seg := likeSegment{items: items}
	var b strings.Builder
	for _, it := range items {
		if it.kind != likeChar {
			return seg
		}
		b.WriteRune(it.char)
	}
	seg.literal = b.String()
	return seg
}

// plain reports whether the segment is its literal.
func (seg *likeSegment) plain() bool { return len(seg.literal) > 0 || len(seg.items) == 0 }

func (it *likeItem) match(r rune) bool {
	switch it.kind {
	case likeChar:
		return r == it.char
	case likeAny:
		return true
	}
	for _, x := range it.ranges {
		if x.lo <= r && r <= x.hi {
			return !it.negate
		}
	}
	return it.negate
}

// prefix is the length of the start of s that the segment matches, -1 if it does not.
func (seg *likeSegment) prefix(s string) int {
	if seg.plain() {
		if strings.HasPrefix(s, seg.literal) {
			return len(seg.literal)
		}
		return -1
	}
	at := 0
	for i := range seg.items {
		if at >= len(s) {
			return -1
		}
		r, size := rune(s[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[at:])
		}
		if !seg.items[i].match(r) {
			return -1
		}
		at += size
	}
	return at
}

// find is where the segment first matches in s and where that match ends, or -1.
func (seg *likeSegment) find(s string) (start, end int) {
	if seg.plain() {
		if start = strings.Index(s, seg.literal); start < 0 {
			return -1, -1
		}
		return start, start + len(seg.literal)
	}
	for at := 0; at < len(s); {
		if n := seg.prefix(s[at:]); n >= 0 {
			return at, at + n
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return -1, -1
}

// suffix is where the match of the segment with the end of s starts, -1 if there is none.
func (seg *likeSegment) suffix(s string) int {
	if seg.plain() {
		if strings.HasSuffix(s, seg.literal) {
			return len(s) - len(seg.literal)
		}
		return -1
	}
	at := len(s)
	for range seg.items {
		if at == 0 {
			return -1
		}
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	if seg.prefix(s[at:]) != len(s)-at {
		return -1
	}
	return at
}

// Match reports whether the whole of s matches.
func (p *LikePattern) Match(s string) bool { return p.match(s) >= 0 }

// Find is the position of the first match in s in code points from 1, 0 if there is none:
// PATINDEX (saql.md 7.4). A match starts behind what a % at the start of the pattern
// takes.
func (p *LikePattern) Find(s string) int {
	at := p.match(s)
	if at < 0 {
		return 0
	}
	return utf8.RuneCountInString(s[:at]) + 1
}

// Test sets out to x LIKE p, row by row; x holds texts and NULLs. cache belongs to this
// predicate and pattern; nil is none.
func (p *LikePattern) Test(out []Truth, x *vec.Vec, cache *DictCache, n int) {
	var truth []Truth
	if cache != nil && x.Dict != nil {
		truth = cache.of(x.Dict, func(s string) Truth { return truthOf(p.Match(s)) })
		if x.Tag == nil {
			lookUp(out[:n], truth, x.Code)
			return
		}
	}
	for i := range out[:n] {
		switch {
		case x.KindAt(i) != vec.String:
			out[i] = Unknown
		case truth != nil:
			out[i] = truth[x.Code[i]]
		default:
			out[i] = truthOf(p.Match(x.StrAt(i)))
		}
	}
}

// match gives the byte offset at which the match of s starts, behind leading %, or -1.
// Taking each segment where it matches first leaves the most room for the others.
func (p *LikePattern) match(s string) int {
	if p.never {
		return -1
	}
	segs := p.segments
	end := segs[0].prefix(s)
	if end < 0 {
		return -1
	}
	if len(segs) == 1 {
		if end < len(s) {
			return -1
		}
		return 0
	}
	start := -1
	if len(segs[0].items) > 0 {
		start = 0
	}
	for i := 1; i < len(segs)-1; i++ {
		if len(segs[i].items) == 0 {
			continue
		}
		a, b := segs[i].find(s[end:])
		if a < 0 {
			return -1
		}
		if start < 0 {
			start = end + a
		}
		end += b
	}
	last := &segs[len(segs)-1]
	a := last.suffix(s[end:])
	if a < 0 {
		return -1
	}
	if start < 0 {
		if len(last.items) == 0 {
			return 0 // nothing but %: it matches from the first character
		}
		start = end + a
	}
	return start
}
