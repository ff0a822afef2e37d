package saql

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/internal/diag"
)

func TestLimits(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		_, errs := Parse(query)
		got := ""
		if len(errs) > 0 {
			got = string(errs[0].Code) + " " + errs[0].Message
		}
		if got != want {
			t.Errorf("%.60s: got %q, want %q", query, got, want)
		}
		if len(errs) > 1 {
			t.Errorf("%.60s: %d errors: %v", query, len(errs), errs)
		}
	}
	nested := func(open, close string, n int) string {
		return "SELECT a FROM t WHERE " + strings.Repeat(open, n) + "x" + strings.Repeat(close, n) + " = 1"
	}
	const deep = "SA2101 nested too deep: at most 250 levels"
	f(nested("(", ")", 250), "")
	f(nested("(", ")", 251), deep)
	f(nested("f(", ")", 250), "")
	f(nested("f(", ")", 251), deep)
	f(nested("- ", "", 250), "")
	f(nested("~", "", 251), deep)
	f(nested("NOT ", "", 251), deep)
	f(nested("CASE WHEN 1 = 1 THEN ", " END", 251), deep)
	f(nested("CAST(", " AS float)", 251), deep)
	f("SELECT a FROM "+strings.Repeat("(", 251)+"t"+strings.Repeat(")", 251), deep)
	f("SELECT a FROM "+strings.Repeat("(SELECT a FROM ", 251)+"t"+strings.Repeat(")", 251), deep)
	f(strings.Repeat("(", 251)+"SELECT a FROM t"+strings.Repeat(")", 251), deep)

	const long = "SA2101 too long: at most 10000 in a row"
	f("SELECT a FROM t WHERE x = 1"+strings.Repeat(" OR x = 1", maxChain), "")
	f("SELECT a FROM t WHERE x = 1"+strings.Repeat(" OR x = 1", maxChain+1), long)
	f("SELECT 1"+strings.Repeat("+1", maxChain+1)+" AS a FROM t", long)
	f("SELECT 1"+strings.Repeat("*1", maxChain+1)+" AS a FROM t", long)
	f("SELECT f(x)"+strings.Repeat(".a", maxChain+1)+" AS a FROM t", long)
	f("SELECT a FROM t"+strings.Repeat(" JOIN t ON 1 = 1", maxChain+1), long)

	f("SELECT a"+strings.Repeat(", a", maxItems-1)+" FROM t", "")
	f("SELECT a"+strings.Repeat(", a", maxItems)+" FROM t", "SA2101 too many columns: a select list has at most 4096")
	f("WITH s AS (SELECT a FROM t)"+strings.Repeat(", s AS (SELECT a FROM t)", maxSteps-1)+" SELECT a FROM s", "")
	f("WITH s AS (SELECT a FROM t)"+strings.Repeat(", s AS (SELECT a FROM t)", maxSteps)+" SELECT a FROM s", "SA2101 too many steps: at most 512")

	f("SELECT "+strings.Repeat("x", maxName)+" FROM t", "")
	f("SELECT "+strings.Repeat("日", maxName+1)+" FROM t", "SA2101 the name is too long: 1025 characters, at most 1024")
	f("SELECT ["+strings.Repeat("x", maxName+1)+"] FROM t", "SA2101 the name is too long: 1025 characters, at most 1024")
	f("SELECT a FROM t"+strings.Repeat(" ", maxText-15), "")
	f("SELECT a FROM t"+strings.Repeat(" ", maxText-14), "SA2101 the query is too long: at most 1 MiB")
}

// TestHostileTexts parses long texts that repeat one fragment: time and errors stay
// bounded.
func TestHostileTexts(t *testing.T) {
	fragments := []string{"(", ")", "((", "SELECT ", "SELECT a FROM (", "SELECT a, ", ",", "a.", "f(", "-", "- ", "NOT ",
		"CASE ", "CASE WHEN ", "[", "'", "\"", "/*", "`", "‘", "；", "\x00", "WITH a AS (", "a AS (", "UNION ", "(SELECT ",
		"JOIN ", "x = ", "1 OR ", "a b ", ";", "; x", "1e999 ", "GROUP BY ", "Windows(", "OVER (", "IN (", "MATCH_RECOGNIZE (",
		"CREATE TABLE t (", "SELECT a FROM t ", "SELECT a FROM t WHERE ", "PATTERN (", "[a]", "a. ", ".5", "< ", "order ", "\r", "\n"}
	for _, head := range []string{"", "SELECT a FROM t WHERE ", "SELECT a FROM "} {
		for _, part := range fragments {
			src := head + strings.Repeat(part, 20000/len(part))
			begun := time.Now()
			s, errs := Parse(src)
			if s == nil || len(errs) > diag.MaxErrors {
				t.Errorf("%q %q: %d errors", head, part, len(errs))
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("%q %q: %v", head, part, took)
			}
			checkFormat(t, src)
		}
	}
}

// TestManyErrors cuts the list, and the rest of the text is still read.
func TestManyErrors(t *testing.T) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "SELECT a b c FROM t%d;\n", i)
	}
	s, errs := Parse(b.String())
	if len(errs) != diag.MaxErrors || len(s.Stmts) != 30 {
		t.Errorf("%d errors, %d statements", len(errs), len(s.Stmts))
	}
	if errs[diag.MaxErrors-1].Span.Start < errs[0].Span.Start {
		t.Error("not sorted")
	}
}
