package codec

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"weir/internal/vec"
)

// The functions of this file read pieces of JSON text without building values. They
// accept what vec.ScanJSON accepts. A negative result is ^i: the text goes wrong at
// position i, or, if that is its length, more text is needed to know.

// class is what a value starts like.
type class uint8

const (
	classString class = iota
	classNumber
	classWord // true, false, null
	classObject
	classArray
)

// classOf is the class of a value by its first byte.
func classOf(c byte) (class, bool) {
	switch {
	case c == '"':
		return classString, true
	case c == '-' || c-'0' <= 9:
		return classNumber, true
	case c == '{':
		return classObject, true
	case c == '[':
		return classArray, true
	case c == 't' || c == 'f' || c == 'n':
		return classWord, true
	}
	return 0, false
}

// stringStops marks, with the top bit, bytes of x that end the plain part of a string: a
// quote, a backslash, a control character, or a byte that is not ASCII. Only the lowest
// mark counts: a borrow may set false ones above it.
func stringStops(x uint64) uint64 {
	return (((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones) | (x - ' '*ones) | x) & highs
}

// load8 reads 8 bytes at p[i]. The caller has checked that they are there. This and the
// other unsafe reads of the package save a bounds check for each word of the text, which
// costs a fifth of the speed.
func load8(p unsafe.Pointer, i int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

// load4 reads 4 bytes at p[i], as load8 does.
func load4(p unsafe.Pointer, i int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, i))[:])
}

// load1 reads the byte at p[i], which the caller has checked to be there.
func load1(p unsafe.Pointer, i int) byte { return *(*byte)(unsafe.Add(p, i)) }

