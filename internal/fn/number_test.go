package fn

import (
	"math"
	"math/big"
	"math/rand"
	"strconv"
	"testing"
)

func TestNumbers(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("ABS(-7)", "7")
	f("ABS(0)", "0")
	f("ABS(-9223372036854775807)", "9223372036854775807")
	f("ABS(-9223372036854775808)", "error: bigint overflow")
	f("ABS('-2.5')", "2.5")
	f("ABS('-2')", "2")
	f("ABS(TRUE)", "1")
	f("ABS(NULL)", "null")
	f("ABS('x')", "error: argument 1 of ABS has type nvarchar(max); bigint or float wanted")
	f("GetType(ABS(-7))", `"bigint"`)
	f("GetType(ABS(-2.5))", `"float"`)

	f("SIGN(-0.3)", "-1.0")
	f("SIGN(0)", "0")
	f("SIGN(0.0)", "0.0")
	f("SIGN(-12)", "-1")
	f("SIGN(7.5)", "1.0")

	f("CEILING(-2.1)", "-2.0")
	f("CEILING(9223372036854775807)", "9223372036854775807")
	f("FLOOR(-2.1)", "-3.0")
	f("FLOOR(-9223372036854775808)", "-9223372036854775808")
	f("FLOOR(1e300)", "1e+300")

	f("EXP(0)", "1.0")
	f("EXP(-1000)", "0.0")
	f("EXP(710)", "null")
	f("EXP('1')", "2.718281828459045")
	f("SQRT(49)", "7.0")
	f("SQRT(0)", "0.0")
	f("SQRT(-0.1)", "null")
	f("SQUARE(-4)", "16.0")
	f("SQUARE(TRUE)", "1.0")
	f("SQUARE(-1e154)", "1e+308")
	f("SQUARE(1e155)", "null")
	f("GetType(SQUARE(-4))", `"float"`)
}

func TestPower(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("POWER(2, 62)", "4611686018427387904")
	f("POWER(2, 63)", "error: bigint overflow")
	f("POWER(-2, 63)", "-9223372036854775808")
	f("POWER(-2, 64)", "error: bigint overflow")
	f("POWER(3, 39)", "4052555153018976267")
	f("POWER(3, 40)", "error: bigint overflow")
	f("POWER(3037000499, 2)", "9223372030926249001")
	f("POWER(3037000500, 2)", "error: bigint overflow")
	f("POWER(-1, 9223372036854775807)", "-1")
	f("POWER(1, 9223372036854775807)", "1")
	f("POWER(0, 9223372036854775807)", "0")
	f("POWER(10, 9223372036854775807)", "error: bigint overflow")
	f("POWER(0, 0)", "1")
	f("POWER(5, 0)", "1")
	f("POWER(2, 0.5)", "1")   // 1.41.. is cut
	f("POWER(-2, 3.0)", "-8") // y is a float: computed in float
	f("POWER(-8, 0.5)", "null")
	f("POWER(10, 18.9)", "7943282347242788864") // 10^18.9 in float
	f("POWER(10, 19.0)", "error: bigint overflow")
	f("POWER(-2, 63.0)", "-9223372036854775808")
	f("POWER(2, 63.0)", "error: bigint overflow")
	f("POWER(-2, -1)", "0") // -0.5 is cut
	f("POWER(-1, -3)", "-1")
	f("POWER(0, -1)", "null")
	f("POWER(2.0, 10)", "1024.0")
	f("POWER(2.5, 2)", "6.25")
	f("POWER(0.0, -1)", "null")
	f("POWER(10.0, 400)", "null")
	f("POWER(-2.0, 0.5)", "null")
	f("POWER(2, NULL)", "null")
	f("POWER('3', '2')", "9")
}

