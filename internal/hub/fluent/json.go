package fluent

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendJSON appends the JSON of a value that cut has looked at, and gives what is behind it.
// A record may have what JSON has not: binary becomes a text, of the same bytes if they are
// UTF-8 and of base64 otherwise; NaN and infinities become null; times become texts in RFC
// 3339, other extensions base64; keys that are no text become their JSON. In texts, bytes that
// are not UTF-8 become U+FFFD.
func appendJSON(dst, b []byte) (out, rest []byte) {
	h, err := readHead(b)
	if err != nil {
		panic("fluent: a value is written that was not looked at")
	}
	value := b[:h.size+int(h.bytes)]
	body := value[h.size:]
	rest = b[len(value):]
	switch h.kind {
	case kindNil:
		dst = append(dst, "null"...)
	case kindBool:
		dst = strconv.AppendBool(dst, h.small == 1)
	case kindInt:
		dst = strconv.AppendInt(dst, int64(h.number(value)), 10)
	case kindUint:
		dst = strconv.AppendUint(dst, h.number(value), 10)
	case kindFloat:
		dst = appendFloat(dst, body)
	case kindText:
		dst = appendText(dst, body)
	case kindBinary:
		dst = appendBinary(dst, body)
	case kindExt:
		dst = appendExt(dst, h.ext, body)
	case kindArray:
		dst = append(dst, '[')
		for i := range h.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, rest = appendJSON(dst, rest)
		}
		dst = append(dst, ']')
	case kindMap:
		dst = append(dst, '{')
		for i := range h.items / 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, rest = appendKey(dst, rest)
			dst = append(dst, ':')
			dst, rest = appendJSON(dst, rest)
		}
		dst = append(dst, '}')
	}
	return dst, rest
}

// appendKey appends a key of a map, which in JSON is a text.
func appendKey(dst, b []byte) (out, rest []byte) {
	if h, _ := readHead(b); h.kind == kindText || h.kind == kindBinary || h.kind == kindExt {
		return appendJSON(dst, b)
	}
	plain, rest := appendJSON(nil, b)
	return appendText(dst, plain), rest
}

func appendFloat(dst, body []byte) []byte {
	f := 0.0
	if len(body) == 4 {
		f = float64(math.Float32frombits(be32(body)))
	} else {
		f = math.Float64frombits(be64(body))
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	start := len(dst)
	form := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		form = 'e'
	}
	dst = strconv.AppendFloat(dst, f, form, -1, 64)
	for _, c := range dst[start:] {
		if c == '.' || c == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...) // it stays a float for whoever reads it
}

const hexDigits = "0123456789abcdef"

// appendText appends a text in quotes.
func appendText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
				i++
				continue
			}
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		n := min(len(s)-i, utf8.UTFMax)
		r, size := utf8.DecodeRuneInString(string(s[i : i+n]))
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, "\uFFFD"...)
			from = i + 1
		}
		i += size
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

func appendBinary(dst, body []byte) []byte {
	if utf8.Valid(body) {
		return appendText(dst, body)
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, body)
	return append(dst, '"')
}

// The types of extension that are times: Fluentd's EventTime and MessagePack's timestamp.
const (
	extEventTime = 0
	extTimestamp = -1
)

func appendExt(dst []byte, kind int8, body []byte) []byte {
	if t, ok := extTime(kind, body); ok {
		dst = append(dst, '"')
		dst = t.AppendFormat(dst, time.RFC3339Nano)
		return append(dst, '"')
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, body)
	return append(dst, '"')
}

// extTime is the time of an extension; false is none, or one outside the years that RFC 3339
// has.
func extTime(kind int8, body []byte) (time.Time, bool) {
	var sec, nanos int64
	switch {
	case kind == extEventTime && len(body) == 8: // forward protocol v1, EventTime
		sec, nanos = int64(be32(body)), int64(be32(body[4:]))
	case kind == extTimestamp && len(body) == 4:
		sec = int64(be32(body))
	case kind == extTimestamp && len(body) == 8:
		v := be64(body)
		sec, nanos = int64(v&(1<<34-1)), int64(v>>34)
	case kind == extTimestamp && len(body) == 12:
		nanos, sec = int64(be32(body)), int64(be64(body[4:]))
	default:
		return time.Time{}, false
	}
	return makeTime(sec, nanos)
}

// The seconds that begin the years 0 and 10000.
const (
	minSeconds = -62167219200
	maxSeconds = 253402300800
)

func makeTime(sec, nanos int64) (time.Time, bool) {
	if sec < minSeconds || sec >= maxSeconds || nanos >= 1e9 {
		return time.Time{}, false
	}
	return time.Unix(sec, nanos).UTC(), true
}

// parseTime is the time of an event: seconds, an EventTime, or an array that begins with one,
// as Fluent Bit has it; false is none of these.
func parseTime(value []byte) (time.Time, bool) {
	h, err := readHead(value)
	if err != nil {
		return time.Time{}, false
	}
	switch h.kind {
	case kindUint:
		if n := h.number(value); n < maxSeconds {
			return makeTime(int64(n), 0)
		}
	case kindInt:
		return makeTime(int64(h.number(value)), 0)
	case kindFloat:
		f := 0.0
		if h.bytes == 4 {
			f = float64(math.Float32frombits(be32(value[1:])))
		} else {
			f = math.Float64frombits(be64(value[1:]))
		}
		if sec, part := math.Modf(f); math.Abs(sec) < maxSeconds { // false for NaN
			if part < 0 {
				sec, part = sec-1, part+1
			}
			return makeTime(int64(sec), min(int64(math.Round(part*1e9)), 1e9-1))
		}
	case kindExt:
		return extTime(h.ext, value[h.size:])
	case kindArray:
		if h.items >= 1 && h.items <= 2 {
			first, _, err := cut(value[h.size:])
			if f, _ := readHead(first); err == nil && f.kind != kindArray {
				return parseTime(first)
			}
		}
	}
	return time.Time{}, false
}
