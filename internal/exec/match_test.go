package exec_test

import (
	"fmt"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// matchQuery is a query with one pattern.
func matchQuery(limit, rest string) string {
	return "SELECT * FROM a TIMESTAMP BY at MATCH_RECOGNIZE (LIMIT DURATION(" + limit + ") " + rest + ") AS m"
}

// matchEvents makes events: "1:5 2:7" is v 5 at second 1 and v 7 at second 2; "1:x5" has the
// key x besides.
func matchEvents(text string) map[string][]string {
	var events []string
	for i, f := range strings.Fields(text) {
		at, v, _ := strings.Cut(f, ":")
		key := ""
		if v[0] >= 'a' && v[0] <= 'z' && v != "null" {
			key, v = fmt.Sprintf(`,"k":"%c"`, v[0]), v[1:]
		}
		events = append(events, fmt.Sprintf(`{"at":"12:00:%02s","n":%d%s,"v":%s}`, at, i, key, v))
	}
	return map[string][]string{"a": events}
}

// TestMatchExamples are the worked examples of saql.md 9.4 and 9.6, and what stands around
// them.
func TestMatchExamples(t *testing.T) {
	f := func(limit, rest, events string, want ...string) {
		t.Helper()
		p := &play{query: matchQuery(limit, rest), events: matchEvents(events)}
		p.everyWay(t, want...)
	}
	const low = " DEFINE A AS A.v < 5, B AS B.v >= 5"
	// 9.4: attempts overlap, and both matches are settled by the row of B.
	f("second, 10", "MEASURES First(A.v) AS a, B.v AS b, Classifier() AS c PATTERN (A+ B)"+low, "1:1 3:2 4:7 5:8",
		`12:00:04 1 7 ["A","A","B"]`, `12:00:04 2 7 ["A","B"]`)
	// 9.6: the first row that is not A settles A+.
	f("second, 10", "MEASURES First(A.v) AS f, Last(A.v) AS l, System.Timestamp() AS t PATTERN (A+)"+low, "1:1 3:2 4:7",
		"12:00:04 1 2 12:00:04", "12:00:04 2 2 12:00:04")
	// Nothing settles it: T is the end of the limit, which holds a row exactly there.
	f("second, 10", "MEASURES First(A.v) AS f, Last(A.v) AS l PATTERN (A+) DEFINE A AS A.v < 5", "1:1 11:2 12:3 13:9",
		"12:00:11 1 2", "12:00:13 2 3", "12:00:13 3 3")
	f("second, 10", "MEASURES Last(A.v) AS l PATTERN (A A) DEFINE A AS A.v < 5", "1:1 11:2 22:3", "12:00:11 2")
	f("second, 10", "MEASURES Last(A.v) AS l PATTERN (A+) DEFINE A AS A.v < 5", "1:1", "12:00:11 1")
	// A final row needs no successor.
	f("second, 10", "MEASURES B.v AS b PATTERN (A B)"+low, "1:1 2:8", "12:00:02 8")
	// Optional, empty, and never complete.
	f("second, 10", "MEASURES First(A.v) AS a, B.v AS b PATTERN (A? B)"+low, "1:1 2:8", "12:00:02 1 8", "12:00:02 null 8")
	f("second, 10", "MEASURES First(A.v) AS a PATTERN (A*)"+low, "1:7 2:1 3:8", "12:00:03 1")
	f("second, 10", "MEASURES First(A.v) AS a PATTERN (A B)"+low, "1:1 2:2 30:1")
	// The first alternative that leads to a match wins, even if it is settled later.
	f("second, 10", "MEASURES Classifier() AS c PATTERN (A . B | A)"+low, "1:1 2:9 3:9", `12:00:03 ["A",".","B"]`)
	f("second, 10", "MEASURES Classifier() AS c PATTERN (A . B | A)"+low, "1:1 2:9 3:1 4:9", `12:00:03 ["A"]`, `12:00:13 ["A"]`)
	f("second, 10", "MEASURES Classifier() AS c PATTERN (A | A . B)"+low, "1:1 2:9 3:9", `12:00:01 ["A"]`)
	// A variable without definition takes any row, with a name.
	f("second, 10", "MEASURES X.v AS x, Classifier() AS c PATTERN (A X)"+low, "1:1 2:9", `12:00:02 9 ["A","X"]`)
	// Iterations take a row each.
	f("second, 10", "MEASURES Classifier() AS c PATTERN ((A? | B)*)"+low, "1:9 2:1 3:9", `12:00:11 ["B","A","B"]`, `12:00:12 ["A","B"]`, `12:00:13 ["B"]`)
}

// TestMatchOrder: by T, then by the first row, whatever the partition; keys are equal as
// saql.md 3.7 says.
func TestMatchOrder(t *testing.T) {
	f := func(rest, events string, want ...string) {
		t.Helper()
		p := &play{query: matchQuery("second, 10", rest), events: matchEvents(events)}
		p.everyWay(t, want...)
	}
	const ab = " PATTERN (A B) DEFINE A AS A.v < 5, B AS B.v >= 5"
	f("PARTITION BY k MEASURES k AS k, A.v AS a"+ab, "1:x1 2:y2 3:y9 3:x9", "12:00:03 'x' 1", "12:00:03 'y' 2")
	f("PARTITION BY k MEASURES k AS k, A.v AS a"+ab, "1:x1 1:1 2:3 3:8 4:x8", "12:00:03 null 3", "12:00:04 'x' 1")
	f("MEASURES A.v AS a"+ab, "1:x1 2:y2 3:y9 3:x9", "12:00:03 2")
	p := &play{query: strings.Replace(matchQuery("second, 10", "MEASURES k AS k, A.v AS a"+ab), "TIMESTAMP", "PARTITION BY k TIMESTAMP", 1),
		events: matchEvents("1:x1 2:y2 3:y9 3:x9")}
	p.everyWay(t, "12:00:03 'x' 1", "12:00:03 'y' 2")
	p = &play{query: matchQuery("second, 10", "PARTITION BY k MEASURES A.v AS a"+ab), events: map[string][]string{"a": {
		`{"at":"12:00:01","k":1,"v":1}`, `{"at":"12:00:02","k":1.0,"v":8}`, `{"at":"12:00:03","k":"1","v":2}`, `{"at":"12:00:04","k":1,"v":9}`, `{"at":"12:00:05","k":"1","v":8}`,
	}}}
	p.everyWay(t, "12:00:02 1", "12:00:05 2")
}

// TestMatchInQueries: the measures are the columns, whatever stands in front or behind.
func TestMatchInQueries(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		p := &play{query: query, events: matchEvents("1:x1 2:x7 3:y2 4:y9 5:x3 6:x8")}
		p.opts.Sample = true // a continuous run leaves out the sort behind a UNION
		p.everyWay(t, want...)
	}
	const m = " MATCH_RECOGNIZE (LIMIT DURATION(second, 10) PARTITION BY k MEASURES k AS k, A.v AS lo, B.v AS hi, B.v - A.v AS d PATTERN (A B) DEFINE A AS A.v < 5, B AS B.v >= 5)"
	const src = "a TIMESTAMP BY at"
	f("SELECT m.hi, UPPER(k) AS k FROM "+src+m+" AS m WHERE m.d > 5", "12:00:02 7 'X'", "12:00:04 9 'Y'")
	f("WITH s AS (SELECT k, v * 10 AS v FROM "+src+"), p AS (SELECT * FROM s MATCH_RECOGNIZE (LIMIT DURATION(second, 10) PARTITION BY k MEASURES A.v AS lo, k AS k PATTERN (A B) DEFINE B AS B.v > A.v) m) SELECT lo, k FROM p",
		"12:00:02 10 'x'", "12:00:04 20 'y'", "12:00:06 30 'x'")
	f("SELECT hi FROM (SELECT k, v FROM "+src+" WHERE k = 'x')"+m+" AS m", "12:00:02 7", "12:00:06 8")
	f("SELECT k, COUNT(*) AS n, MAX(hi) AS m FROM "+src+m+" AS m GROUP BY k, TumblingWindow(second, 10)", "12:00:10 'x' 2 8", "12:00:10 'y' 1 9")
	f("WITH g AS (SELECT k, SUM(v) AS v FROM "+src+" GROUP BY k, TumblingWindow(second, 2)) SELECT lo, hi FROM g"+strings.ReplaceAll(m, "5", "9")+" AS m", "12:00:06 8 11")
	f("WITH p AS (SELECT * FROM "+src+m+" m) SELECT lo FROM p UNION SELECT hi AS lo FROM p", "12:00:02 1", "12:00:02 7", "12:00:04 2", "12:00:04 9", "12:00:06 3", "12:00:06 8")
}

