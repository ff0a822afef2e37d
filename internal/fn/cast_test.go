package fn

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/vec"
)

// castTargets are the types of CAST by the letters of the tests.
var castTargets = []struct {
	name string
	kind vec.Kind
}{
	{"bigint", vec.Int}, {"float", vec.Float}, {"nvarchar(max)", vec.String}, {"datetime", vec.Datetime},
	{"bit", vec.Bit}, {"record", vec.Record}, {"array", vec.Array},
}

// TestCastValue is the table of saql.md 3.8: a value and what it becomes as bigint,
// float, text, datetime, bit, record and array.
func TestCastValue(t *testing.T) {
	f := func(value string, want ...string) {
		t.Helper()
		v := operandOf(t, value)
		for i, target := range castTargets {
			got := "no"
			if x, ok := CastValue(v, target.kind); ok {
				got = kindAndText(x)
				if x.Kind == target.kind {
					got = x.String()
				}
			}
			if got != want[i] {
				t.Errorf("CAST(%s AS %s) = %s, want %s", value, target.name, got, want[i])
			}
		}
	}
	f("42", "42", "42.0", `"42"`, "no", "true", "no", "no")
	f("0", "0", "0.0", `"0"`, "no", "false", "no", "no")
	f("-9007199254740993", "-9007199254740993", "-9.007199254740992e+15", `"-9007199254740993"`, "no", "true", "no", "no")
	f("2.5", "2", "2.5", `"2.5"`, "no", "true", "no", "no")
	f("-2.9", "-2", "-2.9", `"-2.9"`, "no", "true", "no", "no")
	f("75.0", "75", "75.0", `"75"`, "no", "true", "no", "no")
	f("0.0", "0", "0.0", `"0"`, "no", "false", "no", "no")
	f("-0.0", "0", "0.0", `"0"`, "no", "false", "no", "no")
	f("1e-5", "0", "1e-05", `"1E-05"`, "no", "true", "no", "no")
	f("1.5e20", "no", "1.5e+20", `"1.5E+20"`, "no", "true", "no", "no")
	f("9223372036854775808.0", "no", "9.223372036854776e+18", `"9.223372036854776E+18"`, "no", "true", "no", "no")
	f("-9223372036854775808.0", "-9223372036854775808", "-9.223372036854776e+18", `"-9.223372036854776E+18"`, "no", "true", "no", "no")
	f("true", "1", "1.0", `"true"`, "no", "true", "no", "no")
	f("false", "0", "0.0", `"false"`, "no", "false", "no", "no")
	f("@2024-03-15T10:20:30.5", "no", "no", `"2024-03-15T10:20:30.5000000Z"`, `"2024-03-15T10:20:30.5000000Z"`, "no", "no", "no")
	f(`{"a":[1,2.0,"x"]}`, "no", "no", `"{\"a\":[1,2.0,\"x\"]}"`, "no", "no", `{"a":[1,2.0,"x"]}`, "no")
	f(`[1]`, "no", "no", `"[1]"`, "no", "no", "no", "[1]")
	f("null", "null", "null", "null", "null", "null", "null", "null")
	f("missing", "null", "null", "null", "null", "null", "null", "null")
	// text
	f(`" 12 "`, "12", "12.0", `" 12 "`, "no", "no", "no", "no")
	f(`"+7"`, "7", "7.0", `"+7"`, "no", "no", "no", "no")
	f(`"75.0"`, "no", "75.0", `"75.0"`, "no", "no", "no", "no")
	f(`"1e2"`, "no", "100.0", `"1e2"`, "no", "no", "no", "no")
	f(`"9223372036854775808"`, "no", "9.223372036854776e+18", `"9223372036854775808"`, "no", "no", "no", "no")
	f(`"12a"`, "no", "no", `"12a"`, "no", "no", "no", "no")
	f(`""`, "no", "no", `""`, "no", "no", "no", "no")
	f(`"NaN"`, "no", "no", `"NaN"`, "no", "no", "no", "no")
	f(`"1,000"`, "no", "no", `"1,000"`, "no", "no", "no", "no")
	f(`"True"`, "no", "no", `"True"`, "no", "true", "no", "no")
	f(`"FALSE"`, "no", "no", `"FALSE"`, "no", "false", "no", "no")
	f(`"1"`, "1", "1.0", `"1"`, "no", "true", "no", "no")
	f(`"0"`, "0", "0.0", `"0"`, "no", "false", "no", "no")
	f(`"2024-03-15T10:00:00+01:00"`, "no", "no", `"2024-03-15T10:00:00+01:00"`, `"2024-03-15T09:00:00.0000000Z"`, "no", "no", "no")
	f(`"20240315"`, "20240315", "20240315.0", `"20240315"`, `"2024-03-15T00:00:00.0000000Z"`, "no", "no", "no")
	f(`"2024-02-30"`, "no", "no", `"2024-02-30"`, "no", "no", "no", "no")
	f(`"{}"`, "no", "no", `"{}"`, "no", "no", "no", "no")
	f(`"[]"`, "no", "no", `"[]"`, "no", "no", "no", "no")
}

