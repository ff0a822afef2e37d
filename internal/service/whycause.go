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

// cause finds the likeliest reason why rows are missing, and what to try: first what is wrong
// with the job as a whole, then with its inputs, then the place on the way to the output where
// the last rows got lost.
func (x *tracer) cause(output *plan.Node) (cause, fix string, closes *WhyClose) {
	again := fmt.Sprintf("\"weir job start %s\"", x.job)
	switch x.st.State {
	case job.Degraded:
		return "the job waits: " + x.st.Reason, "it goes on by itself when that works again; nothing is lost", nil
	case job.Failed:
		if x.samples {
			return "the run has failed: " + x.st.Reason, "", nil
		}
		return "the job has failed: " + x.st.Reason, "put that right, then " + again, nil
	case job.Starting:
		return "the job is still starting", "wait until it is running", nil
	}
	if x.events == 0 || x.bad > 9*x.events {
		for _, in := range x.inputs() {
			if bad, _ := unread(in); bad > 0 {
				return x.malformed(in)
			}
		}
		if x.events == 0 && x.st.State != job.Stopped {
			return x.nothingCame(x.inputs()...)
		}
	}
	if cause, fix, ok := x.outOfTime(); ok {
		return cause, fix, nil
	}
	if n := x.deadEnd(output); n != nil {
		if cause, fix, closes := x.stopsAt(n, x.nodes[n.ID]); cause != "" {
			return cause, fix, closes
		}
	}
	if x.st.State == job.Stopped && (x.out == nil || x.out.Rows == 0) {
		return "the job is stopped", again, nil
	}
	return x.atTheEnd()
}

// deadEnd is the node behind which nothing is left, on the way to an output that has no rows;
// nil if rows come through.
func (x *tracer) deadEnd(n *plan.Node) *plan.Node {
	given := func(n *plan.Node) int64 {
		if s := x.nodes[n.ID]; s != nil {
			if _, ok := n.Op.(*plan.Write); ok {
				return s.In
			}
			return s.Out
		}
		return 1 // reference data has no counts
	}
	if given(n) > 0 {
		return nil
	}
	var first *plan.Node
	alive := false
	for i, in := range n.In {
		if given(in) > 0 {
			alive = true
			continue
		}
		if op, ok := n.Op.(*plan.Join); ok && (i == 0 || !op.Outer) || len(n.In) == 1 {
			return x.deadEnd(in)
		}
		if first == nil {
			first = in
		}
	}
	if alive || first == nil {
		return n
	}
	return x.deadEnd(first) // of a union to which no branch gives rows
}

// nothingCame: no event at all.
func (x *tracer) nothingCame(inputs ...*job.InputStats) (string, string, *WhyClose) {
	var names []string
	for _, in := range inputs {
		names = append(names, fmt.Sprintf("%q", in.Name))
	}
	if x.st.State == job.Completed {
		return "there is no event in input " + strings.Join(names, " or "), "look at where the input reads", nil
	}
	return "no event has come from input " + strings.Join(names, " or "),
		"look at the sender and at where the input reads; a job that started \"now\" does not read what was there before: " +
			fmt.Sprintf("\"weir job stop %s\", then \"weir job start %[1]s --from beginning --discard-state\"", x.job), nil
}

// malformed: what came was no event.
func (x *tracer) malformed(in *job.InputStats) (string, string, *WhyClose) {
	bad, worst := unread(in)
	cause := fmt.Sprintf("%s of %s texts from input %q could not be read: %s", grouped(bad), grouped(bad+in.Events), in.Name, worst)
	if list := x.letters(worst); len(list) > 0 {
		l := list[len(list)-1]
		cause += fmt.Sprintf("; the last one: %s: %s", l.Reason, excerpt(l.Payload))
	}
	fix := "say what the events are with format: in the input, or correct the sender"
	if !x.samples {
		fix += fmt.Sprintf("; \"weir job deadletters %s\" shows them", x.job)
	}
	return cause, fix, nil
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
	if f, ok := x.anyField(n.In[0], n.Op.(*plan.Stamp).By); ok {
		field = strings.Split(f.name, ".")
	}
	return in.Name, field
}

