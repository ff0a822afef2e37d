package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/project"
)

// arrange is the folder of test cases in a folder of asa.unittest.
const arrange = "1_arrange"

// fixtureIn finds the folder of cases in a folder, or says that it is one.
func fixtureIn(dir string) string {
	if full, err := filepath.Abs(dir); err == nil && strings.EqualFold(filepath.Base(full), arrange) {
		return filepath.Clean(dir)
	}
	if info, err := os.Stat(filepath.Join(dir, arrange)); err == nil && info.IsDir() {
		return filepath.Join(dir, arrange)
	}
	return ""
}

// fixtureOf finds the cases of the project in dir: in it, or in the folder with .Tests behind
// its name.
func fixtureOf(dir string) string {
	if f := fixtureIn(dir); f != "" {
		return f
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	return fixtureIn(shown(full + ".Tests"))
}

// fixtureJob finds the project that a folder of cases is about: the folder beside it without
// .Tests in its name, or one above it.
func (s *Suite) fixtureJob(dir string) (*jobInfo, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	tests := filepath.Dir(full)
	if base := strings.TrimSuffix(tests, filepath.Ext(tests)); strings.EqualFold(filepath.Ext(tests), ".Tests") {
		if file := jobFile(base); file != "" {
			return s.job(shown(base))
		}
	}
	info, err := s.jobAbove(filepath.Dir(dir))
	if err == nil && info == nil {
		err = fmt.Errorf("%s: there is no project beside or above it", dir)
	}
	return info, err
}

// fixtures reads a folder of asa.unittest: files CASE~input~ALIAS~LABEL.csv or .json and
// CASE~output~ALIAS~LABEL.json. The words and aliases have no case.
func (s *Suite) fixtures(dir string, j *project.Job) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var info *jobInfo
	if j != nil {
		info = s.inspected(j)
	} else if info, err = s.fixtureJob(dir); err != nil {
		return err
	}
	if ok, err := s.whole(info); !ok {
		return err
	}
	c := &asaConfig{path: dir, dir: dir, job: info, script: info.QueryFile}
	a := &asaReader{s: s, f: newTextFile(dir, dir, ""), c: c}
	var tests []*Test
	for _, e := range entries {
		parts := strings.Split(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())), "~")
		if e.IsDir() || len(parts) < 3 {
			continue
		}
		i := slices.IndexFunc(tests, func(t *Test) bool { return t.label == parts[0] })
		if i < 0 {
			t := &Test{Name: parts[0], Place: project.Place{File: dir}, config: c, label: parts[0]}
			a.newScenario(t)
			tests, i = append(tests, t), len(tests)
		}
		t := tests[i]
		file := filepath.Join(dir, e.Name())
		switch {
		case strings.EqualFold(parts[1], "input"):
			if len(parts) > 3 && parts[3] != "" && t.Name == t.label {
				t.Name += " " + parts[3]
			}
			a.fixtureInput(t, file, parts[2])
		case strings.EqualFold(parts[1], "output"):
			a.fixtureOutput(t, file, parts[2])
		default:
			a.f.failAt(project.Place{File: file}, "", "the second part of the name is input or output, not %q", parts[1])
		}
	}
	for _, t := range tests {
		a.finish(t.scenario, t)
	}
	if len(tests) == 0 {
		return fmt.Errorf("%s: there is no case; its files are called CASE~input~ALIAS~LABEL.json and CASE~output~ALIAS~LABEL.json", dir)
	}
	return a.f.err()
}

func (a *asaReader) fixtureInput(t *Test, file, alias string) {
	sc := t.scenario
	name, ok := find(sc.job.inputs, alias)
	if !ok {
		a.f.failAt(project.Place{File: file}, orList(didYouMean(alias, sc.job.inputs), "it has ", sc.job.inputs), "the job has no input %q", alias)
		return
	}
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(file)), ".")
	a.events(sc, t, input{name: name, reference: sc.job.isReference(name)}, file, format)
}

func (a *asaReader) fixtureOutput(t *Test, file, alias string) {
	sc := t.scenario
	name, ok := find(sc.job.outputs, alias)
	if !ok {
		a.f.failAt(project.Place{File: file}, orList(didYouMean(alias, sc.job.outputs), "it has ", sc.job.outputs), "the query has no output %q", alias)
		return
	}
	e := expectation{name: name, place: project.Place{File: file}, count: -1, checkRows: true}
	a.rows(&e, t, file)
	sc.expect = append(sc.expect, e)
}
