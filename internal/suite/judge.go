package suite

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"weir/internal/caserun"
	"weir/internal/job"
	"weir/internal/project"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// RunOptions say how tests run.
type RunOptions struct {
	// Ways are the ways of running each test; all must give the same rows. The first one is
	// the one whose rows are shown.
	Ways []testkit.Way
	// Shuffle, if not 0, runs every test of our own format that many times with another order
	// of arrival.
	Shuffle int
	Seed    uint64
	Timeout time.Duration // of a test; 0: none
}

// Result is what became of a test.
type Result struct {
	Test     *Test
	OK       bool
	Skipped  string // why it did not run
	Broken   bool   // it could not run: its query does not compile
	Elapsed  time.Duration
	Failures []Failure
	// Notes are differences that fail nothing (Required: false).
	Notes []Failure

	outcome *outcome // of the first way, of tests over a job
	diffs   []*difference
	late    []lateness
}

// lateness is a stream whose rows came out at other times.
type lateness struct {
	e   *emission
	got []vec.Time
}

// Message is all failures, and what explains them.
func (r *Result) Message() string {
	var lines []string
	for _, f := range r.Failures {
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// Run runs one test. Several goroutines may run tests of a suite.
func (s *Suite) Run(t *Test, o RunOptions) *Result {
	r := &Result{Test: t, OK: true}
	if t.Skip != "" {
		r.Skipped = t.Skip
		return r
	}
	start := time.Now()
	if o.Timeout <= 0 {
		s.runGuarded(r, o)
		r.Elapsed = time.Since(start)
		return r
	}
	done := make(chan *Result, 1)
	go func() {
		r := &Result{Test: t, OK: true}
		s.runGuarded(r, o)
		done <- r
	}()
	timer := time.NewTimer(o.Timeout)
	defer timer.Stop()
	select {
	case r = <-done:
	case <-timer.C:
		// The run goes on in its goroutine until it ends by itself or the program does: a
		// pure engine cannot be interrupted in the midst of a batch.
		r.fail(Failure{Place: t.Place, Text: fmt.Sprintf("the test takes longer than %s (--timeout)", o.Timeout)})
	}
	r.Elapsed = time.Since(start)
	return r
}

func (r *Result) fail(f Failure) {
	r.OK = false
	r.Failures = append(r.Failures, f)
}

// runGuarded runs a test. A panic of the engine is a finding like any other.
func (s *Suite) runGuarded(r *Result, o RunOptions) {
	defer func() {
		if p := recover(); p != nil {
			r.fail(Failure{Place: r.Test.Place, Text: fmt.Sprintf("the engine panicked: %v\n%s", p, debug.Stack())})
		}
	}()
	if r.Test.conform != nil {
		r.conformance(o.Ways)
		return
	}
	s.scenario(r, o)
}

// conformance runs a case in some ways and stops at the first that fails.
func (r *Result) conformance(ways []testkit.Way) {
	for _, w := range ways {
		problem := testkit.Check(r.Test.conform, caserun.Engine, w)
		if problem == "" {
			continue
		}
		problem = strings.TrimRight(problem, "\n")
		if len(ways) > 1 {
			problem = "way: " + w.Name + "\n" + problem
		}
		r.fail(Failure{Text: problem})
		return
	}
}

// scenario runs a test over a job.
func (s *Suite) scenario(r *Result, o RunOptions) {
	sc := r.Test.scenario
	e, err := s.engines.get(sc)
	if err != nil {
		if sc.fails != "" && strings.Contains(strings.ToLower(err.Error()), strings.ToLower(sc.fails)) {
			return
		}
		r.Broken = true
		r.fail(Failure{Text: err.Error()})
		return
	}
	base := e.runClocked(sc, testkit.Whole, sc.byRow())
	r.outcome = base
	if !r.ended(sc, sc.place, base) {
		return
	}
	r.judge(e, sc, base)
	r.emissions(e, sc, base)
	for _, w := range o.Ways[1:] {
		if !r.OK {
			break
		}
		r.agree(e, sc, base, e.runClocked(sc, w, false), "way: "+w.Name)
	}
	sh := sc.shuffle
	if sh == nil && o.Shuffle > 0 && r.Test.file != nil && sc.fails == "" {
		sh = &shuffle{within: max(sc.policies.outOfOrder, 0), runs: o.Shuffle, seed: o.Seed, place: r.Test.Place}
		sh.fixed = sc.says()
	}
	if sh != nil && r.OK {
		r.shuffled(e, sc, sh, base)
	}
}

// says tells whether the events of a test say when they arrive.
func (s *scenario) says() bool {
	return !s.sample && slices.ContainsFunc(s.inputs, func(in input) bool {
		return !in.reference && slices.ContainsFunc(in.events, func(e event) bool { return e.arrives })
	})
}

// byRow tells whether events are to be given one by one, in the order of arrival over all
// inputs, which is what a live job sees.
func (s *scenario) byRow() bool {
	n := 0
	for i := range s.inputs {
		n += len(s.inputs[i].events)
	}
	return !s.sample && n <= 100_000
}

// runClocked runs a scenario; with a virtual clock, if its policies apply.
func (e *engine) runClocked(sc *scenario, w testkit.Way, byRow bool) *outcome {
	if sc.sample {
		return e.run(sc, w, nil)
	}
	if byRow {
		w.Batch = 1
	}
	clock := &job.EventClock{}
	if sc.advance != nil {
		clock.Open, clock.Ticks = true, []vec.Time{*sc.advance}
	}
	return e.run(sc, w, clock)
}

// ended checks how a run ended: with an error only where the test expects one.
func (r *Result) ended(sc *scenario, at project.Place, o *outcome) bool {
	switch {
	case sc.fails != "" && o.err == nil:
		n := 0
		for _, rows := range o.rows {
			n += len(rows)
		}
		r.fail(Failure{sc.failsAt, fmt.Sprintf("the run must fail with a message about %q; it gave %s", sc.fails, count(n, "row"))})
	case sc.fails != "" && !strings.Contains(strings.ToLower(o.err.Error()), strings.ToLower(sc.fails)):
		r.fail(Failure{sc.failsAt, fmt.Sprintf("the message must contain %q; it is:\n  %s", sc.fails, o.err)})
	case sc.fails == "" && o.err != nil:
		r.fail(Failure{at, "the run failed: " + o.err.Error()})
	default:
		return o.err == nil
	}
	return false
}

// judge holds the rows of a run against what is expected.
func (r *Result) judge(e *engine, sc *scenario, o *outcome) {
	explained := false
	for i := range sc.expect {
		x := &sc.expect[i]
		d := x.compare(o.stream(x, sc))
		if d == nil {
			continue
		}
		r.diffs = append(r.diffs, d)
		f := d.failure(sc.day)
		if x.optional {
			r.Notes = append(r.Notes, f)
			continue
		}
		if !explained {
			if lines := e.reasons(sc, o, d); lines != "" {
				f.Text += "\n" + lines
				explained = true
			}
		}
		r.fail(f)
	}
}

// agree checks that another run gives the same rows.
func (r *Result) agree(e *engine, sc *scenario, base, other *outcome, what string) bool {
	if other.err != nil {
		r.fail(Failure{sc.place, fmt.Sprintf("%s: the run failed: %v", what, other.err)})
		return false
	}
	ordered := e.oneStream()
	for _, name := range base.names() {
		x := expectation{name: name.name, kind: name.kind, place: sc.place, count: -1, checkRows: true, exact: ordered && what[:4] == "way:" && exactly(sc, name)}
		for _, v := range base.rows[name] {
			x.rows = append(x.rows, row{Value: v})
		}
		if d := x.compare(other.rows[name]); d != nil {
			f := d.failure(sc.day)
			f.Text = what + "\n" + f.Text
			r.fail(f)
			return false
		}
	}
	return true
}

// exactly tells whether a test asks for the order of a stream's rows.
func exactly(sc *scenario, name streamName) bool {
	return slices.ContainsFunc(sc.expect, func(x expectation) bool {
		return x.exact && x.kind == name.kind && strings.EqualFold(x.name, name.name)
	})
}

// oneStream tells whether the job reads one stream: how several take turns may show in the
// order of rows that never wait.
func (e *engine) oneStream() bool {
	n := 0
	for _, in := range e.plan.Inputs {
		if !in.Reference {
			n++
		}
	}
	return n == 1
}

// emissions checks when rows come out. A second run tells the time at each moment at which
// idle inputs could let a row of the first run out: once the clock is more than the late
// limit beyond the row's time (saql.md 4.4).
func (r *Result) emissions(e *engine, sc *scenario, base *outcome) {
	if len(sc.emits) == 0 {
		return
	}
	clock := &job.EventClock{Open: sc.advance != nil}
	late := ticks(sc.policies.late)
	all := base
	if clock.Open { // rows that came out by the end only have times too
		open := *sc
		open.advance = nil
		all = e.runClocked(&open, testkit.Whole, true)
	}
	for _, times := range all.times {
		for _, t := range times {
			if late >= 0 && t.Valid() {
				clock.Ticks = append(clock.Ticks, t+late, t+late+1)
			}
		}
	}
	if sc.advance != nil {
		clock.Ticks = append(clock.Ticks, *sc.advance)
	}
	slices.Sort(clock.Ticks)
	clock.Ticks = slices.Compact(clock.Ticks)
	if sc.advance != nil {
		i, _ := slices.BinarySearch(clock.Ticks, *sc.advance+1)
		clock.Ticks = clock.Ticks[:i]
	}
	w := testkit.Whole
	w.Batch = 1
	timed := e.run(sc, w, clock)
	if !r.agree(e, sc, base, timed, "with the clock told at every moment that matters") {
		return
	}
	for i := range sc.emits {
		x := &sc.emits[i]
		var got []vec.Time
		for _, t := range timed.emitted[timed.find(x.name, x.kind)] {
			if t != vec.MaxTime {
				t -= t % vec.Millisecond // a window closes in the moment behind its end
			}
			got = append(got, t)
		}
		slices.Sort(got)
		got = slices.Compact(got)
		if !slices.Equal(got, x.times) {
			r.late = append(r.late, lateness{x, got})
			xe := expectation{name: x.name, kind: x.kind}
			r.fail(Failure{x.place, fmt.Sprintf("%s: rows come out at %s, expected at %s%s", xe.title(), moments(got, sc.day), moments(x.times, sc.day), sc.lateHint(got))})
		}
	}
}

// lateHint says what makes rows come out when they do.
func (sc *scenario) lateHint(got []vec.Time) string {
	if slices.Contains(got, vec.MaxTime) && sc.policies.late < 0 {
		return "\nwhy: with late_arrival none, time moves on by events only"
	}
	if len(got) == 0 && sc.advance != nil {
		return "\nwhy: nothing has come out when the clock stops (advance)"
	}
	return ""
}

func moments(times []vec.Time, day vec.Time) string {
	if len(times) == 0 {
		return "no time"
	}
	var list []string
	for _, t := range times {
		if t == vec.MaxTime {
			list = append(list, "the end of the input")
		} else {
			list = append(list, shortTime(t, day))
		}
	}
	return strings.Join(list, ", ")
}
