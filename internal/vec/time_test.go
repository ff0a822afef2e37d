package vec

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// goTime is t as package time has it.
func goTime(t Time) time.Time {
	s, ns := int64(t/Second), int64(t%Second)*100
	return time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).Add(0).AddDate(0, 0, int(s/86400)).
		Add(time.Duration(s%86400)*time.Second + time.Duration(ns))
}

func TestParseTime(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		got, ok := ParseTime(s)
		if !ok {
			t.Fatalf("ParseTime(%q) fails", s)
		}
		if got.String() != want {
			t.Fatalf("ParseTime(%q) = %v, want %s", s, got, want)
		}
	}
	const noon = "2020-03-05T16:42:35.0000000Z"
	f("2020-03-05T16:42:35", noon)
	f("2020-03-05T16:42:35Z", noon)
	f("2020-03-05t16:42:35z", noon)
	f("2020-03-05 16:42:35", noon)
	f(" \t2020-03-05T16:42:35Z\r\n\u00a0", noon)
	f("20200305T164235Z", noon)
	f("20200305 16:42:35", noon)
	f("2020-03-05T164235", noon)
	f("2020-03-05T16:42:35+00:00", noon)
	f("2020-03-05T18:12:35+01:30", noon)
	f("2020-03-05T18:12:35+0130", noon)
	f("2020-03-05T18:42:35+02", noon)
	f("2020-03-05T14:42:35-02", noon)
	f("2020-03-05T164235+0000", noon)
	f("2020-03-05", "2020-03-05T00:00:00.0000000Z")
	f("20200305", "2020-03-05T00:00:00.0000000Z")
	f("2020-03-05Z", "2020-03-05T00:00:00.0000000Z")
	f("2020-03-05+01:00", "2020-03-04T23:00:00.0000000Z")
	f("2020-03-05T16:42", "2020-03-05T16:42:00.0000000Z")
	f("2020-03-05T1642", "2020-03-05T16:42:00.0000000Z")
	f("2020-03-05T1642-0030", "2020-03-05T17:12:00.0000000Z")
	f("2020-03-05T16:42Z", "2020-03-05T16:42:00.0000000Z")
	f("2020-03-05T16:42:35.1", "2020-03-05T16:42:35.1000000Z")
	f("2020-03-05T16:42:35,25Z", "2020-03-05T16:42:35.2500000Z")
	f("2020-03-05T16:42:35.1234567Z", "2020-03-05T16:42:35.1234567Z")
	f("2020-03-05T16:42:35.12345679999999999999999999Z", "2020-03-05T16:42:35.1234567Z")
	f("2020-03-05T16:42:35.0000000+14:00", "2020-03-05T02:42:35.0000000Z")
	f("2020-03-05T16:42:35.5-14:00", "2020-03-06T06:42:35.5000000Z")
	f("20200305T164235.5-1400", "2020-03-06T06:42:35.5000000Z")
	f("0001-01-01T00:00:00", "0001-01-01T00:00:00.0000000Z")
	f("0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00.0000000Z")
	f("9999-12-31T23:59:59.99999999", "9999-12-31T23:59:59.9999999Z")
	f("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.0000000Z")
	f("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.0000000Z")
	f("2024-12-31T23:59:59Z", "2024-12-31T23:59:59.0000000Z")
}

func TestParseTimeRefuses(t *testing.T) {
	for _, s := range []string{
		"", " ", "yesterday", "2020", "2020-03", "202003", "2020-3-5", "2020/03/05", "05.03.2020",
		"2020-0305", "202003-05", "20200305T", "2020-03-05T", "2020-03-05  16:42", "2020-03-05T16",
		"2020-03-05T16:4", "2020-03-05T16:42:3", "2020-03-05T16:42:", "2020-03-05T1642:35",
		"2020-03-05T16:4235", "2020-03-05T24:00:00", "2020-03-05T23:60:00", "2020-03-05T23:59:60",
		"2020-03-05T16:42:35.", "2020-03-05T16:42:35.Z", "2020-03-05T16:42.5", "2020-03-05T1642.5",
		"2020-03-05T16:42:35+14:01", "2020-03-05T16:42:35+15:00", "2020-03-05T16:42:35+1", "2020-03-05T16:42:35+01:",
		"2020-03-05T16:42:35+01:6", "2020-03-05T16:42:35+01:60", "2020-03-05T16:42:35+010", "2020-03-05T16:42:35ZZ",
		"2020-03-05T16:42:35 Z", "2020-03-05T16:42:35Z x", "2020-03-05T16:42:35 +01:00", "x2020-03-05",
		"2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29", "2020-04-31T00:00:00", "2020-13-01T00:00:00",
		"2020-00-01", "2020-01-00T00:00:00", "2020-01-32", "0000-01-01T00:00:00", "0000-12-31T23:00:00-02:00",
		"0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "10000-01-01", "-2020-01-01",
		"2020-03-05T16:42:35−01:00", "２０２０-03-05", "2020-W10-4", "2020-065", "2020-03-05T16:42:35.1_2Z",
		"2020-03-05T16:42:35.Z1234", "2020-03-05T1a:42:35", "2020-03-05Ta1:42:35Z",
	} {
		if got, ok := ParseTime(s); ok {
			t.Errorf("ParseTime(%q) = %v, want failure", s, got)
		}
	}
}

