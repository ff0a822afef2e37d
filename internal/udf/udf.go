// Package udf runs user functions written in JavaScript (saql.md 10): it loads scripts and
// makes functions and aggregates of them that the engine calls like its own.
//
// # The boundary
//
// A call crosses from Go to the JavaScript engine and back once per row, without a batch in
// between: the engine is Go code itself (QuickJS, translated), so a crossing is a call of a
// function, about 100 ns. Arguments become JavaScript values directly and results come back
// by what they are, not by what their properties say: no code of ours runs in JavaScript at
// the boundary, so none can be tampered with.
//
// The engine is not to be trusted with the process. A call has limits of time and memory,
// and what it computes with is gone afterwards if it exceeded one: the runtime is thrown
// away and made anew, and other rows go on. A panic inside of the engine, even a read of a
// bad address, ends the call with a query error and the runtime with it, whose memory is
// then left alone, because freeing it could do harm. docs/adr/0007-javascript-engine.md has
// the reasons and the figures.
//
// # Repeatable
//
// The same rows give the same results. Date without arguments and Date.now() are the time T
// of the row, Math.random() starts from T for every row, and local time is UTC. Global
// variables keep their values from call to call within one runtime, but rows of other
// workers do not see them, so nobody can rely on them.
package udf

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"weir/internal/fn"
	"weir/internal/vec"
)

// Limits bound one call of a function (saql.md 14.1).
type Limits struct {
	Time   time.Duration // 0 means DefaultTime
	Memory int64         // bytes; 0 means DefaultMemory

	bitAsInt bool
}

// The limits of a call where nothing else is said.
const (
	DefaultTime   = time.Second
	DefaultMemory = 64 << 20
)

// Source is a function as a job or a CREATE FUNCTION declares it.
type Source struct {
	Name    string
	Script  string
	Returns vec.Kind // what results are cast to; Missing means any
	// BitAsInt makes JavaScript's Boolean a bigint: compatibility levels below 1.2.
	BitAsInt bool
	Limits   Limits
}

// identity is the same for sources that compute the same.
func (s *Source) identity() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %v %v\n%s", s.Name, s.Returns, s.BitAsInt, s.Script)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

func (s *Source) limits() Limits {
	l := s.Limits
	if l.Time <= 0 {
		l.Time = DefaultTime
	}
	if l.Memory <= 0 {
		l.Memory = DefaultMemory
	}
	l.bitAsInt = s.BitAsInt
	return l
}

// result is the static type of results.
func (s *Source) result() fn.Types {
	if s.Returns != vec.Missing {
		return fn.Of(s.Returns, vec.Null)
	}
	return fn.Any &^ fn.Of(vec.Missing)
}

// pool keeps the runtimes of a function that nobody uses at the moment. Workers take one
// each for a batch.
type pool struct {
	src  Source
	idle *shelf
}

// shelf outlives its pool, so that its runtimes can be closed then.
type shelf struct {
	mu      sync.Mutex
	engines []*engine // guarded by mu
}

func newPool(src Source) *pool {
	p := &pool{src, &shelf{}}
	runtime.AddCleanup(p, (*shelf).close, p.idle)
	return p
}

func (s *shelf) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.engines {
		e.close()
	}
	s.engines = nil
}

// owned is a runtime of one owner. It is closed when nobody holds it any more.
type owned struct{ engine *engine }

func newOwned(src Source) (*owned, error) {
	e, err := load(src)
	if err != nil {
		return nil, err
	}
	o := &owned{e}
	runtime.AddCleanup(o, (*engine).close, e)
	return o, nil
}

// take gives a runtime with the script loaded.
func (p *pool) take() (*engine, error) {
	s := p.idle
	s.mu.Lock()
	if n := len(s.engines); n > 0 {
		e := s.engines[n-1]
		s.engines = s.engines[:n-1]
		s.mu.Unlock()
		return e, nil
	}
	s.mu.Unlock()
	return load(p.src)
}

// give takes a runtime back. One that exceeded a limit is thrown away.
func (p *pool) give(e *engine) {
	if e.spent || e.broken {
		e.close()
		return
	}
	s := p.idle
	s.mu.Lock()
	s.engines = append(s.engines, e)
	s.mu.Unlock()
}

// Scalar makes a function of a script. The error may be a *fn.ScriptError.
func Scalar(src Source) (*fn.Scalar, error) {
	p := newPool(src)
	e, err := p.take()
	if err != nil {
		return nil, err
	}
	p.give(e)
	return &fn.Scalar{
		Name:     "UDF." + src.Name,
		Source:   src.identity(),
		Params:   []fn.Param{{Name: "value", Types: fn.Any}},
		Variadic: true,
		KeepNull: true,
		Costly:   true,
		Result:   func([]fn.Types) fn.Types { return src.result() },
		Doc:      fn.Doc{Summary: "UDF." + src.Name + " is a function of the job in JavaScript.", Section: "10.2"},
		Eval:     p.eval,
	}, nil
}