// TestMatchValues: types of values, NULL, nested paths, texts, Min and Max.
func TestMatchValues(t *testing.T) {
	f := func(rest string, events []string, want ...string) {
		t.Helper()
		for i, e := range events {
			events[i] = fmt.Sprintf(`{"at":"12:00:%02d",%s}`, i+1, e)
		}
		p := &play{query: matchQuery("minute, 1", rest), events: map[string][]string{"a": events}}
		p.everyWay(t, want...)
	}
	f("MEASURES First(A.r.x) AS f, Max(A.r.y.z) AS m, A.s AS s PATTERN (A A B) DEFINE A AS A.r.x >= 1, B AS B.s = 'end'",
		[]string{`"r":{"x":1,"y":{"z":4}},"s":"p"`, `"r":{"x":2.5,"y":{"z":3}},"s":"q"`, `"s":"end"`}, "12:00:03 1 4 'q'")
	f("MEASURES Min(A.v) AS lo, Max(A.v) AS hi, Last(A.v) AS l PATTERN (A A A A B) DEFINE B AS B.v IS NULL",
		[]string{`"v":"9"`, `"v":10`, `"v":null`, `"v":"7"`, `"w":1`}, "12:00:05 7.0 10 '7'")
	f("MEASURES Min(A.v) AS lo, First(A.v) AS f PATTERN (A A) DEFINE A AS A.v IS NULL", []string{`"v":null`, `"w":1`}, "12:00:02 null null")
	f("MEASURES COALESCE(C.v, A.v, 0) AS c, CASE WHEN B.v > A.v THEN 'up' ELSE 'down' END AS d PATTERN (A B C?) DEFINE C AS C.v = 99",
		[]string{`"v":1`, `"v":2`, `"v":0`}, "12:00:03 1 'up'", "12:01:02 2 'down'")
	f("MEASURES GetArrayElement(Classifier(), 1) AS c, GetType(up.nope) AS n PATTERN (up Down) DEFINE Up AS UP.v > 0, DOWN AS down.v < 0",
		[]string{`"v":1`, `"v":-1`}, "12:00:02 'Down' null")
	f("MEASURES A.v AS v PATTERN (A) DEFINE A AS A.v LIKE 'x%' AND LEN(v) > 1 AND System.Timestamp() > '2021-03-04T12:00:02Z'",
		[]string{`"v":"xa"`, `"v":"xyz"`, `"v":"xb"`, `"v":"x"`}, "12:00:03 'xb'")
}

