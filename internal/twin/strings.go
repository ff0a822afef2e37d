package twin

import (
	"math"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"
)

// moreFunctions are the scalar functions of section 7 that are seldom used.
var moreFunctions = map[string]function{
	"SQRT":              {eval: func(a []Value) Value { return floatValue(math.Sqrt(numeric("SQRT", a[0]).float())) }},
	"EXP":               {eval: func(a []Value) Value { return floatValue(math.Exp(numeric("EXP", a[0]).float())) }},
	"POWER":             {eval: power},
	"LTRIM":             {eval: func(a []Value) Value { return textValue(strings.TrimLeftFunc(text("LTRIM", a[0]), isBlank)) }},
	"RTRIM":             {eval: func(a []Value) Value { return textValue(strings.TrimRightFunc(text("RTRIM", a[0]), isBlank)) }},
	"TRIM":              {eval: func(a []Value) Value { return textValue(strings.TrimFunc(text("TRIM", a[0]), isBlank)) }},
	"REPLICATE":         {eval: func(a []Value) Value { return replicate(text("REPLICATE", a[0]), integer("REPLICATE", a[1])) }},
	"SPACE":             {eval: func(a []Value) Value { return replicate(" ", integer("SPACE", a[0])) }},
	"NCHAR":             {eval: nchar},
	"UNICODE":           {eval: codePoint},
	"STUFF":             {eval: stuff},
	"TRANSLATE":         {eval: translate},
	"CONCAT_WS":         {keepsNull: true, eval: concatWith},
	"PATINDEX":          {eval: patIndex},
	"JSON_PARSE":        {eval: jsonParse},
	"DATETIMEFROMPARTS": {eval: fromParts},
}

// power is exact for bigints; else it is computed in float, and cut to a bigint again if
// the base is one.
func power(a []Value) Value {
	x, y := numeric("POWER", a[0]), numeric("POWER", a[1])
	if x.Kind == Int && y.Kind == Int && y.Int >= 0 {
		return bigint(new(big.Int).Exp(big.NewInt(x.Int), big.NewInt(y.Int), nil))
	}
	p := floatValue(math.Pow(x.float(), y.float()))
	if x.Kind == Float || p.isNull() {
		return p
	}
	whole, ok := truncate(p.Float)
	if !ok {
		fail("bigint overflow")
	}
	return whole
}

// isBlank is what TRIM takes off.
func isBlank(c rune) bool {
	return unicode.In(c, unicode.Zs, unicode.Zl, unicode.Zp) || c >= 9 && c <= 13 || c == 0x85
}

func replicate(s string, n int64) Value {
	if n < 0 {
		return null
	}
	return textValue(strings.Repeat(s, int(n)))
}

func nchar(a []Value) Value {
	c := integer("NCHAR", a[0])
	if c < 0 || c > 0x10FFFF || c >= 0xD800 && c <= 0xDFFF {
		return null
	}
	return textValue(string(rune(c)))
}

func codePoint(a []Value) Value {
	for _, c := range text("UNICODE", a[0]) {
		return intValue(int64(c))
	}
	return null
}

// stuff removes n characters from start and puts a text there.
func stuff(a []Value) Value {
	s, start, n, by := []rune(text("STUFF", a[0])), integer("STUFF", a[1]), integer("STUFF", a[2]), text("STUFF", a[3])
	if n < 0 {
		fail("STUFF: length must not be negative")
	}
	start = max(start, 1)
	if start > int64(len(s)) {
		return textValue("")
	}
	end := min(start-1+n, int64(len(s)))
	return textValue(string(s[:start-1]) + by + string(s[end:]))
}

func translate(a []Value) Value {
	from, to := []rune(text("TRANSLATE", a[1])), []rune(text("TRANSLATE", a[2]))
	if len(from) != len(to) {
		fail("TRANSLATE: lengths %d and %d differ", len(from), len(to))
	}
	return textValue(strings.Map(func(c rune) rune {
		if i := slices.Index(from, c); i >= 0 {
			return to[i]
		}
		return c
	}, text("TRANSLATE", a[0])))
}

// concatWith is CONCAT_WS: NULLs are left out with their separators.
func concatWith(a []Value) Value {
	separator := ""
	if !a[0].isNull() {
		separator = text("CONCAT_WS", a[0])
	}
	var parts []string
	for _, v := range a[1:] {
		if !v.isNull() {
			parts = append(parts, text("CONCAT_WS", v))
		}
	}
	return textValue(strings.Join(parts, separator))
}

// patIndex is the first place from which the pattern, without its leading %, matches. A
// lone % is the trailing one too.
func patIndex(a []Value) Value {
	pattern, s := []rune(text("PATINDEX", a[0])), []rune(text("PATINDEX", a[1]))
	if len(pattern) == 0 || pattern[0] != '%' {
		return intValue(boolInt(likes(s, pattern, -1)))
	}
	for i := 0; i <= len(s); i++ {
		if len(pattern) == 1 || likes(s[i:], pattern[1:], -1) {
			return intValue(int64(i) + 1)
		}
	}
	return intValue(0)
}

func boolInt(b bool) int64 { return bitValue(b).Int }

func jsonParse(a []Value) Value {
	if a[0].Kind != Text {
		return null
	}
	v, err := ParseJSON(a[0].Text)
	if err != nil || v.Kind < Record {
		return null
	}
	return v
}

func fromParts(a []Value) Value {
	var p [7]int64
	for i := range p {
		p[i] = integer("DATETIMEFROMPARTS", a[i])
	}
	for i, most := range []int64{9999, 12, 31, 23, 59, 59, 999} {
		if p[i] > most || p[i] < 0 || i < 3 && p[i] < 1 {
			fail("no such date")
		}
	}
	t := time.Date(int(p[0]), time.Month(p[1]), int(p[2]), int(p[3]), int(p[4]), int(p[5]), int(p[6])*1e6, time.UTC)
	if t.Day() != int(p[2]) {
		fail("no such date")
	}
	return timeValue(ticks(t))
}
