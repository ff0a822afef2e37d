package exec

import (
	"cmp"
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// freeze copies the sessions. The heap follows from them.
func (w *sessions) freeze(keys frozenKeys, m *state.Memory) saved {
	f := &frozenSessions{keys: keys, own: w.parts == w.o.keys, parts: w.parts.freeze(), all: state.Copy(m, w.all), open: state.Copy(m, w.open), count: len(w.ends),
		tuple: state.Copy(m, w.tuple), first: state.Copy(m, w.first), chain: state.Copy(m, w.chain), accs: freezeAccs(w.accs, w.n, m)}
	return f.save
}

// frozenSessions is the sessions of a window as they were.
type frozenSessions struct {
	keys  frozenKeys
	parts frozenKeys
	own   bool // the partitions are the groups: one key says both
	all   []session
	open  []int32
	count int
	tuple []int32
	first []rank
	chain []int32
	accs  frozenAccs
}

// save writes the sessions in the order in which they began.
func (f *frozenSessions) save(w *state.Writer) {
	order := make([]int32, 0, f.count)
	for s := range f.all {
		if !f.all[s].over {
			order = append(order, int32(s))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(f.all[a].id, f.all[b].id) })
	w.Uint(uint64(len(order)))
	for _, s := range order {
		x := &f.all[s]
		if f.own && x.groups > 0 {
			f.parts.save(w, f.tuple[x.slots-1])
		} else {
			f.parts.save(w, x.part)
		}
		w.Bool(f.open[x.part] == s+1)
		w.Bool(x.ended)
		w.Int(int64(x.Start))
		w.Int(int64(x.Last))
		w.Int(int64(x.Limit))
		w.Uint(uint64(x.groups))
		for slot := x.slots; slot != 0; slot = f.chain[slot-1] {
			if !f.own {
				f.keys.save(w, f.tuple[slot-1])
			}
			w.Int(int64(f.first[slot-1].t))
			w.Int(f.first[slot-1].seq)
			f.accs.save(w, slot-1)
		}
	}
}

func (w *sessions) restore(r *state.Reader, to *regroup, index int) {
	n := r.Count()
	for _, o := range to.shards {
		o.windows[index].(*sessions).parts.expect(n / len(to.shards))
	}
	for range n {
		w.parts.readKey(r, &to.row)
		if r.Err() != nil {
			return
		}
		x := to.shard().windows[index].(*sessions)
		x.restoreSession(r, to)
		if r.Err() != nil {
			return
		}
	}
}

// restoreSession reads a session, whose partition key has been read.
func (w *sessions) restoreSession(r *state.Reader, to *regroup) {
	part, tuple := w.parts.one(&to.row)
	w.reserve()
	was := w.open[part]
	isOpen, ended := r.Bool(), r.Bool()
	s := w.begin(part, window.SessionState{Start: vec.Time(r.Int()), Last: vec.Time(r.Int()), Limit: vec.Time(r.Int())})
	w.all[s].ended = ended
	if !isOpen {
		w.open[part] = was
	}
	n := r.Count()
	if w.parts != w.o.keys {
		w.o.keys.expect(n)
	}
	for range n {
		if r.Err() != nil {
			return
		}
		group := part
		if w.parts != w.o.keys {
			group, tuple = w.o.keys.loadKey(r, &w.load)
			w.reserve()
		}
		w.restoreGroup(r, s, isOpen, group, tuple)
	}
}

func (w *sessions) restoreGroup(r *state.Reader, s int32, isOpen bool, group, tuple int32) {
	first := rank{vec.Time(r.Int()), r.Int()}
	_, twice := w.find(s, group)
	if twice || w.all[s].ended || w.recent[group].session == s+1 {
		r.Fail()
		return
	}
	slot := w.slotOf(s, group, tuple, first)
	for _, acc := range w.accs {
		acc.Load(slot, r)
	}
	if isOpen {
		w.recent[group] = sessionSlot{s + 1, slot}
	}
}

func (w *sessions) settle(*state.Reader) {}
