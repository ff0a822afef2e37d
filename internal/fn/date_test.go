package fn

import (
	"math/rand"
	"testing"
	"time"

	"weir/internal/vec"
)

func TestDateAdd(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	const d = "'2024-03-15T10:00:00Z'"
	f("DATEADD(yy, -1, "+d+")", `"2023-03-15T10:00:00.0000000Z"`)
	f("DATEADD(YYYY, 1, "+d+")", `"2025-03-15T10:00:00.0000000Z"`)
	f("DATEADD(q, 2, "+d+")", `"2024-09-15T10:00:00.0000000Z"`)
	f("DATEADD(mm, -1, "+d+")", `"2024-02-15T10:00:00.0000000Z"`)
	f("DATEADD(dd, -15, "+d+")", `"2024-02-29T10:00:00.0000000Z"`)
	f("DATEADD(dy, 1, "+d+")", `"2024-03-16T10:00:00.0000000Z"`)
	f("DATEADD(w, -1, "+d+")", `"2024-03-14T10:00:00.0000000Z"`)
	f("DATEADD(ww, -1, "+d+")", `"2024-03-08T10:00:00.0000000Z"`)
	f("DATEADD(hh, -11, "+d+")", `"2024-03-14T23:00:00.0000000Z"`)
	f("DATEADD(n, 90, "+d+")", `"2024-03-15T11:30:00.0000000Z"`)
	f("DATEADD(mi, -1, "+d+")", `"2024-03-15T09:59:00.0000000Z"`)
	f("DATEADD(ss, -1, "+d+")", `"2024-03-15T09:59:59.0000000Z"`)
	f("DATEADD(ms, 1500, "+d+")", `"2024-03-15T10:00:01.5000000Z"`)
	f("DATEADD(mcs, -1, "+d+")", `"2024-03-15T09:59:59.9999990Z"`)

	f("DATEADD(month, 1, '2023-01-31')", `"2023-02-28T00:00:00.0000000Z"`)
	f("DATEADD(year, 1, '2024-02-29T12:00:00Z')", `"2025-02-28T12:00:00.0000000Z"`)
	f("DATEADD(year, 4, '2024-02-29')", `"2028-02-29T00:00:00.0000000Z"`)
	f("DATEADD(quarter, -1, '2024-05-31')", `"2024-02-29T00:00:00.0000000Z"`)
	f("DATEADD(month, -12, '2024-01-31')", `"2023-01-31T00:00:00.0000000Z"`)
	f("DATEADD(month, -1, '2024-01-15')", `"2023-12-15T00:00:00.0000000Z"`)
	f("DATEADD(hour, -1.9, '2024-03-15T12:00:00Z')", `"2024-03-15T11:00:00.0000000Z"`)
	f("DATEADD(second, 1704067200, '1970-01-01')", `"2024-01-01T00:00:00.0000000Z"`)
	f("DATEADD(second, '10', '2024-01-01')", `"2024-01-01T00:00:10.0000000Z"`)

	f("DATEADD(year, 7975, '2024-01-01')", `"9999-01-01T00:00:00.0000000Z"`)
	f("DATEADD(year, 7976, '2024-01-01')", "error: date out of range")
	f("DATEADD(year, -2023, '2024-01-01')", `"0001-01-01T00:00:00.0000000Z"`)
	f("DATEADD(year, -2024, '2024-01-01')", "error: date out of range")
	f("DATEADD(month, 119987, '0001-01-01')", `"9999-12-01T00:00:00.0000000Z"`)
	f("DATEADD(month, 119988, '0001-01-01')", "error: date out of range")
	f("DATEADD(mcs, -1, '0001-01-01')", "error: date out of range")
	f("DATEADD(mcs, 1, '9999-12-31T23:59:59.9999989')", `"9999-12-31T23:59:59.9999999Z"`)
	f("DATEADD(mcs, 1, '9999-12-31T23:59:59.9999990')", "error: date out of range")
	for _, part := range []string{"year", "quarter", "month", "day", "week", "hour", "ms", "mcs"} {
		f("DATEADD("+part+", 9223372036854775807, '2024-01-01')", "error: date out of range")
		f("DATEADD("+part+", -9223372036854775808, '2024-01-01')", "error: date out of range")
	}
	f("DATEADD(day, NULL, '2024-01-01')", "null")
	f("DATEADD(day, 1, NULL)", "null")
}

