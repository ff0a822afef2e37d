package exec

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
)

// firstUnit computes a call of ISFIRST (saql.md 8.4): of each key it remembers the interval
// that its newest row is in. Intervals are (k*size, (k+1)*size], numbered by k.
type firstUnit struct {
	s    *historyKeys
	when int
	call int
	size vec.Time

	num   int64    // the interval of the newest row
	end   vec.Time // its end
	some  bool     // there has been a row
	last  []int64  // per key: the interval of its newest row, + 2: the first one is number -1
	count int      // keys with a row in interval num
}

func (u *firstUnit) push(in *historyRows) {
	if in.known > len(u.last) {
		u.last = slices.Grow(u.last, in.known-len(u.last))[:in.known]
	}
	pass := in.passes(u.when)
	out := u.s.h.results[u.call].Fixed(vec.Int, in.N).Int
	for i, g := range in.groups[:in.N] {
		out[i] = 0
		if pass != nil && pass[i] != fn.True {
			continue
		}
		if t := in.Time[i]; t > u.end || !u.some {
			u.enter(t)
		}
		if u.last[g] != u.num+2 {
			u.last[g] = u.num + 2
			u.count++
			out[i] = 1
		}
	}
}

// enter begins the interval of time t.
func (u *firstUnit) enter(t vec.Time) {
	u.some, u.count = true, 0
	u.num = -floorDiv(-int64(t), int64(u.size)) - 1
	u.end = vec.Time(u.num+1) * u.size
}

// floorDiv is a / b, rounded down, for b > 0.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (u *firstUnit) keep(*historyRows)                                  {}
func (u *firstUnit) misfits(*historyRows, func(diag.Span, int, string)) {}
func (u *firstUnit) sweep(vec.Time)                                     {}

// expire notices that the interval is over.
func (u *firstUnit) expire(t vec.Time) {
	if t > u.end {
		u.count = 0
	}
}

func (u *firstUnit) held() int { return u.count }

// freeze copies the interval and the keys that have a row in it.
func (u *firstUnit) freeze(t vec.Time, m *state.Memory) saved {
	if !u.some || u.end < t {
		return func(w *state.Writer) { w.Bool(false) }
	}
	num, end, count := u.num, u.end, u.count
	last, keys := state.Copy(m, u.last), u.s.table.freeze()
	return func(w *state.Writer) {
		w.Bool(true)
		w.Int(int64(end))
		w.Uint(uint64(count))
		for g, k := range last {
			if k == num+2 {
				keys.save(w, int32(g))
			}
		}
	}
}

func (u *firstUnit) restore(r *state.Reader) {
	if !r.Bool() {
		return
	}
	u.enter(vec.Time(r.Int()))
	n := r.Uint()
	if len(u.s.keys) == 0 && n > 1 || len(u.s.keys) > 0 && n > uint64(r.Rest()) {
		r.Fail() // a key takes a byte, but where there are no key columns
	}
	for range n {
		if r.Err() != nil {
			return
		}
		g, _ := u.s.table.loadKey(r, &u.s.scratch)
		if r.Err() != nil {
			return
		}
		if n := int(u.s.table.n); n > len(u.last) {
			u.last = slices.Grow(u.last, n-len(u.last))[:n]
		}
		if u.last[g] != u.num+2 {
			u.last[g] = u.num + 2
			u.count++
		}
	}
}
