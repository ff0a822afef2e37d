package exec

import (
	"cmp"
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// sessions computes session windows. Sessions are formed per partition key (the columns
// of OVER, or one partition for all rows); within a session rows are grouped. Ends are in
// a heap that is put right lazily: a row that prolongs a session does not touch it.
type sessions struct {
	slotPool
	o     *grouping
	spec  window.Spec
	parts *keyTable  // the keys of the groups themselves if the partition keys are the same
	open  []*session // per partition, nil: none
	ends  sessionHeap
	made  int64
	pool  []*session
	// The newest session of each group and its slot there.
	recent []sessionSlot
	first  []rank  // per slot
	tuple  []int32 // per slot: the key of its first row
	slots  []int32
	closed []closedSlot
	batch  resultRows
	load   vec.Batch
}

type sessionSlot struct {
	s    *session
	slot int32
}

// closedSlot is a group of a session that has closed.
type closedSlot struct {
	end  vec.Time
	slot int32
}

// session is a session of a partition, open or waiting for its end to pass.
type session struct {
	window.SessionState
	id   int64
	part int32
	due  vec.Time // its place in the heap
	// ended says that its results are out. A session that its limit has cut stays for as long
	// as a row may come that continues it: the next session then begins at the cut.
	ended  bool
	groups []int32
	slots  []int32
	// byGroup finds the slots of groups, once they are many.
	byGroup map[int32]int32
}

// manyGroups is from how many groups on a session has a map of them.
const manyGroups = 16

func newSessions(o *grouping, spec window.Spec) *sessions {
	w := &sessions{o: o, spec: spec, parts: o.keys, slotPool: slotPool{accs: o.wholeAccs()}}
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
		s := w.open[parts[i]]
		switch {
		case s == nil:
			s = w.begin(parts[i], w.spec.OpenSession(t))
		case w.spec.Belongs(&s.SessionState, t):
			s.Last = t
		default:
			x, _ := w.spec.Join(s.SessionState, t)
			s = w.begin(parts[i], x)
		}
		at := w.recent[in.groups[i]]
		if at.s != s {
			at = sessionSlot{s, w.slotOf(s, in.groups[i], in.tuples[i], in.rank(i))}
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
		w.open = append(w.open, make([]*session, n-len(w.open))...)
	}
	if n := int(w.o.keys.n); n > len(w.recent) {
		w.recent = append(w.recent, make([]sessionSlot, n-len(w.recent))...)
	}
}

func (w *sessions) begin(part int32, x window.SessionState) *session {
	var s *session
	if n := len(w.pool); n > 0 {
		s, w.pool = w.pool[n-1], w.pool[:n-1]
	} else {
		s = &session{}
	}
	*s = session{SessionState: x, id: w.made, part: part, groups: s.groups[:0], slots: s.slots[:0]}
	w.made++
	s.due = w.spec.Close(x)
	w.open[part] = s
	w.ends.push(s)
	return s
}

// slotOf gives a group its slot in a session.
func (w *sessions) slotOf(s *session, group, tuple int32, first rank) int32 {
	if slot, ok := s.find(group); ok {
		return slot
	}
	slot, fresh := w.take()
	if fresh {
		w.first, w.tuple = append(w.first, rank{}), append(w.tuple, 0)
	}
	w.first[slot], w.tuple[slot] = first, tuple
	s.add(group, slot)
	return slot
}

// find is the slot of a group in the session.
func (s *session) find(group int32) (int32, bool) {
	if s.byGroup != nil {
		slot, ok := s.byGroup[group]
		return slot, ok
	}
	if i := slices.Index(s.groups, group); i >= 0 {
		return s.slots[i], true
	}
	return 0, false
}

func (s *session) add(group, slot int32) {
	s.groups = append(s.groups, group)
	s.slots = append(s.slots, slot)
	switch {
	case s.byGroup != nil:
		s.byGroup[group] = slot
	case len(s.groups) > manyGroups:
		s.byGroup = map[int32]int32{}
		for i, g := range s.groups {
			s.byGroup[g] = s.slots[i]
		}
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
		s := w.ends[0]
		end := w.due(s)
		if end == s.due {
			return end, true
		}
		s.due = end
		w.ends.down(0)
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
func (w *sessions) end(s *session, at vec.Time) {
	for i, g := range s.groups {
		w.closed = append(w.closed, closedSlot{at, s.slots[i]})
		if w.recent[g].s == s {
			w.recent[g] = sessionSlot{}
		}
	}
	s.groups, s.slots, s.byGroup = s.groups[:0], s.slots[:0], nil
	if !s.ended && w.open[s.part] == s && s.Last+w.spec.Timeout > s.Limit {
		s.ended = true // next finds its new place
		return
	}
	w.ends.pop()
	if w.open[s.part] == s {
		w.open[s.part] = nil
	}
	w.pool = append(w.pool, s)
}

func (w *sessions) owner(o *grouping) { w.o = o }

func (w *sessions) held() int { return w.used() + len(w.ends) }

func (w *sessions) known() int { return int(w.parts.n) }

func (w *sessions) snapshot(sw *state.Writer) {
	all := slices.Clone(w.ends)
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	sw.Uint(uint64(len(all)))
	for _, s := range all {
		w.parts.saveKey(sw, s.part)
		sw.Bool(w.open[s.part] == s)
		sw.Bool(s.ended)
		sw.Int(int64(s.Start))
		sw.Int(int64(s.Last))
		sw.Int(int64(s.Limit))
		sw.Uint(uint64(len(s.groups)))
		for _, slot := range s.slots {
			w.o.keys.saveKey(sw, w.tuple[slot])
			sw.Int(int64(w.first[slot].t))
			sw.Int(w.first[slot].seq)
			for _, acc := range w.accs {
				acc.Save(slot, sw)
			}
		}
	}
}

func (w *sessions) restore(r *state.Reader) {
	for range r.Count() {
		part, _ := w.parts.loadKey(r, &w.load)
		w.reserve()
		was := w.open[part]
		isOpen, ended := r.Bool(), r.Bool()
		s := w.begin(part, window.SessionState{Start: vec.Time(r.Int()), Last: vec.Time(r.Int()), Limit: vec.Time(r.Int())})
		s.ended = ended
		if !isOpen {
			w.open[part] = was
		}
		for range r.Count() {
			if r.Err() != nil {
				return
			}
			w.restoreGroup(r, s, isOpen)
		}
		if r.Err() != nil {
			return
		}
	}
}

func (w *sessions) restoreGroup(r *state.Reader, s *session, isOpen bool) {
	group, tuple := w.o.keys.loadKey(r, &w.o.load)
	w.reserve()
	first := rank{vec.Time(r.Int()), r.Int()}
	if _, ok := s.find(group); ok || s.ended {
		r.Fail()
		return
	}
	slot := w.slotOf(s, group, tuple, first)
	for _, acc := range w.accs {
		acc.Load(slot, r)
	}
	if isOpen {
		w.recent[group] = sessionSlot{s, slot}
	}
}

// sessionHeap is a binary heap of sessions by due, then id.
type sessionHeap []*session

func (h sessionHeap) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].id < h[j].id
}

func (h *sessionHeap) push(s *session) {
	*h = append(*h, s)
	x := *h
	for i := len(x) - 1; i > 0; {
		up := (i - 1) / 2
		if !x.less(i, up) {
			break
		}
		x[i], x[up] = x[up], x[i]
		i = up
	}
}

// pop takes the first session out.
func (h *sessionHeap) pop() {
	x := *h
	n := len(x) - 1
	x[0], x[n] = x[n], nil
	*h = x[:n]
	h.down(0)
}

// down moves the session at i, whose due has grown, to its place.
func (h sessionHeap) down(i int) {
	for {
		least := i
		for _, c := range [2]int{2*i + 1, 2*i + 2} {
			if c < len(h) && h.less(c, least) {
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
