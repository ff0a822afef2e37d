package fn

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"

	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "VAR",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary:  "VAR returns the variance of the values as a sample: divided by n - 1. Fewer than two values give NULL.",
		Section:  "7.6",
		Examples: []Example{{"VAR(v) over 1, 3", "2.0"}, {"VAR(v) over 1, NULL", "null"}},
	},
	New: func(s AggSpec) Acc { return newSpread("VAR", true, false) },
})

var _ = agg(Agg{
	Name:   "VARP",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary:  "VARP returns the variance of the values as a population: divided by n. No values give NULL.",
		Section:  "7.6",
		Examples: []Example{{"VARP(v) over 1, 3", "1.0"}, {"VARP(v) over 7", "0.0"}, {"VARP(v) over NULL", "null"}},
	},
	New: func(s AggSpec) Acc { return newSpread("VARP", false, false) },
})

var _ = agg(Agg{
	Name:   "STDEV",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary:  "STDEV returns the standard deviation of the values as a sample, the square root of VAR.",
		Section:  "7.6",
		Examples: []Example{{"STDEV(v) over 1, 3, 5", "2.0"}, {"STDEV(v) over 7", "null"}},
	},
	New: func(s AggSpec) Acc { return newSpread("STDEV", true, true) },
})

var _ = agg(Agg{
	Name:   "STDEVP",
	Params: []Param{{Name: "value", Types: numeric}},
	Result: gives(Float | Null),
	Doc: Doc{
		Summary:  "STDEVP returns the standard deviation of the values as a population, the square root of VARP.",
		Section:  "7.6",
		Examples: []Example{{"STDEVP(v) over 2, 4, 4, 4, 5, 5, 7, 9", "2.0"}, {"STDEVP(v) over NULL", "null"}},
	},
	New: func(s AggSpec) Acc { return newSpread("STDEVP", false, true) },
})

func newSpread(name string, sample, root bool) Acc {
	return &spread{sample: sample, root: root, misfits: misfits{name: name}}
}

// spread is the variance or its root. It keeps the exact sum of the values and the exact
// sum of their squares, and computes n * sum(x²) - sum(x)², over n² or n(n-1), in
// integers: nothing is cancelled and the result is rounded once, half to even.
type spread struct {
	sample  bool // divide by n - 1
	root    bool
	slots   []moments
	wide    map[int32]*wideMoments // the values that moments do not span
	misfits misfits
	scratch struct{ sum, square, num, den, rest big.Int }
}

// moments is the exact sum of n values and of their squares, in fixed point. A value below
// 2^64 whose lowest bit counts at least 2^-96 fits: its square is below 2^128, and 2^62 of
// them are below 2^190.
type moments struct {
	n       int64
	sum     words256
	squares [squareWords]uint64
}

type wideMoments struct {
	sum     wideSum
	squares [wideSquareWords]uint64
}

const (
	squareUnit      = -192
	squareWords     = 6
	wideSquareUnit  = 2 * wideUnit
	wideSquareWords = 67 // up to 2^2048 times 2^62 terms and a sign
	wideSquareShift = (squareUnit - wideSquareUnit) / 64
	momentMinExp    = expBias + squareUnit/2
)

func (a *spread) Grow(n int) {
	a.slots = grown(a.slots, n)
	a.misfits.grow(n)
}

func (a *spread) Add(slots []int32, args []*vec.Vec)    { a.feed(slots, args[0], false) }
func (a *spread) Remove(slots []int32, args []*vec.Vec) { a.feed(slots, args[0], true) }

func (a *spread) feed(slots []int32, v *vec.Vec, remove bool) {
	switch {
	case v.Tag != nil || v.Kind > vec.Float:
		a.mixed(slots, v, remove)
	case v.Kind == vec.Float:
		for i, s := range slots {
			a.float(s, v.Float[i], remove)
		}
	case v.Kind >= vec.Bit:
		for i, s := range slots {
			a.int(s, v.Int[i], remove)
		}
	}
}

func (a *spread) mixed(slots []int32, v *vec.Vec, remove bool) {
	by := int64(1)
	if remove {
		by = -1
	}
	for i, s := range slots {
		k := v.KindAt(i)
		switch k {
		case vec.Missing, vec.Null:
			continue
		case vec.Bit, vec.Int:
			a.int(s, v.Int[i], remove)
			continue
		case vec.Float:
			a.float(s, v.Float[i], remove)
			continue
		case vec.String:
			if x, ok := vec.ParseFloat(v.StrAt(i)); ok {
				a.float(s, x, remove)
				continue
			}
		}
		a.misfits.add(s, k, by)
	}
}

