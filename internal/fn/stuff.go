package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name: "STUFF",
	Params: []Param{
		{Name: "text", Types: Text}, {Name: "start", Types: Bigint},
		{Name: "n", Types: Bigint}, {Name: "ins", Types: Text},
	},
	Result: gives(Text),
	Doc: Doc{
		Summary: "STUFF removes n characters from start and puts a text there. A start beyond the text gives an empty text; a negative n is a query error.",
		Section: "7.4",
		Examples: []Example{
			{"STUFF('abcde', 2, 3, 'X')", `"aXe"`},
			{"STUFF('stream', 3, 0, '-')", `"st-ream"`},
			{"STUFF('stream', 4, 100, '!')", `"str!"`},
			{"STUFF('stream', 99, 1, 'x')", `""`},
		},
	},
	Eval: perEntry(0, evalStuff),
})

func evalStuff(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	text, start, count, ins := args[0], args[1], args[2], args[3]
	out.Fixed(vec.String, n)
	b := &c.builder
	b.start()
	for i := range n {
		if c.Skip(i) {
			continue
		}
		if count.Int[i] < 0 {
			failLength(c, out, i, "STUFF")
			continue
		}
		s := text.StrAt(i)
		from := skipRunes(s, max(start.Int[i], 1)-1)
		if from < len(s) {
			b.buf = append(b.buf, s[:from]...)
			b.buf = append(b.buf, ins.StrAt(i)...)
			b.buf = append(b.buf, s[from+skipRunes(s[from:], count.Int[i]):]...)
		}
		b.add(i)
	}
	b.finish(c, out)
}