// anyField is the first field that an expression reads.
func (x *tracer) anyField(in *plan.Node, e *plan.Expr) (seenField, bool) {
	if e == nil {
		return seenField{}, false
	}
	if f, ok := x.field(in, e); ok {
		return f, f.name != "*"
	}
	for _, a := range e.Args {
		if f, ok := x.anyField(in, a); ok {
			return f, true
		}
	}
	return seenField{}, false
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
		arrived, known := vec.ParseTime(l.Arrival)
		if !known { // the source does not know; then it is when the event was read
			arrived = vecEpoch + vec.Time(l.Time.UnixNano()/100)
		}
		if !ok {
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

// stopsAt explains a node that has given no row although it was given some, or a source.
func (x *tracer) stopsAt(n *plan.Node, s *job.StepStats) (cause, fix string, closes *WhyClose) {
	place := ""
	if s.Line > 0 {
		place = fmt.Sprintf(" (line %d)", s.Line)
	}
	where := "of " + quoteStep(s.Step, x.output) + place + detail(s)
	switch op := n.Op.(type) {
	case *plan.Source:
		for _, in := range x.inputs() {
			if in.Name == x.plan.Inputs[op.Input].Name {
				if bad, _ := unread(in); bad > 0 {
					return x.malformed(in)
				}
				return x.nothingCame(in)
			}
		}
	case *plan.Stamp, *plan.Order:
		return x.waits(n, s)
	case *plan.Filter:
		cause = fmt.Sprintf("the condition %s holds for none of %s", where, rowsText(s.In))
		why, fix := x.filterHint(n, op.Pred)
		if why != "" {
			cause += ": " + why
		}
		if fix == "" {
			fix = "NULL is equal to nothing, and texts differ by case"
		}
		if !x.samples {
			fix += fmt.Sprintf("; look at what comes to it: \"weir tap %s %s\"", x.job, x.tapBefore(n))
		}
		return cause, fix, nil
	case *plan.Join:
		return x.joinCause(n, op, where)
	case *plan.Lookup:
		return x.lookupCause(n, op, s, where)
	case *plan.Group:
		return x.windowCause(n, op, where)
	case *plan.Match:
		return fmt.Sprintf("the pattern %s matches nowhere in %s", where, rowsText(s.In)),
			"the rows of a match must follow each other directly within a partition; look at DEFINE and LIMIT DURATION", nil
	}
	return "", "", nil
}

// waits explains rows that wait to be put in order.
func (x *tracer) waits(n *plan.Node, s *job.StepStats) (cause, fix string, closes *WhyClose) {
	if s.Held == 0 {
		return "", "", nil
	}
	c := &WhyClose{Watermark: civil(s.Watermark), HeldBy: s.HeldBy}
	cause = fmt.Sprintf("%s events wait until time has passed them, so that they can be put in order; the watermark is %s", grouped(s.Held), clock(c.Watermark))
	return cause + heldBy(c), x.patience(c), c
}

// joinCause explains a join that pairs nothing.
func (x *tracer) joinCause(n *plan.Node, op *plan.Join, where string) (cause, fix string, closes *WhyClose) {
	sides := op.Sides
	for i := range sides {
		if sides[i] == "" {
			sides[i] = [2]string{"left", "right"}[i]
		}
	}
	cause = fmt.Sprintf("the join %s pairs none of %s of %q with any of %s of %q", where, rowsText(x.given(n.In[0])), sides[0], grouped(x.given(n.In[1])), sides[1])
	if len(op.Keys[0]) == 0 {
		return cause, "look at both sides of its ON condition, and at the bounds of DATEDIFF", nil
	}
	j := x.sidesOf(n, op.Keys)
	why, fix, apart, equal := j.keyHint(sides)
	switch {
	case why != "":
		return cause + ": " + why, fix, nil
	case equal && (vec.Time(apart/100) < op.Lo || vec.Time(apart/100) > op.Hi):
		where := fmt.Sprintf("%q is %s after %q", sides[1], shortDuration(apart), sides[0])
		if apart < 0 {
			where = fmt.Sprintf("%q is %s before %q", sides[1], shortDuration(-apart), sides[0])
		}
		return cause + ": rows with equal keys are too far apart: the nearest of " + where + ", outside the bounds of its DATEDIFF",
			"widen the bounds of DATEDIFF in the ON condition, or swap its two sides; also check that both inputs have TIMESTAMP BY", nil
	case equal:
		return cause + ": there are rows with equal keys within its time, so the rest of the ON condition is never true", "look at the other comparisons in the ON condition", nil
	}
	return cause + ": no keys are equal within the time of its DATEDIFF", "compare the keys on both sides (type, case, spaces) and the bounds of DATEDIFF", nil
}

// lookupCause explains a join with reference data that finds nothing.
func (x *tracer) lookupCause(n *plan.Node, op *plan.Lookup, s *job.StepStats, where string) (cause, fix string, closes *WhyClose) {
	cause = fmt.Sprintf("the join %s finds none of %s in the reference data", where, rowsText(s.In))
	sides := [2]string{"the stream", "the reference data"}
	for i, name := range op.Sides {
		if name != "" {
			sides[i] = name
		}
	}
	rows, total := x.rowsOf(n.In[1])
	_, source := n.In[1].Op.(*plan.Source)
	if source && x.peek != nil && total == 0 && len(rows) == 0 {
		return cause + fmt.Sprintf(": %q has no rows", sides[1]), "look at where the reference data is read from", nil
	}
	if len(op.Keys[0]) > 0 {
		j := x.sidesOf(n, op.Keys)
		if why, fix, _, equal := j.keyHint(sides); why != "" {
			return cause + ": " + why, fix, nil
		} else if equal {
			return cause + ": there are equal keys, so the rest of the ON condition is never true", "look at the other comparisons in the ON condition", nil
		}
	}
	return cause, "compare the keys with those of the reference data (type, case, spaces)", nil
}

// windowCause explains a window that has given nothing.
func (x *tracer) windowCause(n *plan.Node, op *plan.Group, where string) (cause, fix string, closes *WhyClose) {
	closes = x.closes(n, op)
	cause = fmt.Sprintf("the window %s is not closed yet", where)
	if closes.At.IsZero() {
		cause += ": the watermark is " + clock(closes.Watermark)
	} else {
		cause += fmt.Sprintf(": it closes when the watermark passes %s; it is %s", clock(closes.At), clock(closes.Watermark))
	}
	return cause + heldBy(closes), x.patience(closes), closes
}

func heldBy(c *WhyClose) string {
	if c.HeldBy == "" {
		return ""
	}
	return ", held by " + c.HeldBy
}

// patience says what makes time pass, and when it does so by itself.
func (x *tracer) patience(c *WhyClose) string {
	newer := "send newer events"
	if c.HeldBy != "" {
		newer += " to " + c.HeldBy
	}
	if x.spec.Late < 0 {
		return newer + ": without a limit for late events (late_arrival: none) time passes by events only, and an input that is silent holds it for ever; set late_arrival"
	}
	if c.At.IsZero() {
		return fmt.Sprintf("wait, or %s: time passes behind the clock by late_arrival, %s", newer, shortDuration(x.spec.Late))
	}
	c.Clock = c.At.Add(x.spec.Late)
	return fmt.Sprintf("wait: without newer events it closes at about %s by the clock, which is late_arrival (%s) behind its end; or %s", clock(c.Clock), shortDuration(x.spec.Late), newer)
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
	from := in.Watermark
	if rows, _ := x.rowsOf(n.In[0]); len(rows) > 0 { // windows before the first row are empty
		first := rows[0].T
		for _, r := range rows {
			first = min(first, r.T)
		}
		from = max(from, first)
	}
	next := vec.MaxTime
	for _, w := range op.Windows {
		if w.Kind == window.Tumbling || w.Kind == window.Hopping {
			next = min(next, endAfter(&w, from))
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

// rejection is why the output does not take rows, by the last one.
func (x *tracer) rejection() string {
	worst := ""
	for _, name := range sortedKeys(x.out.Rejected) {
		if worst == "" || x.out.Rejected[name] > x.out.Rejected[worst] {
			worst = name
		}
	}
	list := x.letters(worst)
	for i := len(list) - 1; i >= 0; i-- {
		if l := list[i]; strings.EqualFold(l.Output, x.output) {
			return fmt.Sprintf("%s: %s: %s", worst, l.Reason, excerpt(l.Payload))
		}
	}
	return strings.TrimSuffix(worst+": "+x.out.LastError, ": ")
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
	case x.out != nil && x.out.BeforeStart > 0 && x.out.BeforeStart >= 9*rows:
		return fmt.Sprintf("%s left out because their time is before the moment that the job was started from", wereText(x.out.BeforeStart)),
			fmt.Sprintf("to have them too, start where they begin: \"weir job stop %s\", then \"weir job start %[1]s --from beginning --discard-state\" (or --from TIME); with weir run --live: --from beginning", x.job), nil
	case rejected > 0 && rejected >= rows:
		return fmt.Sprintf("the output does not take %s of %s: %s", grouped(rejected), rowsText(rejected+rows), x.rejection()),
			fmt.Sprintf("\"weir job deadletters %s\" shows the rows and the column; correct the table or the types of the query", x.job), nil
	case rows == 0 && x.out != nil && x.out.LastError != "":
		return "the output does not answer: " + x.out.LastError, "it is tried again until it does; nothing is lost", nil
	case rows == 0:
		return "rows are on their way: nothing is committed yet", "look again in a second", nil
	case x.biggest >= 0 && x.stages[x.biggest].Count > 0:
		s := x.stages[x.biggest]
		return fmt.Sprintf("nothing is broken; the greatest loss is %s %s", grouped(s.Count), s.Name), "", nil
	}
	return "nothing is missing", "", nil
}
