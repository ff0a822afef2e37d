package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// sliding computes sliding windows (saql.md 5.4). A group's window changes when a row
// enters, at its T, and when it leaves, at T + size; each such moment with rows left gives
// one result. Rows stand in one log in the order of time, so the rows that leave next are
// always at its start. Aggregates that can be taken back are; the others keep two stacks.
type sliding struct {
	o       *grouping
	size    vec.Time
	log     *rowLog
	out     int64 // number of the next row to leave
	in      int64 // number of the next row to enter
	accs    []fn.Acc
	undo    []fn.Inverse
	stacked bool // some aggregate cannot be taken back
	groups  []slidingGroup
	free    []int32
	nslots  int32
	changed []int32
	shown   []int32
	slots   []int32
	one     [1]int32
	pair    [1]int32
}

// slidingGroup is the window of a group at the moment at hand.
type slidingGroup struct {
	slot  int32 // + 1; 0: no rows
	rows  int32
	head  int64 // its oldest row
	tail  int64
	dirty bool
	// The two stacks: front[len-1] covers the oldest rows up to the last flip, front[i]
	// all of them from its row on; back covers the rows since, of which there are backRows.
	front []int32
	back  int32 // slot + 1
}

func newSliding(o *grouping, spec window.Spec) *sliding {
	args := make([][]int, len(o.op.Aggs))
	for j, a := range o.op.Aggs {
		args[j] = a.Args
	}
	w := &sliding{o: o, size: spec.Size, log: newRowLog(args), accs: o.newAccs()}
	for _, acc := range w.accs {
		inv, ok := acc.(fn.Inverse)
		w.undo = append(w.undo, inv)
		w.stacked = w.stacked || !ok
	}
	return w
}

func (w *sliding) add(in *groupedRows) {
	w.reserve()
	w.log.add(in)
}

func (w *sliding) reserve() {
	if n := int(w.o.keys.n); n > len(w.groups) {
		w.groups = append(w.groups, make([]slidingGroup, n-len(w.groups))...)
	}
}

func (w *sliding) next() (vec.Time, bool) {
	at := vec.MaxTime
	if w.in < w.log.end() {
		at = w.log.time[w.in-w.log.base]
	}
	if w.out < w.in {
		at = min(at, w.log.time[w.out-w.log.base]+w.size)
	}
	return at, at != vec.MaxTime
}

func (w *sliding) emit(to *results) {
	c := to.at
	w.changed = w.changed[:0]
	for w.out < w.in && w.log.time[w.out-w.log.base]+w.size <= c {
		w.leave()
	}
	for w.in < w.log.end() && w.log.time[w.in-w.log.base] == c {
		w.enter()
	}
	live := w.changed[:0]
	for _, g := range w.changed {
		w.groups[g].dirty = false
		if w.groups[g].rows > 0 {
			live = append(live, g)
		}
	}
	w.changed = live
	if len(live) > 1 {
		slices.SortFunc(live, func(a, b int32) int { return int(w.groups[a].head - w.groups[b].head) })
	}
	w.slots, w.shown = w.slots[:0], w.shown[:0]
	for _, g := range live {
		w.slots = append(w.slots, w.groups[g].slot-1)
		w.shown = append(w.shown, w.log.tuple[w.groups[g].head-w.log.base])
		if w.stacked {
			w.combine(&w.groups[g])
		}
	}
	to.take(w.shown, w.accs, w.slots, func(i int) rank {
		head := w.groups[live[i]].head - w.log.base
		return rank{w.log.time[head], w.log.seq[head]}
	})
	w.log.trim(w.out)
}

func (w *sliding) touch(group int32) {
	if g := &w.groups[group]; !g.dirty {
		g.dirty = true
		w.changed = append(w.changed, group)
	}
}

func (w *sliding) enter() {
	group := w.o.keys.group(w.log.tuple[w.in-w.log.base])
	g := &w.groups[group]
	w.touch(group)
	if g.slot == 0 {
		g.slot = w.newSlot() + 1
		g.head = w.in
	} else {
		w.log.next[g.tail-w.log.base] = w.in
	}
	g.tail = w.in
	g.rows++
	for j, inv := range w.undo {
		if inv != nil {
			w.one[0] = g.slot - 1
			inv.Add(w.one[:], w.log.view(j, w.in, w.in+1))
		}
	}
	if w.stacked {
		if g.back == 0 {
			g.back = w.newSlot() + 1
		}
		w.feed(g.back-1, w.in)
	}
	w.in++
}

