package fn

import (
	"strings"
	"unicode"
)

// White space is categories Zs, Zl and Zp, U+0009 to U+000D and U+0085 (saql.md 7.4),
// which are the code points of unicode.IsSpace.

var _ = scalar(Scalar{
	Name:   "LTRIM",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "LTRIM removes all white space at the start.",
		Section:  "7.4",
		Examples: []Example{{"LTRIM('  a b ')", `"a b "`}},
	},
	Eval: mapText(func(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }),
})

var _ = scalar(Scalar{
	Name:   "RTRIM",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "RTRIM removes all white space at the end.",
		Section:  "7.4",
		Examples: []Example{{"RTRIM(' a b  ')", `" a b"`}},
	},
	Eval: mapText(func(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }),
})

var _ = scalar(Scalar{
	Name:   "TRIM",
	Params: []Param{{Name: "text", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary:  "TRIM removes all white space at the start and at the end.",
		Section:  "7.4",
		Examples: []Example{{"TRIM(' a b ')", `"a b"`}},
	},
	Eval: mapText(strings.TrimSpace),
})
