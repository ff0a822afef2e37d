package saql

import (
	"strings"
	"testing"
)

// exprOf parses one expression.
func exprOf(t testing.TB, text string) Expr {
	t.Helper()
	s, errs := Parse("SELECT 1 AS a FROM t WHERE " + text)
	if errs.HasErrors() {
		t.Fatalf("%s: %v", text, errs)
	}
	return s.Stmts[0].(*Query).Body.(*Select).Where
}

func TestEqual(t *testing.T) {
	f := func(a, b string, want bool) {
		t.Helper()
		x, y := exprOf(t, a), exprOf(t, b)
		if Equal(x, y) != want || Equal(y, x) != want {
			t.Errorf("%s and %s: want %v", a, b, want)
		}
	}
	f("a", "A", true)
	f("a", "[a]", true)
	f("a.b", "A . [B]", true)
	f("a", "b", false)
	f("a.b", "a", false)
	f("a.b", `a."b"`, true)
	f("a", `"a"`, false) // may be a text
	f(`"a"`, `"A"`, false)
	f(`"a"`, `"a"`, true)
	f("(a)", "a", true)
	f("(a + b) * c", "a + b * c", false)
	f("((a + b))", "a + b", true)
	f("1", "0x1", true)
	f("1", "1.0", false)
	f("1.0", "1.00", true)
	f("1", "2", false)
	f("'a'", "N'a'", true)
	f("'a'", "'A'", false)
	f("NULL", "null", true)
	f("TRUE", "true", true)
	f("TRUE", "FALSE", false)
	f("-9223372036854775808", "0x8000000000000000", true)
	f("System.Timestamp", "SYSTEM.timestamp()", true)
	f("System.Window().Id", "system.window().ID", true)
	f("System.Window().Id", "System.Window().Name", false)
	f("COUNT(*)", "count( * )", true)
	f("COUNT(*)", "COUNT()", false)
	f("COUNT(a)", "COUNT(ALL a)", true)
	f("COUNT(a)", "COUNT(DISTINCT a)", false)
	f("UDF.f(a)", "udf.F(a)", true)
	f("UDF.f(a)", "f(a)", false)
	f("f(a, b)", "f(a)", false)
	f("f(a, b)", "f(b, a)", false)
	f("CASE a WHEN 1 THEN 2 END", "case A when 1 then 2 end", true)
	f("CASE a WHEN 1 THEN 2 END", "CASE a WHEN 1 THEN 3 END", false)
	f("CASE a WHEN 1 THEN 2 END", "CASE a WHEN 1 THEN 2 WHEN 3 THEN 4 END", false)
	f("CASE a WHEN 1 THEN 2 END", "CASE a WHEN 1 THEN 2 ELSE 3 END", false)
	f("CASE WHEN a = 1 THEN 2 END", "CASE a WHEN 1 THEN 2 END", false)
	f("CAST(a AS bigint)", "cast(A as BIGINT)", true)
	f("CAST(a AS bigint)", "TRY_CAST(a AS bigint)", false)
	f("CAST(a AS bigint)", "CAST(a AS float)", false)
	f("-a", "- A", true)
	f("-a", "+a", false)
	f("NOT a = 1", "not (a = 1)", true)
	f("a != b", "a <> b", true)
	f("a !< b", "a >= b", true)
	f("a < b", "a > b", false)
	f("a BETWEEN 1 AND 2", "a between 1 and 2", true)
	f("a BETWEEN 1 AND 2", "a NOT BETWEEN 1 AND 2", false)
	f("a BETWEEN 1 AND 2", "a BETWEEN 1 AND 3", false)
	f("a IN (1, 2)", "a IN (1, 2)", true)
	f("a IN (1, 2)", "a IN (1)", false)
	f("a IN (1)", "a NOT IN (1)", false)
	f("a LIKE 'x'", "a like 'x'", true)
	f("a LIKE 'x'", "a NOT LIKE 'x'", false)
	f("a LIKE 'x'", "a LIKE 'x' ESCAPE '!'", false)
	f("a LIKE 'x' ESCAPE '?'", "a LIKE 'x' ESCAPE '!'", false)
	f("a IS NULL", "a is null", true)
	f("a IS NULL", "a IS NOT NULL", false)
	f("a IS NULL", "a = NULL", false)
	f("LAG(a) OVER (PARTITION BY b LIMIT DURATION(minute, 1) WHEN c = 1)", "lag(a) over (limit duration(MINUTE, 1) when c = 1 partition by B)", true)
	f("LAG(a) OVER (LIMIT DURATION(minute, 1))", "LAG(a) OVER (LIMIT DURATION(minute, 2))", false)
	f("LAG(a) OVER (LIMIT DURATION(minute, 1))", "LAG(a) OVER (LIMIT DURATION(hour, 1))", false)
	f("LAG(a) OVER (LIMIT DURATION(minute, 1))", "LAG(a)", false)
	f("LAG(a) OVER (LIMIT DURATION(minute, 1))", "LAG(a) OVER (LIMIT DURATION(minute, 1) WHEN a = 1)", false)
	f("TopOne() OVER (ORDER BY a)", "TopOne() OVER (ORDER BY a ASC)", true)
	f("TopOne() OVER (ORDER BY a)", "TopOne() OVER (ORDER BY a DESC)", false)
	f("TopOne() OVER (ORDER BY a)", "TopOne() OVER (ORDER BY a, b)", false)
	if !Equal(nil, nil) || Equal(nil, exprOf(t, "a")) || !Equal(&Bad{}, &Bad{}) || Equal(&Bad{}, exprOf(t, "a")) {
		t.Error("nil and Bad")
	}
}

