package suite

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weir/internal/connect"
	"weir/internal/project"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// asaConfig is a testConfig.json, or a folder of asa.unittest: tests whose results go
// together into a summary.
type asaConfig struct {
	path   string // the file or folder, as messages name it
	script string // the file of the query
	dir    string // relative paths start here
	job    *jobInfo
}

// lenientJSON reads a JSON text as Azure's tools write it, perhaps with a byte order mark.
func lenientJSON(b []byte) (testkit.Value, error) {
	return testkit.ParseValue([]byte(strings.TrimPrefix(string(b), "\uFEFF")))
}

// look is the value of a key without case, the first that is not null.
func look(v testkit.Value, name string) (testkit.Value, bool) {
	for i, n := range v.Names {
		if strings.EqualFold(n, name) && v.Items[i].Kind != testkit.Null {
			return v.Items[i], true
		}
	}
	return testkit.Value{}, false
}

// word is the text of a key, "" if there is none.
func word(v testkit.Value, name string) string {
	item, _ := look(v, name)
	return item.Text
}

// drive is the start of an absolute path of Windows.
var drive = regexp.MustCompile(`^[A-Za-z]:`)

// findFile finds a file that an Azure project names: as it is, relative to some folders, or,
// when the path comes from another machine, by its last parts. Names have no case, as on
// the system that the tools run on.
func findFile(p string, dirs ...string) (string, bool) {
	if p == "" {
		return "", false
	}
	if info, err := os.Stat(p); err == nil && !info.IsDir() && filepath.IsAbs(p) {
		return p, true
	}
	clean := drive.ReplaceAllString(strings.ReplaceAll(p, `\`, "/"), "")
	parts := strings.FieldsFunc(clean, func(r rune) bool { return r == '/' })
	absolute := clean != strings.TrimLeft(clean, "/")
	for from := range parts {
		for _, dir := range dirs {
			if found, ok := walkFile(dir, parts[from:]); ok {
				return found, true
			}
		}
		if !absolute {
			break
		}
	}
	return "", false
}

// walkFile goes down from dir by names without case.
func walkFile(dir string, parts []string) (string, bool) {
	at := dir
	for i, part := range parts {
		next := filepath.Join(at, part)
		info, err := os.Stat(next)
		if err != nil {
			entries, readErr := os.ReadDir(at)
			k := slices.IndexFunc(entries, func(e os.DirEntry) bool { return strings.EqualFold(e.Name(), part) })
			if readErr != nil || k < 0 {
				return "", false
			}
			next = filepath.Join(at, entries[k].Name())
			if info, err = os.Stat(next); err != nil {
				return "", false
			}
		}
		if info.IsDir() == (i == len(parts)-1) {
			return "", false
		}
		at = next
	}
	return at, true
}

// testConfig reads the tests of a testConfig.json.
func (s *Suite) testConfig(path string, j *project.Job) error {
	f, err := readTextFile(path)
	if err != nil {
		return err
	}
	s.Files = append(s.Files, path)
	v, err := lenientJSON([]byte(f.text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	c := &asaConfig{path: path, dir: filepath.Dir(path)}
	a := &asaReader{s: s, f: f, c: c}
	if err := a.findJob(word(v, "Script"), j); err != nil {
		return err
	}
	if ok, err := s.whole(c.job); !ok {
		return err
	}
	cases, _ := look(v, "TestCases")
	if cases.Kind != testkit.Array {
		return fmt.Errorf("%s: TestCases is a list of test cases", path)
	}
	for i := range cases.Items {
		a.test(cases.Items[i], i)
	}
	return f.err()
}

// asaReader reads tests of Azure projects.
type asaReader struct {
	s *Suite
	f *textFile // for places; nil for folders
	c *asaConfig
}

// findJob finds the job of a testConfig.json: the project it belongs to, with the query that
// Script names, or that query alone.
func (a *asaReader) findJob(script string, j *project.Job) error {
	var info *jobInfo
	if j != nil {
		info = a.s.inspected(j)
	} else {
		above, err := a.s.jobAbove(a.c.dir)
		if err != nil {
			return err
		}
		info = above
	}
	dirs := []string{a.c.dir}
	if info != nil {
		dirs = append(dirs, info.Dir)
	}
	file, ok := findFile(script, dirs...)
	switch {
	case ok && info == nil:
		loaded, err := a.s.job(file)
		if err != nil {
			return err
		}
		info = loaded
	case info == nil:
		return fmt.Errorf("%s: there is no project above it, and no file for its Script %q", a.c.path, script)
	case ok:
		b, err := readWhole(file)
		if err != nil {
			return err
		}
		if text := string(b); text != info.Query && strings.TrimPrefix(text, "\uFEFF") != strings.TrimPrefix(info.Query, "\uFEFF") {
			other := *info.Job
			other.Query, other.QueryFile, other.QueryLine = text, shown(file), 0
			info = a.s.inspected(&other)
		}
	default:
		file = info.QueryFile
	}
	a.c.job, a.c.script = info, file
	return nil
}

// place is where a text stands in the file, roughly: the first time that it does.
func (a *asaReader) place(raw string) project.Place {
	if a.f == nil {
		return project.Place{File: a.c.path}
	}
	for _, form := range []string{string(vec.AppendJSONString(nil, raw)), raw} {
		if i := strings.Index(a.f.text, form); i >= 0 && raw != "" {
			return a.f.place(i)
		}
	}
	return project.Place{File: a.f.name}
}

// test reads a test case.
func (a *asaReader) test(v testkit.Value, i int) {
	name, _ := look(v, "Name")
	t := &Test{Name: name.Text, Place: a.place(name.Raw), config: a.c, label: name.Text}
	if t.Name == "" {
		t.Name = fmt.Sprintf("case %d", i+1)
		t.label = t.Name
	}
	sc := a.newScenario(t)
	inputs, _ := look(v, "Inputs")
	for _, in := range inputs.Items {
		alias := word(in, "InputAlias")
		path := word(in, "FilePath")
		if alias == "" || path == "" {
			a.fail(in.Raw, "", "case %q: an input needs InputAlias and FilePath", t.Name)
			continue
		}
		a.input(sc, t, alias, path, word(in, "Format"), word(in, "Type"))
	}
	outputs, _ := look(v, "ExpectedOutputs")
	for _, out := range outputs.Items {
		a.expected(sc, t, out)
	}
	a.finish(sc, t)
}

func (a *asaReader) fail(raw, hint, format string, args ...any) {
	a.f.failAt(a.place(raw), hint, format, args...)
}

// newScenario is a run on samples (jobmodel.md 10): events in the order of their time, no
// policies, and rows in any order.
func (a *asaReader) newScenario(t *Test) *scenario {
	sc := &scenario{job: a.c.job, day: defaultDay, place: t.Place, sample: true, dropErrors: a.c.job.QueryErrors == "drop"}
	t.scenario = sc
	return sc
}

// input adds the events of an input.
func (a *asaReader) input(sc *scenario, t *Test, alias, path, format, kind string) {
	file, ok := findFile(path, a.c.dir, sc.job.Dir)
	if !ok {
		a.fail(path, nearFile(filepath.Join(a.c.dir, filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")))), "case %q: input %q: there is no file %s", t.Name, alias, path)
		return
	}
	name, ok := find(sc.job.inputs, alias)
	if !ok {
		a.fail(alias, orList(didYouMean(alias, sc.job.inputs), "it has ", sc.job.inputs), "case %q: the job has no input %q", t.Name, alias)
		return
	}
	reference := sc.job.isReference(name) || strings.Contains(strings.ToLower(kind), "reference")
	a.events(sc, t, input{name: name, reference: reference}, file, format)
}

// events reads a file of events.
func (a *asaReader) events(sc *scenario, t *Test, in input, file, format string) {
	events, csv, err := fileEvents(file, shown(file), connect.Format{Type: strings.ToLower(format)})
	if err != nil {
		a.fail(file, "", "case %q: cannot read %s: %s", t.Name, file, why(err))
		return
	}
	a.s.Files = append(a.s.Files, file)
	in.events, in.csv = events, csv
	if !in.reference {
		enqueued(in.events)
	}
	sc.inputs = slices.DeleteFunc(sc.inputs, func(x input) bool { return x.name == in.name })
	sc.inputs = append(sc.inputs, in)
}

// expected adds what an output must give.
func (a *asaReader) expected(sc *scenario, t *Test, v testkit.Value) {
	alias, path := word(v, "OutputAlias"), word(v, "FilePath")
	required := true
	if r, ok := look(v, "Required"); ok && (r.Raw == "false" || strings.EqualFold(r.Text, "false")) {
		required = false
	}
	e := expectation{name: alias, place: a.place(word(v, "FilePath")), count: -1, checkRows: true, optional: !required}
	if name, ok := find(sc.job.outputs, alias); ok {
		e.name = name
	} else if required {
		a.fail(alias, orList(didYouMean(alias, sc.job.outputs), "it has ", sc.job.outputs), "case %q: the query has no output %q", t.Name, alias)
		return
	}
	ignore, _ := look(v, "IgnoreFields")
	for _, x := range ignore.Items {
		e.ignore = append(e.ignore, x.Text)
	}
	file, ok := findFile(path, a.c.dir, sc.job.Dir)
	if !ok {
		if required {
			a.fail(path, nearFile(filepath.Join(a.c.dir, filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")))), "case %q: output %q: there is no file %s", t.Name, alias, path)
			return
		}
		e.checkRows = false
	} else {
		a.rows(&e, t, file)
	}
	sc.expect = append(sc.expect, e)
}

// rows reads the expected rows of a file.
func (a *asaReader) rows(e *expectation, t *Test, file string) {
	rows, err := fileRows(file, shown(file))
	if err != nil {
		a.fail(file, "", "case %q: %s", t.Name, why(err))
		return
	}
	a.s.Files = append(a.s.Files, file)
	e.rows, e.file = rows, file
	e.place = project.Place{File: shown(file)}
}

// finish gives inputs without events those of the project, and keeps the test.
func (a *asaReader) finish(sc *scenario, t *Test) {
	for _, in := range sc.job.Job.Inputs {
		given := slices.ContainsFunc(sc.inputs, func(x input) bool { return strings.EqualFold(x.name, in.Name) })
		if given || in.Sample == "" {
			continue
		}
		if _, err := os.Stat(in.Sample); err != nil {
			continue
		}
		a.events(sc, t, input{name: in.Name, reference: in.Reference}, in.Sample, in.SampleFormat.Type)
	}
	a.s.Tests = append(a.s.Tests, t)
}
