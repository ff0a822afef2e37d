package exec

import (
	"slices"
	"strings"

	"weir/internal/plan"
	"weir/internal/vec"
)

// What can be seen of a running graph. None of it changes a row.

// NodeStats are what a node of the plan has done.
type NodeStats struct {
	In, Out   int64             // rows; of a reader of several inputs all of them
	Dropped   [NumReasons]int64 // rows that a policy or an error dropped here
	BusyNanos int64             // time that the node itself took, without those that it feeds
	Held      int64             // rows and groups that wait here for their time
	Watermark vec.Time          // no later row of the node has T below it
}

// DroppedTotal is how many rows the node has dropped for any reason.
func (s *NodeStats) DroppedTotal() int64 {
	n := int64(0)
	for _, x := range s.Dropped {
		n += x
	}
	return n
}

// NodeStats appends the statistics of every node of the plan to dst, in the order of the
// plan. Nodes of reference data are no part of the running graph and have none.
func (g *Graph) NodeStats(dst []NodeStats) []NodeStats {
	at := len(dst)
	dst = slices.Grow(dst, len(g.plan.Nodes))[:at+len(g.plan.Nodes)]
	clear(dst[at:])
	for _, v := range g.nodes {
		s := &dst[at+v.node.ID]
		*s = NodeStats{In: v.in, Out: v.out, Dropped: v.dropped, BusyNanos: v.busy, Watermark: v.mark}
		if h, ok := v.op.(holder); ok {
			s.Held = int64(h.held())
		}
	}
	return dst
}

// OutputWatermark is a time that no later row of an output has a T below.
func (g *Graph) OutputWatermark(output int) vec.Time {
	for _, v := range g.nodes {
		if w, ok := v.op.(*write); ok && w.output == output {
			return v.mark
		}
	}
	return vec.MaxTime // it reads nothing that moves
}

// Holder tells which partition of which input a node waits for: the one whose watermark is
// the smallest of those that the node's own follows from. It gives -1, -1 for a node of
// reference data.
func (g *Graph) Holder(node int) (input, partition int) {
	v := g.vertex(node)
	for v != nil {
		switch op := v.op.(type) {
		case *stamp:
			return op.input, op.holder()
		case *source:
			for _, e := range v.outs {
				if s, ok := e.to.op.(*stamp); ok {
					return op.input, s.holder()
				}
			}
			return op.input, 0
		}
		port := 0
		for p, t := range v.ins {
			if t < v.ins[port] {
				port = p
			}
		}
		v = g.vertex(v.node.In[port].ID)
	}
	return -1, -1
}

// Tap sets who is told of the batches that a node emits; nil removes them. The batch is valid
// until the call returns, and has only the columns that Live names. It reports false for a
// node of reference data, which has no stream of rows.
func (g *Graph) Tap(node int, f func(b *vec.Batch)) bool {
	v := g.vertex(node)
	if v != nil {
		v.tap = f
	}
	return v != nil
}

// Live tells which columns of a node are there in its batches: those that something reads.
func (g *Graph) Live(node int) []bool { return g.live[g.plan.Nodes[node]] }

// vertex finds the running node of a node of the plan; nil if there is none.
func (g *Graph) vertex(node int) *vertex {
	i, found := slices.BinarySearchFunc(g.nodes, node, func(v *vertex, id int) int { return v.node.ID - id })
	if !found {
		return nil
	}
	return g.nodes[i]
}

// enter notes that the work goes on in another node, and gives the one that it was in; nil is
// none.
func (g *Graph) enter(v *vertex) (was *vertex) {
	was = g.at
	g.at = v
	if g.opts.Nanos == nil {
		return was
	}
	now := g.opts.Nanos()
	if was != nil {
		was.busy += now - g.since
	}
	g.since = now
	return was
}

// eventDropped counts an event that is dropped at the node that works now.
func (g *Graph) eventDropped(input, row int, why Reason) {
	g.Counts.Dropped[why]++
	g.Counts.Inputs[input].Dropped[why]++
	if g.at != nil {
		g.at.dropped[why]++
	}
	if g.opts.OnDrop == nil {
		return
	}
	if why != TypeConversion && g.rows[input] != nil {
		row = int(g.rows[input][row]) // some were dropped before
	}
	g.opts.OnDrop(input, row, why)
}

// adjusted counts events that a policy has moved.
func (g *Graph) adjusted(input int, why Reason, n int64) {
	g.Counts.Adjusted[why] += n
	g.Counts.Inputs[input].Adjusted[why] += n
}

// queryErrors ends the run with the first query error of a batch that the node that works
// now has been given, or drops the rows by policy.
func (g *Graph) queryErrors(f *frame) error { return g.queryErrorsOf(f, g.inputLabels) }

// queryErrorsOf is queryErrors for a batch with columns of other names.
func (g *Graph) queryErrorsOf(f *frame, names func() []string) error {
	if f.first == nil {
		return nil
	}
	if !g.opts.DropErrors {
		return f.first
	}
	for i := range f.errs {
		g.failed()
		if g.opts.OnQueryError != nil {
			g.opts.OnQueryError(&f.errs[i], rowJSON(names(), f.b, f.errs[i].Row))
		}
	}
	return nil
}

// rowFailed drops a row of a batch that the node that works now has been given.
func (g *Graph) rowFailed(e *QueryError, b *vec.Batch) {
	g.failed()
	if g.opts.OnQueryError != nil {
		g.opts.OnQueryError(e, rowJSON(g.inputLabels(), b, e.Row))
	}
}

// failed counts a query error.
func (g *Graph) failed() {
	g.Counts.Dropped[QueryFailed]++
	if g.at != nil {
		g.at.dropped[QueryFailed]++
	}
}

// inputLabels are the names of the columns that the node that works now reads, "" where a
// column has no name or is not there.
func (g *Graph) inputLabels() []string {
	v := g.at
	if v == nil {
		return nil
	}
	if v.labels == nil {
		v.labels = g.labels(v.node.In[0])
	}
	return v.labels
}

// labels names the columns of a node that are there.
func (g *Graph) labels(n *plan.Node) []string {
	names := make([]string, len(n.Cols))
	for c, live := range g.live[n] {
		if live {
			names[c] = g.label(n, c)
		}
	}
	return names
}

// label is the name of a column: its own or, of a column of an input, where it stands in the
// event.
func (g *Graph) label(n *plan.Node, c int) string {
	if name := n.Cols[c].Name; name != "" {
		return name
	}
	switch op := n.Op.(type) {
	case *plan.Source:
		return strings.Join(g.plan.Inputs[op.Input].Fields[c].Path, ".")
	case *plan.Stamp, *plan.Filter, *plan.Order:
		return g.label(n.In[0], c)
	}
	return ""
}

// rowJSON writes the named columns of a row as a JSON object.
func rowJSON(names []string, b *vec.Batch, row int) []byte {
	r := &vec.Rec{}
	for c, name := range names {
		if name == "" || c >= len(b.Cols) || row >= b.Cols[c].N {
			continue
		}
		if v := b.Cols[c].At(row); v.Kind != vec.Missing {
			r.Names, r.Vals = append(r.Names, name), append(r.Vals, v)
		}
	}
	return vec.AppendJSON(nil, vec.Value{Kind: vec.Record, Rec: r})
}
