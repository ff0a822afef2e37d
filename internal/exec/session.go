package exec

import (
	"container/heap"
	"slices"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// sessions computes session windows. Sessions are formed per partition key (the columns
// of OVER, or one partition for all rows); within a session rows are grouped. Ends are in
// a heap that is put right lazily: a row that prolongs a session does not touch it.
type sessions struct {
	o     *grouping
	spec  window.Spec
	parts *keyTable
	open  []*session // per partition, nil: none
	ends  sessionHeap
	made  int64
	accs  []fn.Acc
	free  []int32
	n     int32 // slots
	// The newest session of each group and its slot there.
	recent []sessionSlot
	first  []rank  // per slot
	tuple  []int32 // per slot: the key of its first row
	slots  []int32
	load   vec.Batch
}

type sessionSlot struct {
	s    *session
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
	// byGroup finds the slots of groups that were last seen in another session.
	byGroup map[int32]int32
}

type sessionHeap []*session

func (h sessionHeap) Len() int { return len(h) }
func (h sessionHeap) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].id < h[j].id
}
func (h sessionHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *sessionHeap) Push(x any)   { *h = append(*h, x.(*session)) }
func (h *sessionHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newSessions(o *grouping, spec window.Spec) *sessions {
	return &sessions{o: o, spec: spec, parts: newKeyTable(spec.Over), accs: o.newAccs()}
}

func (w *sessions) add(in *groupedRows) {
	parts, _ := w.parts.groups(in.Batch)
	w.reserve()
	w.slots = resizeInts(w.slots, in.N)
	for i, t := range in.Time[:in.N] {
		s := w.open[parts[i]]
		if s == nil {
			s = w.begin(parts[i], w.spec.OpenSession(t))
		} else if x, joined := w.spec.Join(s.SessionState, t); joined {
			s.SessionState = x
		} else {
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
	s := &session{SessionState: x, id: w.made, part: part}
	w.made++
	s.due = w.spec.Close(x)
	w.open[part] = s
	heap.Push(&w.ends, s)
	return s
}

// slotOf gives a group its slot in a session.
func (w *sessions) slotOf(s *session, group, tuple int32, first rank) int32 {
	if slot, ok := s.byGroup[group]; ok {
		return slot
	}
	var slot int32
	if n := len(w.free); n > 0 {
		slot, w.free = w.free[n-1], w.free[:n-1]
	} else {
		slot = w.n
		w.n++
		w.first = append(w.first, rank{})
		w.tuple = append(w.tuple, 0)
		for _, acc := range w.accs {
			acc.Grow(int(w.n))
		}
	}
	w.first[slot], w.tuple[slot] = first, tuple
	s.groups = append(s.groups, group)
	s.slots = append(s.slots, slot)
	if s.byGroup == nil {
		s.byGroup = map[int32]int32{}
	}
	s.byGroup[group] = slot
	return slot
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
		heap.Fix(&w.ends, 0)
	}
	return 0, false
}

func (w *sessions) emit(to *results) {
	var all []int32
	for {
		if e, ok := w.next(); !ok || e != to.at {
			break
		}
		s := w.ends[0]
		for i, g := range s.groups {
			all = append(all, s.slots[i])
			if w.recent[g].s == s {
				w.recent[g] = sessionSlot{}
			}
		}
		if !s.ended && w.open[s.part] == s && s.Last+w.spec.Timeout > s.Limit {
			s.ended, s.groups, s.slots, s.byGroup = true, nil, nil, nil
			continue // next finds its new place
		}
		heap.Pop(&w.ends)
		if w.open[s.part] == s {
			w.open[s.part] = nil
		}
	}
	slices.SortFunc(all, func(a, b int32) int {
		if w.first[a].less(w.first[b]) {
			return -1
		}
		return 1
	})
	shown := make([]int32, len(all))
	for i, s := range all {
		shown[i] = w.tuple[s]
	}
	to.take(shown, w.accs, all, func(i int) rank { return w.first[all[i]] })
	for _, acc := range w.accs {
		acc.Reset(all)
	}
	w.free = append(w.free, all...)
}

func (w *sessions) owner(o *grouping) { w.o = o }

func (w *sessions) held() int { return int(w.n) - len(w.free) + len(w.ends) }

func (w *sessions) known() int { return int(w.parts.n) }

func (w *sessions) snapshot(sw *state.Writer) {
	all := slices.Clone(w.ends)
	slices.SortFunc(all, func(a, b *session) int { return int(a.id - b.id) })
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
			group, tuple := w.o.keys.loadKey(r, &w.o.load)
			w.reserve()
			slot := w.slotOf(s, group, tuple, rank{vec.Time(r.Int()), r.Int()})
			for _, acc := range w.accs {
				acc.Load(slot, r)
			}
			if isOpen {
				w.recent[group] = sessionSlot{s, slot}
			}
		}
		if r.Err() != nil {
			return
		}
	}
}
