package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "Collect",
	Params: []Param{{Name: "value", Types: Any}},
	Result: gives(Arr),
	Doc: Doc{
		Summary: "Collect returns an array of the rows, as records, or of a value of each row, NULLs included, in the order of time.",
		Section: "7.6",
		Examples: []Example{
			{"Collect(v) over 1, NULL, 2.5, 'a'", `[1,null,2.5,"a"]`},
		},
	},
	New:       func(AggSpec) Acc { return &collectAcc{} },
	Row:       true,
	InOrder:   true,
	WithNulls: true,
})

// collectAcc is Collect. A slot is a queue: rows come at its end and leave at its start.
//
// An array that Result has given shares the memory of the slot and costs no copying: the
// slot writes behind it only.
type collectAcc struct {
	slots []collected
	arena vec.Arena
	held  int
	texts int // bytes of texts
}

type collected struct {
	vals   []vec.Value
	hint   int32 // how much the slot held when its memory was given away
	shared bool  // a result may hold the memory of vals
}

// room makes room for n more values. The memory grows by as much as it holds: append, which
// takes less once it is large, would copy a queue again and again.
func (t *collected) room(n int) {
	if need := len(t.vals) + n; need > cap(t.vals) {
		vals := make([]vec.Value, len(t.vals), max(need, 2*len(t.vals), int(t.hint), 4))
		copy(vals, t.vals)
		t.vals, t.shared = vals, false
	}
}

func (a *collectAcc) Grow(n int) { a.slots = grown(a.slots, n) }

func (a *collectAcc) Add(slots []int32, args []*vec.Vec) {
	v := args[0]
	for i, s := range slots {
		x := ownValue(v, i, &a.arena)
		a.texts += len(x.Str)
		t := &a.slots[s]
		if len(t.vals) == cap(t.vals) {
			t.room(1)
		}
		t.vals = append(t.vals, x)
	}
	a.held += len(slots)
}

// Remove takes the oldest values, which are those of args.
func (a *collectAcc) Remove(slots []int32, _ []*vec.Vec) {
	for _, s := range slots {
		a.drop(&a.slots[s], 1)
	}
}

// drop takes the n oldest values out of a slot.
func (a *collectAcc) drop(t *collected, n int) {
	n = min(n, len(t.vals)) // more only in a damaged snapshot
	for _, x := range t.vals[:n] {
		a.texts -= len(x.Str)
	}
	t.vals = t.vals[n:]
	a.held -= n
}

func (a *collectAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		from := a.slots[src[i]].vals
		for _, x := range from {
			a.texts += len(x.Str)
		}
		t := &a.slots[d]
		t.room(len(from))
		t.vals = append(t.vals, from...)
		a.held += len(from)
	}
}

func (a *collectAcc) Unmerge(dst, src []int32) {
	for i, d := range dst {
		a.drop(&a.slots[d], len(a.slots[src[i]].vals))
	}
}

func (a *collectAcc) Reset(slots []int32) {
	for _, s := range slots {
		t := &a.slots[s]
		vals := t.vals
		a.drop(t, len(vals))
		if t.shared {
			*t = collected{hint: int32(min(len(vals), maxHint))}
			continue
		}
		clear(vals)
		t.vals = vals[:0]
	}
}

func (a *collectAcc) Result(_ *Call, slots []int32, out *vec.Vec) {
	out.Fixed(vec.Array, len(slots))
	for i, s := range slots {
		t := &a.slots[s]
		t.shared = true
		out.Rec[i] = &vec.Rec{Vals: t.vals[:len(t.vals):len(t.vals)]}
	}
}

func (a *collectAcc) Save(slot int32, w *state.Writer) {
	vals := a.slots[slot].vals
	w.Uint(uint64(len(vals)))
	for _, x := range vals {
		SaveValue(w, x)
	}
}

func (a *collectAcc) Load(slot int32, r *state.Reader) {
	t := &a.slots[slot]
	for range r.Count() {
		x := loadValue(r)
		if r.Err() != nil {
			return
		}
		t.vals = append(t.vals, x)
		a.texts += len(x.Str)
		a.held++
	}
}

// Held is the number of values in all slots.
func (a *collectAcc) Held() int { return a.held }

func (a *collectAcc) Bytes() int {
	n := cap(a.slots)*32 + a.texts
	for i := range a.slots {
		n += cap(a.slots[i].vals) * valueBytes
	}
	return n
}

// maxHint bounds the memory that a slot takes at once for its first value.
const maxHint = 1 << 12

// valueBytes is the size of a vec.Value.
const valueBytes = 48
