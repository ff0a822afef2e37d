package codec

import (
	"encoding/binary"
	"slices"
	"strconv"
	"unsafe"

	"weir/internal/vec"
)

// quickKey is a key with what stands before its value, as two words if it is short.
type quickKey struct {
	lo, hi uint64
	text   string
}

func newQuickKey(text string) quickKey {
	var b [16]byte
	copy(b[:], text)
	return quickKey{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]), text}
}

// cellRoom is how much room a row has for each value beside the length of its text: a
// number or a time with quotes, and the bytes that copies of whole words write in vain.
const cellRoom = 40

// quick encodes rows as JSON lines if each of their columns has one scalar kind, as most
// have: room is made once a row, and short texts are checked and copied as words. It
// reports false, with nothing done, for other columns.
func (e *Encoder) quick(dst []byte, cols []vec.Vec, n int) ([]byte, bool) {
	room := len(e.open) + len(e.close) + 2
	for c := range cols {
		if v := &cols[c]; v.Tag != nil || v.Kind < vec.Bit || v.Kind > vec.Datetime {
			return dst, false
		}
		room += len(e.keys[c]) + cellRoom
	}
	for len(e.quickKeys) < len(cols) {
		e.quickKeys = append(e.quickKeys, newQuickKey(e.keys[len(e.quickKeys)]))
	}
	for i := range n {
		dst = reserve(dst, room)
		dst = append(dst, e.open...)
		for c := range cols {
			dst = appendKey(dst, &e.quickKeys[c])
			v := &cols[c]
			switch {
			case v.Kind == vec.Int:
				dst = appendSmall(dst, v.Int[i])
			case v.Kind != vec.String:
				dst = e.cells[c].json(dst, v, i)
			case v.Dict != nil:
				text := e.cells[c].text(v.Code[i])
				dst = append(reserve(dst, room+len(text)), text...)
			default:
				dst = appendText(reserve(dst, room+len(v.Str[i])), v.Str[i])
			}
		}
		dst = append(append(dst, '}'), e.close...)
	}
	return dst, true
}

// appendLine is appendText for texts of 17 to 32 bytes, as times in words are.
func appendLine(dst []byte, s string) []byte {
	n := len(s)
	base := unsafe.Pointer(unsafe.StringData(s))
	a, b, c, d := load8(base, 0), load8(base, 8), load8(base, n-16), load8(base, n-8)
	if stringStops(a)|stringStops(b)|stringStops(c)|stringStops(d) != 0 {
		return appendString(dst, s)
	}
	at := len(dst)
	dst = dst[:at+n+2]
	to := dst[at+1 : at+1+n]
	binary.LittleEndian.PutUint64(to, a)
	binary.LittleEndian.PutUint64(to[8:], b)
	binary.LittleEndian.PutUint64(to[n-16:], c)
	binary.LittleEndian.PutUint64(to[n-8:], d)
	dst[at], dst[at+1+n] = '"', '"'
	return dst
}

// reserve makes room for n more bytes.
func reserve(dst []byte, n int) []byte {
	if cap(dst)-len(dst) < n {
		return slices.Grow(dst, n)
	}
	return dst
}

// appendKey appends a key to dst, which has room for 16 bytes.
func appendKey(dst []byte, k *quickKey) []byte {
	at := len(dst)
	if len(k.text) > 16 {
		return append(dst, k.text...)
	}
	dst = dst[:at+16]
	binary.LittleEndian.PutUint64(dst[at:], k.lo)
	binary.LittleEndian.PutUint64(dst[at+8:], k.hi)
	return dst[:at+len(k.text)]
}

// appendSmall appends a bigint to dst, which has room for it.
func appendSmall(dst []byte, x int64) []byte {
	if uint64(x) >= 1000 {
		return strconv.AppendInt(dst, x, 10)
	}
	at := len(dst)
	dst = dst[:at+3]
	switch {
	case x >= 100:
		dst[at], dst[at+1], dst[at+2] = byte('0'+x/100), byte('0'+x/10%10), byte('0'+x%10)
		return dst
	case x >= 10:
		dst[at], dst[at+1] = byte('0'+x/10), byte('0'+x%10)
		return dst[:at+2]
	}
	dst[at] = byte('0' + x)
	return dst[:at+1]
}

// appendText appends s as a JSON string to dst, which has room for it and 18 bytes more.
func appendText(dst []byte, s string) []byte {
	n := len(s)
	switch {
	case n < 4 || n > 32:
		return appendString(dst, s)
	case n > 16:
		return appendLine(dst, s)
	}
	base := unsafe.Pointer(unsafe.StringData(s))
	at := len(dst)
	lo, hi, back := uint64(0), uint64(0), 8
	if n >= 8 {
		lo, hi = load8(base, 0), load8(base, n-8)
	} else {
		lo, hi, back = uint64(load4(base, 0)), uint64(load4(base, n-4)), 4
		lo |= 0x2020202000000000 // so that no byte is a stop
		hi |= 0x2020202000000000
	}
	if stringStops(lo)|stringStops(hi) != 0 {
		return appendString(dst, s)
	}
	dst = dst[:at+n+18]
	dst[at] = '"'
	binary.LittleEndian.PutUint64(dst[at+1:], lo)
	binary.LittleEndian.PutUint64(dst[at+1+n-back:], hi)
	dst[at+1+n] = '"'
	return dst[:at+n+2]
}
