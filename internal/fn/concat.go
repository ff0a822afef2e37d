package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:     "CONCAT",
	Params:   []Param{{Name: "a", Types: Text}, {Name: "b", Types: Text}},
	Variadic: true,
	KeepNull: true,
	Result:   gives(Text),
	Doc: Doc{
		Summary: "CONCAT joins values as text. NULL counts as empty text.",
		Section: "7.4",
		Examples: []Example{
			{"CONCAT('a', NULL, 1)", `"a1"`},
			{"CONCAT('x', '-', 'mid')", `"x-mid"`},
			{"CONCAT(NULL, NULL)", `""`},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		b := &c.builder
		b.start()
		for i := range n {
			for _, a := range args {
				if a.KindAt(i) == vec.String {
					b.buf = append(b.buf, a.StrAt(i)...)
				}
			}
			b.add(i)
		}
		b.finish(c, out)
	},
})

var _ = scalar(Scalar{
	Name:     "CONCAT_WS",
	Params:   []Param{{Name: "sep", Types: Text}, {Name: "a", Types: Text}, {Name: "b", Types: Text}},
	Variadic: true,
	KeepNull: true,
	Result:   gives(Text),
	Doc: Doc{
		Summary: "CONCAT_WS joins values as text with a separator between them. NULL values are left out with their separator.",
		Section: "7.4",
		Examples: []Example{
			{"CONCAT_WS('-', 'a', NULL, 'b')", `"a-b"`},
			{"CONCAT_WS('-', NULL, NULL)", `""`},
			{"CONCAT_WS(NULL, 'a', 'b')", `"ab"`},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		b := &c.builder
		b.start()
		for i := range n {
			first := true
			for _, a := range args[1:] {
				if a.KindAt(i) != vec.String {
					continue
				}
				if !first && args[0].KindAt(i) == vec.String {
					b.buf = append(b.buf, args[0].StrAt(i)...)
				}
				first = false
				b.buf = append(b.buf, a.StrAt(i)...)
			}
			b.add(i)
		}
		b.finish(c, out)
	},
})
