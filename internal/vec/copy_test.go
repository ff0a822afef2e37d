package vec

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

func TestArena(t *testing.T) {
	var a Arena
	long := strings.Repeat("x", arenaChunk)
	var got, want []string
	buf := []byte("row ????")
	for i := range 30000 {
		s := string(buf[:i%len(buf)])
		if i%9999 == 0 {
			s = long
		}
		got = append(got, a.String(s))
		want = append(want, strings.Clone(s))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("string %d is %q, want %q", i, got[i], want[i])
		}
	}
	if a.Bytes() < 4*arenaChunk {
		t.Errorf("%d bytes", a.Bytes())
	}
	first := got[1]
	a.Reset()
	if a.Bytes() != 0 {
		t.Error("bytes after Reset")
	}
	a.String("other")
	if got[1] != first || got[7] != want[7] {
		t.Error("Reset touched a string in use")
	}
	if s := (*Arena)(nil).String("x"); s != "x" {
		t.Errorf("nil arena gives %q", s)
	}
}

// TestAppendRowsCopies: no kept string looks into the buffer of its source.
func TestAppendRowsCopies(t *testing.T) {
	for _, a := range []*Arena{nil, {}} {
		buf := []byte("hello")
		src := Strings(unsafe.String(&buf[0], 2), unsafe.String(&buf[2], 3))
		var v Vec
		v.AppendRows(&src, nil, a)
		v.AppendFrom(&src, 1, a)
		clear(buf)
		sameRows(t, &v, []Value{StringValue("he"), StringValue("llo"), StringValue("llo")})
	}
}

func TestAppendRows(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	var v Vec
	var arena Arena
	for range 2000 {
		v.Reset()
		var want []Value
		for range r.IntN(4) {
			src, vals := randomColumn(r, 1+r.IntN(6))
			switch r.IntN(3) {
			case 0:
				v.AppendRows(src, nil, &arena)
				want = append(want, vals...)
			case 1:
				sel := randomSel(r, src.N)
				v.AppendRows(src, sel, nil)
				for _, i := range sel {
					want = append(want, vals[i])
				}
			default:
				i := r.IntN(src.N)
				v.AppendFrom(src, i, &arena)
				want = append(want, vals[i])
			}
			if r.IntN(4) == 0 {
				x := randomValue(r, 1)
				v.Append(x)
				want = append(want, x)
			}
		}
		sameRows(t, &v, want)
		laneZeros(t, &v)
	}
}

func TestAppendRowsKeepsCodes(t *testing.T) {
	var v Vec
	src := dict([]string{"a", "b"}, 1, 0)
	v.AppendRows(src, nil, nil)
	v.AppendRows(src, []int32{1}, nil)
	if v.Dict != src.Dict || len(v.Code) != 3 {
		t.Fatalf("codes are lost: %+v", v)
	}
	nulls := Values(NullValue())
	v.AppendRows(&nulls, nil, nil)
	if v.Dict != src.Dict {
		t.Fatal("a NULL makes the codes strings")
	}
	v.AppendRows(dict([]string{"c"}, 0), nil, nil)
	if v.Dict != nil {
		t.Fatal("codes of two dictionaries")
	}
	sameRows(t, &v, []Value{StringValue("b"), StringValue("a"), StringValue("a"), NullValue(), StringValue("c")})
}

func TestBatchAppendRows(t *testing.T) {
	src := &Batch{N: 3, Time: []Time{1, 2, 3}, Seq: []int64{7, 8, 9}, Cols: []Vec{Ints(1, 2, 3), Strings("a", "b", "c")}}
	var b Batch
	b.AppendRows(src, []int32{2, 0}, nil)
	b.AppendRows(src, nil, nil)
	if err := b.Check(); err != nil {
		t.Fatal(err)
	}
	if b.N != 5 || b.Time[0] != 3 || b.Time[4] != 3 || b.Seq[1] != 7 || len(b.Arrival) != 0 {
		t.Errorf("got %+v", b)
	}
	sameRows(t, &b.Cols[1], []Value{StringValue("c"), StringValue("a"), StringValue("a"), StringValue("b"), StringValue("c")})
	b.Reset(2)
	if b.N != 0 || len(b.Cols) != 2 || b.Cols[0].N != 0 || b.Check() != nil {
		t.Errorf("after Reset: %+v", b)
	}
	b.Reset(1)
	b.Reset(2)
	if b.Cols[1].N != 0 {
		t.Errorf("a column comes back with rows: %+v", b)
	}
	defer func() {
		if recover() == nil {
			t.Error("other columns do not panic")
		}
	}()
	b.N = 1
	b.AppendRows(&Batch{N: 1, Time: []Time{1}}, nil, nil)
}

