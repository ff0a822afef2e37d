// Package jsonline is what the binary formats share that become lines of JSON: numbers and
// times as the JSON decoder reads them back, and lines that say why there is no event.
package jsonline

import (
	"bytes"
	"encoding/base64"
	"math"
	"math/big"
	"strconv"
	"unsafe"

	"weir/internal/vec"
)

// Mark begins a line that is no event and says why. JSON never has it.
const Mark = 0x00

// keptBytes is how much of the bytes of a bad event an error line carries.
const keptBytes = 3 << 10

// AppendError appends a line that stands for a bad event: its name (saql.md 13.4), the reason
// for people, and the bytes that could not be read, or the first of them, as base64.
func AppendError(dst []byte, name, reason string, raw []byte) []byte {
	dst = append(dst, Mark)
	dst = append(dst, name...)
	dst = append(dst, Mark)
	for i := range len(reason) {
		c := reason[i]
		if c < ' ' {
			c = ' '
		}
		dst = append(dst, c)
	}
	dst = append(dst, Mark)
	dst = base64.StdEncoding.AppendEncode(dst, raw[:min(len(raw), keptBytes)])
	return append(dst, '\n')
}

// ParseError takes a line of AppendError apart; false if it is none. text is a part of line.
func ParseError(line []byte) (name, reason string, text []byte, ok bool) {
	if len(line) == 0 || line[0] != Mark {
		return "", "", nil, false
	}
	n, rest, ok := bytes.Cut(line[1:], []byte{Mark})
	if !ok {
		return "", "", nil, false
	}
	why, text, ok := bytes.Cut(rest, []byte{Mark})
	return string(n), string(why), bytes.TrimRight(text, "\r\n"), ok
}

// AppendString appends bytes as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendString(dst, s []byte) []byte {
	return vec.AppendJSONString(dst, unsafe.String(unsafe.SliceData(s), len(s)))
}

// AppendBase64 appends bytes as a JSON string in base64.
func AppendBase64(dst, b []byte) []byte {
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, '"')
}

// AppendFloat appends a float; what is not a number, or infinite, becomes NULL.
func AppendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	return vec.AppendFloatJSON(dst, f)
}

// The ticks of vec.Time in units of other formats.
const (
	ticksPerMilli = 10_000
	ticksPerMicro = 10
	nanosPerTick  = 100
)

// epoch is 1970-01-01.
var epoch = vec.FromCivil(1970, 1, 1)

// Unit is how a timestamp counts since 1970.
type Unit uint8

// The units.
const (
	Days Unit = iota
	Millis
	Micros
	Nanos
)

// AppendTime appends a time since 1970 as the text of a datetime; fractions of a tick are cut
// off. False if no datetime can be that.
func AppendTime(dst []byte, n int64, u Unit) ([]byte, bool) {
	ticks := n
	scale := int64(1)
	switch u {
	case Days:
		scale = int64(vec.Day)
	case Millis:
		scale = ticksPerMilli
	case Micros:
		scale = ticksPerMicro
	case Nanos:
		ticks = n / nanosPerTick
		if n%nanosPerTick < 0 {
			ticks--
		}
	}
	if ticks > math.MaxInt64/2/scale || ticks < math.MinInt64/2/scale {
		return dst, false
	}
	return AppendTicks(dst, ticks*scale)
}

// AppendTicks appends a time in ticks of 100 ns since 1970; false if no datetime can be that.
func AppendTicks(dst []byte, ticks int64) ([]byte, bool) {
	t := epoch + vec.Time(ticks)
	if ticks > math.MaxInt64/2 || !t.Valid() {
		return dst, false
	}
	dst = append(dst, '"')
	dst = vec.AppendTime(dst, t)
	return append(dst, '"'), true
}

// maxDecimalBytes bounds a decimal number; more than 300 digits are too large for a float.
const maxDecimalBytes = 160

// AppendDecimal appends the decimal number unscaled * 10^-scale, unscaled in two's complement,
// the most significant byte first. It always has a point: a decimal is a float. False if it is
// too large.
func AppendDecimal(dst, unscaled []byte, scale int) ([]byte, bool) {
	if len(unscaled) > 8 {
		for len(unscaled) > 8 && (unscaled[0] == 0 || unscaled[0] == 0xff) && unscaled[0]>>7 == unscaled[1]>>7 {
			unscaled = unscaled[1:]
		}
	}
	if len(unscaled) <= 8 {
		n := int64(0)
		if len(unscaled) > 0 && unscaled[0]&0x80 != 0 {
			n = -1
		}
		for _, b := range unscaled {
			n = n<<8 | int64(b)
		}
		return AppendDecimalInt(dst, n, scale)
	}
	if len(unscaled) > maxDecimalBytes {
		return dst, false
	}
	n := new(big.Int).SetBytes(unscaled)
	if unscaled[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(unscaled))*8))
	}
	return appendScaled(dst, n.Append(nil, 10), scale)
}

// AppendDecimalInt is AppendDecimal for a number of 64 bits.
func AppendDecimalInt(dst []byte, n int64, scale int) ([]byte, bool) {
	var b [24]byte
	return appendScaled(dst, strconv.AppendInt(b[:0], n, 10), scale)
}

// maxScale bounds the zeros that a scale can ask for.
const maxScale = 400

func appendScaled(dst, digits []byte, scale int) ([]byte, bool) {
	if scale < 0 || scale > maxScale {
		return dst, false
	}
	if digits[0] == '-' {
		dst, digits = append(dst, '-'), digits[1:]
	}
	if scale == 0 {
		return append(append(dst, digits...), ".0"...), true
	}
	if len(digits) > scale {
		dst = append(dst, digits[:len(digits)-scale]...)
		dst = append(dst, '.')
		return append(dst, digits[len(digits)-scale:]...), true
	}
	dst = append(dst, "0."...)
	for range scale - len(digits) {
		dst = append(dst, '0')
	}
	return append(dst, digits...), true
}

// AppendUUID appends 16 bytes as the text of a UUID.
func AppendUUID(dst []byte, b []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return append(dst, '"')
}