func TestCastMessages(t *testing.T) {
	f := func(value string, to vec.Kind, want string) {
		t.Helper()
		var out vec.Vec
		in := vec.Values(operandOf(t, value))
		errs := rowErrors{}
		Cast(errs.call(t), false, to, &out, &in, 1)
		if errs[0] != want {
			t.Errorf("got  %s\nwant %s", errs[0], want)
		}
		Cast(&Call{OnError: func(int, string) { t.Error("TRY_CAST fails") }}, true, to, &out, &in, 1)
		if !out.KindAt(0).IsNull() {
			t.Errorf("TRY_CAST gives %v", out.At(0))
		}
	}
	f(`"this is text"`, vec.Int, "cannot cast value 'this is text' of type nvarchar(max) to bigint")
	f(`"1.2.3"`, vec.Float, "cannot cast value '1.2.3' of type nvarchar(max) to float")
	f(`{"a":1}`, vec.Int, `cannot cast value '{"a":1}' of type record to bigint`)
	f("1e19", vec.Int, "cannot cast value '1E+19' of type float to bigint")
	f("5", vec.Datetime, "cannot cast value '5' of type bigint to datetime")
	f("true", vec.Datetime, "cannot cast value 'true' of type bit to datetime")
	f("@2024-01-01", vec.Bit, "cannot cast value '2024-01-01T00:00:00.0000000Z' of type datetime to bit")
	f(`"{}"`, vec.Record, "cannot cast value '{}' of type nvarchar(max) to record")
	f("[1]", vec.Record, "cannot cast value '[1]' of type array to record")
	f(`"`+strings.Repeat("ä", 300)+`"`, vec.Int, "cannot cast value '"+strings.Repeat("ä", 100)+"...' of type nvarchar(max) to bigint")
}

// TestCastColumns: every form of columns gives what the rows give one by one.
func TestCastColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	dicts := []*vec.Dict{{}, {}}
	for _, target := range castTargets {
		for _, try := range []bool{false, true} {
			errs := rowErrors{}
			c := errs.call(t)
			var out vec.Vec
			for range 500 {
				n := r.IntN(12)
				in := operandColumn(r, n, dicts[r.IntN(2)])
				clear(errs)
				Cast(c, try, target.kind, &out, in, n)
				checkRows(t, "CAST AS "+target.name, &out, errs, n, func(i int) (vec.Value, string) {
					v, ok := CastValue(in.At(i), target.kind)
					switch {
					case ok:
						return v, ""
					case try:
						return vec.NullValue(), ""
					}
					return v, castMessage(in.At(i), target.kind)
				})
			}
		}
	}
}

