package project

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"weir/internal/connect"
	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

// uses are what a query names.
type uses struct {
	inputs    []saql.Name // sources that are no steps
	outputs   []string
	functions []functionUse
}

// functionUse is a call of a user function.
type functionUse struct {
	name      string
	aggregate bool
}

// usesOf reads what a query names. What is wrong with the query is the compiler's to say.
func usesOf(src string) uses {
	script, _ := saql.Parse(src)
	var u uses
	if script == nil {
		return u
	}
	steps := map[string]bool{}
	each(reflect.ValueOf(script), func(n any) {
		if s, ok := n.(*saql.Step); ok {
			steps[saql.Fold(s.Name.Text)] = true
		}
	})
	each(reflect.ValueOf(script), func(n any) {
		switch n := n.(type) {
		case *saql.Source:
			seen := slices.ContainsFunc(u.inputs, func(x saql.Name) bool { return strings.EqualFold(x.Text, n.Name.Text) })
			if !seen && !steps[saql.Fold(n.Name.Text)] && n.Name.Text != "" {
				u.inputs = append(u.inputs, n.Name)
			}
		case *saql.Select:
			if n.Into != nil {
				u.outputs = append(u.outputs, n.Into.Text)
			}
		case *saql.Call:
			if n.Prefix == nil {
				return
			}
			if prefix := strings.ToLower(n.Prefix.Text); prefix == "udf" || prefix == "uda" {
				u.functions = append(u.functions, functionUse{n.Name.Text, prefix == "uda"})
			}
		}
	})
	return u
}

// each visits every node of a syntax tree. It goes by the types of the fields: a list of all
// places where an expression may stand would have to be kept true beside the grammar.
func each(v reflect.Value, visit func(any)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		if v.Kind() == reflect.Pointer {
			visit(v.Interface())
		}
		each(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			each(v.Index(i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				each(v.Field(i), visit)
			}
		}
	}
}

// inputNames are the names of a query's inputs.
func inputNames(src string) []string {
	var list []string
	for _, n := range usesOf(src).inputs {
		list = append(list, n.Text)
	}
	return list
}

// Loader makes a function of a script, as plan.Env has it.
type Loader = func(plan.FunctionSource) (plan.Function, error)

// Env is what the job's query is compiled against. Functions that do not load are findings;
// a function that is refused stands for NULL, so that the rest of the query can be checked:
// see Refusals.
func (j *Job) Env(load Loader) (plan.Env, []Note) {
	ticks := func(d int64) vec.Time {
		if d < 0 {
			return -1
		}
		return vec.Time(d / 100)
	}
	env := plan.Env{Load: load, Level: j.Level, AnyOutput: j.anyOutput(), AnyInput: j.Kind == Query,
		Policies: &plan.Policies{Late: ticks(int64(j.Late)), OutOfOrder: ticks(int64(j.OutOfOrder)), Drop: j.Drop}}
	if j.Kind == Query {
		env.Policies = nil
	}
	for _, in := range j.Inputs {
		env.Inputs = append(env.Inputs, plan.InputDecl{Name: in.Name, Reference: in.Reference})
	}
	for _, out := range j.Outputs {
		env.Outputs = append(env.Outputs, out.Name)
	}
	var notes []Note
	for _, f := range j.Functions {
		src := plan.FunctionSource{Name: f.Name, Aggregate: f.Aggregate, Script: f.Script, Level: j.Level}
		if f.Refused != "" {
			src.Script = stub(f.Aggregate)
		}
		made, err := load(src)
		if err != nil {
			notes = append(notes, f.broken(err))
			continue
		}
		env.Functions = append(env.Functions, made)
	}
	return env, notes
}

// broken is the finding about a function that does not load.
func (f Function) broken(err error) Note {
	n := Note{Place: f.Place, Width: max(1, utf8.RuneCountInString(f.Name)), Text: fmt.Sprintf("function %q does not load: %v", f.Name, err)}
	if f.File != "" {
		n.Place, n.Width = Place{File: f.shown}, 0
		if e, ok := errors.AsType[*fn.ScriptError](err); ok && e.Line > 0 {
			n.Place, n.Width = Place{File: f.shown, Line: e.Line, Col: e.Column}, 1
		}
	}
	return n
}

