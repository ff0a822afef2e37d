package suite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/project"
)

// FuzzTestFile: no text of a test file makes the reader panic, and what an update writes can
// be read again.
func FuzzTestFile(f *testing.F) {
	archives, _ := filepath.Glob("testdata/*.txt")
	for _, a := range append(archives, "testdata/update/rows.txt") {
		b, err := os.ReadFile(a)
		if err != nil {
			f.Fatal(err)
		}
		if _, text, ok := strings.Cut(string(b), "-- x_test.yaml --\n"); ok {
			text, _, _ = strings.Cut(text, "\n-- ")
			f.Add(text)
		}
	}
	f.Add("query: q.saql\ntests:\n  - name: a\n    given: {i: [[12:00, {a: 12:00:01}]]}\n    expect: {out: [{k: [1, 2] }, {k: \"a]}\"}]}\n")
	dir := f.TempDir()
	path := filepath.Join(dir, "x_test.yaml")
	job := &project.Job{Kind: project.Query, Dir: dir, QueryFile: "q.saql", Query: "WITH step AS (SELECT k, v FROM i TIMESTAMP BY t) SELECT k, v INTO out FROM step"}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file:") || strings.Contains(text, "within") || len(text) > 4096 {
			return // other files, and long runs
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s := &Suite{o: Options{Load: func(string) (*project.Job, error) { return job, nil }}, jobs: map[string]*jobInfo{},
			infos: map[*project.Job]*jobInfo{}, walked: map[string]bool{}, told: map[*jobInfo]bool{}}
		if err := s.readTests(path, job); err != nil {
			_ = err.Error()
			return
		}
		var results []*Result
		for _, test := range s.Tests {
			test.scenario.shuffle, test.scenario.mocks = nil, nil
			r := &Result{Test: test, OK: true}
			s.scenario(r, RunOptions{Ways: wholeOnly}) // a panic is a finding
			results = append(results, r)
		}
		if _, err := Update(results); err != nil {
			t.Error(err)
		}
	})
}
