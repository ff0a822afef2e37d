package exec_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// play is a run of a query over events that a test writes down.
type play struct {
	query string
	opts  exec.Options
	way   twinWay
	// events per input, as JSON; inputs in the order of their names. An event may begin with
	// its arrival time: "12:00:05 {..}".
	events map[string][]string

	rows   []string
	drops  []string
	counts exec.Counts
	err    error
}

// run runs the query and keeps what can be seen of it.
func (p *play) run(t testing.TB) *play {
	t.Helper()
	compiled := compile(t, p.query)
	var names []string
	var events [][]twinEvent
	arrives := false
	for name := range p.events {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var list []twinEvent
		for _, text := range p.events[name] {
			e, arrived := parseEvent(t, text)
			list, arrives = append(list, e), arrives || arrived
		}
		events = append(events, list)
	}
	p.rows, p.drops = nil, nil
	f := newFeeder(compiled, names, events, arrives, p.way)
	o := p.opts
	o.OnRows = func(_ int, b *vec.Batch) error {
		if err := b.Check(); err != nil {
			return err
		}
		p.rows = append(p.rows, batchTexts(b)...)
		return nil
	}
	o.OnDrop = func(input, row int, reason exec.Reason) {
		p.drops = append(p.drops, fmt.Sprintf("%s %d: %v", f.name(input), f.at[input]+row, reason))
	}
	build := func() (*exec.Graph, error) { return exec.Build(compiled, o) }
	again := func() (*exec.Graph, error) {
		o := o
		o.Shards = f.r.IntN(5)
		return exec.Build(compiled, o)
	}
	g, err := build()
	if err != nil {
		t.Fatal(err)
	}
	p.err = f.run(g, again)
	p.counts = f.graph.Counts
	return p
}

// batchTexts shows rows without the date: "12:00:05 1 'x' null".
func batchTexts(b *vec.Batch) []string {
	var out []string
	for i := range b.N {
		row := []string{clockText(b.Time[i])}
		for c := range b.Cols {
			switch v := b.Cols[c].At(i); v.Kind {
			case vec.String:
				row = append(row, "'"+v.Str+"'")
			case vec.Datetime:
				row = append(row, clockText(vec.Time(v.Int)))
			default:
				row = append(row, v.String())
			}
		}
		out = append(out, strings.Join(row, " "))
	}
	return out
}

func clockText(t vec.Time) string {
	if t < base || t >= base+vec.Day {
		return t.String()
	}
	s := strings.TrimRight(strings.TrimSuffix(t.String()[11:], "Z"), "0")
	if s = strings.TrimSuffix(s, "."); len(s) < 8 {
		s += "00000"[:8-len(s)]
	}
	return s
}

// clock reads "12:00:05" of the day of base.
func clock(t testing.TB, s string) vec.Time {
	x, ok := vec.ParseTime("2021-03-04T" + s)
	if !ok {
		t.Fatalf("%q is no time of day", s)
	}
	return x
}

// parseEvent reads an event. "at" may be a time of day.
func parseEvent(t testing.TB, text string) (e twinEvent, arrived bool) {
	t.Helper()
	if text[0] != '{' {
		e.arrival, text = clock(t, text[:8]), text[9:]
		arrived = true
	}
	v, err := vec.ParseJSON([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	e.cols, e.names = map[string]vec.Value{}, v.Rec.Names
	for i, name := range v.Rec.Names {
		x := v.Rec.Vals[i]
		if name == "at" && len(x.Str) >= 8 && x.Str[2] == ':' {
			x = vec.StringValue("2021-03-04T" + x.Str)
		}
		e.cols[name] = x
	}
	return e, arrived
}

// gives checks the rows of the run.
func (p *play) gives(t testing.TB, want ...string) {
	t.Helper()
	if p.run(t); p.err != nil {
		t.Errorf("%s: %v", p.query, p.err)
		return
	}
	if !slices.Equal(p.rows, want) {
		t.Errorf("%s\n%v\ngives\n  %s\nwant\n  %s", p.query, p.way, strings.Join(p.rows, "\n  "), strings.Join(want, "\n  "))
	}
}

// fails checks that the run ends with a query error.
func (p *play) fails(t testing.TB, message string) {
	t.Helper()
	p.run(t)
	var q *exec.QueryError
	if !errors.As(p.err, &q) || q.Message != message {
		t.Errorf("%s\nends with %v, want %q; rows %v", p.query, p.err, message, p.rows)
	}
}

// ways are some ways to run a play; all must give the same.
var ways = []twinWay{
	{}, {cut: 1}, {cut: 1, snapshot: 1}, {cut: 2, shards: 2}, {cut: -1, snapshot: 2, shards: 7, seed: 1},
	{cut: 2, snapshot: 1, small: true, seed: 2},
}

// everyWay checks the rows in all ways.
func (p *play) everyWay(t testing.TB, want ...string) {
	t.Helper()
	for _, w := range ways {
		p.way = w
		p.opts.Shards = w.shards
		func() {
			if w.small {
				defer exec.SetLimits(3, 8, 64, 5)()
			}
			p.gives(t, want...)
		}()
	}
}

// onTexts collects rows as texts.
func onTexts(to *[]string) func(int, *vec.Batch) error {
	return func(_ int, b *vec.Batch) error {
		*to = append(*to, batchTexts(b)...)
		return nil
	}
}

// textBatch is a batch with one column of texts.
func textBatch(s ...string) *vec.Batch {
	return &vec.Batch{N: len(s), Cols: []vec.Vec{vec.Strings(s...)}}
}

// wholeEvent is an event as a record: the fields in the order of the event, if it is known,
// else of their names.
func wholeEvent(e twinEvent) vec.Value {
	if e.names == nil {
		for name := range e.cols {
			e.names = append(e.names, name)
		}
		slices.Sort(e.names)
	}
	r := &vec.Rec{Names: e.names}
	for _, name := range e.names {
		r.Vals = append(r.Vals, e.cols[name])
	}
	return vec.RecordValue(r)
}