// Refusals are the inputs, outputs and functions that the query uses and that cannot be used
// here, each with what to do. A job that has some can be checked and tested, with others in
// their places, and not run. With live, endpoints without a connector are among them; a run
// over samples does not need one.
func (j *Job) Refusals(live bool) []Note {
	u := usesOf(j.Query)
	var notes []Note
	add := func(at Place, name, text string) {
		notes = append(notes, Note{Place: at, Width: max(1, utf8.RuneCountInString(name)), Text: text})
	}
	for _, in := range j.Inputs {
		used := slices.ContainsFunc(u.inputs, func(n saql.Name) bool { return strings.EqualFold(n.Text, in.Name) })
		switch {
		case !used:
		case in.Refused != "" && (live || in.Sample == ""):
			add(in.Place, in.Name, in.Refused)
		case live && in.Connector == nil:
			add(in.Place, in.Name, in.Missing)
		}
	}
	claimed := map[string]string{}
	for _, out := range j.Outputs {
		used := slices.ContainsFunc(u.outputs, func(n string) bool { return strings.EqualFold(n, out.Name) })
		if used && live && out.Connector != nil && out.Connector.Claims != nil {
			for _, what := range out.Connector.Claims(out.Config, out.Name) {
				if first, ok := claimed[what]; ok {
					add(out.Place, out.Name, fmt.Sprintf("outputs %q and %q both write %s: give each its own", first, out.Name, what))
					break
				}
				claimed[what] = out.Name
			}
		}
		switch {
		case !used || !live:
		case out.Refused != "":
			add(out.Place, out.Name, out.Refused)
		case out.Connector == nil:
			add(out.Place, out.Name, out.Missing)
		}
	}
	for _, f := range j.Functions {
		used := slices.ContainsFunc(u.functions, func(x functionUse) bool {
			return x.aggregate == f.Aggregate && strings.EqualFold(x.name, f.Name)
		})
		if used && f.Refused != "" {
			add(f.Place, f.Name, f.Refused)
		}
	}
	return notes
}

// Undefined are the outputs of a plan that the job does not define. A run over samples needs no
// definition; live, somebody has to say where the rows go.
func (j *Job) Undefined(p *plan.Plan) []Note {
	var notes []Note
	for _, out := range p.Outputs {
		if slices.ContainsFunc(j.Outputs, func(o Output) bool { return strings.EqualFold(o.Name, out.Name) }) {
			continue
		}
		text := fmt.Sprintf("output %q of the query is not defined", out.Name)
		if names := typeNames(isSink); len(names) > 0 {
			spec, ok := connect.Find("file") // the plainest
			if !ok || !isSink(spec) {
				spec, _ = connect.Find(names[0])
			}
			text += fmt.Sprintf("\nwrite into %s where its rows go:\n%s", overlayName, newEntry(out.Name, false, nil, diag.Span{}).lines(spec, nil))
		}
		notes = append(notes, Note{Place: Place{File: j.File}, Text: text})
	}
	return notes
}

// anyOutput: Azure projects often lack the definitions of their outputs, and runs on this
// machine need none (asa-projects.md 3).
func (j *Job) anyOutput() bool { return j.Kind != Weir }

// stub is a function that can be compiled against in place of one that cannot run here.
func stub(aggregate bool) string {
	if aggregate {
		return "function main() { this.init = function () {}; this.accumulate = function () {}; this.computeResult = function () { return null; } }"
	}
	return "function main() { return null; }"
}

// Text is the query as it is to be compiled so that its places are those of the file that
// messages name: a text that stands in a job file keeps the lines above it and, where that
// changes no token, its indentation.
func (j *Job) Text() (file, text string) {
	if j.QueryLine == 0 {
		return j.QueryFile, j.Query
	}
	text = j.Query
	if j.queryIndent > 0 && !spansLines(text) {
		indent := strings.Repeat(" ", j.queryIndent)
		text = indent + strings.ReplaceAll(text, "\n", "\n"+indent)
	}
	return j.QueryFile, strings.Repeat("\n", j.QueryLine-1) + text
}

// spansLines tells whether a text or a name of a query may go on in the next line.
func spansLines(query string) bool {
	for line := range strings.Lines(query) {
		line, _, _ = strings.Cut(line, "--")
		if strings.Count(line, "'")%2 != 0 || strings.Count(line, `"`)%2 != 0 || strings.Count(line, "[") != strings.Count(line, "]") {
			return true
		}
	}
	return false
}

// JSON is the finding for programs, in the form of findings about queries. It has no code.
func (n Note) JSON() diag.JSON {
	return diag.JSON{Severity: n.Severity.String(), Message: n.Text, File: n.File, Line: n.Line, Column: n.Col, EndLine: n.Line, EndColumn: n.Col + n.Width, Hint: n.Hint}
}

// Render draws findings about the job's files: Notes, or what Env and Refusals give.
func (j *Job) Render(w io.Writer, notes []Note, color bool) { RenderNotes(w, notes, j.texts, color) }
