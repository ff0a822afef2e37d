package project

import (
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/connect"
)

// weirYAML reads our own job file.
func (r *reader) weirYAML(path string) *draft {
	s, err := r.open(path, r.shortName(path), maxYAMLBytes)
	if err != nil {
		r.failFile(r.shortName(path), nearFile(path), "cannot read the job: %s", reason(err))
		return nil
	}
	root := r.yaml(s)
	if root == nil {
		return nil
	}
	d := &draft{job: newJob(Weir, s.name, filepath.Dir(path))}
	if !r.object(root, "the job file", topKeys) {
		return nil
	}
	r.resolveJob(root)
	r.version(root)
	if n := root.get("job"); n != nil {
		r.settings(d.job, n, jobFields, timeFields)
		r.query(d.job, n.get("query"))
	} else {
		r.fail(root, "write job: and below it query: ./QUERY.saql", "the job file needs \"job\"")
	}
	if d.job.Name == "" {
		d.job.Name = folderName(d.job.Dir)
	}
	d.inputs = r.entries(root, "inputs", true)
	d.outputs = r.entries(root, "outputs", false)
	d.functions = r.functions(root)
	d.job.Tests = r.tests(root, d.job.Dir)
	return d
}

// version checks that the file is of the one version that there is.
func (r *reader) version(root *node) {
	n := root.get("version")
	switch {
	case n == nil:
		r.fail(root, "write version: 1 on the first line", "the job file needs \"version\"")
	case n.kind != numberNode || n.text != "1":
		r.fail(n, "write version: 1", "this program reads version 1 of job files")
	}
}

// folderName is the name of a job that has none.
func folderName(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

// resolveJob fills in the references, but not in queries and scripts.
func (r *reader) resolveJob(root *node) {
	for _, m := range root.members {
		switch {
		case m.name == "job" && m.value.kind == objectNode:
			for _, x := range m.value.members {
				if x.name != "query" || !inlineQuery(x.value) {
					r.resolve(x.value)
				}
			}
		case m.name == "functions" && m.value.kind == objectNode:
			for _, f := range m.value.members {
				if f.value.kind != objectNode {
					r.resolve(f.value)
					continue
				}
				for _, x := range f.value.members {
					if x.name != "script" {
						r.resolve(x.value)
					}
				}
			}
		default:
			r.resolve(m.value)
		}
	}
}

// inlineQuery tells a query from the name of a file.
func inlineQuery(n *node) bool {
	if n.block > 0 || strings.ContainsAny(n.text, "\n") {
		return true
	}
	word, _, spaced := strings.Cut(n.text, " ")
	return spaced && slices.ContainsFunc([]string{"select", "with", "create"}, func(s string) bool { return strings.EqualFold(s, word) })
}

// query takes the query: a file or a text.
func (r *reader) query(j *Job, n *node) {
	if n == nil || n.kind != textNode || n.open {
		return // reported
	}
	if inlineQuery(n) {
		j.Query, j.QueryFile, j.QueryLine = n.text, n.src.name, n.block
		j.queryIndent = n.indent
		if n.block == 0 {
			j.QueryLine = n.at().Line
		}
		if len(n.text) > maxQueryBytes {
			r.fail(n, "", "the query is longer than 1 MiB")
		}
		return
	}
	path := n.filePath(n.text)
	s, err := r.open(path, r.shortName(path), maxQueryBytes)
	if err != nil {
		r.fail(n, nearFile(path), "cannot read the query %s: %s", n.quoted(), reason(err))
		return
	}
	j.Query, j.QueryFile = s.text, s.name
}

// entries reads the inputs or outputs.
func (r *reader) entries(root *node, section string, input bool) []*entry {
	n := root.get(section)
	if n == nil || n.kind == nullNode {
		return nil
	}
	if n.kind != objectNode {
		r.fail(n, "write "+section+": and below it NAME: and its settings", "%q is an object of names and settings, not %s", section, n.kind)
		return nil
	}
	var list []*entry
	for i := range n.members {
		m := &n.members[i]
		e := newEntry(m.name, input, m.value.src, m.span)
		if m.value.kind != nullNode && m.value.kind != objectNode {
			r.fail(m.value, "", "%s is an object with keys and values, not %s", e.what(), m.value.kind)
			continue
		}
		if other := find(list, m.name); other != nil {
			r.failKey(m, "names are the same without case", "%s is there already, as %q", e.what(), other.name)
			continue
		}
		if m.value.kind == objectNode {
			e.settings = m.value
			e.settings.span = m.span
			r.hideSettings(e)
		}
		list = append(list, e)
	}
	return list
}

// hideSettings hides from carets the settings that are secrets for any connector, whatever
// the entry's type turns out to be.
func (r *reader) hideSettings(e *entry) {
	for _, m := range e.settings.members {
		secret := secretName.MatchString(m.name) || slices.ContainsFunc(connect.All(), func(s *connect.Spec) bool {
			return slices.ContainsFunc(s.Fields, func(f connect.Field) bool { return f.Name == m.name && f.Type == connect.Secret })
		})
		if secret && m.value.kind == textNode && !m.value.outside && m.name != "key" {
			m.value.src.hide(m.value.span)
			r.keepOut(m.value.text, "***")
			r.standing(m.value)
		}
	}
}

// find finds an entry by its name without case.
func find(list []*entry, name string) *entry {
	for _, e := range list {
		if strings.EqualFold(e.name, name) {
			return e
		}
	}
	return nil
}

// functions reads the functions.
func (r *reader) functions(root *node) []Function {
	n := root.get("functions")
	if n == nil || n.kind == nullNode {
		return nil
	}
	if n.kind != objectNode {
		r.fail(n, "write functions: and below it NAME: ./NAME.js", "\"functions\" is an object of names and settings, not %s", n.kind)
		return nil
	}
	var list []Function
	for i := range n.members {
		m := &n.members[i]
		f, ok := r.functionOf(m)
		if !ok {
			continue
		}
		if slices.ContainsFunc(list, f.same) {
			r.failKey(m, "names are the same without case", "function %q is there already", m.name)
			continue
		}
		list = append(list, f)
	}
	return list
}

// testPatterns are where tests are when the job does not say.
var testPatterns = []string{"*_test.yaml", "tests/*_test.yaml"}

// tests finds the test files of a job.
func (r *reader) tests(root *node, dir string) []string {
	patterns := testPatterns
	n := root.get("tests")
	if n != nil {
		v, ok := r.list(n, testsField)
		if !ok {
			return nil
		}
		patterns, _ = v.([]string)
	}
	var files []string
	for _, p := range patterns {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, filepath.FromSlash(p))
		}
		found, err := filepath.Glob(p)
		if err != nil {
			r.fail(n, "write * and ? for any letters", "%s is no pattern of files", n.quoted())
			continue
		}
		if n != nil && len(found) == 0 {
			r.warn(n, "", "no test file matches")
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}
