package exec

import (
	"cmp"

	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
	"weir/internal/window"
)

// grouping is GROUP BY: it numbers the groups of the rows and feeds them to a windower
// per window. Results come out by T, then in order of definition of the windows, then by
// the first row of the group in the window (saql.md 5.1).
type grouping struct {
	g       *Graph
	node    *plan.Node
	op      *plan.Group
	keys    *keyTable
	windows []windower
	in      groupedRows
	rowNo   int64 // rows seen: orders rows of equal T
	peak    int   // most state held since checked
	checked int64 // rowNo when groups were last looked through for those without state
	looked  int64 // how many there were then
	res     results
	// Where query errors drop rows: what finds them, per aggregate, and what is left.
	misfits []*misfitFinder
	live    []bool
	sel     []int32
	fits    vec.Batch
}

// groupedRows is a batch with the groups of its rows.
type groupedRows struct {
	*vec.Batch
	groups []int32
	// tuples is the keys of the rows as they are written: a group shows the key of its first
	// row in the window (saql.md 3.7).
	tuples []int32
	rowNo  int64        // of the first row
	args   [][]*vec.Vec // per aggregate the argument columns
}

// rank orders row i among all rows.
func (in *groupedRows) rank(i int) rank {
	if in.Seq != nil {
		return rank{in.Time[i], in.Seq[i]}
	}
	return rank{in.Time[i], in.rowNo + int64(i)}
}

// windower computes one window kind for all groups. Rows come with add. next tells T of
// the earliest result that the rows so far give; emit gives the results of that time, and
// perhaps later ones before a given time, and forgets them. The caller emits a result only
// when the watermark is greater than its T, so no row can change it any more.
type windower interface {
	add(in *groupedRows)
	next() (vec.Time, bool)
	emit(to *results, before vec.Time)
	// held is how many pairs of window and group have state: no fewer than groups. known is
	// how many keys of its own the windower remembers.
	held() int
	known() int
	// values is how many values the aggregates hold, of those that hold some.
	values() int
	// owner says that the grouping has moved to o.
	owner(o *grouping)
	// freeze copies the state, whose keys are in a table that has been frozen. restore reads it
	// into the windows of the same index of groupings; settle makes what follows from it, once
	// all of it has been read.
	freeze(keys frozenKeys, m *state.Memory) saved
	restore(r *state.Reader, to *regroup, index int)
	settle(r *state.Reader)
}

// regroup is where restored groups go: to the shard that pick chooses for their key.
type regroup struct {
	shards []*grouping
	pick   func(row *vec.Batch) int32 // nil: there is one
	row    vec.Batch                  // the key that has been read
}

// expect makes room for the keys of n groups.
func (to *regroup) expect(n int) {
	for _, o := range to.shards {
		o.keys.expect(n / len(to.shards))
	}
}

// key reads the key of a group and gives its shard.
func (to *regroup) key(r *state.Reader) *grouping {
	to.shards[0].keys.readKey(r, &to.row)
	return to.shard()
}

// shard is the shard of the key in to.row.
func (to *regroup) shard() *grouping {
	if to.pick == nil {
		return to.shards[0]
	}
	return to.shards[to.pick(&to.row)]
}

// restore reads what sharded.Freeze and grouping.Freeze write: any number of shards.
func (to *regroup) restore(r *state.Reader) error {
	rowNo := r.Int()
	for _, o := range to.shards {
		o.rowNo = rowNo
	}
	for range r.Count() {
		for i, w := range to.shards[0].windows {
			if r.Err() == nil {
				w.restore(r, to, i)
			}
		}
	}
	for _, o := range to.shards {
		for _, w := range o.windows {
			if r.Err() == nil {
				w.settle(r)
			}
		}
	}
	return r.Err()
}

func newGrouping(g *Graph, n *plan.Node, op *plan.Group) (Operator, error) {
	if g.opts.Shards > 1 && shardable(op) {
		return newSharded(g, n, op)
	}
	return newGroupOp(g, n, op), nil
}

