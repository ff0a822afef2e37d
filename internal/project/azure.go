package project

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/internal/connect"
	"weir/internal/plan"
)

// newAzureJob is a job with the defaults of Azure (jobmodel.md 2.2).
func newAzureJob(kind Kind, file, dir string) *Job {
	return &Job{Kind: kind, File: file, Dir: dir, Late: -1, OutputErrors: Retry, QueryErrors: "stop"}
}

// azureSettings takes the settings of a job: a JobConfig.json or the properties of a template.
// Keys are the same without case.
func (r *reader) azureSettings(j *Job, n *node) {
	j.Late = r.azureSeconds(n, j.Late, "EventsLateArrivalMaxDelayInSeconds")
	j.OutOfOrder = r.azureSeconds(n, j.OutOfOrder, "EventsOutOfOrderMaxDelayInSeconds")
	r.azureWord(n, "EventsOutOfOrderPolicy", []string{"Adjust", "Drop"}, func(s string) { j.Drop = s == "Drop" })
	r.azureWord(n, "OutputErrorPolicy", []string{"Retry", "Stop", "Drop"}, func(s string) { j.OutputErrors = ErrorPolicy(strings.ToLower(s)) })
	if v := n.look("CompatibilityLevel"); v.scalar() {
		level, ok := plan.ParseLevel(v.text)
		if !ok {
			r.fail(v, "it is 1.0, 1.1 or 1.2", "CompatibilityLevel cannot be %s", v.quoted())
		}
		j.Level = level
	}
	if v := n.look("DataLocale"); v.scalar() && v.text != "" && !strings.EqualFold(v.text, "en-US") && !strings.EqualFold(v.text, "invariant") {
		r.warn(v, "numbers in CSV are written with a point", "the culture %s is not applied", v.quoted())
	}
	units := n.look("StreamingUnits")
	if units == nil {
		units = n.path("Sku", "StreamingUnits")
	}
	if units.scalar() && !isUnits(units.text) {
		r.warn(units, "", "StreamingUnits %s is no number; it is ignored", units.quoted())
	}
}

// isUnits reads "3", "1/3" or "0.33".
func isUnits(s string) bool {
	a, b, ok := strings.Cut(s, "/")
	if _, err := strconv.ParseFloat(a, 64); err != nil {
		return false
	}
	_, err := strconv.Atoi(b)
	return !ok || err == nil
}

// azureSeconds reads a number of seconds, which may be a text; -1 is no limit.
func (r *reader) azureSeconds(n *node, other time.Duration, name string) time.Duration {
	v := n.look(name)
	if v == nil || v.open {
		return other
	}
	s, err := strconv.ParseFloat(v.text, 64)
	if !v.scalar() || err != nil || s < 0 && s != -1 || s > maxDuration.Seconds() {
		r.fail(v, "write a number of seconds, or -1 for no limit", "%s cannot be %s", name, v.quoted())
		return other
	}
	if s < 0 {
		return -1
	}
	return time.Duration(s * float64(time.Second))
}

// azureWord reads one of some words without case.
func (r *reader) azureWord(n *node, name string, words []string, to func(string)) {
	v := n.look(name)
	if v == nil || v.open || v.text == "" {
		return
	}
	for _, w := range words {
		if v.scalar() && strings.EqualFold(w, v.text) {
			to(w)
			return
		}
	}
	r.fail(v, "it is "+strings.Join(words, " or "), "%s cannot be %s", name, v.quoted())
}

// azureEndpoint is an input or output in the form that projects and templates have in common.
type azureEndpoint struct {
	name          string
	kind          *azureKind
	kindName      string // as written
	properties    *node
	serialization *node // an object with type, and its settings in it or in "properties"
	compression   *node
	reference     bool
	rows, wait    *node // of an output: how many rows make a batch, and how long it waits for them
	at            *node
}

