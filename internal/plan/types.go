package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Sets of kinds that rules speak of.
var (
	numbers    = vec.KindsOf(vec.Bit, vec.Int, vec.Float)
	containers = vec.KindsOf(vec.Record, vec.Array)
	scalars    = vec.KindsOf(vec.Bit, vec.Int, vec.Float, vec.String, vec.Datetime)
	nullOnly   = vec.KindsOf(vec.Null)
)

// typeText names a set of kinds for people: "bigint", "bigint or float", "any".
func typeText(t vec.Kinds) string {
	t = t.NotNull()
	if t == 0 {
		return "null"
	}
	if t == vec.AnyKind.NotNull() {
		return "any"
	}
	var names []string
	for k := vec.Bit; k < vec.NumKinds; k++ {
		if t.Has(k) {
			names = append(names, k.String())
		}
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return names[0]
}

// typeNames are the types as queries write them.
var typeNames = map[string]vec.Kind{
	"bigint": vec.Int, "float": vec.Float, "nvarchar(max)": vec.String, "nvarchar": vec.String,
	"datetime": vec.Datetime, "bit": vec.Bit, "record": vec.Record, "array": vec.Array,
}

// otherTypes are names that people write from habit, with the name here.
var otherTypes = map[string]string{
	"int": "bigint", "integer": "bigint", "smallint": "bigint", "tinyint": "bigint", "long": "bigint",
	"varchar": "nvarchar(max)", "string": "nvarchar(max)", "text": "nvarchar(max)", "char": "nvarchar(max)", "nchar": "nvarchar(max)", "varchar(max)": "nvarchar(max)",
	"decimal": "float", "real": "float", "double": "float", "numeric": "float", "money": "float",
	"boolean": "bit", "bool": "bit",
	"date": "datetime", "datetime2": "datetime", "timestamp": "datetime", "datetimeoffset": "datetime", "time": "datetime",
}

// typeOf resolves a type name; ok is false after an error.
func (c *compiler) typeOf(t saql.TypeName) (vec.Kind, bool) {
	name := strings.ToLower(t.Text)
	if k, ok := typeNames[name]; ok {
		if name == "nvarchar" {
			c.extension(t.Span, "nvarchar without (max)", "nvarchar(max)")
		}
		return k, true
	}
	base, _, hasArg := strings.Cut(name, "(")
	base = strings.TrimSpace(base)
	hint := "bigint, float, nvarchar(max), datetime, bit, record, array"
	repair := ""
	if base == "nvarchar" && hasArg {
		hint, repair = "only nvarchar(max) exists", "nvarchar(max)"
	} else if r, ok := otherTypes[base]; ok {
		hint, repair = r, r
	} else if _, ok := typeNames[base]; ok {
		hint, repair = base, base
	}
	d := c.fail(diag.SA3010, t.Span, "type "+quote(t.Text)+" does not exist", hint)
	if repair != "" {
		d.Fix = []diag.Edit{{Span: t.Span, Text: repair}}
	}
	return vec.Missing, false
}

// castable reports whether CAST from one kind to another exists (saql.md 3.8).
func castable(from, to vec.Kind) bool {
	switch {
	case from == to || from.IsNull():
		return true
	case to == vec.String:
		return true
	case to == vec.Datetime:
		return from == vec.String
	case to.IsNumber():
		return from.IsNumber() || from == vec.String
	}
	return false
}

// anyCastable reports whether some kind of t can be cast to a kind.
func anyCastable(t vec.Kinds, to vec.Kind) bool {
	t = t.NotNull()
	for k := vec.Bit; k < vec.NumKinds; k++ {
		if t.Has(k) && castable(k, to) {
			return true
		}
	}
	return t == 0
}

// accepts reports whether an argument of a kind can become one of the kinds that a
// parameter wants (saql.md 3.8, implicit conversion).
func accepts(p fn.Param, k vec.Kind) bool {
	want := p.Types
	if want.Has(k) || k.IsNull() {
		return true
	}
	wantsNumber := want&numbers != 0
	wantsText := want.Has(vec.String) && !want.Has(vec.Record) // a text beside a record is a geography
	switch k {
	case vec.Bit:
		return wantsNumber || wantsText
	case vec.Int:
		return want.Has(vec.Float) || wantsText
	case vec.Float:
		return want.Has(vec.Int) && p.Truncate || wantsText
	case vec.String:
		return wantsNumber || want.Has(vec.Datetime)
	case vec.Datetime:
		return wantsText && !wantsNumber
	}
	return false
}

// anyAccepted reports whether some kind of t can be the argument.
func anyAccepted(p fn.Param, t vec.Kinds) bool {
	t = t.NotNull()
	for k := vec.Bit; k < vec.NumKinds; k++ {
		if t.Has(k) && accepts(p, k) {
			return true
		}
	}
	return t == 0
}

// comparable reports whether = can compare two kinds with a result other than unknown
// (saql.md 3.6).
func comparable(a, b vec.Kind) bool {
	switch {
	case a.IsNumber() && b.IsNumber():
		return true
	case a == vec.String:
		return b != vec.Record && b != vec.Array
	case b == vec.String:
		return a != vec.Record && a != vec.Array
	}
	return a == b
}

// anyComparable reports whether some pair of kinds can be compared.
func anyComparable(s, t vec.Kinds) bool {
	s, t = s.NotNull(), t.NotNull()
	if s == 0 || t == 0 {
		return true
	}
	for a := vec.Bit; a < vec.NumKinds; a++ {
		for b := vec.Bit; b < vec.NumKinds; b++ {
			if s.Has(a) && t.Has(b) && comparable(a, b) {
				return true
			}
		}
	}
	return false
}

// asNumber is the kinds that a value of the kinds t has as an operand of arithmetic.
func asNumber(t vec.Kinds) vec.Kinds {
	var r vec.Kinds
	if t&vec.KindsOf(vec.Int, vec.Bit, vec.String) != 0 {
		r |= vec.KindsOf(vec.Int)
	}
	if t&vec.KindsOf(vec.Float, vec.String) != 0 {
		r |= vec.KindsOf(vec.Float)
	}
	return r
}

// nulls is Null if one of the types may be NULL.
func nulls(types ...vec.Kinds) vec.Kinds {
	for _, t := range types {
		if t&vec.NullKind != 0 {
			return nullOnly
		}
	}
	return 0
}
