package fn

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// misfits counts the values of each slot that an aggregate of numbers cannot take: text
// that reads as no number, datetimes, records and arrays. They are counted, not flagged,
// so that taking the row back takes the error back. Such a value is a query error of
// its slot (saql.md 3.8, 7.6); the result leaves it out.
type misfits struct {
	name  string         // of the aggregate
	want  string         // what it takes, for people
	order bool           // the value is a key of ORDER BY
	slots []misfitCounts // nil until there is one
}

// misfitCounts is the number of misfits by kind, in the order of misfitKinds.
type misfitCounts [4]int64

var misfitKinds = [4]vec.Kind{vec.String, vec.Datetime, vec.Record, vec.Array}

// add counts a value of kind k, which is one of misfitKinds.
func (m *misfits) add(slot int32, k vec.Kind, by int64) {
	if int(slot) >= len(m.slots) {
		m.slots = grown(m.slots, int(slot)+1)
	}
	m.slots[slot][k-vec.String] += by
}

// grow keeps up with n slots if there are misfits at all.
func (m *misfits) grow(n int) {
	if m.slots != nil {
		m.slots = grown(m.slots, n)
	}
}

func (m *misfits) merge(dst, src int32, by int64) {
	if int(src) >= len(m.slots) {
		return
	}
	from := m.slots[src]
	if int(dst) >= len(m.slots) {
		m.slots = grown(m.slots, int(dst)+1)
	}
	for i, n := range from {
		m.slots[dst][i] += by * n
	}
}

func (m *misfits) reset(slot int32) {
	if int(slot) < len(m.slots) {
		m.slots[slot] = misfitCounts{}
	}
}

// report tells c of every slot that has a misfit, by the first kind of misfitKinds.
func (m *misfits) report(c *Call, slots []int32) {
	if m.slots == nil {
		return
	}
	for i, s := range slots {
		if int(s) >= len(m.slots) {
			continue
		}
		for j, n := range m.slots[s] {
			if n != 0 {
				c.Fail(i, m.message(misfitKinds[j]))
				break
			}
		}
	}
}

// message says what is wrong with a misfit of kind k (saql.md 3.8).
func (m *misfits) message(k vec.Kind) string {
	want := m.want
	if m.order {
		return "the key in ORDER BY of " + m.name + " has type " + k.String() + "; " + want + " wanted"
	}
	if want == "" || k == vec.String { // text is wanted as a number that it is not
		want = "bigint or float"
	}
	return "argument 1 of " + m.name + " has type " + k.String() + "; " + want + " wanted"
}

func (m *misfits) save(slot int32, w *state.Writer) {
	has := int(slot) < len(m.slots) && m.slots[slot] != misfitCounts{}
	w.Bool(has)
	if !has {
		return
	}
	for _, n := range m.slots[slot] {
		w.Int(n)
	}
}

func (m *misfits) load(slot int32, r *state.Reader) {
	if !r.Bool() {
		return
	}
	for _, k := range misfitKinds {
		n := r.Int()
		if n < 0 {
			r.Fail()
		}
		m.add(slot, k, n)
	}
}

func (m *misfits) bytes() int { return cap(m.slots) * 32 }
