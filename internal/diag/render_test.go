package diag

import (
	"strings"
	"testing"
)

// at is the span of the n-th occurrence of part in src, from 1.
func at(t *testing.T, src, part string, n int) Span {
	t.Helper()
	from := 0
	for {
		i := strings.Index(src[from:], part)
		if i < 0 {
			t.Fatalf("%q does not hold %q", src, part)
		}
		from += i
		if n--; n == 0 {
			return Span{from, from + len(part)}
		}
		from += len(part)
	}
}

func TestRender(t *testing.T) {
	f := func(src string, d Diagnostic, want string) {
		t.Helper()
		var b strings.Builder
		Render(&b, "job.saql", src, &d, false)
		if got, want := b.String(), strings.TrimPrefix(want, "\n"); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
	src := "WITH\n\n\n\n\n\n\n\nSELECT TolId, AvgToll"
	f(src, Diagnostic{Code: SA2002, Span: at(t, src, "TolId", 1), Message: `no column "TolId" in step "Averages"`,
		Text: `not a column of "Averages"`, Hint: `did you mean "TollId"?`}, `
error[SA2002]: no column "TolId" in step "Averages"
  --> job.saql:9:8
   |
 9 | SELECT TolId, AvgToll
   |        ^^^^^ not a column of "Averages"
   |
   = hint: did you mean "TollId"?
`)
	// A related place on the same line, left and right of the caret.
	src = "SELECT a < b < c FROM t"
	f(src, Diagnostic{Code: SA3003, Span: at(t, src, "<", 2), Message: "comparisons cannot be chained",
		Related: []Label{{at(t, src, "<", 1), "first comparison"}}}, `
error[SA3003]: comparisons cannot be chained
  --> job.saql:1:14
   |
 1 | SELECT a < b < c FROM t
   |          -   ^
   |          first comparison
`)
	f(src, Diagnostic{Code: SA3003, Span: at(t, src, "<", 1), Message: "m", Text: "here",
		Related: []Label{{at(t, src, "FROM", 1), "there"}}}, `
error[SA3003]: m
  --> job.saql:1:10
   |
 1 | SELECT a < b < c FROM t
   |          ^       ---- there
   |          here
`)
	// A related place on another line, far and near.
	src = "WITH a AS (x),\nb AS (y),\n\n\n\n\n\n\n\na AS (z)"
	f(src, Diagnostic{Code: SA2006, Span: at(t, src, "a", 2), Message: `the name "a" is already a step`,
		Related: []Label{{at(t, src, "a", 1), "first definition"}}}, `
error[SA2006]: the name "a" is already a step
   --> job.saql:10:1
    |
  1 | WITH a AS (x),
    |      - first definition
...
 10 | a AS (z)
    | ^
`)
	f(src, Diagnostic{Code: SA2006, Severity: SeverityWarning, Span: at(t, src, "b", 1), Message: "m",
		Related: []Label{{at(t, src, "a", 1), ""}}}, `
warning[SA2006]: m
  --> job.saql:2:1
   |
 1 | WITH a AS (x),
   |      -
 2 | b AS (y),
   | ^
`)
	// Wide characters, combining marks, tabs.
	src = "SELECT 温度センサー, e\u0301t\u0301 x,\tzz FROM t"
	f(src, Diagnostic{Code: SA2002, Span: at(t, src, "温度センサー", 1), Message: "m"}, `
error[SA2002]: m
  --> job.saql:1:8
   |
 1 | SELECT 温度センサー, e`+"\u0301t\u0301"+` x,  zz FROM t
   |        ^^^^^^^^^^^^
`)
	f(src, Diagnostic{Code: SA2002, Span: at(t, src, "e\u0301t\u0301", 1), Message: "m"}, `
error[SA2002]: m
  --> job.saql:1:16
   |
 1 | SELECT 温度センサー, e`+"\u0301t\u0301"+` x,  zz FROM t
   |                      ^^
`)
	f(src, Diagnostic{Code: SA2002, Span: at(t, src, "zz", 1), Message: "m"}, `
error[SA2002]: m
  --> job.saql:1:24
   |
 1 | SELECT 温度センサー, e`+"\u0301t\u0301"+` x,  zz FROM t
   |                             ^^
`)
	src = "\tSELECT\tx"
	f(src, Diagnostic{Code: SA2002, Span: at(t, src, "\tx", 1), Message: "m"}, `
error[SA2002]: m
  --> job.saql:1:8
   |
 1 |     SELECT  x
   |           ^^^
`)
	// A span of several lines ends at its first one. Lone CR and CR LF end lines.
	src = "SELECT\r'a\r\nb' FROM\nt"
	f(src, Diagnostic{Code: SA3001, Span: at(t, src, "'a\r\nb'", 1), Message: "m", Text: "text"}, `
error[SA3001]: m
  --> job.saql:2:1
   |
 2 | 'a
   | ^^ text
`)
	// The end of the text, with and without a last line end; empty text.
	f("SELECT a", Diagnostic{Code: SA2101, Span: Span{8, 8}, Message: "m"}, `
error[SA2101]: m
  --> job.saql:1:9
   |
 1 | SELECT a
   |         ^
`)
	f("a\n", Diagnostic{Code: SA2101, Span: Span{2, 2}, Message: "m", Hint: "h"}, `
error[SA2101]: m
  --> job.saql:2:1
   |
 2 |
   | ^
   |
   = hint: h
`)
	f("", Diagnostic{Code: SA2101, Span: Span{7, 9}, Message: "m"}, `
error[SA2101]: m
  --> job.saql:1:1
   |
 1 |
   | ^
`)
	// What would disturb the terminal is replaced; a byte order mark is not there.
	src = "\uFEFFa\x1b[2Jb\xffc"
	f(src, Diagnostic{Code: SA1003, Span: at(t, src, "c", 1), Message: "a\nb"}, `
error[SA1003]: a�b
  --> job.saql:1:8
   |
 1 | a�[2Jb�c
   |        ^
`)
}

func TestRenderWithoutText(t *testing.T) {
	var b strings.Builder
	Render(&b, "", "", &Diagnostic{Code: SA9001, Message: "m", Hint: "h"}, false)
	if got, want := b.String(), "error[SA9001]: m\n   = hint: h\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRenderColor(t *testing.T) {
	var b strings.Builder
	Render(&b, "f", "ab", &Diagnostic{Code: SA2002, Span: Span{0, 1}, Message: "m", Text: "t"}, true)
	want := "\x1b[1;31merror[SA2002]\x1b[0m\x1b[1m: m\x1b[0m\n" +
		"  \x1b[1;34m-->\x1b[0m f:1:1\n" +
		"\x1b[1;34m   |\x1b[0m\n" +
		"\x1b[1;34m 1 |\x1b[0m ab\n" +
		"\x1b[1;34m   |\x1b[0m \x1b[1;31m^\x1b[0m \x1b[1;31mt\x1b[0m\n"
	if b.String() != want {
		t.Errorf("got %q\nwant %q", b.String(), want)
	}
}

func TestRenderList(t *testing.T) {
	var b strings.Builder
	List{{Code: SA2002, Message: "a"}, {Code: SA2003, Message: "b"}}.Render(&b, "", "", false)
	if got, want := b.String(), "error[SA2002]: a\n\nerror[SA2003]: b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A long line is cut around its caret.
func TestRenderLongLine(t *testing.T) {
	f := func(src string, span Span, wantLine, wantMark string) {
		t.Helper()
		var b strings.Builder
		Render(&b, "f", src, &Diagnostic{Code: SA2002, Span: span, Message: "m",
			Related: []Label{{Span{0, 1}, "related"}}}, false)
		lines := strings.Split(b.String(), "\n")
		if got := strings.TrimPrefix(lines[3], " 1 |"); got != wantLine {
			t.Errorf("line\n%q\nwant\n%q", got, wantLine)
		}
		if got := strings.TrimPrefix(lines[4], "   |"); got != wantMark {
			t.Errorf("mark\n%q\nwant\n%q", got, wantMark)
		}
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	blank := func(n int) string { return strings.Repeat(" ", n) }
	f(x(240), Span{239, 240}, " "+x(240), " -"+blank(238)+"^")
	f(x(5)+"y"+x(500), Span{5, 6}, " "+x(5)+"y"+x(234)+"…", " -    ^")
	f(x(500)+"y"+x(500), Span{500, 501}, " …"+x(80)+"y"+x(159)+"…", " "+blank(81)+"^")
	f(x(500)+"y"+x(10), Span{500, 501}, " …"+x(80)+"y"+x(10), " "+blank(81)+"^")
	f(x(500), Span{0, 500}, " "+x(240)+"…", " "+strings.Repeat("^", 240)+" related")
	f(strings.Repeat("日", 500), Span{900, 903}, " …"+strings.Repeat("日", 120)+"…", " "+blank(81)+"^^")
	f(x(500), Span{500, 500}, " …"+x(80), " "+blank(81)+"^") // behind the last character
	f(x(499)+"\ny", Span{499, 499}, " …"+x(80), " "+blank(81)+"^")
}
