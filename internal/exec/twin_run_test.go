package exec_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/saql"
	"weir/internal/vec"
)

var (
	twinRounds = flag.Int("twin.rounds", 3000, "rounds of TestTwin")
	twinSeed   = flag.Uint64("twin.seed", 1, "first seed of TestTwin")
)

// twinRound is a query with events, and the settings of its run.
type twinRound struct {
	q       *twinQuery
	policy  twinPolicy
	events  [][]twinEvent // per input
	arrives bool
	ways    []twinWay
}

// twinWay is a way of running a round. All randomness in it comes from the seed.
type twinWay struct {
	cut      int // rows a batch; 0: all at once, -1: random
	snapshot int // snapshot and restore after one batch of so many; 0: never
	shards   int
	measured bool // sample runs: tell the engine the disorder
	small    bool // small limits
	seed     uint64
}

func (w twinWay) String() string {
	return fmt.Sprintf("cut %d, snapshot 1 in %d, %d shards, measured %v, small %v, seed %d",
		w.cut, w.snapshot, w.shards, w.measured, w.small, w.seed)
}

func randomRound(seed uint64) *twinRound {
	r := rand.New(rand.NewPCG(seed, 7))
	rd := &twinRound{q: randomQuery(r)}
	rd.policy = twinPolicy{
		late:       pick(r, 5*vec.Second, 0, 2*vec.Second, -1),
		outOfOrder: pick(r, 0, vec.Second, 3*vec.Second, 10*vec.Second, -1),
		drop:       r.IntN(2) == 0, sample: r.IntN(3) == 0, start: base,
	}
	rd.arrives = r.IntN(3) > 0
	randomKey := randomKey
	if rd.q.table != "" { // most events must fit
		randomKey = randomText
	}
	for range rd.q.inputs {
		rd.events = append(rd.events, randomEvents(r, r.IntN(50), rd.policy, randomKey))
	}
	for range 3 {
		rd.ways = append(rd.ways, twinWay{cut: pick(r, 0, 1, 3, -1, -1), snapshot: pick(r, 0, 0, 1, 3),
			shards: pick(r, 0, 0, 1, 2, 7), measured: r.IntN(2) == 0, small: r.IntN(2) == 0, seed: r.Uint64()})
	}
	return rd
}

// TestTwin compares the engine with the twin on random queries and events, run in
// several ways.
func TestTwin(t *testing.T) {
	for i := range *twinRounds / slow {
		rd := randomRound(*twinSeed + uint64(i))
		problem := rd.check(t)
		if problem == "" {
			continue
		}
		rd.shrink(t)
		t.Fatalf("seed %d: %s\n%s", *twinSeed+uint64(i), rd.check(t), rd)
	}
}

// check runs a round in all its ways and says what is wrong, or gives "".
func (rd *twinRound) check(t *testing.T) string {
	want := rd.twin()
	p := rd.compile(t)
	for _, w := range rd.ways {
		got, err := rd.engine(p, w)
		if err != nil {
			return fmt.Sprintf("%v: %v", w, err)
		}
		if d := rd.diff(p, want, got); d != "" {
			return fmt.Sprintf("%v: %s", w, d)
		}
	}
	return ""
}

// twinOutcome is all that can be seen of a run.
type twinOutcome struct {
	rows  []twinResult
	drops []string
	moved int
}

func (rd *twinRound) twin() twinOutcome {
	var out twinOutcome
	var inputs [][]twinRow
	for i, events := range rd.events {
		rows, drops, moved := twinStamp(rd.q, rd.policy, events, rd.arrives)
		inputs = append(inputs, rows)
		out.moved += moved
		for _, d := range drops {
			out.drops = append(out.drops, fmt.Sprintf("%s %d: %s", rd.q.inputs[i], d.event, d.reason))
		}
	}
	rows := twinOrder(inputs)
	if len(inputs) == 1 && len(rd.q.blocks) == 0 && !rd.policy.sample {
		rows = inputs[0] // nobody sees the order, so the rows come as they came
	}
	out.rows = twinRun(rd.q, rows)
	slices.Sort(out.drops)
	return out
}

func (rd *twinRound) compile(t *testing.T) *plan.Plan {
	t.Helper()
	return compile(t, rd.q.text())
}

