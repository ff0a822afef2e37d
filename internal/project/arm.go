package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// armJob is a job of a template with the resources that belong to it.
type armJob struct {
	name  string
	at    *node // where the name stands
	props *node
	// parts are its inputs, outputs, functions and transformations, inside of it and as
	// resources of their own.
	inputs, outputs, functions, transformations []*node
}

// armTemplate reads a template, or a job resource alone (jobmodel.md 3). name is the job that
// is meant if there are several.
func (r *reader) armTemplate(path, name string) *draft {
	root := r.readJSON(path)
	if root == nil {
		return nil
	}
	t := &armReader{r: r, path: path, steps: maxSteps}
	t.template(root, t.scope(root, r.parameterFile(path), true), 0)
	var job *armJob
	var names []string
	for _, j := range t.jobs {
		names = append(names, j.name)
		if name == "" && len(t.jobs) == 1 || name != "" && strings.EqualFold(j.name, name) {
			job = j
		}
	}
	file := r.shortName(path)
	switch {
	case job != nil:
		return t.draft(job)
	case len(names) == 0:
		r.failFile(file, "jobs are resources of the type Microsoft.StreamAnalytics/streamingjobs", "the file holds no job of Azure Stream Analytics")
	case name != "":
		r.failFile(file, or(didYouMean(name, names), "it has "+strings.Join(names, ", ")), "the template has no job %q", name)
	default:
		r.failFile(file, "name one: "+file+"#"+names[0], "the template holds several jobs: %s", strings.Join(names, ", "))
	}
	return nil
}

type armReader struct {
	r     *reader
	path  string
	jobs  []*armJob
	steps int
}

// parameterFile reads the values of the parameters that lie beside a template: nil if there
// are none.
func (r *reader) parameterFile(path string) *node {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	for _, file := range []string{base + ".parameters.json", strings.TrimSuffix(base, ".template") + ".parameters.json",
		filepath.Join(filepath.Dir(path), "parameters.json")} {
		if _, err := os.Stat(file); err != nil {
			continue
		}
		if root := r.readJSON(file); root != nil {
			return root.look("parameters")
		}
		return nil
	}
	return nil
}

// scope makes the scope of a template: parameters with values from the overlay, the
// environment, the file of parameters and the defaults, in this order, and variables.
func (t *armReader) scope(root, values *node, outermost bool) *armScope {
	s := &armScope{parameters: map[string]*node{}, variables: map[string]*node{}}
	var overlaid *node
	if outermost {
		overlaid = t.r.overlaid.get("parameters")
	}
	if p := root.look("parameters"); p != nil {
		for _, m := range p.members {
			s.parameters[strings.ToLower(m.name)] = t.parameter(m, overlaid, values, outermost)
		}
	}
	if v := root.look("variables"); v != nil {
		for _, m := range v.members {
			s.variables[strings.ToLower(m.name)] = m.value
		}
	}
	return s
}

// parameter is the value of a parameter, nil if it has none.
func (t *armReader) parameter(m member, overlaid, values *node, outermost bool) *node {
	secure := strings.HasPrefix(strings.ToLower(m.value.word("type")), "secure")
	if v := overlaid.look(m.name); v != nil {
		if secure {
			t.r.standing(v)
		}
		v.outside = true // it is a value, never an expression
		v.written = or(v.written, "the parameter "+m.name)
		return v
	}
	if outermost && t.r.o.Env != nil {
		if v, ok := t.r.o.Env(m.name); ok && v != "" {
			t.r.keepOut(v, "${env:"+m.name+"}")
			return &node{kind: textNode, text: v, outside: true, written: "${env:" + m.name + "}", src: m.value.src, span: m.span}
		}
	}
	for _, v := range []*node{values.look(m.name).look("value"), m.value.look("defaultValue")} {
		if v == nil {
			continue
		}
		if secure && v.scalar() {
			v.src.hide(v.span)
			t.r.keepOut(v.text, "***")
			t.r.standing(v)
		}
		return v
	}
	return nil
}

const jobType = "microsoftstreamanalyticsstreamingjobs"

