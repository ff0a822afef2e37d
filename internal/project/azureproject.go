package project

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"weir/internal/diag"
)

// azureProject is a project of VS Code or Visual Studio: the files that it lists.
type azureProject struct {
	src   *source
	name  string
	start string // the query file as it is listed; "" if none is
	files []azureFile
	at    *node // where start stands
}

// azureFile is a file of a project and what it is.
type azureFile struct {
	path, subType string
	at            *node
}

// vsCodeProject reads an asaproj.json (jobmodel.md 2.1).
func (r *reader) vsCodeProject(path string) *draft {
	root := r.readJSON(path)
	if root == nil {
		return nil
	}
	if root.kind != objectNode {
		r.fail(root, "", "a project file is an object with name, startFile and configurations, not %s", root.kind)
		return nil
	}
	p := &azureProject{src: root.src, name: root.word("name"), start: root.word("startFile"), at: root.look("startFile")}
	if list := root.look("configurations"); list != nil {
		for _, x := range list.items {
			if file := x.look("filePath"); file.scalar() {
				p.files = append(p.files, azureFile{file.text, x.word("subType"), file})
			}
		}
	}
	return r.azureDraft(p, VSCode)
}

// visualStudioProject reads an *.asaproj (jobmodel.md 2.6).
func (r *reader) visualStudioProject(path string) *draft {
	name := r.shortName(path)
	s, err := r.open(path, name, maxFileBytes)
	if err != nil {
		r.failFile(name, nearFile(path), "cannot read the project: %s", reason(err))
		return nil
	}
	p := &azureProject{src: s}
	if err := p.readXML(); err != nil {
		r.say(s, diag.Span{}, diag.SeverityError, "this is no project of Visual Studio: "+err.Error(), "")
		return nil
	}
	return r.azureDraft(p, VisualStudio)
}

// readXML takes the files of a project in XML. Name spaces, conditions and all else that
// builds the project are of no concern.
func (p *azureProject) readXML() error {
	start := len(p.src.text) - len(strings.TrimPrefix(p.src.text, "\ufeff"))
	d := xml.NewDecoder(strings.NewReader(p.src.text[start:]))
	d.Strict = false
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	var text strings.Builder
	depth := 0
	for {
		before := int(d.InputOffset())
		t, err := d.Token()
		if errors.Is(err, io.EOF) && depth == 0 {
			break
		}
		if err != nil {
			return errors.New("the XML text is broken")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return fmt.Errorf("elements are more than %d deep", maxDepth)
			}
			text.Reset()
			p.element(t, start+before)
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			depth--
			p.value(t.Name.Local, strings.TrimSpace(text.String()))
			text.Reset()
		}
	}
	return nil
}

// element takes a Script or Configure.
func (p *azureProject) element(t xml.StartElement, offset int) {
	for _, a := range t.Attr {
		if !strings.EqualFold(a.Name.Local, "Include") {
			continue
		}
		at := &node{kind: textNode, text: a.Value, src: p.src, span: diag.Span{Start: offset, End: offset + 1}}
		if i := strings.Index(p.src.text[offset:], a.Value); i >= 0 && a.Value != "" {
			at.span = diag.Span{Start: offset + i, End: offset + i + len(a.Value)}
		}
		switch strings.ToLower(t.Name.Local) {
		case "script":
			if p.start == "" {
				p.start, p.at = a.Value, at
			}
		case "configure":
			p.files = append(p.files, azureFile{path: a.Value, at: at})
		}
	}
}

// value takes the text of an element that has ended.
func (p *azureProject) value(element, text string) {
	switch strings.ToLower(element) {
	case "subtype":
		if n := len(p.files); n > 0 && p.files[n-1].subType == "" {
			p.files[n-1].subType = text
		}
	case "name":
		if p.name == "" && len(p.files) == 0 {
			p.name = text
		}
	}
}

// readJSON reads a file of Azure. nil says that it is not there or wrong, which was reported.
func (r *reader) readJSON(path string) *node {
	name := r.shortName(path)
	s, err := r.open(path, name, maxFileBytes)
	if err != nil {
		r.failFile(name, nearFile(path), "cannot read it: %s", reason(err))
		return nil
	}
	root := r.json(s)
	if root != nil {
		r.hideSecrets(root, false)
	}
	return root
}

