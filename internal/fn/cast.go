package fn

import (
	"strconv"
	"unicode/utf8"

	"weir/internal/vec"
)

// Cast sets out to CAST(in AS to), or TRY_CAST if try (saql.md 3.8). out is not in. A row
// that does not convert is NULL, and without try reported to c.
func Cast(c *Call, try bool, to vec.Kind, out, in *vec.Vec, n int) {
	x := conversion{want: Of(to), cast: to, try: try}
	x.run(c, out, in, n)
}

// castMessage is the query error of a value that does not convert.
func castMessage(v vec.Value, to vec.Kind) string {
	text := v.Str
	if v.Kind != vec.String {
		text = valueText(v)
	}
	return "cannot cast value '" + quoted(text) + "' of type " + v.Kind.String() + " to " + to.String()
}

// maxQuoted is how many bytes of a value a message shows.
const maxQuoted = 200

// quoted shortens a text for a message.
func quoted(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	n := maxQuoted
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

// valueText is v as text: what CAST gives, JSON text for records and arrays.
func valueText(v vec.Value) string { return string(appendText(nil, v)) }

// appendText appends v as CAST to nvarchar(max) gives it (saql.md 3.8).
func appendText(dst []byte, v vec.Value) []byte {
	switch v.Kind {
	case vec.String:
		return append(dst, v.Str...)
	case vec.Int:
		return strconv.AppendInt(dst, v.Int, 10)
	case vec.Float:
		return vec.AppendFloatText(dst, v.Float)
	case vec.Datetime:
		return vec.AppendTime(dst, vec.Time(v.Int))
	}
	return vec.AppendJSON(dst, v)
}

// CastValue is CAST(v AS to); false if v does not convert. NULL gives NULL.
func CastValue(v vec.Value, to vec.Kind) (vec.Value, bool) {
	if v.Kind.IsNull() {
		return vec.NullValue(), true
	}
	if v.Kind == to {
		return v, true
	}
	switch to {
	case vec.Int:
		return castInt(v)
	case vec.Float:
		return castFloat(v)
	case vec.Bit:
		return castBit(v)
	case vec.String:
		return vec.StringValue(valueText(v)), true
	case vec.Datetime:
		if v.Kind == vec.String {
			t, ok := vec.ParseTime(v.Str)
			return vec.TimeValue(t), ok
		}
	}
	return vec.Value{}, false
}

func castInt(v vec.Value) (vec.Value, bool) {
	switch v.Kind {
	case vec.Bit:
		return vec.IntValue(v.Int), true
	case vec.Float:
		x, ok := truncateFloat(v.Float)
		return vec.IntValue(x), ok
	case vec.String:
		x, ok := vec.ParseInt(v.Str)
		return vec.IntValue(x), ok
	}
	return v, false
}

func castFloat(v vec.Value) (vec.Value, bool) {
	switch v.Kind {
	case vec.Bit, vec.Int:
		return vec.FloatValue(float64(v.Int)), true
	case vec.String:
		f, ok := vec.ParseFloat(v.Str)
		return vec.FloatValue(f), ok
	}
	return v, false
}

func castBit(v vec.Value) (vec.Value, bool) {
	switch v.Kind {
	case vec.Int:
		return vec.BitValue(v.Int != 0), true
	case vec.Float:
		return vec.BitValue(v.Float != 0), true
	case vec.String:
		b, ok := vec.ParseBit(v.Str)
		return vec.BitValue(b), ok
	}
	return v, false
}
