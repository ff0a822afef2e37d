package exec

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// randomColumn is a column in one of the forms that columns come in: of one kind or several,
// texts plain or as codes.
func randomColumn(r *rand.Rand, dicts []*vec.Dict, n int) *vec.Vec {
	v := &vec.Vec{}
	kinds := [][]vec.Kind{{vec.Int}, {vec.Float}, {vec.String}, {vec.String}, {vec.Missing}, {vec.Record},
		{vec.Int, vec.Null}, {vec.String, vec.Missing, vec.Float}, {vec.Datetime, vec.Int, vec.String, vec.Array}}[r.IntN(9)]
	var dict *vec.Dict
	if r.IntN(2) == 0 {
		dict = dicts[r.IntN(len(dicts))]
	}
	for range n {
		x := vec.Value{Kind: kinds[r.IntN(len(kinds))]}
		switch x.Kind {
		case vec.Int, vec.Datetime:
			x.Int = r.Int64N(1000)
		case vec.Float:
			x.Float = float64(r.IntN(1000)) / 8
		case vec.String:
			x.Str = strings.Repeat(string(rune('a'+r.IntN(20))), 1+r.IntN(2000))
		case vec.Record:
			x.Rec = &vec.Rec{Names: []string{"n"}, Vals: []vec.Value{vec.IntValue(r.Int64N(9))}}
		case vec.Array:
			x.Rec = &vec.Rec{Vals: []vec.Value{vec.IntValue(r.Int64N(9))}}
		}
		v.Append(x)
	}
	if r.IntN(4) == 0 {
		v.Untype()
	}
	if dict != nil && len(v.Str) > 0 {
		v.Code = make([]uint32, v.N)
		for i := range v.N {
			if v.KindAt(i) == vec.String {
				v.Code[i] = uint32(len(dict.Vals))
				dict.Vals = append(dict.Vals, v.Str[i])
			}
		}
		v.Dict, v.Str = dict, nil
	}
	return v
}

// valueOf is row i on its own, absent as NULL.
func valueOf(v *vec.Vec, i int) vec.Value {
	x := keep(v.At(i))
	if x.Kind == vec.String {
		x.Str = strings.Clone(x.Str)
	}
	return x
}

func sameCell(a, b vec.Value) bool {
	if a.Rec != nil && b.Rec != nil {
		return a.Kind == b.Kind && slices.Equal(a.Rec.Names, b.Rec.Names) && slices.Equal(a.Rec.Vals, b.Rec.Vals)
	}
	return a == b
}

// TestCellColumn compares cells with a list of values, through columns of all forms.
func TestCellColumn(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 31))
		dicts := []*vec.Dict{{}, {}}
		c := newCellColumn()
		var want []vec.Value // of the cells; Missing: none yet
		for range 40 {
			for range r.IntN(4) {
				want = append(want, vec.Value{})
			}
			c.grow(len(want))
			src := randomColumn(r, dicts, 1+r.IntN(8))
			def := randomColumn(r, dicts, 8)
			var refs []int32
			var expect []vec.Value
			none := false
			withDef := r.IntN(2) == 0
			for i := range 8 {
				cell := r.IntN(len(want) + 1)
				row := r.IntN(src.N)
				switch {
				case cell < len(want) && want[cell].Kind != vec.Missing && r.IntN(2) == 0:
					refs, expect = append(refs, cellRef(int32(cell))), append(expect, want[cell])
				case r.IntN(3) > 0:
					refs, expect = append(refs, int32(row)), append(expect, valueOf(src, row))
				default:
					refs, none = append(refs, noRef), true
					if withDef {
						expect = append(expect, valueOf(def, i))
					} else {
						expect = append(expect, vec.NullValue())
					}
				}
			}
			var out vec.Vec
			if !withDef {
				def = nil
			}
			c.gather(&out, src, refs, none, def)
			b := vec.Batch{N: out.N, Time: make([]vec.Time, out.N), Cols: []vec.Vec{out}}
			if err := b.Check(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			for i := range refs {
				if got := out.At(i); !sameCell(got, expect[i]) {
					t.Fatalf("seed %d: reference %d gives %v, want %v", seed, refs[i], got, expect[i])
				}
			}
			if len(want) == 0 {
				continue
			}
			var cells, rows []int32
			for _, cell := range r.Perm(len(want))[:r.IntN(min(4, len(want)))+1] {
				row := r.IntN(src.N)
				cells, rows = append(cells, int32(cell)), append(rows, int32(row))
				want[cell] = valueOf(src, row)
			}
			c.store(cells, rows, src)
			for i := range src.Str { // the memory of the batch is used again
				src.Str[i] = "?"
			}
			if from, to := r.IntN(len(want)), r.IntN(len(want)); want[from].Kind != vec.Missing {
				c.move(int32(to), int32(from))
				want[to] = want[from]
			}
		}
	}
}

// TestCellTexts: texts that cells no longer hold do not pile up.
func TestCellTexts(t *testing.T) {
	c := newCellColumn()
	c.grow(10)
	text := strings.Repeat("x", 1000)
	for i := range 5000 {
		src := vec.Strings(text)
		c.store([]int32{int32(i % 10)}, []int32{0}, &src)
	}
	if got := c.arena.Bytes(); got > 2*arenaRoom {
		t.Errorf("%d bytes for 10 texts of 1000", got)
	}
}
