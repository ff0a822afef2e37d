package caserun

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"weir/internal/testkit"
)

//go:generate env WEIR_UPDATE=1 go test -run TestCompatibilityPage .

// compatibilityPage is generated; WEIR_UPDATE writes it anew.
const compatibilityPage = "../../docs/compatibility.md"

// caseGroup is a part of the language. A case belongs to the first group whose pattern
// its file name has.
type caseGroup struct {
	title   string
	pattern *regexp.Regexp
}

var caseGroups = []caseGroup{
	{"Errors in queries", regexp.MustCompile(`^error-`)},
	{"Published queries and samples", regexp.MustCompile(`^(seed|sample|project)-`)},
	{"Pattern matching: MATCH_RECOGNIZE", regexp.MustCompile(`^match-`)},
	{"Joins and reference data", regexp.MustCompile(`join|reference`)},
	{"UNION", regexp.MustCompile(`union`)},
	{"APPLY", regexp.MustCompile(`apply`)},
	{"Functions in JavaScript", regexp.MustCompile(`^(udf|uda)-`)},
	{"Geospatial functions", regexp.MustCompile(`^geo-`)},
	{"Analytic functions: LAG, LAST, ISFIRST, aggregates OVER", regexp.MustCompile(`^(lag|last|isfirst)-|-over-|-over$`)},
	{"Windows", regexp.MustCompile(`^(tumbling|hopping|sliding|session|snapshot|windows?|chained-windows|empty|partition-by|where-filters|where-before|group-by)-`)},
	{"Time: TIMESTAMP BY, policies, System.Timestamp", regexp.MustCompile(`^(timestamp|no-timestamp|arrival|late|out-of-order|reordered|zero|equal-times|system-timestamp|substreams|same-data)-`)},
	{"Aggregates", regexp.MustCompile(`^(count|sum|avg|min-max|stdev|percentile|collect|topone|collecttop|conditional|having|default-name)-`)},
	{"Types and conversions", regexp.MustCompile(`^(cast|try-cast|gettype|bit|bigint|create-table|mixed)-`)},
	{"Dates", regexp.MustCompile(`^date`)},
	{"Steps, columns, records, conditions and scalar functions", regexp.MustCompile(``)},
}

// number is the prefix of a case's file name.
var number = regexp.MustCompile(`^[ft]-\d+-`)

func groupOf(file string) int {
	name := number.ReplaceAllString(strings.TrimSuffix(filepath.Base(file), ".json"), "")
	return slices.IndexFunc(caseGroups, func(g caseGroup) bool { return g.pattern.MatchString(name) })
}

// TestCompatibilityPage holds docs/compatibility.md equal to what the cases say.
func TestCompatibilityPage(t *testing.T) {
	files, err := testkit.Find([]string{"../../testdata/saql/conformance"})
	if err != nil {
		t.Fatal(err)
	}
	groups := make([]int, len(caseGroups))
	for _, file := range files {
		c, err := testkit.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		if problem := testkit.Check(c, Engine, testkit.Whole); problem != "" {
			t.Errorf("%s fails, so the page cannot say that it passes:\n%s", file, problem)
		}
		groups[groupOf(file)]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, compatibilityHead, len(files))
	for i, n := range groups {
		fmt.Fprintf(&b, "| %s | %d |\n", caseGroups[i].title, n)
	}
	fmt.Fprintf(&b, "| **all** | **%d** |\n", len(files))
	fmt.Fprintf(&b, azureHead, azureTable(t))
	fmt.Fprintf(&b, projectsHead, projectsTable(t))
	if os.Getenv("WEIR_UPDATE") != "" {
		if err := os.WriteFile(compatibilityPage, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(compatibilityPage)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != b.String() {
		t.Error("docs/compatibility.md is not what the cases say; run go generate ./internal/caserun")
	}
}

const compatibilityHead = `# Compatibility

What of the query language of Azure Stream Analytics runs here, counted in conformance
cases: a query, events, and the rows that must come out. This page is generated from the
cases in testdata/saql/conformance by "go generate ./internal/caserun"; a test holds it true.

All of the %d cases pass, each in several ways: whole, a row at a time, cut at random,
interrupted and restored after every batch, and on several shards.

| part of the language | cases |
|---|---|
`

// projectsTable is what came out of the public projects, from the file that the acceptance
// test of cmd/weir writes.
func projectsTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/projects.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Project, Path, Form, Result, Note string }
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", p.Project, p.Path, p.Form, p.Result, p.Note)
	}
	return b.String()
}

const projectsHead = `
## Public projects

Projects and templates of public repositories, loaded and run there unmodified with
"weir run PATH --results DIR" (docs/jobs.md); the result is the rows of each output. To repeat,
with checkouts in DIR by their names: go test ./cmd/weir -run PublicProjects -projects DIR.

Inputs and outputs of Event Hubs and IoT Hub are event hubs of Weir itself when such a project
runs live, and clients of Event Hubs send to them (docs/connectors/hub.md).

What stays unsupported is refused by name: functions and deserializers in C#, functions of
Azure Machine Learning, tables of Delta Lake. A function can be replaced by one in
JavaScript, in an overlay or a test.

| repository | path | form | rows by output | note |
|---|---|---|---|---|
%s`

const azureHead = `
## Published queries

The queries that the public repository Azure/azure-stream-analytics publishes as text, read
there unchanged and run on the data that lies beside them or, where none does, on a few events
of ours, as the note says. The numbers of rows were worked out from the data before, by other
means (but that of ASAOneClick), and agree. To repeat, with a checkout of it in DIR:
go test ./internal/caserun -run AzureSamples -azure DIR.

| query | file | result | note |
|---|---|---|---|
%s`

func TestGroups(t *testing.T) {
	f := func(file, want string) {
		t.Helper()
		if got := caseGroups[groupOf(file)].title; !strings.HasPrefix(got, want) {
			t.Errorf("%s is in %q; want %q", file, got, want)
		}
	}
	f("x/t-002-tumbling-by-key-with-gap.json", "Windows")
	f("f-197-error-group-by-without-window.json", "Errors")
	f("t-102-reference-inner.json", "Joins")
	f("t-130-avg-over-last-minutes-by-key.json", "Analytic")
	f("f-020-upper-lower.json", "Steps")
}
