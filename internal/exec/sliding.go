package exec

import (
	"cmp"
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// sliding computes sliding windows (saql.md 5.4). A group's window changes when a row
// enters, at its T, and when it leaves, at T + size; each such moment with rows left gives
// one result. Rows stand in one log in the order of time, so the rows that leave next are
// always at its start. Aggregates that can be taken back are; the others keep two stacks.
//
// Moments are computed in runs: moments that follow each other and have no group in
// common do not disturb each other, so the aggregates are fed and read once per run.
type sliding struct {
	leavingRows
	o      *grouping
	size   vec.Time
	out    int64 // number of the next row to leave
	in     int64 // number of the next row to enter
	inside int64 // restore: how many have entered
	groups []slidingGroup

	run     int64 // numbers the runs
	batch   resultRows
	changed []int32 // groups of the moment at hand
	live    []int32 // groups of the results
	gone    []int32 // slots of rows that have left
	come    []int32 // slots of rows that have entered
	backs   []int32 // their slots in the back stack
}

// slidingGroup is the window of a group at the moment at hand.
type slidingGroup struct {
	slot int32 // + 1; 0: no rows
	rows int32
	head int64 // its oldest row
	tail int64
	run  int64 // the run that has it last
	twoStacks
}

func newSliding(o *grouping, spec window.Spec) *sliding {
	types := make([][]vec.Kinds, len(o.op.Aggs))
	for j, a := range o.op.Aggs {
		types[j] = aggSpec(a, o.node.In[0].Cols).Args
	}
	return &sliding{o: o, size: spec.Size, leavingRows: newLeavingRows(o.backAccs(), types)}
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

func (w *sliding) emit(to *results, before vec.Time) {
	b := &w.batch
	b.reset()
	w.run++
	w.live, w.empty = w.live[:0], w.empty[:0]
	w.gone, w.come, w.backs = w.gone[:0], w.come[:0], w.backs[:0]
	out, in := w.out, w.in
	for c := to.at; ; {
		w.moment(c)
		var ok bool
		if c, ok = w.next(); !ok || c >= before || b.len() >= limits.results || !w.apart(c) {
			break
		}
	}
	w.feed(out, in)
	to.take(b, w.accs)
	w.giveBack(w.empty)
	w.log.trim(w.out)
}

// apart reports whether no group of moment c has been in this run.
func (w *sliding) apart(c vec.Time) bool {
	l := w.log
	for i := w.out - l.base; i < w.in-l.base && l.time[i]+w.size <= c; i++ {
		if w.groups[w.o.keys.group(l.tuple[i])].run == w.run {
			return false
		}
	}
	for i := int(w.in - l.base); i < len(l.time) && l.time[i] == c; i++ {
		if w.groups[w.o.keys.group(l.tuple[i])].run == w.run {
			return false
		}
	}
	return true
}

// moment lets the rows of moment c leave and enter and notes the results.
func (w *sliding) moment(c vec.Time) {
	w.changed = w.changed[:0]
	for w.out < w.in && w.log.time[w.out-w.log.base]+w.size <= c {
		w.leave()
	}
	for w.in < w.log.end() && w.log.time[w.in-w.log.base] == c {
		w.enter()
	}
	live := w.changed[:0]
	for _, g := range w.changed {
		if w.groups[g].rows > 0 {
			live = append(live, g)
		} else {
			w.release(&w.groups[g])
		}
	}
	if len(live) > 1 {
		slices.SortFunc(live, func(a, b int32) int { return cmp.Compare(w.groups[a].head, w.groups[b].head) })
	}
	for _, g := range live {
		w.result(c, g)
	}
	w.live = append(w.live, live...)
}

// result notes the result of a group at moment c. The group's oldest row is far from what
// the cache holds, so it is read only if its key or rank matters.
func (w *sliding) result(c vec.Time, group int32) {
	g := &w.groups[group]
	tuple, first := group, rank{}
	if w.o.res.ranked || w.o.keys.same != nil {
		head := g.head - w.log.base
		tuple, first = w.log.tuple[head], rank{w.log.time[head], w.log.seq[head]}
	}
	w.batch.add(c, tuple, g.slot-1, first)
}

func (w *sliding) touch(group int32) *slidingGroup {
	g := &w.groups[group]
	if g.run != w.run {
		g.run = w.run
		w.changed = append(w.changed, group)
	}
	return g
}

func (w *sliding) enter() {
	g := w.touch(w.o.keys.group(w.log.tuple[w.in-w.log.base]))
	if g.slot == 0 {
		g.slot = w.newSlot() + 1
	}
	if g.rows == 0 {
		g.head = w.in
	} else {
		w.log.next[g.tail-w.log.base] = w.in
	}
	g.tail = w.in
	g.rows++
	w.come = append(w.come, g.slot-1)
	if w.stacked {
		w.backs = append(w.backs, w.backSlot(&g.twoStacks))
	}
	w.in++
}

func (w *sliding) leave() {
	i := w.out - w.log.base
	g := w.touch(w.o.keys.group(w.log.tuple[i]))
	w.gone = append(w.gone, g.slot-1)
	if w.stacked {
		w.pop(&g.twoStacks, g.head, g.rows)
	}
	g.rows--
	g.head = w.log.next[i]
	w.out++
}

// release takes the slots from a group that has no rows left.
func (w *sliding) release(g *slidingGroup) {
	w.empty = append(w.empty, g.slot-1)
	w.clearStacks(&g.twoStacks)
	*g = slidingGroup{run: g.run, twoStacks: g.twoStacks}
}

// feed brings the aggregates up to the end of the run, which began with the rows out and
// in.
func (w *sliding) feed(out, in int64) {
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Add(w.backs, w.log.view(j, in, w.in))
			w.accs[j].Reset(w.batch.slots)
			continue
		}
		inv.Add(w.come, w.log.view(j, in, w.in))
		inv.Remove(w.gone, w.log.view(j, out, w.out))
	}
	if !w.stacked {
		return
	}
	w.dst, w.src = w.dst[:0], w.src[:0]
	for _, x := range w.live {
		g := &w.groups[x]
		w.addStacks(g.slot-1, &g.twoStacks)
	}
	w.merge(w.dst, w.src)
}

