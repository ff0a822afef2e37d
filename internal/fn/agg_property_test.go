package fn

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
	"unsafe"

	"weir/internal/state"
	"weir/internal/vec"
)

// unsafeText is a text over b, like one in a decoder's buffer.
func unsafeText(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// rowMix says what rows of a test look like.
type rowMix struct {
	name   string
	static Types
	value  func(r *rand.Rand) vec.Value
}

var rowMixes = []rowMix{
	{"ints", Any, func(r *rand.Rand) vec.Value { return vint(int64(r.IntN(20) - 10)) }},
	{"large ints", Any, func(r *rand.Rand) vec.Value { return vint(int64(r.Uint64()) >> r.IntN(4)) }},
	{"floats", Any, func(r *rand.Rand) vec.Value { return vfloat(anyFloat(r)) }},
	{"datetimes", Any, func(r *rand.Rand) vec.Value { return vtime(int64(r.IntN(1000))) }},
	{"texts", Text, func(r *rand.Rand) vec.Value { return vtext(strconv.Itoa(r.IntN(30))) }},
	{"numbers", Any, func(r *rand.Rand) vec.Value {
		switch r.IntN(5) {
		case 0:
			return vnull()
		case 1:
			return vfloat(anyFloat(r))
		case 2:
			return vfloat(float64(r.IntN(5)) / 2)
		case 3:
			return vbit(r.IntN(2) == 0)
		}
		return vint(int64(r.IntN(7) - 3))
	}},
	{"anything", Any, func(r *rand.Rand) vec.Value {
		switch r.IntN(9) {
		case 0:
			return vec.Value{}
		case 1:
			return vfloat(anyFloat(r))
		case 2:
			return vtext(strconv.Itoa(r.IntN(3)))
		case 3:
			return vtext(string(rune('a' + r.IntN(3))))
		case 4:
			return vtime(int64(r.IntN(3)))
		case 5:
			return vlist(vint(int64(r.IntN(3))))
		case 6:
			return vrec("a", vfloat(float64(r.IntN(3))))
		case 7:
			return vint(int64(r.Uint64()))
		}
		return vint(int64(r.IntN(3)))
	}},
}

// column is values as a column, in one of the forms that a column can have.
func column(r *rand.Rand, vals []vec.Value) *vec.Vec {
	v := vec.Values(vals...)
	if r.IntN(2) == 0 && v.N > 0 && v.KindAt(0) == vec.String && v.Tag == nil {
		d := &vec.Dict{}
		w := vec.Vec{N: v.N, Kind: vec.String, Dict: d}
		for _, s := range v.Str {
			code := uint32(0)
			for int(code) < len(d.Vals) && d.Vals[code] != s {
				code++
			}
			if int(code) == len(d.Vals) {
				d.Vals = append(d.Vals, s)
			}
			w.Code = append(w.Code, code)
		}
		v = w
	}
	if r.IntN(4) == 0 {
		v.Untype()
	}
	return &v
}

// outcome is the result of a slot to the bit, with its error.
func outcome(t testing.TB, a Acc, slot int32) string {
	x, failed := aggResult(t, a, slot)
	return fmt.Sprintf("%d %d %x %q %s", x.Kind, x.Int, math.Float64bits(x.Float), x.Str, failed)
}

// saved is the snapshot of a slot.
func saved(a Acc, slot int32) []byte {
	w := state.NewWriter()
	a.Save(slot, w)
	return w.Bytes()
}

var liveAggs = []string{"COUNT", "SUM", "AVG", "MIN", "MAX", "VAR", "VARP", "STDEV", "STDEVP", "COUNT_DISTINCT",
	"PERCENTILE_CONT", "PERCENTILE_DISC"}

// eachMix runs check for every aggregate over rows of every mix, some rounds.
func eachMix(t *testing.T, rounds int, check func(t *testing.T, r *rand.Rand, agg *Agg, mix rowMix, vals []vec.Value)) {
	for _, name := range liveAggs {
		for _, mix := range rowMixes {
			t.Run(name+" of "+mix.name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(5, 6))
				for range rounds {
					vals := make([]vec.Value, r.IntN(24))
					for j := range vals {
						vals[j] = mix.value(r)
					}
					check(t, r, mustAgg(t, name), mix, vals)
				}
			})
		}
	}
}

// feed adds values in random batches, each to the slot that place gives it.
func feed(r *rand.Rand, add func([]int32, []*vec.Vec), vals []vec.Value, place func() int32) {
	for len(vals) > 0 {
		n := 1 + r.IntN(len(vals))
		slots := make([]int32, n)
		for j := range slots {
			slots[j] = place()
		}
		add(slots, []*vec.Vec{column(r, vals[:n])})
		vals = vals[n:]
	}
}

