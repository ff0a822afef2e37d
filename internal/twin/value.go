package twin

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a value (saql.md 3.1).
type Kind uint8

// The kinds. Text is nvarchar(max), Time is datetime.
const (
	Null Kind = iota
	Bit
	Int
	Float
	Text
	Time
	Record
	Array
)

var kindNames = [...]string{"null", "bit", "bigint", "float", "nvarchar(max)", "datetime", "record", "array"}

func (k Kind) String() string { return kindNames[k] }

// Value is a value of the language. Int holds bits, bigints and the ticks of a time.
type Value struct {
	Kind   Kind
	Int    int64
	Float  float64
	Text   string
	Fields []Field // Record
	Items  []Value // Array
}

// Field is a property of a record, or a column of a row.
type Field struct {
	Name  string
	Value Value
}

var null = Value{}

func intValue(x int64) Value         { return Value{Kind: Int, Int: x} }
func textValue(s string) Value       { return Value{Kind: Text, Text: s} }
func timeValue(t int64) Value        { return Value{Kind: Time, Int: t} }
func recordValue(f []Field) Value    { return Value{Kind: Record, Fields: f} }
func arrayValue(items []Value) Value { return Value{Kind: Array, Items: items} }

func bitValue(b bool) Value {
	if b {
		return Value{Kind: Bit, Int: 1}
	}
	return Value{Kind: Bit}
}

// floatValue is NULL for what is not finite (saql.md 3.5).
func floatValue(x float64) Value {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return null
	}
	return Value{Kind: Float, Float: x}
}

func (v Value) isNull() bool { return v.Kind == Null }

// isNumber tells bit, bigint and float.
func (v Value) isNumber() bool { return v.Kind == Bit || v.Kind == Int || v.Kind == Float }

// float is a number as a float.
func (v Value) float() float64 {
	if v.Kind == Float {
		return v.Float
	}
	return float64(v.Int)
}

// exact is a number without rounding.
func (v Value) exact() *big.Rat {
	if v.Kind == Float {
		return new(big.Rat).SetFloat64(v.Float)
	}
	return new(big.Rat).SetInt64(v.Int)
}

// lookup finds a property: the exact name, else the first that is equal without case
// (saql.md 1.6).
func lookup(fields []Field, name string) (Value, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value, true
		}
	}
	return null, false
}

// key is a text that two values share exactly if they are equal keys (saql.md 3.7).
func (v Value) key() string {
	switch v.Kind {
	case Null:
		return "null"
	case Bit, Int, Float:
		return v.exact().RatString()
	case Text:
		return strconv.Quote(v.Text)
	case Time:
		return "time " + strconv.FormatInt(v.Int, 10)
	case Array:
		var parts []string
		for _, item := range v.Items {
			parts = append(parts, item.key())
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var parts []string
	for _, f := range v.Fields {
		parts = append(parts, strconv.Quote(f.Name)+":"+f.Value.key())
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}

func keys(values []Value) string { return arrayValue(values).key() }

// tri is the type truth: no, unknown, yes, in this order, so that AND is the smaller one,
// OR the greater one (saql.md 3.2).
type tri int8

const (
	no tri = iota
	unknown
	yes
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

func not(x tri) tri { return yes - x }

// compare says how a and b stand to each other, for operators of section 3.6. ok is false
// if the answer is unknown; ordered is false if only equality is known.
func compare(a, b Value) (c int, ordered, ok bool) {
	if a.isNull() || b.isNull() {
		return 0, false, false
	}
	if a.Kind == Text && b.Kind != Text {
		c, ordered, ok = compareText(a, b)
		return c, ordered, ok
	}
	if b.Kind == Text && a.Kind != Text {
		c, ordered, ok = compareText(b, a)
		return -c, ordered, ok
	}
	switch {
	case a.isNumber() && b.isNumber():
		return a.exact().Cmp(b.exact()), true, true
	case a.Kind != b.Kind:
		return 0, false, false
	case a.Kind == Text:
		return strings.Compare(a.Text, b.Text), true, true
	case a.Kind == Time:
		return big.NewInt(a.Int).Cmp(big.NewInt(b.Int)), true, true
	}
	if a.key() == b.key() {
		return 0, false, true
	}
	return 1, false, true
}

// compareText compares a text with what is none.
func compareText(a, b Value) (c int, ordered, ok bool) {
	switch b.Kind {
	case Int, Float:
		if x, ok := parseNumber(a.Text); ok {
			return compare(x, b)
		}
	case Bit:
		if x, ok := parseBit(a.Text); ok {
			return compare(x, b)
		}
	case Time:
		if t, ok := parseTime(a.Text); ok {
			return compare(timeValue(t), b)
		}
	}
	return 0, false, false
}

// holds is the truth of a op b.
func holds(op string, a, b Value) tri {
	c, ordered, ok := compare(a, b)
	if !ok {
		return unknown
	}
	switch op {
	case "=":
		return triOf(c == 0)
	case "<>":
		return triOf(c != 0)
	}
	if !ordered {
		return unknown
	}
	switch op {
	case "<":
		return triOf(c < 0)
	case "<=":
		return triOf(c <= 0)
	case ">":
		return triOf(c > 0)
	}
	return triOf(c >= 0)
}