func newGroupOp(g *Graph, n *plan.Node, op *plan.Group) *grouping {
	o := &grouping{g: g, node: n, op: op, keys: newKeyTable(op.Keys, n.In[0].Cols)}
	o.in.args = make([][]*vec.Vec, len(op.Aggs))
	ordered := isOrdered(n.In[0], g.opts.Sample)
	if g.opts.DropErrors {
		o.live = make([]bool, len(n.In[0].Cols))
		plan.MarkRead(n, nil, o.live)
		for i, acc := range o.newAccs() {
			o.misfits = append(o.misfits, newMisfitFinder(acc, op.Aggs[i]))
		}
	}
	for _, spec := range op.Windows {
		switch spec.Kind {
		case window.Sliding:
			o.windows = append(o.windows, newSliding(o, spec))
		case window.Session:
			o.windows = append(o.windows, newSessions(o, spec))
		default:
			o.windows = append(o.windows, newPanes(o, spec, ordered))
		}
	}
	o.res.init(o)
	return o
}

// isOrdered tells whether a node gives rows in the order of T, and those of equal T in
// the order of arrival.
func isOrdered(n *plan.Node, sample bool) bool {
	switch op := n.Op.(type) {
	case *plan.Group, *plan.Join, *plan.Top, *plan.Match:
		return true
	case *plan.Order:
		return !isLoose(op, sample)
	case *plan.Filter, *plan.Project, *plan.Apply, *plan.Lookup, *plan.History:
		return isOrdered(n.In[0], sample)
	}
	return false
}

// newAccs makes an accumulator for each aggregate.
func (o *grouping) newAccs() []fn.Acc { return o.accs(fn.AggSpec{}) }

// wholeAccs makes accumulators for a window whose rows are only added, never merged or taken
// back.
func (o *grouping) wholeAccs() []fn.Acc { return o.accs(fn.AggSpec{Whole: true}) }

// backAccs makes accumulators for a window whose rows are taken back one by one.
func (o *grouping) backAccs() []fn.Acc { return o.accs(fn.AggSpec{Back: true}) }

func (o *grouping) accs(use fn.AggSpec) []fn.Acc {
	accs := make([]fn.Acc, len(o.op.Aggs))
	for i, a := range o.op.Aggs {
		spec := aggSpec(a, o.node.In[0].Cols)
		spec.Whole, spec.Back = use.Whole, use.Back
		accs[i] = a.Fn.New(spec)
	}
	return accs
}

// aggSpec is a call of an aggregate over the columns of an input.
func aggSpec(a plan.GroupAgg, cols []plan.Col) fn.AggSpec {
	spec := fn.AggSpec{Args: make([]fn.Types, len(a.Args)), Desc: a.Desc, Const: a.Const}
	for i, c := range a.Args {
		spec.Args[i] = cols[c].Type
	}
	return spec
}

func (o *grouping) Push(_ int, b *vec.Batch, _ Emit) error {
	if o.misfits != nil {
		b = o.fitting(b)
	}
	o.in.Batch, o.in.rowNo = b, o.rowNo
	o.in.groups, o.in.tuples = o.keys.groups(b)
	for i, a := range o.op.Aggs {
		o.in.args[i] = o.in.args[i][:0]
		for _, c := range a.Args {
			o.in.args[i] = append(o.in.args[i], &b.Cols[c])
		}
	}
	for _, w := range o.windows {
		w.add(&o.in)
	}
	o.rowNo += int64(b.N)
	return nil
}

func (o *grouping) Advance(_ int, t vec.Time, emit Emit) error {
	for {
		best, at, before := o.earliest(t)
		if best < 0 {
			if err := o.res.flush(emit); err != nil {
				return err
			}
			o.forget()
			return nil
		}
		o.res.window, o.res.at = best, at
		o.windows[best].emit(&o.res, before)
		if o.res.failed != nil {
			return o.res.failed
		}
		if len(o.res.tuples) >= limits.results {
			if err := o.res.flush(emit); err != nil {
				return err
			}
		}
	}
}

