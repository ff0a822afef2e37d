package fn

import "strings"

// Case changes by Unicode simple case mapping, code point by code point, without regard
// to any language (saql.md 7.4); strings.ToUpper and ToLower do just that.

var _ = scalar(Scalar{
	Name:   "LOWER",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "LOWER turns letters into lower case.",
		Section:  "7.4",
		Examples: []Example{{"LOWER('Café No. 9')", `"café no. 9"`}},
	},
	Eval: mapText(strings.ToLower),
})

var _ = scalar(Scalar{
	Name:   "UPPER",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "UPPER turns letters into upper case.",
		Section:  "7.4",
		Examples: []Example{{"UPPER('aß')", `"Aß"`}, {"UPPER('Café No. 9')", `"CAFÉ NO. 9"`}},
	},
	Eval: mapText(strings.ToUpper),
})