// count adds a value to, or takes it from, the number of values of t.
func (t *moments) count(remove bool) {
	if remove {
		t.n--
	} else {
		t.n++
	}
}

func (a *spread) int(s int32, x int64, remove bool) {
	t := &a.slots[s]
	t.count(remove)
	mag := uint64((x ^ x>>63) - x>>63)
	hi, lo := bits.Mul64(mag, mag)
	const one, sq = onesWord, -squareUnit / 64
	var c uint64
	if remove {
		t.sum[one], c = bits.Sub64(t.sum[one], uint64(x), 0)
		t.sum[one+1] -= uint64(x>>63) + c
		t.squares[sq], c = bits.Sub64(t.squares[sq], lo, 0)
		t.squares[sq+1], c = bits.Sub64(t.squares[sq+1], hi, c)
		t.squares[sq+2] -= c
		return
	}
	t.sum[one], c = bits.Add64(t.sum[one], uint64(x), 0)
	t.sum[one+1] += uint64(x>>63) + c
	t.squares[sq], c = bits.Add64(t.squares[sq], lo, 0)
	t.squares[sq+1], c = bits.Add64(t.squares[sq+1], hi, c)
	t.squares[sq+2] += c
}

func (a *spread) float(s int32, x float64, remove bool) {
	b := math.Float64bits(x)
	exp := b >> 52 & expMax
	if exp == expMax {
		return // no value (saql.md 3.1)
	}
	t := &a.slots[s]
	t.count(remove)
	if b<<1 == 0 {
		return
	}
	neg := remove != (b>>63 != 0)
	m, e := b&mantissa|1<<52, int(exp)
	if exp == 0 {
		m, e = b&mantissa, 1
	}
	hi, lo := bits.Mul64(m, m)
	e -= expBias
	if exp >= momentMinExp && exp < sumMaxExp {
		addShifted(t.sum[:], m, 0, uint(e-sumUnit), neg)
		addShifted(t.squares[:], lo, hi, uint(2*e-squareUnit), remove)
		return
	}
	w := a.wideOf(s)
	addShifted(w.sum[:], m, 0, uint(e-wideUnit), neg)
	addShifted(w.squares[:], lo, hi, uint(2*e-wideSquareUnit), remove)
}

// wideOf is the wide moments of a slot, made on first use.
func (a *spread) wideOf(s int32) *wideMoments {
	w := a.wide[s]
	if w == nil {
		if a.wide == nil {
			a.wide = map[int32]*wideMoments{}
		}
		w = new(wideMoments)
		a.wide[s] = w
	}
	return w
}

func (a *spread) Merge(dst, src []int32)   { a.merge(dst, src, false) }
func (a *spread) Unmerge(dst, src []int32) { a.merge(dst, src, true) }

func (a *spread) merge(dst, src []int32, remove bool) {
	by := int64(1)
	if remove {
		by = -1
	}
	for i, d := range dst {
		t, from := &a.slots[d], &a.slots[src[i]]
		t.n += by * from.n
		addWords(t.sum[:], from.sum[:], remove)
		addWords(t.squares[:], from.squares[:], remove)
		if w := a.wide[src[i]]; w != nil {
			to := a.wideOf(d)
			addWords(to.sum[:], w.sum[:], remove)
			addWords(to.squares[:], w.squares[:], remove)
		}
		a.misfits.merge(d, src[i], by)
	}
}

func (a *spread) Reset(slots []int32) {
	for _, s := range slots {
		a.slots[s] = moments{}
		delete(a.wide, s)
		a.misfits.reset(s)
	}
}

func (a *spread) Result(c *Call, slots []int32, out *vec.Vec) {
	a.misfits.report(c, slots)
	out.Fixed(vec.Float, len(slots))
	for i, s := range slots {
		x, ok := a.result(s)
		out.Float[i] = x
		if !ok {
			out.SetNull(i)
		}
	}
}

