package exec

import (
	"slices"

	"weir/internal/state"
)

// keep copies the rows of the batch at hand that threads point to: those of the partitions
// that it has touched, and of the matches from number found on.
func (o *match) keep(found int) {
	o.refs.mark(int32(o.in.N))
	for _, group := range o.touched {
		o.eachThread(o.parts[group].threads, o.refs.keep)
	}
	o.touched = o.touched[:0]
	if found < len(o.found) {
		o.eachThread(o.ends[o.found[found].at:], o.refs.keep)
	}
	o.refs.keepMarked()
	o.refs.in, o.in = nil, nil
	if o.refs.n > 2*o.refs.alive+int32(limits.matchRows+len(o.parts)/4) || len(o.links) > 2*o.linked+limits.matchRows {
		o.sweep()
	}
}

// eachThread calls f with the cells of each of the threads.
func (o *match) eachThread(threads []int32, f func(cells []int32)) {
	for at := 0; at < len(threads); at += o.stride {
		f(threads[at+recCells : at+o.stride])
	}
}

// allThreads calls f with the threads of each partition, and those of the matches.
func (o *match) allThreads(f func(threads []int32)) {
	for i := range o.parts {
		if p := &o.parts[i]; len(p.threads) > 0 {
			f(p.threads)
		}
	}
	f(o.ends)
}

// sweep forgets the rows and links that no thread points to.
func (o *match) sweep() {
	o.refs.mark(o.refs.n)
	o.allThreads(func(threads []int32) { o.eachThread(threads, o.refs.sweep) })
	o.refs.sweepMarked()
	if o.names != nil {
		o.sweepLinks()
	}
}

// sweepLinks forgets the links that no path has.
func (o *match) sweepLinks() {
	to := make([]int32, len(o.links)) // 1: in use; then the new number
	o.allThreads(func(threads []int32) {
		for at := 0; at < len(threads); at += o.stride {
			to[threads[at+recLink]] = 1
		}
	})
	for i := len(to) - 1; i >= 0; i-- { // a link stands behind those before it
		if prev := o.links[i].prev; to[i] != 0 && prev >= 0 {
			to[prev] = 1
		}
	}
	n := int32(0)
	for i, x := range o.links {
		if to[i] == 0 {
			continue
		}
		if x.prev >= 0 {
			x.prev = to[x.prev]
		}
		o.links[n] = x
		to[i] = n
		n++
	}
	o.links = o.links[:n]
	o.linked = len(o.links)
	o.allThreads(func(threads []int32) {
		for at := 0; at < len(threads); at += o.stride {
			threads[at+recLink] = to[threads[at+recLink]]
		}
	})
}

// held is how many threads, matches and rows wait, and steps of paths as of the last sweep.
func (o *match) held() int {
	if o.auto == nil {
		return 0
	}
	return o.lives + len(o.found) + int(o.refs.n) + o.linked
}

// tidy gives memory back: all of it when nothing waits, the ends of attempts that are over
// once they are many, and keys without attempts.
func (o *match) tidy() {
	if o.tries == 0 && len(o.found) == 0 {
		o.dues.clear()
		o.links, o.linked = o.links[:0], 0
		o.refs.clear()
	}
	if o.dues.len() > 2*o.tries+limits.matchRows {
		o.dues.items = slices.DeleteFunc(o.dues.items[o.dues.head:], func(x due) bool {
			_, alive := slices.BinarySearchFunc(o.parts[x.group].tries, x.seq, func(t try, seq int64) int { return int(t.seq - seq) })
			return !alive
		})
		o.dues.head = 0
	}
	o.forget()
}

// forget drops the keys without attempts, once they are many and have been for as many
// rows: it numbers the keys anew by writing and reading the state.
func (o *match) forget() {
	known := int(o.keys.n)
	o.peak = max(o.peak, o.tries)
	if o.rowNo-o.checked < o.looked {
		return // what forgetting costs has not been saved yet
	}
	peak := o.peak
	o.peak, o.checked, o.looked = o.tries, o.rowNo, int64(known)
	if known < 4*peak+limits.idleGroups {
		return
	}
	w := state.Part()
	o.snapshot(w)
	peak, checked, looked := o.peak, o.checked, o.looked
	*o = *newMatch(o.g, o.node, o.op)
	o.peak, o.checked, o.looked = peak, checked, looked
	if err := o.Restore(state.PartReader(w.Bytes())); err != nil {
		panic("exec: the state of a match does not read back: " + err.Error())
	}
}