// plainEnd is the position of the first byte from i on that stringStops marks, or
// len(data).
func plainEnd(data []byte, i int) int {
	for ; i+8 <= len(data); i += 8 {
		if m := stringStops(binary.LittleEndian.Uint64(data[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(data) && data[i] >= ' ' && data[i] < 0x80 && data[i] != '"' && data[i] != '\\' {
		i++
	}
	return i
}

// scanString reads the string whose first byte after the quote is at i. end is the
// position of the closing quote; escaped says that the string holds escapes.
func scanString(data []byte, i int) (end int, escaped bool) {
	start := i
	high := false
	for {
		i = plainEnd(data, i)
		if i == len(data) {
			return ^i, false
		}
		switch c := data[i]; {
		case c == '"':
			if high && !utf8.Valid(data[start:i]) {
				return ^i, false
			}
			return i, escaped
		case c == '\\':
			n := escapeLen(data[i:])
			if n == 0 {
				return ^i, false
			}
			if n > len(data)-i {
				return ^len(data), false
			}
			escaped = true
			i += n
		case c >= 0x80:
			high = true
			i = skipHigh(data, i)
		default:
			return ^i, false
		}
	}
}

// skipHigh skips bytes that are not ASCII, a word at a time where a text has many.
func skipHigh(data []byte, i int) int {
	for i+8 <= len(data) {
		x := binary.LittleEndian.Uint64(data[i:])
		if m := ^x & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
		i += 8
	}
	for i < len(data) && data[i] >= 0x80 {
		i++
	}
	return i
}

// escapeLen is the length of the escape that s starts with, 0 if it is none. It is more
// than s has if s may be the start of one.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 2
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		for _, c := range s[2:min(len(s), 6)] {
			if c-'0' > 9 && (c|0x20)-'a' > 5 {
				return 0
			}
		}
		return 6
	}
	return 0
}

// unescape appends the text of the valid string body s.
func unescape(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		if s[1] != 'u' {
			dst = append(dst, escapes[s[1]])
			s = s[2:]
			continue
		}
		r := hex4(s)
		s = s[6:]
		if r >= 0xD800 && r <= 0xDFFF {
			low := rune(0)
			if r < 0xDC00 && len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
				low = hex4(s)
			}
			if low >= 0xDC00 && low <= 0xDFFF {
				r = 0x10000 + (r-0xD800)<<10 + (low - 0xDC00)
				s = s[6:]
			} else {
				r = utf8.RuneError
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
}

var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// hex4 is the code unit of the escape \uXXXX.
func hex4(s []byte) rune {
	r := rune(0)
	for _, c := range s[2:6] {
		if c > '9' {
			c += 9
		}
		r = r<<4 | rune(c&15)
	}
	return r
}

// scanDigits is the position after the digits at i.
func scanDigits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanNumber reads the number at i, which starts with a digit or a minus.
func scanNumber(data []byte, i int) (end int, float bool) {
	start := i
	if data[i] == '-' {
		i++
	}
	digits := i
	i = scanDigits(data, i)
	if i == digits || data[digits] == '0' && i > digits+1 {
		return ^i, false
	}
	exponent := false
	if i < len(data) && data[i] == '.' {
		float = true
		frac := i + 1
		if i = scanDigits(data, frac); i == frac {
			return ^i, false
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		float, exponent = true, true
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		exp := i
		if i = scanDigits(data, i); i == exp {
			return ^i, false
		}
	}
	switch {
	case !float && i-digits > 18:
		if _, ok := vec.ParseInt(text(data[start:i])); !ok {
			return ^i, false
		}
	case exponent || i-start > 300:
		if _, err := strconv.ParseFloat(text(data[start:i]), 64); err != nil {
			return ^i, false
		}
	}
	return i, float
}

// scanWord reads true, false or null at i.
func scanWord(data []byte, i int) (end int) {
	w := "null"
	switch data[i] {
	case 't':
		w = "true"
	case 'f':
		w = "false"
	}
	n := 0
	for n < len(w) && i+n < len(data) && data[i+n] == w[n] {
		n++
	}
	if n < len(w) {
		return ^(i + n)
	}
	return i + n
}

// scanNested reads the object or array at i, at the given depth (1 is the event).
func scanNested(data []byte, i, depth int) (end int) {
	if depth > vec.MaxJSONDepth {
		return ^i
	}
	closing := data[i] + 2 // } is two after {, and ] two after [
	object := closing == '}'
	i = skipSpace(data, i+1)
	if i < len(data) && data[i] == closing {
		return i + 1
	}
	for {
		if object {
			if i = scanName(data, i); i < 0 {
				return i
			}
		}
		if i = scanValue(data, i, depth); i < 0 {
			return i
		}
		i = skipSpace(data, i)
		if i == len(data) {
			return ^i
		}
		if data[i] == closing {
			return i + 1
		}
		if data[i] != ',' {
			return ^i
		}
		i = skipSpace(data, i+1)
	}
}

// scanName reads a name, the colon, and white space around it.
func scanName(data []byte, i int) int {
	if i >= len(data) || data[i] != '"' {
		return ^i
	}
	end, _ := scanString(data, i+1)
	if end < 0 {
		return end
	}
	return scanColon(data, end+1)
}

// scanColon reads a colon and white space around it.
func scanColon(data []byte, i int) int {
	i = skipSpace(data, i)
	if i == len(data) || data[i] != ':' {
		return ^i
	}
	return skipSpace(data, i+1)
}

// scanValue reads the value at i inside an object or array of the given depth.
func scanValue(data []byte, i, depth int) (end int) {
	if i >= len(data) {
		return ^i
	}
	cl, ok := classOf(data[i])
	if !ok {
		return ^i
	}
	switch cl {
	case classString:
		end, _ := scanString(data, i+1)
		if end < 0 {
			return end
		}
		return end + 1
	case classNumber:
		end, _ := scanNumber(data, i)
		return end
	case classWord:
		return scanWord(data, i)
	}
	return scanNested(data, i, depth+1)
}

// pow10 holds powers of ten that a float holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

// parseNumber is the value of a number that scanNumber has accepted.
func parseNumber(s []byte, float bool) vec.Value {
	if !float {
		if len(s) <= 18 {
			return vec.IntValue(shortInt(s))
		}
		x, _ := vec.ParseInt(text(s))
		return vec.IntValue(x)
	}
	if f, ok := shortFloat(s); ok {
		return vec.FloatValue(f)
	}
	// A copy: the error of ParseFloat would keep the text.
	f, err := strconv.ParseFloat(text(s), 64)
	if err != nil {
		panic("codec: a number was scanned but does not parse: " + string(s))
	}
	return vec.FloatValue(f)
}

// shortInt is the integer of up to 18 digits and a sign.
func shortInt(s []byte) int64 {
	neg := s[0] == '-'
	if neg {
		s = s[1:]
	}
	x := int64(0)
	for _, c := range s {
		x = x*10 + int64(c-'0')
	}
	if neg {
		return -x
	}
	return x
}

// shortFloat reads a decimal without exponent of up to 18 digits: if its digits are an
// integer below 2^53, that and the power of ten are exact floats, and one division rounds
// correctly.
func shortFloat(s []byte) (float64, bool) {
	neg := s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) > 18 {
		return 0, false
	}
	x := uint64(0)
	frac := 0
	for i, c := range s {
		if d := c - '0'; d <= 9 {
			x = x*10 + uint64(d)
		} else if c == '.' {
			frac = len(s) - i - 1
		} else {
			return 0, false
		}
	}
	if x >= 1<<53 {
		return 0, false
	}
	f := float64(x) / pow10[frac]
	if neg {
		f = -f
	}
	return f, true
}

// equalFold reports whether a name of an event equals a wanted name without case.
func equalFold(name []byte, want string) bool {
	if len(name) != len(want) {
		// Folding changes the length of few letters, none of them between ASCII ones.
		if isASCII(name) && isASCII(bytesOf(want)) {
			return false
		}
	}
	return strings.EqualFold(text(name), want)
}

func isASCII(s []byte) bool {
	for _, c := range s {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
