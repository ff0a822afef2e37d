package exec

import (
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
	o       *grouping
	size    vec.Time
	hop     vec.Time
	offset  vec.Time
	step    vec.Time // length of a pane
	magic   uint64   // rel / step == hi64(rel * magic) >> shift for 0 <= rel < 2^63
	shift   uint
	ordered bool // rows come in the order of T
	ranked  bool // the first row of each slot is looked for: order, or shards, ask for it

	open   []*pane // panes that may still get rows, by time
	accs   []fn.Acc
	free   []int32
	nslots int32
	first  []rank  // per slot
	tuple  []int32 // per slot: the key of its first row
	slots  []int32
	shown  []int32
	last   vec.Time // end of the last window given

	// The slots of open panes, by pane and group. Dense: a ring of rows of width groups.
	// Sparse, when open panes lie too far apart: a table.
	dense  bool
	low    int64 // smallest pane number in the ring
	ring   int64 // its number of rows, a power of two
	width  int
	tab    []int32 // slot + 1
	sparse pairSlots

	hopping *hops
	pool    []*pane
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
	w := &panes{o: o, size: spec.Size, hop: spec.Hop, offset: spec.Offset, ordered: ordered, accs: o.newAccs()}
	if spec.Kind == window.Snapshot {
		w.size, w.hop = 1, 1
	}
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
	w.dense, w.ring, w.width = true, 4, 16
	w.tab = make([]int32, w.ring*int64(w.width))
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
	w.ranked = !w.ordered || in.Seq != nil
	w.reserve(int(w.o.keys.n))
	if w.dense {
		w.addDense(in)
	} else {
		w.addRest(in, 0)
	}
	if w.ranked {
		w.rank(in)
	}
	for j, acc := range w.accs {
		acc.Add(w.slots, in.args[j])
	}
}

// addDense finds the slot of each row in the ring.
func (w *panes) addDense(in *groupedRows) {
	groups := in.groups
	base, span := w.ringBase()
	mask, width := uint64(w.ring-1), uint64(w.width)
	low, tab := uint64(w.low), w.tab
	for i, t := range in.Time[:in.N] {
		rel := uint64(t-base) - 1
		if rel >= span {
			if !w.reach(w.number(t)) {
				w.addRest(in, i)
				return
			}
			base, span = w.ringBase()
			mask, width = uint64(w.ring-1), uint64(w.width)
			low, tab = uint64(w.low), w.tab
			rel = uint64(t-base) - 1
		}
		num := low + w.quotient(rel)
		cell := (num&mask)*width + uint64(groups[i])
		s := tab[cell]
		if s == 0 {
			s = w.enter(int64(num), groups[i], in.tuples[i], t) + 1
			tab[cell] = s
		}
		w.slots[i] = s - 1
	}
}

// ringBase is the start of the ring's panes and the length of time that they cover.
func (w *panes) ringBase() (base vec.Time, span uint64) {
	return w.end(w.low - 1), uint64(w.ring) * uint64(w.step)
}

// addRest goes on with the sparse table from row i on.
func (w *panes) addRest(in *groupedRows, i int) {
	for ; i < in.N; i++ {
		num := w.number(in.Time[i])
		s, ok := w.sparse.get(num, in.groups[i])
		if !ok {
			s = w.enter(num, in.groups[i], in.tuples[i], in.Time[i])
			w.sparse.put(num, in.groups[i], s)
		}
		w.slots[i] = s
	}
}

// enter gives a group a slot in a pane, making the pane if need be.
func (w *panes) enter(num int64, group, tuple int32, t vec.Time) int32 {
	p := w.paneOf(num)
	s := w.newSlot()
	w.tuple[s] = tuple
	w.first[s] = rank{vec.MaxTime, 0}
	if !w.ranked {
		w.first[s] = rank{t, 0}
	}
	p.groups = append(p.groups, group)
	p.slots = append(p.slots, s)
	return s
}

