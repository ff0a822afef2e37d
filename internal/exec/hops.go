package exec

import (
	"math/bits"

	"weir/internal/fn"
)

// hops is the running state of a hopping window: its panes, and per group a slot with the
// aggregate over them.
//
// Aggregates that cannot be taken back are kept in two stacks of panes. When the window is
// about to lose a pane and the front stack is empty, all panes go there: from the newest
// back to the oldest, each takes in what its groups have in their next pane, so that it
// covers the rest of the stack and may leave without a trace. Panes that come later are
// merged into one slot per group, the back.
//
// Groups come out in the order of their first row in the window, which is their place in
// the first pane that has them. Each pane marks the groups for which it is that pane;
// when a pane leaves, each of its groups is marked in the group's next pane.
type hops struct {
	w       *panes
	window  queue[*pane]
	front   int          // panes of the window in the front stack
	undo    []fn.Inverse // per aggregate, nil if it cannot be taken back
	stacked bool         // some cannot
	count   []int32      // per group: panes of the window that have it
	run     []int32      // per group: its slot + 1, 0 without rows in the window
	back    []int32      // per group: its slot of the back + 1, 0 without rows there
	last    []entryRef   // per group: its newest pane
	covers  []int32      // restore: slots that cover what follows them in a front stack
	batch   resultRows
	tops    []int32 // slots of the groups' first panes
	slots   []int32
	others  []int32
	gone    []int32
}

func newHops(w *panes) *hops {
	h := &hops{w: w}
	for _, acc := range w.accs {
		inv, ok := acc.(fn.Inverse)
		h.undo = append(h.undo, inv)
		h.stacked = h.stacked || !ok
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
	h.back = append(h.back, make([]int32, more)...)
	h.last = append(h.last, make([]entryRef, more)...)
}

// enter adds a closed pane at the end of the window. inFront says that it stands in the
// front stack already: restore does that.
func (h *hops) enter(p *pane, inFront bool) {
	h.window.push(p)
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
	slots := h.slotsOf(p, h.run)
	for _, inv := range h.undo {
		if inv != nil {
			inv.Merge(slots, p.slots)
		}
	}
	if !h.stacked || inFront {
		return
	}
	for _, g := range p.groups {
		if h.back[g] == 0 {
			h.back[g] = h.w.newSlot() + 1
		}
	}
	h.merge(h.slotsOf(p, h.back), p.slots)
}

// restack makes all panes the front stack after they have been read. Slots of the front
// stack that was cover it from their pane on; in those of the others there is a pane alone.
func (h *hops) restack() {
	if !h.stacked {
		return
	}
	covers := make([]bool, h.w.n)
	for _, s := range h.covers {
		covers[s] = true
	}
	h.covers = nil
	rest := make([]entryRef, len(h.count)) // per group: its oldest pane that no slot covers
	panes := h.window.all()
	for k := len(panes) - 1; k >= 0; k-- {
		p := panes[k]
		h.slots, h.others = h.slots[:0], h.others[:0]
		for i, g := range p.groups {
			to := p.next[i]
			if covers[p.slots[i]] {
				to = rest[g]
			} else {
				rest[g] = entryRef{p, int32(i)}
			}
			if to.p != nil {
				h.slots, h.others = append(h.slots, p.slots[i]), append(h.others, to.p.slots[to.pos])
			}
		}
		h.merge(h.slots, h.others)
	}
	h.front = len(panes)
}

// slotsOf gives the slot of each group of a pane.
func (h *hops) slotsOf(p *pane, of []int32) []int32 {
	h.slots = h.slots[:0]
	for _, g := range p.groups {
		h.slots = append(h.slots, of[g]-1)
	}
	return h.slots
}

// merge merges slots of the aggregates that cannot be taken back.
func (h *hops) merge(dst, src []int32) {
	for j, inv := range h.undo {
		if inv == nil {
			h.w.accs[j].Merge(dst, src)
		}
	}
}

// flip moves all panes to the front stack.
func (h *hops) flip() {
	panes := h.window.all()
	for k := len(panes) - 1; k >= 0; k-- {
		p := panes[k]
		h.slots, h.others = h.slots[:0], h.others[:0]
		for i, to := range p.next {
			if to.p != nil {
				h.slots = append(h.slots, p.slots[i])
				h.others = append(h.others, to.p.slots[to.pos])
			}
		}
		h.merge(h.slots, h.others)
	}
	h.gone = h.gone[:0]
	for _, p := range panes {
		for _, g := range p.groups {
			if h.back[g] != 0 {
				h.gone = append(h.gone, h.back[g]-1)
				h.back[g] = 0
			}
		}
	}
	h.w.giveBack(h.gone)
	h.front = len(panes)
}

// leave takes the oldest pane out of the window.
func (h *hops) leave() *pane {
	if h.stacked && h.front == 0 {
		h.flip()
	}
	h.front = max(h.front-1, 0)
	p := h.window.pop()
	slots := h.slotsOf(p, h.run)
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
	h.w.giveBack(h.gone)
	return p
}

// emit gives the window's result for every group that has a row in it.
func (h *hops) emit(to *results) {
	b := &h.batch
	b.reset()
	h.tops = h.tops[:0]
	behind := 0 // groups whose first pane stands before the front
	for k, p := range h.window.all() {
		for j, word := range p.isTop {
			for ; word != 0; word &= word - 1 {
				pos := j<<6 + bits.TrailingZeros64(word)
				h.tops = append(h.tops, p.slots[pos])
				b.slots = append(b.slots, h.run[p.groups[pos]]-1)
			}
		}
		if k < h.front {
			behind = len(h.tops)
		}
	}
	// Each of these reads is far from the last one. In loops of their own they do not wait
	// for each other.
	for range h.tops {
		b.time = append(b.time, to.at)
	}
	for _, top := range h.tops {
		b.tuples = append(b.tuples, h.w.tuple[top])
	}
	if to.ranked {
		for _, top := range h.tops {
			b.firsts = append(b.firsts, h.w.first[top])
		}
	}
	if h.stacked {
		h.slots, h.others = append(h.slots[:0], h.tops[:behind]...), append(h.others[:0], b.slots[:behind]...)
		h.combine(b)
	}
	to.take(b, h.w.accs)
}

// combine sets the slots of the results to the aggregates of both stacks.
func (h *hops) combine(b *resultRows) {
	for j, inv := range h.undo {
		if inv == nil {
			h.w.accs[j].Reset(b.slots)
		}
	}
	h.merge(h.others, h.slots)
	h.slots, h.others = h.slots[:0], h.others[:0]
	for _, p := range h.window.all()[h.front:] {
		for i, g := range p.groups {
			if h.last[g] == (entryRef{p, int32(i)}) { // once per group
				h.slots, h.others = append(h.slots, h.back[g]-1), append(h.others, h.run[g]-1)
			}
		}
	}
	h.merge(h.others, h.slots)
}
