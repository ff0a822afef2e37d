package plan

import (
	"fmt"
	"strconv"
	"strings"

	"weir/internal/vec"
)

// What joins, APPLY, ORDER BY, analytic functions and patterns are in words.

func (x *explainer) rest(n *Node, in []string) (string, []string) {
	switch op := n.Op.(type) {
	case *Top:
		return topText(op, in), []string{"keeps the rows of one point in time"}
	case *Join:
		return x.join(n, op)
	case *Lookup:
		return x.lookup(n, op)
	case *Apply:
		return x.apply(op, in), nil
	case *History:
		return x.history(n, op, in)
	case *Match:
		return x.match(n, op, in)
	}
	return "", nil
}

// idText is what a node computes, without the names that the query gives things.
func (x *explainer) idText(n *Node) string {
	text, notes := x.rest(n, x.columns(n.In[0]))
	if outerJoin(n) {
		text = "outer " + text
	}
	if _, ok := n.Op.(*Match); ok {
		text += strings.Join(notes[:len(notes)-1], "; ") // the last one tells of stages
	}
	return text
}

// outName names a column that a node hands on or makes.
func (x *explainer) outName(n *Node, o Out) string {
	if o.Port == Made {
		return x.madeName(n, o.Col)
	}
	name := x.columns(n.In[o.Port])[o.Col]
	side := ""
	switch op := n.Op.(type) {
	case *Join:
		side = op.Sides[o.Port]
	case *Lookup:
		side = op.Sides[o.Port]
	default:
		return name
	}
	switch {
	case x.plain:
		return shortText(strconv.Itoa(o.Port) + "." + name)
	case side == "":
		return name
	case name == "event":
		return side
	case name == "System.Timestamp()":
		return "time of " + side
	}
	return side + "." + name
}

// madeName names what a node computes itself.
func (x *explainer) madeName(n *Node, i int) string {
	switch op := n.Op.(type) {
	case *Apply:
		name := []string{"ArrayIndex", "ArrayValue"}[i]
		if op.Of == vec.Record {
			name = []string{"PropertyName", "PropertyValue"}[i]
		}
		if x.plain {
			return shortText(name + " of " + op.Arg.text(x.columns(n.In[0])))
		}
		return op.Name + "." + name
	case *History:
		return callText(op.Calls[i], x.columns(n.In[0]))
	}
	return ""
}

// shortText is text, or its hash if it is long: names of steps over steps could double.
func shortText(text string) string {
	if len(text) > 64 {
		return hashOf(text)
	}
	return text
}

func topText(op *Top, in []string) string {
	var parts []string
	for i, c := range op.By {
		parts = append(parts, in[c]+map[bool]string{true: " descending"}[op.Desc[i]])
	}
	text := "order the results of each time by " + strings.Join(parts, ", ")
	switch {
	case op.N < 0:
		return text
	case len(parts) == 0:
		return "keep the first " + strconv.FormatInt(op.N, 10) + " results of each time"
	}
	return text + ", keep the first " + strconv.FormatInt(op.N, 10)
}

// sides are names for the sides of a join.
func (x *explainer) sides(names [2]string) (left, right string) {
	left, right = names[0], names[1]
	if left == "" || x.plain {
		left = "the left"
	}
	if right == "" || x.plain {
		right = "the right"
	}
	return left, right
}

// equalities writes the keys of a join.
func (x *explainer) equalities(n *Node, keys [2][]int) string {
	var parts []string
	for i := range keys[0] {
		parts = append(parts, x.outName(n, Out{0, keys[0][i]})+" = "+x.outName(n, Out{1, keys[1][i]}))
	}
	return strings.Join(parts, ", ")
}

