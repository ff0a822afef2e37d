package amqp

import (
	"time"
	"unicode/utf8"
)

// fields reads the fields of a composite (a described list) in their order, without making
// anything of those that nobody asks for. Fields that are left out at the end read as null.
// It takes what clients really write: any unsigned number for any other, and strings,
// symbols and binaries for each other (eventhubs.md 1.2, quirk 5). The first error stays.
type fields struct {
	b    []byte
	left int
	err  error
}

// composite begins to read the list that b starts with, and returns what is behind it.
func composite(b []byte) (f fields, rest []byte, err error) {
	code, content, rest, err := item(b)
	if err != nil {
		return f, nil, err
	}
	if code != codeList0 && code != codeList8 && code != codeList32 {
		return f, nil, malformed("0x%02x where a list was expected", code)
	}
	f.left, f.b, err = elements(code, content)
	return f, rest, err
}

// descriptor takes the descriptor off b, which begins with a described value. It returns the
// code of the kinds that AMQP has itself; 0 is any other.
func descriptor(b []byte) (uint64, []byte, error) {
	if len(b) < 1 || b[0] != codeDescribed {
		return 0, nil, malformed("a value without the descriptor that says what it is")
	}
	if len(b) >= 3 && b[1] == codeSmallUlong {
		return uint64(b[2]), b[3:], nil
	}
	if len(b) > 1 && b[1] == codeDescribed {
		return 0, nil, malformed("a descriptor that is itself described")
	}
	code, content, rest, err := item(b[1:])
	switch {
	case err != nil:
		return 0, nil, err
	case code == codeUlong:
		return unsigned(content), rest, nil
	case code == codeSym8, code == codeSym32:
		return symbolDescriptors[string(content)], rest, nil
	}
	return 0, rest, nil
}

// raw is the next field as it is encoded; nil is null.
func (f *fields) raw() []byte {
	if f.left == 0 || f.err != nil {
		return nil
	}
	f.left--
	rest, err := skip(f.b)
	if err != nil {
		f.err = err
		return nil
	}
	field := f.b[:len(f.b)-len(rest)]
	f.b = rest
	if field[0] == codeNull {
		return nil
	}
	return field
}

// scalar is the content of the next field, which must not be described. ok is false for null.
func (f *fields) scalar() (code byte, content []byte, ok bool) {
	field := f.raw()
	if field == nil {
		return 0, nil, false
	}
	if field[0] == codeDescribed {
		f.fail("a described value where a plain one was expected")
		return 0, nil, false
	}
	code, content, _, f.err = item(field)
	return code, content, f.err == nil
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = malformed(format, args...)
	}
}

// number is an unsigned number of up to so many bits; ok is false for null.
func (f *fields) number(bits uint) (v uint64, ok bool) {
	code, content, ok := f.scalar()
	if !ok {
		return 0, false
	}
	switch code {
	case codeUint0, codeUlong0, codeSmallUint, codeSmallUlong, codeUbyte, codeUshort, codeUint, codeUlong:
		v = unsigned(content)
	case codeSmallInt, codeSmallLong, codeByte, codeShort, codeInt, codeLong:
		if signed(content) < 0 {
			f.fail("a negative number where a count was expected")
			return 0, false
		}
		v = unsigned(content)
	default:
		f.fail("0x%02x where a number was expected", code)
		return 0, false
	}
	if bits < 64 && v>>bits != 0 {
		f.fail("the number %d is too large for its field", v)
		return 0, false
	}
	return v, true
}

func (f *fields) uint() (uint32, bool) {
	v, ok := f.number(32)
	return uint32(v), ok
}

func (f *fields) bool() bool {
	code, content, ok := f.scalar()
	switch {
	case !ok:
	case code == codeTrue || code == codeFalse:
		return code == codeTrue
	case code == codeBool:
		return content[0] != 0
	default:
		f.fail("0x%02x where a boolean was expected", code)
	}
	return false
}

