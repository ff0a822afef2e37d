package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// keptTopAcc is CollectTop where rows are taken back: a slot holds all its rows.
type keptTopAcc struct {
	order orderArgs
	most  int // rows a result
	slots []keptRows
	arena vec.Arena
	held  int
	texts int // bytes of texts
}

// keptRows is a queue of rows and their order. Rows are numbered as they come, modulo
// 2^32; the queue begins with number base.
type keptRows struct {
	vals  []vec.Value
	keys  []orderKey // len(order.desc) a row
	base  uint32
	order []uint32 // numbers of the rows, first to last
}

func (a *keptTopAcc) Grow(n int) {
	a.slots = grown(a.slots, n)
	a.order.misfits.grow(n)
}

func (a *keptTopAcc) Add(slots []int32, args []*vec.Vec) {
	value, keys := args[0], args[1:]
	for i, s := range slots {
		if a.order.read(keys, i, s, 1) {
			a.put(&a.slots[s], a.order.row, ownValue(value, i, &a.arena))
		}
	}
}

// put adds a row behind those before it in the order and its equals.
func (a *keptTopAcc) put(t *keptRows, keys []orderKey, x vec.Value) {
	at := a.place(t, keys, 0)
	if len(t.vals) == cap(t.vals) {
		// Twice as much, as in a queue of Collect.
		t.vals = append(make([]vec.Value, 0, max(4, 2*len(t.vals))), t.vals...)
		t.keys = append(make([]orderKey, 0, max(4, 2*len(t.vals))*len(keys)), t.keys...)
	}
	t.order = append(t.order, 0)
	copy(t.order[at+1:], t.order[at:])
	t.order[at] = t.base + uint32(len(t.vals))
	t.vals = append(t.vals, x)
	t.keys = append(t.keys, keys...)
	a.texts += len(x.Str)
	a.held++
}

// place is the first place in the order of a row that compares with keys as greater than
// most: 0 finds the place behind the equals of keys, -1 that of the first of them.
func (a *keptTopAcc) place(t *keptRows, keys []orderKey, most int) int {
	lo, hi := 0, len(t.order)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if compareOrder(a.keysOf(t, int(t.order[mid]-t.base)), keys, a.order.desc) <= most {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// keysOf is the keys of the row at a place of the queue.
func (a *keptTopAcc) keysOf(t *keptRows, at int) []orderKey {
	n := len(a.order.desc)
	return t.keys[at*n : at*n+n]
}

// Remove takes the oldest rows, which are those of args.
func (a *keptTopAcc) Remove(slots []int32, args []*vec.Vec) {
	for i, s := range slots {
		if a.order.read(args[1:], i, s, -1) {
			a.pop(&a.slots[s])
		}
	}
}

// pop takes the oldest row out of a slot. Of its equals it is the first in the order.
func (a *keptTopAcc) pop(t *keptRows) {
	if len(t.vals) == 0 {
		return // after a damaged snapshot
	}
	keys := a.keysOf(t, 0)
	at := a.place(t, keys, -1)
	t.order = append(t.order[:at], t.order[at+1:]...)
	a.texts -= len(t.vals[0].Str)
	a.held--
	t.vals[0] = vec.Value{}
	t.vals, t.keys = t.vals[1:], t.keys[len(keys):]
	t.base++
}

func (a *keptTopAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		from := &a.slots[src[i]]
		for at, x := range from.vals {
			a.put(&a.slots[d], a.keysOf(from, at), x)
		}
		a.order.misfits.merge(d, src[i], 1)
	}
}

func (a *keptTopAcc) Unmerge(dst, src []int32) {
	for i, d := range dst {
		for range a.slots[src[i]].vals {
			a.pop(&a.slots[d])
		}
		a.order.misfits.merge(d, src[i], -1)
	}
}

func (a *keptTopAcc) Reset(slots []int32) {
	for _, s := range slots {
		t := &a.slots[s]
		for _, x := range t.vals {
			a.texts -= len(x.Str)
		}
		a.held -= len(t.vals)
		clear(t.vals)
		*t = keptRows{vals: t.vals[:0], keys: t.keys[:0], order: t.order[:0]}
		a.order.misfits.reset(s)
	}
}

func (a *keptTopAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	a.order.misfits.report(c, slots)
	out.Fixed(vec.Array, len(slots))
	for i, s := range slots {
		t := &a.slots[s]
		top := t.order[:min(len(t.order), a.most)]
		array, values := rankedArray(len(top))
		for j, row := range top {
			values[2*j+1] = t.vals[row-t.base]
		}
		out.Rec[i] = array
	}
}

func (a *keptTopAcc) Save(slot int32, w *state.Writer) {
	t := &a.slots[slot]
	w.Uint(uint64(len(t.vals)))
	for at, x := range t.vals {
		for _, k := range a.keysOf(t, at) {
			k.save(w)
		}
		SaveValue(w, x)
	}
	a.order.misfits.save(slot, w)
}

func (a *keptTopAcc) Load(slot int32, r *state.Reader) {
	keys := a.order.row
	for range r.Count() {
		for j := range keys {
			keys[j] = loadOrderKey(r)
		}
		x := loadValue(r)
		if r.Err() != nil {
			return
		}
		a.put(&a.slots[slot], keys, x)
	}
	a.order.misfits.load(slot, r)
}

// Held is the number of rows in all slots.
func (a *keptTopAcc) Held() int { return a.held }

func (a *keptTopAcc) Bytes() int {
	n := cap(a.slots)*80 + a.texts + a.order.misfits.bytes()
	for i := range a.slots {
		t := &a.slots[i]
		n += cap(t.vals)*valueBytes + cap(t.keys)*16 + cap(t.order)*4
	}
	return n
}
