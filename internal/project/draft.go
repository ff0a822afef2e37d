package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/diag"
	"weir/internal/plan"
)

// draft is a job as its files say it: the endpoints are still settings in the form of
// weir.yaml, whatever form they were written in, so that an overlay can change them and one
// place checks them.
type draft struct {
	job       *Job
	inputs    []*entry
	outputs   []*entry
	functions []Function
	// overlaid are the functions that an overlay replaced or added.
	overlaid []Function
}

// entry is an input or an output of a draft.
type entry struct {
	name     string
	input    bool
	src      *source // where the name stands
	span     diag.Span
	settings *node // an object
	// azure is the kind in the words of an Azure project, and refused and missing what is
	// to be said of it; "" for our own.
	azure, refused, missing string
	// advised are settings for the lines that missing gives, by "connector.setting".
	advised map[string]string
	// sample is the format of the sample, if the project says it.
	sample *connect.Format
}

// newEntry makes an entry without settings.
func newEntry(name string, input bool, src *source, span diag.Span) *entry {
	return &entry{name: name, input: input, src: src, span: span, settings: &node{kind: objectNode, src: src, span: span}}
}

// what names an entry in messages.
func (e *entry) what() string {
	if e.input {
		return fmt.Sprintf("input %q", e.name)
	}
	return fmt.Sprintf("output %q", e.name)
}

// section is where entries of its kind stand in weir.yaml.
func (e *entry) section() string {
	if e.input {
		return "inputs"
	}
	return "outputs"
}

// set adds a setting or replaces it.
func (e *entry) set(name string, value *node) {
	if m := e.settings.member(name); m != nil {
		*m = member{name, value.span, value}
		return
	}
	e.settings.members = append(e.settings.members, member{name, value.span, value})
}

// settingText adds a setting with a text of ours, which stands where another node does.
func (e *entry) settingText(name, text string, at *node) {
	n := &node{kind: textNode, text: text, src: e.src, span: e.span}
	if at != nil {
		n.src, n.span, n.outside, n.written, n.open = at.src, at.span, at.outside, at.written, at.open
	}
	e.set(name, n)
}

// finish turns the drafts into a job.
func (r *reader) finish(d *draft) *Job {
	j := d.job
	for _, e := range d.inputs {
		j.Inputs = append(j.Inputs, r.inputOf(e))
	}
	for _, e := range d.outputs {
		mergeCosmos(e, j.Level)
		j.Outputs = append(j.Outputs, r.outputOf(e))
	}
	for _, f := range d.functions {
		if !slices.ContainsFunc(d.overlaid, f.same) {
			j.Functions = append(j.Functions, f)
		}
	}
	j.Functions = append(j.Functions, d.overlaid...)
	return j
}

// same tells whether two functions have one name.
func (f Function) same(g Function) bool {
	return f.Aggregate == g.Aggregate && strings.EqualFold(f.Name, g.Name)
}

// inputOf checks the settings of an input.
func (r *reader) inputOf(e *entry) Input {
	in := Input{Name: e.name, Place: e.src.place(e.span.Start), Azure: e.azure, Refused: e.refused, Missing: e.missing}
	common := r.bind(e.settings, e.what(), inputFields)
	in.Sample, _ = common["sample"].(string)
	in.Reference, _ = common["reference"].(bool)
	in.MaxVersions, _ = common["max_versions"].(int64)
	if n := e.settings.get("max_versions"); n != nil && in.MaxVersions < 1 {
		r.fail(n, "leave it out for 10000", "at least one version of reference data has to be known")
	}
	if in.Arrival, _ = common["arrival"].(string); in.Arrival == "source" {
		in.Arrival = ""
	}
	in.Connector, in.Config, in.Format = r.connector(e, inputFields)
	if in.Connector != nil && in.Reference && !in.Connector.Reference {
		r.fail(e.settings.get("reference"), "types that can: "+strings.Join(typeNames(func(s *connect.Spec) bool { return s.Reference }), ", "),
			"the type %q cannot give reference data", in.Connector.Name)
	}
	if in.Connector != nil && in.Connector.ReferenceOnly && !in.Reference {
		r.fail(e.settings.get("type"), "set reference: true", "the type %q gives reference data and no events", in.Connector.Name)
	}
	if in.Sample != "" {
		in.SampleFormat = sampleFormat(in.Sample, in.Format)
		if e.sample != nil {
			in.SampleFormat = *e.sample
		}
		r.checkSample(e, in.Sample)
	}
	switch {
	case in.Connector != nil:
		in.Missing, in.Refused = "", ""
	case e.azure == "" && e.settings.get("type") == nil && e.settings.get("sample") == nil:
		r.failEntry(e, "types are "+listed(typeNames(isSource)), "%s needs a type, or at least a sample", e.what())
	case e.azure == "":
		in.Missing = fmt.Sprintf("%s has only a sample; to read it live, give it a type: %s", e.what(), listed(typeNames(isSource)))
	}
	return in
}

