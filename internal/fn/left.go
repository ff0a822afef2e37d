package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "LEFT",
	Params: []Param{{Name: "text", Types: Text}, {Name: "n", Types: Bigint}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "LEFT gives the first n characters. A negative n is a query error.",
		Section:  "7.4",
		Examples: []Example{{"LEFT('abc', 2)", `"ab"`}, {"LEFT('abc', 99)", `"abc"`}, {"LEFT('abc', 0)", `""`}},
	},
	Eval: cut("LEFT", func(s string, n int64) string { return s[:skipRunes(s, n)] }),
})

var _ = scalar(Scalar{
	Name:   "RIGHT",
	Params: []Param{{Name: "text", Types: Text}, {Name: "n", Types: Bigint}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "RIGHT gives the last n characters. A negative n is a query error.",
		Section:  "7.4",
		Examples: []Example{{"RIGHT('abc', 2)", `"bc"`}, {"RIGHT('abc', 99)", `"abc"`}, {"RIGHT('abc', 0)", `""`}},
	},
	Eval: cut("RIGHT", func(s string, n int64) string { return s[skipLastRunes(s, n):] }),
})

// cut is the Eval of a function that gives a part of n characters of a text.
func cut(name string, part func(s string, n int64) string) func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	return perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		text, count := args[0], args[1]
		out.Fixed(vec.String, n)
		for i := range n {
			switch {
			case c.Skip(i):
			case count.Int[i] < 0:
				failLength(c, out, i, name)
			default:
				putText(c, out, i, part(text.StrAt(i), count.Int[i]))
			}
		}
	})
}
