package vec

import (
	"bytes"
	"cmp"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// at is the datetime of a text.
func at(s string) Value {
	t, ok := ParseTime(s)
	if !ok {
		panic("no time: " + s)
	}
	return TimeValue(t)
}

func TestCompare(t *testing.T) {
	const unknown = 99
	f := func(a, b Value, want int) {
		t.Helper()
		for range 2 {
			c, ok := Compare(a, b)
			if !ok {
				c = unknown
			}
			if c != want {
				t.Errorf("%v %v with %v %v: got %d, want %d", a.Kind, a, b.Kind, b, c, want)
			}
			a, b = b, a
			if want != unknown {
				want = -want
			}
		}
	}
	i, x, s := IntValue, FloatValue, StringValue
	no, yes := BitValue(false), BitValue(true)
	// number with number
	f(i(1), i(2), -1)
	f(i(2), i(2), 0)
	f(i(1), x(1), 0)
	f(i(1), x(1.5), -1)
	f(i(-1), x(-1.5), 1)
	f(i(0), x(math.Copysign(0, -1)), 0)
	f(x(0), x(math.Copysign(0, -1)), 0)
	f(i(0), x(5e-324), -1)
	f(yes, i(1), 0)
	f(yes, i(2), -1)
	f(no, x(0), 0)
	f(no, yes, -1)
	f(i(9007199254740993), x(9007199254740992), 1)
	f(i(9007199254740992), x(9007199254740992), 0)
	f(i(math.MaxInt64), x(9223372036854775808), -1)
	f(i(math.MinInt64), x(-9223372036854775808), 0)
	f(i(math.MinInt64), x(-9223372036854777856), 1)
	f(i(math.MaxInt64), x(1e300), -1)
	f(i(math.MaxInt64), x(-1e300), 1)
	// text with text: by code point, with case, no trimming
	f(s("a"), s("b"), -1)
	f(s("A"), s("a"), -1)
	f(s("a"), s("a "), -1)
	f(s(""), s("a"), -1)
	f(s("é"), s("e"), 1)
	f(s("\uffff"), s("𝄞"), -1)
	// datetime with datetime
	f(at("2024-01-01"), at("2024-01-01T00:00:00.0000001"), -1)
	f(at("2024-01-01T01:00:00+01:00"), at("2024-01-01"), 0)
	// text with number
	f(s(" 12 "), i(12), 0)
	f(s("12.5"), i(12), 1)
	f(s("9007199254740993"), i(9007199254740993), 0)
	f(s("1e1"), x(10), 0)
	f(s("9223372036854775808"), i(math.MaxInt64), 1)
	f(s("abc"), i(1), unknown)
	f(s(""), x(0), unknown)
	f(s("true"), i(1), unknown)
	// text with bit
	f(s("TRUE"), yes, 0)
	f(s("false"), yes, -1)
	f(s("1"), yes, 0)
	f(s("0"), yes, -1)
	f(s("2"), yes, unknown)
	f(s("1.0"), yes, unknown)
	// text with datetime
	f(s("2024-01-01"), at("2024-01-01"), 0)
	f(s("2024-01-02 10:00"), at("2024-01-01"), 1)
	f(s("soon"), at("2024-01-01"), unknown)
	// the rest
	f(at("2024-01-01"), i(1), unknown)
	f(at("2024-01-01"), x(1), unknown)
	f(at("2024-01-01"), yes, unknown)
	f(NullValue(), i(1), unknown)
	f(NullValue(), NullValue(), unknown)
	f(Value{}, s("x"), unknown)
	f(rec(), rec(), unknown)
	f(arr(), arr(), unknown)
	f(arr(), rec(), unknown)
	f(s("{}"), rec(), unknown)
	f(i(1), arr(i(1)), unknown)
}

// TestCompareIntFloat compares with exact arithmetic near the limits of both types.
func TestCompareIntFloat(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 50000 {
		i := int64(r.Uint64()) >> r.IntN(64)
		f := float64(i)
		switch r.IntN(4) {
		case 0:
			f = math.Nextafter(f, math.Inf(1))
		case 1:
			f = math.Nextafter(f, math.Inf(-1))
		case 2:
			f = r.NormFloat64() * math.Pow(2, float64(r.IntN(70)))
		}
		want := new(big.Float).SetInt64(i).Cmp(big.NewFloat(f))
		if got := CompareIntFloat(i, f); got != want {
			t.Fatalf("CompareIntFloat(%d, %v) = %d, want %d", i, f, got, want)
		}
	}
}

func TestEqual(t *testing.T) {
	f := func(a, b Value, equal, key bool) {
		t.Helper()
		for range 2 {
			if got := Equal(a, b); got != equal {
				t.Errorf("Equal(%v, %v) = %v", a, b, got)
			}
			if got := KeyEqual(a, b); got != key {
				t.Errorf("KeyEqual(%v, %v) = %v", a, b, got)
			}
			if got := bytes.Equal(AppendKey(nil, a), AppendKey(nil, b)); got != key {
				t.Errorf("equal keys of %v and %v: %v", a, b, got)
			}
			a, b = b, a
		}
	}
	i, x, s, null := IntValue, FloatValue, StringValue, NullValue()
	f(i(1), i(1), true, true)
	f(i(1), x(1), true, true)
	f(i(1), BitValue(true), true, true)
	f(x(0), BitValue(false), true, true)
	f(x(0), x(math.Copysign(0, -1)), true, true)
	f(i(0), x(math.Copysign(0, -1)), true, true)
	f(i(9007199254740993), x(9007199254740992), false, false)
	f(i(9007199254740992), x(9007199254740992), true, true)
	f(i(math.MaxInt64), x(9223372036854775808), false, false)
	f(i(math.MinInt64), x(-9223372036854775808), true, true)
	f(x(1e300), x(1e300), true, true)
	f(x(1.5), x(1.5), true, true)
	f(x(1.5), i(1), false, false)
	f(s("a"), s("a"), true, true)
	f(s("a"), s("A"), false, false)
	f(s("1"), i(1), true, false)
	f(s("true"), BitValue(true), true, false)
	f(s("2024-01-01"), at("2024-01-01"), true, false)
	f(at("2024-01-01"), at("2024-01-01"), true, true)
	f(TimeValue(1), i(1), false, false)
	f(null, null, true, true)
	f(null, Value{}, true, true)
	f(null, i(0), false, false)
	f(null, s(""), false, false)
	f(rec(), rec(), true, true)
	f(rec(), arr(), false, false)
	f(arr(), null, false, false)
	f(arr(i(1), null), arr(x(1), Value{}), true, true)
	f(arr(i(1)), arr(i(1), null), false, false)
	f(arr(i(1), i(2)), arr(i(2), i(1)), false, false)
	f(arr(arr(), arr()), arr(arr(arr())), false, false)
	f(arr(s("ab"), s("c")), arr(s("a"), s("bc")), false, false)
	f(arr(s("1")), arr(i(1)), true, false)
	f(arr(s("x")), arr(i(1)), false, false)
	f(rec("a", i(1), "b", s("x")), rec("b", s("x"), "a", x(1)), true, true)
	f(rec("a", i(1)), rec("A", i(1)), false, false)
	f(rec("a", i(1)), rec("a", i(2)), false, false)
	f(rec("a", i(1), "b", i(2)), rec("a", i(1), "c", i(2)), false, false)
	f(rec("a", i(1), "b", i(2)), rec("b", i(1), "a", i(2)), false, false)
	f(rec("a", null), rec(), false, false)
	f(rec("a", null), rec("a", null), true, true)
	f(rec("a", rec("b", arr(i(1)))), rec("a", rec("b", arr(x(1)))), true, true)
}

// TestEqualWide checks that wide records in another order do not cost the square of
// their width: this test would not end.
func TestEqualWide(t *testing.T) {
	a, b := &Rec{}, &Rec{}
	for i := range 200000 {
		a.Names = append(a.Names, IntValue(int64(i)).String())
		a.Vals = append(a.Vals, IntValue(int64(i)))
	}
	for i := range a.Names {
		b.Names = append(b.Names, a.Names[len(a.Names)-1-i])
		b.Vals = append(b.Vals, a.Vals[len(a.Names)-1-i])
	}
	if !Equal(RecordValue(a), RecordValue(b)) {
		t.Error("equal records are not")
	}
}

// randomValue is a value in which equal ones are likely.
func randomValue(r *rand.Rand, depth int) Value {
	kinds := int(NumKinds)
	if depth == 0 {
		kinds = int(Record)
	}
	k := Kind(r.IntN(kinds))
	big := []int64{0, 1, -1, 2, math.MaxInt64, math.MinInt64, 1 << 53, 1<<53 + 1, 1<<53 - 1}
	switch k {
	case Bit:
		return BitValue(r.IntN(2) == 0)
	case Int:
		return IntValue(big[r.IntN(len(big))])
	case Float:
		f := float64(big[r.IntN(len(big))])
		if r.IntN(4) == 0 {
			f += 0.5
		}
		return FloatValue(f * []float64{1, 1, 1, 2, math.Copysign(0, -1)}[r.IntN(5)])
	case String:
		return StringValue([]string{"", "a", "ab", "1", "1.0", "true", "\x00"}[r.IntN(7)])
	case Datetime:
		return TimeValue(Time(r.IntN(3)))
	case Record:
		v := rec()
		for _, n := range r.Perm(3)[:r.IntN(4)] {
			v.Rec.Names = append(v.Rec.Names, []string{"a", "b", "ab"}[n])
			v.Rec.Vals = append(v.Rec.Vals, randomValue(r, depth-1))
		}
		return v
	case Array:
		v := arr()
		for range r.IntN(3) {
			v.Rec.Vals = append(v.Rec.Vals, randomValue(r, depth-1))
		}
		return v
	}
	return Value{Kind: k}
}

func TestAppendKeyIsKeyEqual(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	equal := 0
	for range 300000 {
		a, b := randomValue(r, 2), randomValue(r, 2)
		ka, kb := AppendKey(nil, a), AppendKey(nil, b)
		want := KeyEqual(a, b)
		if want != KeyEqual(b, a) || !KeyEqual(a, a) {
			t.Fatalf("KeyEqual of %v and %v is not an equivalence", a, b)
		}
		if bytes.Equal(ka, kb) != want {
			t.Fatalf("%v %v and %v %v: keys %x and %x, KeyEqual %v", a.Kind, a, b.Kind, b, ka, kb, want)
		}
		if !want && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
			t.Fatalf("the key %x of %v starts with the key %x of %v", ka, a, kb, b)
		}
		if want {
			equal++
		}
	}
	if equal < 1000 {
		t.Errorf("only %d pairs were equal", equal)
	}
}

