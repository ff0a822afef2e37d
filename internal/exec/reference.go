package exec

import (
	"fmt"
	"iter"
	"slices"
	"sort"

	"weir/internal/plan"
	"weir/internal/vec"
)

// Reference data is inputs that do not move time: versions of a table (saql.md 6.6). Nodes
// that read nothing else are no part of the running graph. A Lookup computes them once for
// each version that it needs, in a small graph of their own.
//
// Versions are not part of the state: whoever restores a snapshot sets them again before it
// pushes rows.

// refInput is the versions of an input of reference data, by effective time.
type refInput struct{ versions []*refVersion }

// refVersion is the rows that are in force from a time on.
type refVersion struct {
	effective vec.Time
	rows      *vec.Batch                 // nil: they have to be loaded
	load      func() (*vec.Batch, error) // nil: they are kept as long as the version is
	used      int64                      // when a row last asked for it, by Graph.uses
}

// loadedTables is how many versions of an input that can be loaded again are kept in memory at
// once: the one in force, and the one before it or behind it.
const loadedTables = 2

// ReferenceRows gathers the rows of a version of reference data.
type ReferenceRows struct {
	table *typed
	used  []bool
	rows  vec.Batch
	arena vec.Arena
	judge Graph // counts for table
}

// NewReferenceRows makes an empty version of an input. text says that its values are text of a
// CSV file (Options.Text). onDrop is told of every row of the batch at hand that does not fit a
// CREATE TABLE; it may be nil.
func NewReferenceRows(p *plan.Plan, input int, text bool, onDrop func(row int)) *ReferenceRows {
	r := &ReferenceRows{used: UsedColumns(p)[input], judge: Graph{plan: p}}
	r.judge.Counts.Inputs = make([]InputCounts, len(p.Inputs))
	r.rows.Cols = make([]vec.Vec, len(p.Inputs[input].Fields))
	if len(p.Inputs[input].Table) > 0 {
		r.table = newTyped(&r.judge, input, p.Inputs[input], text)
		if onDrop != nil {
			r.judge.opts.OnDrop = func(_, row int, _ Reason) { onDrop(row) }
		}
	}
	return r
}

// Add copies decoded rows: a column per field of the input. Those that UsedColumns does not
// name may be empty.
func (r *ReferenceRows) Add(b *vec.Batch) {
	if r.table != nil {
		b = r.table.convert(b)
	}
	for c, used := range r.used {
		if used {
			r.rows.Cols[c].AppendRows(&b.Cols[c], nil, &r.arena)
		}
	}
	r.rows.N += b.N
}

// Dropped is how many rows did not fit the CREATE TABLE.
func (r *ReferenceRows) Dropped() int64 { return r.judge.Counts.Dropped[TypeConversion] }

// Table gives the rows, for SetReference. Nothing can be added afterwards.
func (r *ReferenceRows) Table() *vec.Batch {
	for c := range r.rows.Cols {
		v := &r.rows.Cols[c]
		v.Tag, v.Code = shrunk(v.Tag), shrunk(v.Code)
		v.Int, v.Float, v.Str, v.Rec = shrunk(v.Int), shrunk(v.Float), shrunk(v.Str), shrunk(v.Rec)
	}
	return &r.rows
}