// checkSample reports a sample that is not there. It is a warning: the job can run without.
func (r *reader) checkSample(e *entry, path string) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		n := e.settings.get("sample")
		text := "there is no such file"
		if err == nil {
			text = "it is a folder"
		}
		r.warn(n, nearFile(path), "%s: cannot read the sample %s: %s", e.what(), n.quoted(), text)
	}
}

// outputOf checks the settings of an output.
func (r *reader) outputOf(e *entry) Output {
	out := Output{Name: e.name, Place: e.src.place(e.span.Start), Azure: e.azure, Refused: e.refused, Missing: e.missing}
	common := r.bind(e.settings, e.what(), outputFields)
	onError, _ := common["on_error"].(string)
	out.OnError = ErrorPolicy(onError)
	out.Connector, out.Config, out.Format = r.connector(e, outputFields)
	switch {
	case out.Connector != nil:
		out.Missing, out.Refused = "", ""
	case e.azure == "" && e.settings.get("type") == nil:
		out.Missing = fmt.Sprintf("%s has no type; give it one: %s", e.what(), listed(typeNames(isSink)))
	}
	return out
}

func isSource(s *connect.Spec) bool { return s.Source != nil }
func isSink(s *connect.Spec) bool   { return s.Sink != nil }

// typeNames are the names of connectors.
func typeNames(which func(*connect.Spec) bool) []string {
	var list []string
	for _, s := range connect.All() {
		if which(s) {
			list = append(list, s.Name)
		}
	}
	return list
}

// failEntry adds an error about an entry as a whole.
func (r *reader) failEntry(e *entry, hint, format string, args ...any) {
	r.say(e.src, e.span, diag.SeverityError, fmt.Sprintf(format, args...), hint)
}

// connector checks the type of an entry and the settings that belong to it, and its format.
func (r *reader) connector(e *entry, common []connect.Field) (*connect.Spec, connect.Config, connect.Format) {
	var none connect.Config
	format := r.format(e)
	known := append([]string{"type", "format"}, fieldNames(common)...)
	can := isSink
	if e.input {
		can = isSource
	}
	n := e.settings.get("type")
	if n == nil {
		r.object(e.settings, e.what(), known)
		return nil, none, format
	}
	if n.kind != textNode || n.open {
		if n.kind != textNode {
			r.fail(n, "types are "+listed(typeNames(can)), "\"type\" is a text, not %s", n.kind)
		}
		return nil, none, format
	}
	if n.outside {
		r.fail(n, "write the type itself", "\"type\" says which settings there are, and cannot come from outside")
		return nil, none, format
	}
	spec, ok := connect.Find(n.text)
	if !ok || !can(spec) {
		r.unknownType(e, n, ok, typeNames(can))
		return nil, none, format
	}
	fields := fieldsOf(spec, e.input)
	if e.azure != "" && e.incomplete(fields) {
		return nil, none, format
	}
	r.checkFormat(e, spec, format)
	before := len(r.notes)
	r.knownSettings(e, spec, append(known, fieldNames(fields)...))
	c := connect.Config{Values: r.bind(e.settings, e.what(), fields)}
	if spec.Check != nil && !hasErrors(r.notes[before:]) && !e.settings.anyOpen() {
		for _, p := range spec.Check(c, e.input) {
			if m := e.settings.member(p.Field); m != nil {
				r.fail(m.value, p.Hint, "%s", p.Text)
			} else {
				r.failEntry(e, p.Hint, "%s: %s", e.what(), p.Text)
			}
		}
	}
	return spec, c, format
}

