package exec_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/exec"
)

// TestMatchRestoreDamaged damages snapshots of patterns at random: a graph takes them and
// can be used, or says that they are damaged.
func TestMatchRestoreDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 13))
	fine, refused := 0, 0
	for seed := range uint64(60) {
		_, _, p := mRound(seed)
		compiled := compile(t, p.query)
		var events []twinEvent
		for _, text := range p.events["a"] {
			e, _ := parseEvent(t, text)
			events = append(events, e)
		}
		build := func() *exec.Graph {
			g, err := exec.Build(compiled, exec.Options{OnRows: nil})
			if err != nil {
				t.Fatal(err)
			}
			return g
		}
		g := build()
		f := newFeeder(compiled, []string{"a"}, [][]twinEvent{events}, false, twinWay{})
		half := len(events) / 2
		if err := g.Push(0, f.batch(0, events[:half])); err != nil {
			t.Fatal(err)
		}
		snap := slices.Clone(g.Snapshot())
		for range 100 {
			b := slices.Clone(snap)
			for range 1 + r.IntN(2) {
				switch at := r.IntN(len(b)); r.IntN(6) {
				case 0:
					b = b[:at+1]
				case 1:
					b = slices.Insert(b, at, byte(r.Uint32()))
				default:
					b[at] = byte(r.IntN(8))
				}
			}
			g := build()
			if g.Restore(b) != nil {
				refused++
				continue
			}
			fine++
			if err := g.Push(0, f.batch(0, events[half:])); err != nil {
				continue // such as a misfit
			}
			if err := g.Close(0); err != nil {
				continue
			}
		}
	}
	if fine < 100 || refused < 100 {
		t.Errorf("%d snapshots were taken, %d refused", fine, refused)
	}
}
