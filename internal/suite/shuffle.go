package suite

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"weir/internal/job"
	"weir/internal/testkit"
	"weir/internal/vec"
)

// maxShrinks bounds the runs that look for the smallest change of order that still matters.
const maxShrinks = 500

// order is an order of the events of each input.
type order [][]int

// shuffled runs a test with other orders of arrival, which must change no row. Events keep
// their times; each arrives up to within later than it would, so none lies further behind
// the newest event before it. Events of equal time change places whatever within is.
func (r *Result) shuffled(e *engine, sc *scenario, sh *shuffle, base *outcome) {
	times, err := job.EventTimes(e.plan, sc.events(), sc.day)
	if err != nil {
		r.fail(Failure{sh.place, "shuffle: " + err.Error()})
		return
	}
	of := make([][]vec.Time, len(sc.inputs)) // per input of the test
	for i := range sc.inputs {
		for p, in := range e.plan.Inputs {
			if strings.EqualFold(in.Name, sc.inputs[i].name) && !in.Reference {
				of[i] = times[p]
			}
		}
	}
	for n := range sh.runs {
		o := shuffledOrder(sc, of, sh, n)
		if agrees(e, sc, base, o) {
			continue
		}
		o = shrunk(e, sc, base, o)
		what := fmt.Sprintf("shuffle, run %d of %d, seed %d: other rows come out when %s", n+1, sh.runs, sh.seed, sc.moved(o))
		r.agree(e, sc, base, e.runClocked(sc.inOrder(o), testkit.Whole, false), what)
		for i := range r.Failures {
			r.Failures[i].Place = sh.place
		}
		return
	}
}

// agrees tells whether the events in another order give the same rows.
func agrees(e *engine, sc *scenario, base *outcome, o order) bool {
	trial := &Result{OK: true}
	return trial.agree(e, sc, base, e.runClocked(sc.inOrder(o), testkit.Whole, false), "shuffle")
}

// shuffledOrder gives run n its order: every event is late by chance, or, with fixed moments
// of arrival, those of a moment change places.
func shuffledOrder(sc *scenario, times [][]vec.Time, sh *shuffle, n int) order {
	chance := rand.New(rand.NewPCG(sh.seed, uint64(n)))
	within := ticks(sh.within)
	o := sc.asGiven()
	for i, list := range o {
		if times[i] == nil {
			continue
		}
		type ticket struct {
			at   vec.Time
			draw uint64
		}
		tickets := make([]ticket, len(list))
		last := vec.Time(0)
		for k := range list {
			t := times[i][k]
			if t == vec.MinTime {
				t = last // bad data comes with what came before it
			}
			if e := &sc.inputs[i].events[k]; sh.fixed && e.arrives {
				t = e.arrival
			}
			last = t
			tickets[k] = ticket{t, chance.Uint64()}
			if within > 0 && !sh.fixed {
				tickets[k].at += vec.Time(chance.Int64N(int64(within) + 1))
			}
		}
		slices.SortStableFunc(list, func(a, b int) int {
			return cmp.Or(cmp.Compare(tickets[a].at, tickets[b].at), cmp.Compare(tickets[a].draw, tickets[b].draw))
		})
	}
	return o
}

// asGiven is the order in which the test gives its events.
func (sc *scenario) asGiven() order {
	o := make(order, len(sc.inputs))
	for i := range sc.inputs {
		for k := range sc.inputs[i].events {
			o[i] = append(o[i], k)
		}
	}
	return o
}

// inOrder is the test with its events in another order, under the policies of the job. The
// moments at which events arrive stay; which event arrives at each changes.
func (sc *scenario) inOrder(o order) *scenario {
	out := *sc
	if sc.sample {
		out.sample = false
		out.policies = policies{late: sc.job.Late, outOfOrder: sc.job.OutOfOrder, drop: sc.job.Drop}
	}
	out.inputs = slices.Clone(sc.inputs)
	for i := range out.inputs {
		in := &out.inputs[i]
		events := make([]event, len(in.events))
		for k, from := range o[i] {
			events[k] = in.events[from]
			events[k].arrives, events[k].arrival = in.events[k].arrives, in.events[k].arrival
		}
		in.events = events
	}
	return &out
}

// shrunk undoes changes of order that do not matter.
func shrunk(e *engine, sc *scenario, base *outcome, o order) order {
	for left, again := maxShrinks, true; again; {
		again = false
		for _, list := range o {
			for k := range max(len(list)-1, 0) {
				if list[k] < list[k+1] {
					continue
				}
				if left--; left < 0 {
					return o
				}
				list[k], list[k+1] = list[k+1], list[k]
				if agrees(e, sc, base, o) {
					list[k], list[k+1] = list[k+1], list[k]
				} else {
					again = true
				}
			}
		}
	}
	return o
}

// moved says which events have changed places.
func (sc *scenario) moved(o order) string {
	var list []string
	for i, order := range o {
		in := &sc.inputs[i]
		for k := range max(len(order)-1, 0) {
			if a, b := order[k], order[k+1]; a > b {
				list = append(list, fmt.Sprintf("event #%d of %q (%s) arrives before event #%d (%s)", a+1, in.name, where(in.events[a].place), b+1, where(in.events[b].place)))
			}
		}
	}
	if len(list) > maxShownReasons {
		list = append(list[:maxShownReasons], fmt.Sprintf("%s more", count(len(list)-maxShownReasons, "pair")))
	}
	if len(list) == 0 {
		return "the policies of the job apply"
	}
	return strings.Join(list, ", and ")
}
