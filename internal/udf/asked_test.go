package udf

import (
	"testing"

	"weir/internal/fn"
	"weir/internal/vec"
)

// counting counts its calls, which a script must not rely on; here it shows which rows are
// called.
const counting = "var calls = 0; function main(x) { calls++; if (x > 2) throw new Error('big'); return calls }"

// TestOnlyRowsAskedFor: rows that are to be left alone are not called, and behind an error that
// ends the run none is.
func TestOnlyRowsAskedFor(t *testing.T) {
	f := func(leave []bool, halt bool, want string, wantErrors int) {
		t.Helper()
		s, err := Scalar(Source{Name: "f", Script: counting})
		if err != nil {
			t.Fatal(err)
		}
		errors := 0
		c := fn.Call{Leave: leave, Halt: halt, OnError: func(int, string) { errors++ }}
		in := vec.Ints(1, 3, 2, 3, 1)
		var out vec.Vec
		s.Run(&c, &out, []*vec.Vec{&in}, make([]vec.Vec, 1), in.N)
		got := ""
		for i := range in.N {
			got += string(vec.AppendJSON(nil, out.At(i))) + " "
		}
		if got != want || errors != wantErrors {
			t.Errorf("leave %v, halt %v: %s with %d errors; want %s with %d", leave, halt, got, errors, want, wantErrors)
		}
	}
	f(nil, false, "1 null 3 null 5 ", 2)
	f([]bool{true, false, false, true, false}, false, "null null 2 null 3 ", 1)
	f(nil, true, "1 null null null null ", 1)
	f([]bool{false, true, false, true, false}, true, "1 null 2 null 3 ", 0)
}
