package fn

import (
	"math"
	"math/bits"
	"strings"

	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "COUNT_DISTINCT",
	Params: []Param{{Name: "value", Types: Any}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "COUNT_DISTINCT is COUNT(DISTINCT value), the number of different values that are not NULL. " +
			"Values differ as keys do: 1 and 1.0 are one value, '1' is another.",
		Section: "7.6",
		Examples: []Example{
			{"COUNT(DISTINCT v) over 1, NULL, 1", "1"},
			{"COUNT(DISTINCT v) over 1, 1.0, '1'", "2"},
			{"COUNT(DISTINCT v) over NULL", "0"},
		},
	},
	New: func(s AggSpec) Acc { return &distinctAcc{} },
})

// distinctAcc is COUNT(DISTINCT e): of each slot the different values, and how often each
// came, so that values can be taken back.
//
// All slots share one hash table from (slot, value) to an entry; the entries of a slot
// are linked, for Merge and Reset. A slot with few values costs little, and a table
// that has grown to its size allocates no more.
type distinctAcc struct {
	slots   []distinctSlot
	entries []distinctEntry // entry 0 is none
	free    int32           // first unused entry, linked by next
	table   []int32         // open addressing, linear; length a power of two; 0: empty
	used    int             // entries in the table
	size    int             // bytes of texts
	key     []byte          // scratch for records and arrays
	dict    *vec.Dict       // whose texts hashes belongs to
	hashes  []uint64        // hash of each text of dict; 0: not known yet
}

type distinctSlot struct {
	n     int64 // different values
	first int32 // their entries
}

// distinctEntry is a value of a slot. Equal values as keys (saql.md 3.7) have equal kinds,
// nums and texts.
type distinctEntry struct {
	text       string   // of String; key bytes of Record
	num        uint64   // the value of Int, Float, Datetime; the hash of text
	n          int64    // how often the slot has it
	slot       int32    //
	next, prev int32    // entries of the slot
	kind       vec.Kind // Int for all numbers with a bigint's value; Record for arrays too
}

// distinctKey is a value as an entry has it.
type distinctKey struct {
	text string
	num  uint64
	kind vec.Kind
}

func (a *distinctAcc) Grow(n int) { a.slots = grown(a.slots, n) }

func (a *distinctAcc) Add(slots []int32, args []*vec.Vec) {
	v := args[0]
	if v.Tag == nil && v.Kind == vec.Int {
		for i, s := range slots {
			a.add(s, distinctKey{num: uint64(v.Int[i]), kind: vec.Int}, 1, false)
		}
		return
	}
	for i, s := range slots {
		if k, ok := a.keyOf(v, i); ok {
			// The text of a row is copied when it is kept, unless a dictionary owns it.
			a.add(s, k, 1, v.Dict == nil && k.kind == vec.String)
		}
	}
}

func (a *distinctAcc) Remove(slots []int32, args []*vec.Vec) {
	for i, s := range slots {
		if k, ok := a.keyOf(args[0], i); ok {
			a.sub(s, k, 1)
		}
	}
}

// keyOf is the key of row i of v; not ok means NULL. A text of the kind
// String may be memory of the row.
func (a *distinctAcc) keyOf(v *vec.Vec, i int) (k distinctKey, ok bool) {
	switch kind := v.KindAt(i); kind {
	case vec.Missing, vec.Null:
		return k, false
	case vec.Bit, vec.Int:
		return distinctKey{num: uint64(v.Int[i]), kind: vec.Int}, true
	case vec.Datetime:
		return distinctKey{num: uint64(v.Int[i]), kind: vec.Datetime}, true
	case vec.Float:
		x := v.Float[i]
		if x == math.Trunc(x) && x >= -1<<63 && x < 1<<63 {
			return distinctKey{num: uint64(int64(x)), kind: vec.Int}, true
		}
		return distinctKey{num: math.Float64bits(x), kind: vec.Float}, true
	case vec.String:
		if v.Dict != nil {
			return a.dictKey(v.Dict, v.Code[i]), true
		}
		return distinctKey{text: v.Str[i], num: hashText(v.Str[i]), kind: vec.String}, true
	default:
		a.key = vec.AppendKey(a.key[:0], v.At(i))
		text := string(a.key)
		return distinctKey{text: text, num: hashText(text), kind: vec.Record}, true
	}
}

