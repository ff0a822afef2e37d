package fn

import (
	"fmt"
	"unicode/utf8"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "TRANSLATE",
	Params: []Param{{Name: "text", Types: Text}, {Name: "from", Types: Text}, {Name: "to", Types: Text}},
	Result: gives(Text),
	Doc: Doc{
		Summary: "TRANSLATE replaces each character that stands in from by the one at the same position of to. Different lengths of the two are a query error.",
		Section: "7.4",
		Examples: []Example{
			{"TRANSLATE('2*[3]', '[]', '()')", `"2*(3)"`},
			{"TRANSLATE('abcabc', 'abc', 'bca')", `"bcabca"`},
		},
	},
	Eval:  perEntry(0, evalTranslate),
	Check: checkTranslate,
})

func checkTranslate(consts []*vec.Value) *StaticError {
	from, to := consts[1], consts[2]
	if from == nil || to == nil || from.Kind != vec.String || to.Kind != vec.String {
		return nil
	}
	n, m := utf8.RuneCountInString(from.Str), utf8.RuneCountInString(to.Str)
	if n == m {
		return nil
	}
	return &StaticError{
		Code:    "SA7005",
		Message: fmt.Sprintf("TRANSLATE needs two texts of equal length: %d and %d", n, m),
		Arg:     2,
	}
}

func evalTranslate(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	text, from, to := args[0], args[1], args[2]
	out.Fixed(vec.String, n)
	b := &c.builder
	b.start()
	var t translation
	ready := false
	for i := range n {
		if c.Skip(i) {
			continue
		}
		// The two texts are nearly always constants, so the last table mostly fits.
		if f, by := from.StrAt(i), to.StrAt(i); !ready || t.from != f || t.to != by {
			t = newTranslation(f, by)
			ready = true
		}
		if t.err != "" {
			c.Fail(i, t.err)
			out.SetNull(i)
			continue
		}
		for _, r := range text.StrAt(i) {
			b.buf = utf8.AppendRune(b.buf, t.of(r))
		}
		b.add(i)
	}
	b.finish(c, out)
}

// translation is what TRANSLATE makes of each character.
type translation struct {
	from, to string
	err      string
	ascii    [utf8.RuneSelf]rune // the new character plus one; 0 if it stays
	other    map[rune]rune
}

func newTranslation(from, to string) translation {
	t := translation{from: from, to: to}
	olds, news := []rune(from), []rune(to)
	if len(olds) != len(news) {
		t.err = fmt.Sprintf("TRANSLATE: lengths %d and %d differ", len(olds), len(news))
		return t
	}
	for i := len(olds) - 1; i >= 0; i-- { // backwards: the first position of a character wins
		if old := olds[i]; old < utf8.RuneSelf {
			t.ascii[old] = news[i] + 1
		} else {
			if t.other == nil {
				t.other = map[rune]rune{}
			}
			t.other[old] = news[i]
		}
	}
	return t
}

// of is what becomes of r.
func (t *translation) of(r rune) rune {
	if r < utf8.RuneSelf {
		if x := t.ascii[r]; x != 0 {
			return x - 1
		}
		return r
	}
	if x, ok := t.other[r]; ok {
		return x
	}
	return r
}
