package exec

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/vec"
)

// Rows are sorted by time, and those of equal time stay as they stand, whatever the times
// have in common.
func TestSortDueUnits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := func(n int, base, unit vec.Time, span int64) {
		t.Helper()
		var rows []dueRow
		for i := range n {
			rows = append(rows, dueRow{base + unit*vec.Time(rng.Int64N(span)), int32(i % 3), int32(i)})
		}
		want := slices.Clone(rows)
		slices.SortStableFunc(want, func(a, b dueRow) int { return cmp.Compare(a.t, b.t) })
		if got, _ := sortDue(rows, nil); !slices.Equal(got, want) {
			t.Errorf("%d rows from %d, unit %d, span %d: not in order", n, base, unit, span)
		}
	}
	for _, n := range []int{0, 1, 63, 64, 2047, 2048, 5000} {
		f(n, 0, 1, 1)
		f(n, 0, 1, 3)
		f(n, -5, 1, 1000)
		f(n, 12345, vec.Millisecond, 2500)
		f(n, -7*vec.Second+3, vec.Second, 100)
		f(n, vec.MinTime, 1, 1<<62)
		f(n, 1, 1<<40, 1<<20)
	}
}
