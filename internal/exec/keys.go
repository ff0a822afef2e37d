package exec

import (
	"math"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// keyColumn numbers the distinct values of one key column: 0, 1, 2... in order of
// appearance. Values that are equal as keys and look different, such as 1 and 1.0
// (saql.md 3.7), have numbers of their own; same leads from each to the first of them.
//
// Numbers of dictionary codes are found once per code. Whole numbers go through a hash
// table of their own; everything else through the bytes of the value.
type keyColumn struct {
	vals   []vec.Value
	same   []int32   // per number: the first that is equal to it; nil while all differ
	text   bool      // all values are texts: dict holds them too
	dict   *vec.Dict // Vals[id] is the text of value id; nil if not all are texts
	ints   intTable  // of bigints
	floats intTable  // of floats, by their bits
	bits   [2]int32  // of bits, + 1
	others map[string]int32
	equals map[string]int32      // the first of records and arrays, by vec.AppendKey
	caches map[*vec.Dict][]int32 // code -> id + 1
	recent *vec.Dict
	cache  []int32
	buf    []byte
}

func newKeyColumn() *keyColumn {
	return &keyColumn{text: true, dict: &vec.Dict{}, others: map[string]int32{}, caches: map[*vec.Dict][]int32{}}
}

// maxCaches bounds how many dictionaries are remembered; sources have one per column and
// worker.
const maxCaches = 64

// ids sets out[i] to the number of row i.
func (k *keyColumn) ids(v *vec.Vec, out []int32) {
	switch {
	case v.Tag == nil && v.Dict != nil:
		k.byCode(v, out)
	case v.Tag == nil && v.Kind == vec.Int:
		for i := range out {
			out[i] = k.int(v.Int[i])
		}
	default:
		for i := range out {
			out[i] = k.id(v, i)
		}
	}
}

func (k *keyColumn) byCode(v *vec.Vec, out []int32) {
	if k.recent != v.Dict {
		if len(k.caches) >= maxCaches {
			clear(k.caches)
		}
		if k.recent != nil {
			k.caches[k.recent] = k.cache
		}
		k.recent, k.cache = v.Dict, k.caches[v.Dict]
	}
	if len(k.cache) < len(v.Dict.Vals) {
		k.cache = append(k.cache, make([]int32, len(v.Dict.Vals)-len(k.cache))...)
	}
	cache := k.cache
	for i, code := range v.Code[:len(out)] {
		id := cache[code]
		if id == 0 {
			id = k.id(v, i) + 1
			cache[code] = id
		}
		out[i] = id - 1
	}
}

// id is the number of one row.
func (k *keyColumn) id(v *vec.Vec, i int) int32 {
	switch v.KindAt(i) {
	case vec.Int:
		return k.int(v.Int[i])
	case vec.Bit:
		x := v.Int[i] & 1
		if k.bits[x] == 0 {
			k.bits[x] = k.add(v.At(i)) + 1
		}
		return k.bits[x] - 1
	case vec.Float:
		bits := int64(math.Float64bits(v.Float[i]))
		id, ok := k.floats.get(bits)
		if !ok {
			id = k.add(v.At(i))
			k.floats.put(bits, id)
		}
		return id
	case vec.Record, vec.Array:
		k.buf = appendExact(k.buf[:0], v.At(i))
	default:
		k.buf = vec.AppendKeyRow(k.buf[:0], v, i)
	}
	if id, ok := k.others[string(k.buf)]; ok {
		return id
	}
	text := string(k.buf)
	x := v.At(i)
	if x.Kind == vec.String {
		x.Str = text[len(text)-len(x.Str):] // the key ends with it
	} else {
		x = keep(x)
	}
	id := k.add(x)
	k.others[text] = id
	return id
}

func (k *keyColumn) int(x int64) int32 {
	id, ok := k.ints.get(x)
	if !ok {
		id = k.add(vec.IntValue(x))
		k.ints.put(x, id)
	}
	return id
}

// add numbers a value that has no number yet, and owns its memory.
func (k *keyColumn) add(v vec.Value) int32 {
	id := int32(len(k.vals))
	first := k.equal(v)
	k.vals = append(k.vals, v)
	k.same = appendSame(k.same, id, first)
	switch {
	case v.Kind != vec.String:
		k.text, k.dict = false, nil // columns that were given before may still use it
	case k.text:
		k.dict.Vals = append(k.dict.Vals, v.Str)
	}
	return id
}

// appendSame notes that number id is the same as number first; first < 0 means that it is
// the same as no other.
func appendSame(same []int32, id, first int32) []int32 {
	if first < 0 {
		first = id
	}
	if same == nil && first == id {
		return nil
	}
	for n := int32(len(same)); n < id; n++ {
		same = append(same, n)
	}
	return append(same, first)
}

// equal is the first number of the values that are equal to a new value v, or -1.
func (k *keyColumn) equal(v vec.Value) int32 {
	var x int64
	switch v.Kind {
	case vec.Bit, vec.Int:
		x = v.Int
	case vec.Float:
		if v.Float != math.Trunc(v.Float) || v.Float < -1<<63 || v.Float >= 1<<63 {
			return -1
		}
		x = int64(v.Float)
	case vec.Record, vec.Array:
		return k.equalNested(v)
	default:
		return -1
	}
	if id, ok := k.ints.get(x); ok {
		return k.firstOf(id)
	}
	if x>>1 == 0 && k.bits[x] != 0 {
		return k.firstOf(k.bits[x] - 1)
	}
	f := float64(x)
	if f >= 1<<63 || int64(f) != x {
		return -1 // no float has the value
	}
	for _, f := range [2]float64{f, -f} { // 0.0 and -0.0 are equal
		if id, ok := k.floats.get(int64(math.Float64bits(f))); ok && k.vals[id].Float == float64(x) {
			return k.firstOf(id)
		}
	}
	return -1
}

func (k *keyColumn) equalNested(v vec.Value) int32 {
	key := string(vec.AppendKey(nil, v))
	if id, ok := k.equals[key]; ok {
		return id
	}
	if k.equals == nil {
		k.equals = map[string]int32{}
	}
	k.equals[key] = int32(len(k.vals))
	return -1
}

func (k *keyColumn) firstOf(id int32) int32 {
	if k.same == nil {
		return id
	}
	return k.same[id]
}

// appendExact appends bytes that only values of the same look share.
func appendExact(dst []byte, v vec.Value) []byte {
	w := state.NewWriter()
	fn.SaveValue(w, v)
	return append(dst, w.Bytes()...)
}

// column sets out to the values of the given numbers.
func (k *keyColumn) column(ids []int32, out *vec.Vec) {
	out.Reset()
	if k.text && len(ids) > 0 {
		out.N, out.Kind, out.Dict = len(ids), vec.String, k.dict
		if cap(out.Code) < len(ids) {
			out.Code = make([]uint32, len(ids), max(64, 2*len(ids)))
		}
		out.Code = out.Code[:len(ids)]
		for i, id := range ids {
			out.Code[i] = uint32(id)
		}
		return
	}
	for _, id := range ids {
		out.Append(k.vals[id])
	}
}

// keyTable numbers the tuples of key values. As in a keyColumn, equal tuples that look
// different have numbers of their own, and the first of them is the number of the group.
type keyTable struct {
	cols  []int // columns of the input
	types []plan.Col
	parts []*keyColumn
	ids   [][]int32 // scratch: per part the numbers of the rows at hand
	pairs []pairTable
	// of[p][g] is the number in part p of tuple g. A table of one part has none: the tuple
	// is the value.
	of     [][]int32
	same   []int32 // as in keyColumn, where there are several parts
	n      int32   // tuples so far
	rows   []int32
	firsts []int32
	picked []int32
}

// newKeyTable makes a table of the columns cols, of a batch whose columns have the given
// types; nil if these are not known.
func newKeyTable(cols []int, types []plan.Col) *keyTable {
	t := &keyTable{cols: cols, types: types, ids: make([][]int32, len(cols)), of: make([][]int32, len(cols))}
	for range cols {
		t.parts = append(t.parts, newKeyColumn())
	}
	if len(cols) > 1 {
		t.pairs = make([]pairTable, len(cols)-1)
	}
	return t
}

// groups gives the group of each row, and the tuple of its key as it is written in the
// row. The slices are valid until the next call.
func (t *keyTable) groups(b *vec.Batch) (groups, tuples []int32) {
	t.rows = resizeInts(t.rows, b.N)
	switch len(t.cols) {
	case 0:
		clear(t.rows)
		t.n = 1
		return t.rows, t.rows
	case 1:
		t.parts[0].ids(&b.Cols[t.cols[0]], t.rows)
		t.n, t.same = int32(len(t.parts[0].vals)), t.parts[0].same
	default:
		t.tuples(b)
	}
	if t.same == nil {
		return t.rows, t.rows
	}
	t.firsts = resizeInts(t.firsts, b.N)
	for i, id := range t.rows {
		t.firsts[i] = t.same[id]
	}
	return t.firsts, t.rows
}

// tuples sets t.rows to the tuples of the rows, for several parts.
func (t *keyTable) tuples(b *vec.Batch) {
	t.parts[0].ids(&b.Cols[t.cols[0]], t.rows)
	t.ids[0] = append(t.ids[0][:0], t.rows...)
	last := len(t.cols) - 1
	for p := 1; p <= last; p++ {
		t.ids[p] = resizeInts(t.ids[p], b.N)
		t.parts[p].ids(&b.Cols[t.cols[p]], t.ids[p])
		for i := range t.rows {
			id, isNew := t.pairs[p-1].number(t.rows[i], t.ids[p][i])
			t.rows[i] = id
			if isNew && p == last {
				t.addTuple(id, func(q int) int32 { return t.ids[q][i] })
			}
		}
	}
}

// addTuple notes tuple id, whose part p is the number part(p).
func (t *keyTable) addTuple(id int32, part func(p int) int32) {
	differs := false
	for p := range t.of {
		t.of[p] = append(t.of[p], part(p))
		differs = differs || t.parts[p].firstOf(part(p)) != part(p)
	}
	t.n++
	first := id
	if differs {
		first = t.parts[0].firstOf(part(0))
		isNew := false
		for p := 1; p < len(t.cols); p++ {
			first, isNew = t.pairs[p-1].number(first, t.parts[p].firstOf(part(p)))
		}
		if isNew { // of a tuple that no row has had yet
			t.same = appendSame(t.same, id, first)
			t.addTuple(first, func(p int) int32 { return t.parts[p].firstOf(part(p)) })
			return
		}
	}
	t.same = appendSame(t.same, id, first)
}

// column sets out to key part p of the tuples.
func (t *keyTable) column(p int, tuples []int32, out *vec.Vec) {
	if len(t.cols) == 1 {
		t.parts[0].column(tuples, out)
		return
	}
	t.picked = resizeInts(t.picked, len(tuples))
	for i, g := range tuples {
		t.picked[i] = t.of[p][g]
	}
	t.parts[p].column(t.picked, out)
}

// group is the group of a tuple.
func (t *keyTable) group(tuple int32) int32 {
	if t.same == nil {
		return tuple
	}
	return t.same[tuple]
}

// bytes are the canonical bytes of a tuple: equal for all tuples of a group.
func (t *keyTable) bytes(tuple int32) []byte {
	var b []byte
	for p := range t.cols {
		id := tuple
		if len(t.cols) > 1 {
			id = t.of[p][tuple]
		}
		b = vec.AppendKey(b, t.parts[p].vals[id])
	}
	return b
}

// expect makes room for n keys more, so that a table that is restored need not grow.
func (t *keyTable) expect(n int) {
	for _, k := range t.parts {
		if len(k.vals) == 0 && n >= limits.results {
			k.vals = make([]vec.Value, 0, n)
			k.others = make(map[string]int32, n)
		}
	}
}

// saveKey writes the key values of a tuple.
func (t *keyTable) saveKey(w *state.Writer, tuple int32) {
	k := t.freeze()
	k.save(w, tuple)
}

// loadKey reads what saveKey wrote and gives group and tuple.
func (t *keyTable) loadKey(r *state.Reader, row *vec.Batch) (group, tuple int32) {
	t.readKey(r, row)
	return t.one(row)
}

// readKey reads what saveKey wrote into the key columns of a batch of one row.
func (t *keyTable) readKey(r *state.Reader, row *vec.Batch) {
	row.N = 1
	need := 0
	for _, c := range t.cols {
		need = max(need, c+1)
	}
	if len(row.Cols) < need {
		row.Cols = make([]vec.Vec, need)
	}
	for _, c := range t.cols {
		row.Cols[c].Reset()
		want := vec.AnyKind
		if t.types != nil {
			want = t.types[c].Type
		}
		row.Cols[c].Append(loadColumn(r, want))
	}
}

// one gives group and tuple of a batch of one row.
func (t *keyTable) one(row *vec.Batch) (group, tuple int32) {
	groups, tuples := t.groups(row)
	return groups[0], tuples[0]
}

func resizeInts(s []int32, n int) []int32 {
	if cap(s) < n {
		return make([]int32, n, max(n, 64))
	}
	return s[:n]
}

// intTable maps whole numbers to small numbers by open addressing.
type intTable struct {
	keys []int64
	vals []int32 // 0: free, else value + 1
	n    int
}

func hash64(x uint64) uint64 {
	x ^= x >> 32
	x *= 0x9e3779b97f4a7c15
	x ^= x >> 29
	return x
}

func (t *intTable) get(x int64) (int32, bool) {
	if t.n == 0 {
		return 0, false
	}
	mask := uint64(len(t.keys) - 1)
	for h := hash64(uint64(x)) & mask; ; h = (h + 1) & mask {
		if t.vals[h] == 0 {
			return 0, false
		}
		if t.keys[h] == x {
			return t.vals[h] - 1, true
		}
	}
}

func (t *intTable) put(x int64, val int32) {
	if 2*(t.n+1) > len(t.keys) {
		old := *t
		size := max(64, 2*len(t.keys))
		*t = intTable{keys: make([]int64, size), vals: make([]int32, size)}
		for i, v := range old.vals {
			if v != 0 {
				t.put(old.keys[i], v-1)
			}
		}
	}
	mask := uint64(len(t.keys) - 1)
	h := hash64(uint64(x)) & mask
	for t.vals[h] != 0 {
		h = (h + 1) & mask
	}
	t.keys[h], t.vals[h] = x, val+1
	t.n++
}

// pairTable numbers pairs of numbers.
type pairTable struct {
	t intTable
	n int32
}

func (p *pairTable) number(a, b int32) (int32, bool) {
	key := int64(a)<<32 | int64(uint32(b))
	if id, ok := p.t.get(key); ok {
		return id, false
	}
	id := p.n
	p.n++
	p.t.put(key, id)
	return id, true
}
