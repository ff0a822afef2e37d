package exec_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/fn"
	"weir/internal/plan"
	"weir/internal/vec"
)

// The columns of the inputs of a joinPlan.
const (
	joinAt = iota
	joinKey
	joinID
	joinX // a datetime in the left input, NULL at times
	joinCols
)

// joinPlan is a plan that joins inputs a and b of the columns at, k, n and x, and gives T
// and the columns k and n of both.
func joinPlan(j *plan.Join) *plan.Plan {
	p := &plan.Plan{}
	add := func(n *plan.Node) *plan.Node {
		n.ID = len(p.Nodes)
		p.Nodes = append(p.Nodes, n)
		return n
	}
	cols := make([]plan.Col, joinCols)
	for i := range cols {
		cols[i].Type = vec.AnyKind
	}
	var sides []*plan.Node
	for i, name := range []string{"a", "b"} {
		in := plan.Input{Name: name}
		for _, f := range []string{"at", "k", "n", "x"} {
			in.Fields = append(in.Fields, vec.Field{Path: []string{f}})
		}
		p.Inputs = append(p.Inputs, in)
		n := add(&plan.Node{Op: &plan.Source{Input: i}, Cols: cols})
		n = add(&plan.Node{Op: &plan.Stamp{By: &plan.Expr{Op: plan.OpCol, Col: joinAt}}, In: []*plan.Node{n}, Cols: cols})
		n = add(&plan.Node{Op: &plan.Order{}, In: []*plan.Node{n}, Cols: cols})
		sides = append(sides, n)
	}
	j.Out = []plan.Out{{Port: 0, Col: joinKey}, {Port: 0, Col: joinID}, {Port: 1, Col: joinKey}, {Port: 1, Col: joinID}}
	n := add(&plan.Node{Op: j, In: sides, Cols: make([]plan.Col, len(j.Out))})
	n = add(&plan.Node{Op: &plan.Write{}, In: []*plan.Node{n}, Cols: n.Cols})
	p.Outputs = []plan.Output{{Name: "output", Node: n}}
	return p
}

// joinRow is an event of a joinPlan.
type joinRow struct {
	t    vec.Time
	k, x vec.Value
	n    int64
}

func joinBatch(rows []joinRow) *vec.Batch {
	b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, joinCols)}
	for _, r := range rows {
		b.Cols[joinAt].Append(vec.TimeValue(r.t))
		b.Cols[joinKey].Append(r.k)
		b.Cols[joinID].Append(vec.IntValue(r.n))
		b.Cols[joinX].Append(r.x)
	}
	return b
}

// nestedLoop is the join as saql.md 6.3 and 6.4 say it.
func nestedLoop(j *plan.Join, on func(l, r joinRow) bool, left, right []joinRow) []string {
	type result struct {
		t    vec.Time
		l, r int
		text string
	}
	var out []result
	for i, l := range left {
		found := false
		for k, r := range right {
			d := r.t - l.t
			keys := len(j.Keys[0]) == 0 || !l.k.Kind.IsNull() && !r.k.Kind.IsNull() && vec.KeyEqual(l.k, r.k)
			if d < j.Lo || d > j.Hi || !keys || on != nil && !on(l, r) {
				continue
			}
			found = true
			out = append(out, result{max(l.t, r.t), i, k, fmt.Sprintf("%v %d %v %d", l.k, l.n, r.k, r.n)})
		}
		if found || !j.Outer {
			continue
		}
		t := l.t + j.Hi
		if len(j.Until) > 0 {
			if t = l.t; l.x.Kind == vec.Datetime {
				t = vec.Time(l.x.Int) + j.Until[0].Hi
			}
		}
		out = append(out, result{max(l.t, t), i, -1, fmt.Sprintf("%v %d null null", l.k, l.n)})
	}
	slices.SortStableFunc(out, func(a, b result) int {
		return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.l, b.l), cmp.Compare(a.r, b.r))
	})
	var texts []string
	for _, r := range out {
		texts = append(texts, r.t.String()+" "+r.text)
	}
	return texts
}

