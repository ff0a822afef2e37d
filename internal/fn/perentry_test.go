package fn

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/vec"
)

// counted is a function of a text and a number that counts how many rows it is asked for.
func counted(asked *int) *Scalar {
	return &Scalar{
		Name:   "COUNTED",
		Params: []Param{{Name: "text", Types: Text}, {Name: "n", Types: Bigint}},
		Eval: perEntry(0, func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
			out.Fixed(vec.String, n)
			for i := range n {
				if c.Skip(i) {
					continue
				}
				*asked++
				s := args[0].StrAt(i)
				switch {
				case s == "bad":
					c.Fail(i, "bad entry")
					out.SetNull(i)
				case s == "null":
					out.SetNull(i)
				default:
					out.Str[i] = strings.Repeat(s, int(args[1].Int[i]))
				}
			}
		}),
	}
}

func TestPerEntry(t *testing.T) {
	asked := 0
	s := counted(&asked)
	dict := &vec.Dict{Vals: []string{"a", "b"}}
	c := &Call{}
	var out vec.Vec
	scratch := make([]vec.Vec, 2)
	f := func(codes []uint32, times []int64, want string, wantAsked int) {
		t.Helper()
		var errs []string
		c.OnError = func(row int, message string) { errs = append(errs, fmt.Sprint(row, " ", message)) }
		text, number := dictColumn(dict, codes...), vec.Ints(times...)
		asked = 0
		s.Run(c, &out, []*vec.Vec{&text, &number}, scratch, len(codes))
		if err := out.Check(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range out.N {
			got = append(got, out.At(i).String())
		}
		if g := strings.Join(append(got, errs...), " "); g != want {
			t.Errorf("%s, want %s", g, want)
		}
		if asked != wantAsked {
			t.Errorf("%s: %d rows evaluated, want %d", want, asked, wantAsked)
		}
	}
	f([]uint32{1, 0, 1, 1}, []int64{2, 2, 2, 2}, `"bb" "aa" "bb" "bb"`, 2)
	f([]uint32{0, 0}, []int64{2, 2}, `"aa" "aa"`, 0) // kept from the last batch
	dict.Vals = append(dict.Vals, "c")
	f([]uint32{2, 0}, []int64{2, 2}, `"cc" "aa"`, 1) // the new entry only
	f([]uint32{0, 1}, []int64{1, 1}, `"a" "b"`, 3)   // another constant: anew
	f([]uint32{0, 1}, []int64{1, 2}, `"a" "bb"`, 2)  // no constant: row by row
	f([]uint32{0, 1}, []int64{1, 1}, `"a" "b"`, 0)
	dict.Vals = append(dict.Vals, "bad", "null")
	f([]uint32{3, 0, 3, 4}, []int64{1, 1, 1, 1}, `null "a" null null 0 bad entry 2 bad entry`, 2)
	f([]uint32{0, 3}, []int64{1, 1}, `"a" null 1 bad entry`, 0)
	f([]uint32{0}, []int64{1}, `"a"`, 0) // an entry that fails and does not occur is no error
	dict = &vec.Dict{Vals: []string{"x"}}
	f([]uint32{0}, []int64{1}, `"x"`, 1) // another dictionary
	dict = &vec.Dict{Vals: make([]string, entryAhead+2)}
	dict.Vals[5] = "y"
	f([]uint32{5}, []int64{1}, `"y"`, 1) // a dictionary much larger than the batch: row by row
	dict = &vec.Dict{Vals: []string{strings.Repeat("z", entryMemoBytes/2), "q"}}
	f([]uint32{1}, []int64{3}, `"qqq"`, 3) // results too large to be kept: two for the memo, one for the row
	f([]uint32{1}, []int64{3}, `"qqq"`, 1)
}

func TestPerEntryNulls(t *testing.T) {
	asked := 0
	s := counted(&asked)
	var out vec.Vec
	text := dictColumn(&vec.Dict{}, 0, 0)
	text.Tag = []vec.Kind{vec.Null, vec.Missing}
	number := vec.Ints(1, 2)
	s.Run(&Call{}, &out, []*vec.Vec{&text, &number}, make([]vec.Vec, 2), 2)
	if asked != 0 || !out.KindAt(0).IsNull() || !out.KindAt(1).IsNull() {
		t.Errorf("%v %v after %d evaluations", out.At(0), out.At(1), asked)
	}
	// The constant counts in rows that are not NULL only.
	text = dictColumn(&vec.Dict{Vals: []string{"a"}}, 0, 0, 0)
	number = vec.Values(vec.NullValue(), vec.IntValue(2), vec.IntValue(2))
	s.Run(&Call{}, &out, []*vec.Vec{&text, &number}, make([]vec.Vec, 2), 3)
	if asked != 1 || !out.KindAt(0).IsNull() || out.At(2).Str != "aa" {
		t.Errorf("%v %v after %d evaluations", out.At(0), out.At(2), asked)
	}
}
