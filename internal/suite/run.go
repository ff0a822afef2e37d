package suite

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"weir/internal/codec"
	"weir/internal/diag"
	"weir/internal/exec"
	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// maxRows bounds the rows that a test may give, over all its streams.
const maxRows = 1_000_000

// outcome is what a run of a scenario gave.
type outcome struct {
	rows    map[streamName][]testkit.Row
	times   map[streamName][]vec.Time // T of each row
	emitted map[streamName][]vec.Time // when each came out, by the virtual clock
	drops   []drop
	failed  []failedRow
	err     error // why the run stopped
}

// drop is an event that did not count as it came.
type drop struct {
	input string
	event int
	job.EventDrop
}

// failedRow is a row that a query error dropped.
type failedRow struct {
	reason string
	line   int
	row    string
}

// run runs a scenario once. clock, if set, tells when rows come out.
func (e *engine) run(s *scenario, w testkit.Way, clock *job.EventClock) *outcome {
	c := &collector{engine: e, seen: map[string]bool{}, o: &outcome{rows: map[streamName][]testkit.Row{}, times: map[streamName][]vec.Time{}, emitted: map[streamName][]vec.Time{}}, clock: clock}
	for i, out := range e.plan.Outputs {
		c.o.rows[e.streams[i]] = nil
		var names []string
		for _, col := range out.Node.Cols {
			names = append(names, col.Name)
		}
		c.encoders = append(c.encoders, codec.NewEncoder(codec.JSONLines, names, out.Node.Op.(*plan.Write).Row))
	}
	o := job.EventOptions{Snapshot: w.Snapshot, Crash: w.Crashes(), Clock: clock, OnEvent: c.dropped}
	o.Options = exec.Options{Late: ticks(s.policies.late), OutOfOrder: ticks(s.policies.outOfOrder), Drop: s.policies.drop,
		Sample: s.sample, Start: s.day, DropErrors: s.dropErrors, Shards: w.Shards, Text: s.csvInputs(e.plan)}
	o.OnRows = c.take
	o.OnQueryError = c.failed
	if w.Batch > 0 || w.Seed != 0 {
		o.Cuts = w.Cuts
	}
	_, err := job.RunEvents(e.plan, s.events(), o)
	if err != nil {
		c.o.err = e.located(err)
	}
	return c.o
}

// csvInputs tells of each input whether its values are text of a CSV file.
func (s *scenario) csvInputs(p *plan.Plan) []bool {
	csv := make([]bool, len(p.Inputs))
	for i, in := range p.Inputs {
		csv[i] = slices.ContainsFunc(s.inputs, func(given input) bool { return given.csv && strings.EqualFold(given.name, in.Name) })
	}
	return csv
}

// events are the inputs as the runner takes them.
func (s *scenario) events() []job.Events {
	var list []job.Events
	for i := range s.inputs {
		list = append(list, s.inputs[i].asEvents())
	}
	return list
}

func (in *input) asEvents() job.Events {
	e := job.Events{Name: in.name, Effective: in.effective, Text: make([]string, len(in.events))}
	arrives := false
	for i := range in.events {
		e.Text[i] = in.events[i].text
		arrives = arrives || in.events[i].arrives
	}
	if !arrives || in.reference {
		return e
	}
	// An event that does not say when it arrives comes with the one before it.
	last := vec.MinTime
	for i := range in.events {
		if in.events[i].arrives {
			last = in.events[i].arrival
		}
		e.Arrival = append(e.Arrival, last)
	}
	return e
}

// given are the events of an input of the plan, in the order of job.Events.
func (s *scenario) given(name string) []event {
	for i := range s.inputs {
		if strings.EqualFold(s.inputs[i].name, name) {
			return s.inputs[i].events
		}
	}
	return nil
}

// collector turns what the engine gives into rows, through the encoder that files use.
type collector struct {
	engine   *engine
	encoders []*codec.Encoder
	clock    *job.EventClock
	o        *outcome
	seen     map[string]bool // events that have been told of
	n        int
	buf      []byte
}

