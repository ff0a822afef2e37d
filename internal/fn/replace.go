package fn

import (
	"strings"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "REPLACE",
	Params: []Param{{Name: "text", Types: Text}, {Name: "find", Types: Text}, {Name: "by", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary: "REPLACE replaces all occurrences of a text, from left to right. An empty text to find changes nothing.",
		Section: "7.4",
		Examples: []Example{
			{"REPLACE('aXbX', 'X', '')", `"ab"`},
			{"REPLACE('banana', 'a', 'o')", `"bonono"`},
			{"REPLACE('banana', '', 'x')", `"banana"`},
		},
	},
	Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		text, find, by := args[0], args[1], args[2]
		out.Fixed(vec.String, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			s, f := text.StrAt(i), find.StrAt(i)
			if f == "" {
				putText(c, out, i, s)
				continue
			}
			// Look at the size first: the result could be far beyond the limit.
			b := by.StrAt(i)
			if grow := len(b) - len(f); grow > 0 && strings.Count(s, f) > (MaxTextBytes-len(s))/grow {
				failSize(c, out, i)
				continue
			}
			putText(c, out, i, strings.ReplaceAll(s, f, b))
		}
	}),
})
