package fn

import (
	"math"
	"strings"

	"weir/internal/state"
	"weir/internal/vec"
)

var _ = agg(Agg{
	Name:   "MIN",
	Params: []Param{{Name: "value", Types: orderable}},
	Result: extremeKinds,
	Doc: Doc{
		Summary: "MIN returns the least value. Numbers compare by value and keep their type; " +
			"text compares by code point if its static type is nvarchar(max), else it is read as a float.",
		Section: "7.6",
		Examples: []Example{
			{"MIN(v) over 5, -3, NULL, 2.5", "-3"},
			{"MIN(v) over '9', '10'", "9.0"},
			{"MIN(CAST(v AS nvarchar(max))) over 'b', '10'", `"10"`},
			{"MIN(v) over NULL", "null"},
		},
	},
	New: func(s AggSpec) Acc { return newExtreme("MIN", s.Args, false) },
})

var _ = agg(Agg{
	Name:   "MAX",
	Params: []Param{{Name: "value", Types: orderable}},
	Result: extremeKinds,
	Doc: Doc{
		Summary: "MAX returns the greatest value. Numbers compare by value and keep their type; " +
			"text compares by code point if its static type is nvarchar(max), else it is read as a float.",
		Section: "7.6",
		Examples: []Example{
			{"MAX(v) over 5, -3, NULL, 2.5", "5"},
			{"MAX(v) over '9', '10'", "10.0"},
			{"MAX(CAST(v AS nvarchar(max))) over 'b', '10'", `"b"`},
			{"MAX(v) over NULL", "null"},
		},
	},
	New: func(s AggSpec) Acc { return newExtreme("MAX", s.Args, true) },
})

// orderable is the kinds of which there is a least and a greatest.
var orderable = Of(vec.Bit, vec.Int, vec.Float, vec.Datetime, vec.String)

// extremeKinds is the static type of MIN and MAX.
func extremeKinds(args []Types) Types {
	if inTextOrder(args[0]) {
		return Text | Null
	}
	r := args[0]&Of(vec.Bit, vec.Int, vec.Float, vec.Datetime) | Null
	if args[0].Has(vec.String) {
		r |= Float
	}
	return r
}

// inTextOrder reports whether an argument of the static type t is text for certain, by
// CAST, TRY_CAST or CREATE TABLE; then text is compared as text (saql.md 7.6).
func inTextOrder(t Types) bool { return t.NotNull() == Text }

func newExtreme(name string, args []Types, greatest bool) Acc {
	if inTextOrder(args[0]) {
		return &textExtreme{greatest: greatest}
	}
	a := &extreme{misfits: misfits{name: name, want: "bit, bigint, float, datetime or nvarchar(max)"}}
	if greatest {
		a.flip = -1
	}
	return a
}

// extreme is MIN or MAX of numbers or datetimes. The winner is the first of all values
// in this order, so it does not depend on the order in which they came: by exact value;
// of equal values bigint before float before bit; -0.0 is less than 0.0.
//
// Of each winner it keeps the kind and a key: an int64 that grows with the values of
// that kind, all bits inverted for MAX, so that the least key wins always.
type extreme struct {
	flip    int64 // 0 for MIN, -1 for MAX
	kinds   []vec.Kind
	keys    []int64
	misfits misfits
}

// The kinds of a slot that are none of a value: nothing yet, and datetimes beside
// numbers, which is a query error (saql.md 7.6).
const (
	noWinner = vec.Missing
	clash    = vec.Kind(vec.NumKinds)
)

// floatKey is a number that orders as the finite float x; it is its own inverse in bits.
func floatKey(b int64) int64 { return b ^ int64(uint64(b>>63)>>1) }

func (a *extreme) Grow(n int) {
	a.kinds = grown(a.kinds, n)
	a.keys = grown(a.keys, n)
	a.misfits.grow(n)
}

