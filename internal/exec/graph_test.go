package exec_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// TestClosingRule: a result that covers rows up to e comes out when W > e, not at W = e
// (saql.md 4.4), and with the batch that moves W.
func TestClosingRule(t *testing.T) {
	p := compile(t, "SELECT n, COUNT(*) AS c FROM a TIMESTAMP BY at GROUP BY n, Windows(TumblingWindow(second, 10), SessionWindow(second, 10, 60), SlidingWindow(second, 10), System.Timestamp())")
	var got []string
	g, err := exec.Build(p, exec.Options{OnRows: onTexts(&got)})
	if err != nil {
		t.Fatal(err)
	}
	f := newFeeder(p, []string{"a"}, [][]twinEvent{nil}, false, twinWay{})
	push := func(event string, want ...string) {
		t.Helper()
		got = nil
		e, _ := parseEvent(t, event)
		if err := g.Push(0, f.batch(0, []twinEvent{e})); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("after %s come\n%q, want\n%q", event, got, want)
		}
	}
	push(`{"at":"12:00:05","n":1}`)
	push(`{"at":"12:00:05.0000001","n":2}`, "12:00:05 1 1", "12:00:05 1 1") // sliding, snapshot
	push(`{"at":"12:00:10","n":3}`, "12:00:05.0000001 2 1", "12:00:05.0000001 2 1")
	push(`{"at":"12:00:10.0000001","n":4}`, "12:00:10 1 1", "12:00:10 2 1", "12:00:10 3 1", // tumbling
		"12:00:10 3 1", "12:00:10 3 1")
	if w := g.Watermark(0); w != base+10*vec.Second+1 {
		t.Errorf("watermark %v", w)
	}
	got = nil
	if err := g.Close(0); err != nil {
		t.Fatal(err)
	}
	if want := []string{"12:00:10.0000001 4 1", "12:00:10.0000001 4 1", "12:00:20 4 1", // sliding, snapshot, tumbling
		"12:00:20.0000001 1 1", "12:00:20.0000001 2 1", "12:00:20.0000001 3 1", "12:00:20.0000001 4 1"}; !slices.Equal(got, want) {
		t.Errorf("at the end come\n%q, want\n%q", got, want)
	}
	if w := g.Watermark(0); w != vec.MaxTime {
		t.Errorf("watermark %v at the end", w)
	}
	if n := g.Counts.Rows[0]; n != 16 {
		t.Errorf("%d rows counted, want 16", n)
	}
}

// TestDisorder: a run that only measures tells how far back events lie, per timeline.
func TestDisorder(t *testing.T) {
	p := compile(t, "SELECT k FROM a TIMESTAMP BY at UNION SELECT k FROM b TIMESTAMP BY at UNION SELECT k FROM c")
	g, err := exec.Build(p, exec.Options{Sample: true, Measure: true, OnRows: func(int, *vec.Batch) error { t.Error("rows of a run that measures"); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "c"}
	var events [][]twinEvent
	for _, list := range [][]string{{"12:00:10", "12:00:08", "12:00:11", "12:00:10", "12:00:07.5", "12:00:20"}, {"12:00:01", "no time", "12:00:02"}, {"12:00:01"}} {
		var in []twinEvent
		for _, at := range list {
			e, _ := parseEvent(t, `{"at":"`+at+`","k":1}`)
			in = append(in, e)
		}
		events = append(events, in)
	}
	f := newFeeder(p, names, events, false, twinWay{cut: 2})
	if err := f.run(g, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := g.Disorder(), []vec.Time{3*vec.Second + vec.Second/2, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("disorder %v, want %v", got, want)
	}
}

// TestTimeColumns: what the timestamps of events depend on.
func TestTimeColumns(t *testing.T) {
	p := compile(t, "SELECT k, v, at, ms FROM a TIMESTAMP BY (DATEADD(millisecond, ms, '1970-01-01T00:00:00Z')) OVER k WHERE v > 1")
	need := exec.TimeColumns(p)
	var got []string
	for c, n := range need[0] {
		if n {
			got = append(got, p.Inputs[0].Fields[c].Path[0])
		}
	}
	if slices.Sort(got); !slices.Equal(got, []string{"k", "ms"}) {
		t.Errorf("columns %q, want k and ms", got)
	}
}

// TestLongHops compares long hopping windows of short hops with the twin: many panes, with
// aggregates that can be taken back and others that cannot.
func TestLongHops(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 13))
		w := &twinWindow{kind: "Hopping", unit: "second", sizeN: int64(100 + r.IntN(300)), hopN: int64(1 + r.IntN(7))}
		w.size, w.hop = vec.Time(w.sizeN)*vec.Second, vec.Time(w.hopN)*vec.Second
		rd := &twinRound{q: &twinQuery{inputs: []string{"a"}, blocks: []*twinBlock{{keys: []string{"g"}, windows: []*twinWindow{w},
			aggs: []*twinAgg{{fn: "MAX", col: "v", name: "x0"}, {fn: "SUM", col: "v", name: "x1"}, {fn: "MIN", col: "v", name: "x2"}, {fn: "DISTINCT", col: "v", name: "x3"},
				{fn: "Collect", col: "v", name: "x4"}, {fn: "TopOne", col: "v", name: "x5", order: []twinSort{{"t", true}}},
				{fn: "CollectTop", col: "v", name: "x6", n: 3, order: []twinSort{{"v", false}, {"t", true}}},
				{fn: "PERCENTILE_DISC", name: "x7", share: "0.9", order: []twinSort{{"v", false}}}}}}}}
		rd.policy = twinPolicy{late: -1, outOfOrder: 20 * vec.Second}
		now := base
		var in []twinEvent
		for range 400 {
			now += vec.Time(r.Int64N(int64(3 * vec.Second)))
			if r.IntN(100) == 0 {
				now += vec.Time(r.Int64N(int64(500 * vec.Second)))
			}
			at := now - vec.Time(r.Int64N(int64(20*vec.Second)))
			in = append(in, twinEvent{cols: map[string]vec.Value{"at": vec.StringValue(at.String()), "g": randomText(r), "v": randomValue(r)}})
		}
		rd.events = [][]twinEvent{in}
		rd.ways = []twinWay{{}, {cut: -1, seed: seed, small: true}, {cut: 50, snapshot: 1, shards: 2}}
		if problem := rd.check(t); problem != "" {
			t.Fatalf("seed %d: %s: %.3000s", seed, rd.q.text(), problem)
		}
	}
}