// TestMatchErrors: an error of DEFINE happens only when the row is tried as the variable.
func TestMatchErrors(t *testing.T) {
	f := func(rest, events, want string) {
		t.Helper()
		for _, w := range ways {
			p := &play{query: matchQuery("second, 10", rest), events: matchEvents(events), way: w}
			p.fails(t, want)
		}
	}
	ok := func(drop bool, rest, events string, want ...string) {
		t.Helper()
		p := &play{query: matchQuery("second, 10", rest), events: matchEvents(events)}
		p.opts.DropErrors = drop
		p.everyWay(t, want...)
	}
	const cast = "MEASURES A.v AS a, B.v AS b PATTERN (A B) DEFINE A AS A.v = 1, B AS CAST(B.v AS bigint) > 1"
	const noInt = `cannot cast value 'x' of type nvarchar(max) to bigint`
	ok(false, cast, `1:"x" 2:1 3:5`, "12:00:03 1 5")
	f(cast, `1:1 2:"x" 3:5`, noInt)
	ok(true, cast, `1:1 2:"x" 3:5`, "12:00:03 1 5") // the row is dropped
	// A guard in front protects, also behind what reads earlier rows.
	ok(false, "MEASURES B.v AS b PATTERN (A B) DEFINE A AS A.v = 1, B AS B.v <> A.v AND GetType(B.v) = 'bigint' AND CAST(B.v AS bigint) > A.v", `1:1 2:"x" 3:1 4:5`, "12:00:04 5")
	f("MEASURES B.v AS b PATTERN (A B) DEFINE A AS A.v = 1, B AS A.v + B.v > 1 AND B.v <> 'x'", `1:1 2:"x"`, `"x" is not a number; hint: to join text use CONCAT(..) or CAST the number AS nvarchar(max)`)
	f("MEASURES Max(A.v) AS b PATTERN (A A) DEFINE A AS A.v IS NOT NULL", `1:"x" 2:3`, "argument 1 of MAX has type nvarchar(max); bigint or float wanted")
	ok(true, "MEASURES Max(A.v) AS b PATTERN (A A) DEFINE A AS A.v IS NOT NULL", `1:"x" 2:3 3:4`, "12:00:03 4")
	f("MEASURES A.v AS a PATTERN (A B) DEFINE B AS B.v > Min(A.v)", `1:"x" 2:3`, "argument 1 of MIN has type nvarchar(max); bigint or float wanted")
	f("MEASURES CAST(A.v AS bigint) AS b PATTERN (A) DEFINE A AS A.v IS NOT NULL", `1:"x"`, noInt)
}

