package fn

import (
	"math"
	"strings"
	"testing"

	"weir/internal/vec"
)

// mustAgg is the aggregate of that name.
func mustAgg(t testing.TB, name string) *Agg {
	t.Helper()
	a, ok := LookupAgg(name)
	if !ok {
		t.Fatalf("no aggregate %s", name)
	}
	return a
}

// newAcc is an accumulator of a call over one column.
func newAcc(t testing.TB, name string, static Types) Acc {
	t.Helper()
	a := mustAgg(t, name)
	s := AggSpec{Args: []Types{static}}
	if a.Ordered {
		s.Desc, s.Const = []bool{false}, vec.FloatValue(0.3)
	}
	return a.New(s)
}

// aggResult is the result of a slot and what went wrong there.
func aggResult(t testing.TB, a Acc, slot int32) (vec.Value, string) {
	t.Helper()
	var out vec.Vec
	failed := ""
	c := &Call{OnError: func(row int, message string) { failed = message }}
	a.Result(c, []int32{slot}, &out)
	if err := out.Check(); err != nil || out.N != 1 {
		t.Fatalf("result of %d rows: %v", out.N, err)
	}
	return out.At(0), failed
}

// aggOver feeds values to a new accumulator, in one batch.
func aggOver(t testing.TB, name string, static Types, vals []vec.Value) Acc {
	t.Helper()
	a := newAcc(t, name, static)
	a.Grow(1)
	v := vec.Values(vals...)
	a.Add(make([]int32, v.N), []*vec.Vec{&v})
	return a
}

func vnull() vec.Value               { return vec.NullValue() }
func vint(x int64) vec.Value         { return vec.IntValue(x) }
func vfloat(x float64) vec.Value     { return vec.FloatValue(x) }
func vtext(s string) vec.Value       { return vec.StringValue(s) }
func vbit(b bool) vec.Value          { return vec.BitValue(b) }
func vtime(x int64) vec.Value        { return vec.TimeValue(vec.Time(x)) }
func vlist(x ...vec.Value) vec.Value { return vec.ArrayValue(&vec.Rec{Vals: x}) }
func vrec(name string, x vec.Value) vec.Value {
	return vec.RecordValue(&vec.Rec{Names: []string{name}, Vals: []vec.Value{x}})
}

