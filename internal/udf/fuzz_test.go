package udf

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/internal/fn"
	"weir/internal/state"
	"weir/internal/vec"
)

// FuzzBoundary runs scripts that are made of parts of JavaScript at random on values at
// random. Whatever they do, no call panics, takes much longer than its limit, or gives a
// value that is none; and a good row behind it still gives its result.
func FuzzBoundary(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, "")
	}
	f.Add(uint64(1), "x.constructor.constructor('return this')()")
	f.Add(uint64(2), "Object.defineProperty(x, 'a', {get() { return this }, enumerable: true})")
	f.Add(uint64(3), "eval('x = [x, x]')")
	f.Fuzz(func(t *testing.T, seed uint64, expr string) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &maker{r: r}
		if expr == "" {
			expr = m.expr(4)
		}
		if len(expr) > 500 {
			return
		}
		script := "var kept; function main(x, y) { if (y === 'good') return 1; " + m.statement(expr) + " }"
		s, err := Scalar(Source{Name: "f", Script: script, Limits: Limits{Time: 20 * time.Millisecond, Memory: 4 << 20}})
		if err != nil {
			return
		}
		a, b := vec.Values(m.value(3), m.value(2), m.value(1)), vec.Strings("bad", "bad", "good")
		var c fn.Call
		failed := make([]string, 3)
		c.OnError = func(i int, message string) { failed[i] = message }
		var out vec.Vec
		began := time.Now()
		s.Run(&c, &out, []*vec.Vec{&a, &b}, make([]vec.Vec, 2), 3)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v", script, took)
		}
		if out.N != 3 {
			t.Fatalf("%s: %d rows", script, out.N)
		}
		batch := vec.Batch{N: 3, Time: make([]vec.Time, 3), Cols: []vec.Vec{out}}
		if err := batch.Check(); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		for i := range 3 {
			v := out.At(i)
			vec.AppendJSON(nil, v)
			if failed[i] != "" && !v.Kind.IsNull() {
				t.Errorf("%s: row %d failed and has a value", script, i)
			}
			if failed[i] != "" && !strings.HasPrefix(failed[i], "function 'f' ") {
				t.Errorf("%s: %s", script, failed[i])
			}
			if strings.Contains(failed[i], "engine broke") {
				t.Errorf("%s: %s", script, failed[i])
			}
		}
	})
}

// maker makes parts of scripts and values.
type maker struct{ r *rand.Rand }

func (m *maker) pick(from ...string) string { return from[m.r.IntN(len(from))] }

func (m *maker) statement(expr string) string {
	return fmt.Sprintf(m.pick("return %s;", "kept = %s; return kept;", "throw %s;", "for (var i = 0; i < 3; i++) { kept = %s } return kept;",
		"try { kept = [kept, %s]; } finally { return kept; }", "return {a: %s, get b() { return kept = [kept, x] }};", "while (%s);", "return new Date(%s);",
		"return new Proxy([%s], {});", "return {toString() { return %s }, valueOf: 1, toJSON: 2};", "return [function () { return %s }, 1];"), expr)
}

func (m *maker) expr(depth int) string {
	if depth == 0 {
		return m.pick("x", "y", "kept", "1", "-0", "1e308", "NaN", "'a'", "'\\ud800'", "null", "undefined", "[]", "{}", "10n", "/a+/g", "Symbol('s')", "this", "main", "arguments",
			"Math", "new Map([[1, x]])", "new Set([x])", "new Date", "Math.random()", "new Float64Array(3)", "new Array(1e9)", "globalThis")
	}
	a, b := m.expr(depth-1), m.expr(m.r.IntN(depth))
	return fmt.Sprintf(m.pick("(%[1]s + %[2]s)", "[%[1]s, %[2]s]", "({a: %[1]s, b: %[2]s})", "(%[1]s).length", "(%[1]s)[%[2]s]", "String(%[1]s)", "JSON.stringify(%[1]s)",
		"JSON.parse(%[1]s)", "Object.keys(%[1]s)", "Object.assign(%[1]s, %[2]s)", "Object.create(%[1]s)", "(%[1]s ? %[2]s : x)", "[...%[1]s]", "Array.from(%[1]s)",
		"Object.setPrototypeOf(%[1]s, %[2]s)", "(%[1]s).toString()", "Array.prototype.%[3]s.call(%[1]s, %[2]s)", "String.prototype.%[4]s.call(%[1]s, %[2]s)", "new Proxy(%[1]s, %[2]s)",
		"(() => { try { return %[1]s } catch (e) { return e } })()", "(kept = %[1]s)", "'abc'.repeat(%[2]s)", "(%[1]s instanceof %[2]s)", "Reflect.ownKeys(%[1]s)", "delete %[1]s.length",
		"new (%[1]s)(%[2]s)", "eval(%[1]s)", "Object.freeze(%[1]s)", "(%[1]s).constructor"),
		a, b, m.pick(guardedArray...), m.pick(guardedText...))
}

