package udf

import (
	"modernc.org/libc"
	lib "modernc.org/libquickjs"
)

// The functions of arrays and texts run inside of the engine, where no limit of time
// reaches them. An array may claim 2^53 elements without having any, and looking for a long
// text in a long text takes the product of both. Guards stand before them and refuse what
// would take longer than a fraction of a second.
const (
	maxLength = 1 << 24 // elements of an array that such a function walks over
	maxSearch = 1 << 30 // product of the lengths of two texts
)

// guardedArray are functions of Array.prototype that walk over all elements.
var guardedArray = []string{"concat", "copyWithin", "entries", "every", "fill", "filter", "find", "findIndex", "findLast", "findLastIndex", "forEach",
	"includes", "indexOf", "join", "keys", "lastIndexOf", "map", "reduce", "reduceRight", "reverse", "shift", "slice", "some", "sort", "splice",
	"toLocaleString", "toReversed", "toSorted", "toSpliced", "toString", "unshift", "values", "with"}

// guardedText are functions of String.prototype that look for a text.
var guardedText = []string{"includes", "indexOf", "lastIndexOf", "replace", "replaceAll", "split"}

// guarded is how many there may be.
const guarded = 48

// install puts the guards before their functions.
func (e *engine) install() bool {
	global := lib.XJS_GetGlobalObject(e.tls, e.ctx)
	defer e.free(global)
	n := 0
	for _, of := range []struct {
		class   string
		names   []string
		address uintptr
	}{{"Array", guardedArray, funcAddr(guardArray)}, {"String", guardedText, funcAddr(guardText)}} {
		c := e.property(global, of.class)
		proto := e.property(c, "prototype")
		e.free(c)
		ok := true
		for _, name := range of.names {
			ok = ok && e.guard(proto, name, n, of.address)
			n++
		}
		e.free(proto)
		if !ok {
			return false
		}
	}
	return true
}

// guard puts guard n before a function. The engine finds what it stands before in the table
// of its fuel.
func (e *engine) guard(proto js, name string, n int, address uintptr) bool {
	f := e.property(proto, name)
	if !e.isFunction(f) {
		e.free(f)
		return isUndefined(f)
	}
	at[fuel](e.fuel).guards[n] = f
	length := e.property(f, "length")
	g := lib.XJS_NewCFunction2(e.tls, e.ctx, address, e.put(name), intOf(length), lib.EJS_CFUNC_generic_magic, int32(n))
	if failed(g) {
		return false
	}
	return lib.XJS_DefinePropertyValueStr(e.tls, e.ctx, proto, e.put(name), g, lib.MJS_PROP_CONFIGURABLE|lib.MJS_PROP_WRITABLE) >= 0
}

// pass calls what a guard stands before.
func pass(tls *libc.TLS, ctx uintptr, this js, argc int32, argv uintptr, n int32) js {
	return lib.XJS_Call(tls, ctx, at[fuel](lib.XJS_GetContextOpaque(tls, ctx)).guards[n], this, argc, argv)
}

func guardArray(tls *libc.TLS, ctx uintptr, this js, argc int32, argv uintptr, n int32) js {
	if !walkable(tls, ctx, this) {
		return jsException
	}
	for i := range argc { // concat walks over its arguments, splice and with do not mind
		if v := *at[js](argv + uintptr(i)*jsBytes); isObject(v) && lib.XJS_GetClassID(tls, v) == lib.EJS_CLASS_ARRAY && !walkable(tls, ctx, v) {
			return jsException
		}
	}
	return pass(tls, ctx, this, argc, argv, n)
}

// walkable reports whether an array, or what is used as one, has few enough elements. If
// not an exception is pending.
func walkable(tls *libc.TLS, ctx uintptr, v js) bool {
	if !isObject(v) {
		return true // a text, or nothing to walk over
	}
	class := lib.XJS_GetClassID(tls, v)
	if class >= lib.EJS_CLASS_UINT8C_ARRAY && class <= lib.EJS_CLASS_FLOAT64_ARRAY || class == lib.EJS_CLASS_STRING {
		return true // no longer than the memory they take
	}
	length := lengthOf(tls, ctx, v)
	if failed(length) {
		return false
	}
	long := tagOf(length) == lib.EJS_TAG_INT && intOf(length) > maxLength || tagOf(length) == lib.EJS_TAG_FLOAT64 && floatOf(length) > maxLength
	plain := class == lib.EJS_CLASS_ARRAY || tagOf(length) == lib.EJS_TAG_INT || tagOf(length) == lib.EJS_TAG_FLOAT64 || isUndefined(length)
	if isCounted(length) {
		lib.XFreeValue(tls, ctx, length)
	}
	switch {
	case long:
		throwRange(tls, ctx, "the array is too long for this function")
	case !plain:
		throwRange(tls, ctx, "the length of the array is no number")
	default:
		return true
	}
	return false
}

func guardText(tls *libc.TLS, ctx uintptr, this js, argc int32, argv uintptr, n int32) js {
	if argc > 0 {
		what := *at[js](argv)
		if isText(this) && isText(what) {
			in, what := int64(intOf(lengthOf(tls, ctx, this))), int64(intOf(lengthOf(tls, ctx, what)))
			if in > what && (in-what)*what > maxSearch {
				return throwRange(tls, ctx, "the texts are too long for this function")
			}
		}
	}
	return pass(tls, ctx, this, argc, argv, n)
}

func isText(v js) bool {
	return tagOf(v) == lib.EJS_TAG_STRING || tagOf(v) == lib.EJS_TAG_STRING_ROPE
}

// lengthOf reads the property length.
func lengthOf(tls *libc.TLS, ctx uintptr, v js) js {
	const size = 8
	name := tls.Alloc(size)
	defer tls.Free(size)
	copy(bytesAt(name, size), "length\x00")
	return lib.XJS_GetPropertyStr(tls, ctx, v, name)
}

func throwRange(tls *libc.TLS, ctx uintptr, message string) js {
	p, err := libc.CString(message)
	if err != nil {
		return lib.XJS_ThrowOutOfMemory(tls, ctx)
	}
	defer libc.Xfree(tls, p)
	return lib.XJS_ThrowRangeError(tls, ctx, p, 0)
}
