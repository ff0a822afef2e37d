package exec

import (
	"cmp"
	"slices"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
)

// Freeze writes the state at once: attempts lie in lists of their own for each key.
func (o *match) Freeze(m *state.Memory) saved { return eager(o.snapshot) }

// snapshot writes the rows and links that are in use, the attempts per partition, and the
// matches that wait.
func (o *match) snapshot(w *state.Writer) {
	if o.auto == nil {
		return
	}
	o.sweep()
	w.Int(o.rowNo)
	o.refs.snapshot(w)
	w.Uint(uint64(len(o.links)))
	for _, x := range o.links {
		w.Int(int64(x.prev))
		w.Int(int64(x.pos))
	}
	live := 0
	for i := range o.parts {
		if len(o.parts[i].tries) > 0 {
			live++
		}
	}
	w.Uint(uint64(live))
	for group := range o.parts {
		p := &o.parts[group]
		if len(p.tries) == 0 {
			continue
		}
		o.keys.saveKey(w, int32(group))
		w.Uint(uint64(len(p.tries)))
		for _, x := range p.tries {
			w.Int(int64(x.t))
			w.Int(x.seq)
			w.Uint(uint64(x.n))
		}
		saveThreads(w, p.threads)
	}
	w.Uint(uint64(len(o.found)))
	for _, x := range o.found {
		w.Int(int64(x.t))
		w.Int(x.seq)
		saveThreads(w, o.ends[x.at:x.at+o.stride])
	}
}

func saveThreads(w *state.Writer, threads []int32) {
	for _, x := range threads {
		w.Int(int64(x))
	}
}

// Restore reads a snapshot.
func (o *match) Restore(r *state.Reader) error {
	if o.auto == nil {
		return r.Err()
	}
	o.rowNo = r.Int()
	if o.rowNo < 0 {
		r.Fail()
	}
	o.refs.restore(r)
	for range r.Count() {
		x := link{int32(r.Int()), int32(r.Int())}
		if x.prev < noRow || int(x.prev) >= len(o.links) || x.pos < 0 || int(x.pos) >= len(o.names) {
			r.Fail()
			return r.Err()
		}
		o.links = append(o.links, x)
	}
	for range r.Count() {
		o.restorePart(r)
		if r.Err() != nil {
			return r.Err()
		}
	}
	for range r.Count() {
		x := finding{vec.Time(r.Int()), r.Int(), len(o.ends)}
		o.ends = o.loadThread(r, o.ends)
		if r.Err() != nil || o.ends[x.at+recPos] != complete {
			r.Fail()
			return r.Err()
		}
		o.found = append(o.found, x)
	}
	for group := range o.parts {
		for _, x := range o.parts[group].tries {
			o.dues.push(due{x.t, x.seq, int32(group)})
		}
	}
	slices.SortFunc(o.dues.items, func(a, b due) int { return cmp.Compare(a.seq, b.seq) })
	o.linked, o.refs.alive = len(o.links), o.refs.n
	return r.Err()
}

func (o *match) restorePart(r *state.Reader) {
	group, _ := o.keys.loadKey(r, &o.load)
	if n := int(o.keys.n); n > len(o.parts) {
		o.parts = append(o.parts, make([]matchPart, n-len(o.parts))...)
	}
	p := &o.parts[group]
	if len(p.tries) > 0 {
		r.Fail()
		return
	}
	for range r.Count() {
		x := try{t: vec.Time(r.Int()), seq: r.Int(), n: int32(min(r.Uint(), maxMatchStates+2))}
		after := len(p.tries) == 0 || p.tries[len(p.tries)-1].seq < x.seq && p.tries[len(p.tries)-1].t <= x.t
		if !after || x.n < 1 || x.n > maxMatchStates+1 || x.seq >= o.rowNo {
			r.Fail()
			return
		}
		p.tries = append(p.tries, x)
	}
	for _, x := range p.tries {
		for i := range x.n {
			at := len(p.threads)
			p.threads = o.loadThread(r, p.threads)
			if r.Err() != nil || p.threads[at+recPos] == complete && i+1 < x.n {
				r.Fail()
				return
			}
		}
	}
	o.tries += len(p.tries)
	o.lives += len(p.threads) / o.stride
}

// loadThread reads a thread behind others.
func (o *match) loadThread(r *state.Reader, to []int32) []int32 {
	for i := range o.stride {
		x := r.Int()
		most := int64(o.refs.n)
		switch {
		case i == recPos:
			most = int64(len(o.auto.vars))
		case i == recLink && o.names != nil:
			most = int64(len(o.links))
		case i == recLink:
			most = 0
		}
		least := int64(noRow)
		if i >= recCells {
			least = int64(mixed)
		}
		if x < least || x >= most || i == recLink && o.names != nil && x < 0 {
			r.Fail()
		}
		to = append(to, int32(x))
	}
	return to
}

func (r *matchRefs) snapshot(w *state.Writer) {
	w.Uint(uint64(r.n))
	for i := range int(r.n) {
		for c := range r.kept {
			fn.SaveValue(w, r.kept[c].At(i))
		}
	}
}

func (r *matchRefs) restore(in *state.Reader) {
	for range in.Count() {
		for c, col := range r.cols {
			r.kept[c].Append(loadColumn(in, r.types[col].Type))
		}
		r.n++
	}
}
