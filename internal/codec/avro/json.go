package avro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"weir/internal/codec/jsonline"
)

// Limits of a value, which hostile bytes meet.
const (
	// maxDepth is how deep values lie in each other: JSON text that is deeper is no event.
	maxDepth = 130
	// freeSteps is how many values one event may have beside four for each byte: some take no
	// bytes, and few bytes can say that there are very many of them.
	freeSteps = 1 << 16
)

var (
	errShort  = errors.New("the value is cut off")
	errDeep   = errors.New("the value is nested too deeply")
	errVarint = errors.New("a number is longer than 10 bytes")
	errSteps  = errors.New("the value has too many parts")
)

// decoder writes one value as JSON.
type decoder struct {
	src   []byte
	dst   []byte
	start int // of the value in dst
	limit int // of its text in bytes
	steps int
	depth int
	// length is that of src at first.
	length int
	// bad is why the value is no event, though its bytes could be read to the end: those
	// behind it can be read then.
	bad string
}

// errTooLong is the reason of events whose text is longer than the limit.
const errTooLong = "the event is too long"

// AppendJSON appends the value that src starts with to dst, as JSON text, and gives the bytes
// behind it. bad, if not "", says why the value is no event; what was appended is of no use
// then. An error says that src cannot be read any further. limit is the longest text.
func (s *Schema) AppendJSON(dst, src []byte, limit int) (text, rest []byte, bad string, err error) {
	d := decoder{src: src, length: len(src), dst: dst, start: len(dst), limit: limit}
	err = d.value(s.root)
	if len(d.dst) == d.start || d.dst[d.start] != '{' {
		d.note("an event is a record or a map")
	}
	return d.dst, d.src, d.bad, err
}

// note keeps the first reason why the value is no event.
func (d *decoder) note(reason string) {
	if d.bad == "" {
		d.bad = reason
	}
}

// full drops the text of an event that is too long.
func (d *decoder) full() {
	if len(d.dst)-d.start > d.limit {
		d.note(errTooLong)
		d.dst = append(d.dst[:d.start], '{')
	}
}

func (d *decoder) long() (int64, error) {
	// Most numbers have one or two bytes.
	if len(d.src) > 0 && d.src[0] < 0x80 {
		u := d.src[0]
		d.src = d.src[1:]
		return int64(u>>1) ^ -int64(u&1), nil
	}
	u, n := binary.Uvarint(d.src)
	if n <= 0 {
		if n < 0 {
			return 0, errVarint
		}
		return 0, errShort
	}
	d.src = d.src[n:]
	return int64(u>>1) ^ -int64(u&1), nil
}

// int reads a number of 32 bits.
func (d *decoder) int() (int64, error) {
	n, err := d.long()
	if err == nil && n != int64(int32(n)) {
		return 0, fmt.Errorf("%d is no int", n)
	}
	return n, err
}

// bytes reads bytes behind their number.
func (d *decoder) bytes() ([]byte, error) {
	n, err := d.long()
	if err != nil {
		return nil, err
	}
	if n < 0 {
		return nil, fmt.Errorf("%d bytes of text", n)
	}
	return d.take(n)
}

func (d *decoder) take(n int64) ([]byte, error) {
	if n > int64(len(d.src)) {
		return nil, errShort
	}
	b := d.src[:n:n]
	d.src = d.src[n:]
	return b, nil
}

// value appends a value.
func (d *decoder) value(n *node) error {
	if d.steps++; d.steps > freeSteps && d.steps > freeSteps+4*(d.length-len(d.src)) {
		return errSteps
	}
	switch n.kind {
	case kindUnion:
		i, err := d.long()
		if err != nil {
			return err
		}
		if uint64(i) >= uint64(len(n.members)) {
			return fmt.Errorf("a union has no member %d", i)
		}
		if n = n.members[i]; n.kind == kindUnion {
			return errors.New("a union lies in a union")
		}
		d.steps--
		return d.value(n)
	case kindNull:
		d.dst = append(d.dst, "null"...)
	case kindInt, kindLong:
		i, err := d.long()
		if err != nil {
			return err
		}
		d.dst = strconv.AppendInt(d.dst, i, 10)
	case kindString:
		b, err := d.bytes()
		if err != nil {
			return err
		}
		if len(b) > d.limit {
			d.note(errTooLong)
			b = nil
		}
		d.dst = jsonline.AppendString(d.dst, b)
		d.full()
	case kindRecord, kindArray, kindMap:
		return d.nested(n)
	case kindBit:
		return d.bit()
	case kindFloat, kindDouble:
		return d.float(n)
	case kindEnum:
		i, err := d.int()
		if err != nil {
			return err
		}
		if uint64(i) >= uint64(len(n.symbols)) {
			return fmt.Errorf("an enum has no symbol %d", i)
		}
		d.dst = append(d.dst, n.symbols[i]...)
	case kindDate, kindMillis, kindMicros, kindNanos:
		return d.time(n)
	default:
		return d.binary(n)
	}
	return nil
}

