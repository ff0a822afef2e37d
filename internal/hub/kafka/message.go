package kafka

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"weir/internal/hub/amqp"
)

// The codes of AMQP that messages of Kafka clients are made of (amqp-core 1.6, 3.2).
const (
	amqpNull   = 0x40
	amqpBin8   = 0xa0
	amqpBin32  = 0xb0
	amqpStr8   = 0xa1
	amqpStr32  = 0xb1
	amqpMap8   = 0xc1
	amqpMap32  = 0xd1
	properties = 0x74 // application-properties
	dataBody   = 0x75
	valueBody  = 0x77
)

// messageSize bounds the size of the message of a record from above.
func messageSize(r *record) int {
	n := 8 + len(r.value)
	if r.headers > 0 {
		n += 12 + len(r.rest) + 8*r.headers
	}
	return n
}

// appendMessage adds the AMQP message of a record: its headers as application properties,
// its value as body. A record without a value has the value null as its body.
func appendMessage(dst []byte, r *record) []byte {
	if r.headers > 0 {
		dst = append(dst, 0, 0x53, properties, amqpMap32)
		at := len(dst)
		dst = append(dst, 0, 0, 0, 0)
		dst = be.AppendUint32(dst, uint32(2*r.headers))
		in := recordReader{b: r.rest}
		for range r.headers {
			key, value := in.header()
			dst = appendVariable(dst, amqpStr8, amqpStr32, key)
			switch {
			case value == nil:
				dst = append(dst, amqpNull)
			case utf8.Valid(value):
				dst = appendVariable(dst, amqpStr8, amqpStr32, value)
			default:
				dst = appendVariable(dst, amqpBin8, amqpBin32, value)
			}
		}
		be.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	if r.value == nil {
		return append(dst, 0, 0x53, valueBody, amqpNull)
	}
	dst = append(dst, 0, 0x53, dataBody)
	return appendVariable(dst, amqpBin8, amqpBin32, r.value)
}

func appendVariable(dst []byte, short, long byte, b []byte) []byte {
	if len(b) < 256 {
		dst = append(dst, short, byte(len(b)))
	} else {
		dst = be.AppendUint32(append(dst, long), uint32(len(b)))
	}
	return append(dst, b...)
}

// body is an event as a record has it. It is valid as long as its message.
type body struct {
	value   []byte
	null    bool
	headers []headerField
}

type headerField struct {
	key, value []byte
	null       bool
}

// read takes a message apart.
func (m *body) read(message []byte) {
	m.headers = m.headers[:0]
	if v, ok := onlyData(message); ok {
		m.value, m.null = v, false
		return
	}
	s, err := amqp.Split(message)
	if err != nil { // it was checked when it came
		m.value, m.null = message, false
		return
	}
	if m.value, err = amqp.Body(message); err != nil {
		m.value = s.Body
	}
	m.null = len(m.value) == 0 && isNull(s.Body)
	if len(s.ApplicationProperties) > 0 && !m.readProperties(s.ApplicationProperties) {
		m.decodeProperties(message)
	}
}

// isNull reports whether a body is none, or the value null.
func isNull(b []byte) bool {
	return len(b) == 0 || len(b) == 4 && b[0] == 0 && b[1] == 0x53 && b[2] == valueBody && b[3] == amqpNull
}

// onlyData is the body of a message that has nothing but one data section.
func onlyData(b []byte) ([]byte, bool) {
	if len(b) < 5 || b[0] != 0 || b[1] != 0x53 || b[2] != dataBody {
		return nil, false
	}
	v, rest, ok := variable(b[3:], amqpBin8, amqpBin32)
	return v, ok && len(rest) == 0
}

// variable reads a value with a short or a long length.
func variable(b []byte, short, long byte) (v, rest []byte, ok bool) {
	switch {
	case len(b) >= 2 && b[0] == short && len(b)-2 >= int(b[1]):
		n := 2 + int(b[1])
		return b[2:n:n], b[n:], true
	case len(b) >= 5 && b[0] == long && uint64(len(b)-5) >= uint64(be.Uint32(b[1:])):
		n := 5 + int(be.Uint32(b[1:]))
		return b[5:n:n], b[n:], true
	}
	return nil, nil, false
}

// readProperties reads application properties that are texts and bytes, as most are; false
// if there is anything else.
func (m *body) readProperties(b []byte) bool {
	if len(b) < 6 || b[0] != 0 || b[1] != 0x53 || b[2] != properties {
		return false
	}
	count := 0
	switch b[3] {
	case amqpMap8:
		count, b = int(b[5]), b[6:]
	case amqpMap32:
		if len(b) < 12 {
			return false
		}
		count, b = int(be.Uint32(b[8:])), b[12:]
	default:
		return false
	}
	for ; count > 1; count -= 2 {
		key, rest, ok := variable(b, amqpStr8, amqpStr32)
		if !ok || len(rest) == 0 {
			return false
		}
		f := headerField{key: key}
		if rest[0] == amqpNull {
			f.null, b = true, rest[1:]
		} else if f.value, b, ok = variable(rest, amqpStr8, amqpStr32); !ok {
			if f.value, b, ok = variable(rest, amqpBin8, amqpBin32); !ok {
				return false
			}
		}
		m.headers = append(m.headers, f)
	}
	return len(b) == 0
}

// decodeProperties reads application properties of any kind: numbers, times and so on become
// texts.
func (m *body) decodeProperties(message []byte) {
	m.headers = m.headers[:0]
	d, err := amqp.Decode(message)
	if err != nil {
		return
	}
	for _, p := range d.Application {
		f := headerField{key: []byte(p.Key), null: p.Value == nil}
		if !f.null {
			f.value = textOf(p.Value)
		}
		m.headers = append(m.headers, f)
	}
}

func textOf(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	case float32:
		return strconv.AppendFloat(nil, float64(v), 'g', -1, 32)
	case float64:
		return strconv.AppendFloat(nil, v, 'g', -1, 64)
	case time.Time:
		return v.UTC().AppendFormat(nil, time.RFC3339Nano)
	case amqp.UUID:
		return fmt.Appendf(nil, "%x-%x-%x-%x-%x", v[:4], v[4:6], v[6:8], v[8:10], v[10:])
	}
	return fmt.Append(nil, v)
}

func (m *body) headersSize() int {
	n := varintSize(int64(len(m.headers)))
	for i := range m.headers {
		h := &m.headers[i]
		n += bytesSize(h.key, false) + bytesSize(h.value, h.null)
	}
	return n
}

func (m *body) appendHeaders(dst []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(m.headers)))
	for i := range m.headers {
		h := &m.headers[i]
		dst = appendBytes(dst, h.key, false)
		dst = appendBytes(dst, h.value, h.null)
	}
	return dst
}
