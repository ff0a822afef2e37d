package exec

import (
	"math/bits"

	"weir/internal/fn"
)

// hops is the running state of a hopping window: its panes, and per group a slot with the
// aggregate over them. Aggregates that cannot be taken back are merged anew from the
// panes for every result.
//
// Groups come out in the order of their first row in the window, which is their place in
// the first pane that has them. Each pane marks the groups for which it is that pane;
// when a pane leaves, each of its groups is marked in the group's next pane.
type hops struct {
	w      *panes
	window []*pane
	undo   []fn.Inverse // per aggregate, nil if it cannot be taken back
	count  []int32      // per group: panes of the window that have it
	run    []int32      // per group: its slot + 1, 0 without rows in the window
	last   []entryRef   // per group: its newest pane
	shown  []int32
	tops   []int32 // slots of the first panes
	result []int32 // running slots
	slots  []int32
	gone   []int32
}

func newHops(w *panes) *hops {
	h := &hops{w: w}
	for _, acc := range w.accs {
		inv, _ := acc.(fn.Inverse)
		h.undo = append(h.undo, inv)
	}
	return h
}

// reserve makes room for n groups.
func (h *hops) reserve(n int) {
	if n <= len(h.count) {
		return
	}
	more := max(2*len(h.count), n, 64) - len(h.count)
	h.count = append(h.count, make([]int32, more)...)
	h.run = append(h.run, make([]int32, more)...)
	h.last = append(h.last, make([]entryRef, more)...)
}

// enter adds a closed pane at the end of the window.
func (h *hops) enter(p *pane) {
	h.window = append(h.window, p)
	n := len(p.groups)
	p.next = append(p.next[:0], make([]entryRef, n)...)
	p.isTop = append(p.isTop[:0], make([]uint64, (n+63)/64)...)
	for i, g := range p.groups {
		if h.count[g] == 0 {
			p.isTop[i>>6] |= 1 << (i & 63)
			h.run[g] = h.w.newSlot() + 1
		} else {
			from := h.last[g]
			from.p.next[from.pos] = entryRef{p, int32(i)}
		}
		h.count[g]++
		h.last[g] = entryRef{p, int32(i)}
	}
	slots := h.runSlots(p)
	for _, inv := range h.undo {
		if inv != nil {
			inv.Merge(slots, p.slots)
		}
	}
}

// runSlots gives the running slot of each group of a pane.
func (h *hops) runSlots(p *pane) []int32 {
	h.slots = h.slots[:0]
	for _, g := range p.groups {
		h.slots = append(h.slots, h.run[g]-1)
	}
	return h.slots
}

// leave takes the oldest pane out of the window.
func (h *hops) leave() *pane {
	p := h.window[0]
	h.window = append(h.window[:0], h.window[1:]...)
	slots := h.runSlots(p)
	for _, inv := range h.undo {
		if inv != nil {
			inv.Unmerge(slots, p.slots)
		}
	}
	h.gone = h.gone[:0]
	for i, g := range p.groups {
		h.count[g]--
		if h.count[g] == 0 {
			h.gone = append(h.gone, h.run[g]-1)
			h.run[g] = 0
			h.last[g] = entryRef{}
			continue
		}
		to := p.next[i]
		to.p.isTop[to.pos>>6] |= 1 << (to.pos & 63)
	}
	h.w.freeSlots(h.gone)
	return p
}

// emit gives the window's result for every group that has a row in it.
func (h *hops) emit(to *results) {
	h.shown, h.tops, h.result = h.shown[:0], h.tops[:0], h.result[:0]
	for _, p := range h.window {
		for k, word := range p.isTop {
			for ; word != 0; word &= word - 1 {
				pos := k<<6 + bits.TrailingZeros64(word)
				top := p.slots[pos]
				h.tops = append(h.tops, top)
				h.shown = append(h.shown, h.w.tuple[top])
				h.result = append(h.result, h.run[p.groups[pos]]-1)
			}
		}
	}
	h.remerge()
	to.take(h.shown, h.w.accs, h.result, func(i int) rank { return h.w.first[h.tops[i]] })
}

// remerge computes the aggregates that cannot be taken back.
func (h *hops) remerge() {
	for j, inv := range h.undo {
		if inv != nil {
			continue
		}
		acc := h.w.accs[j]
		acc.Reset(h.result)
		for _, p := range h.window {
			acc.Merge(h.runSlots(p), p.slots)
		}
	}
}
