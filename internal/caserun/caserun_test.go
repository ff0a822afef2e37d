package caserun

import (
	"os"
	"path/filepath"
	"testing"

	"weir/internal/testkit"
)

// TestConformance runs every case in every way.
func TestConformance(t *testing.T) {
	for _, dir := range []string{"../../testdata/saql", "../../../shared/conformance"} {
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		files, err := testkit.Find([]string{dir})
		if err != nil {
			t.Fatal(err)
		}
		passed := 0
		for _, file := range files {
			c, err := testkit.Load(file)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			t.Run(filepath.Base(file), func(t *testing.T) {
				for _, w := range testkit.Ways(1) {
					if problem := testkit.Check(c, Engine, w); problem != "" {
						t.Errorf("%s: %s", w.Name, problem)
						return
					}
				}
				passed++
			})
		}
		t.Logf("%s: %d passed in all ways", dir, passed)
	}
}
