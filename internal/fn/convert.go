package fn

import (
	"strings"

	"weir/internal/vec"
)

// conversion is what CAST or the implicit conversion of an argument does to each row.
type conversion struct {
	want     Types    // the kinds that stay as they are
	cast     vec.Kind // the target of a CAST; Missing for an argument
	try      bool     // no error
	truncate bool     // Param.Truncate
	fname    string   // the function and the number of the argument
	argn     int
}

// value converts a value that is not NULL.
func (x *conversion) value(v vec.Value) (vec.Value, bool) {
	switch {
	case x.want.Has(v.Kind):
		return v, true
	case x.cast != vec.Missing:
		return CastValue(v, x.cast)
	}
	return coerceValue(v, x.want, x.truncate)
}

// text reports whether values of kind k become text.
func (x *conversion) text(k vec.Kind) bool {
	switch {
	case x.want.Has(k) || !x.want.Has(vec.String):
		return false
	case x.cast != vec.Missing:
		return true
	}
	return takesText(k, x.want, x.truncate)
}

// fail reports a row that does not convert.
func (x *conversion) fail(c *Call, i int, v vec.Value) {
	switch {
	case x.try:
	case x.cast != vec.Missing:
		c.Fail(i, castMessage(v, x.cast))
	default:
		c.Fail(i, misfitMessage(x.fname, x.argn, x.want, v.Kind))
	}
}

// run converts n rows of in to out.
func (x *conversion) run(c *Call, out, in *vec.Vec, n int) {
	if in.Tag == nil && x.runFixed(out, in, n) {
		return
	}
	if to, ok := x.target(); ok {
		x.runTo(to, c, out, in, n)
		return
	}
	x.start(out, in, n)
	memo := c.memos.of(x, in, n)
	var texts strings.Builder
	var buf [64]byte
	for i := range n {
		k := in.KindAt(i)
		if k.IsNull() {
			out.SetNull(i)
			continue
		}
		var v vec.Value
		ok := true
		switch {
		case k == vec.String && memo != nil:
			v = memo[in.Code[i]]
			ok = v.Kind != vec.Missing
		case x.text(k):
			at := texts.Len()
			texts.Write(appendText(buf[:0], in.At(i)))
			v = vec.StringValue(texts.String()[at:])
		default:
			v, ok = x.value(in.At(i))
		}
		if !ok {
			out.SetNull(i)
			x.fail(c, i, in.At(i))
			continue
		}
		out.Set(i, v)
	}
}

// target is the one kind that all rows get, if that is a number or datetime.
func (x *conversion) target() (vec.Kind, bool) {
	for _, k := range [...]vec.Kind{vec.Int, vec.Float, vec.Datetime} {
		if x.want.NotNull() == Of(k) {
			return k, true
		}
	}
	return 0, false
}

// runTo is run for a target: it does what value does without boxing the rows.
func (x *conversion) runTo(to vec.Kind, c *Call, out, in *vec.Vec, n int) {
	if in.Tag == nil {
		out.Fixed(to, n)
	} else {
		out.Tagged(n).Lane(to)
	}
	memo := c.memos.of(x, in, n)
	k := in.Kind
	for i := range n {
		if in.Tag != nil {
			k = in.Tag[i]
		}
		var whole int64
		var float float64
		ok := true
		switch {
		case k.IsNull():
			continue
		case k == vec.String && memo != nil:
			v := &memo[in.Code[i]]
			whole, float, ok = v.Int, v.Float, v.Kind != vec.Missing
		case k == vec.String:
			whole, float, ok = x.parse(to, in.StrAt(i))
		case k == vec.Float && to == vec.Float:
			float = in.Float[i]
		case k == vec.Float && to == vec.Int && (x.truncate || x.cast != vec.Missing):
			whole, ok = truncateFloat(in.Float[i])
		case (k == vec.Int || k == vec.Bit) && to != vec.Datetime:
			whole, float = in.Int[i], float64(in.Int[i])
		case k == vec.Datetime && to == vec.Datetime:
			whole = in.Int[i]
		default:
			ok = false
		}
		switch {
		case !ok:
			out.SetNull(i)
			x.fail(c, i, in.At(i))
			continue
		case to == vec.Float:
			out.Float[i] = float
		default:
			out.Int[i] = whole
		}
		if out.Tag != nil {
			out.Tag[i] = to
		}
	}
}

