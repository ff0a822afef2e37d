package fn

import (
	"math"
	"slices"
	"sort"

	"weir/internal/vec"
)

// ranked is a multiset of numbers or datetimes that tells which value stands at a place
// of their order. It has a sorted list per kind; values of one column mostly have one.
type ranked struct {
	first sortedList
	more  []sortedList
}

// sortedList is values of one kind, as numbers that grow with them: floats as floatKey.
// New values stand behind the sorted ones until somebody asks.
type sortedList struct {
	kind   vec.Kind // Missing: not used yet
	asked  bool     // at has been called since the list was empty
	sorted int      // how many of vals are in order
	vals   []int64
}

const (
	sortedListBytes = 40
	rankedBytes     = sortedListBytes + 24
)

// rankedValue is a value of a list.
type rankedValue struct {
	kind vec.Kind
	key  int64
}

func (x rankedValue) float() float64 {
	if x.kind == vec.Float {
		return math.Float64frombits(uint64(floatKey(x.key)))
	}
	return float64(x.key)
}

func (x rankedValue) value() vec.Value {
	if x.kind == vec.Float {
		return vec.FloatValue(x.float())
	}
	return vec.Value{Kind: x.kind, Int: x.key}
}

// before reports whether x stands before y: by value, of equal ones bigint before float
// before bit.
func (x rankedValue) before(y rankedValue) bool {
	if x.kind == y.kind {
		return x.key < y.key
	}
	c := compareKeys(x.kind, x.key, y.kind, y.key)
	return c < 0 || c == 0 && kindRank(x.kind) < kindRank(y.kind)
}

// kindRank orders kinds of equal values.
func kindRank(k vec.Kind) int {
	switch k {
	case vec.Int:
		return 0
	case vec.Float:
		return 1
	}
	return 2
}

// list is the list of a kind, made on first use.
func (t *ranked) list(k vec.Kind) *sortedList {
	if t.first.kind == k {
		return &t.first
	}
	if l := t.find(k); l != nil {
		return l
	}
	if t.first.kind == vec.Missing || t.len() == 0 {
		t.first.kind = k
		return &t.first
	}
	t.more = append(t.more, sortedList{kind: k})
	return &t.more[len(t.more)-1]
}

// find is the list of a kind, nil if there is none.
func (t *ranked) find(k vec.Kind) *sortedList {
	if t.first.kind == k {
		return &t.first
	}
	for i := range t.more {
		if t.more[i].kind == k {
			return &t.more[i]
		}
	}
	return nil
}

// lists gives every list, for range.
func (t *ranked) lists(yield func(l *sortedList) bool) {
	if !yield(&t.first) {
		return
	}
	for i := range t.more {
		if !yield(&t.more[i]) {
			return
		}
	}
}

// len is the number of values.
func (t *ranked) len() int {
	n := len(t.first.vals)
	for i := range t.more {
		n += len(t.more[i].vals)
	}
	return n
}

// mixesTimes reports whether there are datetimes beside numbers.
func (t *ranked) mixesTimes() bool {
	if t.more == nil {
		return false
	}
	l := t.find(vec.Datetime)
	return l != nil && len(l.vals) > 0 && len(l.vals) < t.len()
}

// at is the value at place k of the order.
func (t *ranked) at(k int, scratch *[]int64) rankedValue {
	if t.more == nil {
		return rankedValue{t.first.kind, t.first.at(k, scratch)}
	}
	for l := range t.lists {
		l.settle(scratch)
	}
	for l := range t.lists {
		// Places in the order of all values grow with those in the list.
		i := sort.Search(len(l.vals), func(i int) bool { return t.placeOf(l, i) >= k })
		if i < len(l.vals) && t.placeOf(l, i) == k {
			return rankedValue{l.kind, l.vals[i]}
		}
	}
	panic("fn: no value at a place")
}

// pair is the values at the places k and k+1 of the order.
func (t *ranked) pair(k int, scratch *[]int64) (lower, upper rankedValue) {
	if l := &t.first; t.more == nil && !l.asked {
		x := l.at(k, scratch)
		if l.sorted < len(l.vals) {
			return rankedValue{l.kind, x}, rankedValue{l.kind, slices.Min(l.vals[k+1:])}
		}
	}
	return t.at(k, scratch), t.at(k+1, scratch)
}

