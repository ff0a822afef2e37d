package exec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// partitionQueries read one input whose partitions take turns.
var partitionQueries = []string{
	`SELECT k, COUNT(*) AS n, SUM(v) AS s, TopOne(g) OVER (ORDER BY v) AS x FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 3)`,
	`SELECT k, MIN(v) AS s, Collect(g) AS c FROM a GROUP BY k, HoppingWindow(second, 6, 2)`,
	`SELECT k, Collect(v) AS c FROM a TIMESTAMP BY at GROUP BY k, SlidingWindow(second, 2)`,
	`SELECT k, g, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, g, SessionWindow(second, 2, 10)`,
	`SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 5)) AS x FROM a TIMESTAMP BY at`,
	`SELECT k, g, COUNT(*) AS n FROM a TIMESTAMP BY at OVER k GROUP BY k, g, TumblingWindow(second, 2)`,
	`SELECT x.k, x.v, y.v AS w FROM a x TIMESTAMP BY at JOIN a y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 2`,
	`WITH u AS (SELECT k, v FROM a TIMESTAMP BY at UNION SELECT g AS k, v FROM a TIMESTAMP BY at)
		SELECT k, COUNT(*) AS n, MAX(v) AS m FROM u GROUP BY k, TumblingWindow(second, 2)`,
	`SELECT System.Timestamp() AS t, k, LAST(v) OVER (LIMIT DURATION(second, 5) WHEN v > 3) AS x FROM a WHERE v <> 5`,
}

// partitionStep is something that a partition brings: events, or a clock.
type partitionStep struct {
	rows  []partitionRow
	clock vec.Time
}

type partitionRow struct {
	at, arrival vec.Time
	k, g        string
	v           int64
}

// partitionStory makes the steps of a partition. Events come at times of their own, a bit out
// of order; now and then one does not, and only the clock moves.
func partitionStory(r *rand.Rand, steps int) []partitionStep {
	var out []partitionStep
	now := base
	for range steps {
		var s partitionStep
		for range r.IntN(5) {
			now += vec.Time(r.IntN(3)) * vec.Second / 2
			s.rows = append(s.rows, partitionRow{
				at: now - vec.Time(r.IntN(8)-1)*vec.Second, arrival: now, v: int64(r.IntN(9)),
				k: fmt.Sprint("k", r.IntN(3)), g: fmt.Sprint("g", r.IntN(3))})
		}
		if r.IntN(3) == 0 {
			now += vec.Time(r.IntN(6)) * vec.Second
			s.clock = now
		}
		out = append(out, s)
	}
	return out
}

func partitionBatch(p *plan.Plan, rows []partitionRow) *vec.Batch {
	b := &vec.Batch{N: len(rows), Cols: make([]vec.Vec, len(p.Inputs[0].Fields))}
	for c, f := range p.Inputs[0].Fields {
		for _, row := range rows {
			switch f.Path[0] {
			case "at":
				b.Cols[c].Append(vec.TimeValue(row.at))
			case "v":
				b.Cols[c].Append(vec.IntValue(row.v))
			case "k":
				b.Cols[c].Append(vec.StringValue(row.k))
			default:
				b.Cols[c].Append(vec.StringValue(row.g))
			}
		}
	}
	for _, row := range rows {
		b.Arrival = append(b.Arrival, row.arrival)
	}
	return b
}

