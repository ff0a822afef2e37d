package exec

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/plan"
	"weir/internal/vec"
	"weir/internal/window"
)

// TestPairSlots compares the hash table with a map under puts and removes.
func TestPairSlots(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	var s pairSlots
	want := map[pairCell]int32{}
	for i := range 20000 {
		num, group := int64(r.IntN(40)-20)*int64(1+r.IntN(2))<<r.IntN(30), int32(r.IntN(20))
		key := pairCell{num: num, group: group}
		got, ok := s.get(num, group)
		if slot, has := want[key]; ok != has || ok && got != slot {
			t.Fatalf("step %d: %d, %v; want %d, %v", i, got, ok, slot, has)
		}
		switch {
		case !ok:
			s.put(num, group, int32(i))
			want[key] = int32(i)
		case r.IntN(3) > 0:
			s.remove(num, group)
			delete(want, key)
		}
		if s.n != len(want) {
			t.Fatalf("step %d: %d pairs, want %d", i, s.n, len(want))
		}
	}
	s.clear()
	for key := range want {
		if _, ok := s.get(key.num, key.group); ok {
			t.Fatal("a pair is there after clear")
		}
	}
}

func TestIntTable(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	var table intTable
	want := map[int64]int32{}
	for i := range 5000 {
		x := int64(r.Uint64() >> r.IntN(64))
		if r.IntN(2) == 0 {
			x = -x
		}
		got, ok := table.get(x)
		if val, has := want[x]; ok != has || ok && got != val {
			t.Fatalf("%d: %d, %v; want %d, %v", x, got, ok, val, has)
		}
		if !ok {
			table.put(x, int32(i))
			want[x] = int32(i)
		}
	}
}

func TestQueue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 6))
	var q queue[int]
	var want []int
	for i := range 20000 {
		switch k := r.IntN(5); {
		case k < 2:
			q.push(i)
			want = append(want, i)
		case k == 2:
			at := r.IntN(len(want) + 1)
			q.insert(at, i)
			want = slices.Insert(want, at, i)
		case len(want) > 0:
			if got := q.pop(); got != want[0] {
				t.Fatalf("step %d: %d, want %d", i, got, want[0])
			}
			want = want[1:]
		}
		if !slices.Equal(q.all(), want) || q.len() != len(want) || len(want) > 0 && q.first() != want[0] {
			t.Fatalf("step %d: %v, want %v", i, q.all(), want)
		}
	}
	if cap(q.items) > 10000 {
		t.Errorf("room for %d items, of which there were never so many", cap(q.items))
	}
	if q.clear(); q.len() != 0 {
		t.Error("not empty after clear")
	}
}

func TestSortDue(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 7))
	var spare []dueRow
	for range 300 {
		n, span := r.IntN(300), int64(1)<<r.IntN(62)
		rows := make([]dueRow, n)
		from := vec.Time(r.Int64N(1 << 40))
		for i := range rows {
			rows[i] = dueRow{t: from + vec.Time(r.Int64N(span)), row: int32(i)}
		}
		if r.IntN(4) == 0 {
			slices.SortStableFunc(rows, func(a, b dueRow) int { return cmp.Compare(a.t, b.t) })
		}
		want := slices.Clone(rows)
		slices.SortStableFunc(want, func(a, b dueRow) int { return cmp.Compare(a.t, b.t) })
		var got []dueRow
		got, spare = sortDue(rows, spare)
		if !slices.Equal(got, want) {
			t.Fatalf("%d rows within %d are not in order", n, span)
		}
	}
}

func TestSessionHeap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	w := &sessions{}
	var want []int32
	for i := range 3000 {
		if r.IntN(3) > 0 || len(want) == 0 {
			w.all = append(w.all, session{id: int64(i), due: vec.Time(r.IntN(50))})
			s := int32(len(w.all) - 1)
			w.push(s)
			want = append(want, s)
			continue
		}
		slices.SortFunc(want, func(a, b int32) int {
			x, y := &w.all[a], &w.all[b]
			return cmp.Or(cmp.Compare(x.due, y.due), cmp.Compare(x.id, y.id))
		})
		if w.ends[0] != want[0] {
			t.Fatalf("step %d: session %d comes first, want %d", i, w.ends[0], want[0])
		}
		if r.IntN(2) == 0 { // a row has prolonged it
			w.all[w.ends[0]].due += vec.Time(r.IntN(20))
			w.down(0)
			continue
		}
		w.pop()
		want = want[1:]
	}
}

