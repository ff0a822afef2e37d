package twin

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"weir/internal/saql"
)

// call is a function call: of a group, of history, or of values.
func (x *env) call(c *saql.Call) Value {
	name := strings.ToUpper(c.Name.Text)
	if c.Prefix != nil {
		return x.system(c, name)
	}
	switch {
	case x.pattern != nil && patternFunctions[name]:
		return x.pattern.call(name, c)
	case name == "LAG" || name == "LAST" || name == "ISFIRST" || c.Over != nil && c.Over.Limit != nil:
		return x.history(name, c)
	case aggregates[name]:
		return x.aggregate(name, c)
	case name == "COALESCE":
		for _, a := range c.Args {
			if v := x.value(a); !v.isNull() {
				return v
			}
		}
		return null
	case name == "DATEDIFF" && x.on && x.elapsedArgs(c):
		return x.elapsedUnits(c)
	}
	var part string
	args := c.Args
	if name == "DATEADD" || name == "DATEDIFF" || name == "DATEPART" || name == "DATENAME" {
		part = datePart(c.Args[0])
		args = args[1:]
	}
	var vals []Value
	for _, a := range args {
		vals = append(vals, x.argument(name, a))
	}
	if part != "" {
		return dateFunction(name, part, vals)
	}
	f, ok := functions[name]
	if !ok {
		f, ok = moreFunctions[name]
	}
	if !ok {
		unknownPart("the function %s", name)
	}
	if !f.keepsNull {
		for _, v := range vals {
			if v.isNull() {
				return null
			}
		}
	}
	return f.eval(vals)
}

// argument is the value of an argument. A bare name is a whole row where that is known
// (saql.md 2.8, rule 3).
func (x *env) argument(name string, a saql.Expr) Value {
	if p, ok := a.(*saql.Path); ok && len(p.Names) == 1 && x.block != nil && x.pattern == nil {
		if part := x.block.rowOf(name, p.Names[0].Text); part >= 0 {
			return x.whole(part)
		}
		if p.Names[0].Quote == '"' && name == "GETRECORDPROPERTYVALUE" {
			return textValue(p.Names[0].Text)
		}
	}
	return x.value(a)
}

// rowOf is the source whose whole row a bare argument of a function means, or -1.
func (b *block) rowOf(function, name string) int {
	for _, s := range b.sources {
		if s.has(name) {
			return -1
		}
	}
	switch function {
	case "GETRECORDPROPERTYVALUE", "GETRECORDPROPERTIES", "COUNT":
		return b.alias(name)
	}
	return -1
}

func (x *env) system(c *saql.Call, name string) Value {
	switch {
	case !strings.EqualFold(c.Prefix.Text, "System"):
		unknownPart("%s.%s", c.Prefix.Text, name)
	case name == "TIMESTAMP" && x.group != nil:
		return timeValue(x.group.end)
	case name == "TIMESTAMP":
		return timeValue(x.tuple.t)
	}
	return recordValue([]Field{{"Id", x.group.id}})
}

// function is a scalar function. Unless keepsNull, a NULL argument gives NULL.
type function struct {
	keepsNull bool
	eval      func(a []Value) Value
}

var functions = map[string]function{
	"ABS":                    {eval: func(a []Value) Value { return absolute(numeric("ABS", a[0])) }},
	"CEILING":                {eval: func(a []Value) Value { return towards(numeric("CEILING", a[0]), true) }},
	"FLOOR":                  {eval: func(a []Value) Value { return towards(numeric("FLOOR", a[0]), false) }},
	"SIGN":                   {eval: func(a []Value) Value { return sign(numeric("SIGN", a[0])) }},
	"SQUARE":                 {eval: square},
	"ROUND":                  {eval: func(a []Value) Value { return round(numeric("ROUND", a[0]), integer("ROUND", a[1])) }},
	"UPPER":                  {eval: func(a []Value) Value { return mapped("UPPER", a[0], unicode.ToUpper) }},
	"LOWER":                  {eval: func(a []Value) Value { return mapped("LOWER", a[0], unicode.ToLower) }},
	"LEN":                    {eval: func(a []Value) Value { return length(strings.TrimRight(text("LEN", a[0]), " ")) }},
	"LEFT":                   {eval: func(a []Value) Value { return sideOf("LEFT", a) }},
	"RIGHT":                  {eval: func(a []Value) Value { return sideOf("RIGHT", a) }},
	"SUBSTRING":              {eval: substring},
	"REVERSE":                {eval: reverse},
	"REPLACE":                {eval: replace},
	"CHARINDEX":              {eval: charIndex},
	"CONCAT":                 {keepsNull: true, eval: concat},
	"NULLIF":                 {keepsNull: true, eval: nullIf},
	"GETTYPE":                {eval: func(a []Value) Value { return textValue(a[0].Kind.String()) }},
	"GETARRAYELEMENT":        {eval: element},
	"GETARRAYLENGTH":         {eval: func(a []Value) Value { return intValue(int64(len(wants(Array, a[0]).Items))) }},
	"GETRECORDPROPERTYVALUE": {eval: func(a []Value) Value { return property(wants(Record, a[0]), text("", a[1])) }},
	"YEAR":                   {eval: func(a []Value) Value { return dateFunction("DATEPART", "year", a) }},
	"MONTH":                  {eval: func(a []Value) Value { return dateFunction("DATEPART", "month", a) }},
	"DAY":                    {eval: func(a []Value) Value { return dateFunction("DATEPART", "day", a) }},
}

