package fn

import (
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"
)

// charSet is a set of code points: sorted ranges that neither touch nor overlap, and
// for ASCII a bit each.
type charSet struct {
	ranges []charRange
	ascii  [2]uint64
}

// charRange is the code points from lo to hi, both included.
type charRange struct{ lo, hi rune }

// newCharSet is the union of ranges.
func newCharSet(ranges []charRange) *charSet {
	slices.SortFunc(ranges, func(a, b charRange) int { return int(a.lo) - int(b.lo) })
	s := &charSet{}
	for _, r := range ranges {
		if n := len(s.ranges); n > 0 && r.lo <= s.ranges[n-1].hi+1 {
			s.ranges[n-1].hi = max(s.ranges[n-1].hi, r.hi)
			continue
		}
		s.ranges = append(s.ranges, r)
	}
	for _, r := range s.ranges {
		for c := r.lo; c <= r.hi && c < utf8.RuneSelf; c++ {
			s.ascii[c>>6] |= 1 << (c & 63)
		}
	}
	return s
}

func (s *charSet) has(c rune) bool {
	if c < utf8.RuneSelf {
		return s.ascii[c>>6]>>(c&63)&1 != 0
	}
	i := sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].hi >= c })
	return i < len(s.ranges) && s.ranges[i].lo <= c
}

// all reports whether s is every code point.
func (s *charSet) all() bool {
	return len(s.ranges) == 1 && s.ranges[0] == charRange{0, unicode.MaxRune}
}

// negate is the code points that are not in s.
func (s *charSet) negate() *charSet {
	var out []charRange
	next := rune(0)
	for _, r := range s.ranges {
		if r.lo > next {
			out = append(out, charRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, charRange{next, unicode.MaxRune})
	}
	return newCharSet(out)
}

// The code points between which letters with another case lie.
const (
	minFold = 'A'
	maxFold = 0x1e943
)

// addFolds appends to ranges what equals a code point of r without case.
func addFolds(ranges []charRange, r charRange) []charRange {
	for c := max(r.lo, minFold); c <= min(r.hi, maxFold); c++ {
		for f := foldNext(c); f != c; f = foldNext(f) {
			if f < r.lo || f > r.hi {
				ranges = append(ranges, charRange{f, f})
			}
		}
	}
	return ranges
}

// foldNext is the next code point that equals c without case; following it leads back to
// c. Comparison is by simple folding, but as in ECMAScript a code point of ASCII equals
// none outside: so \w, \b and [a-z] mean ASCII.
func foldNext(c rune) rune {
	for f := unicode.SimpleFold(c); ; f = unicode.SimpleFold(f) {
		if f == c || (f < utf8.RuneSelf) == (c < utf8.RuneSelf) {
			return f
		}
	}
}

// equalFold reports whether a and b are equal without case.
func equalFold(a, b rune) bool {
	if a == b {
		return true
	}
	for f := foldNext(a); f != a; f = foldNext(f) {
		if f == b {
			return true
		}
	}
	return false
}

// The sets of \d, \w, \s and the dot.
var (
	digitSet = newCharSet([]charRange{{'0', '9'}})
	wordSet  = newCharSet([]charRange{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {'_', '_'}})
	spaceSet = newCharSet([]charRange{{'\t', '\r'}, {' ', ' '}, {0xa0, 0xa0}, {0x1680, 0x1680},
		{0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}})
	anySet = newCharSet([]charRange{{0, unicode.MaxRune}})
)

// tableSet is the code points of a Unicode table.
func tableSet(t *unicode.RangeTable) *charSet {
	var ranges []charRange
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			ranges = append(ranges, charRange{lo, hi})
			return
		}
		for c := lo; c <= hi; c += stride {
			ranges = append(ranges, charRange{c, c})
		}
	}
	for _, r := range t.R16 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	for _, r := range t.R32 {
		add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
	}
	return newCharSet(ranges)
}
