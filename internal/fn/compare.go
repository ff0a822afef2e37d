package fn

import (
	"cmp"
	"strings"

	"weir/internal/vec"
)

// Truth is the result of a predicate (saql.md 3.2).
type Truth int8

// The truths.
const (
	False Truth = iota
	True
	Unknown
)

// truthOf is True or False.
func truthOf(b bool) Truth {
	if b {
		return True
	}
	return False
}

// The tables have a row of four for each truth on the left: False, True, Unknown, and a
// place that no truth has.
var (
	andTable = [16]Truth{
		False, False, False, 0,
		False, True, Unknown, 0,
		False, Unknown, Unknown, 0,
	}
	orTable = [16]Truth{
		False, True, Unknown, 0,
		True, True, True, 0,
		Unknown, True, Unknown, 0,
	}
	notTable = [4]Truth{True, False, Unknown}
)

// And sets dst to dst AND b, row by row.
func And(dst, b []Truth) {
	b = b[:len(dst)]
	for i, x := range dst {
		dst[i] = andTable[(x<<2|b[i])&15]
	}
}

// Or sets dst to dst OR b, row by row.
func Or(dst, b []Truth) {
	b = b[:len(dst)]
	for i, x := range dst {
		dst[i] = orTable[(x<<2|b[i])&15]
	}
}

// Not sets dst to NOT dst, row by row.
func Not(dst []Truth) {
	for i, x := range dst {
		dst[i] = notTable[x&3]
	}
}

// CmpOp is a comparison operator.
type CmpOp uint8

// The comparison operators.
const (
	Eq CmpOp = iota // =
	Ne              // <> !=
	Lt              // < !>=
	Le              // <= !>
	Gt              // >
	Ge              // >= !<
)

// cmpTable is the result of each operator for less, equal, greater.
var cmpTable = [...][3]Truth{
	Eq: {False, True, False},
	Ne: {True, False, True},
	Lt: {True, False, False},
	Le: {True, True, False},
	Gt: {False, False, True},
	Ge: {False, True, True},
}

// Of is the result of op where the operands compare as c.
func (op CmpOp) Of(c int) Truth {
	switch {
	case c < 0:
		return cmpTable[op][0]
	case c > 0:
		return cmpTable[op][2]
	}
	return cmpTable[op][1]
}

// CompareValues is a op b (saql.md 3.6).
func CompareValues(op CmpOp, a, b vec.Value) Truth {
	if a.Kind.IsNull() || b.Kind.IsNull() {
		return Unknown
	}
	if a.Kind == b.Kind && (a.Kind == vec.Record || a.Kind == vec.Array) {
		switch op {
		case Eq:
			return truthOf(vec.Equal(a, b))
		case Ne:
			return truthOf(!vec.Equal(a, b))
		}
		return Unknown
	}
	c, ok := vec.Compare(a, b)
	if !ok {
		return Unknown
	}
	return op.Of(c)
}

// Compare sets out to a op b, row by row (saql.md 3.6).
func Compare(op CmpOp, out []Truth, a, b *vec.Vec, n int) {
	out = out[:n]
	if a.Tag != nil || b.Tag != nil {
		compareMixed(op, out, a, b)
		return
	}
	integral := func(k vec.Kind) bool { return k == vec.Int || k == vec.Bit }
	switch {
	case a.Kind.IsNull() || b.Kind.IsNull():
		fillTruth(out, Unknown)
	case integral(a.Kind) && integral(b.Kind), a.Kind == vec.Datetime && b.Kind == vec.Datetime:
		compareLanes(op, out, a.Int, b.Int)
	case a.Kind == vec.Float && b.Kind == vec.Float:
		compareLanes(op, out, a.Float, b.Float)
	case a.Kind == vec.String && b.Kind == vec.String:
		compareTexts(op, out, a, b)
	default:
		compareMixed(op, out, a, b)
	}
}

// compareTexts compares two columns of texts. The entries of a dictionary are distinct,
// so equal codes mean equal texts.
func compareTexts(op CmpOp, out []Truth, a, b *vec.Vec) {
	if a.Dict != nil && a.Dict == b.Dict && (op == Eq || op == Ne) {
		for i := range out {
			out[i] = truthOf((a.Code[i] == b.Code[i]) == (op == Eq))
		}
		return
	}
	for i := range out {
		out[i] = op.texts(a.StrAt(i), b.StrAt(i))
	}
}

// texts is s op t.
func (op CmpOp) texts(s, t string) Truth {
	switch op {
	case Eq:
		return truthOf(s == t)
	case Ne:
		return truthOf(s != t)
	}
	return op.Of(strings.Compare(s, t))
}

// compareMixed goes row by row.
func compareMixed(op CmpOp, out []Truth, a, b *vec.Vec) {
	ka, kb := a.Kind, b.Kind
	for i := range out {
		if a.Tag != nil {
			ka = a.Tag[i]
		}
		if b.Tag != nil {
			kb = b.Tag[i]
		}
		switch {
		case ka.IsNull() || kb.IsNull():
			out[i] = Unknown
		case ka == vec.Int && kb == vec.Int:
			out[i] = op.Of(cmp.Compare(a.Int[i], b.Int[i]))
		case ka == vec.Float && kb == vec.Float:
			out[i] = op.Of(cmp.Compare(a.Float[i], b.Float[i]))
		case ka == vec.Int && kb == vec.Float:
			out[i] = op.Of(vec.CompareIntFloat(a.Int[i], b.Float[i]))
		case ka == vec.Float && kb == vec.Int:
			out[i] = op.Of(-vec.CompareIntFloat(b.Int[i], a.Float[i]))
		case ka == vec.String && kb == vec.String:
			out[i] = op.texts(a.StrAt(i), b.StrAt(i))
		default:
			out[i] = CompareValues(op, a.At(i), b.At(i))
		}
	}
}

func fillTruth(out []Truth, t Truth) {
	for i := range out {
		out[i] = t
	}
}

// compareLanes compares two lanes without NULL. The loops have no branches.
func compareLanes[T int64 | float64](op CmpOp, out []Truth, a, b []T) {
	a, b = a[:len(out)], b[:len(out)]
	switch op {
	case Eq:
		for i, x := range a {
			out[i] = truthOf(x == b[i])
		}
	case Ne:
		for i, x := range a {
			out[i] = truthOf(x != b[i])
		}
	case Lt:
		for i, x := range a {
			out[i] = truthOf(x < b[i])
		}
	case Le:
		for i, x := range a {
			out[i] = truthOf(x <= b[i])
		}
	case Gt:
		for i, x := range a {
			out[i] = truthOf(x > b[i])
		}
	case Ge:
		for i, x := range a {
			out[i] = truthOf(x >= b[i])
		}
	}
}