// azureEntry makes an entry of an endpoint of Azure.
func (r *reader) azureEntry(a *azureEndpoint, input bool) *entry {
	e := newEntry(a.name, input, a.at.src, a.at.span)
	e.azure = a.kindName
	if a.reference {
		e.set("reference", &node{kind: boolNode, text: "true", src: e.src, span: e.span})
	}
	r.azureFormat(e, a)
	r.secret(e, a)
	if a.kind != nil {
		e.azure = a.kind.name
		to := a.kind.connect
		switch {
		case a.reference:
			to = a.kind.reference
		case input:
			to = a.kind.source
		}
		if to != nil && a.properties != nil {
			to(r, e, a.properties)
			if spec := e.settings.word("type"); !input && spec == blobType {
				r.azureBatch(e, a)
			}
		}
	}
	if e.azure == "" {
		e.azure = "endpoint of Azure"
	}
	e.advised = a.advised(e)
	e.missing = r.advice(e, a)
	return e
}

// advised are settings that advice gives with a connector, by "connector.setting": what is
// known from the original.
func (a *azureEndpoint) advised(e *entry) map[string]string {
	m := map[string]string{"http.path": yamlText("/" + e.name)}
	if container := a.properties.word("container"); container != "" && !e.input {
		m["blob.path"] = yamlText("./" + container + "/" + strings.TrimPrefix(a.properties.word("pathPattern"), "/"))
		m["blob.date_format"] = yamlText(a.properties.word("dateFormat"))
		m["blob.time_format"] = yamlText(a.properties.word("timeFormat"))
	}
	return m
}

// yamlText is a text as a value of YAML; "" stays empty.
func yamlText(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}

// advice says what stands in the way of an endpoint of Azure, and the lines of the overlay
// that clear it.
func (r *reader) advice(e *entry, a *azureEndpoint) string {
	what, names, can, word := "is written to "+e.azure, []string{}, isSink, "its rows go"
	if e.input {
		what, can, word = "is read from "+e.azure, isSource, "its events come from"
	}
	if a.kind != nil {
		if names = a.kind.output; e.input {
			names = a.kind.input
		}
	}
	if w := a.whereText(); w != "" {
		what += " (" + w + ")"
	}
	if strings.EqualFold(a.properties.word("authenticationMode"), "Msi") {
		what += " with a managed identity"
	}
	if lines := e.lacking(); lines != "" {
		return fmt.Sprintf("%s %s, and the project leaves out part of what that needs\nwrite into %s:\n%s", e.what(), what, overlayName, lines)
	}
	for _, name := range append(slices.Clone(names), typeNames(can)...) {
		if spec, ok := connect.Find(name); ok && can(spec) && (!a.reference || spec.Reference) {
			return fmt.Sprintf("%s %s, which this program does not connect to\nwrite into %s where %s:\n%s", e.what(), what, overlayName, word, e.lines(spec, nil))
		}
	}
	return fmt.Sprintf("%s %s, which this program does not connect to", e.what(), what)
}

// lacking are the lines of an overlay that complete an entry that has a type; "" if it has
// none, or nothing is missing.
func (e *entry) lacking() string {
	n := e.settings.get("type")
	if n == nil {
		return ""
	}
	spec, ok := connect.Find(n.text)
	if !ok {
		return ""
	}
	has := func(name string) bool { v := e.settings.get(name); return v != nil && !v.open }
	if !slices.ContainsFunc(fieldsOf(spec, e.input), func(f connect.Field) bool {
		return f.Required && !has(f.Name) || e.settings.get(f.Name) != nil && !has(f.Name)
	}) {
		return ""
	}
	return e.lines(spec, has)
}

// lines are lines of an overlay that give an entry a connector, or, with has, what one lacks.
func (e *entry) lines(spec *connect.Spec, has func(string) bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n  %s:", e.section(), yamlKey(e.name))
	if has == nil {
		b.WriteString("\n    type: " + spec.Name)
	}
	for _, f := range fieldsOf(spec, e.input) {
		if known := e.advised[spec.Name+"."+f.Name]; has == nil && known != "" {
			b.WriteString("\n    " + f.Name + ": " + known)
			continue
		}
		if has == nil && f.Required || has != nil && !has(f.Name) && (f.Required || e.settings.get(f.Name) != nil) {
			b.WriteString("\n    " + strings.TrimPrefix(example(f), "write "))
		}
	}
	return b.String()
}

