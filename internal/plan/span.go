package plan

import (
	"weir/internal/vec"
	"weir/internal/window"
)

// History is how far before its start a job must read for complete first results: the
// sum of the longest spans of time on the longest path: windows, join bounds, LIMIT
// DURATIONs (saql.md 4.9). The tolerance for disorder comes on top.
func (p *Plan) History() vec.Time {
	most := vec.Time(0)
	sums := map[*Node]vec.Time{}
	for _, n := range p.Nodes {
		var sum vec.Time
		for _, in := range n.In {
			sum = max(sum, sums[in])
		}
		sum += n.span()
		sums[n] = sum
		most = max(most, sum)
	}
	return most
}

// span is how far back a node looks.
func (n *Node) span() vec.Time {
	longest := vec.Time(0)
	switch op := n.Op.(type) {
	case *Group:
		for _, w := range op.Windows {
			switch w.Kind {
			case window.Session:
				longest = max(longest, w.Timeout+2*w.Max)
			case window.Snapshot:
			default:
				longest = max(longest, w.Size)
			}
		}
	case *Join:
		longest = max(op.Lo, -op.Lo, op.Hi, -op.Hi)
	case *History:
		for _, c := range op.Calls {
			longest = max(longest, c.Limit)
		}
	case *Match:
		longest = op.Limit
	}
	return longest
}
