package plan

import (
	"strings"
	"testing"

	"weir/internal/vec"
)

// TestColumnTypes: what an output's columns may hold, by the rules of saql.md 3 and 7.
func TestColumnTypes(t *testing.T) {
	env := testEnv()
	f := func(items, want string) {
		t.Helper()
		query := `CREATE TABLE input (i bigint, f float, s nvarchar(max), d datetime, b bit, r record, a array)
			SELECT ` + items + ` FROM input TIMESTAMP BY d`
		p, list := compileText(query, env)
		if p == nil {
			t.Fatalf("%s\n%v", query, list)
		}
		var got []string
		for _, c := range p.Outputs[0].Node.Cols {
			text := typeText(c.Type)
			if c.Type.Has(vec.Null) && text != "null" {
				text += "?"
			}
			got = append(got, c.Name+" "+text)
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s\ngot  %s\nwant %s", items, s, want)
		}
	}
	f("i, f, s, d", "i bigint?, f float?, s nvarchar(max)?, d datetime?")
	f("*", "i bigint?, f float?, s nvarchar(max)?, d datetime?, b bit?, r record?, a array?")
	f("1, 'x', 1.5, NULL, System.Timestamp()", "column1 bigint, column2 nvarchar(max), column3 float, column4 null, timestamp datetime")
	f("r.x, i + 1 AS p, i + 1.5 AS q, i / 2 AS h, 7 % 2 AS m", "x any?, p bigint?, q float?, h bigint?, m bigint")
	f("1 + 2 AS a1, 7 / 0 AS z, 1.5 * 2 AS c, -(3) AS n", "a1 bigint, z bigint?, c float, n bigint")
	f("s + 'x' AS t, s - 1 AS n, b + b AS two, b & b AS bb, b & i AS bi, ~b AS nb, ~i AS ni", "t nvarchar(max)?, n bigint or float?, two bigint?, bb bit?, bi bigint?, nb bit?, ni bigint?")
	f("+i AS pi, +s AS ps, -b AS mb", "pi bigint?, ps bigint or float?, mb bigint?")
	f("CASE WHEN i > 1 THEN 1 ELSE 2.5 END AS c, CASE WHEN i = 1 THEN 'x' END AS n, CASE i WHEN 1 THEN 1 ELSE 2 END AS o", "c float, n nvarchar(max)?, o bigint")
	f("CASE WHEN i > 1 THEN 1 ELSE s END AS m", "m bigint or nvarchar(max)?")
	f("CAST(s AS bigint) AS c, TRY_CAST('5' AS bigint) AS t, CAST('5' AS bigint) AS k", "c bigint?, t bigint?, k bigint")
	f("COALESCE(i, 0) AS c, COALESCE(i, f) AS n, COALESCE(NULL, NULL) AS z", "c bigint, n bigint or float?, z null")
	f("LEN(s), UPPER('x'), CONCAT(s, 'x'), DATEADD(day, 1, d), YEAR(d), GetArrayLength(a)", "len bigint?, upper nvarchar(max), concat nvarchar(max), dateadd datetime?, year bigint?, getarraylength bigint?")
	f("UPPER(s), LOWER(s), UPPER(s), UPPER(s) AS upper_2", "upper nvarchar(max)?, lower nvarchar(max)?, upper_3 nvarchar(max)?, upper_2 nvarchar(max)?")
	f("GetRecordPropertyValue(r, 'x') AS x, GetRecordPropertyValue(input, 'I') AS i, GetRecordPropertyValue(input, 'none') AS n, input AS row", "x any?, i bigint?, n null, row record")
	f("CAST(i AS float), CAST(i + 1 AS float), CAST(LEN(s) AS float)", "i float?, column2 float?, len float?")
}

// TestAggregateTypes: the types of aggregates.
func TestAggregateTypes(t *testing.T) {
	p := mustCompile(t, `CREATE TABLE input (i bigint, f float, s nvarchar(max), d datetime)
		SELECT COUNT(*), SUM(i) AS si, SUM(f) AS sf, AVG(i) AS a, MIN(d) AS md, MAX(s) AS ms, VAR(i), System.Window(), System.Window().ID
		FROM input TIMESTAMP BY d GROUP BY Windows(Window('x', Tumbling(second, 1)))`)
	var got []string
	for _, c := range p.Outputs[0].Node.Cols {
		got = append(got, c.Name+" "+typeText(c.Type))
	}
	const want = "count bigint, si bigint, sf float, a float, md datetime, ms nvarchar(max), var float, window record, ID nvarchar(max)"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

// TestLevel10: names of events and columns are in lower case (saql.md 1.6).
func TestLevel10(t *testing.T) {
	env := testEnv()
	env.Level = Level10
	p, list := compileText("WITH S AS (SELECT Dev.Id AS DevId, * FROM feed) SELECT DevId AS D, Other, X.Y, GetRecordPropertyValue(S, 'Name') AS N FROM S", env)
	if p == nil {
		t.Fatal(list)
	}
	if got := fields(p, 0); got != "dev.id other x.y name" {
		t.Errorf("fields %s", got)
	}
	if got := colNames(p.Outputs[0].Node.Cols); got != "d, other, y, n" {
		t.Errorf("columns %s", got)
	}
	if p.Level != Level10 {
		t.Error("the plan does not tell the level")
	}
}

// TestTimestampByOfRow: TIMESTAMP BY may read a property of the whole event.
func TestTimestampByOfRow(t *testing.T) {
	p := mustCompile(t, "SELECT a FROM feed f TIMESTAMP BY (GetRecordPropertyValue(f, f.name)) OVER f.k")
	if got := fields(p, 0); got != "* name k a" {
		t.Errorf("fields %s", got)
	}
	p = mustCompile(t, "CREATE TABLE feed (k bigint, at nvarchar(max)) SELECT k FROM feed TIMESTAMP BY at")
	if got := fields(p, 0); got != "k at at:datetime" {
		t.Errorf("fields %s", got)
	}
}

// TestOpenTypes: a named column to the right of a * is of any type, for the row may have a
// field of its name.
func TestOpenTypes(t *testing.T) {
	p := mustCompile(t, "WITH s AS (SELECT 1 AS a, *, 2 AS b FROM feed) SELECT a, b FROM s")
	cols := p.Outputs[0].Node.Cols
	if typeText(cols[0].Type) != "bigint" || typeText(cols[1].Type) != "any" {
		t.Errorf("types %s, %s", typeText(cols[0].Type), typeText(cols[1].Type))
	}
}

// TestOpenRows: a field of a row with named and unknown fields is the leftmost one of its
// name (saql.md 6.9).
func TestOpenRows(t *testing.T) {
	f := func(list, want string) {
		t.Helper()
		p := mustCompile(t, "WITH s AS (SELECT "+list+" FROM feed) SELECT a FROM s")
		var got string
		x := &explainer{p: p, names: map[*Node][]string{}}
		for _, n := range p.Nodes {
			if pr, ok := n.Op.(*Project); ok && n.Step == "s" {
				got = pr.Exprs[0].text(x.columns(n.In[0]))
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", list, got, want)
		}
	}
	f("1 AS a, *", "1")
	f("b AS a, *", "null(b)")
	f("*, 1 AS a", "present(a, 1)")
	f("*, 1 AS A", "present(a, 1)")
	f("*, r.*", "present(a, CAST(r AS record).a)")
	f("r.*, 1 AS a, *", "present(CAST(r AS record).a, 1)")
	f("1 AS A, 2 AS x, *", "present(a, 1)")
}
