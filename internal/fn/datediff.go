package fn

import "weir/internal/vec"

var _ = scalar(Scalar{
	Name:   "DATEDIFF",
	Part:   true,
	Params: []Param{{Name: "a", Types: Datetime}, {Name: "b", Types: Datetime}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "DATEDIFF counts the boundaries of a part between two times; it is negative if the second is earlier. Weeks turn on Sunday.",
		Section: "7.3",
		Examples: []Example{
			{"DATEDIFF(hour, '2024-01-01T10:59', '2024-01-01T11:00')", "1"},
			{"DATEDIFF(year, '2024-01-01', '2024-12-31T23:59:59')", "0"},
			{"DATEDIFF(day, '2024-03-01', '2024-02-28')", "-2"},
		},
	},
	Eval: evalDateDiff,
})

func evalDateDiff(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	a, b := args[0], args[1]
	out.Fixed(vec.Int, n)
	unit := int64(0)
	if c.Part >= Hour || c.Part == Day {
		unit = int64(parts[c.Part].Unit)
	}
	for i := range n {
		if c.Skip(i) {
			continue
		}
		if unit != 0 { // a part of fixed length: whole units since the origin
			out.Int[i] = b.Int[i]/unit - a.Int[i]/unit
			continue
		}
		out.Int[i] = c.Part.Count(vec.Time(b.Int[i])) - c.Part.Count(vec.Time(a.Int[i]))
	}
}

// Count is the number of boundaries of p between the origin and t: n(part, t) of
// saql.md 7.3. DATEDIFF is a difference of two counts.
func (p Part) Count(t vec.Time) int64 {
	switch p {
	case Year, Quarter, Month:
		year, month, _ := vec.Civil(t)
		switch p {
		case Year:
			return int64(year)
		case Quarter:
			return 4*int64(year) + int64(month+2)/3
		}
		return 12*int64(year) + int64(month)
	case DayOfYear, Day, Weekday:
		return vec.Days(t)
	case Week:
		return weekNumber(t)
	}
	return int64(t / parts[p].Unit)
}
