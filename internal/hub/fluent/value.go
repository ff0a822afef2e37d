package fluent

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// kind is a type of MessagePack.
type kind uint8

const (
	kindNil kind = iota
	kindBool
	kindInt   // signed
	kindUint  // not negative
	kindFloat // of 4 or 8 bytes
	kindText
	kindBinary
	kindArray
	kindMap
	kindExt
)

// head is the beginning of a value: everything but its bytes and its items.
type head struct {
	kind  kind
	size  int    // bytes of the head
	bytes uint64 // that follow and are the value: of numbers, text, binary, ext
	items uint64 // values that follow and are within it
	small int64  // an integer or bool that is in the head
	ext   int8   // type of an ext
}

// errShort: the bytes end within the value.
var errShort = errors.New("a value of MessagePack is cut off")

// errMalformed: the bytes are no MessagePack.
var errMalformed = errors.New("the byte 0xc1 is no value of MessagePack")

// readHead reads the beginning of the first value of b.
func readHead(b []byte) (head, error) {
	if len(b) == 0 {
		return head{}, errShort
	}
	c := b[0]
	switch {
	case c < 0x80:
		return head{kind: kindUint, size: 1, small: int64(c)}, nil
	case c < 0x90:
		return head{kind: kindMap, size: 1, items: 2 * uint64(c&15)}, nil
	case c < 0xa0:
		return head{kind: kindArray, size: 1, items: uint64(c & 15)}, nil
	case c < 0xc0:
		return head{kind: kindText, size: 1, bytes: uint64(c & 31)}, nil
	case c >= 0xe0:
		return head{kind: kindInt, size: 1, small: int64(int8(c))}, nil
	}
	switch c {
	case 0xc0:
		return head{kind: kindNil, size: 1}, nil
	case 0xc1:
		return head{}, errMalformed
	case 0xc2, 0xc3:
		return head{kind: kindBool, size: 1, small: int64(c - 0xc2)}, nil
	case 0xc4, 0xc5, 0xc6:
		return withLength(b, 1<<(c-0xc4), head{kind: kindBinary})
	case 0xc7, 0xc8, 0xc9:
		return withLength(b, 1<<(c-0xc7), head{kind: kindExt})
	case 0xca, 0xcb:
		return head{kind: kindFloat, size: 1, bytes: 4 << (c - 0xca)}, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return head{kind: kindUint, size: 1, bytes: 1 << (c - 0xcc)}, nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return head{kind: kindInt, size: 1, bytes: 1 << (c - 0xd0)}, nil
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		if len(b) < 2 {
			return head{}, errShort
		}
		return head{kind: kindExt, size: 2, bytes: 1 << (c - 0xd4), ext: int8(b[1])}, nil
	case 0xd9, 0xda, 0xdb:
		return withLength(b, 1<<(c-0xd9), head{kind: kindText})
	case 0xdc, 0xdd:
		return withLength(b, 2<<(c-0xdc), head{kind: kindArray})
	}
	return withLength(b, 2<<(c-0xde), head{kind: kindMap}) // 0xde, 0xdf
}

// withLength reads a length of n bytes behind the type, and the type of an ext behind that.
func withLength(b []byte, n int, h head) (head, error) {
	h.size = 1 + n
	if h.kind == kindExt {
		h.size++
	}
	if len(b) < h.size {
		return head{}, errShort
	}
	var length uint64
	for _, c := range b[1 : 1+n] {
		length = length<<8 | uint64(c)
	}
	switch h.kind {
	case kindArray:
		h.items = length
	case kindMap:
		h.items = 2 * length
	case kindExt:
		h.bytes, h.ext = length, int8(b[1+n])
	default:
		h.bytes = length
	}
	return h, nil
}

// maxDepth bounds how deep values are within each other. Fluentd's own parsers have no reason
// to go deeper, and what we make of a record is JSON that others must read.
const maxDepth = 64

// errDeep: values are nested deeper than maxDepth.
var errDeep = fmt.Errorf("values are nested deeper than %d", maxDepth)

// errTooLarge: a value is larger than it may be.
var errTooLarge = errors.New("too large")

// scanner finds the end of a value whose bytes come little by little. It believes no length
// before the bytes are there.
type scanner struct {
	pos   int // bytes that have been looked at
	depth int
	left  [maxDepth]uint64 // items that are still to come, level by level
}

// scan goes on with the bytes that are there, which begin with those of before. It is true
// when they have the whole value, which ends at s.pos. A value of more than limit bytes
// gives errTooLarge as soon as that can be seen.
func (s *scanner) scan(b []byte, limit int) (bool, error) {
	for {
		h, err := readHead(b[s.pos:])
		if errors.Is(err, errShort) {
			if s.pos >= limit {
				return false, errTooLarge
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
		rest := uint64(max(limit-s.pos-h.size, 0))
		if h.bytes > rest || h.items > rest { // an item has one byte at least
			return false, errTooLarge
		}
		end := s.pos + h.size + int(h.bytes)
		if end > len(b) {
			return false, nil
		}
		s.pos = end
		if h.items > 0 {
			if s.depth == maxDepth {
				return false, errDeep
			}
			s.left[s.depth] = h.items
			s.depth++
			continue
		}
		for s.depth > 0 {
			if s.left[s.depth-1]--; s.left[s.depth-1] > 0 {
				break
			}
			s.depth--
		}
		if s.depth == 0 {
			return true, nil
		}
	}
}

// cut takes a whole value off b and looks at all that is within it.
func cut(b []byte) (value, rest []byte, err error) {
	var s scanner
	ok, err := s.scan(b, len(b))
	if err == nil && !ok || errors.Is(err, errTooLarge) {
		err = errShort
	}
	if err != nil {
		return nil, nil, err
	}
	return b[:s.pos:s.pos], b[s.pos:], nil
}

// text is the bytes of a text or binary; false is another value.
func text(value []byte) (string, bool) {
	h, err := readHead(value)
	if err != nil || h.kind != kindText && h.kind != kindBinary {
		return "", false
	}
	return string(value[h.size:]), true
}

// items takes the array that b begins with apart: its items, not more than most.
func items(b []byte, most int) ([][]byte, error) {
	h, err := readHead(b)
	if err != nil {
		return nil, err
	}
	if h.kind != kindArray {
		return nil, errors.New("an array is expected")
	}
	if h.items > uint64(most) {
		return nil, fmt.Errorf("an array of at most %d values is expected", most)
	}
	list := make([][]byte, h.items)
	b = b[h.size:]
	for i := range list {
		if list[i], b, err = cut(b); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// number is the value of an integer, by its bytes.
func (h head) number(value []byte) uint64 {
	if h.bytes == 0 {
		return uint64(h.small)
	}
	b := value[h.size : h.size+int(h.bytes)]
	var n uint64
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	if shift := 64 - 8*len(b); h.kind == kindInt {
		return uint64(int64(n<<shift) >> shift)
	}
	return n
}

func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }

func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
