package fn

import (
	"math"
	"math/bits"
	"slices"

	"weir/internal/state"
)

// Exact sums of floats. A float is an integer times a power of two, so a sum of floats is
// an integer of some hundred bits. Keeping that integer, instead of a float, makes a sum
// independent of the order of its terms, lets panes be merged and rows be taken back
// without a trace, and needs one rounding in all, at the end.
//
// Nearly all floats of this world have all their bits between 2^-128 and 2^64: they go to
// a fixed-point number of 256 bits per slot, two's complement, lowest word first, whose
// lowest bit counts 2^-128. A float below 2^64 and a count below 2^62 keep the sum below
// 2^126, so these 256 bits cannot overflow, even with a sum of bigints added at the end.
// The other floats go to a number that spans the whole range of float64, kept for the
// few slots that need one.
const (
	sumUnit   = -128          // the lowest bit of a sum counts 2^sumUnit
	sumWords  = 4             // 256 bits
	onesWord  = -sumUnit / 64 // the word whose lowest bit counts 1
	wideUnit  = -1088         // 2^-1074 is the least float; word 15 is word 0 of a sum
	wideWords = 34            // up to 2^1024 times 2^62 terms and a sign
	wideShift = (sumUnit - wideUnit) / 64
	maxCount  = 1 << 62 // no slot has as many values
	signBit   = uint64(1) << 63
	mantissa  = uint64(1)<<52 - 1
	expBias   = 1075 // value = mantissa * 2^(exponent field - expBias)
	expMax    = 0x7ff
	// The exponent fields that a sum takes: lowest bit at least 2^-128, value below 2^64.
	sumMinExp = expBias + sumUnit
	sumMaxExp = 1023 + 64
)

// words256 is a fixed-point number of 256 bits.
type words256 [sumWords]uint64

// floatSum is the exact sum of n floats of a slot, without those that are in wide.
type floatSum struct {
	sum words256
	n   int64
}

// floatSums is exact sums, one per slot. The zero value has no slot.
type floatSums struct {
	slots []floatSum
	wide  map[int32]*wideSum // the terms that a sum does not span
}

// wideSum is a fixed-point number over all of float64.
type wideSum [wideWords]uint64

// grown returns s with at least n elements; the new ones are zero.
func grown[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	if n > cap(s) {
		s = slices.Grow(s, max(n, 2*len(s), 16)-len(s))
	}
	old := len(s)
	s = s[:n]
	clear(s[old:])
	return s
}

// addAll adds xs[i] to slots[i]; with flip = signBit it subtracts. by is +1 or -1 to match.
func (f *floatSums) addAll(slots []int32, xs []float64, flip uint64, by int64) {
	xs = xs[:len(slots)]
	for i, s := range slots {
		b := math.Float64bits(xs[i]) ^ flip
		t := &f.slots[s]
		exp := b >> 52 & expMax
		if exp-(sumMinExp+64) >= 64 { // not the common range of 2^-12 to 2^52
			f.addRare(s, b, by)
			continue
		}
		t.n += by
		sh := exp - (sumMinExp + 64)
		m := b&mantissa | 1<<52
		neg := uint64(int64(b) >> 63)
		var c uint64
		t.sum[1], c = bits.Add64(t.sum[1], m<<sh^neg, neg&1)
		t.sum[2], c = bits.Add64(t.sum[2], m>>(64-sh)^neg, c)
		t.sum[3] += neg + c
	}
}

// add is addAll of one float.
func (f *floatSums) add(slot int32, x float64, flip uint64, by int64) {
	f.addRare(slot, math.Float64bits(x)^flip, by)
}

// addRare adds the float with the bits b, whatever it is. NaN and the infinities are no
// values (saql.md 3.1); they count as NULL.
func (f *floatSums) addRare(slot int32, b uint64, by int64) {
	exp := b >> 52 & expMax
	if exp == expMax {
		return
	}
	t := &f.slots[slot]
	t.n += by
	if b<<1 == 0 {
		return
	}
	if exp >= sumMinExp && exp < sumMaxExp {
		addShifted(t.sum[:], b&mantissa|1<<52, 0, uint(exp-sumMinExp), b>>63 != 0)
		return
	}
	m, sh := b&mantissa|1<<52, exp
	if exp == 0 {
		m, sh = b&mantissa, 1
	}
	addShifted(f.wideOf(slot)[:], m, 0, uint(int(sh)-expBias-wideUnit), b>>63 != 0)
}

