package fn

import (
	"strings"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "REPLICATE",
	Params: []Param{{Name: "text", Types: Text}, {Name: "n", Types: Bigint}},
	Result: gives(Text | Null),
	Doc: Doc{
		Summary:  "REPLICATE repeats a text n times. A negative n gives NULL; a result over 1 MiB is a query error.",
		Section:  "7.4",
		Examples: []Example{{"REPLICATE('ab', 2)", `"abab"`}, {"REPLICATE('ab', 0)", `""`}, {"REPLICATE('ab', -1)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		for i := range n {
			if !c.Skip(i) {
				repeat(c, out, i, args[0].StrAt(i), args[1].Int[i])
			}
		}
	},
})

var _ = scalar(Scalar{
	Name:   "SPACE",
	Params: []Param{{Name: "n", Types: Bigint}},
	Result: gives(Text | Null),
	Doc: Doc{
		Summary:  "SPACE gives n blanks. A negative n gives NULL; a result over 1 MiB is a query error.",
		Section:  "7.4",
		Examples: []Example{{"SPACE(2)", `"  "`}, {"SPACE(-1)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		for i := range n {
			if !c.Skip(i) {
				repeat(c, out, i, " ", args[0].Int[i])
			}
		}
	},
})

// repeat makes n times s the text of row i.
func repeat(c *Call, out *vec.Vec, i int, s string, n int64) {
	switch {
	case n < 0:
		out.SetNull(i)
	case s == "":
		out.Str[i] = ""
	case n > int64(MaxTextBytes/len(s)):
		failSize(c, out, i)
	default:
		out.Str[i] = strings.Repeat(s, int(n))
	}
}
