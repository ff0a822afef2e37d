package plan

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"weir/internal/vec"
	"weir/internal/window"
)

// Explain writes the plan for people: for each output the tree of its nodes, the last
// step first, with what each keeps in memory and where rows are spread or sorted.
func (p *Plan) Explain(w io.Writer) {
	x := &explainer{p: p, w: w, names: map[*Node][]string{}, shown: map[*Node]bool{}}
	for i, o := range p.Outputs {
		if i > 0 {
			fmt.Fprintln(w)
		}
		columns := "the rows as they are"
		if op := o.Node.Op.(*Write); !op.Row {
			columns = colNames(o.Node.Cols)
		}
		x.line(0, "output %s: %s", quote(o.Name), columns)
		x.node(o.Node.In[0], 1)
	}
	fmt.Fprintf(w, "\nstages: %d; history: %s before the start\n", p.Stages(), longDuration(p.History()))
	fmt.Fprintln(w, "guarantees: the same events give the same rows with the same times, however they are cut into batches,")
	fmt.Fprintln(w, "spread over shards or interrupted; a run gives each row once, and one that fails may have written some")
}

// Words says in a few words what a window or a join goes by, where the span of the node is only
// its key word; "" for other nodes.
func (p *Plan) Words(n *Node) string {
	x := &explainer{p: p, names: map[*Node][]string{}, shown: map[*Node]bool{}}
	switch op := n.Op.(type) {
	case *Group:
		in := x.columns(n.In[0])
		var parts []string
		for _, w := range op.Windows {
			text, _, _ := strings.Cut(windowText(w, in), ",")
			parts = append(parts, text)
		}
		if len(op.Keys) > 0 {
			parts = append(parts, "by "+pick(in, op.Keys))
		}
		return strings.Join(parts, ", ")
	case *Join:
		return "JOIN" + onText(x.equalities(n, op.Keys))
	case *Lookup:
		return "JOIN" + onText(x.equalities(n, op.Keys))
	}
	return ""
}

func onText(equalities string) string {
	if equalities == "" {
		return ""
	}
	return " ON " + equalities
}

type explainer struct {
	p     *Plan
	w     io.Writer
	names map[*Node][]string
	shown map[*Node]bool
	plain bool // names do not show what the query calls things
}

func (x *explainer) line(depth int, format string, args ...any) {
	fmt.Fprintf(x.w, strings.Repeat("  ", depth)+format+"\n", args...)
}

// node writes a node and below it what it reads.
func (x *explainer) node(n *Node, depth int) {
	step := ""
	if n.Step != "" {
		step = "  [step " + quote(n.Step) + "]"
	}
	if x.shown[n] && len(n.In) > 0 {
		x.line(depth, "node %d, as above%s", n.ID, step)
		return
	}
	x.shown[n] = true
	text, notes := x.op(n)
	x.line(depth, "%d: %s%s", n.ID, text, step)
	for _, note := range notes {
		x.line(depth, "   - %s", note)
	}
	for _, in := range n.In {
		x.node(in, depth+1)
	}
}

// op is what a node does, and notes about its cost.
func (x *explainer) op(n *Node) (string, []string) {
	var in []string
	if len(n.In) > 0 {
		in = x.columns(n.In[0])
	}
	switch op := n.Op.(type) {
	case *Source:
		return x.source(op), nil
	case *Stamp:
		return stampText(op, in), nil
	case *Filter:
		return "keep rows where " + op.Pred.text(in), nil
	case *Project:
		return "compute " + projectText(n, op, in), nil
	case *Order:
		return orderText(n, op)
	case *Group:
		return x.group(n, op, in)
	case *Write:
		return "write", nil
	}
	return x.rest(n, in)
}

func (x *explainer) source(op *Source) string {
	in := x.p.Inputs[op.Input]
	what := "read input "
	if in.Reference {
		what = "read reference data "
	}
	if len(in.Fields) == 0 {
		return what + quote(in.Name) + ": no fields"
	}
	var fields []string
	for _, f := range in.Fields {
		switch {
		case f.Meta != "":
			fields = append(fields, "metadata "+f.Meta)
		case len(f.Path) == 0:
			fields = append(fields, "the whole event")
		case f.Want == vec.AsDatetime:
			fields = append(fields, pathText(f.Path)+" as datetime")
		default:
			fields = append(fields, pathText(f.Path))
		}
	}
	return what + quote(in.Name) + ": " + strings.Join(fields, ", ")
}

