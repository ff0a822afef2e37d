package saql

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"weir/internal/diag"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares what show makes of the queries of a file with what the file says. A
// case is a line "=== name", the query, a line "---" and the result.
func golden(t *testing.T, file string, show func(t *testing.T, query string) string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split("\n"+string(data), "\n=== ") {
		if i == 0 {
			out.WriteString(strings.TrimPrefix(block, "\n"))
			if block != "" {
				out.WriteByte('\n')
			}
			continue
		}
		name, rest, _ := strings.Cut(block, "\n")
		query, want, _ := strings.Cut(rest, "\n---\n")
		query = strings.TrimSuffix(query, "\n---")
		got := strings.TrimSuffix(show(t, query), "\n")
		if want = strings.TrimSuffix(want, "\n"); got != want && !*update {
			t.Errorf("%s: %s\ngot\n%s\nwant\n%s", name, query, got, want)
		}
		out.WriteString("=== " + name + "\n" + query + "\n---\n" + got + "\n\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// unescape lets a golden file hold characters that an editor would lose.
var unescape = strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\t`, "\t", `\xff`, "\xff", `\ufeff`, "\uFEFF", `\0`, "\x00")

func TestErrors(t *testing.T) {
	golden(t, "testdata/errors.golden", func(t *testing.T, query string) string {
		query = unescape.Replace(query)
		s, errs := Parse(query)
		if s == nil {
			t.Fatal("no script")
		}
		checkSpans(t, query, errs)
		var b strings.Builder
		errs.Render(&b, "q.saql", query, false)
		return b.String()
	})
}

// TestFixes applies the fixes of all errors of a text: they leave none.
func TestFixes(t *testing.T) {
	golden(t, "testdata/fixes.golden", func(t *testing.T, query string) string {
		_, errs := Parse(query)
		var fix []diag.Edit
		for _, d := range errs {
			if len(d.Fix) == 0 {
				t.Errorf("%s: no fix for %v", query, d)
			}
			fix = append(fix, d.Fix...)
		}
		fixed := diag.Apply(query, fix)
		if _, errs := Parse(fixed); len(errs) > 0 {
			t.Errorf("%s is still wrong: %v", fixed, errs)
		}
		return fixed
	})
}

func TestTrees(t *testing.T) {
	golden(t, "testdata/trees.golden", func(t *testing.T, query string) string {
		s, errs := Parse(query)
		if len(errs) > 0 {
			t.Errorf("%s: %v", query, errs)
		}
		return dumpStatements(s)
	})
}

func TestFormat(t *testing.T) {
	golden(t, "testdata/format.golden", func(t *testing.T, query string) string {
		return checkFormat(t, query)
	})
}

func TestFormatSamples(t *testing.T) {
	for _, q := range sampleQueries(t) {
		checkFormat(t, q)
	}
}

func TestPrint(t *testing.T) {
	for _, q := range sampleQueries(t) {
		if s, errs := Parse(q); !errs.HasErrors() {
			for _, e := range scriptExprs(s) {
				checkPrint(t, e)
				checkPlaces(t, q, e)
			}
		}
	}
}

// TestErrorsCoverTheCodes holds the golden file to every code that the parser reports.
func TestErrorsCoverTheCodes(t *testing.T) {
	data, err := os.ReadFile("testdata/errors.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range syntaxCodes {
		if !strings.Contains(string(data), "error["+string(code)+"]") {
			t.Errorf("%s is not tested", code)
		}
	}
}

// syntaxCodes are the codes that the parser reports.
var syntaxCodes = []diag.Code{diag.SA1001, diag.SA1002, diag.SA1003, diag.SA1004, diag.SA2001, diag.SA2101,
	diag.SA2102, diag.SA2103, diag.SA3003, diag.SA4001, diag.SA4010, diag.SA5011, diag.SA6005, diag.SA6006,
	diag.SA7003, diag.SA8003}

// TestExamplesOfCodes parses the examples that weir explain shows.
func TestExamplesOfCodes(t *testing.T) {
	for _, i := range diag.All() {
		if _, errs := Parse(i.Good); errs.HasErrors() {
			t.Errorf("%s: the good example is wrong: %v", i.Code, errs)
		}
		if i.Bad == "" {
			continue
		}
		_, errs := Parse(i.Bad)
		found := slices.ContainsFunc(errs, func(d *diag.Diagnostic) bool { return d.Code == i.Code })
		// The plan reports TIMESTAMP BY on steps and unknown prefixes too.
		ours := slices.Contains(syntaxCodes, i.Code) && i.Code != diag.SA7003
		if found != ours || !ours && errs.HasErrors() {
			t.Errorf("%s: the bad example gives %v", i.Code, errs)
		}
	}
}
