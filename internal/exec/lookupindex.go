package exec

import (
	"math"
	"math/bits"

	"weir/internal/vec"
)

// refIndex finds the rows of a version of reference data by their keys: a hash table of the
// first row of each key, and the chain of the rows with the same key. It takes some 12 bytes a row.
type refIndex struct {
	rows  *vec.Batch
	keys  []int   // columns of rows
	table []int32 // row + 1, 0: free. Its length is a power of two
	next  []int32 // the next row with the same key, -1; nil while all keys differ
	// codes are the first rows by dictionary and code, + 1; -1 means that there is none.
	codes  map[*vec.Dict][]int32
	recent *vec.Dict
	cache  []int32
	buf    []byte
	finder finder
}

func newRefIndex(rows *vec.Batch, keys []int) *refIndex {
	x := &refIndex{rows: rows, keys: keys, codes: map[*vec.Dict][]int32{}}
	if len(keys) > 0 {
		x.build()
	}
	return x
}

// build enters the rows from the last to the first, so that chains are in their order.
func (x *refIndex) build() {
	x.table = make([]int32, 1<<bits.Len(uint(max(8, x.rows.N+x.rows.N/2))))
	cols := x.rows.Cols
	for row := x.rows.N - 1; row >= 0; row-- {
		h, ok := x.hash(cols, x.keys, row)
		if !ok {
			continue // NULL is equal to nothing
		}
		slot, found := x.slot(h, cols, x.keys, row)
		if found {
			if x.next == nil {
				x.next = make([]int32, x.rows.N)
				for i := range x.next {
					x.next[i] = -1
				}
			}
			x.next[row] = x.table[slot] - 1
		}
		x.table[slot] = int32(row) + 1
	}
}

// slot is where the key of row i of cols stands in the table, or would stand.
func (x *refIndex) slot(h uint64, cols []vec.Vec, keys []int, i int) (slot uint64, found bool) {
	mask := uint64(len(x.table) - 1)
	for slot = h & mask; x.table[slot] != 0; slot = (slot + 1) & mask {
		if x.equal(int(x.table[slot]-1), cols, keys, i) {
			return slot, true
		}
	}
	return slot, false
}

func (x *refIndex) equal(row int, cols []vec.Vec, keys []int, i int) bool {
	for k, c := range x.keys {
		if !sameKey(&x.rows.Cols[c], row, &cols[keys[k]], i) {
			return false
		}
	}
	return true
}

// sameKey reports whether two values are equal as keys (saql.md 3.7).
func sameKey(a *vec.Vec, i int, b *vec.Vec, k int) bool {
	ka, kb := a.KindAt(i), b.KindAt(k)
	switch {
	case ka == vec.String && kb == vec.String:
		return a.StrAt(i) == b.StrAt(k)
	case ka == vec.Int && kb == vec.Int, ka == vec.Datetime && kb == vec.Datetime:
		return a.Int[i] == b.Int[k]
	}
	return vec.KeyEqual(a.At(i), b.At(k))
}

// find sets first[i] to the first row with the key of row i of b, -1 if there is none.
func (x *refIndex) find(b *vec.Batch, keys []int, first []int32) {
	if len(keys) == 1 {
		if col := &b.Cols[keys[0]]; col.Tag == nil && col.Dict != nil {
			x.findCodes(b, keys, col, first)
			return
		}
	}
	for i := range first {
		first[i] = x.findRow(b, keys, i)
	}
}

func (x *refIndex) findRow(b *vec.Batch, keys []int, i int) int32 {
	h, ok := x.hash(b.Cols, keys, i)
	if !ok {
		return -1
	}
	slot, _ := x.slot(h, b.Cols, keys, i)
	return x.table[slot] - 1
}

// findCodes looks each code of a dictionary up once.
func (x *refIndex) findCodes(b *vec.Batch, keys []int, col *vec.Vec, first []int32) {
	if x.recent != col.Dict {
		if len(x.codes) >= maxCaches {
			clear(x.codes)
		}
		if x.recent != nil {
			x.codes[x.recent] = x.cache
		}
		x.recent, x.cache = col.Dict, x.codes[col.Dict]
	}
	if n := len(col.Dict.Vals); len(x.cache) < n {
		x.cache = append(x.cache, make([]int32, n-len(x.cache))...)
	}
	cache := x.cache
	for i, code := range col.Code[:len(first)] {
		at := cache[code]
		if at == 0 {
			if at = x.findRow(b, keys, i) + 1; at == 0 {
				at = -1
			}
			cache[code] = at
		}
		first[i] = max(at-1, -1)
	}
}

// hash is a number that equal keys share. It is not ok if a part is NULL.
func (x *refIndex) hash(cols []vec.Vec, keys []int, i int) (h uint64, ok bool) {
	for _, c := range keys {
		v := &cols[c]
		var part uint64
		switch k := v.KindAt(i); k {
		case vec.Missing, vec.Null:
			return 0, false
		case vec.Bit, vec.Int:
			part = uint64(v.Int[i])
		case vec.Datetime:
			part = ^uint64(v.Int[i])
		case vec.Float:
			part = math.Float64bits(v.Float[i])
			if f := v.Float[i]; f == math.Trunc(f) && f >= -1<<63 && f < 1<<63 {
				part = uint64(int64(f)) // as the bigint of the same value
			}
		case vec.String:
			part = hashText(v.StrAt(i))
		default:
			x.buf = vec.AppendKeyRow(x.buf[:0], v, i)
			part = hashText(string(x.buf))
		}
		h = mix(h ^ part)
	}
	return h, true
}

// mix spreads the bits of x over all of the result.
func mix(x uint64) uint64 {
	hi, lo := bits.Mul64(x^0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9)
	return hi ^ lo
}

// hashText takes eight bytes at a time.
func hashText(s string) uint64 {
	h := uint64(len(s))
	for ; len(s) >= 8; s = s[8:] {
		h = mix(h ^ (uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56))
	}
	last := uint64(0)
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return mix(h ^ last)
}
