package exec

import (
	"slices"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
)

// A snapshot is taken in two steps. Freeze, for which the job stands still, copies what can
// change: whole slices, without looking at a row. The copy shares only what never changes:
// texts, records, the values of key tables, which grow at their end. Encoding it may then
// take its time, on another goroutine.

// saved writes what has been frozen. nil is no state.
type saved func(w *state.Writer)

// eager is state that is written at once, because it is small or has no form that can be
// copied.
func eager(save func(w *state.Writer)) saved {
	w := state.Part()
	save(w)
	b := w.Bytes()
	return func(w *state.Writer) { w.Raw(b) }
}

// write is the state of an operator now.
func (s saved) write(w *state.Writer) {
	if s != nil {
		s(w)
	}
}

// frozenKeys is a key table as it was.
type frozenKeys struct {
	parts [][]vec.Value
	of    [][]int32
}

func (t *keyTable) freeze() frozenKeys {
	k := frozenKeys{parts: make([][]vec.Value, len(t.parts)), of: slices.Clone(t.of)}
	for p := range t.parts {
		k.parts[p] = t.parts[p].vals
	}
	return k
}

// save writes the key values of a tuple.
func (k *frozenKeys) save(w *state.Writer, tuple int32) {
	for p, vals := range k.parts {
		id := tuple
		if len(k.parts) > 1 {
			id = k.of[p][tuple]
		}
		fn.SaveValue(w, vals[id])
	}
}

// frozenAccs are accumulators as they were.
type frozenAccs []fn.Saver

// freezeAccs freezes the first n slots.
func freezeAccs(accs []fn.Acc, n int32, m *state.Memory) frozenAccs {
	out := make(frozenAccs, len(accs))
	for i, acc := range accs {
		if f, ok := acc.(fn.Freezer); ok {
			out[i] = f.Freeze(int(n), m)
		} else {
			out[i] = writeSlots(acc, n)
		}
	}
	return out
}

func (f frozenAccs) save(w *state.Writer, slot int32) {
	for _, acc := range f {
		acc.Save(slot, w)
	}
}

// writtenSlots are slots that have been written already.
type writtenSlots struct {
	all  []byte
	ends []int
}

func writeSlots(acc fn.Acc, n int32) *writtenSlots {
	w, out := state.Part(), &writtenSlots{}
	for slot := range n {
		acc.Save(slot, w)
		out.ends = append(out.ends, len(w.Bytes()))
	}
	out.all = w.Bytes()
	return out
}

func (s *writtenSlots) Save(slot int32, w *state.Writer) {
	from := 0
	if slot > 0 {
		from = s.ends[slot-1]
	}
	w.Raw(s.all[from:s.ends[slot]])
}

// freezeRows copies the rows of v from lo on.
func freezeRows(v *vec.Vec, lo int, m *state.Memory) vec.Vec {
	out := vec.Vec{N: v.N - lo, Kind: v.Kind, Tag: copyFrom(m, v.Tag, lo), Int: copyFrom(m, v.Int, lo), Float: copyFrom(m, v.Float, lo),
		Code: copyFrom(m, v.Code, lo)}
	if len(v.Str) > 0 {
		out.Str = slices.Clone(v.Str[lo:])
	}
	if len(v.Rec) > 0 {
		out.Rec = slices.Clone(v.Rec[lo:])
	}
	if v.Dict != nil {
		out.Dict = &vec.Dict{Vals: v.Dict.Vals} // the other one goes on growing
	}
	return out
}

// copyFrom copies s from lo on; a lane that is not in use stays so.
func copyFrom[T any](m *state.Memory, s []T, lo int) []T {
	if len(s) == 0 {
		return nil
	}
	return state.Copy(m, s[lo:])
}

// keptRows are the columns of rows that an operator keeps, and where a snapshot's columns
// go: column i of the rows in a snapshot is column from[i] here, and nobody needs it where
// that is negative. from nil means that they are the kept ones, in order.
type keptRows struct {
	live []bool
	from []int
}

// freeze copies the kept columns of rows from lo on.
func (k *keptRows) freeze(cols []vec.Vec, lo int, m *state.Memory) []vec.Vec {
	var out []vec.Vec
	for c, live := range k.live {
		if live {
			out = append(out, freezeRows(&cols[c], lo, m))
		}
	}
	return out
}

func saveRow(w *state.Writer, cols []vec.Vec, i int) {
	for c := range cols {
		fn.SaveValue(w, cols[c].At(i))
	}
}

// load reads a row and adds it to cols, whose static types are given.
func (k *keptRows) load(r *state.Reader, cols []vec.Vec, typeOf func(c int) vec.Kinds) {
	if k.from == nil {
		for c, live := range k.live {
			if live {
				cols[c].Append(loadColumn(r, typeOf(c)))
			}
		}
		return
	}
	for _, c := range k.from {
		if c < 0 {
			fn.LoadValue(r)
			continue
		}
		cols[c].Append(loadColumn(r, typeOf(c)))
	}
}
