package caserun

import (
	"testing"

	"weir/internal/testkit"
)

// TestGuardedFunctions: a user function is called for the rows that CASE, AND and OR let
// through, once each, wherever its call stands. Its global variable counts the calls.
func TestGuardedFunctions(t *testing.T) {
	f := func(query, rows string) {
		t.Helper()
		c, err := testkit.Parse([]byte(`{"name": "guard", "ordered": true, "query": "` + query + `",
			"functions": {"UDF.n": "var n = 0; function main(x) { return ++n }"},
			"inputs": {"a": [{"v": 1}, {"v": 2}, {"v": 3}, {"v": 4}]}, "expected": {"output": ` + rows + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		if problem := testkit.Check(c, Engine, testkit.Whole); problem != "" {
			t.Errorf("%s\n%s", query, problem)
		}
	}
	f("SELECT CASE WHEN v > 2 THEN UDF.n(v) ELSE 0 END AS x FROM a", `[{"x": 0}, {"x": 0}, {"x": 1}, {"x": 2}]`)
	f("SELECT v FROM a WHERE v > 2 AND UDF.n(v) = 2", `[{"v": 4}]`)
	f("SELECT COALESCE(CASE WHEN v < 3 THEN v END, UDF.n(v)) AS x FROM a", `[{"x": 1}, {"x": 2}, {"x": 1}, {"x": 2}]`)
	f("SELECT UDF.n(v) AS x FROM a WHERE v > 3", `[{"x": 1}]`)
}
