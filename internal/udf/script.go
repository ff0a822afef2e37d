package udf

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"modernc.org/libc"
	lib "modernc.org/libquickjs"

	"weir/internal/fn"
)

// scriptFile is what the engine calls the script of the user, in the places of exceptions.
const scriptFile = "script"

//go:embed prelude.js
var prelude string

// load makes a runtime with the script and its entry point.
func load(src Source) (*engine, error) {
	e, err := newEngine(src.limits())
	if err != nil {
		return nil, err
	}
	f := at[fuel](e.fuel)
	f.limit = int64(time.Minute) // ours, however short a call may be
	if err := e.prepare(); err != nil {
		e.close()
		return nil, err
	}
	f.limit = int64(e.limits.Time)
	e.allow(e.limits.Memory)
	e.begin(0, 0)
	if err := e.script(src); err != nil {
		e.close()
		return nil, err
	}
	e.allow(e.limits.Memory)
	return e, nil
}

// prepare brings the globals into the state that scripts start with.
func (e *engine) prepare() error {
	const bare = "(%s)"
	for class, code := range map[int]string{
		lib.EJS_CLASS_DATE:    "Date.prototype.getTime",
		lib.EJS_CLASS_NUMBER:  "Number.prototype.valueOf",
		lib.EJS_CLASS_STRING:  "String.prototype.valueOf",
		lib.EJS_CLASS_BOOLEAN: "Boolean.prototype.valueOf",
	} {
		e.unbox[class] = e.eval(fmt.Sprintf(bare, code), "prelude", 0)
	}
	e.begin(0, 0)
	setup := e.eval(prelude, "prelude", 0)
	defer e.free(setup)
	if failed(setup) {
		return fmt.Errorf("prelude: %s", e.takeException().text)
	}
	*e.arg(0) = lib.XJS_NewCFunction2(e.tls, e.ctx, funcAddr(clock), e.put("now"), 0, lib.EJS_CFUNC_generic, 0)
	*e.arg(1) = lib.XJS_NewCFunction2(e.tls, e.ctx, funcAddr(quiet), e.put("log"), 0, lib.EJS_CFUNC_generic, 0)
	tools := e.call(setup, jsUndefined, 2)
	defer e.free(tools)
	if failed(tools) || !e.install() {
		return fmt.Errorf("prelude: %s", e.takeException().text)
	}
	for i := range e.tools {
		e.tools[i] = lib.XJS_GetPropertyUint32(e.tls, e.ctx, tools, uint32(i))
	}
	for m, name := range methodNames {
		e.methods[m] = lib.XJS_NewAtomLen(e.tls, e.ctx, e.put(name), lib.Tsize_t(len(name)))
	}
	return nil
}

// clock is what the script sees as the time: that of the row.
func clock(tls *libc.TLS, ctx uintptr, _ js, _ int32, _ uintptr) js {
	return mkFloat(at[fuel](lib.XJS_GetContextOpaque(tls, ctx)).now)
}

// quiet is every function of console: the sink of its lines keeps none.
func quiet(*libc.TLS, uintptr, js, int32, uintptr) js { return jsUndefined }

// script evaluates the script and finds its entry point (saql.md 10.1): the function main,
// else the one of the function's name, else the only one. A script that is nothing but a
// function without a name is that function.
func (e *engine) script(src Source) error {
	before := e.globals()
	v := e.eval(src.Script, scriptFile, 0)
	if failed(v) {
		x := e.takeException()
		if !strings.HasPrefix(x.text, "SyntaxError") {
			return e.loadError(src, x)
		}
		nameless := strings.Contains(x.text, "function name expected")
		e.shift = len("(")
		if v = e.eval("("+strings.TrimRight(src.Script, "; \t\r\n")+"\n)", scriptFile, 0); failed(v) {
			if second := e.takeException(); nameless {
				x = second
			}
			return e.loadError(src, x)
		}
	}
	if e.pick(src, before) {
		e.free(v)
		return nil
	}
	if !isUndefined(e.entry) || !e.isFunction(v) {
		e.free(v)
		return e.noEntry(src, before)
	}
	e.entry = v
	return nil
}

func (e *engine) loadError(src Source, x exception) error {
	switch {
	case at[fuel](e.fuel).stopped != 0:
		x.text = fmt.Sprintf("it runs longer than %v", e.limits.Time)
	case x.noMemory:
		x.text = "it takes more memory than " + megabytes(e.limits.Memory)
	}
	return &fn.ScriptError{Message: x.text, Line: x.line, Column: x.column}
}

// globals are the names of the functions that the script can have declared: own properties
// of the global object, and its let, const and class.
func (e *engine) globals() map[string]bool {
	found := map[string]bool{}
	for _, name := range e.globalNames() {
		found[name] = true
	}
	return found
}

// globalNames lists the global names in the order of their declaration.
func (e *engine) globalNames() []string {
	var names []string
	ctx := at[lib.TJSContext](e.ctx)
	for _, scope := range []js{ctx.Fglobal_obj, ctx.Fglobal_var_obj} {
		if lib.XJS_GetOwnPropertyNames(e.tls, e.ctx, e.word, e.word+8, scope, lib.MJS_GPN_STRING_MASK) < 0 {
			e.forgetException()
			continue
		}
		tab, n := *at[uintptr](e.word), *at[uint32](e.word + 8)
		for i := range int(n) {
			if name, ok := e.name(atomAt(tab, i)); ok {
				names = append(names, name)
			}
		}
		lib.XJS_FreePropertyEnum(e.tls, e.ctx, tab, n)
	}
	return names
}

// declared are the functions that the script has declared, by name.
func (e *engine) declared(before map[string]bool) []string {
	var names []string
	for _, name := range e.globalNames() {
		if before[name] {
			continue
		}
		v := e.global(name)
		if e.isFunction(v) {
			names = append(names, name)
		}
		e.free(v)
	}
	return names
}

// global is a global variable, undefined if there is none that can be read.
func (e *engine) global(name string) js {
	ctx := at[lib.TJSContext](e.ctx)
	for _, scope := range []js{ctx.Fglobal_var_obj, ctx.Fglobal_obj} {
		v := e.property(scope, name)
		if failed(v) {
			e.forgetException()
			continue
		}
		if !isUndefined(v) {
			return v
		}
	}
	return jsUndefined
}

// pick chooses the entry point among the functions that the script declared.
func (e *engine) pick(src Source, before map[string]bool) bool {
	names := e.declared(before)
	choice := ""
	for _, want := range []func(string) bool{
		func(name string) bool { return name == "main" },
		func(name string) bool { return name == src.Name },
		func(name string) bool { return strings.EqualFold(name, src.Name) },
		func(string) bool { return len(names) == 1 },
	} {
		for _, name := range names {
			if choice == "" && want(name) {
				choice = name
			}
		}
	}
	if choice == "" {
		return false
	}
	e.entry = e.global(choice)
	return true
}

func (e *engine) noEntry(src Source, before map[string]bool) error {
	names := e.declared(before)
	if len(names) == 0 {
		return &fn.ScriptError{Message: "the script declares no function"}
	}
	return &fn.ScriptError{Message: fmt.Sprintf("the script declares %s: one must be named main or %s", strings.Join(names, ", "), src.Name)}
}
