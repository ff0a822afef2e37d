package fn

import (
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// anyFloat is a finite float: mostly an everyday one, at times any bits.
func anyFloat(r *rand.Rand) float64 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return math.Copysign(0, -1)
	case 2, 3:
		for {
			if x := math.Float64frombits(r.Uint64()); !math.IsNaN(x) && !math.IsInf(x, 0) {
				return x
			}
		}
	case 4:
		return math.Ldexp(r.Float64()-0.5, r.IntN(300)-150)
	case 5:
		return float64(r.IntN(2000) - 1000)
	}
	return r.NormFloat64() * 100
}

// bigSum is the exact sum of floats: 4400 bits of precision hold any of it.
func bigSum(xs []float64) *big.Float {
	sum := new(big.Float).SetPrec(4400)
	for _, x := range xs {
		sum.Add(sum, new(big.Float).SetFloat64(x))
	}
	return sum
}

// sumOf is the rounded sum of a slot.
func sumOf(f *floatSums, slot int32) float64 {
	var buf wideSum
	mag, unit, neg := f.total(slot, [2]uint64{}, &buf)
	x, _ := roundWords(mag, unit, false)
	if neg {
		x = -x
	}
	return x
}

func TestFloatSum(t *testing.T) {
	f := func(want float64, xs ...float64) {
		t.Helper()
		var s floatSums
		s.slots = grown(s.slots, 2)
		s.addAll(make([]int32, len(xs)), xs, 0, 1)
		if got := sumOf(&s, 0); got != want {
			t.Errorf("sum of %v: got %v, want %v", xs, got, want)
		}
	}
	f(0)
	f(0, math.Copysign(0, -1))
	f(1, 1)
	f(-1, -1)
	f(3.5, 1, 2.5)
	f(0, 0.1, -0.1)
	f(0.30000000000000004, 0.1, 0.2) // exactly between two floats: to even
	f(2, 1e100, 2, -1e100)           // plain addition gives 0
	f(1, 1e16, 1, -1e16)
	f(5e-324, 5e-324)
	f(-5e-324, -5e-324)
	f(5e-324, 1e300, 5e-324, -1e300)
	f(math.MaxFloat64, math.MaxFloat64)
	f(math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64)
	f(math.Inf(1), math.MaxFloat64, math.MaxFloat64)
	f(math.Inf(-1), -math.MaxFloat64, -math.MaxFloat64)
	f(1, 1, 0x1p-53)                    // half: to even
	f(1+0x1p-52, 1, 0x1p-53, 0x1p-1074) // a little more than half
	f(1, 1, 0x1p-53, -0x1p-1074)        // a little less
	f(1+0x1p-51, 1+0x1p-52, 0x1p-53)
	f(math.MaxFloat64, math.MaxFloat64, 0x1p969) // less than half of the last place
	f(math.Inf(1), math.MaxFloat64, 0x1p970)     // half: away from the odd last place
	f(0x1p-1022, 0x1p-1022-0x1p-1074, 0x1p-1074)
	f(0x1p64, 0x1p63, 0x1p63)
	f(0x1p-129, 0x1p-129)
	f(2, math.NaN(), math.Inf(1), 2) // no values
}

func TestFloatSumAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 2000 {
		xs := make([]float64, r.IntN(20))
		for i := range xs {
			xs[i] = anyFloat(r)
		}
		want, _ := bigSum(xs).Float64()
		var s floatSums
		s.slots = grown(s.slots, 3)
		for i, x := range xs { // half row by row, half in a batch; in two slots
			if i%2 == 0 {
				s.add(int32(i/2%2), x, 0, 1)
			} else {
				s.addAll([]int32{int32(i / 2 % 2)}, []float64{x}, 0, 1)
			}
		}
		s.merge(2, 0, 1)
		s.merge(2, 1, 1)
		if got := sumOf(&s, 2); got != want || s.slots[2].n != int64(len(xs)) {
			t.Fatalf("round %d: sum of %v: got %v of %d, want %v", round, xs, got, s.slots[2].n, want)
		}
		for i, x := range xs {
			s.addAll([]int32{2}, []float64{x}, signBit, -1)
			want, _ := bigSum(xs[i+1:]).Float64()
			if got := sumOf(&s, 2); got != want {
				t.Fatalf("round %d: rest of %v from %d: got %v, want %v", round, xs, i+1, got, want)
			}
		}
		if !s.empty(2) {
			t.Fatalf("round %d: %v leave a trace", round, xs)
		}
	}
}

