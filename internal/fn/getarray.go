package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "GetArrayElement",
	Params: []Param{{Name: "arr", Types: Arr}, {Name: "i", Types: Bigint}},
	Result: gives(Any),
	Doc: Doc{
		Summary: "GetArrayElement gives an element of an array, counted from 0. An index that the array does not have gives NULL.",
		Section: "7.5",
		Examples: []Example{
			{"GetArrayElement(JSON_PARSE('[7, 8]'), 1)", "8"},
			{"GetArrayElement(JSON_PARSE('[7, 8]'), 2)", "null"},
			{"GetArrayElement(JSON_PARSE('[7, 8]'), -1)", "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Tagged(n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			if at, elements := args[1].Int[i], args[0].Rec[i].Vals; at >= 0 && at < int64(len(elements)) {
				out.Set(i, elements[at])
			}
		}
	},
})

var _ = scalar(Scalar{
	Name:   "GetArrayLength",
	Params: []Param{{Name: "arr", Types: Arr}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary:  "GetArrayLength counts the elements of an array.",
		Section:  "7.5",
		Examples: []Example{{"GetArrayLength(JSON_PARSE('[7, 8]'))", "2"}, {"GetArrayLength(JSON_PARSE('[]'))", "0"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Int, n)
		for i := range n {
			if !c.Skip(i) {
				out.Int[i] = int64(len(args[0].Rec[i].Vals))
			}
		}
	},
})
