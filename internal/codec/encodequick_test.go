package codec

import (
	"math/rand/v2"
	"strings"
	"testing"

	"weir/internal/vec"
)

// TestEncodeQuick: rows of one kind a column come out as they do with a tag per row, which
// takes the plain way.
func TestEncodeQuick(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	texts := []string{"", "a", "abc", "abcd", "1234567", "12345678", "exactly16 bytes!", "seventeen bytes..", "2018-01-10T10:10:10.123Z", "exactly 32 bytes of plain letters"[:32], "thirty-three bytes, one too many!", `the quote is "in the middle of it`[:32],
		"control at the end of it\x01", `quo"te`, `back\slash`,
		"tab\there", "日本語", "caf\u00e9 au lait", "bad\xff", strings.Repeat("long ", 40)}
	ints := []int64{0, 7, 10, 99, 100, 999, 1000, -1, -999, 1 << 62, -1 << 63}
	for range 300 {
		n := 1 + rng.IntN(40)
		names := []string{"n", "a name of more than sixteen bytes", "t"}
		cols := make([]vec.Vec, 3)
		for range n {
			cols[0].Append(vec.IntValue(ints[rng.IntN(len(ints))]))
			cols[1].Append(vec.StringValue(texts[rng.IntN(len(texts))]))
			cols[2].Append(vec.TimeValue(vec.Time(rng.Int64N(1 << 60))))
		}
		if rng.IntN(2) == 0 {
			d := &vec.Dict{Vals: texts}
			cols[1] = vec.Vec{N: n, Kind: vec.String, Dict: d}
			for range n {
				cols[1].Code = append(cols[1].Code, uint32(rng.IntN(len(texts))))
			}
		}
		b := &vec.Batch{N: n, Cols: cols}
		e, o := NewEncoder(JSONLines, names, false), NewEncoder(JSONLines, names, false)
		if rng.IntN(2) == 0 {
			e, o = NewTaggedEncoder("out", names, false), NewTaggedEncoder("out", names, false)
		}
		if _, ok := e.quick(nil, cols[:0], 0); !ok {
			t.Fatal("rows without columns are not quick")
		}
		got := string(e.Encode(nil, b))
		for i := range cols {
			cols[i].Untype()
		}
		if want := string(o.Encode(nil, b)); got != want {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	}
}