func TestFloatSumBounds(t *testing.T) {
	// The largest term that a sum takes, as often as a slot can have it, and the largest
	// bigint as often, stay below the sign bit.
	largest := uint64(1)<<53 - 1
	var sum words256
	addShifted(sum[:], largest, 0, uint(sumMaxExp-1-sumMinExp), false)
	n := new(big.Int).Lsh(big.NewInt(1), 62)
	var total, ints big.Int
	setWords(&total, sum[:])
	total.Mul(&total, n)
	ints.SetUint64(1 << 63)
	ints.Mul(&ints, n)
	ints.Lsh(&ints, -sumUnit)
	if total.Add(&total, &ints); total.BitLen() > 255 {
		t.Errorf("a sum can take %d bits", total.BitLen())
	}
	if got := 1024 + 62 - wideUnit + 1; got > wideWords*64 {
		t.Errorf("a wide sum can take %d bits", got)
	}
	if got := 2*64 + 62 - squareUnit + 1; got > squareWords*64 {
		t.Errorf("squares can take %d bits", got)
	}
	if got := 2048 + 62 - wideSquareUnit + 1; got > wideSquareWords*64 {
		t.Errorf("wide squares can take %d bits", got)
	}
}

func TestRoundWords(t *testing.T) {
	f := func(want float64, exact bool, unit int, more bool, w ...uint64) {
		t.Helper()
		if got, ok := roundWords(w, unit, more); got != want || ok != exact {
			t.Errorf("%x * 2^%d: got %v, %v, want %v, %v", w, unit, got, ok, want, exact)
		}
	}
	f(0, true, 0, false, 0, 0)
	f(1, true, 0, false, 1)
	f(0x1p64, true, 0, false, 0, 1)
	f(0x1p64, false, 0, false, 1<<11, 1)              // half, even
	f(0x1p64+0x1p12, false, 0, false, 1<<11|1, 1)     // more than half
	f(0x1p64+0x1p12, false, 0, true, 1<<11, 1)        // more than half by more
	f(0x1p64+0x1p13, false, 0, false, 1<<12|1<<11, 1) // half, odd
	f(0x1p64, false, 0, false, ^uint64(0))            // carry into the next power
	f(0x1p-1074, true, -1074, false, 1)
	f(0, false, -1075, false, 1) // half of the least float, even
	f(0x1p-1074, false, -1076, false, 3)
	f(0, false, -1300, false, 1, 1)
	f(0, false, -1200, true, 1<<63)
	f(math.Inf(1), true, 1024, false, 1)
}

func TestQuotient(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		w := make([]uint64, 1+r.IntN(5))
		for i := range w {
			if r.IntN(3) > 0 {
				w[i] = r.Uint64() >> r.IntN(64)
			}
		}
		n := r.Uint64()>>r.IntN(64) | 1
		unit := [...]int{sumUnit, wideUnit}[r.IntN(2)]
		var z big.Int
		setWords(&z, append(append([]uint64(nil), w...), 0))
		num := new(big.Rat).SetInt(&z)
		den := new(big.Int).Lsh(new(big.Int).SetUint64(n), uint(-unit))
		want, _ := num.Quo(num, new(big.Rat).SetInt(den)).Float64()
		if got := quotient(w, unit, n); got != want {
			t.Fatalf("%x * 2^%d / %d: got %v, want %v", w, unit, n, got, want)
		}
	}
	// The sum of these is no float, their mean is.
	if got := quotient([]uint64{0, 0, 0, 0, 1 << 62}, 706, 4); got != 0x1p1022 {
		t.Errorf("got %v", got)
	}
}

func TestSqrt128(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	f := func(hi, lo uint64) {
		t.Helper()
		z := new(big.Int).Lsh(new(big.Int).SetUint64(hi), 64)
		z.Add(z, new(big.Int).SetUint64(lo))
		want := new(big.Int).Sqrt(z)
		exact := new(big.Int).Mul(want, want).Cmp(z) == 0
		if got, ok := sqrt128(hi, lo); got != want.Uint64() || ok != exact {
			t.Fatalf("root of %x %x: got %x, %v, want %x, %v", hi, lo, got, ok, want, exact)
		}
	}
	f(1<<61, 0)
	f(1<<62, 0)
	f(1<<63-1, ^uint64(0))
	f(1<<61, ^uint64(0))
	for range 20000 {
		f(1<<61+r.Uint64N(3<<61), r.Uint64())
		root := 1<<63 - r.Uint64N(1<<60)
		hi, lo := bits.Mul64(root, root)
		f(hi, lo)
		lo, borrow := bits.Sub64(lo, 1, 0)
		f(hi-borrow, lo)
	}
}
