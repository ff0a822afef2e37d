package exec

import (
	"cmp"
	"slices"

	"weir/internal/vec"
	"weir/internal/window"
)

// sessions computes session windows. Sessions are formed per partition key (the columns
// of OVER, or one partition for all rows); within a session rows are grouped. Ends are in
// a heap that is put right lazily: a row that prolongs a session does not touch it.
//
// Sessions and what belongs to their slots lie in slices without pointers, so that a million
// of them can be copied for a snapshot in no time.
type sessions struct {
	slotPool
	o      *grouping
	spec   window.Spec
	parts  *keyTable // the keys of the groups themselves if the partition keys are the same
	all    []session
	unused []int32 // sessions that are over
	open   []int32 // per partition: its session + 1, 0: none
	ends   []int32 // a heap of sessions by due, then id
	made   int64
	// The newest session of each group and its slot there.
	recent []sessionSlot
	first  []rank  // per slot
	tuple  []int32 // per slot: the key of its first row
	group  []int32 // per slot
	chain  []int32 // per slot: the session's next slot + 1
	// many finds the slots of the groups of a session, once they are many.
	many map[int32]map[int32]int32
	// within says that all rows of a group are of one partition: a group whose newest session
	// is another one has never been in the partition's open one.
	within bool
	slots  []int32
	closed []closedSlot
	batch  resultRows
	load   vec.Batch
}

// sessionSlot is a session + 1 and a slot.
type sessionSlot struct{ session, slot int32 }

// closedSlot is a group of a session that has closed.
type closedSlot struct {
	end  vec.Time
	slot int32
}

// session is a session of a partition, open or waiting for its end to pass.
type session struct {
	window.SessionState
	id     int64
	due    vec.Time // its place in the heap
	part   int32
	slots  int32 // its first slot + 1
	tail   int32 // its last slot
	groups int32
	// ended says that its results are out. A session that its limit has cut stays for as long
	// as a row may come that continues it: the next session then begins at the cut.
	ended bool
	over  bool // it is not in use
}

// manyGroups is from how many groups on a session has a map of them.
const manyGroups = 16

func newSessions(o *grouping, spec window.Spec) *sessions {
	w := &sessions{o: o, spec: spec, parts: o.keys, slotPool: slotPool{accs: o.wholeAccs()}, many: map[int32]map[int32]int32{}}
	w.within = !slices.ContainsFunc(spec.Over, func(c int) bool { return !slices.Contains(o.op.Keys, c) })
	if !slices.Equal(spec.Over, o.op.Keys) {
		w.parts = newKeyTable(spec.Over, o.node.In[0].Cols)
	}
	return w
}

func (w *sessions) add(in *groupedRows) {
	parts := in.groups
	if w.parts != w.o.keys {
		parts, _ = w.parts.groups(in.Batch)
	}
	w.reserve()
	w.slots = resizeInts(w.slots, in.N)
	for i, t := range in.Time[:in.N] {
		s := w.open[parts[i]] - 1
		switch {
		case s < 0:
			s = w.begin(parts[i], w.spec.OpenSession(t))
		case w.spec.Belongs(&w.all[s].SessionState, t):
			w.all[s].Last = t
		default:
			x, _ := w.spec.Join(w.all[s].SessionState, t)
			s = w.begin(parts[i], x)
		}
		at := w.recent[in.groups[i]]
		if at.session != s+1 {
			at = sessionSlot{s + 1, w.slotOf(s, in.groups[i], in.tuples[i], in.rank(i))}
			w.recent[in.groups[i]] = at
		}
		w.slots[i] = at.slot
	}
	for j, acc := range w.accs {
		acc.Add(w.slots, in.args[j])
	}
}

func (w *sessions) reserve() {
	if n := int(w.parts.n); n > len(w.open) {
		w.open = append(w.open, make([]int32, n-len(w.open))...)
	}
	if n := int(w.o.keys.n); n > len(w.recent) {
		w.recent = append(w.recent, make([]sessionSlot, n-len(w.recent))...)
	}
}

func (w *sessions) begin(part int32, x window.SessionState) int32 {
	s := int32(len(w.all))
	if n := len(w.unused); n > 0 {
		s, w.unused = w.unused[n-1], w.unused[:n-1]
	} else {
		w.all = append(w.all, session{})
	}
	w.all[s] = session{SessionState: x, id: w.made, part: part, due: w.spec.Close(x)}
	w.made++
	w.open[part] = s + 1
	w.push(s)
	return s
}

