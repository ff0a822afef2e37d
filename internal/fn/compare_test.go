package fn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/vec"
)

// ops are the comparison operators as they are written.
var ops = map[string]CmpOp{"=": Eq, "<>": Ne, "<": Lt, "<=": Le, ">": Gt, ">=": Ge}

func (t Truth) text() string { return [...]string{"false", "true", "unknown"}[t] }

// TestTruth is the table of saql.md 3.2.
func TestTruth(t *testing.T) {
	f := func(a, b, and, or, not Truth) {
		t.Helper()
		for range 2 {
			x := []Truth{a, a}
			And(x, []Truth{b, b})
			y := []Truth{a, a}
			Or(y, []Truth{b, b})
			if x[1] != and || y[1] != or {
				t.Errorf("%s with %s: AND gives %s, OR gives %s", a.text(), b.text(), x[1].text(), y[1].text())
			}
			a, b = b, a
		}
		z := []Truth{a}
		if Not(z); z[0] != not {
			t.Errorf("NOT %s gives %s", a.text(), z[0].text())
		}
	}
	f(True, True, True, True, False)
	f(True, False, False, True, False)
	f(True, Unknown, Unknown, True, False)
	f(False, False, False, False, True)
	f(False, Unknown, False, Unknown, True)
	f(Unknown, Unknown, Unknown, Unknown, Unknown)
}

// TestCompareValues is the table of saql.md 3.6. The letters of want are the results of
// = <> < <= > >=: t, f or u.
func TestCompareValues(t *testing.T) {
	f := func(a, b, want string) {
		t.Helper()
		x, y := operandOf(t, a), operandOf(t, b)
		var got strings.Builder
		for op := Eq; op <= Ge; op++ {
			got.WriteByte(CompareValues(op, x, y).text()[0])
		}
		if got.String() != want {
			t.Errorf("%s with %s: got %s, want %s", a, b, &got, want)
		}
	}
	const less, equal, greater, unknown = "ftttff", "tfftft", "ftfftt", "uuuuuu"
	f("1", "2", less)
	f("2", "2", equal)
	f("2.5", "2", greater)
	f("2", "2.0", equal)
	f("true", "1", equal)
	f("false", "0.5", less)
	f("9007199254740993", "9007199254740992.0", greater)
	f(`"abc"`, `"abd"`, less)
	f(`"B"`, `"a"`, less)
	f(`"a "`, `"a"`, greater)
	f("@2024-01-01", "@2024-01-02", less)
	f(`"10"`, "9", greater)
	f("10.5", `" 10.50 "`, equal)
	f(`"ten"`, "10", unknown)
	f(`"TRUE"`, "true", equal)
	f("false", `"1"`, less)
	f(`"yes"`, "true", unknown)
	f(`"2024-01-01 10:00"`, "@2024-01-01T10:00:00Z", equal)
	f(`"soon"`, "@2024-01-01", unknown)
	f("@2024-01-01", "1", unknown)
	f(`{"a":1,"b":[null]}`, `{"b":[null],"a":1.0}`, "tfuuuu")
	f(`{"a":1}`, `{"a":2}`, "ftuuuu")
	f(`{"a":1}`, `{"A":1}`, "ftuuuu")
	f("[1,2]", "[1,2]", "tfuuuu")
	f("[1,2]", "[2,1]", "ftuuuu")
	f("[]", "{}", unknown)
	f("[]", `"[]"`, unknown)
	f("{}", "1", unknown)
	f("null", "1", unknown)
	f("null", "null", unknown)
	f("missing", `"a"`, unknown)
	f("null", "{}", unknown)
}

// TestCompareColumns: every form of columns and constants gives what the rows give one by
// one.
func TestCompareColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	dicts := []*vec.Dict{{}, {}, {}, {}, {}, {}}
	for range 6000 {
		n := r.IntN(12)
		dict := dicts[r.IntN(2)]
		a, b := operandColumn(r, n, dict), operandColumn(r, n, dict)
		op := CmpOp(r.IntN(6))
		out := make([]Truth, n)
		for i := range out {
			out[i] = Truth(r.IntN(3))
		}
		Compare(op, out, a, b, n)
		for i := range out {
			if want := CompareValues(op, a.At(i), b.At(i)); out[i] != want {
				t.Fatalf("op %d, %s: got %s, want %s", op, showRow(i, a, b), out[i].text(), want.text())
			}
		}
	}
	for range 500 {
		op := CmpOp(r.IntN(6))
		k := randomOperand(r, vec.Kind(r.IntN(vec.NumKinds)))
		cache := &DictCache{}
		if r.IntN(3) == 0 {
			cache = nil
		}
		for range 12 {
			n := r.IntN(12)
			a := operandColumn(r, n, dicts[r.IntN(len(dicts))])
			out := make([]Truth, n)
			CompareConst(op, out, a, k, cache, n)
			for i := range out {
				if want := CompareValues(op, a.At(i), k); out[i] != want {
					t.Fatalf("op %d, %s with %v: got %s, want %s", op, showRow(i, a), k, out[i].text(), want.text())
				}
			}
		}
	}
}

