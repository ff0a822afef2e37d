package codec

import (
	"encoding/binary"
	"unsafe"

	"weir/internal/vec"
)

// text is b as a string, without a copy. The caller makes sure that b does not change
// while the string is in use.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clockCache parses times. It remembers the last minute, for most events share it with
// the event before.
type clockCache struct {
	lo, hi uint64   // the first 16 bytes of the last text: YYYY-MM-DDThh:mm
	minute vec.Time // the time that they stand for
}

// newClock remembers the first minute of all, so that no text but that of a minute can
// ever match.
func newClock() clockCache {
	const first = "0001-01-01T00:00"
	return clockCache{lo: load8(unsafe.Pointer(unsafe.StringData(first)), 0), hi: load8(unsafe.Pointer(unsafe.StringData(first)), 8)}
}

// parse is vec.ParseTime.
func (c *clockCache) parse(s []byte) (vec.Time, bool) {
	if len(s) < 19 || s[16] != ':' {
		return vec.ParseTime(text(s))
	}
	lo, hi := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])
	if lo == c.lo && hi == c.hi {
		if f, ok := secondsText(s[17:]); ok {
			return c.minute + f, true
		}
	}
	t, ok := vec.ParseTime(text(s))
	if !ok || s[10] != 'T' {
		return t, ok
	}
	if minute, ok := vec.ParseTime(text(s[:16])); ok {
		c.lo, c.hi, c.minute = lo, hi, minute
	}
	return t, true
}

// secondsText reads ss[.f][Z].
func secondsText(s []byte) (vec.Time, bool) {
	a, b := s[0]-'0', s[1]-'0'
	if a > 5 || b > 9 {
		return 0, false
	}
	t := vec.Time(a*10+b) * vec.Second
	s = s[2:]
	if len(s) > 1 && s[0] == '.' && s[1]-'0' <= 9 {
		unit := vec.Second / 10
		i := 1
		for ; i < len(s) && s[i]-'0' <= 9; i++ {
			t += vec.Time(s[i]-'0') * unit
			unit /= 10
		}
		s = s[i:]
	}
	return t, len(s) == 0 || len(s) == 1 && s[0] == 'Z'
}

// bytesOf is s as bytes, without a copy. Nobody may write to them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
