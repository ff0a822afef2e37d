package vec

import (
	"math"
	"strconv"
	"strings"
)

// Between plainMin (included) and plainMax a float is written in plain notation, else
// with an exponent: exponents e with -5 < e < 15 (saql.md 3.8).
const (
	plainMin = 1e-4
	plainMax = 1e15
)

// AppendFloatText appends the float text of saql.md 3.8: the shortest decimal that
// reads back the same, without a point if it is integral: 1, 0.0001, 1E-05, 1.5E+20.
// Zero has no sign.
func AppendFloatText(dst []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < plainMax {
		return strconv.AppendInt(dst, int64(f), 10)
	}
	if a := math.Abs(f); plainMin <= a && a < plainMax {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'E', -1, 64)
}

// AppendFloatJSON appends a float as saql.md 3.11 says: the shortest decimal that reads
// back the same, with a digit after the point or an exponent. Negative zero prints as
// 0.0 (3.5).
func AppendFloatJSON(dst []byte, f float64) []byte {
	a := math.Abs(f)
	switch {
	case f == math.Trunc(f) && a < plainMax:
		return append(strconv.AppendInt(dst, int64(f), 10), ".0"...)
	case plainMin <= a && a < plainMax:
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64)
}

// ParseInt reads integer text (saql.md 3.8): surrounding white space, an optional sign,
// decimal digits, in range.
func ParseInt(s string) (int64, bool) {
	s = trim(s)
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if s == "" {
		return 0, false
	}
	var x uint64
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if d > 9 || x > (1<<63)/10 {
			return 0, false
		}
		x = x*10 + d
	}
	if neg {
		return -int64(x), x <= 1<<63
	}
	return int64(x), x < 1<<63
}

// ParseFloat reads number text (saql.md 3.8): surrounding white space, an optional
// sign, digits with an optional point and exponent, finite.
func ParseFloat(s string) (float64, bool) {
	s = trim(s)
	if n, _ := scanNumber(s); n == 0 || n < len(s) {
		return 0, false
	}
	return parseDecimal(s)
}

// ParseNumber reads text as an operator does that needs a number (saql.md 3.5): a bigint
// if it is integer text in range, else a float.
func ParseNumber(s string) (Value, bool) {
	if x, ok := ParseInt(s); ok {
		return IntValue(x), true
	}
	f, ok := ParseFloat(s)
	return FloatValue(f), ok
}

// ParseBit reads the words that CAST turns into a bit (saql.md 3.8).
func ParseBit(s string) (b, ok bool) {
	switch {
	case s == "1" || strings.EqualFold(s, "true"):
		return true, true
	case s == "0" || strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

// trim is strings.TrimSpace with a short way for text that needs none.
func trim(s string) string {
	if s != "" && s[0] > ' ' && s[0] < 0x7f && s[len(s)-1] > ' ' && s[len(s)-1] < 0x7f {
		return s
	}
	return strings.TrimSpace(s)
}

// scanNumber measures the number text that s starts with: 0 if there is none. integral
// says that it has neither point nor exponent.
func scanNumber(s string) (n int, integral bool) {
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := 0
	for i < len(s) && s[i]-'0' <= 9 {
		i++
		digits++
	}
	integral = true
	if i < len(s) && s[i] == '.' {
		integral = false
		i++
		for i < len(s) && s[i]-'0' <= 9 {
			i++
			digits++
		}
	}
	if digits == 0 {
		return 0, false
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		j := i + 1
		if j < len(s) && (s[j] == '-' || s[j] == '+') {
			j++
		}
		if j < len(s) && s[j]-'0' <= 9 {
			integral = false
			for i = j; i < len(s) && s[i]-'0' <= 9; i++ {
			}
		}
	}
	return i, integral
}

// pow10 holds the powers of ten that a float holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseDecimal is the float of a text that scanNumber has accepted as a whole; false if
// it is not finite.
func parseDecimal(s string) (float64, bool) {
	if f, ok := parseShortDecimal(s); ok {
		return f, true
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// parseShortDecimal handles up to 15 digits without exponent: then both the digits and
// the power of ten are exact floats, and one division rounds correctly.
func parseShortDecimal(s string) (float64, bool) {
	i := 0
	neg := s[0] == '-'
	if neg || s[0] == '+' {
		i = 1
	}
	if len(s)-i > 16 {
		return 0, false
	}
	var x int64
	point := len(s)
	for ; i < len(s); i++ {
		c := s[i] - '0'
		if c <= 9 {
			x = x*10 + int64(c)
		} else if s[i] == '.' {
			point = i + 1
		} else {
			return 0, false
		}
	}
	if x >= 1<<53 {
		return 0, false
	}
	f := float64(x) / pow10[len(s)-point]
	if neg {
		f = -f
	}
	return f, true
}
