package exec

import (
	"cmp"
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
//
// Moments are computed in runs: moments that follow each other and have no group in
// common do not disturb each other, so the aggregates are fed and read once per run.
type sliding struct {
	slotPool
	o       *grouping
	size    vec.Time
	log     *rowLog
	out     int64 // number of the next row to leave
	in      int64 // number of the next row to enter
	undo    []fn.Inverse
	stacked bool // some aggregate cannot be taken back
	groups  []slidingGroup

	run     int64 // numbers the runs
	batch   resultRows
	changed []int32 // groups of the moment at hand
	live    []int32 // groups of the results
	empty   []int32 // slots of groups that have no rows left
	gone    []int32 // slots of rows that have left
	come    []int32 // slots of rows that have entered
	backs   []int32 // their slots in the back stack
	dst     []int32
	src     []int32
	rows    []int32
	flipped []vec.Vec
	views   []*vec.Vec
}

// slidingGroup is the window of a group at the moment at hand.
type slidingGroup struct {
	slot int32 // + 1; 0: no rows
	rows int32
	head int64 // its oldest row
	tail int64
	run  int64 // the run that has it last
	// The two stacks: front[len-1] covers the oldest rows up to the last flip, front[i]
	// all of them from its row on; back covers the rows since.
	back  int32 // slot + 1
	front []int32
}

func newSliding(o *grouping, spec window.Spec) *sliding {
	types := make([][]vec.Kinds, len(o.op.Aggs))
	for j, a := range o.op.Aggs {
		types[j] = aggSpec(a, o.node.In[0].Cols).Args
	}
	w := &sliding{o: o, size: spec.Size, log: newRowLog(types), slotPool: slotPool{accs: o.backAccs()}}
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
		if g.back == 0 {
			g.back = w.newSlot() + 1
		}
		w.backs = append(w.backs, g.back-1)
	}
	w.in++
}

func (w *sliding) leave() {
	i := w.out - w.log.base
	g := w.touch(w.o.keys.group(w.log.tuple[i]))
	w.gone = append(w.gone, g.slot-1)
	if w.stacked {
		w.pop(g)
	}
	g.rows--
	g.head = w.log.next[i]
	w.out++
}

// release takes the slots from a group that has no rows left.
func (w *sliding) release(g *slidingGroup) {
	w.empty = append(w.empty, g.slot-1)
	if g.back != 0 {
		w.empty = append(w.empty, g.back-1)
	}
	w.empty = append(w.empty, g.front...)
	*g = slidingGroup{run: g.run, front: g.front[:0]}
}

// pop takes the oldest row off the front stack, which it first fills from the back.
func (w *sliding) pop(g *slidingGroup) {
	if len(g.front) == 0 {
		w.flip(g)
	}
	n := len(g.front)
	w.empty = append(w.empty, g.front[n-1])
	g.front = g.front[:n-1]
}

// flip moves all rows of a group to the front stack: an entry per row, each covering its
// row and all younger ones.
func (w *sliding) flip(g *slidingGroup) {
	w.rows = w.rows[:0]
	for r, left := g.head, g.rows; left > 0; left-- {
		w.rows = append(w.rows, int32(r-w.log.base))
		r = w.log.next[r-w.log.base]
	}
	slices.Reverse(w.rows)
	for range w.rows {
		g.front = append(g.front, w.newSlot())
	}
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Add(g.front, w.gather(j))
		}
	}
	w.merge(g.front[1:], g.front[:len(g.front)-1])
	w.empty = append(w.empty, g.back-1)
	g.back = 0
}

// gather gives the arguments of aggregate j for w.rows.
func (w *sliding) gather(j int) []*vec.Vec {
	args := w.log.args[j]
	for len(w.flipped) < len(args) {
		w.flipped = append(w.flipped, vec.Vec{})
	}
	w.views = w.views[:0]
	for c := range args {
		w.flipped[c].Gather(&args[c], w.rows)
		w.views = append(w.views, &w.flipped[c])
	}
	return w.views
}

// merge merges slots of the aggregates that cannot be taken back.
func (w *sliding) merge(dst, src []int32) {
	for j, inv := range w.undo {
		if inv == nil {
			w.accs[j].Merge(dst, src)
		}
	}
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
		if n := len(g.front); n > 0 {
			w.dst, w.src = append(w.dst, g.slot-1), append(w.src, g.front[n-1])
		}
		if g.back != 0 {
			w.dst, w.src = append(w.dst, g.slot-1), append(w.src, g.back-1)
		}
	}
	w.merge(w.dst, w.src)
}

func (w *sliding) newSlot() int32 {
	s, _ := w.take()
	return s
}

func (w *sliding) owner(o *grouping) { w.o = o }

func (w *sliding) held() int { return int(w.log.end() - w.out) }

func (w *sliding) known() int { return 0 }

// values is none: what the aggregates hold are the rows of the log.
func (w *sliding) values() int { return 0 }

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
	w.run++
	w.live, w.come, w.backs = w.live[:0], w.come[:0], w.backs[:0]
	for w.in < inside {
		w.enter()
	}
	w.feed(0, 0)
}