func TestAggregates(t *testing.T) {
	static := Any
	f := func(name, want, fails string, vals ...vec.Value) {
		t.Helper()
		got, failed := aggResult(t, aggOver(t, name, static, vals), 0)
		if got.Kind == vec.Missing {
			t.Errorf("%s over %v: missing", name, vals)
		}
		if got.String() != want || failed != fails {
			t.Errorf("%s over %v: got %v %q, want %s %q", name, vals, got, failed, want, fails)
		}
	}
	f("COUNT", "2", "", vint(1), vnull(), vint(1))
	f("COUNT", "4", "", vtext(""), vlist(), vrec("a", vnull()), vbit(false), vec.Value{})
	f("COUNT", "0", "", vnull())

	f("SUM", "3.5", "", vint(1), vfloat(2.5))
	f("SUM", "3", "", vint(1), vnull(), vint(2))
	f("SUM", "null", "", vnull())
	f("SUM", "null", "")
	f("SUM", "2", "", vbit(true), vbit(false), vbit(true))
	f("SUM", "3", "", vbit(true), vint(2))
	f("SUM", "2.0", "", vfloat(1), vfloat(1))
	f("SUM", "0.0", "", vfloat(math.Copysign(0, -1)))
	f("SUM", "12.0", "", vtext(" 12 "))
	f("SUM", "3.0", "", vtext("1"), vint(2))
	f("SUM", "9223372036854775807", "", vint(math.MaxInt64), vint(0))
	f("SUM", "null", "bigint overflow", vint(math.MaxInt64), vint(1))
	f("SUM", "null", "bigint overflow", vint(math.MinInt64), vint(-1))
	f("SUM", "9223372036854775806", "", vint(math.MaxInt64), vint(math.MaxInt64), vint(-math.MaxInt64), vint(-1))
	f("SUM", "-9223372036854775808", "", vint(math.MinInt64), vint(math.MinInt64), vint(math.MaxInt64), vint(1))
	f("SUM", "1.8446744073709552e+19", "", vint(math.MaxInt64), vint(math.MaxInt64), vfloat(2))
	f("SUM", "1.0", "", vint(math.MaxInt64), vint(1), vfloat(-0x1p63), vfloat(1))
	f("SUM", "null", "", vfloat(math.MaxFloat64), vfloat(math.MaxFloat64))
	f("SUM", "3", "argument 1 of SUM has type nvarchar(max); bigint or float wanted", vint(1), vtext("x"), vint(2))
	f("SUM", "null", "argument 1 of SUM has type datetime; bigint or float wanted", vtime(1))
	f("SUM", "1", "argument 1 of SUM has type record; bigint or float wanted", vrec("a", vint(1)), vint(1))
	f("SUM", "1", "argument 1 of SUM has type array; bigint or float wanted", vlist(), vint(1))
	f("SUM", "null", "argument 1 of SUM has type nvarchar(max); bigint or float wanted", vtext("NaN"))
	f("SUM", "null", "argument 1 of SUM has type nvarchar(max); bigint or float wanted", vtime(1), vlist(), vtext(""))

	f("AVG", "1.5", "", vint(1), vint(2))
	f("AVG", "2.0", "", vint(1), vnull(), vint(3))
	f("AVG", "null", "", vnull())
	f("AVG", "2.5", "", vfloat(1), vfloat(4))
	f("AVG", "2.0", "", vtext("1"), vfloat(2), vint(3))
	f("AVG", "9.223372036854776e+18", "", vint(math.MaxInt64), vint(math.MaxInt64), vint(math.MaxInt64))
	f("AVG", "1e+308", "", vfloat(1e308), vfloat(1e308))
	f("AVG", "0.0", "", vfloat(math.MaxFloat64), vfloat(-math.MaxFloat64))
	f("AVG", "0.3333333333333333", "", vint(1), vint(0), vint(0))
	f("AVG", "-0.3333333333333333", "", vfloat(-1), vint(0), vint(0))
	f("AVG", "1.0", "argument 1 of AVG has type nvarchar(max); bigint or float wanted", vtext("x"), vint(1))

	f("VAR", "2.0", "", vint(1), vint(3))
	f("VAR", "null", "", vint(7))
	f("VAR", "null", "")
	f("VAR", "4.571428571428571", "", vint(2), vint(4), vint(4), vint(4), vint(5), vint(5), vint(7), vint(9))
	f("VARP", "4.0", "", vfloat(2), vint(4), vint(4), vtext("4"), vint(5), vint(5), vnull(), vint(7), vint(9))
	f("VARP", "1.0", "", vint(1), vint(3))
	f("VARP", "0.0", "", vfloat(7.1))
	f("VARP", "0.0", "", vfloat(0.1), vfloat(0.1), vfloat(0.1))
	f("VARP", "null", "", vnull())
	f("STDEV", "null", "", vint(7))
	f("STDEV", "2.138089935299395", "", vint(2), vint(4), vint(4), vint(4), vint(5), vint(5), vint(7), vint(9))
	f("STDEVP", "2.0", "", vint(2), vint(4), vint(4), vint(4), vint(5), vint(5), vint(7), vint(9))
	f("VAR", "0.5", "", vint(1<<53), vint(1<<53+1)) // as floats they are equal
	f("VAR", "1.0", "", vfloat(1e15), vfloat(1e15+1), vfloat(1e15+2))
	f("VARP", "null", "", vfloat(1e200), vfloat(-1e200))
	f("STDEVP", "1e+200", "", vfloat(1e200), vfloat(-1e200))
	f("VARP", "0.0", "", vfloat(1e-200), vfloat(-1e-200))
	f("STDEVP", "1e-200", "", vfloat(1e-200), vfloat(-1e-200))
	f("VAR", "0.0", "argument 1 of VAR has type datetime; bigint or float wanted", vtime(1), vint(1), vint(1))

	f("MIN", "-3", "", vint(5), vint(-3), vnull(), vfloat(2.5))
	f("MAX", "5", "", vint(5), vint(-3), vnull(), vfloat(2.5))
	f("MAX", "5.5", "", vint(5), vfloat(5.5), vbit(true))
	f("MIN", "false", "", vbit(true), vbit(false))
	f("MAX", "true", "", vbit(true), vbit(false))
	f("MIN", "null", "", vnull(), vnull())
	f("MIN", "5.0", "", vtext("9"), vtext("10"), vtext("5"))
	f("MAX", "10.0", "", vtext("9"), vtext("10"), vtext("5"))
	f("MIN", "1", "", vfloat(1), vbit(true), vint(1)) // equal: bigint, then float, then bit
	f("MAX", "1", "", vbit(true), vfloat(1), vint(1))
	f("MAX", "1.0", "", vbit(true), vfloat(1))
	f("MAX", "0", "", vfloat(math.Copysign(0, -1)), vfloat(0), vint(0))
	f("MAX", "9007199254740993", "", vint(1<<53+1), vfloat(1<<53)) // no rounding of the bigint
	f("MIN", "9.007199254740992e+15", "", vint(1<<53+1), vfloat(1<<53))
	f("MAX", "9223372036854775807", "", vint(math.MaxInt64), vint(math.MinInt64))
	f("MIN", "-9223372036854775808", "", vint(math.MaxInt64), vint(math.MinInt64))
	f("MAX", "9.223372036854776e+18", "", vint(math.MaxInt64), vfloat(0x1p63))
	f("MIN", `"0001-01-01T00:00:00.0000000Z"`, "", vtime(0), vtime(1))
	f("MAX", `"0001-01-01T00:00:00.0000001Z"`, "", vtime(0), vnull(), vtime(1))
	f("MAX", "null", "argument 1 of MAX mixes datetime with numbers", vtime(0), vint(1))
	f("MIN", "null", "argument 1 of MIN mixes datetime with numbers", vfloat(1), vtime(0), vfloat(2))
	f("MIN", "1", "argument 1 of MIN has type nvarchar(max); bigint or float wanted", vint(1), vtext("b"))
	f("MIN", "1", "argument 1 of MIN has type record; bit, bigint, float, datetime or nvarchar(max) wanted", vint(1), vrec("a", vint(0)))

	f("COUNT_DISTINCT", "1", "", vint(1), vnull(), vint(1))
	f("COUNT_DISTINCT", "1", "", vint(1), vfloat(1), vbit(true))
	f("COUNT_DISTINCT", "1", "", vfloat(0), vfloat(math.Copysign(0, -1)), vint(0), vbit(false))
	f("COUNT_DISTINCT", "2", "", vint(1), vtext("1"), vtext("1"))
	f("COUNT_DISTINCT", "3", "", vtime(1), vint(1), vfloat(1.5))
	f("COUNT_DISTINCT", "2", "", vint(1<<53+1), vfloat(1<<53))
	f("COUNT_DISTINCT", "2", "", vtext("a"), vtext("A"))
	f("COUNT_DISTINCT", "2", "", vrec("a", vint(1)), vrec("a", vfloat(1)), vrec("b", vint(1)))
	f("COUNT_DISTINCT", "3", "", vlist(), vlist(vnull()), vlist(vint(1)), vlist(vint(1)))
	f("COUNT_DISTINCT", "0", "", vnull())

	static = Text | Null // text by CAST: text order
	f("MIN", `"10"`, "", vtext("b"), vtext("10"))
	f("MAX", `"b"`, "", vtext("b"), vnull(), vtext("10"))
	f("MAX", `"a"`, "", vtext(""), vtext("a"), vtext("B"))
	f("MIN", `""`, "", vtext("a"), vtext(""))
	f("MAX", "\"\U0001F600\"", "", vtext("\uffff"), vtext("\U0001F600"))
	f("MIN", "null", "", vnull())
	f("SUM", "3.0", "", vtext("1"), vtext("2"))
}