func compile(t testing.TB, query string) *plan.Plan {
	t.Helper()
	script, list := saql.Parse(query)
	if list.HasErrors() {
		t.Fatalf("%s: %v", query, list)
	}
	p, list := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() {
		t.Fatalf("%s: %v", query, list)
	}
	return p
}

func (rd *twinRound) options(w twinWay) exec.Options {
	return exec.Options{Late: rd.policy.late, OutOfOrder: rd.policy.outOfOrder, Drop: rd.policy.drop,
		Sample: rd.policy.sample, Start: rd.policy.start, Shards: w.shards}
}

// engine runs the round through the engine.
func (rd *twinRound) engine(p *plan.Plan, w twinWay) (out twinOutcome, err error) {
	if w.small {
		defer exec.SetLimits(3, 8, 64, 5)()
	}
	o := rd.options(w)
	if w.measured && o.Sample {
		m := o
		m.Measure = true
		f := newFeeder(p, rd.q.inputs, rd.events, rd.arrives, w)
		g, err := exec.Build(p, m)
		if err != nil {
			return out, err
		}
		if err := f.run(g, nil); err != nil {
			return out, err
		}
		o.Disorder = f.graph.Disorder()
	}
	f := newFeeder(p, rd.q.inputs, rd.events, rd.arrives, w)
	o.OnRows = func(_ int, b *vec.Batch) error {
		if err := b.Check(); err != nil {
			return err
		}
		for i := range b.N {
			row := twinResult{t: b.Time[i]}
			for c := range b.Cols {
				v := b.Cols[c].At(i)
				v.Str = strings.Clone(v.Str)
				row.vals = append(row.vals, v)
			}
			out.rows = append(out.rows, row)
		}
		return nil
	}
	o.OnDrop = func(input, row int, reason exec.Reason) {
		out.drops = append(out.drops, fmt.Sprintf("%s %d: %v", f.name(input), f.at[input]+row, reason))
	}
	g, err := exec.Build(p, o)
	if err != nil {
		return out, err
	}
	err = f.run(g, func() (*exec.Graph, error) {
		o := o
		o.Shards = f.r.IntN(5) // a snapshot of any number of shards goes on with any other
		return exec.Build(p, o)
	})
	slices.Sort(out.drops)
	dropped := int64(0)
	for _, n := range f.graph.Counts.Dropped {
		dropped += n
	}
	if int(dropped) != len(out.drops) {
		return out, fmt.Errorf("Counts.Dropped says %d, OnDrop was called %d times", dropped, len(out.drops))
	}
	for _, n := range f.graph.Counts.Adjusted {
		out.moved += int(n)
	}
	return out, err
}

// feeder feeds events to a graph, in batches, and interrupts it.
type feeder struct {
	plan   *plan.Plan
	w      twinWay
	r      *rand.Rand
	events [][]twinEvent // per input of the plan
	names  []string
	at     []int // where the batch at hand begins
	next   []int
	closed []bool
	arrive bool
	dicts  map[[2]int]*vec.Dict
	memory map[[2]int]*vec.Vec // columns are used again, as decoders do
	graph  *exec.Graph
}

func newFeeder(p *plan.Plan, names []string, events [][]twinEvent, arrive bool, w twinWay) *feeder {
	f := &feeder{plan: p, w: w, r: rand.New(rand.NewPCG(w.seed, 1)), names: names, arrive: arrive,
		dicts: map[[2]int]*vec.Dict{}, memory: map[[2]int]*vec.Vec{}, at: make([]int, len(p.Inputs)), next: make([]int, len(p.Inputs)), closed: make([]bool, len(p.Inputs))}
	for _, in := range p.Inputs {
		f.events = append(f.events, events[slices.Index(names, in.Name)])
	}
	return f
}

func (f *feeder) name(input int) string { return f.plan.Inputs[input].Name }

