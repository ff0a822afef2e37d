package exec

import (
	"weir/internal/plan"
	"weir/internal/vec"
)

// join is the join of two streams (plan.Join; saql.md 6.2 to 6.5). Rows of both sides wait
// until the watermark of both has passed them. Then time goes on from one instant at which
// something happens to the next. At each of them there come out, first by the left row and
// then by the right one:
//
//   - pairs of an older left row with a right row of that time,
//   - left rows that have found no match and whose last chance that was,
//   - pairs of a left row of that time with the right rows so far.
//
// Pairs gather in a list and are looked at together (pairs.go). What a left row's pairs
// have come to is known by then in the order of the list, so a row without a match can stand
// in it as a pair without a right row that is struck out if a match stands before it.
//
// Both sides number their keys in one table. A row is in the list of its key for as long as
// a row that is still to come can match it.
type join struct {
	g    *Graph
	node *plan.Node
	op   *plan.Join
	live []bool

	ports [2]vec.Time // watermark of each side
	sides [2]joinSide
	keys  *keyTable
	pairs pairs

	due     int      // of an outer join without Until: the first row that may still wait
	waiting dueHeap  // with Until: the rows that wait
	dues    []dueRow // rows whose time to wait ends now
	old     []dueRow // scratch: older left rows that have pairs now
	spare   []dueRow
	runs    []int   // the ends of the runs in old that are in order
	newest  []int32 // per key: the first right row of this time, -1 if there is none
	chain   []int32 // per right row of this time: the next one with that key

	rows, checked int64 // rows so far, and when keys were last looked at
	looked        int64 // how many keys there were then
	load          vec.Batch
}

func newJoin(g *Graph, n *plan.Node, op *plan.Join, live []bool) *join {
	o := &join{g: g, node: n, op: op, live: live, keys: newKeyTable(op.Keys[0], n.In[0].Cols)}
	kept := plan.KeptColumns(n, live)
	for port := range o.sides {
		o.ports[port] = vec.MinTime
		o.sides[port].init(kept[port], port == 0 && op.Hi > 0 || port == 1 && op.Lo <= 0)
	}
	if op.Outer {
		o.sides[0].waits = []bool{}
	}
	o.pairs.init(g, n.In[1], op.Out, op.On, op.Outer, live)
	return o
}

func (o *join) Push(port int, b *vec.Batch, _ Emit) error {
	keys := o.number(port, b)
	s := &o.sides[port]
	s.add(b, keys, o.op.Outer && port == 0)
	if s.waits != nil {
		s.waits = extend(s.waits, len(s.time))
	}
	o.rows += int64(b.N)
	return nil
}

// extend gives s length n; what is new is false.
func extend(s []bool, n int) []bool {
	at := len(s)
	if n > cap(s) {
		s = append(s, make([]bool, n-at)...)
	}
	clear(s[at:n])
	return s[:n]
}

// number gives the key of each row of a side, -1 where a part of it is NULL, which matches
// nothing.
func (o *join) number(port int, b *vec.Batch) []int32 {
	o.keys.cols, o.keys.types = o.op.Keys[port], o.node.In[port].Cols
	keys, _ := o.keys.groups(b)
	for _, c := range o.keys.cols {
		col := &b.Cols[c]
		if col.Tag == nil && !col.Kind.IsNull() {
			continue
		}
		for i := range keys {
			if col.KindAt(i).IsNull() {
				keys[i] = -1
			}
		}
	}
	for i := range o.sides {
		o.sides[i].lists.reserve(int(o.keys.n))
	}
	return keys
}

func (o *join) Advance(port int, t vec.Time, emit Emit) error {
	o.ports[port] = t
	before := min(o.ports[0], o.ports[1])
	if before == vec.MinTime {
		return nil
	}
	for at := o.nextTime(); at < before; at = o.nextTime() {
		if err := o.step(at, emit); err != nil {
			return err
		}
	}
	if err := o.flush(emit); err != nil {
		return err
	}
	o.expire(before)
	if n := o.sides[0].trim(); n > 0 {
		o.due -= min(o.due, n)
		o.waiting.renumber(int32(n))
	}
	o.sides[1].trim()
	o.forget()
	return nil
}

// nextTime is the next time at which something happens.
func (o *join) nextTime() vec.Time {
	at := vec.MaxTime
	for i := range o.sides {
		if s := &o.sides[i]; s.next < len(s.time) {
			at = min(at, s.time[s.next])
		}
	}
	if o.op.Outer {
		at = min(at, o.nextDue())
	}
	return at
}

// expire forgets the rows that rows with a time of at least t do not match.
func (o *join) expire(t vec.Time) {
	if t == vec.MaxTime {
		o.sides[0].expire(t)
		o.sides[1].expire(t)
		return
	}
	o.sides[0].expire(t - o.op.Hi)
	o.sides[1].expire(t + o.op.Lo)
}