func TestWalk(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var names []string
		Walk(exprOf(t, text), func(e Expr) bool {
			switch e := e.(type) {
			case *Path:
				names = append(names, Print(e))
			case *Call:
				return Fold(e.Name.Text) != "stop"
			}
			return true
		})
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
	f("a + b.c * -d", "a b.c d")
	f("CASE a WHEN b THEN c ELSE d END", "a b c d")
	f("a BETWEEN b AND c AND d IN (e, f) OR g LIKE h AND i IS NULL", "a b c d e f g h i")
	f("CAST(a AS bigint) = (b)", "a b")
	f("f(a, stop(b), c).d", "a c")
	f("LAG(a) OVER (WHEN b = 1 ORDER BY c PARTITION BY d LIMIT DURATION(minute, e))", "a d c e b")
	f("NOT a LIKE 'x' ESCAPE '!'", "a")
}

func TestPrintText(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := Print(exprOf(t, text)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	f("a+b*( c-1 )", "a + b * (c - 1)")
	f("- - a", "- -a")
	f("- -9223372036854775808", "- -9223372036854775808")
	f("not a  is not null", "NOT a IS NOT NULL")
	f("a<>1 and b!=2", "a <> 1 AND b != 2")
	f("[a b].c", "[a b].c")
	f("1 .a", "1 .a")
	f("count(distinct a)", "count(DISTINCT a)")
	f("a not in(1,2) or b not like 'x' escape '!'", "a NOT IN (1, 2) OR b NOT LIKE 'x' ESCAPE '!'")
	f("case when a=1 then 'x' else 'y' end = 'x'", "CASE WHEN a = 1 THEN 'x' ELSE 'y' END = 'x'")
	f("try_cast(a as nvarchar ( max ))", "TRY_CAST(a AS nvarchar(max))")
	f("LAG(a) over (when b=1 limit duration(minute,1) order by c desc,d asc,e partition by f)",
		"LAG(a) OVER (PARTITION BY f ORDER BY c DESC, d ASC, e LIMIT DURATION(minute, 1) WHEN b = 1)")
	if got := Print(&Unary{Op: "-", X: &Bad{}}); got != "-?" {
		t.Errorf("got %s", got)
	}
}
