package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "JSON_PARSE",
	Params: []Param{{Name: "text", Types: Any}},
	Result: gives(Rec | Arr | Null),
	Doc: Doc{
		Summary: "JSON_PARSE turns the text of a JSON object or array into a record or array. What is none gives NULL.",
		Section: "7.1",
		Examples: []Example{
			{`JSON_PARSE('{"a":1}')`, `{"a":1}`},
			{`JSON_PARSE('{"a":')`, "null"},
			{"JSON_PARSE('12')", "null"},
			{"JSON_PARSE(12)", "null"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Tagged(n)
		for i := range n {
			if c.Skip(i) || args[0].KindAt(i) != vec.String {
				continue
			}
			if v, ok := parseRecord(args[0].StrAt(i)); ok {
				out.Set(i, v)
			}
		}
	},
})

// parseRecord is the record or array that a JSON text holds.
func parseRecord(s string) (vec.Value, bool) {
	v, err := vec.ParseJSON([]byte(s))
	if err != nil || v.Kind != vec.Record && v.Kind != vec.Array {
		return vec.Value{}, false
	}
	return v, true
}
