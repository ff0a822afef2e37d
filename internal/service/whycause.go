package service

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/internal/job"
	"weir/internal/plan"
	"weir/internal/vec"
	"weir/internal/window"
)

// cause finds the likeliest reason why rows are missing, in the order in which events meet
// the reasons, and what to try.
func (x *tracer) cause() (cause, fix string, closes *WhyClose) {
	switch {
	case x.st.State == job.Degraded:
		return "the job waits: " + x.st.Reason, "it goes on by itself when that works again; nothing is lost", nil
	case x.events+x.bad == 0:
		return x.nothingCame()
	case x.events == 0 || x.bad > 9*x.events:
		return x.malformed()
	}
	if cause, fix, ok := x.outOfTime(); ok {
		return cause, fix, nil
	}
	for _, n := range x.plan.Nodes { // the first node behind which nothing is left
		s := x.nodes[n.ID]
		if s == nil || !x.needed[n.ID] || s.Out > 0 {
			continue
		}
		if cause, fix, closes, ok := x.stopsAt(n, s); ok {
			return cause, fix, closes
		}
	}
	return x.atTheEnd()
}

// nothingCame: no event at all.
func (x *tracer) nothingCame() (string, string, *WhyClose) {
	var names []string
	for _, in := range x.inputs() {
		names = append(names, fmt.Sprintf("%q", in.Name))
	}
	if x.st.State == job.Starting {
		return "the job is still starting", "wait until it is running", nil
	}
	return "no event has come from input " + strings.Join(names, " or "),
		"look at the sender and at where the input reads; a job that started \"now\" does not read what was there before: " +
			"stop it and start it with --from beginning --discard-state", nil
}

// malformed: what came was no event.
func (x *tracer) malformed() (string, string, *WhyClose) {
	cause := fmt.Sprintf("%s of %s texts from input %q could not be read: %s", grouped(x.bad), grouped(x.bad+x.events), x.worst, x.errors)
	if list := x.letters(x.errors); len(list) > 0 {
		l := list[len(list)-1]
		cause += fmt.Sprintf("; the last one: %s: %s", l.Reason, excerpt(l.Payload))
	}
	return cause, fmt.Sprintf("say what the events are with format: in the input, or correct the sender; \"weir job deadletters %s\" shows them", x.job), nil
}

// excerpt is the beginning of a text on one line.
func excerpt(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 80 {
		s = string(r[:79]) + "…"
	}
	return s
}

// outOfTime: nearly all events are dropped for their time.
func (x *tracer) outOfTime() (cause, fix string, ok bool) {
	for _, n := range x.stamps {
		s := x.nodes[n.ID]
		for _, name := range []string{"EarlyInputEvent", "LateInputEvent", "InvalidInputTimeStamp", "OutOfOrderEvent"} {
			if count := s.Dropped[name]; count > 0 && count*10 >= s.In*9 {
				cause, fix = x.timeCause(n, name, count, s.In)
				return cause, fix, true
			}
		}
	}
	return "", "", false
}

// timeCause explains drops at a node that gives events their time.
func (x *tracer) timeCause(n *plan.Node, name string, count, of int64) (cause, fix string) {
	input, field := x.timeField(n)
	what := "the time of the event"
	if field != nil {
		what = strings.Join(field, ".")
	}
	numbers := fmt.Sprintf("%s of %s events of %q", grouped(count), grouped(of), input)
	if name == "InvalidInputTimeStamp" {
		cause = numbers + " have no time: " + what + " is absent or no date and time in them"
		if list := x.letters(name); len(list) > 0 {
			cause += "; the last one: " + excerpt(list[len(list)-1].Payload)
		}
		return cause, "check the name and the form of the field behind TIMESTAMP BY"
	}
	offset, example, measured := x.offset(name, field)
	word := map[string]string{"EarlyInputEvent": "early (more than 5 minutes ahead of their arrival)", "LateInputEvent": "late",
		"OutOfOrderEvent": "out of order"}[name]
	if !measured {
		return numbers + " are " + word, lateFix(name)
	}
	cause = fmt.Sprintf("%s are %s: %s is %s", numbers, word, what, offsetWords(offset))
	hours := offset.Round(15 * time.Minute)
	zone := (offset-hours).Abs() < 5*time.Minute && hours != 0 && hours.Abs() <= 14*time.Hour
	if !zone {
		return cause + "; " + example, lateFix(name)
	}
	unit, n2 := "hour", int(hours/time.Hour)
	if hours%time.Hour != 0 {
		unit, n2 = "minute", int(hours/time.Minute)
	}
	cause += fmt.Sprintf(", which is the distance of a time zone (UTC%s): it looks like local time without its offset; %s", zoneText(hours), example)
	return cause, fmt.Sprintf("TIMESTAMP BY DATEADD(%s, %d, %s), or send %s with its offset", unit, -n2, what, what)
}