// dictKey is the key of a text of a dictionary, hashed once per text.
func (a *distinctAcc) dictKey(d *vec.Dict, code uint32) distinctKey {
	if a.dict != d {
		a.dict = d
		clear(a.hashes)
	}
	if len(a.hashes) < len(d.Vals) {
		a.hashes = grown(a.hashes, len(d.Vals))
	}
	h := a.hashes[code]
	if h == 0 {
		h = hashText(d.Vals[code])
		a.hashes[code] = h
	}
	return distinctKey{text: d.Vals[code], num: h, kind: vec.String}
}

// add counts a value n times more in a slot. own says that the text must be copied.
func (a *distinctAcc) add(s int32, k distinctKey, n int64, own bool) {
	if a.used >= len(a.table)/4*3 {
		a.rehash()
	}
	at := a.find(s, k)
	if e := a.table[at]; e != 0 {
		a.entries[e].n += n
		return
	}
	if own {
		k.text = strings.Clone(k.text)
	}
	e := a.free
	if e != 0 {
		a.free = a.entries[e].next
	} else {
		if len(a.entries) == 0 {
			a.entries = append(a.entries, distinctEntry{})
		}
		e = int32(len(a.entries))
		a.entries = append(a.entries, distinctEntry{})
	}
	t := &a.slots[s]
	a.entries[e] = distinctEntry{text: k.text, num: k.num, n: n, slot: s, next: t.first, kind: k.kind}
	if t.first != 0 {
		a.entries[t.first].prev = e
	}
	t.first = e
	t.n++
	a.table[at] = e
	a.used++
	a.size += len(k.text)
}

// sub counts a value n times less in a slot, and forgets it at zero.
func (a *distinctAcc) sub(s int32, k distinctKey, n int64) {
	if a.used == 0 {
		return
	}
	at := a.find(s, k)
	e := a.table[at]
	if e == 0 {
		return
	}
	if a.entries[e].n -= n; a.entries[e].n == 0 {
		a.drop(s, e, at)
	}
}

// drop forgets entry e, which the table has at place at.
func (a *distinctAcc) drop(s, e int32, at int) {
	x := &a.entries[e]
	if x.prev != 0 {
		a.entries[x.prev].next = x.next
	} else {
		a.slots[s].first = x.next
	}
	if x.next != 0 {
		a.entries[x.next].prev = x.prev
	}
	a.slots[s].n--
	a.size -= len(x.text)
	*x = distinctEntry{next: a.free}
	a.free = e
	a.used--
	// Entries behind at that belong at or before it move up, so that no search stops
	// short of them.
	mask := len(a.table) - 1
	for i := (at + 1) & mask; a.table[i] != 0; i = (i + 1) & mask {
		home := a.home(a.table[i])
		if (i-home)&mask >= (i-at)&mask {
			a.table[at] = a.table[i]
			at = i
		}
	}
	a.table[at] = 0
}

// find is the place in the table of a value of a slot, or the empty place for it.
func (a *distinctAcc) find(s int32, k distinctKey) int {
	mask := len(a.table) - 1
	i := int(hashKey(s, k.kind, k.num)) & mask
	for {
		e := a.table[i]
		if e == 0 {
			return i
		}
		if x := &a.entries[e]; x.num == k.num && x.slot == s && x.kind == k.kind && x.text == k.text {
			return i
		}
		i = (i + 1) & mask
	}
}

// home is the place at which the search for entry e begins.
func (a *distinctAcc) home(e int32) int {
	x := &a.entries[e]
	return int(hashKey(x.slot, x.kind, x.num)) & (len(a.table) - 1)
}

