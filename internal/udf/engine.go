package udf

import (
	"errors"
	"slices"
	"sync"
	"time"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/libquickjs"

	"weir/internal/vec"
)

// engine is one JavaScript runtime: its memory, its globals and the script. It lives
// outside of Go's memory, so whoever drops it calls close. One goroutine uses it at a time.
type engine struct {
	tls  *libc.TLS
	rt   uintptr // JSRuntime
	ctx  uintptr // JSContext
	argv uintptr // room for the arguments of a call
	argc int     // how many fit
	text uintptr // room for a text on its way in
	size int     // how many bytes fit
	word uintptr // room for results by pointer
	fuel uintptr // *fuel

	limits  Limits
	most    int64       // bytes the runtime may take
	entry   js          // the function that calls go to
	unbox   [classes]js // by class: what gives the primitive in an object
	tools   [tools]js   // of the prelude
	states  []js        // state objects of aggregations, undefined where there is none
	spare   []int32     // positions in states that are free
	shift   int         // characters put in front of the script
	methods [methods]lib.TJSAtom
	intern  interned  // names of properties
	spent   bool      // a limit was exceeded: not for further use
	broken  bool      // the engine panicked: its memory cannot be trusted
	arena   vec.Arena // of the texts that come back
	values  int       // values of the result at hand
	bytes   int       // text of the result at hand
}

// The functions that the prelude gives: a Map and a Set as lists and back, a BigInt of a text.
const (
	listOfMap = iota
	listOfSet
	mapOfList
	setOfList
	bigOfText
	tools
)

// fuel is what the interrupt handler works with. It lies outside of Go's memory, where the
// engine can hold its address.
type fuel struct {
	limit    int64 // nanoseconds a call may take
	deadline int64 // of the call at hand; 0: starts with the first look at the clock
	stopped  int64 // 1 once the call was told to stop
	looked   int64 // when interrupt looked at the clock last
	ctx      uintptr
	steps    int32       // between two looks
	length   lib.TJSAtom // the name "length"
	now      float64     // of Date, milliseconds since 1970
	guards   [guarded]js // what the guards stand before
}

// at is what lies at an address outside of Go's memory.
func at[T any](p uintptr) *T { return *(**T)(unsafe.Pointer(&p)) }

// bytesAt are the n bytes at an address outside of Go's memory.
func bytesAt(p uintptr, n int) []byte { return unsafe.Slice(at[byte](p), n) }

// funcAddr is a Go function as the engine calls it.
func funcAddr(f any) uintptr {
	type iface [2]uintptr
	return (*iface)(unsafe.Pointer(&f))[1]
}

// began is the origin of the clock that limits are measured with.
var began = time.Now()

// Steps of the engine between two looks at the clock: a call of a function, a turn of a
// loop. A step may be a built-in function that takes long, so a call begins with few of them,
// and more follow while they pass quickly.
const (
	firstSteps = 10
	mostSteps  = 10_000
	quick      = int64(time.Millisecond)
)

// interrupt is called by the engine when the steps are used up, and within the matching of
// regular expressions. The time of a call counts from the first look, which is early enough
// and saves most calls from looking at the clock at all.
func interrupt(_ *libc.TLS, _, opaque uintptr) int32 {
	f := at[fuel](opaque)
	now := int64(time.Since(began)) + 1
	switch {
	case f.deadline == 0:
		f.deadline = now + f.limit
	case now >= f.deadline:
		f.stopped = 1
		return 1
	case now-f.looked < quick:
		f.steps = min(2*f.steps, mostSteps)
	default:
		f.steps = max(f.steps/4, 1)
	}
	f.looked = now
	at[lib.TJSContext](f.ctx).Finterrupt_counter = f.steps
	return 0
}

var errNoMemory = errors.New("no memory for a JavaScript runtime")

// utcOnce gives the engine the time zone UTC, whatever the machine has: local times of Date
// must not depend on where a job runs.
var utcOnce sync.Once

