package fn

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/vec"
)

// operandOf reads a value as the tests of operators write it: JSON, or a datetime behind
// an @, or "missing".
func operandOf(t testing.TB, text string) vec.Value {
	t.Helper()
	if text == "missing" {
		return vec.Value{}
	}
	if rest, ok := strings.CutPrefix(text, "@"); ok {
		x, ok := vec.ParseTime(rest)
		if !ok {
			t.Fatalf("%s is no time", rest)
		}
		return vec.TimeValue(x)
	}
	v, err := vec.ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// kindAndText is a value for comparison in tests: 1 and 1.0 differ, NULL and Missing do
// not.
func kindAndText(v vec.Value) string {
	if v.Kind.IsNull() {
		return "null"
	}
	if v.Kind == vec.Float && v.Float == 0 && math.Signbit(v.Float) {
		return "float -0.0"
	}
	return v.Kind.String() + " " + v.String()
}

// operandTexts are texts of which some are numbers, times or bits.
var operandTexts = []string{"", "a", "ab", "b", "7", " -3 ", "2.5", "1e3", "9223372036854775808", "true", "FALSE", "0",
	"2024-03-05", "2024-03-05T00:00:01Z", "x y", "1e999", strings.Repeat("long ", 100)}

// randomOperand is a value of kind k; corner cases are likely.
func randomOperand(r *rand.Rand, k vec.Kind) vec.Value {
	ints := []int64{0, 1, -1, 2, 7, -3, 1 << 31, 1 << 32, 1<<53 + 1, math.MaxInt64, math.MinInt64, math.MaxInt64 / 2}
	floats := []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 2.5, -7.5, 1e300, -1e300, 1 << 53, 1 << 63, -1 << 63, 5e-324}
	switch k {
	case vec.Bit:
		return vec.BitValue(r.IntN(2) == 0)
	case vec.Int:
		return vec.IntValue(ints[r.IntN(len(ints))])
	case vec.Float:
		return vec.FloatValue(floats[r.IntN(len(floats))])
	case vec.String:
		return vec.StringValue(operandTexts[r.IntN(len(operandTexts))])
	case vec.Datetime:
		return vec.TimeValue(vec.FromCivil(2024, 3, 5) + vec.Time(r.IntN(2))*vec.Second)
	case vec.Record:
		return vec.RecordValue(&vec.Rec{Names: []string{"a"}, Vals: []vec.Value{vec.IntValue(int64(r.IntN(2)))}})
	case vec.Array:
		return vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.IntValue(int64(r.IntN(2)))}})
	}
	return vec.Value{Kind: k}
}

// operandColumn is a column of n rows in one of the forms that a column may have: one
// kind, one kind with NULLs, any kinds, with or without a dictionary.
func operandColumn(r *rand.Rand, n int, dict *vec.Dict) *vec.Vec {
	k := vec.Kind(r.IntN(vec.NumKinds))
	if r.IntN(2) == 0 {
		k = []vec.Kind{vec.Int, vec.Float, vec.String}[r.IntN(3)]
	}
	form := r.IntN(4)
	v := &vec.Vec{}
	if form > 0 {
		v.Tagged(n)
	}
	for i := range n {
		x := k
		switch {
		case form == 2 && r.IntN(3) == 0:
			x = vec.Kind(r.IntN(2)) // Missing or NULL
		case form == 3:
			x = vec.Kind(r.IntN(vec.NumKinds))
		}
		if form == 0 {
			v.Append(randomOperand(r, x))
		} else {
			v.Set(i, randomOperand(r, x))
		}
	}
	if dict != nil && len(v.Str) > 0 {
		withDict(v, dict)
	}
	return v
}

// withDict turns the texts of v into codes, adding to dict.
func withDict(v *vec.Vec, dict *vec.Dict) {
	v.Code = make([]uint32, v.N)
	for i := range v.N {
		if v.KindAt(i) != vec.String {
			continue
		}
		at := -1
		for c, s := range dict.Vals {
			if s == v.Str[i] {
				at = c
			}
		}
		if at < 0 {
			at = len(dict.Vals)
			dict.Vals = append(dict.Vals, v.Str[i])
		}
		v.Code[i] = uint32(at)
	}
	v.Dict, v.Str = dict, nil
}

// rowErrors collects query errors and fails the test when a row has two.
type rowErrors map[int]string

func (e rowErrors) call(t testing.TB) *Call {
	return &Call{OnError: func(i int, message string) {
		if e[i] != "" {
			t.Errorf("row %d has two errors: %s and %s", i, e[i], message)
		}
		e[i] = message
	}}
}

// checkRows compares the rows of out and the errors with those of a function of a row.
func checkRows(t testing.TB, what string, out *vec.Vec, errs rowErrors, n int, want func(i int) (vec.Value, string)) {
	t.Helper()
	if out.N != n {
		t.Fatalf("%s: %d rows, want %d", what, out.N, n)
	}
	if err := out.Check(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for i := range n {
		v, message := want(i)
		if message != "" {
			v = vec.NullValue()
		}
		if kindAndText(out.At(i)) != kindAndText(v) || errs[i] != message {
			t.Fatalf("%s, row %d: got %s %q, want %s %q", what, i, kindAndText(out.At(i)), errs[i], kindAndText(v), message)
		}
	}
}

// showRow is row i of columns, for messages.
func showRow(i int, cols ...*vec.Vec) string {
	var b strings.Builder
	for _, c := range cols {
		fmt.Fprintf(&b, "%s ", kindAndText(c.At(i)))
	}
	return b.String()
}