// value makes a value of a row.
func (m *maker) value(depth int) vec.Value {
	switch m.r.IntN(9) {
	case 0:
		return vec.NullValue()
	case 1:
		return vec.BitValue(m.r.IntN(2) == 0)
	case 2:
		return vec.IntValue(int64(m.r.Uint64()) >> m.r.IntN(64))
	case 3:
		x := math.Float64frombits(m.r.Uint64())
		if math.IsNaN(x) || math.IsInf(x, 0) {
			x = 0.5
		}
		return vec.FloatValue(x)
	case 4:
		return vec.StringValue(m.pick("", "a", "é😀", "\x00", strings.Repeat("long ", 100), "\"\\"))
	case 5:
		return vec.TimeValue(vec.Time(m.r.Int64N(int64(vec.FromCivil(9999, 12, 31)))))
	}
	rec := &vec.Rec{}
	for range m.r.IntN(4) {
		if depth == 0 {
			break
		}
		rec.Vals = append(rec.Vals, m.value(depth-1))
	}
	if m.r.IntN(2) == 0 {
		return vec.ArrayValue(rec)
	}
	rec.Names = []string{}
	for i := range rec.Vals {
		rec.Names = append(rec.Names, m.pick("a", "length", "__proto__", "constructor", "toString", "0", "é", "")+strings.Repeat("_", i))
	}
	return vec.RecordValue(rec)
}

// TestScalarsSurvive runs many scripts made at random, without the fuzzer.
func TestScalarsSurvive(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 150 {
		m := &maker{r: r}
		script := "var kept; function main(x, y) { " + m.statement(m.expr(3)) + " }"
		s, err := Scalar(Source{Name: "f", Script: script, Limits: Limits{Time: 20 * time.Millisecond, Memory: 4 << 20}})
		if err != nil {
			continue
		}
		var c fn.Call
		c.OnError = func(_ int, message string) {
			if strings.Contains(message, "engine broke") {
				t.Errorf("%s: %s", script, message)
			}
		}
		a, b := vec.Values(m.value(3)), vec.Values(m.value(3))
		var out vec.Vec
		s.Run(&c, &out, []*vec.Vec{&a, &b}, make([]vec.Vec, 2), 1)
	}
}

// keeper is an aggregate whose state has every form that a snapshot holds.
const keeper = `class main {
	init() { this.n = 0; this.all = {u: undefined, z: null, b: [true, false], m: new Map([[1, {k: 'v'}], ['é', 2.5]]), s: new Set([1, 'x']), d: new Date(5), g: 123456789012345678901234567890n,
		i: -Infinity, q: NaN, o: -0, t: '\ud800é', f: function () { } } }
	accumulate(x) { this.n += x }
	computeResult() { const a = this.all; return [this.n, 'u' in a, a.z, a.b[0], a.m.get(1).k, a.m.get('é'), a.s.has('x'), a.s instanceof Set, +a.d, String(a.g), a.i < -1e308, a.q !== a.q, 1 / a.o < 0, a.t.length] }
}`

// fed is an accumulator of whole windows with one slot that has been fed so many rows.
func fed(tb testing.TB, script string, rows int) (fn.Acc, *fn.Agg) {
	tb.Helper()
	agg, err := Aggregate(Source{Name: "f", Script: script})
	if err != nil {
		tb.Fatal(err)
	}
	acc := agg.New(fn.AggSpec{Whole: true})
	acc.Grow(2)
	var v, t vec.Vec
	for range rows {
		v.Append(vec.IntValue(1))
		t.Append(vec.TimeValue(5))
	}
	acc.Add(make([]int32, rows), []*vec.Vec{&v, &t})
	return acc, agg
}

func resultOf(acc fn.Acc, slot int32) string {
	var c fn.Call
	failed := ""
	c.OnError = func(_ int, message string) { failed = message }
	var out vec.Vec
	acc.Result(&c, []int32{slot}, &out)
	if failed != "" {
		return failed
	}
	return string(vec.AppendJSON(nil, out.At(0)))
}

func TestStateIsSaved(t *testing.T) {
	f := func(rows int) {
		t.Helper()
		acc, agg := fed(t, keeper, rows)
		w := state.NewWriter()
		acc.Save(0, w)
		other := agg.New(fn.AggSpec{Whole: true})
		other.Grow(2)
		r := state.NewReader(w.Bytes())
		other.Load(1, r)
		if r.Err() != nil || r.Rest() != 0 {
			t.Fatalf("%d rows: %v, %d bytes left", rows, r.Err(), r.Rest())
		}
		want := fmt.Sprintf(`[%d,true,null,true,"v",2.5,true,true,5,"123456789012345678901234567890",true,true,true,2]`, rows)
		if got := resultOf(other, 1); got != want {
			t.Errorf("%d rows: %s, want %s", rows, got, want)
		}
		if got := resultOf(acc, 0); got != want {
			t.Errorf("%d rows: after Save %s, want %s", rows, got, want)
		}
	}
	f(0)
	f(3)
	f(feedRows - 1)
	f(feedRows)
	f(2*feedRows + 3)
}

// FuzzLoad reads damaged snapshots of aggregates.
func FuzzLoad(f *testing.F) {
	for _, rows := range []int{0, 2, feedRows + 1} {
		acc, _ := fed(f, keeper, rows)
		w := state.NewWriter()
		acc.Save(0, w)
		f.Add(w.Bytes())
	}
	agg, err := Aggregate(Source{Name: "f", Script: keeper, Limits: Limits{Time: 100 * time.Millisecond, Memory: 8 << 20}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		acc := agg.New(fn.AggSpec{Whole: true})
		acc.Grow(1)
		r := state.NewReader(b)
		acc.Load(0, r)
		if r.Err() == nil {
			if got := resultOf(acc, 0); strings.Contains(got, "engine broke") {
				t.Error(got)
			}
		}
		acc.Reset([]int32{0})
	})
}
