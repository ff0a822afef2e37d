package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"weir/internal/diag"
	"weir/internal/saql"
)

// conformanceDir returns where the conformance cases are, or "" where there are none.
func conformanceDir() string {
	for _, dir := range []string{"../../testdata/saql/conformance", "../../../shared/conformance"} {
		if m, _ := filepath.Glob(filepath.Join(dir, "*.json")); len(m) > 0 {
			return dir
		}
	}
	return ""
}

// conformanceCase is what compiling needs of a case.
type conformanceCase struct {
	Query     string                       `json:"query"`
	Inputs    map[string]json.RawMessage   `json:"inputs"`
	Reference map[string]json.RawMessage   `json:"reference"`
	Functions map[string]string            `json:"functions"`
	Expected  map[string][]json.RawMessage `json:"expected"`
	Error     string                       `json:"error"`
}

// env is the environment of a case.
func (c *conformanceCase) env() Env {
	env := Env{AnyOutput: true}
	for name := range c.Inputs {
		env.Inputs = append(env.Inputs, InputDecl{Name: name})
	}
	for name := range c.Reference {
		env.Inputs = append(env.Inputs, InputDecl{Name: name, Reference: true})
	}
	sort.Slice(env.Inputs, func(i, j int) bool { return env.Inputs[i].Name < env.Inputs[j].Name })
	for name := range c.Functions {
		prefix, alias, _ := strings.Cut(name, ".")
		env.Functions = append(env.Functions, stubFunction(alias, prefix == "UDA"))
	}
	sort.Slice(env.Functions, func(i, j int) bool { return env.Functions[i].Name < env.Functions[j].Name })
	return env
}

// TestConformance compiles the query of every conformance case: it gives a plan, or the
// word of the expected error, or says what is not supported yet.
func TestConformance(t *testing.T) {
	dir := conformanceDir()
	if dir == "" {
		t.Log("no conformance cases here")
		return
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	supported := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var c conformanceCase
			if err := json.Unmarshal(b, &c); err != nil {
				t.Fatal(err)
			}
			if checkConformance(t, &c, strings.Contains(file, "-error-")) {
				supported++
			}
		})
	}
	t.Logf("%d of %d cases give a plan", supported, len(files))
}

// checkConformance reports whether the case gives a plan. mustFail tells that the error
// must be found by compiling.
func checkConformance(t *testing.T, c *conformanceCase, mustFail bool) bool {
	t.Helper()
	script, list := saql.Parse(c.Query)
	var p *Plan
	if !list.HasErrors() {
		p, list = Compile(script, c.env())
	}
	var text strings.Builder
	for _, d := range list {
		if d.Severity == diag.SeverityError {
			text.WriteString(d.Error() + " " + d.Text + " " + d.Hint + "\n")
		}
	}
	switch {
	case p != nil && mustFail:
		t.Errorf("compiled, want an error with %q\n%s", c.Error, c.Query)
	case p == nil && c.Error != "":
		if !strings.Contains(strings.ToLower(text.String()), strings.ToLower(c.Error)) {
			t.Errorf("want an error with %q, got:\n%s%s", c.Error, text.String(), c.Query)
		}
	case p == nil:
		for _, d := range list {
			if d.Severity == diag.SeverityError {
				t.Errorf("%v\n%s", d, c.Query)
			}
		}
	}
	return p != nil
}
