package fn

import (
	"math"
	"math/bits"

	"weir/internal/vec"
)

var _ = scalar(Scalar{
	Name:   "POWER",
	Params: []Param{{Name: "x", Types: Num}, {Name: "y", Types: Num}},
	Result: func(args []Types) Types { return likeFirst(args) | Null },
	Doc: Doc{
		Summary: "POWER gives x to the power of y, in the type of x. Between bigints it is exact; what is not finite is NULL.",
		Section: "7.2",
		Examples: []Example{
			{"POWER(2, 10)", "1024"},
			{"POWER(2, -1)", "0"},
			{"POWER(2.0, -1)", "0.5"},
			{"POWER(0, -1)", "null"},
		},
	},
	Eval: evalPower,
})

func evalPower(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	x, y := args[0], args[1]
	out.Tagged(n)
	for i := range n {
		if c.Skip(i) {
			continue
		}
		v, ok := power(x.At(i), y.At(i))
		if !ok {
			c.Fail(i, "bigint overflow")
			continue
		}
		out.Set(i, v)
	}
}

// power is x to the power of y, NULL if that is not finite; false if x is a bigint and
// the result is none.
func power(x, y vec.Value) (vec.Value, bool) {
	if x.Kind == vec.Int && y.Kind == vec.Int && y.Int >= 0 {
		r, ok := powerInt(x.Int, y.Int)
		return vec.IntValue(r), ok
	}
	r := math.Pow(number(x), number(y))
	if !isFinite(r) {
		return vec.NullValue(), true
	}
	if x.Kind == vec.Float {
		return vec.FloatValue(r), true
	}
	// -2^63 is a float and a bigint, 2^63 only a float.
	if r = math.Trunc(r); r < -1<<63 || r >= 1<<63 {
		return vec.NullValue(), false
	}
	return vec.IntValue(int64(r)), true
}

// number is a bigint or float as a float.
func number(v vec.Value) float64 {
	if v.Kind == vec.Float {
		return v.Float
	}
	return float64(v.Int)
}

// powerInt is x to the power of y >= 0 by squaring; false if it overflows.
func powerInt(x, y int64) (int64, bool) {
	result := int64(1)
	for ; y > 0; y >>= 1 {
		ok := true
		if y&1 != 0 {
			if result, ok = multiply(result, x); !ok {
				return 0, false
			}
		}
		if y > 1 {
			if x, ok = multiply(x, x); !ok {
				return 0, false
			}
		}
	}
	return result, true
}

// multiply is a*b; false if it overflows.
func multiply(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi != 0 {
		return 0, false
	}
	if (a < 0) != (b < 0) {
		return -int64(lo), lo <= 1<<63
	}
	return int64(lo), lo < 1<<63
}

// magnitude is x without its sign.
func magnitude(x int64) uint64 {
	if x < 0 {
		return -uint64(x)
	}
	return uint64(x)
}
