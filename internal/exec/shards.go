package exec

import (
	"hash/fnv"
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// sharded runs a grouping as several shards: rows go to the shard of the hash of their
// keys, results are merged by T, window and first row. It gives the rows of one shard in
// the same order, and is how a plan behaves when its shards run on several workers.
type sharded struct {
	g      *Graph
	node   *plan.Node
	op     *plan.Group
	by     []int // columns that choose the shard
	shards []*grouping
	rowNo  int64
	sel    [][]int32
	parts  []vec.Batch
	live   []bool
	keys   *keyTable // of by
	shard  []int32   // per group of keys
	seq    []int64
	merged []mergedRow
	out    vec.Batch
}

// mergedRow is a result row of a shard.
type mergedRow struct {
	t      vec.Time
	window int32
	first  rank
	shard  int32
	row    int32
}

// shardable reports whether a grouping can be split: it has keys, and the sessions of
// each partition lie within one shard.
func shardable(op *plan.Group) bool { return len(shardKeys(op)) > 0 }

// shardKeys are the columns that choose the shard: the keys, or, with session windows, the
// partition keys of the first one if all sessions have these.
func shardKeys(op *plan.Group) []int {
	by := op.Keys
	session := false
	for _, w := range op.Windows {
		if w.Kind != window.Session {
			continue
		}
		if session && !slices.Equal(by, w.Over) {
			return nil
		}
		by, session = w.Over, true
	}
	for _, c := range by {
		if !slices.Contains(op.Keys, c) {
			return nil // rows of one group would go to several shards
		}
	}
	return by
}

func newSharded(g *Graph, n *plan.Node, op *plan.Group) (Operator, error) {
	s := &sharded{g: g, node: n, op: op, by: shardKeys(op), sel: make([][]int32, g.opts.Shards),
		parts: make([]vec.Batch, g.opts.Shards), live: make([]bool, len(n.In[0].Cols))}
	plan.MarkRead(n, nil, s.live)
	for range g.opts.Shards {
		sh := newGroupOp(g, n, op)
		sh.res.ranked = true
		s.shards = append(s.shards, sh)
	}
	return s, nil
}

func (s *sharded) Push(_ int, b *vec.Batch, emit Emit) error {
	for i := range s.sel {
		s.sel[i] = s.sel[i][:0]
	}
	for i, k := range s.shardsOf(b) {
		s.sel[k] = append(s.sel[k], int32(i))
	}
	whole := *b
	if whole.Seq == nil {
		s.seq = s.seq[:0]
		for i := range b.N {
			s.seq = append(s.seq, s.rowNo+int64(i))
		}
		whole.Seq = s.seq
	}
	s.rowNo += int64(b.N)
	for k, sel := range s.sel {
		if len(sel) == 0 {
			continue
		}
		pick(&s.parts[k], &whole, sel, s.live)
		if err := s.shards[k].Push(0, &s.parts[k], emit); err != nil {
			return err
		}
	}
	return nil
}

// shardsOf gives the shard of each row. The shard of a key is found once; keys are forgotten
// when they are many, since they can be hashed again.
func (s *sharded) shardsOf(b *vec.Batch) []int32 {
	if s.keys == nil || int(s.keys.n) > 16*limits.idleGroups {
		s.keys, s.shard = newKeyTable(s.by, nil), s.shard[:0]
	}
	groups, _ := s.keys.groups(b)
	for g := int32(len(s.shard)); g < s.keys.n; g++ {
		h := fnv.New64a()
		h.Write(s.keys.bytes(g))
		s.shard = append(s.shard, int32(h.Sum64()%uint64(len(s.shards))))
	}
	for i, g := range groups {
		groups[i] = s.shard[g]
	}
	return groups
}

func (s *sharded) Advance(_ int, t vec.Time, emit Emit) error {
	s.merged = s.merged[:0]
	var kept []*vec.Batch
	for k, sh := range s.shards {
		var rows vec.Batch
		err := sh.advanceRanked(t, func(b *vec.Batch, ids []int32, firsts []rank) {
			for i := range b.N {
				w := int32(0)
				if ids != nil {
					w = ids[i]
				}
				s.merged = append(s.merged, mergedRow{b.Time[i], w, firsts[i], int32(k), int32(rows.N + i)})
			}
			rows.AppendRows(b, nil, nil)
		})
		if err != nil {
			return err
		}
		kept = append(kept, &rows)
	}
	slices.SortFunc(s.merged, func(a, b mergedRow) int {
		switch {
		case a.t != b.t:
			return compareTime(a.t, b.t)
		case a.window != b.window:
			return int(a.window - b.window)
		case a.first.less(b.first):
			return -1
		}
		return 1
	})
	for from := 0; from < len(s.merged); from += limits.results {
		rows := s.merged[from:min(from+limits.results, len(s.merged))]
		s.out.Reset(len(s.node.Cols))
		for _, m := range rows {
			s.out.Time = append(s.out.Time, m.t)
			for c := range s.out.Cols {
				s.out.Cols[c].Append(kept[m.shard].Cols[c].At(int(m.row)))
			}
		}
		s.out.N, s.out.Seq = len(rows), nil
		if err := emit(&s.out); err != nil {
			return err
		}
	}
	return nil
}

func compareTime(a, b vec.Time) int {
	if a < b {
		return -1
	}
	return 1
}

// advanceRanked is Advance with the window and first row of every result.
func (o *grouping) advanceRanked(t vec.Time, take func(b *vec.Batch, ids []int32, firsts []rank)) error {
	return o.Advance(0, t, func(b *vec.Batch) error {
		var ids []int32
		if o.res.keepIDs {
			ids = o.res.ids
		}
		take(b, ids, o.res.firsts)
		return nil
	})
}

func (s *sharded) Freeze(m *state.Memory) saved {
	rowNo := s.rowNo
	var shards []saved
	for _, sh := range s.shards {
		shards = append(shards, sh.freezeWindows(m))
	}
	return func(w *state.Writer) {
		w.Int(rowNo)
		w.Uint(uint64(len(shards)))
		for _, sh := range shards {
			sh(w)
		}
	}
}

// Restore reads the state of any number of shards.
func (s *sharded) Restore(r *state.Reader) error {
	to := &regroup{shards: s.shards, pick: func(row *vec.Batch) int32 { return s.shardsOf(row)[0] }}
	err := to.restore(r)
	s.rowNo = s.shards[0].rowNo
	return err
}
