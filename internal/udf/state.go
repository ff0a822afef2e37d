package udf

import (
	"math"

	lib "modernc.org/libquickjs"

	"weir/internal/state"
)

// The state of an aggregation in a snapshot is what JSON could carry of it, with numbers
// that are not finite, Date, Map and Set kept as such (saql.md 10.4). Functions are left
// out: they come back with the constructor. Each value begins with its form.
const (
	formUndefined = iota
	formNull
	formFalse
	formTrue
	formNumber
	formText
	formBig
	formDate
	formArray
	formObject
	formMap
	formSet
	formLeftOut
	forms
)

// saver writes a state.
type saver struct {
	e      *engine
	w      *state.Writer
	values int
	wrong  string // why the state cannot be saved
}

// saveState writes the state object v. A text says why it cannot be written; what has been
// written then is of no use.
func (e *engine) saveState(w *state.Writer, v js) string {
	s := &saver{e: e, w: w}
	s.object(v, 0)
	return s.wrong
}

func (s *saver) fail(why string) {
	if s.wrong == "" {
		s.wrong = why
	}
}

func (s *saver) value(v js, depth int) {
	s.values++
	if s.wrong != "" {
		return
	}
	if s.values > maxStateValues {
		s.fail("its state has too many values")
		return
	}
	switch tagOf(v) {
	case lib.EJS_TAG_UNDEFINED:
		s.w.Uint(formUndefined)
	case lib.EJS_TAG_NULL:
		s.w.Uint(formNull)
	case lib.EJS_TAG_BOOL:
		s.w.Uint(uint64(formFalse + intOf(v)))
	case lib.EJS_TAG_INT:
		s.number(float64(intOf(v)))
	case lib.EJS_TAG_FLOAT64:
		s.number(floatOf(v))
	case lib.EJS_TAG_STRING, lib.EJS_TAG_STRING_ROPE:
		s.text(formText, v)
	case lib.EJS_TAG_BIG_INT, lib.EJS_TAG_SHORT_BIG_INT:
		s.text(formBig, v)
	case lib.EJS_TAG_OBJECT:
		s.instance(v, depth)
	default:
		s.w.Uint(formLeftOut)
	}
}

// maxStateValues bounds the values of one state in a snapshot.
const maxStateValues = 1 << 20

func (s *saver) number(x float64) {
	s.w.Uint(formNumber)
	s.w.Float(x)
}

func (s *saver) text(form uint64, v js) {
	b, ok := s.e.bytesOf(v)
	if !ok {
		s.fail(s.e.why())
		return
	}
	s.w.Uint(form)
	s.w.String(string(b))
	s.e.release(b)
}

func (s *saver) instance(v js, depth int) {
	class := lib.XJS_GetClassID(s.e.tls, v)
	switch {
	case depth > maxDepth:
		s.fail("its state is nested too deep, or holds itself")
	case s.e.isFunction(v):
		s.w.Uint(formLeftOut)
	case class == lib.EJS_CLASS_DATE:
		ms := lib.XJS_Call(s.e.tls, s.e.ctx, s.e.unbox[class], v, 0, s.e.argv)
		s.w.Uint(formDate)
		x := floatOf(ms)
		if tagOf(ms) == lib.EJS_TAG_INT {
			x = float64(intOf(ms))
		}
		s.w.Float(x)
	case class == lib.EJS_CLASS_NUMBER || class == lib.EJS_CLASS_STRING || class == lib.EJS_CLASS_BOOLEAN:
		p := lib.XJS_Call(s.e.tls, s.e.ctx, s.e.unbox[class], v, 0, s.e.argv)
		s.value(p, depth)
		s.e.free(p)
	case class == lib.EJS_CLASS_ARRAY:
		s.list(formArray, v, depth)
	case class == lib.EJS_CLASS_MAP || class == lib.EJS_CLASS_SET:
		form, tool := uint64(formSet), s.e.tools[listOfSet]
		if class == lib.EJS_CLASS_MAP {
			form, tool = formMap, s.e.tools[listOfMap]
		}
		*s.e.arg(0) = s.e.dup(v)
		list := s.e.call(tool, jsUndefined, 1)
		if failed(list) {
			s.fail(s.e.why())
			return
		}
		s.list(form, list, depth)
		s.e.free(list)
	default:
		s.object(v, depth)
	}
}

