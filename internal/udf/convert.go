package udf

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	lib "modernc.org/libquickjs"

	"weir/internal/vec"
)

// Bounds of what a function may return.
const (
	maxDepth  = 64       // levels of records and arrays (saql.md 14.1)
	maxText   = 1 << 20  // bytes of a text (saql.md 14.1)
	maxValues = 1 << 18  // values in a record or array
	maxBytes  = 16 << 20 // bytes of all its texts
)

// classes is how many kinds of built-in objects unbox knows: those up to Date.
const classes = lib.EJS_CLASS_DATE + 1

// unixEpoch is 1970-01-01 in ticks.
var unixEpoch = vec.FromCivil(1970, 1, 1)

// millis is t as JavaScript counts time, cut to milliseconds (saql.md 10.3).
func millis(t vec.Time) float64 {
	d := t - unixEpoch
	ms := d / vec.Millisecond
	if d%vec.Millisecond < 0 {
		ms--
	}
	return float64(ms)
}

// fromMillis is the datetime of a Date; false if there is none: NaN, or a year that
// datetime has not.
func fromMillis(ms float64) (vec.Time, bool) {
	const most = 8.64e15 // what Date holds
	if !(ms >= -most && ms <= most) {
		return 0, false
	}
	t := unixEpoch + vec.Time(ms)*vec.Millisecond
	return t, t >= 0 && t < vec.FromCivil(10000, 1, 1)
}

// toJS makes a JavaScript value of row i of a column (saql.md 10.3). It is an exception if
// there is no memory.
func (e *engine) toJS(col *vec.Vec, i int) js {
	switch col.KindAt(i) {
	case vec.Int:
		return mkNumber(col.Int[i])
	case vec.Float:
		return mkFloat(col.Float[i])
	case vec.String:
		return e.newText(col.StrAt(i))
	case vec.Bit:
		return mkBool(col.Int[i] != 0)
	case vec.Missing, vec.Null:
		return jsNull
	}
	return e.valueToJS(col.At(i))
}

// mkNumber is a bigint as a Number: beyond 2^53 the nearest one.
func mkNumber(x int64) js {
	if x == int64(int32(x)) {
		return mkInt(int32(x))
	}
	return mkFloat(float64(x))
}

// valueToJS makes a JavaScript value of a value. Records and arrays become fresh objects.
func (e *engine) valueToJS(v vec.Value) js {
	switch v.Kind {
	case vec.Int:
		return mkNumber(v.Int)
	case vec.Float:
		return mkFloat(v.Float)
	case vec.String:
		return e.newText(v.Str)
	case vec.Bit:
		return mkBool(v.Int != 0)
	case vec.Datetime:
		return lib.XJS_NewDate(e.tls, e.ctx, millis(vec.Time(v.Int)))
	case vec.Record:
		return e.objectOf(v.Rec)
	case vec.Array:
		return e.arrayOf(v.Rec)
	}
	return jsNull
}

func (e *engine) objectOf(r *vec.Rec) js {
	o := lib.XJS_NewObject(e.tls, e.ctx)
	if failed(o) || r == nil {
		return o
	}
	for i, x := range r.Vals {
		v := e.valueToJS(x)
		if failed(v) {
			e.free(o)
			return v
		}
		// The atom comes last: making the value may have forgotten older ones. Defining takes v.
		a := e.atom(r.Names[i])
		if a == 0 || lib.XJS_DefinePropertyValue(e.tls, e.ctx, o, a, v, lib.MJS_PROP_C_W_E) < 0 {
			if a == 0 {
				e.free(v)
			}
			e.free(o)
			return jsException
		}
	}
	return o
}

func (e *engine) arrayOf(r *vec.Rec) js {
	o := lib.XJS_NewArray(e.tls, e.ctx)
	if failed(o) || r == nil {
		return o
	}
	for i, x := range r.Vals {
		v := e.valueToJS(x)
		if failed(v) || lib.XJS_DefinePropertyValueUint32(e.tls, e.ctx, o, uint32(i), v, lib.MJS_PROP_C_W_E) < 0 {
			e.free(o)
			return jsException
		}
	}
	return o
}

// misfit is a result that is no value. thrown says that an exception is pending instead,
// because JavaScript code ran, such as that of a getter.
type misfit struct {
	message string
	thrown  bool
}

func (m *misfit) Error() string { return m.message }

var (
	errThrown = &misfit{thrown: true}
	tooMany   = &misfit{message: "the result is too large: more than " + strconv.Itoa(maxValues) + " values"}
)

