package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "SUBSTRING",
	Params: []Param{{Name: "text", Types: Text}, {Name: "start", Types: Bigint}, {Name: "n", Types: Bigint}},
	Result: gives(Text),
	Doc: Doc{
		Summary: "SUBSTRING gives the characters at the positions start to start+n-1 that exist. A negative n is a query error.",
		Section: "7.4",
		Examples: []Example{
			{"SUBSTRING('abc', 0, 2)", `"a"`},
			{"SUBSTRING('stream', 3, 2)", `"re"`},
			{"SUBSTRING('abc', 9, 1)", `""`},
		},
	},
	Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		text, start, count := args[0], args[1], args[2]
		out.Fixed(vec.String, n)
		for i := range n {
			switch {
			case c.Skip(i):
			case count.Int[i] < 0:
				failLength(c, out, i, "SUBSTRING")
			default:
				putText(c, out, i, substring(text.StrAt(i), start.Int[i], count.Int[i]))
			}
		}
	}),
})

// substring is the characters of s at the positions start to start+n-1.
func substring(s string, start, n int64) string {
	if start < 1 {
		// Positions before the text use up a part of n. The sum cannot overflow, as only
		// one of the two is positive.
		n = max(start+n, 1) - 1
		start = 1
	}
	s = s[skipRunes(s, start-1):]
	return s[:skipRunes(s, n)]
}
