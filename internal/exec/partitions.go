package exec

import (
	"fmt"
	"slices"

	"weir/internal/plan"
	"weir/internal/vec"
)

// Push feeds decoded events of an input, in order: a column per field of the plan's
// input, and arrival times or nil. They are of its first partition.
func (g *Graph) Push(input int, b *vec.Batch) error { return g.PushPartition(input, 0, b) }

// PushPartition feeds decoded events of a partition of an input, in the order in which they
// stand there. How partitions take turns does not show in any row but those that never wait:
// rows that go from an input to an output with nothing but projections and filters between.
func (g *Graph) PushPartition(input, partition int, b *vec.Batch) error {
	g.partition = partition
	g.Counts.Events += int64(b.N)
	g.Counts.Inputs[input].Events += int64(b.N)
	g.rows[input] = nil
	for _, v := range g.sources[input] {
		if err := g.push(v, 0, b); err != nil {
			return err
		}
	}
	return g.checkHeld()
}

// Tick says that everything of a partition that arrived before clock has been pushed
// (saql.md 4.4), so that windows close although no event comes. Time does not go back: an
// earlier clock than the last one says nothing.
func (g *Graph) Tick(input, partition int, clock vec.Time) error {
	return g.eachStamp(input, func(s *stamp) { s.clockTo(partition, clock) })
}

// AddPartition adds a partition at the end of those of an input and gives its number. No row
// of it can be older than what the other partitions have already let through: it takes the
// watermark of the input as its own.
func (g *Graph) AddPartition(input int) (int, error) {
	if g.partCount[input] == MaxPartitions {
		return 0, fmt.Errorf("exec: input %q has %d partitions already", g.plan.Inputs[input].Name, MaxPartitions)
	}
	n := g.partCount[input]
	g.partCount[input]++
	return n, g.eachStamp(input, func(s *stamp) { s.addPartition(g.firstClock(), s.low) })
}

// ClosePartition says that no event of a partition comes any more.
func (g *Graph) ClosePartition(input, partition int) error {
	return g.eachStamp(input, func(s *stamp) { s.closePartition(partition) })
}

// Close ends an input: every window that waits for nothing else closes.
func (g *Graph) Close(input int) error {
	for _, v := range g.sources[input] {
		for _, e := range v.outs {
			if s, ok := e.to.op.(*stamp); ok {
				for p := range s.parts {
					s.closePartition(p)
				}
			}
		}
		if err := g.advance(v, vec.MaxTime); err != nil {
			return err
		}
	}
	return nil
}

// Partitions is how many partitions an input has.
func (g *Graph) Partitions(input int) int { return g.partCount[input] }

// eachStamp changes the timelines of an input and passes on what their watermarks are then.
func (g *Graph) eachStamp(input int, change func(s *stamp)) error {
	for _, v := range g.sources[input] {
		for _, e := range v.outs {
			s, ok := e.to.op.(*stamp)
			if !ok {
				continue
			}
			change(s)
			if err := g.advance(e.to, s.Watermark()); err != nil {
				return err
			}
		}
	}
	return nil
}

// partitions is how many partitions an input begins with.
func (g *Graph) partitions(input int) int {
	if input < len(g.partCount) {
		return g.partCount[input]
	}
	return 1
}

// firstClock is the arrival clock of a partition that has had no event.
func (g *Graph) firstClock() vec.Time {
	if g.opts.Partitions == nil {
		return vec.MinTime
	}
	return g.opts.Start
}

// Watermark of an input: the smallest of its timelines. The runner reads next from the
// input that is furthest behind.
func (g *Graph) Watermark(input int) vec.Time {
	low := vec.MaxTime
	for _, s := range g.sources[input] {
		for _, e := range s.outs {
			low = min(low, e.to.mark)
		}
	}
	return low
}

// PartitionWatermark is W of a partition: the smallest of its timelines; vec.MaxTime if it is
// closed.
func (g *Graph) PartitionWatermark(input, partition int) vec.Time {
	low := vec.MaxTime
	for _, v := range g.sources[input] {
		for _, e := range v.outs {
			if s, ok := e.to.op.(*stamp); ok {
				low = min(low, s.parts[partition].mark)
			}
		}
	}
	return low
}

// stampsBelow are the stamps whose rows reach a node with nothing between that holds them.
func stampsBelow(n *plan.Node, at map[*plan.Node]*vertex) []*stamp {
	switch n.Op.(type) {
	case *plan.Stamp:
		return []*stamp{at[n].op.(*stamp)}
	case *plan.Filter, *plan.Project, *plan.Apply, *plan.Lookup:
		return stampsBelow(n.In[0], at)
	case *plan.Order:
		if _, ok := at[n].op.(*concat); !ok {
			return nil
		}
		var list []*stamp
		for _, in := range n.In {
			for _, s := range stampsBelow(in, at) {
				if !slices.Contains(list, s) {
					list = append(list, s)
				}
			}
		}
		return list
	}
	return nil
}
