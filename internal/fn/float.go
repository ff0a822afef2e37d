package fn

import (
	"math"

	"weir/internal/vec"
)

// The functions of this file take a float and give a float (saql.md 7.2). A result that
// is not finite is NULL (3.5).

var _ = scalar(Scalar{
	Name:   "EXP",
	Params: []Param{{Name: "x", Types: Float}},
	Result: floatOrNull,
	Doc: Doc{
		Summary:  "EXP gives e to the power of x. Overflow gives NULL.",
		Section:  "7.2",
		Examples: []Example{{"EXP(0)", "1.0"}, {"EXP(1)", "2.718281828459045"}, {"EXP(1000)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalFloat(c, out, args[0], n, math.Exp) },
})

var _ = scalar(Scalar{
	Name:   "SQRT",
	Params: []Param{{Name: "x", Types: Float}},
	Result: floatOrNull,
	Doc: Doc{
		Summary:  "SQRT gives the square root. That of a negative number is NULL.",
		Section:  "7.2",
		Examples: []Example{{"SQRT(9)", "3.0"}, {"SQRT(-1)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalFloat(c, out, args[0], n, math.Sqrt) },
})

var _ = scalar(Scalar{
	Name:   "SQUARE",
	Params: []Param{{Name: "x", Types: Float}},
	Result: floatOrNull,
	Doc: Doc{
		Summary:  "SQUARE gives x times x, as a float. Overflow gives NULL.",
		Section:  "7.2",
		Examples: []Example{{"SQUARE(3)", "9.0"}, {"SQUARE(1.5)", "2.25"}, {"SQUARE(1e200)", "null"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		evalFloat(c, out, args[0], n, func(x float64) float64 { return x * x })
	},
})

func floatOrNull([]Types) Types { return Float | Null }

// evalFloat applies f to every float; what is not finite becomes NULL.
func evalFloat(c *Call, out, x *vec.Vec, n int, f func(float64) float64) {
	out.Fixed(vec.Float, n)
	for i := range n {
		if c.Skip(i) {
			continue
		}
		y := f(x.Float[i])
		if !isFinite(y) {
			out.SetNull(i)
			continue
		}
		out.Float[i] = y
	}
}

// isFinite reports whether x is a value of the language.
func isFinite(x float64) bool { return x-x == 0 }
