package job

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// compileWith compiles a query whose inputs r and s are reference data.
func compileWith(t testing.TB, query string) *plan.Plan {
	t.Helper()
	script, list := saql.Parse(query)
	p, more := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true,
		Inputs: []plan.InputDecl{{Name: "r", Reference: true}, {Name: "s", Reference: true}}})
	if list.HasErrors() || more.HasErrors() {
		t.Fatal(query, list, more)
	}
	return p
}

// joined runs a query over events in memory and gives its rows: the time of day and the
// columns.
func joined(t testing.TB, query string, o EventOptions, inputs ...Events) ([]string, exec.Counts, error) {
	t.Helper()
	var rows []string
	o.OnRows = func(_ int, b *vec.Batch) error {
		if err := b.Check(); err != nil {
			return err
		}
		for i := range b.N {
			row := []string{b.Time[i].String()[11:19]}
			for c := range b.Cols {
				row = append(row, b.Cols[c].At(i).String())
			}
			rows = append(rows, strings.Join(row, " "))
		}
		return nil
	}
	counts, err := RunEvents(compileWith(t, query), inputs, o)
	return rows, counts, err
}

// refWays are some ways to run a query over reference data; all must give the same.
func refWays(seed uint64) []EventOptions {
	one := func(n int) []int { return slices.Repeat([]int{1}, n) }
	chance := func(n int) []int {
		r := rand.New(rand.NewPCG(seed, 5))
		var cuts []int
		for n > 0 {
			k := 1 + r.IntN(n)
			cuts, n = append(cuts, k), n-k
		}
		return cuts
	}
	sample := exec.Options{Sample: true}
	late := exec.Options{Late: -1, OutOfOrder: 10 * vec.Second}
	return []EventOptions{{Options: sample}, {Options: sample, Cuts: one, Snapshot: true}, {Options: sample, Cuts: chance},
		{Options: late, Cuts: chance, Snapshot: true}, {Options: late, Cuts: one}}
}

// at is a second of the day of the tests.
func at(second int) string {
	return time.Date(2021, 3, 4, 12, 0, second, 0, time.UTC).Format("2006-01-02T15:04:05Z")
}

func effective(second int) vec.Time {
	x, _ := vec.ParseTime(at(second))
	return x
}

