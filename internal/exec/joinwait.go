package exec

import "weir/internal/vec"

// The left rows of an outer join wait for a match until none can come any more (saql.md
// 6.4). Without Until that is a fixed time after their own, so they end in their order.

// dueOf is the time until which a left row waits.
func (o *join) dueOf(row int) vec.Time {
	l := &o.sides[0]
	t := l.time[row]
	if len(o.op.Until) == 0 {
		return max(t, t+o.op.Hi)
	}
	least := vec.MaxTime
	for _, u := range o.op.Until {
		if col := &l.cols[u.Col]; col.KindAt(row) == vec.Datetime {
			least = min(least, vec.Time(col.Int[row])+u.Hi)
		}
	}
	if least == vec.MaxTime {
		return t // all that bounds it is missing: nothing will match
	}
	return max(t, least)
}

// wait notes how long a left row of this time waits, or adds its result if it does not.
func (o *join) wait(at vec.Time, row int) {
	switch t := o.dueOf(row); {
	case t == at:
		o.pairs.add(at, int32(row), -1)
		if len(o.op.Until) == 0 {
			o.due = row + 1
		}
	case len(o.op.Until) > 0:
		o.waiting.push(dueRow{t: t, row: int32(row)})
	}
}

// nextDue is the next time at which a left row has waited long enough.
func (o *join) nextDue() vec.Time {
	l := &o.sides[0]
	if len(o.op.Until) > 0 {
		for len(o.waiting) > 0 && !l.waits[o.waiting[0].row] {
			o.waiting.pop()
		}
		if len(o.waiting) == 0 {
			return vec.MaxTime
		}
		return o.waiting[0].t
	}
	for o.due < l.next && !l.waits[o.due] {
		o.due++
	}
	if o.due >= l.next {
		return vec.MaxTime
	}
	return o.dueOf(o.due)
}

// takeDue sets dues to the rows that have waited until a time, in order.
func (o *join) takeDue(at vec.Time) {
	for o.nextDue() == at {
		row := o.due
		if len(o.op.Until) > 0 {
			row = int(o.waiting[0].row)
			o.waiting.pop()
		} else {
			o.due++
		}
		o.dues = append(o.dues, dueRow{t: vec.Time(row), row: -1})
	}
}

// dueHeap is a binary heap of rows by time, then number.
type dueHeap []dueRow

func (h dueHeap) less(i, j int) bool {
	return h[i].t < h[j].t || h[i].t == h[j].t && h[i].row < h[j].row
}

func (h *dueHeap) push(x dueRow) {
	*h = append(*h, x)
	a := *h
	for i := len(a) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.less(i, up) {
			break
		}
		a[i], a[up] = a[up], a[i]
		i = up
	}
}

// pop takes the first row out.
func (h *dueHeap) pop() {
	a := *h
	n := len(a) - 1
	a[0] = a[n]
	a = a[:n]
	*h = a
	for i := 0; ; {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < n && a.less(c, least) {
				least = c
			}
		}
		if least == i {
			return
		}
		a[i], a[least] = a[least], a[i]
		i = least
	}
}

// renumber takes n from the numbers of all rows; rows that have gone wait for nothing.
func (h *dueHeap) renumber(n int32) {
	kept := (*h)[:0]
	for _, x := range *h {
		if x.row >= n {
			kept = append(kept, dueRow{t: x.t, row: x.row - n})
		}
	}
	*h = kept[:0]
	for _, x := range kept { // push writes no further than what has been read
		h.push(x)
	}
}
