package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func value(t *testing.T, src string) Value {
	t.Helper()
	v, err := ParseValue([]byte(src))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

func rows(t *testing.T, src ...string) []Row {
	t.Helper()
	var list []Row
	for _, s := range src {
		list = append(list, value(t, s))
	}
	return list
}

func TestEqual(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := value(t, a), value(t, b)
		if got := Equal(x, y); got != want {
			t.Errorf("%s and %s are equal: %v; want %v", a, b, got, want)
		}
		if got := Equal(y, x); got != want {
			t.Errorf("%s and %s are equal: %v; want %v", b, a, got, want)
		}
		if sameKey := rowKey(&x) == rowKey(&y); sameKey && !want {
			t.Errorf("%s and %s have the same key", a, b)
		}
	}
	f(`1`, `1.0`, true)
	f(`1`, `1.0000000001`, true)
	f(`1`, `1.00000001`, false)
	f(`0`, `1e-30`, false)
	f(`0`, `-0.0`, true)
	f(`1e400`, `1e400`, true)
	f(`1e400`, `2e400`, false)
	f(`"a"`, `"\u0061"`, true)
	f(`"a"`, `"A"`, false)
	f(`"1"`, `1`, false)
	f(`null`, `0`, false)
	f(`true`, `false`, false)
	f(`{"a":1,"b":2}`, `{"b":2,"a":1}`, true)
	f(`{"a":null}`, `{}`, false)
	f(`{"a":null}`, `{"b":null}`, false)
	f(`[1,2]`, `[2,1]`, false)
	f(`[1,{"x":[]}]`, ` [ 1 , { "x" : [ ] } ] `, true)
}

func TestParseValueKeepsOrderAndDigits(t *testing.T) {
	v := value(t, ` {"z": 1.50, "a" : [true , null, "x\"y\\", {"k":-0}], "": 12345678901234567890} `)
	if got := strings.Join(v.Names, ","); got != "z,a," {
		t.Errorf("keys are %q", got)
	}
	if v.Items[0].Raw != "1.50" || v.Items[2].Raw != "12345678901234567890" {
		t.Errorf("numbers are %s and %s", v.Items[0].Raw, v.Items[2].Raw)
	}
	a := v.Items[1]
	if a.Raw != `[true , null, "x\"y\\", {"k":-0}]` || a.Items[2].Text != `x"y\` || a.Items[1].Kind != Null {
		t.Errorf("the list is %+v", a)
	}
}

func TestParseValueErrors(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		if _, err := ParseValue([]byte(src)); err == nil || err.Error() != want {
			t.Errorf("%q gives the error %v; want %s", src, err, want)
		}
	}
	f("", "1:1: unexpected end of JSON input")
	f("{\n \"a\": 1,\n x}", "3:2: invalid character 'x' looking for beginning of object key string")
	f(`{"a":1,"a":2}`, `the key "a" stands twice in an object`)
	f(`1 2`, "1:3: invalid character '2' after top-level value")
}

func FuzzParseValue(f *testing.F) {
	f.Add(`{"a":[1,2.5e3,"x\u00e9",null,{"b":true}]}`)
	f.Fuzz(func(t *testing.T, src string) {
		v, err := ParseValue([]byte(src))
		if err == nil && !Equal(v, v) && v.Kind != Object {
			t.Errorf("%q is not equal to itself", src)
		}
	})
}

const sample = `{
 "name": "sample", "source": "here", "note": "why",
 "query": "SELECT 1",
 "inputs": {"b": [{"x": 1.50}, {"x": 2}], "a": []},
 "arrival": {"b": ["2021-03-04T00:00:00.0000000Z", "2021-03-04T01:00:00+01:00"]},
 "reference": {"r": [{"k": 1}]},
 "functions": {"UDF.f": "function main() {}"},
 "policies": {"lateArrival": "1m", "outOfOrder": "9s", "action": "drop"},
 "expected": {"output": [{"x": 1.5}]},
 "ordered": true
}`

func TestParseCase(t *testing.T) {
	c, err := Parse([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name != "sample" || c.Query != "SELECT 1" || !c.Ordered {
		t.Errorf("case is %+v", c)
	}
	if len(c.Inputs) != 2 || c.Inputs[0].Name != "b" || !slices.Equal(c.Inputs[0].Events, []string{`{"x": 1.50}`, `{"x": 2}`}) {
		t.Errorf("inputs are %+v", c.Inputs)
	}
	if a := c.Inputs[0].Arrival; len(a) != 2 || !a[0].Equal(a[1]) || c.Inputs[1].Arrival != nil {
		t.Errorf("arrival is %v", a)
	}
	if c.Policies != (Policies{time.Minute, 9 * time.Second, true}) {
		t.Errorf("policies are %+v", c.Policies)
	}
	if c.Functions[0].Name != "UDF.f" || c.Reference[0].Events[0] != `{"k": 1}` {
		t.Errorf("functions are %v, reference %v", c.Functions, c.Reference)
	}
}

func TestParseCaseDefaults(t *testing.T) {
	c, err := Parse([]byte(`{"name": "n", "query": "q", "inputs": {}, "error": "window"}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Policies != (Policies{Late: 5 * time.Second}) || c.Ordered || c.Error != "window" {
		t.Errorf("case is %+v", c)
	}
}