// TestMatchComplexity: patterns that explode for a naive walk stay small, and those that
// explode for an automaton end in the error of saql.md 9.7.
func TestMatchComplexity(t *testing.T) {
	events := func(n int) map[string][]string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`{"at":"12:00:%02d","v":%d}`, i/100, i%100))
		}
		return map[string][]string{"a": list}
	}
	f := func(n int, limit, rest, want string) {
		t.Helper()
		p := &play{query: matchQuery(limit, rest), events: events(n)}
		if want != "" {
			p.fails(t, want)
			return
		}
		if p.run(t); p.err != nil {
			t.Errorf("%s: %v", rest, p.err)
		}
	}
	const open = "MEASURES A.v AS v PATTERN ((A|A)+ B) DEFINE B AS B.v < 0"
	f(1500, "second, 5", open, "") // 2 threads for each of 500 rows
	f(1000, "second, 2", "MEASURES A.v AS v PATTERN ((((A*)*)*)* B) DEFINE B AS B.v < 0", "")
	f(1000, "second, 2", "MEASURES A.v AS v PATTERN ((A+ A+)+ (A|A A)* B) DEFINE B AS B.v < 0", "")
	f(3000, "millisecond, 500", "MEASURES A.v AS v PATTERN (A* (B|C)* D) DEFINE D AS D.v < Min(C.v) - Max(B.v) - Last(A.v)", "pattern too complex")
	f(300, "second, 5", "MEASURES A.v AS v PATTERN (A* (B|C)* D) DEFINE D AS D.v < Min(C.v) - Max(B.v) - Last(A.v)", "pattern too complex")
	f(6000, "minute, 5", open, "pattern too complex")
	f(1, "second, 5", "MEASURES A.v AS v PATTERN ("+strings.Repeat("A? ", 3000)+") DEFINE A AS A.v < 0", "pattern too complex")
	f(100, "second, 5", "MEASURES A.v AS v PATTERN ("+strings.Repeat("A? ", 300)+") DEFINE A AS A.v < 0", "")
}

