package vec

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestFloatText(t *testing.T) {
	f := func(x float64, text, json string) {
		t.Helper()
		if got := string(AppendFloatText(nil, x)); got != text {
			t.Errorf("float text of %g is %s, want %s", x, got, text)
		}
		if got := string(AppendFloatJSON(nil, x)); got != json {
			t.Errorf("JSON text of %g is %s, want %s", x, got, json)
		}
	}
	f(0, "0", "0.0")
	f(math.Copysign(0, -1), "0", "0.0")
	f(1, "1", "1.0")
	f(-1, "-1", "-1.0")
	f(422, "422", "422.0")
	f(2.5, "2.5", "2.5")
	f(0.1, "0.1", "0.1")
	f(-0.25, "-0.25", "-0.25")
	f(0.0001, "0.0001", "0.0001")
	f(0.00012345, "0.00012345", "0.00012345")
	f(0.00001, "1E-05", "1e-05")
	f(0.0000999, "9.99E-05", "9.99e-05")
	f(1.5e20, "1.5E+20", "1.5e+20")
	f(1e14, "100000000000000", "100000000000000.0")
	f(999999999999999, "999999999999999", "999999999999999.0")
	f(999999999999999.9, "999999999999999.9", "999999999999999.9")
	f(1e15, "1E+15", "1e+15")
	f(1.5e15, "1.5E+15", "1.5e+15")
	f(123456789012345678, "1.2345678901234568E+17", "1.2345678901234568e+17")
	f(1e100, "1E+100", "1e+100")
	f(math.MaxFloat64, "1.7976931348623157E+308", "1.7976931348623157e+308")
	f(math.SmallestNonzeroFloat64, "5E-324", "5e-324")
}

func TestFloatTextReadsBack(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 20000 {
		x := math.Float64frombits(r.Uint64())
		if r.IntN(2) == 0 {
			x = math.Round(r.NormFloat64()*1e6) / 1e3
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		for _, s := range [][]byte{AppendFloatText(nil, x), AppendFloatJSON(nil, x)} {
			if back, ok := ParseFloat(string(s)); !ok || back != x {
				t.Fatalf("%s reads back as %g, want %g", s, back, x)
			}
		}
	}
}

func TestParseInt(t *testing.T) {
	f := func(s string, want int64) {
		t.Helper()
		if got, ok := ParseInt(s); !ok || got != want {
			t.Errorf("ParseInt(%q) = %d, %v, want %d", s, got, ok, want)
		}
	}
	f("0", 0)
	f("12", 12)
	f("+12", 12)
	f("-12", -12)
	f("-0", 0)
	f("007", 7)
	f(" \t 12\r\n", 12)
	f("\u00a012\u2003", 12)
	f("9223372036854775807", math.MaxInt64)
	f("-9223372036854775808", math.MinInt64)
	f("0000000000000000000000000000001", 1)
	for _, s := range []string{"", " ", "+", "-", "--1", "+-1", "1 2", "12a", "a12", "75.0", "1e3", "0x10", "1_000", "1,000",
		"9223372036854775808", "-9223372036854775809", "92233720368547758070", "18446744073709551616", "99999999999999999999999", "١٢"} {
		if got, ok := ParseInt(s); ok {
			t.Errorf("ParseInt(%q) = %d, want failure", s, got)
		}
	}
}

func TestParseFloat(t *testing.T) {
	f := func(s string, want float64) {
		t.Helper()
		if got, ok := ParseFloat(s); !ok || got != want {
			t.Errorf("ParseFloat(%q) = %g, %v, want %g", s, got, ok, want)
		}
	}
	f("0", 0)
	f("1", 1)
	f("-1.5", -1.5)
	f("+1.5", 1.5)
	f(".5", 0.5)
	f("5.", 5)
	f("-.5e1", -5)
	f("1e3", 1000)
	f("1E-3", 0.001)
	f("1.5e+2", 150)
	f(" 12.5\n", 12.5)
	f("00012.50", 12.5)
	f("0.1", 0.1)
	f("123456789012345.6", 123456789012345.6)
	f("9007199254740993", 9007199254740992)
	f("0.3", 0.3)
	f("3.14159265358979", 3.14159265358979)
	f("1e308", 1e308)
	f("1e-400", 0)
	f("9223372036854775808", 9223372036854775808)
	for _, s := range []string{"", " ", ".", "+", "-.", "e5", ".e5", "1e", "1e+", "1.2.3", "12.5C", "1,5", "1_0", "0x1p4", "0x10",
		"NaN", "nan", "Infinity", "-inf", "1e309", "-1e400", "1 .5", "--1", "1e5.5", "1f"} {
		if got, ok := ParseFloat(s); ok {
			t.Errorf("ParseFloat(%q) = %g, want failure", s, got)
		}
	}
}

// TestParseFloatRounds compares with strconv on decimals of all lengths.
func TestParseFloatRounds(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 50000 {
		var b strings.Builder
		if r.IntN(3) == 0 {
			b.WriteByte('-')
		}
		for range 1 + r.IntN(18) {
			b.WriteByte(byte('0' + r.IntN(10)))
		}
		if r.IntN(4) > 0 {
			b.WriteByte('.')
			for range r.IntN(20) {
				b.WriteByte(byte('0' + r.IntN(10)))
			}
		}
		s := b.String()
		want, err := strconv.ParseFloat(s, 64)
		got, ok := ParseFloat(s)
		if err != nil || !ok || got != want || math.Signbit(got) != math.Signbit(want) {
			t.Fatalf("ParseFloat(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
}

func TestParseNumber(t *testing.T) {
	f := func(s string, want Value) {
		t.Helper()
		if got, ok := ParseNumber(s); !ok || got != want {
			t.Errorf("ParseNumber(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
	f(" 12 ", IntValue(12))
	f("12.0", FloatValue(12))
	f("1e2", FloatValue(100))
	f("9223372036854775807", IntValue(math.MaxInt64))
	f("9223372036854775808", FloatValue(9223372036854775808))
	if v, ok := ParseNumber("12x"); ok {
		t.Errorf("12x is read as %v", v)
	}
}

func TestParseBit(t *testing.T) {
	f := func(s string, want, ok bool) {
		t.Helper()
		if b, got := ParseBit(s); b != want || got != ok {
			t.Errorf("ParseBit(%q) = %v, %v, want %v, %v", s, b, got, want, ok)
		}
	}
	f("1", true, true)
	f("true", true, true)
	f("TRUE", true, true)
	f("0", false, true)
	f("False", false, true)
	for _, s := range []string{"", "2", "yes", "truth", " 1", "01", "1.0"} {
		f(s, false, false)
	}
}

func BenchmarkParseFloat(b *testing.B) {
	for _, s := range []string{"12.5", "3.14159265358979", "2.2250738585072014e-308"} {
		b.Run(s, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, ok := ParseFloat(s); !ok {
					b.Fatal("no number")
				}
			}
		})
	}
}
