package exec

import (
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
)

// rowLog keeps rows of aggregate arguments in time order, with their keys, for windows
// that give rows back. Rows have absolute numbers; the oldest are trimmed away.
type rowLog struct {
	base  int64 // number of row 0
	time  []vec.Time
	seq   []int64
	tuple []int32 // their keys as written
	next  []int64 // the group's next row, or -1
	args  [][]vec.Vec
	types [][]vec.Kinds // of args
	arena *vec.Arena
	spare [][]vec.Vec
	views [][]*vec.Vec
	kept  []int32
}

// newRowLog makes a log for aggregates with arguments of the given types.
func newRowLog(types [][]vec.Kinds) *rowLog {
	l := &rowLog{arena: &vec.Arena{}, types: types, args: make([][]vec.Vec, len(types)), spare: make([][]vec.Vec, len(types)),
		views: make([][]*vec.Vec, len(types))}
	for j, cols := range types {
		l.args[j] = make([]vec.Vec, len(cols))
		l.spare[j] = make([]vec.Vec, len(cols))
		for range cols {
			l.views[j] = append(l.views[j], &vec.Vec{})
		}
	}
	return l
}

func (l *rowLog) end() int64 { return l.base + int64(len(l.time)) }

func (l *rowLog) add(in *groupedRows) {
	l.time = append(l.time, in.Time[:in.N]...)
	l.tuple = append(l.tuple, in.tuples[:in.N]...)
	for i := range in.N {
		l.next = append(l.next, -1)
		l.seq = append(l.seq, in.rank(i).seq)
	}
	for j, cols := range in.args {
		for c, v := range cols {
			l.args[j][c].AppendRows(v, nil, l.arena)
		}
	}
}

// view gives the argument columns of aggregate j for the rows from to end, without copying.
func (l *rowLog) view(j int, from, end int64) []*vec.Vec {
	lo, hi := int(from-l.base), int(end-l.base)
	for c := range l.args[j] {
		slice(l.views[j][c], &l.args[j][c], lo, hi)
	}
	return l.views[j]
}

// slice makes out the rows lo to hi of v, sharing its memory.
func slice(out, v *vec.Vec, lo, hi int) {
	*out = vec.Vec{N: hi - lo, Kind: v.Kind, Dict: v.Dict}
	if v.Tag != nil {
		out.Tag = v.Tag[lo:hi]
	}
	if len(v.Int) > 0 {
		out.Int = v.Int[lo:hi]
	}
	if len(v.Float) > 0 {
		out.Float = v.Float[lo:hi]
	}
	if len(v.Str) > 0 {
		out.Str = v.Str[lo:hi]
	}
	if len(v.Code) > 0 {
		out.Code = v.Code[lo:hi]
	}
	if len(v.Rec) > 0 {
		out.Rec = v.Rec[lo:hi]
	}
}

// trim forgets the rows before number to, when they are more than half of the log.
func (l *rowLog) trim(to int64) {
	n := int(to - l.base)
	if n < 1024 || 2*n < len(l.time) {
		return
	}
	l.base = to
	l.time = append(l.time[:0], l.time[n:]...)
	l.seq = append(l.seq[:0], l.seq[n:]...)
	l.tuple = append(l.tuple[:0], l.tuple[n:]...)
	l.next = append(l.next[:0], l.next[n:]...)
	l.kept = resizeInts(l.kept, len(l.time))
	for i := range l.kept {
		l.kept[i] = int32(n + i)
	}
	arena := &vec.Arena{}
	for j := range l.args {
		for c := range l.args[j] {
			l.spare[j][c].Reset()
			l.spare[j][c].AppendRows(&l.args[j][c], l.kept, arena)
		}
		l.args[j], l.spare[j] = l.spare[j], l.args[j]
	}
	l.arena = arena
}

// freeze copies the rows from number from on.
func (l *rowLog) freeze(keys frozenKeys, from int64, m *state.Memory) saved {
	lo := int(from - l.base)
	time, seq, tuple := state.Copy(m, l.time[lo:]), state.Copy(m, l.seq[lo:]), state.Copy(m, l.tuple[lo:])
	var cols []vec.Vec
	for j := range l.args {
		for c := range l.args[j] {
			cols = append(cols, freezeRows(&l.args[j][c], lo, m))
		}
	}
	return func(w *state.Writer) {
		w.Uint(uint64(len(time)))
		for i, t := range time {
			w.Int(int64(t))
			w.Int(seq[i])
			keys.save(w, tuple[i])
			saveRow(w, cols, i)
		}
	}
}

// restoreRow reads the arguments of a row and adds it to the log.
func (l *rowLog) restoreRow(r *state.Reader, t vec.Time, seq int64, tuple int32) {
	l.time = append(l.time, t)
	l.seq = append(l.seq, seq)
	l.tuple = append(l.tuple, tuple)
	l.next = append(l.next, -1)
	for j := range l.args {
		for c := range l.args[j] {
			l.args[j][c].Append(loadColumn(r, l.types[j][c]))
		}
	}
}

// sort puts the rows into the order of time and number. No other row may refer to any of
// them by its number.
func (l *rowLog) sort() {
	order := make([]int32, len(l.time))
	for i := range order {
		order[i] = int32(i)
	}
	compare := func(a, b int32) int {
		return rank{l.time[a], l.seq[a]}.compare(rank{l.time[b], l.seq[b]})
	}
	if slices.IsSortedFunc(order, compare) {
		return
	}
	slices.SortStableFunc(order, compare)
	l.time, l.seq, l.tuple = pickLane(nil, l.time, order), pickLane(nil, l.seq, order), pickLane(nil, l.tuple, order)
	arena := &vec.Arena{}
	for j := range l.args {
		for c := range l.args[j] {
			l.spare[j][c].Reset()
			l.spare[j][c].AppendRows(&l.args[j][c], order, arena)
		}
		l.args[j], l.spare[j] = l.spare[j], l.args[j]
	}
	l.arena = arena
}
