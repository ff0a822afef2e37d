package exec_test

import (
	"testing"

	"weir/internal/exec"
)

// TestExpressions runs every kind of expression over columns whose kinds differ by row, in
// batches of all sizes: constants and results are used again from batch to batch.
func TestExpressions(t *testing.T) {
	in := map[string][]string{"a": {
		`{"v":3,"s":"ab","r":{"x":1,"Y":"q"}}`, `{"v":2.5,"s":null,"r":7}`, `{"v":null,"s":"a%","r":{"y":2}}`,
		`{"s":"xab","v":true}`, `{"v":-1,"s":"日本"}`,
	}}
	f := func(query string, want ...string) {
		t.Helper()
		for i := range want {
			want[i] = "12:00:00 " + want[i]
		}
		p := &play{query: query, events: in, opts: exec.Options{Start: base}}
		p.everyWay(t, want...)
	}
	f("SELECT v + 1 AS x, -v AS y FROM a", "4 -3", "3.5 -2.5", "null null", "2 -1", "0 1")
	f("SELECT ~CAST(v AS bigint) AS x FROM a", "-4", "-3", "null", "-2", "0")
	f("SELECT 'c' AS c, 1 AS one, NULL AS n FROM a WHERE v >= 2", "'c' 1 null", "'c' 1 null")
	f("SELECT s FROM a WHERE s LIKE '%ab'", "'ab'", "'xab'")
	f("SELECT s FROM a WHERE s LIKE 'a!%' ESCAPE '!' OR 3 < v + 1 AND s IS NULL", "null", "'a%'")
	f("SELECT s FROM a WHERE s NOT LIKE '%b' AND NOT v IS NULL", "'日本'")
	f("SELECT v FROM a WHERE v IN (3, true, -1)", "3", "true", "-1")
	f("SELECT v FROM a WHERE v NOT IN (3, NULL)")
	f("SELECT v FROM a WHERE v BETWEEN 1 AND 2.5", "2.5", "true")
	f("SELECT r.y AS y, r.x AS x FROM a", "'q' 1", "null null", "2 null", "null null", "null null")
	f("SELECT COALESCE(r.x, v, s) AS c FROM a", "1", "2.5", "'a%'", "true", "-1")
	f("SELECT CASE WHEN v > 2 THEN s WHEN v IS NULL THEN 'none' END AS c FROM a", "'ab'", "null", "'none'", "null", "null")
	f("SELECT CASE v WHEN 3 THEN 1 WHEN 1 THEN 2.5 ELSE 0 END AS c FROM a", "1.0", "0.0", "0.0", "2.5", "0.0")
	f("SELECT UPPER(s) + '!' AS u, TRY_CAST(s AS bigint) AS n FROM a", "'AB!' null", "null null", "'A%!' null", "'XAB!' null", "'日本!' null")
	f("WITH s AS (SELECT *, v AS w FROM a) SELECT w, s FROM s WHERE w = v", "3 'ab'", "2.5 null", "true 'xab'", "-1 '日本'")
	f("WITH s AS (SELECT r, 5 AS x FROM a WHERE v = 3) SELECT * FROM s", `{"x":1,"Y":"q"} 5`)
	f("SELECT v, System.Timestamp() AS t FROM a WHERE v = 3", "3 12:00:00")
}

// TestWholeRows: `*` over unknown columns gives the event, with named columns where they
// stand, and nothing that it lacks.
func TestWholeRows(t *testing.T) {
	p := &play{query: "SELECT 1 AS x, *, v AS w FROM a TIMESTAMP BY at", opts: exec.Options{Sample: true}, events: map[string][]string{"a": {
		`{"at":"12:00:02","v":1,"x":9}`, `{"at":"12:00:01","z":{"q":[1,null]}}`}}}
	p.everyWay(t,
		`12:00:01 {"x":1,"at":"2021-03-04T12:00:01","z":{"q":[1,null]},"w":null}`,
		`12:00:02 {"x":1,"at":"2021-03-04T12:00:02","v":1,"w":1}`)
}
