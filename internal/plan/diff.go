package plan

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/diag"
)

// Fate is what becomes of a node's state when a plan takes the place of another.
type Fate uint8

// The fates.
const (
	Same Fate = iota // it is kept
	New              // it begins empty, and nothing is lost by that
	Gone             // the node is no longer there
	Lost             // it begins empty although the step or output had such state before
)

// String is the fate in a word.
func (f Fate) String() string { return [...]string{"same", "new", "gone", "lost"}[f] }

// Change is the fate of a node that keeps state.
type Change struct {
	Fate      Fate
	Node, Old int    // in the new and in the old plan, -1: there is none
	Step      string // its WITH step, or the output that it is computed for
	Line      int    // of the query that has it: the new one, but for Gone
	What      string // "group by k, tumbling window of 5 seconds"
	Because   string // why it is lost
}

func (c Change) String() string {
	where := "step " + c.Step
	if c.Step == "" {
		where = "the query"
	}
	switch c.Fate {
	case Lost:
		return fmt.Sprintf("%s (line %d) cannot keep its state: %s", where, c.Line, c.Because)
	case Gone:
		return fmt.Sprintf("%s (line %d of the query so far) is gone with its state: %s", where, c.Line, c.What)
	case New:
		return fmt.Sprintf("%s (line %d) begins without state: %s", where, c.Line, c.What)
	}
	return fmt.Sprintf("%s (line %d) keeps its state: %s", where, c.Line, c.What)
}

// Diff tells what becomes of the state of a running plan when another one takes its place: a
// change for each node that keeps state, first those of the new plan in its order, then the
// nodes that are gone. Nodes without state are left out.
func Diff(old, new *Plan) []Change {
	d := &differ{old: old, new: new, was: old.Identities(), is: new.Identities(), taken: map[int]bool{}}
	var list []Change
	for _, n := range new.Nodes {
		if n.Stateful() {
			list = append(list, d.change(n))
		}
	}
	for i := range list {
		if list[i].Fate == New {
			d.judge(&list[i])
		}
	}
	for _, n := range old.Nodes {
		if n.Stateful() && !d.taken[n.ID] {
			list = append(list, Change{Fate: Gone, Node: -1, Old: n.ID, Step: old.StepOf(n), Line: old.lineOf(n), What: old.whatOf(n)})
		}
	}
	return list
}

// Stateful reports whether a node keeps something from one event to the next that results
// depend on. The watermark of an input is such a thing.
func (n *Node) Stateful() bool {
	switch op := n.Op.(type) {
	case *Stamp, *Group, *Join, *History, *Match, *Top:
		return true
	case *Order:
		return !op.Concat && !op.Soft
	}
	return false
}

type differ struct {
	old, new *Plan
	was, is  *Identities
	taken    map[int]bool // old nodes that have a counterpart
}

// change finds the node's state in the old plan.
func (d *differ) change(n *Node) Change {
	c := Change{Fate: New, Node: n.ID, Old: -1, Step: d.new.StepOf(n), Line: d.new.lineOf(n), What: d.new.whatOf(n)}
	for _, o := range d.old.Nodes {
		if d.was.Node[o.ID] == d.is.Node[n.ID] && CanKeep(d.was.Kept[o.ID], d.is.Kept[n.ID]) {
			c.Fate, c.Old = Same, o.ID
			if !d.taken[o.ID] {
				break // a second node of the same identity has a counterpart of its own, if there is one
			}
		}
	}
	if c.Old >= 0 {
		d.taken[c.Old] = true
	}
	return c
}

// CanKeep reports whether rows with the columns was have all the columns is, per port.
func CanKeep(was, is [][]string) bool {
	if len(was) != len(is) {
		return false
	}
	for port := range is {
		for _, c := range is[port] {
			if !slices.Contains(was[port], c) {
				return false
			}
		}
	}
	return true
}

// judge says whether a node without old state takes the place of one that had some: one of
// the same kind in the same step.
func (d *differ) judge(c *Change) {
	n := d.new.Nodes[c.Node]
	for _, o := range d.old.Nodes {
		if !o.Stateful() || d.taken[o.ID] || o.Kind() != n.Kind() || !strings.EqualFold(d.old.StepOf(o), c.Step) {
			continue
		}
		d.taken[o.ID] = true
		c.Fate, c.Old, c.Because = Lost, o.ID, d.because(o, n)
		return
	}
}

// because is the reason why n cannot go on with the state of o.
func (d *differ) because(o, n *Node) string {
	if was, is := d.old.whatOf(o), d.new.whatOf(n); was != is {
		return fmt.Sprintf("it was '%s' and is now '%s'", was, is)
	}
	if d.was.Node[o.ID] == d.is.Node[n.ID] {
		return "the rows that wait there lack a column that is now wanted"
	}
	return d.below(o, n)
}

// below finds what has changed in what two nodes read that do the same themselves.
func (d *differ) below(o, n *Node) string {
	if len(o.In) != len(n.In) {
		return fmt.Sprintf("it read %d streams and now reads %d", len(o.In), len(n.In))
	}
	for i := range n.In {
		if d.was.Node[o.In[i].ID] != d.is.Node[n.In[i].ID] {
			return d.reads(o.In[i], n.In[i])
		}
	}
	for i := range n.In {
		if d.old.whatOf(o.In[i]) != d.new.whatOf(n.In[i]) {
			return d.reads(o.In[i], n.In[i])
		}
	}
	return "a function that it uses has changed"
}

// reads says how what is read differs.
func (d *differ) reads(o, n *Node) string {
	was, is := d.old.whatOf(o), d.new.whatOf(n)
	if was == is {
		return d.below(o, n)
	}
	return fmt.Sprintf("what it reads was '%s' (line %d) and is now '%s' (line %d)", was, d.old.lineOf(o), is, d.new.lineOf(n))
}

// Kind is the type of a node's operation: "Group".
func (n *Node) Kind() string { return strings.TrimPrefix(fmt.Sprintf("%T", n.Op), "*plan.") }

// StepOf is the WITH step that a node belongs to, or the first output that it is computed for.
func (p *Plan) StepOf(n *Node) string {
	if n.Step != "" {
		return n.Step
	}
	reads := map[*Node]bool{n: true}
	for _, x := range p.Nodes {
		for _, in := range x.In {
			reads[x] = reads[x] || reads[in]
		}
		if w, ok := x.Op.(*Write); ok && reads[x] {
			return p.Outputs[w.Output].Name
		}
	}
	return ""
}

// lineOf is the line of the query that a node stands in.
func (p *Plan) lineOf(n *Node) int {
	line, _ := diag.Position(p.Src, n.Span.Start)
	return line
}

// whatOf is what a node does, for people.
func (p *Plan) whatOf(n *Node) string {
	x := &explainer{p: p, names: map[*Node][]string{}, shown: map[*Node]bool{}}
	if op, ok := n.Op.(*Source); ok {
		return "read input " + quote(p.Inputs[op.Input].Name)
	}
	text, notes := x.op(n)
	switch op := n.Op.(type) {
	case *Stamp:
		text, _, _ = strings.Cut(text, ";")
		if src, ok := n.In[0].Op.(*Source); ok {
			text = "time of input " + quote(p.Inputs[src.Input].Name) + strings.TrimPrefix(text, "time")
		}
	case *Group:
		in := x.columns(n.In[0])
		for _, w := range op.Windows {
			text += ", " + windowText(w, in)
		}
	case *Match:
		text += " " + strings.Join(notes[:len(notes)-1], "; ") // the last one tells of stages
	}
	return text
}