// shrunk is s in memory that is not much larger than s.
func shrunk[T any](s []T) []T {
	if cap(s) <= len(s)+len(s)/4 {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}

// SetReference adds a version of an input of reference data, in force from a time on, or
// replaces the version of the same time. vec.MinTime is the time of data that has only one
// version. The graph keeps b, which is what ReferenceRows.Table gives or the like: nobody may
// change it any more, and its strings must own their memory.
func (g *Graph) SetReference(input int, effective vec.Time, b *vec.Batch) {
	g.setReference(input, &refVersion{effective: effective, rows: b})
}

// LoadReference is SetReference for a version whose rows are loaded when a row first asks for
// them, and perhaps again: a few versions of an input are in memory at a time. load gives the
// same rows each time; an error of it is one of the Push that needed them. b is its rows if they
// are there already, else nil.
func (g *Graph) LoadReference(input int, effective vec.Time, b *vec.Batch, load func() (*vec.Batch, error)) {
	g.uses++
	v := &refVersion{effective: effective, rows: b, load: load, used: g.uses}
	g.setReference(input, v)
	g.unload(input, loadedTables, v)
}

func (g *Graph) setReference(input int, version *refVersion) {
	in := g.references[input]
	at, found := slices.BinarySearchFunc(in.versions, version.effective, func(v *refVersion, t vec.Time) int {
		return compareTimes(v.effective, t)
	})
	if found {
		in.versions[at] = version
	} else {
		in.versions = slices.Insert(in.versions, at, version)
	}
	g.staleLookups()
}

// staleLookups tells the look-ups that there are other versions. They look when they need them:
// versions often come one behind the other.
func (g *Graph) staleLookups() {
	for l := range g.lookups() {
		l.stale = true
	}
}

// ClearReference drops all versions of an input: others follow, of another source.
func (g *Graph) ClearReference(input int) {
	g.references[input].versions = nil
	g.staleLookups()
}

// DropReferences drops the versions of an input that are in force before a time only, whether
// rows need them or not: rows of their time meet the first that is left.
func (g *Graph) DropReferences(input int, before vec.Time) {
	in := g.references[input]
	in.versions = slices.DeleteFunc(in.versions, func(v *refVersion) bool { return v.effective < before })
	g.staleLookups()
}

// References are the times of the versions of an input that rows to come may need.
func (g *Graph) References(input int) []vec.Time {
	var times []vec.Time
	for _, v := range g.references[input].versions {
		times = append(times, v.effective)
	}
	return times
}

// LoadedReferences is how many versions of an input have their rows in memory.
func (g *Graph) LoadedReferences(input int) int {
	n := 0
	for _, v := range g.references[input].versions {
		if v.rows != nil {
			n++
		}
	}
	return n
}

// lookups are the look-ups of the graph.
func (g *Graph) lookups() iter.Seq[*lookup] {
	return func(yield func(*lookup) bool) {
		for _, v := range g.nodes {
			if l, ok := v.op.(*lookup); ok && !yield(l) {
				return
			}
		}
	}
}

// rowsOf are the rows of a version, loaded if need be.
func (g *Graph) rowsOf(input int, v *refVersion) (*vec.Batch, error) {
	if v.rows != nil {
		return v.rows, nil
	}
	g.unload(input, loadedTables-1, nil) // before there is one more
	rows, err := v.load()
	if err != nil {
		return nil, err
	}
	v.rows = rows
	return rows, nil
}

// unload drops rows of versions of an input that can be loaded again, those first that no row
// has asked for in a while and never those of newest, until so many versions have theirs.
func (g *Graph) unload(input, most int, newest *refVersion) {
	for {
		var oldest *refVersion
		n := 0
		for _, v := range g.references[input].versions {
			if v.rows == nil || v.load == nil {
				continue
			}
			n++
			if v != newest && (oldest == nil || v.used < oldest.used) {
				oldest = v
			}
		}
		if n <= most || oldest == nil {
			return
		}
		oldest.rows = nil
		for l := range g.lookups() {
			l.forget(oldest)
		}
	}
}

func compareTimes(a, b vec.Time) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// at is the version in force at t: the latest one up to then, before the first version the
// first. It is nil if there is none.
func (in *refInput) at(t vec.Time) *refVersion {
	if len(in.versions) == 0 {
		return nil
	}
	later := sort.Search(len(in.versions), func(i int) bool { return in.versions[i].effective > t })
	return in.versions[max(later-1, 0)]
}

// forgetReferences drops the versions that no look-up needs any more.
func (g *Graph) forgetReferences() {
	if g.inReference {
		return // the data is that of the running graph
	}
	low := vec.MaxTime
	for l := range g.lookups() {
		low = min(low, l.mark)
	}
	for _, in := range g.references {
		n := 0
		for n+1 < len(in.versions) && in.versions[n+1].effective <= low {
			n++
		}
		in.versions = slices.Delete(in.versions, 0, n)
	}
}

// isReference tells of each node whether all that it reads is reference data.
func isReference(p *plan.Plan) map[*plan.Node]bool {
	is := map[*plan.Node]bool{}
	for _, n := range p.Nodes {
		if src, ok := n.Op.(*plan.Source); ok {
			is[n] = p.Inputs[src.Input].Reference
			continue
		}
		is[n] = true
		for _, in := range n.In {
			is[n] = is[n] && is[in]
		}
	}
	return is
}

// below is the nodes that a node stands on, itself included, in the order of the plan.
func below(p *plan.Plan, root *plan.Node) []*plan.Node {
	reads := map[*plan.Node]bool{root: true}
	var list []*plan.Node
	for _, n := range slices.Backward(p.Nodes) {
		if !reads[n] {
			continue
		}
		list = append(list, n)
		for _, in := range n.In {
			reads[in] = true
		}
	}
	slices.Reverse(list)
	return list
}

// inputsOf are the inputs that a node reads, each once.
func inputsOf(p *plan.Plan, root *plan.Node) []int {
	var list []int
	for _, n := range below(p, root) {
		if src, ok := n.Op.(*plan.Source); ok && !slices.Contains(list, src.Input) {
			list = append(list, src.Input)
		}
	}
	return list
}

// referenceRows computes the rows of a node of reference data as they are in force at a time.
func (g *Graph) referenceRows(root *plan.Node, at vec.Time) (*vec.Batch, error) {
	sub := &Graph{plan: g.plan, live: g.live, references: g.references, inReference: true, opts: g.opts,
		sources: make([][]*vertex, len(g.plan.Inputs)), rows: make([][]int32, len(g.plan.Inputs)),
		partCount: g.partCount}
	sub.Counts.Inputs = make([]InputCounts, len(g.plan.Inputs))
	sub.opts.Sample = true // UNION keeps the order of its branches
	if err := sub.add(below(g.plan, root)); err != nil {
		return nil, err
	}
	table := &collect{live: g.live[root], once: passesOnce(root)}
	table.rows.Cols = make([]vec.Vec, len(table.live))
	last := sub.nodes[len(sub.nodes)-1]
	last.outs = []edge{{&vertex{op: table, ins: []vec.Time{vec.MinTime}, mark: vec.MinTime}, 0}}
	for input, sources := range sub.sources {
		if len(sources) == 0 {
			continue
		}
		version := g.references[input].at(at)
		if version == nil {
			return nil, fmt.Errorf("exec: no rows for reference data %q", g.plan.Inputs[input].Name)
		}
		b, err := g.rowsOf(input, version)
		if err != nil {
			return nil, err
		}
		timed := *b
		timed.Time = make([]vec.Time, b.N)
		for i := range timed.Time {
			timed.Time[i] = max(at, 0)
		}
		for _, v := range sources {
			if err := sub.emit(v, &timed); err != nil {
				return nil, err
			}
		}
	}
	for _, sources := range sub.sources {
		for _, v := range sources {
			if err := sub.advance(v, vec.MaxTime); err != nil {
				return nil, err
			}
		}
	}
	for r, n := range sub.Counts.Dropped {
		g.Counts.Dropped[r] += n
	}
	for k, n := range sub.Counts.Notes {
		g.Counts.Notes[k] += n
	}
	return &table.rows, nil
}

// passesOnce reports whether a node gives its rows in one batch that is good for as long as
// nobody pushes another one: then the table need not copy them.
func passesOnce(n *plan.Node) bool {
	switch n.Op.(type) {
	case *plan.Source:
		return true
	case *plan.Filter, *plan.Project:
		return passesOnce(n.In[0])
	}
	return false
}

// collect keeps the rows that it is given.
type collect struct {
	stateless
	live  []bool
	once  bool
	rows  vec.Batch
	arena vec.Arena
}

func (o *collect) Push(_ int, b *vec.Batch, _ Emit) error {
	if o.once {
		o.rows = vec.Batch{N: b.N, Cols: slices.Clone(b.Cols)}
		return nil
	}
	for c, live := range o.live {
		if live {
			o.rows.Cols[c].AppendRows(&b.Cols[c], nil, &o.arena)
		}
	}
	o.rows.N += b.N
	return nil
}