// checkFormat reports what a format has that does not go with the connector.
func (r *reader) checkFormat(e *entry, spec *connect.Spec, f connect.Format) {
	n := e.settings.get("format")
	if n == nil || n.anyOpen() {
		return
	}
	for _, p := range connect.FormatProblems(spec, f, e.input) {
		at := n
		if m := n.member(p.Field); m != nil {
			at = m.value
		}
		r.fail(at, p.Hint, "%s: %s", e.what(), p.Text)
	}
}

// incomplete tells whether a setting that a connector must have is missing. For endpoints
// that were found in an Azure project this is no error: the overlay gives it.
func (e *entry) incomplete(fields []connect.Field) bool {
	return slices.ContainsFunc(fields, func(f connect.Field) bool {
		n := e.settings.get(f.Name)
		return n == nil && f.Required && f.Default == "" || n != nil && n.open
	})
}

// anyOpen tells whether a reference somewhere in a node has no value.
func (n *node) anyOpen() bool {
	return n.open || slices.ContainsFunc(n.items, (*node).anyOpen) ||
		slices.ContainsFunc(n.members, func(m member) bool { return m.value.anyOpen() })
}

func hasErrors(notes []Note) bool {
	return slices.ContainsFunc(notes, func(n Note) bool { return n.Severity == diag.SeverityError })
}

// unknownType reports a type that no connector has, or not in this direction.
func (r *reader) unknownType(e *entry, n *node, exists bool, names []string) {
	if exists {
		r.fail(n, "types are "+listed(names), "the type %s is not for %s", n.quoted(), e.section())
		return
	}
	hint := didYouMean(n.text, names)
	if hint == "" {
		hint = "types are " + listed(names)
	}
	r.fail(n, hint, "there is no type %s", n.quoted())
}

// knownSettings reports the settings that a connector does not have.
func (r *reader) knownSettings(e *entry, spec *connect.Spec, known []string) {
	for i := range e.settings.members {
		m := &e.settings.members[i]
		if slices.Contains(known, m.name) {
			continue
		}
		if slices.ContainsFunc(spec.Fields, func(f connect.Field) bool { return f.Name == m.name }) {
			r.failKey(m, "remove it", "%q of the type %q is not for %s", m.name, spec.Name, e.section())
			continue
		}
		// It may be a secret whose name was misspelt.
		r.unknown(m, fmt.Sprintf("the type %q", spec.Name), known, true)
	}
}

// delimiterBytes are the delimiters by name (saql.md 3.10).
var delimiterBytes = map[string]byte{"comma": ',', "semicolon": ';', "tab": '\t', "space": ' ', "bar": '|', ",": ',', ";": ';', "|": '|'}

// format reads the format of an entry: an object, or the type alone.
func (r *reader) format(e *entry) connect.Format {
	n := e.settings.get("format")
	if n == nil {
		return connect.Format{}
	}
	if n.kind == textNode {
		n = &node{kind: objectNode, src: n.src, span: n.span, members: []member{{"type", n.span, n}}}
	}
	if !r.object(n, "\"format\"", fieldNames(formatFields)) {
		return connect.Format{}
	}
	if t := n.get("type"); t != nil && t.kind == textNode && folded(t.text) == "delta" {
		r.fail(n.get("type"), "write Parquet, and let what reads it make a table of the files", "tables of Delta Lake cannot be written: no kept library in Go writes them")
		return connect.Format{}
	}
	v := r.bind(n, "\"format\"", formatFields)
	var f connect.Format
	f.Schema, _ = v["schema"].(string)
	f.Message, _ = v["message"].(string)
	f.Registry, _ = v["registry"].(connect.Hidden)
	f.Type, _ = v["type"].(string)
	f.Array, _ = v["array"].(bool)
	f.Compression, _ = v["compression"].(string)
	if d, ok := v["delimiter"].(string); ok {
		f.Delimiter = delimiterBytes[d]
	}
	if header, ok := v["header"].(bool); ok {
		f.NoHeader = !header
	}
	return f
}