// rehash doubles the table.
func (a *distinctAcc) rehash() {
	old := a.table
	a.table = make([]int32, max(64, 2*len(old)))
	mask := len(a.table) - 1
	for _, e := range old {
		if e == 0 {
			continue
		}
		i := a.home(e)
		for a.table[i] != 0 {
			i = (i + 1) & mask
		}
		a.table[i] = e
	}
}

// hashKey and hashText mix by 128-bit products. They are the same in every run: the
// engine is a function of its input, and results do not depend on them anyway.
func hashKey(slot int32, k vec.Kind, num uint64) uint64 {
	hi, lo := bits.Mul64(num^0x9e3779b97f4a7c15, uint64(uint32(slot))<<8^uint64(k)^0xd1342543de82ef95)
	hi, lo = bits.Mul64(hi^lo^num, 0xa0761d6478bd642f)
	return hi ^ lo
}

func hashText(s string) uint64 {
	h := uint64(len(s)) ^ 0x2d358dccaa6c78a5
	for ; len(s) >= 8; s = s[8:] {
		w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		hi, lo := bits.Mul64(h^w, 0x8bb84b93962eacc9)
		h = hi ^ lo
	}
	var w uint64
	for i := range len(s) {
		w |= uint64(s[i]) << (8 * i)
	}
	hi, lo := bits.Mul64(h^w, 0x4b33a62ed433d4a3)
	return hi ^ lo
}

func (a *distinctAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		for e := a.slots[src[i]].first; e != 0; {
			x := a.entries[e] // a copy: add may move the entries
			a.add(d, distinctKey{x.text, x.num, x.kind}, x.n, false)
			e = x.next
		}
	}
}

func (a *distinctAcc) Unmerge(dst, src []int32) {
	for i, d := range dst {
		for e := a.slots[src[i]].first; e != 0; e = a.entries[e].next {
			x := &a.entries[e]
			a.sub(d, distinctKey{x.text, x.num, x.kind}, x.n)
		}
	}
}

func (a *distinctAcc) Reset(slots []int32) {
	for _, s := range slots {
		for e := a.slots[s].first; e != 0; e = a.slots[s].first {
			x := &a.entries[e]
			a.drop(s, e, a.find(s, distinctKey{x.text, x.num, x.kind}))
		}
	}
}

func (a *distinctAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	out.Fixed(vec.Int, len(slots))
	for i, s := range slots {
		out.Int[i] = a.slots[s].n
	}
}

func (a *distinctAcc) Save(slot int32, w *state.Writer) {
	w.Uint(uint64(a.slots[slot].n))
	for e := a.slots[slot].first; e != 0; e = a.entries[e].next {
		x := &a.entries[e]
		w.Uint(uint64(x.kind))
		if x.kind == vec.String || x.kind == vec.Record {
			w.String(x.text)
		} else {
			w.Int(int64(x.num))
		}
		w.Int(x.n)
	}
}

func (a *distinctAcc) Load(slot int32, r *state.Reader) {
	for n := r.Count(); n > 0 && r.Err() == nil; n-- {
		kind := r.Uint()
		if kind >= vec.NumKinds {
			r.Fail()
			return
		}
		k := distinctKey{kind: vec.Kind(kind)}
		switch k.kind {
		case vec.String, vec.Record:
			k.text = r.String()
			k.num = hashText(k.text)
		case vec.Int, vec.Float, vec.Datetime:
			k.num = uint64(r.Int())
		default:
			r.Fail()
		}
		times := r.Int()
		before := a.slots[slot].n
		if times <= 0 || times > maxCount || r.Err() != nil {
			r.Fail()
			return
		}
		a.add(slot, k, times, false)
		if a.slots[slot].n == before {
			r.Fail() // the same value twice
		}
	}
}

// Held is the number of different values in all slots.
func (a *distinctAcc) Held() int { return a.used }

func (a *distinctAcc) Bytes() int {
	return cap(a.slots)*16 + cap(a.entries)*48 + cap(a.table)*4 + cap(a.hashes)*8 + a.size
}
