package fn

import (
	"strconv"

	"weir/internal/vec"
)

// The functions of this file take a point in time apart (saql.md 7.3). Times are UTC;
// weeks begin on Sunday and week 1 holds January 1.

var _ = scalar(Scalar{
	Name:   "DATEPART",
	Part:   true,
	Params: []Param{{Name: "d", Types: Datetime}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "DATEPART gives a part of a time as a number. weekday is 1 for Sunday; week 1 holds January 1 and weeks begin on Sunday.",
		Section: "7.3",
		Examples: []Example{
			{"DATEPART(weekday, '2024-01-01')", "2"},
			{"DATEPART(quarter, '2024-05-01')", "2"},
			{"DATEPART(microsecond, '2024-01-01T00:00:00.1234567')", "123456"},
		},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalPart(c.Part, c, out, args[0], n) },
})

var _ = scalar(Scalar{
	Name:   "DATENAME",
	Part:   true,
	Params: []Param{{Name: "d", Types: Datetime}},
	Result: gives(Text),
	Doc: Doc{
		Summary: "DATENAME gives a part of a time as text: the English name of the month or weekday, else the number of DATEPART.",
		Section: "7.3",
		Examples: []Example{
			{"DATENAME(month, '2024-03-05')", `"March"`},
			{"DATENAME(weekday, '2024-03-15')", `"Friday"`},
			{"DATENAME(year, '2024-03-05')", `"2024"`},
		},
	},
	Eval: evalDateName,
})

var _ = scalar(Scalar{
	Name:   "DAY",
	Params: []Param{{Name: "d", Types: Datetime}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary:  "DAY gives the day of the month of a time.",
		Section:  "7.3",
		Examples: []Example{{"DAY('2024-03-05')", "5"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalPart(Day, c, out, args[0], n) },
})

var _ = scalar(Scalar{
	Name:   "MONTH",
	Params: []Param{{Name: "d", Types: Datetime}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary:  "MONTH gives the month of a time, 1 to 12.",
		Section:  "7.3",
		Examples: []Example{{"MONTH('2024-03-05')", "3"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalPart(Month, c, out, args[0], n) },
})

var _ = scalar(Scalar{
	Name:   "YEAR",
	Params: []Param{{Name: "d", Types: Datetime}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary:  "YEAR gives the year of a time.",
		Section:  "7.3",
		Examples: []Example{{"YEAR('2024-03-05')", "2024"}},
	},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) { evalPart(Year, c, out, args[0], n) },
})

// evalPart fills out with a part of each time. Rows that follow each other mostly fall
// on one day, so a part of the calendar is computed once for a run of equal days.
func evalPart(p Part, c *Call, out, d *vec.Vec, n int) {
	out.Fixed(vec.Int, n)
	calendar := p < Hour
	day, value := vec.Time(-1), int64(0)
	for i := range n {
		if c.Skip(i) {
			continue
		}
		t := vec.Time(d.Int[i])
		if !calendar {
			out.Int[i] = partOf(p, t)
			continue
		}
		if t/vec.Day != day {
			day, value = t/vec.Day, partOf(p, t)
		}
		out.Int[i] = value
	}
}

var monthNames = [...]string{"January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December"}

var weekdayNames = [...]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}

func evalDateName(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	d := args[0]
	out.Fixed(vec.String, n)
	last, text := int64(-1), ""
	for i := range n {
		if c.Skip(i) {
			continue
		}
		x := partOf(c.Part, vec.Time(d.Int[i]))
		if x != last {
			last, text = x, partName(c.Part, x)
		}
		out.Str[i] = text
	}
}

func partName(p Part, x int64) string {
	switch p {
	case Month:
		return monthNames[x-1]
	case Weekday:
		return weekdayNames[x-1]
	}
	return strconv.FormatInt(x, 10)
}

// partOf is the part p of t (DATEPART).
func partOf(p Part, t vec.Time) int64 {
	switch p {
	case Week:
		year, _, _ := vec.Civil(t)
		return weekNumber(t) - weekNumber(vec.FromCivil(year, 1, 1)) + 1
	case Weekday:
		return (vec.Days(t)+1)%7 + 1 // day 0 was a Monday
	case DayOfYear:
		return int64(vec.YearDay(t))
	case Hour:
		return int64(t % vec.Day / vec.Hour)
	case Minute:
		return int64(t % vec.Hour / vec.Minute)
	case Second:
		return int64(t % vec.Minute / vec.Second)
	case Millisecond:
		return int64(t % vec.Second / vec.Millisecond)
	case Microsecond:
		return int64(t % vec.Second / vec.Microsecond)
	}
	year, month, day := vec.Civil(t)
	switch p {
	case Year:
		return int64(year)
	case Quarter:
		return int64(month+2) / 3
	case Month:
		return int64(month)
	}
	return int64(day)
}

// weekNumber counts weeks since the origin; a new one begins each Sunday.
func weekNumber(t vec.Time) int64 { return (vec.Days(t) + 1) / 7 }