// sampleFormat is the format of a sample: its name says whether it is CSV, and the input's
// format the rest.
func sampleFormat(path string, of connect.Format) connect.Format {
	path = strings.ToLower(path)
	ext := filepath.Ext(path)
	if ext == ".gz" || ext == ".zst" || ext == ".sz" {
		ext = filepath.Ext(strings.TrimSuffix(path, ext))
	}
	kind := ""
	switch ext {
	case ".csv", ".tsv":
		kind = "csv"
	case ".json", ".jsonl", ".ndjson":
		kind = "json"
	case ".avro", ".parquet":
		kind = ext[1:]
	default:
		of.Compression = ""
		return of
	}
	if kind != of.Type {
		return connect.Format{Type: kind}
	}
	of.Compression = ""
	return of
}

// functionOf reads a function of a weir.yaml or an overlay.
func (r *reader) functionOf(m *member) (Function, bool) {
	f := Function{Name: m.name, Place: m.value.src.place(m.span.Start)}
	n := m.value
	what := fmt.Sprintf("function %q", m.name)
	if n.kind == textNode { // the file alone
		n = &node{kind: objectNode, src: n.src, span: n.span, members: []member{{"file", n.span, n}}}
	}
	if !r.object(n, what, fieldNames(functionFields)) {
		return f, false
	}
	v := r.bind(n, what, functionFields)
	f.Aggregate, _ = v["aggregate"].(bool)
	f.Script, _ = v["script"].(string)
	file, isFile := v["file"].(string)
	switch {
	case isFile == (n.get("script") != nil):
		if len(n.members) > 0 && n.get("file") != nil && n.get("script") == nil {
			return f, false // a wrong file was reported
		}
		r.failKey(m, "write file: ./"+m.name+".js, or script: | and the function below", "%s needs either \"file\" or \"script\"", what)
		return f, false
	case isFile:
		s, err := r.open(file, r.shortName(file), maxQueryBytes)
		if err != nil {
			r.fail(n.get("file"), nearFile(file), "%s: cannot read %s: %s", what, r.shortName(file), reason(err))
			return f, false
		}
		f.shown = s.name
		f.File, f.Script = file, strings.TrimPrefix(s.text, "\ufeff")
	}
	return f, true
}

// shortName is a path as messages say it: from the working directory, if it is below.
func (r *reader) shortName(path string) string {
	wd, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return rel
	}
	return path
}

// newJob is a job with the defaults of weir.yaml.
func newJob(kind Kind, file, dir string) *Job {
	return &Job{Kind: kind, File: file, Dir: dir, Late: 5 * time.Second, OutputErrors: Stop, QueryErrors: "stop"}
}

// settings takes the settings of a "job" object. fields are jobFields, and times timeFields,
// or these as an overlay has them.
func (r *reader) settings(j *Job, n *node, fields, times []connect.Field) {
	if !r.object(n, "\"job\"", append(fieldNames(fields), "time")) {
		return
	}
	v := r.bind(n, "\"job\"", fields)
	take(v, "name", func(s string) { j.Name = s })
	take(v, "compatibility", func(s string) { j.Level, _ = plan.ParseLevel(s) })
	take(v, "on_output_error", func(s string) { j.OutputErrors = ErrorPolicy(s) })
	take(v, "on_query_error", func(s string) { j.QueryErrors = s })
	take(v, "checkpoint", func(d time.Duration) { j.Checkpoint = d })
	take(v, "shards", func(i int64) {
		if i < 1 || i > maxShards {
			r.fail(n.get("shards"), "", "\"shards\" is from 1 to %d", maxShards)
			return
		}
		j.Shards = int(i)
	})
	t := n.get("time")
	if t == nil || !r.object(t, "\"time\"", fieldNames(times)) {
		return
	}
	v = r.bind(t, "\"time\"", times)
	take(v, "late_arrival", func(d time.Duration) { j.Late = d })
	take(v, "out_of_order", func(d time.Duration) { j.OutOfOrder = d })
	take(v, "policy", func(s string) { j.Drop = s == "drop" })
}

// maxShards bounds the parts that keys are divided into.
const maxShards = 1024

// take gives a value to a function, if it is there.
func take[T any](values map[string]any, name string, to func(T)) {
	if v, ok := values[name].(T); ok {
		to(v)
	}
}
