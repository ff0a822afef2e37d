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

// cutStages numbers the stages. A stage begins at a source, at a group with keys, where
// rows are spread by the hash of the keys, and where streams meet.
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
	}
	return false
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

// StageID names a stage by what it computes: two stages with the same ID give the same
// rows for the same events, whatever the query's layout and names of steps. Snapshots
// and hot reload find state by it.
func (p *Plan) StageID(stage int) string {
	ids := map[*Node]string{}
	h := sha256.New()
	for _, n := range p.Nodes {
		ids[n] = p.nodeID(n, ids)
		if n.Stage == stage {
			fmt.Fprintln(h, ids[n])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// nodeID is a hash of what a node computes, with all that it reads.
func (p *Plan) nodeID(n *Node, ids map[*Node]string) string {
	h := sha256.New()
	fmt.Fprintln(h, p.opText(n))
	for _, in := range n.In {
		fmt.Fprintln(h, ids[in])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// opText writes the operation of a node without names and places.
func (p *Plan) opText(n *Node) string {
	switch op := n.Op.(type) {
	case *Source:
		in := p.Inputs[op.Input]
		var b strings.Builder
		fmt.Fprintf(&b, "source %s", strings.ToLower(in.Name))
		for _, f := range in.Fields {
			fmt.Fprintf(&b, " %s", fieldText(f))
		}
		for _, c := range in.Table {
			fmt.Fprintf(&b, " %q %s", c.Name, c.Type)
		}
		return b.String()
	case *Stamp:
		if op.By == nil {
			return "stamp arrival"
		}
		return "stamp " + op.By.String() + " over " + exprsText(op.Over)
	case *Filter:
		return "filter " + op.Pred.String()
	case *Project:
		return "project " + exprsText(op.Exprs)
	case *Order:
		return "order" + map[bool]string{true: " soft"}[op.Soft] + map[bool]string{true: " concat"}[op.Concat]
	case *Group:
		return groupText(op)
	case *Write:
		return "write " + strings.ToLower(p.Outputs[op.Output].Name) + colsText(n.Cols)
	}
	panic("plan: unknown operation")
}

func colsText(cols []Col) string {
	var b strings.Builder
	for _, c := range cols {
		fmt.Fprintf(&b, " %q", c.Name)
	}
	return b.String()
}

func fieldText(f vec.Field) string {
	if len(f.Path) == 0 {
		return "*"
	}
	text := fmt.Sprintf("%q", f.Path)
	if f.Want == vec.AsDatetime {
		text += " datetime"
	}
	return text
}

func exprsText(exprs []*Expr) string {
	parts := make([]string, len(exprs))
	for i, e := range exprs {
		parts[i] = e.String()
	}
	return strings.Join(parts, ", ")
}

func groupText(g *Group) string {
	var b strings.Builder
	fmt.Fprintf(&b, "group keys %v", g.Keys)
	for _, w := range g.Windows {
		fmt.Fprintf(&b, " window %s %v over %v", windowKinds[w.Kind], []int64{int64(w.Size), int64(w.Hop), int64(w.Offset), int64(w.Timeout), int64(w.Max)}, w.Over)
		if w.HasID {
			fmt.Fprintf(&b, " id %q", w.ID)
		}
	}
	for _, a := range g.Aggs {
		fmt.Fprintf(&b, " %s%v", a.Fn.Name, a.Args)
	}
	if g.WithID {
		b.WriteString(" id")
	}
	return b.String()
}

var windowKinds = map[window.Kind]string{
	window.Tumbling: "tumbling", window.Hopping: "hopping", window.Sliding: "sliding", window.Session: "session", window.Snapshot: "snapshot",
}
