package exec_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/internal/exec"
	"weir/internal/vec"
)

// TestApply: elements keep their order and the time of their row; NULL and nothing give
// none (saql.md 6.7).
func TestApply(t *testing.T) {
	events := map[string][]string{"a": {
		`{"at":"12:00:01","n":1,"x":[10,"two",null,[3]]}`,
		`{"at":"12:00:02","n":2,"x":[]}`,
		`{"at":"12:00:03","n":3,"x":null}`,
		`{"at":"12:00:04","n":4}`,
		`{"at":"12:00:05","n":5,"x":[5]}`}}
	(&play{query: `SELECT n, e.ArrayIndex AS i, e.ArrayValue AS v FROM a TIMESTAMP BY at CROSS APPLY GetArrayElements(x) AS e`, events: events}).everyWay(t,
		"12:00:01 1 0 10", "12:00:01 1 1 'two'", "12:00:01 1 2 null", "12:00:01 1 3 [3]", "12:00:05 5 0 5")
	(&play{query: `SELECT n, e.ArrayIndex AS i, e.ArrayValue AS v FROM a TIMESTAMP BY at OUTER APPLY GetArrayElements(x) AS e`, events: events}).everyWay(t,
		"12:00:01 1 0 10", "12:00:01 1 1 'two'", "12:00:01 1 2 null", "12:00:01 1 3 [3]",
		"12:00:02 2 null null", "12:00:03 3 null null", "12:00:04 4 null null", "12:00:05 5 0 5")
	(&play{query: `SELECT n, p.PropertyName AS k, p.PropertyValue AS v FROM a TIMESTAMP BY at CROSS APPLY GetRecordProperties(x) AS p`,
		events: map[string][]string{"a": {`{"at":"12:00:01","n":1,"x":{"b":1,"a":null}}`, `{"at":"12:00:02","n":2,"x":{}}`}}}).everyWay(t,
		"12:00:01 1 'b' 1", "12:00:01 1 'a' null")
}

// TestApplyErrors: what is neither an array nor NULL is a query error.
func TestApplyErrors(t *testing.T) {
	p := &play{query: `SELECT n, e.ArrayValue AS v FROM a TIMESTAMP BY at OUTER APPLY GetArrayElements(x) AS e`,
		events: map[string][]string{"a": {`{"at":"12:00:01","n":1,"x":[1,2]}`, `{"at":"12:00:02","n":2,"x":{"a":1}}`, `{"at":"12:00:03","n":3,"x":[3]}`}}}
	p.fails(t, "cannot cast value of type record to type array")
	p.opts.DropErrors = true
	p.everyWay(t, "12:00:01 1 1", "12:00:01 1 2", "12:00:03 3 3")
	if n := p.counts.Dropped[exec.QueryFailed]; n != 1 {
		t.Errorf("%d rows dropped, want 1", n)
	}
	p = &play{query: `SELECT n FROM a TIMESTAMP BY at CROSS APPLY GetRecordProperties(x) AS e`,
		events: map[string][]string{"a": {`{"at":"12:00:01","n":1,"x":"text"}`}}}
	p.fails(t, "cannot cast value of type nvarchar(max) to type record")
}

// TestApplyOrder: groups of a window come in the order of their first rows also when several
// first rows are of one event, and inputs take turns in any way.
func TestApplyOrder(t *testing.T) {
	(&play{query: `WITH u AS (SELECT x FROM a TIMESTAMP BY at UNION SELECT x FROM b TIMESTAMP BY at)
		SELECT e.ArrayValue AS v, COUNT(*) AS n FROM u CROSS APPLY GetArrayElements(x) AS e GROUP BY e.ArrayValue, TumblingWindow(second, 10)`,
		events: map[string][]string{
			"a": {`{"at":"12:00:01","x":["c","b","a","d"]}`, `{"at":"12:00:02","x":["f","e"]}`},
			"b": {`{"at":"12:00:01","x":["z","b","y"]}`, `{"at":"12:00:03","x":["g","a"]}`}}}).everyWay(t,
		"12:00:10 'c' 1", "12:00:10 'b' 2", "12:00:10 'a' 2", "12:00:10 'd' 1", "12:00:10 'z' 1", "12:00:10 'y' 1",
		"12:00:10 'f' 1", "12:00:10 'e' 1", "12:00:10 'g' 1")
}

// orderOf is the place of kinds in ORDER BY (saql.md 3.4, 5.10).
func orderOf(v vec.Value) int {
	switch v.Kind {
	case vec.String:
		return 1
	case vec.Bit, vec.Int, vec.Float:
		return 2
	case vec.Record:
		return 4
	case vec.Array:
		return 5
	}
	return 0
}

