package exec

import (
	"maps"
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
)

// keyColumn numbers the distinct values of one key column: 0, 1, 2... in order of
// appearance. Equal keys (saql.md 3.7) have one number; the value shown is the first one.
//
// Numbers of dictionary codes are found once per code. Whole numbers go through a hash
// table of their own; everything else through the canonical bytes of vec.AppendKey.
type keyColumn struct {
	vals   []vec.Value
	text   bool      // all values are texts: dict holds them too
	dict   *vec.Dict // Vals[id] is the text of value id
	ints   intTable
	others map[string]int32
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
	case v.Tag == nil && (v.Kind == vec.Int || v.Kind == vec.Bit):
		for i := range out {
			out[i] = k.int(v.Int[i], v.Kind)
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
	switch kind := v.KindAt(i); kind {
	case vec.Int, vec.Bit:
		return k.int(v.Int[i], kind)
	case vec.Float:
		if x := v.Float[i]; x >= -1<<62 && x <= 1<<62 && x == float64(int64(x)) {
			if id, ok := k.ints.get(int64(x)); ok {
				return id
			}
			id := k.add(v.At(i))
			k.ints.put(int64(x), id)
			return id
		}
	}
	k.buf = vec.AppendKeyRow(k.buf[:0], v, i)
	if id, ok := k.others[string(k.buf)]; ok {
		return id
	}
	id := k.add(v.At(i))
	k.others[string(k.buf)] = id
	return id
}

func (k *keyColumn) int(x int64, kind vec.Kind) int32 {
	if id, ok := k.ints.get(x); ok {
		return id
	}
	id := k.add(vec.Value{Kind: kind, Int: x})
	k.ints.put(x, id)
	return id
}

func (k *keyColumn) add(v vec.Value) int32 {
	v = keep(v)
	id := int32(len(k.vals))
	k.vals = append(k.vals, v)
	if v.Kind != vec.String {
		k.text = false
	}
	k.dict.Vals = append(k.dict.Vals, v.Str)
	return id
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

// keyTable numbers the groups: the tuples of key values.
type keyTable struct {
	cols  []int // columns of the input
	parts []*keyColumn
	ids   [][]int32 // scratch: per part the numbers of the rows at hand
	pairs []pairTable
	// of[p][g] is the number in part p of group g. A table of one part has none: the group
	// is the value.
	of   [][]int32
	n    int32 // groups so far
	rows []int32
}

func newKeyTable(cols []int) *keyTable {
	t := &keyTable{cols: cols, ids: make([][]int32, len(cols)), of: make([][]int32, len(cols))}
	for range cols {
		t.parts = append(t.parts, newKeyColumn())
	}
	if len(cols) > 1 {
		t.pairs = make([]pairTable, len(cols)-1)
	}
	return t
}

// groups gives the group of each row. The slice is valid until the next call.
func (t *keyTable) groups(b *vec.Batch) []int32 {
	t.rows = resizeInts(t.rows, b.N)
	if len(t.cols) == 0 {
		clear(t.rows)
		t.n = 1
		return t.rows
	}
	t.parts[0].ids(&b.Cols[t.cols[0]], t.rows)
	if len(t.cols) == 1 {
		t.n = int32(len(t.parts[0].vals))
		return t.rows
	}
	t.ids[0] = append(t.ids[0][:0], t.rows...)
	for p := 1; p < len(t.cols); p++ {
		t.ids[p] = resizeInts(t.ids[p], b.N)
		t.parts[p].ids(&b.Cols[t.cols[p]], t.ids[p])
		last := p == len(t.cols)-1
		for i := range t.rows {
			id, isNew := t.pairs[p-1].number(t.rows[i], t.ids[p][i])
			t.rows[i] = id
			if isNew && last {
				for q := range t.of {
					t.of[q] = append(t.of[q], t.ids[q][i])
				}
				t.n++
			}
		}
	}
	return t.rows
}

// column sets out to key part p of the groups.
func (t *keyTable) column(p int, groups []int32, out *vec.Vec) {
	if len(t.cols) == 1 {
		t.parts[0].column(groups, out)
		return
	}
	t.rows = resizeInts(t.rows, len(groups))
	for i, g := range groups {
		t.rows[i] = t.of[p][g]
	}
	t.parts[p].column(t.rows, out)
}

// saveKey writes the key values of a group, loadKey reads them and gives their group.
func (t *keyTable) saveKey(w *state.Writer, group int32) {
	for p := range t.cols {
		id := group
		if len(t.cols) > 1 {
			id = t.of[p][group]
		}
		saveValue(w, t.parts[p].vals[id])
	}
}

func (t *keyTable) loadKey(r *state.Reader, row *vec.Batch) int32 {
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
		row.Cols[c].Append(loadValue(r))
	}
	return t.groups(row)[0]
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

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