// slotOf gives a group its slot in a session.
func (w *sessions) slotOf(s, group, tuple int32, first rank) int32 {
	if slot, ok := w.find(s, group); ok {
		return slot
	}
	slot, fresh := w.take()
	if fresh {
		w.first, w.tuple = append(w.first, rank{}), append(w.tuple, 0)
		w.group, w.chain = append(w.group, 0), append(w.chain, 0)
	}
	w.first[slot], w.tuple[slot] = first, tuple
	w.link(s, group, slot)
	return slot
}

// find is the slot of a group in a session that is not the newest one of the group.
func (w *sessions) find(s, group int32) (int32, bool) {
	x := &w.all[s]
	if w.within {
		return 0, false
	}
	if x.groups > manyGroups {
		slot, ok := w.many[s][group]
		return slot, ok
	}
	for slot := x.slots; slot != 0; slot = w.chain[slot-1] {
		if w.group[slot-1] == group {
			return slot - 1, true
		}
	}
	return 0, false
}

// link adds a slot to a session.
func (w *sessions) link(s, group, slot int32) {
	x := &w.all[s]
	w.group[slot], w.chain[slot] = group, 0
	if x.slots == 0 {
		x.slots = slot + 1
	} else {
		w.chain[x.tail] = slot + 1
	}
	x.tail = slot
	x.groups++
	switch {
	case w.within:
	case x.groups > manyGroups+1:
		w.many[s][group] = slot
	case x.groups > manyGroups:
		byGroup := map[int32]int32{}
		for at := x.slots; at != 0; at = w.chain[at-1] {
			byGroup[w.group[at-1]] = at - 1
		}
		w.many[s] = byGroup
	}
}

// due is when something happens to a session if no row comes.
func (w *sessions) due(s *session) vec.Time {
	if s.ended {
		return s.Last + w.spec.Timeout
	}
	return w.spec.Close(s.SessionState)
}

// next is the end of the session that ends first, as far as the rows so far tell. When a
// session that has ended goes, next tells that too; it has no results.
func (w *sessions) next() (vec.Time, bool) {
	for len(w.ends) > 0 {
		s := &w.all[w.ends[0]]
		end := w.due(s)
		if end == s.due {
			return end, true
		}
		s.due = end
		w.down(0)
	}
	return 0, false
}

func (w *sessions) emit(to *results, before vec.Time) {
	w.closed = w.closed[:0]
	for at := to.at; ; {
		end, ok := w.next()
		if !ok || end != at && (end >= before || len(w.closed) >= limits.results) {
			break // sessions that end together come out together
		}
		w.end(w.ends[0], end)
		at = end
	}
	slices.SortFunc(w.closed, func(a, b closedSlot) int {
		if c := cmp.Compare(a.end, b.end); c != 0 {
			return c
		}
		return w.first[a.slot].compare(w.first[b.slot])
	})
	b := &w.batch
	b.reset()
	for _, x := range w.closed {
		b.add(x.end, w.tuple[x.slot], x.slot, w.first[x.slot])
	}
	to.take(b, w.accs)
	w.giveBack(b.slots)
}

// end ends the session at the top of the heap, or lets go of it if it has ended before.
func (w *sessions) end(s int32, at vec.Time) {
	x := &w.all[s]
	for slot := x.slots; slot != 0; slot = w.chain[slot-1] {
		w.closed = append(w.closed, closedSlot{at, slot - 1})
		if g := w.group[slot-1]; w.recent[g].session == s+1 {
			w.recent[g] = sessionSlot{}
		}
	}
	if x.groups > manyGroups && !w.within {
		delete(w.many, s)
	}
	x.slots, x.groups = 0, 0
	if !x.ended && w.open[x.part] == s+1 && x.Last+w.spec.Timeout > x.Limit {
		x.ended = true // next finds its new place
		return
	}
	w.pop()
	if w.open[x.part] == s+1 {
		w.open[x.part] = 0
	}
	x.over = true
	w.unused = append(w.unused, s)
}

func (w *sessions) owner(o *grouping) { w.o = o }

func (w *sessions) held() int { return w.used() + len(w.ends) }

func (w *sessions) known() int { return int(w.parts.n) }

// The heap of sessions.

func (w *sessions) less(a, b int32) bool {
	x, y := &w.all[a], &w.all[b]
	return x.due < y.due || x.due == y.due && x.id < y.id
}

func (w *sessions) push(s int32) {
	w.ends = append(w.ends, s)
	h := w.ends
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !w.less(h[i], h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

// pop takes the first session out.
func (w *sessions) pop() {
	n := len(w.ends) - 1
	w.ends[0] = w.ends[n]
	w.ends = w.ends[:n]
	w.down(0)
}

// down moves the session at i, whose due has grown, to its place.
func (w *sessions) down(i int) {
	h := w.ends
	for {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(h) && w.less(h[c], h[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
