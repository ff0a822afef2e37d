package fn

import (
	"math"

	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "SUM",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: sumKinds,
	Doc: Doc{
		Summary: "SUM returns the sum of the values: a bigint if all of them are bigint, else a float. " +
			"A bit counts as bigint, a text as the float that it reads. " +
			"The sum is exact, and a float is rounded once.",
		Section: "7.6",
		Examples: []Example{
			{"SUM(v) over 1, 2.5", "3.5"},
			{"SUM(v) over 1, NULL, 2", "3"},
			{"SUM(v) over '1', 2", "3.0"},
			{"SUM(v) over NULL", "null"},
		},
	},
	New: func(s AggSpec) Acc { return &sumAcc{totals{misfits: misfits{name: "SUM"}}} },
})

// numeric is the kinds that SUM and its kin take: numbers, and text that reads as one.
var numeric = Of(vec.Bit, vec.Int, vec.Float, vec.String)

// sumKinds is the static type of SUM.
func sumKinds(args []Types) Types {
	r := Null
	if args[0].Has(vec.Int) || args[0].Has(vec.Bit) {
		r |= Bigint
	}
	if args[0].Has(vec.Float) || args[0].Has(vec.String) {
		r |= Float
	}
	return r
}

// sumAcc is SUM.
type sumAcc struct{ totals }

// Result of a bigint sum is judged on the exact total, so that an overflow on the way
// that a later value makes good is none.
func (a *sumAcc) Result(c *Call, slots []int32, out *vec.Vec) {
	a.misfits.report(c, slots)
	if a.onlyInts(slots) {
		out.Fixed(vec.Int, len(slots))
		for i, s := range slots {
			out.Int[i] = a.ints[s].low
		}
		return
	}
	out.Tagged(len(slots))
	var buf wideSum
	for i, s := range slots {
		switch {
		case a.floatCount(s) > 0:
			mag, unit, neg := a.total(s, &buf)
			x, _ := roundWords(mag, unit, false)
			setFloat(out, i, x, neg)
		case a.ints[s].n == 0:
		case !a.noCarry(s):
			c.Fail(i, "bigint overflow")
		default:
			out.Set(i, vec.IntValue(a.ints[s].low))
		}
	}
}

// onlyInts reports whether all of slots have a bigint sum that fits.
func (a *totals) onlyInts(slots []int32) bool {
	for _, s := range slots {
		if a.ints[s].n == 0 || a.floatCount(s) > 0 || !a.noCarry(s) {
			return false
		}
	}
	return true
}

// setFloat sets row i to x or -x. A float that is not finite is NULL (saql.md 3.5).
func setFloat(out *vec.Vec, i int, x float64, neg bool) {
	if math.IsInf(x, 0) {
		return
	}
	if neg {
		x = -x
	}
	out.Set(i, vec.FloatValue(x))
}

// totals is exact sums and counts of numbers, one per slot: what SUM and AVG are made of.
// bigint and float are kept apart, because the type of a sum depends on whether there is
// a float, and most columns have no float: their slots take 16 bytes.
type totals struct {
	ints    []intSum
	carries []int64   // multiples of 2^64 that the low parts lack; nil until one is needed
	floats  floatSums // no slots until there is a float
	misfits misfits
}

// intSum is the sum of n bigints, low + carry * 2^64.
type intSum struct{ n, low int64 }

func (a *totals) Grow(n int) {
	a.ints = grown(a.ints, n)
	if a.carries != nil {
		a.carries = grown(a.carries, len(a.ints))
	}
	if a.floats.slots != nil {
		a.floats.slots = grown(a.floats.slots, len(a.ints))
	}
	a.misfits.grow(len(a.ints))
}

func (a *totals) Add(slots []int32, args []*vec.Vec) {
	v := args[0]
	switch {
	case v.Tag != nil || v.Kind > vec.Float:
		a.mixed(slots, v, false)
	case v.Kind == vec.Float:
		a.needFloats()
		a.floats.addAll(slots, v.Float, 0, 1)
	case v.Kind >= vec.Bit:
		xs := v.Int[:len(slots)]
		for i, s := range slots {
			t, x := &a.ints[s], xs[i]
			sum := t.low + x
			if (sum^t.low)&(sum^x) < 0 {
				a.carry(s, x)
			}
			t.low = sum
			t.n++
		}
	}
}

func (a *totals) Remove(slots []int32, args []*vec.Vec) {
	v := args[0]
	switch {
	case v.Tag != nil || v.Kind > vec.Float:
		a.mixed(slots, v, true)
	case v.Kind == vec.Float:
		a.needFloats()
		a.floats.addAll(slots, v.Float, signBit, -1)
	case v.Kind >= vec.Bit:
		for i, s := range slots {
			a.subInt(s, 1, v.Int[i])
		}
	}
}

