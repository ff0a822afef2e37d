package fn

import (
	"slices"
	"strconv"
	"strings"

	"weir/internal/vec"
)

// MaxTextBytes is the limit of a text that a function makes (saql.md 14.1). A longer
// one is the query error "result too large".
const MaxTextBytes = 1 << 20

// scalar registers a scalar function when the package starts.
func scalar(s Scalar) *Scalar {
	key := foldName(s.Name)
	if scalars[key] != nil || aggs[key] != nil {
		panic("fn: two functions are called " + s.Name)
	}
	if s.Min == 0 {
		s.Min = len(s.Params)
	}
	scalars[key] = &s
	return &s
}

// agg registers an aggregate function when the package starts.
func agg(a Agg) *Agg {
	key := foldName(a.Name)
	if scalars[key] != nil || aggs[key] != nil {
		panic("fn: two functions are called " + a.Name)
	}
	aggs[key] = &a
	return &a
}

// foldName is the form under which a name is known: names of functions compare without
// case, by simple folding (saql.md 1.2).
func foldName(name string) string {
	return strings.ToUpper(strings.ToLower(name))
}

// LookupScalar finds a scalar function by its name, without case.
func LookupScalar(name string) (*Scalar, bool) {
	s, ok := scalars[foldName(name)]
	return s, ok
}

// LookupAgg finds an aggregate function by its name, without case.
func LookupAgg(name string) (*Agg, bool) {
	a, ok := aggs[foldName(name)]
	return a, ok
}

// Scalars is all scalar functions, by name.
func Scalars() []*Scalar {
	all := make([]*Scalar, 0, len(scalars))
	for _, s := range scalars {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Scalar) int { return compareNames(a.Name, b.Name) })
	return all
}

// Aggs is all aggregate functions, by name.
func Aggs() []*Agg {
	all := make([]*Agg, 0, len(aggs))
	for _, a := range aggs {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *Agg) int { return compareNames(a.Name, b.Name) })
	return all
}

// Names is every name that stands before a parenthesis in the language, sorted: what a
// misspelt function name is compared with.
func Names() []string {
	var names []string
	for _, s := range scalars {
		names = append(names, s.Name)
	}
	for _, a := range aggs {
		names = append(names, a.Name)
	}
	for _, f := range Forms {
		if called[f.Kind] {
			names = append(names, f.Name)
		}
	}
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}

func compareNames(a, b string) int { return strings.Compare(foldName(a), foldName(b)) }

// MaxArgs is the greatest number of arguments, the date part not counted; -1 means that
// there is no limit.
func (s *Scalar) MaxArgs() int {
	if s.Variadic {
		return -1
	}
	return len(s.Params)
}

// Signature is the call as the manual shows it, such as "CHARINDEX(find, text [, start])".
func (s *Scalar) Signature() string {
	var b strings.Builder
	b.WriteString(s.Name)
	b.WriteByte('(')
	comma := ""
	if s.Part {
		b.WriteString("part")
		comma = ", "
	}
	for i, p := range s.Params {
		if i >= s.Min {
			b.WriteString(" [" + strings.TrimLeft(comma, " ") + p.Name + "]")
			continue
		}
		b.WriteString(comma + p.Name)
		comma = ", "
	}
	if s.Variadic {
		b.WriteString(", ...")
	}
	b.WriteByte(')')
	return b.String()
}

// Signature is the call as the manual shows it, such as "TopOne([value]) OVER (ORDER BY key)".
func (a *Agg) Signature() string {
	var b strings.Builder
	b.WriteString(a.Name)
	b.WriteByte('(')
	for i, p := range a.Params {
		switch optional := a.Row && i == len(a.Params)-1; {
		case optional && i > 0:
			b.WriteString(" [, " + p.Name + "]")
		case optional:
			b.WriteString("[" + p.Name + "]")
		case i > 0:
			b.WriteString(", " + p.Name)
		default:
			b.WriteString(p.Name)
		}
	}
	if len(a.Params) == 0 {
		b.WriteByte('*')
	}
	b.WriteByte(')')
	switch {
	case a.Ordered && a.InOrder:
		b.WriteString(" OVER (ORDER BY key, ...)")
	case a.Ordered:
		b.WriteString(" OVER (ORDER BY key)")
	}
	return b.String()
}

// ArgCount says how many arguments the function takes, for people: "2", "2 or 3",
// "2 or more". A date part counts as an argument.
func (s *Scalar) ArgCount() string {
	lo, hi := s.Min, len(s.Params)
	if s.Part {
		lo, hi = lo+1, hi+1
	}
	switch {
	case s.Variadic:
		return strconv.Itoa(lo) + " or more"
	case lo == hi:
		return strconv.Itoa(lo)
	case lo+1 == hi:
		return strconv.Itoa(lo) + " or " + strconv.Itoa(hi)
	}
	return strconv.Itoa(lo) + " to " + strconv.Itoa(hi)
}

// Results that many functions share.

// gives is the result of a function that always gives the same kinds.
func gives(t Types) func([]Types) Types { return func([]Types) Types { return t } }

// likeFirst is the result of a numeric function that keeps the type of its first
// argument (saql.md 7.2, "same"): bit counts as bigint, text becomes either number.
func likeFirst(args []Types) Types { return numberKinds(args[0]) }

// numberKinds is the kinds that an argument of the kinds t has as a number.
func numberKinds(t Types) Types {
	var r Types
	if t.Has(vec.Int) || t.Has(vec.Bit) || t.Has(vec.String) {
		r |= Bigint
	}
	if t.Has(vec.Float) || t.Has(vec.String) {
		r |= Float
	}
	if r == 0 { // NULL, or what is no number and an error
		return Num
	}
	return r
}
