package fn

import (
	"strings"
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "LEN",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary:  "LEN counts the characters of a text. Blanks at the end do not count.",
		Section:  "7.4",
		Examples: []Example{{"LEN('ab  ')", "2"}, {"LEN('  abc')", "5"}, {"LEN('日本')", "2"}},
	},
	Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		x := args[0]
		out.Fixed(vec.Int, n)
		for i := range n {
			if !c.Skip(i) {
				out.Int[i] = int64(utf8.RuneCountInString(strings.TrimRight(x.StrAt(i), " ")))
			}
		}
	}),
})
