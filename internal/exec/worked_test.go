package exec_test

import (
	"fmt"
	"slices"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// events makes events of "seconds key" pairs such as "1 a".
func events(rows ...string) map[string][]string {
	var list []string
	for _, r := range rows {
		var s float64
		var k string
		fmt.Sscanf(r, "%g %s", &s, &k)
		t := (base + vec.Time(s*float64(vec.Second))).String()
		list = append(list, fmt.Sprintf(`{"at":"%s","k":"%s"}`, t, k))
	}
	return map[string][]string{"a": list}
}

// TestWindowExamples is the worked examples of saql.md 5.2 to 5.6: which rows a window has
// (by the least and the greatest), and when it ends.
func TestWindowExamples(t *testing.T) {
	f := func(window string, in map[string][]string, want ...string) {
		t.Helper()
		p := &play{opts: exec.Options{Sample: true}, events: in,
			query: "SELECT MIN(CAST(k AS nvarchar(max))) AS x, MAX(CAST(k AS nvarchar(max))) AS y, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY " + window}
		p.everyWay(t, want...)
	}
	rows := events("0 a", "1 b", "10 c", "10.5 d")
	f("TumblingWindow(second, 10)", rows, "12:00:00 'a' 'a' 1", "12:00:10 'b' 'c' 2", "12:00:20 'd' 'd' 1")
	f("TumblingWindow(Duration(second, 10), Offset(second, -1))", rows, "12:00:09 'a' 'b' 2", "12:00:19 'c' 'd' 2")
	f("TumblingWindow(Duration(second, 10), Offset(second, 29))", rows, "12:00:09 'a' 'b' 2", "12:00:19 'c' 'd' 2")
	rows = events("1 a", "7 b", "12 c")
	f("HoppingWindow(second, 10, 5)", rows, "12:00:05 'a' 'a' 1", "12:00:10 'a' 'b' 2", "12:00:15 'b' 'c' 2", "12:00:20 'c' 'c' 1")
	f("HoppingWindow(second, 10, 10)", rows, "12:00:10 'a' 'b' 2", "12:00:20 'c' 'c' 1")
	f("HoppingWindow(second, 4, 6)", events("1 a", "3 b", "6 c", "9 d"), "12:00:06 'b' 'c' 2", "12:00:12 'd' 'd' 1")
	f("HoppingWindow(second, 7, 3)", events("1 a", "8 b"), "12:00:03 'a' 'a' 1", "12:00:06 'a' 'a' 1",
		"12:00:09 'b' 'b' 1", "12:00:12 'b' 'b' 1") // 9 = the end of (2, 9]
	f("SlidingWindow(second, 10)", events("1 a", "4 b", "11 c", "11 d"),
		"12:00:01 'a' 'a' 1", "12:00:04 'a' 'b' 2", "12:00:11 'b' 'd' 3", "12:00:14 'c' 'd' 2")
	f("SessionWindow(second, 5, 10)", events("2 a", "5 b", "9 c", "13 d", "17 e", "20 f", "21 g", "27 h"),
		"12:00:20 'a' 'f' 6", "12:00:26 'g' 'g' 1", "12:00:32 'h' 'h' 1")
	f("SessionWindow(second, 30, 10)", events("3 a", "9 b", "14 c", "41 d"), "12:00:20 'a' 'c' 3", "12:00:50 'd' 'd' 1")
	f("System.Timestamp()", events("1 a", "1 b", "2 c"), "12:00:01 'a' 'b' 2", "12:00:02 'c' 'c' 1")
	f("Windows(TumblingWindow(second, 10), HoppingWindow(second, 10, 5))", events("1 a", "7 b"),
		"12:00:05 'a' 'a' 1", "12:00:10 'a' 'b' 2", "12:00:10 'a' 'b' 2", "12:00:15 'b' 'b' 1")
}

// TestPolicyExample is the worked example of saql.md 4.4. The fifth event comes after an
// earlier one has moved W by its arrival.
func TestPolicyExample(t *testing.T) {
	in := map[string][]string{"a": {
		`12:00:00 {"at":"12:00:00","n":1}`, `12:03:00 {"at":"12:10:00","n":2}`, `12:04:00 {"at":"12:06:00","n":3}`,
		`12:05:00 {"at":"12:03:00","n":4}`, `12:12:00 {"at":"12:04:00","n":5}`}}
	f := func(drop bool, rows, drops []string, adjusted [2]int64) {
		t.Helper()
		p := &play{query: "SELECT n FROM a TIMESTAMP BY at", events: in,
			opts: exec.Options{Late: 5 * vec.Minute, OutOfOrder: 2 * vec.Minute, Drop: drop}}
		p.everyWay(t, rows...)
		if slices.Sort(p.drops); !slices.Equal(p.drops, drops) {
			t.Errorf("drops %q, want %q", p.drops, drops)
		}
		if got := [2]int64{p.counts.Adjusted[exec.Late], p.counts.Adjusted[exec.OutOfOrder]}; got != adjusted {
			t.Errorf("adjusted %v, want %v", got, adjusted)
		}
	}
	f(false, []string{"12:00:00 1", "12:06:00 3", "12:04:00 4", "12:07:00 5"}, []string{"a 1: EarlyInputEvent"}, [2]int64{1, 1})
	f(true, []string{"12:00:00 1", "12:06:00 3"},
		[]string{"a 1: EarlyInputEvent", "a 3: OutOfOrderEvent", "a 4: LateInputEvent"}, [2]int64{})
}

// TestPolicyLimits: exactly 5 minutes early, exactly L late and exactly at W are fine
// (saql.md 4.3); one tick more is not.
func TestPolicyLimits(t *testing.T) {
	f := func(event, want string, drops ...string) {
		t.Helper()
		p := &play{query: "SELECT n FROM a TIMESTAMP BY at", opts: exec.Options{Late: 5 * vec.Second, OutOfOrder: vec.Second, Drop: true},
			events: map[string][]string{"a": {`12:00:10 {"at":"12:00:10","n":0}`, event}}}
		rows := []string{"12:00:10 0"}
		if want != "" {
			rows = append(rows, want)
		}
		p.everyWay(t, rows...)
		if !slices.Equal(p.drops, drops) {
			t.Errorf("%s: drops %q, want %q", event, p.drops, drops)
		}
	}
	f(`12:00:11 {"at":"12:05:11","n":1}`, "12:05:11 1")
	f(`12:00:11 {"at":"12:05:11.0000001","n":1}`, "", "a 1: EarlyInputEvent")
	f(`12:00:14 {"at":"12:00:09","n":1}`, "12:00:09 1")
	f(`12:00:15 {"at":"12:00:09.9999999","n":1}`, "", "a 1: LateInputEvent")
	f(`12:00:10 {"at":"12:00:08.9999999","n":1}`, "", "a 1: OutOfOrderEvent")
	f(`12:00:10 {"at":null,"n":1}`, "", "a 1: InvalidInputTimeStamp")
	f(`12:00:10 {"n":1}`, "", "a 1: InvalidInputTimeStamp")
}

// TestArrivalTime: without TIMESTAMP BY, T is the arrival, and time does not run back
// (saql.md 4.3).
func TestArrivalTime(t *testing.T) {
	p := &play{query: "SELECT n FROM a", events: map[string][]string{"a": {`12:00:01 {"n":1}`, `12:00:03 {"n":2}`, `12:00:02 {"n":3}`}}}
	p.everyWay(t, "12:00:01 1", "12:00:03 2", "12:00:03 3")
	p = &play{query: "SELECT COUNT(*) AS n FROM a GROUP BY TumblingWindow(second, 1)", opts: exec.Options{Start: base + vec.Second/2},
		events: map[string][]string{"a": {`{"n":1}`, `{"n":2}`}}}
	p.everyWay(t, "12:00:01 2")
}

// TestSubstreams: each key has its own watermark (saql.md 4.5); a NULL key is dropped.
func TestSubstreams(t *testing.T) {
	p := &play{query: "SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at OVER k GROUP BY k, TumblingWindow(second, 10)", opts: exec.Options{Late: -1, Drop: true},
		events: map[string][]string{"a": {`{"at":"12:00:15","k":"x"}`, `{"at":"12:00:01","k":"y"}`, `{"at":"12:00:02","k":"y"}`,
			`{"at":"12:00:14","k":"x"}`, `{"at":"12:00:03","k":null}`, `{"at":"12:00:16"}`, `{"at":"12:00:15","k":"x"}`}}}
	p.everyWay(t, "12:00:10 'y' 2", "12:00:20 'x' 2")
	want := []string{"a 3: OutOfOrderEvent", "a 4: InvalidInputTimeStampKey", "a 5: InvalidInputTimeStampKey"}
	if !slices.Equal(p.drops, want) {
		t.Errorf("drops %q, want %q", p.drops, want)
	}
	p.opts = exec.Options{Sample: true}
	p.everyWay(t, "12:00:10 'y' 2", "12:00:20 'x' 3")
}

// TestTies: rows of equal time from several inputs stand in the order of the inputs, then
// of arrival, whether a sort sees them or only the first rows of groups do.
func TestTies(t *testing.T) {
	in := map[string][]string{
		"a": {`{"at":"12:00:01","k":"a1"}`, `{"at":"12:00:01","k":"a2"}`, `{"at":"12:00:02","k":"a3"}`},
		"b": {`{"at":"12:00:01","k":"b1"}`, `{"at":"12:00:02","k":"a3"}`, `{"at":"12:00:02","k":"b2"}`},
	}
	union := "WITH u AS (SELECT k FROM a TIMESTAMP BY at UNION SELECT k FROM b TIMESTAMP BY at) "
	f := func(query string, sample bool, want ...string) {
		t.Helper()
		for seed := range uint64(8) {
			for _, cut := range []int{0, 1, 2} {
				p := &play{query: union + query, events: in, opts: exec.Options{Sample: sample}, way: twinWay{cut: cut, snapshot: 2, seed: seed}}
				p.gives(t, want...)
			}
		}
	}
	f("SELECT k FROM u", true, "12:00:01 'a1'", "12:00:01 'a2'", "12:00:01 'b1'", "12:00:02 'a3'", "12:00:02 'a3'", "12:00:02 'b2'")
	tumbling := []string{"12:00:10 'a1' 1", "12:00:10 'a2' 1", "12:00:10 'b1' 1", "12:00:10 'a3' 2", "12:00:10 'b2' 1"}
	f("SELECT k, COUNT(*) AS n FROM u GROUP BY k, TumblingWindow(second, 10)", true, tumbling...)
	f("SELECT k, COUNT(*) AS n FROM u GROUP BY k, TumblingWindow(second, 10)", false, tumbling...)
	f("SELECT k, COUNT(*) AS n FROM u GROUP BY k, System.Timestamp()", false,
		"12:00:01 'a1' 1", "12:00:01 'a2' 1", "12:00:01 'b1' 1", "12:00:02 'a3' 2", "12:00:02 'b2' 1")
}

// TestNestedUnions: inputs of a union in a union are numbered through.
func TestNestedUnions(t *testing.T) {
	in := map[string][]string{}
	for _, name := range []string{"a", "b", "c", "d"} {
		in[name] = []string{`{"at":"12:00:01","k":"` + name + `1"}`, `{"at":"12:00:01","k":"` + name + `2"}`}
	}
	query := `WITH u AS (SELECT k FROM d TIMESTAMP BY at UNION SELECT k FROM b TIMESTAMP BY at),
		w AS (SELECT k FROM c TIMESTAMP BY at UNION SELECT k FROM u WHERE k <> 'd2' UNION SELECT k FROM a TIMESTAMP BY at)
		SELECT k, COUNT(*) AS n FROM w GROUP BY k, TumblingWindow(second, 1)`
	for seed := range uint64(10) {
		p := &play{query: query, events: in, way: twinWay{cut: 1, snapshot: 2, seed: seed}}
		p.gives(t, "12:00:01 'c1' 1", "12:00:01 'c2' 1", "12:00:01 'd1' 1", "12:00:01 'b1' 1", "12:00:01 'b2' 1", "12:00:01 'a1' 1", "12:00:01 'a2' 1")
	}
}

// TestKeysThatAreEqual: a group shows its key as its first row in the window has it.
func TestKeysThatAreEqual(t *testing.T) {
	f := func(windows string, want ...string) {
		t.Helper()
		p := &play{query: "SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, " + windows, opts: exec.Options{OutOfOrder: 5 * vec.Second},
			events: map[string][]string{"a": {`{"at":"12:00:02","k":1}`, `{"at":"12:00:01","k":1.0}`, `{"at":"12:00:03","k":true}`, `{"at":"12:00:04","k":"1"}`,
				`{"at":"12:00:05","k":null}`, `{"at":"12:00:06"}`, `{"at":"12:00:12","k":true}`, `{"at":"12:00:13","k":1}`,
				`{"at":"12:00:14","k":{"x":1,"y":2}}`, `{"at":"12:00:15","k":{"y":2.0,"x":1}}`, `{"at":"12:00:16","k":-0.0}`, `{"at":"12:00:17","k":0}`}}}
		p.everyWay(t, want...)
	}
	f("TumblingWindow(second, 10)", "12:00:10 1.0 3", "12:00:10 '1' 1", "12:00:10 null 2",
		`12:00:20 true 2`, `12:00:20 {"x":1,"y":2} 2`, "12:00:20 0.0 2")
	f("SessionWindow(second, 5, 10)", "12:00:11 1.0 3", "12:00:11 '1' 1", "12:00:11 null 2",
		`12:00:22 true 2`, `12:00:22 {"x":1,"y":2} 2`, "12:00:22 0.0 2")
}

// TestQueryErrors: a query error ends the run, or drops the row, by policy (saql.md 0).
func TestQueryErrors(t *testing.T) {
	in := map[string][]string{"a": {`{"at":"12:00:01","v":"1"}`, `{"at":"12:00:02","v":"x"}`, `{"at":"12:00:03","v":"3"}`, `{"at":"12:00:14","v":"y"}`}}
	f := func(query, message string, dropped int64, rows ...string) {
		t.Helper()
		for _, w := range ways {
			p := &play{query: query, events: in, way: w, opts: exec.Options{Shards: w.shards}}
			p.fails(t, message)
		}
		p := &play{query: query, events: in, opts: exec.Options{DropErrors: true}}
		p.everyWay(t, rows...)
		if p.counts.Dropped[exec.QueryFailed] != dropped {
			t.Errorf("%s: %d rows dropped, want %d", query, p.counts.Dropped[exec.QueryFailed], dropped)
		}
	}
	cast := "cannot cast value 'x' of type nvarchar(max) to bigint"
	f("SELECT CAST(v AS bigint) AS n FROM a TIMESTAMP BY at", cast, 2, "12:00:01 1", "12:00:03 3")
	f("SELECT v FROM a TIMESTAMP BY at WHERE CAST(v AS bigint) > 1", cast, 2, "12:00:03 '3'")
	f("SELECT SUM(v) AS s, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY TumblingWindow(second, 10)",
		"argument 1 of SUM has type nvarchar(max); bigint or float wanted", 2, "12:00:10 4.0 2")
	f("SELECT MAX(v) AS s, COUNT(v) AS n FROM a TIMESTAMP BY at GROUP BY SessionWindow(second, 1, 10)",
		"argument 1 of MAX has type nvarchar(max); bigint or float wanted", 2, "12:00:02 1.0 1", "12:00:04 3.0 1")
	f("SELECT v, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY v, TumblingWindow(second, 10) HAVING CAST(v AS bigint) > 0",
		cast, 2, "12:00:10 '1' 1", "12:00:10 '3' 1")
}