// TestCastHugeDict: entries that no row has are not converted without need.
func TestCastHugeDict(t *testing.T) {
	for _, size := range []int{memoAhead + 2, memoEntries + 1} {
		d := &vec.Dict{}
		for i := range size {
			d.Vals = append(d.Vals, fmt.Sprint(i))
		}
		in := &vec.Vec{N: 1, Kind: vec.String, Dict: d, Code: []uint32{uint32(size - 1)}}
		var out vec.Vec
		c := &Call{}
		Cast(c, false, vec.Int, &out, in, 1)
		if out.At(0) != vec.IntValue(int64(size-1)) || out.Tag != nil {
			t.Errorf("got %v", out.At(0))
		}
		for _, m := range c.memos {
			if len(m.vals) > 0 {
				t.Errorf("%d entries of %d are kept", len(m.vals), size)
			}
		}
	}
}

func TestCastKeepsOneKind(t *testing.T) {
	f := func(in vec.Vec, to vec.Kind) {
		t.Helper()
		var out vec.Vec
		Cast(&Call{}, false, to, &out, &in, in.N)
		if out.Tag != nil || out.Kind != to {
			t.Errorf("%v to %v gives kind %v, tags %v", in.Kind, to, out.Kind, out.Tag)
		}
	}
	f(vec.Ints(1, 2), vec.Float)
	f(vec.Ints(1, 2), vec.String)
	f(vec.Ints(1, 2), vec.Int)
	f(vec.Floats(1, 2.5), vec.Int)
	f(vec.Floats(1, 2.5), vec.Bit)
	f(vec.Strings("1", "2"), vec.Int)
	f(vec.Strings("1", "2"), vec.String)
	f(vec.Strings("2024-01-01", "2024-01-02"), vec.Datetime)
	f(vec.Vec{N: 2, Kind: vec.String, Dict: &vec.Dict{Vals: []string{"5"}}, Code: []uint32{0, 0}}, vec.Float)
}

func castBenchColumns() map[string]struct {
	in *vec.Vec
	to vec.Kind
} {
	const n = 2048
	numbers := new(vec.Vec).Fixed(vec.String, n)
	times := new(vec.Vec).Fixed(vec.String, n)
	d := &vec.Dict{}
	codes := &vec.Vec{N: n, Kind: vec.String, Dict: d, Code: make([]uint32, n)}
	for i := range n {
		numbers.Str[i] = fmt.Sprint(i)
		times.Str[i] = fmt.Sprintf("2018-01-10T10:%02d:10.123Z", i%60)
		codes.Code[i] = uint32(i % 100)
	}
	for i := range 100 {
		d.Vals = append(d.Vals, fmt.Sprint(i))
	}
	cols := benchColumns2()
	type c = struct {
		in *vec.Vec
		to vec.Kind
	}
	return map[string]c{
		"bigint to float": {cols["ints"][0], vec.Float}, "float to bigint": {cols["floats"][0], vec.Int},
		"tagged bigint to float": {cols["tagged"][0], vec.Float}, "text to bigint": {numbers, vec.Int},
		"text to datetime": {times, vec.Datetime}, "codes to bigint": {codes, vec.Int}, "bigint to text": {cols["ints"][0], vec.String},
	}
}

func TestCastAllocates(t *testing.T) {
	for name, b := range castBenchColumns() {
		var out vec.Vec
		c := &Call{}
		limit := 0.0
		if b.to == vec.String {
			limit = 40 // the pieces of memory of the texts
		}
		if got := testing.AllocsPerRun(5, func() { Cast(c, false, b.to, &out, b.in, b.in.N) }); got > limit {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func BenchmarkCast(b *testing.B) {
	for name, col := range castBenchColumns() {
		b.Run(name, func(b *testing.B) {
			var out vec.Vec
			c := &Call{}
			b.ReportAllocs()
			for range b.N {
				Cast(c, false, col.to, &out, col.in, col.in.N)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*col.in.N), "ns/row")
		})
	}
}
