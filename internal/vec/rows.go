package vec

// KindAt is the kind of row i.
func (v *Vec) KindAt(i int) Kind {
	if v.Tag != nil {
		return v.Tag[i]
	}
	return v.Kind
}

// StrAt is the text of row i, which must be a String.
func (v *Vec) StrAt(i int) string {
	if v.Dict != nil {
		return v.Dict.Vals[v.Code[i]]
	}
	return v.Str[i]
}

// At is row i, boxed. The string may point into a reused buffer.
func (v *Vec) At(i int) Value {
	switch k := v.KindAt(i); k {
	case Bit, Int, Datetime:
		return Value{Kind: k, Int: v.Int[i]}
	case Float:
		return Value{Kind: k, Float: v.Float[i]}
	case String:
		return Value{Kind: k, Str: v.StrAt(i)}
	case Record, Array:
		return Value{Kind: k, Rec: v.Rec[i]}
	default:
		return Value{Kind: k}
	}
}

// Reset empties v and keeps its memory. It leaves v without Dict and tags.
func (v *Vec) Reset() {
	clear(v.Str)
	clear(v.Rec)
	v.dropTags()
	*v = Vec{spare: v.spare, Int: v.Int[:0], Float: v.Float[:0], Str: v.Str[:0], Code: v.Code[:0], Rec: v.Rec[:0]}
}

// dropTags leaves v without tags and keeps their memory for the next ones.
func (v *Vec) dropTags() {
	if v.Tag != nil {
		v.spare, v.Tag = v.Tag[:0], nil
	}
}

// newTags gives v a tag per row, with arbitrary content. It is never nil.
func (v *Vec) newTags() {
	v.dropTags()
	if v.Tag = resize(v.spare, v.N); v.Tag == nil {
		v.Tag = make([]Kind, 0, minCap)
	}
	v.spare = nil
}

// minCap is the least number of rows that a lane makes room for. Keeping it small matters
// for the many small tables of windows and groups.
const minCap = 8

// grow returns s with length n, old rows kept, new rows zero.
func grow[T any](s []T, n int) []T { return extend(s, len(s), n) }

// extend returns s with length n: the first at rows kept, zeros if s has fewer, and the
// rows from there on zero.
func extend[T any](s []T, at, n int) []T {
	at = min(at, len(s))
	if n <= cap(s) {
		s = s[:n]
		clear(s[min(at, n):])
		return s
	}
	c := make([]T, n, max(2*cap(s), n, minCap))
	copy(c, s[:at])
	return c
}

// resize returns s with length n and arbitrary content.
func resize[T any](s []T, n int) []T {
	if n <= cap(s) {
		return s[:n]
	}
	return make([]T, n, max(2*cap(s), n, minCap))
}

// Fixed sets v to n rows of one kind without tags and returns v; the lane of the
// kind has length n with arbitrary content, for a kernel to fill.
func (v *Vec) Fixed(k Kind, n int) *Vec {
	v.dropTags()
	v.N, v.Kind, v.Dict = n, k, nil
	v.Int, v.Float, v.Str, v.Code, v.Rec = v.Int[:0], v.Float[:0], v.Str[:0], v.Code[:0], v.Rec[:0]
	switch k {
	case Bit, Int, Datetime:
		v.Int = resize(v.Int, n)
	case Float:
		v.Float = resize(v.Float, n)
	case String:
		v.Str = resize(v.Str, n)
	case Record, Array:
		v.Rec = resize(v.Rec, n)
	}
	return v
}

// Tagged sets v to n rows, all NULL, with a tag per row and no lanes. Set fills them.
func (v *Vec) Tagged(n int) *Vec {
	v.Reset()
	v.N = n
	v.newTags()
	for i := range v.Tag {
		v.Tag[i] = Null
	}
	return v
}

// Lane makes sure that the lane of kind k has v.N rows; new ones are zero. A kernel that
// writes tags and lanes of a Tagged column itself asks for the lanes first.
func (v *Vec) Lane(k Kind) {
	switch k {
	case Bit, Int, Datetime:
		if len(v.Int) < v.N {
			v.Int = grow(v.Int, v.N)
		}
	case Float:
		if len(v.Float) < v.N {
			v.Float = grow(v.Float, v.N)
		}
	case String:
		if v.Dict != nil {
			if len(v.Code) < v.N {
				v.Code = grow(v.Code, v.N)
			}
		} else if len(v.Str) < v.N {
			v.Str = grow(v.Str, v.N)
		}
	case Record, Array:
		if len(v.Rec) < v.N {
			v.Rec = grow(v.Rec, v.N)
		}
	}
}

// Untype gives v a tag per row if it has none, so that rows may differ in kind.
func (v *Vec) Untype() {
	if v.Tag == nil {
		v.newTags()
		for i := range v.Tag {
			v.Tag[i] = v.Kind
		}
	}
}

// SetNull makes row i NULL.
func (v *Vec) SetNull(i int) {
	v.Untype()
	v.zero(i)
	v.Tag[i] = Null
}

