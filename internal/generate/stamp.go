package generate

import "time"

const dayMillis = 24 * 60 * 60 * 1000

// stamper writes times as 2018-01-10T10:10:10.123Z. It keeps the text of the last day,
// so that only the time of day is worked out.
type stamper struct {
	day  int64
	date []byte // "2018-01-10T" of day
}

// append adds the text of ms milliseconds since 1970.
func (s *stamper) append(b []byte, ms int64) []byte {
	day := ms / dayMillis
	if ms%dayMillis < 0 {
		day--
	}
	if day != s.day || s.date == nil {
		s.day = day
		s.date = time.UnixMilli(day*dayMillis).UTC().AppendFormat(s.date[:0], "2006-01-02T")
	}
	of := uint32(ms - day*dayMillis)
	milli := of % 1000
	sec := of / 1000
	b = append(b, s.date...)
	b = append2(b, sec/3600)
	b = append(b, ':')
	b = append2(b, sec/60%60)
	b = append(b, ':')
	b = append2(b, sec%60)
	b = append(b, '.', byte('0'+milli/100))
	b = append2(b, milli%100)
	return append(b, 'Z')
}

func append2(b []byte, x uint32) []byte {
	return append(b, byte('0'+x/10), byte('0'+x%10))
}
