package exec

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// overUnit computes aggregates with OVER that look at the same rows (saql.md 8.5). Rows
// stand in one log in the order of time; those of a key are linked. Aggregates that can be
// taken back are; the others keep two stacks per key, as for sliding windows.
//
// A batch is computed in rounds: the first rows of all keys, then the second ones, and so
// on. Rows of one round have no key in common, so they do not disturb each other, and the
// aggregates are fed and read once per round.
type overUnit struct {
	leavingRows
	s      *historyKeys
	when   int
	limit  vec.Time
	calls  []int
	finder []*misfitFinder // per call, where query errors drop rows

	out     int64 // number of the oldest row that is of use
	nothing int32 // a slot without rows
	groups  []overGroup
	stacks  []twoStacks // per key, if stacked
	batches uint32

	round  []int32 // per row
	starts []int32 // per round: its first row in order
	order  []int32 // the rows, by round
	at     []int64 // per row: its number in the log, or -1
	some   []int32 // the rows that pass
	tuples []int32

	come  steps
	gone  steps
	backs []int32 // slots in the back stacks of the rows of come
	slots []int32 // of the results of a round
	call  fn.Call
	index int // of the call whose results are read
	first int // of the rows of the round at hand in order
	tmp   vec.Vec
}

// steps are rows of the log with the slots that they enter or leave.
type steps struct {
	rows  []int32 // positions in the log
	slots []int32
	args  gathered
}

// overGroup is the rows of a key that are of use: their number, the oldest and the newest
// one, and their times.
type overGroup struct {
	head, tail     int64
	headAt, tailAt vec.Time
	slot           int32 // + 1; 0: no rows
	rows           int32
	batch          uint32 // the batch that has it last
	round          int32  // its next round there
}

// build makes what depends on the calls.
func (u *overUnit) build() {
	h := u.s.h
	cols := h.node.In[0].Cols
	types := make([][]vec.Kinds, len(u.calls))
	var accs []fn.Acc
	for j, i := range u.calls {
		spec := aggSpec(h.op.Calls[i].Agg, cols)
		types[j] = spec.Args
		spec.Back = true
		accs = append(accs, h.op.Calls[i].Agg.Fn.New(spec))
		if h.g.opts.DropErrors {
			u.finder = append(u.finder, newMisfitFinder(h.op.Calls[i].Agg.Fn.New(spec), h.op.Calls[i].Agg))
		}
	}
	u.leavingRows = newLeavingRows(accs, types)
	u.nothing, _ = u.take()
	u.call.OnError = func(row int, message string) {
		h.fail(u.agg(u.index).Span, int(u.order[u.first+row]), message)
	}
}

func (u *overUnit) agg(j int) *plan.GroupAgg { return &u.s.h.op.Calls[u.calls[j]].Agg }

func (u *overUnit) reserve(known int) {
	if known > len(u.groups) {
		u.groups = slices.Grow(u.groups, known-len(u.groups))[:known]
		if u.stacked {
			u.stacks = slices.Grow(u.stacks, known-len(u.stacks))[:known]
		}
	}
}

func (u *overUnit) push(in *historyRows) {
	u.reserve(in.known)
	u.enlog(in)
	u.sort(in)
	for r := range u.starts {
		lo, hi := int(u.starts[r]), in.N
		if r+1 < len(u.starts) {
			hi = int(u.starts[r+1])
		}
		u.play(in, lo, hi)
	}
}

// enlog writes the rows that pass to the log.
func (u *overUnit) enlog(in *historyRows) {
	pass := in.passes(u.when)
	u.at, u.some, u.tuples = u.at[:0], u.some[:0], u.tuples[:0]
	end := u.log.end()
	for i := range in.N {
		if pass != nil && pass[i] != fn.True {
			u.at = append(u.at, -1)
			continue
		}
		u.at = append(u.at, end+int64(len(u.some)))
		u.some = append(u.some, int32(i))
		u.tuples = append(u.tuples, in.groups[i])
	}
	if len(u.some) == 0 {
		return
	}
	l, sel := u.log, u.some
	if len(sel) == in.N {
		sel = nil
	}
	l.tuple = append(l.tuple, u.tuples...)
	for _, i := range u.some {
		l.time = append(l.time, in.Time[i])
		l.next = append(l.next, -1)
		l.seq = append(l.seq, 0)
	}
	for j := range u.calls {
		for c, col := range u.agg(j).Args {
			l.args[j][c].AppendRows(&in.Cols[col], sel, l.arena)
		}
	}
}