// TestPaneNumbers: division by multiplication is exact, for all lengths of panes.
func TestPaneNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	for range 3000 {
		step := 1 + vec.Time(r.Int64N(1<<r.IntN(43)+1))
		w := newPanes(newTestGroup(), window.Spec{Kind: window.Tumbling, Size: step, Hop: step, Offset: vec.Time(r.Int64N(int64(step)))}, false)
		for range 20 {
			rel := r.Uint64() >> (1 + r.IntN(63))
			if got, want := w.quotient(rel), rel/uint64(step); got != want {
				t.Fatalf("%d / %d = %d, want %d", rel, step, got, want)
			}
			at := vec.Time(r.Int64N(1<<60)) - 1<<58
			if end := w.end(w.number(at)); end < at || end-step >= at {
				t.Fatalf("panes of %d, offset %d: %d is in the pane that ends at %d", step, w.offset, at, end)
			}
		}
	}
}

func newTestGroup() *grouping {
	return &grouping{g: &Graph{}, op: &plan.Group{}, keys: newKeyTable(nil, nil)}
}

// TestPaneTable: a row finds the slot of its pane and group in every form of the table,
// while the ring grows at both ends, gets wider, turns sparse and dense again.
func TestPaneTable(t *testing.T) {
	defer func(was int64, table int64) { limits.ring, limits.table = was, table }(limits.ring, limits.table)
	limits.ring, limits.table = 64, 4096
	forms := map[[2]bool]bool{}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 10))
		ordered := seed%3 == 0
		o := newTestGroup()
		w := newPanes(o, window.Spec{Kind: window.Tumbling, Size: 10, Hop: 10}, ordered)
		type pair struct {
			num   int64
			group int32
		}
		slots := map[pair]int32{}
		now, spread := vec.Time(1000), vec.Time(1+r.IntN(2000))
		for range 200 {
			if r.IntN(20) == 0 {
				spread = vec.Time(1 + r.IntN(2000))
			}
			n := 1 + r.IntN(20)
			groups := int32(1 + r.IntN(1+int(o.keys.n)+5))
			in := &groupedRows{Batch: &vec.Batch{N: n}}
			for range n {
				in.Time = append(in.Time, now+vec.Time(r.Int64N(int64(spread))))
				in.groups = append(in.groups, int32(r.IntN(int(groups))))
			}
			if ordered {
				slices.Sort(in.Time)
				now = in.Time[n-1]
			}
			in.tuples = in.groups
			o.keys.n = max(o.keys.n, groups)
			w.add(in)
			for i, s := range w.slots {
				key := pair{w.number(in.Time[i]), in.groups[i]}
				if was, ok := slots[key]; ok && was != s {
					t.Fatalf("seed %d: pane %d, group %d has slot %d, before that %d", seed, key.num, key.group, s, was)
				}
				slots[key] = s
			}
			forms[[2]bool{ordered, w.table.dense}] = true
			now += vec.Time(r.IntN(30))
			if r.IntN(3) > 0 {
				continue
			}
			for w.open.len() > 0 && w.open.first().end < now {
				p := w.close()
				for i, g := range p.groups {
					if slots[pair{p.num, g}] != p.slots[i] {
						t.Fatalf("seed %d: pane %d closes with slot %d for group %d, want %d", seed, p.num, p.slots[i], g, slots[pair{p.num, g}])
					}
					delete(slots, pair{p.num, g})
				}
				w.drop(p)
			}
			if held := w.held(); held != len(slots) {
				t.Fatalf("seed %d: %d slots are held, want %d", seed, held, len(slots))
			}
		}
	}
	if len(forms) != 3 {
		t.Errorf("only these forms have been seen: %v", forms)
	}
}
