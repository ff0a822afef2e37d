package plan

import (
	"errors"
	"strings"
	"testing"

	"weir/internal/fn"
	"weir/internal/vec"
)

// functionEnv is a job whose functions load without an engine: what a script says about
// itself is what the loader finds in it.
func functionEnv(level Level, portable bool) Env {
	scalar := func(name string) *fn.Scalar {
		return &fn.Scalar{Name: name, Params: []fn.Param{{Types: fn.Any}}, Variadic: true, KeepNull: true, Result: func([]fn.Types) fn.Types { return fn.Any }}
	}
	agg := func(name string) *fn.Agg {
		return &fn.Agg{Name: name, Params: []fn.Param{{Types: fn.Any}}, Result: func([]fn.Types) fn.Types { return fn.Any }, InOrder: true, WithTime: true, WithNulls: true}
	}
	return Env{
		AnyInput: true, AnyOutput: true, Level: level, Portable: portable,
		Functions: []Function{{Name: "f", Scalar: scalar("UDF.f")}, {Name: "g", Aggregate: true, Agg: agg("UDA.g")},
			{Name: "dice", Scalar: scalar("UDF.dice"), Unrepeatable: fn.ScriptPlace{What: "Math.random()", Line: 3, Column: 4}}},
		Load: func(s FunctionSource) (Function, error) {
			out := Function{Name: s.Name, Aggregate: s.Aggregate, Scalar: scalar("UDF." + s.Name), Agg: agg("UDA." + s.Name)}
			switch {
			case strings.Contains(s.Script, "bad"):
				line := 1 + strings.Count(s.Script[:strings.Index(s.Script, "bad")], "\n")
				before := s.Script[:strings.Index(s.Script, "bad")]
				column := 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
				return out, &fn.ScriptError{Message: "SyntaxError: bad", Line: line, Column: column}
			case strings.Contains(s.Script, "nowhere"):
				return out, &fn.ScriptError{Message: "the script declares no function"}
			case strings.Contains(s.Script, "lacks"):
				return out, &fn.ScriptError{Method: "accumulate"}
			case strings.Contains(s.Script, "broke"):
				return out, errors.New("no memory")
			case strings.Contains(s.Script, "random"):
				out.Unrepeatable = fn.ScriptPlace{What: "Math.random()", Line: 1, Column: 1 + strings.Index(s.Script, "random")}
			case s.Returns != vec.Missing:
				out.Scalar.Result = func([]fn.Types) fn.Types { return fn.Of(s.Returns) }
			}
			return out, nil
		},
	}
}

