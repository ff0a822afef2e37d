package fn

import (
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "NCHAR",
	Params: []Param{{Name: "code", Types: Bigint}},
	Result: gives(Text | Null),
	Doc: Doc{
		Summary:  "NCHAR gives the character with a code. A code that no character has is NULL.",
		Section:  "7.4",
		Examples: []Example{{"NCHAR(9731)", `"☃"`}, {"NCHAR(-1)", "null"}, {"NCHAR(1114112)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			code := args[0].Int[i]
			if code < 0 || code > utf8.MaxRune || !utf8.ValidRune(rune(code)) {
				out.SetNull(i)
				continue
			}
			out.Str[i] = string(rune(code))
		}
	},
})

var _ = scalar(Scalar{
	Name:   "UNICODE",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Bigint | Null),
	Doc: Doc{
		Summary:  "UNICODE gives the code of the first character; that of an empty text is NULL.",
		Section:  "7.4",
		Examples: []Example{{"UNICODE('☃x')", "9731"}, {"UNICODE('')", "null"}},
	},
	Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Int, n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			r, size := utf8.DecodeRuneInString(args[0].StrAt(i))
			if size == 0 {
				out.SetNull(i)
				continue
			}
			out.Int[i] = int64(r)
		}
	}),
})
