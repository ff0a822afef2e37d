package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUpdate rewrites the test file of each archive of testdata/update and compares it with
// want. The rewritten file passes. With WEIR_UPDATE set, want is replaced.
func TestUpdate(t *testing.T) {
	archives, err := filepath.Glob("testdata/update/*.txt")
	if err != nil || len(archives) == 0 {
		t.Fatal("there are no archives", err)
	}
	for _, file := range archives {
		full, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(full)
			if err != nil {
				t.Fatal(err)
			}
			archive, want, _ := strings.Cut(string(b), "-- want --\n")
			write(t, archive)
			_, results := run(t, RunOptions{}, target(archive))
			changes, err := Update(results)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, c := range changes {
				got.WriteString("==== " + c.Path + "\n" + c.Text + "==== shown\n" + c.Diff)
				if err := os.WriteFile(c.Path, []byte(c.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			again, results := run(t, RunOptions{}, target(archive))
			for _, r := range results {
				if !r.OK && !strings.Contains(r.Test.Name, "cannot") {
					t.Errorf("after the update:\n%s", again)
					break
				}
			}
			if changes, _ := Update(results); len(changes) != 0 {
				t.Errorf("a second update changes something: %s", changes[0].Diff)
			}
			switch {
			case got.String() == want:
			case os.Getenv("WEIR_UPDATE") == "":
				t.Errorf("comes\n%s\nwant\n%s", got.String(), want)
			default:
				if err := os.WriteFile(full, []byte(archive+"-- want --\n"+got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
