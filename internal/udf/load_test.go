package udf

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/internal/fn"
	"weir/internal/vec"
)

func TestEntry(t *testing.T) {
	f := func(script, want string) {
		t.Helper()
		if got := call(t, Source{Name: "Twice", Script: script}, vec.Ints(7))[0]; got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	f("function main(x) { return 1 } function Twice(x) { return 2 }", "bigint 1")
	f("function other(x) { return 1 } function Twice(x) { return 2 }", "bigint 2")
	f("function other(x) { return 1 } function twice(x) { return 2 }", "bigint 2")
	f("function other(x) { return x + 1 }", "bigint 8")
	f("var k = 3; function other(x) { return x + k }", "bigint 10")
	f("const main = x => x * 2; const helper = 5", "bigint 14")
	f("let one = function (x) { return x }", "bigint 7")
	f("main = function (x) { return x - 1 }", "bigint 6")
	f("function (x) { return x + 3 }", "bigint 10")
	f("// first a comment\n/* and another */ function (x) { return x + 3 };\n", "bigint 10")
	f("async function main() { return 1 }", "function 'Twice' failed: the result is a Promise, which is no value")
	f("(x) => x * 10", "bigint 70")
	f("x => { return x }", "bigint 7")
	f("'use strict'; function main() { return typeof this }", `nvarchar(max) "undefined"`)
	f("\nfunction (x) {\n  return x.y.z; }", "function 'Twice' failed: TypeError: cannot read property 'z' of undefined (line 3, column 13)")
	f("function (x) { return x.y.z; }", "function 'Twice' failed: TypeError: cannot read property 'z' of undefined (line 1, column 26)")
	f("function main() { return arguments.length + [].slice.call(arguments).length }", "bigint 2")
	f("function main(x, y) { return typeof y }", `nvarchar(max) "undefined"`)
}

func TestDoesNotLoad(t *testing.T) {
	f := func(script, message string, line, column int) {
		t.Helper()
		_, err := Scalar(Source{Name: "f", Script: script, Limits: Limits{Time: 500 * time.Millisecond, Memory: 4 << 20}})
		var e *fn.ScriptError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want a *fn.ScriptError", script, err)
			return
		}
		if e.Message != message || e.Line != line || e.Column != column {
			t.Errorf("%s: %q at %d:%d, want %q at %d:%d", script, e.Message, e.Line, e.Column, message, line, column)
		}
	}
	f("", "the script declares no function", 0, 0)
	f("var x = 1", "the script declares no function", 0, 0)
	f("function a() { } function b() { }", "the script declares a, b: one must be named main or f", 0, 0)
	f("function main(x) {\n  return x +;\n}", "SyntaxError: unexpected token in expression: ';'", 2, 13)
	f("function (x) {\n  return x +;\n}", "SyntaxError: unexpected token in expression: ';'", 2, 13)
	f("function (x) { return 'é' +; }", "SyntaxError: unexpected token in expression: ';'", 1, 28)
	f("nothing()", "ReferenceError: 'nothing' is not defined", 1, 1)
	f("for (;;);", "it runs longer than 500ms", 1, 1)
	f("var a = []; for (;;) a.push(new Array(1000).fill(1)); function main() { }", "it takes more memory than 4 MiB", 0, 0)
	f("import x from 'y'; function main() { }", "SyntaxError: expecting '('", 1, 8)
}

func TestAggregateDoesNotLoad(t *testing.T) {
	f := func(script, method, message string) {
		t.Helper()
		_, err := Aggregate(Source{Name: "f", Script: script})
		var e *fn.ScriptError
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want a *fn.ScriptError", script, err)
			return
		}
		if e.Method != method || e.Message != message {
			t.Errorf("%s: %q, %q, want %q, %q", script, e.Method, e.Message, method, message)
		}
	}
	f("function main() { }", "init", "it lacks init()")
	f("function main() { this.init = function () { } }", "accumulate", "it lacks accumulate()")
	f("class A { init() { } accumulate() { } }", "computeResult", "it lacks computeResult()")
	f("const main = () => 1", "", "TypeError: main is not a constructor")
	f("function main() { throw new RangeError('no') }", "", "RangeError: no")
}

