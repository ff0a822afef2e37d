package fn

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"weir/internal/vec"
)

// percentileOver is the percentile of values, with its error.
func percentileOver(t testing.TB, name string, share float64, desc bool, vals []vec.Value) vec.Value {
	t.Helper()
	a := mustAgg(t, name).New(AggSpec{Args: []Types{Any}, Desc: []bool{desc}, Const: vec.FloatValue(share)})
	a.Grow(1)
	v := vec.Values(vals...)
	a.Add(make([]int32, v.N), []*vec.Vec{&v})
	x, failed := aggResult(t, a, 0)
	if failed != "" {
		t.Fatalf("%s over %v: %s", name, vals, failed)
	}
	return x
}

func TestPercentiles(t *testing.T) {
	f := func(share float64, cont, disc, contDesc, discDesc string, vals ...vec.Value) {
		t.Helper()
		for i, want := range []string{cont, disc, contDesc, discDesc} {
			name := []string{"PERCENTILE_CONT", "PERCENTILE_DISC"}[i%2]
			if got := percentileOver(t, name, share, i > 1, vals); got.String() != want {
				t.Errorf("%s(%v) over %v, descending %v: got %v, want %s", name, share, vals, i > 1, got, want)
			}
		}
	}
	f(0.5, "null", "null", "null", "null")
	f(0.5, "null", "null", "null", "null", vnull(), vec.Value{})
	f(0.5, "7.0", "7", "7.0", "7", vint(7))
	f(0, "1.0", "1", "4.0", "4", vint(2), vint(4), vint(1))
	f(1, "4.0", "4", "1.0", "1", vint(2), vint(4), vint(1))
	f(0.5, "2.0", "2", "2.0", "2", vint(2), vint(4), vint(1))
	f(0.5, "1.5", "1", "1.5", "2", vint(2), vint(1))
	f(0.8, "0.988", "0.988", "0.1", "0.1", vfloat(0.988), vfloat(1), vfloat(0.1), vfloat(0.5), vfloat(0.01), vfloat(0.7)) // r = 4
	f(0.5, "1.0", "1", "1.0", "1", vbit(true), vfloat(1), vint(1))
	f(0.5, "1.0", "1.0", "1.0", "1.0", vbit(true), vfloat(1))
	f(0.5, "0.5", "false", "0.5", "true", vbit(true), vbit(false))
	f(0.5, "9.007199254740992e+15", "9007199254740993", "9.007199254740992e+15", "9007199254740993",
		vint(1<<53+1), vfloat(1<<53), vfloat(1<<53+2)) // no rounding of the bigint
	f(0.5, "0.0", "-1.7976931348623157e+308", "0.0", "1.7976931348623157e+308", vfloat(math.MaxFloat64), vfloat(-math.MaxFloat64))
	f(0.25, "-8.988465674311578e+307", "-1.7976931348623157e+308", "8.988465674311578e+307", "1.7976931348623157e+308",
		vfloat(math.MaxFloat64), vfloat(-math.MaxFloat64))
	f(1e-300, "1.0", "1", "2.0", "2", vint(1), vint(2))
	var hundred []vec.Value
	for i := range 101 {
		hundred = append(hundred, vint(int64(i)))
	}
	f(0.07, "7.0", "7", "93.0", "93", hundred...)
	f(0.29, "29.0", "29", "71.0", "71", hundred...)
}

