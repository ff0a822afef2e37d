package plan_test

import (
	"strings"
	"testing"

	"weir/internal/plan"
	"weir/internal/saql"
)

func compileText(t *testing.T, query string) *plan.Plan {
	t.Helper()
	script, list := saql.Parse(query)
	if list.HasErrors() {
		t.Fatal(list)
	}
	p, list := plan.Compile(script, plan.Env{AnyInput: true, AnyOutput: true})
	if list.HasErrors() {
		t.Fatal(list)
	}
	return p
}

// diffTexts are the changes from one query to another, those that stay the same left out.
func diffTexts(t *testing.T, old, new string) (same int, changes []string) {
	t.Helper()
	for _, c := range plan.Diff(compileText(t, old), compileText(t, new)) {
		if c.Fate == plan.Same {
			same++
			continue
		}
		changes = append(changes, c.Fate.String()+": "+c.String())
	}
	return same, changes
}

func TestDiff(t *testing.T) {
	const hourly = `WITH hourly AS (
	SELECT k, COUNT(*) AS n FROM a TIMESTAMP BY at GROUP BY k, TumblingWindow(hour, 1)
) SELECT k, n INTO out FROM hourly WHERE n > 3`
	f := func(new string, same int, want ...string) {
		t.Helper()
		gotSame, got := diffTexts(t, hourly, new)
		if gotSame != same || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\n%d the same and\n  %s\nwant %d and\n  %s", new, gotSame, strings.Join(got, "\n  "), same, strings.Join(want, "\n  "))
		}
	}
	f(hourly, 2)
	// What stands behind the state, names and layout make no difference.
	f(strings.ReplaceAll(strings.Replace(hourly, "n > 3", "n > 4", 1), "hourly", "perHour"), 2)
	// Another output reads what is there.
	f(hourly+"\nSELECT k, MAX(n) AS m INTO most FROM hourly GROUP BY k, TumblingWindow(day, 1)", 2,
		"new: step most (line 4) begins without state: group by k: MAX(n), tumbling 1 d, ends at midnights UTC")
	// The window, the grouping and what is counted are the state.
	f(strings.Replace(hourly, "hour, 1", "hour, 2", 1), 1,
		"lost: step hourly (line 2) cannot keep its state: it was 'group by k: COUNT(*), tumbling 1 h, ends at whole hours' and is now 'group by k: COUNT(*), tumbling 2 h, ends at multiples of 2 h'")
	f(strings.Replace(strings.Replace(hourly, "COUNT(*) AS n", "COUNT(*) AS n, SUM(v) AS s", 1), "k, n INTO", "k, n, s INTO", 1), 1,
		"lost: step hourly (line 2) cannot keep its state: it was 'group by k: COUNT(*), tumbling 1 h, ends at whole hours' and is now 'group by k: COUNT(*), SUM(v), tumbling 1 h, ends at whole hours'")
	f(strings.Replace(hourly, "at GROUP", "at WHERE v > 0 GROUP", 1), 1,
		"lost: step hourly (line 2) cannot keep its state: what it reads was 'time of input \"a\": at' (line 2) and is now 'keep rows where (v > 0)' (line 2)")
	f(strings.Replace(hourly, "BY at", "BY t2", 1), 0,
		"lost: step out (line 2) cannot keep its state: it was 'time of input \"a\": at' and is now 'time of input \"a\": t2'",
		"lost: step hourly (line 2) cannot keep its state: what it reads was 'time of input \"a\": at' (line 2) and is now 'time of input \"a\": t2' (line 2)")
	f(`SELECT k INTO out FROM a TIMESTAMP BY at`, 1,
		"gone: step hourly (line 2 of the query so far) is gone with its state: group by k: COUNT(*), tumbling 1 h, ends at whole hours")
}

// TestDiffRows: a node that keeps rows goes on if they have all the columns that are wanted.
func TestDiffRows(t *testing.T) {
	const join = `SELECT x.k, x.v, y.g INTO out FROM a x TIMESTAMP BY at JOIN b y TIMESTAMP BY at ON x.k = y.k AND DATEDIFF(second, x, y) BETWEEN 0 AND 9`
	same, changes := diffTexts(t, join, strings.Replace(join, "x.v, ", "", 1))
	if len(changes) > 0 || same < 3 {
		t.Errorf("fewer columns: %d the same, %q", same, changes)
	}
	_, changes = diffTexts(t, join, strings.Replace(join, "x.v, ", "x.v, x.w, ", 1))
	if len(changes) == 0 || !strings.Contains(strings.Join(changes, "\n"), "lack a column that is now wanted") {
		t.Errorf("another column: %q", changes)
	}
}
