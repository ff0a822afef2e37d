package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "TopOne",
	Params: []Param{{Name: "value", Types: Any}},
	Result: func(args []Types) Types {
		if args[0]&vec.NullKind != 0 {
			return args[0].NotNull() | Null
		}
		return args[0]
	},
	Doc: Doc{
		Summary: "TopOne returns the first row of the order that OVER (ORDER BY ..) gives, as a record, or a value of that row. " +
			"NULL is the smallest; of rows with equal keys the earliest is the first.",
		Section: "7.6",
		Examples: []Example{
			{"TopOne(v) OVER (ORDER BY v DESC) over 1, 3, 2", "3"},
			{"TopOne(v) OVER (ORDER BY v) over 5, NULL, 2", "null"},
		},
	},
	New: func(s AggSpec) Acc {
		return &topOneAcc{order: newOrderArgs("TopOne", s), static: s.Args[0]}
	},
	Row:       true,
	Ordered:   true,
	InOrder:   true,
	WithNulls: true,
})

// topOneAcc is TopOne: of each slot the value and the keys of the row that is first.
type topOneAcc struct {
	order  orderArgs
	static Types       // of the value
	keys   []orderKey  // len(order.desc) a slot
	vals   []vec.Value // Missing: no row yet
	arena  vec.Arena
}

func (a *topOneAcc) Grow(n int) {
	a.vals = grown(a.vals, n)
	a.keys = grown(a.keys, n*len(a.order.desc))
	a.order.misfits.grow(n)
}

func (a *topOneAcc) Add(slots []int32, args []*vec.Vec) {
	value, keys := args[0], args[1:]
	if k := keys[0]; len(keys) == 1 && k.Tag == nil && (k.Kind == vec.Int || k.Kind == vec.Datetime) {
		a.addInts(slots, value, k)
		return
	}
	for i, s := range slots {
		if a.order.read(keys, i, s, 1) {
			a.offer(s, value, i)
		}
	}
}

// addInts adds rows with one key, a bigint or datetime.
func (a *topOneAcc) addInts(slots []int32, value, key *vec.Vec) {
	flip := int64(0)
	if a.order.desc[0] {
		flip = -1 // turns the order of bigints around
	}
	xs := key.Int[:len(slots)]
	for i, s := range slots {
		if k := &a.keys[s]; k.kind == key.Kind && xs[i]^flip >= k.bits^flip {
			continue
		}
		a.order.row[0] = orderKey{key.Kind, xs[i]}
		a.offer(s, value, i)
	}
}

// offer lets row i, whose keys are in a.order.row, contend for slot s.
func (a *topOneAcc) offer(s int32, value *vec.Vec, i int) {
	have := a.keysOf(s)
	if a.vals[s].Kind != vec.Missing && compareOrder(a.order.row, have, a.order.desc) >= 0 {
		return
	}
	copy(have, a.order.row)
	a.vals[s] = ownValue(value, i, &a.arena)
}

func (a *topOneAcc) keysOf(s int32) []orderKey {
	n := len(a.order.desc)
	return a.keys[int(s)*n : int(s)*n+n]
}

func (a *topOneAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		s := src[i]
		a.order.misfits.merge(d, s, 1)
		if a.vals[s].Kind == vec.Missing || a.vals[d].Kind != vec.Missing && compareOrder(a.keysOf(s), a.keysOf(d), a.order.desc) >= 0 {
			continue
		}
		copy(a.keysOf(d), a.keysOf(s))
		a.vals[d] = a.vals[s]
	}
}

func (a *topOneAcc) Reset(slots []int32) {
	for _, s := range slots {
		clear(a.keysOf(s))
		a.vals[s] = vec.Value{}
		a.order.misfits.reset(s)
	}
}

func (a *topOneAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	a.order.misfits.report(c, slots)
	pickValues(out, a.vals, slots)
}

func (a *topOneAcc) Save(slot int32, w *state.Writer) {
	has := a.vals[slot].Kind != vec.Missing
	w.Bool(has)
	if has {
		for _, k := range a.keysOf(slot) {
			k.save(w)
		}
		SaveValue(w, a.vals[slot])
	}
	a.order.misfits.save(slot, w)
}

func (a *topOneAcc) Load(slot int32, r *state.Reader) {
	if r.Bool() {
		keys := a.keysOf(slot)
		for j := range keys {
			keys[j] = loadOrderKey(r)
		}
		x := loadValue(r)
		if k := x.Kind; !a.static.Has(k) && !k.IsNull() {
			r.Fail() // others rely on the static type
			return
		}
		a.vals[slot] = x
	}
	a.order.misfits.load(slot, r)
}

func (a *topOneAcc) Bytes() int {
	n := cap(a.keys)*16 + cap(a.vals)*valueBytes + a.order.misfits.bytes()
	for _, x := range a.vals {
		n += len(x.Str)
	}
	return n
}