func TestArguments(t *testing.T) {
	f := func(script string, want string, args ...vec.Value) {
		t.Helper()
		cols := make([]vec.Vec, len(args))
		for i, v := range args {
			cols[i] = vec.Values(v)
		}
		if got := call(t, Source{Script: script}, cols...)[0]; got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	describe := "function main(x) { return Object.prototype.toString.call(x) + ' ' + JSON.stringify(x) }"
	f(describe, `nvarchar(max) "[object Null] null"`, vec.NullValue())
	f(describe, `nvarchar(max) "[object Boolean] true"`, vec.BitValue(true))
	f(describe, `nvarchar(max) "[object Number] -7"`, vec.IntValue(-7))
	f(describe, `nvarchar(max) "[object Number] 9007199254740992"`, vec.IntValue(1<<53+1))
	f(describe, `nvarchar(max) "[object Number] 2.5"`, vec.FloatValue(2.5))
	f(describe, `nvarchar(max) "[object String] \"é\\u0000😀\""`, vec.StringValue("é\x00😀"))
	f(describe, `nvarchar(max) "[object Date] \"2024-02-29T12:00:00.123Z\""`, vec.TimeValue(vec.FromCivil(2024, 2, 29)+12*vec.Hour+123*vec.Millisecond+9999))
	f(describe, `nvarchar(max) "[object Date] \"0001-01-01T00:00:00.000Z\""`, vec.TimeValue(1))
	rec := &vec.Rec{Names: []string{"b", "__proto__", "2"}, Vals: []vec.Value{vec.IntValue(1), vec.StringValue("p"), vec.NullValue()}}
	f("function main(x) { return JSON.stringify(x) + Object.keys(x) + (Object.getPrototypeOf(x) === Object.prototype) }", `nvarchar(max) "{\"2\":null,\"b\":1,\"__proto__\":\"p\"}2,b,__proto__true"`, vec.RecordValue(rec))
	f(describe, `nvarchar(max) "[object Array] [1,[\"a\"],{}]"`, vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.IntValue(1), vec.ArrayValue(&vec.Rec{Vals: []vec.Value{vec.StringValue("a")}}), vec.RecordValue(&vec.Rec{Names: []string{}})}}))
	f("function main() { return [].slice.call(arguments) }", `array [1,2,3,4,5,6,7,8,9,10]`, vec.IntValue(1), vec.IntValue(2), vec.IntValue(3), vec.IntValue(4), vec.IntValue(5),
		vec.IntValue(6), vec.IntValue(7), vec.IntValue(8), vec.IntValue(9), vec.IntValue(10))
}

func TestSettings(t *testing.T) {
	f := func(src Source, want string) {
		t.Helper()
		if got := call(t, src, vec.Strings("12"))[0]; got != want {
			t.Errorf("%+v: %s, want %s", src, got, want)
		}
	}
	f(Source{Script: "x => x == 12", BitAsInt: true}, "bigint 1")
	f(Source{Script: "x => ({a: [false]})", BitAsInt: true}, `record {"a":[0]}`)
	f(Source{Script: "x => x", Returns: vec.Float}, "float 12.0")
	f(Source{Script: "x => ({x})", Returns: vec.Float}, `function 'f' failed: the result {"x":"12"} does not convert to float`)
	f(Source{Script: "x => null", Returns: vec.Float}, "null null")
	f(Source{Script: "x => { for (;;); }", Limits: Limits{Time: 20 * time.Millisecond}}, "function 'f' exceeded its time limit of 20ms")
	f(Source{Script: "x => new Uint8Array(5e6)", Limits: Limits{Memory: 1 << 19}}, "function 'f' exceeded its memory limit of 512 KiB")
}