func TestAppendRowsAllocates(t *testing.T) {
	src := Batch{N: 1000, Time: make([]Time, 1000), Cols: []Vec{{}, *dict([]string{"a"}, make([]uint32, 1000)...)}}
	src.Cols[0].Fixed(Int, 1000)
	sel := make([]int32, 500)
	var b Batch
	if got := testing.AllocsPerRun(10, func() {
		b.Reset(2)
		b.AppendRows(&src, sel, nil)
		b.AppendRows(&src, nil, nil)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestCheck(t *testing.T) {
	f := func(b Batch, want string) {
		t.Helper()
		err := b.Check()
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	one := []Time{1}
	f(Batch{N: 1}, "batch of 1 rows has 0 times")
	f(Batch{N: 1, Time: one, Seq: make([]int64, 2)}, "batch of 1 rows has 2 sequence numbers")
	f(Batch{N: 1, Time: one, Arrival: make([]Time, 2)}, "batch of 1 rows has 2 arrival times")
	f(Batch{N: 1, Time: one, Cols: []Vec{Ints(1, 2)}}, "column 0 has 2 rows, its batch 1")
	col := func(v Vec) Batch {
		v.N = 1
		return Batch{N: 1, Time: one, Cols: []Vec{v}}
	}
	f(col(Vec{Kind: Int}), "column 0: 1 rows, 0 in the lane Int")
	f(col(Vec{Tag: []Kind{Float}, Int: []int64{1}}), "column 0: 1 rows, 0 in the lane Float")
	f(col(Vec{Tag: []Kind{Null, Null}}), "column 0: 1 rows, 2 tags")
	f(col(Vec{Tag: []Kind{99}}), "column 0: no kind has the number 99")
	f(col(Vec{Kind: String, Code: []uint32{0}, Dict: &Dict{}}), "column 0: row 0 has code 0 of 0")
	f(col(Vec{Kind: String, Str: []string{"a"}, Dict: &Dict{}}), "column 0: strings beside a dictionary")
	f(col(Vec{Kind: String, Code: []uint32{0}}), "column 0: 1 rows, 0 in the lane Str")
	f(col(Vec{Kind: Record, Rec: []*Rec{nil}}), "column 0: row 0 is a record without content")
	f(col(Vec{Kind: Record, Rec: []*Rec{{Vals: []Value{{}}}}}), "column 0: row 0 is a record with 0 names and 1 values")
	f(col(Vec{Kind: Array, Rec: []*Rec{{Names: []string{"a"}, Vals: []Value{{}}}}}), "column 0: row 0 is a array with 1 names and 1 values")
	f(col(Vec{Kind: Int, Int: []int64{1}, Float: []float64{1, 2}}), "column 0: 1 rows, 2 in the lane Float")
	good := Batch{N: 1, Time: one, Cols: []Vec{Ints(1), Strings("a"), *dict([]string{"a"}, 0), Values(NullValue())}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func BenchmarkAppendRows(b *testing.B) {
	src := Batch{N: 2048, Time: make([]Time, 2048), Cols: []Vec{{}, *dict([]string{"a"}, make([]uint32, 2048)...)}}
	src.Cols[0].Fixed(Float, 2048)
	sel := make([]int32, 1024)
	for i := range sel {
		sel[i] = int32(2 * i)
	}
	var out Batch
	b.ReportAllocs()
	for range b.N {
		out.Reset(2)
		out.AppendRows(&src, sel, nil)
	}
}

func BenchmarkAppendKeyRow(b *testing.B) {
	v := dict([]string{"Team01", "Team02"}, 0, 1, 0, 1)
	b.ReportAllocs()
	var buf []byte
	for i := range b.N {
		buf = AppendKeyRow(buf[:0], v, i&3)
	}
}

func BenchmarkAppendFrom(b *testing.B) {
	ints := new(Vec).Fixed(Int, 64)
	texts := new(Vec).Fixed(String, 64)
	for i := range texts.Str {
		texts.Str[i] = "Team01POI"
	}
	for name, src := range map[string]*Vec{"ints": ints, "texts": texts, "codes": dict([]string{"a"}, make([]uint32, 64)...)} {
		b.Run(name, func(b *testing.B) {
			var v Vec
			var arena Arena
			b.ReportAllocs()
			for i := range b.N {
				if v.N == 4096 {
					v.Reset()
				}
				v.AppendFrom(src, i&63, &arena)
			}
		})
	}
}
