package fn

import (
	"strconv"
	"strings"

	"weir/internal/vec"
)

// Run evaluates s over columns of n rows: it converts the arguments to what s takes,
// marks the rows with a NULL argument, calls Eval, and makes those rows and the ones
// that failed NULL. scratch has a Vec per argument, kept from batch to batch.
func (s *Scalar) Run(c *Call, out *vec.Vec, args []*vec.Vec, scratch []vec.Vec, n int) {
	c.Nulls, c.rows = nil, n
	c.args = c.args[:0]
	for i, a := range args {
		p := s.Params[min(i, len(s.Params)-1)]
		c.args = append(c.args, Coerce(c, s.Name, i+1, p, &scratch[i], a, n))
	}
	if !s.KeepNull {
		for _, a := range c.args {
			c.markNulls(a, n)
		}
	}
	for i, leave := range c.Leave {
		if leave {
			c.mark(i)
		}
	}
	s.Eval(c, out, c.args, n)
	c.rows = 0
	for i, null := range c.Nulls {
		if null {
			out.SetNull(i)
		}
	}
	c.Nulls = nil
}

// mark makes row i one that gives NULL, while Run is at work.
func (c *Call) mark(i int) {
	if c.rows == 0 {
		return
	}
	if c.Nulls == nil {
		if cap(c.nulls) < c.rows {
			c.nulls = make([]bool, c.rows)
		}
		c.Nulls = c.nulls[:c.rows]
		clear(c.Nulls)
	}
	c.Nulls[i] = true
}

// markNulls marks the rows in which a is NULL.
func (c *Call) markNulls(a *vec.Vec, n int) {
	if a.Tag == nil {
		if a.Kind.IsNull() {
			for i := range n {
				c.mark(i)
			}
		}
		return
	}
	for i, k := range a.Tag[:n] {
		if k.IsNull() {
			c.mark(i)
		}
	}
}

// Coerce converts argument argn of the function fname to what its parameter takes
// ("implicit conversion of arguments", saql.md 3.8). It gives in itself if all rows fit
// as they are, else out. A row that does not convert is NULL and reported to c.
func Coerce(c *Call, fname string, argn int, p Param, out, in *vec.Vec, n int) *vec.Vec {
	if fits(in, p.Types|vec.NullKind, n) {
		return in
	}
	x := conversion{want: p.Types, truncate: p.Truncate, fname: fname, argn: argn}
	x.run(c, out, in, n)
	return out
}

// fits reports whether the kinds of all rows are in the set.
func fits(v *vec.Vec, kinds Types, n int) bool {
	if v.Tag == nil {
		return kinds.Has(v.Kind)
	}
	if kinds == Any {
		return true
	}
	var has Types
	for _, k := range v.Tag[:n] {
		has |= 1 << k
	}
	return has.Within(kinds)
}

// coerceValue converts a value, not NULL, to one of the kinds that are wanted; its own
// kind is not among them.
func coerceValue(v vec.Value, want Types, truncates bool) (vec.Value, bool) {
	switch {
	case v.Kind == vec.String && want&Num != 0:
		x, ok := vec.ParseNumber(v.Str)
		if !ok || want.Has(x.Kind) {
			return x, ok
		}
		return coerceValue(x, want, truncates)
	case v.Kind == vec.String && want.Has(vec.Datetime):
		t, ok := vec.ParseTime(v.Str)
		return vec.TimeValue(t), ok
	case v.Kind == vec.Bit && want.Has(vec.Int):
		return vec.IntValue(v.Int), true
	case v.Kind == vec.Float && want.Has(vec.Int) && truncates:
		x, ok := truncateFloat(v.Float)
		return vec.IntValue(x), ok
	case (v.Kind == vec.Int || v.Kind == vec.Bit) && want.Has(vec.Float):
		return vec.FloatValue(float64(v.Int)), true
	case takesText(v.Kind, want, truncates):
		return vec.StringValue(valueText(v)), true
	}
	return v, false
}

// takesText reports whether an argument of kind k becomes text: a scalar does where text
// is wanted and neither a number that it converts to nor a record.
func takesText(k vec.Kind, want Types, truncates bool) bool {
	if !want.Has(vec.String) || want.Has(vec.Record) {
		return false
	}
	switch k {
	case vec.Bit:
		return want&Num == 0
	case vec.Int:
		return !want.Has(vec.Float)
	case vec.Float:
		return !(want.Has(vec.Int) && truncates)
	}
	return k == vec.Datetime
}

// misfitMessage is the query error of an argument that does not convert.
func misfitMessage(fname string, argn int, want Types, has vec.Kind) string {
	if want.NotNull().Within(Rec | Arr) {
		return "cannot cast value of type " + has.String() + " to type " + wanted(want)
	}
	m := "argument " + strconv.Itoa(argn) + " of " + fname + " has type " + has.String() + "; " + wanted(want) + " wanted"
	if want.Has(vec.Datetime) && has.IsNumber() {
		m += HintSep + "DATEADD(second, n, '1970-01-01')"
	}
	return m
}

// wanted names the kinds of a set for people: "bigint or float".
func wanted(t Types) string {
	var names []string
	for k := vec.Bit; k < vec.NumKinds; k++ {
		if t.Has(k) {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, " or ")
}
