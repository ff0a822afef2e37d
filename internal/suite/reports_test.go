package suite

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/internal/testkit"
)

const mixed = `
-- q.saql --
SELECT k INTO out FROM i TIMESTAMP BY t
-- broken.saql --
SELECT k, COUNT(*) AS n FROM i
-- a_test.yaml --
query: q.saql
tests:
  - {name: good, given: {i: [{k: a, t: 12:00}]}, expect: {out: [{k: a}]}}
  - {name: "bad, <b> & 100%", given: {i: [{k: a, t: 12:00}]}, expect: {out: [{k: b}]}}
  - {name: later, skip: waits, expect: {out: []}}
-- b_test.yaml --
query: broken.saql
tests:
  - {name: broken, given: {i: []}, expect: {output: []}}
`

// results runs the tests of a path.
func results(t *testing.T, o RunOptions, path string) []*Result {
	t.Helper()
	got, list := run(t, o, path)
	if list == nil {
		t.Fatalf("%s gives no results: %s", path, got)
	}
	return list
}

// TestJUnit: the shape that continuous integration reads, and nothing that XML does not take.
func TestJUnit(t *testing.T) {
	write(t, mixed)
	var b strings.Builder
	if err := WriteJUnit(&b, results(t, RunOptions{}, ".")); err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(`time="[0-9.]+"`).ReplaceAllString(b.String(), `time=""`)
	want := `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="weir" tests="4" failures="1" errors="1" skipped="1" time="">
  <testsuite name="a_test.yaml" tests="3" failures="1" errors="0" skipped="1" time="">
    <testcase name="good" classname="a_test.yaml" file="a_test.yaml" line="3" time=""></testcase>
    <testcase name="bad, &lt;b&gt; &amp; 100%" classname="a_test.yaml" file="a_test.yaml" line="4" time="">
      <failure message="a_test.yaml:4:78  output &#34;out&#34;: 1 of 1 row differs" type="rows">a_test.yaml:4:78  output &#34;out&#34;: 1 of 1 row differs&#xA;  k&#xA;  a ≠ b</failure>
    </testcase>
    <testcase name="later" classname="a_test.yaml" file="a_test.yaml" line="5" time="">
      <skipped message="waits"></skipped>
    </testcase>
  </testsuite>
  <testsuite name="b_test.yaml" tests="1" failures="0" errors="1" skipped="0" time="">
    <testcase name="broken" classname="b_test.yaml" file="b_test.yaml" line="3" time="">
      <error message="error[SA5001]: `
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s\nwant\n%s...", got, want)
	}
	var parsed junitSuites
	if err := xml.Unmarshal([]byte(b.String()), &parsed); err != nil || len(parsed.Suites) != 2 || parsed.Suites[0].Cases[1].Failure == nil {
		t.Errorf("it reads back as %+v, error %v", parsed, err)
	}
	odd := &Result{Test: &Test{Name: "a\x00b\xff"}, Failures: []Failure{{Text: "\x01\xfe"}}}
	b.Reset()
	if err := WriteJUnit(&b, []*Result{odd}); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal([]byte(b.String()), &parsed); err != nil {
		t.Errorf("characters that XML does not have: %v", err)
	}
}

func TestAnnotations(t *testing.T) {
	write(t, mixed)
	var b strings.Builder
	for _, r := range results(t, RunOptions{}, "a_test.yaml") {
		b.WriteString(r.Annotations())
	}
	want := "::error file=a_test.yaml,line=4,col=78,title=bad%2C <b> & 100%25::output \"out\": 1 of 1 row differs%0A  k%0A  a ≠ b\n"
	if b.String() != want {
		t.Errorf("got  %swant %s", b.String(), want)
	}
}

