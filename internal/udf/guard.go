package udf

import (
	"slices"

	"modernc.org/libc"
	lib "modernc.org/libquickjs"
)

// The functions of arrays and texts run inside of the engine, where no limit of time
// reaches them. An array may claim 2^53 elements without having any, and looking for a long
// text in a long text takes the product of both. Guards stand before them and refuse what
// would take longer than a fraction of a second; what takes a while they count as steps, so
// that the clock is looked at soon.
const (
	maxLength   = 1 << 24 // elements of an array that such a function walks over
	maxSorted   = 1 << 20 // elements of an array that is sorted
	maxSearch   = 1 << 30 // product of the lengths of two texts
	maxSearched = 1 << 16 // length of a text in which something is looked for that is no text yet
	perStep     = 64      // elements or characters that are as much work as a step
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
	length, ok := walkable(tls, ctx, this)
	if !ok {
		return jsException
	}
	if length > maxSorted && (n == sortGuard || n == toSortedGuard) {
		return tooLongArray(tls, ctx)
	}
	for i := range argc { // concat walks over its arguments; others have few that are arrays
		v := *at[js](argv + uintptr(i)*jsBytes)
		switch {
		case isObject(v) && lib.XJS_GetClassID(tls, v) == lib.EJS_CLASS_ARRAY:
			more, ok := walkable(tls, ctx, v)
			if !ok {
				return jsException
			}
			length += more
		case isText(v) && length*textLength(tls, ctx, v) > 8*maxSearch:
			return tooLongArray(tls, ctx)
		}
	}
	charge(ctx, length)
	return pass(tls, ctx, this, argc, argv, n)
}

// sortGuard and toSortedGuard are the numbers of guards.
var (
	sortGuard     = int32(slices.Index(guardedArray, "sort"))
	toSortedGuard = int32(slices.Index(guardedArray, "toSorted"))
)

// charge counts work as steps.
func charge(ctx uintptr, work int64) {
	c := at[lib.TJSContext](ctx)
	c.Finterrupt_counter -= int32(min(work/perStep, mostSteps))
}

// walkable gives the length of an array, or of what is used as one. If it is too great, or
// could be another one when the function asks for it, an exception is pending.
func walkable(tls *libc.TLS, ctx uintptr, v js) (int64, bool) {
	if !isObject(v) {
		return 0, true // a text, or nothing to walk over
	}
	class := lib.XJS_GetClassID(tls, v)
	if class >= lib.EJS_CLASS_UINT8C_ARRAY && class <= lib.EJS_CLASS_FLOAT64_ARRAY || class == lib.EJS_CLASS_STRING {
		return 0, true // no longer than the memory they take
	}
	var length js
	if class == lib.EJS_CLASS_ARRAY {
		length = lengthOf(tls, ctx, v)
	} else if length = plainLength(tls, ctx, v); failed(length) {
		return 0, false
	}
	x := float64(intOf(length))
	switch tagOf(length) {
	case lib.EJS_TAG_INT:
	case lib.EJS_TAG_FLOAT64:
		x = floatOf(length)
	case lib.EJS_TAG_UNDEFINED:
		return 0, true
	default:
		lib.XFreeValue(tls, ctx, length)
		throwRange(tls, ctx, "the length of the array is no number")
		return 0, false
	}
	if x > maxLength {
		tooLongArray(tls, ctx)
		return 0, false
	}
	return max(int64(x), 0), true
}

// maxChain bounds the prototypes that plainLength follows.
const maxChain = 64

// plainLength is the length of an object that is no array, if it is a plain property: one
// that runs no code when it is read. Else it is an exception.
func plainLength(tls *libc.TLS, ctx uintptr, v js) js {
	const size = 64
	desc := tls.Alloc(size)
	defer tls.Free(size)
	name := at[fuel](lib.XJS_GetContextOpaque(tls, ctx)).length
	v = lib.XDupValue(tls, ctx, v)
	for range maxChain {
		if !isObject(v) {
			return jsUndefined
		}
		if lib.XJS_GetClassID(tls, v) == lib.EJS_CLASS_PROXY {
			break
		}
		found := lib.XJS_GetOwnProperty(tls, ctx, desc, v, name)
		if found != 0 {
			lib.XFreeValue(tls, ctx, v)
		}
		if found < 0 {
			return jsException
		}
		if found > 0 {
			d := at[lib.TJSPropertyDescriptor](desc)
			for _, f := range []js{d.Fgetter, d.Fsetter} {
				if isCounted(f) {
					lib.XFreeValue(tls, ctx, f)
				}
			}
			if d.Fflags&lib.MJS_PROP_GETSET == 0 {
				return d.Fvalue
			}
			return throwRange(tls, ctx, "the length of the array is no plain property")
		}
		next := lib.XJS_GetPrototype(tls, ctx, v)
		lib.XFreeValue(tls, ctx, v)
		v = next
	}
	lib.XFreeValue(tls, ctx, v)
	return throwRange(tls, ctx, "the length of the array is no plain property")
}

func guardText(tls *libc.TLS, ctx uintptr, this js, argc int32, argv uintptr, n int32) js {
	if argc == 0 {
		return pass(tls, ctx, this, argc, argv, n)
	}
	what := *at[js](argv)
	length := textLength(tls, ctx, this)
	switch {
	case isObject(this) && lib.XJS_GetClassID(tls, this) != lib.EJS_CLASS_STRING:
		return throwRange(tls, ctx, "this function wants a text")
	case isText(what):
		if m := textLength(tls, ctx, what); m > 0 && length > m && (length-m)*m > maxSearch {
			return throwRange(tls, ctx, "the texts are too long for this function")
		}
	case isObject(what) && length > maxSearched && lib.XJS_GetClassID(tls, what) != lib.EJS_CLASS_REGEXP:
		return throwRange(tls, ctx, "the text is too long to look for what is no text")
	}
	charge(ctx, length)
	return pass(tls, ctx, this, argc, argv, n)
}

func isText(v js) bool {
	return tagOf(v) == lib.EJS_TAG_STRING || tagOf(v) == lib.EJS_TAG_STRING_ROPE
}

// textLength is the length of a text, 0 for what is none. It runs no code of the script.
func textLength(tls *libc.TLS, ctx uintptr, v js) int64 {
	if !isText(v) && !(isObject(v) && lib.XJS_GetClassID(tls, v) == lib.EJS_CLASS_STRING) {
		return 0
	}
	return int64(intOf(lengthOf(tls, ctx, v)))
}

// lengthOf reads the property length of an array or a text, which is a number.
func lengthOf(tls *libc.TLS, ctx uintptr, v js) js {
	return lib.XGetProperty(tls, ctx, v, at[fuel](lib.XJS_GetContextOpaque(tls, ctx)).length)
}

func tooLongArray(tls *libc.TLS, ctx uintptr) js {
	return throwRange(tls, ctx, "the array is too long for this function")
}

func throwRange(tls *libc.TLS, ctx uintptr, message string) js {
	p, err := libc.CString(message)
	if err != nil {
		return lib.XJS_ThrowOutOfMemory(tls, ctx)
	}
	defer libc.Xfree(tls, p)
	return lib.XJS_ThrowRangeError(tls, ctx, p, 0)
}