// bytes is a binary, string or symbol, as a slice of the input.
func (f *fields) bytes() []byte {
	code, content, ok := f.scalar()
	if !ok {
		return nil
	}
	switch code {
	case codeBin8, codeBin32, codeStr8, codeStr32, codeSym8, codeSym32:
		return content
	}
	f.fail("0x%02x where a text was expected", code)
	return nil
}

func (f *fields) text() string {
	b := f.bytes()
	if !utf8.Valid(b) {
		f.fail("a text is not UTF-8")
		return ""
	}
	return string(b)
}

// time is a timestamp; the zero time for null.
func (f *fields) time() time.Time {
	code, content, ok := f.scalar()
	if !ok {
		return time.Time{}
	}
	if code != codeTimestamp {
		f.fail("0x%02x where a time was expected", code)
		return time.Time{}
	}
	return time.UnixMilli(signed(content)).UTC()
}

// value is the next field decoded.
func (f *fields) value() any {
	field := f.raw()
	if field == nil {
		return nil
	}
	v, _, err := DecodeValue(field)
	if err != nil && f.err == nil {
		f.err = err
	}
	return v
}

// pairs is a map.
func (f *fields) pairs() []Pair {
	field := f.raw()
	if field == nil {
		return nil
	}
	return f.pairsOf(field)
}

func (f *fields) pairsOf(field []byte) []Pair {
	pairs, err := decodePairs(field)
	if err != nil && f.err == nil {
		f.err = err
	}
	return pairs
}

// decodePairs decodes a map that is all of b.
func decodePairs(b []byte) ([]Pair, error) {
	code, content, _, err := item(b)
	switch {
	case err != nil:
		return nil, err
	case code == codeNull:
		return nil, nil
	case code != codeMap8 && code != codeMap32:
		return nil, malformed("0x%02x where a map was expected", code)
	}
	return decodeMap(code, content, 0)
}

// symbols is one symbol or an array of them (a field with multiple="true"), or a list.
func (f *fields) symbols() []string {
	field := f.raw()
	if field == nil {
		return nil
	}
	v, _, err := DecodeValue(field)
	if err != nil {
		f.err = err
		return nil
	}
	var list []any
	switch v := v.(type) {
	case Array:
		list = v
	case []any:
		list = v
	default:
		list = []any{v}
	}
	texts := make([]string, len(list))
	for i, e := range list {
		if texts[i], err = keyText(e); err != nil {
			f.fail("a list of symbols with something else in it")
			return nil
		}
	}
	return texts
}

// symbolDescriptors are the descriptors of AMQP's own kinds by their symbols, which may stand
// for the codes (amqp-core 1.3.4).
var symbolDescriptors = map[string]uint64{
	"amqp:open:list": codeOpen, "amqp:begin:list": codeBegin, "amqp:attach:list": codeAttach,
	"amqp:flow:list": codeFlow, "amqp:transfer:list": codeTransfer,
	"amqp:disposition:list": codeDisposition, "amqp:detach:list": codeDetach,
	"amqp:end:list": codeEnd, "amqp:close:list": codeClose, "amqp:error:list": codeError,
	"amqp:received:list": codeReceived, "amqp:accepted:list": codeAccepted,
	"amqp:rejected:list": codeRejected, "amqp:released:list": codeReleased,
	"amqp:modified:list": codeModified, "amqp:source:list": codeSource,
	"amqp:target:list": codeTarget, "amqp:sasl-init:list": codeSASLInit,
	"amqp:header:list":                SectionHeader,
	"amqp:delivery-annotations:map":   SectionDeliveryAnnotations,
	"amqp:message-annotations:map":    SectionMessageAnnotations,
	"amqp:properties:list":            SectionProperties,
	"amqp:application-properties:map": SectionApplicationProperties,
	"amqp:data:binary":                SectionData,
	"amqp:amqp-sequence:list":         SectionSequence,
	"amqp:amqp-value:*":               SectionValue,
	"amqp:footer:map":                 SectionFooter,
}
