package exec

import (
	"weir/internal/vec"
)

// joinSide is the rows of one input of a join, in the order of time, with lists of them by
// key. Rows are numbered from the oldest that is still there; numbers fall by as much as
// trim takes away. In the order of their numbers there are rows that nothing can need any
// more, rows that no later row can match (their last result waits for its time), rows in
// the lists, and rows whose time has not come.
type joinSide struct {
	keptRows
	cols  []vec.Vec
	arena *vec.Arena
	time  []vec.Time
	key   []int32 // the group of the key, or -1: NULL is in it
	waits []bool  // of an outer join's left rows: processed, and without a match so far
	free  int     // rows before it are not needed
	gone  int     // rows before it can match nothing any more
	next  int     // the first row whose time has not come
	keeps bool    // rows are of use after their own time

	lists keyLists
	base  uint32 // number in the lists of row 0

	spare      []vec.Vec
	spareArena *vec.Arena
	view       vec.Vec
	sel        []int32
}

func (s *joinSide) init(live []bool, keeps bool) {
	s.live, s.keeps = live, keeps
	s.cols, s.spare = make([]vec.Vec, len(live)), make([]vec.Vec, len(live))
	s.arena, s.spareArena = &vec.Arena{}, &vec.Arena{}
	s.lists.init()
}

// add copies the rows of b. Rows without a key stay away unless they are to be kept.
func (s *joinSide) add(b *vec.Batch, keys []int32, keepNull bool) {
	var sel []int32
	if !keepNull {
		sel = s.withKey(keys)
	}
	for c, live := range s.live {
		if live {
			s.cols[c].AppendRows(&b.Cols[c], sel, s.arena)
		}
	}
	if sel == nil {
		s.time = append(s.time, b.Time[:b.N]...)
		s.key = append(s.key, keys...)
		return
	}
	for _, i := range sel {
		s.time = append(s.time, b.Time[i])
		s.key = append(s.key, keys[i])
	}
}

// withKey is the rows that have a key; nil if all have.
func (s *joinSide) withKey(keys []int32) []int32 {
	s.sel = resizeInts(s.sel, len(keys))[:0] // not nil, even if it stays empty
	for i, k := range keys {
		if k >= 0 {
			s.sel = append(s.sel, int32(i))
		}
	}
	if len(s.sel) == len(keys) {
		return nil
	}
	return s.sel
}

// pass moves the next row to the lists, or past them.
func (s *joinSide) pass() {
	if k := s.key[s.next]; s.keeps && k >= 0 {
		s.lists.push(k, s.base+uint32(s.next))
	}
	s.next++
	if !s.keeps {
		s.gone = s.next
	}
}

// expire takes the rows with a time before t out of the lists.
func (s *joinSide) expire(t vec.Time) {
	for s.gone < s.next && s.time[s.gone] < t {
		if k := s.key[s.gone]; k >= 0 {
			s.lists.pop(k)
		}
		s.gone++
	}
}

// trim forgets the rows that are not needed once they are half of all. It gives their
// number.
func (s *joinSide) trim() int {
	for s.free < s.gone && (s.waits == nil || !s.waits[s.free]) {
		s.free++
	}
	n := s.free
	if n < trimRows || 2*n < len(s.time) {
		return 0
	}
	s.base += uint32(n)
	s.time = append(s.time[:0], s.time[n:]...)
	s.key = append(s.key[:0], s.key[n:]...)
	if s.waits != nil {
		s.waits = append(s.waits[:0], s.waits[n:]...)
	}
	s.spareArena.Reset()
	for c, live := range s.live {
		if live {
			slice(&s.view, &s.cols[c], n, s.cols[c].N)
			s.spare[c].Reset()
			s.spare[c].AppendRows(&s.view, nil, s.spareArena)
		}
	}
	s.cols, s.spare = s.spare, s.cols
	s.arena, s.spareArena = s.spareArena, s.arena
	s.free, s.gone, s.next = 0, s.gone-n, s.next-n
	return n
}

// trimRows is the least number of rows that trim goes to work for.
const trimRows = 256

// held is how many rows wait.
func (s *joinSide) held() int { return len(s.time) - s.free }

// keyLists is a list of row numbers for each key, oldest first. Lists are made of chunks
// that lie in one slice and are used again, so that keys come and go without allocation.
type keyLists struct {
	of     []keyList
	chunks []chunk
	free   int32 // the first chunk that is not in use; -1: none
}

// keyList is a list. Its rows begin at from in chunk head, and end before to in chunk tail.
type keyList struct {
	head, tail int32 // -1: the list is empty
	from, to   int32
}

// chunk is as long as a line of the processor's cache.
type chunk struct {
	next int32
	rows [15]uint32
}

func (l *keyLists) init() { l.free = -1 }

// reserve makes room for n keys.
func (l *keyLists) reserve(n int) {
	for len(l.of) < n {
		l.of = append(l.of, keyList{head: -1, tail: -1})
	}
}

func (l *keyLists) push(key int32, row uint32) {
	x := &l.of[key]
	switch {
	case x.head < 0:
		c := l.take()
		*x = keyList{head: c, tail: c}
	case x.to == int32(len(chunk{}.rows)):
		c := l.take()
		l.chunks[x.tail].next = c
		x.tail, x.to = c, 0
	}
	l.chunks[x.tail].rows[x.to] = row
	x.to++
}

// pop takes the oldest row away.
func (l *keyLists) pop(key int32) {
	x := &l.of[key]
	x.from++
	switch {
	case x.head == x.tail && x.from == x.to:
		l.giveBack(x.head)
		x.head, x.tail = -1, -1
	case x.from == int32(len(chunk{}.rows)):
		c := x.head
		x.head, x.from = l.chunks[c].next, 0
		l.giveBack(c)
	}
}

func (l *keyLists) take() int32 {
	if c := l.free; c >= 0 {
		l.free = l.chunks[c].next
		return c
	}
	l.chunks = append(l.chunks, chunk{})
	return int32(len(l.chunks) - 1)
}

func (l *keyLists) giveBack(c int32) {
	l.chunks[c].next, l.free = l.free, c
}

// rows gives the rows of a list from chunk c on that lie in that chunk, and the next chunk,
// -1 at the end. The first chunk is x.head.
func (l *keyLists) rows(x *keyList, c int32) (rows []uint32, next int32) {
	from, to, next := int32(0), int32(len(chunk{}.rows)), l.chunks[c].next
	if c == x.head {
		from = x.from
	}
	if c == x.tail {
		to, next = x.to, -1
	}
	return l.chunks[c].rows[from:to], next
}