func TestParseCaseErrors(t *testing.T) {
	f := func(old, new, want string) {
		t.Helper()
		if !strings.Contains(sample, old) {
			t.Fatalf("the sample has no %q", old)
		}
		_, err := Parse([]byte(strings.Replace(sample, old, new, 1)))
		if err == nil || err.Error() != want {
			t.Errorf("%s instead of %s gives the error %v; want %s", new, old, err, want)
		}
	}
	f(`"note"`, `"notes"`, `unknown key "notes"`)
	f(`"name"`, `"source "`, `unknown key "source "`)
	f(`"name": "sample", `, ``, `the key "name" is missing`)
	f(`"SELECT 1"`, `1`, `query: a text belongs here`)
	f(`"ordered": true`, `"ordered": 1`, `ordered: true or false belongs here`)
	f(`"a": []`, `"a": {}`, `inputs.a: a list belongs here`)
	f(`"reference": {"r": [{"k": 1}]}`, `"reference": []`, `reference: an object belongs here`)
	f(`[{"x": 1.5}]`, `[1]`, `output: row 1 is no object`)
	f(`"1m"`, `"1 minute"`, `lateArrival: "1 minute" is no duration such as 5s, 9m or 1h`)
	f(`"drop"`, `"keep"`, `action is "keep"; it must be "adjust" or "drop"`)
	f(`"lateArrival"`, `"late"`, `policies: unknown key "late"`)
	f(`"arrival": {"b"`, `"arrival": {"c"`, `arrival: there is no input "c"`)
	f(`, "2021-03-04T01:00:00+01:00"`, ``, `arrival.b has 1 times for 2 events`)
	f(`"2021-03-04T01:00:00+01:00"`, `"noon"`, `arrival.b: "noon" is no time`)
	f(`"ordered"`, `"error": "x", "ordered"`, `a case has either "expected" or "error"`)
	if _, err := Parse([]byte(`[]`)); err == nil || err.Error() != "a case is a JSON object" {
		t.Errorf("error is %v", err)
	}
}

