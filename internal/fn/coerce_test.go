package fn

import (
	"math/rand/v2"
	"testing"

	"weir/internal/vec"
)

// TestCoerce is the table "implicit conversion of arguments" of saql.md 3.8.
func TestCoerce(t *testing.T) {
	f := func(value string, p Param, want string) {
		t.Helper()
		in := vec.Values(operandOf(t, value))
		var out vec.Vec
		errs := rowErrors{}
		got := Coerce(errs.call(t), "F", 2, p, &out, &in, 1)
		text := errs[0]
		if text == "" {
			text = kindAndText(got.At(0))
		} else if !got.KindAt(0).IsNull() {
			t.Errorf("%s fails and gives %v", value, got.At(0))
		}
		if text != want {
			t.Errorf("%s for %s: got %s, want %s", value, wanted(p.Types), text, want)
		}
	}
	is := func(kinds Types) Param { return Param{Types: kinds} }
	cut := Param{Types: Bigint, Truncate: true}
	const misfit = "argument 2 of F has type "
	// numbers
	f("7", is(Num), "bigint 7")
	f("7.5", is(Num), "float 7.5")
	f("true", is(Num), "bigint 1")
	f(`" 12 "`, is(Num), "bigint 12")
	f(`"12.0"`, is(Num), "float 12.0")
	f(`"12x"`, is(Num), misfit+"nvarchar(max); bigint or float wanted")
	f("@2024-01-01", is(Num), misfit+"datetime; bigint or float wanted")
	f("{}", is(Num), misfit+"record; bigint or float wanted")
	f("null", is(Num), "null")
	f("missing", is(Num), "null")
	// float
	f("7", is(Float), "float 7.0")
	f("true", is(Float), "float 1.0")
	f(`"7"`, is(Float), "float 7.0")
	f(`"7.25"`, is(Float), "float 7.25")
	f(`""`, is(Float), misfit+"nvarchar(max); float wanted")
	f("[]", is(Float), misfit+"array; float wanted")
	// bigint
	f("7", is(Bigint), "bigint 7")
	f("false", is(Bigint), "bigint 0")
	f("7.0", is(Bigint), misfit+"float; bigint wanted")
	f("7.9", cut, "bigint 7")
	f("-7.9", cut, "bigint -7")
	f("1e300", cut, misfit+"float; bigint wanted")
	f(`"7"`, is(Bigint), "bigint 7")
	f(`"7.9"`, is(Bigint), misfit+"nvarchar(max); bigint wanted")
	f(`"7.9"`, cut, "bigint 7")
	f(`"x"`, cut, misfit+"nvarchar(max); bigint wanted")
	// text
	f(`"a"`, is(Text), `nvarchar(max) "a"`)
	f("7", is(Text), `nvarchar(max) "7"`)
	f("1e20", is(Text), `nvarchar(max) "1E+20"`)
	f("true", is(Text), `nvarchar(max) "true"`)
	f("@2024-01-01", is(Text), `nvarchar(max) "2024-01-01T00:00:00.0000000Z"`)
	f("{}", is(Text), misfit+"record; nvarchar(max) wanted")
	f("[]", is(Text), misfit+"array; nvarchar(max) wanted")
	// datetime
	f("@2024-01-01", is(Datetime), `datetime "2024-01-01T00:00:00.0000000Z"`)
	f(`"2024-01-01 10:00"`, is(Datetime), `datetime "2024-01-01T10:00:00.0000000Z"`)
	f(`"soon"`, is(Datetime), misfit+"nvarchar(max); datetime wanted")
	f("5", is(Datetime), misfit+"bigint; datetime wanted; hint: DATEADD(second, n, '1970-01-01')")
	f("5.5", is(Datetime), misfit+"float; datetime wanted; hint: DATEADD(second, n, '1970-01-01')")
	f("[]", is(Datetime), misfit+"array; datetime wanted")
	// record, array
	f("{}", is(Rec), "record {}")
	f("{}", is(Arr), "cannot cast value of type record to type array")
	f("[]", is(Rec), "cannot cast value of type array to type record")
	f(`"{}"`, is(Rec), "cannot cast value of type nvarchar(max) to type record")
	f("1", is(Arr), "cannot cast value of type bigint to type array")
	f("1", is(Rec|Arr), "cannot cast value of type bigint to type record or array")
	f("null", is(Arr), "null")
	// several kinds
	f("1", is(Any), "bigint 1")
	f("{}", is(Any), "record {}")
	f("7", is(Rec|Text), misfit+"bigint; nvarchar(max) or record wanted")
	f(`"x"`, is(Rec|Text), `nvarchar(max) "x"`)
	f("7", is(Text|Float), "float 7.0")
	f("2.5", is(Text|Bigint), `nvarchar(max) "2.5"`)
}

// TestCoerceColumns: every form of columns gives what the rows give one by one, and a
// column that fits is not copied.
func TestCoerceColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	dicts := []*vec.Dict{{}, {}}
	wants := []Types{Num, Bigint, Float, Text, Datetime, Rec, Arr, Any, Text | Float, Rec | Text, Of(vec.Bit)}
	for _, want := range wants {
		p := Param{Types: want}
		for range 2 {
			p.Truncate = !p.Truncate
			errs := rowErrors{}
			c := errs.call(t)
			var out vec.Vec
			for range 300 {
				n := r.IntN(12)
				in := operandColumn(r, n, dicts[r.IntN(2)])
				clear(errs)
				got := Coerce(c, "F", 1, p, &out, in, n)
				if fitting := fits(in, want|vec.NullKind, n); fitting != (got == in) {
					t.Fatalf("a column that fits %v is copied: %v", fitting, got != in)
				}
				checkRows(t, "argument "+wanted(want), got, errs, n, func(i int) (vec.Value, string) {
					v := in.At(i)
					if v.Kind.IsNull() || want.Has(v.Kind) {
						return v, ""
					}
					x, ok := coerceValue(v, want, p.Truncate)
					if ok && !want.Has(x.Kind) {
						t.Fatalf("%v becomes %v", v, x)
					}
					if !ok {
						return x, misfitMessage("F", 1, want, v.Kind)
					}
					return x, ""
				})
			}
		}
	}
}

