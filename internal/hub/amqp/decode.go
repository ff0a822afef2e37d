package amqp

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// MaxDepth is how deep values may be nested in values that are decoded.
const MaxDepth = 64

func malformed(format string, args ...any) error {
	return &Error{Condition: DecodeError, Description: fmt.Sprintf(format, args...)}
}

// errShort is common enough to be made once.
var errShort error = &Error{Condition: DecodeError, Description: "a value goes beyond the end of what it is in"}

// item splits the first value off b: its constructor and its content, without the size. The
// content of a list, map or array begins with its count. Described values are not items.
func item(b []byte) (code byte, content, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, nil, errShort
	}
	code = b[0]
	content, rest, err = itemContent(code, b[1:])
	return code, content, rest, err
}

// itemContent is item for a value whose constructor stands elsewhere. The width of the code
// says how the size is given (amqp-core 1.2).
func itemContent(code byte, b []byte) (content, rest []byte, err error) {
	size := uint64(0)
	switch code >> 4 {
	case 4:
	case 5, 6, 7, 8, 9:
		size = 1 << (code>>4 - 5)
	case 0xa, 0xc, 0xe:
		if len(b) < 1 {
			return nil, nil, errShort
		}
		size, b = uint64(b[0]), b[1:]
	case 0xb, 0xd, 0xf:
		if len(b) < 4 {
			return nil, nil, errShort
		}
		size, b = uint64(binary.BigEndian.Uint32(b)), b[4:]
	default:
		return nil, nil, malformed("0x%02x is no constructor of a value", code)
	}
	if size > uint64(len(b)) {
		return nil, nil, errShort
	}
	return b[:size:size], b[size:], nil
}