func stampText(op *Stamp, in []string) string {
	if op.By == nil {
		return "time: the arrival of the event"
	}
	text := "time: " + op.By.text(in)
	if len(op.Over) > 0 {
		text += ", a timeline per " + exprNamesText(op.Over, in)
	}
	return text + "; here early events are dropped, late and out-of-order ones treated by policy"
}

func exprNamesText(exprs []*Expr, in []string) string {
	parts := make([]string, len(exprs))
	for i, e := range exprs {
		parts[i] = e.text(in)
	}
	return strings.Join(parts, ", ")
}

func projectText(n *Node, op *Project, in []string) string {
	if len(op.Exprs) == 0 {
		return "nothing: only the number of rows counts"
	}
	parts := make([]string, len(op.Exprs))
	for i, e := range op.Exprs {
		if e.Op == OpNull {
			e = e.Args[0] // NULL for an absent field is no news
		}
		text := e.text(in)
		if name := n.Cols[i].Name; name != "" && name != text {
			text = name + " = " + text
		}
		parts[i] = text
	}
	return strings.Join(parts, ", ")
}

func orderText(n *Node, op *Order) (string, []string) {
	what := "sort by time"
	if len(n.In) > 1 {
		what = "union of " + strconv.Itoa(len(n.In)) + " in the order of time"
	}
	switch {
	case op.Concat:
		return "union of " + strconv.Itoa(len(n.In)), []string{"no order: nothing behind it sees one"}
	case op.Soft:
		return what, []string{"only in test runs; a continuous run leaves the sort out"}
	}
	return what, []string{"keeps rows until the watermark passes them"}
}

func (x *explainer) group(n *Node, op *Group, in []string) (string, []string) {
	text := "group"
	if len(op.Keys) > 0 {
		text += " by " + pick(in, op.Keys)
	}
	text += ": "
	names := x.columns(n)
	if aggs := names[len(op.Keys) : len(op.Keys)+len(op.Aggs)]; len(aggs) > 0 {
		text += strings.Join(aggs, ", ")
	} else {
		text += "the keys only"
	}
	var notes []string
	for _, w := range op.Windows {
		line := "window: " + windowText(w, in)
		if w.HasID {
			line = "window '" + w.ID + "': " + windowText(w, in)
		}
		notes = append(notes, line, "state: "+stateText(w, len(op.Aggs)))
	}
	if by := op.ShardKeys(); len(by) > 0 {
		notes = append(notes, "stage "+strconv.Itoa(n.Stage)+" begins: rows are spread over shards by the hash of "+pick(in, by))
	} else {
		notes = append(notes, "one shard: all rows meet here")
	}
	return text, notes
}

func pick(names []string, cols []int) string {
	parts := make([]string, len(cols))
	for i, c := range cols {
		parts[i] = names[c]
	}
	return strings.Join(parts, ", ")
}

// columns are names for the columns of a node.
func (x *explainer) columns(n *Node) []string {
	if names, ok := x.names[n]; ok {
		return names
	}
	var in, names []string
	if len(n.In) > 0 {
		in = x.columns(n.In[0])
	}
	switch op := n.Op.(type) {
	case *Source:
		for _, f := range x.p.Inputs[op.Input].Fields {
			name := pathText(f.Path)
			switch {
			case f.Meta != "":
				name = f.Meta
			case name == "":
				name = "event"
			}
			names = append(names, name)
		}
	case *Project:
		for i, e := range op.Exprs {
			name := n.Cols[i].Name
			if name == "" {
				name = e.text(in)
			}
			names = append(names, name)
		}
	case *Group:
		for _, k := range op.Keys {
			names = append(names, in[k])
		}
		for _, a := range op.Aggs {
			names = append(names, aggText(a, in))
		}
		if op.WithID {
			names = append(names, "System.Window().Id")
		}
	case *Join, *Lookup, *Apply, *History:
		for _, o := range n.outs() {
			names = append(names, x.outName(n, o))
		}
	case *Match:
		for i := range n.Cols {
			names = append(names, x.measureName(n, i))
		}
	default:
		names = in
	}
	names = slices.Clone(names)
	for i := range names {
		names[i] = x.short(names[i])
	}
	x.names[n] = names
	return names
}

// maxName is how long the name of a column may be. Columns of columns of columns would have
// names that double with every step.
const maxName = 240

// short is a name that is not too long: its beginning, or where names must differ a hash.
func (x *explainer) short(name string) string {
	switch {
	case len(name) <= maxName:
		return name
	case x.plain:
		return hashOf(name)
	}
	return strings.ToValidUTF8(name[:maxName/2], "") + " ..."
}

