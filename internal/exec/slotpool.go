package exec

import "weir/internal/fn"

// slotPool hands out the slots of a window's accumulators, and takes them back.
type slotPool struct {
	accs []fn.Acc
	free []int32
	n    int32 // handed out so far, free ones included
}

// take gives an empty slot. fresh says that it is a new one, for which other arrays by
// slot have to grow.
func (s *slotPool) take() (slot int32, fresh bool) {
	if n := len(s.free); n > 0 {
		slot, s.free = s.free[n-1], s.free[:n-1]
		return slot, false
	}
	slot = s.n
	s.n++
	for _, acc := range s.accs {
		acc.Grow(int(s.n))
	}
	return slot, true
}

// giveBack empties slots.
func (s *slotPool) giveBack(used []int32) {
	for _, acc := range s.accs {
		acc.Reset(used)
	}
	s.free = append(s.free, used...)
}

// used is how many slots are in use.
func (s *slotPool) used() int { return int(s.n) - len(s.free) }

// values is how many values the accumulators hold, of those that hold some.
func (s *slotPool) values() int {
	n := 0
	for _, acc := range s.accs {
		if h, ok := acc.(fn.Holder); ok {
			n += h.Held()
		}
	}
	return n
}
