package state

import "slices"

// Memory is where the slices of a frozen state are copied to. It can be used again for the
// next snapshot, which takes about as much: copying to memory that is there costs a part of
// what taking new memory does. A nil Memory takes new memory for every slice.
type Memory struct {
	pools map[any]reusable // by a nil pointer to the type of the elements
}

type reusable interface{ again() }

// pool is slices of one type. Requests come in about the same order each time, so that the
// next one lent is about as large as what is asked for.
type pool[T any] struct {
	slices [][]T
	lent   int
}

func (p *pool[T]) again() { p.lent = 0 }

// Again takes all slices back.
func (m *Memory) Again() {
	for _, p := range m.pools {
		p.again()
	}
}

// Copy copies s; nil stays nil. The elements must not hold pointers, or else the memory would
// keep alive what they point to: use slices.Clone for these.
func Copy[T any](m *Memory, s []T) []T {
	if m == nil || len(s) < smallest {
		return slices.Clone(s)
	}
	p, ok := m.pools[(*T)(nil)].(*pool[T])
	if !ok {
		if m.pools == nil {
			m.pools = map[any]reusable{}
		}
		p = &pool[T]{}
		m.pools[(*T)(nil)] = p
	}
	if p.lent == len(p.slices) {
		p.slices = append(p.slices, nil)
	}
	to := &p.slices[p.lent]
	p.lent++
	if cap(*to) < len(s) || cap(*to) > 4*len(s) {
		*to = make([]T, 0, len(s)+len(s)/8)
	}
	*to = append((*to)[:0], s...)
	return *to
}

// smallest is how many elements a slice has for which memory is kept.
const smallest = 1024