func TestFindAndLoad(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.json", "a.json", "sub/c.json", "FORMAT.md"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(sample), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := Find([]string{filepath.Join(dir, "b.json"), dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		files[i], _ = filepath.Rel(dir, f)
	}
	if got := strings.Join(files, " "); got != "b.json a.json b.json sub/c.json" {
		t.Errorf("files are %s", got)
	}
	if _, err := Find([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a missing path is no error")
	}
	c, err := Load(filepath.Join(dir, "a.json"))
	if err != nil || c.File != filepath.Join(dir, "a.json") {
		t.Errorf("case %v, error %v", c, err)
	}
	if _, err := Load(filepath.Join(dir, "FORMAT.txt")); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestDiff(t *testing.T) {
	f := func(ordered bool, want, got []Row, text string) {
		t.Helper()
		c := &Case{Expected: []Output{{"out", want}}, Ordered: ordered}
		if diff := c.Diff(map[string][]Row{"out": got}); diff != strings.TrimPrefix(text, "\n") {
			t.Errorf("the difference is\n%swant%s", diff, text)
		}
	}
	a, b, c := `{"k":"a","n":1}`, `{"k":"b","n":2}`, `{"k":"c","n":3}`
	f(true, rows(t, a, b), rows(t, a, b), ``)
	f(false, rows(t, a, b, a), rows(t, b, a, a), ``)
	f(false, rows(t, `{"n":1}`, `{"n":1.0000000002}`), rows(t, `{"n":1.0000000001}`, `{"n":1}`), ``)
	f(true, nil, nil, ``)
	f(true, rows(t, a, b), rows(t, b, a), `
output "out": 2 rows, 2 rows expected in this order
  row 1: {"k": "b", "n": 2}
    k: "b", want "a"
    n: 2, want 1
  row 2: {"k": "a", "n": 1}
    k: "a", want "b"
    n: 1, want 2
`)
	f(false, rows(t, a, b), rows(t, c, b, a), `
output "out": 3 rows, 2 rows expected in any order
  row 1 is unexpected: {"k": "c", "n": 3}
`)
	f(false, rows(t, a, b), rows(t, b), `
output "out": 1 row, 2 rows expected in any order
  row 1 is missing:    {"k": "a", "n": 1}
`)
	f(false, rows(t, a, b), rows(t, `{"k":"b","n":null}`, `{"k":"a","m":[1, {"x":2}]}`), `
output "out": 2 rows, 2 rows expected in any order
  row 2: {"k": "a", "m": [1, {"x": 2}]}
    n: is absent, want 1
    m: [1, {"x": 2}], want no such column
  row 1: {"k": "b", "n": null}
    n: null, want 2
`)
	// One row too few of two that are equal is a difference.
	f(false, rows(t, a, a), rows(t, a), `
output "out": 1 row, 2 rows expected in any order
  row 2 is missing:    {"k": "a", "n": 1}
`)
}

func TestDiffOfManyRowsIsCut(t *testing.T) {
	var got []Row
	for i := range 25 {
		got = append(got, value(t, fmt.Sprintf(`{"i":%d}`, i)))
	}
	c := &Case{Expected: []Output{{"out", nil}}}
	diff := c.Diff(map[string][]Row{"out": got})
	if n := strings.Count(diff, "\n"); n != 12 || !strings.HasSuffix(diff, "  and 15 more\n") {
		t.Errorf("the difference has %d lines:\n%s", n, diff)
	}
}

func TestDiffOfOtherOutputs(t *testing.T) {
	c := &Case{Expected: []Output{{"out", nil}}}
	if diff := c.Diff(map[string][]Row{"empty": nil}); diff != "" {
		t.Errorf("an empty output that nobody expects is a difference: %s", diff)
	}
	want := "output \"more\": 1 row, 0 rows expected in any order\n  row 1 is unexpected: {\"x\": 1}\n"
	if diff := c.Diff(map[string][]Row{"more": rows(t, `{"x":1}`)}); diff != want {
		t.Errorf("the difference is %s", diff)
	}
}

func TestCuts(t *testing.T) {
	f := func(w Way, n int, want string) {
		t.Helper()
		if got := fmt.Sprint(w.Cuts(n)); got != want {
			t.Errorf("%s of %d rows: %s; want %s", w.Name, n, got, want)
		}
	}
	f(Whole, 10, "[10]")
	f(Whole, 0, "[]")
	f(Way{Batch: 3}, 10, "[3 3 3 1]")
	f(Way{Batch: 1}, 2, "[1 1]")
	cuts := Way{Seed: 4}.Cuts(1000)
	sum, least, most := 0, 1000, 0
	for _, c := range cuts {
		sum, least, most = sum+c, min(least, c), max(most, c)
	}
	if sum != 1000 || least != 1 || most != 7 {
		t.Errorf("random cuts add up to %d, from %d to %d", sum, least, most)
	}
	if fmt.Sprint(cuts) == fmt.Sprint(Way{Seed: 5}.Cuts(1000)) {
		t.Error("two seeds cut alike")
	}
}

func TestCheck(t *testing.T) {
	ok := &Case{Expected: []Output{{"output", rows(t, `{"x":1}`)}}}
	fails := &Case{Error: "Window"}
	gives := func(r []Row, err error) Engine {
		return func(*Case, Way) (map[string][]Row, error) { return map[string][]Row{"output": r}, err }
	}
	f := func(c *Case, e Engine, want string) {
		t.Helper()
		got := Check(c, e, Whole)
		if got != want && !(want != "" && strings.HasPrefix(got, want)) {
			t.Errorf("the check says %q; want %q", got, want)
		}
	}
	f(ok, gives(rows(t, `{"x":1}`), nil), "")
	f(ok, gives(rows(t, `{"x":2}`), nil), "output \"output\": 1 row, 1 row expected in any order\n  row 1 is missing")
	f(ok, gives(nil, errors.New("one\ntwo\n")), "the run failed:\n  one\n  two\n")
	f(fails, gives(nil, errors.New("no WINDOW here")), "")
	f(fails, gives(nil, errors.New("no such thing")), "the message must contain \"Window\"; it is:\n  no such thing\n")
	f(fails, gives(rows(t, `{"x":2}`), nil), "the run must fail with a message about \"Window\"; it gave 1 row\n")
	f(ok, func(*Case, Way) (map[string][]Row, error) { panic("broken") }, "the engine panicked: broken\n")
}

func TestWaysHaveDifferentNames(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range Ways(0) {
		if seen[w.Name] {
			t.Errorf("two ways are called %q", w.Name)
		}
		seen[w.Name] = true
	}
	if len(seen) < 8 {
		t.Errorf("%d ways; want all of FORMAT.md", len(seen))
	}
}
