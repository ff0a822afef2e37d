package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"weir/internal/vec"
	"weir/internal/window"
)

// cutStages numbers the stages. A stage begins at a source, where rows are spread by the
// hash of keys, and where streams or the rows of all shards meet.
func (p *Plan) cutStages() {
	next := 0
	for _, n := range p.Nodes {
		if n.beginsStage() {
			n.Stage = next
			next++
		} else {
			n.Stage = n.In[0].Stage
		}
	}
}

func (n *Node) beginsStage() bool {
	switch op := n.Op.(type) {
	case *Source:
		return true
	case *Group:
		return len(op.ShardKeys()) > 0
	case *Order:
		return len(n.In) > 1
	case *Join, *Top:
		return true
	case *History:
		return len(op.ShardKeys()) > 0
	case *Match:
		return len(op.Keys) > 0
	}
	return false
}

// ShardKeys are the columns of the input whose hash may spread the rows over shards: the
// keys that all calls have. There are none where some call sees all rows.
func (h *History) ShardKeys() []int {
	if len(h.Calls) == 0 {
		return nil
	}
	var common []int
	for _, k := range h.Calls[0].Keys {
		if !slices.ContainsFunc(h.Calls, func(c HistoryCall) bool { return !slices.Contains(c.Keys, k) }) {
			common = append(common, k)
		}
	}
	return common
}

// ShardKeys are the columns of the input whose hash may spread the rows over shards: the
// keys of the group; with session windows the keys of their partition, which must be
// keys of the group too. There are none where all rows have to meet.
func (g *Group) ShardKeys() []int {
	by := g.Keys
	session := false
	for _, w := range g.Windows {
		if w.Kind != window.Session {
			continue
		}
		if session && !slices.Equal(by, w.Over) {
			return nil
		}
		by, session = w.Over, true
	}
	if slices.ContainsFunc(by, func(c int) bool { return !slices.Contains(g.Keys, c) }) {
		return nil
	}
	return by
}

// Stages is the number of stages.
func (p *Plan) Stages() int {
	most := 0
	for _, n := range p.Nodes {
		most = max(most, n.Stage+1)
	}
	return most
}

// StageID names a stage by what its stateful nodes compute: two stages with the same ID
// give the same rows for the same events, whatever the query's layout, the names of its
// steps and what else the query does. Snapshots and hot reload find state by it.
func (p *Plan) StageID(stage int) string {
	ids := newNodeIDs(p)
	h := sha256.New()
	for _, n := range p.Nodes {
		switch n.Op.(type) {
		case *Stamp, *Order, *Group, *Join, *Lookup, *History, *Match, *Top:
			if n.Stage == stage {
				fmt.Fprintln(h, ids.node[n])
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// NodeID names a node by what it computes, with all that it reads. It does not depend on
// which columns others want of the same input or step.
func (p *Plan) NodeID(n *Node) string { return newNodeIDs(p).node[n] }

// nodeIDs are hashes of what nodes and their columns compute.
type nodeIDs struct {
	p    *Plan
	node map[*Node]string
	cols map[*Node][]string
}

func newNodeIDs(p *Plan) *nodeIDs {
	ids := &nodeIDs{p: p, node: map[*Node]string{}, cols: map[*Node][]string{}}
	for _, n := range p.Nodes {
		ids.add(n)
	}
	return ids
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, s := range parts {
		fmt.Fprintf(h, "%d %s\n", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func (ids *nodeIDs) add(n *Node) {
	var in []string // the columns read
	var from []string
	for _, i := range n.In {
		from = append(from, ids.node[i])
		in = ids.cols[i]
	}
	below := strings.Join(from, " ")
	cols := in
	switch op := n.Op.(type) {
	case *Source:
		input := ids.p.Inputs[op.Input]
		text := strings.ToLower(input.Name)
		for _, c := range input.Table {
			text += " " + pathText([]string{c.Name}) + " " + c.Type.String()
		}
		ids.node[n] = hashOf("source", text)
		cols = nil
		for _, f := range input.Fields {
			cols = append(cols, fieldText(f))
		}
	case *Stamp:
		by := "arrival"
		if op.By != nil {
			by = op.By.text(in) + " OVER " + exprNamesText(op.Over, in)
		}
		ids.node[n] = hashOf("stamp", by, below)
	case *Filter:
		ids.node[n] = hashOf("filter", op.Pred.text(in), below)
	case *Project:
		ids.node[n] = below
		cols = nil
		for _, e := range op.Exprs {
			cols = append(cols, ids.column(e, in))
		}
	case *Order:
		ids.node[n] = hashOf("order", below)
		if len(n.In) > 1 {
			cols = ids.meet(n)
		}
	case *Group:
		ids.node[n] = hashOf("group", groupText(op, in), below)
		cols = (&explainer{p: ids.p, names: map[*Node][]string{n.In[0]: in}, plain: true}).columns(n)
	case *Join, *Lookup, *Apply, *History, *Match, *Top:
		names := &explainer{p: ids.p, names: map[*Node][]string{}, plain: true}
		for _, i := range n.In {
			names.names[i] = ids.cols[i]
		}
		ids.node[n] = hashOf(names.idText(n), below)
		cols = names.columns(n)
	case *Write:
		ids.node[n] = hashOf("write", strings.ToLower(ids.p.Outputs[op.Output].Name), colNames(n.Cols), strings.Join(in, " "), below)
	}
	ids.cols[n] = cols
}

// column names a computed column. Whether an absent field is NULL makes no difference to
// any state. A long text is hashed, for steps could double it each.
func (ids *nodeIDs) column(e *Expr, in []string) string {
	if e.Op == OpNull {
		e = e.Args[0]
	}
	text := e.text(in)
	if len(text) > 64 {
		return hashOf(text)
	}
	return text
}

// meet names the columns of a union by those of all its branches.
func (ids *nodeIDs) meet(n *Node) []string {
	var cols []string
	for i := range ids.cols[n.In[0]] {
		var parts []string
		for _, in := range n.In {
			parts = append(parts, ids.cols[in][i])
		}
		cols = append(cols, hashOf(parts...))
	}
	return cols
}

func fieldText(f vec.Field) string {
	if f.Meta != "" {
		return "metadata " + f.Meta
	}
	if len(f.Path) == 0 {
		return "*"
	}
	text := pathText(f.Path)
	if f.Want == vec.AsDatetime {
		text += " datetime"
	}
	return text
}

// groupText writes a group, its columns by name.
func groupText(g *Group, in []string) string {
	var b strings.Builder
	b.WriteString(pick(in, g.Keys))
	for _, w := range g.Windows {
		fmt.Fprintf(&b, " window %s %v over %v", windowKinds[w.Kind], []int64{int64(w.Size), int64(w.Hop), int64(w.Offset), int64(w.Timeout), int64(w.Max)}, pick(in, w.Over))
		if w.HasID {
			fmt.Fprintf(&b, " id %q", w.ID)
		}
	}
	for _, a := range g.Aggs {
		b.WriteString(" " + aggText(a, in))
	}
	if g.WithID {
		b.WriteString(" id")
	}
	return b.String()
}

var windowKinds = map[window.Kind]string{
	window.Tumbling: "tumbling", window.Hopping: "hopping", window.Sliding: "sliding", window.Session: "session", window.Snapshot: "snapshot",
}
