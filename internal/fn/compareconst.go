package fn

import (
	"math"

	"weir/internal/vec"
)

// DictCache keeps the truth of a predicate for the entries of dictionaries, so that a
// predicate of a column with a dictionary is evaluated once per entry. It belongs to one
// predicate. The zero value is ready.
type DictCache struct {
	slots [dictCacheSlots]dictTruths
	next  int // the slot to replace
}

// dictCacheSlots is how many dictionaries a predicate remembers: the branches of a UNION
// come with one each.
const dictCacheSlots = 4

type dictTruths struct {
	dict  *vec.Dict
	truth []Truth
}

// of is the truths of the entries of d, evaluating those that are new.
func (c *DictCache) of(d *vec.Dict, eval func(s string) Truth) []Truth {
	slot := -1
	for i := range c.slots {
		if c.slots[i].dict == d {
			slot = i
		}
	}
	if slot < 0 {
		slot = c.next
		c.next = (c.next + 1) % dictCacheSlots
		c.slots[slot] = dictTruths{dict: d, truth: c.slots[slot].truth[:0]}
	}
	s := &c.slots[slot]
	for len(s.truth) < len(d.Vals) {
		s.truth = append(s.truth, eval(d.Vals[len(s.truth)]))
	}
	return s.truth
}

// CompareConst sets out to a op b for a constant b. cache belongs to this comparison; nil
// is none.
func CompareConst(op CmpOp, out []Truth, a *vec.Vec, b vec.Value, cache *DictCache, n int) {
	out = out[:n]
	if b.Kind.IsNull() || a.Tag == nil && a.Kind.IsNull() {
		fillTruth(out, Unknown)
		return
	}
	if a.Tag == nil {
		switch a.Kind {
		case vec.Bit, vec.Int:
			if b.Kind.IsNumber() {
				compareIntConst(op, out, a.Int, b)
				return
			}
		case vec.Float:
			if b.Kind.IsNumber() {
				compareFloatConst(op, out, a.Float, b)
				return
			}
		case vec.Datetime:
			if b.Kind == vec.Datetime {
				compareLaneConst(op, out, a.Int, b.Int)
				return
			}
		}
	}
	for i := range out {
		out[i] = CompareValues(op, a.At(i), b)
	}
}

// compareIntConst compares bigints with a number.
func compareIntConst(op CmpOp, out []Truth, a []int64, b vec.Value) {
	if b.Kind != vec.Float {
		compareLaneConst(op, out, a, b.Int)
		return
	}
	f := b.Float
	down := math.Floor(f)
	switch {
	case f >= 1<<63:
		fillTruth(out, op.of(-1))
	case f < -1<<63:
		fillTruth(out, op.of(1))
	case f == down:
		compareLaneConst(op, out, a, int64(f))
	// No bigint equals f; those up to down are less, the others greater.
	case op == Lt || op == Le:
		compareLaneConst(Le, out, a, int64(down))
	case op == Gt || op == Ge:
		compareLaneConst(Gt, out, a, int64(down))
	default:
		fillTruth(out, op.of(1))
	}
}

// compareFloatConst compares floats with a number.
func compareFloatConst(op CmpOp, out []Truth, a []float64, b vec.Value) {
	if b.Kind == vec.Float {
		compareLaneConst(op, out, a, b.Float)
		return
	}
	f := float64(b.Int)
	// No float equals a bigint that a float cannot hold. f is the nearest one, below or
	// above it.
	switch c := vec.CompareIntFloat(b.Int, f); {
	case c == 0:
		compareLaneConst(op, out, a, f)
	case op == Eq || op == Ne:
		fillTruth(out, op.of(1))
	case op == Lt || op == Le:
		if c > 0 {
			compareLaneConst(Le, out, a, f)
		} else {
			compareLaneConst(Lt, out, a, f)
		}
	default:
		if c > 0 {
			compareLaneConst(Gt, out, a, f)
		} else {
			compareLaneConst(Ge, out, a, f)
		}
	}
}

// compareLaneConst compares a lane without NULL with a constant. The loops have no
// branches.
func compareLaneConst[T int64 | float64](op CmpOp, out []Truth, a []T, k T) {
	a = a[:len(out)]
	switch op {
	case Eq:
		for i, x := range a {
			out[i] = truthOf(x == k)
		}
	case Ne:
		for i, x := range a {
			out[i] = truthOf(x != k)
		}
	case Lt:
		for i, x := range a {
			out[i] = truthOf(x < k)
		}
	case Le:
		for i, x := range a {
			out[i] = truthOf(x <= k)
		}
	case Gt:
		for i, x := range a {
			out[i] = truthOf(x > k)
		}
	case Ge:
		for i, x := range a {
			out[i] = truthOf(x >= k)
		}
	}
}