// joinRun feeds a graph with two inputs in batches of at most cut rows, of both in turn and
// by chance, and now and then goes on in a new graph.
type joinRun struct {
	p        *plan.Plan
	o        exec.Options
	r        *rand.Rand
	cut      int
	snapshot int // every how many batches
}

func (x *joinRun) rows(t testing.TB, inputs [2][]joinRow) []string {
	t.Helper()
	var got []string
	x.o.Late, x.o.OutOfOrder = -1, 0
	x.o.OnRows = func(_ int, b *vec.Batch) error {
		if err := b.Check(); err != nil {
			return err
		}
		for i := range b.N {
			row := []string{b.Time[i].String()}
			for c := range b.Cols {
				row = append(row, b.Cols[c].At(i).String())
			}
			got = append(got, strings.Join(row, " "))
		}
		return nil
	}
	build := func() *exec.Graph {
		g, err := exec.Build(x.p, x.o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := build()
	closed := [2]bool{}
	for n := 1; !closed[0] || !closed[1]; n++ {
		i := x.r.IntN(2)
		switch {
		case closed[i]:
			continue
		case len(inputs[i]) == 0:
			closed[i] = true
			if err := g.Close(i); err != nil {
				t.Fatal(err)
			}
		default:
			k := min(1+x.r.IntN(x.cut), len(inputs[i]))
			if err := g.Push(i, joinBatch(inputs[i][:k])); err != nil {
				t.Fatal(err)
			}
			inputs[i] = inputs[i][k:]
		}
		if x.snapshot > 0 && n%x.snapshot == 0 {
			snap := g.Snapshot()
			g = build()
			if err := g.Restore(snap); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(snap, g.Snapshot()) {
				t.Fatal("a snapshot of what was restored differs")
			}
		}
	}
	return got
}

// randomRows gives rows in the order of time. Many have equal times and keys.
func randomRows(r *rand.Rand, n, keys int, step vec.Time) []joinRow {
	var rows []joinRow
	now := base
	for i := range n {
		if r.IntN(3) > 0 {
			now += vec.Time(r.Int64N(int64(step)+1)) * vec.Second
		}
		row := joinRow{t: now, n: int64(i), k: vec.NullValue(), x: vec.NullValue()}
		switch k := r.IntN(keys); r.IntN(8) {
		case 0:
		case 1:
			row.k = vec.FloatValue(float64(k))
		case 2:
			row.k = vec.StringValue(fmt.Sprint(k))
		default:
			row.k = vec.IntValue(int64(k))
		}
		if r.IntN(4) > 0 {
			row.x = vec.TimeValue(now - vec.Time(r.IntN(5))*vec.Second)
		}
		rows = append(rows, row)
	}
	return rows
}

// TestJoinRandom compares joins with a nested loop: bounds of all signs, outer ones, NULL
// keys and keys of several kinds, equal times, predicates, all cuts and snapshots.
func TestJoinRandom(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 77))
		lo := vec.Time(r.IntN(13)-8) * vec.Second
		j := &plan.Join{Outer: r.IntN(2) == 0, Lo: lo, Hi: lo + vec.Time(r.IntN(9))*vec.Second}
		if r.IntN(5) > 0 {
			j.Keys = [2][]int{{joinKey}, {joinKey}}
		}
		var on func(l, r joinRow) bool
		if r.IntN(2) == 0 { // n of left < n of right, or the like
			x := &plan.Expr{Op: plan.OpCmp, Sub: "<", Args: []*plan.Expr{{Op: plan.OpCol, Col: 1}, {Op: plan.OpCol, Col: 3}}}
			j.On, on = x, func(l, r joinRow) bool { return l.n < r.n }
		}
		if r.IntN(3) == 0 && j.Outer {
			j.Until = []plan.TimeBound{{Col: joinX, Hi: j.Hi}}
			// The plan's On holds what Until says.
			was := on
			until := &plan.Expr{Op: plan.OpCmp, Sub: "<=", Args: []*plan.Expr{{Op: plan.OpCol, Col: 5}, {Op: plan.OpCol, Col: 4}}}
			on = func(l, r joinRow) bool {
				return l.x.Kind == vec.Datetime && int64(r.t-j.Hi) <= l.x.Int && (was == nil || was(l, r))
			}
			if j.On != nil {
				until = &plan.Expr{Op: plan.OpAnd, Args: []*plan.Expr{j.On, until}}
			}
			j.On = until
		}
		p := joinPlan(j)
		if j.Until != nil {
			p = untilPlan(p, j)
		}
		n, keys, step := 5+r.IntN(60), 1+r.IntN(4), vec.Time(r.IntN(4))
		if seed%25 == 0 {
			n, step = 1500, 2
		}
		inputs := [2][]joinRow{randomRows(r, n, keys, step), randomRows(r, n, keys, step)}
		want := nestedLoop(j, on, inputs[0], inputs[1])
		for way, x := range []joinRun{{cut: 2 * n}, {cut: 1}, {cut: 7, snapshot: 1}, {cut: 20, snapshot: 5}} {
			x.p, x.r = p, r
			restore := exec.SetLimits(1, 8, 64, []int{2048, 1, 5}[(int(seed)+way)%3])
			got := x.rows(t, inputs)
			restore()
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d way %d: %+v\n%s", seed, way, *j, firstDifference(got, want))
			}
		}
	}
}

