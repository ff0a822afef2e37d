package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"weir/internal/caserun"
	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/project"
	"weir/internal/saql"
	"weir/internal/udf"
)

// engine is a compiled job, with outputs for the steps that a test looks at.
type engine struct {
	job  *jobInfo
	file string // that messages name
	text string // of the query, with what was added behind it
	plan *plan.Plan
	// streams names the outputs of the plan: streams[i] is that of output i.
	streams []streamName
}

// streamName is an output or a step.
type streamName struct {
	name string
	kind stream
}

// engines compiles each job once for each set of functions and steps. Several goroutines
// use it.
type engines struct {
	mu   sync.Mutex
	made map[string]*made
}

type made struct {
	once sync.Once
	e    *engine
	err  error
}

// get compiles the job of a scenario.
func (es *engines) get(s *scenario) (*engine, error) {
	steps := s.steps()
	var id strings.Builder
	fmt.Fprintf(&id, "%p %q", s.job, steps)
	for _, m := range s.mocks {
		fmt.Fprintf(&id, " %s %t %q", m.name, m.aggregate, m.script)
	}
	es.mu.Lock()
	if es.made == nil {
		es.made = map[string]*made{}
	}
	m := es.made[id.String()]
	if m == nil {
		m = &made{}
		es.made[id.String()] = m
	}
	es.mu.Unlock()
	m.once.Do(func() { m.e, m.err = compile(s.job, s.mocks, steps) })
	return m.e, m.err
}

// steps are the steps that a test looks at.
func (s *scenario) steps() []string {
	var steps []string
	for _, e := range s.expect {
		if e.kind == stepStream {
			steps = add(steps, e.name)
		}
	}
	for _, e := range s.emits {
		if e.kind == stepStream {
			steps = add(steps, e.name)
		}
	}
	slices.Sort(steps)
	return steps
}

// stepOutput is the output that a test adds for a step. No query can have it.
func stepOutput(step string) string { return "$step " + step }

// compile makes the engine of a job. Steps are looked at by a SELECT * of each, behind the
// query: so a step that nobody reads runs too, with all its columns.
func compile(j *jobInfo, mocks []mock, steps []string) (*engine, error) {
	var text strings.Builder
	file, query := j.Text() // with places as those of the job's file
	text.WriteString(query)
	own := text.Len()
	for _, step := range steps {
		fmt.Fprintf(&text, "\n;SELECT * INTO %s FROM %s", bracketed(stepOutput(step)), bracketed(step))
	}
	e := &engine{job: j, file: file, text: text.String()}
	env, err := environment(j, mocks, steps)
	if err != nil {
		return nil, err
	}
	script, list := saql.Parse(e.text)
	if !list.HasErrors() {
		e.plan, list = plan.Compile(script, env)
	}
	if list.HasErrors() {
		return nil, e.failed(list.Sorted(), own, steps)
	}
	for _, o := range e.plan.Outputs {
		if step, ok := strings.CutPrefix(o.Name, stepOutput("")); ok {
			e.streams = append(e.streams, streamName{step, stepStream})
		} else {
			e.streams = append(e.streams, streamName{o.Name, outputStream})
		}
	}
	return e, nil
}

func bracketed(name string) string { return "[" + strings.ReplaceAll(name, "]", "]]") + "]" }

// QueryError is a query that does not compile: its findings, drawn.
type QueryError struct{ text string }

func (e *QueryError) Error() string { return e.text }

// whole gives the error of a query that does not parse: nothing can be said of its tests.
// It is given once.
func (s *Suite) whole(j *jobInfo) (ok bool, err error) {
	if !j.broken {
		return true, nil
	}
	if !s.told[j] {
		s.told[j] = true
		_, err = compile(j, nil, nil)
	}
	return false, err
}

// failed says why a query does not compile, in the words of weir check. Findings behind own
// are about a step that cannot be looked at.
func (e *engine) failed(list diag.List, own int, steps []string) error {
	var b strings.Builder
	for _, d := range list {
		if d.Severity != diag.SeverityError {
			continue
		}
		if d.Span.Start > own && len(steps) > 0 {
			fmt.Fprintf(&b, "the steps %s cannot all be looked at: %s\n", strings.Join(steps, ", "), d.Message)
			continue
		}
		diag.Render(&b, e.file, e.text, d, false)
	}
	return &QueryError{strings.TrimRight(b.String(), "\n")}
}

func (m *mock) replaces(f project.Function) bool {
	return m.aggregate == f.Aggregate && strings.EqualFold(m.name, f.Name)
}

// environment is what the query of a job is compiled against: the job with the functions of
// the test in place of its own, and outputs for the steps.
func environment(j *jobInfo, mocks []mock, steps []string) (plan.Env, error) {
	own := *j.Job
	own.Functions = nil
	for _, f := range j.Functions {
		if !slices.ContainsFunc(mocks, func(m mock) bool { return m.replaces(f) }) {
			own.Functions = append(own.Functions, f)
		}
	}
	for _, m := range mocks {
		own.Functions = append(own.Functions, project.Function{Name: m.name, Aggregate: m.aggregate, Script: m.script, Place: m.place})
	}
	env, notes := own.Env(loadFunction)
	// Azure projects often lack the definitions of inputs that their tests have files for.
	env.AnyInput = env.AnyInput || j.Kind != project.Weir
	for _, f := range own.Functions {
		if f.Refused != "" && calls(&own, f) {
			notes = append(notes, project.Note{Place: f.Place, Text: f.Refused, Hint: fmt.Sprintf("replace it in the test: functions: {%s: {returns: 1}}", f.Name)})
		}
	}
	if len(notes) > 0 {
		return env, &QueryError{(&Findings{Notes: notes}).Error()}
	}
	for _, step := range steps {
		env.Outputs = append(env.Outputs, stepOutput(step))
	}
	return env, nil
}

// calls tells whether the query of a job calls a function.
func calls(j *project.Job, f project.Function) bool {
	return slices.ContainsFunc(j.Refusals(false), func(n project.Note) bool { return n.Place == f.Place && n.Text == f.Refused })
}

func loadFunction(f plan.FunctionSource) (plan.Function, error) {
	return caserun.LoadFunction(f, udf.Limits{})
}

// returning is the script of a function that gives a constant, as JSON.
func returning(value string, aggregate bool) string {
	var compact bytes.Buffer
	if json.Compact(&compact, []byte(value)) == nil {
		value = compact.String()
	}
	if aggregate {
		return "function main() {\n  this.init = function () {};\n  this.accumulate = function () {};\n" +
			"  this.computeResult = function () { return " + value + "; };\n}"
	}
	return "function main() { return " + value + "; }"
}

// located adds the place in the query to a query error.
func (e *engine) located(err error) error {
	var q *exec.QueryError
	if errors.As(err, &q) {
		line, col := diag.Position(e.text, q.Span.Start)
		return fmt.Errorf("%s:%d:%d: %s", e.file, line, col, q.In(e.text))
	}
	return err
}
