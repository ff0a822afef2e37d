package vec

import (
	"strconv"
	"unicode/utf8"
)

// String is v as JSON text, for messages and tests.
func (v Value) String() string { return string(AppendJSON(nil, v)) }

// AppendJSON appends v as JSON text (saql.md 3.11). Missing reads as NULL.
func AppendJSON(dst []byte, v Value) []byte {
	switch v.Kind {
	case Bit:
		return strconv.AppendBool(dst, v.Int != 0)
	case Int:
		return strconv.AppendInt(dst, v.Int, 10)
	case Float:
		return AppendFloatJSON(dst, v.Float)
	case String:
		return AppendJSONString(dst, v.Str)
	case Datetime:
		dst = append(dst, '"')
		dst = AppendTime(dst, Time(v.Int))
		return append(dst, '"')
	case Record:
		dst = append(dst, '{')
		for i, x := range v.Rec.Vals {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSONString(dst, v.Rec.Names[i])
			dst = append(dst, ':')
			dst = AppendJSON(dst, x)
		}
		return append(dst, '}')
	case Array:
		dst = append(dst, '[')
		for i, x := range v.Rec.Vals {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, x)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// jsonPlain marks the bytes that stand for themselves in a JSON string.
var jsonPlain = func() (t [256]bool) {
	for c := ' '; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendJSONString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	piece := 0
	for i := 0; i < len(s); {
		c := s[i]
		if jsonPlain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[piece:i]...)
				dst = append(dst, "\uFFFD"...)
				piece = i + 1
			}
			i += n
			continue
		}
		dst = append(dst, s[piece:i]...)
		dst = appendJSONEscape(dst, c)
		i++
		piece = i
	}
	dst = append(dst, s[piece:]...)
	return append(dst, '"')
}

func appendJSONEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}