func (d *decoder) bit() error {
	b, err := d.take(1)
	switch {
	case err != nil:
		return err
	case b[0] > 1:
		return fmt.Errorf("a boolean is %d", b[0])
	}
	d.dst = strconv.AppendBool(d.dst, b[0] == 1)
	return nil
}

func (d *decoder) float(n *node) error {
	size := int64(8)
	if n.kind == kindFloat {
		size = 4
	}
	b, err := d.take(size)
	switch {
	case err != nil:
		return err
	case size == 4:
		d.dst = jsonline.AppendFloat(d.dst, float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	default:
		d.dst = jsonline.AppendFloat(d.dst, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return nil
}

func (d *decoder) time(n *node) error {
	i, err := d.long()
	if err != nil {
		return err
	}
	unit := jsonline.Millis
	switch n.kind {
	case kindDate:
		unit = jsonline.Days
	case kindMicros:
		unit = jsonline.Micros
	case kindNanos:
		unit = jsonline.Nanos
	}
	var ok bool
	if d.dst, ok = jsonline.AppendTime(d.dst, i, unit); !ok {
		d.note(fmt.Sprintf("the timestamp %d is no datetime", i))
	}
	return nil
}

// binary appends what is bytes or fixed.
func (d *decoder) binary(n *node) error {
	var b []byte
	var err error
	if n.kind == kindBytes || n.kind == kindDecimal {
		b, err = d.bytes()
	} else {
		b, err = d.take(int64(n.size))
	}
	if err != nil {
		return err
	}
	if len(b) > d.limit {
		d.note(errTooLong)
		b = nil
	}
	switch n.kind {
	case kindDecimal, kindFixedDec:
		var ok bool
		if d.dst, ok = jsonline.AppendDecimal(d.dst, b, n.scale); !ok {
			d.note("a decimal number is too large")
		}
	case kindFixedID:
		d.dst = jsonline.AppendUUID(d.dst, b)
	case kindSpan:
		for i, name := range [...]string{`{"months":`, `,"days":`, `,"milliseconds":`} {
			d.dst = append(d.dst, name...)
			d.dst = strconv.AppendUint(d.dst, uint64(binary.LittleEndian.Uint32(b[4*i:])), 10)
		}
		d.dst = append(d.dst, '}')
	default:
		d.dst = jsonline.AppendBase64(d.dst, b)
	}
	d.full()
	return nil
}

// nested appends what has values inside.
func (d *decoder) nested(n *node) error {
	if d.depth++; d.depth > maxDepth {
		return errDeep
	}
	defer func() { d.depth-- }()
	if n.kind != kindRecord {
		return d.blocks(n)
	}
	if len(n.fields) == 0 {
		d.dst = append(d.dst, '{')
	}
	for i := range n.fields {
		f := &n.fields[i]
		if i == 0 {
			d.dst = append(d.dst, '{')
		}
		d.dst = append(d.dst, f.key...)
		was := d.bad
		if err := d.value(f.node); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if d.bad != was && d.bad != errTooLong {
			d.bad = f.name + ": " + d.bad
		}
	}
	d.dst = append(d.dst, '}')
	d.full()
	return nil
}

// blocks appends an array or a map, which come in blocks.
func (d *decoder) blocks(n *node) error {
	begin, end := byte('['), byte(']')
	if n.kind == kindMap {
		begin, end = '{', '}'
	}
	d.dst = append(d.dst, begin)
	for first := true; ; {
		count, err := d.long()
		if err == nil && count < 0 { // its size in bytes follows
			if count = -count; count < 0 {
				return errSteps
			}
			_, err = d.long()
		}
		if err != nil {
			return err
		}
		if count == 0 {
			d.dst = append(d.dst, end)
			d.full()
			return nil
		}
		for range count {
			if !first {
				d.dst = append(d.dst, ',')
			}
			first = false
			if n.kind == kindMap {
				key, err := d.bytes()
				if err != nil {
					return err
				}
				if len(key) > d.limit {
					d.note(errTooLong)
					key = nil
				}
				d.dst = append(jsonline.AppendString(d.dst, key), ':')
			}
			if err := d.value(n.items); err != nil {
				return err
			}
			d.full()
		}
	}
}
