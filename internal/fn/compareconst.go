package fn

import (
	"cmp"
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
	done := compareLaneOf(op, out, a, b)
	if a.Tag == nil && done.Has(a.Kind) {
		return
	}
	if a.Dict != nil && len(a.Code) > 0 {
		if cache == nil {
			cache = &DictCache{}
		}
		truth := cache.of(a.Dict, func(s string) Truth { return CompareValues(op, vec.StringValue(s), b) })
		if a.Tag == nil {
			lookUp(out, truth, a.Code)
			return
		}
		compareRest(op, out, a, b, done, truth)
		return
	}
	compareRest(op, out, a, b, done, nil)
}

// compareLaneOf compares one lane of a as if all rows were of its kinds, and gives the
// kinds whose rows are right then.
func compareLaneOf(op CmpOp, out []Truth, a *vec.Vec, b vec.Value) vec.Kinds {
	switch {
	case b.Kind.IsNumber() && len(a.Int) > 0:
		compareIntConst(op, out, a.Int, b)
		return vec.KindsOf(vec.Bit, vec.Int)
	case b.Kind.IsNumber() && len(a.Float) > 0:
		compareFloatConst(op, out, a.Float, b)
		return vec.KindsOf(vec.Float)
	case b.Kind == vec.Datetime && len(a.Int) > 0:
		compareLaneConst(op, out, a.Int, b.Int)
		return vec.KindsOf(vec.Datetime)
	case b.Kind == vec.String && len(a.Str) > 0:
		for i, s := range a.Str[:len(out)] {
			out[i] = op.texts(s, b.Str)
		}
		return vec.KindsOf(vec.String)
	}
	return 0
}

// lookUp gives each row the truth of its code.
func lookUp(out, truth []Truth, codes []uint32) {
	for i, c := range codes[:len(out)] {
		out[i] = truth[c]
	}
}

// compareRest sets the rows whose kind is not among done. truth, if set, holds the
// results for the entries of a's dictionary.
func compareRest(op CmpOp, out []Truth, a *vec.Vec, b vec.Value, done vec.Kinds, truth []Truth) {
	if a.Tag == nil {
		for i := range out {
			out[i] = CompareValues(op, a.At(i), b)
		}
		return
	}
	for i, k := range a.Tag[:len(out)] {
		switch {
		case done.Has(k):
		case k.IsNull():
			out[i] = Unknown
		case k == vec.Float && b.Kind == vec.Float:
			out[i] = op.Of(cmp.Compare(a.Float[i], b.Float))
		case k == vec.Float && b.Kind == vec.Int:
			out[i] = op.Of(-vec.CompareIntFloat(b.Int, a.Float[i]))
		case k == vec.String && truth != nil:
			out[i] = truth[a.Code[i]]
		default:
			out[i] = CompareValues(op, a.At(i), b)
		}
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
		fillTruth(out, op.Of(-1))
	case f < -1<<63:
		fillTruth(out, op.Of(1))
	case f == down:
		compareLaneConst(op, out, a, int64(f))
	// No bigint equals f; those up to down are less, the others greater.
	case op == Lt || op == Le:
		compareLaneConst(Le, out, a, int64(down))
	case op == Gt || op == Ge:
		compareLaneConst(Gt, out, a, int64(down))
	default:
		fillTruth(out, op.Of(1))
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
		fillTruth(out, op.Of(1))
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