// feed adds a row to the aggregates that cannot be taken back.
func (w *sliding) feed(slot int32, row int64) {
	w.one[0] = slot
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Add(w.one[:], w.log.view(j, row, row+1))
		}
	}
}

func (w *sliding) leave() {
	i := w.out - w.log.base
	group := w.o.keys.group(w.log.tuple[i])
	g := &w.groups[group]
	w.touch(group)
	g.rows--
	next := w.log.next[i]
	if g.rows == 0 {
		w.release(g)
		w.out++
		return
	}
	for j, inv := range w.undo {
		if inv != nil {
			w.one[0] = g.slot - 1
			inv.Remove(w.one[:], w.log.view(j, w.out, w.out+1))
		}
	}
	if w.stacked {
		w.pop(g)
	}
	g.head = next
	w.out++
}

// pop takes the oldest row off the front stack, which it first fills from the back: an
// entry per row, each covering its row and all younger ones of the stack.
func (w *sliding) pop(g *slidingGroup) {
	if len(g.front) == 0 {
		var rows []int64
		for r := g.head; r >= 0; r = w.log.next[r-w.log.base] {
			rows = append(rows, r)
			if r == g.tail {
				break
			}
		}
		for k := len(rows) - 1; k >= 0; k-- {
			s := w.newSlot()
			w.feed(s, rows[k])
			if n := len(g.front); n > 0 {
				w.mergeStacked(s, g.front[n-1])
			}
			g.front = append(g.front, s)
		}
		w.freeSlot(g.back - 1)
		g.back = 0
	}
	n := len(g.front)
	w.freeSlot(g.front[n-1])
	g.front = g.front[:n-1]
}

// combine sets the group's slot to the aggregates of both stacks.
func (w *sliding) combine(g *slidingGroup) {
	w.one[0] = g.slot - 1
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Reset(w.one[:])
		}
	}
	if n := len(g.front); n > 0 {
		w.mergeStacked(g.slot-1, g.front[n-1])
	}
	if g.back != 0 {
		w.mergeStacked(g.slot-1, g.back-1)
	}
}

func (w *sliding) mergeStacked(dst, src int32) {
	w.one[0], w.pair[0] = dst, src
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Merge(w.one[:], w.pair[:])
		}
	}
}

func (w *sliding) newSlot() int32 {
	if n := len(w.free); n > 0 {
		s := w.free[n-1]
		w.free = w.free[:n-1]
		return s
	}
	s := w.nslots
	w.nslots++
	for _, acc := range w.accs {
		acc.Grow(int(w.nslots))
	}
	return s
}

func (w *sliding) freeSlot(s int32) {
	w.one[0] = s
	for _, acc := range w.accs {
		acc.Reset(w.one[:])
	}
	w.free = append(w.free, s)
}

// release frees all slots of a group that has no rows left.
func (w *sliding) release(g *slidingGroup) {
	w.freeSlot(g.slot - 1)
	for _, s := range g.front {
		w.freeSlot(s)
	}
	if g.back != 0 {
		w.freeSlot(g.back - 1)
	}
	*g = slidingGroup{dirty: g.dirty, front: g.front[:0]}
}

func (w *sliding) owner(o *grouping) { w.o = o }

func (w *sliding) held() int { return int(w.log.end() - w.out) }

func (w *sliding) known() int { return 0 }

// snapshot writes the rows in the windows and those still to enter. The aggregates follow
// from the rows.
func (w *sliding) snapshot(sw *state.Writer) {
	sw.Int(w.in - w.out)
	w.log.snapshot(sw, w.o.keys, w.out)
}

func (w *sliding) restore(r *state.Reader) {
	inside := r.Int()
	w.log.restore(r, w.o.keys, &w.o.load)
	if inside < 0 || inside > w.log.end() {
		r.Fail()
	}
	if r.Err() != nil {
		return
	}
	w.reserve()
	for w.in < inside {
		w.enter()
	}
	for _, g := range w.changed {
		w.groups[g].dirty = false
	}
	w.changed = w.changed[:0]
}