// lateFix is what to do about events beyond a limit.
func lateFix(name string) string {
	switch name {
	case "EarlyInputEvent":
		return "check the clock of the sender"
	case "LateInputEvent":
		return "raise late_arrival, or set arrival: event in the input to run old events again"
	}
	return "raise out_of_order, or use policy: adjust"
}

func offsetWords(d time.Duration) string {
	if d < 0 {
		return shortDuration(-d) + " behind its arrival"
	}
	return shortDuration(d) + " ahead of its arrival"
}

// shortDuration is a duration in words of at most two units: 9h, 2h30m, 3d4h.
func shortDuration(d time.Duration) string {
	if d >= 24*time.Hour {
		days := d / (24 * time.Hour)
		rest := (d % (24 * time.Hour)).Truncate(time.Hour)
		if rest == 0 || days > 9 {
			return fmt.Sprintf("%dd", days)
		}
		return fmt.Sprintf("%dd%dh", days, rest/time.Hour)
	}
	switch {
	case d >= time.Hour:
		d = d.Round(time.Minute)
	case d >= time.Second:
		d = d.Round(time.Second)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func zoneText(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "-", -d
	}
	return fmt.Sprintf("%s%02d:%02d", sign, d/time.Hour, d%time.Hour/time.Minute)
}

// timeField is the input of a node that gives events their time, and the field that the time
// is in, if TIMESTAMP BY names one.
func (x *tracer) timeField(n *plan.Node) (input string, field []string) {
	src, ok := n.In[0].Op.(*plan.Source)
	if !ok {
		return "", nil
	}
	in := x.plan.Inputs[src.Input]
	if col, ok := firstColumn(n.Op.(*plan.Stamp).By); ok && col < len(in.Fields) {
		field = in.Fields[col].Path
	}
	return in.Name, field
}

// firstColumn is the first column that an expression reads.
func firstColumn(e *plan.Expr) (int, bool) {
	if e == nil {
		return 0, false
	}
	if e.Op == plan.OpCol {
		return e.Col, true
	}
	for _, a := range e.Args {
		if col, ok := firstColumn(a); ok {
			return col, true
		}
	}
	return 0, false
}

// offset measures how far the times of dropped events are ahead of their arrival: the median,
// and one event as an example.
func (x *tracer) offset(name string, field []string) (time.Duration, string, bool) {
	if len(field) == 0 {
		return 0, "", false
	}
	var offsets []time.Duration
	example := ""
	for _, l := range x.letters(name) {
		text, ok := fieldText(l.Payload, field)
		if !ok {
			continue
		}
		t, ok := vec.ParseTime(text)
		arrived, ok2 := vec.ParseTime(l.Arrival)
		if !ok || !ok2 {
			continue
		}
		offsets = append(offsets, time.Duration(t-arrived)*100)
		example = fmt.Sprintf("one has %s=%s and arrived %s", strings.Join(field, "."), text, civil(arrived).Format("2006-01-02T15:04:05Z"))
	}
	if len(offsets) == 0 {
		return 0, "", false
	}
	slices.Sort(offsets)
	return offsets[len(offsets)/2], example, true
}

// fieldText finds a text in an event that is JSON, without case as queries do.
func fieldText(payload string, path []string) (string, bool) {
	var at any
	if json.Unmarshal([]byte(payload), &at) != nil {
		return "", false
	}
	for _, name := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at, ok = object[name], false
		for k, v := range object {
			if at == nil && strings.EqualFold(k, name) {
				at = v
			}
		}
		ok = at != nil
		if !ok {
			return "", false
		}
	}
	text, ok := at.(string)
	return text, ok
}