func (x *explainer) join(n *Node, op *Join) (string, []string) {
	l, r := x.sides(op.Sides)
	text := "join " + l + " with " + r + ": "
	keys := x.equalities(n, op.Keys)
	if keys != "" {
		text += keys + ", "
	}
	text += distanceText(l, r, op.Lo, op.Hi)
	if op.On != nil {
		text += ", where " + op.On.text(x.columns(n))
	}
	var notes []string
	if op.Outer {
		note := "a row of " + l + " without a match comes with NULLs"
		var until []string
		for _, u := range op.Until {
			until = append(until, x.outName(n, Out{0, u.Col})+" + "+duration(u.Hi))
		}
		switch {
		case len(until) == 1:
			note += ", at " + until[0]
		case len(until) > 1:
			note += ", at the first of " + strings.Join(until, ", ")
		case op.Hi > 0:
			note += ", " + duration(op.Hi) + " later"
		}
		notes = append(notes, note)
	}
	notes = append(notes, "state: rows of "+l+keptText(op.Hi)+", rows of "+r+keptText(-op.Lo))
	if keys == "" {
		return text, append(notes, "one shard: every row of one side is compared with all rows of the other within the bounds")
	}
	return text, append(notes, "stage "+strconv.Itoa(n.Stage)+" begins: rows are spread over shards by the hash of the keys")
}

// keptText says how long the rows of a side wait for those of the other.
func keptText(d vec.Time) string {
	if d <= 0 {
		return " until the watermark passes them"
	}
	return " for " + duration(d)
}

// distanceText says where r lies in time: "r from 0 s to 10 s after l".
func distanceText(l, r string, lo, hi vec.Time) string {
	switch {
	case lo == 0 && hi == 0:
		return r + " at the time of " + l
	case lo == hi && lo > 0:
		return r + " " + duration(lo) + " after " + l
	case lo == hi:
		return r + " " + duration(-lo) + " before " + l
	case lo >= 0:
		return r + " from " + duration(lo) + " to " + duration(hi) + " after " + l
	case hi <= 0:
		return r + " from " + duration(-lo) + " to " + duration(-hi) + " before " + l
	}
	return r + " from " + duration(-lo) + " before to " + duration(hi) + " after " + l
}

func (x *explainer) lookup(n *Node, op *Lookup) (string, []string) {
	l, r := x.sides(op.Sides)
	text := "look up " + r + " for each row of " + l
	var conds []string
	if keys := x.equalities(n, op.Keys); keys != "" {
		conds = append(conds, keys)
	}
	if op.On != nil {
		conds = append(conds, "where "+op.On.text(x.columns(n)))
	}
	if len(conds) > 0 {
		text += ": " + strings.Join(conds, ", ")
	}
	notes := []string{"of the reference data in force at the time of the row"}
	switch {
	case len(op.Keys[1]) > 0:
		notes = append(notes, "found by the hash of "+pick(x.columns(n.In[1]), op.Keys[1]))
	case op.Spatial != nil:
		notes = append(notes, "found by a spatial index of "+pick(x.columns(n.In[1]), []int{op.Spatial.Right}))
	default:
		notes = append(notes, "no index: every row of "+r+" is tried")
	}
	if op.Outer {
		notes = append(notes, "a row of "+l+" without a match comes with NULLs")
	}
	return text, notes
}

func (x *explainer) apply(op *Apply, in []string) string {
	what := "element "
	if op.Of == vec.Record {
		what = "property "
	}
	if !x.plain {
		what += op.Name + " "
	}
	text := "a row for each " + what + "of " + op.Arg.text(in)
	if op.Outer {
		text += ", or one with NULLs"
	}
	return text
}

var historyNames = map[HistoryKind]string{Lag: "LAG", Last: "LAST", IsFirst: "ISFIRST", SpikeAndDip: "AnomalyDetection_SpikeAndDip", ChangePoint: "AnomalyDetection_ChangePoint"}