// double is a function for the tests of Run: twice a bigint, failing on 13.
var double = &Scalar{
	Name:   "DOUBLE",
	Params: []Param{{Name: "x", Types: Bigint}, {Name: "any", Types: Any}},
	Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		out.Fixed(vec.Int, n)
		for i := range n {
			if c.Skip(i) {
				out.Int[i] = 999
				c.Fail(i, "a row that is skipped fails")
				continue
			}
			x := args[0].Int[i]
			if x == 13 {
				c.Fail(i, "bad luck")
				c.Fail(i, "twice")
			}
			out.Int[i] = 2 * x
		}
	},
}

func TestRun(t *testing.T) {
	errs := rowErrors{}
	c := errs.call(t)
	var out vec.Vec
	scratch := make([]vec.Vec, 2)
	f := func(x, y *vec.Vec, want ...string) {
		t.Helper()
		clear(errs)
		double.Run(c, &out, []*vec.Vec{x, y}, scratch, x.N)
		if c.Nulls != nil || c.rows != 0 {
			t.Error("Run leaves something behind")
		}
		if err := out.Check(); err != nil || out.N != len(want) {
			t.Fatalf("%d rows: %v", out.N, err)
		}
		for i, w := range want {
			got := errs[i]
			if got == "" {
				got = kindAndText(out.At(i))
			} else if !out.KindAt(i).IsNull() {
				t.Errorf("row %d fails and gives %v", i, out.At(i))
			}
			if got != w {
				t.Errorf("row %d: got %s, want %s", i, got, w)
			}
		}
	}
	cols := func(v ...vec.Value) *vec.Vec {
		x := vec.Values(v...)
		return &x
	}
	one := cols(vec.IntValue(1), vec.IntValue(1), vec.IntValue(1))
	f(cols(vec.IntValue(1), vec.IntValue(13), vec.IntValue(3)), one, "bigint 2", "bad luck", "bigint 6")
	f(one, one, "bigint 2", "bigint 2", "bigint 2")
	if out.Tag != nil {
		t.Error("tags without need")
	}
	f(cols(vec.NullValue(), vec.StringValue("4"), vec.StringValue("x")), one,
		"null", "bigint 8", "argument 1 of DOUBLE has type nvarchar(max); bigint wanted")
	f(one, cols(vec.NullValue(), vec.StringValue("4"), vec.Value{}), "null", "bigint 2", "null")
	f(one, &vec.Vec{N: 3, Kind: vec.Missing}, "null", "null", "null")
	f(cols(vec.FloatValue(1), vec.NullValue()), cols(vec.NullValue(), vec.IntValue(1)),
		"argument 1 of DOUBLE has type float; bigint wanted", "null")
	f(cols(), cols())
	f(one, one, "bigint 2", "bigint 2", "bigint 2")
}

func TestRunKeepNull(t *testing.T) {
	s := &Scalar{Name: "ISNULL", Params: []Param{{Types: Bigint}}, Variadic: true, KeepNull: true,
		Eval: func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
			out.Fixed(vec.Bit, n)
			for i := range n {
				out.Int[i] = int64(truthOf(args[0].KindAt(i).IsNull() && args[1].KindAt(i).IsNull()))
			}
		}}
	a, b := vec.Values(vec.NullValue(), vec.NullValue(), vec.IntValue(1)), vec.Values(vec.NullValue(), vec.StringValue("x"), vec.StringValue("2"))
	var out vec.Vec
	errs := rowErrors{}
	s.Run(errs.call(t), &out, []*vec.Vec{&a, &b}, make([]vec.Vec, 2), 3)
	if got := showRow(0, &out) + showRow(1, &out) + showRow(2, &out); got != "bit true null bit false " {
		t.Errorf("got %s", got)
	}
	if errs[1] != "argument 2 of ISNULL has type nvarchar(max); bigint wanted" || len(errs) != 1 {
		t.Errorf("errors %v", errs)
	}
}

func TestRunAllocates(t *testing.T) {
	tagged := benchTagged(2048)
	other := benchTagged(2048)
	var out vec.Vec
	c := &Call{}
	scratch := make([]vec.Vec, 2)
	args := []*vec.Vec{tagged, other}
	if got := testing.AllocsPerRun(5, func() { double.Run(c, &out, args, scratch, 2048) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkRun(b *testing.B) {
	for name, v := range map[string]*vec.Vec{"ints": benchColumns2()["ints"][0], "tagged": benchTagged(2048)} {
		b.Run(name, func(b *testing.B) {
			var out vec.Vec
			c := &Call{}
			scratch := make([]vec.Vec, 2)
			args := []*vec.Vec{v, v}
			b.ReportAllocs()
			for range b.N {
				double.Run(c, &out, args, scratch, v.N)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*v.N), "ns/row")
		})
	}
}
