package project

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestManualHasAllSettings: docs/jobs.md names every setting of the tables.
func TestManualHasAllSettings(t *testing.T) {
	b, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range slices.Concat(jobFields, timeFields, inputFields, outputFields, formatFields[1:], functionFields) {
		if !strings.Contains(string(b), "`"+f.Name+"`") && !strings.Contains(string(b), "."+f.Name+"`") && !strings.Contains(string(b), "`"+f.Name+": ") {
			t.Errorf("docs/jobs.md does not say what %q is", f.Name)
		}
		for _, v := range f.Values {
			if len(v) > 1 && !strings.Contains(string(b), v) {
				t.Errorf("docs/jobs.md does not name the value %q of %q", v, f.Name)
			}
		}
	}
}