// TestAggOrder: neither order nor batches nor panes show, to the bit.
func TestAggOrder(t *testing.T) {
	eachMix(t, 60, func(t *testing.T, r *rand.Rand, agg *Agg, mix rowMix, vals []vec.Value) {
		want := outcome(t, aggOver(t, agg.Name, mix.static, vals), 0)
		for range 3 {
			r.Shuffle(len(vals), func(i, j int) { vals[i], vals[j] = vals[j], vals[i] })
			const panes = 4
			a := newAcc(t, agg.Name, mix.static)
			a.Grow(1)
			a.Grow(panes + 1)
			feed(r, a.Add, vals, func() int32 { return int32(r.IntN(panes + 1)) })
			a.Merge([]int32{panes, panes}, []int32{0, 1})
			a.Merge([]int32{3, panes}, []int32{2, 3})
			if got := outcome(t, a, panes); got != want {
				t.Fatalf("%v: got %s, want %s", vals, got, want)
			}
			a.Reset([]int32{0, panes})
			if got, want := outcome(t, a, panes), outcome(t, aggOver(t, agg.Name, mix.static, nil), 0); got != want {
				t.Fatalf("after Reset: got %s, want %s", got, want)
			}
			feed(r, a.Add, vals, func() int32 { return 0 })
			if got := outcome(t, a, 0); got != want {
				t.Fatalf("slot used again for %v: got %s, want %s", vals, got, want)
			}
		}
	})
}

// TestAggInverse: what is taken back leaves no trace in the result.
func TestAggInverse(t *testing.T) {
	eachMix(t, 60, func(t *testing.T, r *rand.Rand, agg *Agg, mix rowMix, vals []vec.Value) {
		a, ok := newAcc(t, agg.Name, mix.static).(Inverse)
		if !ok {
			if agg.Name != "MIN" && agg.Name != "MAX" {
				t.Fatal("no Inverse")
			}
			return
		}
		cut := r.IntN(len(vals) + 1)
		gone, kept := vals[:cut], vals[cut:]
		want := outcome(t, aggOver(t, agg.Name, mix.static, kept), 0)
		slot := func(s int32) func() int32 { return func() int32 { return s } }
		a.Grow(4)
		feed(r, a.Add, vals, slot(0))
		feed(r, a.Remove, gone, slot(0))
		if got := outcome(t, a, 0); got != want {
			t.Fatalf("%v without %v: got %s, want %s", vals, gone, got, want)
		}
		feed(r, a.Add, gone, slot(1))
		a.Merge([]int32{2}, []int32{1})
		feed(r, a.Add, kept, slot(2))
		a.Unmerge([]int32{2}, []int32{1})
		if got := outcome(t, a, 2); got != want {
			t.Fatalf("%v unmerged %v: got %s, want %s", vals, gone, got, want)
		}
		feed(r, a.Remove, kept, slot(2))
		if got, want := string(saved(a, 2)), string(saved(a, 3)); got != want {
			t.Fatalf("an emptied slot is saved as %x, an empty one as %x", got, want)
		}
	})
}

// TestAggSave: a slot that is loaded goes on like the one that was saved.
func TestAggSave(t *testing.T) {
	eachMix(t, 40, func(t *testing.T, r *rand.Rand, agg *Agg, mix rowMix, vals []vec.Value) {
		cut := r.IntN(len(vals) + 1)
		a := aggOver(t, agg.Name, mix.static, vals[:cut])
		b := newAcc(t, agg.Name, mix.static)
		b.Grow(3)
		rd := state.NewReader(saved(a, 0))
		b.Load(2, rd)
		if rd.Err() != nil || rd.Rest() != 0 {
			t.Fatalf("load: %v, %d bytes left", rd.Err(), rd.Rest())
		}
		feed(r, b.Add, vals[cut:], func() int32 { return 2 })
		want := outcome(t, aggOver(t, agg.Name, mix.static, vals), 0)
		if got := outcome(t, b, 2); got != want {
			t.Fatalf("%v: got %s, want %s", vals, got, want)
		}
		if b.Bytes() <= 0 {
			t.Fatal("no bytes")
		}
	})
}