// TestRepeats: what looks like a clock or like chance follows from the time of the row, and
// local time is UTC wherever the test runs.
func TestRepeats(t *testing.T) {
	s, err := Scalar(Source{Name: "f", Script: "function main() { return [Math.random(), Math.random(), Date.now(), +new Date, new Date().getHours(), new Date(2024, 6, 1).getTimezoneOffset(), +new Date('2024-07-01T00:00:00')] }"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(times ...vec.Time) []string {
		var c fn.Call
		c.Time = times
		var out vec.Vec
		s.Run(&c, &out, nil, nil, len(times))
		var got []string
		for i := range times {
			got = append(got, string(vec.AppendJSON(nil, out.At(i))))
		}
		return got
	}
	t1, t2 := vec.FromCivil(2024, 1, 1), vec.FromCivil(2024, 1, 1)+5*vec.Hour+1
	a, b := f(t1, t2, t1), f(t2)
	if a[0] != a[2] || a[1] != b[0] || a[0] == a[1] {
		t.Errorf("results do not follow the time of the row: %q, %q", a, b)
	}
	want := ",1704085200000,1704085200000,5,0,1719792000000]"
	if !hasSuffix(a[1], want) {
		t.Errorf("%s does not end in %s", a[1], want)
	}
}

func hasSuffix(s, end string) bool { return len(s) >= len(end) && s[len(s)-len(end):] == end }

// TestWorkers: several goroutines call one function at the same time.
func TestWorkers(t *testing.T) {
	s, err := Scalar(Source{Name: "f", Script: "var n = 0; function main(x) { if (x % 50 == 0) throw new Error('x'); n++; return 'v' + x }", Limits: Limits{Time: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var c fn.Call
			wrong := 0
			c.OnError = func(int, string) { wrong++ }
			var out vec.Vec
			var col vec.Vec
			for i := range 200 {
				col.Append(vec.IntValue(int64(i)))
			}
			for range 20 {
				s.Run(&c, &out, []*vec.Vec{&col}, make([]vec.Vec, 1), col.N)
				if out.At(7).Str != "v7" || out.At(199).Str != "v199" || !out.At(50).Kind.IsNull() {
					t.Error("wrong results")
				}
			}
			if wrong != 80 {
				t.Errorf("%d errors, want 80", wrong)
			}
		})
	}
	wg.Wait()
}

func TestUnrepeatable(t *testing.T) {
	f := func(script string, want fn.ScriptPlace) {
		t.Helper()
		if got := Unrepeatable(script); got != want {
			t.Errorf("%s: %+v, want %+v", script, got, want)
		}
	}
	f("function main(x) { return x }", fn.ScriptPlace{})
	f("function main(x) {\n return Math . random() }", fn.ScriptPlace{What: "Math.random()", Line: 2, Column: 9})
	f("var é = Date.now()", fn.ScriptPlace{What: "Date.now()", Line: 1, Column: 9})
	f("x = new Date()", fn.ScriptPlace{What: "new Date()", Line: 1, Column: 5})
	f("x = +new Date;", fn.ScriptPlace{What: "new Date", Line: 1, Column: 6})
	f("x = Date()", fn.ScriptPlace{What: "Date()", Line: 1, Column: 5})
	f("x = new Date(1) + new Date(y, 2); Date.UTC(1); MyDate(); x.now()", fn.ScriptPlace{})
	f("// Math.random()\n/* Date.now() */ 'new Date()' + \"Date() \\\" Math.random()\" + `Date.now()`", fn.ScriptPlace{})
	f("new Date", fn.ScriptPlace{})
	f("'unclosed Math.random()", fn.ScriptPlace{})
}

// add feeds rows into a slot.
func add(acc fn.Acc, slot int32, vals ...vec.Value) {
	v := vec.Values(vals...)
	var t vec.Vec
	slots := make([]int32, len(vals))
	for i := range vals {
		slots[i] = slot
		t.Append(vec.TimeValue(vec.Time(i)))
	}
	acc.Add(slots, []*vec.Vec{&v, &t})
}

// TestOthersGoOn: a call that exceeds a limit costs its own group the result, and no other
// group anything.
func TestOthersGoOn(t *testing.T) {
	agg, err := Aggregate(Source{Name: "f", Limits: Limits{Time: 300 * time.Millisecond, Memory: 8 << 20}, Script: `class main {
		init() { this.n = 0; this.min = Infinity }
		accumulate(x) {
			if (x === 'loop') for (;;);
			if (x === 'big') for (this.a = [];;) this.a.push('x'.repeat(2e6) + this.a.length);
			if (x === 'throw') throw new Error('no');
			this.n++; this.min = Math.min(this.min, this.n)
		}
		computeResult() { return this.n + this.min / 10 }
	}`})
	if err != nil {
		t.Fatal(err)
	}
	many := make([]vec.Value, feedRows+1)
	for i := range many {
		many[i] = vec.IntValue(int64(i))
	}
	f := func(whole bool, bad, message, later string) {
		t.Helper()
		acc := agg.New(fn.AggSpec{Whole: whole})
		acc.Grow(3)
		add(acc, 0, many[:feedRows]...)
		add(acc, 0, many[feedRows:]...)
		add(acc, 1, many...)
		add(acc, 2, vec.IntValue(1))
		resultOf(acc, 0) // its state has seen a row that still waits
		add(acc, 1, vec.StringValue(bad))
		if got := resultOf(acc, 1); got != message {
			t.Errorf("%s: %s, want %s", bad, got, message)
		}
		if got := resultOf(acc, 0) + " " + resultOf(acc, 2); got != "513.1 1.1" {
			t.Errorf("%s: others give %s", bad, got)
		}
		add(acc, 0, vec.IntValue(1))
		if got := resultOf(acc, 0) + " " + resultOf(acc, 1); got != "514.1 "+message {
			t.Errorf("%s: later %s", bad, got)
		}
		acc.Reset([]int32{1})
		add(acc, 1, vec.IntValue(1))
		if got := resultOf(acc, 1); got != later {
			t.Errorf("%s: after Reset %s", bad, got)
		}
		held := acc.(fn.Holder)
		acc.Reset([]int32{0, 1, 2})
		if held.Held() != 0 || acc.Bytes() <= 0 {
			t.Errorf("%s: %d rows held after Reset, %d bytes", bad, held.Held(), acc.Bytes())
		}
	}
	for _, whole := range []bool{false, true} {
		f(whole, "loop", "function 'f' exceeded its time limit of 300ms", "1.1")
		f(whole, "big", "function 'f' exceeded its memory limit of 8 MiB", "1.1")
		f(whole, "throw", "function 'f' failed: Error: no (line 6, column 38)", "1.1")
	}
}

// TestBrokenEngine: a panic of the engine is a query error, and the function goes on.
func TestBrokenEngine(t *testing.T) {
	src := Source{Name: "f", Script: "x => x"}
	p := newPool(src)
	e, err := p.take()
	if err != nil {
		t.Fatal(err)
	}
	e.entry.Fu.Fuint641 = 8 // an object at a bad address
	p.give(e)
	var c fn.Call
	var failed []string
	c.OnError = func(_ int, message string) { failed = append(failed, message) }
	var out vec.Vec
	col := vec.Ints(1, 2, 3)
	p.eval(&c, &out, []*vec.Vec{&col}, 3)
	if len(failed) != 1 || !strings.HasPrefix(failed[0], "function 'f' failed: the JavaScript engine broke: ") {
		t.Errorf("%q", failed)
	}
	if !out.At(0).Kind.IsNull() || out.At(1).Int != 2 || out.At(2).Int != 3 {
		t.Errorf("%v %v %v", out.At(0), out.At(1), out.At(2))
	}
}

// TestNothingLeaks: what a runtime holds does not grow with its calls, failed ones included.
func TestNothingLeaks(t *testing.T) {
	p := newPool(Source{Name: "f", Script: `x => {
		if (x.a === 0) throw new Error('x');
		if (x.a === 1) return {a: [x.a, new Date(), x.s + 'é'], f: () => 1};
		return {a: [x.a, new Date(), x.s + 'é', {b: x}], n: new Map([[1, 2]]).size};
	}`})
	var col vec.Vec
	for i := range 100 {
		col.Append(vec.RecordValue(&vec.Rec{Names: []string{"a", "s"}, Vals: []vec.Value{vec.IntValue(int64(i % 4)), vec.StringValue("a text that is copied")}}))
	}
	var c fn.Call
	var out vec.Vec
	run := func(times int) int64 {
		for range times {
			p.eval(&c, &out, []*vec.Vec{&col}, col.N)
		}
		return p.idle.engines[0].used()
	}
	before := run(20)
	if after := run(100); after > before+before/10 {
		t.Errorf("%d bytes after some calls, %d after more", before, after)
	}
}