// TestNegativeZero: -0.0 is a value that equals zero and is less in MIN and MAX only.
func TestNegativeZero(t *testing.T) {
	zero := math.Copysign(0, -1)
	f := func(name string, negative bool, vals ...vec.Value) {
		t.Helper()
		got, _ := aggResult(t, aggOver(t, name, Any, vals), 0)
		if got.Kind != vec.Float || got.Float != 0 || math.Signbit(got.Float) != negative {
			t.Errorf("%s: got %v of kind %v, signbit %v", name, got, got.Kind, math.Signbit(got.Float))
		}
	}
	f("MIN", true, vfloat(0), vfloat(zero))
	f("MIN", true, vfloat(zero), vfloat(0))
	f("MAX", false, vfloat(0), vfloat(zero))
	f("MAX", false, vfloat(zero), vfloat(0))
	f("MAX", true, vfloat(zero), vfloat(-1))
	f("SUM", false, vfloat(zero))
}

func TestCountOfRows(t *testing.T) {
	a := mustAgg(t, "count").New(AggSpec{}).(Inverse)
	a.Grow(3)
	a.Add([]int32{0, 2, 2, 2}, nil)
	a.Remove([]int32{2}, nil)
	for s, want := range []string{"1", "0", "2"} {
		if got, _ := aggResult(t, a, int32(s)); got.String() != want {
			t.Errorf("slot %d: got %v, want %s", s, got, want)
		}
	}
}

