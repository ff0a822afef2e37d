package fn

import (
	"math"
	"strconv"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "ROUND",
	Params: []Param{{Name: "x", Types: Num}, {Name: "n", Types: Bigint, Truncate: true}},
	Result: likeFirst,
	Doc: Doc{
		Summary: "ROUND rounds x to n decimals, or left of the point if n is negative. Half goes away from zero, judged on the shortest decimal text of x.",
		Section: "7.2",
		Examples: []Example{
			{"ROUND(2.5, 0)", "3.0"},
			{"ROUND(-2.5, 0)", "-3.0"},
			{"ROUND(1749, -2)", "1700"},
			{"ROUND(1.005, 2)", "1.01"},
		},
	},
	Eval: evalRound,
})

func evalRound(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	x, places := args[0], args[1]
	if x.Tag == nil && x.Kind == vec.Float {
		out.Fixed(vec.Float, n)
	} else {
		out.Tagged(n)
	}
	for i := range n {
		if c.Skip(i) {
			continue
		}
		if x.KindAt(i) == vec.Int {
			r, ok := roundInt(x.Int[i], places.Int[i])
			if !ok {
				c.Fail(i, "bigint overflow")
				continue
			}
			out.Set(i, vec.IntValue(r))
			continue
		}
		r := roundFloat(x.Float[i], places.Int[i])
		if !isFinite(r) {
			out.SetNull(i)
			continue
		}
		out.Set(i, vec.FloatValue(r))
	}
}

// roundInt rounds x to 10^-n; false if the result is no bigint.
func roundInt(x, n int64) (int64, bool) {
	if n >= 0 {
		return x, true
	}
	if n < -19 { // half of 10^20 is more than any bigint
		return 0, true
	}
	unit := uint64(1)
	for ; n < 0; n++ {
		unit *= 10
	}
	m := magnitude(x)
	rest := m % unit
	m -= rest
	if rest >= unit-rest { // rest >= unit/2
		m += unit
	}
	if x < 0 {
		return -int64(m), m <= 1<<63
	}
	return int64(m), m < 1<<63
}

// The powers of ten that a float holds exactly and that roundQuickly needs.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// roundFloat rounds x to n decimals by its shortest decimal text.
func roundFloat(x float64, n int64) float64 {
	if x == math.Trunc(x) && n >= 0 {
		return x
	}
	if n >= 0 && n < int64(len(pow10)) {
		if r, ok := roundQuickly(x, pow10[n]); ok {
			return r
		}
	}
	return roundText(x, n)
}

// roundQuickly rounds x to 1/unit, if it is clear from float arithmetic what the text of
// x says. The text and the product differ from x times unit by less than 2^-51 of it, so
// only a fraction that is that close to one half needs the text. The quotient of two
// whole numbers below 2^53 is rounded correctly, so it is the float of the decimal text.
func roundQuickly(x, unit float64) (float64, bool) {
	y := math.Abs(x) * unit
	if y >= 1<<45 {
		return 0, false
	}
	whole := math.Floor(y)
	d := y - whole - 0.5
	if math.Abs(d) < (y+1)*0x1p-50 {
		return 0, false
	}
	if d > 0 {
		whole++
	}
	return math.Copysign(whole/unit, x), true
}

// roundText rounds the shortest decimal text of x to n decimals. A result beyond the
// range of floats is infinite.
func roundText(x float64, n int64) float64 {
	// The text is d.ddde±dd: digit i counts 10^(exp-i).
	var buf [32]byte
	text := strconv.AppendFloat(buf[:0], math.Abs(x), 'e', -1, 64)
	e := len(text) - 1
	for text[e] != 'e' {
		e--
	}
	exp, err := strconv.Atoi(string(text[e+1:]))
	if err != nil {
		panic("fn: float text without exponent")
	}
	digits := append([]byte{text[0]}, text[min(2, e):e]...)

	if n >= int64(len(digits)-1-exp) {
		return x // there is no digit behind the place
	}
	if n < int64(-exp-1) {
		return math.Copysign(0, x)
	}
	keep := exp + 1 + int(n) // the digits before the place, 0 or more
	up := digits[keep] >= '5'
	digits = append([]byte{'0'}, digits[:keep]...) // room for a carry
	if up {
		i := keep
		for digits[i] == '9' {
			digits[i] = '0'
			i--
		}
		digits[i]++
	}
	r, err := strconv.ParseFloat(string(digits)+"e"+strconv.Itoa(int(-n)), 64)
	if err != nil {
		r = math.Inf(1)
	}
	return math.Copysign(r, x)
}
