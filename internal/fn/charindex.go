package fn

import (
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "CHARINDEX",
	Params: []Param{{Name: "find", Types: Text}, {Name: "text", Types: Text}, {Name: "start", Types: Bigint}},
	Min:    2,
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "CHARINDEX gives the position of a text in another, from start on, and 0 if it is not there. An empty text is nowhere.",
		Section: "7.4",
		Examples: []Example{
			{"CHARINDEX('b', 'abcb', 3)", "4"},
			{"CHARINDEX('an', 'banana')", "2"},
			{"CHARINDEX('xyz', 'banana')", "0"},
			{"CHARINDEX('b', 'banana', -4)", "1"},
		},
	},
	Eval: perEntry(1, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		find, text := args[0], args[1]
		out.Fixed(vec.Int, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			start := int64(1)
			if len(args) > 2 {
				start = max(args[2].Int[i], 1)
			}
			out.Int[i] = charIndex(find.StrAt(i), text.StrAt(i), start)
		}
	}),
})

// charIndex is the position of find in text, at start or behind, or 0.
func charIndex(find, text string, start int64) int64 {
	if find == "" {
		return 0
	}
	text = text[skipRunes(text, start-1):]
	at := strings.Index(text, find)
	if at < 0 {
		return 0
	}
	return start + int64(utf8.RuneCountInString(text[:at]))
}
