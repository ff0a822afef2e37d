package fn

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"weir/internal/vec"
)

// arithCase evaluates a op b and gives the result or the message.
func arithCase(t *testing.T, a string, op byte, b string) string {
	t.Helper()
	v, message := ArithValue(op, operandOf(t, a), operandOf(t, b))
	if message != "" {
		return message
	}
	return kindAndText(v)
}

func TestArith(t *testing.T) {
	f := func(a string, op byte, b, want string) {
		t.Helper()
		if got := arithCase(t, a, op, b); got != want {
			t.Errorf("%s %c %s = %s, want %s", a, op, b, got, want)
		}
	}
	// bigint with bigint
	f("2", '+', "3", "bigint 5")
	f("2", '-', "3", "bigint -1")
	f("-2", '*', "3", "bigint -6")
	f("7", '/', "2", "bigint 3")
	f("-7", '/', "2", "bigint -3")
	f("7", '%', "3", "bigint 1")
	f("-7", '%', "3", "bigint -1")
	f("7", '%', "-3", "bigint 1")
	f("-9223372036854775808", '%', "-1", "bigint 0")
	f("9223372036854775807", '+', "1", "bigint overflow")
	f("-9223372036854775808", '+', "-1", "bigint overflow")
	f("9223372036854775807", '+', "-1", "bigint 9223372036854775806")
	f("-9223372036854775808", '-', "1", "bigint overflow")
	f("0", '-', "-9223372036854775808", "bigint overflow")
	f("-1", '-', "-9223372036854775808", "bigint 9223372036854775807")
	f("4294967296", '*', "2147483648", "bigint overflow")
	f("4294967296", '*', "-2147483648", "bigint -9223372036854775808")
	f("-9223372036854775808", '*', "-1", "bigint overflow")
	f("-9223372036854775808", '/', "-1", "bigint overflow")
	f("3037000500", '*', "3037000500", "bigint overflow")
	f("-3037000499", '*', "-3037000499", "bigint 9223372030926249001")
	// bit counts as bigint
	f("true", '+', "true", "bigint 2")
	f("true", '*', "2.5", "float 2.5")
	f("false", '/', "true", "bigint 0")
	// float
	f("2", '+', "0.5", "float 2.5")
	f("0.5", '-', "2", "float -1.5")
	f("1.5", '*', "2.0", "float 3.0")
	f("7", '/', "2.0", "float 3.5")
	f("7.5", '%', "2", "float 1.5")
	f("-7.5", '%', "2", "float -1.5")
	f("7.5", '%', "-2", "float 1.5")
	f("-4.0", '%', "2", "float -0.0")
	f("0.0", '*', "-1", "float -0.0")
	// by zero, not finite
	f("1", '/', "0", "null")
	f("1", '%', "0", "null")
	f("1.5", '/', "0", "null")
	f("0.0", '/', "0.0", "null")
	f("1.5", '%', "0.0", "null")
	f("1", '/', "false", "null")
	f("1e308", '*', "10", "null")
	f("1e308", '+', "1e308", "null")
	f("-1e308", '-', "1e308", "null")
	// text
	f(`"a"`, '+', `"b"`, `nvarchar(max) "ab"`)
	f(`"1"`, '+', `"2"`, `nvarchar(max) "12"`)
	f(`"1"`, '+', "2", "bigint 3")
	f("2", '*', `" 3 "`, "bigint 6")
	f(`"1.5"`, '+', "2", "float 3.5")
	f(`"9223372036854775808"`, '-', "1", "float 9.223372036854776e+18")
	f(`"2"`, '+', "true", "bigint 3")
	f(`"abc"`, '+', "1", `"abc" is not a number; hint: to join text use CONCAT(..) or CAST the number AS nvarchar(max)`)
	f("1", '-', `""`, `"" is not a number; hint: to join text use CONCAT(..) or CAST the number AS nvarchar(max)`)
	f(`"3"`, '-', `"2"`, "cannot subtract nvarchar(max) and nvarchar(max); hint: CAST")
	// bits
	f("12", '&', "10", "bigint 8")
	f("12", '|', "10", "bigint 14")
	f("12", '^', "10", "bigint 6")
	f("-1", '&', "255", "bigint 255")
	f("true", '&', "true", "bit true")
	f("true", '&', "false", "bit false")
	f("true", '|', "false", "bit true")
	f("true", '^', "true", "bit false")
	f("true", '^', "4", "bigint 5")
	f("170", '&', "75.0", "bigint 10")
	f("170", '&', "75.9", "bigint 10")
	f("-1.9", '|', "0", "bigint -1")
	f("1.5", '^', "true", "bigint 0")
	f(`"170"`, '&', "75", "bigint 10")
	f(`"170.5"`, '&', "75", "bigint 10")
	f("1e300", '&', "1", "cannot cast value '1E+300' of type float to bigint")
	f("1", '|', "-1e300", "cannot cast value '-1E+300' of type float to bigint")
	// NULL
	for _, op := range []byte("+-*/%&|^") {
		f("null", op, "1", "null")
		f("1", op, "missing", "null")
		f("null", op, "@2024-01-01", "null")
		f(`"a"`, op, "null", "null")
		f("{}", op, "null", "null")
	}
	// what does not compute
	f("@2024-01-01", '+', "1", "cannot add datetime and bigint; hint: DATEADD and DATEDIFF")
	f("1", '-', "@2024-01-01", "cannot subtract bigint and datetime; hint: DATEADD and DATEDIFF")
	f("@2024-01-02", '-', "@2024-01-01", "cannot subtract datetime and datetime; hint: DATEADD and DATEDIFF")
	f(`"a"`, '+', "@2024-01-01", "cannot add nvarchar(max) and datetime; hint: DATEADD and DATEDIFF")
	f("@2024-01-01", '&', "1", "cannot combine datetime and bigint; hint: DATEADD and DATEDIFF")
	f("{}", '*', "1", "cannot multiply record and bigint; hint: CAST")
	f("1", '/', "[]", "cannot divide bigint and array; hint: CAST")
	f(`"a"`, '+', "{}", "cannot add nvarchar(max) and record; hint: CAST")
	f("[]", '%', "[]", "cannot divide array and array; hint: CAST")
}

