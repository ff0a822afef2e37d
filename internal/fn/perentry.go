package fn

import (
	"strings"

	"weir/internal/vec"
)

// A column with a dictionary has few distinct texts. A function of such a column whose
// other arguments are the same in all rows is evaluated once per dictionary entry; the
// results are kept for as long as the Call is used with that dictionary, and a row costs
// a look-up by code.

// Limits of what is kept.
const (
	// entryMemoBytes bounds the texts that a call keeps.
	entryMemoBytes = 4 << 20
	// entryAhead bounds how many entries more than rows are evaluated for a batch: the
	// dictionary may hold entries that these rows do not have.
	entryAhead = 1024
)

// entryMemo is the results of a call for the entries of a dictionary.
type entryMemo struct {
	dict   *vec.Dict
	consts []vec.Value // the other arguments; the one of the dictionary is NULL
	kind   []vec.Kind  // of the result for each entry; texts and bigints besides NULL
	str    []string
	num    []int64
	errs   map[uint32]string
	bytes  int
	full   bool // the results are too large to be kept
	mixed  bool // not all results are of one kind, or some failed
}

// perEntry wraps the Eval of a function that gives text, bigint or NULL, and whose
// argument k is a text that may come with a dictionary.
func perEntry(k int, eval func(c *Call, out *vec.Vec, args []*vec.Vec, n int)) func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
	return func(c *Call, out *vec.Vec, args []*vec.Vec, n int) {
		if args[k].Dict == nil || n == 0 || !c.entries.prepare(c, k, eval, args, n) {
			eval(c, out, args, n)
			return
		}
		c.entries.gather(c, out, args[k], n)
	}
}

// prepare makes sure that m holds the results for all entries of the dictionary; false
// if the rows are better evaluated one by one.
func (m *entryMemo) prepare(c *Call, k int, eval func(*Call, *vec.Vec, []*vec.Vec, int), args []*vec.Vec, n int) bool {
	dict := args[k].Dict
	first := 0
	for first < n && c.Skip(first) {
		first++
	}
	if first == n {
		return false
	}
	for j, a := range args {
		if j != k && !sameRows(c, a, first, n) {
			return false
		}
	}
	if m.dict != dict || !m.matches(k, args, first) {
		if len(dict.Vals) > n+entryAhead {
			return false
		}
		*m = entryMemo{dict: dict}
		for j, a := range args {
			v := vec.NullValue()
			if j != k {
				v = a.At(first)
				v.Str = strings.Clone(v.Str)
			}
			m.consts = append(m.consts, v)
		}
	}
	fresh := len(dict.Vals) - len(m.kind)
	if m.full || fresh > n+entryAhead {
		return false
	}
	if fresh > 0 {
		m.extend(c, k, eval, fresh)
	}
	return !m.full
}

// matches reports whether the constant arguments are those that m was made with.
func (m *entryMemo) matches(k int, args []*vec.Vec, row int) bool {
	if len(args) != len(m.consts) {
		return false
	}
	for j, a := range args {
		if j != k && a.At(row) != m.consts[j] {
			return false
		}
	}
	return true
}

// extend evaluates the entries from len(m.kind) on.
func (m *entryMemo) extend(c *Call, k int, eval func(*Call, *vec.Vec, []*vec.Vec, int), fresh int) {
	base := len(m.kind)
	args := make([]*vec.Vec, len(m.consts))
	for j, v := range m.consts {
		var a vec.Vec
		if j == k {
			a = vec.Strings(m.dict.Vals[base:]...)
		} else {
			a.Fixed(v.Kind, fresh)
			for i := range fresh {
				a.Set(i, v)
			}
		}
		args[j] = &a
	}
	inner := Call{Part: c.Part, OnError: func(row int, message string) {
		if m.errs == nil {
			m.errs = map[uint32]string{}
		}
		m.errs[uint32(base+row)] = message
		m.mixed = true
	}}
	var out vec.Vec
	eval(&inner, &out, args, fresh)
	for i := range fresh {
		v := out.At(i)
		m.kind = append(m.kind, v.Kind)
		m.str = append(m.str, v.Str)
		m.num = append(m.num, v.Int)
		m.bytes += len(v.Str)
		m.mixed = m.mixed || v.Kind != m.kind[0]
	}
	if m.bytes > entryMemoBytes {
		*m = entryMemo{dict: m.dict, consts: m.consts, full: true}
	}
}

// gather sets out to the results for the codes of x.
func (m *entryMemo) gather(c *Call, out, x *vec.Vec, n int) {
	if !m.mixed {
		out.Fixed(m.kind[0], n)
		for i, code := range x.Code[:n] {
			if c.Skip(i) {
				continue
			}
			if m.kind[0] == vec.String {
				out.Str[i] = m.str[code]
			} else if m.kind[0] == vec.Int {
				out.Int[i] = m.num[code]
			}
		}
		return
	}
	out.Tagged(n)
	for i, code := range x.Code[:n] {
		if c.Skip(i) {
			continue
		}
		if message, failed := m.errs[code]; failed {
			c.Fail(i, message)
			continue
		}
		out.Set(i, vec.Value{Kind: m.kind[code], Str: m.str[code], Int: m.num[code]})
	}
}

// sameRows reports whether a has the value of row first in all rows that count.
func sameRows(c *Call, a *vec.Vec, first, n int) bool {
	if a.Tag == nil && c.Nulls == nil && a.Dict == nil { // a constant without NULLs
		switch a.Kind {
		case vec.Bit, vec.Int, vec.Datetime:
			return allEqual(a.Int[:n])
		case vec.String:
			return allEqual(a.Str[:n])
		}
	}
	v := a.At(first)
	if v.Kind == vec.Float || v.Kind == vec.Record || v.Kind == vec.Array {
		return false
	}
	for i := first; i < n; i++ {
		if !c.Skip(i) && a.At(i) != v {
			return false
		}
	}
	return true
}

func allEqual[T comparable](s []T) bool {
	for _, x := range s {
		if x != s[0] {
			return false
		}
	}
	return true
}
