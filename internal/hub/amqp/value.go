package amqp

import (
	"encoding/binary"
	"math"
	"strings"
	"time"
	"unicode/utf8"
)

// The values of AMQP (amqp-core 1.6) and what they are in Go: null is nil; boolean is bool;
// ubyte to ulong and byte to long are uint8 to uint64 and int8 to int64; float and double are
// float32 and float64; timestamp is time.Time to the millisecond; binary is []byte; string is
// string; list is []any; map is []Pair. The types below are the others.

// Symbol is a text of a constrained set, as conditions and keys of annotations are.
type Symbol string

// UUID is a universally unique identifier in the order of its bytes.
type UUID [16]byte

// Char is a Unicode character.
type Char rune

// Decimal is a decimal32, decimal64 or decimal128: its 4, 8 or 16 bytes, unread.
type Decimal []byte

// Array is an array: all elements are of one Go type. An empty one has elements of null.
type Array []any

// Described is a value with a descriptor, which says what it stands for.
type Described struct {
	Descriptor any // Symbol or uint64, as a rule
	Value      any
}

// The constructors of values, amqp-core 1.6.
const (
	codeDescribed  = 0x00
	codeNull       = 0x40
	codeTrue       = 0x41
	codeFalse      = 0x42
	codeUint0      = 0x43
	codeUlong0     = 0x44
	codeList0      = 0x45
	codeUbyte      = 0x50
	codeByte       = 0x51
	codeSmallUint  = 0x52
	codeSmallUlong = 0x53
	codeSmallInt   = 0x54
	codeSmallLong  = 0x55
	codeBool       = 0x56
	codeUshort     = 0x60
	codeShort      = 0x61
	codeUint       = 0x70
	codeInt        = 0x71
	codeFloat      = 0x72
	codeChar       = 0x73
	codeDecimal32  = 0x74
	codeUlong      = 0x80
	codeLong       = 0x81
	codeDouble     = 0x82
	codeTimestamp  = 0x83
	codeDecimal64  = 0x84
	codeDecimal128 = 0x94
	codeUUID       = 0x98
	codeBin8       = 0xa0
	codeStr8       = 0xa1
	codeSym8       = 0xa3
	codeBin32      = 0xb0
	codeStr32      = 0xb1
	codeSym32      = 0xb3
	codeList8      = 0xc0
	codeMap8       = 0xc1
	codeList32     = 0xd0
	codeMap32      = 0xd1
	codeArray8     = 0xe0
	codeArray32    = 0xf0
)

// AppendValue appends a value, in its shortest encoding. It panics for a type that is not one
// of those above. Maps get texts as keys; AppendFields writes symbols. An int is a long.
func AppendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, codeNull)
	case bool:
		return AppendBool(dst, v)
	case uint8:
		return append(dst, codeUbyte, v)
	case uint16:
		return binary.BigEndian.AppendUint16(append(dst, codeUshort), v)
	case uint32:
		return AppendUint(dst, v)
	case uint64:
		return AppendUlong(dst, v)
	case int8:
		return append(dst, codeByte, byte(v))
	case int16:
		return binary.BigEndian.AppendUint16(append(dst, codeShort), uint16(v))
	case int32:
		return AppendInt(dst, v)
	case int64:
		return AppendLong(dst, v)
	case int:
		return AppendLong(dst, int64(v))
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, codeFloat), math.Float32bits(v))
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, codeDouble), math.Float64bits(v))
	case time.Time:
		return AppendTimestamp(dst, v)
	case string:
		return AppendString(dst, v)
	case Symbol:
		return AppendSymbol(dst, string(v))
	case []byte:
		return AppendBinary(dst, v)
	case UUID:
		return append(append(dst, codeUUID), v[:]...)
	case Char:
		return binary.BigEndian.AppendUint32(append(dst, codeChar), uint32(v))
	}
	return appendCompound(dst, v)
}

// appendCompound is AppendValue for what has other values in it, and for decimals.
func appendCompound(dst []byte, v any) []byte {
	switch v := v.(type) {
	case Decimal:
		return append(append(dst, decimalCode(len(v))), v...)
	case []any:
		if len(v) == 0 {
			return append(dst, codeList0)
		}
		dst, mark := startList(dst)
		for _, e := range v {
			dst = AppendValue(dst, e)
		}
		return endList(dst, mark, len(v))
	case []Pair:
		dst, mark := StartMap(dst)
		for i := range v {
			dst = AppendValue(AppendString(dst, v[i].Key), v[i].Value)
		}
		return EndMap(dst, mark, len(v))
	case Array:
		return appendArray(dst, v)
	case Described:
		return AppendValue(AppendValue(append(dst, codeDescribed), v.Descriptor), v.Value)
	}
	panic("amqp: a value of a Go type that has no encoding")
}

