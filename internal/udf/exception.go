package udf

import (
	"strconv"
	"strings"
	"unicode/utf8"

	lib "modernc.org/libquickjs"
)

// exception is a thrown value as text, with its place in the script.
type exception struct {
	text         string
	line, column int // from 1; 0: not known
	noMemory     bool
}

// maxMessage bounds the text of an exception.
const maxMessage = 500

// takeException takes the pending exception off the engine.
func (e *engine) takeException() exception {
	v := lib.XJS_GetException(e.tls, e.ctx)
	defer e.free(v)
	var x exception
	if !isObject(v) {
		// Without memory for an Error the engine throws null.
		x.noMemory = tagOf(v) == lib.EJS_TAG_NULL && e.used() > e.most-e.most/8
		b, ok := e.bytesOf(v)
		if !ok {
			e.forgetException()
			x.text = "a thrown value that is no text"
			return x
		}
		x.text = shorten(wellFormed(b))
		e.release(b)
		return x
	}
	if lib.XJS_IsError(e.tls, e.ctx, v) != 0 {
		name, message := e.textProperty(v, "name"), e.textProperty(v, "message")
		x.text = shorten(strings.TrimSuffix(name+": "+message, ": "))
		x.noMemory = name == "InternalError" && message == "out of memory"
		x.line, x.column = place(e.textProperty(v, "stack"))
		if x.line == 1 {
			x.column = max(1, x.column-e.shift)
		}
		return x
	}
	b, ok := e.bytesOf(v)
	if !ok {
		e.forgetException()
		x.text = "a thrown object that has no text"
		return x
	}
	x.text = shorten(wellFormed(b))
	e.release(b)
	return x
}

// forgetException drops a pending exception.
func (e *engine) forgetException() { e.free(lib.XJS_GetException(e.tls, e.ctx)) }

// textProperty is a property that is a text; "" if it is none or cannot be read.
func (e *engine) textProperty(v js, name string) string {
	p := e.property(v, name)
	if failed(p) {
		e.forgetException()
		return ""
	}
	defer e.free(p)
	if t := tagOf(p); t != lib.EJS_TAG_STRING && t != lib.EJS_TAG_STRING_ROPE {
		return ""
	}
	b, ok := e.bytesOf(p)
	if !ok {
		e.forgetException()
		return ""
	}
	defer e.release(b)
	return wellFormed(b[:min(len(b), 4*maxMessage)])
}

// shorten makes one short line of a text.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		n := maxMessage
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n] + "..."
	}
	return s
}

// place finds the first place in the user's script in the text of a stack, whose lines
// end in (script:3:14) or script:3:14.
func place(stack string) (line, column int) {
	_, rest, ok := strings.Cut(stack, scriptFile+":")
	if !ok {
		return 0, 0
	}
	first, rest, _ := strings.Cut(rest, ":")
	line, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	column, _ = strconv.Atoi(rest[:end])
	return line, column
}