// TestPercentileAgainstFractions compares with the definition, in fractions.
func TestPercentileAgainstFractions(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 32))
	for range 3000 {
		vals := make([]vec.Value, 1+r.IntN(40))
		for i := range vals {
			switch vals[i] = vint(int64(r.IntN(12))); r.IntN(4) {
			case 0:
				vals[i] = vfloat(float64(r.IntN(24)) / 2)
			case 1:
				vals[i] = vbit(r.IntN(2) == 0)
			}
		}
		digits := strconv.Itoa(r.IntN(1001))
		share, _ := new(big.Rat).SetString(digits + "/1000")
		p, _ := share.Float64()
		desc := r.IntN(2) == 0
		sorted := slices.Clone(vals)
		slices.SortFunc(sorted, func(a, b vec.Value) int {
			c, _ := vec.Compare(a, b)
			if desc {
				return -c
			}
			return c
		})
		n := int64(len(sorted))
		k := 0
		for big.NewRat(int64(k+1), n).Cmp(share) < 0 {
			k++
		}
		got := percentileOver(t, "PERCENTILE_DISC", p, desc, vals)
		if c, ok := vec.Compare(got, sorted[k]); !ok || c != 0 {
			t.Fatalf("disc %v of %v: got %v, want %v", p, vals, got, sorted[k])
		}
		at := new(big.Rat).Mul(share, big.NewRat(n-1, 1))
		low := new(big.Int).Quo(at.Num(), at.Denom()).Int64()
		x := new(big.Rat).SetFloat64(floatOf(sorted[low]))
		if high := low + 1; high < n {
			y := new(big.Rat).SetFloat64(floatOf(sorted[high]))
			part := at.Sub(at, big.NewRat(low, 1))
			x.Add(x, part.Mul(part, y.Sub(y, x)))
		}
		want, _ := x.Float64()
		got = percentileOver(t, "PERCENTILE_CONT", p, desc, vals)
		if math.Abs(got.Float-want) > 1e-14*math.Max(1, math.Abs(want)) {
			t.Fatalf("cont %v of %v: got %v, want %v", p, vals, got, want)
		}
	}
}

func floatOf(v vec.Value) float64 {
	if v.Kind == vec.Float {
		return v.Float
	}
	return float64(v.Int)
}

func TestSelectAt(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	f := func(vals []int64) {
		t.Helper()
		sorted := slices.Clone(vals)
		slices.Sort(sorted)
		k := r.IntN(len(vals))
		selectAt(vals, k)
		if vals[k] != sorted[k] || slices.Max(vals[:k+1]) != vals[k] || slices.Min(vals[k:]) != vals[k] {
			t.Fatalf("place %d of %v", k, vals)
		}
		slices.Sort(vals)
		if !slices.Equal(vals, sorted) {
			t.Fatalf("values have changed: %v", vals)
		}
	}
	for range 3000 {
		vals := make([]int64, 1+r.IntN(200))
		most := pick(r, 1, 2, 50, 1<<40)
		for i := range vals {
			vals[i] = int64(r.IntN(most))
		}
		if r.IntN(4) == 0 {
			slices.Sort(vals)
		}
		f(vals)
	}
}

// pick is one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// TestSortedList drives a list against a plain one: with many values at a time and few.
func TestSortedList(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	var l sortedList
	var scratch, model []int64
	for step := range 3000 {
		switch n := r.IntN(12); r.IntN(4) {
		case 0, 1:
			for range n {
				x := int64(r.IntN(50))
				l.vals = append(l.vals, x)
				model = append(model, x)
			}
		case 2:
			if len(model) > 0 {
				i := r.IntN(len(model))
				if !l.remove(model[i], &scratch) {
					t.Fatalf("step %d: %d is not there", step, model[i])
				}
				model = slices.Delete(model, i, i+1)
			}
		default:
			n = min(n, len(model))
			r.Shuffle(len(model), func(i, j int) { model[i], model[j] = model[j], model[i] })
			from := sortedList{vals: slices.Clone(model[:n])}
			if got := l.removeAll(&from, &scratch); got != n {
				t.Fatalf("step %d: %d of %d removed", step, got, n)
			}
			model = slices.Delete(model, 0, n)
		}
		l.settle(&scratch)
		slices.Sort(model)
		if !slices.Equal(l.vals, model) {
			t.Fatalf("step %d: got %v, want %v", step, l.vals, model)
		}
	}
	if l.remove(99, &scratch) {
		t.Error("a value that is not there was removed")
	}
}