// secretName is a key whose value no message may show.
var secretName = regexp.MustCompile(`(?i)(key|password|pwd|secret|token|connectionstring|credential)$`)

// columnKey is a key whose value names a column.
var columnKey = regexp.MustCompile(`(?i)^(partition|row)key$`)

// hideSecrets hides the texts below keys with the names of secrets.
func (r *reader) hideSecrets(n *node, secret bool) {
	switch {
	case n.kind == textNode && secret && n.text != "":
		n.src.hide(n.span)
		if !strings.HasPrefix(n.text, "[") {
			r.keepOut(n.text, "***")
			r.standing(n)
		}
	case n.kind == objectNode:
		for _, m := range n.members {
			of := secretName.MatchString(m.name) && !columnKey.MatchString(m.name)
			value := strings.EqualFold(m.name, "value") || strings.EqualFold(m.name, "defaultValue")
			r.hideSecrets(m.value, of || secret && value)
		}
	default:
		for _, x := range n.items {
			r.hideSecrets(x, false)
		}
	}
}

// findFile is a path of a project on this machine: backslashes are turned, and names are found
// without case, as on the machine that wrote them.
func findFile(dir, path string) string {
	full := filepath.Join(dir, slashes(path))
	if filepath.IsAbs(slashes(path)) {
		full = filepath.Clean(slashes(path))
	}
	if _, err := os.Stat(full); err == nil {
		return full
	}
	parent := filepath.Dir(full)
	if parent != full && parent != dir {
		parent = findFile(dir, relative(dir, parent))
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return full
	}
	for _, e := range entries {
		if strings.EqualFold(e.Name(), filepath.Base(full)) {
			return filepath.Join(parent, e.Name())
		}
	}
	return full
}

// relative is a path from a folder, or the path itself if there is no way.
func relative(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && !filepath.IsAbs(rel) {
		return rel
	}
	return path
}

// azureDraft reads the files of a project.
func (r *reader) azureDraft(p *azureProject, kind Kind) *draft {
	dir := p.src.dir()
	d := &draft{job: newAzureJob(kind, p.src.name, dir)}
	d.job.Name = or(p.name, folderName(dir))
	r.azureQuery(d.job, p)
	configs := 0
	for _, f := range p.files {
		path := findFile(dir, f.path)
		sub := folded(f.subType)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			r.warn(f.at, nearFile(path), "the project lists %s, which is not there", f.at.quoted())
			continue
		} else if info.Size() == 0 {
			r.warn(f.at, "", "the project lists %s, which is empty", f.at.quoted())
			continue
		}
		if strings.HasSuffix(strings.ToLower(path), ".js") {
			r.scriptFile(d, path, sub, f.at)
			continue
		}
		root := r.readJSON(path)
		if root == nil {
			continue
		}
		if sub == "" || sub == "content" {
			sub = folded(root.word("ScriptType"))
		}
		switch {
		case sub == "jobconfig":
			if configs++; configs > 1 {
				r.warn(f.at, "", "the project has a second job configuration; it is not read")
				continue
			}
			r.azureSettings(d.job, root)
		case sub == "inputmock":
			r.mock(d, root, path)
		case sub == "input":
			r.projectEndpoint(&d.inputs, root, path, true)
		case sub == "output":
			r.projectEndpoint(&d.outputs, root, path, false)
		case strings.Contains(sub, "function") || strings.HasPrefix(sub, "js") || strings.Contains(sub, "udf") || strings.Contains(sub, "uda"):
			r.projectFunction(d, root, path, sub)
		default:
			r.warn(f.at, "", "%s is of the unknown kind %q; it is not read", f.at.quoted(), f.subType)
		}
	}
	d.job.Tests = r.azureTests(dir)
	return d
}

