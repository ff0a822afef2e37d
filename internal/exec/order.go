package exec

import (
	"slices"

	"weir/internal/state"
	"weir/internal/vec"
)

// order merges its inputs by (T, input, arrival). Rows wait until no earlier one can come
// (saql.md 4.3 step 4).
type order struct {
	live    []bool
	ports   []vec.Time // watermark of each
	chunks  []*chunk
	waiting []waiting
	due     []waiting
	seq     int64
	pool    []*chunk
	out     vec.Batch
}

// chunk is a copy of a batch whose rows wait. It is freed when the last one is gone.
type chunk struct {
	b     vec.Batch
	arena vec.Arena
	left  int
	id    int
}

// waiting is a row: its time, its place among rows of equal time, and where it is.
type waiting struct {
	t     vec.Time
	port  int32
	row   int32
	seq   int64
	chunk *chunk
}

func (a *waiting) compare(b *waiting) int {
	switch {
	case a.t != b.t:
		if a.t < b.t {
			return -1
		}
		return 1
	case a.port != b.port:
		return int(a.port - b.port)
	case a.seq < b.seq:
		return -1
	}
	return 1
}

func newOrder(ports int, live []bool) *order {
	o := &order{live: live, ports: make([]vec.Time, ports)}
	for i := range o.ports {
		o.ports[i] = vec.MinTime
	}
	return o
}

func (o *order) Push(port int, b *vec.Batch, emit Emit) error {
	c := o.newChunk(len(b.Cols))
	for i, live := range o.live {
		if live {
			c.b.Cols[i].AppendRows(&b.Cols[i], nil, &c.arena)
		}
	}
	c.left = b.N
	for i, t := range b.Time[:b.N] {
		o.waiting = append(o.waiting, waiting{t, int32(port), int32(i), o.seq, c})
		o.seq++
	}
	return nil
}

func (o *order) newChunk(cols int) *chunk {
	if n := len(o.pool); n > 0 {
		c := o.pool[n-1]
		o.pool = o.pool[:n-1]
		for i := range c.b.Cols {
			c.b.Cols[i].Reset()
		}
		c.arena.Reset()
		return c
	}
	return &chunk{b: vec.Batch{Cols: make([]vec.Vec, cols)}}
}

func (o *order) Advance(port int, t vec.Time, emit Emit) error {
	o.ports[port] = t
	low := o.ports[0]
	for _, p := range o.ports[1:] {
		low = min(low, p)
	}
	if low == vec.MinTime {
		return nil // an input has not begun
	}
	// With one input a row at the watermark may go: later rows of that time come after it.
	// With several, an input of smaller number may still bring one.
	limit := low
	if len(o.ports) > 1 && low != vec.MaxTime {
		limit--
	}
	o.due = o.due[:0]
	rest := o.waiting[:0]
	for _, w := range o.waiting {
		if w.t <= limit {
			o.due = append(o.due, w)
		} else {
			rest = append(rest, w)
		}
	}
	o.waiting = rest
	sortWaiting(o.due)
	for from := 0; from < len(o.due); from += limits.results {
		if err := o.release(o.due[from:min(from+limits.results, len(o.due))], emit); err != nil {
			return err
		}
	}
	return nil
}

// sortWaiting sorts rows; runs that are in order already cost one look.
func sortWaiting(rows []waiting) {
	for i := 1; i < len(rows); i++ {
		if rows[i].compare(&rows[i-1]) < 0 {
			slices.SortFunc(rows, func(a, b waiting) int { return a.compare(&b) })
			return
		}
	}
}

// release emits rows and frees the chunks that they were the last rows of.
func (o *order) release(rows []waiting, emit Emit) error {
	o.out.Reset(len(o.live))
	for i := range rows {
		o.out.Time = append(o.out.Time, rows[i].t)
	}
	o.out.N = len(rows)
	for c, live := range o.live {
		if live {
			collect(&o.out.Cols[c], c, rows)
		}
	}
	o.out.Seq = nil
	err := emit(&o.out)
	for i := range rows {
		c := rows[i].chunk
		if c.left--; c.left == 0 {
			o.pool = append(o.pool, c)
		}
	}
	return err
}

// collect gathers column c of the rows from their chunks.
func collect(out *vec.Vec, c int, rows []waiting) {
	first := &rows[0].chunk.b.Cols[c]
	same := true
	for i := range rows {
		v := &rows[i].chunk.b.Cols[c]
		if v.Tag != nil || v.Kind != first.Kind || v.Dict != first.Dict {
			same = false
			break
		}
	}
	if !same {
		for i := range rows {
			out.Append(rows[i].chunk.b.Cols[c].At(int(rows[i].row)))
		}
		return
	}
	out.Fixed(first.Kind, len(rows))
	switch first.Kind {
	case vec.Bit, vec.Int, vec.Datetime:
		for i := range rows {
			out.Int[i] = rows[i].chunk.b.Cols[c].Int[rows[i].row]
		}
	case vec.Float:
		for i := range rows {
			out.Float[i] = rows[i].chunk.b.Cols[c].Float[rows[i].row]
		}
	case vec.String:
		if first.Dict != nil {
			out.Str, out.Dict = out.Str[:0], first.Dict
			for i := range rows {
				out.Code = append(out.Code, rows[i].chunk.b.Cols[c].Code[rows[i].row])
			}
			return
		}
		for i := range rows {
			out.Str[i] = rows[i].chunk.b.Cols[c].Str[rows[i].row]
		}
	case vec.Record, vec.Array:
		for i := range rows {
			out.Rec[i] = rows[i].chunk.b.Cols[c].Rec[rows[i].row]
		}
	}
}

func (o *order) Snapshot(w *state.Writer) {
	for _, t := range o.ports {
		w.Int(int64(t))
	}
	w.Uint(uint64(len(o.waiting)))
	for i := range o.waiting {
		x := &o.waiting[i]
		w.Int(int64(x.t))
		w.Int(int64(x.port))
		for c, live := range o.live {
			if live {
				saveValue(w, x.chunk.b.Cols[c].At(int(x.row)))
			}
		}
	}
}

func (o *order) Restore(r *state.Reader) error {
	for i := range o.ports {
		o.ports[i] = vec.Time(r.Int())
	}
	n := r.Count()
	c := o.newChunk(len(o.live))
	for i := range n {
		t, port := vec.Time(r.Int()), r.Int()
		if port < 0 || port >= int64(len(o.ports)) {
			r.Fail()
		}
		for k, live := range o.live {
			if live {
				c.b.Cols[k].Append(loadValue(r))
			}
		}
		if r.Err() != nil {
			return r.Err()
		}
		o.waiting = append(o.waiting, waiting{t, int32(port), int32(i), o.seq, c})
		o.seq++
	}
	c.left = n
	return r.Err()
}