// TestMatchHeld: what a pattern keeps counts, and goes with its attempts.
func TestMatchHeld(t *testing.T) {
	p := compile(t, matchQuery("second, 10", "PARTITION BY k MEASURES First(A.n) AS a, Classifier() AS c PATTERN (A+ B) DEFINE A AS A.v > 0, B AS B.v = 0"))
	rows := 0
	o := exec.Options{MaxHeld: 2000, OnRows: func(_ int, b *vec.Batch) error { rows += b.N; return nil }}
	run := func(keys int, quiet bool) error {
		g, err := exec.Build(p, o)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 4000 {
			e := twinEvent{cols: map[string]vec.Value{"at": vec.TimeValue(base + vec.Time(i)*vec.Second/10), "n": vec.IntValue(int64(i)),
				"k": vec.StringValue(fmt.Sprint(i % keys)), "v": vec.IntValue(int64(i / keys % 2))}}
			if quiet {
				e.cols["v"] = vec.IntValue(-1)
			}
			b := newFeeder(p, []string{"a"}, [][]twinEvent{nil}, false, twinWay{}).batch(0, []twinEvent{e})
			if err := g.Push(0, b); err != nil {
				return err
			}
		}
		return nil
	}
	for _, keys := range []int{1, 7, 50} {
		if err := run(keys, false); err != nil {
			t.Errorf("%d keys: %v", keys, err)
		}
	}
	if rows == 0 {
		t.Error("no matches")
	}
	if err := run(1000, true); err != nil {
		t.Errorf("no attempts: %v", err)
	}
	o.MaxHeld = 10
	if err := run(50, false); err == nil {
		t.Error("the limit on what is held was not seen")
	}
}