// yamlKey is a name as a key of YAML.
func yamlKey(name string) string {
	if isVariable(strings.ReplaceAll(name, "-", "_")) {
		return name
	}
	return strconv.Quote(name)
}

// whereText names the place of an endpoint by its settings: "clicks in shop-events".
func (a *azureEndpoint) whereText() string {
	if a.kind == nil {
		return ""
	}
	var parts []string
	for _, w := range a.kind.where {
		v := a.properties.look(w)
		if v != nil && v.kind == listNode && len(v.items) > 0 {
			v = v.items[0].look("accountName")
		}
		if v.scalar() && !v.open && v.text != "" {
			parts = append(parts, v.text)
		}
	}
	return strings.Join(parts, " in ")
}

// azureFormat takes the serialization and the compression.
func (r *reader) azureFormat(e *entry, a *azureEndpoint) {
	s := a.serialization
	named := s.word("type")
	settings := s
	if p := s.look("properties"); p != nil {
		settings = p
	}
	f := &node{kind: objectNode, src: e.src, span: e.span}
	add := func(name, text string, k kind) {
		f.members = append(f.members, member{name, e.span, &node{kind: k, text: text, src: e.src, span: e.span}})
	}
	switch folded(named) {
	case "":
	case "json":
		add("type", "json", textNode)
		if strings.EqualFold(settings.word("format"), "Array") {
			add("array", "true", boolNode)
		}
	case "csv":
		add("type", "csv", textNode)
		if d := settings.word("fieldDelimiter"); d != "" {
			if name, ok := delimiterName(d); ok {
				add("delimiter", name, textNode)
			} else {
				r.warn(settings.look("fieldDelimiter"), "it is comma, semicolon, tab, space or bar", "%s: the delimiter is not known", e.what())
			}
		}
	case "avro", "parquet":
		add("type", folded(named), textNode)
	case "protobuf":
		e.refused = fmt.Sprintf("%s is in Protobuf, whose schema is not in the project\nwrite into %s\n%s:\n  %s:\n    format: {type: protobuf, schema: ./FILE.proto, message: NAME}", e.what(), overlayName, e.section(), yamlKey(e.name))
	case "delta":
		e.refused = fmt.Sprintf("%s is a table of Delta Lake, which cannot be written: no kept library in Go writes them\nwrite Parquet, and let what reads it make a table of the files; write into %s\n%s:\n  %s:\n    format: parquet", e.what(), overlayName, e.section(), yamlKey(e.name))
	case "customclr":
		e.refused = r.refuseDeserializer(e, settings, "")
	default:
		e.refused = fmt.Sprintf("%s is in %s, which this program does not read or write; take Json or Csv", e.what(), named)
	}
	packed := a.compression
	if packed != nil && packed.kind == objectNode {
		packed = packed.look("type")
	}
	if packed.scalar() {
		if name := folded(packed.text); name == "gzip" || name == "deflate" || name == "none" {
			add("compression", name, textNode)
		}
	}
	if len(f.members) > 0 {
		e.set("format", f)
	}
}

// delimiterName is the name of a delimiter as Azure writes it.
func delimiterName(d string) (string, bool) {
	for name, c := range delimiterBytes {
		if len(name) > 1 && d == string(c) || d == `\t` && name == "tab" {
			return name, true
		}
	}
	return "", false
}

// azureSampleFormat is the format of a sample as its description says it.
func azureSampleFormat(mock *node) connect.Format {
	s := mock.look("Serialization")
	f := connect.Format{Type: strings.ToLower(or(mock.word("Format"), s.word("Type")))}
	if d := or(mock.word("FieldDelimiter", "Delimiter"), s.word("FieldDelimiter")); d != "" && f.Type == "csv" {
		if name, ok := delimiterName(d); ok {
			f.Delimiter = delimiterBytes[name]
		}
	}
	return f
}