func aggText(a GroupAgg, in []string) string {
	values := a.Args[:len(a.Args)-len(a.Desc)]
	if a.Fn.WithTime {
		values = values[:len(values)-1]
	}
	switch {
	case len(a.Args) == 0:
		return a.Fn.Name + "(*)"
	case a.Fn.Name == "COUNT_DISTINCT":
		return "COUNT(DISTINCT " + pick(in, values) + ")"
	case len(a.Desc) == 0:
		return a.Fn.Name + "(" + pick(in, values) + ")"
	}
	var args, keys []string
	if a.Fn.Literal {
		args = append(args, a.Const.String())
	}
	if len(values) > 0 {
		args = append(args, pick(in, values))
	}
	for i, c := range a.Args[len(values):] {
		keys = append(keys, in[c])
		if a.Desc[i] {
			keys[i] += " DESC"
		}
	}
	return a.Fn.Name + "(" + strings.Join(args, ", ") + ") OVER (ORDER BY " + strings.Join(keys, ", ") + ")"
}

func colNames(cols []Col) string {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// windowText says what a window is, in words.
func windowText(w window.Spec, in []string) string {
	switch w.Kind {
	case window.Tumbling:
		return "tumbling " + duration(w.Size) + ", ends at " + endsText(w.Hop, w.Offset)
	case window.Hopping:
		return "hopping " + duration(w.Size) + " every " + duration(w.Hop) + ", ends at " + endsText(w.Hop, w.Offset)
	case window.Sliding:
		return "sliding " + duration(w.Size) + ", a result whenever a group changes"
	case window.Session:
		text := "session, closes after " + duration(w.Timeout) + " without rows, or at a multiple of " + duration(w.Max) + " once it has lasted that long"
		if len(w.Over) > 0 {
			text += ", apart per " + pick(in, w.Over)
		}
		return text
	}
	return "rows of equal time"
}

// units of durations, the longest first.
var units = []struct {
	length vec.Time
	name   string
	many   string
}{
	{vec.Day, "d", "midnights UTC"}, {vec.Hour, "h", "whole hours"}, {vec.Minute, "min", "whole minutes"},
	{vec.Second, "s", "whole seconds"}, {vec.Millisecond, "ms", "whole milliseconds"}, {vec.Microsecond, "us", "whole microseconds"},
}

// duration writes a duration in the longest unit that fits it: 5 min, 1500 ms. A tick less
// or more than that, which `<` and `>` leave, is said so.
func duration(t vec.Time) string {
	switch {
	case t == 0:
		return "0 s"
	case (t+1)%vec.Millisecond == 0:
		return "100 ns under " + duration(t+1)
	case (t-1)%vec.Millisecond == 0 && t != 1:
		return "100 ns over " + duration(t-1)
	}
	for _, u := range units {
		if t%u.length == 0 {
			return strconv.FormatInt(int64(t/u.length), 10) + " " + u.name
		}
	}
	return strconv.FormatInt(int64(t)*100, 10) + " ns"
}

// longDuration writes a sum of durations: in its units, as far as it is whole milliseconds.
func longDuration(t vec.Time) string {
	if t%vec.Millisecond != 0 || t < vec.Second {
		return duration(t)
	}
	var parts []string
	for _, u := range units {
		if n := t / u.length; n > 0 {
			parts = append(parts, duration(n*u.length))
			t -= n * u.length
		}
	}
	return strings.Join(parts, " ")
}

// endsText says where the windows of a hop end.
func endsText(hop, offset vec.Time) string {
	text := "multiples of " + duration(hop)
	for _, u := range units {
		if hop == u.length {
			text = u.many
		}
	}
	switch {
	case offset == 0:
		return text
	case offset > hop/2:
		return text + " minus " + duration(hop-offset)
	}
	return text + " plus " + duration(offset)
}

// stateText says what a window keeps in memory.
func stateText(w window.Spec, aggs int) string {
	values := "1 value"
	if aggs != 1 {
		values = strconv.Itoa(aggs) + " values"
	}
	switch w.Kind {
	case window.Tumbling:
		return values + " per group and open window"
	case window.Hopping:
		pane := gcd(w.Size, w.Hop)
		return values + " per group and pane of " + duration(pane) + ", " + strconv.FormatInt(int64(w.Size/pane), 10) + " panes a window"
	case window.Sliding:
		return "the rows of the last " + duration(w.Size) + ", " + values + " per group"
	case window.Session:
		return values + " per group of each open session"
	}
	return values + " per group of one point in time"
}

func gcd(a, b vec.Time) vec.Time {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
