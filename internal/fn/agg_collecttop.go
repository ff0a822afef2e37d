package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "CollectTop",
	Params: []Param{{Name: "count", Types: Bigint}, {Name: "value", Types: Any}},
	Result: gives(Arr),
	Doc: Doc{
		Summary: "CollectTop returns an array of the first rows of the order that OVER (ORDER BY ..) gives, at most count, " +
			"each a record of its rank, from 1, and its value: the row, or a value of it.",
		Section: "7.6",
		Examples: []Example{
			{"CollectTop(2, v) OVER (ORDER BY v DESC) over 1, 3, 2", `[{"rank":1,"value":3},{"rank":2,"value":2}]`},
			{"CollectTop(9, v) OVER (ORDER BY v) over 1, NULL", `[{"rank":1,"value":null},{"rank":2,"value":1}]`},
		},
	},
	New: func(s AggSpec) Acc {
		order, most := newOrderArgs("CollectTop", s), int(min(s.Const.Int, maxTop))
		if s.Back {
			return &keptTopAcc{order: order, most: most}
		}
		return &collectTopAcc{order: order, most: most}
	},
	Literal:   true,
	Row:       true,
	Ordered:   true,
	InOrder:   true,
	WithNulls: true,
})

// maxTop is more rows than a slot can have.
const maxTop = 1 << 31

// collectTopAcc is CollectTop: of each slot the rows that are first in the order.
type collectTopAcc struct {
	order orderArgs
	most  int // rows a slot
	slots []topRows
	arena vec.Arena
	held  int
	texts int // bytes of texts
}

// topRows is some rows and their order. Row r has the keys from r*len(order.desc) on.
type topRows struct {
	vals  []vec.Value
	keys  []orderKey
	order []int32 // the rows, first to last
}

func (a *collectTopAcc) Grow(n int) {
	a.slots = grown(a.slots, n)
	a.order.misfits.grow(n)
}

func (a *collectTopAcc) Add(slots []int32, args []*vec.Vec) {
	value, keys := args[0], args[1:]
	for i, s := range slots {
		if !a.order.read(keys, i, s, 1) {
			continue
		}
		t := &a.slots[s]
		if at := a.place(t, a.order.row); at < a.most {
			a.put(t, at, a.order.row, ownValue(value, i, &a.arena))
		}
	}
}

// place is where a row with the given keys belongs in the order: behind those before it
// and its equals.
func (a *collectTopAcc) place(t *topRows, keys []orderKey) int {
	lo, hi := 0, len(t.order)
	if hi > 0 && a.compare(t, t.order[hi-1], keys) <= 0 {
		return hi // rows often come in the order, or are no better than the last
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if a.compare(t, t.order[mid], keys) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (a *collectTopAcc) compare(t *topRows, row int32, keys []orderKey) int {
	return compareOrder(a.keysOf(t, row), keys, a.order.desc)
}

func (a *collectTopAcc) keysOf(t *topRows, row int32) []orderKey {
	n := len(a.order.desc)
	return t.keys[int(row)*n : int(row)*n+n]
}

// put inserts a row at a place of the order. In a slot that is full it takes the memory of
// the last row.
func (a *collectTopAcc) put(t *topRows, at int, keys []orderKey, x vec.Value) {
	a.texts += len(x.Str)
	n := len(t.order)
	if n < a.most {
		t.order = append(t.order, 0)
		copy(t.order[at+1:], t.order[at:])
		t.order[at] = int32(n)
		t.vals = append(t.vals, x)
		t.keys = append(t.keys, keys...)
		a.held++
		return
	}
	row := t.order[n-1]
	copy(t.order[at+1:], t.order[at:n-1])
	t.order[at] = row
	a.texts -= len(t.vals[row].Str)
	t.vals[row] = x
	copy(a.keysOf(t, row), keys)
}

func (a *collectTopAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		to, from := &a.slots[d], &a.slots[src[i]]
		for _, row := range from.order {
			keys := a.keysOf(from, row)
			at := a.place(to, keys)
			if at >= a.most {
				break // nor do the others
			}
			a.put(to, at, keys, from.vals[row])
		}
		a.order.misfits.merge(d, src[i], 1)
	}
}

func (a *collectTopAcc) Reset(slots []int32) {
	for _, s := range slots {
		t := &a.slots[s]
		for _, x := range t.vals {
			a.texts -= len(x.Str)
		}
		a.held -= len(t.vals)
		clear(t.vals)
		*t = topRows{vals: t.vals[:0], keys: t.keys[:0], order: t.order[:0]}
		a.order.misfits.reset(s)
	}
}

// rankNames are the names of the records of CollectTop.
var rankNames = []string{"rank", "value"}

// rankedArray makes the result of CollectTop for n rows. The value of row i, from 0, goes
// to values[2*i+1].
func rankedArray(n int) (array *vec.Rec, values []vec.Value) {
	recs, vals := make([]vec.Rec, n+1), make([]vec.Value, 3*n)
	array = &recs[n]
	array.Vals, values = vals[:n:n], vals[n:]
	for i := range n {
		recs[i] = vec.Rec{Names: rankNames, Vals: values[2*i : 2*i+2 : 2*i+2]}
		values[2*i] = vec.IntValue(int64(i + 1))
		array.Vals[i] = vec.RecordValue(&recs[i])
	}
	return array, values
}

func (a *collectTopAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	a.order.misfits.report(c, slots)
	out.Fixed(vec.Array, len(slots))
	for i, s := range slots {
		t := &a.slots[s]
		array, values := rankedArray(len(t.order))
		for j, row := range t.order {
			values[2*j+1] = t.vals[row]
		}
		out.Rec[i] = array
	}
}

func (a *collectTopAcc) Save(slot int32, w *state.Writer) {
	t := &a.slots[slot]
	w.Uint(uint64(len(t.order)))
	for _, row := range t.order {
		for _, k := range a.keysOf(t, row) {
			k.save(w)
		}
		SaveValue(w, t.vals[row])
	}
	a.order.misfits.save(slot, w)
}

func (a *collectTopAcc) Load(slot int32, r *state.Reader) {
	t := &a.slots[slot]
	n := r.Count()
	if n > a.most {
		r.Fail()
	}
	keys := a.order.row
	for range n {
		for j := range keys {
			keys[j] = loadOrderKey(r)
		}
		x := loadValue(r)
		if r.Err() != nil {
			return
		}
		if a.place(t, keys) != len(t.order) {
			r.Fail()
			return
		}
		a.put(t, len(t.order), keys, x)
	}
	a.order.misfits.load(slot, r)
}

// Held is the number of rows in all slots.
func (a *collectTopAcc) Held() int { return a.held }

func (a *collectTopAcc) Bytes() int {
	n := cap(a.slots)*72 + a.texts + a.order.misfits.bytes()
	for i := range a.slots {
		t := &a.slots[i]
		n += cap(t.vals)*valueBytes + cap(t.keys)*16 + cap(t.order)*4
	}
	return n
}
