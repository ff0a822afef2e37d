package udf

import (
	"strings"

	"weir/internal/fn"
	"weir/internal/vec"
)

// The methods of a user aggregate (saql.md 10.4).
const (
	methodInit = iota
	methodAccumulate
	methodResult
	methodDeaccumulate
	methodDeaccumulateState
	methods
)

var methodNames = [methods]string{"init", "accumulate", "computeResult", "deaccumulate", "deaccumulateState"}

// aggregate is a user aggregate.
type aggregate struct {
	src Source
	has [methods]bool
}

// Aggregate makes an aggregate of a script. The error may be a *fn.ScriptError.
func Aggregate(src Source) (*fn.Agg, error) {
	e, err := load(src)
	if err != nil {
		return nil, err
	}
	defer e.close()
	a := &aggregate{src: src}
	if err := a.inspect(e); err != nil {
		return nil, err
	}
	return &fn.Agg{
		Name:      "UDA." + src.Name,
		Source:    src.identity(),
		Params:    []fn.Param{{Name: "value", Types: fn.Any}},
		Result:    func([]fn.Types) fn.Types { return src.result() },
		Doc:       fn.Doc{Summary: "UDA." + src.Name + " is an aggregate of the job in JavaScript.", Section: "10.4"},
		New:       func(s fn.AggSpec) fn.Acc { return &stateAcc{of: a, whole: s.Whole} },
		InOrder:   true,
		WithTime:  true,
		WithNulls: true,
	}, nil
}

// inspect makes a state to see which methods it has.
func (a *aggregate) inspect(e *engine) error {
	e.begin(0, 0)
	o := e.construct()
	defer e.free(o)
	if failed(o) {
		return e.loadError(a.src, e.takeException())
	}
	for m, name := range methodNames {
		f := e.property(o, name)
		a.has[m] = e.isFunction(f)
		e.free(f)
		if !a.has[m] && m <= methodResult {
			return &fn.ScriptError{Message: "it lacks " + name + "()", Method: name}
		}
	}
	return nil
}

// stateAcc holds the aggregations of one window. A slot is a queue of rows, those that have
// come and not left, and a state object that has seen the first of them. Only Result brings
// the state up to date: it takes back the rows that have left, if the aggregate can, or else
// starts anew, and feeds the rows that have come. So results do not depend on when rows and
// panes were added, and a snapshot needs rows only.
//
// In windows whose slots are never merged and never give a row back the state is fed every
// feedRows rows and these are forgotten; there a snapshot holds the state itself.
type stateAcc struct {
	of    *aggregate
	whole bool
	rt    *owned // nil until it is needed
	slots []stateSlot
	arena vec.Arena
	held  int
	texts int
}

// feedRows is how many rows wait in a slot, at most, where they need not be kept.
const feedRows = 512

// stateSlot is one aggregation.
type stateSlot struct {
	rows []stateRow
	// The state has seen rows[:fed], of which rows[:gone] have left since. hops are the
	// parts of rows[:gone] that left together as panes.
	fed, gone int
	hops      []int
	state     int32    // its number in the runtime
	live      bool     // there is a state
	eaten     bool     // it has seen rows that are kept nowhere else
	last      vec.Time // T of the newest row it has seen
	failed    string   // why it is lost, once rows are kept nowhere else
}

type stateRow struct {
	t vec.Time
	v vec.Value
}

func (a *stateAcc) Grow(n int) {
	if n > len(a.slots) {
		a.slots = append(a.slots, make([]stateSlot, n-len(a.slots))...)
	}
}

func (a *stateAcc) Add(slots []int32, args []*vec.Vec) {
	v, t := args[0], args[1]
	for i, s := range slots {
		x := v.At(i)
		if x.Kind == vec.Missing {
			x.Kind = vec.Null
		}
		if x.Kind == vec.String && v.Dict == nil {
			x.Str = a.arena.String(x.Str)
		}
		a.push(&a.slots[s], stateRow{timeAt(t, i), x})
	}
	if !a.whole {
		return
	}
	for _, s := range slots {
		if t := &a.slots[s]; len(t.rows) >= feedRows {
			a.eat(t)
		}
	}
}