// TestMatchHoldsPaths: one long attempt keeps a step per row for Classifier(), and those count.
func TestMatchHoldsPaths(t *testing.T) {
	p := compile(t, matchQuery("hour, 10", "MEASURES Classifier() AS c PATTERN (A B* C) DEFINE A AS A.v = 1, B AS B.v = 2, C AS C.v = 3"))
	g, err := exec.Build(p, exec.Options{Late: -1, MaxHeld: 3000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4000 {
		e := twinEvent{cols: map[string]vec.Value{"at": vec.TimeValue(base + vec.Time(i)*vec.Second), "n": vec.IntValue(int64(i)),
			"k": vec.StringValue("k"), "v": vec.IntValue(int64(min(i+1, 2)))}}
		if err := g.Push(0, newFeeder(p, []string{"a"}, [][]twinEvent{nil}, false, twinWay{}).batch(0, []twinEvent{e})); err != nil {
			return
		}
	}
	t.Error("the limit on what is held was not seen")
}

// TestMatchForgetsKeys: keys without attempts go, and the others go on.
func TestMatchForgetsKeys(t *testing.T) {
	var events, want []string
	for i := range 300 {
		at := fmt.Sprintf("12:%02d:%02d", i/60, i%60)
		k := i / 2 // each key has an A, then a B; key 1000 has A at the start and B at the end
		switch i {
		case 0, 299:
			k = 1000
		}
		v := i % 2
		events = append(events, fmt.Sprintf(`{"at":"%s","k":%d,"v":%d}`, at, k, v))
		if v == 1 && i != 1 && i != 299 {
			want = append(want, fmt.Sprintf("%s %d %d", at, k, i))
		}
	}
	for i := range events {
		events[i] = events[i][:len(events[i])-1] + fmt.Sprintf(`,"n":%d}`, i)
	}
	want = append(want, "12:04:59 1000 299")
	p := &play{query: matchQuery("hour, 1", "PARTITION BY k MEASURES k AS k, B.n AS n PATTERN (A B) DEFINE A AS A.v = 0, B AS B.v = 1"), events: map[string][]string{"a": events}}
	p.everyWay(t, want...)
	defer exec.SetLimits(3, 8, 64, 5)()
	p.way = twinWay{cut: 1}
	p.gives(t, want...)
}

// TestMatchMisfits: what Min and Max cannot order is a query error of who reads it.
func TestMatchMisfits(t *testing.T) {
	f := func(events, want string) {
		t.Helper()
		for _, q := range []string{
			"MEASURES Max(A.v) AS m PATTERN (A A A) DEFINE A AS A.n >= 0",
			"MEASURES First(A.v) AS m PATTERN (A A A) DEFINE A AS Max(A.v) IS NULL OR A.n >= 0",
		} {
			p := &play{query: matchQuery("second, 10", q), events: matchEvents(events)}
			p.fails(t, want)
			p.opts.DropErrors = true
			p.run(t)
			if p.err != nil || p.counts.Dropped[exec.QueryFailed] == 0 {
				t.Errorf("%s: %v, %d rows dropped", events, p.err, p.counts.Dropped[exec.QueryFailed])
			}
		}
	}
	f(`1:1 2:[1] 3:2`, "argument 1 of MAX has type array; bit, bigint, float, datetime or nvarchar(max) wanted")
	f(`1:"x" 2:1 3:[]`, "argument 1 of MAX has type nvarchar(max); bigint or float wanted")
	p := &play{query: "WITH s AS (SELECT n, CASE n WHEN 1 THEN System.Timestamp() ELSE v END AS v FROM a TIMESTAMP BY at) SELECT * FROM s MATCH_RECOGNIZE (" +
		"LIMIT DURATION(second, 10) MEASURES Min(A.v) AS m PATTERN (A A A) DEFINE A AS A.n >= 0) AS m", events: matchEvents("1:1 2:2 3:3")}
	p.fails(t, "argument 1 of MIN mixes datetime with numbers")
	p = &play{query: "CREATE TABLE a (at datetime, v nvarchar(max)); " + matchQuery("second, 10", "MEASURES Min(A.v) AS m, Max(A.v) AS n PATTERN (A A A)  DEFINE A AS A.v > ''"),
		events: matchEvents(`1:"9" 2:"10" 3:"x"`)}
	p.everyWay(t, "12:00:03 '10' 'x'")
}

// TestMatchSubstreams: each key of OVER has a timeline of its own, and so do its attempts.
func TestMatchSubstreams(t *testing.T) {
	p := &play{query: "SELECT * FROM a TIMESTAMP BY at OVER k MATCH_RECOGNIZE (LIMIT DURATION(second, 10) PARTITION BY k MEASURES k AS k, A.v AS a, B.v AS b " +
		"PATTERN (A B) DEFINE A AS A.v < 5, B AS B.v >= 5) AS m", events: matchEvents("10:y1 20:y2 01:x3 25:y9 02:x8 30:x1 31:x7")}
	p.opts.Late = -1
	p.everyWay(t, "12:00:02 'x' 3 8", "12:00:25 'y' 2 9", "12:00:31 'x' 1 7")
}

// TestMatchHistories: threads at one place of the pattern with different histories live
// side by side, as long as DEFINE can tell them apart.
func TestMatchHistories(t *testing.T) {
	f := func(rest, events string, want ...string) {
		t.Helper()
		p := &play{query: matchQuery("second, 30", rest), events: matchEvents(events)}
		p.everyWay(t, want...)
	}
	// The greedy A+ takes 7 too; C then needs the path on which 7 was B.
	f("MEASURES Classifier() AS c PATTERN (A+ B* C) DEFINE A AS A.v > 0, B AS B.v > 0, C AS C.v < 0 AND Last(B.v) = 7", "1:5 2:6 3:7 4:-1",
		`12:00:04 ["A","A","B","C"]`, `12:00:04 ["A","B","C"]`)
	// The sum of two earlier values, found by trying all ways to split the rows.
	f("MEASURES Classifier() AS c PATTERN (A (X | Y)+ E) DEFINE A AS A.v = 0, X AS X.v > 0, Y AS Y.v > 0, E AS E.v < 0 AND E.v + First(X.v) + First(Y.v) = 0",
		"1:0 2:4 3:2 4:5 5:-9", `12:00:05 ["A","X","X","Y","E"]`)
	f("MEASURES Classifier() AS c PATTERN (A (X | Y)+ E) DEFINE A AS A.v = 0, X AS X.v > 0, Y AS Y.v > 0, E AS E.v < 0 AND E.v + Last(X.v) + First(Y.v) = 0",
		"1:0 2:4 3:2 4:5 5:-9", `12:00:05 ["A","Y","X","X","E"]`)
}
