package fn

import (
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "REVERSE",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "REVERSE gives the characters in reverse order.",
		Section:  "7.4",
		Examples: []Example{{"REVERSE('abc')", `"cba"`}, {"REVERSE('aé☃')", `"☃éa"`}},
	},
	Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		b := &c.builder
		b.start()
		for i := range n {
			if c.Skip(i) {
				continue
			}
			for s := args[0].StrAt(i); s != ""; {
				_, size := utf8.DecodeLastRuneInString(s)
				b.buf = append(b.buf, s[len(s)-size:]...)
				s = s[:len(s)-size]
			}
			b.add(i)
		}
		b.finish(c, out)
	}),
})