// refuseDeserializer says why events that a .NET class reads cannot be read here, and how
// they can without it. sample is the file of a mock, "" if there is none.
func (r *reader) refuseDeserializer(e *entry, s *node, sample string) string {
	class, dll := s.word("serializationClassName"), s.word("serializationDllPath", "SerializationDllPathInLocal", "SerializationProjectPath")
	text := fmt.Sprintf("%s is decoded by the C# class %s", e.what(), or(class, "?"))
	if dll != "" {
		text += " of " + dll
	}
	text += fmt.Sprintf(", which cannot run here\nif its events are JSON, write into %s\n%s:\n  %s:\n    format: json", overlayName, e.section(), yamlKey(e.name))
	if sample != "" {
		text += "\n    sample: " + sample
	}
	return text + fmt.Sprintf("\nand let the query open them, here those in an array \"records\":\n  SELECT r.ArrayValue.FIELD FROM %s AS e CROSS APPLY GetArrayElements(e.records) AS r", bracketed(e.name))
}

// bracketed is a name as queries write it.
func bracketed(name string) string {
	if isVariable(name) {
		return name
	}
	return "[" + name + "]"
}

// secret fills in the secret that exports leave out, from the environment variable of the name
// that the build command gives it (jobmodel.md 3): Inputs_<name>_DataSource_AccountKey.
func (r *reader) secret(e *entry, a *azureEndpoint) {
	if a.kind == nil || a.kind.secret == "" || a.properties == nil {
		return
	}
	section := "Inputs"
	if !e.input {
		section = "Outputs"
	}
	name := section + "_" + e.name + "_DataSource_" + a.kind.secret
	in := a.properties
	if list := in.look("storageAccounts"); list != nil && len(list.items) > 0 {
		in = list.items[0]
	}
	old := in.look(a.kind.secret)
	if old.scalar() && !old.open {
		old.src.hide(old.span)
		r.keepOut(old.text, "***")
		r.standing(old)
		if old.text != "" {
			return
		}
	}
	if r.o.Env == nil {
		return
	}
	if v, ok := r.o.Env(name); ok && v != "" {
		r.keepOut(v, "${env:"+name+"}")
		n := &node{kind: textNode, text: v, outside: true, written: "${env:" + name + "}", src: in.src, span: in.span}
		for i := range in.members {
			if strings.EqualFold(in.members[i].name, a.kind.secret) {
				in.members[i].value = n
				return
			}
		}
		in.members = append(in.members, member{a.kind.secret, in.span, n})
	}
}

// azureFunction is a function in the form that projects and templates have in common.
type azureFunction struct {
	name    string
	binding string // JavaScript, C#, machine learning, as folded gives it
	set     *node  // where class, method and file stand
}

// refuse says why a function that is not JavaScript cannot run here.
func (f *azureFunction) refuse() string {
	call := "UDF." + f.name
	mock := fmt.Sprintf(":\nfunctions:\n  %s: ./%s.js", yamlKey(f.name), f.name)
	where := "\nput a JavaScript function in its place, in " + overlayName + " or a test" + mock
	switch {
	case strings.Contains(f.binding, "clr") || strings.Contains(f.binding, "csharp"):
		class, method := f.set.word("class", "className"), f.set.word("method", "methodName")
		dll := f.set.word("dllPath", "assemblyName", "libraryPathInLocal")
		text := fmt.Sprintf("function %q is in C#", f.name)
		if class != "" || method != "" {
			text += fmt.Sprintf(" (method %s of class %s", or(method, "?"), or(class, "?"))
			if dll != "" {
				text += ", " + dll
			}
			text += ")"
		}
		return text + ", which cannot run here" + where
	case strings.Contains(f.binding, "machinelearning") || strings.HasPrefix(f.binding, "ml"):
		return fmt.Sprintf("function %q calls a machine learning service (%s), which cannot be called from here%s", f.name, call, where)
	}
	return fmt.Sprintf("function %q is of the kind %s, which is not known here%s", f.name, or(f.binding, "?"), where)
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// slashes turns the backslashes of Windows paths.
func slashes(path string) string { return filepath.FromSlash(strings.ReplaceAll(path, `\`, "/")) }