// template collects the jobs of a template and of the templates in it.
func (t *armReader) template(root *node, s *armScope, depth int) {
	if depth > 8 {
		return
	}
	resources := root.look("resources")
	if resources == nil && root.path("properties", "transformation") != nil {
		t.resource(root, jobType, s)
		return
	}
	list := resources.children()
	for _, child := range []bool{false, true} { // jobs first, then what belongs to them
		for _, x := range list {
			kind := folded(x.word("type"))
			if c := x.look("condition"); c != nil {
				s.evaluate(c, &t.steps)
				if c.text == "false" {
					continue
				}
			}
			switch {
			case kind == jobType && !child:
				t.resource(x, kind, s)
			case strings.HasPrefix(kind, jobType) && kind != jobType && child:
				t.child(x, kind[len(jobType):], s)
			case kind == "microsoftresourcesdeployments" && !child:
				t.nested(x, s, depth)
			}
		}
	}
}

// children are the elements of a list, or the values of an object (templates with symbolic
// names).
func (n *node) children() []*node {
	if n == nil {
		return nil
	}
	list := slices.Clone(n.items)
	for _, m := range n.members {
		list = append(list, m.value)
	}
	return list
}

// nested takes a template within a template.
func (t *armReader) nested(x *node, outer *armScope, depth int) {
	inner := x.path("properties", "template")
	if inner == nil {
		return
	}
	if !strings.EqualFold(x.path("properties", "expressionEvaluationOptions").word("scope"), "inner") {
		t.template(inner, outer, depth+1)
		return
	}
	values := x.path("properties", "parameters")
	if values != nil {
		outer.evaluate(values, &t.steps)
	}
	t.template(inner, t.scope(inner, values, false), depth+1)
}

// resource takes a job.
func (t *armReader) resource(x *node, kind string, s *armScope) {
	for _, key := range []string{"name", "properties", "resources"} {
		if v := x.look(key); v != nil {
			s.evaluate(v, &t.steps)
		}
	}
	j := &armJob{at: x, props: x.look("properties")}
	if v := x.look("name"); v.scalar() {
		j.at, j.name = v, v.text
		if v.open {
			j.name = ""
		}
	}
	if j.name == "" {
		j.name, _, _ = strings.Cut(filepath.Base(t.path), ".")
	}
	for key, list := range map[string]*[]*node{"inputs": &j.inputs, "outputs": &j.outputs, "functions": &j.functions} {
		*list = append(*list, j.props.look(key).children()...)
	}
	if v := j.props.look("transformation"); v != nil {
		j.transformations = append(j.transformations, v)
	}
	t.jobs = append(t.jobs, j)
	for _, c := range x.look("resources").children() {
		kind := folded(c.word("type"))
		j.add(strings.TrimPrefix(kind, jobType), c)
	}
}

// add gives a job a resource that belongs to it.
func (j *armJob) add(kind string, x *node) {
	switch kind {
	case "inputs":
		j.inputs = append(j.inputs, x)
	case "outputs":
		j.outputs = append(j.outputs, x)
	case "functions":
		j.functions = append(j.functions, x)
	case "transformations":
		j.transformations = append(j.transformations, x)
	}
}

// child takes a resource that belongs to a job by its name: job/input.
func (t *armReader) child(x *node, kind string, s *armScope) {
	for _, key := range []string{"name", "properties"} {
		if v := x.look(key); v != nil {
			s.evaluate(v, &t.steps)
		}
	}
	parent, _, _ := strings.Cut(x.word("name"), "/")
	for _, j := range t.jobs {
		if strings.EqualFold(j.name, parent) || len(t.jobs) == 1 {
			j.add(kind, x)
			return
		}
	}
}

// draft makes a draft of a job.
func (t *armReader) draft(j *armJob) *draft {
	r := t.r
	d := &draft{job: newAzureJob(ARM, r.shortName(t.path), filepath.Dir(t.path))}
	d.job.Name, d.job.OutputErrors = j.name, Stop
	if j.props == nil || j.props.kind != objectNode {
		r.fail(j.at, "", "the job %q has no properties", j.name)
		return nil
	}
	r.azureSettings(d.job, j.props)
	t.query(d.job, j)
	for _, x := range j.inputs {
		t.endpoint(&d.inputs, x, true)
	}
	for _, x := range j.outputs {
		t.endpoint(&d.outputs, x, false)
	}
	for _, x := range j.functions {
		t.function(d, x)
	}
	d.job.Tests = r.azureTests(d.job.Dir)
	return d
}