// TestTopRandom compares ORDER BY and TOP over windows with a stable sort of the rows of
// each window: values of all kinds, both directions, two keys, ties.
func TestTopRandom(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 21))
		pool := []string{"1", "1.0", "2", "-0.5", "null", `"a"`, `"b"`, `"10"`, "true", `[1]`, `{"a":1}`}
		n, desc := 1+r.IntN(5), [2]bool{r.IntN(2) == 0, r.IntN(2) == 0}
		text := map[bool]string{true: " DESC", false: ""}
		query := fmt.Sprintf(`SELECT TOP %d id, x, MAX(v) AS v FROM a TIMESTAMP BY at GROUP BY id, x, TumblingWindow(second, 10) ORDER BY x%s, v%s`, n, text[desc[0]], text[desc[1]])
		type row struct {
			window, id int
			x          vec.Value
			v          int
			text       string
		}
		var rows []row
		p := &play{query: query, events: map[string][]string{}}
		for id := range 40 {
			at, x, v := id/2+1, pool[r.IntN(len(pool))], r.IntN(3)
			p.events["a"] = append(p.events["a"], fmt.Sprintf(`{"at":"12:00:%02d","id":%d,"x":%s,"v":%d}`, at, id, x, v))
			value, err := vec.ParseJSON([]byte(x))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row{(at + 9) / 10 * 10, id, value, v, fmt.Sprintf("12:00:%02d %d %s %d", (at+9)/10*10, id, shown(value), v)})
		}
		slices.SortStableFunc(rows, func(a, b row) int {
			byX := cmp.Compare(orderOf(a.x), orderOf(b.x))
			if c, ok := vec.Compare(a.x, b.x); byX == 0 && ok {
				byX = c
			}
			byV := cmp.Compare(a.v, b.v)
			if desc[0] {
				byX = -byX
			}
			if desc[1] {
				byV = -byV
			}
			return cmp.Or(cmp.Compare(a.window, b.window), byX, byV)
		})
		var want []string
		count := map[int]int{}
		for _, x := range rows {
			if count[x.window]++; count[x.window] <= n {
				want = append(want, x.text)
			}
		}
		p.everyWay(t, want...)
	}
}

func shown(v vec.Value) string {
	if v.Kind == vec.String {
		return "'" + strings.ReplaceAll(v.Str, "'", "''") + "'"
	}
	return v.String()
}

// TestTopKeepsOrder: without ORDER BY the first groups stay.
func TestTopKeepsOrder(t *testing.T) {
	(&play{query: `SELECT TOP 2 k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(second, 10)`,
		events: map[string][]string{"a": {`{"at":"12:00:01","k":"c"}`, `{"at":"12:00:02","k":"a"}`, `{"at":"12:00:03","k":"b"}`, `{"at":"12:00:11","k":"b"}`}}}).everyWay(t,
		"12:00:10 'c' 1", "12:00:10 'a' 1", "12:00:20 'b' 1")
}

// TestUnionsOfUnions: unions of unions have more leaves than rows have numbers for, and more
// ways through them than anybody could walk.
func TestUnionsOfUnions(t *testing.T) {
	steps := "WITH s0 AS (SELECT n, x FROM a TIMESTAMP BY at)"
	for i := range 40 {
		steps += fmt.Sprintf(", s%d AS (SELECT n, x FROM s%d WHERE n > %d UNION SELECT n, x FROM s%d WHERE n <= %d)", i+1, i, i, i, i)
	}
	events := map[string][]string{"a": {`{"at":"12:00:01","n":0,"x":[1,2]}`, `{"at":"12:00:01","n":99,"x":[3]}`, `{"at":"12:00:02","n":20,"x":[4]}`}}
	apply := " FROM s40 CROSS APPLY GetArrayElements(x) AS e"
	(&play{query: steps + " SELECT n, COUNT(*) AS c, SUM(e.ArrayValue) AS v" + apply + " GROUP BY n, TumblingWindow(second, 10)", events: events}).everyWay(t,
		"12:00:10 99 1 3", "12:00:10 0 2 3", "12:00:10 20 1 4")
	rows := (&play{query: steps + " SELECT n, e.ArrayValue AS v" + apply, events: events}).run(t).rows
	if slices.Sort(rows); fmt.Sprint(rows) != "[12:00:01 0 1 12:00:01 0 2 12:00:01 99 3 12:00:02 20 4]" {
		t.Errorf("%s", rows)
	}
}
