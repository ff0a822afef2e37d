package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weir/internal/state"
	"weir/internal/vec"
)

// TestKeyTable: equal keys (saql.md 3.7) have one group, however the columns hold them.
func TestKeyTable(t *testing.T) {
	record := func(names []string, vals ...vec.Value) vec.Value {
		return vec.RecordValue(&vec.Rec{Names: names, Vals: vals})
	}
	one, two := vec.IntValue(1), vec.IntValue(2)
	// Every line is one key in different looks.
	keys := [][]vec.Value{
		{one, vec.FloatValue(1), vec.BitValue(true)},
		{vec.FloatValue(0), vec.FloatValue(math.Copysign(0, -1)), vec.BitValue(false), vec.IntValue(0)},
		{two, vec.FloatValue(2)},
		{vec.FloatValue(-2), vec.IntValue(-2)},
		{vec.FloatValue(0.5)},
		{vec.IntValue(1<<62 + 1<<61), vec.FloatValue(1<<62 + 1<<61)},
		{vec.IntValue(math.MaxInt64)},
		{vec.FloatValue(1 << 63)},
		{vec.IntValue(math.MinInt64), vec.FloatValue(-1 << 63)},
		{vec.IntValue(1<<53 + 1)},
		{vec.FloatValue(1 << 53), vec.IntValue(1 << 53)},
		{vec.FloatValue(1e300)},
		{vec.NullValue(), {}},
		{vec.StringValue("")},
		{vec.StringValue("1")},
		{vec.StringValue("日本")},
		{vec.TimeValue(1)},
		{record([]string{"a", "b"}, one, two), record([]string{"b", "a"}, vec.FloatValue(2), one)},
		{record([]string{"a", "b"}, two, one)},
		{vec.ArrayValue(&vec.Rec{Vals: []vec.Value{one}}), vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.FloatValue(1)}})},
		{vec.ArrayValue(&vec.Rec{Vals: []vec.Value{one, one}})},
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		single, pairs := newKeyTable([]int{0}, nil), newKeyTable([]int{0, 1}, nil)
		seen, seenPairs := map[int32]string{}, map[int32]string{}
		groupOf, groupOfPair := map[string]int32{}, map[string]int32{}
		for range 20 {
			a, b := r.IntN(len(keys)), r.IntN(len(keys))
			va, vb := keys[a][r.IntN(len(keys[a]))], keys[b][r.IntN(len(keys[b]))]
			batch := &vec.Batch{N: 1, Cols: []vec.Vec{vec.Values(va), vec.Values(vb)}}
			check := func(table *keyTable, name string, seen map[int32]string, groupOf map[string]int32, vals ...vec.Value) {
				t.Helper()
				groups, tuples := table.groups(batch)
				g, tuple := groups[0], tuples[0]
				if was, ok := groupOf[name]; ok && was != g || !ok && seen[g] != "" {
					t.Fatalf("seed %d: key %s has group %d; %v", seed, name, g, seen)
				}
				seen[g], groupOf[name] = name, g
				if table.group(tuple) != g {
					t.Fatalf("seed %d: tuple %d is of group %d, not %d", seed, tuple, table.group(tuple), g)
				}
				for p, v := range vals {
					var out vec.Vec
					table.column(p, tuples, &out)
					if got := out.At(0); got.String() != v.String() || got.Kind != max(v.Kind, vec.Null) {
						t.Fatalf("seed %d: the tuple of %v shows %v", seed, v, got)
					}
				}
				w := state.NewWriter()
				table.saveKey(w, tuple)
				var row vec.Batch
				if lg, lt := table.loadKey(state.NewReader(w.Bytes()), &row); lg != g || lt != tuple {
					t.Fatalf("seed %d: %v reads back as group %d, tuple %d; it is %d, %d", seed, vals, lg, lt, g, tuple)
				}
			}
			check(single, fmt.Sprint(a), seen, groupOf, va)
			check(pairs, fmt.Sprint(a, "/", b), seenPairs, groupOfPair, va, vb)
		}
	}
}

// TestKeysOfDictionaries: codes of several dictionaries, plain texts and mixed columns lead
// to the same groups.
func TestKeysOfDictionaries(t *testing.T) {
	table := newKeyTable([]int{0}, nil)
	coded := func(d *vec.Dict, codes ...uint32) vec.Vec {
		return vec.Vec{N: len(codes), Kind: vec.String, Dict: d, Code: codes}
	}
	f := func(v vec.Vec, want ...int32) {
		t.Helper()
		groups, _ := table.groups(&vec.Batch{N: v.N, Cols: []vec.Vec{v}})
		for i, g := range groups {
			if g != want[i] {
				t.Errorf("row %d has group %d, want %d", i, g, want[i])
			}
		}
	}
	a, b := &vec.Dict{Vals: []string{"x", "y"}}, &vec.Dict{Vals: []string{"y", "z"}}
	f(coded(a, 0, 1, 0), 0, 1, 0)
	f(coded(b, 0, 1), 1, 2)
	f(vec.Strings("z", "w", "x"), 2, 3, 0)
	a.Vals = append(a.Vals, "w", "v")
	f(coded(a, 3, 2, 1), 4, 3, 1)
	f(vec.Values(vec.NullValue(), vec.StringValue("v"), vec.IntValue(1)), 5, 4, 6)
	f(coded(b, 1, 0), 2, 1)
	for n := range 2 * maxCaches {
		f(coded(&vec.Dict{Vals: []string{"y", fmt.Sprint("d", n)}}, 0, 1), 1, int32(7+n))
	}
	f(coded(a, 0), 0)
}

// TestManyKeys: tables grow.
func TestManyKeys(t *testing.T) {
	table := newKeyTable([]int{0, 1}, nil)
	const n = 20000
	for round := range 2 {
		for from := 0; from < n; from += 1000 {
			b := &vec.Batch{N: 1000, Cols: make([]vec.Vec, 2)}
			for i := range 1000 {
				b.Cols[0].Append(vec.IntValue(int64(from+i) % 100))
				b.Cols[1].Append(vec.StringValue(fmt.Sprint((from + i) / 100)))
			}
			groups, _ := table.groups(b)
			for i, g := range groups {
				if g != int32(from+i) {
					t.Fatalf("round %d: key %d has group %d", round, from+i, g)
				}
			}
		}
	}
	if table.n != n {
		t.Errorf("%d groups, want %d", table.n, n)
	}
}