func TestAppendKeyRow(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	var v Vec
	var vals []Value
	for range 500 {
		x := randomValue(r, 1)
		vals = append(vals, x)
		v.Append(x)
	}
	for i, x := range vals {
		if got := AppendKeyRow(nil, &v, i); !bytes.Equal(got, AppendKey(nil, x)) {
			t.Fatalf("row %d, %v: %x", i, x, got)
		}
	}
	d := Vec{N: 2, Kind: String, Code: []uint32{1, 0}, Dict: &Dict{Vals: []string{"a", "b"}}}
	if got := AppendKeyRow(nil, &d, 0); !bytes.Equal(got, AppendKey(nil, StringValue("b"))) {
		t.Errorf("key of a dictionary row: %x", got)
	}
}

func TestRecGet(t *testing.T) {
	v := rec("Abc", IntValue(1), "abc", IntValue(2), "Straße", IntValue(3), "\u212a", IntValue(4)) // Kelvin sign
	f := func(name string, want int64) {
		t.Helper()
		got, ok := v.Rec.Get(name)
		if !ok || got.Int != want {
			t.Errorf("Get(%q) = %v, %v, want %d", name, got, ok, want)
		}
	}
	f("Abc", 1)
	f("abc", 2)
	f("ABC", 1)
	f("STRAßE", 3)
	f("k", 4)
	for _, name := range []string{"", "ab", "abcd", "STRASSE"} {
		if got, ok := v.Rec.Get(name); ok {
			t.Errorf("Get(%q) = %v, want none", name, got)
		}
	}
}

func TestCompareIsAnOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	num := func() Value {
		for {
			if v := randomValue(r, 0); v.Kind.IsNumber() {
				return v
			}
		}
	}
	for range 50000 {
		a, b, c := num(), num(), num()
		ab, _ := Compare(a, b)
		bc, _ := Compare(b, c)
		ac, _ := Compare(a, c)
		if ab <= 0 && bc <= 0 && (ac > 0 || ac != cmp.Compare(ab+bc, 0)) {
			t.Fatalf("%v, %v, %v compare as %d, %d, %d", a, b, c, ab, bc, ac)
		}
	}
}