// run feeds all. The inputs take turns at random: the rows must not depend on that.
func (f *feeder) run(g *exec.Graph, again func() (*exec.Graph, error)) error {
	f.graph = g
	for slices.Contains(f.closed, false) {
		i := f.r.IntN(len(f.closed))
		if f.closed[i] {
			continue
		}
		left := len(f.events[i]) - f.next[i]
		if left == 0 {
			f.closed[i] = true
			if err := f.graph.Close(i); err != nil {
				return err
			}
			continue
		}
		n := f.w.cut
		switch {
		case n == 0:
			n = left
		case n < 0:
			n = 1 + f.r.IntN(10)
		}
		f.at[i] = f.next[i]
		f.next[i] += min(n, left)
		b := f.batch(i, f.events[i][f.at[i]:f.next[i]])
		if err := f.graph.Push(i, b); err != nil {
			return err
		}
		scribble(b)
		if again == nil || f.w.snapshot == 0 || f.r.IntN(f.w.snapshot) > 0 {
			continue
		}
		if err := f.reload(again); err != nil {
			return err
		}
	}
	return nil
}

// reload goes on in a new graph.
func (f *feeder) reload(again func() (*exec.Graph, error)) error {
	snap := slices.Clone(f.graph.Snapshot())
	g, err := again()
	if err != nil {
		return err
	}
	if f.r.IntN(3) > 0 {
		err = g.Restore(snap)
	} else {
		var report exec.Reloaded
		if report, err = g.RestoreKept(snap); err == nil && len(report.New)+len(report.Dropped) > 0 {
			err = fmt.Errorf("the same plan keeps %q, begins %q and drops %q", report.Kept, report.New, report.Dropped)
		}
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	f.graph = g
	return nil
}

// batch makes the columns that the plan asks for, in a form that changes from batch to
// batch: plain strings or codes, with and without tags.
func (f *feeder) batch(input int, events []twinEvent) *vec.Batch {
	b := &vec.Batch{N: len(events)}
	for c, field := range f.plan.Inputs[input].Fields {
		v := f.memory[[2]int{input, c}]
		if v == nil {
			v = &vec.Vec{}
			f.memory[[2]int{input, c}] = v
		}
		v.Reset()
		for _, e := range events {
			v.Append(fieldOf(e, field))
		}
		if f.r.IntN(4) == 0 {
			v.Untype()
		}
		b.Cols = append(b.Cols, *v)
		if f.r.IntN(2) == 0 {
			encode(&b.Cols[c], f.dict(input, c))
		}
	}
	if f.arrive {
		for _, e := range events {
			b.Arrival = append(b.Arrival, e.arrival)
		}
	}
	return b
}

// fieldOf is what a decoder gives for a field of an event.
func fieldOf(e twinEvent, field vec.Field) vec.Value {
	if len(field.Path) == 0 {
		return wholeEvent(e)
	}
	v, ok := e.cols[field.Path[0]]
	for name, x := range e.cols {
		if !ok && strings.EqualFold(name, field.Path[0]) {
			v = x
		}
	}
	for _, name := range field.Path[1:] {
		if v.Kind != vec.Record {
			return vec.Value{}
		}
		v, _ = v.Rec.Get(name)
	}
	v.Str = strings.Clone(v.Str)
	if field.Want == vec.AsDatetime && v.Kind == vec.String {
		t, ok := vec.ParseTime(v.Str)
		if !ok {
			return vec.NullValue()
		}
		return vec.TimeValue(t)
	}
	return v
}

// dict is one of the two dictionaries of a column, as if two workers decoded it.
func (f *feeder) dict(input, col int) *vec.Dict {
	key := [2]int{input<<8 | col, f.r.IntN(2)}
	if f.dicts[key] == nil {
		f.dicts[key] = &vec.Dict{}
	}
	return f.dicts[key]
}

// encode gives the strings of v codes.
func encode(v *vec.Vec, d *vec.Dict) {
	if len(v.Str) == 0 {
		return
	}
	v.Code = make([]uint32, v.N)
	for i := range v.N {
		if v.KindAt(i) != vec.String {
			continue
		}
		at := slices.Index(d.Vals, v.Str[i])
		if at < 0 {
			at = len(d.Vals)
			d.Vals = append(d.Vals, v.Str[i])
		}
		v.Code[i] = uint32(at)
	}
	v.Dict, v.Str = d, nil
}

// scribble spoils a batch that has been pushed: whoever kept a part of it shows.
func scribble(b *vec.Batch) {
	for i := range b.Arrival {
		b.Arrival[i] = -1
	}
	for c := range b.Cols {
		v := &b.Cols[c]
		for i := range v.Tag {
			v.Tag[i] = vec.Array
		}
		for i := range v.Int {
			v.Int[i] = -99
		}
		for i := range v.Float {
			v.Float[i] = math.NaN()
		}
		for i := range v.Str {
			v.Str[i] = "scribbled"
		}
		for i := range v.Code {
			v.Code[i] = 1 << 30
		}
		for i := range v.Rec {
			v.Rec[i] = nil
		}
	}
}

// diff says how what the engine did differs from what the twin says.
func (rd *twinRound) diff(p *plan.Plan, want, got twinOutcome) string {
	if !slices.Equal(want.drops, got.drops) {
		return fmt.Sprintf("drops are\n  %s\nwant\n  %s", strings.Join(got.drops, "\n  "), strings.Join(want.drops, "\n  "))
	}
	if want.moved != got.moved {
		return fmt.Sprintf("%d events adjusted, want %d", got.moved, want.moved)
	}
	a, b := rowTexts(got.rows), rowTexts(want.rows)
	if len(rd.q.inputs) > 1 && len(rd.q.blocks) == 0 && !rd.policy.sample {
		slices.Sort(a) // a continuous projection of several inputs promises no order
		slices.Sort(b)
	}
	if slices.Equal(a, b) {
		return ""
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	return fmt.Sprintf("%v: after %d rows come\n  %s\nwant\n  %s", rd.q.output(), same, strings.Join(a[same:], "\n  "), strings.Join(b[same:], "\n  "))
}

func rowTexts(rows []twinResult) []string {
	var out []string
	for _, r := range rows {
		var b strings.Builder
		b.WriteString(r.t.String())
		for _, v := range r.vals {
			b.WriteString(" | ")
			b.WriteString(valueText(v))
		}
		out = append(out, b.String())
	}
	return out
}

// valueText shows a value and its kind. Floats show 12 digits: the twin's STDEV rounds twice.
func valueText(v vec.Value) string {
	switch v.Kind {
	case vec.String:
		return strconv.Quote(v.Str)
	case vec.Datetime:
		return vec.Time(v.Int).String()
	case vec.Float:
		return "float " + strconv.FormatFloat(v.Float, 'g', 12, 64)
	case vec.Int, vec.Bit:
		return fmt.Sprintf("%v %d", v.Kind, v.Int)
	case vec.Record, vec.Array:
		var parts []string
		for i, x := range v.Rec.Vals {
			text := valueText(x)
			if v.Kind == vec.Record {
				text = v.Rec.Names[i] + ": " + text
			}
			parts = append(parts, text)
		}
		return v.Kind.String() + " [" + strings.Join(parts, ", ") + "]"
	}
	return v.Kind.String()
}

// shrink leaves out events and ways as long as the round still fails.
func (rd *twinRound) shrink(t *testing.T) {
	fails := func() bool { return rd.check(t) != "" }
	for _, w := range rd.ways {
		all := rd.ways
		if rd.ways = []twinWay{w}; fails() {
			break
		}
		rd.ways = all
	}
	for again := true; again; {
		again = false
		for i := range rd.events {
			for k := len(rd.events[i]) - 1; k >= 0; k-- {
				all := rd.events[i]
				rd.events[i] = slices.Delete(slices.Clone(all), k, k+1)
				if fails() {
					again = true
				} else {
					rd.events[i] = all
				}
			}
		}
	}
}

// String shows the round as a conformance case would.
func (rd *twinRound) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "query: %s\npolicies: late %d s, out of order %d s, drop %v, sample %v\n", rd.q.text(),
		int(rd.policy.late/vec.Second), int(rd.policy.outOfOrder/vec.Second), rd.policy.drop, rd.policy.sample)
	for i, name := range rd.q.inputs {
		fmt.Fprintf(&b, "input %s:\n", name)
		for _, e := range rd.events[i] {
			b.WriteString("  {")
			for _, c := range []string{"at", "k", "g", "v"} {
				if v := e.cols[c]; v.Kind != vec.Missing {
					fmt.Fprintf(&b, "%s: %s, ", c, valueText(v))
				}
			}
			b.WriteString("}")
			if rd.arrives {
				fmt.Fprintf(&b, " arrives %v", e.arrival)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
