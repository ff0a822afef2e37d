package twin

import (
	"slices"

	"weir/internal/saql"
)

// frame is a window with its rows, as places in the block, in order.
type frame struct {
	end  int64
	rows []int
}

// constant is a number times a unit, in ticks.
func constant(unit saql.Name, e saql.Expr) int64 {
	var x env
	n := x.value(e)
	if n.Kind == Float {
		return int64(n.Float * float64(unitTicks(unit.Text)))
	}
	return n.Int * unitTicks(unit.Text)
}

// durations are the arguments of a window in ticks: (unit, a, b, c) and
// (Duration(unit, a), Hop(unit, b), ...) are the same (saql.md 2.5).
func durations(w *saql.WindowSpec) []int64 {
	var out []int64
	for _, a := range w.Args {
		switch {
		case a.Func != nil:
			out = append(out, constant(*a.Unit, a.Value))
		case a.Unit == nil:
			out = append(out, constant(*w.Args[0].Unit, a.Value))
		}
	}
	return append(out, 0, 0, 0)
}

// frames are the windows of a kind over rows of the block, each with at least one row.
// Sliding windows are asked for one group at a time.
func (b *block) frames(w *saql.WindowSpec, rows []int) []frame {
	if w == nil {
		return b.snapshots(rows)
	}
	d := durations(w)
	switch w.Kind {
	case saql.Tumbling:
		return b.hopping(rows, d[0], d[0], d[1])
	case saql.Hopping:
		return b.hopping(rows, d[0], d[1], d[2])
	case saql.Sliding:
		return b.sliding(rows, d[0])
	}
	var out []frame
	by := append(append([]saql.Expr(nil), b.partition...), w.Over...)
	for _, part := range b.partitions(rows, by) {
		out = append(out, b.sessions(part, d[0], d[1])...)
	}
	return out
}

// snapshots are the rows of equal T (saql.md 5.6).
func (b *block) snapshots(rows []int) []frame {
	var ends []int64
	for _, i := range rows {
		ends = append(ends, b.tuples[i].t)
	}
	return b.cover(rows, ends, 1)
}

// hopping windows end at k*hop + offset and reach size back (saql.md 5.2, 5.3).
func (b *block) hopping(rows []int, size, hop, offset int64) []frame {
	var ends []int64
	for _, i := range rows {
		t := b.tuples[i].t
		for e := ceilDiv(t-offset, hop)*hop + offset; e < t+size; e += hop {
			ends = append(ends, e)
		}
	}
	return b.cover(rows, ends, size)
}

// sliding windows end when a row enters or leaves (saql.md 5.4).
func (b *block) sliding(rows []int, size int64) []frame {
	var ends []int64
	for _, i := range rows {
		ends = append(ends, b.tuples[i].t, b.tuples[i].t+size)
	}
	return b.cover(rows, ends, size)
}

// cover has the rows in (end - size, end] for each end.
func (b *block) cover(rows []int, ends []int64, size int64) []frame {
	slices.Sort(ends)
	var out []frame
	for _, end := range slices.Compact(ends) {
		f := frame{end: end}
		for _, i := range rows {
			if t := b.tuples[i].t; end-size < t && t <= end {
				f.rows = append(f.rows, i)
			}
		}
		if len(f.rows) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// sessions follows the rule of saql.md 5.5 to the letter. Of the start of a session only
// its limit counts: the first multiple of m at or after start + m.
func (b *block) sessions(rows []int, g, m int64) []frame {
	var out []frame
	var last, limit int64
	var open []int
	for _, i := range rows {
		t := b.tuples[i].t
		switch {
		case open == nil:
			limit = ceilDiv(t+m, m) * m
		case t-last <= g && t <= limit:
		default:
			out = append(out, frame{min(last+g, limit), open})
			open = nil
			if t-last <= g { // the limit has cut: the next one starts at the cut
				limit = ceilDiv(t, m) * m
			} else {
				limit = ceilDiv(t+m, m) * m
			}
		}
		open = append(open, i)
		last = t
	}
	if open != nil {
		out = append(out, frame{min(last+g, limit), open})
	}
	return out
}

// partitions splits rows by keys, in the order of their first rows.
func (b *block) partitions(rows []int, by []saql.Expr) [][]int {
	var out [][]int
	at := map[string]int{}
	for _, i := range rows {
		k := keys(b.row(i).all(by))
		p, ok := at[k]
		if !ok {
			p = len(out)
			at[k] = p
			out = append(out, nil)
		}
		out[p] = append(out[p], i)
	}
	return out
}
