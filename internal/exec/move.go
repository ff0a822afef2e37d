package exec

import "weir/internal/vec"

// Move is what a time policy did with an event (saql.md 4.3): it gave it another time, or
// dropped it.
type Move struct {
	Input   int
	Row     int    // of the batch that was pushed
	Reason  Reason // Late, Early, OutOfOrder
	Dropped bool
	// Time is the time of the event before, To that after.
	Time, To vec.Time
	Arrival  vec.Time // vec.MinTime if it is not known
	Mark     vec.Time // the watermark when it came
}

// moved tells Options.OnMove what a policy does with row i of the batch at hand.
func (s *stamp) moved(b *vec.Batch, i int, m Move) {
	if s.g.opts.OnMove == nil {
		return
	}
	m.Input, m.Row, m.Arrival = s.input, i, vec.MinTime
	if rows := s.g.rows[s.input]; rows != nil {
		m.Row = int(rows[i])
	}
	if b.Arrival != nil {
		m.Arrival = b.Arrival[i]
	}
	s.g.opts.OnMove(m)
}
