package exec

import (
	"slices"

	"weir/internal/fn"
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

// frozenNode is the state of a node as it was.
type frozenNode struct {
	vertex
	ins []vec.Time
	op  saved
}

// Freeze copies the state of every operator: the graph may go on while the image is encoded,
// on another goroutine if need be.
func (g *Graph) Freeze() *Image {
	m := g.memory
	if g.memory = nil; m == nil {
		m = &state.Memory{}
	}
	im := &Image{counts: eager(g.Counts.save), memory: m}
	for _, v := range g.nodes {
		im.nodes = append(im.nodes, frozenNode{*v, slices.Clone(v.ins), v.op.Freeze(m)})
	}
	return im
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

// Bytes encodes the image.
func (im *Image) Bytes() []byte {
	w := state.NewWriter()
	im.counts(w)
	w.Uint(uint64(len(im.nodes)))
	for _, n := range im.nodes {
		n.saveCounts(w)
		w.Int(int64(n.mark))
		for _, t := range n.ins {
			w.Int(int64(t))
		}
		n.op.write(w)
	}
	return w.Bytes()
}

// Restore reads a snapshot of a graph of the same plan and options into a new graph. After
// an error the graph must not be used.
func (g *Graph) Restore(b []byte) error {
	r := state.NewReader(b)
	g.Counts.load(r)
	if n := r.Uint(); r.Err() == nil && n != uint64(len(g.nodes)) {
		r.Fail()
	}
	for _, v := range g.nodes {
		if r.Err() != nil {
			return r.Err()
		}
		v.loadCounts(r)
		v.mark = vec.Time(r.Int())
		for i := range v.ins {
			v.ins[i] = vec.Time(r.Int())
		}
		if err := v.op.Restore(r); err != nil {
			return err
		}
	}
	if r.Err() == nil && r.Rest() != 0 {
		r.Fail()
	}
	if r.Err() != nil {
		return r.Err()
	}
	for input, sources := range g.sources {
		for _, v := range sources {
			for _, e := range v.outs {
				if s, ok := e.to.op.(*stamp); ok {
					g.partCount[input] = max(g.partCount[input], len(s.parts))
				}
			}
		}
	}
	return nil
}

// save writes the counts, so that they go on after a restart.
func (c *Counts) save(w *state.Writer) {
	w.Int(c.Events)
	w.Int(c.PeakHeld)
	saveInts(w, c.Dropped[:])
	saveInts(w, c.Adjusted[:])
	saveInts(w, c.Notes[:])
	saveInts(w, c.Rows)
	w.Uint(uint64(len(c.Inputs)))
	for i := range c.Inputs {
		in := &c.Inputs[i]
		w.Int(in.Events)
		saveInts(w, in.Dropped[:])
		saveInts(w, in.Adjusted[:])
	}
}

func (c *Counts) load(r *state.Reader) {
	c.Events, c.PeakHeld = r.Int(), r.Int()
	loadInts(r, c.Dropped[:])
	loadInts(r, c.Adjusted[:])
	loadInts(r, c.Notes[:])
	loadInts(r, c.Rows)
	if n := r.Count(); n != len(c.Inputs) {
		r.Fail()
	}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		in.Events = r.Int()
		loadInts(r, in.Dropped[:])
		loadInts(r, in.Adjusted[:])
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
