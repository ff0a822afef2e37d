package fn

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

// REGEXMATCH has a matcher of its own because of "effort bounded": libraries with
// look-ahead and back-references bound theirs by the clock, and then whether a row is an
// error would depend on the machine, and a replay could give other rows than the run.

var _ = scalar(Scalar{
	Name:   "REGEXMATCH",
	Params: []Param{{Name: "text", Types: Text}, {Name: "pattern", Types: Text}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "REGEXMATCH gives the position of the first match of a regular expression, and 0 if there is none. The syntax is that of ECMAScript; case does not matter, the dot matches line ends, and ^ and $ match at the ends of the text only.",
		Section: "7.4",
		Examples: []Example{
			{`REGEXMATCH('xAB1', 'a(b)\d')`, "2"},
			{`REGEXMATCH('abcabc', '(b.)a\1')`, "2"},
			{`REGEXMATCH('price: 5', '\d(?= EUR)')`, "0"},
			{`REGEXMATCH('x', '(')`, "0"},
		},
	},
	Eval:  perEntry(0, evalRegexMatch),
	Check: checkRegex,
})

func checkRegex(consts []*vec.Value) *StaticError {
	if len(consts) < 2 || consts[1] == nil || consts[1].Kind != vec.String {
		return nil
	}
	if p := newRegexPattern(consts[1].Str); p.err != nil {
		return &StaticError{
			Code:    "W7001",
			Message: "invalid regular expression: REGEXMATCH gives 0",
			Hint:    p.err.Error(),
			Arg:     1,
		}
	}
	return nil
}

func evalRegexMatch(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	text, pattern := args[0], args[1]
	out.Fixed(vec.Int, n)
	for i := range n {
		if c.Skip(i) {
			continue
		}
		p := c.patterns.get(pattern.StrAt(i))
		at, tooComplex := p.match(&c.patterns.matcher, text.StrAt(i))
		if tooComplex {
			c.Fail(i, "pattern too complex")
			out.SetNull(i)
			continue
		}
		out.Int[i] = at
	}
}

// Limits of patterns.
const (
	// maxRegexBytes is the longest regular expression; a longer one is too complex.
	maxRegexBytes = 32 << 10
	// After so many steps a regular pattern goes to the linear matcher.
	quickSteps        = 100
	quickStepsPerByte = 8
	// maxPatterns is how many compiled patterns a call keeps.
	maxPatterns = 64
)

// regexPattern is a compiled regular expression.
type regexPattern struct {
	src    string
	err    *regexError
	large  bool
	prog   *regexProgram
	linear *regexp.Regexp // set if the pattern is regular
}

func newRegexPattern(src string) *regexPattern {
	p := &regexPattern{src: src, large: len(src) > maxRegexBytes}
	if p.large {
		return p
	}
	root, groups, err := parseRegex(src)
	if err != nil {
		p.err = err
		return p
	}
	p.prog = compileRegex(root, groups)
	p.linear = linearRegex(root)
	return p
}

// match is the position of the first match in text, or 0.
func (p *regexPattern) match(m *regexMatcher, text string) (at int64, tooComplex bool) {
	offset := -1
	switch {
	case p.large:
		return 0, true
	case p.err != nil:
	case p.linear != nil:
		// The matcher is faster on most patterns and texts. If it does not come to an
		// end soon, linear time is better; both find the same.
		offset, tooComplex = m.find(p.prog, text, quickSteps+quickStepsPerByte*len(text))
		if tooComplex {
			offset, tooComplex = -1, false
			if loc := p.linear.FindStringIndex(text); loc != nil {
				offset = loc[0]
			}
		}
	default:
		offset, tooComplex = m.find(p.prog, text, regexSteps+regexStepsPerByte*len(text))
	}
	if offset < 0 || tooComplex {
		return 0, tooComplex
	}
	return 1 + int64(utf8.RuneCountInString(text[:offset])), false
}

// patternCache keeps the compiled patterns of a call. Most calls have one.
type patternCache struct {
	last    *regexPattern
	all     map[string]*regexPattern
	matcher regexMatcher
}

func (c *patternCache) get(src string) *regexPattern {
	if c.last != nil && c.last.src == src {
		return c.last
	}
	p := c.all[src]
	if p == nil {
		p = newRegexPattern(strings.Clone(src))
		if c.all == nil || len(c.all) >= maxPatterns {
			c.all = map[string]*regexPattern{}
		}
		c.all[p.src] = p
	}
	c.last = p
	return p
}
