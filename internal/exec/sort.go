package exec

import (
	"cmp"
	"math/bits"
	"slices"

	"weir/internal/vec"
)

// sortDue sorts rows by time; rows of equal time stay as they stand. Rows that are in order
// already cost a look. It needs a second list as long as the first and gives back both,
// the sorted one first.
func sortDue(rows, spare []dueRow) (sorted, free []dueRow) {
	lo, hi, ordered := vec.MaxTime, vec.MinTime, true
	differ := uint64(0) // bits in which times differ
	for i := range rows {
		differ |= uint64(rows[i].t ^ rows[0].t)
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
	// Times of whole milliseconds and the like end in the same bits.
	return radixSort(rows, spare[:len(rows)], lo, uint64(hi-lo), bits.TrailingZeros64(differ))
}

// maxDigit is the width of the widest digit of radixSort, in bits.
const maxDigit = 11

// radixSort sorts rows by the bits of t - lo from skip on, from the least significant digit
// on. t - lo is at most span, and all rows are alike in the bits before skip.
func radixSort(rows, spare []dueRow, lo vec.Time, span uint64, skip int) (sorted, free []dueRow) {
	width := 8
	if len(rows) >= 1<<maxDigit {
		width = maxDigit
	}
	mask := uint64(1)<<width - 1
	var counts [1 << maxDigit]int32
	count := counts[:1<<width]
	for shift := skip; span>>shift > 0; shift += width {
		clear(count)
		for i := range rows {
			count[uint64(rows[i].t-lo)>>shift&mask]++
		}
		at := int32(0)
		for d, n := range count {
			count[d] = at
			at += n
		}
		for _, r := range rows {
			d := uint64(r.t-lo) >> shift & mask
			spare[count[d]] = r
			count[d]++
		}
		rows, spare = spare, rows
	}
	return rows, spare
}

// mergeRuns sorts rows that are runs in order, which end at ends. Rows of equal time stay in
// the order of their runs. It uses ends, and gives back the sorted rows and the spare ones.
func mergeRuns(rows, spare []dueRow, ends []int) (sorted, free []dueRow) {
	for len(ends) > 1 {
		spare = spare[:0]
		merged, from := ends[:0], 0
		for i := 0; i < len(ends); i += 2 {
			mid, end := ends[i], ends[min(i+1, len(ends)-1)]
			spare = appendMerged(spare, rows[from:mid], rows[mid:end])
			from = end
			merged = append(merged, end)
		}
		rows, spare, ends = spare, rows, merged
	}
	return rows, spare
}

// appendMerged merges two runs. Of equal times those of a come first.
func appendMerged(dst, a, b []dueRow) []dueRow {
	for len(a) > 0 && len(b) > 0 {
		if b[0].t < a[0].t {
			dst, b = append(dst, b[0]), b[1:]
		} else {
			dst, a = append(dst, a[0]), a[1:]
		}
	}
	return append(append(dst, a...), b...)
}