func (w *sliding) owner(o *grouping) { w.o = o }

func (w *sliding) held() int { return int(w.log.end() - w.out) }

func (w *sliding) known() int { return 0 }

// values is none: what the aggregates hold are the rows of the log.
func (w *sliding) values() int { return 0 }

// freeze copies the rows in the windows and those still to enter. The aggregates follow
// from the rows.
func (w *sliding) freeze(keys frozenKeys, m *state.Memory) saved {
	inside := w.in - w.out
	rows := w.log.freeze(keys, w.out, m)
	return func(sw *state.Writer) {
		sw.Int(inside)
		rows(sw)
	}
}

func (w *sliding) restore(r *state.Reader, to *regroup, index int) {
	inside, n := r.Int(), r.Count()
	if inside < 0 || inside > int64(n) {
		r.Fail()
	}
	for i := range n {
		t, seq := vec.Time(r.Int()), r.Int()
		o := to.key(r)
		if r.Err() != nil {
			return
		}
		x := o.windows[index].(*sliding)
		_, tuple := o.keys.one(&to.row)
		x.log.restoreRow(r, t, seq, tuple)
		if int64(i) < inside {
			x.inside++
		}
	}
}

func (w *sliding) settle(*state.Reader) {
	w.log.sort()
	w.reserve()
	w.run++
	w.live, w.come, w.backs = w.live[:0], w.come[:0], w.backs[:0]
	for w.in < w.inside {
		w.enter()
	}
	w.feed(0, 0)
}