// TestSummary: the shape of testResultSummary.json (jobmodel.md 10).
func TestSummary(t *testing.T) {
	archive, err := os.ReadFile("testdata/asa.txt")
	if err != nil {
		t.Fatal(err)
	}
	write(t, strings.SplitN(string(archive), "-- want --", 2)[0])
	list := results(t, RunOptions{}, ".")
	for _, r := range list {
		r.Elapsed = time.Hour + 2*time.Minute + 3*time.Second + 4500*time.Microsecond
	}
	if err := WriteSummaries("out/summary.json", list); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile("out/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	var s asaSummary
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Total != 4 || s.Passed != 3 || s.Failed != 1 || s.Time != "04:08:12.0180000" || s.Results[0].Time != "01:02:03.0045000" || !strings.HasSuffix(s.Script, "clicks.asaql") {
		t.Errorf("the summary is %s", b)
	}
	shape := func(r asaResult) string {
		var parts []string
		for _, list := range [][]asaOutput{r.OutputMatched, r.OutputNotEqual, r.OutputMissing, r.OutputUnexpected, r.OutputUnrequired} {
			var names []string
			for _, o := range list {
				names = append(names, o.OutputAlias)
			}
			parts = append(parts, strings.Join(names, "+"))
		}
		return strings.Join(parts, "|")
	}
	f := func(i int, want string) {
		t.Helper()
		if got := shape(s.Results[i]); got != want {
			t.Errorf("case %d: %s; want %s", i, got, want)
		}
	}
	f(0, "hourly|||copy|")
	f(1, "hourly+copy||||")
	f(2, "|||hourly|copy+none")
	f(3, "|copy||hourly|")
	for _, key := range []string{`"OutputNotEqual": []`, `"OutputMissing": []`, `"ExpectedOutput": ""`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("the summary has no %s", key)
		}
	}
	rows, err := os.ReadFile("out/an array, and the inputs of the project/copy.json")
	if want := `{"User":"7","Time":"2024-01-01T00:00:01Z"}` + "\n"; err != nil || string(rows) != want {
		t.Errorf("the rows are %q, error %v; want %q", rows, err, want)
	}
	if err := WriteSummaries("out", results(t, RunOptions{}, ".")[:0]); err == nil {
		t.Error("a summary of no Azure tests is no error")
	}
}

// TestFileNames: a case is no way out of the directory of results.
func TestFileNames(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := fileName(name); got != want {
			t.Errorf("%q gives %q; want %q", name, got, want)
		}
	}
	f("two hours", "two hours")
	f("../../etc/passwd", "-..-etc-passwd")
	f("..", "unnamed")
	f("a:b\x00c", "a-b-c")
	f("", "unnamed")
}

// TestWays: every way must give the same rows, and a difference names the way.
func TestWays(t *testing.T) {
	write(t, `
-- q.saql --
WITH s AS (SELECT k, COUNT(*) AS n FROM i TIMESTAMP BY t GROUP BY k, HoppingWindow(second, 4, 2))
SELECT k, n INTO out FROM s WHERE n > 1
SELECT i.k, j.k AS other INTO joined FROM i TIMESTAMP BY t JOIN j TIMESTAMP BY t ON i.k = j.k AND DATEDIFF(second, i, j) BETWEEN 0 AND 3
-- x_test.yaml --
query: q.saql
tests:
  - name: sample
    given: {i: [{k: a, t: 12:00:01}, {k: a, t: 12:00:02}], j: [{k: a, t: 12:00:04}]}
    expect: {out: {count: 2}, s: {count: 2}, joined: {order: exact, rows: [{k: a, other: a}, {k: a, other: a}]}}
  - name: by the clock
    given:
      i: [{at: 12:00:01, k: a, t: 12:00:01}, {at: 12:00:03, k: a, t: 12:00:02}]
      j: [{at: 12:00:02, k: a, t: 12:00:04}]
    advance: 12:00:20
    expect: {out: {count: 2}, joined: {count: 2}}
    emits_at: {joined: 12:00:09}
`)
	for _, r := range results(t, RunOptions{Ways: testkit.Ways(3), Shuffle: 20}, "x_test.yaml") {
		if !r.OK {
			t.Errorf("%s: %s", r.Test.Name, r.Message())
		}
	}
}

// TestTimeout: a test that runs too long fails and names its limit.
func TestTimeout(t *testing.T) {
	write(t, `
-- q.saql --
SELECT UDF.f(k) AS k INTO out FROM i TIMESTAMP BY t
-- x_test.yaml --
query: q.saql
tests:
  - name: endless
    given: {i: {table: [[k, t], [1, 12:00], [2, 12:00]]}}
    functions: {f: {script: "function main(x) { var n = 0; for (var i = 0; i < 1e6; i++) n += i; return n }"}}
    expect: {out: {count: 2}}
`)
	list := results(t, RunOptions{Timeout: time.Nanosecond}, "x_test.yaml")
	if got := list[0].Message(); got != "x_test.yaml:3:11  the test takes longer than 1ns (--timeout)" {
		t.Errorf("got %q", got)
	}
}
