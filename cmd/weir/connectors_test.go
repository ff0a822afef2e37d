package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/connect"
)

// connectorsPage has a table that is generated; WEIR_UPDATE writes it anew.
const connectorsPage = "../../docs/connectors.md"

const (
	connectorsBegin = "<!-- the declarations; WEIR_UPDATE=1 go test -run TestConnectorsPage ./cmd/weir -->\n"
	connectorsEnd   = "<!-- end -->\n"
)

// manualsOf are the pages that describe several connectors, or are named otherwise.
var manualsOf = map[string]string{"mysql": "sql", "postgres": "sql", "sqlite": "sql", "sqlserver": "sql"}

// TestConnectorsPage holds the table of docs/connectors.md equal to the declarations, and a
// manual to each of them.
func TestConnectorsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("| connector | what it does | in | out |\n|---|---|---|---|\n")
	for _, s := range connect.All() {
		page := or(manualsOf[s.Name], s.Name)
		if _, err := os.Stat(filepath.Join("../../docs/connectors", page+".md")); err != nil {
			t.Errorf("the connector %s has no manual: %v", s.Name, err)
		}
		in, out := "", ""
		if s.Source != nil {
			if in = s.In; s.Reference {
				in += "; reference data"
			}
		}
		if s.Sink != nil {
			out = s.Out
		}
		fmt.Fprintf(&b, "| [%s](connectors/%s.md) | %s | %s | %s |\n", s.Name, page, s.Summary, in, out)
	}
	text, err := os.ReadFile(connectorsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), connectorsBegin)
	table, after, ended := strings.Cut(rest, connectorsEnd)
	if !ok || !ended {
		t.Fatal("docs/connectors.md has lost the marks around its table")
	}
	if table == b.String() {
		return
	}
	if os.Getenv("WEIR_UPDATE") == "" {
		t.Fatal("the table of docs/connectors.md is not what the declarations say; run WEIR_UPDATE=1 go test -run TestConnectorsPage ./cmd/weir")
	}
	if err := os.WriteFile(connectorsPage, []byte(before+connectorsBegin+b.String()+connectorsEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