// parse reads a text as a target.
func (x *conversion) parse(to vec.Kind, s string) (whole int64, float float64, ok bool) {
	switch to {
	case vec.Float:
		float, ok = vec.ParseFloat(s)
	case vec.Datetime:
		var t vec.Time
		t, ok = vec.ParseTime(s)
		whole = int64(t)
	default:
		if whole, ok = vec.ParseInt(s); !ok && x.truncate {
			if float, ok = vec.ParseFloat(s); ok {
				whole, ok = truncateFloat(float)
			}
		}
	}
	return whole, float, ok
}

// start gives out n rows, without tags if in has none and its first row converts: then
// mostly all rows get the same kind.
func (x *conversion) start(out, in *vec.Vec, n int) {
	if in.Tag == nil && n > 0 && !in.Kind.IsNull() {
		if v, ok := x.value(in.At(0)); ok {
			out.Fixed(v.Kind, n)
			return
		}
	}
	out.Tagged(n)
}

// runFixed converts columns of one kind for which no row can fail; false if it is none.
func (x *conversion) runFixed(out, in *vec.Vec, n int) bool {
	switch {
	case in.Kind.IsNull():
		out.Fixed(vec.Null, n)
	case x.want.Has(in.Kind):
		share(out, in, n)
	case x.cast == vec.Bit && in.Kind == vec.Int:
		out.Fixed(vec.Bit, n)
		for i, v := range in.Int[:n] {
			out.Int[i] = int64(truthOf(v != 0))
		}
	case x.cast == vec.Bit && in.Kind == vec.Float:
		out.Fixed(vec.Bit, n)
		for i, v := range in.Float[:n] {
			out.Int[i] = int64(truthOf(v != 0))
		}
	case x.want.Has(vec.Int) && in.Kind == vec.Bit:
		copy(out.Fixed(vec.Int, n).Int, in.Int)
	case x.want.Has(vec.Float) && (in.Kind == vec.Int || in.Kind == vec.Bit):
		out.Fixed(vec.Float, n)
		for i, v := range in.Int[:n] {
			out.Float[i] = float64(v)
		}
	default:
		return false
	}
	return true
}

// share sets out to n rows of in, a column of one kind. Texts are shared.
func share(out, in *vec.Vec, n int) {
	out.Fixed(in.Kind, n)
	if in.Dict != nil {
		out.Dict = in.Dict
		out.Str = out.Str[:0]
		out.Code = append(out.Code[:0], in.Code[:n]...)
		return
	}
	copy(out.Int, in.Int)
	copy(out.Float, in.Float)
	copy(out.Str, in.Str)
	copy(out.Rec, in.Rec)
}

// Limits of what is kept of converted texts. memoAhead bounds how many entries more than
// rows are converted for a batch, memoEntries how many a conversion keeps.
const (
	memoAhead   = 1024
	memoEntries = 1 << 16
)

// memos holds the converted entries of the dictionaries of a call, one for each argument.
type memos []memo

type memo struct {
	conversion
	dict *vec.Dict
	vals []vec.Value // Missing where an entry does not convert
}

// of is the converted entries of in's dictionary; nil if the rows are better converted
// one by one.
func (m *memos) of(x *conversion, in *vec.Vec, n int) []vec.Value {
	d := in.Dict
	if d == nil || len(in.Code) == 0 || len(d.Vals) > memoEntries {
		return nil
	}
	for x.argn >= len(*m) {
		*m = append(*m, memo{})
	}
	e := &(*m)[x.argn]
	if e.dict != d || e.conversion != *x {
		*e = memo{conversion: *x, dict: d, vals: e.vals[:0]}
	}
	if len(d.Vals)-len(e.vals) > n+memoAhead {
		return nil
	}
	for _, s := range d.Vals[len(e.vals):] {
		v, ok := x.value(vec.StringValue(s))
		if !ok {
			v = vec.Value{}
		}
		e.vals = append(e.vals, v)
	}
	return e.vals
}
