package exec

import (
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

// Snapshot writes the state of every operator.
func (g *Graph) Snapshot() []byte {
	w := state.NewWriter()
	w.Uint(uint64(len(g.nodes)))
	for _, v := range g.nodes {
		w.Int(int64(v.mark))
		for _, t := range v.ins {
			w.Int(int64(t))
		}
		v.op.Snapshot(w)
	}
	return w.Bytes()
}

// Restore reads a snapshot of a graph of the same plan and options into a new graph. After
// an error the graph must not be used.
func (g *Graph) Restore(b []byte) error {
	r := state.NewReader(b)
	if n := r.Uint(); r.Err() == nil && n != uint64(len(g.nodes)) {
		r.Fail()
	}
	for _, v := range g.nodes {
		if r.Err() != nil {
			return r.Err()
		}
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
	return r.Err()
}