// placeOf is the place in the order of all values of the value at i of a list.
func (t *ranked) placeOf(l *sortedList, i int) int {
	x := rankedValue{l.kind, l.vals[i]}
	place := i
	for other := range t.lists {
		if other != l {
			place += sort.Search(len(other.vals), func(j int) bool { return x.before(rankedValue{other.kind, other.vals[j]}) })
		}
	}
	return place
}

// plainest is the value equal to x of the first kind in the order of kinds.
func (t *ranked) plainest(x rankedValue) rankedValue {
	for l := range t.lists {
		if kindRank(l.kind) >= kindRank(x.kind) {
			continue
		}
		i := sort.Search(len(l.vals), func(i int) bool { return compareKeys(l.kind, l.vals[i], x.kind, x.key) >= 0 })
		if i < len(l.vals) && compareKeys(l.kind, l.vals[i], x.kind, x.key) == 0 {
			x = rankedValue{l.kind, l.vals[i]}
		}
	}
	return x
}

// at is the value at place k. A list that is asked once only, as that of a tumbling window,
// is not put in order.
func (l *sortedList) at(k int, scratch *[]int64) int64 {
	if l.sorted == 0 && !l.asked {
		l.asked = true
		selectAt(l.vals, k)
	} else {
		l.settle(scratch)
	}
	return l.vals[k]
}

// selectAt moves values so that the one at k is where an ordered list has it, those before
// it are not greater and those behind it not less.
func selectAt(vals []int64, k int) {
	lo, hi := 0, len(vals)-1
	for tries := 0; hi-lo > 16; tries++ {
		if tries > 32 {
			break // bad luck with the pivots
		}
		a, b, c := vals[lo], vals[(lo+hi)/2], vals[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for vals[i] < pivot {
				i++
			}
			for vals[j] > pivot {
				j--
			}
			if i <= j {
				vals[i], vals[j] = vals[j], vals[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return
		}
	}
	slices.Sort(vals[lo : hi+1])
}

// addAll adds the values of another list.
func (l *sortedList) addAll(from *sortedList, scratch *[]int64) {
	l.settle(scratch)
	from.settle(scratch)
	n := len(l.vals)
	l.vals = append(l.vals, from.vals...)
	l.sorted = len(l.vals)
	if n > 0 && len(from.vals) > 0 && l.vals[n-1] > from.vals[0] {
		mergeBack(l.vals, n, from.vals)
	}
}

// mergeBack merges the first n of vals with tail, both in order, into vals.
func mergeBack(vals []int64, n int, tail []int64) {
	i, j := n-1, len(tail)-1
	for k := len(vals) - 1; j >= 0; k-- {
		if i >= 0 && vals[i] > tail[j] {
			vals[k] = vals[i]
			i--
		} else {
			vals[k] = tail[j]
			j--
		}
	}
}

// settle puts the new values in order. Few of them find their places one by one.
func (l *sortedList) settle(scratch *[]int64) {
	vals, n := l.vals, l.sorted
	l.sorted = len(vals)
	fresh := vals[n:]
	if len(fresh) <= 4 {
		for i, x := range fresh {
			at, _ := slices.BinarySearch(vals[:n+i], x)
			copy(vals[at+1:n+i+1], vals[at:n+i])
			vals[at] = x
		}
		return
	}
	slices.Sort(fresh)
	if n == 0 || vals[n-1] <= fresh[0] {
		return
	}
	tail := append((*scratch)[:0], fresh...)
	*scratch = tail
	mergeBack(vals, n, tail)
}

// remove takes a value out. It reports false if there is none, which happens after a
// damaged snapshot only.
func (l *sortedList) remove(x int64, scratch *[]int64) bool {
	l.settle(scratch)
	at, ok := slices.BinarySearch(l.vals, x)
	if !ok {
		return false
	}
	l.vals = slices.Delete(l.vals, at, at+1)
	l.sorted = len(l.vals)
	return true
}

// removeAll takes the values of another list out and gives their number.
func (l *sortedList) removeAll(from *sortedList, scratch *[]int64) int {
	l.settle(scratch)
	from.settle(scratch)
	if len(from.vals) == 0 {
		return 0
	}
	at, _ := slices.BinarySearch(l.vals, from.vals[0])
	kept, j := l.vals[:at], 0
	for _, x := range l.vals[at:] {
		for j < len(from.vals) && from.vals[j] < x {
			j++ // not there: a damaged snapshot
		}
		if j < len(from.vals) && from.vals[j] == x {
			j++
			continue
		}
		kept = append(kept, x)
	}
	gone := len(l.vals) - len(kept)
	l.vals, l.sorted = kept, len(kept)
	return gone
}