func timeAt(t *vec.Vec, i int) vec.Time {
	if t.KindAt(i) != vec.Datetime {
		return 0
	}
	return vec.Time(t.Int[i])
}

func (a *stateAcc) push(t *stateSlot, r stateRow) {
	t.rows = append(t.rows, r)
	a.held++
	a.texts += len(r.v.Str)
}

// Remove takes back the oldest rows, which are those of args.
func (a *stateAcc) Remove(slots []int32, _ []*vec.Vec) {
	for _, s := range slots {
		a.drop(&a.slots[s], 1, false)
	}
}

func (a *stateAcc) Merge(dst, src []int32) {
	for i, d := range dst {
		for _, r := range a.slots[src[i]].kept() {
			a.push(&a.slots[d], r)
		}
	}
}

func (a *stateAcc) Unmerge(dst, src []int32) {
	for i, d := range dst {
		a.drop(&a.slots[d], len(a.slots[src[i]].kept()), true)
	}
}

// kept are the rows that have not left.
func (t *stateSlot) kept() []stateRow { return t.rows[t.gone:] }

// drop lets the n oldest rows leave. They stay in the queue while the state can take them
// back: one by one, or as the pane that they are.
func (a *stateAcc) drop(t *stateSlot, n int, pane bool) {
	n = min(n, len(t.kept())) // more only in a damaged snapshot
	can := a.of.has[methodDeaccumulate]
	if pane {
		can = a.of.has[methodDeaccumulateState]
	}
	if t.live && can && t.gone+n <= t.fed && (pane || len(t.hops) == 0) {
		t.gone += n
		if pane {
			t.hops = append(t.hops, n)
		}
		a.held -= n
		return
	}
	a.forget(t)
	a.shift(t, n)
	a.held -= n
}

// shift takes the first n rows off the queue.
func (a *stateAcc) shift(t *stateSlot, n int) {
	for i := range t.rows[:n] {
		a.texts -= len(t.rows[i].v.Str)
		t.rows[i] = stateRow{}
	}
	t.rows = t.rows[n:]
}

// forget drops the state of a slot, which can be computed again from the rows.
func (a *stateAcc) forget(t *stateSlot) {
	if t.live {
		a.rt.engine.drop(t.state)
	}
	gone := t.gone
	t.live, t.fed, t.gone, t.hops = false, 0, 0, t.hops[:0]
	a.shift(t, gone)
}

func (a *stateAcc) Reset(slots []int32) {
	for _, s := range slots {
		t := &a.slots[s]
		a.forget(t)
		a.held -= len(t.rows)
		rows := t.rows
		a.shift(t, len(rows))
		*t = stateSlot{rows: rows[:0], hops: t.hops[:0]}
	}
}

func (a *stateAcc) Result(c *fn.Call, slots []int32, out *vec.Vec) {
	out.Fixed(vec.Null, len(slots))
	for i, s := range slots {
		v, message := a.result(&a.slots[s])
		if message != "" {
			c.Fail(i, message)
			v = vec.NullValue()
		}
		out.Set(i, v)
	}
}

// result computes the result of a slot, and casts it to the declared type.
func (a *stateAcc) result(t *stateSlot) (vec.Value, string) {
	if t.failed != "" {
		return vec.Value{}, t.failed
	}
	v, message := a.run(t, func() (vec.Value, string) {
		if why := a.update(t); why != "" {
			return vec.Value{}, why
		}
		e := a.rt.engine
		e.allowMore()
		e.beginAt(t.last, true)
		return e.result(e.invoke(e.states[t.state], methodResult, 0))
	})
	if message != "" || a.of.src.Returns == vec.Missing {
		return v, message
	}
	if v, message = a.of.src.cast(v); message != "" {
		message = a.of.src.failed(message)
	}
	return v, message
}

// eat feeds the rows of a slot to its state and forgets them.
func (a *stateAcc) eat(t *stateSlot) {
	if t.failed == "" {
		_, t.failed = a.run(t, func() (vec.Value, string) { return vec.Value{}, a.update(t) })
	}
	if t.failed == "" {
		t.eaten = true
	}
	a.held -= len(t.rows)
	rows := t.rows
	a.shift(t, len(rows))
	t.rows, t.fed = rows[:0], 0
}