// earliest finds the window that gives the next result before t, its time, and the time
// before which no other window gives one.
func (o *grouping) earliest(t vec.Time) (best int, at, before vec.Time) {
	best, at, before = -1, t, t
	for i, w := range o.windows {
		e, ok := w.next()
		switch {
		case !ok || e >= before:
		case e < at:
			best, at, before = i, e, at
		default:
			before = e
		}
	}
	return best, at, before
}

// forget drops the keys of groups that hold no state (saql.md 4.5), once they are many and
// have been for as many rows: it numbers the groups anew by writing and reading the state.
func (o *grouping) forget() {
	held, known := o.pairs(), int(o.keys.n)
	for _, w := range o.windows {
		known = max(known, w.known())
	}
	o.peak = max(o.peak, held)
	if o.rowNo-o.checked < o.looked {
		return // what forgetting costs has not been saved yet
	}
	peak := o.peak
	o.peak, o.checked, o.looked = held, o.rowNo, int64(known)
	if known < 4*peak+limits.idleGroups {
		return
	}
	w := state.Part()
	o.Freeze(nil).write(w)
	ranked, peak, checked, looked := o.res.ranked, o.peak, o.checked, o.looked
	*o = *newGroupOp(o.g, o.node, o.op)
	o.peak, o.checked, o.looked = peak, checked, looked
	o.res = results{}
	o.res.init(o)
	o.res.ranked = ranked
	for i := range o.windows {
		o.windows[i].owner(o)
	}
	if err := o.Restore(state.PartReader(w.Bytes())); err != nil {
		panic("exec: the state of a grouping does not read back: " + err.Error())
	}
}

func (o *grouping) Freeze(m *state.Memory) saved {
	rowNo, windows := o.rowNo, o.freezeWindows(m)
	return func(w *state.Writer) {
		w.Int(rowNo)
		w.Uint(1)
		windows(w)
	}
}

func (o *grouping) freezeWindows(m *state.Memory) saved {
	keys := o.keys.freeze()
	var windows []saved
	for _, x := range o.windows {
		windows = append(windows, x.freeze(keys, m))
	}
	return func(w *state.Writer) {
		for _, x := range windows {
			x(w)
		}
	}
}

func (o *grouping) Restore(r *state.Reader) error {
	return (&regroup{shards: []*grouping{o}}).restore(r)
}

// results gathers rows of results until there are enough for a batch.
type results struct {
	o      *grouping
	window int      // of the results that come in now
	at     vec.Time // T of the first of them
	failed error

	time    []vec.Time
	tuples  []int32
	ids     []int32 // window of each row, if there are several or the node has a window id
	keepIDs bool
	firsts  []rank // first row of each result, if shards are to be merged
	ranked  bool
	aggs    []vec.Vec
	tmp     vec.Vec
	call    fn.Call
	bad     []int32 // rows of the block at hand whose result failed
	msg     string
	out     vec.Batch
}

// rank orders the groups of a window: the time and number of their first row.
type rank struct {
	t   vec.Time
	seq int64
}

func (a rank) less(b rank) bool { return a.t < b.t || a.t == b.t && a.seq < b.seq }

func (a rank) compare(b rank) int {
	if c := cmp.Compare(a.t, b.t); c != 0 {
		return c
	}
	return cmp.Compare(a.seq, b.seq)
}

// resultRows are results that come out together: T, key, slot and first row of each.
type resultRows struct {
	time   []vec.Time
	tuples []int32
	slots  []int32
	firsts []rank
}

func (b *resultRows) len() int { return len(b.slots) }

func (b *resultRows) reset() {
	b.time, b.tuples, b.slots, b.firsts = b.time[:0], b.tuples[:0], b.slots[:0], b.firsts[:0]
}

func (b *resultRows) add(t vec.Time, tuple, slot int32, first rank) {
	b.time = append(b.time, t)
	b.tuples = append(b.tuples, tuple)
	b.slots = append(b.slots, slot)
	b.firsts = append(b.firsts, first)
}

func (r *results) init(o *grouping) {
	r.o = o
	r.keepIDs = o.op.WithID || len(o.op.Windows) > 1
	r.aggs = make([]vec.Vec, len(o.op.Aggs))
	r.out.Cols = make([]vec.Vec, len(o.node.Cols))
	r.call.OnError = func(row int, msg string) {
		if len(r.bad) == 0 {
			r.msg = msg
		}
		r.bad = append(r.bad, int32(row))
	}
}

