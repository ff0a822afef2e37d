package exec

import (
	"fmt"
	"slices"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// Options are the settings of a run that change rows or times.
type Options struct {
	// Late and OutOfOrder are the tolerances of saql.md 4.3, in ticks; negative means no
	// limit. Drop is the action for late and out-of-order events; else they are adjusted.
	Late       vec.Time
	OutOfOrder vec.Time
	Drop       bool
	// Sample switches the policies off: rows keep their application time and come out in
	// its order (saql.md 4.10). Disorder then says, per Stamp node in the order of the plan,
	// how far back an event may lie behind the newest one before it; without it nothing is
	// released before the end of the input.
	Sample   bool
	Disorder []vec.Time
	// Measure builds no more than what reads the times of the input: after all events,
	// Graph.Disorder is what Disorder should be.
	Measure bool
	// Start is T of events that have neither TIMESTAMP BY nor an arrival time.
	Start vec.Time
	// Partitions, if set, is how many partitions each input has; 0 means 1. The partitions of
	// such a run take Start as their last arrival until they have an event (saql.md 4.4): a job
	// that reads what was kept from earlier sets it to where reading begins.
	Partitions []int
	// Nanos, if set, is a clock that NodeStats.BusyNanos is measured with. Nothing else depends
	// on it.
	Nanos func() int64
	// Text tells of each input, as far as it goes, that its values are text of a CSV file: a
	// CREATE TABLE then reads them as what it declares.
	Text []bool
	// DropErrors drops the row of a query error instead of ending the run.
	DropErrors bool
	// Shards splits every grouping with keys; 0 and 1 mean one shard.
	Shards int
	// MaxHeld bounds the rows and groups that wait for their time in all operators; 0 is
	// DefaultMaxHeld. Beyond it Push gives a *HeldError.
	MaxHeld int64
	// OnRows takes the rows of an output. The batch is valid until it returns.
	OnRows func(output int, b *vec.Batch) error
	// OnDrop is told of every event that a policy or an error drops: the input, the row of
	// the batch pushed for it, and the reason. It may be nil.
	OnDrop func(input, row int, reason Reason)
	// OnMove is told of every event that a time policy moves or drops, beside OnDrop. It may
	// be nil.
	OnMove func(m Move)
	// OnQueryError is told of every row that DropErrors drops: what failed, and the row as the
	// failing operator saw it, as a JSON object of the columns that have a name and that the
	// query reads. Where the result of a group failed, the columns are its keys. Row is valid
	// until the call returns. It may be nil.
	OnQueryError func(e *QueryError, row []byte)
}

// Reason says why an event or row was dropped, or that it was moved.
type Reason uint8

// The reasons, with the names of saql.md 13.4.
const (
	Late           Reason = iota // LateInputEvent
	Early                        // EarlyInputEvent
	OutOfOrder                   // OutOfOrderEvent
	NoTime                       // InvalidInputTimeStamp
	NoKey                        // InvalidInputTimeStampKey
	TypeConversion               // InputDeserializerError.TypeConversionError
	QueryFailed                  // query error, dropped by policy
	NumReasons
)

// String is the original's name of the reason.
func (r Reason) String() string {
	return [...]string{"LateInputEvent", "EarlyInputEvent", "OutOfOrderEvent", "InvalidInputTimeStamp",
		"InvalidInputTimeStampKey", "InputDeserializerError.TypeConversionError", "QueryError"}[r]
}

// Counts are what a run has seen. Dropped counts by reason; Adjusted counts late and
// out-of-order events that were moved.
type Counts struct {
	Events   int64
	Dropped  [NumReasons]int64
	Adjusted [NumReasons]int64
	Rows     []int64            // per output
	PeakHeld int64              // most rows and groups that waited at a time, as far as counted
	Notes    [fn.NumNotes]int64 // what functions have counted
	Inputs   []InputCounts      // per input
}

// InputCounts are what a run has seen of an input. An input that several timelines read
// counts a drop or move in each.
type InputCounts struct {
	Events   int64
	Dropped  [NumReasons]int64 // query errors belong to no input
	Adjusted [NumReasons]int64
}

// Graph is a running plan. One goroutine uses it.
type Graph struct {
	plan    *plan.Plan
	opts    Options
	nodes   []*vertex
	sources [][]*vertex // per input: its source nodes
	rows    [][]int32   // per input: where its rows stood in the batch at hand; nil: where they stand
	Counts  Counts
	pushes  int // batches so far
	passed  int // rows passed on since the last count of what is held
	live    map[*plan.Node][]bool
	stamps  int              // Stamp nodes so far
	ids     *plan.Identities // once they are asked for
	memory  *state.Memory    // for the next image; nil: none is free
	// partition is where the rows at hand come from.
	partition int
	partCount []int   // per input: its partitions
	at        *vertex // that works now; nil outside
	since     int64   // what Options.Nanos said when it began to
	// loose are the Order nodes that let rows through as they come, and leaves what they need
	// for that (concats). In reference data there are none.
	loose  map[*plan.Node]bool
	leaves map[*plan.Node]int

	references []*refInput // per input
	uses       int64       // counts what look-ups ask for, so that what was not asked for long is known
	// inReference says that the graph computes reference data (reference.go).
	inReference bool
}

// vertex is a node with its operator and its consumers.
type vertex struct {
	node *plan.Node
	op   Operator
	outs []edge
	ins  []vec.Time // watermark of each port
	mark vec.Time   // watermark passed on
	emit Emit

	in, out int64 // rows
	dropped [NumReasons]int64
	busy    int64 // nanoseconds, of its own
	tap     func(b *vec.Batch)
	labels  []string // names of the columns of its input, once they are asked for
}

type edge struct {
	to   *vertex
	port int
}

// clocked is an operator that makes watermarks of its own from the rows it sees.
type clocked interface{ Watermark() vec.Time }

// Build makes a graph from a plan.
func Build(p *plan.Plan, o Options) (*Graph, error) {
	g := &Graph{plan: p, opts: o, live: plan.LiveColumns(p), references: make([]*refInput, len(p.Inputs)),
		sources: make([][]*vertex, len(p.Inputs)), rows: make([][]int32, len(p.Inputs))}
	g.Counts.Rows = make([]int64, len(p.Outputs))
	g.Counts.Inputs = make([]InputCounts, len(p.Inputs))
	for i := range p.Inputs {
		n := 1
		if i < len(o.Partitions) {
			n = max(n, o.Partitions[i])
		}
		if n > MaxPartitions {
			return nil, fmt.Errorf("exec: input %q has %d partitions, more than %d", p.Inputs[i].Name, n, MaxPartitions)
		}
		g.partCount = append(g.partCount, n)
	}
	g.loose, g.leaves = concats(p, o.Sample)
	for i := range p.Inputs {
		g.references[i] = &refInput{}
	}
	reference := isReference(p)
	var nodes []*plan.Node
	for _, n := range p.Nodes {
		if !reference[n] {
			nodes = append(nodes, n)
		}
	}
	return g, g.add(nodes)
}

// add makes the operators of nodes and connects them.
func (g *Graph) add(nodes []*plan.Node) error {
	byNode := map[*plan.Node]*vertex{}
	for _, n := range nodes {
		v := &vertex{node: n, mark: vec.MinTime}
		op, err := g.operator(n)
		if err != nil {
			return err
		}
		v.op = op
		if src, ok := n.Op.(*plan.Source); ok {
			g.sources[src.Input] = append(g.sources[src.Input], v)
		}
		ports := n.In
		if _, ok := n.Op.(*plan.Lookup); ok {
			ports = n.In[:1] // the other one does not move time
		}
		v.ins = make([]vec.Time, max(len(ports), 1))
		for i := range v.ins {
			v.ins[i] = vec.MinTime
		}
		for port, in := range ports {
			from := byNode[in]
			if from == nil {
				return fmt.Errorf("exec: node %d reads reference data, which is no stream", n.ID)
			}
			if _, ok := in.Op.(*plan.Stamp); ok && g.opts.Measure {
				continue
			}
			from.outs = append(from.outs, edge{v, port})
		}
		if o, ok := op.(*order); ok {
			for _, in := range ports {
				o.stamps = append(o.stamps, stampsBelow(in, byNode)...)
			}
		}
		v.emit = func(b *vec.Batch) error { return g.emit(v, b) }
		byNode[n] = v
		g.nodes = append(g.nodes, v)
	}
	return nil
}

// operator makes the operator of a node.
func (g *Graph) operator(n *plan.Node) (Operator, error) {
	o, live := &g.opts, g.live[n]
	switch op := n.Op.(type) {
	case *plan.Source:
		if g.inReference {
			return &source{g: g, input: op.Input}, nil // ReferenceRows has seen to the types
		}
		return newSource(g, op.Input, g.plan.Inputs[op.Input]), nil
	case *plan.Stamp:
		s := newStamp(g, n, op, live)
		if o.Sample {
			s.tolerance = -1
			if g.stamps < len(o.Disorder) {
				s.tolerance = o.Disorder[g.stamps]
			}
		}
		g.stamps++
		return s, nil
	case *plan.Filter:
		return newFilter(g, op, live), nil
	case *plan.Project:
		return newProject(g, op), nil
	case *plan.Order:
		if g.loose[n] {
			return newConcat(n, g.leaves), nil
		}
		return newOrder(len(n.In), live, n.Cols), nil
	case *plan.Group:
		return newGrouping(g, n, op)
	case *plan.Join:
		return newJoin(g, n, op, live), nil
	case *plan.Lookup:
		return newLookup(g, n, op, live), nil
	case *plan.Apply:
		return newApply(g, n, op, live), nil
	case *plan.Top:
		return newTop(n, op, live), nil
	case *plan.History:
		return newHistory(g, n, op, live), nil
	case *plan.Match:
		return newMatch(g, n, op), nil
	case *plan.Write:
		return &write{g: g, output: op.Output}, nil
	}
	return nil, fmt.Errorf("exec: node %d has no operator", n.ID)
}

func (g *Graph) emit(v *vertex, b *vec.Batch) error {
	if b.N == 0 {
		return nil
	}
	v.out += int64(b.N)
	if v.tap != nil {
		v.tap(b)
	}
	for _, e := range v.outs {
		if err := g.push(e.to, e.port, b); err != nil {
			return err
		}
		if c, ok := e.to.op.(clocked); ok {
			if err := g.advance(e.to, c.Watermark()); err != nil {
				return err
			}
		}
	}
	return g.checkPassed(b.N)
}

// push gives a batch to a node.
func (g *Graph) push(v *vertex, port int, b *vec.Batch) error {
	v.in += int64(b.N)
	was := g.enter(v)
	err := v.op.Push(port, b, v.emit)
	g.enter(was)
	return err
}

// advance passes the watermark t of vertex v to its consumers.
func (g *Graph) advance(v *vertex, t vec.Time) error {
	if t <= v.mark {
		return nil
	}
	v.mark = t
	for _, e := range v.outs {
		to := e.to
		if t <= to.ins[e.port] {
			continue
		}
		to.ins[e.port] = t
		was := g.enter(to)
		err := to.op.Advance(e.port, t, to.emit)
		g.enter(was)
		if err != nil {
			return err
		}
		if err := g.advance(to, slices.Min(to.ins)); err != nil {
			return err
		}
	}
	return nil
}

// Disorder tells, per Stamp node in the order of the plan, how far back an event lay
// behind the newest one before it.
func (g *Graph) Disorder() []vec.Time {
	var out []vec.Time
	for _, v := range g.nodes {
		if s, ok := v.op.(*stamp); ok {
			out = append(out, s.behind)
		}
	}
	return out
}

// write hands rows to the output.
type write struct {
	g      *Graph
	output int
}

func (w *write) Push(_ int, b *vec.Batch, _ Emit) error {
	w.g.Counts.Rows[w.output] += int64(b.N)
	if w.g.opts.OnRows == nil {
		return nil
	}
	return w.g.opts.OnRows(w.output, b)
}

func (w *write) Advance(int, vec.Time, Emit) error { return nil }

// TimeColumns tells for each input which of its fields the timestamps of events depend on.
func TimeColumns(p *plan.Plan) [][]bool {
	need := make([][]bool, len(p.Inputs))
	for i, in := range p.Inputs {
		need[i] = make([]bool, len(in.Fields))
	}
	for _, n := range p.Nodes {
		op, ok := n.Op.(*plan.Stamp)
		if !ok {
			continue
		}
		src := n.In[0].Op.(*plan.Source)
		plan.MarkExpr(op.By, need[src.Input])
		for _, e := range op.Over {
			plan.MarkExpr(e, need[src.Input])
		}
	}
	return need
}

// UsedColumns tells for each input which of its fields the plan reads. All fields of a
// CREATE TABLE count: their types are enforced.
func UsedColumns(p *plan.Plan) [][]bool {
	used := make([][]bool, len(p.Inputs))
	for i, in := range p.Inputs {
		used[i] = make([]bool, len(in.Fields))
		for c := range used[i] {
			used[i][c] = len(in.Table) > 0
		}
	}
	live := plan.LiveColumns(p)
	for _, n := range p.Nodes {
		if src, ok := n.Op.(*plan.Source); ok {
			for c, l := range live[n] {
				used[src.Input][c] = used[src.Input][c] || l
			}
		}
	}
	return used
}