func TestNegAndBitNot(t *testing.T) {
	f := func(a, neg, not string) {
		t.Helper()
		for _, c := range []struct {
			name, want string
			f          func(vec.Value) (vec.Value, string)
		}{{"-", neg, NegValue}, {"~", not, BitNotValue}} {
			v, message := c.f(operandOf(t, a))
			got := message
			if message == "" {
				got = kindAndText(v)
			}
			if got != c.want {
				t.Errorf("%s %s = %s, want %s", c.name, a, got, c.want)
			}
		}
	}
	f("170", "bigint -170", "bigint -171")
	f("-1", "bigint 1", "bigint 0")
	f("-9223372036854775808", "bigint overflow", "bigint 9223372036854775807")
	f("2.5", "float -2.5", "cannot complement float; hint: CAST")
	f("0.0", "float -0.0", "cannot complement float; hint: CAST")
	f("true", "bigint -1", "bit false")
	f("false", "bigint 0", "bit true")
	f("null", "null", "null")
	f("missing", "null", "null")
	f(`"5"`, "cannot negate nvarchar(max); hint: CAST", "cannot complement nvarchar(max); hint: CAST")
	f("@2024-01-01", "cannot negate datetime; hint: CAST", "cannot complement datetime; hint: CAST")
	f("{}", "cannot negate record; hint: CAST", "cannot complement record; hint: CAST")
}

// TestIntOp compares with exact arithmetic at the limits of bigint.
func TestIntOp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 100000 {
		x := int64(r.Uint64()) >> r.IntN(64)
		y := int64(r.Uint64()) >> r.IntN(64)
		for op, exact := range map[byte]func(z, x, y *big.Int) *big.Int{
			'+': (*big.Int).Add, '-': (*big.Int).Sub, '*': (*big.Int).Mul, '/': (*big.Int).Quo, '%': (*big.Int).Rem,
		} {
			if y == 0 && (op == '/' || op == '%') {
				continue
			}
			want := exact(new(big.Int), big.NewInt(x), big.NewInt(y))
			var out [1]int64
			ok := arithInts(op, out[:], []int64{x}, []int64{y})
			r, k := intOp(op, x, y)
			if fits := want.IsInt64(); fits != ok || fits != (k == vec.Int) || fits && (r != want.Int64() || out[0] != r) {
				t.Fatalf("%d %c %d = %v %v, in a column %v %v, want %v", x, op, y, r, k, out[0], ok, want)
			}
		}
	}
}