// result is the statistic of a slot; not ok means NULL.
func (a *spread) result(s int32) (x float64, ok bool) {
	n := uint64(a.slots[s].n)
	if n == 0 || n == 1 && a.sample {
		return 0, false
	}
	unit := a.numerator(s, n)
	num, den, rest := &a.scratch.num, &a.scratch.den, &a.scratch.rest
	if num.Sign() <= 0 { // never negative but for a damaged snapshot
		return 0, true
	}
	den.SetUint64(n)
	if a.sample {
		rest.SetUint64(n - 1)
	} else {
		rest.SetUint64(n)
	}
	den.Mul(den, rest)
	// A quotient of 130 bits and more, of which quotientBits are kept.
	shift := max(0, 130+den.BitLen()-num.BitLen())
	num.Lsh(num, uint(shift))
	unit -= shift
	num.QuoRem(num, den, rest)
	cut := num.BitLen() - quotientBits
	if (unit+cut)%2 != 0 {
		cut++ // an even power of two has a root
	}
	more := rest.Sign() != 0 || num.TrailingZeroBits() < uint(cut)
	num.Rsh(num, uint(cut))
	unit += cut
	var buf [16]byte
	num.FillBytes(buf[:])
	w := [2]uint64{binary.BigEndian.Uint64(buf[8:]), binary.BigEndian.Uint64(buf[:8])}
	if a.root {
		root, exact := sqrt128(w[1], w[0])
		w, unit, more = [2]uint64{root}, unit/2, more || !exact
	}
	x, _ = roundWords(w[:], unit, more)
	return x, !math.IsInf(x, 0)
}

// quotientBits is how many bits of a quotient are kept, one less for an odd power.
const quotientBits = 127

// sqrt128 is the square root of (hi, lo), which has 126 or 127 bits, rounded down, and
// whether that is exact.
func sqrt128(hi, lo uint64) (root uint64, exact bool) {
	root = uint64(math.Sqrt(float64(hi)*0x1p64 + float64(lo))) // right to 2^-52
	q, _ := bits.Div64(hi, lo, root)                           // root > hi, for hi < 2^63
	root = root/2 + q/2 + (root&1+q&1)/2                       // Newton: right to 1
	for {
		h, l := bits.Mul64(root, root)
		if h < hi || h == hi && l <= lo {
			break
		}
		root--
	}
	for {
		h, l := bits.Mul64(root+1, root+1)
		if h > hi || h == hi && l > lo {
			break
		}
		root++
	}
	h, l := bits.Mul64(root, root)
	return root, h == hi && l == lo
}

// numerator sets scratch.num to n * sum(x²) - sum(x)², in multiples of 2^unit.
func (a *spread) numerator(s int32, n uint64) (unit int) {
	t := &a.slots[s]
	sum, num, rest := &a.scratch.sum, &a.scratch.num, &a.scratch.rest
	if w := a.wide[s]; w != nil {
		all := *w
		addWords(all.sum[wideShift:], t.sum[:], false)
		addWords(all.squares[wideSquareShift:], t.squares[:], false)
		setWords(sum, all.sum[:])
		setWords(num, all.squares[:])
		unit = wideSquareUnit
	} else {
		total, squares := t.sum, t.squares
		setWords(sum, total[:])
		setWords(num, squares[:])
		num.Lsh(num, uint(squareUnit-2*sumUnit))
		unit = 2 * sumUnit
	}
	rest.SetUint64(n)
	num.Mul(num, rest)
	square := &a.scratch.square // Mul would allocate to write over its operand
	square.Mul(sum, sum)
	num.Sub(num, square)
	return unit
}

// setWords sets z to the magnitude of the two's complement number w.
func setWords(z *big.Int, w []uint64) {
	absWords(w)
	var buf [wideSquareWords * 8]byte
	b := buf[:8*len(w)]
	for i, x := range w {
		binary.BigEndian.PutUint64(b[len(b)-8*(i+1):], x)
	}
	z.SetBytes(b)
}

func (a *spread) Save(slot int32, w *state.Writer) {
	t := &a.slots[slot]
	w.Int(t.n)
	saveWords(w, t.sum[:])
	saveWords(w, t.squares[:])
	wide := a.wide[slot]
	if wide != nil && *wide == (wideMoments{}) {
		wide = nil // what was taken back leaves no trace
	}
	w.Bool(wide != nil)
	if wide != nil {
		saveWords(w, wide.sum[:])
		saveWords(w, wide.squares[:])
	}
	a.misfits.save(slot, w)
}

func (a *spread) Load(slot int32, r *state.Reader) {
	t := &a.slots[slot]
	t.n = r.Int()
	if t.n < 0 || t.n > maxCount {
		r.Fail()
	}
	loadWords(r, t.sum[:])
	loadWords(r, t.squares[:])
	if r.Bool() {
		w := a.wideOf(slot)
		loadWords(r, w.sum[:])
		loadWords(r, w.squares[:])
	}
	a.misfits.load(slot, r)
}

func (a *spread) Bytes() int {
	return cap(a.slots)*(8+32+48) + len(a.wide)*((wideWords+wideSquareWords)*8+32) + a.misfits.bytes()
}
