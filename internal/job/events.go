package job

import (
	"strings"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// Events is an input that lies in memory: an event per element, as JSON text, in arrival
// order. Arrival, if set, has as many elements. Of reference data there may be several
// versions, each in force from Effective on.
type Events struct {
	Name      string
	Text      []string
	Arrival   []vec.Time
	Effective vec.Time
}

// EventOptions say how RunEvents runs. Cuts gives the sizes of the batches of n events;
// nil takes all at once. Snapshot saves and restores all state after every batch, or after
// those that Crash picks, if it is set.
type EventOptions struct {
	exec.Options
	Cuts     func(n int) []int
	Snapshot bool
	Crash    func() bool
	// Clock, if set, runs the inputs by one clock of arrival times.
	Clock *EventClock
	// OnEvent, if set, is told of every event that did not become rows as it came.
	OnEvent func(EventDrop)
}

// EventDrop is an event that was dropped, or whose time was moved.
type EventDrop struct {
	Input, Event int
	Name         string // of saql.md 13.4: InputDeserializerError.InvalidData, LateInputEvent ...
	// Detail is what is wrong with bad data, "" for others.
	Detail string
	Moved  *exec.Move // what a policy did; nil for others
}

// RunEvents runs a plan over events in memory, on the calling goroutine. It is the test
// runner: the same operators, policies and order of reading as Run, cut and interrupted
// at will. Rows go to o.OnRows.
func RunEvents(p *plan.Plan, inputs []Events, o EventOptions) (exec.Counts, error) {
	r := &eventRun{plan: p, o: o, feeds: make([]*feed, len(p.Inputs))}
	if o.OnEvent != nil {
		r.o.OnDrop, r.o.OnMove = r.dropped, r.moved
	}
	for i, in := range p.Inputs {
		f := &feed{decoder: codec.NewJSON(in.Fields, codec.JSONOptions{Lines: true, Rules: rulesOf(p.Level)})}
		r.feeds[i] = f
		if in.Reference {
			f.done = true
			if err := r.reference(i, inputs); err != nil {
				return exec.Counts{}, err
			}
			continue
		}
		for _, e := range inputs {
			if strings.EqualFold(e.Name, in.Name) {
				f.events = e
			}
		}
		f.left = []int{len(f.events.Text)}
		if o.Cuts != nil {
			f.left = o.Cuts(len(f.events.Text))
		}
	}
	if o.Sample {
		if err := r.measure(); err != nil {
			return exec.Counts{}, err
		}
	}
	return r.run()
}

// feed is an input and how far it has been read.
type feed struct {
	events  Events
	decoder codec.Decoder
	left    []int // sizes of the batches to come
	at      int
	done    bool
}

type eventRun struct {
	plan  *plan.Plan
	o     EventOptions
	feeds []*feed
	refs  []table
	graph *exec.Graph
	bad   int64
	cur   []int // the events of the batch at hand, row by row
}

// table is a version of an input of reference data.
type table struct {
	input     int
	effective vec.Time
	rows      *vec.Batch
}

// reference decodes the versions of an input of reference data.
func (r *eventRun) reference(input int, inputs []Events) error {
	f := r.feeds[input]
	for _, e := range inputs {
		if !strings.EqualFold(e.Name, r.plan.Inputs[input].Name) {
			continue
		}
		f.events = Events{Text: e.Text}
		rows := exec.NewReferenceRows(r.plan, input, input < len(r.o.Text) && r.o.Text[input], nil)
		err := r.decode(input, 0, len(e.Text), nil, func(b *vec.Batch) error {
			rows.Add(b)
			return nil
		})
		if err != nil {
			return err
		}
		r.refs = append(r.refs, table{input, e.Effective, rows.Table()})
	}
	return nil
}

// build makes a graph that has the reference data.
func (r *eventRun) build() (*exec.Graph, error) {
	g, err := exec.Build(r.plan, r.o.Options)
	if err != nil {
		return nil, err
	}
	for _, t := range r.refs {
		g.SetReference(t.input, t.effective, t.rows)
	}
	return g, nil
}

// measure finds how far out of order the events are, so that the run needs to hold no
// more than that (exec.Options.Disorder).
func (r *eventRun) measure() error {
	o := r.o.Options
	o.Measure, o.OnRows, o.OnDrop, o.OnMove, o.OnQueryError = true, nil, nil, nil, nil
	g, err := exec.Build(r.plan, o)
	if err != nil {
		return err
	}
	for i, f := range r.feeds {
		if len(f.events.Text) == 0 {
			continue
		}
		if err := r.push(g, i, 0, len(f.events.Text), func(codec.Bad) {}); err != nil {
			return err
		}
	}
	r.o.Disorder = g.Disorder()
	return nil
}

func (r *eventRun) run() (exec.Counts, error) {
	g, err := r.build()
	if err != nil {
		return exec.Counts{}, err
	}
	r.graph = g
	if r.o.Clock != nil {
		err := r.byClock(r.o.Clock)
		return r.graph.Counts, err
	}
	for {
		i := furthestBehind(r.graph, func(i int) bool { return r.feeds[i].done }, len(r.feeds))
		if i < 0 {
			return r.graph.Counts, nil
		}
		if err := r.step(i); err != nil {
			return r.graph.Counts, err
		}
	}
}

// furthestBehind is the input that is not done and has the smallest watermark, or -1.
func furthestBehind(g *exec.Graph, done func(i int) bool, n int) int {
	best := -1
	for i := range n {
		if !done(i) && (best < 0 || g.Watermark(i) < g.Watermark(best)) {
			best = i
		}
	}
	return best
}

// step reads the next batch of an input, or ends it.
func (r *eventRun) step(i int) error {
	f := r.feeds[i]
	if len(f.left) == 0 || f.at == len(f.events.Text) {
		f.done = true
		return r.graph.Close(i)
	}
	n := f.left[0]
	f.left = f.left[1:]
	err := r.push(r.graph, i, f.at, f.at+n, nil)
	f.at += n
	if err != nil || !r.o.Snapshot || r.o.Crash != nil && !r.o.Crash() {
		return err
	}
	return r.reload()
}

// reload goes on in a new graph that has read the state of the old one: with one shard, then
// two, then three, for any number of them must read what any other has written.
func (r *eventRun) reload() error {
	snap := r.graph.Snapshot()
	r.o.Shards = r.o.Shards%3 + 1
	g, err := r.build()
	if err != nil {
		return err
	}
	if err := g.Restore(snap); err != nil {
		return err
	}
	g.Counts = r.graph.Counts
	r.graph = g
	return nil
}

// push decodes the events from..to of an input and gives them to g.
func (r *eventRun) push(g *exec.Graph, i, from, to int, onBad func(codec.Bad)) error {
	return r.decode(i, from, to, onBad, func(b *vec.Batch) error { return g.Push(i, b) })
}

// decode decodes the events from..to of an input.
func (r *eventRun) decode(i, from, to int, onBad func(codec.Bad), take func(b *vec.Batch) error) error {
	f := r.feeds[i]
	read := 0 // events that have become rows, or failed to
	failed := map[int]bool{}
	if onBad == nil {
		onBad = func(b codec.Bad) {
			r.bad++
			if r.o.OnEvent != nil {
				r.o.OnEvent(EventDrop{Input: i, Event: from + int(b.Line) - 1, Name: b.Name, Detail: b.Reason})
			}
		}
	}
	var text []byte
	for _, e := range f.events.Text[from:to] {
		text = append(text, oneLine(e)...)
		text = append(text, '\n')
	}
	var b vec.Batch
	f.decoder.Begin(0, 1)
	for len(text) > 0 {
		used, err := f.decoder.Decode(&b, text, true, min(to-from, codec.MaxBatchRows), func(x codec.Bad) {
			failed[int(x.Line)-1] = true
			onBad(x)
		})
		if err != nil {
			return err
		}
		text = text[used:]
		r.cur = r.cur[:0]
		for ; len(r.cur) < b.N; read++ {
			if !failed[read] {
				r.cur = append(r.cur, from+read)
			}
		}
		if f.events.Arrival != nil {
			b.Arrival = b.Arrival[:0]
			for _, e := range r.cur {
				b.Arrival = append(b.Arrival, f.events.Arrival[e])
			}
		}
		if err := take(&b); err != nil {
			return err
		}
		if used == 0 {
			break
		}
	}
	return nil
}

// oneLine takes the line ends out of an event: outside strings they are white space, and
// inside them they are not allowed.
func oneLine(event string) string {
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(event)
}
