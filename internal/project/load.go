package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/diag"
)

// Load reads a job. path is a file of any form, or a folder that holds a job; of a template
// with several jobs path#name is one. The error is a *Problem with all that was found.
// Nothing is written, and nothing is opened but the files of the job.
func Load(path string, o Options) (*Job, error) {
	r := &reader{o: o}
	j := r.load(path)
	if r.failed() || j == nil {
		return nil, r.problem()
	}
	j.Notes, j.texts, j.Files, j.Secrets = r.sorted(), r.texts(), r.files(), r.secrets
	return j, nil
}

// load reads a job with its overlay.
func (r *reader) load(path string) *Job {
	file, name, kind := r.detect(path)
	if file == "" {
		return nil
	}
	if name != "" && kind != ARM {
		r.failFile(path, "only templates hold several jobs", "there is no job #%s in %s", name, file)
		return nil
	}
	r.root = filepath.Dir(file)
	o := r.overlay(file)
	if r.failed() {
		return nil
	}
	r.overlaid = o
	var d *draft
	switch kind {
	case Weir:
		d = r.weirYAML(file)
	case VSCode:
		d = r.vsCodeProject(file)
	case VisualStudio:
		d = r.visualStudioProject(file)
	case ARM:
		d = r.armTemplate(file, name)
	default:
		d = r.bareQuery(file)
	}
	if d == nil {
		return nil
	}
	if o != nil {
		r.lay(o, d)
	}
	return r.finish(d)
}

// queryExtensions are those of query files.
var queryExtensions = []string{".saql", ".asaql"}

// detect finds the file that describes the job, and its form. file is "" if there is none,
// which was reported.
func (r *reader) detect(path string) (file, name string, kind Kind) {
	file, name = path, ""
	info, err := os.Stat(file)
	if err != nil {
		if i := strings.LastIndexByte(path, '#'); i > 0 {
			file, name = path[:i], path[i+1:]
			info, err = os.Stat(file)
		}
	}
	switch {
	case err != nil:
		r.failFile(path, nearFile(path), "cannot read the job: %s", reason(err))
		return "", "", ""
	case info.IsDir():
		file, kind = r.detectIn(file)
		return file, name, kind
	}
	if kind = r.detectFile(file); kind == "" {
		return "", "", ""
	}
	return file, name, kind
}

// detectFile tells the form of a file, by its name and, for JSON, by what is in it.
func (r *reader) detectFile(file string) Kind {
	switch ext := strings.ToLower(filepath.Ext(file)); {
	case ext == ".yaml" || ext == ".yml":
		return Weir
	case ext == ".asaproj":
		return VisualStudio
	case ext == ".bicep":
		r.failFile(r.shortName(file), "build it first, with az bicep build --file "+filepath.Base(file)+", and take the JSON file", "a Bicep file is read as the template that it is built to")
		return ""
	case ext == ".json" && strings.EqualFold(filepath.Base(file), "asaproj.json"):
		return VSCode
	case ext == ".json":
		return r.detectJSON(file)
	}
	return Query
}

// maxTexts is how many JSON files of a folder are looked into for a template.
const maxTexts = 32

// detectIn finds the job of a folder.
func (r *reader) detectIn(dir string) (string, Kind) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.failFile(r.shortName(dir), "", "cannot read the folder: %s", reason(err))
		return "", ""
	}
	var yaml, vscode, texts, queries, studio []string
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		name := strings.ToLower(e.Name())
		full := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(name); {
		case name == "weir.yaml" || name == "weir.yml":
			yaml = append(yaml, full)
		case name == "asaproj.json":
			vscode = append(vscode, full)
		case ext == ".asaproj":
			studio = append(studio, full)
		case ext == ".json" && !strings.HasSuffix(name, ".parameters.json"):
			texts = append(texts, full)
		case slices.Contains(queryExtensions, ext):
			queries = append(queries, full)
		}
	}
	for _, form := range []struct {
		files []string
		kind  Kind
	}{{yaml, Weir}, {vscode, VSCode}, {studio, VisualStudio}, {texts, ARM}, {queries, Query}} {
		if form.kind == ARM {
			form.files = slices.DeleteFunc(form.files[:min(len(form.files), maxTexts)], func(f string) bool { return !holdsJob(f) })
		}
		switch len(form.files) {
		case 0:
		case 1:
			return form.files[0], form.kind
		default:
			var names []string
			for _, f := range form.files {
				names = append(names, filepath.Base(f))
			}
			r.failFile(r.shortName(dir), "name one of them", "the folder holds several jobs: %s", strings.Join(names, ", "))
			return "", ""
		}
	}
	r.failFile(r.shortName(dir), "a job is a weir.yaml, an Azure project (asaproj.json, *.asaproj), an ARM template or a query (*.saql)", "the folder holds no job")
	return "", ""
}

// bareQuery reads a query file. Data files beside it with the names of its inputs are samples.
func (r *reader) bareQuery(path string) *draft {
	name := r.shortName(path)
	s, err := r.open(path, name, maxQueryBytes)
	if err != nil {
		r.failFile(name, nearFile(path), "cannot read the query: %s", reason(err))
		return nil
	}
	dir := filepath.Dir(path)
	d := &draft{job: newJob(Query, name, dir)}
	j := d.job
	j.Query, j.QueryFile = s.text, name
	j.Name = strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	for _, in := range inputNames(s.text) {
		if file := sampleOf(dir, in); file != "" {
			e := newEntry(in, true, s, diag.Span{})
			e.settingText("sample", file, nil)
			d.inputs = append(d.inputs, e)
		}
	}
	j.Tests = r.tests(&node{}, dir)
	return d
}

// sampleExtensions are those of files of events.
var sampleExtensions = []string{".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".avro", ".parquet"}

// sampleOf finds the one file of events that has the name of an input, beside the query or
// in the folder samples.
func sampleOf(dir, input string) string {
	for _, sub := range []string{".", "samples"} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			continue
		}
		var found []string
		for _, e := range entries {
			name := strings.ToLower(e.Name())
			base := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
			ext := filepath.Ext(base)
			if !e.IsDir() && slices.Contains(sampleExtensions, ext) && strings.EqualFold(strings.TrimSuffix(base, ext), input) {
				found = append(found, filepath.Join(sub, e.Name()))
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	return ""
}

// Using says what was taken for the job, for people: "using ASA project ./asaproj.json".
func (j *Job) Using() string {
	file := filepath.ToSlash(j.File)
	if !filepath.IsAbs(j.File) {
		file = "./" + strings.TrimPrefix(file, "./")
	}
	switch j.Kind {
	case VSCode, VisualStudio:
		return "using ASA project " + file
	case ARM:
		return fmt.Sprintf("using ARM template %s (job %s)", file, j.Name)
	case Query:
		return "using query " + file
	}
	return "using " + file
}

// Holds tells whether a folder holds something that Load takes for a job.
func Holds(dir string) bool {
	file, _ := (&reader{}).detectIn(dir)
	return file != ""
}
