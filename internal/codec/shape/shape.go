// Package shape finds out what the columns of a file hold, for formats whose files have a schema.
package shape

import (
	"strconv"

	"weir/internal/vec"
)

// Form is what the values of a column are written as.
type Form uint8

// The forms. All values may be NULL.
const (
	Text   Form = iota // text; of any other value its JSON text
	Bit                // true or false
	Long               // bigint
	Double             // float, bigints with it
	Time               // datetime
	Record             // of its fields
	Array              // of its items
	Mixed              // values of several forms
)

// Limits of what is found out: what has more is JSON text.
const (
	maxDepth = 16
	maxNodes = 2000
)

// Node is a column, a field of a record or the items of an array.
type Node struct {
	Name   string
	Kinds  vec.Kinds // of its values, without NULL
	Fields []*Node   // of records, in the order in which they came
	Items  *Node     // of arrays

	places map[string]int // of fields
	sealed bool           // form is what Form gives
	form   Form
	fixed  bool // Kinds was known
	text   bool // it has too much in it
	depth  int
	lists  int
	nodes  *int // in the whole tree
}

// Rows is the node of rows whose columns are found out.
func Rows() *Node { return &Node{Kinds: vec.KindsOf(vec.Record), nodes: new(int)} }

// simple are the sets of kinds that say enough.
var simple = []vec.Kinds{vec.KindsOf(vec.Bit), vec.KindsOf(vec.Int), vec.KindsOf(vec.Float), vec.KindsOf(vec.Int, vec.Float), vec.KindsOf(vec.String), vec.KindsOf(vec.Datetime)}

// Columns is the node of rows with columns of known kinds. Columns that may hold records, arrays
// or values of several kinds are found out.
func Columns(names []string, kinds []vec.Kinds) *Node {
	n := Rows()
	for i, name := range names {
		f := n.field(name)
		for _, s := range simple {
			if i < len(kinds) && kinds[i].NotNull() == s {
				f.Kinds, f.fixed = s, true
			}
		}
	}
	return n
}

// Known reports whether nothing is left to be found out.
func (n *Node) Known() bool {
	for _, f := range n.Fields {
		if !f.fixed {
			return false
		}
	}
	return len(n.Fields) > 0
}

// field is the field of a name, which is made if it is not there.
func (n *Node) field(name string) *Node {
	if i, ok := n.places[name]; ok {
		return n.Fields[i]
	}
	f := n.child(name)
	if n.places == nil {
		n.places = map[string]int{}
	}
	n.places[name] = len(n.Fields)
	n.Fields = append(n.Fields, f)
	return f
}

func (n *Node) child(name string) *Node {
	*n.nodes++
	return &Node{Name: name, depth: n.depth + 1, lists: n.lists, nodes: n.nodes}
}

// Field is the field of a name, nil if there is none.
func (n *Node) Field(name string) *Node {
	if i, ok := n.places[name]; ok {
		return n.Fields[i]
	}
	return nil
}

// See learns from a value.
func (n *Node) See(v vec.Value) {
	if v.Kind.IsNull() || n.fixed || n.text {
		return
	}
	n.Kinds |= vec.KindsOf(v.Kind)
	if v.Kind != vec.Record && v.Kind != vec.Array {
		return
	}
	if n.depth >= maxDepth || *n.nodes+len(v.Rec.Vals) > maxNodes && v.Kind == vec.Record && n.grows(v.Rec) {
		n.text = true
		return
	}
	if v.Kind == vec.Array {
		if n.Items == nil {
			n.Items = n.child("item")
			n.Items.lists++
		}
		for _, x := range v.Rec.Vals {
			n.Items.See(x)
		}
		return
	}
	for i, name := range v.Rec.Names {
		n.field(name).See(v.Rec.Vals[i])
	}
}

// grows reports whether a record has fields that are new.
func (n *Node) grows(r *vec.Rec) bool {
	for _, name := range r.Names {
		if _, ok := n.places[name]; !ok {
			return true
		}
	}
	return false
}

// Seal ends the finding out: Form is quick from then on.
func (n *Node) Seal() {
	n.form, n.sealed = n.find(), true
	for _, f := range n.Fields {
		f.Seal()
	}
	if n.Items != nil {
		n.Items.Seal()
	}
}

// Form is what the values are written as.
func (n *Node) Form() Form {
	if n.sealed {
		return n.form
	}
	return n.find()
}

func (n *Node) find() Form {
	switch k := n.Kinds; {
	case n.text:
		return Text
	case k == vec.KindsOf(vec.Bit):
		return Bit
	case k == vec.KindsOf(vec.Int):
		return Long
	case k.Within(vec.KindsOf(vec.Int, vec.Float)) && k != 0:
		return Double
	case k == vec.KindsOf(vec.Datetime):
		return Time
	case k == vec.KindsOf(vec.Record) && len(n.Fields) > 0:
		return Record
	case k == vec.KindsOf(vec.Array):
		return Array
	case k.Within(vec.KindsOf(vec.String)):
		return Text
	}
	return Mixed
}

// Only is the node as if its values were of one kind.
func (n *Node) Only(k vec.Kind) *Node {
	one := *n
	one.Kinds, one.sealed = vec.KindsOf(k), false
	return &one
}

// Lists is how many arrays a node lies in.
func (n *Node) Lists() int { return n.lists }

// AppendText appends a value as text: a text as it is, any other as JSON.
func AppendText(dst []byte, v vec.Value) []byte {
	if v.Kind == vec.String {
		return append(dst, v.Str...)
	}
	return vec.AppendJSON(dst, v)
}

// Identifier is a name of letters, digits and underscores, which is not among those that are
// taken; it is taken then.
func Identifier(name string, taken map[string]bool) string {
	b := []byte(name)
	for i, c := range b {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c < '0' || c > '9' {
				b[i] = '_'
			}
		}
	}
	if len(b) == 0 || b[0] >= '0' && b[0] <= '9' {
		b = append([]byte{'_'}, b...)
	}
	out := string(b)
	for i := 2; taken[out]; i++ {
		out = string(b) + "_" + strconv.Itoa(i)
	}
	taken[out] = true
	return out
}
