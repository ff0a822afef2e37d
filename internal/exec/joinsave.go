package exec

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// Freeze copies the rows of both sides that are still needed. Lists and heap follow from
// them.
func (o *join) Freeze(m *state.Memory) saved {
	rows, ports, keys := o.rows, o.ports, o.keys.freeze()
	sides := [2]saved{o.sides[0].freezeSide(&keys, m), o.sides[1].freezeSide(&keys, m)}
	return func(w *state.Writer) {
		w.Int(rows)
		for port, side := range sides {
			w.Int(int64(ports[port]))
			side(w)
		}
	}
}

func (s *joinSide) freezeSide(keys *frozenKeys, m *state.Memory) saved {
	lo := s.free
	gone, next := s.gone-lo, s.next-lo
	time, key, waits := state.Copy(m, s.time[lo:]), state.Copy(m, s.key[lo:]), copyFrom(m, s.waits, lo)
	hasWaits, cols := s.waits != nil, s.freeze(s.cols, lo, m)
	return func(w *state.Writer) {
		w.Uint(uint64(len(time)))
		w.Uint(uint64(gone))
		w.Uint(uint64(next))
		for i, t := range time {
			w.Int(int64(t))
			w.Bool(key[i] >= 0)
			if key[i] >= 0 {
				keys.save(w, key[i])
			}
			if hasWaits {
				w.Bool(waits[i])
			}
			saveRow(w, cols, i)
		}
	}
}

// Restore reads what Snapshot wrote.
func (o *join) Restore(r *state.Reader) error {
	o.rows = r.Int()
	for port := range o.sides {
		o.ports[port] = vec.Time(r.Int())
		n := r.Count()
		gone, next := r.Uint(), r.Uint()
		if gone > next || next > uint64(n) {
			r.Fail()
		}
		for range n {
			if r.Err() != nil {
				return r.Err()
			}
			o.restoreRow(r, port)
		}
		if r.Err() == nil {
			o.restoreLists(port, int(gone), int(next))
		}
	}
	return r.Err()
}

func (o *join) restoreRow(r *state.Reader, port int) {
	s := &o.sides[port]
	s.time = append(s.time, vec.Time(r.Int()))
	if n := len(s.time); n > 1 && s.time[n-1] < s.time[n-2] {
		r.Fail()
	}
	key := int32(-1)
	if r.Bool() {
		o.keys.cols, o.keys.types = o.op.Keys[port], o.node.In[port].Cols
		key, _ = o.keys.loadKey(r, &o.load)
	} else if port == 1 || !o.op.Outer {
		r.Fail() // such rows are not kept
	}
	s.key = append(s.key, key)
	if s.waits != nil {
		s.waits = append(s.waits, r.Bool())
	}
	s.load(r, s.cols, func(c int) vec.Kinds { return o.node.In[port].Cols[c].Type })
}

// restoreLists puts the rows from gone to next in the lists, and those that wait in the heap.
func (o *join) restoreLists(port, gone, next int) {
	s := &o.sides[port]
	for i := range o.sides {
		o.sides[i].lists.reserve(int(o.keys.n))
	}
	if !s.keeps {
		gone = next
	}
	s.gone, s.next = gone, next
	for i := gone; i < next; i++ {
		if s.key[i] >= 0 {
			s.lists.push(s.key[i], s.base+uint32(i))
		}
	}
	for i := 0; i < next && s.waits != nil && len(o.op.Until) > 0; i++ {
		if s.waits[i] {
			o.waiting.push(dueRow{t: o.dueOf(i), row: int32(i)})
		}
	}
}

// forget drops the keys that no row has, once they are many and have been for as many rows:
// it numbers the keys anew by writing and reading the state.
func (o *join) forget() {
	known := int64(o.keys.n)
	if o.rows-o.checked < o.looked {
		return // what forgetting costs has not been saved yet
	}
	o.checked, o.looked = o.rows, known
	if known < 4*int64(o.held())+int64(limits.idleGroups) {
		return
	}
	w := state.Part()
	o.Freeze(nil).write(w)
	checked, looked := o.checked, o.looked
	*o = *newJoin(o.g, o.node, o.op, o.live)
	o.checked, o.looked = checked, looked
	if err := o.Restore(state.PartReader(w.Bytes())); err != nil {
		panic("exec: the state of a join does not read back: " + err.Error())
	}
}

// held is how many rows wait.
func (o *join) held() int { return o.sides[0].held() + o.sides[1].held() }