// query takes the text of the query. It has lines of its own, so messages count in it.
func (t *armReader) query(job *Job, j *armJob) {
	job.QueryFile = job.File + "#query"
	if t.r.overlaid.get("job").get("query") != nil {
		return // the overlay brings another
	}
	for _, x := range j.transformations {
		q := x.path("properties", "query")
		switch {
		case q.scalar() && !q.open:
			job.Query = q.text
			if len(q.text) > maxQueryBytes {
				t.r.fail(q, "", "the query is longer than 1 MiB")
			}
			return
		case q != nil:
			t.r.fail(q, "write it into "+overlayName+": job: {query: ./QUERY.saql}", "the query of job %q is an expression that has no value here", j.name)
			return
		}
	}
	t.r.fail(j.at, "a query is properties.transformation.properties.query", "the job %q has no query", j.name)
}

// lastName is the name of a part: the last piece of job/part.
func (t *armReader) lastName(x *node, what string) (string, *node, bool) {
	v := x.look("name")
	if !v.scalar() || v.open || v.text == "" {
		at := x
		if v != nil {
			at = v
		}
		t.r.fail(at, "give its parameters values: in the overlay under parameters:, or in the environment", "the name of an %s has no value here", what)
		return "", nil, false
	}
	return v.text[strings.LastIndexByte(v.text, '/')+1:], v, true
}

// endpoint takes an input or output.
func (t *armReader) endpoint(list *[]*entry, x *node, input bool) {
	what := "output"
	if input {
		what = "input"
	}
	name, at, ok := t.lastName(x, what)
	if !ok {
		return
	}
	p := x.look("properties")
	source := p.look("datasource")
	a := &azureEndpoint{name: name, at: at, kindName: source.word("type"), properties: source.look("properties"),
		serialization: p.look("serialization"), compression: p.look("compression"), rows: p.look("sizeWindow"), wait: p.look("timeWindow"), reference: input && strings.EqualFold(p.word("type"), "Reference")}
	a.kind = kindOfAzure(a.kindName)
	e := t.r.azureEntry(a, input)
	if find(*list, name) != nil {
		t.r.warn(at, "", "%s is there already; this one is not taken", e.what())
		return
	}
	if input {
		if file := sampleOf(filepath.Dir(t.path), name); file != "" {
			e.settingText("sample", file, nil)
		}
	}
	*list = append(*list, e)
}

// function takes a function.
func (t *armReader) function(d *draft, x *node) {
	name, at, ok := t.lastName(x, "function")
	if !ok {
		return
	}
	p := x.look("properties")
	f := Function{Name: name, Place: at.at(), Aggregate: strings.EqualFold(p.word("type"), "Aggregate")}
	binding := p.path("properties", "binding")
	if binding == nil {
		binding = p.look("binding")
	}
	kind := folded(binding.word("type"))
	if !strings.Contains(kind, "javascript") {
		f.Refused = (&azureFunction{name: name, binding: kind, set: binding.look("properties")}).refuse()
		d.functions = append(d.functions, f)
		return
	}
	script := binding.path("properties", "script")
	if !script.scalar() || script.open {
		t.r.fail(at, fmt.Sprintf("put it into %s: functions: {%s: ./%s.js}", overlayName, yamlKey(name), name), "the script of function %q has no value here", name)
		return
	}
	f.Script = script.text
	d.functions = append(d.functions, f)
}

// detectJSON tells a project file from a template.
func (r *reader) detectJSON(file string) Kind {
	s, err := r.open(file, file, maxFileBytes)
	if err != nil {
		return ARM
	}
	r.sources = r.sources[:len(r.sources)-1]
	n := (&reader{}).json(s)
	if n.look("startFile") != nil && n.look("configurations") != nil {
		return VSCode
	}
	return ARM
}

// holdsJob tells whether a JSON file of a folder may be a template with a job.
func holdsJob(file string) bool {
	r := &reader{}
	s, err := r.open(file, file, maxFileBytes)
	return err == nil && strings.Contains(strings.ToLower(s.text), "microsoft.streamanalytics/streamingjobs")
}
