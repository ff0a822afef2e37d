//go:build !386 && !arm

package udf

import (
	"math"

	lib "modernc.org/libquickjs"
)

// js is a JavaScript value as the engine passes it around: a tag and 64 bits. A value with
// a negative tag is counted: who gets one frees it.
type js = lib.TJSValue

const jsBytes = 16

func mkInt(x int32) js {
	return js{Fu: lib.TJSValueUnion{Fuint641: uint64(uint32(x))}, Ftag: lib.EJS_TAG_INT}
}

func mkFloat(x float64) js {
	return js{Fu: lib.TJSValueUnion{Fuint641: math.Float64bits(x)}, Ftag: lib.EJS_TAG_FLOAT64}
}

func mkBool(x bool) js {
	v := js{Ftag: lib.EJS_TAG_BOOL}
	if x {
		v.Fu.Fuint641 = 1
	}
	return v
}

var (
	jsNull      = js{Ftag: lib.EJS_TAG_NULL}
	jsUndefined = js{Ftag: lib.EJS_TAG_UNDEFINED}
	jsException = js{Ftag: lib.EJS_TAG_EXCEPTION}
)

func tagOf(v js) int32      { return int32(v.Ftag) }
func isCounted(v js) bool   { return v.Ftag < 0 }
func floatOf(v js) float64  { return math.Float64frombits(v.Fu.Fuint641) }
func intOf(v js) int32      { return int32(v.Fu.Fuint641) } // an int or a bool
func failed(v js) bool      { return v.Ftag == lib.EJS_TAG_EXCEPTION }
func isObject(v js) bool    { return v.Ftag == lib.EJS_TAG_OBJECT }
func isUndefined(v js) bool { return v.Ftag == lib.EJS_TAG_UNDEFINED }