// take adds the results of a window. Their slots are in accs.
func (r *results) take(b *resultRows, accs []fn.Acc) {
	if b.len() == 0 || r.failed != nil {
		return
	}
	for j, acc := range accs {
		r.bad = r.bad[:0]
		acc.Result(&r.call, b.slots, &r.tmp)
		if len(r.bad) > 0 {
			if !r.o.g.opts.DropErrors {
				r.failed = &QueryError{Span: r.o.op.Aggs[j].Span, Message: r.msg}
				return
			}
			for _, row := range r.bad {
				r.o.resultFailed(&QueryError{Span: r.o.op.Aggs[j].Span, Message: r.msg}, b.tuples[row])
			}
		}
		appendVec(&r.aggs[j], &r.tmp)
	}
	r.tuples = append(r.tuples, b.tuples...)
	r.time = append(r.time, b.time...)
	if r.ranked {
		r.firsts = append(r.firsts, b.firsts...)
	}
	if r.keepIDs {
		for range b.slots {
			r.ids = append(r.ids, int32(r.window))
		}
	}
}

// resultFailed drops the result of a group.
func (o *grouping) resultFailed(e *QueryError, tuple int32) {
	o.g.failed()
	if o.g.opts.OnQueryError == nil {
		return
	}
	b := vec.Batch{N: 1, Cols: make([]vec.Vec, len(o.op.Keys))}
	names := make([]string, len(b.Cols))
	for p := range b.Cols {
		o.keys.column(p, []int32{tuple}, &b.Cols[p])
		names[p] = o.g.label(o.node.In[0], o.op.Keys[p])
	}
	o.g.opts.OnQueryError(e, rowJSON(names, &b, 0))
}

// flush passes the gathered rows on.
func (r *results) flush(emit Emit) error {
	if len(r.tuples) == 0 {
		return nil
	}
	r.build()
	err := emit(&r.out)
	r.clear()
	return err
}

// build makes a batch of the gathered rows: keys, aggregates, window id.
func (r *results) build() {
	k := len(r.o.op.Keys)
	for p := range k {
		r.o.keys.column(p, r.tuples, &r.out.Cols[p])
	}
	for j := range r.aggs {
		r.out.Cols[k+j] = r.aggs[j]
	}
	if r.o.op.WithID {
		id := &r.out.Cols[k+len(r.aggs)]
		id.Reset()
		for _, w := range r.ids {
			spec := &r.o.op.Windows[w]
			if spec.HasID {
				id.Append(vec.StringValue(spec.ID))
			} else {
				id.Append(vec.NullValue())
			}
		}
	}
	r.out.N, r.out.Time = len(r.tuples), r.time
}

func (r *results) clear() {
	r.time, r.tuples, r.ids, r.firsts = r.time[:0], r.tuples[:0], r.ids[:0], r.firsts[:0]
	for j := range r.aggs {
		r.aggs[j].Reset()
	}
}

// appendVec adds the rows of src to dst, sharing strings and records.
func appendVec(dst, src *vec.Vec) {
	if dst.N == 0 && src.Tag == nil && src.Dict == nil {
		dst.Reset()
		dst.Kind = src.Kind
	}
	if dst.Tag == nil && src.Tag == nil && dst.Kind == src.Kind && dst.Dict == nil && src.Dict == nil {
		dst.N += src.N
		switch src.Kind {
		case vec.Bit, vec.Int, vec.Datetime:
			dst.Int = append(dst.Int, src.Int[:src.N]...)
		case vec.Float:
			dst.Float = append(dst.Float, src.Float[:src.N]...)
		case vec.String:
			dst.Str = append(dst.Str, src.Str[:src.N]...)
		case vec.Record, vec.Array:
			dst.Rec = append(dst.Rec, src.Rec[:src.N]...)
		}
		return
	}
	for i := range src.N {
		dst.Append(src.At(i))
	}
}
