package exec

import (
	"fmt"
	"slices"

	"weir/internal/plan"
	"weir/internal/state"
	"weir/internal/vec"
)

// Reloaded tells what became of the state in a snapshot, by step and kind of node: "hourly:
// Group". Nodes without state are left out.
type Reloaded struct {
	Kept    []string
	New     []string // no state was found for them
	Dropped []string // no node has taken them
}

// RestoreKept reads a snapshot of a graph of another plan into a new graph: every node whose
// identity is in the snapshot takes its state, the others begin empty (design.md 9). What it
// keeps is what plan.Diff calls the same. After an error the graph must not be used.
func (g *Graph) RestoreKept(b []byte) (Reloaded, error) {
	r := state.NewReader(b)
	g.loadCounts(r)
	var sections []section
	for range r.Count() {
		s := readSection(r)
		if r.Err() != nil {
			break
		}
		sections = append(sections, s)
	}
	if err := r.Done(); err != nil {
		return Reloaded{}, err
	}
	report, err := g.take(sections)
	if err != nil {
		return report, err
	}
	g.countPartitions()
	return report, nil
}

// take gives the nodes their sections.
func (g *Graph) take(sections []section) (Reloaded, error) {
	var report Reloaded
	ids := g.identities()
	taken := make([]bool, len(sections))
	for _, v := range g.nodes {
		at := -1
		for i := range sections {
			if sections[i].id == ids.Node[v.node.ID] && plan.CanKeep(sections[i].kept, ids.Kept[v.node.ID]) && (at < 0 || taken[at]) {
				at = i // the first that no other node has taken, else any: their state is the same
			}
		}
		name := ""
		if v.node.Stateful() {
			name = stateName(g.plan.StepOf(v.node), v.node.Kind())
		}
		if at < 0 {
			if err := g.begin(v); err != nil {
				return report, err
			}
			report.New = append(report.New, name)
			continue
		}
		taken[at] = true
		s := sections[at] // its reader is a copy: another node may read it too
		rest := *s.rest
		s.rest = &rest
		if err := g.restoreNode(v, &s); err != nil {
			return report, err
		}
		report.Kept = append(report.Kept, name)
	}
	for i, s := range sections {
		if !taken[i] && s.kind != "" {
			report.Dropped = append(report.Dropped, stateName(s.step, s.kind))
		}
	}
	isName := func(s string) bool { return s == "" }
	report.Kept, report.New = slices.DeleteFunc(report.Kept, isName), slices.DeleteFunc(report.New, isName)
	return report, nil
}

func stateName(step, kind string) string { return fmt.Sprintf("%s: %s", step, kind) }

// begin lets a node begin without state behind nodes that have some: their watermarks are
// its own.
func (g *Graph) begin(v *vertex) error {
	if len(v.node.In) == 0 {
		return nil
	}
	for port := range v.ins {
		from := g.vertex(v.node.In[port].ID)
		if from == nil || from.mark <= v.ins[port] || from.mark == vec.MinTime {
			continue
		}
		v.ins[port] = from.mark
		if err := v.op.Advance(port, from.mark, v.emit); err != nil {
			return err
		}
	}
	if _, ok := v.op.(clocked); !ok {
		v.mark = max(v.mark, slices.Min(v.ins))
	}
	return nil
}
