package exec

import (
	"math"
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// anomalyUnit computes a call of AnomalyDetection_SpikeAndDip or _ChangePoint by the
// reference algorithm of saql.md 11.1. Of each key it keeps the values, and the bets on
// them, of the newest rows. Every score is computed from these anew: so it does not depend
// on how the rows were cut into batches, or on a snapshot in between.
type anomalyUnit struct {
	s     *historyKeys
	when  int
	index int
	call  *plan.HistoryCall
	name  string

	keys  []anomalyKey
	floor vec.Time // rows of this time and older ones do not count
	count int      // rows that do

	coerce  fn.Call
	onError func(row int, message string)
	floats  vec.Vec
	recs    []vec.Rec
	vals    []vec.Value
}

// anomalyKey is the rows of a key: those from head on, the oldest first.
type anomalyKey struct {
	at     []vec.Time
	x, bet []float64
	head   int
}

var anomalyFields = []string{"IsAnomaly", "Score"}

func newAnomalyUnit(s *historyKeys, when, i int) *anomalyUnit {
	u := &anomalyUnit{s: s, when: when, index: i, call: &s.h.op.Calls[i], name: "AnomalyDetection_SpikeAndDip", floor: vec.MinTime}
	if u.call.Kind == plan.ChangePoint {
		u.name = "AnomalyDetection_ChangePoint"
	}
	u.coerce.OnError = func(row int, message string) { u.onError(row, message) }
	return u
}

func (u *anomalyUnit) push(in *historyRows) {
	if in.known > len(u.keys) {
		u.keys = slices.Grow(u.keys, in.known-len(u.keys))[:in.known]
	}
	pass := in.passes(u.when)
	x := u.numbers(in, func(row int, message string) {
		u.s.h.fail(u.call.Span, row, message)
	})
	out := &u.s.h.results[u.index]
	out.Fixed(vec.Record, in.N)
	// Records live as long as they are used, so every batch has new ones.
	u.recs, u.vals = make([]vec.Rec, in.N), make([]vec.Value, 2*in.N)
	for i, g := range in.groups[:in.N] {
		if x.KindAt(i) != vec.Float || pass != nil && pass[i] != fn.True {
			out.SetNull(i)
			continue
		}
		anomaly, score := u.score(&u.keys[g], in.Time[i], x.Float[i])
		rec := &u.recs[i]
		rec.Names, rec.Vals = anomalyFields, u.vals[2*i:2*i+2:2*i+2]
		rec.Vals[0], rec.Vals[1] = vec.IntValue(anomaly), vec.FloatValue(score)
		if math.IsInf(score, 0) || math.IsNaN(score) {
			rec.Vals[1] = vec.NullValue() // saql.md 3.5
		}
		out.Rec[i] = rec
	}
}

// numbers is the argument as floats. fail is told of the rows whose value is none.
func (u *anomalyUnit) numbers(in *historyRows, fail func(row int, message string)) *vec.Vec {
	pass := in.passes(u.when)
	u.onError = func(row int, message string) {
		if pass == nil || pass[row] == fn.True {
			fail(row, message)
		}
	}
	return fn.Coerce(&u.coerce, u.name, 1, fn.Param{Types: fn.Float}, &u.floats, &in.Cols[u.call.Args[0]], in.N)
}

// score scores a row and lets it join the history.
func (u *anomalyUnit) score(k *anomalyKey, t vec.Time, x float64) (anomaly int64, score float64) {
	u.drop(k, t-u.call.Limit)
	h := k.x[k.head:]
	trained := float64(len(h)) >= max(2, float64(u.call.Size)/2)
	up := upperTail(h, x)
	bet := 0.0
	if u.call.Kind == plan.SpikeAndDip {
		score = min(up, 1-up)
		switch u.call.Mode {
		case plan.Spikes:
			score = up
		case plan.Dips:
			score = 1 - up
		}
		if trained && score <= 1-u.call.Confidence/100 {
			anomaly = 1
		}
	} else {
		bet = logBet(clampShare(2 * min(up, 1-up)))
		bets := k.bet[k.head:]
		bets = bets[max(0, len(bets)-u.call.Size+1):]
		sum := 0.0
		for _, b := range bets {
			sum += b
		}
		score = math.Exp(sum + bet)
		if most := 1 - u.call.Confidence/100; trained && most > 0 && score >= 1/most {
			anomaly = 1
		}
	}
	u.join(k, t, x, bet)
	return anomaly, score
}

// upperTail is the share of the estimated distribution of h that lies above x.
func upperTail(h []float64, x float64) float64 {
	n := float64(len(h))
	if len(h) == 0 {
		return 0.5
	}
	sigma := 1.0
	if len(h) > 1 {
		mean, square := 0.0, 0.0
		for _, v := range h {
			mean += v
		}
		mean /= n
		for _, v := range h {
			square += (v - mean) * (v - mean)
		}
		sigma = max(math.Sqrt(square/n), 1e-6)
	}
	sum := 0.0
	for _, v := range h {
		// 1 - Phi(z) is erfc(z / sqrt 2) / 2
		sum += math.Erfc((x - v) / (sigma * math.Sqrt2))
	}
	return clampShare(sum / (2 * n))
}

func clampShare(p float64) float64 { return min(max(p, 1e-8), 1-1e-8) }

// logBet is the logarithm of the mixture of all power bets on a two-sided value q.
func logBet(q float64) float64 {
	if q > 0.999 {
		return math.Log(0.5) // the limit; the formula loses all digits here
	}
	l := math.Log(q)
	return math.Log(q*l-q+1) - 2*math.Log(-l) - l
}

// join adds a row; of more rows than the size of the history the oldest leaves.
func (u *anomalyUnit) join(k *anomalyKey, t vec.Time, x, bet float64) {
	if len(k.at) == cap(k.at) && k.head > len(k.at)/2 {
		k.at = k.at[:copy(k.at, k.at[k.head:])]
		k.x = k.x[:copy(k.x, k.x[k.head:])]
		k.bet = k.bet[:copy(k.bet, k.bet[k.head:])]
		k.head = 0
	}
	k.at, k.x, k.bet = append(k.at, t), append(k.x, x), append(k.bet, bet)
	u.count++
	if len(k.at)-k.head > u.call.Size {
		u.leave(k)
	}
}

// leave takes out the oldest row.
func (u *anomalyUnit) leave(k *anomalyKey) {
	if k.at[k.head] > u.floor {
		u.count--
	}
	if k.head++; k.head == len(k.at) {
		k.at, k.x, k.bet, k.head = k.at[:0], k.x[:0], k.bet[:0], 0
	}
}

// drop takes out the rows of time to and before.
func (u *anomalyUnit) drop(k *anomalyKey, to vec.Time) {
	for k.head < len(k.at) && k.at[k.head] <= to {
		u.leave(k)
	}
}

func (u *anomalyUnit) keep(*historyRows) {}

func (u *anomalyUnit) misfits(in *historyRows, fail func(at diag.Span, row int, message string)) {
	u.numbers(in, func(row int, message string) { fail(u.call.Span, row, message) })
}

// expire notices when no row is of use any more.
func (u *anomalyUnit) expire(t vec.Time) {
	if u.count > 0 && u.s.h.newest <= since(t, u.call.Limit) {
		u.floor, u.count = u.s.h.newest, 0
	}
}

func (u *anomalyUnit) sweep(t vec.Time) {
	to := since(t, u.call.Limit)
	for i := range u.keys {
		u.drop(&u.keys[i], to)
	}
}

func (u *anomalyUnit) held() int { return u.count }

// freeze writes the rows of each key that has any, at once: they lie in lists of their own.
func (u *anomalyUnit) freeze(t vec.Time, m *state.Memory) saved {
	u.sweep(t)
	return eager(u.snapshot)
}

func (u *anomalyUnit) snapshot(w *state.Writer) {
	keys := u.s.table.freeze()
	some := 0
	for i := range u.keys {
		some += min(len(u.keys[i].at), 1)
	}
	w.Uint(uint64(some))
	for i := range u.keys {
		k := &u.keys[i]
		if len(k.at) == 0 {
			continue
		}
		keys.save(w, int32(i))
		w.Uint(uint64(len(k.at) - k.head))
		for j := k.head; j < len(k.at); j++ {
			w.Int(int64(k.at[j]))
			w.Float(k.x[j])
			w.Float(k.bet[j])
		}
	}
}

func (u *anomalyUnit) restore(r *state.Reader) {
	for range r.Count() {
		g, _ := u.s.table.loadKey(r, &u.s.scratch)
		if n := int(u.s.table.n); n > len(u.keys) {
			u.keys = slices.Grow(u.keys, n-len(u.keys))[:n]
		}
		for range r.Count() {
			t, x, bet := vec.Time(r.Int()), r.Float(), r.Float()
			if r.Err() != nil {
				return
			}
			u.join(&u.keys[g], t, x, bet)
		}
	}
}