func TestFunctions(t *testing.T) {
	check := func(env Env, query string, want ...string) {
		t.Helper()
		_, list := compileText(query, env)
		var got []string
		for _, d := range list {
			text := string(d.Code) + " `" + query[d.Span.Start:d.Span.End] + "`: " + d.Message
			if d.Hint != "" {
				text += " (" + d.Hint + ")"
			}
			got = append(got, text)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\ngives\n%s\nwant\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f := func(query string, want ...string) { t.Helper(); check(functionEnv(Level12, false), query, want...) }
	const window = " GROUP BY TumblingWindow(minute, 1)"
	f("SELECT UDF.f(a, *) AS x INTO o FROM input", "SA2101 `*`: expected an expression, found \"*\"")
	f("SELECT UDF.F(a, b, 'x'), udf.f(), UDF.f(input), UDF.f(input.a.b) INTO o FROM input")
	f("SELECT UDF.f(1, 2 + 3) AS x INTO o FROM input WHERE UDF.f(a) = 1 AND UDF.f(a).b.c > 2")
	f("SELECT UDF.f(*) AS x INTO o FROM input", "SA7002 `UDF.f(*)`: UDF.f takes arguments, not * or DISTINCT (UDF.f(e))")
	f("SELECT UDA.g(DISTINCT a) AS x INTO o FROM input"+window, "SA7002 `UDA.g(DISTINCT a)`: UDA.g takes arguments, not * or DISTINCT (UDA.g(e))")
	f("SELECT UDF.f(a) OVER (LIMIT DURATION(second, 1)) AS x INTO o FROM input", "SA7011 `OVER (LIMIT DURATION(second, 1))`: UDF.f cannot be used with OVER (remove OVER)")
	f("SELECT UDA.g(a), UDA.g(input), UDA.g(UDF.f(a)) INTO o FROM input" + window)
	f("SELECT LAG(a) OVER (LIMIT DURATION(second, 1) WHEN UDF.f(a) = 1) AS x INTO o FROM input")
	f("SELECT UDA.g(a, b) AS x INTO o FROM input"+window, "SA7002 `UDA.g(a, b)`: UDA.g takes 1 argument, not 2 (UDA.g(e))")
	f("SELECT UDA.g(SUM(a)) AS x INTO o FROM input"+window, "SA7010 `SUM(a)`: aggregates cannot be nested (aggregate in a step, then again)")
	f("SELECT SUM(UDA.g(a)) AS x INTO o FROM input"+window, "SA7010 `UDA.g(a)`: aggregates cannot be nested (aggregate in a step, then again)")
	f("SELECT UDA.g(a) AS x INTO o FROM input", "SA5001 `UDA.g(a)`: a window must be specified: UDA.g groups an endless stream ("+windowHint+")")
	f("SELECT a INTO o FROM input WHERE UDA.g(a) = 1", "SA7012 `UDA.g(a)`: UDA.g cannot be used in WHERE (HAVING UDA.g(a) .. filters groups)")
	f("SELECT UDA.f(a) INTO o FROM input", "SA7001 `UDA.f`: no function named \"UDA.f\" (did you mean \"UDF.f\"?)")
	f("SELECT UDF.other(a) INTO o FROM input", "SA7001 `UDF.other`: no function named \"UDF.other\" (the job has no such function)")
	f("SELECT dice(a) INTO o FROM input", "SA7001 `dice`: no function named \"dice\" (UDF.dice)")
	f("SELECT UDF.dice() INTO o FROM input", "W7003 `UDF.dice`: Math.random() makes results unrepeatable ("+unrepeatableHint+")")
	f("SELECT System.f(a) INTO o FROM input", "SA7003 `System.f`: \"System.f\": built-in functions have no prefix (f(..); user functions: UDF.f)")
	check(functionEnv(Level11, false), "SELECT System.f(a), x.LEN(a) INTO o FROM input")
	check(functionEnv(Level10, false), "SELECT System.g(a) INTO o FROM input", "SA7003 `System.g`: \"System.g\": built-in functions have no prefix (g(..); user functions: UDF.g)")
}

func TestCreateFunction(t *testing.T) {
	f := func(query string, portable bool, want ...string) {
		t.Helper()
		_, list := compileText(query+"; SELECT a INTO o FROM input", functionEnv(Level12, portable))
		var got []string
		for _, d := range list {
			got = append(got, string(d.Code)+" `"+query[d.Span.Start:d.Span.End]+"`: "+d.Message)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\ngives\n%s\nwant\n%s", query, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f("CREATE FUNCTION n AS 'x'", false)
	f("CREATE FUNCTION n AS 'x'", true, "W9001 `CREATE FUNCTION n AS 'x'`: CREATE FUNCTION is an extension; other engines reject it")
	f("CREATE FUNCTION n AS 'one bad'", false, "SA9001 `b`: function \"n\" does not load: SyntaxError: bad")
	f("CREATE FUNCTION n AS '\n  it''s ''é'' two\n  bad'", false, "SA9001 `b`: function \"n\" does not load: SyntaxError: bad")
	f("CREATE FUNCTION n AS 'it''s ''é'' bad'", false, "SA9001 `b`: function \"n\" does not load: SyntaxError: bad")
	f("CREATE FUNCTION n AS 'nowhere'", false, "SA9001 `n`: function \"n\" does not load: the script declares no function")
	f("CREATE FUNCTION n AS 'broke'", false, "SA9001 `n`: function \"n\" does not load: no memory")
	f("CREATE AGGREGATE n AS 'lacks'", false, "SA9002 `n`: UDA \"n\" lacks accumulate()")
	f("CREATE AGGREGATE n RETURNS text AS 'x'", false, "SA3010 `text`: type \"text\" does not exist")
	f("CREATE FUNCTION F AS 'x'", false, "SA2006 `F`: the name \"F\" is already a function")
	f("CREATE FUNCTION n AS 'x'; CREATE AGGREGATE n AS 'x'; CREATE FUNCTION N AS 'x'", false, "SA2006 `N`: the name \"N\" is already a function")
	f("CREATE FUNCTION n AS '(''random'')'", false, "W7003 `r`: Math.random() makes results unrepeatable")
}