// sort puts the rows into rounds: those of a key in different ones, one behind the other.
func (u *overUnit) sort(in *historyRows) {
	if u.batches++; u.batches == 0 { // once in 2^32 batches
		for i := range u.groups {
			u.groups[i].batch = 0
		}
		u.batches++
	}
	u.round, u.starts = u.round[:0], u.starts[:0]
	for _, g := range in.groups[:in.N] {
		x := &u.groups[g]
		if x.batch != u.batches {
			x.batch, x.round = u.batches, 0
		}
		if int(x.round) == len(u.starts) {
			u.starts = append(u.starts, 0)
		}
		u.starts[x.round]++
		u.round = append(u.round, x.round)
		x.round++
	}
	sum := int32(0)
	for r, n := range u.starts {
		u.starts[r] = sum
		sum += n
	}
	u.order = resizeInts(u.order, in.N)
	for i, r := range u.round {
		u.order[u.starts[r]] = int32(i)
		u.starts[r]++
	}
	copy(u.starts[1:], u.starts[:len(u.starts)-1])
	u.starts[0] = 0
}

// play computes the rows order[lo:hi] of a round.
func (u *overUnit) play(in *historyRows, lo, hi int) {
	u.clear()
	for _, i := range u.order[lo:hi] {
		key := in.groups[i]
		g := &u.groups[key]
		u.leave(key, g, in.Time[i]-u.limit)
		if row := u.at[i]; row >= 0 {
			u.enter(key, g, row, in.Time[i])
		}
		slot := u.nothing
		if g.rows > 0 {
			slot = g.slot - 1
		}
		u.slots = append(u.slots, slot)
	}
	u.feed()
	u.mergeStacks(in, lo, hi)
	u.first = lo
	for j, acc := range u.accs {
		u.index = j
		acc.Result(&u.call, u.slots, &u.tmp)
		scatter(&u.s.h.results[u.calls[j]], in.N, u.order[lo:hi], &u.tmp, lo == 0)
	}
	u.giveBack(u.empty)
}

func (u *overUnit) clear() {
	u.slots, u.empty, u.backs = u.slots[:0], u.empty[:0], u.backs[:0]
	u.come.rows, u.come.slots = u.come.rows[:0], u.come.slots[:0]
	u.gone.rows, u.gone.slots = u.gone.rows[:0], u.gone.slots[:0]
}

// enter adds row number row, of time t, to a key.
func (u *overUnit) enter(key int32, g *overGroup, row int64, t vec.Time) {
	if g.slot == 0 {
		g.slot = u.newSlot() + 1
	}
	if g.rows == 0 {
		g.head, g.headAt = row, t
	} else {
		u.log.next[g.tail-u.log.base] = row
	}
	g.tail, g.tailAt = row, t
	g.rows++
	u.come.rows = append(u.come.rows, int32(row-u.log.base))
	u.come.slots = append(u.come.slots, g.slot-1)
	if u.stacked {
		u.backs = append(u.backs, u.backSlot(&u.stacks[key]))
	}
}

// leave takes the rows of time to and before out of a key.
func (u *overUnit) leave(key int32, g *overGroup, to vec.Time) {
	if g.rows == 0 || g.headAt > to {
		return
	}
	if g.tailAt <= to {
		u.release(key, g)
		return
	}
	for g.headAt <= to {
		u.popRow(key, g)
	}
}

// popRow takes the oldest row out of a key that has more.
func (u *overUnit) popRow(key int32, g *overGroup) {
	i := g.head - u.log.base
	u.gone.rows = append(u.gone.rows, int32(i))
	u.gone.slots = append(u.gone.slots, g.slot-1)
	if u.stacked {
		u.pop(&u.stacks[key], g.head, g.rows)
	}
	g.rows--
	g.head = u.log.next[i]
	g.headAt = u.log.time[g.head-u.log.base]
}

// release takes all rows, and the slots, from a key.
func (u *overUnit) release(key int32, g *overGroup) {
	u.empty = append(u.empty, g.slot-1)
	g.slot, g.rows = 0, 0
	if u.stacked {
		u.clearStacks(&u.stacks[key])
	}
}

