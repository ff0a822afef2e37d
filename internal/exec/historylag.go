package exec

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// lagUnit computes the calls of LAG and LAST with the same keys and WHEN (saql.md 8.2,
// 8.3). It keeps, per key, as many of the newest rows as the greatest offset, in cells:
// each has the time of its row and, in columns beside, the values that calls ask for.
//
// A batch is done in three steps. The first goes through the rows and notes, for each
// call, a reference to the row that it finds; the cells refer to rows of the batch
// meanwhile. The second gathers the values by reference, a column at a time. The third,
// when the results have been passed on, copies the newest rows to the cells.
type lagUnit struct {
	s     *historyKeys
	when  int
	depth int32 // the greatest offset
	limit vec.Time
	looks []lagLook
	vals  []lagValue
	calls []lagCall

	cells   []lagCell
	rings   []lagRing // per key, if depth > 1; else a key's cell has its number
	free    map[int32][]int32
	touched []int32   // cells with a row of the batch at hand, or to be moved
	old     []lagRing // rings that have been left for larger ones in this batch
	floor   vec.Time  // cells with an older row, or one of that time, do not count
	count   int       // cells that do

	dst, rows []int32
}

// lagCell is a row that is kept. ref is a row of the batch at hand, or the cell that has
// its values.
type lagCell struct {
	at  vec.Time
	ref int32
}

// lagRing is the cells of a key: size of them from base on, head is the next to be written.
type lagRing struct{ base, size, head int32 }

// lagLook is a way to look back. Offset 0 is LAST.
type lagLook struct {
	offset int32
	limit  vec.Time
	refs   []int32
	none   bool // some reference leads nowhere
}

// lagValue is a column that is kept.
type lagValue struct {
	col   int
	cells *cellColumn
}

type lagCall struct{ call, look, value, def int }

// add adds a call.
func (u *lagUnit) add(i int) {
	call := &u.s.h.op.Calls[i]
	offset := int32(call.Offset)
	if call.Kind == plan.Last {
		offset = 0
	}
	c := lagCall{call: i, def: -1}
	c.look = slices.IndexFunc(u.looks, func(l lagLook) bool { return l.offset == offset && l.limit == call.Limit })
	if c.look < 0 {
		c.look = len(u.looks)
		u.looks = append(u.looks, lagLook{offset: offset, limit: call.Limit})
	}
	c.value = slices.IndexFunc(u.vals, func(v lagValue) bool { return v.col == call.Args[0] })
	if c.value < 0 {
		c.value = len(u.vals)
		u.vals = append(u.vals, lagValue{call.Args[0], newCellColumn()})
	}
	if len(call.Args) > 1 {
		c.def = call.Args[1]
	}
	u.calls = append(u.calls, c)
	u.depth = max(u.depth, offset, 1)
	u.limit = max(u.limit, call.Limit)
}

func (u *lagUnit) push(in *historyRows) {
	u.grow(in.known)
	for l := range u.looks {
		u.looks[l].refs = resizeInts(u.looks[l].refs, in.N)
		u.looks[l].none = false
	}
	if l := &u.looks[0]; u.depth == 1 && len(u.looks) == 1 && l.offset == 1 && u.when < 0 {
		u.lagByOne(in, l)
	} else {
		u.lookBack(in)
	}
	for i := range u.vals {
		u.vals[i].cells.grow(len(u.cells))
	}
	for _, c := range u.calls {
		l, v := &u.looks[c.look], &u.vals[c.value]
		var def *vec.Vec
		if c.def >= 0 {
			def = &in.Cols[c.def]
		}
		v.cells.gather(&u.s.h.results[c.call], &in.Cols[v.col], l.refs, l.none, def)
	}
}

// grow makes room for keys.
func (u *lagUnit) grow(known int) {
	if u.depth > 1 {
		if known > len(u.rings) {
			u.rings = slices.Grow(u.rings, known-len(u.rings))[:known]
		}
		return
	}
	for c := len(u.cells); c < known; c++ {
		u.cells = append(u.cells, lagCell{vec.MinTime, cellRef(int32(c))})
	}
}

