package fn

import (
	"math"
	"math/bits"
	"strconv"
	"strings"

	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "PERCENTILE_CONT",
	Params: []Param{{Name: "share", Types: Num}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary: "PERCENTILE_CONT returns the value at a share, 0 to 1, of the values that OVER (ORDER BY ..) sorts, NULLs left out, " +
			"as a float: it lies at the place share * (n - 1), counted from 0, linear between neighbours.",
		Section: "7.6",
		Examples: []Example{
			{"PERCENTILE_CONT(0.25) OVER (ORDER BY v) over 30, 10, 20", "15.0"},
			{"PERCENTILE_CONT(0.25) OVER (ORDER BY v DESC) over 30, 10, 20", "25.0"},
			{"PERCENTILE_CONT(0.5) OVER (ORDER BY v) over NULL", "null"},
		},
	},
	New:     func(s AggSpec) Acc { return newPercentile("PERCENTILE_CONT", s, true) },
	Literal: true,
	Ordered: true,
})

var _ = agg(Agg{
	Name:   "PERCENTILE_DISC",
	Params: []Param{{Name: "share", Types: Num}},
	Result: func(args []Types) Types {
		return args[0]&Of(vec.Bit, vec.Int, vec.Float, vec.Datetime) | Null
	},
	Doc: Doc{
		Summary: "PERCENTILE_DISC returns the first of the values that OVER (ORDER BY ..) sorts, NULLs left out, " +
			"up to which at least a share, 0 to 1, of all values lies. It keeps its type.",
		Section: "7.6",
		Examples: []Example{
			{"PERCENTILE_DISC(0.5) OVER (ORDER BY v) over 40, 10, 30, 20", "20"},
			{"PERCENTILE_DISC(0.5) OVER (ORDER BY v DESC) over 40, 10, 30, 20", "30"},
			{"PERCENTILE_DISC(0.5) OVER (ORDER BY v) over NULL", "null"},
		},
	},
	New:     func(s AggSpec) Acc { return newPercentile("PERCENTILE_DISC", s, false) },
	Literal: true,
	Ordered: true,
})

// percentile is PERCENTILE_CONT and PERCENTILE_DISC. A slot holds all its values, so what
// was added can be taken back, and the result does not depend on the order of either.
//
// The place in the sorted values is computed from the decimal digits of the share, in
// whole numbers: 0.07 of 100 values is 7 values, which it is not in floats.
type percentile struct {
	cont     bool
	desc     bool
	num, den uint64 // the share, den at most 10^18
	slots    []ranked
	held     int
	scratch  []int64
	misfits  misfits
}

func newPercentile(name string, s AggSpec, cont bool) Acc {
	a := &percentile{cont: cont, desc: s.Desc[0], misfits: misfits{name: name, want: orderWanted, order: true}}
	if cont {
		a.misfits.want = "bigint or float"
	}
	share := s.Const.Float
	if s.Const.Kind == vec.Int {
		share = float64(s.Const.Int)
	}
	a.num, a.den = fraction(share)
	return a
}

// maxDigits is how many decimals of a share count.
const maxDigits = 18

// fraction is a share from 0 to 1 as a fraction of whole numbers.
func fraction(share float64) (num, den uint64) {
	text := strconv.FormatFloat(min(max(share, 0), 1), 'f', -1, 64)
	whole, digits, _ := strings.Cut(text, ".")
	if len(digits) > maxDigits {
		digits = digits[:maxDigits]
	}
	num, _ = strconv.ParseUint(whole+digits, 10, 64)
	den = 1
	for range digits {
		den *= 10
	}
	return num, den
}

func (a *percentile) Grow(n int) {
	a.slots = grown(a.slots, n)
	a.misfits.grow(n)
}

func (a *percentile) Add(slots []int32, args []*vec.Vec)    { a.feed(slots, args[0], false) }
func (a *percentile) Remove(slots []int32, args []*vec.Vec) { a.feed(slots, args[0], true) }

func (a *percentile) feed(slots []int32, v *vec.Vec, remove bool) {
	if k := v.Kind; v.Tag == nil && !remove && (k == vec.Bit || k == vec.Int) {
		for i, s := range slots {
			l := a.slots[s].list(k)
			l.vals = append(l.vals, v.Int[i])
		}
		a.held += len(slots)
		return
	}
	for i, s := range slots {
		k := v.KindAt(i)
		x := int64(0)
		switch {
		case k.IsNull():
			continue
		case k == vec.Float:
			b := math.Float64bits(v.Float[i])
			if b>>52&expMax == expMax {
				continue // no value (saql.md 3.1)
			}
			x = floatKey(int64(b))
		case k == vec.Bit || k == vec.Int || k == vec.Datetime && !a.cont:
			x = v.Int[i]
		case remove:
			a.misfits.add(s, k, -1)
			continue
		default:
			a.misfits.add(s, k, 1)
			continue
		}
		l := a.slots[s].list(k)
		if !remove {
			l.vals = append(l.vals, x)
			a.held++
		} else if l.remove(x, &a.scratch) {
			a.held--
		}
	}
}

