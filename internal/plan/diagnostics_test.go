package plan

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testEnv is the job of the tests.
func testEnv() Env {
	return Env{
		Inputs:    []InputDecl{{Name: "input"}, {Name: "feed"}, {Name: "other"}, {Name: "lookup", Reference: true}},
		Outputs:   []string{"output", "alerts"},
		Functions: []Function{stubFunction("hex2int", false), stubFunction("twa", true)},
		Load:      stubLoad,
	}
}

// stubFunction is a user function that compiles and does not run.
func stubFunction(name string, aggregate bool) Function {
	result := func([]fn.Types) fn.Types { return fn.Any }
	if aggregate {
		return Function{Name: name, Aggregate: true, Agg: &fn.Agg{Name: "UDA." + name, Params: []fn.Param{{Name: "value", Types: fn.Any}}, Result: result, InOrder: true, WithTime: true, WithNulls: true}}
	}
	return Function{Name: name, Scalar: &fn.Scalar{Name: "UDF." + name, Params: []fn.Param{{Name: "value", Types: fn.Any}}, Variadic: true, KeepNull: true, Result: result}}
}

// stubLoad loads every script but those that say what is wrong with them.
func stubLoad(src FunctionSource) (Function, error) {
	f := stubFunction(src.Name, src.Aggregate)
	switch {
	case strings.HasPrefix(src.Script, "broken"):
		return f, &fn.ScriptError{Message: "SyntaxError: unexpected token", Line: 1, Column: 3}
	case strings.HasPrefix(src.Script, "lacks "):
		return f, &fn.ScriptError{Method: strings.TrimPrefix(src.Script, "lacks ")}
	case strings.HasPrefix(src.Script, "random"):
		f.Unrepeatable = fn.ScriptPlace{What: "Math.random()", Line: 1, Column: 1}
	}
	return f, nil
}

// options are words in brackets in front of a query of a golden file.
func options(line string) (string, Env) {
	env := testEnv()
	for {
		word, rest, ok := strings.Cut(strings.TrimPrefix(line, "["), "] ")
		if !ok || line[0] != '[' {
			return line, env
		}
		switch word {
		case "portable":
			env.Portable = true
		case "1.0":
			env.Level = Level10
		case "1.1":
			env.Level = Level11
		case "partitions":
			env.Inputs[0].Partitions = 4
		case "policies":
			env.Policies = &Policies{Late: 10 * vec.Second, Drop: true}
		case "one output":
			env.Outputs = []string{"out"}
		case "no output":
			env.Outputs = []string{"out", "out2"}
		}
		line = rest
	}
}

// compileText parses and compiles a query of a test.
func compileText(query string, env Env) (*Plan, diag.List) {
	script, list := saql.Parse(query)
	if list.HasErrors() {
		return nil, list
	}
	return Compile(script, env)
}

// findings writes what a compilation says, a line each: code, the marked text, message,
// label, hint, related places and the repaired text.
func findings(query string, env Env) string {
	p, list := compileText(query, env)
	var b strings.Builder
	if p != nil {
		b.WriteString("  ok\n")
	}
	for _, d := range list {
		if d.Code == diag.W4002 && !strings.Contains(query, "W4002") {
			continue // every query without INTO
		}
		fmt.Fprintf(&b, "  %s `%s`: %s", d.Code, query[d.Span.Start:d.Span.End], d.Message)
		if d.Text != "" {
			fmt.Fprintf(&b, " {%s}", d.Text)
		}
		if d.Hint != "" {
			fmt.Fprintf(&b, " (%s)", d.Hint)
		}
		for _, r := range d.Related {
			fmt.Fprintf(&b, " @`%s` %s", query[r.Span.Start:r.Span.End], r.Text)
		}
		if len(d.Fix) > 0 {
			fmt.Fprintf(&b, "\n    fixed: %s", repaired(query, d.Fix))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func repaired(query string, fix []diag.Edit) string {
	for _, e := range fix {
		query = query[:e.Span.Start] + e.Text + query[e.Span.End:]
	}
	return query
}

// TestDiagnostics compares everything that is said about wrong queries with
// testdata/diagnostics.txt: lines with "> " are queries, the lines below them the findings.
func TestDiagnostics(t *testing.T) {
	const file = "testdata/diagnostics.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "> ") {
			if strings.HasPrefix(line, "#") || line == "\n" {
				b.WriteString(line)
			}
			continue
		}
		b.WriteString(line)
		b.WriteString(findings(options(strings.TrimSpace(line[2:]))))
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	diffLines(t, string(text), b.String())
}

// TestLongPattern: a pattern of more than 8000 characters is found when it is a literal.
func TestLongPattern(t *testing.T) {
	_, list := compileText("SELECT PATINDEX('%"+strings.Repeat("a", 8000)+"%', s) AS p INTO output FROM input", testEnv())
	if len(list) == 0 || list[0].Code != diag.SA7004 {
		t.Errorf("got %v, want SA7004", list)
	}
}

// TestFixesRepair applies every fix that the queries of the golden file give: the finding
// must be gone.
func TestFixesRepair(t *testing.T) {
	text, err := os.ReadFile("testdata/diagnostics.txt")
	if err != nil {
		t.Fatal(err)
	}
	count := func(list diag.List, code diag.Code) int {
		n := 0
		for _, d := range list {
			if d.Code == code {
				n++
			}
		}
		return n
	}
	fixes := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "> ") {
			continue
		}
		query, env := options(strings.TrimSpace(line[2:]))
		_, before := compileText(query, env)
		for _, d := range before {
			if len(d.Fix) == 0 {
				continue
			}
			fixes++
			fixed := repaired(query, d.Fix)
			_, after := compileText(fixed, env)
			if count(after, d.Code) >= count(before, d.Code) {
				t.Errorf("%v\nthe fix does not repair it: %s\n%v", d, fixed, after)
			}
		}
	}
	if fixes < 30 {
		t.Errorf("only %d fixes tried", fixes)
	}
}

