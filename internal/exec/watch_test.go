package exec_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/plan"
	"weir/internal/vec"
)

// nodeOf is the first node of a kind.
func nodeOf(t *testing.T, p *plan.Plan, kind string) int {
	t.Helper()
	i := slices.IndexFunc(p.Nodes, func(n *plan.Node) bool { return n.Kind() == kind })
	if i < 0 {
		t.Fatalf("the plan has no %s", kind)
	}
	return i
}

// TestNodeStats: rows in and out, rows dropped, what waits, watermarks and time, per node.
func TestNodeStats(t *testing.T) {
	now := int64(0)
	s := newStory(t, `SELECT k, COUNT(*) AS n INTO out FROM a TIMESTAMP BY at WHERE v % 2 = 0 GROUP BY k, TumblingWindow(second, 10)`,
		exec.Options{Late: -1, Nanos: func() int64 { now += 10; return now }})
	s.feed(t, 0, 25)
	stats := s.g.NodeStats(nil)
	f := func(kind string, in, out, held int64, mark vec.Time) {
		t.Helper()
		got := stats[nodeOf(t, s.p, kind)]
		if got.In != in || got.Out != out || got.Held != held || got.Watermark != mark || got.BusyNanos <= 0 {
			t.Errorf("%s: %+v; want in %d, out %d, held %d, watermark %v and some time", kind, got, in, out, held, mark)
		}
	}
	mark := base + 24*vec.Second
	f("Source", 25, 25, 0, vec.MinTime)
	f("Stamp", 25, 25, 0, mark)
	f("Filter", 25, 13, 0, mark)
	f("Group", 13, 7, 2, mark) // the windows to 0, 10 and 20 seconds
	f("Write", 7, 0, 0, mark)
	busy := int64(0)
	for _, x := range stats {
		busy += x.BusyNanos
	}
	if busy > now {
		t.Errorf("the nodes were busy for %d ns of %d: time counts twice", busy, now)
	}
	if got := s.g.OutputWatermark(0); got != mark {
		t.Errorf("the output's watermark is %v, want %v", got, mark)
	}
	if n := testing.AllocsPerRun(10, func() { stats = s.g.NodeStats(stats[:0]) }); n > 0 {
		t.Errorf("NodeStats allocates %v times", n)
	}
}

// TestHolder: the node waits for the partition whose watermark is the smallest.
func TestHolder(t *testing.T) {
	s := newStory(t, `SELECT x.k INTO out FROM a x TIMESTAMP BY at JOIN b y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 5`,
		exec.Options{Late: 5 * vec.Second, Partitions: []int{2, 3}, Start: base})
	f := func(input, partition int) {
		t.Helper()
		if i, p := s.g.Holder(nodeOf(t, s.p, "Write")); i != input || p != partition {
			t.Errorf("partition %d of input %d is waited for; want %d of %d", p, i, partition, input)
		}
	}
	tick := func(input, partition, seconds int) {
		t.Helper()
		if err := s.g.Tick(input, partition, base+vec.Time(seconds)*vec.Second); err != nil {
			t.Fatal(err)
		}
	}
	tick(0, 0, 9)
	tick(0, 1, 8)
	tick(1, 0, 7)
	tick(1, 1, 6)
	f(1, 2)
	tick(1, 2, 20)
	f(1, 1)
	if err := s.g.ClosePartition(1, 1); err != nil {
		t.Fatal(err)
	}
	f(1, 0)
	tick(1, 0, 21)
	f(0, 1)
	if got, want := s.g.OutputWatermark(0), base+3*vec.Second; got != want {
		t.Errorf("watermark %v, want %v: the clock less the late tolerance", got, want)
	}
	if got := s.g.PartitionWatermark(1, 1); got != vec.MaxTime {
		t.Errorf("a closed partition has the watermark %v", got)
	}
}

// TestTickClosesWindows: windows close although no event comes, at most the late tolerance
// after their end; the clock never goes back (saql.md 4.4).
func TestTickClosesWindows(t *testing.T) {
	f := func(query string, late vec.Time, tick vec.Time, want int) {
		t.Helper()
		s := newStory(t, query, exec.Options{Late: late, OutOfOrder: vec.Second})
		s.feed(t, 0, 9)
		before := len(s.rows["out"])
		for _, clock := range []vec.Time{base + tick, base} {
			if err := s.g.Tick(0, 0, clock); err != nil {
				t.Fatal(err)
			}
		}
		if got := len(s.rows["out"]) - before; got != want {
			t.Errorf("%s, late %v: %d rows once the clock is at %v, want %d", query, late, got, tick, want)
		}
	}
	const app = `SELECT COUNT(*) AS n INTO out FROM a TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)`
	f(app, 5*vec.Second, 15*vec.Second, 0) // the watermark is at 10: a row of that time may come
	f(app, 5*vec.Second, 15*vec.Second+1, 1)
	f(app, -1, vec.Hour, 0) // without a limit the clock says nothing
	const arrival = `SELECT COUNT(*) AS n INTO out FROM a GROUP BY TumblingWindow(second, 10)`
	f(arrival, 5*vec.Second, 15*vec.Second, 0)
	f(arrival, 5*vec.Second, 15*vec.Second+1, 1)
	f(`SELECT k, COUNT(*) AS n INTO out FROM a TIMESTAMP BY at OVER k GROUP BY k, TumblingWindow(second, 10)`, 5*vec.Second, 15*vec.Second+1, 3)
}

