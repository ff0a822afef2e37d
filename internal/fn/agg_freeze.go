package fn

import (
	"slices"

	"weir/internal/state"
)

// Saver writes the slots of an Acc.
type Saver interface {
	Save(slot int32, w *state.Writer)
}

// Freezer is an Acc whose slots can be copied in one go. Freeze gives a copy of the first n of
// them; it shares nothing with the Acc that changes, so that another goroutine may save it
// while the Acc goes on. The copy can do nothing but Save, and is good until m is used again.
type Freezer interface {
	Freeze(n int, m *state.Memory) Saver
}

// firsts copies the first n elements of s, which may have fewer. They hold no pointers.
func firsts[T any](s []T, n int, m *state.Memory) []T { return state.Copy(m, s[:min(n, len(s))]) }

func (a *countAcc) Freeze(n int, m *state.Memory) Saver { return &countAcc{n: firsts(a.n, n, m)} }

func (a *totals) Freeze(n int, m *state.Memory) Saver {
	return &totals{ints: firsts(a.ints, n, m), carries: firsts(a.carries, n, m), floats: a.floats.freeze(n, m), misfits: a.misfits.freeze(n, m)}
}

func (f *floatSums) freeze(n int, m *state.Memory) floatSums {
	out := floatSums{slots: firsts(f.slots, n, m)}
	if len(f.wide) > 0 {
		out.wide = make(map[int32]*wideSum, len(f.wide))
		for slot, w := range f.wide {
			copied := *w
			out.wide[slot] = &copied
		}
	}
	return out
}

func (x *misfits) freeze(n int, m *state.Memory) misfits {
	out := *x
	out.slots = firsts(x.slots, n, m)
	return out
}

func (a *extreme) Freeze(n int, m *state.Memory) Saver {
	return &extreme{flip: a.flip, kinds: firsts(a.kinds, n, m), keys: firsts(a.keys, n, m), misfits: a.misfits.freeze(n, m)}
}

func (a *textExtreme) Freeze(n int, m *state.Memory) Saver {
	return &textExtreme{has: firsts(a.has, n, m), texts: slices.Clone(a.texts[:min(n, len(a.texts))])}
}

func (a *spread) Freeze(n int, m *state.Memory) Saver {
	out := &spread{slots: firsts(a.slots, n, m), misfits: a.misfits.freeze(n, m)}
	if len(a.wide) > 0 {
		out.wide = make(map[int32]*wideMoments, len(a.wide))
		for slot, w := range a.wide {
			copied := *w
			out.wide[slot] = &copied
		}
	}
	return out
}

func (a *topOneAcc) Freeze(n int, m *state.Memory) Saver {
	order := a.order
	order.misfits = a.order.misfits.freeze(n, m)
	return &topOneAcc{order: order, keys: firsts(a.keys, n*len(a.order.desc), m), vals: slices.Clone(a.vals[:min(n, len(a.vals))])}
}

func (a *distinctAcc) Freeze(n int, m *state.Memory) Saver {
	return &distinctAcc{slots: firsts(a.slots, n, m), entries: slices.Clone(a.entries)}
}

// Freeze of Collect shares the memory of the values, as a result does: the slots write behind
// it only.
func (a *collectAcc) Freeze(n int, m *state.Memory) Saver {
	n = min(n, len(a.slots))
	for i := range a.slots[:n] {
		a.slots[i].shared = a.slots[i].shared || len(a.slots[i].vals) > 0
	}
	return &collectAcc{slots: slices.Clone(a.slots[:n])}
}