func (a *percentile) Merge(dst, src []int32) {
	for i, d := range dst {
		for from := range a.slots[src[i]].lists {
			if len(from.vals) == 0 {
				continue
			}
			a.slots[d].list(from.kind).addAll(from, &a.scratch)
			a.held += len(from.vals)
		}
		a.misfits.merge(d, src[i], 1)
	}
}

func (a *percentile) Unmerge(dst, src []int32) {
	for i, d := range dst {
		for from := range a.slots[src[i]].lists {
			if to := a.slots[d].find(from.kind); to != nil && len(from.vals) > 0 {
				a.held -= to.removeAll(from, &a.scratch)
			}
		}
		a.misfits.merge(d, src[i], -1)
	}
}

func (a *percentile) Reset(slots []int32) {
	for _, s := range slots {
		for l := range a.slots[s].lists {
			a.held -= len(l.vals)
			l.vals, l.sorted, l.asked = l.vals[:0], 0, false
		}
		a.misfits.reset(s)
	}
}

func (a *percentile) Result(c *Call, slots []int32, out *vec.Vec) {
	a.misfits.report(c, slots)
	k := a.kindOf(slots)
	if k == vec.Missing {
		out.Tagged(len(slots))
	} else {
		out.Fixed(k, len(slots))
	}
	for i, s := range slots {
		t := &a.slots[s]
		n := t.len()
		switch {
		case n == 0:
		case t.mixesTimes():
			c.Fail(i, "the key in ORDER BY of "+a.misfits.name+" mixes datetime with numbers")
		case a.cont:
			out.Set(i, vec.FloatValue(a.between(t, n)))
		default:
			out.Set(i, a.first(t, n))
		}
	}
}

// kindOf is the kind of the results of all slots, Missing if they may differ.
func (a *percentile) kindOf(slots []int32) vec.Kind {
	k := vec.Missing
	for i, s := range slots {
		t := &a.slots[s]
		of := t.first.kind
		if a.cont {
			of = vec.Float
		}
		if len(t.first.vals) == 0 || t.more != nil || i > 0 && of != k {
			return vec.Missing
		}
		k = of
	}
	return k
}

// between is the value at the share of the n values of t, linear between neighbours.
func (a *percentile) between(t *ranked, n int) float64 {
	hi, lo := bits.Mul64(a.num, uint64(n-1))
	k, rest := bits.Div64(hi, lo, a.den)
	if rest == 0 {
		return t.at(a.rank(int(k), n), &a.scratch).float()
	}
	lower, upper := t.pair(min(a.rank(int(k), n), a.rank(int(k)+1, n)), &a.scratch)
	x, y := lower.float(), upper.float()
	if a.desc {
		x, y = y, x
	}
	div := gcd(rest, a.den)
	part := float64(rest/div) / float64(a.den/div)
	if d := y - x; !math.IsInf(d, 0) {
		return x + part*d
	}
	return x*(1-part) + y*part
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// rank is the place among the sorted values of the one at place k of the order asked for.
func (a *percentile) rank(k, n int) int {
	if a.desc {
		return n - 1 - k
	}
	return k
}

// first is the first of the n values of t up to which the share of all values lies. Of
// equal ones the bigint comes first, then the float.
func (a *percentile) first(t *ranked, n int) vec.Value {
	hi, lo := bits.Mul64(a.num, uint64(n))
	k, rest := bits.Div64(hi, lo, a.den)
	if rest > 0 {
		k++
	}
	x := t.at(a.rank(max(int(k), 1)-1, n), &a.scratch)
	if x.kind != vec.Int && t.more != nil {
		x = t.plainest(x)
	}
	return x.value()
}

func (a *percentile) Save(slot int32, w *state.Writer) {
	t := &a.slots[slot]
	for k := vec.Bit; k <= vec.Datetime; k++ {
		if k == vec.String {
			continue
		}
		l := t.find(k)
		if l == nil {
			w.Uint(0)
			continue
		}
		l.settle(&a.scratch)
		w.Uint(uint64(len(l.vals)))
		last := int64(0)
		for _, x := range l.vals {
			w.Int(x - last) // may wrap around, and back
			last = x
		}
	}
	a.misfits.save(slot, w)
}

func (a *percentile) Load(slot int32, r *state.Reader) {
	t := &a.slots[slot]
	for k := vec.Bit; k <= vec.Datetime; k++ {
		if k == vec.String {
			continue
		}
		last := int64(0)
		for range r.Count() {
			x := last + r.Int()
			if k == vec.Float && uint64(floatKey(x))>>52&expMax == expMax || k == vec.Datetime && a.cont {
				r.Fail()
			}
			if r.Err() != nil {
				return
			}
			l := t.list(k)
			l.vals = append(l.vals, x)
			a.held++
			last = x
		}
	}
	a.misfits.load(slot, r)
}

// Held is the number of values in all slots.
func (a *percentile) Held() int { return a.held }

func (a *percentile) Bytes() int {
	n := cap(a.slots)*rankedBytes + cap(a.scratch)*8 + a.misfits.bytes()
	for i := range a.slots {
		t := &a.slots[i]
		n += cap(t.more) * sortedListBytes
		for l := range t.lists {
			n += cap(l.vals) * 8
		}
	}
	return n
}
