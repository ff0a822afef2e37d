// Package testkit reads conformance cases, runs them through an engine in several ways,
// and tells in words which rows and cells differ. The format of the cases is described
// beside them, in testdata/saql/conformance/FORMAT.md.
//
// The engine is a function that the caller gives (Engine), so that this package knows
// nothing of it: the same cases can judge another runner.
package testkit

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Case is one conformance case.
type Case struct {
	File  string // where it was read from
	Name  string
	Query string
	// Inputs are the streams, in the order of the file.
	Inputs []Input
	// Reference are the reference inputs: their Events are rows and have no arrival.
	Reference []Input
	Functions []Function
	Policies  Policies
	// Level is the compatibility level of the job, "" for that of the run.
	Level string
	// Expected is what each output must give, in the order of the file.
	Expected []Output
	// Ordered asks for the rows in just this order.
	Ordered bool
	// Error, if set, is a word that the message of the failing run must contain.
	Error string
}

// Input is an input and its events, each as the JSON text in the file.
type Input struct {
	Name   string
	Events []string
	// Arrival is the arrival time of each event. If nil, each event arrives at its own
	// event time.
	Arrival []time.Time
}

// Function is a user function: UDF.name or UDA.name and its JavaScript.
type Function struct{ Name, Source string }

// Policies are the time policies of the job.
type Policies struct {
	Late       time.Duration
	OutOfOrder time.Duration
	Drop       bool // drop late and out-of-order events, where the default adjusts them
}

// Output is the rows of an output.
type Output struct {
	Name string
	Rows []Row
}

// Find lists the case files that paths name: files as they are, and of directories all
// *.json below them, in the order of their names.
func Find(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(p, ".json") {
				files = append(files, p)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Load reads a case file. The error names the file and what in it is wrong.
func Load(file string) (*Case, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	c, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	c.File = file
	return c, nil
}

// Parse reads a case. A key that the format does not have is an error.
func Parse(b []byte) (*Case, error) {
	v, err := ParseValue(b)
	if err != nil {
		return nil, err
	}
	if v.Kind != Object {
		return nil, fmt.Errorf("a case is a JSON object")
	}
	p := &caseParser{}
	c := p.read(v)
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

// caseParser takes a case from its JSON. It keeps the first error.
type caseParser struct{ err error }

func (p *caseParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *caseParser) read(v Value) *Case {
	c := &Case{Policies: Policies{Late: 5 * time.Second}}
	var arrival Value
	for i, key := range v.Names {
		item := v.Items[i]
		switch key {
		case "name":
			c.Name = p.text(key, item)
		case "source", "note":
			p.text(key, item)
		case "query":
			c.Query = p.text(key, item)
		case "inputs":
			c.Inputs = p.inputs(key, item)
		case "reference":
			c.Reference = p.inputs(key, item)
		case "arrival":
			arrival = item
		case "functions":
			p.object(key, item, func(name string, v Value) {
				c.Functions = append(c.Functions, Function{name, p.text(name, v)})
			})
		case "policies":
			c.Policies = p.policies(item)
		case "level":
			c.Level = p.text(key, item)
		case "expected":
			p.object(key, item, func(name string, v Value) {
				c.Expected = append(c.Expected, Output{name, p.rows(name, v)})
			})
		case "ordered":
			c.Ordered = p.truth(key, item)
		case "error":
			c.Error = p.text(key, item)
		default:
			p.fail("unknown key %q", key)
		}
	}
	if arrival.Kind != Null {
		p.arrival(c, arrival)
	}
	p.complete(c, v)
	return c
}

// complete checks what a case must have.
func (p *caseParser) complete(c *Case, v Value) {
	for _, key := range []string{"name", "query", "inputs"} {
		if !slices.Contains(v.Names, key) {
			p.fail("the key %q is missing", key)
		}
	}
	if hasRows := slices.Contains(v.Names, "expected"); hasRows == (c.Error != "") {
		p.fail("a case has either %q or %q", "expected", "error")
	}
}

func (p *caseParser) object(key string, v Value, f func(name string, v Value)) {
	if v.Kind != Object {
		p.fail("%s: an object belongs here", key)
		return
	}
	for i, name := range v.Names {
		f(name, v.Items[i])
	}
}

func (p *caseParser) list(key string, v Value) []Value {
	if v.Kind != Array {
		p.fail("%s: a list belongs here", key)
	}
	return v.Items
}

func (p *caseParser) text(key string, v Value) string {
	if v.Kind != String {
		p.fail("%s: a text belongs here", key)
	}
	return v.Text
}

func (p *caseParser) truth(key string, v Value) bool {
	if v.Kind != Bool {
		p.fail("%s: true or false belongs here", key)
	}
	return v.Raw == "true"
}

func (p *caseParser) inputs(key string, v Value) []Input {
	var inputs []Input
	p.object(key, v, func(name string, v Value) {
		in := Input{Name: name}
		for _, e := range p.list(key+"."+name, v) {
			in.Events = append(in.Events, e.Raw)
		}
		inputs = append(inputs, in)
	})
	return inputs
}

func (p *caseParser) rows(key string, v Value) []Row {
	rows := p.list(key, v)
	for i, r := range rows {
		if r.Kind != Object {
			p.fail("%s: row %d is no object", key, i+1)
		}
	}
	return rows
}

func (p *caseParser) arrival(c *Case, v Value) {
	p.object("arrival", v, func(name string, v Value) {
		i := slices.IndexFunc(c.Inputs, func(in Input) bool { return in.Name == name })
		if i < 0 {
			p.fail("arrival: there is no input %q", name)
			return
		}
		in := &c.Inputs[i]
		for _, item := range p.list("arrival."+name, v) {
			t, err := time.Parse(time.RFC3339Nano, item.Text)
			if err != nil {
				p.fail("arrival.%s: %s is no time", name, item.Raw)
			}
			in.Arrival = append(in.Arrival, t)
		}
		if len(in.Arrival) != len(in.Events) {
			p.fail("arrival.%s has %d times for %d events", name, len(in.Arrival), len(in.Events))
		}
	})
}

func (p *caseParser) policies(v Value) Policies {
	pol := Policies{Late: 5 * time.Second}
	p.object("policies", v, func(name string, v Value) {
		switch name {
		case "lateArrival":
			pol.Late = p.duration(name, v)
		case "outOfOrder":
			pol.OutOfOrder = p.duration(name, v)
		case "action":
			pol.Drop = v.Text == "drop"
			if v.Text != "drop" && v.Text != "adjust" {
				p.fail("action is %s; it must be \"adjust\" or \"drop\"", v.Raw)
			}
		default:
			p.fail("policies: unknown key %q", name)
		}
	})
	return pol
}

func (p *caseParser) duration(key string, v Value) time.Duration {
	d, err := time.ParseDuration(p.text(key, v))
	if err != nil || d < 0 {
		p.fail("%s: %s is no duration such as 5s, 9m or 1h", key, v.Raw)
	}
	return d
}
