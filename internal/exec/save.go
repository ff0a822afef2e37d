package exec

import (
	"weir/internal/state"
	"weir/internal/vec"
)

// maxDepth bounds the nesting of a value in a snapshot, as in events (saql.md 14.1).
const maxDepth = 256

func saveValue(w *state.Writer, v vec.Value) {
	w.Uint(uint64(v.Kind))
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		w.Int(v.Int)
	case vec.Float:
		w.Float(v.Float)
	case vec.String:
		w.String(v.Str)
	case vec.Record, vec.Array:
		w.Uint(uint64(len(v.Rec.Vals)))
		for i, x := range v.Rec.Vals {
			if v.Kind == vec.Record {
				w.String(v.Rec.Names[i])
			}
			saveValue(w, x)
		}
	}
}

func loadValue(r *state.Reader) vec.Value { return loadNested(r, 0) }

func loadNested(r *state.Reader, depth int) vec.Value {
	v := vec.Value{Kind: vec.Kind(min(r.Uint(), 255))}
	if v.Kind >= vec.NumKinds || depth > maxDepth {
		r.Fail()
		return vec.NullValue()
	}
	switch v.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		v.Int = r.Int()
	case vec.Float:
		v.Float = r.Float()
	case vec.String:
		v.Str = r.String()
	case vec.Record, vec.Array:
		v.Rec = &vec.Rec{}
		for range r.Count() {
			if v.Kind == vec.Record {
				v.Rec.Names = append(v.Rec.Names, r.String())
			}
			v.Rec.Vals = append(v.Rec.Vals, loadNested(r, depth+1))
			if r.Err() != nil {
				return vec.NullValue()
			}
		}
	}
	return v
}

// loadColumn reads a value of a column of static type t. Where that is text for certain,
// aggregates and functions rely on it.
func loadColumn(r *state.Reader, t vec.Kinds) vec.Value {
	v := loadValue(r)
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
