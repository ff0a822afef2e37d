package twin

import (
	"errors"
	"fmt"
	"strings"

	"weir/internal/saql"
)

// Job is a query text with its events.
type Job struct {
	Query     string
	Inputs    []Input
	Reference []Input
	// Sample takes the rows in the order of their own time and applies no policy
	// (saql.md 4.10). Start is T of rows without TIMESTAMP BY.
	Sample bool
	Start  int64
	// The policies of 4.3, in ticks.
	Late, OutOfOrder int64
	Drop             bool
}

// Input is an input and its events, as JSON texts. Arrival has the arrival times.
type Input struct {
	Name    string
	Events  []string
	Arrival []int64
}

// Output is the rows of an output in their order. Loose rows come from blocks and unions
// that need not wait for order under the policies (saql.md 4.3, step 4): only their set is
// promised.
type Output struct {
	Rows  []Row
	Loose bool
}

// Row is a row of an output.
type Row struct {
	T      int64
	Fields []Field
}

// QueryError is the error of a row that cannot be evaluated: the run fails.
type QueryError struct{ Text string }

func (e *QueryError) Error() string { return e.Text }

// Unknown says that the twin does not know a part of the language.
type Unknown struct{ Text string }

func (e *Unknown) Error() string { return "the twin does not know " + e.Text }

// fail stops the run with a query error. Run recovers it: passing errors up through every
// expression would hide the rules, and this package is for their sake.
func fail(format string, args ...any) { panic(&QueryError{fmt.Sprintf(format, args...)}) }

// tooLarge is the number of rows of a FROM at which the twin gives up.
const tooLarge = 5000

// ErrTooLarge is what Run says of a job with so many rows.
var ErrTooLarge = errors.New("too many rows for the slow twin")

func unknownPart(format string, args ...any) { panic(&Unknown{fmt.Sprintf(format, args...)}) }

// Run evaluates a job and gives the rows of each output. The error is a *QueryError or an
// *Unknown, or says that the text does not parse.
func Run(job Job) (outputs map[string]Output, err error) {
	script, list := saql.Parse(job.Query)
	if list.HasErrors() {
		return nil, fmt.Errorf("the query does not parse: %v", list)
	}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *QueryError:
			err = e
		case *Unknown:
			err = e
		case error:
			if e != ErrTooLarge {
				panic(e)
			}
			err = e
		default:
			panic(e)
		}
	}()
	r := &run{job: job, bodies: map[string]saql.QueryExpr{}, steps: map[string]*relation{}, tables: map[string][]column{}}
	outputs = map[string]Output{}
	for _, s := range script.Stmts {
		if t, ok := s.(*saql.CreateTable); ok {
			r.declare(t)
			continue
		}
		q, ok := s.(*saql.Query)
		if !ok {
			unknownPart("CREATE FUNCTION")
		}
		for _, step := range q.With {
			r.bodies[strings.ToLower(step.Name.Text)] = step.Body
		}
		outputs[target(q.Body)] = rowsOf(r.query(q.Body))
	}
	return outputs, nil
}

// target is the output that a statement writes to: the INTO of its first select.
func target(q saql.QueryExpr) string {
	switch q := q.(type) {
	case *saql.Select:
		if q.Into != nil {
			return q.Into.Text
		}
	case *saql.Union:
		return target(q.Branches[0])
	}
	return "output"
}

func rowsOf(r *relation) Output {
	o := Output{Loose: r.loose}
	for _, x := range r.rows {
		o.Rows = append(o.Rows, Row{x.t, x.fields})
	}
	return o
}

// run has the steps by their names in lower case. A step is evaluated when it is read
// first: what nobody reads cannot fail.
type run struct {
	job    Job
	bodies map[string]saql.QueryExpr
	steps  map[string]*relation
	tables map[string][]column // of CREATE TABLE, by the input
}

// relation is a source: its rows in order of T, then arrival. columns are known unless
// open says that rows bring their own.
type relation struct {
	columns   []column
	open      bool
	reference bool
	loose     bool // see Output
	rows      []*row
}

// column is a known column. fixed is its static type; anyKind if it differs by row.
type column struct {
	name  string
	fixed Kind
}

// row is a row of a relation.
type row struct {
	t       int64
	fields  []Field
	missing bool // stands for no element of an APPLY
}

func (r *relation) has(name string) bool {
	for _, c := range r.columns {
		if strings.EqualFold(c.name, name) {
			return true
		}
	}
	return false
}

func (r *run) query(q saql.QueryExpr) *relation {
	switch q := q.(type) {
	case *saql.Select:
		return r.selectBlock(q)
	case *saql.Union:
		return r.union(q)
	}
	panic(fmt.Sprintf("twin: query %T", q))
}

// union takes the rows of all branches by T; at equal T the first branch comes first
// (saql.md 6.8). The casing of the first branch is used.
func (r *run) union(u *saql.Union) *relation {
	out := r.query(u.Branches[0])
	out = &relation{columns: append([]column(nil), out.columns...), open: out.open, reference: out.reference, rows: out.rows}
	for _, b := range u.Branches[1:] {
		next := r.query(b)
		out.open = out.open || next.open
		out.rows = mergeByTime(out.rows, next.rows)
		if out.open {
			out.columns = nil
			continue
		}
		for i := range out.columns {
			if out.columns[i].fixed != next.columns[i].fixed {
				out.columns[i].fixed = anyKind
			}
		}
	}
	out.loose = !r.job.Sample
	if !out.open {
		out.rows = recase(out.columns, out.rows)
	}
	return out
}

func mergeByTime(a, b []*row) []*row {
	var out []*row
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0].t <= b[0].t {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return out
}

// recase gives rows the names of columns, position by position.
func recase(columns []column, rows []*row) []*row {
	var out []*row
	for _, x := range rows {
		c := &row{t: x.t}
		for i, f := range x.fields {
			c.fields = append(c.fields, Field{columns[i].name, f.Value})
		}
		out = append(out, c)
	}
	return out
}