// newSlot gives an empty slot.
func (w *panes) newSlot() int32 {
	if n := len(w.free); n > 0 {
		s := w.free[n-1]
		w.free = w.free[:n-1]
		return s
	}
	s := w.nslots
	w.nslots++
	w.first = append(w.first, rank{})
	w.tuple = append(w.tuple, 0)
	for _, acc := range w.accs {
		acc.Grow(int(w.nslots))
	}
	return s
}

func (w *panes) freeSlots(slots []int32) {
	for _, acc := range w.accs {
		acc.Reset(slots)
	}
	w.free = append(w.free, slots...)
}

// paneOf finds an open pane or makes it.
func (w *panes) paneOf(num int64) *pane {
	if n := len(w.open); n > 0 && w.open[n-1].num == num {
		return w.open[n-1]
	}
	i, found := slices.BinarySearchFunc(w.open, num, func(p *pane, n int64) int {
		switch {
		case p.num < n:
			return -1
		case p.num > n:
			return 1
		}
		return 0
	})
	if found {
		return w.open[i]
	}
	var p *pane
	if n := len(w.pool); n > 0 {
		p, w.pool = w.pool[n-1], w.pool[:n-1]
	} else {
		p = &pane{}
	}
	p.num, p.end = num, w.end(num)
	w.open = slices.Insert(w.open, i, p)
	return p
}

// reach makes the ring cover pane num. It reports false when that would take too much
// memory; from then on the table is sparse.
func (w *panes) reach(num int64) bool {
	if len(w.open) == 0 {
		w.low = num
		return true
	}
	lo, hi := min(w.open[0].num, num), max(w.open[len(w.open)-1].num, num)
	need := hi - lo + 1
	if need > limits.ring || need*int64(w.width) > limits.table {
		w.toSparse()
		return false
	}
	ring := w.ring
	for ring < need {
		ring *= 2
	}
	w.layout(lo, ring, w.width)
	return true
}

// reserve makes room for n groups.
func (w *panes) reserve(n int) {
	if w.hopping != nil {
		w.hopping.reserve(n)
	}
	if !w.dense || n <= w.width {
		return
	}
	width := w.width
	for width < n {
		width *= 2
	}
	if w.ring*int64(width) > limits.table {
		w.toSparse()
		return
	}
	w.layout(w.low, w.ring, width)
}

// layout rebuilds the ring.
func (w *panes) layout(low, ring int64, width int) {
	if need := int(ring) * width; ring != w.ring || width != w.width {
		w.tab = make([]int32, need)
	} else {
		clear(w.tab)
	}
	w.low, w.ring, w.width = low, ring, width
	for _, p := range w.open {
		row := int(p.num&(ring-1)) * width
		for i, g := range p.groups {
			w.tab[row+int(g)] = p.slots[i] + 1
		}
	}
}

func (w *panes) toSparse() {
	w.dense, w.tab = false, nil
	clear(w.sparse.m)
	for _, p := range w.open {
		for i, g := range p.groups {
			w.sparse.put(p.num, g, p.slots[i])
		}
	}
}

// close takes the first open pane out of the table.
func (w *panes) close() *pane {
	p := w.open[0]
	w.open = append(w.open[:0], w.open[1:]...)
	if w.dense {
		row := int(p.num&(w.ring-1)) * w.width
		for _, g := range p.groups {
			w.tab[row+int(g)] = 0
		}
		if len(w.open) > 0 {
			w.low = w.open[0].num
		} else {
			w.low = p.num + 1
		}
	} else {
		for _, g := range p.groups {
			w.sparse.remove(p.num, g)
		}
	}
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
	slices.SortFunc(all, func(a, b entry) int {
		if a.r.less(b.r) {
			return -1
		}
		return 1
	})
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
	if w.hopping != nil {
		if len(w.hopping.window) > 0 {
			e := w.last + w.hop
			w.leave(e)
			if len(w.hopping.window) > 0 {
				return e, true
			}
		}
		for len(w.open) > 0 {
			e := w.windowEnd(w.open[0].end)
			if w.open[0].end > e-w.size {
				return e, true
			}
			w.drop(w.close()) // lies in the gap between windows
		}
		return 0, false
	}
	if len(w.open) == 0 {
		return 0, false
	}
	return w.open[0].end, true
}