func TestDateDiff(t *testing.T) {
	f := func(part, a, b, want string) {
		t.Helper()
		call := "DATEDIFF(" + part + ", '" + a + "', '" + b + "')"
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
		call = "DATEDIFF(" + part + ", '" + b + "', '" + a + "')"
		if got := evalCall(t, call); got != "-"+want && "-"+got != want && got+want != "00" {
			t.Errorf("%s = %s, want -%s", call, got, want)
		}
	}
	f("year", "2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "1")
	f("year", "2024-01-01T00:00:00Z", "2024-12-31T23:59:59Z", "0")
	f("month", "2024-01-31T23:59:59Z", "2024-02-01T00:00:00Z", "1")
	f("month", "2023-11-30", "2024-02-01", "3")
	f("quarter", "2024-03-31", "2024-04-01", "1")
	f("quarter", "2023-11-01", "2024-05-01", "2")
	f("quarter", "2024-01-01", "2024-03-31", "0")
	f("day", "2024-01-01T23:59:59Z", "2024-01-02T00:00:00Z", "1")
	f("dy", "2024-02-28T12:00:00Z", "2024-03-01T01:00:00Z", "2")
	f("weekday", "2024-02-28T12:00:00Z", "2024-03-01T01:00:00Z", "2")
	f("week", "2024-01-06T23:00:00Z", "2024-01-07T00:00:00Z", "1") // Saturday, Sunday
	f("week", "2024-01-07", "2024-01-13", "0")
	f("week", "0001-01-01", "0001-01-07", "1")
	f("hour", "2024-01-01T10:59:59Z", "2024-01-01T11:00:00Z", "1")
	f("hour", "2024-01-01T10:00:00Z", "2024-01-01T10:59:59Z", "0")
	f("minute", "2024-01-01T10:00:59Z", "2024-01-01T10:02:00Z", "2")
	f("second", "2024-01-01T10:00:00.9Z", "2024-01-01T10:00:01.1Z", "1")
	f("millisecond", "2024-01-01T00:00:00.0009Z", "2024-01-01T00:00:00.0010Z", "1")
	f("microsecond", "2024-01-01T00:00:00.0000009Z", "2024-01-01T00:00:00.0000010Z", "1")
	f("ms", "2024-01-01", "2024-01-02", "86400000")
	f("mcs", "0001-01-01", "9999-12-31T23:59:59.9999999Z", "315537897599999999")
	f("second", "2024-01-01", "2024-01-01", "0")
	f("day", "2024-03-15T23:00:00-02:00", "2024-03-16T01:00:00Z", "0") // zones
}

func TestDatePart(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	const d = "'2024-03-15T10:20:30.1234567Z'"
	f("DATEPART(year, "+d+")", "2024")
	f("DATEPART(quarter, "+d+")", "1")
	f("DATEPART(month, "+d+")", "3")
	f("DATEPART(dayofyear, "+d+")", "75")
	f("DATEPART(day, "+d+")", "15")
	f("DATEPART(week, "+d+")", "11")
	f("DATEPART(weekday, "+d+")", "6")
	f("DATEPART(hour, "+d+")", "10")
	f("DATEPART(minute, "+d+")", "20")
	f("DATEPART(second, "+d+")", "30")
	f("DATEPART(millisecond, "+d+")", "123")
	f("DATEPART(microsecond, "+d+")", "123456")
	f("DATEPART(dayofyear, '2024-12-31')", "366")
	f("DATEPART(quarter, '2024-12-31')", "4")
	f("DATEPART(week, '2024-01-06')", "1")
	f("DATEPART(week, '2024-01-07')", "2")
	f("DATEPART(week, '2023-01-01')", "1") // a Sunday
	f("DATEPART(week, '2023-01-08')", "2")
	f("DATEPART(week, '2022-12-31')", "53")
	f("DATEPART(week, '0001-01-01')", "1")
	f("DATEPART(weekday, '0001-01-01')", "2")
	f("DATEPART(year, NULL)", "null")
	f("DATEPART(year, 5)", "error: argument 1 of DATEPART has type bigint; datetime wanted; hint: DATEADD(second, n, '1970-01-01')")
	f("DATENAME(month, "+d+")", `"March"`)
	f("DATENAME(mm, '2024-12-01')", `"December"`)
	f("DATENAME(weekday, "+d+")", `"Friday"`)
	f("DATENAME(dw, '2024-03-16')", `"Saturday"`)
	f("DATENAME(year, "+d+")", `"2024"`)
	f("DATENAME(day, "+d+")", `"15"`)
	f("DATENAME(hh, "+d+")", `"10"`)
	f("DATENAME(mcs, "+d+")", `"123456"`)
	f("GetType(DATENAME(year, "+d+"))", `"nvarchar(max)"`)
	f("DAY("+d+")", "15")
	f("MONTH("+d+")", "3")
	f("YEAR("+d+")", "2024")
	f("YEAR('x')", "error: argument 1 of YEAR has type nvarchar(max); datetime wanted")
}

func TestDateTimeFromParts(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("DATETIMEFROMPARTS(2024, 2, 29, 23, 59, 58, 7)", `"2024-02-29T23:59:58.0070000Z"`)
	f("DATETIMEFROMPARTS(1, 1, 1, 0, 0, 0, 0)", `"0001-01-01T00:00:00.0000000Z"`)
	f("DATETIMEFROMPARTS(9999, 12, 31, 23, 59, 59, 999)", `"9999-12-31T23:59:59.9990000Z"`)
	f("DATETIMEFROMPARTS(2024, NULL, 29, 23, 59, 58, 7)", "null")
	for _, wrong := range []string{
		"0, 1, 1, 0, 0, 0, 0", "10000, 1, 1, 0, 0, 0, 0", "2024, 0, 1, 0, 0, 0, 0", "2024, 13, 1, 0, 0, 0, 0",
		"2024, 1, 0, 0, 0, 0, 0", "2023, 2, 29, 0, 0, 0, 0", "2024, 4, 31, 0, 0, 0, 0", "2024, 1, 1, 24, 0, 0, 0",
		"2024, 1, 1, -1, 0, 0, 0", "2024, 1, 1, 0, 60, 0, 0", "2024, 1, 1, 0, 0, 60, 0", "2024, 1, 1, 0, 0, 0, 1000",
		"2024, 1, 1, 0, 0, 0, -1", "9223372036854775807, 1, 1, 0, 0, 0, 0", "2024, 4294967297, 1, 0, 0, 0, 0",
	} {
		f("DATETIMEFROMPARTS("+wrong+")", "error: no such date")
	}
}

// TestDatesAgainstGo compares parts, differences and month arithmetic with package time.
func TestDatesAgainstGo(t *testing.T) {
	origin := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewSource(3))
	for range 3000 {
		ticks := vec.Time(r.Int63n(int64(vec.MaxDatetime)))
		days := int64(ticks / vec.Day)
		g := origin.AddDate(0, 0, int(days)).Add(time.Duration(ticks%vec.Day) * 100)
		check := func(p Part, want int) {
			t.Helper()
			if got := partOf(p, ticks); got != int64(want) {
				t.Fatalf("%s of %s is %d, want %d", p, ticks, got, want)
			}
		}
		check(Year, g.Year())
		check(Quarter, (int(g.Month())+2)/3)
		check(Month, int(g.Month()))
		check(DayOfYear, g.YearDay())
		check(Day, g.Day())
		check(Weekday, int(g.Weekday())+1)
		check(Hour, g.Hour())
		check(Minute, g.Minute())
		check(Second, g.Second())
		check(Millisecond, g.Nanosecond()/1e6)
		check(Microsecond, g.Nanosecond()/1e3)
		jan1 := time.Date(g.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		check(Week, (g.YearDay()-1+int(jan1.Weekday()))/7+1)

		n := r.Intn(2400) - 1200
		first := time.Date(g.Year(), g.Month(), 1, g.Hour(), g.Minute(), g.Second(), 0, time.UTC).AddDate(0, n, 0)
		got, ok := addPart(Month, int64(n), ticks)
		if ok != (first.Year() >= 1 && first.Year() <= 9999) {
			t.Fatalf("%s and %d months: ok is %v", ticks, n, ok)
		}
		if ok {
			last := first.AddDate(0, 1, -1).Day()
			year, month, day := vec.Civil(got)
			if year != first.Year() || month != int(first.Month()) || day != min(g.Day(), last) || got%vec.Day != ticks%vec.Day {
				t.Fatalf("%s and %d months is %s", ticks, n, got)
			}
		}
	}
}

func TestPartWords(t *testing.T) {
	f := func(word string, want Part, unit bool) {
		t.Helper()
		if p, ok := LookupPart(word); !ok || p != want {
			t.Errorf("LookupPart(%q) = %v, %v", word, p, ok)
		}
		if p, ok := LookupUnit(word); ok != unit || ok && p != want {
			t.Errorf("LookupUnit(%q) = %v, %v", word, p, ok)
		}
	}
	f("year", Year, false)
	f("yy", Year, false)
	f("yyyy", Year, false)
	f("QQ", Quarter, false)
	f("q", Quarter, false)
	f("mm", Month, false)
	f("m", Month, false)
	f("dy", DayOfYear, false)
	f("y", DayOfYear, false)
	f("Day", Day, true)
	f("dd", Day, true)
	f("d", Day, true)
	f("wk", Week, false)
	f("ww", Week, false)
	f("dw", Weekday, false)
	f("w", Weekday, false)
	f("hh", Hour, true)
	f("mi", Minute, true)
	f("n", Minute, true)
	f("ss", Second, true)
	f("s", Second, true)
	f("MS", Millisecond, true)
	f("mcs", Microsecond, true)

	plural := func(word string, want vec.Time) {
		t.Helper()
		if _, ok := LookupPart(word); ok {
			t.Errorf("%q is a date part", word)
		}
		if p, ok := LookupUnit(word); !ok || p.Info().Unit != want {
			t.Errorf("LookupUnit(%q) = %v, %v", word, p, ok)
		}
	}
	plural("days", vec.Day)
	plural("Hours", vec.Hour)
	plural("minutes", vec.Minute)
	plural("seconds", vec.Second)
	plural("milliseconds", vec.Millisecond)
	plural("microseconds", vec.Microsecond)

	for _, word := range []string{"", "weeks", "years", "min", "h", "'day'", "ns"} {
		if p, ok := LookupUnit(word); ok {
			t.Errorf("LookupUnit(%q) = %v", word, p)
		}
	}
	if len(PartWords()) != 33 || len(UnitWords()) != 21 {
		t.Errorf("%d words for parts, %d for units", len(PartWords()), len(UnitWords()))
	}
}
