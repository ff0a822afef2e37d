package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "GetRecordPropertyValue",
	Params: []Param{{Name: "rec", Types: Rec}, {Name: "name", Types: Text}},
	Result: gives(Any),
	Doc: Doc{
		Summary: "GetRecordPropertyValue gives the property of a record with one name: the exact one, else the first that is equal without case. A name that the record does not have gives NULL.",
		Section: "7.5",
		Examples: []Example{
			{`GetRecordPropertyValue(JSON_PARSE('{"a b": 3}'), 'a b')`, "3"},
			{`GetRecordPropertyValue(JSON_PARSE('{"temp": 20}'), 'Temp')`, "20"},
			{`GetRecordPropertyValue(JSON_PARSE('{"temp": 20}'), 'hum')`, "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Tagged(n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			if v, ok := args[0].Rec[i].Get(args[1].StrAt(i)); ok {
				out.Set(i, v)
			}
		}
	},
})

var _ = scalar(Scalar{
	Name:     "GetMetadataPropertyValue",
	Params:   []Param{{Name: "source", Types: Any}, {Name: "path", Types: Text}},
	KeepNull: true,
	Result:   gives(Any),
	Doc: Doc{
		Summary: "GetMetadataPropertyValue gives a property of an event that is not in its text, such as the BlobName of a file in a run with time policies. Test runs have none: it gives NULL there.",
		Section: "7.9",
	},
	Eval: func(_ *Call, out *vec.Vec, _ []*vec.Vec, n int) { out.Fixed(vec.Null, n) },
})
