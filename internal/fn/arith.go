package fn

import (
	"math"
	"math/bits"
	"strings"

	"weir/internal/vec"
)

// HintSep stands between a run-time message and its hint, if it has one.
const HintSep = "; hint: "

const overflow = "bigint overflow"

// verbs name the operators in messages (SA3005).
var verbs = map[byte]string{
	'+': "add", '-': "subtract", '*': "multiply", '/': "divide", '%': "divide",
	'&': "combine", '|': "combine", '^': "combine",
}

// Arith sets out to a op b, op being one of + - * / % & | ^ (saql.md 3.5). out is neither
// a nor b. A row that fails is NULL and reported to c.
func Arith(op byte, c *Call, out, a, b *vec.Vec, n int) {
	if a.Tag == nil && b.Tag == nil && arithFixed(op, out, a, b, n) {
		return
	}
	arithMixed(op, c, out, a, b, n)
}

// arithFixed handles columns of one kind each, as long as no row overflows, divides by
// zero or is not finite; it gives false if the rows must be looked at one by one.
func arithFixed(op byte, out, a, b *vec.Vec, n int) bool {
	switch {
	case a.Kind.IsNull() || b.Kind.IsNull():
		out.Fixed(vec.Null, n)
		return true
	case a.Kind == vec.Int && b.Kind == vec.Int:
		return arithInts(op, out.Fixed(vec.Int, n).Int, a.Int[:n], b.Int[:n])
	case a.Kind == vec.String && b.Kind == vec.String && op == '+':
		concat(out, a, b, n)
		return true
	case isBitwise(op) || op == '%':
		return false
	case a.Kind == vec.Float && b.Kind == vec.Float:
		return arithFloats(op, out.Fixed(vec.Float, n).Float, a.Float[:n], b.Float[:n])
	case a.Kind == vec.Float && b.Kind == vec.Int:
		return arithFloats(op, out.Fixed(vec.Float, n).Float, a.Float[:n], b.Int[:n])
	case a.Kind == vec.Int && b.Kind == vec.Float:
		return arithFloats(op, out.Fixed(vec.Float, n).Float, a.Int[:n], b.Float[:n])
	}
	return false
}

// arithInts computes bigints; false if a row overflows or divides by zero.
func arithInts(op byte, out, a, b []int64) bool {
	b, out = b[:len(a)], out[:len(a)]
	bad := int64(0) // negative once a row overflows
	switch op {
	case '+':
		for i, x := range a {
			y := b[i]
			s := x + y
			bad |= (x ^ s) & (y ^ s)
			out[i] = s
		}
	case '-':
		for i, x := range a {
			y := b[i]
			s := x - y
			bad |= (x ^ y) & (x ^ s)
			out[i] = s
		}
	case '*':
		for i, x := range a {
			hi, lo := bits.Mul64(uint64(x), uint64(b[i]))
			// The high word of the signed product must repeat the sign of the low one.
			s := int64(hi) - x>>63&b[i] - b[i]>>63&x
			bad |= -(s ^ int64(lo)>>63) | (s ^ int64(lo)>>63)
			out[i] = int64(lo)
		}
	case '/':
		for i, x := range a {
			y := b[i]
			if y == 0 || y == -1 && x == math.MinInt64 {
				return false
			}
			out[i] = x / y
		}
	case '%':
		for i, x := range a {
			if b[i] == 0 {
				return false
			}
			out[i] = x % b[i]
		}
	case '&':
		for i, x := range a {
			out[i] = x & b[i]
		}
	case '|':
		for i, x := range a {
			out[i] = x | b[i]
		}
	case '^':
		for i, x := range a {
			out[i] = x ^ b[i]
		}
	}
	return bad >= 0
}

// arithFloats computes floats; false if a result is not finite.
func arithFloats[A, B int64 | float64](op byte, out []float64, a []A, b []B) bool {
	b, out = b[:len(a)], out[:len(a)]
	bad := 0.0 // becomes NaN with a result that is not finite
	switch op {
	case '+':
		for i, x := range a {
			r := float64(x) + float64(b[i])
			bad += r - r
			out[i] = r
		}
	case '-':
		for i, x := range a {
			r := float64(x) - float64(b[i])
			bad += r - r
			out[i] = r
		}
	case '*':
		for i, x := range a {
			r := float64(x) * float64(b[i])
			bad += r - r
			out[i] = r
		}
	case '/':
		for i, x := range a {
			r := float64(x) / float64(b[i])
			bad += r - r
			out[i] = r
		}
	}
	return bad == 0
}