// numeric is an argument where a number is wanted (saql.md 3.8, implicit conversion).
func numeric(f string, v Value) Value {
	switch v.Kind {
	case Bit:
		return intValue(v.Int)
	case Int, Float:
		return v
	case Text:
		if x, ok := parseNumber(v.Text); ok {
			return x
		}
	}
	fail("argument of %s has type %s", f, v.Kind)
	return null
}

// integer is an argument where a bigint is wanted and floats are not.
func integer(f string, v Value) int64 {
	v = numeric(f, v)
	if v.Kind == Float {
		fail("argument of %s has type float; bigint wanted", f)
	}
	return v.Int
}

// text is an argument where text is wanted.
func text(f string, v Value) string {
	if v.Kind >= Record {
		fail("argument of %s has type %s", f, v.Kind)
	}
	return asText(v)
}

func wants(k Kind, v Value) Value {
	if v.Kind != k {
		fail("cannot cast value of type %s to type %s", v.Kind, k)
	}
	return v
}

func absolute(v Value) Value {
	if v.float() < 0 {
		return unary("-", v)
	}
	return v
}

func sign(v Value) Value {
	s := int64(v.exact().Sign())
	if v.Kind == Float {
		return floatValue(float64(s))
	}
	return intValue(s)
}

func square(a []Value) Value {
	x := numeric("SQUARE", a[0]).float()
	return floatValue(x * x)
}

// towards rounds up or down to a whole number, in the type of v.
func towards(v Value, up bool) Value {
	if v.Kind == Int {
		return v
	}
	r := v.exact()
	q := new(big.Int).Div(r.Num(), r.Denom()) // down: the denominator is positive
	if up && !r.IsInt() {
		q.Add(q, big.NewInt(1))
	}
	return ratFloat(new(big.Rat).SetInt(q))
}

func ratFloat(r *big.Rat) Value {
	x, _ := r.Float64()
	return floatValue(x)
}

// round is ROUND: half away from zero, judged on the shortest decimal text (saql.md 7.2).
func round(v Value, n int64) Value {
	if v.Kind == Int && n >= 0 {
		return v
	}
	s := strconv.FormatInt(v.Int, 10)
	if v.Kind == Float {
		s = strconv.FormatFloat(v.Float, 'f', -1, 64)
	}
	r, _ := new(big.Rat).SetString(s)
	unit := new(big.Rat).SetFrac(new(big.Int).Exp(big.NewInt(10), big.NewInt(max(n, -n)), nil), big.NewInt(1))
	if n > 0 {
		unit.Inv(unit)
	}
	steps := new(big.Rat).Quo(r, unit)
	away := big.NewRat(1, 2)
	if steps.Sign() < 0 {
		away.Neg(away)
	}
	steps.Add(steps, away)
	whole := new(big.Int).Quo(steps.Num(), steps.Denom())
	r.Mul(new(big.Rat).SetInt(whole), unit)
	if v.Kind == Int {
		return bigint(r.Num())
	}
	return ratFloat(r)
}

func mapped(f string, v Value, rule func(rune) rune) Value {
	return textValue(strings.Map(rule, text(f, v)))
}

func length(s string) Value { return intValue(int64(len([]rune(s)))) }

// sideOf is LEFT or RIGHT.
func sideOf(f string, a []Value) Value {
	s, n := []rune(text(f, a[0])), integer(f, a[1])
	if n < 0 {
		fail("%s: length must not be negative", f)
	}
	n = min(n, int64(len(s)))
	if f == "LEFT" {
		return textValue(string(s[:n]))
	}
	return textValue(string(s[int64(len(s))-n:]))
}

// substring has the characters at start .. start+n-1 that exist.
func substring(a []Value) Value {
	start, n := integer("SUBSTRING", a[1]), integer("SUBSTRING", a[2])
	if n < 0 {
		fail("SUBSTRING: length must not be negative")
	}
	var out []rune
	for i, c := range []rune(text("SUBSTRING", a[0])) {
		if at := int64(i) + 1; at >= start && at < start+n {
			out = append(out, c)
		}
	}
	return textValue(string(out))
}

func reverse(a []Value) Value {
	s := []rune(text("REVERSE", a[0]))
	slices.Reverse(s)
	return textValue(string(s))
}

func replace(a []Value) Value {
	s, find, by := text("REPLACE", a[0]), text("REPLACE", a[1]), text("REPLACE", a[2])
	if find == "" {
		return textValue(s)
	}
	return textValue(strings.ReplaceAll(s, find, by))
}

func charIndex(a []Value) Value {
	find, s := []rune(text("CHARINDEX", a[0])), []rune(text("CHARINDEX", a[1]))
	start := int64(1)
	if len(a) > 2 {
		start = max(start, integer("CHARINDEX", a[2]))
	}
	for at := start; len(find) > 0 && at+int64(len(find))-1 <= int64(len(s)); at++ {
		if string(s[at-1:at-1+int64(len(find))]) == string(find) {
			return intValue(at)
		}
	}
	return intValue(0)
}

func concat(a []Value) Value {
	out := ""
	for _, v := range a {
		if !v.isNull() {
			out += text("CONCAT", v)
		}
	}
	return textValue(out)
}

func nullIf(a []Value) Value {
	if holds("=", a[0], a[1]) == yes {
		return null
	}
	return a[0]
}

func element(a []Value) Value {
	items, i := wants(Array, a[0]).Items, integer("GetArrayElement", a[1])
	if i < 0 || i >= int64(len(items)) {
		return null
	}
	return items[i]
}
