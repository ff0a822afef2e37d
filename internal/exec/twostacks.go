package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/vec"
)

// leavingRows is a log of rows with aggregates over those of each group that are in its
// window. The oldest rows of a group leave it. Aggregates that can be taken back are; the
// others keep two stacks per group.
type leavingRows struct {
	slotPool
	log     *rowLog
	undo    []fn.Inverse // per aggregate; nil: it cannot be taken back
	stacked bool         // some aggregate cannot

	empty   []int32 // slots that nobody uses after the run at hand
	dst     []int32 // slots of results, each with one of its stacks in src
	src     []int32
	rows    []int32
	flipped gathered
}

// twoStacks is the rows of a group in partial results: front[len-1] covers the oldest rows
// up to the last flip, front[i] all of them from its row on; back covers the rows since.
type twoStacks struct {
	back  int32 // slot + 1; 0: none
	front []int32
}

// gathered is memory for argument columns.
type gathered struct {
	cols  []vec.Vec
	views []*vec.Vec
}

func newLeavingRows(accs []fn.Acc, types [][]vec.Kinds) leavingRows {
	l := leavingRows{slotPool: slotPool{accs: accs}, log: newRowLog(types)}
	for _, acc := range accs {
		inv, ok := acc.(fn.Inverse)
		l.undo = append(l.undo, inv)
		l.stacked = l.stacked || !ok
	}
	return l
}

func (l *leavingRows) newSlot() int32 {
	s, _ := l.take()
	return s
}

// backSlot is the slot of the stack that new rows enter.
func (l *leavingRows) backSlot(s *twoStacks) int32 {
	if s.back == 0 {
		s.back = l.newSlot() + 1
	}
	return s.back - 1
}

// pop takes the oldest row off the front stack, which it first fills from the back. The
// group has n rows, the oldest of which is head.
func (l *leavingRows) pop(s *twoStacks, head int64, n int32) {
	if len(s.front) == 0 {
		l.flip(s, head, n)
	}
	top := len(s.front) - 1
	l.empty = append(l.empty, s.front[top])
	s.front = s.front[:top]
}

// flip moves all rows of a group to the front stack: an entry per row, each covering its
// row and all younger ones.
func (l *leavingRows) flip(s *twoStacks, head int64, n int32) {
	l.rows = l.rows[:0]
	for r := head; n > 0; n-- {
		l.rows = append(l.rows, int32(r-l.log.base))
		r = l.log.next[r-l.log.base]
	}
	slices.Reverse(l.rows)
	for range l.rows {
		s.front = append(s.front, l.newSlot())
	}
	for j, inv := range l.undo {
		if inv == nil {
			l.accs[j].Add(s.front, l.gather(&l.flipped, j, l.rows))
		}
	}
	l.merge(s.front[1:], s.front[:len(s.front)-1])
	if s.back != 0 {
		l.empty = append(l.empty, s.back-1)
		s.back = 0
	}
}

// clearStacks gives back the slots of both stacks.
func (l *leavingRows) clearStacks(s *twoStacks) {
	if s.back != 0 {
		l.empty = append(l.empty, s.back-1)
	}
	l.empty = append(l.empty, s.front...)
	s.back, s.front = 0, s.front[:0]
}

// addStacks notes that the result in a slot is that of both stacks.
func (l *leavingRows) addStacks(slot int32, s *twoStacks) {
	if n := len(s.front); n > 0 {
		l.dst, l.src = append(l.dst, slot), append(l.src, s.front[n-1])
	}
	if s.back != 0 {
		l.dst, l.src = append(l.dst, slot), append(l.src, s.back-1)
	}
}

// merge merges slots of the aggregates that cannot be taken back.
func (l *leavingRows) merge(dst, src []int32) {
	for j, inv := range l.undo {
		if inv == nil {
			l.accs[j].Merge(dst, src)
		}
	}
}

// gather gives the arguments of aggregate j for rows of the log, each named once.
func (l *leavingRows) gather(to *gathered, j int, rows []int32) []*vec.Vec {
	args := l.log.args[j]
	if n := len(rows); n > 0 && int(rows[n-1])-int(rows[0]) == n-1 && slices.IsSorted(rows) {
		from := l.log.base + int64(rows[0])
		return l.log.view(j, from, from+int64(n))
	}
	for len(to.cols) < len(args) {
		to.cols = append(to.cols, vec.Vec{})
	}
	to.views = to.views[:0]
	for c := range args {
		to.cols[c].Gather(&args[c], rows)
		to.views = append(to.views, &to.cols[c])
	}
	return to.views
}
