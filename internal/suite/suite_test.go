package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "weir/internal/connect/all" // what jobs name as types
	"weir/internal/project"
	"weir/internal/testkit"
)

// write writes the files of an archive ("-- name --" before each) to a directory of their
// own and goes there.
func write(t *testing.T, archive string) {
	t.Helper()
	t.Chdir(t.TempDir())
	name := ""
	var text strings.Builder
	put := func() {
		defer text.Reset()
		if name == "" {
			return
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(strings.TrimPrefix(archive, "\n")) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			put()
			name = strings.TrimSuffix(n, " --\n")
			continue
		}
		text.WriteString(line)
	}
	put()
}

// wholeOnly is the plain way alone.
var wholeOnly = []testkit.Way{testkit.Whole}

func load(paths ...string) (*Suite, error) {
	return Load(paths, Options{Load: func(path string) (*project.Job, error) {
		return project.Load(path, project.Options{})
	}})
}

// run runs the tests of a path and shows what became of them.
func run(t *testing.T, o RunOptions, path string) (string, []*Result) {
	t.Helper()
	s, err := load(path)
	if err != nil {
		return err.Error() + "\n", nil
	}
	if len(o.Ways) == 0 {
		o.Ways = wholeOnly
	}
	s.KeepOnly()
	var b strings.Builder
	var results []*Result
	for _, test := range s.Tests {
		r := s.Run(test, o)
		results = append(results, r)
		switch {
		case r.Skipped != "":
			fmt.Fprintf(&b, "SKIP %s: %s\n", test.Name, r.Skipped)
		case r.OK:
			fmt.Fprintf(&b, "PASS %s\n", test.Name)
		default:
			fmt.Fprintf(&b, "FAIL %s\n%s\n", test.Name, r.Message())
		}
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "note %s\n", n)
		}
	}
	return b.String(), results
}

// TestArchives runs the tests of each archive of testdata and compares what becomes of them
// with the last file of the archive, want. With WEIR_UPDATE set, that is replaced: read the
// difference before you commit it.
func TestArchives(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txt")
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
			archive, want, ok := strings.Cut(string(b), "-- want --\n")
			if !ok {
				t.Fatalf("%s has no want", full)
			}
			write(t, archive)
			got, _ := run(t, RunOptions{}, target(archive))
			if got == want {
				return
			}
			if os.Getenv("WEIR_UPDATE") == "" {
				t.Errorf("comes\n%s\nwant\n%s", got, want)
			} else if err := os.WriteFile(full, []byte(archive+"-- want --\n"+got), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// target is what an archive tests: the path in a first line "# weir test PATH", else x_test.yaml.
func target(archive string) string {
	first, _, _ := strings.Cut(archive, "\n")
	if path, ok := strings.CutPrefix(first, "# weir test "); ok {
		return path
	}
	return "x_test.yaml"
}