// feed brings the aggregates up to the rows that have come and gone.
func (u *overUnit) feed() {
	for j, inv := range u.undo {
		if inv == nil {
			if len(u.come.rows) > 0 {
				u.accs[j].Add(u.backs, u.gather(&u.come.args, j, u.come.rows))
			}
			continue
		}
		if len(u.come.rows) > 0 {
			inv.Add(u.come.slots, u.gather(&u.come.args, j, u.come.rows))
		}
		if len(u.gone.rows) > 0 {
			inv.Remove(u.gone.slots, u.gather(&u.gone.args, j, u.gone.rows))
		}
	}
}

// mergeStacks sets the slots of the results of a round from the two stacks.
func (u *overUnit) mergeStacks(in *historyRows, lo, hi int) {
	if !u.stacked {
		return
	}
	u.dst, u.src = u.dst[:0], u.src[:0]
	for _, i := range u.order[lo:hi] {
		if g := &u.groups[in.groups[i]]; g.rows > 0 {
			u.addStacks(g.slot-1, &u.stacks[in.groups[i]])
		}
	}
	for j, inv := range u.undo {
		if inv == nil {
			u.accs[j].Reset(u.slots)
		}
	}
	u.merge(u.dst, u.src)
}

// scatter sets the rows at of out, which has n rows in all, to those of src.
func scatter(out *vec.Vec, n int, at []int32, src *vec.Vec, first bool) {
	if first {
		if src.Tag == nil && !src.Kind.IsNull() {
			out.Fixed(src.Kind, n)
		} else {
			out.Tagged(n)
		}
	}
	if out.Tag == nil && src.Tag == nil && out.Kind == src.Kind && src.Dict == nil {
		switch out.Kind {
		case vec.Bit, vec.Int, vec.Datetime:
			scatterLane(out.Int, at, src.Int)
		case vec.Float:
			scatterLane(out.Float, at, src.Float)
		case vec.String:
			scatterLane(out.Str, at, src.Str)
		case vec.Record, vec.Array:
			scatterLane(out.Rec, at, src.Rec)
		}
		return
	}
	for j, i := range at {
		setRow(out, int(i), src, j)
	}
}

func scatterLane[T any](out []T, at []int32, src []T) {
	for j, i := range at {
		out[i] = src[j]
	}
}

func (u *overUnit) keep(*historyRows) { u.expire(u.s.h.newest) }

func (u *overUnit) misfits(in *historyRows, fail func(at diag.Span, row int, message string)) {
	pass := in.passes(u.when)
	for j, f := range u.finder {
		for _, c := range f.cols {
			for i := range in.N {
				if (pass == nil || pass[i] == fn.True) && f.misfit(&in.Cols[c], i) {
					fail(u.s.h.op.Calls[u.calls[j]].Span, i, f.message)
				}
			}
		}
	}
}

// expire takes out the rows that no row with T >= t sees.
func (u *overUnit) expire(t vec.Time) {
	to := since(t, u.limit)
	l := u.log
	u.clear()
	for ; u.out < l.end() && l.time[u.out-l.base] <= to; u.out++ {
		key := l.tuple[u.out-l.base]
		switch g := &u.groups[key]; {
		case g.rows == 0 || g.head != u.out:
		case g.tailAt <= to:
			u.release(key, g)
		default:
			u.popRow(key, g)
		}
	}
	u.feed()
	u.giveBack(u.empty)
	l.trim(u.out)
}

func (u *overUnit) sweep(vec.Time) {}

// held is how many rows are kept, and how many values of rows aggregates such as Collect
// keep beside them.
func (u *overUnit) held() int { return int(u.log.end()-u.out) + u.values() }

// freeze copies the rows. The aggregates follow from them.
func (u *overUnit) freeze(t vec.Time, m *state.Memory) saved {
	u.expire(t)
	return u.log.freeze(u.s.table.freeze(), u.out, m)
}

func (u *overUnit) restore(r *state.Reader) {
	for range r.Count() {
		t, seq := vec.Time(r.Int()), r.Int()
		_, tuple := u.s.table.loadKey(r, &u.s.scratch)
		u.log.restoreRow(r, t, seq, tuple)
		if r.Err() != nil {
			return
		}
	}
	u.reserve(int(u.s.table.n))
	u.clear()
	for i, tuple := range u.log.tuple {
		g := u.s.table.group(tuple)
		u.log.tuple[i] = g
		u.enter(g, &u.groups[g], u.log.base+int64(i), u.log.time[i])
	}
	u.feed()
}
