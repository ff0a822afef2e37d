package udf

import (
	"strings"
	"testing"
	"time"

	"weir/internal/fn"
	"weir/internal/vec"
)

// call loads a script as the function f and calls it once per row of the columns. It gives
// the results as JSON texts; a row that failed is its message.
func call(t *testing.T, src Source, args ...vec.Vec) []string {
	t.Helper()
	if src.Name == "" {
		src.Name = "f"
	}
	s, err := Scalar(src)
	if err != nil {
		t.Fatalf("%s: %v", src.Script, err)
	}
	n := 1
	cols := make([]*vec.Vec, len(args))
	for i := range args {
		cols[i] = &args[i]
		n = args[i].N
	}
	var c fn.Call
	got := make([]string, n)
	c.OnError = func(row int, message string) { got[row] = message }
	for range n {
		c.Time = append(c.Time, vec.FromCivil(2024, 2, 29)+vec.Hour)
	}
	var out vec.Vec
	s.Run(&c, &out, cols, make([]vec.Vec, len(cols)), n)
	for i := range got {
		if got[i] == "" {
			v := out.At(i)
			got[i] = v.Kind.String() + " " + string(vec.AppendJSON(nil, v))
		}
	}
	return got
}

func TestResults(t *testing.T) {
	f := func(body string, want string) {
		t.Helper()
		if got := call(t, Source{Script: "function main(x) { " + body + " }"}, vec.Ints(7))[0]; got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	f("return 2.0", "bigint 2")
	f("return -0", "bigint 0")
	f("return x + 0.5", "float 7.5")
	f("return Math.pow(2, 53)", "bigint 9007199254740992")
	f("return 9223372036854775000", "bigint 9223372036854774784")
	f("return Math.pow(2, 63)", "float 9.223372036854776e+18")
	f("return -Math.pow(2, 63)", "bigint -9223372036854775808")
	f("return 0/0", "null null")
	f("return 1/0", "null null")
	f("return", "null null")
	f("return null", "null null")
	f("return x > 3", "bit true")
	f("return 'a' + x", `nvarchar(max) "a7"`)
	f("return '\\ud83d\\ude00\\u0000é'", `nvarchar(max) "😀\u0000é"`)
	f("return 'a\\ud800b'", "nvarchar(max) \"a\uFFFDb\"")
	f("return new Date(1577934245006)", `datetime "2020-01-02T03:04:05.0060000Z"`)
	f("return new Date(NaN)", "null null")
	f("return new Date(-62135596800001)", "null null")
	f("return {b: 1, a: [x, 'y', null, undefined], 2: true}", `record {"2":true,"b":1,"a":[7,"y",null,null]}`)
	f("return []", "array []")
	f("return {}", "record {}")
	f("return [{a: 1}, {}, {b: 1}, {a: 2, b: 3}, {a: 4, c: 5}]", `array [{"a":1},{},{"b":1},{"a":2,"b":3},{"a":4,"c":5}]`)
	f("return Object.create({hidden: 1}, {a: {value: 1, enumerable: true}, b: {value: 2}})", `record {"a":1}`)
	f("return new Number(3)", "bigint 3")
	f("return new String('s')", `nvarchar(max) "s"`)
	f("return new Boolean(false)", "bit false")
	f("return 12345678901234567n", "bigint 12345678901234567")
	f("return new Float32Array([1, 2.5])", "array [1,2.5]")
	f("return (function () { return arguments })(1, 2)", `record {"0":1,"1":2}`)
	f("return class { }", "function 'f' failed: the result is a function, which is no value")
	f("return [Symbol('x')]", "function 'f' failed: the result is a symbol, which is no value")
	f("return new Error('x')", "function 'f' failed: the result is an Error, which is no value")
	f("return new Map()", "function 'f' failed: the result is a Map, which is no value")
	f("return Promise.resolve(1)", "function 'f' failed: the result is a Promise, which is no value")
	f("return new Proxy([], {})", "function 'f' failed: the result is a Proxy, which is no value")
	f("return 1n << 64n", "function 'f' failed: the result is a BigInt outside of bigint, which is no value")
	f("var a = {}; a.a = a; return a", "function 'f' failed: the result is nested more than 64 levels deep, or holds itself")
	f("var a = []; for (var i = 0; i < 40; i++) a = [a, a]; return a", "function 'f' failed: the result is too large: more than 262144 values")
	f("return new Array(4294967295)", "function 'f' failed: the result is too large: more than 262144 values")
	f("return {get a() { throw new TypeError('got') }}", "function 'f' failed: TypeError: got (line 1, column 57)")
	f("return 'x'.repeat(2000000)", "function 'f' failed: the result is too large: a text of more than 1 MiB, or texts of more than 16 MiB")
	f("throw new Error('boom')", "function 'f' failed: Error: boom (line 1, column 35)")
	f("throw 'plain'", "function 'f' failed: plain")
	f("throw {toString() { throw 1 }}", "function 'f' failed: a thrown object that has no text")
	f("throw null", "function 'f' failed: null")
	f("return x.y.z", "function 'f' failed: TypeError: cannot read property 'z' of undefined (line 1, column 30)")
	f("return new Date().toISOString() + Date.now() + ' ' + new Date(2020, 0, 1).toISOString()", `nvarchar(max) "2024-02-29T01:00:00.000Z1709168400000 2020-01-01T00:00:00.000Z"`)
	f("return [new Date() instanceof Date, Date().slice(0, 15), new Date(0).constructor === Date, Date.length, Date.name]", `array [true,"Thu Feb 29 2024",true,7,"Date"]`)
	f("return new Set([1, 2, 2]).size + [...new Set('abca')].length", "bigint 5")
	f("console.log(x); return typeof setTimeout + typeof require + typeof process + typeof load + typeof std + typeof os", `nvarchar(max) "undefinedundefinedundefinedundefinedundefinedundefined"`)
}

func TestLimits(t *testing.T) {
	f := func(body string, want string) {
		t.Helper()
		src := Source{Script: "var keep = []; function main(x) { if (x == 1) return 'ok'; " + body + " }", Limits: Limits{Time: 250 * time.Millisecond, Memory: 8 << 20}}
		began := time.Now()
		got := call(t, src, vec.Ints(1, 0, 1))
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v", body, took)
		}
		if got[0] != `nvarchar(max) "ok"` || got[2] != got[0] {
			t.Errorf("%s: other rows give %q", body, got)
		}
		if !strings.Contains(got[1], want) {
			t.Errorf("%s: %q, want %q", body, got[1], want)
		}
	}
	long, big := "function 'f' exceeded its time limit of 250ms", "function 'f' exceeded its memory limit of 8 MiB"
	f("for (;;);", long)
	f("for (;;) { try { for (;;); } catch (e) { } finally { continue } }", long)
	f("while (true) keep.push(new Array(1000).fill(0))", "exceeded")
	f("return /^(a+)+$/.test('a'.repeat(40) + 'b')", long)
	f("return 'x'.repeat(Math.pow(2, 30))", "failed")
	f("var s = 'x'; for (;;) s += s", "failed")
	f("function g() { return g() + 1 } return g()", "stack overflow")
	f("return {get a() { for (;;); }}", long)
	f("throw {toString() { for (;;); }}", long)
	f("return new Array(4294967295).indexOf(1)", "too long")
	f("return Array.prototype.indexOf.call({length: Math.pow(2, 53) - 1}, 1)", "too long")
	f("return new Set([].values.call({length: 1e15}))", "too long")
	f("var a = [], it = a.values(); a.length = 4294967295; return new Set(it)", long)
	f("return [new Array(4294967295)].flat()", long)
	f("var a = new Array(100000000); return a.join('x')", "too long")
	f("return 'a'.repeat(1000000).indexOf('a'.repeat(500000) + 'b')", "too long")
	f("return JSON.parse('['.repeat(1000000))", "failed")
	f("return eval('('.repeat(1000000))", "failed")
	f("return new Function('x'.repeat(10) + '['.repeat(100000))", "failed")
	f("return new RegExp('('.repeat(100000))", "failed")
	f("var a = new Array(2e5).fill(0); for (;;) a.indexOf(1)", long)
	f("var a = 'x'.repeat(3e6), b = a + 'y', c = a + 'z'; for (var n = 0;;) if (b === c) n++", long)
	f("return Array.prototype.indexOf.call({get length() { return this.n++ ? 9007199254740991 : 1 }, n: 0}, 1)", "no plain property")
	f("return Array.prototype.indexOf.call(new Proxy([], {}), 1)", "no plain property")
	f("return Array.prototype.indexOf.call({length: {valueOf() { return 1e15 }}}, 1)", "no number")
	f("return 'a'.repeat(1000000).indexOf({toString() { return 'a'.repeat(500000) + 'b' }})", "too long")
	f("return String.prototype.indexOf.call({toString() { return 'a'.repeat(1000000) }}, 'a'.repeat(500000) + 'b')", "wants a text")
	f("var a = 'x'.repeat(1e6); return new Array(1e5).fill(a + 'y').indexOf(a + 'z')", "too long")
	f("function* g() { for (;;) yield 1 } return [...g()]", "exceeded")
	f("var a = []; a[4294967294] = 1; return a.sort()", "too long")
	f("return new ArrayBuffer(1 << 30)", big)
	f("var o = {}; for (var i = 0; i < 1e9; i++) o['k' + i] = i", "exceeded")
	f("return Array.from({length: 4294967295})", "exceeded")
	f("for (;;) Promise.resolve().then(() => 1)", "exceeded")
	f("Object.prototype.toString = Array.prototype.push = null; globalThis.main = null; JSON = null; throw new Error('x')", "Error: x")
	f("return Math.max.apply(null, {length: 1e9})", "failed")
	f("return (2n ** 1000000n) ** 1000000n", "failed")
}

