package testkit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// The project's copy of the conformance cases, and the place where a newer one may lie.
const (
	ownCases    = "../../testdata/saql/conformance"
	sharedCases = "../../../shared/conformance"
)

func TestConformanceCasesAreReadable(t *testing.T) {
	files, err := Find([]string{ownCases})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 316 {
		t.Errorf("there are %d cases; there were 316", len(files))
	}
	for _, f := range files {
		c, err := Load(f)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := c.Diff(expectedOf(c)); diff != "" {
			t.Errorf("%s: the expected rows differ from themselves:\n%s", f, diff)
		}
	}
}

func expectedOf(c *Case) map[string][]Row {
	got := map[string][]Row{}
	for _, o := range c.Expected {
		got[o.Name] = o.Rows
	}
	return got
}

// TestCopyIsTheSharedCases runs where the shared cases lie beside the project: every one
// of them must be in the project's copy.
func TestCopyIsTheSharedCases(t *testing.T) {
	shared, err := filepath.Glob(filepath.Join(sharedCases, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range shared {
		want, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(ownCases, filepath.Base(f)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the shared one", filepath.Base(f))
		}
	}
}
