package vec

import (
	"cmp"
	"math"
)

// Compare compares two values as the operators do (saql.md 3.6): negative, zero or
// positive. It gives false if the result is unknown: NULL, kinds that do not compare,
// text that does not convert, and records and arrays, which have no order (see Equal).
func Compare(a, b Value) (c int, ok bool) {
	switch a.Kind {
	case Bit, Int:
		switch b.Kind {
		case Bit, Int:
			return cmp.Compare(a.Int, b.Int), true
		case Float:
			return CompareIntFloat(a.Int, b.Float), true
		}
	case Float:
		switch b.Kind {
		case Bit, Int:
			return -CompareIntFloat(b.Int, a.Float), true
		case Float:
			return cmp.Compare(a.Float, b.Float), true
		}
	case Datetime:
		if b.Kind == Datetime {
			return cmp.Compare(a.Int, b.Int), true
		}
	case String:
		if b.Kind == String {
			// The order of UTF-8 bytes is the order of code points.
			return cmp.Compare(a.Str, b.Str), true
		}
		if x, ok := convertText(a.Str, b.Kind); ok {
			return Compare(x, b)
		}
		return 0, false
	}
	if b.Kind == String {
		if x, ok := convertText(b.Str, a.Kind); ok {
			return Compare(a, x)
		}
	}
	return 0, false
}

// convertText turns text into what it means beside a value of kind k.
func convertText(s string, k Kind) (Value, bool) {
	switch k {
	case Int, Float:
		return ParseNumber(s)
	case Bit:
		b, ok := ParseBit(s)
		return BitValue(b), ok
	case Datetime:
		t, ok := ParseTime(s)
		return TimeValue(t), ok
	}
	return Value{}, false
}

// CompareIntFloat compares a bigint with a float exactly.
func CompareIntFloat(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(i, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, f)
}

// Equal reports whether a = b is true (saql.md 3.6), deep in records and arrays, where
// NULL equals NULL. Two values that are NULL themselves count as equal too: the operator
// `=` asks for NULL before.
func Equal(a, b Value) bool {
	if a.Kind.IsNull() || b.Kind.IsNull() {
		return a.Kind.IsNull() && b.Kind.IsNull()
	}
	if a.Kind == Record || a.Kind == Array {
		return a.Kind == b.Kind && deepEqual(a, b, Equal)
	}
	c, ok := Compare(a, b)
	return ok && c == 0
}

// KeyEqual reports whether a and b are one key (saql.md 3.7): like Equal, but text is
// never converted.
func KeyEqual(a, b Value) bool {
	if a.Kind == Record || a.Kind == Array {
		return a.Kind == b.Kind && deepEqual(a, b, KeyEqual)
	}
	if (a.Kind == String) != (b.Kind == String) {
		return false
	}
	return Equal(a, b)
}

// deepEqual compares two records or two arrays.
func deepEqual(a, b Value, equal func(a, b Value) bool) bool {
	if a.Rec == b.Rec {
		return true
	}
	x, y := a.Rec, b.Rec
	if len(x.Vals) != len(y.Vals) {
		return false
	}
	if a.Kind == Array || sameNames(x.Names, y.Names) {
		for i := range x.Vals {
			if !equal(x.Vals[i], y.Vals[i]) {
				return false
			}
		}
		return true
	}
	// Names are distinct, so equal numbers of them and each found is enough. Sorting
	// both keeps wide records from costing the square of their width.
	xs, ys := x.byName(), y.byName()
	for i := range xs {
		if x.Names[xs[i]] != y.Names[ys[i]] || !equal(x.Vals[xs[i]], y.Vals[ys[i]]) {
			return false
		}
	}
	return true
}
