package job

import (
	"sync"

	"weir/internal/plan"
	"weir/internal/vec"
)

// Some rows that come to a node are kept as long as the job runs, so that whoever asks why
// nothing leaves a filter or a join can see what it was given (ux.md 13.1). They are text, a
// few at a time: a quarter of a second of the job's clock lies between two looks.

// The limits of what is kept of a node: its first rows, and its last.
const (
	peekFirst = 32
	peekLast  = 32
	peekBatch = 4 // rows of one batch
	peekEvery = vec.Second / 4
	// peekTable is how many rows of reference data are shown.
	peekTable = 10_000
)

// PeekRow is a row that came to a node.
type PeekRow struct {
	T vec.Time
	// Cols has the columns of the node as JSON; "" is a column that is absent or not computed.
	Cols []string
}

// peeks are the rows that are kept, by the node that gave them.
type peeks struct {
	mu      sync.Mutex
	plan    *plan.Plan // whose nodes these are
	nodes   map[int]*peeked
	sources map[int]string        // nodes of reference data: their inputs
	tables  map[string]*vec.Batch // their rows
}

type peeked struct {
	at          vec.Time // clock of the last look
	first, last []PeekRow
}

// Peek gives some rows that a node of the plan has given, oldest first, of those that a filter,
// a join or a window reads; for an input of reference data, its rows. total is how many rows
// there are of reference data.
func (l *Live) Peek(node int) (rows []PeekRow, total int) {
	l.peeks.mu.Lock()
	defer l.peeks.mu.Unlock()
	if p := l.peeks.nodes[node]; p != nil {
		return append(append(rows, p.first...), p.last...), 0
	}
	b := l.peeks.tables[l.peeks.sources[node]]
	if b == nil {
		return nil, 0
	}
	return peekRows(b, 0, min(b.N, peekTable)), b.N
}

// watch makes place for the rows of the nodes of a plan, and gives the nodes.
func (p *peeks) watch(of *plan.Plan) map[int]*peeked {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.plan == of {
		return p.nodes
	}
	p.plan, p.nodes, p.sources = of, map[int]*peeked{}, map[int]string{}
	for _, n := range of.Nodes {
		switch op := n.Op.(type) {
		case *plan.Source:
			if in := of.Inputs[op.Input]; in.Reference {
				p.sources[n.ID] = in.Name
			}
		case *plan.Filter, *plan.Join, *plan.Lookup, *plan.Group:
			for _, in := range n.In {
				if src, ok := in.Op.(*plan.Source); ok && of.Inputs[src.Input].Reference {
					continue
				}
				p.nodes[in.ID] = &peeked{at: vec.MinTime}
			}
		}
	}
	return p.nodes
}

// take keeps some rows of a batch.
func (p *peeks) take(x *peeked, b *vec.Batch, clock vec.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.N == 0 || clock < x.at+peekEvery && len(x.first) == peekFirst {
		return
	}
	x.at = clock
	for _, r := range peekRows(b, max(0, b.N-peekBatch), b.N) {
		if len(x.first) < peekFirst {
			x.first = append(x.first, r)
			continue
		}
		if x.last = append(x.last, r); len(x.last) > peekLast {
			x.last = append(x.last[:0], x.last[1:]...)
		}
	}
}

// table remembers reference data; it never changes any more.
func (p *peeks) table(input string, b *vec.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tables == nil {
		p.tables = map[string]*vec.Batch{}
	}
	p.tables[input] = b
}

// peekRows are some rows of a batch.
func peekRows(b *vec.Batch, from, to int) []PeekRow {
	rows := make([]PeekRow, 0, to-from)
	for i := from; i < to; i++ {
		r := PeekRow{Cols: make([]string, len(b.Cols))}
		if i < len(b.Time) {
			r.T = b.Time[i]
		}
		for c := range b.Cols {
			if i >= b.Cols[c].N {
				continue
			}
			if v := b.Cols[c].At(i); v.Kind != vec.Missing {
				r.Cols[c] = short(vec.AppendJSON(nil, v))
			}
		}
		rows = append(rows, r)
	}
	return rows
}
