package fn

import (
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "PATINDEX",
	Params: []Param{{Name: "pattern", Types: Text}, {Name: "text", Types: Text}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "PATINDEX gives the position of the first match of a LIKE pattern, and 0 if there is none. Without % at its start the pattern must match at the start of the text, without % at its end at the end.",
		Section: "7.4",
		Examples: []Example{
			{"PATINDEX('%[0-9]%', 'ab7')", "3"},
			{"PATINDEX('win%', 'window')", "1"},
			{"PATINDEX('%dow', 'window')", "4"},
			{"PATINDEX('dow%', 'window')", "0"},
		},
	},
	Eval:  perEntry(1, evalPatIndex),
	Check: checkPatIndex,
})

// maxPatternChars is the longest pattern of PATINDEX, in characters.
const maxPatternChars = 8000

const longPattern = "the pattern is longer than 8000 characters"

// isLong reports whether a pattern is longer than PATINDEX takes.
func isLong(pattern string) bool {
	return len(pattern) > maxPatternChars && utf8.RuneCountInString(pattern) > maxPatternChars
}

func checkPatIndex(consts []*vec.Value) *StaticError {
	if len(consts) == 0 || consts[0] == nil || consts[0].Kind != vec.String || !isLong(consts[0].Str) {
		return nil
	}
	return &StaticError{Code: "SA7004", Message: longPattern, Arg: 0}
}

func evalPatIndex(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	pattern, text := args[0], args[1]
	out.Fixed(vec.Int, n)
	l := &c.like
	for i := range n {
		if c.Skip(i) {
			continue
		}
		if src := pattern.StrAt(i); l.compiled == nil || src != l.src {
			if isLong(src) {
				c.Fail(i, longPattern)
				out.SetNull(i)
				continue
			}
			*l = lastLike{strings.Clone(src), CompileLike(src, 0)}
		}
		out.Int[i] = int64(l.compiled.Find(text.StrAt(i)))
	}
}

// lastLike is the pattern that a call of PATINDEX had last, nearly always a constant.
type lastLike struct {
	src      string
	compiled *LikePattern
}