// callText writes the call of an analytic function.
func callText(c HistoryCall, in []string) string {
	var b strings.Builder
	var args []string
	for _, a := range c.Args {
		args = append(args, in[a])
	}
	switch c.Kind {
	case Over:
		b.WriteString(aggText(c.Agg, in))
	case IsFirst:
		b.WriteString("ISFIRST(" + duration(c.Limit) + ")")
	case Lag:
		if c.Offset > 1 || len(args) > 1 {
			args = append(args[:1:1], append([]string{strconv.Itoa(c.Offset)}, args[1:]...)...)
		}
		fallthrough
	case Last:
		b.WriteString(historyNames[c.Kind] + "(" + strings.Join(args, ", ") + ")")
	default:
		fmt.Fprintf(&b, "%s(%s, %g, %d, '%s')", historyNames[c.Kind], strings.Join(args, ", "), c.Confidence, c.Size, []string{"spikesanddips", "spikes", "dips"}[c.Mode])
	}
	var over []string
	if c.Kind != IsFirst {
		over = append(over, "the last "+duration(c.Limit))
	}
	if len(c.Keys) > 0 {
		over = append(over, "per "+pick(in, c.Keys))
	}
	if c.When != nil {
		over = append(over, "when "+c.When.text(in))
	}
	if len(over) > 0 {
		b.WriteString(" over (" + strings.Join(over, " ") + ")")
	}
	return b.String()
}

func (x *explainer) history(n *Node, op *History, in []string) (string, []string) {
	var calls []string
	for _, c := range op.Calls {
		calls = append(calls, callText(c, in))
	}
	notes := []string{"state: the rows that the functions can still see"}
	if by := op.ShardKeys(); len(by) > 0 {
		notes = append(notes, "stage "+strconv.Itoa(n.Stage)+" begins: rows are spread over shards by the hash of "+pick(in, by))
	} else {
		notes = append(notes, "one shard: all rows meet here")
	}
	return "look back: " + strings.Join(calls, "; "), notes
}

func (x *explainer) match(n *Node, op *Match, in []string) (string, []string) {
	text := "find " + op.Pattern.text(op.Vars) + " within " + duration(op.Limit)
	if len(op.Keys) > 0 {
		text += " per " + pick(in, op.Keys)
	}
	refs := refNames(op, in)
	var notes []string
	for _, v := range op.Vars {
		if v.Define != nil {
			notes = append(notes, v.Name+": "+v.Define.text(refs))
		}
	}
	var measures []string
	for i, e := range op.Measures {
		if e.Op == OpNull {
			e = e.Args[0] // NULL for an absent field is no news
		}
		measures = append(measures, x.measureName(n, i)+" = "+e.text(refs))
	}
	notes = append(notes, "gives "+strings.Join(measures, ", "), "state: the rows of the last "+duration(op.Limit)+" that a match may begin with")
	if len(op.Keys) > 0 {
		return text, append(notes, "stage "+strconv.Itoa(n.Stage)+" begins: rows are spread over shards by the hash of "+pick(in, op.Keys))
	}
	return text, append(notes, "one shard: all rows meet here")
}

// measureName is the name of a measure.
func (x *explainer) measureName(n *Node, i int) string {
	if x.plain {
		return strconv.Itoa(i)
	}
	return n.Cols[i].Name
}

// refNames names the values that the expressions of a pattern read.
func refNames(op *Match, in []string) []string {
	var names []string
	for _, r := range op.Refs {
		name := in[r.Col]
		if r.Var != AnyVar {
			name = op.Vars[r.Var].Name + "." + name
		}
		names = append(names, [...]string{LastOf: "LAST", FirstOf: "FIRST", MinOf: "MIN", MaxOf: "MAX"}[r.Of]+"("+name+")")
	}
	return append(names, "Classifier()")
}

// text writes a pattern as a query does.
func (p *Pattern) text(vars []MatchVar) string {
	var parts []string
	for _, part := range p.Parts {
		text := part.text(vars)
		if part.Kind == Choice || part.Kind == Sequence {
			text = "(" + text + ")"
		}
		parts = append(parts, text)
	}
	switch p.Kind {
	case One:
		return vars[p.Var].Name
	case AnyRow:
		return "."
	case Choice:
		return strings.Join(parts, " | ")
	case Sequence:
		return strings.Join(parts, " ")
	}
	return parts[0] + map[PatternKind]string{Star: "*", Plus: "+", Optional: "?"}[p.Kind]
}