func BenchmarkCall(b *testing.B) {
	s, err := Scalar(Source{Name: "f", Script: "function f(x) { return x + 1 }"})
	if err != nil {
		b.Fatal(err)
	}
	f := func(name string, n int) {
		var col vec.Vec
		for i := range n {
			col.Append(vec.FloatValue(float64(i) + 0.5))
		}
		var c fn.Call
		var out vec.Vec
		args := []*vec.Vec{&col}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += n {
				s.Eval(&c, &out, args, n)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
	f("single", 1)
	f("batched", 1024)
}

func BenchmarkLoad(b *testing.B) {
	for range b.N {
		e, err := load(Source{Name: "f", Script: "function f(x) { return x + 1 }"})
		if err != nil {
			b.Fatal(err)
		}
		e.close()
	}
}

// BenchmarkAccumulate feeds rows to an aggregate and asks for its result every thousand.
func BenchmarkAccumulate(b *testing.B) {
	agg, err := Aggregate(Source{Name: "f", Script: "function main() { this.init = function () { this.s = 0 }; this.accumulate = function (x) { this.s += x }; this.computeResult = function () { return this.s } }"})
	if err != nil {
		b.Fatal(err)
	}
	acc := agg.New(fn.AggSpec{Whole: true})
	acc.Grow(1)
	const n = 1000
	var v, t vec.Vec
	for i := range n {
		v.Append(vec.FloatValue(float64(i) + 0.5))
		t.Append(vec.TimeValue(vec.Time(i)))
	}
	slots, slot := make([]int32, n), []int32{0}
	var c fn.Call
	var out vec.Vec
	b.ReportAllocs()
	for i := 0; i < b.N; i += n {
		acc.Add(slots, []*vec.Vec{&v, &t})
		acc.Result(&c, slot, &out)
		acc.Reset(slot)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkText(b *testing.B) {
	s, err := Scalar(Source{Name: "f", Script: "function f(x) { return x.toUpperCase() }"})
	if err != nil {
		b.Fatal(err)
	}
	const n = 1024
	var col vec.Vec
	for range n {
		col.Append(vec.StringValue("hello world abc"))
	}
	var c fn.Call
	var out vec.Vec
	b.ReportAllocs()
	for i := 0; i < b.N; i += n {
		s.Eval(&c, &out, []*vec.Vec{&col}, n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkRecord takes a row and gives another one.
func BenchmarkRecord(b *testing.B) {
	s, err := Scalar(Source{Name: "f", Script: "function f(x) { return {sum: x.a + x.b, name: x.name, ok: true} }"})
	if err != nil {
		b.Fatal(err)
	}
	const n = 1024
	var col vec.Vec
	for i := range n {
		col.Append(vec.RecordValue(&vec.Rec{Names: []string{"a", "b", "name"}, Vals: []vec.Value{vec.IntValue(int64(i)), vec.FloatValue(0.5), vec.StringValue("name")}}))
	}
	var c fn.Call
	var out vec.Vec
	b.ReportAllocs()
	for i := 0; i < b.N; i += n {
		s.Eval(&c, &out, []*vec.Vec{&col}, n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
