package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name: "DATETIMEFROMPARTS",
	Params: []Param{
		{Name: "year", Types: Bigint}, {Name: "month", Types: Bigint}, {Name: "day", Types: Bigint},
		{Name: "hour", Types: Bigint}, {Name: "minute", Types: Bigint}, {Name: "second", Types: Bigint},
		{Name: "millisecond", Types: Bigint},
	},
	Result: gives(Datetime),
	Doc: Doc{
		Summary: "DATETIMEFROMPARTS makes a time of seven numbers. A part out of range, or a day that the month does not have, is a query error.",
		Section: "7.3",
		Examples: []Example{
			{"DATETIMEFROMPARTS(2024, 2, 29, 1, 2, 3, 4)", `"2024-02-29T01:02:03.0040000Z"`},
		},
	},
	Eval: evalFromParts,
})

func evalFromParts(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	out.Fixed(vec.Datetime, n)
	var p [7]int64
	for i := range n {
		if c.Skip(i) {
			continue
		}
		for j := range p {
			p[j] = args[j].Int[i]
		}
		t, ok := fromParts(p)
		if !ok {
			c.Fail(i, "no such date")
			continue
		}
		out.Int[i] = int64(t)
	}
}

// fromParts is the time of year, month, day, hour, minute, second and millisecond.
func fromParts(p [7]int64) (vec.Time, bool) {
	in := func(x, lo, hi int64) bool { return x >= lo && x <= hi }
	if !in(p[0], 1, 9999) || !in(p[1], 1, 12) || !in(p[2], 1, int64(vec.DaysIn(int(p[0]), int(p[1])))) ||
		!in(p[3], 0, 23) || !in(p[4], 0, 59) || !in(p[5], 0, 59) || !in(p[6], 0, 999) {
		return 0, false
	}
	return vec.FromCivil(int(p[0]), int(p[1]), int(p[2])) + vec.Time(p[3])*vec.Hour +
		vec.Time(p[4])*vec.Minute + vec.Time(p[5])*vec.Second + vec.Time(p[6])*vec.Millisecond, true
}