// TestAggExamples evaluates the examples of the manual, "SUM(v) over 1, 2.5".
func TestAggExamples(t *testing.T) {
	for _, a := range Aggs() {
		if !strings.HasPrefix(a.Doc.Summary, a.Name) || a.Doc.Section == "" {
			t.Errorf("%s: summary %q of section %q", a.Name, a.Doc.Summary, a.Doc.Section)
		}
		if len(a.Doc.Examples) == 0 {
			t.Errorf("%s has no example", a.Name)
		}
		for _, e := range a.Doc.Examples {
			call, over, ok := strings.Cut(e.In, " over ")
			static, spec := []Types{Any}, AggSpec{}
			want := map[string]string{
				"COUNT": "COUNT(v)", "COUNT_DISTINCT": "COUNT(DISTINCT v)", "TopOne": "TopOne(v) OVER (ORDER BY v)",
				"CollectTop": "CollectTop(#, v) OVER (ORDER BY v)", "PERCENTILE_CONT": "PERCENTILE_CONT(#) OVER (ORDER BY v)",
				"PERCENTILE_DISC": "PERCENTILE_DISC(#) OVER (ORDER BY v)",
			}[a.Name]
			if want == "" {
				want = a.Name + "(v)"
			}
			given := call
			if strings.Contains(call, "*") {
				static, given = nil, strings.Replace(call, "*", "v", 1)
			}
			if strings.Contains(call, "CAST") {
				static, given = []Types{Text}, strings.Replace(call, "CAST(v AS nvarchar(max))", "v", 1)
			}
			if a.Ordered {
				spec.Desc = []bool{strings.Contains(call, " DESC)")}
				given = strings.Replace(given, " DESC)", ")", 1)
			}
			if a.Literal {
				_, literal, _ := strings.Cut(call, "(")
				literal = literal[:strings.IndexAny(literal, ",)")]
				spec.Const = aggLiteral(t, literal)
				given = strings.Replace(given, literal, "#", 1)
			}
			if !ok || given != want {
				t.Errorf("%s: cannot read example %q", a.Name, e.In)
				continue
			}
			var vals []vec.Value
			for _, lit := range strings.Split(over, ", ") {
				vals = append(vals, aggLiteral(t, lit))
			}
			v := vec.Values(vals...)
			cols := []*vec.Vec{&v}[:len(static)]
			if a.Ordered && a.InOrder { // a value and a key
				static, cols = []Types{Any, Any}, []*vec.Vec{&v, &v}
			}
			spec.Args = static
			acc := a.New(spec)
			acc.Grow(1)
			acc.Add(make([]int32, v.N), cols)
			if got, failed := aggResult(t, acc, 0); got.String() != e.Want || failed != "" {
				t.Errorf("%s: got %v %s, want %s", e.In, got, failed, e.Want)
			}
		}
	}
}

// aggLiteral reads NULL, a text in quotes, or a number.
func aggLiteral(t *testing.T, s string) vec.Value {
	t.Helper()
	if s == "NULL" {
		return vec.NullValue()
	}
	if strings.HasPrefix(s, "'") {
		return vec.StringValue(strings.Trim(s, "'"))
	}
	v, ok := vec.ParseNumber(s)
	if !ok {
		t.Fatalf("cannot read %q", s)
	}
	return v
}

func TestAggTypes(t *testing.T) {
	f := func(name string, want Types, args ...Types) {
		t.Helper()
		if got := mustAgg(t, name).Result(args); got != want {
			t.Errorf("%s: got %b, want %b", name, got, want)
		}
	}
	f("COUNT", Bigint)
	f("COUNT", Bigint, Any)
	f("COUNT_DISTINCT", Bigint, Any)
	f("SUM", Bigint|Null, Bigint)
	f("SUM", Bigint|Null, Of(vec.Bit)|Null)
	f("SUM", Float|Null, Float)
	f("SUM", Float|Null, Text)
	f("SUM", Num|Null, Any)
	f("AVG", Float|Null, Bigint)
	f("VAR", Float|Null, Any)
	f("MIN", Bigint|Null, Bigint)
	f("MIN", Text|Null, Text|Null)
	f("MAX", Datetime|Null, Datetime)
	f("MAX", Float|Bigint|Null, Text|Bigint)
}

// TestAggOwnsText changes the memory of a batch after Add.
func TestAggOwnsText(t *testing.T) {
	for _, name := range []string{"MIN", "MAX", "COUNT_DISTINCT"} {
		a := newAcc(t, name, Text)
		a.Grow(1)
		buf := []byte("abc")
		v := vec.Vec{N: 1, Kind: vec.String, Str: []string{unsafeText(buf)}}
		a.Add([]int32{0}, []*vec.Vec{&v})
		copy(buf, "xyz")
		want := `"abc"`
		if name == "COUNT_DISTINCT" {
			want = "2"
			v := vec.Strings("abc", "xyz")
			a.Add([]int32{0, 0}, []*vec.Vec{&v})
		}
		if got, _ := aggResult(t, a, 0); got.String() != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
}
