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
// while the Acc goes on. The copy can do nothing but Save.
type Freezer interface {
	Freeze(n int) Saver
}

// firsts copies the first n elements of s, which may have fewer.
func firsts[T any](s []T, n int) []T {
	if s == nil {
		return nil
	}
	return slices.Clone(s[:min(n, len(s))])
}

func (a *countAcc) Freeze(n int) Saver { return &countAcc{n: firsts(a.n, n)} }

func (a *totals) Freeze(n int) Saver {
	return &totals{ints: firsts(a.ints, n), carries: firsts(a.carries, n), floats: a.floats.freeze(n), misfits: a.misfits.freeze(n)}
}

func (f *floatSums) freeze(n int) floatSums {
	out := floatSums{slots: firsts(f.slots, n)}
	if len(f.wide) > 0 {
		out.wide = make(map[int32]*wideSum, len(f.wide))
		for slot, w := range f.wide {
			copied := *w
			out.wide[slot] = &copied
		}
	}
	return out
}

func (m *misfits) freeze(n int) misfits {
	out := *m
	out.slots = firsts(m.slots, n)
	return out
}

func (a *extreme) Freeze(n int) Saver {
	return &extreme{flip: a.flip, kinds: firsts(a.kinds, n), keys: firsts(a.keys, n), misfits: a.misfits.freeze(n)}
}

func (a *textExtreme) Freeze(n int) Saver {
	return &textExtreme{has: firsts(a.has, n), texts: firsts(a.texts, n)}
}

func (a *spread) Freeze(n int) Saver {
	out := &spread{slots: firsts(a.slots, n), misfits: a.misfits.freeze(n)}
	if len(a.wide) > 0 {
		out.wide = make(map[int32]*wideMoments, len(a.wide))
		for slot, w := range a.wide {
			copied := *w
			out.wide[slot] = &copied
		}
	}
	return out
}

func (a *topOneAcc) Freeze(n int) Saver {
	order := a.order
	order.misfits = a.order.misfits.freeze(n)
	return &topOneAcc{order: order, keys: firsts(a.keys, n*len(a.order.desc)), vals: firsts(a.vals, n)}
}

func (a *distinctAcc) Freeze(n int) Saver {
	return &distinctAcc{slots: firsts(a.slots, n), entries: slices.Clone(a.entries)}
}

// Freeze of Collect shares the memory of the values, as a result does: the slots write behind
// it only.
func (a *collectAcc) Freeze(n int) Saver {
	n = min(n, len(a.slots))
	for i := range a.slots[:n] {
		a.slots[i].shared = true
	}
	return &collectAcc{slots: slices.Clone(a.slots[:n])}
}
