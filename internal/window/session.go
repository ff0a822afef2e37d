package window

import "weir/internal/vec"

// SessionState is an open session: when it began, when its newest row came, and the time
// that no row of it lies beyond (saql.md 5.5).
type SessionState struct{ Start, Last, Limit vec.Time }

// OpenSession begins a session with a row at t.
func (s *Spec) OpenSession(t vec.Time) SessionState {
	return SessionState{Start: t, Last: t, Limit: checkpoint(t+s.Max, s.Max)}
}

// Belongs reports whether a row at t, not before the session's newest row, joins it.
func (s *Spec) Belongs(x *SessionState, t vec.Time) bool {
	return t-x.Last <= s.Timeout && t <= x.Limit
}

// Join adds a row at t, not before the session's newest row. If the row does not belong,
// Join reports false and gives the session that the row begins.
func (s *Spec) Join(x SessionState, t vec.Time) (SessionState, bool) {
	if s.Belongs(&x, t) {
		x.Last = t
		return x, true
	}
	if t-x.Last > s.Timeout {
		return s.OpenSession(t), false
	}
	// The limit cut the session: the next one begins at the cut.
	limit := checkpoint(t, s.Max)
	return SessionState{Start: limit - s.Max, Last: t, Limit: limit}, false
}

// Close is when a session ends if no further row joins; T of its results.
func (s *Spec) Close(x SessionState) vec.Time { return min(x.Last+s.Timeout, x.Limit) }

// checkpoint is the first whole multiple of m from the origin at or after t.
func checkpoint(t, m vec.Time) vec.Time {
	k := t / m
	if t%m > 0 {
		k++
	}
	return k * m
}
