package vec

import "strings"

// MaxDatetime is the last datetime, 9999-12-31T23:59:59.9999999Z. The first is 0.
const MaxDatetime = 3652059*Day - 1

// Valid reports whether t is a datetime of saql.md 3.1.
func (t Time) Valid() bool { return t >= 0 && t <= MaxDatetime }

// String is the ISO 8601 text of a datetime; the times that stand for "before all"
// and "after all" and what else is no datetime give their ticks.
func (t Time) String() string {
	switch {
	case t == MinTime:
		return "-inf"
	case t == MaxTime:
		return "+inf"
	case !t.Valid():
		return IntValue(int64(t)).String() + " ticks"
	}
	return string(AppendTime(nil, t))
}

// daysBefore is the number of days before each month of a year that is no leap year.
var daysBefore = [13]int{0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365}

// isLeap reports whether y is a leap year.
func isLeap(y int) bool { return y%4 == 0 && (y%100 != 0 || y%400 == 0) }

// DaysIn is the number of days of month m (1..12) of year y.
func DaysIn(y, m int) int {
	if m == 2 && isLeap(y) {
		return 29
	}
	return daysBefore[m] - daysBefore[m-1]
}

// FromCivil is midnight of a day. Years from 1, months 1..12 and any day number are
// good: day 32 of January is the first of February.
func FromCivil(y, m, d int) Time {
	n := 365*(y-1) + (y-1)/4 - (y-1)/100 + (y-1)/400 + daysBefore[m-1] + d - 1
	if m > 2 && isLeap(y) {
		n++
	}
	return Time(n) * Day
}

// Days is the number of whole days from the origin to t, rounded down.
func Days(t Time) int64 {
	d := int64(t / Day)
	if t%Day < 0 {
		d--
	}
	return d
}

// Civil is the day of t in the Gregorian calendar.
func Civil(t Time) (y, m, d int) {
	// Count from a 1 March that starts a cycle of 400 years, so that the leap day
	// is the last day of its year, its century and its cycle.
	const cycle = 400*365 + 97
	n := int(Days(t)) + 306
	era := n / cycle
	if n < 0 {
		era = (n - cycle + 1) / cycle
	}
	n -= era * cycle
	y = (n - n/1460 + n/36524 - n/(cycle-1)) / 365
	n -= 365*y + y/4 - y/100
	mp := (5*n + 2) / 153 // months from March, of 153 days in each five
	d = n - (153*mp+2)/5 + 1
	m = mp + 3
	y += era * 400
	if m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// YearDay is the number of the day of t in its year, from 1.
func YearDay(t Time) int {
	y, _, _ := Civil(t)
	return int(Days(t)-Days(FromCivil(y, 1, 1))) + 1
}

// Clock is the time of day of t; ticks is the part below a second.
func Clock(t Time) (hour, minute, second, ticks int) {
	r := int64(t) - Days(t)*int64(Day)
	ticks = int(r % int64(Second))
	s := int(r / int64(Second))
	return s / 3600, s / 60 % 60, s % 60, ticks
}

// AppendTime appends the text of a datetime, always with seven digits of fraction:
// 2020-03-05T16:42:35.0000000Z (saql.md 3.11).
func AppendTime(dst []byte, t Time) []byte {
	y, mo, d := Civil(t)
	h, mi, s, f := Clock(t)
	b := [28]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 27: 'Z'}
	put2(b[0:], uint(y)/100)
	put2(b[2:], uint(y)%100)
	put2(b[5:], uint(mo))
	put2(b[8:], uint(d))
	put2(b[11:], uint(h))
	put2(b[14:], uint(mi))
	put2(b[17:], uint(s))
	put2(b[20:], uint(f)/100000)
	put2(b[22:], uint(f)/1000%100)
	put2(b[24:], uint(f)/10%100)
	b[26] = byte('0' + f%10)
	return append(dst, b[:]...)
}

// put2 writes two digits.
func put2(b []byte, x uint) {
	b[0], b[1] = byte('0'+x/10), byte('0'+x%10)
}

// ParseTime reads ISO 8601 text (saql.md 3.8).
func ParseTime(s string) (Time, bool) {
	if t, ok := parseCommonTime(s); ok {
		return t, true
	}
	p := timeParser{s: strings.TrimSpace(s)}
	return p.parse()
}