func decimalCode(size int) byte {
	switch size {
	case 4:
		return codeDecimal32
	case 8:
		return codeDecimal64
	case 16:
		return codeDecimal128
	}
	panic("amqp: a decimal has 4, 8 or 16 bytes")
}

// AppendBool appends a boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

// AppendUint appends a uint (32 bits).
func AppendUint(dst []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(dst, codeUint0)
	case v < 256:
		return append(dst, codeSmallUint, byte(v))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeUint), v)
}

// AppendUlong appends a ulong (64 bits).
func AppendUlong(dst []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(dst, codeUlong0)
	case v < 256:
		return append(dst, codeSmallUlong, byte(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeUlong), v)
}

// AppendInt appends an int (32 bits).
func AppendInt(dst []byte, v int32) []byte {
	if v == int32(int8(v)) {
		return append(dst, codeSmallInt, byte(v))
	}
	return binary.BigEndian.AppendUint32(append(dst, codeInt), uint32(v))
}

// AppendLong appends a long (64 bits).
func AppendLong(dst []byte, v int64) []byte {
	if v == int64(int8(v)) {
		return append(dst, codeSmallLong, byte(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, codeLong), uint64(v))
}

// AppendTimestamp appends a timestamp; the zero time is a null.
func AppendTimestamp(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, codeNull)
	}
	return binary.BigEndian.AppendUint64(append(dst, codeTimestamp), uint64(t.UnixMilli()))
}

// AppendString appends a string. What of it is not UTF-8 becomes U+FFFD: a text that readers
// cannot decode stops them at the message that it is in.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	if !validText(s) {
		return AppendString(dst, strings.ToValidUTF8(string(s), "\ufffd"))
	}
	return append(appendSize(dst, codeStr8, codeStr32, len(s)), s...)
}

// AppendSymbol appends a symbol. What of it is not ASCII becomes a question mark (amqp-core
// 1.6.21).
func AppendSymbol[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = append(appendSize(dst, codeSym8, codeSym32, len(s)), s...)
	for i := len(dst) - len(s); i < len(dst); i++ {
		if dst[i] >= utf8.RuneSelf {
			dst[i] = '?'
		}
	}
	return dst
}

func validText[T ~string | ~[]byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return utf8.ValidString(string(s[i:]))
		}
	}
	return true
}

// AppendBinary appends a binary.
func AppendBinary(dst, b []byte) []byte {
	return append(appendSize(dst, codeBin8, codeBin32, len(b)), b...)
}

func appendSize(dst []byte, short, long byte, size int) []byte {
	if size < 256 {
		return append(dst, short, byte(size))
	}
	return binary.BigEndian.AppendUint32(append(dst, long), uint32(size))
}

// AppendFields appends a map with symbols as keys, as annotations and the properties of
// connections and links are (amqp-core 2.8.13).
func AppendFields(dst []byte, pairs []Pair) []byte {
	dst, mark := StartMap(dst)
	for i := range pairs {
		dst = AppendValue(AppendSymbol(dst, pairs[i].Key), pairs[i].Value)
	}
	return EndMap(dst, mark, len(pairs))
}

// StartMap begins a map whose keys and values the caller appends, in turn, and ends with
// EndMap and the mark that it got.
func StartMap(dst []byte) ([]byte, int) {
	return append(dst, codeMap32, 0, 0, 0, 0, 0, 0, 0, 0), len(dst)
}

// EndMap ends the map that began at mark and has so many pairs.
func EndMap(dst []byte, mark, pairs int) []byte {
	return endCompound(dst, mark, codeMap8, 2*pairs)
}

func startList(dst []byte) ([]byte, int) {
	return append(dst, codeList32, 0, 0, 0, 0, 0, 0, 0, 0), len(dst)
}

func endList(dst []byte, mark, count int) []byte {
	return endCompound(dst, mark, codeList8, count)
}

// endCompound writes size and count of a list, map or array that began at mark with room for
// the long form, and moves its content to where it is in the short form if that will do.
func endCompound(dst []byte, mark int, short byte, count int) []byte {
	content := dst[mark+9:]
	if len(content)+1 < 256 && count < 256 {
		dst[mark], dst[mark+1], dst[mark+2] = short, byte(len(content)+1), byte(count)
		copy(dst[mark+3:], content)
		return dst[:len(dst)-6]
	}
	binary.BigEndian.PutUint32(dst[mark+1:], uint32(len(content)+4))
	binary.BigEndian.PutUint32(dst[mark+5:], uint32(count))
	return dst
}
