package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "DATEADD",
	Part:   true,
	Params: []Param{{Name: "n", Types: Bigint, Truncate: true}, {Name: "d", Types: Datetime}},
	Result: gives(Datetime),
	Doc: Doc{
		Summary: "DATEADD adds n parts to a time. Years, quarters and months keep the day, or take the month's last one. A result outside the years 1 to 9999 is a query error.",
		Section: "7.3",
		Examples: []Example{
			{"DATEADD(month, 1, '2024-01-31')", `"2024-02-29T00:00:00.0000000Z"`},
			{"DATEADD(day, 1.9, '2024-03-15')", `"2024-03-16T00:00:00.0000000Z"`},
			{"DATEADD(ms, -1500, '2024-01-01')", `"2023-12-31T23:59:58.5000000Z"`},
		},
	},
	Eval: evalDateAdd,
})

func evalDateAdd(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	count, d := args[0], args[1]
	out.Fixed(vec.Datetime, n)
	for i := range n {
		if c.Skip(i) {
			continue
		}
		t, ok := addPart(c.Part, count.Int[i], vec.Time(d.Int[i]))
		if !ok {
			c.Fail(i, "date out of range")
			continue
		}
		out.Int[i] = int64(t)
	}
}

// addPart adds n parts to t; false if the result is no datetime.
func addPart(p Part, n int64, t vec.Time) (vec.Time, bool) {
	switch p {
	case Year:
		return addMonths(n, 12, t)
	case Quarter:
		return addMonths(n, 3, t)
	case Month:
		return addMonths(n, 1, t)
	case DayOfYear, Weekday:
		return addTicks(n, vec.Day, t)
	case Week:
		return addTicks(n, 7*vec.Day, t)
	}
	return addTicks(n, parts[p].Unit, t)
}

func addTicks(n int64, unit, t vec.Time) (vec.Time, bool) {
	if limit := int64(vec.MaxDatetime / unit); n > limit || n < -limit {
		return 0, false
	}
	t += vec.Time(n) * unit
	return t, t.Valid()
}

// addMonths adds n times unit months. The day stays, or becomes the last of a shorter month.
func addMonths(n, unit int64, t vec.Time) (vec.Time, bool) {
	if n > 120000 || n < -120000 { // more months than there are, so that n*unit cannot overflow
		return 0, false
	}
	year, month, day := vec.Civil(t)
	months := int64(year)*12 + int64(month-1) + n*unit
	if months < 12 || months >= 120000 {
		return 0, false
	}
	year, month = int(months/12), int(months%12)+1
	day = min(day, vec.DaysIn(year, month))
	return vec.FromCivil(year, month, day) + t%vec.Day, true
}