func (c *collector) take(output int, b *vec.Batch) error {
	if err := b.Check(); err != nil {
		return fmt.Errorf("exec: %w", err)
	}
	if c.n += b.N; c.n > maxRows {
		return fmt.Errorf("the test gives more than %d rows", maxRows)
	}
	name := c.engine.streams[output]
	c.buf = c.encoders[output].Encode(c.buf[:0], b)
	i := 0
	for line := range strings.Lines(string(c.buf)) {
		v, err := testkit.ParseValue([]byte(line))
		if err != nil {
			return fmt.Errorf("%q: %w", name.name, err)
		}
		c.o.rows[name] = append(c.o.rows[name], v)
		if i < len(b.Time) {
			c.o.times[name] = append(c.o.times[name], b.Time[i])
		}
		if c.clock != nil {
			c.o.emitted[name] = append(c.o.emitted[name], c.clock.Now)
		}
		i++
	}
	return nil
}

func (c *collector) dropped(d job.EventDrop) {
	x := drop{input: c.engine.plan.Inputs[d.Input].Name, event: d.Event, EventDrop: d}
	// Where several timelines read an input, each drops and moves its events.
	id := fmt.Sprint(d.Input, d.Event, d.Name)
	if !c.seen[id] {
		c.seen[id] = true
		c.o.drops = append(c.o.drops, x)
	}
}

func (c *collector) failed(e *exec.QueryError, row []byte) {
	line, _ := diag.Position(c.engine.text, e.Span.Start)
	c.o.failed = append(c.o.failed, failedRow{e.In(c.engine.text), line, string(row)})
}

// stream gives the rows of an expectation's stream.
func (o *outcome) stream(e *expectation, s *scenario) []testkit.Row {
	if e.kind == systemStream {
		return o.system(strings.ToLower(e.name), s)
	}
	return o.rows[o.find(e.name, e.kind)]
}

// find is a stream by its name without case.
func (o *outcome) find(name string, kind stream) streamName {
	for n := range o.rows {
		if n.kind == kind && strings.EqualFold(n.name, name) {
			return n
		}
	}
	return streamName{name, kind}
}

// names are all outputs and steps that a run gave, in order.
func (o *outcome) names() []streamName {
	return slices.SortedFunc(maps.Keys(o.rows), func(a, b streamName) int {
		return strings.Compare(string(rune(a.kind))+a.name, string(rune(b.kind))+b.name)
	})
}

// system gives a stream of events that did not count as they came. A row is the event, with
// what happened to it: $input, $reason (a name of saql.md 13.4), $action, and for policies
// $by, how far beyond what is allowed.
func (o *outcome) system(name string, s *scenario) []testkit.Row {
	var rows []testkit.Row
	for _, d := range o.drops {
		switch name {
		case "$late", "$early", "$outoforder":
			if d.Moved == nil || d.Moved.Reason != reasonOf[name] {
				continue
			}
		default:
			if d.Moved != nil && !d.Moved.Dropped {
				continue // it was moved and counts
			}
		}
		rows = append(rows, d.row(s))
	}
	if name == "$deadletter" {
		for _, f := range o.failed {
			v, err := testkit.ParseValue([]byte(f.row))
			if err != nil || v.Kind != testkit.Object {
				v = testkit.Value{Kind: testkit.Object}
			}
			rows = append(rows, with(with(v, "$reason", textValue(exec.QueryFailed.String())), "$action", textValue("dropped")))
		}
	}
	return rows
}

var reasonOf = map[string]exec.Reason{"$late": exec.Late, "$early": exec.Early, "$outoforder": exec.OutOfOrder}

// row is a dropped or moved event as a row of a system stream.
func (d *drop) row(s *scenario) testkit.Row {
	text := ""
	if events := s.given(d.input); d.event < len(events) {
		text = events[d.event].text
	}
	v, err := testkit.ParseValue([]byte(text))
	if err != nil || v.Kind != testkit.Object {
		v = testkit.Value{Kind: testkit.Object, Names: []string{"$event"}, Items: []testkit.Value{textValue(text)}}
	}
	v = with(v, "$input", textValue(d.input))
	v = with(v, "$reason", textValue(d.Name))
	action := "dropped"
	if d.Moved != nil && !d.Moved.Dropped {
		action = "adjusted"
	}
	v = with(v, "$action", textValue(action))
	if d.Moved != nil {
		v = with(v, "$by", textValue(shortSpan(d.by())))
	}
	return v
}

// by is how far an event was late, early or out of order.
func (d *drop) by() vec.Time {
	m := d.Moved
	switch m.Reason {
	case exec.Late:
		return m.Arrival - m.Time
	case exec.Early:
		return m.Time - m.Arrival
	}
	return m.Mark - m.Time
}