// TestParseTimeForms compares with package time over the forms that both know.
func TestParseTimeForms(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	layouts := []string{
		"2006-01-02T15:04:05", "2006-01-02T15:04:05Z", "2006-01-02T15:04:05.9999999Z", "2006-01-02T15:04:05.0000000",
		"2006-01-02T15:04:05.000000000Z", "2006-01-02 15:04:05.000", "20060102T150405Z", "20060102 1504", "2006-01-02",
		"20060102", "2006-01-02T15:04Z", "2006-01-02T15:04:05.000000Z07:00", "2006-01-02T15:04:05-07:00",
		"2006-01-02T15:04:05-0700", "2006-01-02T150405-07",
	}
	for range 30000 {
		zone := time.FixedZone("", (r.IntN(2*14*4+1)-14*4)*15*60)
		layout := layouts[r.IntN(len(layouts))]
		text := goTime(Time(r.Int64N(int64(MaxDatetime-2*Day)) + int64(Day))).In(zone).Format(layout)
		if strings.HasSuffix(layout, "-07") && text[len(text)-2:] != layout { // only whole hours fit
			if _, off := goTime(0).In(zone).Zone(); off%3600 != 0 {
				continue
			}
		}
		want, err := time.Parse(layout, text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		got, ok := ParseTime(text)
		if !ok || !goTime(got).Equal(want.Truncate(100)) {
			t.Fatalf("ParseTime(%q) = %v, %v, want %v", text, got, ok, want)
		}
	}
}

func TestCalendar(t *testing.T) {
	check := func(x Time) {
		t.Helper()
		g := goTime(x)
		y, m, d := Civil(x)
		h, mi, s, ticks := Clock(x)
		if y != g.Year() || m != int(g.Month()) || d != g.Day() || h != g.Hour() || mi != g.Minute() ||
			s != g.Second() || ticks != g.Nanosecond()/100 || YearDay(x) != g.YearDay() {
			t.Fatalf("tick %d: got %d-%d-%d %d:%d:%d %d day %d, want %v", int64(x), y, m, d, h, mi, s, ticks, YearDay(x), g)
		}
		if got := FromCivil(y, m, d); got != x-x%Day {
			t.Fatalf("FromCivil(%d, %d, %d) = %v, want the day of %v", y, m, d, got, x)
		}
		if want := g.Format("2006-01-02T15:04:05.0000000Z"); string(AppendTime(nil, x)) != want {
			t.Fatalf("AppendTime = %s, want %s", AppendTime(nil, x), want)
		}
	}
	// Every day of 800 years with both kinds of century, and the ends.
	for day := FromCivil(1599, 1, 1); day < FromCivil(2402, 1, 1); day += Day {
		check(day)
	}
	check(0)
	check(MaxDatetime)
	check(FromCivil(9999, 1, 1))
	check(Day - 1)
	r := rand.New(rand.NewPCG(3, 4))
	for range 20000 {
		check(Time(r.Int64N(int64(MaxDatetime))))
	}
}

func TestCalendarBeforeOrigin(t *testing.T) {
	y, m, d := Civil(-1)
	if y != 0 || m != 12 || d != 31 {
		t.Errorf("the day before the origin is %d-%d-%d", y, m, d)
	}
	if h, mi, s, ticks := Clock(-1); h != 23 || mi != 59 || s != 59 || ticks != 9999999 {
		t.Errorf("the tick before the origin is %d:%d:%d %d", h, mi, s, ticks)
	}
	if Days(-1) != -1 || Days(-Day) != -1 || Days(-Day-1) != -2 || Days(0) != 0 {
		t.Error("Days does not round down before the origin")
	}
}

func TestDaysIn(t *testing.T) {
	f := func(y, m, want int) {
		t.Helper()
		if got := DaysIn(y, m); got != want {
			t.Errorf("DaysIn(%d, %d) = %d, want %d", y, m, got, want)
		}
	}
	f(2023, 1, 31)
	f(2023, 2, 28)
	f(2024, 2, 29)
	f(1900, 2, 28)
	f(2000, 2, 29)
	f(2023, 4, 30)
	f(2023, 12, 31)
}

func TestTimeString(t *testing.T) {
	f := func(x Time, want string) {
		t.Helper()
		if got := x.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(0, "0001-01-01T00:00:00.0000000Z")
	f(MaxDatetime, "9999-12-31T23:59:59.9999999Z")
	f(MinTime, "-inf")
	f(MaxTime, "+inf")
	f(-1, "-1 ticks")
	f(MaxDatetime+1, "3155378976000000000 ticks")
}

// FuzzParseTime checks that what is read prints to what reads back as the same, and that
// the fast path and the other agree.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2020-03-05T16:42:35.1234567Z", "20200305T164235+0100", "2020-03-05 16:42", "2020-03-05T16:42:35,5-14"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		fast, okFast := parseCommonTime(s)
		p := timeParser{s: strings.TrimSpace(s)}
		slow, okSlow := p.parse()
		if okFast && (!okSlow || fast != slow) {
			t.Fatalf("%q: fast path gives %v, the other %v %v", s, fast, slow, okSlow)
		}
		if !okSlow {
			return
		}
		if back, ok := ParseTime(slow.String()); !ok || back != slow {
			t.Fatalf("%q gives %v, and that %v", s, slow, back)
		}
		if g, err := time.Parse(time.RFC3339Nano, s); err == nil && !goTime(slow).Equal(g.Truncate(100)) {
			// Package time lets zones and hours through that we refuse, never the other way.
			t.Fatalf("%q gives %v, package time has %v", s, slow, g)
		}
	})
}

func BenchmarkParseTime(b *testing.B) {
	for _, s := range []string{"2018-01-10T10:10:10.123Z", "2018-01-10T10:10:10Z", "20180110T101010+0100"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, ok := ParseTime(s); !ok {
					b.Fatal("no time")
				}
			}
		})
	}
}

func BenchmarkAppendTime(b *testing.B) {
	b.ReportAllocs()
	var buf []byte
	x, _ := ParseTime("2018-01-10T10:10:10.123Z")
	for i := range b.N {
		buf = AppendTime(buf[:0], x+Time(i))
	}
}