func (a *extreme) Add(slots []int32, args []*vec.Vec) {
	v := args[0]
	if v.Tag != nil || v.Kind == vec.String || v.Kind > vec.Datetime {
		a.mixed(slots, v)
		return
	}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		xs := v.Int[:len(slots)]
		for i, s := range slots {
			key := xs[i] ^ a.flip
			if a.kinds[s] != v.Kind {
				a.offer(s, v.Kind, key)
			} else if key < a.keys[s] {
				a.keys[s] = key
			}
		}
	case vec.Float:
		xs := v.Float[:len(slots)]
		for i, s := range slots {
			b := math.Float64bits(xs[i])
			key := floatKey(int64(b)) ^ a.flip
			if b>>52&expMax == expMax {
				continue // no value (saql.md 3.1)
			}
			if a.kinds[s] != vec.Float {
				a.offer(s, vec.Float, key)
			} else if key < a.keys[s] {
				a.keys[s] = key
			}
		}
	}
}

// mixed adds rows of any kinds.
func (a *extreme) mixed(slots []int32, v *vec.Vec) {
	for i, s := range slots {
		k := v.KindAt(i)
		switch k {
		case vec.Missing, vec.Null:
			continue
		case vec.Bit, vec.Int, vec.Datetime:
			a.offer(s, k, v.Int[i]^a.flip)
			continue
		case vec.Float:
			a.offerFloat(s, v.Float[i])
			continue
		case vec.String:
			if x, ok := vec.ParseFloat(v.StrAt(i)); ok {
				a.offerFloat(s, x)
				continue
			}
		}
		a.misfits.add(s, k, 1)
	}
}

func (a *extreme) offerFloat(s int32, x float64) {
	if b := math.Float64bits(x); b>>52&expMax != expMax {
		a.offer(s, vec.Float, floatKey(int64(b))^a.flip)
	}
}

// offer lets a value of kind k contend for slot s.
func (a *extreme) offer(s int32, k vec.Kind, key int64) {
	switch have := a.kinds[s]; {
	case have == noWinner || have == k && key < a.keys[s]:
		a.kinds[s], a.keys[s] = k, key
	case have == k || have == clash:
	case have == vec.Datetime || k == vec.Datetime:
		a.kinds[s], a.keys[s] = clash, 0
	case a.before(k, key, have, a.keys[s]):
		a.kinds[s], a.keys[s] = k, key
	}
}

// before reports whether a number wins over one of another kind.
func (a *extreme) before(k vec.Kind, key int64, have vec.Kind, haveKey int64) bool {
	order := compareKeys(k, key^a.flip, have, haveKey^a.flip)
	if order == 0 {
		return k == vec.Int || k == vec.Float && have == vec.Bit
	}
	return (order < 0) == (a.flip == 0)
}

