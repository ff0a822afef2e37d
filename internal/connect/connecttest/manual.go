package connecttest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"weir/internal/connect"
)

// Manual holds a page of the manual to a Spec: it has the example and a row for each setting,
// as the Spec has them, and no row for another one.
func Manual(t *testing.T, spec *connect.Spec, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	text := string(b)
	if !strings.Contains(text, spec.Example) {
		t.Errorf("%s has no example as the Spec has it:\n%s", path, spec.Example)
	}
	rows := map[string]bool{}
	for _, f := range spec.Fields {
		def, use := "", "both"
		switch {
		case f.Required:
			def = "required"
		case f.Default != "":
			def = "`" + f.Default + "`"
		}
		switch {
		case f.Input && !f.Output:
			use = "input"
		case f.Output && !f.Input:
			use = "output"
		}
		row := fmt.Sprintf("| `%s` | %s | %s | %s |", f.Name, use, def, f.Doc)
		rows[row] = true
		if !strings.Contains(text, row) {
			t.Errorf("%s has no row\n%s", path, row)
		}
	}
	_, table, ok := strings.Cut(text, "| setting | of | default | what it is |\n")
	if !ok {
		t.Fatalf("%s has no table of settings", path)
	}
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		if !rows[line] && !strings.HasPrefix(line, "|-") {
			t.Errorf("%s has a row too many\n%s", path, line)
		}
	}
}
