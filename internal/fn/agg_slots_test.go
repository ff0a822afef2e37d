package fn

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"weir/internal/state"
	"weir/internal/vec"
)

// TestAggSlots: slots do not touch each other. Each of many slots, made a few at a time,
// gives in one Result what it would give alone.
func TestAggSlots(t *testing.T) {
	for _, name := range liveAggs {
		for _, mix := range rowMixes {
			t.Run(name+" of "+mix.name, func(t *testing.T) {
				r := rand.New(rand.NewPCG(11, 12))
				agg := mustAgg(t, name)
				a := newAcc(t, agg.Name, mix.static)
				const slots = 40
				var rows [slots][]vec.Value
				for grown := 10; grown <= slots; grown += 10 {
					a.Grow(grown)
					for range 4 {
						place := make([]int32, r.IntN(20))
						vals := make([]vec.Value, len(place))
						for j := range place {
							s := r.IntN(grown - 1) // the last one stays empty
							place[j], vals[j] = int32(s), mix.value(r)
							rows[s] = append(rows[s], vals[j])
						}
						a.Add(place, []*vec.Vec{column(r, vals)})
					}
				}
				order := r.Perm(slots)
				ask := make([]int32, slots)
				for j, s := range order {
					ask[j] = int32(s)
				}
				var out vec.Vec
				failed := map[int]string{}
				a.Result(&Call{OnError: func(row int, message string) { failed[row] = message }}, ask, &out)
				if err := out.Check(); err != nil || out.N != slots {
					t.Fatalf("%d rows: %v", out.N, err)
				}
				for j, s := range order {
					want, fails := aggResult(t, aggOver(t, name, mix.static, rows[s]), 0)
					if got := out.At(j); fmt.Sprint(got.Kind, got, failed[j]) != fmt.Sprint(want.Kind, want, fails) {
						t.Errorf("slot %d of %v: got %v %q, want %v %q", s, rows[s], got, failed[j], want, fails)
					}
				}
			})
		}
	}
}

// TestAggLoadDamaged cuts snapshots short and puts impossible numbers in them.
func TestAggLoadDamaged(t *testing.T) {
	load := func(name string, static Types, b []byte) error {
		a := newAcc(t, name, static)
		a.Grow(1)
		r := state.NewReader(b)
		a.Load(0, r)
		return r.Err()
	}
	vals := []vec.Value{vint(1), vfloat(1e300), vtext("x"), vint(1 << 62), vint(1 << 62)}
	for _, name := range liveAggs {
		b := saved(aggOver(t, name, Any, vals), 0)
		for n := range b {
			if load(name, Any, b[:n]) == nil {
				t.Errorf("%s: %d of %d bytes load", name, n, len(b))
			}
		}
	}
	f := func(name string, static Types, fields ...int64) {
		t.Helper()
		w := state.NewWriter()
		for _, x := range fields {
			w.Int(x)
		}
		for range 100 { // enough of zeros for the rest
			w.Uint(0)
		}
		if load(name, static, w.Bytes()) == nil {
			t.Errorf("%s loads %v", name, fields)
		}
	}
	f("COUNT", Any, -1)
	f("SUM", Any, -1, 0)
	f("AVG", Any, maxCount+1, 0)
	f("VAR", Any, -5)
	u := func(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) } // written by Int, read by Uint
	f("SUM", Any, 1, 1, 0, u(1), -1)                               // floats
	f("SUM", Any, 1, 1, 0, u(0), u(1), -1)                         // misfits
	f("MIN", Any, u(uint64(vec.String)), 0)
	f("MIN", Any, u(1000), 0)
	f("MAX", Any, u(uint64(vec.Float)), 0x7ff<<52) // an infinity
	f("COUNT_DISTINCT", Any, u(1), u(uint64(vec.Int)), 7, 0)
	f("COUNT_DISTINCT", Any, u(1), u(uint64(vec.Int)), 7, -1)
	f("COUNT_DISTINCT", Any, u(1), u(uint64(vec.Bit)), 7, 1)
	f("COUNT_DISTINCT", Any, u(1), u(256+uint64(vec.Int)), 7, 1)
	f("COUNT_DISTINCT", Any, u(2), u(uint64(vec.Int)), 7, 1, u(uint64(vec.Int)), 7, 1)
}

// TestAggBytes: what an accumulator holds is counted, and small where it can be.
func TestAggBytes(t *testing.T) {
	const slots = 1000
	f := func(name string, static Types, least, most int, vals ...vec.Value) {
		t.Helper()
		a := newAcc(t, name, static)
		a.Grow(slots)
		for s := range slots {
			v := vec.Values(vals...)
			place := make([]int32, v.N)
			for j := range place {
				place[j] = int32(s)
			}
			a.Add(place, []*vec.Vec{&v})
		}
		if got := a.Bytes() / slots; got < least || got > most {
			t.Errorf("%s: %d bytes a slot, want %d to %d", name, got, least, most)
		}
	}
	f("COUNT", Any, 8, 9, vint(1), vtext("a"))
	f("SUM", Any, 16, 18, vint(1), vint(2))
	f("SUM", Any, 56, 60, vint(1), vfloat(2))
	f("AVG", Any, 300, 400, vfloat(1e300))
	f("MAX", Any, 9, 10, vint(1), vfloat(2))
	f("MAX", Text, 1017, 1030, vtext(string(make([]byte, 1000))))
	f("COUNT_DISTINCT", Any, 100, 250, vint(1), vint(2))
}