// step lets happen what happens at a time.
func (o *join) step(at vec.Time, emit Emit) error {
	l, r := &o.sides[0], &o.sides[1]
	o.expire(at)
	if o.op.Outer {
		o.takeDue(at)
	}
	end := r.next
	for end < len(r.time) && r.time[end] == at {
		end++
	}
	var err error
	switch {
	case len(o.dues) > 0 || end-r.next > 1:
		err = o.pairOlder(at, end, emit)
	case end > r.next:
		err = o.pairRight(at, r.next, emit)
	}
	for r.next < end && err == nil {
		r.pass()
	}
	for l.next < len(l.time) && l.time[l.next] == at && err == nil {
		err = o.pairLeft(at, l.next, emit)
		l.pass()
	}
	return err
}

func (o *join) flushFull(emit Emit) error {
	if o.pairs.len() < limits.results {
		return nil
	}
	return o.flush(emit)
}

// flush looks at the pairs and passes the results on.
func (o *join) flush(emit Emit) error {
	if o.pairs.len() == 0 {
		return nil
	}
	o.pairs.cols = [2][]vec.Vec{o.sides[0].cols, o.sides[1].cols}
	o.pairs.waits = o.sides[0].waits
	b, err := o.pairs.result()
	if err == nil && b.N > 0 {
		err = emit(b)
	}
	o.pairs.clear()
	return err
}

// pairRight adds the pairs of a right row with the older left rows.
func (o *join) pairRight(at vec.Time, row int, emit Emit) error {
	l := &o.sides[0]
	list := &l.lists.of[o.sides[1].key[row]]
	for c := list.head; c >= 0; {
		var rows []uint32
		rows, c = l.lists.rows(list, c)
		if o.op.Lo > 0 {
			if n := l.upTo(rows, at-o.op.Lo); n < len(rows) {
				rows, c = rows[:n], -1
			}
		}
		o.pairs.addLefts(at, rows, l.base, int32(row))
		if err := o.flushFull(emit); err != nil {
			return err
		}
	}
	return nil
}

// upTo is how many of the rows have a time of at most t.
func (s *joinSide) upTo(rows []uint32, t vec.Time) int {
	for i, x := range rows {
		if s.time[x-s.base] > t {
			return i
		}
	}
	return len(rows)
}

// pairLeft adds the pairs of a left row of this time with the right rows so far, and what
// becomes of it without.
func (o *join) pairLeft(at vec.Time, row int, emit Emit) error {
	l, r := &o.sides[0], &o.sides[1]
	if o.op.Outer {
		l.waits[row] = true // until flush finds a match
	}
	if k := l.key[row]; k >= 0 {
		list := &r.lists.of[k]
		for c := list.head; c >= 0; {
			var rows []uint32
			rows, c = r.lists.rows(list, c)
			if o.op.Hi < 0 {
				if n := r.upTo(rows, at+o.op.Hi); n < len(rows) {
					rows, c = rows[:n], -1
				}
			}
			o.pairs.addRights(at, int32(row), rows, r.base)
			if err := o.flushFull(emit); err != nil {
				return err
			}
		}
	}
	if o.op.Outer {
		o.wait(at, row)
	}
	return nil
}

// pairOlder adds the pairs of the older left rows with the right rows before end, which are
// of this time, and the left rows that end their waiting.
func (o *join) pairOlder(at vec.Time, end int, emit Emit) error {
	l, r := &o.sides[0], &o.sides[1]
	o.chainRights(end)
	o.old, o.runs = o.old[:0], o.runs[:0]
	for row := r.next; row < end; row++ {
		k := r.key[row]
		if o.newest[k] != int32(row) {
			continue // the key has had its turn
		}
		list := &l.lists.of[k]
		for c := list.head; c >= 0; {
			var rows []uint32
			rows, c = l.lists.rows(list, c)
			if o.op.Lo > 0 {
				rows = rows[:l.upTo(rows, at-o.op.Lo)]
			}
			for _, x := range rows {
				o.old = append(o.old, dueRow{t: vec.Time(x - l.base), row: k})
			}
		}
		o.runs = append(o.runs, len(o.old))
	}
	o.old = append(o.old, o.dues...) // behind the pairs of the same row
	o.runs = append(o.runs, len(o.old))
	o.dues = o.dues[:0]
	o.old, o.spare = mergeRuns(o.old, o.spare, o.runs)
	for _, x := range o.old {
		if x.row < 0 {
			o.pairs.add(at, int32(x.t), -1)
		} else {
			for i := o.newest[x.row]; i >= 0; i = o.chain[int(i)-r.next] {
				o.pairs.add(at, int32(x.t), i)
				if err := o.flushFull(emit); err != nil {
					return err
				}
			}
		}
		if err := o.flushFull(emit); err != nil {
			return err
		}
	}
	for _, k := range r.key[r.next:end] {
		o.newest[k] = -1
	}
	return nil
}

// chainRights chains the right rows of this time by key.
func (o *join) chainRights(end int) {
	r := &o.sides[1]
	for len(o.newest) < int(o.keys.n) {
		o.newest = append(o.newest, -1)
	}
	o.chain = resizeInts(o.chain, end-r.next)
	for row := end - 1; row >= r.next; row-- {
		k := r.key[row]
		o.chain[row-r.next] = o.newest[k]
		o.newest[k] = int32(row)
	}
}