// interleave plays the stories of all partitions in a random order, cut at random, with
// snapshots now and then, and gives the rows.
func interleave(t *testing.T, p *plan.Plan, o exec.Options, stories [][]partitionStep, r *rand.Rand, snapshots bool) []string {
	t.Helper()
	var rows []string
	o.Partitions = []int{len(stories)}
	o.OnRows = func(_ int, b *vec.Batch) error {
		rows = append(rows, batchTexts(b)...)
		return nil
	}
	build := func() *exec.Graph {
		g, err := exec.Build(p, o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	g := build()
	left := slices.Clone(stories)
	for len(left) > 0 {
		at := r.IntN(len(stories))
		if len(left[at]) == 0 {
			if slices.IndexFunc(left, func(s []partitionStep) bool { return len(s) > 0 }) < 0 {
				break
			}
			continue
		}
		s := left[at][0]
		left[at] = left[at][1:]
		for len(s.rows) > 0 {
			n := 1 + r.IntN(len(s.rows))
			must(g.PushPartition(0, at, partitionBatch(p, s.rows[:n])))
			s.rows = s.rows[n:]
		}
		if s.clock != 0 {
			must(g.Tick(0, at, s.clock))
		}
		if len(left[at]) == 0 {
			must(g.ClosePartition(0, at))
		}
		if snapshots && r.IntN(3) == 0 {
			image := g.Snapshot()
			g = build()
			must(g.Restore(image))
		}
	}
	must(g.Close(0))
	return rows
}

// TestPartitionsTakeTurns: rows do not depend on how the partitions of an input take turns
// (saql.md 4.3 step 4).
func TestPartitionsTakeTurns(t *testing.T) {
	rounds := uint64(20)
	for _, query := range partitionQueries {
		p := compile(t, query)
		for seed := range rounds {
			r := rand.New(rand.NewPCG(seed, 7))
			stories := make([][]partitionStep, 1+r.IntN(4))
			for i := range stories {
				stories[i] = partitionStory(r, 12)
			}
			o := exec.Options{Late: 5 * vec.Second, OutOfOrder: vec.Time(r.IntN(3)) * vec.Second, Drop: r.IntN(2) == 0,
				Start: base - vec.Second, Shards: r.IntN(3)}
			want := interleave(t, p, o, stories, r, false)
			for i := range 4 {
				got := interleave(t, p, o, stories, r, i%2 == 1)
				if !softRows(p) && !slices.Equal(got, want) || !slices.Equal(sorted(got), sorted(want)) {
					t.Fatalf("%s\nseed %d, %d partitions: the rows depend on how partitions take turns\n%q\n%q", query, seed, len(stories), got, want)
				}
			}
		}
	}
}

// softRows reports whether the rows of a plan never wait, so that their order is that of the
// pushes.
func softRows(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Nodes, func(n *plan.Node) bool { o, ok := n.Op.(*plan.Order); return ok && o.Soft })
}

func sorted(rows []string) []string {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	return rows
}

// TestAddPartition: a partition that comes while a job runs takes the watermark of the input
// for its own, and is part of snapshots.
func TestAddPartition(t *testing.T) {
	o := exec.Options{Late: 5 * vec.Second, OutOfOrder: vec.Second, Drop: true, Partitions: []int{1}, Start: base}
	s := newStory(t, `SELECT COUNT(*) AS n INTO out FROM a TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)`, o)
	s.feed(t, 0, 19) // the watermark is at 17
	n, err := s.g.AddPartition(0)
	if err != nil || n != 1 {
		t.Fatalf("partition %d, error %v", n, err)
	}
	push := func(g *exec.Graph, partition int, seconds ...int) {
		t.Helper()
		var rows []partitionRow
		for _, x := range seconds {
			at := base + vec.Time(x)*vec.Second
			rows = append(rows, partitionRow{at: at, arrival: at})
		}
		if err := g.PushPartition(0, partition, partitionBatch(s.p, rows)); err != nil {
			t.Fatal(err)
		}
	}
	push(s.g, 1, 16, 17) // the first one is behind what has been let through
	if got := s.g.Counts.Dropped[exec.OutOfOrder]; got != 1 {
		t.Errorf("%d events are out of order, want 1", got)
	}
	again := newStory(t, `SELECT COUNT(*) AS n INTO out FROM a TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)`, o)
	if err := again.g.Restore(s.g.Snapshot()); err != nil {
		t.Fatal(err)
	}
	if got := again.g.Partitions(0); got != 2 {
		t.Errorf("the input has %d partitions after a restart, want 2", got)
	}
	push(again.g, 0, 25)
	if len(again.rows["out"]) != 0 {
		t.Errorf("a window has closed although partition 1 is behind: %q", again.rows["out"])
	}
	push(again.g, 1, 26)
	if want := []string{"12:00:20 9"}; !slices.Equal(again.rows["out"], want) {
		t.Errorf("rows %q, want %q", again.rows["out"], want)
	}
	if got := again.g.Counts.Inputs[0].Events; got != 23 {
		t.Errorf("%d events are counted, want 23: counts survive restarts", got)
	}
	for again.g.Partitions(0) < exec.MaxPartitions {
		if _, err := again.g.AddPartition(0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := again.g.AddPartition(0); err == nil {
		t.Error("there is no limit of partitions")
	}
}
