package udf

import (
	"strings"
	"unsafe"

	lib "modernc.org/libquickjs"
)

// interned are names of properties that have been seen, both ways, so that records of the
// same form cost no text each.
type interned struct {
	atoms map[string]lib.TJSAtom
	names map[lib.TJSAtom]string
	// form is the names of the last record that came back: records of a column mostly look
	// alike and then share them.
	form []string
}

// maxInterned bounds the names that are kept; beyond it all are forgotten.
const maxInterned = 4096

func (t *interned) init() {
	t.atoms = map[string]lib.TJSAtom{}
	t.names = map[lib.TJSAtom]string{}
}

// drop forgets all names.
func (t *interned) drop(e *engine) {
	for _, a := range t.atoms {
		lib.XJS_FreeAtom(e.tls, e.ctx, a)
	}
	for a := range t.names {
		lib.XJS_FreeAtom(e.tls, e.ctx, a)
	}
	clear(t.atoms)
	clear(t.names)
}

// atom is the engine's word for a name; 0 if there is no memory.
func (e *engine) atom(name string) lib.TJSAtom {
	if a, ok := e.intern.atoms[name]; ok {
		return a
	}
	if len(e.intern.atoms) >= maxInterned {
		e.intern.drop(e)
	}
	a := lib.XJS_NewAtomLen(e.tls, e.ctx, e.put(name), lib.Tsize_t(len(name)))
	if a != 0 {
		e.intern.atoms[strings.Clone(name)] = a
	}
	return a
}

// name is the name that an atom stands for; false if there is no memory for it.
func (e *engine) name(a lib.TJSAtom) (string, bool) {
	if s, ok := e.intern.names[a]; ok {
		return s, true
	}
	if len(e.intern.names) >= maxInterned {
		e.intern.drop(e)
	}
	v := lib.XJS_AtomToString(e.tls, e.ctx, a)
	if failed(v) {
		return "", false
	}
	b, ok := e.bytesOf(v)
	s := wellFormed(b)
	if ok {
		e.release(b)
		e.intern.names[lib.XJS_DupAtom(e.tls, e.ctx, a)] = s
	}
	e.free(v)
	return s, ok
}

// bytesOf is a value as text in UTF-8, where lone surrogates may stand as three bytes. It
// is valid until it is released; false means an exception.
func (e *engine) bytesOf(v js) ([]byte, bool) {
	p := lib.XJS_ToCStringLen2(e.tls, e.ctx, e.word, v, 0)
	if p == 0 {
		return nil, false
	}
	return bytesAt(p, int(*at[lib.Tsize_t](e.word))), true
}

// release gives back what bytesOf gave.
func (e *engine) release(b []byte) {
	lib.XJS_FreeCString(e.tls, e.ctx, uintptr(unsafe.Pointer(unsafe.SliceData(b))))
}
