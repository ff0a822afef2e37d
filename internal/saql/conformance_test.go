package saql

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// conformanceCase is what the syntax tests need of a case.
type conformanceCase struct {
	Name  string `json:"name"`
	Query string `json:"query"`
	Error string `json:"error"`
}

// conformanceCases reads the cases that stand beside the project or in it.
func conformanceCases(t testing.TB) map[string]conformanceCase {
	t.Helper()
	cases := map[string]conformanceCase{}
	for _, dir := range []string{"../../../shared/conformance", "../../testdata/saql/conformance"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			var c conformanceCase
			if err := json.Unmarshal(data, &c); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			cases[filepath.Base(f)] = c
		}
	}
	return cases
}

// syntaxErrors are the cases whose error is one of syntax.
var syntaxErrors = map[string]bool{
	"error-right-join": true, "error-unbalanced-bracket": true, "error-unterminated-string": true,
	"error-missing-from": true, "error-timestamp-by-apply-column": true,
}

func TestConformanceQueriesParse(t *testing.T) {
	for file, c := range conformanceCases(t) {
		s, errs := Parse(c.Query)
		if want := syntaxErrors[c.Name]; want != errs.HasErrors() {
			t.Errorf("%s: error wanted %v, got %v\n%s", file, want, errs, c.Query)
		}
		if text := strings.ToLower(errs.Error()); !strings.Contains(text, strings.ToLower(c.Error)) && errs.HasErrors() {
			t.Errorf("%s: the errors do not say %q: %v", file, c.Error, errs)
		}
		if len(s.Stmts) == 0 {
			t.Errorf("%s: no statement", file)
		}
	}
}
