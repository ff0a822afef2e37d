package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "COUNT",
	Params: []Param{{Name: "value", Types: Any}},
	Result: gives(Bigint),
	Doc: Doc{
		Summary: "COUNT returns the number of rows, COUNT(*), or of values that are not NULL, COUNT(value).",
		Section: "7.6",
		Examples: []Example{
			{"COUNT(*) over 1, NULL, 1", "3"},
			{"COUNT(v) over 1, NULL, 1", "2"},
			{"COUNT(v) over NULL", "0"},
		},
	},
	New: func(s AggSpec) Acc { return &countAcc{} },
})

// countAcc is COUNT. Without arguments it counts rows.
type countAcc struct{ n []int64 }

func (a *countAcc) Grow(n int) { a.n = grown(a.n, n) }

func (a *countAcc) Add(slots []int32, args []*vec.Vec)    { a.count(slots, args, 1) }
func (a *countAcc) Remove(slots []int32, args []*vec.Vec) { a.count(slots, args, -1) }

func (a *countAcc) count(slots []int32, args []*vec.Vec, by int64) {
	n := a.n
	if len(args) == 0 {
		for _, s := range slots {
			n[s] += by
		}
		return
	}
	v := args[0]
	if v.Tag == nil {
		if v.Kind.IsNull() {
			return
		}
		for _, s := range slots {
			n[s] += by
		}
		return
	}
	tag := v.Tag[:len(slots)]
	for i, s := range slots {
		if !tag[i].IsNull() {
			n[s] += by
		}
	}
}

func (a *countAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		a.n[d] += a.n[src[i]]
	}
}

func (a *countAcc) Unmerge(dst, src []int32) {
	for i, d := range dst {
		a.n[d] -= a.n[src[i]]
	}
}

func (a *countAcc) Reset(slots []int32) {
	for _, s := range slots {
		a.n[s] = 0
	}
}

func (a *countAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	out.Fixed(vec.Int, len(slots))
	for i, s := range slots {
		out.Int[i] = a.n[s]
	}
}

func (a *countAcc) Save(slot int32, w *state.Writer) { w.Int(a.n[slot]) }

func (a *countAcc) Load(slot int32, r *state.Reader) {
	a.n[slot] = r.Int()
	if a.n[slot] < 0 || a.n[slot] > maxCount {
		r.Fail()
	}
}

func (a *countAcc) Bytes() int { return cap(a.n) * 8 }
