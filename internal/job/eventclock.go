package job

import (
	"math"
	"strings"

	"weir/internal/codec"
	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// EventClock is the clock of a run over events in memory: batches of all inputs come in the
// order of arrival, and in between the inputs are told what time it is, as those of a live
// job are (saql.md 4.4).
type EventClock struct {
	// Ticks are the moments at which that is said, ascending. One that lies between the
	// events of a batch is said before the batch: small batches show when rows come out.
	Ticks []vec.Time
	// Open leaves the inputs without an end: what waits for more stays where it is.
	Open bool
	// Now is what the run sets: the arrival of the last event of the batch at hand, the tick,
	// or vec.MaxTime when the inputs end.
	Now vec.Time
}

// byClock runs the inputs by one clock.
func (r *eventRun) byClock(c *EventClock) error {
	ticks := c.Ticks
	for {
		i, arrival := r.nextArrival()
		for len(ticks) > 0 && (i < 0 || ticks[0] < arrival) {
			if err := r.tick(c, ticks[0]); err != nil {
				return err
			}
			ticks = ticks[1:]
		}
		if i < 0 {
			break
		}
		f := r.feeds[i]
		c.Now = max(c.Now, f.arrival(f.at+f.left[0]-1))
		if err := r.step(i); err != nil {
			return err
		}
	}
	if c.Open {
		return nil
	}
	c.Now = vec.MaxTime
	for {
		i := furthestBehind(r.graph, func(i int) bool { return r.feeds[i].done }, len(r.feeds))
		if i < 0 {
			return nil
		}
		if err := r.step(i); err != nil {
			return err
		}
	}
}

// nextArrival is the input whose next event arrives first, -1 if no events are left.
func (r *eventRun) nextArrival() (input int, arrival vec.Time) {
	input, arrival = -1, vec.Time(math.MaxInt64)
	for i, f := range r.feeds {
		if f.done || f.at >= len(f.events.Text) {
			continue
		}
		if a := f.arrival(f.at); input < 0 || a < arrival {
			input, arrival = i, a
		}
	}
	return input, arrival
}

// arrival is when an event of the input arrives.
func (f *feed) arrival(event int) vec.Time {
	if event >= len(f.events.Arrival) {
		return vec.MinTime
	}
	return f.events.Arrival[event]
}

// tick tells all inputs what time it is.
func (r *eventRun) tick(c *EventClock, t vec.Time) error {
	c.Now = max(c.Now, t)
	for i, f := range r.feeds {
		if f.done {
			continue
		}
		if err := r.graph.Tick(i, 0, t); err != nil {
			return err
		}
	}
	if r.o.Snapshot && (r.o.Crash == nil || r.o.Crash()) {
		return r.reload()
	}
	return nil
}

// dropped tells of an event that the engine dropped.
func (r *eventRun) dropped(input, row int, why exec.Reason) {
	switch why {
	case exec.Late, exec.Early, exec.OutOfOrder: // moved has told of it
		return
	}
	if row < len(r.cur) {
		r.o.OnEvent(EventDrop{Input: input, Event: r.cur[row], Name: why.String()})
	}
}

// moved tells of an event that a policy moved or dropped.
func (r *eventRun) moved(m exec.Move) {
	if m.Row < len(r.cur) {
		r.o.OnEvent(EventDrop{Input: m.Input, Event: r.cur[m.Row], Name: m.Reason.String(), Moved: &m})
	}
}

// EventTimes gives, per input and event, the time that TIMESTAMP BY gives it before any
// policy; vec.MinTime where it gives none, or the input is reference data. Of an input with
// several timelines it is the last one's.
func EventTimes(p *plan.Plan, inputs []Events, start vec.Time) ([][]vec.Time, error) {
	o := EventOptions{Options: exec.Options{Sample: true, Measure: true, Start: start}}
	r := &eventRun{plan: p, o: o}
	g, err := exec.Build(p, r.o.Options)
	if err != nil {
		return nil, err
	}
	times := make([][]vec.Time, len(p.Inputs))
	at := func(input int) func(b *vec.Batch) {
		return func(b *vec.Batch) { times[input][len(times[input])-1] = b.Time[0] }
	}
	for _, n := range p.Nodes {
		if _, ok := n.Op.(*plan.Stamp); ok {
			g.Tap(n.ID, at(n.In[0].Op.(*plan.Source).Input))
		}
	}
	for i, in := range p.Inputs {
		f := &feed{decoder: codec.NewJSON(in.Fields, codec.JSONOptions{Lines: true, Rules: rulesOf(p.Level)})}
		r.feeds = append(r.feeds, f)
		for _, e := range inputs {
			if strings.EqualFold(e.Name, in.Name) && !in.Reference {
				f.events = e
			}
		}
		for e := range f.events.Text {
			times[i] = append(times[i], vec.MinTime)
			if err := r.push(g, i, e, e+1, func(codec.Bad) {}); err != nil {
				return nil, err
			}
		}
	}
	return times, nil
}
