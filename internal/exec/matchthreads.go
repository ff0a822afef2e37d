package exec

// threadSet finds threads of the attempt at hand that have the same future.
type threadSet struct {
	table []int32 // where a thread stands in match.next, + 1
	gens  []int64 // and for which attempt and row
	gen   int64
	n     int
}

// add reports whether a thread with the future of the one at at is there already, and else
// adds it.
func (s *threadSet) add(o *match, at int) bool {
	if s.gen != o.gen {
		s.gen, s.n = o.gen, 0
	}
	if 2*(s.n+1) > len(s.table) {
		s.grow(o, at)
	}
	return !s.put(o, at)
}

// put adds a thread unless an equal one is there.
func (s *threadSet) put(o *match, at int) bool {
	x := o.next[at:]
	sees := o.sees[x[recPos]]
	h := hash64(uint64(x[recPos]))
	for _, c := range sees {
		h = hash64(h ^ uint64(uint32(x[recCells+c])))
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if s.gens[i] != s.gen {
			s.table[i], s.gens[i] = int32(at+1), s.gen
			s.n++
			return true
		}
		if sameFuture(o.next[s.table[i]-1:], x, sees) {
			return false
		}
	}
}

func sameFuture(a, b []int32, sees []int32) bool {
	if a[recPos] != b[recPos] {
		return false
	}
	for _, c := range sees {
		if a[recCells+c] != b[recCells+c] {
			return false
		}
	}
	return true
}

// grow makes the table larger, for the threads of the attempt in front of at.
func (s *threadSet) grow(o *match, at int) {
	size := max(64, 2*len(s.table))
	s.table, s.gens, s.n = make([]int32, size), make([]int64, size), 0
	for x := o.begin; x < at; x += o.stride {
		if q := o.next[x+recPos]; q >= 0 && len(o.sees[q]) > 0 {
			s.put(o, x)
		}
	}
}
