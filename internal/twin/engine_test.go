package twin

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"weir/internal/caserun"
	"weir/internal/testkit"
)

// runStart is T of rows without TIMESTAMP BY in a case.
var runStart = ticks(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))

// verdict is how a round ended.
type verdict int

const (
	agree    verdict = iota
	bothFail         // both report a query error
	rejected         // the compiler does not take the query
	oneFails         // an expression failed that only one of the two had to evaluate
	large            // too large for the twin
	differ
)

var verdictNames = [...]string{"agree", "both fail", "rejected", "one fails", "too large", "differ"}

// caseOf is a job as a conformance case.
func caseOf(j Job) *testkit.Case {
	c := &testkit.Case{Name: "twin", Query: j.Query}
	c.Policies = testkit.Policies{Late: time.Duration(j.Late * 100), OutOfOrder: time.Duration(j.OutOfOrder * 100), Drop: j.Drop}
	for _, in := range j.Inputs {
		x := testkit.Input{Name: in.Name, Events: in.Events}
		for _, a := range in.Arrival {
			x.Arrival = append(x.Arrival, civil(a))
		}
		c.Inputs = append(c.Inputs, x)
	}
	for _, in := range j.Reference {
		c.Reference = append(c.Reference, testkit.Input{Name: in.Name, Events: in.Events})
	}
	return c
}

// check runs a job through the twin and the engine, and tells how they differ.
func check(j Job, w testkit.Way) (v verdict, text string) {
	if _, err := caserun.Compile(caseOf(j)); err != nil {
		return rejected, err.Error()
	}
	want, slowErr := slow(j)
	if errors.Is(slowErr, ErrTooLarge) {
		return large, ""
	}
	got, err := engine(j, w)
	var failed *QueryError
	slowFails := errors.As(slowErr, &failed)
	fails := err != nil && strings.HasPrefix(err.Error(), "query:") // a query error, with its place
	switch {
	case slowErr != nil && !slowFails:
		return differ, slowErr.Error()
	case err != nil && !fails:
		return differ, "the engine breaks: " + err.Error()
	case fails && slowFails:
		return bothFail, ""
	case (fails || slowFails) && mayDifferInFailure(j.Query):
		return oneFails, ""
	case fails:
		return differ, "the engine fails, the twin does not: " + err.Error()
	case slowFails:
		return differ, "the twin fails, the engine does not: " + slowErr.Error()
	}
	return compareOutputs(want, got)
}

// mayDifferInFailure tells if the query has columns that nobody reads, windows with gaps, or
// joins, whose pairs out of time need not be looked at: whether an expression is evaluated
// there is left open.
func mayDifferInFailure(query string) bool {
	return strings.Contains(query, "WITH") || strings.Contains(query, "FROM (") || strings.Contains(query, "Hop") ||
		strings.Contains(query, "JOIN")
}

// slow runs the twin; a panic, which is a bug of the twin, is an error like others.
func slow(j Job) (outputs map[string]Output, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return Run(j)
}

// engine runs the case; a panic is an error like others.
func engine(j Job, w testkit.Way) (rows map[string][]testkit.Row, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return caserun.Engine(caseOf(j), w)
}

func compareOutputs(want map[string]Output, got map[string][]testkit.Row) (verdict, string) {
	var names []string
	for name := range want {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if text := compareRows(want[name], got[name]); text != "" {
			return differ, "output " + name + ":\n" + text
		}
	}
	return agree, ""
}

// compareRows asks for the same rows in the same order, with the same columns in the same
// order, of the same types.
func compareRows(o Output, got []testkit.Row) string {
	want := o.Rows
	var list []Value
	for _, g := range got {
		v, err := ParseJSON(g.Raw)
		if err != nil {
			return err.Error()
		}
		list = append(list, v)
	}
	var rows []Value
	for _, r := range want {
		rows = append(rows, shown(r))
	}
	if o.Loose {
		byKey := func(a, b Value) int { return strings.Compare(a.key()+a.JSON(), b.key()+b.JSON()) }
		slices.SortStableFunc(rows, byKey)
		slices.SortStableFunc(list, byKey)
	}
	if slices.EqualFunc(rows, list, equalValues) {
		return ""
	}
	var b strings.Builder
	b.WriteString("the twin:\n")
	for _, r := range want {
		fmt.Fprintf(&b, "  T %s %s\n", strings.TrimSuffix(timeText(r.T), "0000000Z"), recordValue(r.Fields).JSON())
	}
	b.WriteString("the engine:\n")
	for _, g := range got {
		fmt.Fprintf(&b, "  %s\n", g.Raw)
	}
	return b.String()
}

// shown is a row as the output shows it, where a time is a text.
func shown(r Row) Value {
	v, err := ParseJSON(recordValue(r.Fields).JSON())
	if err != nil {
		panic(err)
	}
	return v
}

// equalValues compares what outputs show; floats may differ by 1e-9, and near zero by what
// taking apart leaves.
func equalValues(a, b Value) bool {
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case Float:
		return math.Abs(a.Float-b.Float) <= 1e-9*max(math.Abs(a.Float), math.Abs(b.Float), 1e-4)
	case Array:
		return slices.EqualFunc(a.Items, b.Items, equalValues)
	case Record:
		return slices.EqualFunc(a.Fields, b.Fields, func(x, y Field) bool {
			return x.Name == y.Name && equalValues(x.Value, y.Value)
		})
	}
	return a.Int == b.Int && a.Text == b.Text
}

// caseText is a job as the text of a conformance case, with what the twin expects.
func caseText(j Job) string {
	list := func(inputs []Input, of func(Input) Value) Value {
		var fields []Field
		for _, in := range inputs {
			fields = append(fields, Field{in.Name, of(in)})
		}
		return recordValue(fields)
	}
	events := func(in Input) Value {
		var items []Value
		for _, e := range in.Events {
			items = append(items, recordValue(fieldsOf(e)))
		}
		return arrayValue(items)
	}
	c := []Field{{"name", textValue("")}, {"source", textValue("found by the slow twin")}, {"note", textValue("")},
		{"query", textValue(j.Query)}, {"inputs", list(j.Inputs, events)}}
	if j.Reference != nil {
		c = append(c, Field{"reference", list(j.Reference, events)})
	}
	if !j.Sample {
		c = append(c, Field{"arrival", list(j.Inputs, func(in Input) Value {
			var items []Value
			for _, a := range in.Arrival {
				items = append(items, timeValue(a))
			}
			return arrayValue(items)
		})})
		action := "adjust"
		if j.Drop {
			action = "drop"
		}
		c = append(c, Field{"policies", recordValue([]Field{
			{"lateArrival", textValue(time.Duration(j.Late * 100).String())},
			{"outOfOrder", textValue(time.Duration(j.OutOfOrder * 100).String())}, {"action", textValue(action)}})})
	}
	want, err := slow(j)
	if err != nil {
		c = append(c, Field{"error", textValue(err.Error())})
	} else {
		var outs []Field
		ordered := true
		for name, o := range want {
			ordered = ordered && !o.Loose
			var items []Value
			for _, r := range o.Rows {
				items = append(items, recordValue(r.Fields))
			}
			outs = append(outs, Field{name, arrayValue(items)})
		}
		slices.SortFunc(outs, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
		c = append(c, Field{"expected", recordValue(outs)}, Field{"ordered", bitValue(ordered)})
	}
	return recordValue(c).JSON()
}
