package exec

import "fmt"

// DefaultMaxHeld is Options.MaxHeld unless it is set: some gigabytes.
const DefaultMaxHeld = 50_000_000

// HeldError is the error of a run that would hold more than Options.MaxHeld.
type HeldError struct{ Held, Max int64 }

func (e *HeldError) Error() string {
	return fmt.Sprintf("%d rows and groups wait for their time, and the limit is %d; "+
		"windows shorter, or events less out of order, would need fewer", e.Held, e.Max)
}

// holder is an operator that keeps rows or groups until their time has come.
type holder interface{ held() int }

// heldEvery is how many batches pass between two counts, heldRows how many rows from one
// operator to the next: a join can make very many of one batch.
const (
	heldEvery = 16
	heldRows  = 1 << 18
)

// checkHeld counts now and then, batch by batch.
func (g *Graph) checkHeld() error {
	if g.pushes++; g.pushes%heldEvery != 0 {
		return nil
	}
	return g.countHeld()
}

// checkPassed counts now and then, by the rows that operators pass on.
func (g *Graph) checkPassed(rows int) error {
	if g.passed += rows; g.passed < heldRows {
		return nil
	}
	g.passed = 0
	return g.countHeld()
}

// countHeld counts what all operators hold, and notes the most that it was.
func (g *Graph) countHeld() error {
	held := int64(0)
	for _, v := range g.nodes {
		if h, ok := v.op.(holder); ok {
			held += int64(h.held())
		}
	}
	g.Counts.PeakHeld = max(g.Counts.PeakHeld, held)
	limit := g.opts.MaxHeld
	if limit <= 0 {
		limit = DefaultMaxHeld
	}
	if held > limit {
		return &HeldError{held, limit}
	}
	return nil
}

// held is how many rows wait for earlier ones.
func (o *order) held() int {
	n := 0
	for _, l := range o.lanes {
		for _, r := range l.runs {
			if r.sealed {
				n += len(r.sorted) - r.at
			} else {
				n += len(r.b.Time)
			}
		}
	}
	return n
}

// held is how many pairs of window and group have state, and how many values their
// aggregates hold.
func (o *grouping) held() int {
	n := o.pairs()
	for _, w := range o.windows {
		n += w.values()
	}
	return n
}

// pairs is how many pairs of window and group have state.
func (o *grouping) pairs() int {
	n := 0
	for _, w := range o.windows {
		n += w.held()
	}
	return n
}

func (s *sharded) held() int {
	n := 0
	for _, sh := range s.shards {
		n += sh.held()
	}
	return n
}