// FuzzAggLoad loads damaged snapshots and then uses the slot.
func FuzzAggLoad(f *testing.F) {
	for n, name := range liveAggs {
		f.Add(uint8(n), saved(aggOver(f, name, Any, []vec.Value{vint(1), vfloat(1e300), vfloat(-1e-300), vint(math.MaxInt64), vint(7)}), 0))
	}
	f.Add(uint8(3), saved(aggOver(f, "MIN", Text, []vec.Value{vtext("a")}), 0))
	f.Add(uint8(9), saved(aggOver(f, "COUNT_DISTINCT", Any, []vec.Value{vtext("a"), vlist(vint(1)), vtext("b")}), 0))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		for _, static := range []Types{Any, Text} {
			a := newAcc(t, liveAggs[int(n)%len(liveAggs)], static)
			a.Grow(2)
			r := state.NewReader(b)
			a.Load(0, r)
			v := vec.Strings("1", "2")
			a.Add([]int32{0, 1}, []*vec.Vec{&v})
			a.Merge([]int32{1}, []int32{0})
			var out vec.Vec
			a.Result(&Call{}, []int32{0, 1}, &out)
			saved(a, 1)
			a.Reset([]int32{0, 1})
		}
	})
}

// TestStatisticsAgainstBig compares means and variances with exact fractions.
func TestStatisticsAgainstBig(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 1500 {
		vals := make([]vec.Value, 2+r.IntN(10))
		sum, squares := new(big.Rat), new(big.Rat)
		for j := range vals {
			x := new(big.Rat)
			if r.IntN(3) == 0 {
				vals[j] = vint(int64(r.Uint64()) >> r.IntN(64))
				x.SetInt64(vals[j].Int)
			} else {
				vals[j] = vfloat(anyFloat(r))
				x.SetFloat64(vals[j].Float)
			}
			sum.Add(sum, x)
			squares.Add(squares, x.Mul(x, x))
		}
		n := new(big.Rat).SetInt64(int64(len(vals)))
		less := new(big.Rat).SetInt64(int64(len(vals)) - 1)
		mean := new(big.Rat).Quo(sum, n)
		spread := new(big.Rat).Sub(squares, mean.Mul(mean, sum))
		f := func(name string, want *big.Rat) {
			t.Helper()
			x, _ := want.Float64()
			got, _ := aggResult(t, aggOver(t, name, Any, vals), 0)
			if math.IsInf(x, 0) && got.Kind == vec.Null {
				return
			}
			if got.Kind != vec.Float || got.Float != x {
				t.Fatalf("%s over %v: got %v, want %v", name, vals, got, x)
			}
		}
		f("AVG", new(big.Rat).Quo(sum, n))
		f("VARP", new(big.Rat).Quo(spread, n))
		f("VAR", new(big.Rat).Quo(spread, less))
		variance := new(big.Rat).Quo(spread, less)
		root := new(big.Float).SetPrec(4000).SetRat(variance)
		want, _ := root.Sqrt(root).Float64()
		got, _ := aggResult(t, aggOver(t, "STDEV", Any, vals), 0)
		if got.Kind != vec.Float && !math.IsInf(want, 0) || got.Float != want && !math.IsInf(want, 0) {
			t.Fatalf("STDEV over %v: got %v, want %v", vals, got, want)
		}
	}
}

// TestDistinctTable drives the hash table against a map.
func TestDistinctTable(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	a := &distinctAcc{}
	const slots = 5
	a.Grow(slots)
	model := [slots]map[int64]int64{}
	for s := range model {
		model[s] = map[int64]int64{}
	}
	for step := range 20000 {
		s, x := int32(r.IntN(slots)), int64(r.IntN(300))
		key := distinctKey{num: uint64(x), kind: vec.Int}
		switch {
		case step%4000 == 3999:
			a.Reset([]int32{s})
			clear(model[s])
		case model[s][x] > 0 && r.IntN(2) == 0:
			a.sub(s, key, 1)
			if model[s][x]--; model[s][x] == 0 {
				delete(model[s], x)
			}
		default:
			a.add(s, key, 1, true)
			model[s][x]++
		}
		if got, want := a.slots[s].n, int64(len(model[s])); got != want {
			t.Fatalf("step %d: slot %d has %d values, want %d", step, s, got, want)
		}
	}
	for s := range model {
		for e := a.slots[s].first; e != 0; e = a.entries[e].next {
			if x := a.entries[e]; model[s][int64(x.num)] != x.n {
				t.Fatalf("slot %d has %d %d times, want %d", s, x.num, x.n, model[s][int64(x.num)])
			}
		}
	}
	a.Reset([]int32{0, 1, 2, 3, 4})
	if a.used != 0 || a.size != 0 {
		t.Errorf("%d entries of %d bytes left", a.used, a.size)
	}
}
