package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:     "NULLIF",
	Params:   []Param{{Name: "e1", Types: Any}, {Name: "e2", Types: Any}},
	KeepNull: true,
	Result:   func(args []Types) Types { return args[0] | Null },
	Doc: Doc{
		Summary: "NULLIF gives NULL if its arguments are equal, else the first one as it is.",
		Section: "7.1",
		Examples: []Example{
			{"NULLIF(5, 5.0)", "null"},
			{"NULLIF('a', 'b')", `"a"`},
			{"NULLIF(5, NULL)", "5"},
		},
	},
	Eval: func(_ *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Tagged(n)
		for i := range n {
			v := args[0].At(i)
			if !v.Kind.IsNull() && !vec.Equal(v, args[1].At(i)) {
				out.Set(i, v)
			}
		}
	},
})
