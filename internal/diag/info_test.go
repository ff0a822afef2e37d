package diag

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// declared are the values of the constants of codes.go.
func declared(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	ast.Inspect(file, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok {
			codes = append(codes, strings.Trim(l.Value, `"`))
		}
		return true
	})
	return codes
}

func TestEveryCodeIsExplainedOnce(t *testing.T) {
	codes := declared(t)
	if len(codes) < 100 || len(codes) != len(All()) {
		t.Errorf("%d codes are declared, %d explained", len(codes), len(All()))
	}
	for _, c := range codes {
		i, ok := Lookup(c)
		if !ok {
			t.Errorf("%s has no meaning", c)
			continue
		}
		if i.Message == "" || !strings.HasSuffix(i.Explain, ".") {
			t.Errorf("%s: message %q, explanation %q", c, i.Message, i.Explain)
		}
		if strings.HasSuffix(i.Message, ".") {
			t.Errorf("%s: the message ends in a point", c)
		}
		if (i.Bad == "") != (i.Good == "") {
			t.Errorf("%s has one example of two", c)
		}
	}
	seen := map[Code]bool{}
	for _, i := range All() {
		if seen[i.Code] {
			t.Errorf("%s is explained twice", i.Code)
		}
		seen[i.Code] = true
	}
}

func TestLookup(t *testing.T) {
	if i, ok := Lookup("sa2002"); !ok || i.Code != SA2002 || i.Severity() != SeverityError {
		t.Errorf("got %v, %v", i, ok)
	}
	if i, ok := Lookup("W9001"); !ok || i.Severity() != SeverityWarning {
		t.Errorf("got %v, %v", i, ok)
	}
	if _, ok := Lookup("SA0000"); ok {
		t.Error("SA0000 found")
	}
}

func TestInfoWrite(t *testing.T) {
	i, _ := Lookup("SA2102")
	var b strings.Builder
	i.Write(&b)
	want := `error[SA2102]: a comma too many

There is a comma without an item behind it or before it.

Hint: remove it

Instead of

    SELECT a, b, FROM input

write

    SELECT a, b FROM input
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if got := wrap(strings.Repeat("word ", 20)); got != strings.TrimSpace(strings.Repeat("word ", 16))+"\n"+strings.TrimSpace(strings.Repeat("word ", 4)) {
		t.Errorf("got\n%s", got)
	}
}