// digit2 is the number of two digits, or more than 99.
func digit2(a, b byte) uint {
	x, y := uint(a-'0'), uint(b-'0')
	if x > 9 || y > 9 {
		return 100
	}
	return x*10 + y
}

// parseCommonTime reads YYYY-MM-DDThh:mm:ss[.f+][Z], the form of nearly all events. It
// gives up on any other, also on text that is no time at all.
func parseCommonTime(s string) (Time, bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	c, y := digit2(s[0], s[1]), digit2(s[2], s[3])
	mo, d := digit2(s[5], s[6]), digit2(s[8], s[9])
	h, mi, sec := digit2(s[11], s[12]), digit2(s[14], s[15]), digit2(s[17], s[18])
	if c > 99 || y > 99 || mo-1 > 11 || d-1 > 30 || h > 23 || mi > 59 || sec > 59 {
		return 0, false
	}
	y += c * 100
	if y == 0 || d > 28 && int(d) > DaysIn(int(y), int(mo)) {
		return 0, false
	}
	t := FromCivil(int(y), int(mo), int(d)) + Time(h)*Hour + Time(mi)*Minute + Time(sec)*Second
	if len(s) == 19 {
		return t, true
	}
	rest := s[19:]
	if rest[0] == '.' {
		f, n := fraction(rest[1:])
		if n == 0 {
			return 0, false
		}
		t += f
		rest = rest[1+n:]
	}
	return t, rest == "" || rest == "Z"
}

// fraction reads digits after a decimal point as ticks, cut to seven digits, and gives
// how many digits there are.
func fraction(s string) (Time, int) {
	var f Time
	n := 0
	for n < len(s) && s[n]-'0' <= 9 {
		if n < 7 {
			f = f*10 + Time(s[n]-'0')
		}
		n++
	}
	for i := n; i < 7; i++ {
		f *= 10
	}
	return f, n
}

// timeParser reads any form of ISO 8601 text, a piece at a time.
type timeParser struct {
	s   string
	bad bool
}

// next takes byte c if it comes next.
func (p *timeParser) next(c byte) bool {
	if p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// two takes a number of two digits between lo and hi.
func (p *timeParser) two(lo, hi uint) int {
	if len(p.s) < 2 {
		p.bad = true
		return 0
	}
	x := digit2(p.s[0], p.s[1])
	if x < lo || x > hi {
		p.bad = true
		return 0
	}
	p.s = p.s[2:]
	return int(x)
}

func (p *timeParser) parse() (Time, bool) {
	y := p.two(0, 99) * 100
	y += p.two(0, 99)
	dashed := p.next('-')
	mo := p.two(1, 12)
	if p.bad || y == 0 || dashed && !p.next('-') {
		return 0, false
	}
	d := p.two(1, uint(DaysIn(y, mo)))
	t := FromCivil(y, mo, d)
	if p.next('T') || p.next('t') || p.next(' ') {
		t += p.clock()
	}
	t -= p.zone()
	if p.bad || p.s != "" || !t.Valid() {
		return 0, false
	}
	return t, true
}

// clock takes hh:mm[:ss[.f]] or hhmm[ss[.f]].
func (p *timeParser) clock() Time {
	t := Time(p.two(0, 23)) * Hour
	colon := p.next(':')
	t += Time(p.two(0, 59)) * Minute
	if colon {
		if !p.next(':') {
			return t
		}
	} else if p.s == "" || p.s[0]-'0' > 9 {
		return t
	}
	t += Time(p.two(0, 59)) * Second
	if p.next('.') || p.next(',') {
		f, n := fraction(p.s)
		if n == 0 {
			p.bad = true
		}
		t += f
		p.s = p.s[n:]
	}
	return t
}

// zone takes nothing, Z, or an offset from UTC of up to 14 hours.
func (p *timeParser) zone() Time {
	if p.s == "" || p.next('Z') || p.next('z') {
		return 0
	}
	sign := Time(1)
	if p.next('-') {
		sign = -1
	} else if !p.next('+') {
		p.bad = true
		return 0
	}
	t := Time(p.two(0, 14)) * Hour
	if p.next(':') || p.s != "" {
		t += Time(p.two(0, 59)) * Minute
	}
	if t > 14*Hour {
		p.bad = true
	}
	return sign * t
}