// testedElsewhere are the codes that no query of the golden file can give, and where they are
// tested.
var testedElsewhere = map[diag.Code]string{
	diag.SA7004: "TestLongPattern: the pattern is too long for a line",
}

// alsoSaid are the messages of a code in other words than the declared ones, where its
// rule meets something that these do not fit.
var alsoSaid = map[diag.Code]string{
	diag.SA2008: `input .+ is used before its CREATE TABLE`,
	diag.SA2101: `.+`, // the special texts of saql.md 13.2
	diag.SA3005: `cannot (negate|complement) .+`,
	diag.SA6007: `partitioned join without equal shard counts`,
	diag.SA7001: `no function named ".+" for APPLY`,
	diag.SA7002: `.+ takes (1 argument, not .+|no DISTINCT( or ALL)?)`,
	diag.SA7012: `.+ only works inside .+|.+ cannot be used in .+|.+ in ON must read one side of the join`,
	diag.SA7018: `.+ needs OVER \(ORDER BY .+\)`,
	diag.W3004:  ".+ NULL` is never true",
	diag.W5002:  `the hop is longer than the window: .+`,
	diag.W7002:  `COUNT\(DISTINCT\) keeps every .+`,
}

// TestEveryCodeIsTested holds the golden files of the parser and the checker to saql.md 13:
// every code comes up, and every message has the text that the code is declared with.
func TestEveryCodeIsTested(t *testing.T) {
	seen := map[string]bool{}
	check := func(code, message string) {
		t.Helper()
		seen[code] = true
		info, ok := diag.Lookup(code)
		if !ok {
			t.Errorf("%s is not declared", code)
			return
		}
		pattern := regexp.QuoteMeta(info.Message)
		pattern = regexp.MustCompile("<[^>]*>").ReplaceAllString(pattern, ".+")
		if also := alsoSaid[diag.Code(code)]; also != "" {
			pattern += "|" + also
		}
		if !regexp.MustCompile("(?s)^(" + pattern + ")$").MatchString(message) {
			t.Errorf("%s says %q; it is declared as %q", code, message, info.Message)
		}
	}
	var texts []string
	for _, file := range []string{"testdata/diagnostics.txt", "../saql/testdata/errors.golden"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	for line := range strings.Lines(texts[0]) {
		if query, ok := strings.CutPrefix(line, "> "); ok {
			text, env := options(strings.TrimSpace(query))
			_, list := compileText(text, env)
			for _, d := range list {
				check(string(d.Code), d.Message)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^(?:error|warning)\[(\w+)\]: (.*)$`).FindAllStringSubmatch(texts[1], -1) {
		check(m[1], m[2])
	}
	for _, info := range diag.All() {
		if !seen[string(info.Code)] && testedElsewhere[info.Code] == "" {
			t.Errorf("no query of the golden files gives %s: %s", info.Code, info.Message)
		}
	}
}

// diffLines reports the first lines that differ.
func diffLines(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Fatalf("line %d:\nwant %s\ngot  %s", i+1, a, b)
		}
	}
}
