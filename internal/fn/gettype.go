package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "GetType",
	Params: []Param{{Name: "e", Types: Any}},
	Result: gives(Text),
	Doc: Doc{
		Summary: "GetType gives the name of the type of a value. NULL has none and gives NULL.",
		Section: "7.1",
		Examples: []Example{
			{"GetType(1.0)", `"float"`},
			{"GetType('x')", `"nvarchar(max)"`},
			{"GetType(JSON_PARSE('[1]'))", `"array"`},
			{"GetType(NULL)", "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.String, n)
		for i := range n {
			if !c.Skip(i) {
				out.Str[i] = args[0].KindAt(i).String()
			}
		}
	},
})