// arithMixed goes row by row.
func arithMixed(op byte, c *Call, out, a, b *vec.Vec, n int) {
	out.Tagged(n)
	if len(a.Int) > 0 && len(b.Int) > 0 {
		out.Lane(vec.Int)
	}
	if len(a.Float) > 0 || len(b.Float) > 0 {
		out.Lane(vec.Float)
	}
	ka, kb := a.Kind, b.Kind
	for i := range n {
		if a.Tag != nil {
			ka = a.Tag[i]
		}
		if b.Tag != nil {
			kb = b.Tag[i]
		}
		switch {
		case ka.IsNull() || kb.IsNull():
			continue
		case ka == vec.Int && kb == vec.Int:
			r, k := intOp(op, a.Int[i], b.Int[i])
			if k == vec.Missing {
				c.Fail(i, overflow)
				continue
			}
			out.Tag[i], out.Int[i] = k, r
		case (ka == vec.Float || ka == vec.Int) && (kb == vec.Float || kb == vec.Int) && !isBitwise(op):
			if r := floatOp(op, floatAt(a, ka, i), floatAt(b, kb, i)); isFinite(r) {
				out.Tag[i], out.Float[i] = vec.Float, r
			}
		default:
			v, message := ArithValue(op, a.At(i), b.At(i))
			if message != "" {
				c.Fail(i, message)
				continue
			}
			out.Set(i, v)
		}
	}
}

// isBitwise reports whether op is & | or ^.
func isBitwise(op byte) bool { return op == '&' || op == '|' || op == '^' }

// floatAt is row i, a bigint or float, as a float.
func floatAt(v *vec.Vec, k vec.Kind, i int) float64 {
	if k == vec.Float {
		return v.Float[i]
	}
	return float64(v.Int[i])
}

// concat joins the texts of two columns. The texts of the batch share one piece of memory.
func concat(out, a, b *vec.Vec, n int) {
	size := 0
	for i := range n {
		size += len(a.StrAt(i)) + len(b.StrAt(i))
	}
	out.Fixed(vec.String, n)
	var all strings.Builder
	all.Grow(size)
	for i := range n {
		at := all.Len()
		all.WriteString(a.StrAt(i))
		all.WriteString(b.StrAt(i))
		out.Str[i] = all.String()[at:]
	}
}

// ArithValue is a op b. A message says why there is no result: a query error.
func ArithValue(op byte, a, b vec.Value) (v vec.Value, message string) {
	if a.Kind.IsNull() || b.Kind.IsNull() {
		return vec.NullValue(), ""
	}
	if a.Kind == vec.String && b.Kind == vec.String && op == '+' {
		return vec.StringValue(a.Str + b.Str), ""
	}
	if !a.Kind.IsNumber() && !b.Kind.IsNumber() || a.Kind > vec.String || b.Kind > vec.String {
		return v, cannot(verbs[op], a.Kind, b.Kind)
	}
	if a, message = operand(a); message != "" {
		return v, message
	}
	if b, message = operand(b); message != "" {
		return v, message
	}
	switch {
	case isBitwise(op):
		return bitwise(op, a, b)
	case a.Kind == vec.Float || b.Kind == vec.Float:
		return finiteOrNull(floatOp(op, number(a), number(b))), ""
	}
	r, k := intOp(op, a.Int, b.Int)
	if k == vec.Missing {
		return v, overflow
	}
	return vec.Value{Kind: k, Int: r}, ""
}

// cannot is the message of operands that an operator does not take (SA3005).
func cannot(verb string, a, b vec.Kind) string {
	hint := "CAST"
	if a == vec.Datetime || b == vec.Datetime {
		hint = "DATEADD and DATEDIFF"
	}
	return "cannot " + verb + " " + a.String() + " and " + b.String() + HintSep + hint
}

// operand reads a text that stands beside a number as a number.
func operand(v vec.Value) (vec.Value, string) {
	if v.Kind != vec.String {
		return v, ""
	}
	x, ok := vec.ParseNumber(v.Str)
	if !ok {
		return x, `"` + quoted(v.Str) + `" is not a number` + HintSep +
			"to join text use CONCAT(..) or CAST the number AS nvarchar(max)"
	}
	return x, ""
}