// lagByOne is the first step for a lone LAG(x) without WHEN.
func (u *lagUnit) lagByOne(in *historyRows, l *lagLook) {
	cells, limit, refs := u.cells, l.limit, l.refs
	times := in.Time[:len(refs)]
	groups := in.groups[:len(refs)]
	for i, g := range groups {
		t, c := times[i], &cells[g]
		ref := c.ref
		if ref < 0 {
			u.touched = append(u.touched, g)
			if c.at <= u.floor {
				u.count++
			}
		}
		if c.at <= t-limit {
			ref = noRef
			l.none = true
		}
		refs[i] = ref
		c.at, c.ref = t, int32(i)
	}
}

// lookBack is the first step for any calls.
func (u *lagUnit) lookBack(in *historyRows) {
	pass := in.passes(u.when)
	for i, g := range in.groups[:in.N] {
		t := in.Time[i]
		for l := range u.looks {
			if look := &u.looks[l]; look.offset > 0 {
				look.find(i, u.cellAt(g, look.offset), t)
			}
		}
		if pass == nil || pass[i] == fn.True {
			u.put(g, t, int32(i))
		}
		for l := range u.looks {
			if look := &u.looks[l]; look.offset == 0 {
				look.find(i, u.cellAt(g, 1), t)
			}
		}
	}
}

// find notes what row i of time t finds in a cell.
func (l *lagLook) find(i int, c *lagCell, t vec.Time) {
	if c == nil || c.at <= t-l.limit {
		l.refs[i] = noRef
		l.none = true
		return
	}
	l.refs[i] = c.ref
}

// cellAt is the cell of the row back rows ago of a key; nil or an old one if there is none.
func (u *lagUnit) cellAt(key, back int32) *lagCell {
	if u.depth == 1 {
		return &u.cells[key]
	}
	r := &u.rings[key]
	if back > r.size {
		return nil
	}
	at := r.head - back
	if at < 0 {
		at += r.size
	}
	return &u.cells[r.base+at]
}

// put makes row i of the batch the newest row of a key.
func (u *lagUnit) put(key int32, t vec.Time, i int32) {
	cell := key
	if u.depth > 1 {
		cell = u.next(key, t)
	}
	c := &u.cells[cell]
	if c.at <= u.floor {
		u.count++
	}
	if c.ref < 0 {
		u.touched = append(u.touched, cell)
	}
	c.at, c.ref = t, i
}

// next is the cell of a key to be written next: the oldest, or one of a larger ring if that
// is still of use.
func (u *lagUnit) next(key int32, t vec.Time) int32 {
	r := &u.rings[key]
	if r.size < u.depth && (r.size == 0 || u.cells[r.base+r.head].at > t-u.limit) {
		u.widen(r)
	}
	cell := r.base + r.head
	if r.head++; r.head == r.size {
		r.head = 0
	}
	return cell
}

// widen gives a key a ring of twice the size. Values move in the third step; until then the
// cells of the larger ring refer to those of the smaller one, which is used again only
// after that.
func (u *lagUnit) widen(r *lagRing) {
	wide := lagRing{size: min(max(4, 2*r.size), u.depth), head: r.size}
	wide.base = u.ring(wide.size)
	for i := range r.size {
		from := r.head + i
		if from >= r.size {
			from -= r.size
		}
		u.cells[wide.base+i] = u.cells[r.base+from]
		u.touched = append(u.touched, wide.base+i)
	}
	if r.size > 0 {
		u.old = append(u.old, *r)
	}
	*r = wide
}

// ring gives a run of empty cells.
func (u *lagUnit) ring(size int32) int32 {
	if list := u.free[size]; len(list) > 0 {
		u.free[size] = list[:len(list)-1]
		return list[len(list)-1]
	}
	base := int32(len(u.cells))
	for i := range size {
		u.cells = append(u.cells, lagCell{vec.MinTime, cellRef(base + i)})
	}
	return base
}

// keep is the third step.
func (u *lagUnit) keep(in *historyRows) {
	u.settle(func(col int) *vec.Vec { return &in.Cols[col] })
}

