package window

import (
	"math/rand/v2"
	"testing"

	"weir/internal/vec"
)

// TestSessionExamples is the worked examples of saql.md 5.5.
func TestSessionExamples(t *testing.T) {
	// f gives rows to sessions of timeout g and maximum m; want is start, limit and close of
	// each session.
	f := func(g, m vec.Time, rows []vec.Time, want ...[3]vec.Time) {
		t.Helper()
		spec := Spec{Kind: Session, Timeout: g, Max: m}
		x := spec.OpenSession(rows[0])
		var got [][3]vec.Time
		closed := func() { got = append(got, [3]vec.Time{x.Start, x.Limit, spec.Close(x)}) }
		for _, r := range rows[1:] {
			next, joined := spec.Join(x, r)
			if !joined {
				closed()
			}
			if x = next; x.Last != r {
				t.Errorf("after a row at %d the newest one is at %d", r, x.Last)
			}
		}
		closed()
		if len(got) != len(want) {
			t.Fatalf("g %d, m %d, rows %v: sessions %v, want %v", g, m, rows, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("g %d, m %d, rows %v: session %d is %v, want %v", g, m, rows, i, got[i], want[i])
			}
		}
	}
	f(5, 10, []vec.Time{2, 5, 9, 13, 17, 20, 21, 27}, [3]vec.Time{2, 20, 20}, [3]vec.Time{20, 30, 26}, [3]vec.Time{27, 40, 32})
	f(30, 10, []vec.Time{3, 9, 14, 41}, [3]vec.Time{3, 20, 20}, [3]vec.Time{40, 50, 50})
	f(5, 10, []vec.Time{0}, [3]vec.Time{0, 10, 5})
	f(5, 10, []vec.Time{1, 6, 11}, [3]vec.Time{1, 20, 16}) // exactly g after: belongs
	f(5, 10, []vec.Time{1, 7}, [3]vec.Time{1, 20, 6}, [3]vec.Time{7, 20, 12})
	f(5, 10, []vec.Time{10, 15, 20}, [3]vec.Time{10, 20, 20}) // exactly at the limit: belongs
	f(5, 10, []vec.Time{10, 15, 20, 20, 25}, [3]vec.Time{10, 20, 20}, [3]vec.Time{20, 30, 30})
	f(25, 10, []vec.Time{5, 30}, [3]vec.Time{5, 20, 20}, [3]vec.Time{20, 30, 30}) // a cut, then a row at a checkpoint
	f(100, 10, []vec.Time{5, 55}, [3]vec.Time{5, 20, 20}, [3]vec.Time{50, 60, 60})
	f(1, 10, []vec.Time{-15, -14}, [3]vec.Time{-15, 0, -13})
}

// TestCheckpoint: the first whole multiple at or after a time.
func TestCheckpoint(t *testing.T) {
	f := func(at, m, want vec.Time) {
		t.Helper()
		if got := checkpoint(at, m); got != want {
			t.Errorf("checkpoint(%d, %d) = %d, want %d", at, m, got, want)
		}
	}
	f(0, 5, 0)
	f(1, 5, 5)
	f(5, 5, 5)
	f(6, 5, 10)
	f(-1, 5, 0)
	f(-5, 5, -5)
	f(-6, 5, -5)
}

// TestSessionLength: a session is shorter than twice the maximum (saql.md 5.5), starts no
// later than its rows, and has them all before it closes.
func TestSessionLength(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		spec := Spec{Kind: Session, Timeout: vec.Time(1 + r.IntN(20)), Max: vec.Time(1 + r.IntN(20))}
		at := vec.Time(r.IntN(100))
		x := spec.OpenSession(at)
		for range 30 {
			at += vec.Time(r.IntN(12))
			x, _ = spec.Join(x, at)
			end := spec.Close(x)
			if x.Start > at || end < at || end-x.Start >= 2*spec.Max || x.Limit%spec.Max != 0 {
				t.Fatalf("timeout %d, maximum %d, row at %d: %+v closes at %d", spec.Timeout, spec.Max, at, x, end)
			}
		}
	}
}