// finiteOrNull is f, or NULL if f is not finite (saql.md 3.5).
func finiteOrNull(f float64) vec.Value {
	if !isFinite(f) {
		return vec.NullValue()
	}
	return vec.FloatValue(f)
}

func floatOp(op byte, x, y float64) float64 {
	switch op {
	case '+':
		return x + y
	case '-':
		return x - y
	case '*':
		return x * y
	case '/':
		return x / y // not finite, so NULL, if y is 0
	}
	return math.Mod(x, y)
}

// intOp computes a bigint. The kind is Null for a division by zero and Missing for an
// overflow.
func intOp(op byte, x, y int64) (r int64, k vec.Kind) {
	ok := true
	switch op {
	case '+':
		r = x + y
		ok = (x^r)&(y^r) >= 0
	case '-':
		r = x - y
		ok = (x^y)&(x^r) >= 0
	case '*':
		hi, lo := bits.Mul64(uint64(x), uint64(y))
		r = int64(lo)
		ok = int64(hi)-x>>63&y-y>>63&x == r>>63
	case '/', '%':
		switch {
		case y == 0:
			return 0, vec.Null
		case op == '%':
			r = x % y
		default:
			r = x / y
			ok = y != -1 || x != math.MinInt64
		}
	case '&':
		r = x & y
	case '|':
		r = x | y
	case '^':
		r = x ^ y
	}
	if !ok {
		return 0, vec.Missing
	}
	return r, vec.Int
}

// bitwise computes & | ^: bit with bit gives bit, all else bigint; a float loses its
// fraction.
func bitwise(op byte, a, b vec.Value) (v vec.Value, message string) {
	x, ok := truncate(a)
	if !ok {
		return v, castMessage(a, vec.Int)
	}
	y, ok := truncate(b)
	if !ok {
		return v, castMessage(b, vec.Int)
	}
	r, k := intOp(op, x, y)
	if a.Kind == vec.Bit && b.Kind == vec.Bit {
		k = vec.Bit
	}
	return vec.Value{Kind: k, Int: r}, ""
}

// truncate is a number without its fraction; false if it is no bigint then.
func truncate(v vec.Value) (int64, bool) {
	if v.Kind != vec.Float {
		return v.Int, true
	}
	return truncateFloat(v.Float)
}

// truncateFloat cuts the fraction of f; false if the result is no bigint.
func truncateFloat(f float64) (int64, bool) {
	if f >= 1<<63 || f < -1<<63 {
		return 0, false
	}
	return int64(f), true
}

// Neg sets out to -a: a number changes its sign, a bit counts as bigint.
func Neg(c *Call, out, a *vec.Vec, n int) {
	if a.Tag == nil && a.Kind == vec.Float {
		out.Fixed(vec.Float, n)
		for i, x := range a.Float[:n] {
			out.Float[i] = -x
		}
		return
	}
	eachRow(c, out, a, n, NegValue)
}

// NegValue is -a. A message says why there is no result.
func NegValue(a vec.Value) (v vec.Value, message string) {
	switch a.Kind {
	case vec.Missing, vec.Null:
		return vec.NullValue(), ""
	case vec.Float:
		return vec.FloatValue(-a.Float), ""
	case vec.Int, vec.Bit:
		if a.Int == math.MinInt64 {
			return v, overflow
		}
		return vec.IntValue(-a.Int), ""
	}
	return v, "cannot negate " + a.Kind.String() + HintSep + "CAST"
}

// BitNot sets out to ~a: a bit turns over, a bigint becomes its complement.
func BitNot(c *Call, out, a *vec.Vec, n int) { eachRow(c, out, a, n, BitNotValue) }

// BitNotValue is ~a. A message says why there is no result.
func BitNotValue(a vec.Value) (v vec.Value, message string) {
	switch a.Kind {
	case vec.Missing, vec.Null:
		return vec.NullValue(), ""
	case vec.Int:
		return vec.IntValue(^a.Int), ""
	case vec.Bit:
		return vec.BitValue(a.Int == 0), ""
	}
	return v, "cannot complement " + a.Kind.String() + HintSep + "CAST"
}

// eachRow applies an operator of one operand.
func eachRow(c *Call, out, a *vec.Vec, n int, f func(vec.Value) (vec.Value, string)) {
	out.Tagged(n)
	for i := range n {
		v, message := f(a.At(i))
		if message != "" {
			c.Fail(i, message)
			continue
		}
		out.Set(i, v)
	}
}
