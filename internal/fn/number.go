package fn

import (
	"math"

	"weir/internal/vec"
)

// The functions of this file take a number and give a number of the same type (saql.md
// 7.2).

var _ = scalar(Scalar{
	Name:   "ABS",
	Params: []Param{{Name: "x", Types: Num}},
	Result: likeFirst,
	Doc: Doc{
		Summary:  "ABS gives the number without its sign. The least bigint has no positive counterpart and is a query error.",
		Section:  "7.2",
		Examples: []Example{{"ABS(-2.5)", "2.5"}, {"ABS(-7)", "7"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		evalNumber(c, out, args[0], n, absInt, math.Abs)
	},
})

var _ = scalar(Scalar{
	Name:   "CEILING",
	Params: []Param{{Name: "x", Types: Num}},
	Result: likeFirst,
	Doc: Doc{
		Summary:  "CEILING gives the least whole number that is not below x, in the type of x.",
		Section:  "7.2",
		Examples: []Example{{"CEILING(-1.2)", "-1.0"}, {"CEILING(2.1)", "3.0"}, {"CEILING(4)", "4"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		evalNumber(c, out, args[0], n, nil, math.Ceil)
	},
})

var _ = scalar(Scalar{
	Name:   "FLOOR",
	Params: []Param{{Name: "x", Types: Num}},
	Result: likeFirst,
	Doc: Doc{
		Summary:  "FLOOR gives the greatest whole number that is not above x, in the type of x.",
		Section:  "7.2",
		Examples: []Example{{"FLOOR(-1.2)", "-2.0"}, {"FLOOR(2.9)", "2.0"}, {"FLOOR(4)", "4"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		evalNumber(c, out, args[0], n, nil, math.Floor)
	},
})

var _ = scalar(Scalar{
	Name:   "SIGN",
	Params: []Param{{Name: "x", Types: Num}},
	Result: likeFirst,
	Doc: Doc{
		Summary:  "SIGN gives -1, 0 or 1, in the type of x.",
		Section:  "7.2",
		Examples: []Example{{"SIGN(-0.3)", "-1.0"}, {"SIGN(0)", "0"}, {"SIGN(12)", "1"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		evalNumber(c, out, args[0], n, signInt, signFloat)
	},
})

// evalNumber applies ofInt to the bigints of x and ofFloat to its floats. A false result
// of ofInt is an overflow; a nil ofInt leaves bigints as they are. ofFloat of a finite
// number must be finite.
func evalNumber(c *Call, out, x *vec.Vec, n int, ofInt func(int64) (int64, bool), ofFloat func(float64) float64) {
	switch {
	case x.Tag == nil && x.Kind == vec.Float:
		out.Fixed(vec.Float, n)
		for i, f := range x.Float {
			out.Float[i] = ofFloat(f)
		}
		return
	case x.Tag == nil && x.Kind == vec.Int:
		out.Fixed(vec.Int, n)
		copy(out.Int, x.Int)
	default:
		out.Tagged(n)
		for i := range n {
			if c.Skip(i) {
				continue
			}
			v := x.At(i)
			if v.Kind == vec.Float {
				v.Float = ofFloat(v.Float)
			}
			out.Set(i, v)
		}
	}
	if ofInt == nil {
		return
	}
	for i := range n {
		if c.Skip(i) || out.KindAt(i) != vec.Int {
			continue
		}
		y, ok := ofInt(out.Int[i])
		if !ok {
			c.Fail(i, "bigint overflow")
			out.SetNull(i)
			continue
		}
		out.Int[i] = y
	}
}

func absInt(x int64) (int64, bool) {
	if x < 0 {
		x = -x
	}
	return x, x >= 0
}

func signInt(x int64) (int64, bool) {
	switch {
	case x > 0:
		return 1, true
	case x < 0:
		return -1, true
	}
	return 0, true
}

func signFloat(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}
