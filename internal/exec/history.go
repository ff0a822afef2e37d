package exec

import (
	"slices"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// history computes analytic functions (saql.md 8, 11). Rows come in the order of time;
// each gives one row at once, so nothing waits here, and its other columns pass through
// without a copy.
//
// Calls with equal PARTITION BY share one numbering of the keys. What they keep is theirs,
// in units: a unit is one function, or several that look at the same rows.
type history struct {
	g     *Graph
	node  *plan.Node
	op    *plan.History
	live  []bool // columns of the node that somebody reads
	reads []bool // columns of the input that are read here or passed on
	preds []*plan.Expr
	whens []truth
	sets  []*historyKeys
	in    historyRows
	f     frame
	// No later row has T < seen; newest is the greatest T so far.
	seen, newest vec.Time

	results []vec.Vec // per call
	bad     []bool    // rows of the batch at hand with a query error; nil if none
	first   *QueryError
	errs    []QueryError // of each of the bad rows the first
	sel     []int32
	fits    [2]vec.Batch
	misfit  []bool
	out     vec.Batch
	kept    vec.Batch
}

// historyRows is a batch as the units see it.
type historyRows struct {
	*vec.Batch
	groups []int32 // keys of the rows, by number
	known  int     // how many numbers there are
	// pass tells per predicate for which rows it is true.
	pass [][]fn.Truth
}

// passes tells for each row whether predicate number when is true; nil means that all pass.
func (in *historyRows) passes(when int) []fn.Truth {
	if when < 0 {
		return nil
	}
	return in.pass[when]
}

// historyUnit keeps the rows of each key that its calls look at.
type historyUnit interface {
	// push sets the results of its calls for a batch. They may refer to what the unit keeps.
	push(in *historyRows)
	// keep takes over what it needs of the batch, once the results have been passed on.
	keep(in *historyRows)
	// misfits tells of the rows whose arguments are query errors.
	misfits(in *historyRows, fail func(at diag.Span, row int, message string))
	// expire forgets what no row with T >= t can see. It is cheap; sweep looks at every key.
	expire(t vec.Time)
	sweep(t vec.Time)
	// held is how many rows are kept, no fewer than keys that have one.
	held() int
	// freeze copies what rows with T >= t can see.
	freeze(t vec.Time, m *state.Memory) saved
	restore(r *state.Reader)
}

// historyKeys is the calls with the same PARTITION BY.
type historyKeys struct {
	h     *history
	keys  []int
	calls []int
	table *keyTable
	units []historyUnit
	// rows have come since the keys without rows were last looked for; looked keys there
	// were then.
	rows, looked int
	scratch      vec.Batch
}

func newHistory(g *Graph, n *plan.Node, op *plan.History, live []bool) *history {
	h := &history{g: g, node: n, op: op, live: live, results: make([]vec.Vec, len(op.Calls)), seen: vec.MinTime, newest: vec.MinTime}
	h.reads = make([]bool, len(n.In[0].Cols))
	plan.MarkRead(n, live, h.reads)
	c := g.compiler()
	for i := range op.Calls {
		call := &op.Calls[i]
		if call.When != nil && !slices.Contains(h.preds, call.When) {
			h.preds = append(h.preds, call.When)
			h.whens = append(h.whens, c.truth(call.When))
		}
		k := slices.IndexFunc(h.sets, func(s *historyKeys) bool { return slices.Equal(s.keys, call.Keys) })
		if k < 0 {
			k = len(h.sets)
			h.sets = append(h.sets, &historyKeys{h: h, keys: call.Keys})
		}
		h.sets[k].calls = append(h.sets[k].calls, i)
	}
	for _, s := range h.sets {
		s.build()
	}
	h.in.pass = make([][]fn.Truth, len(h.whens))
	h.out.Cols = make([]vec.Vec, len(op.Out))
	return h
}

// build makes the units, empty.
func (s *historyKeys) build() {
	h := s.h
	s.table = newKeyTable(s.keys, h.node.In[0].Cols)
	s.units = nil
	lags := map[int]*lagUnit{}
	type window struct {
		when  int
		limit vec.Time
	}
	overs := map[window]*overUnit{}
	for _, i := range s.calls {
		call := &h.op.Calls[i]
		when := -1
		if call.When != nil {
			when = slices.Index(h.preds, call.When)
		}
		switch call.Kind {
		case plan.Lag, plan.Last:
			if lags[when] == nil {
				lags[when] = &lagUnit{s: s, when: when, floor: vec.MinTime}
				s.units = append(s.units, lags[when])
			}
			lags[when].add(i)
		case plan.IsFirst:
			s.units = append(s.units, &firstUnit{s: s, when: when, call: i, size: call.Limit})
		case plan.Over:
			w := window{when, call.Limit}
			if overs[w] == nil {
				overs[w] = &overUnit{s: s, when: when, limit: call.Limit}
				s.units = append(s.units, overs[w])
			}
			overs[w].calls = append(overs[w].calls, i)
		default:
			s.units = append(s.units, newAnomalyUnit(s, when, i))
		}
	}
	for _, u := range s.units {
		if u, ok := u.(*overUnit); ok {
			u.build()
		}
	}
}

func (h *history) Push(_ int, b *vec.Batch, emit Emit) error {
	b, err := h.fitting(b)
	if err != nil || b.N == 0 {
		return err
	}
	h.in.Batch = b
	h.first, h.bad, h.errs = nil, nil, h.errs[:0]
	for _, s := range h.sets {
		s.number(&h.in)
		for _, u := range s.units {
			u.expire(b.Time[0])
			u.push(&h.in)
		}
	}
	if h.first != nil && !h.g.opts.DropErrors {
		return h.first
	}
	h.newest = b.Time[b.N-1]
	h.seen = max(h.seen, h.newest)
	if err := emit(h.output(b)); err != nil {
		return err
	}
	for _, s := range h.sets {
		for _, u := range s.units {
			u.keep(&h.in)
		}
		s.forget(b.N)
	}
	return nil
}

// number gives the rows the numbers of their keys.
func (s *historyKeys) number(in *historyRows) {
	in.groups, _ = s.table.groups(in.Batch)
	in.known = int(s.table.n)
}

// fitting evaluates the predicates. It gives b without the rows of query errors, where
// these are dropped: a dropped row is seen by no other (saql.md 0).
func (h *history) fitting(b *vec.Batch) (*vec.Batch, error) {
	h.evaluate(b)
	if err := h.g.queryErrors(&h.f); err != nil {
		return nil, err
	}
	if h.f.bad != nil {
		b = h.without(0, b, h.f.bad)
		h.evaluate(b)
	}
	if !h.g.opts.DropErrors || b.N == 0 {
		return b, nil
	}
	h.misfit, h.errs = resize(h.misfit, b.N), h.errs[:0]
	clear(h.misfit)
	h.in.Batch = b
	for _, s := range h.sets {
		for _, u := range s.units {
			u.misfits(&h.in, func(at diag.Span, row int, message string) {
				if !h.misfit[row] {
					h.misfit[row] = true
					h.errs = append(h.errs, QueryError{Span: at, Message: message, Row: row})
				}
			})
		}
	}
	if len(h.errs) > 0 {
		h.drop(b)
		b = h.without(1, b, h.misfit)
		h.evaluate(b)
	}
	return b, nil
}

// evaluate tests the predicates on a batch.
func (h *history) evaluate(b *vec.Batch) {
	h.f.start(b)
	for i, w := range h.whens {
		h.in.pass[i] = w.test(&h.f)
	}
}

// without is b without the rows marked bad. There are two batches for that, for b may be
// such a one itself.
func (h *history) without(k int, b *vec.Batch, bad []bool) *vec.Batch {
	h.good(bad)
	pick(&h.fits[k], b, h.sel, h.reads)
	return &h.fits[k]
}

// good sets h.sel to the rows that are not bad.
func (h *history) good(bad []bool) {
	h.sel = h.sel[:0]
	for i, x := range bad {
		if !x {
			h.sel = append(h.sel, int32(i))
		}
	}
}

// drop tells of the rows of b that failed.
func (h *history) drop(b *vec.Batch) {
	for i := range h.errs {
		h.g.rowFailed(&h.errs[i], b)
	}
}

// fail notes a query error of a row that a unit has seen.
func (h *history) fail(at diag.Span, row int, message string) {
	if h.bad == nil {
		h.bad = make([]bool, h.in.N)
	}
	if !h.bad[row] {
		h.bad[row] = true
		h.errs = append(h.errs, QueryError{Span: at, Message: message, Row: row})
	}
	if h.first == nil || row < h.first.Row {
		h.first = &QueryError{Span: at, Message: message, Row: row}
	}
}

// output is the batch with the results, without the rows that failed.
func (h *history) output(b *vec.Batch) *vec.Batch {
	h.out.N, h.out.Time, h.out.Seq = b.N, b.Time, b.Seq
	for i, o := range h.op.Out {
		if o.Port == plan.Made {
			h.out.Cols[i] = h.results[o.Col]
		} else {
			h.out.Cols[i] = b.Cols[o.Col]
		}
	}
	if h.bad == nil {
		return &h.out
	}
	h.drop(b)
	h.good(h.bad)
	pick(&h.kept, &h.out, h.sel, h.live)
	return &h.kept
}

func (h *history) Advance(_ int, t vec.Time, _ Emit) error {
	h.seen = max(h.seen, t)
	for _, s := range h.sets {
		for _, u := range s.units {
			u.expire(t)
		}
		s.forget(0)
	}
	return nil
}

func (s *historyKeys) held() int {
	n := 0
	for _, u := range s.units {
		n += u.held()
	}
	return n
}

// held is how many rows are kept for later ones.
func (h *history) held() int {
	n := 0
	for _, s := range h.sets {
		n += s.held()
	}
	return n
}

// forget drops the keys without rows, once they are many and as many rows have come: it
// numbers the keys anew by writing and reading the state.
func (s *historyKeys) forget(rows int) {
	s.rows += rows
	known := int(s.table.n)
	if s.rows < s.looked || known < limits.idleGroups {
		return
	}
	s.rows, s.looked = 0, known
	for _, u := range s.units {
		u.sweep(s.h.seen)
	}
	if known < 4*s.held()+limits.idleGroups {
		return
	}
	s.looked = s.held()
	w := state.Part()
	s.freeze(nil)(w)
	s.build()
	r := state.PartReader(w.Bytes())
	if s.restore(r); r.Err() != nil {
		panic("exec: the state of analytic functions does not read back: " + r.Err().Error())
	}
}

func (s *historyKeys) freeze(m *state.Memory) saved {
	var units []saved
	for _, u := range s.units {
		units = append(units, u.freeze(s.h.seen, m))
	}
	return func(w *state.Writer) {
		for _, u := range units {
			u(w)
		}
	}
}

func (s *historyKeys) restore(r *state.Reader) {
	for _, u := range s.units {
		if r.Err() == nil {
			u.restore(r)
		}
	}
}

// Freeze copies the rows that later ones can see, per call.
func (h *history) Freeze(m *state.Memory) saved {
	seen, newest := h.seen, h.newest
	var sets []saved
	for _, s := range h.sets {
		sets = append(sets, s.freeze(m))
	}
	return func(w *state.Writer) {
		w.Int(int64(seen))
		w.Int(int64(newest))
		for _, s := range sets {
			s(w)
		}
	}
}

func (h *history) Restore(r *state.Reader) error {
	h.seen, h.newest = vec.Time(r.Int()), vec.Time(r.Int())
	for _, s := range h.sets {
		s.restore(r)
	}
	return r.Err()
}
