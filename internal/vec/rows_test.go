package vec

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// show is the rows of v with their kinds.
func show(v *Vec) string {
	var b strings.Builder
	for i := range v.N {
		x := v.At(i)
		fmt.Fprintf(&b, "%s:%v ", x.Kind, x)
	}
	return b.String()
}

// sameRows fails the test if v does not hold the values.
func sameRows(t *testing.T, v *Vec, want []Value) {
	t.Helper()
	if err := v.Check(); err != nil {
		t.Fatalf("%v: %s", err, show(v))
	}
	w := Values(want...)
	if got, want := show(v), show(&w); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// laneZeros fails the test if a lane holds something at a row of another kind.
func laneZeros(t *testing.T, v *Vec) {
	t.Helper()
	for i, k := range v.Tag {
		if k != Bit && k != Int && k != Datetime && len(v.Int) > 0 && v.Int[i] != 0 ||
			k != Float && len(v.Float) > 0 && v.Float[i] != 0 ||
			k != String && (len(v.Str) > 0 && v.Str[i] != "" || len(v.Code) > 0 && v.Code[i] != 0) ||
			k != Record && k != Array && len(v.Rec) > 0 && v.Rec[i] != nil {
			t.Fatalf("row %d of kind %v: other lanes are not zero", i, k)
		}
	}
}

func dict(vals []string, codes ...uint32) *Vec {
	return &Vec{N: len(codes), Kind: String, Code: codes, Dict: &Dict{Vals: vals}}
}

func TestAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	var v Vec
	for range 200 {
		v.Reset()
		var want []Value
		same := r.IntN(2) == 0
		first := randomValue(r, 1)
		for range r.IntN(20) {
			x := randomValue(r, 1)
			if same {
				x = first
			}
			v.Append(x)
			want = append(want, x)
		}
		sameRows(t, &v, want)
		laneZeros(t, &v)
		if same && v.Tag != nil {
			t.Fatal("tags without need")
		}
	}
}

func TestSet(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	var v Vec
	for range 300 {
		n := r.IntN(10)
		var want []Value
		switch r.IntN(3) {
		case 0:
			v.Tagged(n)
			for range n {
				want = append(want, NullValue())
			}
		case 1:
			v.Fixed(Int, n)
			clear(v.Int)
			for range n {
				want = append(want, IntValue(0))
			}
		default:
			v.Reset()
			v.AppendRows(dict([]string{"a", "b"}, 1, 0, 1), nil, nil)
			n = 3
			want = []Value{StringValue("b"), StringValue("a"), StringValue("b")}
		}
		for range r.IntN(20) {
			if n == 0 {
				break
			}
			i := r.IntN(n)
			x := randomValue(r, 1)
			if r.IntN(4) == 0 {
				x = NullValue()
				v.SetNull(i)
			} else {
				v.Set(i, x)
			}
			want[i] = x
		}
		sameRows(t, &v, want)
		laneZeros(t, &v)
	}
}

// TestFixedAndTaggedKeepMemory: a kernel that changes between both forms allocates once.
func TestFixedAndTaggedKeepMemory(t *testing.T) {
	var v Vec
	got := testing.AllocsPerRun(10, func() {
		v.Fixed(Int, 100)
		v.SetNull(7)
		v.Fixed(Float, 100)
		v.Tagged(100)
		v.Set(3, IntValue(4))
		v.Reset()
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestGather(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	var v Vec
	for range 200 {
		src, vals := randomColumn(r, 1+r.IntN(10))
		sel := randomSel(r, src.N)
		var want []Value
		for _, i := range sel {
			want = append(want, vals[i])
		}
		v.Gather(src, sel)
		sameRows(t, &v, want)
		laneZeros(t, &v)
	}
}

// randomColumn is a column in any of the forms, with its values.
func randomColumn(r *rand.Rand, n int) (*Vec, []Value) {
	dicts := []*Dict{{Vals: []string{"a", "b", "c"}}, {Vals: []string{"b"}}}
	v := &Vec{}
	switch r.IntN(4) {
	case 0:
		x := randomValue(r, 1)
		for range n {
			v.Append(x)
		}
	case 1:
		for range n {
			v.Append(randomValue(r, 1))
		}
	case 2:
		d := dicts[r.IntN(2)]
		*v = Vec{N: n, Kind: String, Dict: d}
		for range n {
			v.Code = append(v.Code, uint32(r.IntN(len(d.Vals))))
		}
	case 3:
		v.Tagged(n)
		v.Dict = dicts[0]
		v.Code = make([]uint32, n)
		for i := range n {
			if r.IntN(2) == 0 {
				v.Tag[i] = String
				v.Code[i] = uint32(r.IntN(3))
			}
		}
		if r.IntN(3) == 0 {
			v.Set(r.IntN(n), IntValue(5))
		}
	}
	var vals []Value
	for i := range n {
		vals = append(vals, v.At(i))
	}
	return v, vals
}

func randomSel(r *rand.Rand, n int) []int32 {
	sel := []int32{}
	for range r.IntN(2 * n) {
		sel = append(sel, int32(r.IntN(n)))
	}
	return sel
}