// compareKeys orders two numbers of different kinds by exact value.
func compareKeys(ka vec.Kind, a int64, kb vec.Kind, b int64) int {
	switch {
	case ka == vec.Float:
		return -vec.CompareIntFloat(b, math.Float64frombits(uint64(floatKey(a))))
	case kb == vec.Float:
		return vec.CompareIntFloat(a, math.Float64frombits(uint64(floatKey(b))))
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (a *extreme) Merge(dst, src []int32) {
	for i, d := range dst {
		s := src[i]
		switch k := a.kinds[s]; k {
		case noWinner:
		case clash:
			a.kinds[d], a.keys[d] = clash, 0
		default:
			a.offer(d, k, a.keys[s])
		}
		a.misfits.merge(d, s, 1)
	}
}

func (a *extreme) Reset(slots []int32) {
	for _, s := range slots {
		a.kinds[s], a.keys[s] = noWinner, 0
		a.misfits.reset(s)
	}
}

func (a *extreme) Result(c *Call, slots []int32, out *vec.Vec) {
	a.misfits.report(c, slots)
	if k, ok := a.sameKind(slots); ok {
		out.Fixed(k, len(slots))
	} else {
		out.Tagged(len(slots))
	}
	for i, s := range slots {
		switch k := a.kinds[s]; k {
		case noWinner:
		case clash:
			c.Fail(i, "argument 1 of "+a.misfits.name+" mixes datetime with numbers")
		case vec.Float:
			out.Set(i, vec.FloatValue(math.Float64frombits(uint64(floatKey(a.keys[s]^a.flip)))))
		default:
			out.Set(i, vec.Value{Kind: k, Int: a.keys[s] ^ a.flip})
		}
	}
}

// sameKind is the kind of all of slots, if they have one.
func (a *extreme) sameKind(slots []int32) (vec.Kind, bool) {
	if len(slots) == 0 {
		return vec.Null, true
	}
	k := a.kinds[slots[0]]
	for _, s := range slots {
		if a.kinds[s] != k {
			return 0, false
		}
	}
	return k, k != noWinner && k != clash
}

func (a *extreme) Save(slot int32, w *state.Writer) {
	w.Uint(uint64(a.kinds[slot]))
	w.Int(a.keys[slot] ^ a.flip)
	a.misfits.save(slot, w)
}

func (a *extreme) Load(slot int32, r *state.Reader) {
	k, key := r.Uint(), r.Int()
	switch {
	case k == uint64(noWinner) || k == uint64(clash):
		key = a.flip // no key: 0
	case k == uint64(vec.Bit), k == uint64(vec.Int), k == uint64(vec.Datetime):
	case k == uint64(vec.Float) && uint64(floatKey(key))>>52&expMax != expMax:
	default:
		r.Fail()
		return
	}
	a.kinds[slot], a.keys[slot] = vec.Kind(k), key^a.flip
	a.misfits.load(slot, r)
}

func (a *extreme) Bytes() int {
	return cap(a.kinds) + cap(a.keys)*8 + a.misfits.bytes()
}

// textExtreme is MIN or MAX in text order, which is by code point: UTF-8 keeps that order
// by bytes.
type textExtreme struct {
	greatest bool
	has      []bool
	texts    []string // owned by the slots, or by a dictionary
	size     int      // bytes of texts
}

func (a *textExtreme) Grow(n int) {
	a.has = grown(a.has, n)
	a.texts = grown(a.texts, n)
}

func (a *textExtreme) Add(slots []int32, args []*vec.Vec) {
	v := args[0]
	for i, s := range slots {
		k := v.KindAt(i)
		if k.IsNull() {
			continue
		}
		if k != vec.String {
			panic("fn: " + k.String() + " in a column of the static type nvarchar(max)")
		}
		text := v.StrAt(i)
		if !a.wins(s, text) {
			continue
		}
		if v.Dict == nil {
			text = strings.Clone(text)
		}
		a.set(s, text)
	}
}

// wins reports whether text is better than what slot s holds.
func (a *textExtreme) wins(s int32, text string) bool {
	return !a.has[s] || a.greatest && text > a.texts[s] || !a.greatest && text < a.texts[s]
}

func (a *textExtreme) set(s int32, text string) {
	a.size += len(text) - len(a.texts[s])
	a.has[s], a.texts[s] = true, text
}

func (a *textExtreme) Merge(dst, src []int32) {
	for i, d := range dst {
		if s := src[i]; a.has[s] && a.wins(d, a.texts[s]) {
			a.set(d, a.texts[s])
		}
	}
}

func (a *textExtreme) Reset(slots []int32) {
	for _, s := range slots {
		a.set(s, "")
		a.has[s] = false
	}
}

func (a *textExtreme) Result(c *Call, slots []int32, out *vec.Vec) {
	out.Fixed(vec.String, len(slots))
	for i, s := range slots {
		out.Str[i] = a.texts[s]
		if !a.has[s] {
			out.SetNull(i)
		}
	}
}

func (a *textExtreme) Save(slot int32, w *state.Writer) {
	w.Bool(a.has[slot])
	if a.has[slot] {
		w.String(a.texts[slot])
	}
}

func (a *textExtreme) Load(slot int32, r *state.Reader) {
	if r.Bool() {
		a.set(slot, r.String())
	}
}

func (a *textExtreme) Bytes() int { return cap(a.has) + cap(a.texts)*16 + a.size }
