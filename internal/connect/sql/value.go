package sql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"weir/internal/vec"
)

// fit makes a value fit for a column, or says why it is not. A value goes into a column if
// nothing of it is lost, but for the digits of seconds behind those that a column keeps, which
// are cut off, and the digits of fractions that single floats and decimals round.
//
// The result is an int64, float64, bool, string, time.Time, or nil for NULL.
func fit(c *column, v vec.Value) (any, *refusal) {
	if v.Kind.IsNull() {
		if c.needed && !c.filled {
			return nil, &refusal{errRequired, c.name, "the column takes no NULL"}
		}
		return nil, nil
	}
	x, why := fitClass(c, v)
	if why != "" {
		return nil, &refusal{errType, c.name, why}
	}
	return x, nil
}

// refusal says why a row is not taken.
type refusal struct{ name, column, reason string }

// misfit is the reason of a value whose kind or size a column does not take.
func misfit(c *column, v vec.Value) string {
	text := jsonOf(v)
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:57], "") + "..."
	}
	return fmt.Sprintf("%s of type %s does not fit into a column of type %s", text, v.Kind, c.typ)
}

func fitClass(c *column, v vec.Value) (any, string) {
	switch c.class {
	case anything:
		return fitAnything(v), ""
	case integer:
		return fitInteger(c, v)
	case float:
		return fitFloat(c, v)
	case decimal:
		return fitDecimal(c, v)
	case boolean:
		return fitBoolean(c, v)
	case moment, date:
		return fitMoment(c, v)
	case document:
		return fitDocument(c, v)
	}
	return fitText(c, v)
}

// fitAnything keeps what a value is.
func fitAnything(v vec.Value) any {
	switch v.Kind {
	case vec.Bit, vec.Int:
		return v.Int
	case vec.Float:
		return v.Float
	}
	return textOf(v)
}

// textOf is the text of a value as CAST to nvarchar gives it (saql.md 3.8).
func textOf(v vec.Value) string {
	switch v.Kind {
	case vec.String:
		return v.Str
	case vec.Int:
		return strconv.FormatInt(v.Int, 10)
	case vec.Bit:
		if v.Int != 0 {
			return "true"
		}
		return "false"
	case vec.Float:
		return string(vec.AppendFloatText(nil, v.Float))
	case vec.Datetime:
		return string(vec.AppendTime(nil, vec.Time(v.Int)))
	}
	return jsonOf(v) // record, array
}

func fitInteger(c *column, v vec.Value) (any, string) {
	x, ok := v.Int, v.Kind == vec.Int || v.Kind == vec.Bit
	switch v.Kind {
	case vec.Float:
		x, ok = wholeFloat(v.Float)
	case vec.String:
		x, ok = vec.ParseInt(v.Str)
		if b, isBit := vec.ParseBit(v.Str); !ok && c.truth && isBit {
			x, ok = vec.BitValue(b).Int, true
		}
	}
	if !ok || x < c.lo || x > c.hi {
		return nil, misfit(c, v)
	}
	return x, ""
}

// wholeFloat is a float without a fraction as an integer.
func wholeFloat(f float64) (int64, bool) {
	if f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

func fitFloat(c *column, v vec.Value) (any, string) {
	x, ok := v.Float, v.Kind == vec.Float
	switch v.Kind {
	case vec.Int, vec.Bit:
		x = float64(v.Int)
		// 2^63 is a float that no bigint is.
		ok = x < 1<<63 && int64(x) == v.Int
	case vec.String:
		x, ok = vec.ParseFloat(v.Str)
	}
	if ok && c.single {
		ok = !math.IsInf(float64(float32(x)), 0)
		if v.Kind != vec.Float {
			ok = ok && float64(float32(x)) == x
		}
	}
	if !ok {
		return nil, misfit(c, v)
	}
	return x, ""
}

func fitDecimal(c *column, v vec.Value) (any, string) {
	switch v.Kind {
	case vec.Int, vec.Bit:
		return strconv.FormatInt(v.Int, 10), ""
	case vec.Float:
		return strconv.FormatFloat(v.Float, 'f', -1, 64), ""
	case vec.String:
		// The digits as they are: a float would round them.
		if _, ok := vec.ParseNumber(v.Str); ok {
			return strings.TrimSpace(v.Str), ""
		}
	}
	return nil, misfit(c, v)
}

func fitBoolean(c *column, v vec.Value) (any, string) {
	switch {
	case v.Kind == vec.Bit || v.Kind == vec.Int && (v.Int == 0 || v.Int == 1):
		return v.Int != 0, ""
	case v.Kind == vec.Float && (v.Float == 0 || v.Float == 1):
		return v.Float != 0, ""
	case v.Kind == vec.String:
		if b, ok := vec.ParseBit(v.Str); ok {
			return b, ""
		}
	}
	return nil, misfit(c, v)
}

func fitMoment(c *column, v vec.Value) (any, string) {
	t, ok := vec.Time(v.Int), v.Kind == vec.Datetime
	if v.Kind == vec.String {
		t, ok = vec.ParseTime(v.Str)
	}
	if !ok || c.hi != 0 && (int64(t) < c.lo || int64(t) > c.hi) {
		return nil, misfit(c, v)
	}
	if c.class == date {
		if t%vec.Day != 0 {
			return nil, misfit(c, v)
		}
		return string(vec.AppendTime(nil, t)[:10]), ""
	}
	t = cutTime(t, c.digits)
	if c.iso {
		return string(vec.AppendTime(nil, t)), ""
	}
	return goTime(t), ""
}

// cutTime cuts a time to a number of digits behind the second. It never rounds up: a time
// stays in its second, minute and day, and times stay in order.
func cutTime(t vec.Time, digits int) vec.Time {
	unit := vec.Second
	for range digits {
		unit /= 10
	}
	if unit < 1 {
		return t
	}
	return t - t%unit
}

// unixSeconds are from 0001-01-01 to 1970-01-01.
const unixSeconds = 62135596800

// goTime is a time as drivers take it.
func goTime(t vec.Time) time.Time {
	return time.Unix(int64(t/vec.Second)-unixSeconds, int64(t%vec.Second)*100).UTC()
}

func fitDocument(c *column, v vec.Value) (any, string) {
	if v.Kind == vec.String {
		// Text that is JSON goes in as what it says, other text as a JSON string.
		if _, err := vec.ParseJSON([]byte(v.Str)); err == nil {
			return v.Str, ""
		}
	}
	text := jsonOf(v)
	if c.noNUL && strings.Contains(text, `\u0000`) {
		return nil, "the value has a NUL character, which the database does not take"
	}
	return text, ""
}

func fitText(c *column, v vec.Value) (any, string) {
	s := textOf(v)
	if c.noNUL && strings.IndexByte(s, 0) >= 0 {
		return nil, "the text has a NUL character, which the database does not take"
	}
	if c.chars > 0 && len(s) > c.chars {
		n := utf8.RuneCountInString(s)
		if c.utf16 {
			n = 0
			for _, r := range s {
				n += utf16.RuneLen(r)
			}
		}
		if n > c.chars {
			return nil, fmt.Sprintf("the text has %d characters; the column of type %s takes %d", n, c.typ, c.chars)
		}
	}
	return s, ""
}