// settle moves the values that cells refer to into the cells.
func (u *lagUnit) settle(column func(col int) *vec.Vec) {
	u.dst, u.rows = u.dst[:0], u.rows[:0]
	for _, cell := range u.touched {
		c := &u.cells[cell]
		switch {
		case c.ref >= 0:
			u.dst, u.rows = append(u.dst, cell), append(u.rows, c.ref)
		case c.ref != cellRef(cell) && c.at != vec.MinTime:
			for _, v := range u.vals {
				v.cells.move(cell, cellRef(c.ref))
			}
		}
		c.ref = cellRef(cell)
	}
	u.touched = u.touched[:0]
	for _, v := range u.vals {
		v.cells.store(u.dst, u.rows, column(v.col))
	}
	for _, r := range u.old {
		for i := range r.size {
			u.cells[r.base+i] = lagCell{vec.MinTime, cellRef(r.base + i)}
		}
		if u.free == nil {
			u.free = map[int32][]int32{}
		}
		u.free[r.size] = append(u.free[r.size], r.base)
	}
	u.old = u.old[:0]
}

func (u *lagUnit) misfits(*historyRows, func(diag.Span, int, string)) {}

// expire notices when no row is of use any more.
func (u *lagUnit) expire(t vec.Time) {
	if u.count > 0 && u.s.h.newest <= since(t, u.limit) {
		u.floor, u.count = u.s.h.newest, 0
	}
}

// sweep counts the rows that are still of use.
func (u *lagUnit) sweep(t vec.Time) {
	u.floor, u.count = since(t, u.limit), 0
	for i := range u.cells {
		if u.cells[i].at > u.floor {
			u.count++
		}
	}
}

// since is t - d, at least the beginning of time.
func since(t, d vec.Time) vec.Time {
	if t < vec.MinTime+d {
		return vec.MinTime
	}
	return t - d
}

func (u *lagUnit) held() int { return u.count }

// freeze copies the rows of each key that has any.
func (u *lagUnit) freeze(t vec.Time, m *state.Memory) saved {
	f := &frozenLag{floor: since(t, u.limit), deep: u.depth > 1, keys: u.s.table.freeze(), cells: state.Copy(m, u.cells), rings: state.Copy(m, u.rings)}
	for _, v := range u.vals {
		f.cols = append(f.cols, freezeRows(&v.cells.v, 0, m))
	}
	return f.save
}

// frozenLag is a lagUnit as it was.
type frozenLag struct {
	floor vec.Time
	deep  bool
	keys  frozenKeys
	cells []lagCell
	rings []lagRing
	cols  []vec.Vec
}

// rowsOf calls f with the cells of a key that have a row younger than floor, the oldest
// first.
func (l *frozenLag) rowsOf(key int32, f func(cell int32)) {
	r := lagRing{base: key, size: 1}
	if l.deep {
		r = l.rings[key]
	}
	for i := range r.size {
		at := r.head + i
		if at >= r.size {
			at -= r.size
		}
		if l.cells[r.base+at].at > l.floor {
			f(r.base + at)
		}
	}
}

// save writes the rows of each key that has any.
func (l *frozenLag) save(w *state.Writer) {
	keys := int32(len(l.cells))
	if l.deep {
		keys = int32(len(l.rings))
	}
	counts := make([]int, keys)
	some := 0
	for key := range keys {
		l.rowsOf(key, func(int32) { counts[key]++ })
		some += min(counts[key], 1)
	}
	w.Uint(uint64(some))
	for key := range keys {
		if counts[key] == 0 {
			continue
		}
		l.keys.save(w, key)
		w.Uint(uint64(counts[key]))
		l.rowsOf(key, func(cell int32) {
			w.Int(int64(l.cells[cell].at))
			saveRow(w, l.cols, int(cell))
		})
	}
}

func (u *lagUnit) restore(r *state.Reader) {
	cols := u.s.h.node.In[0].Cols
	row := make(map[int]*vec.Vec, len(u.vals))
	for _, v := range u.vals {
		row[v.col] = &vec.Vec{}
	}
	n := r.Count()
	u.s.table.expect(n)
	for range n {
		key, _ := u.s.table.loadKey(r, &u.s.scratch)
		u.grow(int(u.s.table.n))
		for range r.Count() {
			t := vec.Time(r.Int())
			for _, v := range u.vals {
				row[v.col].Reset()
				row[v.col].Append(loadColumn(r, cols[v.col].Type))
			}
			if r.Err() != nil {
				return
			}
			u.put(key, t, 0)
			for _, v := range u.vals {
				v.cells.grow(len(u.cells))
			}
			u.settle(func(col int) *vec.Vec { return row[col] })
		}
	}
}