// update brings the state of a slot to its rows. A text says why it cannot.
func (a *stateAcc) update(t *stateSlot) string {
	e := a.rt.engine
	if t.live && t.gone == t.fed && !t.eaten {
		a.forget(t) // no row is left: it starts anew
	}
	if !t.live {
		if len(t.rows) > 0 {
			e.beginAt(t.rows[0].t, true)
		}
		if why := a.start(t); why != "" {
			return why
		}
		if why := e.do(e.states[t.state], methodInit, 0); why != "" {
			return why
		}
	}
	if why := a.takeBack(t); why != "" {
		return why
	}
	for _, r := range t.rows[t.fed:] {
		if why := e.step(e.states[t.state], methodAccumulate, r); why != "" {
			return why
		}
		t.last = r.t
		t.fed++
	}
	return ""
}

// start makes the state of a slot.
func (a *stateAcc) start(t *stateSlot) string {
	e := a.rt.engine
	o := e.construct()
	if failed(o) {
		return e.why()
	}
	t.state, t.live = e.keep(o), true
	return ""
}

// takeBack takes the rows that have left out of the state: panes by a state of their own,
// other rows one by one.
func (a *stateAcc) takeBack(t *stateSlot) string {
	e := a.rt.engine
	at := 0
	for _, n := range t.hops {
		hop := e.construct()
		if failed(hop) {
			return e.why()
		}
		why := e.fill(hop, t.rows[at:at+n])
		if why != "" {
			e.free(hop)
			return why
		}
		*e.arg(0) = hop
		e.beginAt(t.rows[at+n-1].t, true)
		if why := e.do(e.states[t.state], methodDeaccumulateState, 1); why != "" {
			return why
		}
		at += n
	}
	for _, r := range t.rows[at:t.gone] {
		if why := e.step(e.states[t.state], methodDeaccumulate, r); why != "" {
			return why
		}
	}
	gone := t.gone
	t.fed, t.gone, t.hops = t.fed-gone, 0, t.hops[:0]
	a.shift(t, gone)
	return ""
}

// fill starts a state with rows.
func (e *engine) fill(o js, rows []stateRow) string {
	e.beginAt(rows[0].t, true)
	if why := e.do(o, methodInit, 0); why != "" {
		return why
	}
	for _, r := range rows {
		if why := e.step(o, methodAccumulate, r); why != "" {
			return why
		}
	}
	return ""
}

// do calls a method for what it does.
func (e *engine) do(o js, method, n int) string {
	v := e.invoke(o, method, n)
	if failed(v) {
		return e.why()
	}
	e.free(v)
	return ""
}

// step gives a row to a method.
func (e *engine) step(o js, method int, r stateRow) string {
	e.allowMore()
	e.beginAt(r.t, true)
	v := e.valueToJS(r.v)
	if failed(v) {
		return e.why()
	}
	*e.arg(0) = v
	if v = e.valueToJS(vec.TimeValue(r.t)); failed(v) {
		e.freeArgs(1)
		return e.why()
	}
	*e.arg(1) = v
	return e.do(o, method, 2)
}

// cast converts a result to the declared type (saql.md 10.4).
func (s *Source) cast(v vec.Value) (vec.Value, string) {
	x, ok := fn.CastValue(v, s.Returns)
	if !ok {
		text := strings.ToValidUTF8(shorten(string(vec.AppendJSON(nil, v))), "?")
		return vec.Value{}, "the result " + text + " does not convert to " + s.Returns.String()
	}
	return x, ""
}

// Held is the number of rows in all slots.
func (a *stateAcc) Held() int { return a.held }

func (a *stateAcc) Bytes() int {
	n := cap(a.slots)*stateSlotBytes + a.texts + a.held*stateRowBytes
	if a.rt != nil {
		n += int(a.rt.engine.used())
	}
	return n
}

// Sizes of the structs.
const (
	stateSlotBytes = 128
	stateRowBytes  = 56
)