func setUTC(tls *libc.TLS) {
	utcOnce.Do(func() {
		name, err1 := libc.CString("TZ")
		zone, err2 := libc.CString("UTC0")
		if err1 == nil && err2 == nil {
			libc.Xsetenv(tls, name, zone, 1)
		}
		libc.Xfree(tls, name)
		libc.Xfree(tls, zone)
	})
}

// newEngine makes a runtime without a script.
func newEngine(l Limits) (*engine, error) {
	e := &engine{tls: libc.NewTLS(), limits: l, entry: jsUndefined, argc: 8, size: 256}
	setUTC(e.tls)
	e.argv = libc.Xcalloc(e.tls, libc.Tsize_t(e.argc), jsBytes)
	e.text = libc.Xmalloc(e.tls, libc.Tsize_t(e.size))
	e.word = libc.Xcalloc(e.tls, 2, 8)
	e.fuel = libc.Xcalloc(e.tls, 1, libc.Tsize_t(unsafe.Sizeof(fuel{})))
	if e.rt = lib.XJS_NewRuntime(e.tls); e.rt != 0 {
		e.ctx = lib.XJS_NewContext(e.tls, e.rt)
	}
	if e.argv == 0 || e.text == 0 || e.word == 0 || e.fuel == 0 || e.ctx == 0 {
		e.broken = true // nothing to free that has been used
		e.close()
		return nil, errNoMemory
	}
	for i := range e.unbox {
		e.unbox[i] = jsUndefined
	}
	for i := range e.tools {
		e.tools[i] = jsUndefined
	}
	f := at[fuel](e.fuel)
	f.limit, f.ctx = int64(l.Time), e.ctx
	f.length = lib.XJS_NewAtom(e.tls, e.ctx, e.put("length"))
	for i := range f.guards {
		f.guards[i] = jsUndefined
	}
	lib.XJS_SetInterruptHandler(e.tls, e.rt, funcAddr(interrupt), e.fuel)
	lib.XJS_SetContextOpaque(e.tls, e.ctx, e.fuel)
	e.intern.init()
	e.allow(l.Memory)
	return e, nil
}

// close gives the memory back. A broken engine keeps what it has: freeing it could write
// anywhere.
func (e *engine) close() {
	if e.tls == nil {
		return
	}
	if !e.broken {
		if e.ctx != 0 {
			e.free(e.entry)
			for _, v := range e.unbox {
				e.free(v)
			}
			for _, v := range at[fuel](e.fuel).guards {
				e.free(v)
			}
			for _, v := range slices.Concat(e.tools[:], e.states) {
				e.free(v)
			}
			lib.XJS_FreeAtom(e.tls, e.ctx, at[fuel](e.fuel).length)
			for _, a := range e.methods {
				lib.XJS_FreeAtom(e.tls, e.ctx, a)
			}
			e.intern.drop(e)
			lib.XJS_FreeContext(e.tls, e.ctx)
		}
		if e.rt != 0 {
			lib.XJS_FreeRuntime(e.tls, e.rt)
		}
		for _, p := range []uintptr{e.argv, e.text, e.word, e.fuel} {
			libc.Xfree(e.tls, p)
		}
		e.tls.Close()
	}
	e.tls = nil
}

// used is how much memory the runtime has taken.
func (e *engine) used() int64 {
	return int64(at[lib.TJSRuntime](e.rt).Fmalloc_ctx.Fmalloc_state.Fmalloc_size)
}

// allow lets the runtime take so many bytes more than it has now.
func (e *engine) allow(more int64) {
	e.most = e.used() + more
	lib.XJS_SetMemoryLimit(e.tls, e.rt, libc.Tsize_t(e.most))
}

// maxStates bounds the memory of all states in one runtime.
const maxStates = 1 << 30

// allowMore lets the next call take its share, whatever states there are.
func (e *engine) allowMore() { e.allow(max(0, min(e.limits.Memory, maxStates-e.used()))) }

// construct makes a state object.
func (e *engine) construct() js {
	e.allowMore()
	return lib.XJS_CallConstructor(e.tls, e.ctx, e.entry, 0, e.argv)
}