// TestReferenceVersions: a row meets the version in force at its time, before the first one
// the first, whatever the order in which versions are given (saql.md 6.6).
func TestReferenceVersions(t *testing.T) {
	var in []string
	for _, s := range []int{3, 9, 10, 19, 20, 35} {
		in = append(in, fmt.Sprintf(`{"at":"%s","k":1}`, at(s)))
	}
	events := Events{Name: "e", Text: in}
	version := func(name string, s int, rows ...string) Events {
		return Events{Name: name, Text: rows, Effective: effective(s)}
	}
	f := func(query string, inputs []Events, want ...string) {
		t.Helper()
		for i, o := range refWays(1) {
			got, _, err := joined(t, query, o, append(inputs, events)...)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s in way %d: %v\n%q, want\n%q", query, i, err, got, want)
			}
		}
	}
	three := []Events{version("r", 20, `{"id":1,"v":"c"}`), version("r", 5, `{"id":1,"v":"a"}`), version("R", 10, `{"id":2,"v":"b"}`)}
	f(`SELECT r.v FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, three,
		`12:00:03 "a"`, `12:00:09 "a"`, `12:00:20 "c"`, `12:00:35 "c"`)
	f(`SELECT r.v FROM e TIMESTAMP BY at LEFT JOIN r ON e.k = r.id`, three,
		`12:00:03 "a"`, `12:00:09 "a"`, `12:00:10 null`, `12:00:19 null`, `12:00:20 "c"`, `12:00:35 "c"`)
	// Versions of a step are those of all that it reads.
	f(`WITH x AS (SELECT r.id, s.w AS v FROM r JOIN s ON r.v = s.v)
		SELECT x.v FROM e TIMESTAMP BY at LEFT JOIN x ON e.k = x.id`,
		append(three[:2:2], version("s", 0, `{"v":"a","w":"A"}`), version("s", 19, `{"v":"c","w":"C"}`)),
		`12:00:03 "A"`, `12:00:09 "A"`, `12:00:10 "A"`, `12:00:19 null`, `12:00:20 "C"`, `12:00:35 "C"`)
	f(`WITH x AS (SELECT id, v FROM s UNION SELECT id, v FROM r WHERE v <> 'c')
		SELECT x.v FROM e TIMESTAMP BY at JOIN x ON e.k = x.id`,
		append(three, version("s", 0, `{"id":1,"v":"s1"}`, `{"id":1,"v":"s2"}`)),
		`12:00:03 "s1"`, `12:00:03 "s2"`, `12:00:03 "a"`, `12:00:09 "s1"`, `12:00:09 "s2"`, `12:00:09 "a"`,
		`12:00:10 "s1"`, `12:00:10 "s2"`, `12:00:19 "s1"`, `12:00:19 "s2"`, `12:00:20 "s1"`, `12:00:20 "s2"`, `12:00:35 "s1"`, `12:00:35 "s2"`)
	// Without rows there are no matches; without a version there is an error.
	f(`SELECT r.v FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, []Events{{Name: "r"}})
	_, _, err := joined(t, `SELECT r.v FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, refWays(1)[0], events)
	if err == nil || err.Error() != `exec: no rows for reference data "r"` {
		t.Errorf("without reference data: %v", err)
	}
}

// TestReferenceManyMatches: what a row finds is the same when its pairs are looked at in
// several batches.
func TestReferenceManyMatches(t *testing.T) {
	ref, events := Events{Name: "r"}, Events{Name: "e"}
	for i := range 5000 {
		ref.Text = append(ref.Text, fmt.Sprintf(`{"k":1,"n":%d}`, i))
	}
	for i, n := range []int{4998, 6000, 5, 4999} {
		events.Text = append(events.Text, fmt.Sprintf(`{"at":"%s","k":1,"n":%d}`, at(i), n))
	}
	f := func(on string, want ...string) {
		t.Helper()
		for i, o := range refWays(3) {
			got, _, err := joined(t, `SELECT e.n AS a, r.n AS b FROM e TIMESTAMP BY at LEFT JOIN r ON `+on, o, ref, events)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s in way %d: %v\n%q, want\n%q", on, i, err, got, want)
			}
		}
	}
	want := []string{"12:00:00 4998 4998", "12:00:00 4998 4999", "12:00:01 6000 null", "12:00:02 5 null", "12:00:03 4999 4999"}
	f(`e.k = r.k AND e.n <= r.n AND r.n > 4000 AND e.n > 10`, want...)
	f(`e.k <= r.k AND e.n <= r.n AND r.n > 4000 AND e.n > 10`, want...)
}

// keys are values of many kinds, some equal to one another as keys, some NULL or absent.
var keys = []string{"1", "1.0", "true", `"1"`, "0", "-0.0", "false", "null", "", "2", `"two"`, `{"a":1}`, `{"a":1.0}`, "[1]",
	"9007199254740993", "9007199254740992.0", `"` + strings.Repeat("long", 10) + `"`}

func keyed(names []string, values ...string) string {
	var parts []string
	for i, v := range values {
		if v != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", names[i], v))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// sameKey is key equality of two JSON texts (saql.md 3.7).
func sameKey(a, b string) bool {
	if a == "" || b == "" || a == "null" || b == "null" {
		return false
	}
	x, _ := vec.ParseJSON([]byte(a))
	y, _ := vec.ParseJSON([]byte(b))
	return vec.KeyEqual(x, y)
}

// TestReferenceRandom compares reference joins with a nested loop: one key, two, or none, a
// predicate, outer ones, keys of all kinds, several versions.
func TestReferenceRandom(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 9))
		pool := keys
		if r.IntN(2) == 0 {
			pool = []string{`"a"`, `"b"`, `"c"`, `"d"`} // what decoders use dictionaries for
		}
		key := func() string { return pool[r.IntN(len(pool))] }
		two, less, outer := r.IntN(3) == 0, r.IntN(2) == 0, r.IntN(2) == 0
		on := []string{"e.k = r.k"}
		if r.IntN(4) == 0 {
			on = nil
		}
		if two {
			on = append(on, "e.j = r.j")
		}
		if less || len(on) == 0 {
			less = true
			on = append(on, "e.n < r.n")
		}
		kind := "JOIN"
		if outer {
			kind = "LEFT JOIN"
		}
		query := "SELECT e.n AS a, r.n AS b FROM e TIMESTAMP BY at " + kind + " r ON " + strings.Join(on, " AND ")
		type row struct {
			s, n int
			k, j string
		}
		var versions [][]row
		var inputs []Events
		for v := range 1 + r.IntN(3) {
			var rows []row
			in := Events{Name: "r", Effective: effective(10 * v)}
			for range r.IntN(20) {
				x := row{n: r.IntN(50), k: key(), j: key()}
				rows = append(rows, x)
				in.Text = append(in.Text, keyed([]string{"k", "j", "n"}, x.k, x.j, fmt.Sprint(x.n)))
			}
			versions, inputs = append(versions, rows), append(inputs, in)
		}
		events := Events{Name: "e"}
		var want []string
		for i := range 40 {
			x := row{s: i, n: r.IntN(50), k: key(), j: key()}
			events.Text = append(events.Text, keyed([]string{"at", "k", "j", "n"}, `"`+at(i)+`"`, x.k, x.j, fmt.Sprint(x.n)))
			found := false
			for _, y := range versions[min(i/10, len(versions)-1)] {
				if strings.Contains(query, "e.k = r.k") && !sameKey(x.k, y.k) || two && !sameKey(x.j, y.j) || less && x.n >= y.n {
					continue
				}
				found = true
				want = append(want, fmt.Sprintf("12:00:%02d %d %d", i, x.n, y.n))
			}
			if outer && !found {
				want = append(want, fmt.Sprintf("12:00:%02d %d null", i, x.n))
			}
		}
		for i, o := range refWays(seed) {
			got, _, err := joined(t, query, o, append(inputs, events)...)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("seed %d way %d: %s: %v\n%v\ngives\n%q, want\n%q", seed, i, query, err, inputs, got, want)
			}
		}
	}
}

// write makes a file of a test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunReference: files of reference data are read before the events: JSON and CSV, with
// types and without, and several versions.
func TestRunReference(t *testing.T) {
	events := ""
	for i, s := range []int{0, 10, 20} {
		events += fmt.Sprintf(`{"at":"%s","k":%d,"c":"%d"}`+"\n", at(s), i%2+1, i%2+1)
	}
	const typed = `CREATE TABLE r (id bigint, name nvarchar(max), x float, ok bit); `
	f := func(query string, o Options, want string, drops []string, refs ...Input) {
		t.Helper()
		p := compileWith(t, query)
		var names []string
		for _, c := range p.Outputs[0].Node.Cols {
			names = append(names, c.Name)
		}
		e := codec.NewEncoder(codec.JSONLines, names, false)
		var out []byte
		var dropped []string
		o.OnRows = func(_ int, b *vec.Batch) error { out = e.Encode(out, b); return nil }
		o.OnBad = func(d Dropped) {
			dropped = append(dropped, fmt.Sprintf("%s %s:%d@%d %s %s", d.Input, filepath.Base(d.Path), d.Line, d.Offset, d.Name, d.Text))
		}
		res, err := Run(context.Background(), p, append(refs, text(events)), o)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(strings.ReplaceAll(string(out), "\n", " ")); got != want {
			t.Errorf("%s gives\n%s, want\n%s", query, got, want)
		}
		if !slices.Equal(dropped, drops) || res.DroppedTotal() != int64(len(drops)) {
			t.Errorf("%s drops %d: %q, want %q", query, res.DroppedTotal(), dropped, drops)
		}
	}
	ref := func(path string) Input {
		return Input{Name: "R", Path: path, Format: Format{CSV: strings.HasSuffix(path, ".csv")}}
	}
	lines := write(t, "r.jsonl", `{"id":1,"name":"one","x":1}`+"\n"+`{"id":2,"name":`+"\n"+`{"id":2,"name":"two","ok":true}`+"\n")
	bad := []string{`R r.jsonl:2@28 InputDeserializerError.InvalidData {"id":2,"name":`}
	for _, o := range []Options{{Sample: true}, {Late: -1, Workers: 1}, {Late: -1, Workers: 3}} {
		f(`SELECT e.k, r.name FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, o,
			`{"k":1,"name":"one"} {"k":2,"name":"two"} {"k":1,"name":"one"}`, bad, ref(lines))
	}
	array := write(t, "r.json", `[{"id":2,"name":"zwei"},{"id":2,"name":"dos"}]`)
	f(`SELECT e.k, r.name FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, Options{Sample: true},
		`{"k":2,"name":"zwei"} {"k":2,"name":"dos"}`, nil, ref(array))
	csv := write(t, "r.csv", "id,name,x,ok\n1,one,1.5,true\n2,two,,null\n1e1,ten,1,true\n3,,2,false\n")
	// Text of CSV is no number: only a declaration makes it one.
	f(`SELECT e.k, r.name FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, Options{Sample: true}, ``, nil, ref(csv))
	f(`SELECT e.c, r.id FROM e TIMESTAMP BY at JOIN r ON e.c = r.id`, Options{Sample: true},
		`{"c":"1","id":"1"} {"c":"2","id":"2"} {"c":"1","id":"1"}`, nil, ref(csv))
	f(typed+`SELECT r.* FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`, Options{Sample: true},
		`{"id":1,"name":"one","x":1.5,"ok":true} {"id":2,"name":"two","x":null,"ok":null} {"id":1,"name":"one","x":1.5,"ok":true}`,
		[]string{"R r.csv:4@40 InputDeserializerError.TypeConversionError 1e1,ten,1,true"}, ref(csv))
	f(typed+`SELECT r.x, r.name FROM e TIMESTAMP BY at JOIN r ON e.k + 1 = r.id`, Options{Sample: true},
		`{"x":null,"name":"two"} {"x":2.0,"name":""} {"x":null,"name":"two"}`,
		[]string{"R r.csv:4@40 InputDeserializerError.TypeConversionError 1e1,ten,1,true"}, ref(csv))
	old, young := ref(array), ref(write(t, "s.json", `{"id":1,"name":"uno"}`))
	young.Effective = effective(10)
	f(`SELECT e.k, r.name FROM e TIMESTAMP BY at LEFT JOIN r ON e.k = r.id`, Options{Sample: true},
		`{"k":1,"name":null} {"k":2,"name":null} {"k":1,"name":"uno"}`, nil, young, old)
	p := compileWith(t, `SELECT r.name FROM e TIMESTAMP BY at JOIN r ON e.k = r.id`)
	if _, err := Run(context.Background(), p, []Input{text(events)}, Options{}); !errors.Is(err, ErrNoInput) || err.Error() != `input "r": no file given` {
		t.Errorf("without a file: %v", err)
	}
	if _, err := Run(context.Background(), p, []Input{text(events), ref("no such file")}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with a missing file: %v", err)
	}
}

