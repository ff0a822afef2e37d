package twin

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Times are ticks of 100 ns since 0001-01-01 (saql.md 0).
const (
	millisecond = int64(10_000)
	second      = 1000 * millisecond
	minute      = 60 * second
	hour        = 60 * minute
	day         = 24 * hour
)

var origin = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)

// ticks is a time of the library as a time of the language.
func ticks(t time.Time) int64 {
	return (t.Unix()-origin.Unix())*second + int64(t.Nanosecond())/100
}

// civil is a time of the language as a time of the library.
func civil(t int64) time.Time {
	seconds := floorDiv(t, second)
	return time.Unix(seconds+origin.Unix(), (t-seconds*second)*100).UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func ceilDiv(a, b int64) int64 { return -floorDiv(-a, b) }

func timeText(t int64) string { return civil(t).Format("2006-01-02T15:04:05.0000000Z") }

var (
	integerText = regexp.MustCompile(`^\s*[+-]?[0-9]+\s*$`)
	numberText  = regexp.MustCompile(`^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$`)
	isoText     = regexp.MustCompile(`^\s*(\d{4})-?(\d\d)-?(\d\d)(?:[Tt ](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?(Z|z|[+-]\d\d(?::?\d\d)?)?)?\s*$`)
)

// parseInt reads integer text (saql.md 3.8).
func parseInt(s string) (Value, bool) {
	if !integerText.MatchString(s) {
		return null, false
	}
	x, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	return intValue(x), err == nil
}

// parseFloat reads number text.
func parseFloat(s string) (Value, bool) {
	if !numberText.MatchString(s) {
		return null, false
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return Value{Kind: Float, Float: x}, err == nil
}

// parseNumber reads a bigint if the text is one, else a float (saql.md 3.5).
func parseNumber(s string) (Value, bool) {
	if x, ok := parseInt(s); ok {
		return x, true
	}
	return parseFloat(s)
}

func parseBit(s string) (Value, bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		return bitValue(true), true
	case "false", "0":
		return bitValue(false), true
	}
	return null, false
}

// parseTime reads ISO 8601 text. It knows no year below 1 and no day that is not there.
func parseTime(s string) (int64, bool) {
	m := isoText.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	number := func(i int) int {
		x, _ := strconv.Atoi(m[i])
		return x
	}
	fraction, _ := strconv.Atoi((m[7] + "0000000")[:7])
	t := time.Date(number(1), time.Month(number(2)), number(3), number(4), number(5), number(6), fraction*100, time.UTC)
	if t.Year() != number(1) || t.Day() != number(3) || int(t.Month()) != number(2) ||
		t.Hour() != number(4) || t.Minute() != number(5) || t.Second() != number(6) || number(1) < 1 {
		return 0, false
	}
	x := ticks(t)
	if zone := m[8]; len(zone) > 1 {
		digits := strings.ReplaceAll(zone[1:], ":", "")
		n, _ := strconv.Atoi((digits + "00")[:4])
		shift := int64(n/100)*hour + int64(n%100)*minute
		if shift > 14*hour {
			return 0, false
		}
		if zone[0] == '+' {
			shift = -shift
		}
		x += shift
	}
	return x, true
}

// floatText is a float as text: shortest, plain for small exponents (saql.md 3.8).
func floatText(x float64) string {
	if x == 0 { // negative zero prints as zero (3.5)
		return "0"
	}
	s := strconv.FormatFloat(x, 'E', -1, 64)
	_, exponent, _ := strings.Cut(s, "E")
	if e, _ := strconv.Atoi(exponent); e > -5 && e < 15 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return s
}

// cast is CAST(v AS k); ok is false where it is a query error (saql.md 3.8).
func cast(v Value, k Kind) (Value, bool) {
	switch {
	case v.isNull() || v.Kind == k:
		return v, true
	case k == Text:
		return textValue(asText(v)), true
	case v.Kind == Text:
		return castText(v.Text, k)
	case !v.isNumber():
		return null, false
	case k == Float:
		return floatValue(v.float()), true
	case k == Bit:
		return bitValue(v.float() != 0), true
	case k == Int:
		if v.Kind == Bit {
			return intValue(v.Int), true
		}
		return truncate(v.Float)
	}
	return null, false
}

func castText(s string, k Kind) (Value, bool) {
	switch k {
	case Int:
		return parseInt(s)
	case Float:
		return parseFloat(s)
	case Bit:
		return parseBit(s)
	case Time:
		t, ok := parseTime(s)
		return timeValue(t), ok
	}
	return null, false
}

// truncate cuts a float toward zero to a bigint, if it has room there.
func truncate(x float64) (Value, bool) {
	i := new(big.Int)
	new(big.Float).SetFloat64(math.Trunc(x)).Int(i)
	return intValue(i.Int64()), i.IsInt64()
}

// asText is a value as text, by the rules of CAST.
func asText(v Value) string {
	switch v.Kind {
	case Bit:
		if v.Int == 1 {
			return "true"
		}
		return "false"
	case Int:
		return strconv.FormatInt(v.Int, 10)
	case Float:
		return floatText(v.Float)
	case Text:
		return v.Text
	case Time:
		return timeText(v.Int)
	}
	return v.JSON()
}