// fromJS makes a value of what the script returned (saql.md 10.3). It does not free v.
func (e *engine) fromJS(v js, depth int, arena *vec.Arena) (vec.Value, *misfit) {
	e.values++
	if e.values > maxValues {
		return vec.Value{}, tooMany
	}
	switch tagOf(v) {
	case lib.EJS_TAG_INT:
		return vec.IntValue(int64(intOf(v))), nil
	case lib.EJS_TAG_FLOAT64:
		return number(floatOf(v)), nil
	case lib.EJS_TAG_BOOL:
		return e.bit(intOf(v) != 0), nil
	case lib.EJS_TAG_NULL, lib.EJS_TAG_UNDEFINED:
		return vec.NullValue(), nil
	case lib.EJS_TAG_STRING, lib.EJS_TAG_STRING_ROPE:
		return e.textFrom(v, arena)
	case lib.EJS_TAG_BIG_INT, lib.EJS_TAG_SHORT_BIG_INT:
		return e.bigFrom(v)
	case lib.EJS_TAG_OBJECT:
		return e.objectFrom(v, depth, arena)
	case lib.EJS_TAG_SYMBOL:
		return vec.Value{}, noValue("a symbol")
	}
	return vec.Value{}, noValue("an internal value")
}

func noValue(what string) *misfit {
	return &misfit{message: "the result is " + what + ", which is no value"}
}

// number is bigint for an integral number in its range, else float; what is not finite is
// NULL.
func number(x float64) vec.Value {
	switch {
	case x == math.Trunc(x) && x >= -1<<63 && x < 1<<63:
		return vec.IntValue(int64(x))
	case math.IsNaN(x) || math.IsInf(x, 0):
		return vec.NullValue()
	}
	return vec.FloatValue(x)
}

// bit is what a Boolean becomes: bigint below level 1.2.
func (e *engine) bit(b bool) vec.Value {
	v := vec.BitValue(b)
	if e.limits.bitAsInt {
		v.Kind = vec.Int
	}
	return v
}

func (e *engine) textFrom(v js, arena *vec.Arena) (vec.Value, *misfit) {
	b, ok := e.bytesOf(v)
	if !ok {
		return vec.Value{}, errThrown
	}
	defer e.release(b)
	e.bytes += len(b)
	if len(b) > maxText || e.bytes > maxBytes {
		return vec.Value{}, &misfit{message: "the result is too large: a text of more than 1 MiB, or texts of more than 16 MiB"}
	}
	if utf8.Valid(b) {
		return vec.StringValue(arena.String(unsafe.String(unsafe.SliceData(b), len(b)))), nil
	}
	return vec.StringValue(wellFormed(b)), nil
}

// wellFormed copies text that the engine wrote. Lone surrogates, three bytes each, become
// U+FFFD.
func wellFormed(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for len(b) > 0 {
		if len(b) >= 3 && b[0] == 0xED && b[1] >= 0xA0 {
			s.WriteRune(utf8.RuneError)
			b = b[3:]
			continue
		}
		r, n := utf8.DecodeRune(b)
		s.WriteRune(r)
		b = b[n:]
	}
	return s.String()
}

// bigFrom takes a BigInt in the range of bigint.
func (e *engine) bigFrom(v js) (vec.Value, *misfit) {
	b, ok := e.bytesOf(v)
	if !ok {
		return vec.Value{}, errThrown
	}
	defer e.release(b)
	if x, err := strconv.ParseInt(string(b), 10, 64); err == nil {
		return vec.IntValue(x), nil
	}
	return vec.Value{}, noValue("a BigInt outside of bigint")
}

// objectFrom takes an object by its class: what it is, whatever its properties say.
func (e *engine) objectFrom(v js, depth int, arena *vec.Arena) (vec.Value, *misfit) {
	class := lib.XJS_GetClassID(e.tls, v)
	switch {
	case class == lib.EJS_CLASS_DATE:
		return e.dateFrom(v)
	case class == lib.EJS_CLASS_NUMBER || class == lib.EJS_CLASS_STRING || class == lib.EJS_CLASS_BOOLEAN:
		p := lib.XJS_Call(e.tls, e.ctx, e.unbox[class], v, 0, e.argv)
		if failed(p) {
			return vec.Value{}, errThrown
		}
		defer e.free(p)
		return e.fromJS(p, depth, arena)
	case depth >= maxDepth:
		return vec.Value{}, &misfit{message: fmt.Sprintf("the result is nested more than %d levels deep, or holds itself", maxDepth)}
	case class == lib.EJS_CLASS_OBJECT || class == lib.EJS_CLASS_ARGUMENTS || class == lib.EJS_CLASS_MAPPED_ARGUMENTS:
		return e.recordFrom(v, depth, arena)
	case class == lib.EJS_CLASS_ARRAY || class >= lib.EJS_CLASS_UINT8C_ARRAY && class <= lib.EJS_CLASS_FLOAT64_ARRAY:
		return e.arrayFrom(v, depth, arena)
	case e.isFunction(v):
		return vec.Value{}, noValue("a function")
	case class == lib.EJS_CLASS_ERROR:
		return vec.Value{}, noValue("an Error")
	}
	if name, ok := otherClasses[class]; ok {
		return vec.Value{}, noValue("a " + name)
	}
	return vec.Value{}, noValue("an object of a special kind")
}