// mixed adds or removes rows of any kinds.
func (a *totals) mixed(slots []int32, v *vec.Vec, remove bool) {
	by, flip := int64(1), uint64(0)
	if remove {
		by, flip = -1, signBit
	}
	for i, s := range slots {
		k := v.KindAt(i)
		switch k {
		case vec.Missing, vec.Null:
			continue
		case vec.Bit, vec.Int:
			if remove {
				a.subInt(s, 1, v.Int[i])
			} else {
				a.addInt(s, 1, v.Int[i])
			}
			continue
		case vec.Float:
			a.needFloats()
			a.floats.add(s, v.Float[i], flip, by)
			continue
		case vec.String:
			if x, ok := vec.ParseFloat(v.StrAt(i)); ok {
				a.needFloats()
				a.floats.add(s, x, flip, by)
				continue
			}
		}
		a.misfits.add(s, k, by)
	}
}

// addInt adds n bigints with the sum x to a slot, subInt takes them back.
func (a *totals) addInt(s int32, n, x int64) {
	t := &a.ints[s]
	sum := t.low + x
	if (sum^t.low)&(sum^x) < 0 {
		a.carry(s, x)
	}
	t.low = sum
	t.n += n
}

func (a *totals) subInt(s int32, n, x int64) {
	t := &a.ints[s]
	sum := t.low - x
	if (t.low^x)&(sum^t.low) < 0 {
		a.carry(s, ^x)
	}
	t.low = sum
	t.n -= n
}

// carry notes that a low part has wrapped around, upward if sign is not negative.
func (a *totals) carry(s int32, sign int64) {
	if a.carries == nil {
		a.carries = make([]int64, len(a.ints))
	}
	if sign < 0 {
		a.carries[s]--
	} else {
		a.carries[s]++
	}
}

func (a *totals) needFloats() {
	if a.floats.slots == nil {
		a.floats.slots = grown(a.floats.slots, len(a.ints))
	}
}

// floatCount is the number of floats of a slot.
func (a *totals) floatCount(s int32) int64 {
	if a.floats.slots == nil {
		return 0
	}
	return a.floats.slots[s].n
}

func (a *totals) Merge(dst, src []int32) {
	for i, d := range dst {
		s := src[i]
		a.addInt(d, a.ints[s].n, a.ints[s].low)
		if a.carries != nil {
			a.carries[d] += a.carries[s]
		}
		if a.floats.slots != nil {
			a.floats.merge(d, s, 1)
		}
		a.misfits.merge(d, s, 1)
	}
}

func (a *totals) Unmerge(dst, src []int32) {
	for i, d := range dst {
		s := src[i]
		a.subInt(d, a.ints[s].n, a.ints[s].low)
		if a.carries != nil {
			a.carries[d] -= a.carries[s]
		}
		if a.floats.slots != nil {
			a.floats.merge(d, s, -1)
		}
		a.misfits.merge(d, s, -1)
	}
}

func (a *totals) Reset(slots []int32) {
	for _, s := range slots {
		a.ints[s] = intSum{}
		if a.carries != nil {
			a.carries[s] = 0
		}
		if a.floats.slots != nil {
			a.floats.reset(s)
		}
		a.misfits.reset(s)
	}
}

// total is the exact sum of a slot; see floatSums.total.
func (a *totals) total(s int32, buf *wideSum) (mag []uint64, unit int, neg bool) {
	low := a.ints[s].low
	high := low >> 63
	if a.carries != nil {
		high += a.carries[s]
	}
	return a.floats.total(s, [2]uint64{uint64(low), uint64(high)}, buf)
}

func (a *totals) Save(slot int32, w *state.Writer) {
	w.Int(a.ints[slot].n)
	w.Int(a.ints[slot].low)
	carry := int64(0)
	if a.carries != nil {
		carry = a.carries[slot]
	}
	w.Int(carry)
	has := a.floats.slots != nil && !a.floats.empty(slot)
	w.Bool(has)
	if has {
		a.floats.save(slot, w)
	}
	a.misfits.save(slot, w)
}

func (a *totals) Load(slot int32, r *state.Reader) {
	t := &a.ints[slot]
	t.n, t.low = r.Int(), r.Int()
	if t.n < 0 || t.n > maxCount {
		r.Fail()
	}
	if carry := r.Int(); carry != 0 {
		a.carry(slot, carry)
		a.carries[slot] = carry
	}
	if r.Bool() {
		a.needFloats()
		a.floats.load(slot, r)
	}
	a.misfits.load(slot, r)
}

func (a *totals) Bytes() int {
	return cap(a.ints)*16 + cap(a.carries)*8 + a.floats.bytes() + a.misfits.bytes()
}
