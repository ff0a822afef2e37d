package fn

import "weir/internal/vec"

// Elapsed is the time from a to b in whole units of that many ticks, cut toward zero. It
// is what DATEDIFF over sources means in ON (saql.md 6.2). Queries cannot call it by name.
var Elapsed = &Scalar{
	Name:   "Elapsed",
	Params: []Param{{Name: "a", Types: Datetime}, {Name: "b", Types: Datetime}, {Name: "unit", Types: Bigint}},
	Result: gives(Bigint),
	Eval:   evalElapsed,
}

func evalElapsed(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	a, b, unit := args[0], args[1], args[2]
	out.Fixed(vec.Int, n)
	for i := range n {
		if !c.Skip(i) {
			out.Int[i] = (b.Int[i] - a.Int[i]) / unit.Int[i]
		}
	}
}