// untilPlan makes the left time x and the right time less Hi columns 4 and 5 of the join, for
// On to compare.
func untilPlan(p *plan.Plan, j *plan.Join) *plan.Plan {
	join := p.Nodes[len(p.Nodes)-2]
	right := join.In[1]
	exprs := []*plan.Expr{}
	for c := range joinCols {
		exprs = append(exprs, &plan.Expr{Op: plan.OpCol, Col: c})
	}
	by := &plan.Expr{Op: plan.OpConst, Val: vec.IntValue(-int64(j.Hi / vec.Second))}
	add, _ := fn.LookupScalar("DATEADD")
	exprs[joinX] = &plan.Expr{Op: plan.OpCall, Fn: add, Part: fn.Second, Args: []*plan.Expr{by, {Op: plan.OpTime}}}
	shifted := &plan.Node{Op: &plan.Project{Exprs: exprs}, In: []*plan.Node{right}, Cols: right.Cols}
	join.In[1] = shifted
	i := len(p.Nodes) - 2
	p.Nodes = slices.Insert(p.Nodes, i, shifted)
	j.Out = append(j.Out, plan.Out{Port: 0, Col: joinX}, plan.Out{Port: 1, Col: joinX})
	join.Cols = make([]plan.Col, len(j.Out))
	cut := &plan.Node{Op: &plan.Project{Exprs: []*plan.Expr{}}, In: []*plan.Node{join}, Cols: make([]plan.Col, 4)}
	for c := range 4 {
		cut.Op.(*plan.Project).Exprs = append(cut.Op.(*plan.Project).Exprs, &plan.Expr{Op: plan.OpCol, Col: c})
	}
	p.Nodes = slices.Insert(p.Nodes, len(p.Nodes)-1, cut)
	write := p.Nodes[len(p.Nodes)-1]
	write.In, write.Cols = []*plan.Node{cut}, cut.Cols
	for i, n := range p.Nodes {
		n.ID = i
	}
	return p
}

// firstDifference shows where two lists of rows part.
func firstDifference(got, want []string) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	part := func(s []string) string { return strings.Join(s[max(0, i-2):min(i+5, len(s))], "\n  ") }
	return fmt.Sprintf("row %d of %d and %d: got\n  %s\nwant\n  %s", i, len(got), len(want), part(got), part(want))
}
