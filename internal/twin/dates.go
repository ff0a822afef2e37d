package twin

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"weir/internal/saql"
)

// datePart is the part that a word names (saql.md 1.8).
func datePart(e saql.Expr) string {
	p, ok := e.(*saql.Path)
	if !ok {
		panic("twin: no date part")
	}
	return partName(p.Names[0].Text)
}

func partName(word string) string {
	switch strings.ToLower(word) {
	case "year", "yy", "yyyy":
		return "year"
	case "quarter", "qq", "q":
		return "quarter"
	case "month", "mm", "m":
		return "month"
	case "dayofyear", "dy", "y":
		return "dayofyear"
	case "day", "dd", "d", "days":
		return "day"
	case "week", "wk", "ww":
		return "week"
	case "weekday", "dw", "w":
		return "weekday"
	case "hour", "hh", "hours":
		return "hour"
	case "minute", "mi", "n", "minutes":
		return "minute"
	case "second", "ss", "s", "seconds":
		return "second"
	case "millisecond", "ms", "milliseconds":
		return "millisecond"
	case "microsecond", "mcs", "microseconds":
		return "microsecond"
	}
	panic("twin: no date part " + word)
}

// unitTicks is a unit of time of windows and durations.
func unitTicks(word string) int64 {
	switch partName(word) {
	case "day":
		return day
	case "hour":
		return hour
	case "minute":
		return minute
	case "second":
		return second
	case "millisecond":
		return millisecond
	case "microsecond":
		return millisecond / 1000
	}
	panic("twin: no unit " + word)
}

// instant is an argument where a datetime is wanted.
func instant(f string, v Value) int64 {
	if v.Kind == Text {
		if t, ok := parseTime(v.Text); ok {
			return t
		}
	}
	if v.Kind != Time {
		fail("argument of %s has type %s; datetime wanted", f, v.Kind)
	}
	return v.Int
}

// dateFunction is DATEADD, DATEDIFF, DATEPART or DATENAME (saql.md 7.3).
func dateFunction(name, part string, a []Value) Value {
	for _, v := range a {
		if v.isNull() {
			return null
		}
	}
	switch name {
	case "DATEADD":
		n := numeric(name, a[0])
		if n.Kind == Float {
			var ok bool
			if n, ok = truncate(n.Float); !ok {
				fail("date out of range")
			}
		}
		return dateAdd(part, n.Int, instant(name, a[1]))
	case "DATEDIFF":
		from, to := instant(name, a[0]), instant(name, a[1])
		return intValue(boundaries(part, to) - boundaries(part, from))
	case "DATENAME":
		t := civil(instant(name, a[0]))
		switch part {
		case "month":
			return textValue(t.Month().String())
		case "weekday":
			return textValue(t.Weekday().String())
		}
		return textValue(strconv.FormatInt(partOf(part, ticks(t)), 10))
	}
	return intValue(partOf(part, instant(name, a[0])))
}

func dateAdd(part string, n, t int64) Value {
	switch part {
	case "year":
		return addMonths(t, 12*n)
	case "quarter":
		return addMonths(t, 3*n)
	case "month":
		return addMonths(t, n)
	case "dayofyear", "weekday":
		part = "day"
	}
	step := 7 * day
	if part != "week" {
		step = unitTicks(part)
	}
	sum := new(big.Int).Mul(big.NewInt(n), big.NewInt(step))
	sum.Add(sum, big.NewInt(t))
	if !sum.IsInt64() || sum.Sign() < 0 || civil(sum.Int64()).Year() > 9999 {
		fail("date out of range")
	}
	return timeValue(sum.Int64())
}

// addMonths keeps the day, capped to the last one of the month.
func addMonths(t, n int64) Value {
	c := civil(t)
	first := time.Date(c.Year(), c.Month()+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	moved := first.AddDate(0, 0, min(c.Day(), last)-1)
	if n > 1e6 || n < -1e6 || moved.Year() < 1 || moved.Year() > 9999 {
		fail("date out of range")
	}
	return timeValue(ticks(moved) + t - floorDiv(t, day)*day)
}

// boundaries is n(part, t) of section 7.3.
func boundaries(part string, t int64) int64 {
	c := civil(t)
	switch part {
	case "year":
		return int64(c.Year())
	case "quarter":
		return int64(4*c.Year() + (int(c.Month())+2)/3)
	case "month":
		return int64(12*c.Year() + int(c.Month()))
	case "dayofyear", "weekday":
		return floorDiv(t, day)
	case "week":
		return floorDiv(floorDiv(t, day)+1, 7)
	}
	return floorDiv(t, unitTicks(part))
}

func partOf(part string, t int64) int64 {
	c := civil(t)
	switch part {
	case "year":
		return int64(c.Year())
	case "quarter":
		return int64((c.Month() + 2) / 3)
	case "month":
		return int64(c.Month())
	case "dayofyear":
		return int64(c.YearDay())
	case "day":
		return int64(c.Day())
	case "week":
		newYear := time.Date(c.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		return boundaries("week", t) - boundaries("week", ticks(newYear)) + 1
	case "weekday":
		return int64(c.Weekday()) + 1
	case "hour":
		return int64(c.Hour())
	case "minute":
		return int64(c.Minute())
	case "second":
		return int64(c.Second())
	case "millisecond":
		return int64(c.Nanosecond() / 1e6)
	}
	return int64(c.Nanosecond() / 1e3)
}