// TestDictCache: an entry is evaluated once for each dictionary, also when the dictionary
// grows and when several take turns.
func TestDictCache(t *testing.T) {
	var c DictCache
	calls := 0
	eval := func(s string) Truth {
		calls++
		return truthOf(s == "b")
	}
	dicts := make([]*vec.Dict, dictCacheSlots+1)
	for i := range dicts {
		dicts[i] = &vec.Dict{Vals: []string{"a", "b"}}
	}
	for range 5 {
		for _, d := range dicts[:dictCacheSlots] {
			if got := c.of(d, eval); len(got) != 2 || got[0] != False || got[1] != True {
				t.Fatalf("got %v", got)
			}
		}
	}
	if calls != 2*dictCacheSlots {
		t.Errorf("%d evaluations, want %d", calls, 2*dictCacheSlots)
	}
	dicts[0].Vals = append(dicts[0].Vals, "b")
	if got := c.of(dicts[0], eval); got[2] != True || calls != 2*dictCacheSlots+1 {
		t.Errorf("after growth: %v, %d evaluations", got, calls)
	}
	if got := c.of(dicts[dictCacheSlots], eval); len(got) != 2 || got[1] != True {
		t.Errorf("one more dictionary: %v", got)
	}
	if got := c.of(dicts[0], eval); len(got) != 3 || got[2] != True {
		t.Errorf("a dictionary that was left out: %v", got)
	}
}

func compareBenchColumns() map[string]*vec.Vec {
	const n = 2048
	cols := benchColumns2()
	texts := new(vec.Vec).Fixed(vec.String, n)
	d := &vec.Dict{}
	for i := range n {
		texts.Str[i] = fmt.Sprintf("Team%02d", i%100)
		if i < 100 {
			d.Vals = append(d.Vals, texts.Str[i])
		}
	}
	codes := &vec.Vec{N: n, Kind: vec.String, Dict: d, Code: make([]uint32, n)}
	sparse := new(vec.Vec).Tagged(n)
	sparse.Dict = d
	sparse.Lane(vec.String)
	for i := range n {
		codes.Code[i] = uint32(i % 100)
		if i%10 > 0 {
			sparse.Tag[i], sparse.Code[i] = vec.String, uint32(i%100)
		}
	}
	return map[string]*vec.Vec{
		"ints": cols["ints"][0], "floats": cols["floats"][0], "tagged": cols["tagged"][0], "texts": texts, "codes": codes, "sparse codes": sparse,
	}
}

// compareBenchConst is a constant that suits a column.
func compareBenchConst(name string) vec.Value {
	switch name {
	case "ints", "tagged":
		return vec.IntValue(404)
	case "floats":
		return vec.FloatValue(20)
	}
	return vec.StringValue("Team07")
}

func TestCompareAllocates(t *testing.T) {
	for name, a := range compareBenchColumns() {
		out := make([]Truth, a.N)
		var cache DictCache
		k := compareBenchConst(name)
		CompareConst(Lt, out, a, k, &cache, a.N)
		if got := testing.AllocsPerRun(5, func() { CompareConst(Lt, out, a, k, &cache, a.N) }); got != 0 {
			t.Errorf("%s with a constant: %v allocations", name, got)
		}
		if got := testing.AllocsPerRun(5, func() { Compare(Eq, out, a, a, a.N) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkCompare(b *testing.B) {
	for name, a := range compareBenchColumns() {
		out := make([]Truth, a.N)
		run := func(name string, f func()) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for range b.N {
					f()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*a.N), "ns/row")
			})
		}
		var cache DictCache
		k := compareBenchConst(name)
		run(name+" = constant", func() { CompareConst(Eq, out, a, k, &cache, a.N) })
		run(name+" = column", func() { Compare(Eq, out, a, a, a.N) })
	}
	x, y := make([]Truth, 2048), make([]Truth, 2048)
	b.Run("AND", func(b *testing.B) {
		for range b.N {
			And(x, y)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(x)), "ns/row")
	})
}

// TestCompareConstLimits: constants that the type of the column cannot hold.
func TestCompareConstLimits(t *testing.T) {
	ints := vec.Ints(math.MinInt64, -1, 0, 1, 1<<53, 1<<53+1, math.MaxInt64)
	floats := vec.Floats(-1<<63, -1e300, -0.5, 0, 1<<53, 1<<53+2, 1<<63, 1e300, math.MaxFloat64)
	var consts []vec.Value
	for i := range ints.N {
		consts = append(consts, ints.At(i), vec.IntValue(ints.Int[i]^1))
	}
	for i := range floats.N {
		consts = append(consts, floats.At(i), vec.FloatValue(floats.Float[i]+0.5))
	}
	for _, k := range append(consts, vec.BitValue(true), vec.BitValue(false)) {
		for _, col := range []*vec.Vec{&ints, &floats} {
			for name, op := range ops {
				out := make([]Truth, col.N)
				CompareConst(op, out, col, k, nil, col.N)
				for i := range out {
					if want := CompareValues(op, col.At(i), k); out[i] != want {
						t.Errorf("%v %s %v = %s, want %s", col.At(i), name, k, out[i].text(), want.text())
					}
				}
			}
		}
	}
}