// azureQuery finds the query of a project. A start file that is not there is replaced by the
// only query of the folder.
func (r *reader) azureQuery(j *Job, p *azureProject) {
	at := p.at
	if at == nil {
		at = &node{src: p.src}
	}
	path := findFile(j.Dir, p.start)
	if info, err := os.Stat(path); p.start == "" || err != nil || info.IsDir() {
		var found []string
		entries, _ := os.ReadDir(j.Dir)
		for _, e := range entries {
			if !e.IsDir() && slices.Contains(queryExtensions, strings.ToLower(filepath.Ext(e.Name()))) {
				found = append(found, e.Name())
			}
		}
		what := "the project names no start file"
		if p.start != "" {
			what = fmt.Sprintf("the start file %q is not there", p.start)
		}
		switch len(found) {
		case 0:
			r.fail(at, "", "%s, and the folder has no query (*.asaql)", what)
			return
		case 1:
			r.warn(at, "", "%s; using %s", what, found[0])
			path = filepath.Join(j.Dir, found[0])
		default:
			r.fail(at, "the folder has "+strings.Join(found, ", "), "%s", what)
			return
		}
	}
	name := r.shortName(path)
	s, err := r.open(path, name, maxQueryBytes)
	if err != nil {
		r.fail(at, "", "cannot read the query %s: %s", name, reason(err))
		return
	}
	j.Query, j.QueryFile = s.text, name
}

