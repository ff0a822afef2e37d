package suite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/testkit"
)

// Suite is the tests that some paths name.
type Suite struct {
	Tests []*Test
	// Files are all files that the tests were read from, for those who watch them.
	Files []string

	o       Options
	engines engines
	jobs    map[string]*jobInfo       // by path
	infos   map[*project.Job]*jobInfo // what their queries name
	walked  map[string]bool           // folders of cases that have been read
	told    map[*jobInfo]bool         // queries that do not parse, of which has been told
	errs    []error
}

// Options say how tests are read.
type Options struct {
	// Load reads a job.
	Load func(path string) (*project.Job, error)
	// Level is the compatibility level of what does not say one: cases and bare queries.
	Level plan.Level
}

// Test is one test.
type Test struct {
	Name  string
	Place project.Place
	Skip  string // why it is left out; "" if it is not
	Only  bool   // tests without this mark are left out

	// One of these is set.
	scenario *scenario
	conform  *testkit.Case

	file   *textFile  // of our own format
	config *asaConfig // of Azure tests
	label  string     // name of the case in it
}

// Load reads the tests of files and directories. The error has all that is wrong with them.
func Load(paths []string, o Options) (*Suite, error) {
	s := &Suite{o: o, jobs: map[string]*jobInfo{}, infos: map[*project.Job]*jobInfo{}, walked: map[string]bool{}, told: map[*jobInfo]bool{}}
	for _, p := range paths {
		s.keep(s.path(p))
	}
	return s, errors.Join(s.errs...)
}

// keep keeps an error, to tell them all.
func (s *Suite) keep(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// path reads the tests that a path names.
func (s *Suite) path(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return s.directory(p)
	}
	switch base := strings.ToLower(filepath.Base(p)); {
	case base == "weir.yaml" || base == "weir.yml" || base == "asaproj.json" || strings.HasSuffix(base, ".asaproj"):
		return s.jobTests(p)
	case strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml"):
		return s.ownTests(p, nil)
	case strings.HasSuffix(base, ".saql") || strings.HasSuffix(base, ".asaql"):
		return s.jobTests(p)
	}
	return s.jsonFile(p)
}

// jsonFile reads a JSON file: the tests of an Azure project, a template, or a case.
func (s *Suite) jsonFile(p string) error {
	b, err := readWhole(p)
	if err != nil {
		return err
	}
	switch sniff(b) {
	case asaFile:
		return s.testConfig(p, nil)
	case templateFile:
		return s.jobTests(p)
	}
	return s.conformance(p)
}

// What a JSON file holds, as far as tests care.
type jsonKind uint8

const (
	caseFile jsonKind = iota
	asaFile
	templateFile
)

// sniff tells by its keys what a JSON file is. What is neither tests nor a template is taken
// for a case, whose reader tells what is wrong with it.
func sniff(b []byte) jsonKind {
	v, err := lenientJSON(b)
	if err != nil || v.Kind != testkit.Object {
		return caseFile
	}
	for _, name := range v.Names {
		switch strings.ToLower(name) {
		case "testcases":
			return asaFile
		case "resources":
			return templateFile
		}
	}
	return caseFile
}

// conformance reads a conformance case.
func (s *Suite) conformance(p string) error {
	c, err := testkit.Load(p)
	if err != nil {
		return err
	}
	s.Files = append(s.Files, p)
	if c.Level == "" {
		c.Level = s.o.Level.String()
	}
	s.Tests = append(s.Tests, &Test{Name: c.Name, Place: project.Place{File: p}, conform: c})
	return nil
}

// ownTests reads a test file of our own format.
func (s *Suite) ownTests(p string, j *project.Job) error {
	s.Files = append(s.Files, p)
	return s.readTests(p, j)
}

// jobTests reads all tests of a job.
func (s *Suite) jobTests(p string) error {
	info, err := s.job(p)
	if err != nil {
		return err
	}
	before := len(s.Tests)
	for _, file := range info.Tests {
		switch {
		case strings.EqualFold(filepath.Ext(file), ".json"):
			err = s.testConfig(shown(file), info.Job)
		default:
			err = s.ownTests(shown(file), info.Job)
		}
		s.keep(err)
	}
	if dir := fixtureOf(info.Dir); dir != "" && !s.walked[dir] {
		s.walked[dir] = true
		s.keep(s.fixtures(dir, info.Job))
	}
	if len(s.Tests) == before && len(s.errs) == 0 {
		return fmt.Errorf("the job %s has no tests; put a file NAME_test.yaml beside it", p)
	}
	return nil
}

