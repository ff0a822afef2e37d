package exec

import (
	"cmp"
	"slices"

	"weir/internal/vec"
)

// sortDue sorts rows by time; rows of equal time stay as they stand. Rows that are in order
// already cost a look. It needs a second list as long as the first and gives back both,
// the sorted one first.
func sortDue(rows, spare []dueRow) (sorted, free []dueRow) {
	lo, hi, ordered := vec.MaxTime, vec.MinTime, true
	for i := range rows {
		ordered = ordered && rows[i].t >= hi
		lo, hi = min(lo, rows[i].t), max(hi, rows[i].t)
	}
	switch {
	case ordered:
		return rows, spare
	case len(rows) < 64:
		slices.SortStableFunc(rows, func(a, b dueRow) int { return cmp.Compare(a.t, b.t) })
		return rows, spare
	}
	if cap(spare) < len(rows) {
		spare = make([]dueRow, len(rows))
	}
	return radixSort(rows, spare[:len(rows)], lo, uint64(hi-lo))
}

// radixSort sorts rows by t - lo, which is at most span, from the least significant byte on.
func radixSort(rows, spare []dueRow, lo vec.Time, span uint64) (sorted, free []dueRow) {
	for shift := 0; span>>shift > 0; shift += 8 {
		var count [256]int32
		for i := range rows {
			count[uint8(uint64(rows[i].t-lo)>>shift)]++
		}
		at := int32(0)
		for d, n := range count {
			count[d] = at
			at += n
		}
		for _, r := range rows {
			d := uint8(uint64(r.t-lo) >> shift)
			spare[count[d]] = r
			count[d]++
		}
		rows, spare = spare, rows
	}
	return rows, spare
}
