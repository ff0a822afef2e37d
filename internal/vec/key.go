package vec

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// The first byte of a key says what follows.
const (
	keyNull byte = iota
	keyInt
	keyFloat
	keyText
	keyTime
	keyRecord
	keyArray
)

// AppendKey appends the canonical bytes of v as a key (saql.md 3.7): two values have
// equal bytes if and only if they are KeyEqual. No key is the start of another, so keys
// of several columns can stand one after the other.
func AppendKey(dst []byte, v Value) []byte {
	switch v.Kind {
	case Bit, Int:
		return appendKeyInt(dst, keyInt, v.Int)
	case Float:
		return appendKeyFloat(dst, v.Float)
	case String:
		return appendKeyText(append(dst, keyText), v.Str)
	case Datetime:
		return appendKeyInt(dst, keyTime, v.Int)
	case Record:
		dst = binary.AppendUvarint(append(dst, keyRecord), uint64(len(v.Rec.Vals)))
		for _, i := range v.Rec.byName() {
			dst = appendKeyText(dst, v.Rec.Names[i])
			dst = AppendKey(dst, v.Rec.Vals[i])
		}
		return dst
	case Array:
		dst = binary.AppendUvarint(append(dst, keyArray), uint64(len(v.Rec.Vals)))
		for _, x := range v.Rec.Vals {
			dst = AppendKey(dst, x)
		}
		return dst
	}
	return append(dst, keyNull)
}

// AppendKeyRow appends the key bytes of row i of v.
func AppendKeyRow(dst []byte, v *Vec, i int) []byte {
	switch v.KindAt(i) {
	case Bit, Int:
		return appendKeyInt(dst, keyInt, v.Int[i])
	case Float:
		return appendKeyFloat(dst, v.Float[i])
	case String:
		return appendKeyText(append(dst, keyText), v.StrAt(i))
	case Datetime:
		return appendKeyInt(dst, keyTime, v.Int[i])
	}
	return AppendKey(dst, v.At(i))
}

func appendKeyInt(dst []byte, tag byte, x int64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tag), uint64(x))
}

// appendKeyFloat writes a float that has the value of a bigint as that bigint.
func appendKeyFloat(dst []byte, f float64) []byte {
	if f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
		return appendKeyInt(dst, keyInt, int64(f))
	}
	return binary.BigEndian.AppendUint64(append(dst, keyFloat), math.Float64bits(f))
}

func appendKeyText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// byName is the positions of the fields in the order of their names.
func (r *Rec) byName() []int {
	at := make([]int, len(r.Names))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(i, j int) int { return strings.Compare(r.Names[i], r.Names[j]) })
	return at
}

// Get is the value of the field with exactly that name, else of the first that is equal
// without case (Unicode simple folding, saql.md 1.6).
func (r *Rec) Get(name string) (Value, bool) {
	for i, n := range r.Names {
		if n == name {
			return r.Vals[i], true
		}
	}
	for i, n := range r.Names {
		if strings.EqualFold(n, name) {
			return r.Vals[i], true
		}
	}
	return Value{}, false
}