// invoke calls a method of a state with the n arguments that stand in their places.
func (e *engine) invoke(o js, method, n int) js {
	f := lib.XGetProperty(e.tls, e.ctx, o, e.methods[method])
	if failed(f) {
		e.freeArgs(n)
		return f
	}
	v := e.call(f, o, n)
	e.free(f)
	return v
}

// keep holds a state until it is dropped, and gives its number.
func (e *engine) keep(v js) int32 {
	if n := len(e.spare); n > 0 {
		i := e.spare[n-1]
		e.spare = e.spare[:n-1]
		e.states[i] = v
		return i
	}
	e.states = append(e.states, v)
	return int32(len(e.states) - 1)
}

// drop lets a state go.
func (e *engine) drop(i int32) {
	e.free(e.states[i])
	e.states[i] = jsUndefined
	e.spare = append(e.spare, i)
}

// begin starts a call of the script at event time t: it has its whole time to go, and what
// looks like a clock or like chance follows from t.
func (e *engine) begin(ms float64, seed uint64) {
	f := at[fuel](e.fuel)
	f.deadline, f.stopped, f.steps, f.now = 0, 0, firstSteps, ms
	ctx := at[lib.TJSContext](e.ctx)
	ctx.Frandom_state, ctx.Finterrupt_counter = seed|1, firstSteps
	e.values, e.bytes = 0, 0
}

func (e *engine) free(v js) {
	if isCounted(v) {
		lib.XFreeValue(e.tls, e.ctx, v)
	}
}

func (e *engine) dup(v js) js {
	if isCounted(v) {
		return lib.XDupValue(e.tls, e.ctx, v)
	}
	return v
}

// arg is the place of argument i of the next call.
func (e *engine) arg(i int) *js { return at[js](e.argv + uintptr(i)*jsBytes) }

// reserve makes room for n arguments.
func (e *engine) reserve(n int) {
	if n <= e.argc {
		return
	}
	libc.Xfree(e.tls, e.argv)
	e.argv = libc.Xcalloc(e.tls, libc.Tsize_t(n), jsBytes)
	if e.argv == 0 {
		panic("udf: no memory for arguments")
	}
	e.argc = n
}

// call calls f with the n arguments that stand in their places, and frees them.
func (e *engine) call(f, this js, n int) js {
	v := lib.XJS_Call(e.tls, e.ctx, f, this, int32(n), e.argv)
	e.freeArgs(n)
	return v
}

func (e *engine) freeArgs(n int) {
	for i := range n {
		e.free(*e.arg(i))
		*e.arg(i) = jsUndefined
	}
}

// put copies a text with a zero behind it to where the engine can read it.
func (e *engine) put(s string) uintptr {
	if len(s) >= e.size {
		libc.Xfree(e.tls, e.text)
		e.size = 2*len(s) + 1
		e.text = libc.Xmalloc(e.tls, libc.Tsize_t(e.size))
		if e.text == 0 {
			panic("udf: no memory for a text")
		}
	}
	b := bytesAt(e.text, len(s)+1)
	copy(b, s)
	b[len(s)] = 0
	return e.text
}

// newText makes a string. It is an exception if there is no memory.
func (e *engine) newText(s string) js {
	return lib.XJS_NewStringLen(e.tls, e.ctx, e.put(s), libc.Tsize_t(len(s)))
}

// eval evaluates global code. Its completion value is the result.
func (e *engine) eval(code, file string, flags int32) js {
	name, err := libc.CString(file)
	if err != nil {
		return jsException
	}
	defer libc.Xfree(e.tls, name)
	return lib.XJS_Eval(e.tls, e.ctx, e.put(code), libc.Tsize_t(len(code)), name, flags)
}

// property reads a property by name.
func (e *engine) property(v js, name string) js {
	return lib.XJS_GetPropertyStr(e.tls, e.ctx, v, e.put(name))
}

func (e *engine) isFunction(v js) bool {
	return isObject(v) && lib.XJS_IsFunction(e.tls, e.ctx, v) != 0
}