// TestTap: a listener sees what a node emits, until it is taken away.
func TestTap(t *testing.T) {
	s := newStory(t, `SELECT k, v INTO out FROM a TIMESTAMP BY at WHERE v > 10`, exec.Options{})
	filter := nodeOf(t, s.p, "Filter")
	var seen []string
	if !s.g.Tap(filter, func(b *vec.Batch) { seen = append(seen, fmt.Sprint(b.N)) }) {
		t.Fatal("the node cannot be tapped")
	}
	s.feed(t, 0, 20)
	s.g.Tap(filter, nil)
	s.feed(t, 20, 40)
	if got := strings.Join(seen, " "); got != "9" {
		t.Errorf("batches of %q rows, want one of 9", got)
	}
}

// TestOnQueryError: rows that are dropped because of a query error are told with what failed
// and their columns, wherever that happens.
func TestOnQueryError(t *testing.T) {
	f := func(query string, rows int, want ...string) {
		t.Helper()
		var got []string
		s := newStory(t, query, exec.Options{Late: -1, DropErrors: true,
			OnQueryError: func(e *exec.QueryError, row []byte) { got = append(got, string(row)+" "+e.Message) }})
		s.feed(t, 0, 3)
		s.end(t)
		if !slices.Equal(got, want) {
			t.Errorf("%s\ntold %q\nwant %q", query, got, want)
		}
		if n := s.g.Counts.Dropped[exec.QueryFailed]; int(n) != len(want) {
			t.Errorf("%s: %d rows are counted, want %d", query, n, len(want))
		}
		if len(s.rows["out"]) != rows {
			t.Errorf("%s: %d rows come out, want %d: %q", query, len(s.rows["out"]), rows, s.rows["out"])
		}
		sum := int64(0)
		for _, x := range s.g.NodeStats(nil) {
			sum += x.Dropped[exec.QueryFailed]
		}
		if int(sum) != len(want) {
			t.Errorf("%s: nodes have dropped %d rows, want %d", query, sum, len(want))
		}
	}
	f(`SELECT k, CAST(CASE WHEN v = 0 THEN k ELSE '1' END AS bigint) AS d INTO out FROM a TIMESTAMP BY at`, 2, `{"k":"k0","v":0} cannot cast value 'k0' of type nvarchar(max) to bigint`)
	f(`SELECT k INTO out FROM a TIMESTAMP BY at WHERE CAST(CASE WHEN v = 0 THEN k ELSE '1' END AS bigint) > 0`, 2, `{"v":0,"k":"k0"} cannot cast value 'k0' of type nvarchar(max) to bigint`)
	f(`SELECT k, SUM(k) AS s INTO out FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`, 0,
		`{"k":"k0"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`,
		`{"k":"k1"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`,
		`{"k":"k2"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`)
	f(`SELECT x.k INTO out FROM a x TIMESTAMP BY at JOIN a y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 0 AND CAST(CASE WHEN x.v = 0 THEN x.k ELSE '1' END AS bigint) > 0`, 2,
		`{"v":0,"k":"k0"} cannot cast value 'k0' of type nvarchar(max) to bigint`)
	f(`SELECT k, LAG(v) OVER (LIMIT DURATION(minute, 1) WHEN CAST(CASE WHEN v = 0 THEN k ELSE '1' END AS bigint) > 0) AS l INTO out FROM a TIMESTAMP BY at`, 2,
		`{"k":"k0","v":0} cannot cast value 'k0' of type nvarchar(max) to bigint`)
	f(`SELECT k, SUM(k) OVER (LIMIT DURATION(minute, 1)) AS l INTO out FROM a TIMESTAMP BY at`, 0,
		`{"k":"k0"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`,
		`{"k":"k1"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`,
		`{"k":"k2"} argument 1 of SUM has type nvarchar(max); bigint or float wanted`)
}