// TestReferenceQueryErrors: a query error in reference data ends the run, or drops its row.
func TestReferenceQueryErrors(t *testing.T) {
	const query = `WITH x AS (SELECT id, CAST(v AS bigint) AS v FROM r) SELECT x.v FROM e TIMESTAMP BY at JOIN x ON e.k = x.id`
	inputs := []Events{{Name: "r", Text: []string{`{"id":1,"v":"7"}`, `{"id":1,"v":"x"}`, `{"id":1,"v":"8"}`}},
		{Name: "e", Text: []string{`{"at":"` + at(1) + `","k":1}`, `{"at":"` + at(2) + `","k":1}`}}}
	_, _, err := joined(t, query, EventOptions{Options: exec.Options{Sample: true}}, inputs...)
	var q *exec.QueryError
	if !errors.As(err, &q) || query[q.Span.Start:q.Span.End] != "CAST(v AS bigint)" {
		t.Errorf("the run ends with %v", err)
	}
	rows, counts, err := joined(t, query, EventOptions{Options: exec.Options{Sample: true, DropErrors: true}}, inputs...)
	if want := []string{"12:00:01 7", "12:00:01 8", "12:00:02 7", "12:00:02 8"}; err != nil || !slices.Equal(rows, want) {
		t.Errorf("%v: rows %q, want %q", err, rows, want)
	}
	if n := counts.Dropped[exec.QueryFailed]; n != 1 {
		t.Errorf("%d rows dropped, want 1", n)
	}
}
