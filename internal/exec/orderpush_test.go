package exec

import (
	"testing"

	"weir/internal/plan"
	"weir/internal/vec"
)

// Rows at the watermark of the only input wait for nothing: an input without times has one
// time for all rows, and no watermark follows them.
func TestOrderKeepsNoRowsAtTheWatermark(t *testing.T) {
	o := newOrder(1, []bool{true}, []plan.Col{{Name: "a"}})
	var got []int64
	emit := func(b *vec.Batch) error {
		for i := range b.N {
			got = append(got, b.Cols[0].At(i).Int)
		}
		return nil
	}
	push := func(want int, rows ...int64) {
		t.Helper()
		b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, 1)}
		for _, x := range rows {
			b.Cols[0].Append(vec.IntValue(x))
			b.Time = append(b.Time, vec.Time(x/10))
		}
		if err := o.Push(0, b, emit); err != nil {
			t.Fatal(err)
		}
		if len(got) != want {
			t.Fatalf("%v came out after %v; want %d rows", got, rows, want)
		}
	}
	push(0, 10, 11)
	if err := o.Advance(0, 1, emit); err != nil {
		t.Fatal(err)
	}
	push(3, 12)
	push(5, 13, 14)
	push(5, 20, 15) // the watermark will move, or a later row will
	push(7, 16)     // after 15, which waited
	if err := o.Advance(0, vec.MaxTime, emit); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{10, 11, 12, 13, 14, 15, 16, 20} {
		if i >= len(got) || got[i] != want {
			t.Fatalf("the order is %v", got)
		}
	}
}