// eval calls the function for each row.
func (p *pool) eval(c *fn.Call, out *vec.Vec, args []*vec.Vec, n int) {
	out.Fixed(vec.Null, n)
	e, err := p.take()
	for i := 0; i < n && err == nil; {
		i = p.rows(e, c, out, args, i, n)
		if i < n { // the runtime is no good any more
			p.give(e)
			e, err = p.take()
		}
	}
	if err != nil {
		for i := range n {
			c.Fail(i, p.src.failed(err.Error()))
			out.Set(i, vec.NullValue())
		}
		return
	}
	p.give(e)
}

// rows calls the function for the rows from i on, and gives the row after the last one that
// it called it for: n, unless the runtime cannot go on.
func (p *pool) rows(e *engine, c *fn.Call, out *vec.Vec, args []*vec.Vec, i, n int) (next int) {
	at := i
	_, why := e.protect(func() (vec.Value, string) {
		e.reserve(len(args))
		for ; at < n && !e.spent; at++ {
			if c.Skip(at) {
				out.Set(at, vec.NullValue())
				continue
			}
			v, why := e.row(c, args, at)
			if why == "" && p.src.Returns != vec.Missing {
				v, why = p.src.cast(v)
			}
			if why != "" {
				c.Fail(at, p.src.explain(why))
				if c.Halt {
					at = n - 1 // no row behind it matters
					continue
				}
				v = vec.NullValue()
			}
			out.Set(at, v)
		}
		return vec.Value{}, ""
	})
	if why != "" {
		c.Fail(at, p.src.explain(why))
		if c.Halt {
			return n
		}
		out.Set(at, vec.NullValue())
		at++
	}
	return at
}

// protect does some work with the engine. If that panics, even by reading a bad address,
// the engine is not to be used again, and the text says so.
func (e *engine) protect(work func() (vec.Value, string)) (v vec.Value, why string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			e.broken = true
			v, why = vec.Value{}, fmt.Sprint("the JavaScript engine broke: ", r)
		}
	}()
	return work()
}

// row calls the function for a row. A text says why it failed.
func (e *engine) row(c *fn.Call, args []*vec.Vec, i int) (vec.Value, string) {
	var t vec.Time
	known := i < len(c.Time)
	if known {
		t = c.Time[i]
	}
	e.beginAt(t, known)
	for k, a := range args {
		v := e.toJS(a, i)
		if failed(v) {
			e.freeArgs(k)
			return vec.Value{}, e.why()
		}
		*e.arg(k) = v
	}
	v := e.call(e.entry, jsUndefined, len(args))
	return e.result(v)
}

// beginAt starts a call at the time of a row. Without one it is 1970.
func (e *engine) beginAt(t vec.Time, known bool) {
	ms := 0.0
	if known {
		ms = millis(t)
	}
	e.begin(ms, uint64(t)*0x9E3779B97F4A7C15)
}

// result makes a value of what a call gave, and frees that.
func (e *engine) result(v js) (vec.Value, string) {
	if failed(v) {
		return vec.Value{}, e.why()
	}
	if !isCounted(v) { // most results: no object, no text
		x, wrong := e.fromJS(v, 0, nil)
		if wrong == nil {
			return x, ""
		}
	}
	x, wrong := e.fromJS(v, 0, &e.arena)
	e.free(v)
	switch {
	case wrong == nil:
		return x, ""
	case wrong.thrown:
		return vec.Value{}, e.why()
	}
	return vec.Value{}, wrong.message
}

// Words for a call that exceeded a limit, in place of an exception.
const (
	tooLong = "\x00time"
	tooBig  = "\x00memory"
)

// why takes the pending exception and says what it is.
func (e *engine) why() string {
	x := e.takeException()
	switch {
	case at[fuel](e.fuel).stopped != 0:
		e.spent = true
		return tooLong
	case x.noMemory:
		e.spent = true
		return tooBig
	case x.line > 0:
		return fmt.Sprintf("%s (line %d, column %d)", x.text, x.line, x.column)
	}
	return x.text
}

// explain is the query error of a call (saql.md 13.4).
func (s *Source) explain(why string) string {
	switch why {
	case tooLong:
		return fmt.Sprintf("function '%s' exceeded its time limit of %v", s.Name, s.limits().Time)
	case tooBig:
		return fmt.Sprintf("function '%s' exceeded its memory limit of %s", s.Name, megabytes(s.limits().Memory))
	}
	return s.failed(why)
}

func (s *Source) failed(why string) string { return "function '" + s.Name + "' failed: " + why }

func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d KiB", int64(math.Ceil(float64(n)/(1<<10))))
	}
	return fmt.Sprintf("%d MiB", int64(math.Ceil(float64(n)/(1<<20))))
}