// wideOf is the wide sum of a slot, made on first use.
func (f *floatSums) wideOf(slot int32) *wideSum {
	w := f.wide[slot]
	if w == nil {
		if f.wide == nil {
			f.wide = map[int32]*wideSum{}
		}
		w = new(wideSum)
		f.wide[slot] = w
	}
	return w
}

// merge adds src to dst, or subtracts it when by is -1.
func (f *floatSums) merge(dst, src int32, by int64) {
	d, s := &f.slots[dst], &f.slots[src]
	d.n += by * s.n
	addWords(d.sum[:], s.sum[:], by < 0)
	if w := f.wide[src]; w != nil {
		addWords(f.wideOf(dst)[:], w[:], by < 0)
	}
}

// reset empties a slot.
func (f *floatSums) reset(slot int32) {
	f.slots[slot] = floatSum{}
	delete(f.wide, slot)
}

// total is the exact sum of the slot's floats and of the integer ones, as a magnitude
// of words whose lowest bit counts 2^unit, and its sign. buf is scratch for the words.
func (f *floatSums) total(slot int32, ones [2]uint64, buf *wideSum) (mag []uint64, unit int, neg bool) {
	var sum words256
	if int(slot) < len(f.slots) {
		sum = f.slots[slot].sum
	}
	var c uint64
	sum[onesWord], c = bits.Add64(sum[onesWord], ones[0], 0)
	sum[onesWord+1], _ = bits.Add64(sum[onesWord+1], ones[1], c)
	if w := f.wide[slot]; w != nil {
		*buf = *w
		addWords(buf[wideShift:], sum[:], false)
		return buf[:], wideUnit, absWords(buf[:])
	}
	mag = buf[:sumWords]
	copy(mag, sum[:])
	return mag, sumUnit, absWords(mag)
}

// save and load write and read one slot.
func (f *floatSums) save(slot int32, w *state.Writer) {
	t := &f.slots[slot]
	w.Int(t.n)
	saveWords(w, t.sum[:])
	wide := f.wide[slot]
	if wide != nil && *wide == (wideSum{}) {
		wide = nil // what was taken back leaves no trace
	}
	w.Bool(wide != nil)
	if wide != nil {
		saveWords(w, wide[:])
	}
}

func (f *floatSums) load(slot int32, r *state.Reader) {
	t := &f.slots[slot]
	t.n = r.Int()
	loadWords(r, t.sum[:])
	if r.Bool() {
		loadWords(r, f.wideOf(slot)[:])
	}
	if t.n < 0 || t.n > maxCount {
		r.Fail()
	}
}

// bytes is about how much memory the sums hold.
func (f *floatSums) bytes() int {
	return cap(f.slots)*(sumWords*8+8) + len(f.wide)*(wideWords*8+32)
}

func saveWords(w *state.Writer, words []uint64) {
	for _, x := range words {
		w.Uint(x)
	}
}

func loadWords(r *state.Reader, words []uint64) {
	for i := range words {
		words[i] = r.Uint()
	}
}

// addShifted adds (hi, lo) << shift to the two's complement number dst, or subtracts it.
// dst must have room for at least two words above the shift.
func addShifted(dst []uint64, lo, hi uint64, shift uint, sub bool) {
	w, s := shift/64, shift%64
	a, b, top := lo<<s, hi<<s|lo>>(64-s), hi>>(64-s)
	var c uint64
	dst = dst[w:]
	if sub {
		dst[0], c = bits.Sub64(dst[0], a, 0)
		dst[1], c = bits.Sub64(dst[1], b, c)
		for i := 2; i < len(dst) && (top != 0 || c != 0); i++ {
			dst[i], c = bits.Sub64(dst[i], top, c)
			top = 0
		}
		return
	}
	dst[0], c = bits.Add64(dst[0], a, 0)
	dst[1], c = bits.Add64(dst[1], b, c)
	for i := 2; i < len(dst) && (top != 0 || c != 0); i++ {
		dst[i], c = bits.Add64(dst[i], top, c)
		top = 0
	}
}