// skip is what comes behind the first value of b, which may be described. It looks at sizes
// only, so it needs no depth.
func skip(b []byte) ([]byte, error) {
	for left := 1; left > 0; left-- {
		if len(b) > 0 && b[0] == codeDescribed {
			b, left = b[1:], left+2 // descriptor and value
			continue
		}
		var err error
		if _, _, b, err = item(b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// elements takes the count off the content of a list or map. Each element has a byte or more,
// so a count beyond that is refused before anything is made of it.
func elements(code byte, content []byte) (count int, rest []byte, err error) {
	var n uint32
	switch {
	case code == codeList0:
		return 0, nil, nil
	case code>>4 == 0xc && len(content) >= 1:
		n, rest = uint32(content[0]), content[1:]
	case code>>4 == 0xd && len(content) >= 4:
		n, rest = binary.BigEndian.Uint32(content), content[4:]
	default:
		return 0, nil, errShort
	}
	if uint64(n) > uint64(len(rest)) {
		return 0, nil, malformed("%d elements in %d bytes", n, len(rest))
	}
	return int(n), rest, nil
}

// DecodeValue decodes the first value of b and returns what comes behind it. Binaries are
// slices of b; the rest is copied.
func DecodeValue(b []byte) (v any, rest []byte, err error) {
	return decodeValue(b, 0)
}

func decodeValue(b []byte, depth int) (any, []byte, error) {
	if depth > MaxDepth {
		return nil, nil, malformed("values are nested deeper than %d", MaxDepth)
	}
	if len(b) > 0 && b[0] == codeDescribed {
		descriptor, rest, err := decodeValue(b[1:], depth+1)
		if err != nil {
			return nil, nil, err
		}
		v, rest, err := decodeValue(rest, depth+1)
		return Described{descriptor, v}, rest, err
	}
	code, content, rest, err := item(b)
	if err != nil {
		return nil, nil, err
	}
	v, err := decodeItem(code, content, depth)
	return v, rest, err
}

// decodeItem decodes a value whose constructor and content item has found.
func decodeItem(code byte, content []byte, depth int) (any, error) {
	switch code {
	case codeNull:
		return nil, nil
	case codeTrue, codeFalse:
		return code == codeTrue, nil
	case codeBool:
		return content[0] != 0, nil
	case codeUbyte:
		return content[0], nil
	case codeByte:
		return int8(content[0]), nil
	case codeUshort:
		return binary.BigEndian.Uint16(content), nil
	case codeShort:
		return int16(binary.BigEndian.Uint16(content)), nil
	case codeUint, codeSmallUint, codeUint0:
		return uint32(unsigned(content)), nil
	case codeUlong, codeSmallUlong, codeUlong0:
		return unsigned(content), nil
	case codeInt, codeSmallInt:
		return int32(signed(content)), nil
	case codeLong, codeSmallLong:
		return signed(content), nil
	case codeFloat:
		return math.Float32frombits(binary.BigEndian.Uint32(content)), nil
	case codeDouble:
		return math.Float64frombits(binary.BigEndian.Uint64(content)), nil
	case codeTimestamp:
		return time.UnixMilli(signed(content)).UTC(), nil
	case codeChar:
		return Char(binary.BigEndian.Uint32(content)), nil
	case codeDecimal32, codeDecimal64, codeDecimal128:
		return Decimal(content), nil
	case codeUUID:
		return UUID(content), nil
	case codeBin8, codeBin32:
		return content, nil
	case codeStr8, codeStr32:
		if !utf8.Valid(content) {
			return nil, malformed("a string is not UTF-8")
		}
		return string(content), nil
	case codeSym8, codeSym32:
		return Symbol(content), nil
	case codeList0, codeList8, codeList32:
		return decodeList(code, content, depth)
	case codeMap8, codeMap32:
		return decodeMap(code, content, depth)
	case codeArray8, codeArray32:
		return decodeArray(code, content, depth)
	}
	return nil, malformed("0x%02x is no constructor of a value", code)
}

// unsigned is the number of 0 to 8 bytes.
func unsigned(content []byte) uint64 {
	var v uint64
	for _, c := range content {
		v = v<<8 | uint64(c)
	}
	return v
}

// signed is the number of 1 to 8 bytes, the first of which has the sign.
func signed(content []byte) int64 {
	shift := 64 - 8*uint(len(content))
	return int64(unsigned(content)<<shift) >> shift
}

func decodeList(code byte, content []byte, depth int) (any, error) {
	count, b, err := elements(code, content)
	if err != nil {
		return nil, err
	}
	list := make([]any, count)
	for i := range list {
		if list[i], b, err = decodeValue(b, depth+1); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, malformed("%d bytes behind the last element of a list", len(b))
	}
	return list, nil
}

func decodeMap(code byte, content []byte, depth int) ([]Pair, error) {
	count, b, err := elements(code, content)
	if err != nil {
		return nil, err
	}
	if count%2 != 0 {
		return nil, malformed("a map with a key without a value")
	}
	pairs := make([]Pair, count/2)
	for i := range pairs {
		var key any
		if key, b, err = decodeValue(b, depth+1); err != nil {
			return nil, err
		}
		if pairs[i].Key, err = keyText(key); err != nil {
			return nil, err
		}
		if pairs[i].Value, b, err = decodeValue(b, depth+1); err != nil {
			return nil, err
		}
	}
	if len(b) > 0 {
		return nil, malformed("%d bytes behind the last entry of a map", len(b))
	}
	return pairs, nil
}

// keyText is the key of a map as a text. Numbers, which annotations may have as keys, are
// written out.
func keyText(key any) (string, error) {
	switch key := key.(type) {
	case string:
		return key, nil
	case Symbol:
		return string(key), nil
	case []byte:
		return string(key), nil
	case bool:
		return strconv.FormatBool(key), nil
	case uint8, uint16, uint32, uint64, int8, int16, int32, int64:
		return fmt.Sprint(key), nil
	case UUID:
		return key.String(), nil
	}
	return "", malformed("a map with a key that is no text")
}

// String is the usual form with hyphens.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func decodeArray(code byte, content []byte, depth int) (any, error) {
	var n uint32
	switch {
	case code == codeArray8 && len(content) >= 2:
		n, content = uint32(content[0]), content[1:]
	case code == codeArray32 && len(content) >= 5:
		n, content = binary.BigEndian.Uint32(content), content[4:]
	default:
		return nil, errShort
	}
	var descriptor any
	described := content[0] == codeDescribed
	if described {
		var err error
		if descriptor, content, err = decodeValue(content[1:], depth+1); err != nil {
			return nil, err
		}
		if len(content) == 0 {
			return nil, errShort
		}
	}
	element, content := content[0], content[1:]
	// Elements without bytes (nulls, trues) are refused too: a few bytes would become very many.
	if uint64(n) > uint64(len(content)) {
		return nil, malformed("an array of %d elements in %d bytes", n, len(content))
	}
	list := make(Array, n)
	for i := range list {
		v, rest, err := decodeElement(element, content, depth+1)
		if err != nil {
			return nil, err
		}
		if content = rest; described {
			v = Described{descriptor, v}
		}
		list[i] = v
	}
	if len(content) > 0 {
		return nil, malformed("%d bytes behind the last element of an array", len(content))
	}
	return list, nil
}

// decodeElement decodes an element of an array, whose constructor stands before all of them.
func decodeElement(code byte, b []byte, depth int) (any, []byte, error) {
	if depth > MaxDepth {
		return nil, nil, malformed("values are nested deeper than %d", MaxDepth)
	}
	content, rest, err := itemContent(code, b)
	if err != nil {
		return nil, nil, err
	}
	v, err := decodeItem(code, content, depth)
	return v, rest, err
}