// zero clears the lane that row i uses, because lanes hold zeros at rows of other kinds.
func (v *Vec) zero(i int) {
	switch v.Tag[i] {
	case Bit, Int, Datetime:
		v.Int[i] = 0
	case Float:
		v.Float[i] = 0
	case String:
		if v.Dict != nil {
			v.Code[i] = 0
		} else {
			v.Str[i] = ""
		}
	case Record, Array:
		v.Rec[i] = nil
	}
}

// Set makes row i the value x, giving v tags when the kind differs. It replaces a
// dictionary by plain strings when x is a string.
func (v *Vec) Set(i int, x Value) {
	if x.Kind == String && v.Dict != nil {
		v.undict()
	}
	if v.Tag == nil && v.Kind != x.Kind {
		v.Untype()
	}
	if v.Tag != nil && v.Tag[i] != x.Kind {
		v.zero(i)
		v.Tag[i] = x.Kind
	}
	v.Lane(x.Kind)
	switch x.Kind {
	case Bit, Int, Datetime:
		v.Int[i] = x.Int
	case Float:
		v.Float[i] = x.Float
	case String:
		v.Str[i] = x.Str
	case Record, Array:
		v.Rec[i] = x.Rec
	}
}

// undict replaces codes by strings.
func (v *Vec) undict() {
	d := v.Dict
	v.Dict = nil
	v.Str = grow(v.Str[:0], v.N)
	for i := range v.N {
		if v.KindAt(i) == String {
			v.Str[i] = d.Vals[v.Code[i]]
		}
	}
	v.Code = v.Code[:0]
}

// Append adds a row.
func (v *Vec) Append(x Value) {
	if v.N == 0 && v.Tag == nil {
		v.Kind = x.Kind
		v.Dict = nil
	}
	v.N++
	if v.Tag != nil {
		v.Tag = append(v.Tag, x.Kind)
	} else if v.Kind != x.Kind {
		v.N--
		v.Untype()
		v.N++
		v.Tag = append(v.Tag, x.Kind)
	}
	if x.Kind == String && v.Dict != nil {
		v.N--
		v.undict()
		v.N++
	}
	v.Lane(x.Kind)
	// Lanes that are in use keep the length N.
	if len(v.Int) > 0 && len(v.Int) < v.N {
		v.Int = grow(v.Int, v.N)
	}
	if len(v.Float) > 0 && len(v.Float) < v.N {
		v.Float = grow(v.Float, v.N)
	}
	if len(v.Str) > 0 && len(v.Str) < v.N {
		v.Str = grow(v.Str, v.N)
	}
	if len(v.Code) > 0 && len(v.Code) < v.N {
		v.Code = grow(v.Code, v.N)
	}
	if len(v.Rec) > 0 && len(v.Rec) < v.N {
		v.Rec = grow(v.Rec, v.N)
	}
	i := v.N - 1
	switch x.Kind {
	case Bit, Int, Datetime:
		v.Int[i] = x.Int
	case Float:
		v.Float[i] = x.Float
	case String:
		v.Str[i] = x.Str
	case Record, Array:
		v.Rec[i] = x.Rec
	}
}

// Gather sets v to the rows of src at the positions sel. Strings are shared with src,
// so v lives no longer than src.
func (v *Vec) Gather(src *Vec, sel []int32) {
	v.Reset()
	v.N, v.Kind = len(sel), src.Kind
	if src.Tag != nil {
		v.newTags()
		for o, i := range sel {
			v.Tag[o] = src.Tag[i]
		}
	}
	if len(src.Int) > 0 {
		v.Int = gatherLane(v.Int, src.Int, sel)
	}
	if len(src.Float) > 0 {
		v.Float = gatherLane(v.Float, src.Float, sel)
	}
	if src.Dict != nil {
		v.Dict = src.Dict
		if len(src.Code) > 0 {
			v.Code = gatherLane(v.Code, src.Code, sel)
		}
	} else if len(src.Str) > 0 {
		v.Str = gatherLane(v.Str, src.Str, sel)
	}
	if len(src.Rec) > 0 {
		v.Rec = gatherLane(v.Rec, src.Rec, sel)
	}
}

func gatherLane[T any](dst, src []T, sel []int32) []T {
	dst = resize(dst, len(sel))
	for o, i := range sel {
		dst[o] = src[i]
	}
	return dst
}

// Strings is a column of texts.
func Strings(s ...string) Vec { return Vec{N: len(s), Kind: String, Str: s} }

// Ints is a column of bigints.
func Ints(x ...int64) Vec { return Vec{N: len(x), Kind: Int, Int: x} }

// Floats is a column of floats.
func Floats(x ...float64) Vec { return Vec{N: len(x), Kind: Float, Float: x} }

// Values is a column of any values.
func Values(vals ...Value) Vec {
	var v Vec
	for _, x := range vals {
		v.Append(x)
	}
	return v
}
