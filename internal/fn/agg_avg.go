package fn

import "weir/internal/vec"

var _ = agg(Agg{
	Name:   "AVG",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary: "AVG returns the mean of the values as a float, also of bigints. " +
			"It is the float nearest to the exact sum divided by the number of values.",
		Section: "7.6",
		Examples: []Example{
			{"AVG(v) over 1, 2", "1.5"},
			{"AVG(v) over 1, NULL, 3", "2.0"},
			{"AVG(v) over NULL", "null"},
		},
	},
	New: func(s AggSpec) Acc { return &avgAcc{totals{misfits: misfits{name: "AVG"}}} },
})

// avgAcc is AVG: the exact total divided by the exact count, rounded once, half to even.
type avgAcc struct{ totals }

func (a *avgAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	a.misfits.report(c, slots)
	out.Fixed(vec.Float, len(slots))
	var buf wideSum
	for i, s := range slots {
		n := a.ints[s].n + a.floatCount(s)
		if n == 0 {
			out.Float[i] = 0
			out.SetNull(i)
			continue
		}
		if low := a.ints[s].low; n == a.ints[s].n && n <= 1<<53 && low < 1<<53 && low > -1<<53 && a.noCarry(s) {
			out.Float[i] = float64(low) / float64(n) // both exact: IEEE division rounds once
			continue
		}
		mag, unit, neg := a.total(s, &buf)
		x := quotient(mag, unit, uint64(n))
		if neg {
			x = -x
		}
		out.Float[i] = x
	}
}

// noCarry reports whether the low part of the slot is its whole bigint sum.
func (a *totals) noCarry(s int32) bool { return a.carries == nil || a.carries[s] == 0 }