func (w *panes) emit(to *results) {
	w.last = to.at
	if w.hopping != nil {
		for len(w.open) > 0 && w.open[0].end <= to.at {
			w.hopping.enter(w.close())
		}
		w.hopping.emit(to)
		return
	}
	p := w.close()
	w.shown = w.shown[:0]
	for _, s := range p.slots {
		w.shown = append(w.shown, w.tuple[s])
	}
	to.take(w.shown, w.accs, p.slots, func(i int) rank { return w.first[p.slots[i]] })
	w.drop(p)
}

// leave takes panes out of a hopping window that its end e has left behind.
func (w *panes) leave(e vec.Time) {
	h := w.hopping
	for len(h.window) > 0 && h.window[0].end <= e-w.size {
		w.drop(h.leave())
	}
}

// drop frees the slots of a pane and the pane.
func (w *panes) drop(p *pane) {
	w.freeSlots(p.slots)
	*p = pane{groups: p.groups[:0], slots: p.slots[:0], next: p.next[:0], isTop: p.isTop[:0]}
	w.pool = append(w.pool, p)
}

// pairSlots is the sparse table: (pane, group) to slot.
type pairSlots struct{ m map[paneGroup]int32 }

type paneGroup struct {
	num   int64
	group int32
}

func (s *pairSlots) get(num int64, group int32) (int32, bool) {
	x, ok := s.m[paneGroup{num, group}]
	return x, ok
}

func (s *pairSlots) put(num int64, group, slot int32) {
	if s.m == nil {
		s.m = map[paneGroup]int32{}
	}
	s.m[paneGroup{num, group}] = slot
}

func (s *pairSlots) remove(num int64, group int32) { delete(s.m, paneGroup{num, group}) }

func (w *panes) owner(o *grouping) { w.o = o }

func (w *panes) held() int { return int(w.nslots) - len(w.free) }

func (w *panes) known() int { return 0 }

// snapshot writes the panes of the window and the open ones; the running aggregates
// follow from them.
func (w *panes) snapshot(sw *state.Writer) {
	sw.Int(int64(w.last))
	var in []*pane
	if w.hopping != nil {
		in = w.hopping.window
	}
	for _, list := range [][]*pane{in, w.open} {
		sw.Uint(uint64(len(list)))
		for _, p := range list {
			sw.Int(p.num)
			sw.Uint(uint64(len(p.groups)))
			for _, s := range p.slots {
				w.o.keys.saveKey(sw, w.tuple[s])
				sw.Int(int64(w.first[s].t))
				sw.Int(w.first[s].seq)
				for _, acc := range w.accs {
					acc.Save(s, sw)
				}
			}
		}
	}
}

func (w *panes) restore(r *state.Reader) {
	w.last = vec.Time(r.Int())
	for list := range 2 {
		prev := int64(-1 << 62)
		for range r.Count() {
			num := r.Int()
			if num <= prev || num > 1<<62 {
				r.Fail()
			}
			prev = num
			for range r.Count() {
				if r.Err() != nil {
					return
				}
				w.restoreEntry(r, num)
			}
			if r.Err() != nil {
				return
			}
			if list == 0 && w.hopping != nil && len(w.open) > 0 {
				p := w.open[0]
				w.open = w.open[:0]
				w.hopping.enter(p)
			}
		}
	}
	w.reserve(int(w.o.keys.n))
	switch {
	case len(w.open) == 0:
	case !w.dense:
		w.toSparse()
	default:
		w.reach(w.open[len(w.open)-1].num)
	}
}

func (w *panes) restoreEntry(r *state.Reader, num int64) {
	group, tuple := w.o.keys.loadKey(r, &w.o.load)
	w.reserve(int(w.o.keys.n))
	s := w.enter(num, group, tuple, 0)
	w.first[s] = rank{vec.Time(r.Int()), r.Int()}
	for _, acc := range w.accs {
		acc.Load(s, r)
	}
}