// otherClasses are objects that people return by mistake, by what they call them.
var otherClasses = map[uint32]string{
	lib.EJS_CLASS_REGEXP: "RegExp", lib.EJS_CLASS_MAP: "Map", lib.EJS_CLASS_SET: "Set", lib.EJS_CLASS_SYMBOL: "Symbol",
	lib.EJS_CLASS_PROMISE: "Promise", lib.EJS_CLASS_PROXY: "Proxy", lib.EJS_CLASS_GENERATOR: "generator",
	lib.EJS_CLASS_ARRAY_ITERATOR: "iterator", lib.EJS_CLASS_MAP_ITERATOR: "iterator", lib.EJS_CLASS_SET_ITERATOR: "iterator",
	lib.EJS_CLASS_WEAKMAP: "WeakMap", lib.EJS_CLASS_WEAKSET: "WeakSet", lib.EJS_CLASS_ARRAY_BUFFER: "ArrayBuffer", lib.EJS_CLASS_DATAVIEW: "DataView",
}

// dateFrom asks the Date itself, not what the script may have put in the place of getTime.
func (e *engine) dateFrom(v js) (vec.Value, *misfit) {
	ms := lib.XJS_Call(e.tls, e.ctx, e.unbox[lib.EJS_CLASS_DATE], v, 0, e.argv)
	if failed(ms) {
		return vec.Value{}, errThrown
	}
	x := floatOf(ms)
	if tagOf(ms) == lib.EJS_TAG_INT {
		x = float64(intOf(ms))
	}
	if t, ok := fromMillis(x); ok {
		return vec.TimeValue(t), nil
	}
	return vec.NullValue(), nil
}

// recordFrom takes the own enumerable properties in order.
func (e *engine) recordFrom(v js, depth int, arena *vec.Arena) (vec.Value, *misfit) {
	tab, n, ok := e.properties(v)
	if !ok {
		return vec.Value{}, errThrown
	}
	defer lib.XJS_FreePropertyEnum(e.tls, e.ctx, tab, uint32(n))
	if n > maxValues {
		e.values = maxValues
	}
	if n > maxValues-e.values {
		return vec.Value{}, tooMany
	}
	names, ok := e.namesOf(tab, n)
	if !ok {
		return vec.Value{}, errThrown
	}
	r := &vec.Rec{Names: names, Vals: make([]vec.Value, n)}
	for i := range r.Vals {
		p := lib.XGetProperty(e.tls, e.ctx, v, atomAt(tab, i))
		if failed(p) {
			return vec.Value{}, errThrown
		}
		x, wrong := e.fromJS(p, depth+1, arena)
		e.free(p)
		if wrong != nil {
			return vec.Value{}, wrong
		}
		r.Vals[i] = x
	}
	return vec.RecordValue(r), nil
}

func atomAt(tab uintptr, i int) lib.TJSAtom {
	return at[lib.TJSPropertyEnum](tab + uintptr(i)*unsafe.Sizeof(lib.TJSPropertyEnum{})).Fatom
}

// namesOf are the names in a list of properties. Records that look like the one before
// share its names.
func (e *engine) namesOf(tab uintptr, n int) ([]string, bool) {
	form := e.intern.form
	if len(form) != n {
		form = nil
	}
	i := 0
	for ; i < len(form); i++ {
		name, ok := e.name(atomAt(tab, i))
		if !ok {
			return nil, false
		}
		if form[i] != name {
			break
		}
	}
	if form != nil && i == n {
		return form, true
	}
	names := make([]string, n)
	copy(names, form[:i])
	for ; i < n; i++ {
		name, ok := e.name(atomAt(tab, i))
		if !ok {
			return nil, false
		}
		names[i] = name
	}
	e.intern.form = names
	return names, true
}

// properties lists the own enumerable properties of an object: the address of the list and
// its length.
func (e *engine) properties(v js) (uintptr, int, bool) {
	tab, count := e.word, e.word+8
	if lib.XJS_GetOwnPropertyNames(e.tls, e.ctx, tab, count, v, lib.MJS_GPN_STRING_MASK|lib.MJS_GPN_ENUM_ONLY) < 0 {
		return 0, 0, false
	}
	return *at[uintptr](tab), int(*at[uint32](count)), true
}

func (e *engine) arrayFrom(v js, depth int, arena *vec.Arena) (vec.Value, *misfit) {
	length := e.property(v, "length")
	if failed(length) {
		return vec.Value{}, errThrown
	}
	n := float64(intOf(length))
	if tagOf(length) == lib.EJS_TAG_FLOAT64 {
		n = floatOf(length)
	} else if tagOf(length) != lib.EJS_TAG_INT {
		e.free(length)
		return vec.Value{}, noValue("an array without a length")
	}
	if !(n >= 0 && n <= float64(maxValues-e.values)) {
		return vec.Value{}, tooMany
	}
	r := &vec.Rec{Vals: make([]vec.Value, int(n))}
	for i := range r.Vals {
		p := lib.XJS_GetPropertyUint32(e.tls, e.ctx, v, uint32(i))
		if failed(p) {
			return vec.Value{}, errThrown
		}
		x, wrong := e.fromJS(p, depth+1, arena)
		e.free(p)
		if wrong != nil {
			return vec.Value{}, wrong
		}
		r.Vals[i] = x
	}
	return vec.ArrayValue(r), nil
}