// shown is a path as people named it: relative to where they are, if it is below.
func shown(p string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(p) {
		return p
	}
	if rel, err := filepath.Rel(wd, p); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return p
}

// jobFile is the file that makes a directory a job, "" if there is none.
func jobFile(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, want := range []func(name string) bool{
		func(n string) bool { return n == "weir.yaml" || n == "weir.yml" },
		func(n string) bool { return n == "asaproj.json" },
		func(n string) bool { return strings.HasSuffix(n, ".asaproj") },
	} {
		for _, e := range entries {
			if !e.IsDir() && want(strings.ToLower(e.Name())) {
				return filepath.Join(dir, e.Name())
			}
		}
	}
	return ""
}

// directory reads the tests of a directory: a job's, those of asa.unittest, or all that is
// below it.
func (s *Suite) directory(dir string) error {
	if jobFile(dir) != "" {
		return s.jobTests(dir)
	}
	if f := fixtureIn(dir); f != "" {
		s.walked[f] = true
		return s.fixtures(f, nil)
	}
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && p != dir:
			if jobFile(p) != "" {
				if err := s.jobTests(p); err != nil && !strings.Contains(err.Error(), "has no tests") {
					s.keep(err)
				}
				return fs.SkipDir
			}
			if f := fixtureIn(p); f != "" {
				if !s.walked[f] {
					s.walked[f] = true
					s.keep(s.fixtures(f, nil))
				}
				return fs.SkipDir
			}
		case d.IsDir():
		case strings.HasSuffix(p, "_test.yaml") || strings.HasSuffix(p, "_test.yml"):
			s.keep(s.ownTests(p, nil))
		case strings.HasSuffix(p, ".json") && !ownsData(filepath.Dir(p)):
			s.keep(s.jsonFile(p))
		}
		return nil
	})
}

// ownsData tells whether JSON files in a directory are data of tests beside them.
func ownsData(dir string) bool {
	for _, pattern := range []string{"*_test.yaml", "*_test.yml", "../*_test.yaml", "../*_test.yml"} {
		if found, _ := filepath.Glob(filepath.Join(dir, pattern)); len(found) > 0 {
			return true
		}
	}
	return false
}

// job loads a job once.
func (s *Suite) job(path string) (*jobInfo, error) {
	if info, ok := s.jobs[path]; ok {
		return info, nil
	}
	j, err := s.o.Load(path)
	if err != nil {
		return nil, err
	}
	if j.Kind == project.Query {
		j.Level = s.o.Level
	}
	s.Files = append(s.Files, j.Files...)
	info := s.inspected(j)
	s.jobs[path] = info
	return info, nil
}

// inspected is a job and what its query names.
func (s *Suite) inspected(j *project.Job) *jobInfo {
	if s.infos[j] == nil {
		s.infos[j] = inspect(j)
	}
	return s.infos[j]
}

// jobAbove finds the job in a directory or the nearest one above it; nil if there is none.
func (s *Suite) jobAbove(dir string) (*jobInfo, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for {
		if jobFile(full) != "" {
			return s.job(shown(full))
		}
		if filepath.Dir(full) == full {
			return nil, nil
		}
		full = filepath.Dir(full)
	}
}

// queryIn is the job of the only query in a directory; nil if there is none, or several.
func (s *Suite) queryIn(dir string) (*jobInfo, error) {
	var found []string
	for _, pattern := range []string{"*.saql", "*.asaql"} {
		list, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	if len(found) != 1 {
		return nil, nil
	}
	return s.job(found[0])
}

// Select leaves only the tests whose name or file matches.
func (s *Suite) Select(match func(text string) bool) {
	s.Tests = slices.DeleteFunc(s.Tests, func(t *Test) bool { return !match(t.Name) && !match(t.Place.File) })
}

// KeepOnly leaves tests out, if some are marked only: all those of the same files that are
// not.
func (s *Suite) KeepOnly() {
	marked := map[string]bool{}
	for _, t := range s.Tests {
		marked[t.Place.File] = marked[t.Place.File] || t.Only && t.Skip == ""
	}
	for _, t := range s.Tests {
		if marked[t.Place.File] && !t.Only && t.Skip == "" {
			t.Skip = "another test of the file is marked only"
		}
	}
}
