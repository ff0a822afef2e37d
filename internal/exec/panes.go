package exec

import (
	"cmp"
	"math/bits"
	"slices"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// panes computes tumbling, hopping and snapshot windows. Time is cut into panes of equal
// length such that every window is a run of whole panes. Each group has a slot in each
// pane it has rows in. A tumbling window is its pane. A hopping window keeps running
// aggregates: panes are merged in as it reaches them and taken back as it leaves them, so
// the cost of a hop does not depend on the length of the window.
type panes struct {
	slotPool
	o       *grouping
	size    vec.Time
	hop     vec.Time
	offset  vec.Time
	step    vec.Time // length of a pane
	magic   uint64   // rel / step == hi64(rel * magic) >> shift for 0 <= rel < 2^63
	shift   uint
	ordered bool // rows come in the order of T, and those of equal T in the order of arrival

	open  queue[*pane] // panes that may still get rows, by time
	first []rank       // per slot
	tuple []int32      // per slot: the key of its first row
	slots []int32
	last  vec.Time // end of the last window given
	table paneTable

	hopping *hops
	pool    []*pane
	done    []*pane // panes whose results are being given
	batch   resultRows
}

// pane holds the groups that have rows in it.
type pane struct {
	num    int64
	end    vec.Time
	groups []int32
	slots  []int32
	// For hopping windows, per group: where the group comes next, and whether this is the
	// group's first pane of the window.
	next  []entryRef
	isTop []uint64
}

type entryRef struct {
	p   *pane
	pos int32
}

func newPanes(o *grouping, spec window.Spec, ordered bool) *panes {
	w := &panes{o: o, size: spec.Size, hop: spec.Hop, offset: spec.Offset, ordered: ordered}
	if spec.Kind == window.Snapshot {
		w.size, w.hop = 1, 1
	}
	w.accs = o.accs(fn.AggSpec{Whole: w.size == w.hop})
	w.step = gcd(w.size, w.hop)
	w.shift = uint(bits.Len64(uint64(w.step)) - 1)
	// magic = ceil(2^(64+shift) / step); for a power of two that would be 2^64.
	if w.step&(w.step-1) != 0 {
		q, _ := bits.Div64(1<<w.shift, 0, uint64(w.step))
		w.magic = q + 1
	}
	if w.size != w.hop {
		w.hopping = newHops(w)
	}
	w.table.init(ordered)
	return w
}

func gcd(a, b vec.Time) vec.Time {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// number of the pane that t falls into; pane k covers (offset+k*step, offset+(k+1)*step].
func (w *panes) number(t vec.Time) int64 {
	rel := int64(t-w.offset) - 1
	k := rel / int64(w.step)
	if rel%int64(w.step) < 0 {
		k--
	}
	return k
}

func (w *panes) end(num int64) vec.Time { return w.offset + vec.Time(num+1)*w.step }

// quotient is rel / step for 0 <= rel < 2^63.
func (w *panes) quotient(rel uint64) uint64 {
	if w.magic == 0 {
		return rel >> w.shift
	}
	hi, _ := bits.Mul64(rel, w.magic)
	return hi >> w.shift
}

func (w *panes) add(in *groupedRows) {
	w.slots = resizeInts(w.slots, in.N)
	w.reserve(int(w.o.keys.n))
	switch {
	case w.ordered:
		w.addOrdered(in)
	case w.table.dense:
		w.addDense(in)
	default:
		w.addSparse(in, 0)
	}
	if !w.ordered { // else the first row of a slot is the one that it was made for
		w.rank(in)
	}
	for j, acc := range w.accs {
		acc.Add(w.slots, in.args[j])
	}
}

// reserve makes room for n groups.
func (w *panes) reserve(n int) {
	if w.hopping != nil {
		w.hopping.reserve(n)
	}
	w.table.reserve(n, w.open.all())
}

// addOrdered finds the slot of each row when time does not go back: a row is in the pane of
// the row before or in a later one, and so are all rows of its group.
func (w *panes) addOrdered(in *groupedRows) {
	num, end, step := int64(0), vec.MinTime, uint64(w.step)
	recent := w.table.recent
	for i, t := range in.Time[:in.N] {
		if uint64(end-t) >= step {
			num = w.number(t)
			end = w.end(num)
		}
		r := &recent[in.groups[i]]
		if r.num != num {
			*r = recentSlot{num, w.enter(num, in.groups[i], in.tuples[i], in.rank(i))}
		}
		w.slots[i] = r.slot
	}
}

// addDense finds the slot of each row in the ring.
func (w *panes) addDense(in *groupedRows) {
	x := &w.table
	base, span := w.ringBase()
	mask, width, low := uint64(x.ring-1), uint64(x.width), uint64(x.low)
	for i, t := range in.Time[:in.N] {
		rel := uint64(t-base) - 1
		if rel >= span {
			if !x.reach(w.number(t), w.open.all()) {
				w.addSparse(in, i)
				return
			}
			base, span = w.ringBase()
			mask, width, low = uint64(x.ring-1), uint64(x.width), uint64(x.low)
			rel = uint64(t-base) - 1
		}
		num := low + w.quotient(rel)
		cell := (num&mask)*width + uint64(in.groups[i])
		s := x.cells[cell]
		if s == 0 {
			s = w.enter(int64(num), in.groups[i], in.tuples[i], in.rank(i)) + 1
			x.cells[cell] = s
		}
		w.slots[i] = s - 1
	}
}

// ringBase is the start of the ring's panes and the length of time that they cover.
func (w *panes) ringBase() (base vec.Time, span uint64) {
	return w.end(w.table.low - 1), uint64(w.table.ring) * uint64(w.step)
}

// addSparse finds the slot of each row from i on in the hash table.
func (w *panes) addSparse(in *groupedRows, i int) {
	for ; i < in.N; i++ {
		num := w.number(in.Time[i])
		s, ok := w.table.sparse.get(num, in.groups[i])
		if !ok {
			s = w.enter(num, in.groups[i], in.tuples[i], in.rank(i))
			w.table.sparse.put(num, in.groups[i], s)
		}
		w.slots[i] = s
	}
}

// enter gives a group a slot in a pane, making the pane if need be.
func (w *panes) enter(num int64, group, tuple int32, first rank) int32 {
	p := w.paneOf(num)
	s := w.newSlot()
	w.tuple[s], w.first[s] = tuple, first
	p.groups = append(p.groups, group)
	p.slots = append(p.slots, s)
	return s
}

// newSlot gives an empty slot.
func (w *panes) newSlot() int32 {
	s, fresh := w.take()
	if fresh {
		w.first, w.tuple = append(w.first, rank{}), append(w.tuple, 0)
	}
	return s
}

// paneOf finds an open pane or makes it.
func (w *panes) paneOf(num int64) *pane {
	open := w.open.all()
	i := len(open)
	if i > 0 && open[i-1].num >= num {
		var found bool
		if i, found = slices.BinarySearchFunc(open, num, func(p *pane, n int64) int { return cmp.Compare(p.num, n) }); found {
			return open[i]
		}
	}
	var p *pane
	if n := len(w.pool); n > 0 {
		p, w.pool = w.pool[n-1], w.pool[:n-1]
	} else {
		p = &pane{}
	}
	p.num, p.end = num, w.end(num)
	w.open.insert(i, p)
	return p
}

// close takes the first open pane out of the table.
func (w *panes) close() *pane {
	p := w.open.pop()
	w.table.remove(p, w.open.all())
	if !w.ordered {
		w.sortGroups(p)
	}
	return p
}

// rank notes the first row of each slot.
func (w *panes) rank(in *groupedRows) {
	first := w.first
	for i, s := range w.slots[:in.N] {
		if in.Time[i] > first[s].t {
			continue
		}
		if r := in.rank(i); r.less(first[s]) {
			first[s], w.tuple[s] = r, in.tuples[i]
		}
	}
}

// sortGroups puts the groups of a pane in the order of their first rows.
func (w *panes) sortGroups(p *pane) {
	sorted := true
	for i := 1; i < len(p.slots); i++ {
		if w.first[p.slots[i]].less(w.first[p.slots[i-1]]) {
			sorted = false
			break
		}
	}
	if sorted {
		return
	}
	type entry struct {
		r           rank
		group, slot int32
	}
	all := make([]entry, len(p.slots))
	for i, s := range p.slots {
		all[i] = entry{w.first[s], p.groups[i], s}
	}
	slices.SortFunc(all, func(a, b entry) int { return a.r.compare(b.r) })
	for i, e := range all {
		p.groups[i], p.slots[i] = e.group, e.slot
	}
}

// windowEnd is the smallest window end at or after t.
func (w *panes) windowEnd(t vec.Time) vec.Time {
	rel := t - w.offset
	k := rel / w.hop
	if rel%w.hop > 0 {
		k++
	}
	return w.offset + k*w.hop
}

func (w *panes) next() (vec.Time, bool) {
	if w.hopping == nil {
		if w.open.len() == 0 {
			return 0, false
		}
		return w.open.first().end, true
	}
	if w.hopping.window.len() > 0 {
		e := w.last + w.hop
		w.leave(e)
		if w.hopping.window.len() > 0 {
			return e, true
		}
	}
	for w.open.len() > 0 {
		p := w.open.first()
		e := w.windowEnd(p.end)
		if p.end > e-w.size {
			return e, true
		}
		w.drop(w.close()) // lies in the gap between windows
	}
	return 0, false
}

func (w *panes) emit(to *results, before vec.Time) {
	if w.hopping != nil {
		w.last = to.at
		for w.open.len() > 0 && w.open.first().end <= to.at {
			w.hopping.enter(w.close(), false)
		}
		w.hopping.emit(to)
		return
	}
	b := &w.batch
	b.reset()
	for w.open.len() > 0 && (len(w.done) == 0 || w.open.first().end < before && b.len() < limits.results) {
		p := w.close()
		w.done = append(w.done, p)
		for _, s := range p.slots {
			b.add(p.end, w.tuple[s], s, w.first[s])
		}
	}
	to.take(b, w.accs)
	for _, p := range w.done {
		w.drop(p)
	}
	w.done = w.done[:0]
}

// leave takes panes out of a hopping window that its end e has left behind.
func (w *panes) leave(e vec.Time) {
	h := w.hopping
	for h.window.len() > 0 && h.window.first().end <= e-w.size {
		w.drop(h.leave())
	}
}

// drop frees the slots of a pane and the pane.
func (w *panes) drop(p *pane) {
	w.giveBack(p.slots)
	*p = pane{groups: p.groups[:0], slots: p.slots[:0], next: p.next[:0], isTop: p.isTop[:0]}
	w.pool = append(w.pool, p)
}

func (w *panes) owner(o *grouping) { w.o = o }

func (w *panes) held() int { return w.used() }

func (w *panes) known() int { return 0 }

// freeze copies the panes of the window and the open ones; the running aggregates follow
// from them.
func (w *panes) freeze(keys frozenKeys, m *state.Memory) saved {
	f := &frozenPanes{keys: keys, last: w.last, hops: w.hopping != nil,
		tuple: state.Copy(m, w.tuple), first: state.Copy(m, w.first), accs: freezeAccs(w.accs, w.n, m)}
	if f.hops {
		f.front = w.hopping.front
		f.add(w.hopping.window.all(), m)
	}
	f.add(w.open.all(), m)
	return f.save
}

// frozenPanes is the panes of a window as they were.
type frozenPanes struct {
	keys  frozenKeys
	last  vec.Time
	hops  bool
	front int // the first panes stand in the front stack
	nums  []int64
	slots [][]int32
	tuple []int32
	first []rank
	accs  frozenAccs
}

func (f *frozenPanes) add(list []*pane, m *state.Memory) {
	for _, p := range list {
		f.nums = append(f.nums, p.num)
		f.slots = append(f.slots, state.Copy(m, p.slots))
	}
}

func (f *frozenPanes) save(w *state.Writer) {
	w.Int(int64(f.last))
	w.Uint(uint64(f.front))
	w.Uint(uint64(len(f.nums)))
	for i, num := range f.nums {
		w.Int(num)
		w.Uint(uint64(len(f.slots[i])))
		for _, s := range f.slots[i] {
			f.keys.save(w, f.tuple[s])
			w.Int(int64(f.first[s].t))
			w.Int(f.first[s].seq)
			f.accs.save(w, s)
		}
	}
}

func (w *panes) restore(r *state.Reader, to *regroup, index int) {
	last, front := vec.Time(r.Int()), r.Uint()
	for _, o := range to.shards {
		x := o.windows[index].(*panes)
		x.last = max(x.last, last)
	}
	bound := 1 << 62 / int64(w.step)
	prev := -bound
	for i := range r.Count() {
		num := r.Int()
		if num <= prev || num > bound {
			r.Fail()
		}
		prev = num
		n := r.Count()
		to.expect(n)
		for range n {
			if r.Err() != nil {
				return
			}
			to.pane(r, index, num, uint64(i) < front)
		}
	}
}

// pane reads the entry of a group in a pane. covers says that its slot covers the panes of
// the front stack behind it too.
func (to *regroup) pane(r *state.Reader, index int, num int64, covers bool) {
	o := to.key(r)
	if r.Err() != nil {
		return
	}
	w := o.windows[index].(*panes)
	group, tuple := o.keys.one(&to.row)
	s := w.enter(num, group, tuple, rank{vec.Time(r.Int()), r.Int()})
	for _, acc := range w.accs {
		acc.Load(s, r)
	}
	if covers && w.hopping != nil {
		w.hopping.covers = append(w.hopping.covers, s)
	}
}

// settle sorts the panes that have been read into those of the window and the open ones.
func (w *panes) settle(r *state.Reader) {
	list := slices.Clone(w.open.all())
	for _, p := range list {
		w.sortGroups(p)
	}
	if w.hopping != nil {
		w.hopping.reserve(int(w.o.keys.n))
		w.open.clear()
		if len(list) > 0 && list[0].end <= w.last-w.size && list[0].end <= w.last {
			r.Fail()
			return
		}
		for _, p := range list {
			if p.end <= w.last {
				w.hopping.enter(p, true)
			} else {
				w.open.push(p)
			}
		}
		w.hopping.restack()
	}
	w.reserve(int(w.o.keys.n))
	w.table.rebuild(w.open.all())
}