// azureTests finds the tests of a project.
func (r *reader) azureTests(dir string) []string {
	var files []string
	for _, sub := range []string{"test", "tests", "."} {
		path := findFile(dir, filepath.Join(sub, "testConfig.json"))
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			files = append(files, path)
		}
		found, _ := filepath.Glob(filepath.Join(dir, sub, "*_test.yaml"))
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// aliasOf is the name of what a file describes: as it says, or as the file is called.
func aliasOf(root *node, path string, keys ...string) (string, *node) {
	if v := root.look(keys...); v.scalar() && v.text != "" {
		return v.text, v
	}
	base, _, _ := strings.Cut(filepath.Base(path), ".")
	if len(base) > len("local_") && strings.EqualFold(base[:len("local_")], "local_") {
		base = base[len("local_"):]
	}
	return base, &node{src: root.src, span: root.span}
}

// mock takes a local sample of an input (jobmodel.md 2.3).
func (r *reader) mock(d *draft, root *node, path string) {
	name, at := aliasOf(root, path, "InputAlias", "Name")
	e := find(d.inputs, name)
	if e == nil {
		e = newEntry(name, true, at.src, at.span)
		e.missing = fmt.Sprintf("%s has only a sample in the project; to run the job live, say in %s where its events come from", e.what(), overlayName)
		e.azure = "local sample"
		d.inputs = append(d.inputs, e)
	}
	if folded(root.word("Type")) == "referencedata" || folded(root.word("Type")) == "reference" {
		e.set("reference", &node{kind: boolNode, text: "true", src: at.src, span: at.span})
	}
	format := azureSampleFormat(root)
	file := root.look("FilePath", "Path")
	switch {
	case format.Type == "customclr":
		s := root
		if x := root.look("Serialization"); x != nil {
			s = x
		}
		sample := ""
		if file.scalar() && file.text != "" {
			sample = "./" + filepath.ToSlash(relative(d.job.Dir, findFile(filepath.Dir(path), file.text)))
		}
		e.refused = r.refuseDeserializer(e, s, sample)
		return
	case !slices.Contains([]string{"", "json", "csv", "avro", "parquet"}, format.Type):
		e.refused = fmt.Sprintf("the sample of %s is in %s, which this program does not read; take Json, Csv, Avro or Parquet", e.what(), or(root.word("Format"), "?"))
		return
	case !file.scalar() || file.text == "":
		r.warn(at, "", "the sample of %s names no file", e.what())
		return
	}
	e.sample = &format
	// The path is given from the folder of the mock, as it stands in it.
	e.settingText("sample", relative(file.src.dir(), findFile(filepath.Dir(path), file.text)), file)
}

// projectEndpoint takes a live input or an output (jobmodel.md 2.3, 2.4).
func (r *reader) projectEndpoint(list *[]*entry, root *node, path string, input bool) {
	if root.kind != objectNode {
		r.fail(root, "", "the file describes an input or an output: it is an object, not %s", root.kind)
		return
	}
	name, at := aliasOf(root, path, "Name", "InputAlias", "OutputAlias")
	a := &azureEndpoint{name: name, at: at, kindName: root.word("DataSourceType"), serialization: root.look("Serialization"),
		compression: root.look("CompressionType", "CompresssionType", "Compression"), rows: root.look("MinimumRows"), wait: root.look("MaximumTime")}
	kind := folded(root.word("Type"))
	a.reference = input && (kind == "referencedata" || kind == "reference")
	a.kind = kindOfAzure(a.kindName)
	if a.kind != nil {
		a.properties = root.look(a.kind.properties...)
	}
	if k, p := kindByProperties(root); a.properties == nil && p != nil {
		a.properties = p
		if a.kind == nil {
			a.kind = k
		}
	}
	e := r.azureEntry(a, input)
	if old := find(*list, name); old != nil {
		if old.azure != "local sample" {
			r.warn(at, "", "%s is there already; this one is not taken", e.what())
			return
		}
		// The mock came first: the sample is its, the rest is the live input's.
		for _, m := range old.settings.members {
			e.set(m.name, m.value)
		}
		if e.sample = old.sample; old.refused != "" {
			e.refused = old.refused
		}
		*old = *e
		return
	}
	*list = append(*list, e)
}

// projectFunction takes the description of a function (jobmodel.md 2.5).
func (r *reader) projectFunction(d *draft, root *node, path, sub string) {
	base, _, _ := strings.Cut(filepath.Base(path), ".")
	name, at := base, root
	if v := root.look("Name"); v.scalar() && v.text != "" {
		name, at = v.text, v
	}
	f := Function{Name: name, Place: at.at()}
	f.Aggregate = strings.EqualFold(root.word("Type"), "Aggregate") || strings.Contains(sub, "aggregate") || strings.Contains(sub, "uda")
	js := strings.HasPrefix(sub, "js") || strings.Contains(sub, "javascript")
	if source := scriptBeside(path); !js || source == "" {
		if js || sub == "function" {
			r.fail(at, "the source is expected beside it, as "+base+".js", "function %q has no source", name)
			return
		}
		f.Refused = (&azureFunction{name: name, binding: sub, set: root}).refuse()
		d.functions = append(d.functions, f)
		return
	} else if !r.takeScript(&f, source, at) {
		return
	}
	d.functions = append(d.functions, f)
}

// scriptBeside is the source of a function beside its description; "" if there is none.
func scriptBeside(path string) string {
	dir, file := filepath.Split(path)
	base, _, _ := strings.Cut(file, ".")
	for _, name := range []string{strings.TrimSuffix(file, filepath.Ext(file)), base + ".js"} {
		if !strings.HasSuffix(strings.ToLower(name), ".js") {
			continue
		}
		full := findFile(dir, name)
		if info, err := os.Stat(full); err == nil && !info.IsDir() {
			return full
		}
	}
	return ""
}

// takeScript reads the source of a function.
func (r *reader) takeScript(f *Function, path string, at *node) bool {
	s, err := r.open(path, r.shortName(path), maxQueryBytes)
	if err != nil {
		r.fail(at, "", "function %q: cannot read %s: %s", f.Name, r.shortName(path), reason(err))
		return false
	}
	f.shown = s.name
	f.File, f.Script = path, strings.TrimPrefix(s.text, "\ufeff")
	if abs, err := filepath.Abs(path); err == nil {
		f.File = abs
	}
	return true
}

// scriptFile takes a source that is listed itself.
func (r *reader) scriptFile(d *draft, path, sub string, at *node) {
	base, _, _ := strings.Cut(filepath.Base(path), ".")
	f := Function{Name: base, Place: at.at(), Aggregate: strings.Contains(sub, "aggregate") || strings.Contains(sub, "uda")}
	if slices.ContainsFunc(d.functions, f.same) {
		return // its description is listed too
	}
	if r.takeScript(&f, path, at) {
		d.functions = append(d.functions, f)
	}
}
