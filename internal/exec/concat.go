package exec

import (
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// isLoose reports whether an Order node lets its rows through as they come, because no
// reader needs them in the order of time.
func isLoose(op *plan.Order, sample bool) bool { return op.Concat || op.Soft && !sample }

// concat passes the rows of its inputs on as they come. Rows of several inputs get numbers
// that put those of equal T in the order (input, arrival), so that a result does not
// depend on how the inputs took turns.
type concat struct {
	stateless
	first []int64 // per port: the number of its first leaf, in place
	rows  []int64 // per port: rows so far
	out   vec.Batch
}

// The number of a row is, from its high bits to its low ones: the leaf, the partition of the
// input, and the row in it. Only rows of equal T are compared by it, so that it does no harm
// that the last part begins anew after so many rows.
const (
	rowBits   = 40
	leafShift = rowBits + 12
)

// MaxPartitions is how many partitions an input may have.
const MaxPartitions = 1 << (leafShift - rowBits)

// maxLeaves is how many leaves the numbers of rows can tell apart.
const maxLeaves = 1 << (63 - leafShift)

func newConcat(n *plan.Node, leaves map[*plan.Node]int) *concat {
	o := &concat{first: make([]int64, len(n.In)), rows: make([]int64, len(n.In))}
	before := 0
	for port, in := range n.In {
		o.first[port] = int64(before) << leafShift
		before += leaves[in]
	}
	return o
}

// concats are the Order nodes that become a concat, and how many leaves each node of the
// plan has: inputs that concats put one behind the other, of which those of a concat below
// are numbered on. Unions of unions can have more leaves than there are numbers; such a one
// sorts its rows.
func concats(p *plan.Plan, sample bool) (loose map[*plan.Node]bool, leaves map[*plan.Node]int) {
	loose, leaves = map[*plan.Node]bool{}, map[*plan.Node]int{}
	for _, n := range p.Nodes {
		leaves[n] = 1
		switch op := n.Op.(type) {
		case *plan.Filter, *plan.Project, *plan.Apply, *plan.Lookup:
			leaves[n] = leaves[n.In[0]]
		case *plan.Order:
			sum := 0
			for _, in := range n.In {
				sum += leaves[in]
			}
			if isLoose(op, sample) && sum <= maxLeaves {
				loose[n], leaves[n] = true, sum
			}
		}
	}
	return loose, leaves
}

func (o *concat) Push(port int, b *vec.Batch, emit Emit) error {
	if len(o.first) == 1 {
		return emit(b)
	}
	seq := o.out.Seq[:0]
	for i := range b.N {
		if b.Seq != nil {
			seq = append(seq, o.first[port]+b.Seq[i])
		} else {
			seq = append(seq, o.first[port]|(o.rows[port]+int64(i))&(1<<rowBits-1))
		}
	}
	o.rows[port] += int64(b.N)
	o.out = *b
	o.out.Seq = seq
	return emit(&o.out)
}

func (o *concat) Freeze(m *state.Memory) saved {
	rows := slices.Clone(o.rows)
	return func(w *state.Writer) {
		for _, n := range rows {
			w.Int(n)
		}
	}
}

func (o *concat) Restore(r *state.Reader) error {
	for i := range o.rows {
		if o.rows[i] = r.Int(); o.rows[i] < 0 {
			r.Fail()
		}
	}
	return r.Err()
}