// TestArithColumns: every form of columns gives what the rows give one by one.
func TestArithColumns(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var out vec.Vec
	dict := &vec.Dict{}
	for range 6000 {
		n := r.IntN(12)
		a, b := operandColumn(r, n, dict), operandColumn(r, n, nil)
		op := "+-*/%&|^"[r.IntN(8)]
		errs := rowErrors{}
		Arith(op, errs.call(t), &out, a, b, n)
		checkRows(t, fmt.Sprintf("%c", op), &out, errs, n, func(i int) (vec.Value, string) { return ArithValue(op, a.At(i), b.At(i)) })
		for name, unary := range map[string]struct {
			column func(c *Call, out, a *vec.Vec, n int)
			row    func(vec.Value) (vec.Value, string)
		}{"-": {Neg, NegValue}, "~": {BitNot, BitNotValue}} {
			errs := rowErrors{}
			unary.column(errs.call(t), &out, a, n)
			checkRows(t, name, &out, errs, n, func(i int) (vec.Value, string) { return unary.row(a.At(i)) })
		}
	}
}

func TestArithKeepsOneKind(t *testing.T) {
	f := func(op byte, a, b vec.Vec, want vec.Kind) {
		t.Helper()
		var out vec.Vec
		Arith(op, &Call{}, &out, &a, &b, a.N)
		if out.Tag != nil || out.Kind != want {
			t.Errorf("%c gives kind %v, tags %v", op, out.Kind, out.Tag)
		}
	}
	f('+', vec.Ints(1, 2), vec.Ints(3, 4), vec.Int)
	f('/', vec.Ints(1, 2), vec.Ints(3, 4), vec.Int)
	f('&', vec.Ints(1, 2), vec.Ints(3, 4), vec.Int)
	f('*', vec.Floats(1, 2), vec.Ints(3, 4), vec.Float)
	f('-', vec.Ints(1, 2), vec.Floats(3, 4), vec.Float)
	f('/', vec.Floats(1, 2), vec.Floats(3, 4), vec.Float)
	f('+', vec.Strings("a"), vec.Strings("b"), vec.String)
	f('+', vec.Ints(1, 2), vec.Vec{N: 2, Kind: vec.Null}, vec.Null)
}

// benchTagged is a column of bigints with a NULL in every tenth row.
func benchTagged(n int) *vec.Vec {
	v := new(vec.Vec).Fixed(vec.Int, n)
	for i := range n {
		v.Int[i] = int64(i % 1000)
	}
	for i := 0; i < n; i += 10 {
		v.SetNull(i)
	}
	return v
}

func benchColumns2() map[string][2]*vec.Vec {
	const n = 2048
	ints, floats := new(vec.Vec).Fixed(vec.Int, n), new(vec.Vec).Fixed(vec.Float, n)
	for i := range n {
		ints.Int[i] = int64(i%1000 + 1)
		floats.Float[i] = math.Sqrt(float64(i + 1))
	}
	return map[string][2]*vec.Vec{
		"ints": {ints, ints}, "floats": {floats, floats}, "mixed": {ints, floats}, "tagged": {benchTagged(n), ints},
	}
}

func TestArithAllocates(t *testing.T) {
	for name, cols := range benchColumns2() {
		for _, op := range []byte("+-*/%&") {
			if op == '&' && name != "ints" && name != "tagged" {
				continue
			}
			var out vec.Vec
			c := &Call{}
			if got := testing.AllocsPerRun(5, func() { Arith(op, c, &out, cols[0], cols[1], cols[0].N) }); got != 0 {
				t.Errorf("%s %c: %v allocations", name, op, got)
			}
		}
	}
}

func BenchmarkArith(b *testing.B) {
	for name, cols := range benchColumns2() {
		for _, op := range []byte("+*/") {
			b.Run(fmt.Sprintf("%s %c", name, op), func(b *testing.B) {
				var out vec.Vec
				c := &Call{}
				n := cols[0].N
				b.ReportAllocs()
				for range b.N {
					Arith(op, c, &out, cols[0], cols[1], n)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/row")
			})
		}
	}
}
