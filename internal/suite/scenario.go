package suite

import (
	"slices"
	"strings"
	"time"

	"weir/internal/project"
	"weir/internal/saql"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// scenario is one test as data: a job, events, and what must come out.
type scenario struct {
	job   *jobInfo
	day   vec.Time // of times that are written without one
	place project.Place
	// sample: no policy applies, and rows come in the order of their own time (saql.md 4.10).
	sample     bool
	policies   policies
	dropErrors bool
	inputs     []input
	// advance lets the clock run on to a time, and the inputs do not end; nil ends them.
	advance *vec.Time
	mocks   []mock
	expect  []expectation
	emits   []emission
	// fails, if set, is a word that the message of the failing run must contain.
	fails   string
	failsAt project.Place
	shuffle *shuffle
}

// policies are the time policies of a test, each with the place where it is set.
type policies struct {
	late, outOfOrder      time.Duration // negative: no limit
	drop                  bool
	lateAt, outAt, dropAt project.Place // zero: a default that stands nowhere
}

// input is an input and what is given for it. Of reference data there may be versions.
type input struct {
	name      string
	reference bool
	csv       bool // values are text of a CSV file
	effective vec.Time
	events    []event
}

// event is an event or a row of reference data.
type event struct {
	text    string // JSON, or what is none
	arrives bool
	arrival vec.Time
	place   project.Place
}

// mock is a function in place of one of the job.
type mock struct {
	name      string // without UDF. or UDA.
	aggregate bool
	script    string
	place     project.Place
}

// The kinds of streams that can be expected.
type stream uint8

const (
	outputStream stream = iota
	stepStream
	systemStream
)

// expectation is what a stream must give.
type expectation struct {
	name  string // as the test writes it
	kind  stream
	place project.Place
	// rows must be all rows, if checkRows is set; count is how many there must be, -1: not said.
	rows      []row
	checkRows bool
	count     int
	// columns, if set, are the only ones that are compared; ignore are those that are not.
	columns []string
	ignore  []string
	exact   bool // in this order
	// optional: a difference is told and does not fail the test (Required: false).
	optional bool
	// file is the file of expected rows of an Azure test.
	file string
	// list is the node of the rows, for updates; nil if they stand elsewhere.
	list      *node
	countNode *node
}

// row is an expected row.
type row struct {
	testkit.Value
	place project.Place
	node  *node
}

// emission is when rows of a stream must come out.
type emission struct {
	name  string
	kind  stream
	times []vec.Time
	place project.Place
	node  *node
}

// shuffle asks for runs in which the order of arrival is changed.
type shuffle struct {
	within time.Duration
	runs   int
	seed   uint64
	place  project.Place
	// fixed: events that say when they arrive change places only with those of the same moment.
	fixed bool
}

// jobInfo is a job and what its query names.
type jobInfo struct {
	*project.Job
	script  *saql.Script
	outputs []string
	steps   []string
	inputs  []string // streams and reference data
	broken  bool     // the query does not parse
}

// systemStreams are the streams that every job has.
var systemStreams = []string{"$late", "$early", "$outoforder", "$deadletter"}

// inspect reads the names out of the query of a job. A query that does not parse has few;
// compiling it tells why.
func inspect(j *project.Job) *jobInfo {
	info := &jobInfo{Job: j}
	for _, in := range j.Inputs {
		info.inputs = append(info.inputs, in.Name)
	}
	script, found := saql.Parse(j.Query)
	info.script, info.broken = script, found.HasErrors()
	for _, st := range script.Stmts {
		q, ok := st.(*saql.Query)
		if !ok {
			continue
		}
		for _, s := range q.With {
			info.steps = append(info.steps, s.Name.Text)
		}
	}
	for _, st := range script.Stmts {
		if q, ok := st.(*saql.Query); ok {
			for _, s := range q.With {
				info.sources(s.Body)
			}
			info.sources(q.Body)
			if into := intoOf(q.Body); into != nil {
				info.outputs = add(info.outputs, into.Text)
			} else {
				info.outputs = add(info.outputs, "output")
			}
		}
	}
	return info
}

// add adds a name unless it is there, without case.
func add(names []string, name string) []string {
	if _, ok := find(names, name); ok {
		return names
	}
	return append(names, name)
}

// find finds a name without case.
func find(names []string, name string) (string, bool) {
	i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
	if i < 0 {
		return "", false
	}
	return names[i], true
}

func intoOf(q saql.QueryExpr) *saql.Name {
	switch q := q.(type) {
	case *saql.Select:
		return q.Into
	case *saql.Union:
		for _, b := range q.Branches {
			if n := intoOf(b); n != nil {
				return n
			}
		}
	}
	return nil
}

// sources adds the inputs that a query reads.
func (j *jobInfo) sources(q saql.QueryExpr) {
	switch q := q.(type) {
	case *saql.Select:
		j.tables(q.From)
	case *saql.Union:
		for _, b := range q.Branches {
			j.sources(b)
		}
	}
}

func (j *jobInfo) tables(t saql.TableExpr) {
	switch t := t.(type) {
	case *saql.Source:
		if _, step := find(j.steps, t.Name.Text); !step {
			j.inputs = add(j.inputs, t.Name.Text)
		}
	case *saql.Derived:
		j.sources(t.Body)
	case *saql.ParenTable:
		j.tables(t.Table)
	case *saql.Join:
		j.tables(t.Left)
		j.tables(t.Right)
	case *saql.Apply:
		j.tables(t.Left)
	}
}

// isReference tells whether an input holds reference data.
func (j *jobInfo) isReference(name string) bool {
	i := slices.IndexFunc(j.Job.Inputs, func(in project.Input) bool { return strings.EqualFold(in.Name, name) })
	return i >= 0 && j.Job.Inputs[i].Reference
}
