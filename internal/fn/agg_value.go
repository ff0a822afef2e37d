package fn

import (
	"cmp"
	"math"

	"weir/internal/state"
	"weir/internal/vec"
)

// ownValue is row i of v as a value that may be kept: an absent field is NULL, a text has
// its own memory.
func ownValue(v *vec.Vec, i int, arena *vec.Arena) vec.Value {
	x := v.At(i)
	switch {
	case x.Kind == vec.Missing:
		return vec.NullValue()
	case x.Kind == vec.String && v.Dict == nil:
		x.Str = arena.String(x.Str)
	}
	return x
}

// pickValues sets out to the values of slots. A slot without a value, of the kind Missing,
// gives NULL.
func pickValues(out *vec.Vec, vals []vec.Value, slots []int32) {
	k := vec.Missing
	if len(slots) > 0 {
		k = vals[slots[0]].Kind
	}
	for _, s := range slots {
		if vals[s].Kind != k {
			k = vec.Missing
			break
		}
	}
	if k == vec.Missing {
		out.Tagged(len(slots))
	} else {
		out.Fixed(k, len(slots))
	}
	for i, s := range slots {
		if !vals[s].Kind.IsNull() {
			out.Set(i, vals[s])
		}
	}
}

// maxValueDepth bounds the nesting of a value in a snapshot. Events nest less (saql.md
// 14.1); collected values may nest some levels more.
const maxValueDepth = 256

// SaveValue writes a value to a snapshot.
func SaveValue(w *state.Writer, v vec.Value) {
	w.Uint(uint64(v.Kind))
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		w.Int(v.Int)
	case vec.Float:
		w.Float(v.Float)
	case vec.String:
		w.String(v.Str)
	case vec.Record, vec.Array:
		w.Uint(uint64(len(v.Rec.Vals)))
		for i, x := range v.Rec.Vals {
			if v.Kind == vec.Record {
				w.String(v.Rec.Names[i])
			}
			SaveValue(w, x)
		}
	}
}

// LoadValue reads what SaveValue wrote.
func LoadValue(r *state.Reader) vec.Value { return loadNested(r, 0) }

// loadValue reads a value that is not Missing.
func loadValue(r *state.Reader) vec.Value {
	v := LoadValue(r)
	if v.Kind == vec.Missing {
		r.Fail()
		return vec.NullValue()
	}
	return v
}

func loadNested(r *state.Reader, depth int) vec.Value {
	v := vec.Value{Kind: vec.Kind(min(r.Uint(), 255))}
	if v.Kind >= vec.NumKinds || depth > maxValueDepth {
		r.Fail()
		return vec.NullValue()
	}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		v.Int = r.Int()
	case vec.Float:
		v.Float = r.Float()
	case vec.String:
		v.Str = r.String()
	case vec.Record, vec.Array:
		v.Rec = &vec.Rec{}
		for range r.Count() {
			if v.Kind == vec.Record {
				v.Rec.Names = append(v.Rec.Names, r.String())
			}
			v.Rec.Vals = append(v.Rec.Vals, loadNested(r, depth+1))
			if r.Err() != nil {
				return vec.NullValue()
			}
		}
	}
	return v
}

// orderKey is the value of a key of ORDER BY: NULL, a number or a datetime. Numbers of
// equal value have equal orderKeys: one with a bigint's value is an Int.
type orderKey struct {
	kind vec.Kind // Null, Int, Float or Datetime
	bits int64    // the value; the bits of a Float
}

// orderKeyOf is row i of v as a key; not ok means that its kind has no order (saql.md
// 7.6: text at run time is a query error).
func orderKeyOf(v *vec.Vec, i int) (k orderKey, ok bool) {
	switch kind := v.KindAt(i); kind {
	case vec.Missing, vec.Null:
		return orderKey{kind: vec.Null}, true
	case vec.Bit, vec.Int:
		return orderKey{vec.Int, v.Int[i]}, true
	case vec.Datetime:
		return orderKey{vec.Datetime, v.Int[i]}, true
	case vec.Float:
		return floatOrderKey(v.Float[i]), true
	}
	return k, false
}

func floatOrderKey(x float64) orderKey {
	switch {
	case x == math.Trunc(x) && x >= -1<<63 && x < 1<<63:
		return orderKey{vec.Int, int64(x)}
	case math.IsNaN(x) || math.IsInf(x, 0):
		return orderKey{kind: vec.Null} // no value (saql.md 3.1)
	}
	return orderKey{vec.Float, int64(math.Float64bits(x))}
}

// compare orders keys: NULL, then numbers by exact value, then datetimes (saql.md 5.10,
// 7.6).
func (k orderKey) compare(other orderKey) int {
	a, b := k.kind, other.kind
	switch {
	case a == b && a == vec.Float:
		return cmp.Compare(math.Float64frombits(uint64(k.bits)), math.Float64frombits(uint64(other.bits)))
	case a == b:
		return cmp.Compare(k.bits, other.bits)
	case a == vec.Int && b == vec.Float:
		return vec.CompareIntFloat(k.bits, math.Float64frombits(uint64(other.bits)))
	case a == vec.Float && b == vec.Int:
		return -vec.CompareIntFloat(other.bits, math.Float64frombits(uint64(k.bits)))
	case a == vec.Null || b == vec.Datetime:
		return -1
	}
	return 1
}

// compareOrder compares two rows by all their keys.
func compareOrder(a, b []orderKey, desc []bool) int {
	for j, k := range a {
		if c := k.compare(b[j]); c != 0 {
			if desc[j] {
				return -c
			}
			return c
		}
	}
	return 0
}

func (k orderKey) save(w *state.Writer) {
	w.Uint(uint64(k.kind))
	w.Int(k.bits)
}

func loadOrderKey(r *state.Reader) orderKey {
	k := orderKey{vec.Kind(min(r.Uint(), 255)), r.Int()}
	switch {
	case k.kind == vec.Null && k.bits == 0, k.kind == vec.Int, k.kind == vec.Datetime:
		return k
	case k.kind == vec.Float && floatOrderKey(math.Float64frombits(uint64(k.bits))) == k:
		return k
	}
	r.Fail()
	return orderKey{kind: vec.Null}
}

// orderArgs reads the order keys of rows, and counts those that are none.
type orderArgs struct {
	desc    []bool
	row     []orderKey // of the row at hand
	misfits misfits
}

func newOrderArgs(name string, s AggSpec) orderArgs {
	return orderArgs{desc: s.Desc, row: make([]orderKey, len(s.Desc)), misfits: misfits{name: name, want: orderWanted, order: true}}
}

// orderWanted is what order keys may be.
const orderWanted = "bigint, float or datetime"

// read sets o.row to the keys of row i. A row that has no place in the order is counted
// as a misfit of its slot, by 1, or by -1 where it is taken back.
func (o *orderArgs) read(keys []*vec.Vec, i int, slot int32, by int64) bool {
	for j, v := range keys {
		k, ok := orderKeyOf(v, i)
		if !ok {
			o.misfits.add(slot, v.KindAt(i), by)
			return false
		}
		o.row[j] = k
	}
	return true
}
