package plan

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"weir/internal/diag"
	"weir/internal/saql"
	"weir/internal/vec"
)

var update = flag.Bool("update", false, "write the golden files anew")

// testEnv is the job of the tests.
func testEnv() Env {
	return Env{
		Inputs:    []InputDecl{{Name: "input"}, {Name: "feed"}, {Name: "other"}, {Name: "lookup", Reference: true}},
		Outputs:   []string{"output", "alerts"},
		Functions: []Function{{Name: "hex2int"}, {Name: "twa", Aggregate: true}},
	}
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
	codes := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "> ") {
			if strings.HasPrefix(line, "#") || line == "\n" {
				b.WriteString(line)
			}
			continue
		}
		b.WriteString(line)
		query, env := options(strings.TrimSpace(line[2:]))
		got := findings(query, env)
		b.WriteString(got)
		for _, l := range strings.Split(got, "\n") {
			if f := strings.Fields(l); len(f) > 0 {
				codes[f[0]] = true
			}
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	diffLines(t, string(text), b.String())
	for _, code := range checkedCodes {
		if !codes[code] {
			t.Errorf("no query of %s gives %s", file, code)
		}
	}
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

// checkedCodes are the codes that this package gives.
var checkedCodes = strings.Fields(`
	SA2001 SA2002 SA2003 SA2004 SA2005 SA2006 SA2007 SA2008
	SA3001 SA3002 SA3004 SA3005 SA3006 SA3007 SA3008 SA3009 SA3010
	SA4001 SA4002 SA4003 SA4004 SA4005 SA4006 SA4007 SA4008 SA4009 SA4011 SA4012 SA4013 SA4014 SA4015 SA4016 SA4017
	SA5001 SA5002 SA5003 SA5004 SA5005 SA5006 SA5007 SA5008 SA5009 SA5010 SA5011 SA5012 SA5013 SA5014 SA5015
	SA6001 SA6002 SA6003 SA6004 SA6007 SA6008 SA6009 SA6010 SA6011
	SA7001 SA7002 SA7003 SA7005 SA7006 SA7007 SA7008 SA7009 SA7010 SA7011 SA7012 SA7013 SA7014 SA7015 SA7016 SA7018 SA7019 SA8001 SA8002 SA8004
	SA9901 W1003 W2001 W2002 W2003 W3001 W3002 W3003 W3004 W4001 W4002 W5001 W5006 W6001 W6002 W7001 W8001 W8002 W9001`)

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
