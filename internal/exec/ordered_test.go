package exec_test

import (
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// TestOrderKeyErrors: a row whose order key is a text ends the run, or is dropped, by
// policy, whatever the window.
func TestOrderKeyErrors(t *testing.T) {
	in := map[string][]string{"a": {`{"at":"12:00:01","n":"a","v":2}`, `{"at":"12:00:02","n":"b","v":"1"}`, `{"at":"12:00:03","n":"c","v":1.5}`,
		`{"at":"12:00:04","n":"d","v":{"x":1}}`, `{"at":"12:00:05","n":"e"}`}}
	f := func(query, message string, rows ...string) {
		t.Helper()
		for _, w := range ways {
			p := &play{query: query, events: in, way: w, opts: exec.Options{Shards: w.shards}}
			p.fails(t, message)
		}
		p := &play{query: query, events: in, opts: exec.Options{DropErrors: true}}
		p.everyWay(t, rows...)
		if n := p.counts.Dropped[exec.QueryFailed]; n != 2 {
			t.Errorf("%s: %d rows dropped, want 2", query, n)
		}
	}
	const from = " FROM a TIMESTAMP BY at GROUP BY "
	f("SELECT COUNT(*) AS c, TopOne(n) OVER (ORDER BY v DESC) AS x"+from+"TumblingWindow(second, 10)",
		"the key in ORDER BY of TopOne has type nvarchar(max); bigint, float or datetime wanted", "12:00:10 3 'a'")
	f("SELECT COUNT(*) AS c, CollectTop(2, n) OVER (ORDER BY at DESC, v) AS x FROM (SELECT n, v, CAST(at AS datetime) AS at FROM a TIMESTAMP BY at) s GROUP BY TumblingWindow(second, 10)",
		"the key in ORDER BY of CollectTop has type nvarchar(max); bigint, float or datetime wanted",
		`12:00:10 3 [{"rank":1,"value":"e"},{"rank":2,"value":"c"}]`)
	f("SELECT COUNT(*) AS c, PERCENTILE_CONT(0.5) OVER (ORDER BY v) AS x"+from+"HoppingWindow(second, 10, 5)",
		"the key in ORDER BY of PERCENTILE_CONT has type nvarchar(max); bigint or float wanted", "12:00:05 3 1.75", "12:00:10 3 1.75")
	f("SELECT PERCENTILE_DISC(1) OVER (ORDER BY v) AS x, Collect(n) AS all"+from+"SlidingWindow(second, 2)",
		"the key in ORDER BY of PERCENTILE_DISC has type nvarchar(max); bigint, float or datetime wanted",
		`12:00:01 2 ["a"]`, `12:00:03 1.5 ["c"]`, `12:00:05 null ["e"]`)
}

// TestHeldValues: values that aggregates hold count for the limit of what waits.
func TestHeldValues(t *testing.T) {
	f := func(what string, fails bool) {
		t.Helper()
		p := compile(t, "SELECT "+what+" AS x FROM a TIMESTAMP BY at GROUP BY TumblingWindow(minute, 1)")
		g, err := exec.Build(p, exec.Options{Late: -1, MaxHeld: 100})
		if err != nil {
			t.Fatal(err)
		}
		s := stream{keys: 5, gap: 1}
		s.init(p)
		for range 16 {
			if err = g.Push(0, s.next(p)); err != nil {
				break
			}
		}
		if (err != nil) != fails {
			t.Errorf("%s: error %v", what, err)
		}
		if fails && g.Counts.PeakHeld != 16*streamRows+1 {
			t.Errorf("%s: peak %d", what, g.Counts.PeakHeld)
		}
	}
	f("COUNT(*)", false)
	f("COUNT(DISTINCT k)", false)
	f("CollectTop(9, k) OVER (ORDER BY v)", false)
	f("Collect(k)", true)
	f("CollectTop(1000000, k) OVER (ORDER BY v)", true)
	f("PERCENTILE_CONT(0.5) OVER (ORDER BY v)", true)
}

// TestCollectAcrossForgetting: keys are forgotten and numbered anew while arrays grow.
func TestCollectAcrossForgetting(t *testing.T) {
	defer exec.SetLimits(1, 8, 64, 5)()
	var events []string
	var want []string
	for i := range 30 {
		at := clockText(base + vec.Time(i)*vec.Second)
		k := string(rune('A' + i%26))
		events = append(events, `{"at":"`+at+`","k":"`+k+`","v":`+string(rune('0'+i%10))+`}`)
		want = append(want, clockText(base+vec.Time(i+1)*vec.Second)+` '`+k+`' [`+string(rune('0'+i%10))+`]`)
	}
	p := &play{query: "SELECT k, Collect(v) AS x FROM a TIMESTAMP BY at GROUP BY k, SessionWindow(second, 1, 10) OVER (PARTITION BY k)",
		events: map[string][]string{"a": events}}
	p.everyWay(t, want...)
}
