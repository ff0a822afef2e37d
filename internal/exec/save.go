package exec

import (
	"errors"
	"slices"
	"strings"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// loadColumn reads a value of a column of static type t. Where that is text for certain,
// aggregates and functions rely on it.
func loadColumn(r *state.Reader, t vec.Kinds) vec.Value {
	v := fn.LoadValue(r)
	if t.NotNull() == vec.KindsOf(vec.String) && v.Kind != vec.String && !v.Kind.IsNull() {
		r.Fail()
	}
	return v
}

// Snapshot is the state of every operator.
func (g *Graph) Snapshot() []byte {
	im := g.Freeze()
	defer g.Release(im)
	return im.Bytes()
}

// Image is the state of a graph as it was when it was frozen.
type Image struct {
	counts saved
	nodes  []frozenNode
	memory *state.Memory
}

// frozenNode is the state of a node as it was, and what it is.
type frozenNode struct {
	vertex
	ins  []vec.Time
	id   string     // plan.Identities
	kept [][]string // the columns of its rows
	step string
	kind string
	op   saved
}

// Freeze copies the state of every operator: the graph may go on while the image is encoded,
// on another goroutine if need be.
func (g *Graph) Freeze() *Image {
	m := g.memory
	if g.memory = nil; m == nil {
		m = &state.Memory{}
	}
	ids := g.identities()
	im := &Image{counts: g.freezeCounts(), memory: m}
	for _, v := range g.nodes {
		n := frozenNode{vertex: *v, ins: slices.Clone(v.ins), id: ids.Node[v.node.ID], kept: ids.Kept[v.node.ID], op: v.op.Freeze(m)}
		if v.node.Stateful() {
			n.step, n.kind = g.plan.StepOf(v.node), v.node.Kind()
		}
		im.nodes = append(im.nodes, n)
	}
	return im
}

// identities names the nodes of the plan, once.
func (g *Graph) identities() *plan.Identities {
	if g.ids == nil {
		g.ids = g.plan.Identities()
	}
	return g.ids
}

// Release takes the memory of an image back for the next one. The graph's own goroutine calls
// it, once nobody needs the image any more; without it the next Freeze takes new memory, and
// longer for it.
func (g *Graph) Release(im *Image) {
	if im.memory != nil {
		im.memory.Again()
		g.memory, im.memory, im.nodes = im.memory, nil, nil
	}
}

// Bytes encodes the image: after the version the counts, then a section per node.
func (im *Image) Bytes() []byte {
	w := state.NewWriter()
	im.counts(w)
	w.Uint(uint64(len(im.nodes)))
	for i := range im.nodes {
		part := state.Part()
		im.nodes[i].write(part)
		w.Section(part.Bytes())
	}
	return w.Bytes()
}

// write writes what the node is, then its state.
func (n *frozenNode) write(w *state.Writer) {
	w.String(n.id)
	w.String(n.kind)
	w.String(n.step)
	w.Uint(uint64(len(n.kept)))
	for _, cols := range n.kept {
		w.Uint(uint64(len(cols)))
		for _, c := range cols {
			w.String(c)
		}
	}
	n.saveCounts(w)
	w.Int(int64(n.mark))
	w.Uint(uint64(len(n.ins)))
	for _, t := range n.ins {
		w.Int(int64(t))
	}
	n.op.write(w)
}

// section is a node in an image that is being read. rest is at its counts.
type section struct {
	id, kind, step string
	kept           [][]string
	rest           *state.Reader
}

func readSection(r *state.Reader) section {
	part := r.Section()
	s := section{id: part.String(), kind: part.String(), step: part.String(), rest: part}
	for range part.Count() {
		cols := []string{}
		for range part.Count() {
			cols = append(cols, part.String())
		}
		s.kept = append(s.kept, cols)
		if part.Err() != nil {
			break
		}
	}
	if part.Err() != nil {
		r.Fail()
	}
	return s
}

// ErrOtherPlan is the error of a snapshot that another plan has made.
var ErrOtherPlan = errors.New("exec: the snapshot is of another query")

// Restore reads a snapshot of a graph of the same plan into a new graph. The numbers of shards
// may differ. After an error the graph must not be used.
func (g *Graph) Restore(b []byte) error {
	r := state.NewReader(b)
	g.loadCounts(r)
	n := r.Count()
	if r.Err() != nil {
		return r.Err()
	}
	if n != len(g.nodes) {
		return ErrOtherPlan
	}
	ids := g.identities()
	for _, v := range g.nodes {
		s := readSection(r)
		switch {
		case r.Err() != nil:
			return r.Err()
		case s.id != ids.Node[v.node.ID] || !plan.CanKeep(s.kept, ids.Kept[v.node.ID]):
			return ErrOtherPlan
		}
		if err := g.restoreNode(v, &s); err != nil {
			return err
		}
	}
	g.countPartitions()
	return r.Done()
}

// restoreNode reads the state of a node.
func (g *Graph) restoreNode(v *vertex, s *section) error {
	r := s.rest
	v.loadCounts(r)
	v.mark = vec.Time(r.Int())
	if r.Count() != len(v.ins) {
		r.Fail()
	}
	for i := range v.ins {
		v.ins[i] = vec.Time(r.Int())
	}
	if k, ok := v.op.(rowKeeper); ok {
		for port, cols := range s.kept {
			k.keptOf(port).from = columnsOf(cols, g.identities().Kept[v.node.ID][port], k.keptOf(port).live)
		}
	}
	if err := v.op.Restore(r); err != nil {
		return err
	}
	return r.Done()
}

// rowKeeper is an operator that keeps rows of its ports.
type rowKeeper interface{ keptOf(port int) *keptRows }

func (o *order) keptOf(int) *keptRows     { return &o.keptRows }
func (o *top) keptOf(int) *keptRows       { return &o.keptRows }
func (o *join) keptOf(port int) *keptRows { return &o.sides[port].keptRows }

// columnsOf finds the columns was of saved rows among those of live, which are named is; -1
// where nobody wants one. nil means that they are the same.
func columnsOf(was, is []string, live []bool) []int {
	if slices.Equal(was, is) {
		return nil
	}
	var at []int // of the kept columns
	for c, kept := range live {
		if kept {
			at = append(at, c)
		}
	}
	from := make([]int, len(was))
	taken := make([]bool, len(is))
	for i, name := range was {
		from[i] = -1
		for k, want := range is {
			if want == name && !taken[k] {
				from[i], taken[k] = at[k], true
				break
			}
		}
	}
	return from
}

// countPartitions takes over how many partitions the restored timelines have.
func (g *Graph) countPartitions() {
	for input, sources := range g.sources {
		for _, v := range sources {
			for _, e := range v.outs {
				if s, ok := e.to.op.(*stamp); ok {
					g.partCount[input] = max(g.partCount[input], len(s.parts))
				}
			}
		}
	}
	for input, sources := range g.sources { // all timelines of an input have as many
		for _, v := range sources {
			for _, e := range v.outs {
				s, ok := e.to.op.(*stamp)
				for ok && len(s.parts) < g.partCount[input] {
					s.addPartition(g.firstClock(), s.low)
				}
			}
		}
	}
}

// freezeCounts copies the counts, so that they go on after a restart. They have the names of
// outputs and inputs, by which another plan finds its own.
func (g *Graph) freezeCounts() saved {
	return eager(func(w *state.Writer) {
		c := &g.Counts
		w.Int(c.Events)
		w.Int(c.PeakHeld)
		saveInts(w, c.Dropped[:])
		saveInts(w, c.Adjusted[:])
		saveInts(w, c.Notes[:])
		w.Uint(uint64(len(c.Rows)))
		for i, n := range c.Rows {
			w.String(strings.ToLower(g.plan.Outputs[i].Name))
			w.Int(n)
		}
		w.Uint(uint64(len(c.Inputs)))
		for i := range c.Inputs {
			in := &c.Inputs[i]
			w.String(strings.ToLower(g.plan.Inputs[i].Name))
			w.Int(in.Events)
			saveInts(w, in.Dropped[:])
			saveInts(w, in.Adjusted[:])
		}
	})
}

func (g *Graph) loadCounts(r *state.Reader) {
	c := &g.Counts
	c.Events, c.PeakHeld = r.Int(), r.Int()
	loadInts(r, c.Dropped[:])
	loadInts(r, c.Adjusted[:])
	loadInts(r, c.Notes[:])
	for range r.Count() {
		name, n := r.String(), r.Int()
		if i := slices.IndexFunc(g.plan.Outputs, func(o plan.Output) bool { return strings.ToLower(o.Name) == name }); i >= 0 {
			c.Rows[i] = n
		}
		if r.Err() != nil {
			return
		}
	}
	for range r.Count() {
		name := r.String()
		in := InputCounts{Events: r.Int()}
		loadInts(r, in.Dropped[:])
		loadInts(r, in.Adjusted[:])
		if i := slices.IndexFunc(g.plan.Inputs, func(x plan.Input) bool { return strings.ToLower(x.Name) == name }); i >= 0 {
			c.Inputs[i] = in
		}
		if r.Err() != nil {
			return
		}
	}
}

func (v *vertex) saveCounts(w *state.Writer) {
	w.Int(v.in)
	w.Int(v.out)
	saveInts(w, v.dropped[:])
}

func (v *vertex) loadCounts(r *state.Reader) {
	v.in, v.out = r.Int(), r.Int()
	loadInts(r, v.dropped[:])
}

func saveInts(w *state.Writer, list []int64) {
	w.Uint(uint64(len(list)))
	for _, x := range list {
		w.Int(x)
	}
}

// loadInts reads as many numbers as list has.
func loadInts(r *state.Reader, list []int64) {
	if n := r.Count(); n != len(list) {
		r.Fail()
	}
	for i := range list {
		list[i] = r.Int()
	}
}
