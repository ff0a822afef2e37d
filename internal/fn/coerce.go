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
	out.Tagged(n)
	for i := range n {
		v := in.At(i)
		if !v.Kind.IsNull() && !p.Types.Has(v.Kind) {
			x, ok := coerceValue(v, p)
			if !ok {
				c.Fail(i, misfitMessage(fname, argn, p.Types, v.Kind))
				continue
			}
			v = x
		}
		out.Set(i, v)
	}
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

// coerceValue converts a value, not NULL, to one of the kinds that p takes; its own kind
// is not among them.
func coerceValue(v vec.Value, p Param) (vec.Value, bool) {
	wantInt, wantFloat := p.Types.Has(vec.Int), p.Types.Has(vec.Float)
	switch v.Kind {
	case vec.String:
		if wantInt || wantFloat {
			x, ok := vec.ParseNumber(v.Str)
			if !ok || p.Types.Has(x.Kind) {
				return x, ok
			}
			return coerceValue(x, p)
		}
		if p.Types.Has(vec.Datetime) {
			t, ok := vec.ParseTime(v.Str)
			return vec.TimeValue(t), ok
		}
		return v, false
	case vec.Bit:
		if wantInt {
			return vec.IntValue(v.Int), true
		}
	case vec.Float:
		if wantInt && p.Truncate {
			x, ok := truncateFloat(v.Float)
			return vec.IntValue(x), ok
		}
	case vec.Record, vec.Array:
		return v, false
	}
	if wantFloat && v.Kind.IsNumber() {
		return vec.FloatValue(float64(v.Int)), true // a bit or a bigint
	}
	if p.Types.Has(vec.String) {
		return vec.StringValue(valueText(v)), true
	}
	return v, false
}

// misfitMessage is the query error of an argument that does not convert.
func misfitMessage(fname string, argn int, want Types, has vec.Kind) string {
	if want.NotNull() == Rec || want.NotNull() == Arr {
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