func TestRound(t *testing.T) {
	f := func(call, want string) {
		t.Helper()
		if got := evalCall(t, call); got != want {
			t.Errorf("%s = %s, want %s", call, got, want)
		}
	}
	f("ROUND(7.126, 2)", "7.13")
	f("ROUND(0.5, 0)", "1.0")
	f("ROUND(-0.5, 0)", "-1.0")
	f("ROUND(0.4999999999999999, 0)", "0.0")
	f("ROUND(0.49999999999999994, 0)", "0.0")
	f("ROUND(1.005, 2)", "1.01")
	f("ROUND(1.0049999999999999, 2)", "1.01") // the same float as 1.005
	f("ROUND(1.004999999999999, 2)", "1.0")
	f("ROUND(2.675, 2)", "2.68")
	f("ROUND(-2.675, 2)", "-2.68")
	f("ROUND(98.7, -4)", "0.0")
	f("ROUND(98.7, -2)", "100.0")
	f("ROUND(49.9, -2)", "0.0")
	f("ROUND(644.0, -3)", "1000.0")
	f("ROUND(99.95, 1)", "100.0")
	f("ROUND(9.9999999999999e22, -22)", "1e+23")
	f("ROUND(12.182493960703473, 6)", "12.182494")
	f("ROUND(1e300, 2)", "1e+300")
	f("ROUND(1.5e-10, 10)", "2e-10")
	f("ROUND(1.5e-10, 11)", "1.5e-10")
	f("ROUND(1.7e308, -308)", "null") // 2e308 is no float
	f("ROUND(1.4e308, -308)", "1e+308")
	f("ROUND(5e-324, 323)", "1e-323")
	f("ROUND(5e-324, 322)", "0.0")
	f("ROUND(5e-324, 324)", "5e-324")
	f("ROUND(1.5, 9223372036854775807)", "1.5")
	f("ROUND(1.5, -9223372036854775808)", "0.0")
	f("ROUND(2.25, 1.9)", "2.3") // n is cut to 1
	f("ROUND(2.25, -0.9)", "2.0")

	f("ROUND(1749, -2)", "1700")
	f("ROUND(1751, -2)", "1800")
	f("ROUND(1750, -2)", "1800")
	f("ROUND(-1750, -2)", "-1800")
	f("ROUND(-3, 0)", "-3")
	f("ROUND(17, 5)", "17")
	f("ROUND(17, -3)", "0")
	f("ROUND(500, -3)", "1000")
	f("ROUND(9223372036854775807, -1)", "error: bigint overflow")
	f("ROUND(9223372036854775807, -3)", "error: bigint overflow")
	f("ROUND(9223372036854775807, -16)", "9220000000000000000")
	f("ROUND(-9223372036854775808, -18)", "-9000000000000000000")
	f("ROUND(9223372036854775807, -19)", "error: bigint overflow")
	f("ROUND(4999999999999999999, -19)", "0")
	f("ROUND(9223372036854775807, -20)", "0")
	f("ROUND(9223372036854775807, -9223372036854775808)", "0")
	f("ROUND(NULL, 2)", "null")
	f("GetType(ROUND(1749, -2))", `"bigint"`)
}

// TestRoundQuickly compares the short way of ROUND with the decimal text.
func TestRoundQuickly(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	quick := 0
	f := func(x float64, n int) {
		t.Helper()
		got, ok := roundQuickly(x, pow10[n])
		if !ok {
			return
		}
		quick++
		if want := roundText(x, int64(n)); got != want {
			t.Errorf("%v to %d places: %v, by text %v", x, n, got, want)
		}
	}
	for range 20000 {
		n := r.Intn(len(pow10))
		f(r.NormFloat64()*math.Pow(10, float64(r.Intn(12)-4)), n)
		// Halves and their neighbours.
		half := (float64(r.Intn(1e6)) + 0.5) / pow10[n]
		f(half, n)
		f(math.Nextafter(half, 0), n)
		f(math.Nextafter(half, math.Inf(1)), n)
	}
	if quick < 15000 {
		t.Errorf("only %d numbers took the short way", quick)
	}
}

// TestRoundText compares ROUND with rational arithmetic on the decimal text.
func TestRoundText(t *testing.T) {
	r := rand.New(rand.NewSource(2))
	for range 5000 {
		x := r.NormFloat64() * math.Pow(10, float64(r.Intn(40)-20))
		n := r.Intn(40) - 20
		want := roundRational(x, n)
		if got := roundFloat(x, int64(n)); got != want {
			t.Errorf("ROUND(%v, %d) = %v, want %v", x, n, got, want)
		}
	}
}

func roundRational(x float64, n int) float64 {
	v, _ := new(big.Rat).SetString(strconv.FormatFloat(math.Abs(x), 'e', -1, 64))
	unit := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(n, -n))), nil))
	if n < 0 {
		unit.Inv(unit)
	}
	v.Mul(v, unit)
	v.Add(v, big.NewRat(1, 2))
	whole := new(big.Int).Quo(v.Num(), v.Denom())
	v.SetInt(whole)
	v.Quo(v, unit)
	y, _ := v.Float64()
	return math.Copysign(y, x)
}

func TestMultiply(t *testing.T) {
	edges := []int64{0, 1, -1, 2, -2, 3037000499, -3037000500, 1 << 31, 1 << 32, math.MaxInt64, math.MinInt64, math.MaxInt64 / 2, math.MinInt64 / 2}
	for _, a := range edges {
		for _, b := range edges {
			want := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
			got, ok := multiply(a, b)
			if ok != want.IsInt64() || ok && got != want.Int64() {
				t.Errorf("%d * %d = %d, %v", a, b, got, ok)
			}
		}
	}
}