// addWords adds the two's complement number src to dst, which is as long or longer, or
// subtracts it.
func addWords(dst, src []uint64, sub bool) {
	var c uint64
	ext := uint64(int64(src[len(src)-1]) >> 63)
	for i := range dst {
		x := ext
		if i < len(src) {
			x = src[i]
		}
		if sub {
			dst[i], c = bits.Sub64(dst[i], x, c)
		} else {
			dst[i], c = bits.Add64(dst[i], x, c)
		}
	}
}

// absWords makes a two's complement number its magnitude and reports its sign.
func absWords(w []uint64) (neg bool) {
	if int64(w[len(w)-1]) >= 0 {
		return false
	}
	c := uint64(1)
	for i := range w {
		w[i], c = bits.Add64(^w[i], 0, c)
	}
	return true
}

// bitLen is the number of bits of the magnitude w.
func bitLen(w []uint64) int {
	for i := len(w) - 1; i >= 0; i-- {
		if w[i] != 0 {
			return 64*i + bits.Len64(w[i])
		}
	}
	return 0
}

// roundWords is the float64 nearest to w * 2^unit, half to even, an infinity beyond the
// largest float, and whether that was exact. more says that the true value is a little
// larger, by less than 2^unit; then w must have at least 55 bits.
func roundWords(w []uint64, unit int, more bool) (x float64, exact bool) {
	n := bitLen(w)
	if n == 0 {
		return 0, !more
	}
	// Keep 53 bits, or fewer where floats end: no bit counts less than 2^-1074.
	cut := max(n-53, -1074-unit)
	if cut <= 0 {
		return math.Ldexp(float64(w[0]), unit), !more
	}
	if n < cut {
		return 0, false // less than half of the least float
	}
	m := bitsAt(w, cut, n)
	half := w[(cut-1)/64]>>((cut-1)%64)&1 != 0
	rest := more || anyBelow(w, cut-1)
	if half && (rest || m&1 != 0) {
		m++
	}
	return math.Ldexp(float64(m), cut+unit), !half && !rest
}

// bitsAt is the bits [lo, hi) of w, at most 64.
func bitsAt(w []uint64, lo, hi int) uint64 {
	if lo >= hi {
		return 0
	}
	i, s := lo/64, lo%64
	x := w[i] >> s
	if i+1 < len(w) {
		x |= w[i+1] << (64 - s)
	}
	return x & (1<<(hi-lo) - 1)
}

// anyBelow reports whether w has a bit set below bit n.
func anyBelow(w []uint64, n int) bool {
	for i := range n / 64 {
		if w[i] != 0 {
			return true
		}
	}
	return n%64 != 0 && w[n/64]<<(64-n%64) != 0
}

// quotient is the float64 nearest to (w * 2^unit) / n, half to even.
func quotient(w []uint64, unit int, n uint64) float64 {
	if x, exact := roundWords(w, unit, false); exact && x <= math.MaxFloat64 && n <= 1<<53 {
		return x / float64(n) // IEEE division rounds once
	}
	var q [wideWords + 2]uint64 // two more words below keep 53 bits for any divisor
	r := uint64(0)
	for i := len(w) - 1; i >= -2; i-- {
		x := uint64(0)
		if i >= 0 {
			x = w[i]
		}
		q[i+2], r = bits.Div64(r, x, n)
	}
	x, _ := roundWords(q[:len(w)+2], unit-128, r != 0)
	return x
}

// empty reports whether a slot holds nothing.
func (f *floatSums) empty(slot int32) bool {
	w := f.wide[slot]
	return f.slots[slot] == floatSum{} && (w == nil || *w == wideSum{})
}
