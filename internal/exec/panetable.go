package exec

import "math"

// paneTable finds the slots of open panes, by pane and group, in one of three forms.
// Where rows come in the order of time, a group's newest slot is all that can be asked
// for. Else it is a dense ring of panes with a cell per group; and when open panes lie too
// far apart for that, a hash table.
type paneTable struct {
	recent []recentSlot // per group; nil if rows are not in order
	dense  bool
	low    int64   // smallest pane number in the ring
	ring   int64   // its number of panes, a power of two
	width  int     // cells per pane
	cells  []int32 // slot + 1
	sparse pairSlots
}

// recentSlot is the newest slot of a group.
type recentSlot struct {
	num  int64
	slot int32
}

// noPane is the number of no pane.
const noPane = math.MinInt64

func (x *paneTable) init(ordered bool) {
	if ordered {
		x.recent = []recentSlot{}
		return
	}
	x.width = 16
	x.toDense(0)
}

// toDense makes the table, which is empty, a small ring.
func (x *paneTable) toDense(low int64) {
	x.dense, x.ring, x.low = true, 4, low
	if need := int(x.ring) * x.width; cap(x.cells) < need {
		x.cells = make([]int32, need)
	} else {
		x.cells = x.cells[:need]
		clear(x.cells)
	}
}

// reserve makes room for n groups.
func (x *paneTable) reserve(n int, open []*pane) {
	if x.recent != nil {
		for n > len(x.recent) {
			x.recent = append(x.recent, recentSlot{num: noPane})
		}
		return
	}
	if !x.dense || n <= x.width {
		return
	}
	width := x.width
	for width < n {
		width *= 2
	}
	if x.ring*int64(width) > limits.table {
		x.toSparse(open)
		return
	}
	x.layout(x.low, x.ring, width, open)
}

// reach makes the ring cover pane num. It reports false when that would take too much
// memory; from then on the table is sparse.
func (x *paneTable) reach(num int64, open []*pane) bool {
	if len(open) == 0 {
		x.low = num
		return true
	}
	lo, hi := min(open[0].num, num), max(open[len(open)-1].num, num)
	need := uint64(hi-lo) + 1
	if need > uint64(limits.ring) || int64(need)*int64(x.width) > limits.table {
		x.toSparse(open)
		return false
	}
	ring := x.ring
	for uint64(ring) < need {
		ring *= 2
	}
	x.layout(lo, ring, x.width, open)
	return true
}

// layout sets the bounds of the ring and fills it from the open panes.
func (x *paneTable) layout(low, ring int64, width int, open []*pane) {
	if ring != x.ring || width != x.width {
		x.cells = make([]int32, int(ring)*width)
	} else {
		clear(x.cells)
	}
	x.low, x.ring, x.width = low, ring, width
	for _, p := range open {
		row := int(p.num&(ring-1)) * width
		for i, g := range p.groups {
			x.cells[row+int(g)] = p.slots[i] + 1
		}
	}
}

func (x *paneTable) toSparse(open []*pane) {
	x.dense = false
	x.sparse.clear()
	for _, p := range open {
		for i, g := range p.groups {
			x.sparse.put(p.num, g, p.slots[i])
		}
	}
}

// rebuild fills an empty table from the open panes.
func (x *paneTable) rebuild(open []*pane) {
	switch {
	case x.recent != nil:
		for _, p := range open {
			for i, g := range p.groups {
				x.recent[g] = recentSlot{p.num, p.slots[i]}
			}
		}
	case len(open) == 0: // reserve has seen none either
	case x.dense:
		x.reach(open[len(open)-1].num, open)
	default:
		x.toSparse(open)
	}
}

// remove takes a pane, which was the first, out of the table; open is the others.
func (x *paneTable) remove(p *pane, open []*pane) {
	switch {
	case x.recent != nil:
		for _, g := range p.groups {
			if r := &x.recent[g]; r.num == p.num {
				r.num = noPane
			}
		}
	case x.dense:
		row := int(p.num&(x.ring-1)) * x.width
		for _, g := range p.groups {
			x.cells[row+int(g)] = 0
		}
		x.low = p.num + 1
		if len(open) > 0 {
			x.low = open[0].num
		}
	default:
		for _, g := range p.groups {
			x.sparse.remove(p.num, g)
		}
		if len(open) == 0 && 16*int64(x.width) <= limits.table {
			x.toDense(p.num + 1)
		}
	}
}

// pairSlots maps pane and group to a slot, by open addressing.
type pairSlots struct {
	cells []pairCell
	n     int
}

type pairCell struct {
	num   int64
	group int32
	slot  int32 // + 1; 0: free
}

func (s *pairSlots) clear() {
	clear(s.cells)
	s.n = 0
}

// home is where a pair should stand.
func (s *pairSlots) home(num int64, group int32) int {
	return int(hash64(uint64(num)*31+uint64(group))) & (len(s.cells) - 1)
}

// find is the place of a pair, or the free place for it.
func (s *pairSlots) find(num int64, group int32) int {
	i := s.home(num, group)
	for s.cells[i].slot != 0 && (s.cells[i].num != num || s.cells[i].group != group) {
		i = (i + 1) & (len(s.cells) - 1)
	}
	return i
}

func (s *pairSlots) get(num int64, group int32) (int32, bool) {
	if s.n == 0 {
		return 0, false
	}
	c := &s.cells[s.find(num, group)]
	return c.slot - 1, c.slot != 0
}

// put adds a pair that is not there.
func (s *pairSlots) put(num int64, group, slot int32) {
	if 2*(s.n+1) > len(s.cells) {
		old := s.cells
		s.cells = make([]pairCell, max(64, 2*len(old)))
		for _, c := range old {
			if c.slot != 0 {
				s.cells[s.find(c.num, c.group)] = c
			}
		}
	}
	s.cells[s.find(num, group)] = pairCell{num, group, slot + 1}
	s.n++
}

// remove takes a pair out that is there, and moves those behind it that it kept away from
// their place.
func (s *pairSlots) remove(num int64, group int32) {
	mask := len(s.cells) - 1
	hole := s.find(num, group)
	for i := (hole + 1) & mask; s.cells[i].slot != 0; i = (i + 1) & mask {
		home := s.home(s.cells[i].num, s.cells[i].group)
		if (i-home)&mask >= (i-hole)&mask {
			s.cells[hole] = s.cells[i]
			hole = i
		}
	}
	s.cells[hole] = pairCell{}
	s.n--
}