// list writes the elements of an array.
func (s *saver) list(form uint64, v js, depth int) {
	length := s.e.property(v, "length")
	n := int(intOf(length))
	if tagOf(length) != lib.EJS_TAG_INT || n > maxStateValues {
		s.e.free(length)
		s.fail("its state has too many values")
		return
	}
	s.w.Uint(form)
	s.w.Uint(uint64(n))
	for i := range n {
		p := lib.XJS_GetPropertyUint32(s.e.tls, s.e.ctx, v, uint32(i))
		if failed(p) {
			s.fail(s.e.why())
			return
		}
		s.value(p, depth+1)
		s.e.free(p)
		if s.wrong != "" {
			return
		}
	}
}

// object writes the own enumerable properties of an object.
func (s *saver) object(v js, depth int) {
	tab, n, ok := s.e.properties(v)
	if !ok {
		s.fail(s.e.why())
		return
	}
	defer lib.XJS_FreePropertyEnum(s.e.tls, s.e.ctx, tab, uint32(n))
	s.w.Uint(formObject)
	s.w.Uint(uint64(n))
	for i := range n {
		name, ok := s.e.name(atomAt(tab, i))
		p := lib.XGetProperty(s.e.tls, s.e.ctx, v, atomAt(tab, i))
		if !ok || failed(p) {
			s.fail(s.e.why())
			return
		}
		s.w.String(name)
		s.value(p, depth+1)
		s.e.free(p)
		if s.wrong != "" {
			return
		}
	}
}

// loader reads a state.
type loader struct {
	e *engine
	r *state.Reader
}

// loadState reads the properties of a state into the fresh object v. False means damage, or
// no memory.
func (e *engine) loadState(r *state.Reader, v js) bool {
	l := &loader{e, r}
	if r.Uint() != formObject {
		r.Fail()
	}
	return l.into(v, 0) && r.Err() == nil
}

// into reads the properties of an object.
func (l *loader) into(o js, depth int) bool {
	for range l.r.Count() {
		name := l.r.String()
		form := l.r.Uint()
		if form == formLeftOut {
			continue
		}
		v := l.value(form, depth+1)
		if failed(v) {
			return false
		}
		a := l.e.atom(name)
		if a == 0 || lib.XJS_DefinePropertyValue(l.e.tls, l.e.ctx, o, a, v, lib.MJS_PROP_C_W_E) < 0 {
			return false
		}
	}
	return l.r.Err() == nil
}

// value reads a value of a form. It is an exception after an error.
func (l *loader) value(form uint64, depth int) js {
	if depth > maxDepth+1 || l.r.Err() != nil {
		l.r.Fail()
		return jsException
	}
	switch form {
	case formNull:
		return jsNull
	case formUndefined, formLeftOut:
		return jsUndefined
	case formFalse, formTrue:
		return mkBool(form == formTrue)
	case formNumber:
		return l.number(l.r.Float())
	case formText:
		return l.e.newText(l.r.String())
	case formDate:
		return lib.XJS_NewDate(l.e.tls, l.e.ctx, l.r.Float())
	case formBig:
		return l.make(bigOfText, l.e.newText(l.r.String()))
	case formArray:
		return l.array(depth)
	case formMap:
		return l.make(mapOfList, l.array(depth))
	case formSet:
		return l.make(setOfList, l.array(depth))
	case formObject:
		o := lib.XJS_NewObject(l.e.tls, l.e.ctx)
		if !failed(o) && !l.into(o, depth) {
			l.e.free(o)
			return jsException
		}
		return o
	}
	l.r.Fail()
	return jsException
}

func (l *loader) number(x float64) js {
	if x == math.Trunc(x) && math.Abs(x) < 1<<31 && !math.Signbit(x) {
		return mkInt(int32(x))
	}
	return mkFloat(x)
}

func (l *loader) array(depth int) js {
	o := lib.XJS_NewArray(l.e.tls, l.e.ctx)
	if failed(o) {
		return o
	}
	for i := range uint32(l.r.Count()) {
		v := l.value(l.r.Uint(), depth+1)
		if failed(v) || lib.XJS_DefinePropertyValueUint32(l.e.tls, l.e.ctx, o, i, v, lib.MJS_PROP_C_W_E) < 0 {
			l.e.free(o)
			return jsException
		}
	}
	return o
}

// make calls the tool that builds a Map, a Set or a BigInt.
func (l *loader) make(tool int, from js) js {
	if failed(from) {
		return from
	}
	*l.e.arg(0) = from
	return l.e.call(l.e.tools[tool], jsUndefined, 1)
}