// stopsAt explains a node that has given no row.
func (x *tracer) stopsAt(n *plan.Node, s *job.StepStats) (cause, fix string, closes *WhyClose, ok bool) {
	place := ""
	if s.Line > 0 {
		place = fmt.Sprintf(" (line %d)", s.Line)
	}
	step := "of " + quoteStep(s.Step, x.output)
	switch op := n.Op.(type) {
	case *plan.Filter:
		if s.In == 0 {
			return "", "", nil, false
		}
		return fmt.Sprintf("the condition %s%s%s holds for none of %s rows", step, place, detail(s), grouped(s.In)),
			fmt.Sprintf("look at what comes to it: \"weir tap %s %s\"; NULL is equal to nothing, and texts differ by case", x.job, x.tapBefore(n)), nil, true
	case *plan.Join:
		sides := [2]int64{x.given(n.In[0]), x.given(n.In[1])}
		for i, rows := range sides {
			if rows == 0 {
				return fmt.Sprintf("the join %s%s has no rows on its %s side, %q", step, place, [2]string{"left", "right"}[i], op.Sides[i]),
					"look at why that side is empty first", nil, true
			}
		}
		return fmt.Sprintf("the join %s%s%s pairs none of %s rows with any of %s: no keys are equal within the time of its DATEDIFF", step, place, detail(s),
			grouped(sides[0]), grouped(sides[1])), "compare the keys on both sides (type, case, spaces) and the bounds of DATEDIFF", nil, true
	case *plan.Lookup:
		if s.In == 0 {
			return "", "", nil, false
		}
		return fmt.Sprintf("the join %s%s%s finds none of %s rows in the reference data", step, place, detail(s), grouped(s.In)),
			"compare the keys with those of the reference data (type, case, spaces)", nil, true
	case *plan.Group:
		if s.In == 0 && s.Held == 0 {
			return "", "", nil, false
		}
		closes = x.closes(n, op)
		cause = fmt.Sprintf("the window %s%s%s is not closed yet", step, place, detail(s))
		if closes.At.IsZero() {
			cause += ": the watermark is " + clock(closes.Watermark)
		} else {
			cause += fmt.Sprintf(": it closes when the watermark passes %s; it is %s", clock(closes.At), clock(closes.Watermark))
		}
		fix = "wait for it"
		if closes.HeldBy != "" {
			cause += ", held by " + closes.HeldBy
			fix = fmt.Sprintf("send newer events to %s, or wait: an input that is silent holds time back for the late arrival limit", closes.HeldBy)
		}
		return cause, fix, closes, true
	case *plan.Match:
		if s.In == 0 {
			return "", "", nil, false
		}
		return fmt.Sprintf("the pattern %s%s matches nowhere in %s rows", step, place, grouped(s.In)),
			"the rows of a match must follow each other directly within a partition; look at DEFINE and LIMIT DURATION", nil, true
	}
	return "", "", nil, false
}

// quoteStep names a step, or the output for the statement's own select.
func quoteStep(step, output string) string {
	if step == "" || step == output {
		return fmt.Sprintf("output %q", output)
	}
	return fmt.Sprintf("step %q", step)
}

// detail is what the query says there, if it is known.
func detail(s *job.StepStats) string {
	if s.Detail == "" {
		return ""
	}
	return ", " + s.Detail + ","
}

// given is how many rows a node has given.
func (x *tracer) given(n *plan.Node) int64 {
	if s := x.nodes[n.ID]; s != nil {
		return s.Out
	}
	return 0
}

// tapBefore is the nearest thing before a node that can be tapped.
func (x *tracer) tapBefore(n *plan.Node) string {
	for at := n; len(at.In) > 0; {
		at = at.In[0]
		for _, s := range x.plan.Steps {
			if s.Node == at {
				return s.Name
			}
		}
		if src, ok := at.Op.(*plan.Source); ok {
			return x.plan.Inputs[src.Input].Name
		}
	}
	return x.output
}

// closes tells when the next window of a group closes.
func (x *tracer) closes(n *plan.Node, op *plan.Group) *WhyClose {
	c := &WhyClose{}
	in := x.nodes[n.In[0].ID]
	if in == nil {
		return c
	}
	c.Watermark, c.HeldBy = civil(in.Watermark), in.HeldBy
	if !in.Watermark.Valid() {
		return c
	}
	next := vec.MaxTime
	for _, w := range op.Windows {
		if w.Kind == window.Tumbling || w.Kind == window.Hopping {
			next = min(next, endAfter(&w, in.Watermark))
		}
	}
	c.At = civil(next)
	return c
}

// endAfter is the first end of a window at or behind a time: what it covers comes out once the
// watermark is above it (saql.md 5.1).
func endAfter(w *window.Spec, t vec.Time) vec.Time {
	if w.Hop <= 0 {
		return vec.MaxTime
	}
	past := (t - w.Offset) % w.Hop
	if past < 0 {
		past += w.Hop
	}
	if past == 0 {
		return t
	}
	return t + w.Hop - past
}

// clock is a time for people.
func clock(t time.Time) string {
	if t.IsZero() {
		return "not known yet"
	}
	if t.Nanosecond() < 1e6 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// atTheEnd: rows came to the end of the query.
func (x *tracer) atTheEnd() (string, string, *WhyClose) {
	var rows, rejected int64
	if x.out != nil {
		rows = x.out.Rows
		for _, n := range x.out.Rejected {
			rejected += n
		}
	}
	switch {
	case rejected > 0 && rejected >= rows:
		return fmt.Sprintf("the output does not take %s of %s rows: %s", grouped(rejected), grouped(rejected+rows), x.out.LastError),
			fmt.Sprintf("\"weir job deadletters %s\" shows the rows and the column; correct the table or the types of the query", x.job), nil
	case rows == 0 && x.out != nil && x.out.LastError != "":
		return "the output does not answer: " + x.out.LastError, "it is tried again until it does; nothing is lost", nil
	case rows == 0:
		return "rows are on their way: nothing is committed yet", "look again in a second", nil
	case x.biggest >= 0 && x.stages[x.biggest].Count > 0:
		s := x.stages[x.biggest]
		return fmt.Sprintf("nothing is broken; most is lost where %s rows are %s", grouped(s.Count), s.Name), "", nil
	}
	return "nothing is missing", "", nil
}
