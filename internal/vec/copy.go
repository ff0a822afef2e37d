package vec

import "strings"

// arenaChunk is the size of the pieces of memory that an Arena takes.
const arenaChunk = 64 << 10

// Arena copies strings into large chunks, so that keeping many short ones costs few
// allocations. A chunk is freed when no string in it is in use. The zero value is ready.
type Arena struct {
	chunk strings.Builder
	bytes int
}

// String is a copy of s that lives as long as it is used. A nil Arena gives every string
// memory of its own.
func (a *Arena) String(s string) string {
	if a == nil || len(s) >= arenaChunk/4 {
		if a != nil {
			a.bytes += len(s)
		}
		return strings.Clone(s)
	}
	at := a.chunk.Len()
	if a.chunk.Cap()-at < len(s) {
		a.chunk.Reset()
		a.chunk.Grow(arenaChunk)
		at = 0
	}
	a.chunk.WriteString(s) // never moves: there is room
	a.bytes += len(s)
	return a.chunk.String()[at:]
}

// Bytes is how much has been copied since the last Reset.
func (a *Arena) Bytes() int { return a.bytes }

// Reset starts anew. Strings that are still in use stay good.
func (a *Arena) Reset() {
	a.chunk.Reset()
	a.bytes = 0
}

// AppendFrom adds row i of src and copies its string into arena.
func (v *Vec) AppendFrom(src *Vec, i int, arena *Arena) {
	if v.N > 0 && v.Tag == nil && src.Tag == nil && v.Kind == src.Kind && v.Dict == src.Dict {
		v.appendSame(src, i, arena)
		return
	}
	sel := [1]int32{int32(i)}
	v.AppendRows(src, sel[:], arena)
}

// appendSame adds row i of a column of the same kind and dictionary, both without tags.
func (v *Vec) appendSame(src *Vec, i int, arena *Arena) {
	v.N++
	switch v.Kind {
	case Bit, Int, Datetime:
		v.Int = append(v.Int, src.Int[i])
	case Float:
		v.Float = append(v.Float, src.Float[i])
	case String:
		if v.Dict != nil {
			v.Code = append(v.Code, src.Code[i])
		} else {
			v.Str = append(v.Str, arena.String(src.Str[i]))
		}
	case Record, Array:
		v.Rec = append(v.Rec, src.Rec[i])
	}
}

// AppendRows adds the rows of src at the positions sel, all rows if sel is nil. Strings
// are copied into arena. Dictionary codes stay codes when v holds no strings yet or has
// the same dictionary; else they become strings, which the dictionary owns.
func (v *Vec) AppendRows(src *Vec, sel []int32, arena *Arena) {
	n := len(sel)
	if sel == nil {
		n = src.N
	}
	if n == 0 {
		return
	}
	at := v.N
	v.matchTags(src)
	v.matchDict(src)
	v.N += n
	if v.Tag != nil {
		v.Tag = appendLane(v.Tag, at, src.Tag, sel, n)
		if src.Tag == nil {
			for i := at; i < v.N; i++ {
				v.Tag[i] = src.Kind
			}
		}
	}
	v.Int = appendLane(v.Int, at, src.Int, sel, n)
	v.Float = appendLane(v.Float, at, src.Float, sel, n)
	v.Rec = appendLane(v.Rec, at, src.Rec, sel, n)
	switch {
	case v.Dict != nil:
		v.Code = appendLane(v.Code, at, src.Code, sel, n)
	case src.Dict != nil:
		v.appendDecoded(src, at, sel)
	default:
		v.Str = appendLane(v.Str, at, src.Str, sel, n)
		if len(src.Str) > 0 {
			for i, s := range v.Str[at:] {
				if s != "" {
					v.Str[at+i] = arena.String(s)
				}
			}
		}
	}
}

// matchTags makes v able to take the kinds of src.
func (v *Vec) matchTags(src *Vec) {
	if v.N == 0 {
		v.Reset()
		v.Kind = src.Kind
		if src.Tag != nil {
			v.Untype()
		}
		return
	}
	if v.Tag == nil && (src.Tag != nil || src.Kind != v.Kind) {
		v.Untype()
	}
}

// matchDict makes the strings of v take the form that the strings of src can join.
func (v *Vec) matchDict(src *Vec) {
	if len(src.Str) == 0 && len(src.Code) == 0 || v.Dict == src.Dict {
		return
	}
	if len(v.Str) == 0 && len(v.Code) == 0 {
		v.Dict = src.Dict
		return
	}
	if v.Dict != nil {
		v.undict()
	}
}

// appendDecoded adds rows with dictionary codes as strings.
func (v *Vec) appendDecoded(src *Vec, at int, sel []int32) {
	if len(src.Code) == 0 {
		if len(v.Str) > 0 {
			v.Str = grow(v.Str, v.N)
		}
		return
	}
	v.Str = grow(v.Str, v.N)
	for o := range v.Str[at:] {
		i := o
		if sel != nil {
			i = int(sel[o])
		}
		if src.KindAt(i) == String {
			v.Str[at+o] = src.Dict.Vals[src.Code[i]]
		}
	}
}

// appendLane adds n rows of src to a lane that has at rows or is not in use. If only one
// of both is in use, the rows of the other are zeros.
func appendLane[T any](dst []T, at int, src []T, sel []int32, n int) []T {
	if len(src) == 0 {
		if len(dst) > 0 {
			dst = grow(dst, at+n)
		}
		return dst
	}
	dst = extend(dst, at, at+n)
	if sel == nil {
		copy(dst[at:], src[:n])
		return dst
	}
	out := dst[at:]
	for o, i := range sel {
		out[o] = src[i]
	}
	return dst
}

// AppendRows adds the rows of src at the positions sel, all rows if sel is nil, with
// their times. Strings are copied into arena. An empty b takes the columns of src.
func (b *Batch) AppendRows(src *Batch, sel []int32, arena *Arena) {
	n := len(sel)
	if sel == nil {
		n = src.N
	}
	if b.N == 0 {
		b.Reset(len(src.Cols))
	}
	if len(b.Cols) != len(src.Cols) {
		panic("vec: AppendRows of a batch with other columns")
	}
	b.Time = appendLane(b.Time, b.N, src.Time, sel, n)
	b.Seq = appendLane(b.Seq, b.N, src.Seq, sel, n)
	b.Arrival = appendLane(b.Arrival, b.N, src.Arrival, sel, n)
	for c := range b.Cols {
		b.Cols[c].AppendRows(&src.Cols[c], sel, arena)
	}
	b.N += n
}

// Reset empties b and gives it a number of empty columns. It keeps the memory.
func (b *Batch) Reset(columns int) {
	b.N = 0
	b.Time, b.Seq, b.Arrival = b.Time[:0], b.Seq[:0], b.Arrival[:0]
	if columns > cap(b.Cols) {
		b.Cols = append(b.Cols, make([]Vec, columns-len(b.Cols))...)
	}
	b.Cols = b.Cols[:columns]
	for c := range b.Cols {
		b.Cols[c].Reset()
	}
}
