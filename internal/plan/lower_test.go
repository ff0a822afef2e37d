package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// mustCompile compiles a query that is right.
func mustCompile(t *testing.T, query string) *Plan {
	t.Helper()
	p, list := compileText(query, testEnv())
	if p == nil {
		t.Fatalf("%s\n%v", query, list)
	}
	checkPlan(t, p)
	return p
}

// checkPlan checks what holds for every plan.
func checkPlan(t *testing.T, p *Plan) {
	t.Helper()
	for i, n := range p.Nodes {
		if n.ID != i {
			t.Fatalf("node %d has the number %d", i, n.ID)
		}
		width := 0
		for port, in := range n.In {
			if in.ID >= i {
				t.Fatalf("node %d reads node %d, which stands behind it", i, in.ID)
			}
			n.positions(port, func(col *int) {
				if *col < 0 || *col >= len(in.Cols) {
					t.Fatalf("node %d reads column %d of %d of input %d", i, *col, len(in.Cols), port)
				}
			})
			checkOuts(t, n, port)
			if _, order := n.Op.(*Order); order && width > 0 && len(in.Cols) != width {
				t.Fatalf("node %d joins rows of %d and %d columns", i, width, len(in.Cols))
			}
			width = len(in.Cols)
		}
		for _, e := range exprsOf(n) {
			checkExpr(t, n, e, width)
		}
		if on := n.on(); on != nil {
			checkExpr(t, n, on, len(n.Cols))
		}
		switch op := n.Op.(type) {
		case *Project:
			if len(op.Exprs) != len(n.Cols) {
				t.Fatalf("node %d has %d expressions and %d columns", i, len(op.Exprs), len(n.Cols))
			}
			for c, e := range op.Exprs {
				if e.Type != n.Cols[c].Type {
					t.Fatalf("node %d: column %d is %v, its expression %v", i, c, n.Cols[c].Type, e.Type)
				}
			}
		case *Group:
			want := len(op.Keys) + len(op.Aggs)
			if op.WithID {
				want++
			}
			if len(n.Cols) != want {
				t.Fatalf("node %d has %d columns, want %d", i, len(n.Cols), want)
			}
		case *Write:
			for _, c := range n.Cols {
				if c.Type.Has(vec.Missing) {
					t.Fatalf("output column %q may be missing", c.Name)
				}
			}
		}
	}
	for _, s := range p.Steps {
		if p.Nodes[s.Node.ID] != s.Node {
			t.Fatalf("step %q is not in the plan", s.Name)
		}
	}
}

// checkExpr checks an expression over rows of so many columns.
func checkExpr(t *testing.T, n *Node, e *Expr, width int) {
	t.Helper()
	walk(e, func(e *Expr) bool {
		if e.ref != nil {
			t.Fatalf("node %d: %s is not resolved", n.ID, e)
		}
		if e.Op == OpCol && e.Col >= width {
			t.Fatalf("node %d reads column %d of %d", n.ID, e.Col, width)
		}
		if !e.Truth() && e.Type == 0 {
			t.Fatalf("node %d: %s has no type", n.ID, e)
		}
		return true
	})
}

// checkOuts checks the columns that a node hands on from an input.
func checkOuts(t *testing.T, n *Node, port int) {
	t.Helper()
	outs := n.outs()
	if outs == nil {
		return
	}
	if len(outs) != len(n.Cols) {
		t.Fatalf("node %d has %d columns and names %d", n.ID, len(n.Cols), len(outs))
	}
	for c, o := range outs {
		if o.Port != port {
			continue
		}
		if in := n.In[port]; o.Col >= len(in.Cols) || in.Cols[o.Col].Type&^n.Cols[c].Type != 0 {
			t.Fatalf("node %d: column %d is column %d of input %d, which is not of its type", n.ID, c, o.Col, port)
		}
	}
}

// exprsOf are the expressions of a node over the columns of its input.
func exprsOf(n *Node) []*Expr {
	var list []*Expr
	n.inputExprs(func(e **Expr) {
		if *e != nil {
			list = append(list, *e)
		}
	})
	return list
}

// fields are the paths that an input decodes.
func fields(p *Plan, input int) string {
	var out []string
	for _, f := range p.Inputs[input].Fields {
		text := strings.Join(f.Path, ".")
		if text == "" {
			text = "*"
		}
		if f.Want == vec.AsDatetime {
			text += ":datetime"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

// TestFields: an input decodes what the outputs need, and nothing else.
func TestFields(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		if got := fields(mustCompile(t, query), 0); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
	f("SELECT a, b.c.d, a AS a2 FROM feed", "a b.c.d")
	f("SELECT * FROM feed", "*")
	f("SELECT a, at FROM feed TIMESTAMP BY at", "at:datetime a at")
	f("SELECT COUNT(*) FROM feed GROUP BY Tumbling(second, 1)", "")
	f("SELECT COUNT(feed) FROM feed GROUP BY Tumbling(second, 1)", "") // a source: counts rows
	f("SELECT SUM(feed) FROM feed GROUP BY Tumbling(second, 1)", "feed")
	f("WITH s AS (SELECT a, b, c FROM feed WHERE d > 1) SELECT b FROM s", "d b")
	f("WITH s AS (SELECT * FROM feed), u AS (SELECT * FROM s WHERE x.y = 1) SELECT b.c FROM u", "x.y b.c")
	f("WITH s AS (SELECT a, SUM(b) AS b, SUM(c) AS c FROM feed GROUP BY a, Tumbling(second, 1)) SELECT c FROM s", "a c")
	f("SELECT GetRecordPropertyValue(feed, 'x y') AS x FROM feed", "x y")
	f("SELECT GetRecordPropertyValue(feed, name) AS x FROM feed", "* name")
	f("CREATE TABLE feed (a bigint, b float) SELECT b FROM feed", "a b")
	f("CREATE TABLE feed (a bigint, b float) SELECT GetRecordPropertyValue(feed, 'B') AS x, feed AS r FROM feed", "a b")
	f("SELECT a FROM feed UNION SELECT b AS a FROM feed", "a b")
}

// TestTimelines: uses of an input with the same TIMESTAMP BY share a stamp, and all uses
// share the source.
func TestTimelines(t *testing.T) {
	f := func(query string, sources, stamps int) {
		t.Helper()
		p := mustCompile(t, query)
		got := [2]int{}
		for _, n := range p.Nodes {
			switch n.Op.(type) {
			case *Source:
				got[0]++
			case *Stamp:
				got[1]++
			}
		}
		if got != [2]int{sources, stamps} {
			t.Errorf("%s\n%d sources, %d stamps; want %d, %d", query, got[0], got[1], sources, stamps)
		}
	}
	f("SELECT a INTO output FROM feed SELECT b INTO alerts FROM Feed", 1, 1)
	f("SELECT a INTO output FROM feed f TIMESTAMP BY at SELECT b INTO alerts FROM feed TIMESTAMP BY feed.at", 1, 1)
	f("SELECT a INTO output FROM feed TIMESTAMP BY at SELECT b INTO alerts FROM feed", 1, 2)
	f("SELECT a INTO output FROM feed TIMESTAMP BY at OVER k SELECT b INTO alerts FROM feed TIMESTAMP BY at OVER j", 1, 2)
	f("SELECT a INTO output FROM feed TIMESTAMP BY at SELECT b INTO alerts FROM other TIMESTAMP BY at", 2, 2)
	f("WITH s AS (SELECT * FROM feed) SELECT a INTO output FROM s TIMESTAMP BY at SELECT a INTO alerts FROM s", 1, 2)
	f("WITH r AS (SELECT x.at AS t FROM feed), s AS (SELECT t AS u FROM r) SELECT u FROM s q TIMESTAMP BY q.u", 1, 1)
}

// TestTimestampOnStep: it reads the field of the event that the steps renamed.
func TestTimestampOnStep(t *testing.T) {
	p := mustCompile(t, "WITH r AS (SELECT f.x.at AS t FROM feed f), s AS (SELECT r.t AS u FROM r) SELECT u FROM s q TIMESTAMP BY q.u")
	if got := fields(p, 0); got != "x.at:datetime x.at" {
		t.Errorf("fields %s", got)
	}
}

// TestOrder: a sort stands where something sees the order of rows, and nowhere else.
func TestOrder(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		var got []string
		for _, n := range mustCompile(t, query).Nodes {
			if o, ok := n.Op.(*Order); ok {
				text := fmt.Sprintf("%d->%d", n.In[0].ID, n.ID)
				if len(n.In) > 1 {
					text = "union"
				}
				if o.Soft {
					text += " soft"
				}
				if o.Concat {
					text += " concat"
				}
				got = append(got, text)
			}
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, s, want)
		}
	}
	f("SELECT a FROM feed WHERE a > 1", "3->4 soft")
	f("SELECT COUNT(*) FROM feed GROUP BY Tumbling(second, 1)", "")
	f("SELECT COUNT(*) FROM feed GROUP BY Hopping(second, 2, 1)", "")
	f("SELECT COUNT(*) FROM feed GROUP BY Sliding(second, 1)", "1->2")
	f("SELECT COUNT(*), a + 1 FROM feed GROUP BY a + 1, Session(second, 1, 2)", "2->3")
	f("SELECT COUNT(*) FROM feed GROUP BY System.Timestamp()", "1->2")
	f("SELECT COUNT(*) FROM feed GROUP BY Windows(Tumbling(second, 1), Sliding(second, 1))", "1->2")
	f("WITH w AS (SELECT COUNT(*) AS n FROM feed GROUP BY Tumbling(second, 1)) SELECT SUM(n) FROM w WHERE n > 1 GROUP BY Sliding(second, 9)", "")
	f("SELECT a FROM feed UNION SELECT a FROM other", "union soft")
	f("SELECT SUM(a) FROM (SELECT a FROM feed UNION SELECT a FROM other) u GROUP BY Tumbling(second, 1)", "union concat")
	f("SELECT SUM(a) FROM (SELECT a FROM feed UNION SELECT a FROM other) u WHERE a > 1 GROUP BY Sliding(second, 1)", "union")
	f("WITH u AS (SELECT a FROM feed UNION SELECT a FROM other) SELECT a INTO output FROM u SELECT SUM(a) INTO alerts FROM u GROUP BY Sliding(second, 1)", "union")
	f("WITH g AS (SELECT * FROM feed) SELECT MAX(a) INTO output FROM g GROUP BY Sliding(second, 1) SELECT MAX(b) INTO alerts FROM g GROUP BY Sliding(second, 2)", "1->2")
}

// TestStages: rows are spread at groups with keys and meet at unions.
func TestStages(t *testing.T) {
	f := func(query string, want ...int) {
		t.Helper()
		p := mustCompile(t, query)
		var got []int
		for _, n := range p.Nodes {
			got = append(got, n.Stage)
		}
		if !slices.Equal(got, want) || p.Stages() != slices.Max(want)+1 {
			t.Errorf("%s\ngot  %v\nwant %v", query, got, want)
		}
	}
	f("SELECT a FROM feed", 0, 0, 0, 0, 0)
	f("SELECT COUNT(*) FROM feed GROUP BY Tumbling(second, 1)", 0, 0, 0, 0)
	f("SELECT COUNT(*) FROM feed GROUP BY k, Tumbling(second, 1)", 0, 0, 1, 1, 1)
	f("SELECT COUNT(*) FROM feed GROUP BY k, Session(second, 1, 5)", 0, 0, 0, 0, 0, 0)
	f("SELECT COUNT(*) FROM feed GROUP BY k, j, Session(second, 1, 5) OVER (PARTITION BY k)", 0, 0, 0, 1, 1, 1)
	f("SELECT COUNT(*) FROM feed GROUP BY k, Session(second, 1, 5) OVER (PARTITION BY j)", 0, 0, 0, 0, 0, 0)
	f("SELECT a FROM feed UNION SELECT a FROM other", 0, 0, 0, 1, 1, 1, 2, 2)
}

// TestStageID: it depends on what is computed and on nothing else.
func TestStageID(t *testing.T) {
	last := func(query string) string {
		t.Helper()
		p := mustCompile(t, query)
		return p.StageID(p.Outputs[0].Node.Stage)
	}
	base := last("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 5)")
	same := func(query string) {
		t.Helper()
		if got := last(query); got != base {
			t.Errorf("%s\nhas another stage ID", query)
		}
	}
	other := func(query string) {
		t.Helper()
		if got := last(query); got == base {
			t.Errorf("%s\nhas the same stage ID", query)
		}
	}
	same("select k, sum(v) as s\ninto output from feed timestamp by at where v > 1 group by k, tumblingwindow(second, 5)")
	same("WITH x AS (SELECT v, k FROM feed TIMESTAMP BY at) SELECT k, SUM(v) AS total INTO output FROM x WHERE v > 1 GROUP BY k, Tumbling(second, 5)")
	same("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 5) SELECT a, b INTO alerts FROM feed TIMESTAMP BY at")
	same("SELECT zz INTO alerts FROM other SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 5)"[len("SELECT zz INTO alerts FROM other "):])
	other("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 2 GROUP BY k, Tumbling(second, 5)")
	other("SELECT k, SUM(w) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 5)")
	other("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 6)")
	other("SELECT k, SUM(v) AS s INTO output FROM feed WHERE v > 1 GROUP BY k, Tumbling(second, 5)")
	other("SELECT k, SUM(v) AS s INTO output FROM other TIMESTAMP BY at WHERE v > 1 GROUP BY k, Tumbling(second, 5)")
	other("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > TRUE GROUP BY k, Tumbling(second, 5)")
	other("SELECT k, SUM(v) AS s INTO output FROM feed TIMESTAMP BY at WHERE v > 1 GROUP BY k, j, Tumbling(second, 5)")
}

// TestDeterministic: compiling twice gives the same plan.
func TestDeterministic(t *testing.T) {
	const query = `WITH g AS (SELECT *, UPPER(k) AS u FROM feed TIMESTAMP BY at WHERE v > 1)
		SELECT u, SUM(v) AS s INTO output FROM g GROUP BY u, Windows(Window('a', Tumbling(second, 1)), Window('b', Sliding(second, 3)))
		SELECT * INTO alerts FROM g UNION SELECT a, b FROM other`
	a, b := mustCompile(t, query), mustCompile(t, query)
	if len(a.Nodes) != len(b.Nodes) {
		t.Fatalf("%d and %d nodes", len(a.Nodes), len(b.Nodes))
	}
	for i := range a.Nodes {
		if a.NodeID(a.Nodes[i]) != b.NodeID(b.Nodes[i]) || !reflect.DeepEqual(a.Nodes[i].Cols, b.Nodes[i].Cols) {
			t.Errorf("node %d differs", i)
		}
	}
}

// TestSteps: steps that something reads can be tapped.
func TestSteps(t *testing.T) {
	p := mustCompile(t, "WITH a AS (SELECT * FROM feed WHERE x > 1), b AS (SELECT y, SUM(z) AS s FROM a GROUP BY y, Tumbling(second, 1)), c AS (SELECT y FROM feed) SELECT s FROM b")
	var got []string
	for _, s := range p.Steps {
		text := s.Name + ":"
		for _, c := range s.Cols {
			text += " " + s.Node.Cols[c].Name
		}
		got = append(got, text)
	}
	if want := "a: x y z|b: s"; strings.Join(got, "|") != want {
		t.Errorf("got %s, want %s", strings.Join(got, "|"), want)
	}
	if len(p.Warnings) != 2 || p.Warnings[0].Code != "W2001" {
		t.Errorf("warnings %v", p.Warnings)
	}
}

// TestInternalColumns: what a step computes for others only is no column of it.
func TestInternalColumns(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		s := mustCompile(t, query).Steps[0]
		var names []string
		for _, c := range s.Cols {
			names = append(names, s.Node.Cols[c].Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s\ngot %q, want %q", query, got, want)
		}
	}
	f("CREATE TABLE input (a bigint); WITH s AS (SELECT * FROM input WHERE LAG(a) OVER (LIMIT DURATION(second, 1)) = 1) SELECT PartitionId, a FROM s", "a")
	f("WITH s AS (SELECT TOP 3 k, COUNT(*) AS n FROM feed GROUP BY k, Tumbling(second, 1) ORDER BY MAX(v)) SELECT n FROM s", "n")
	f("WITH s AS (SELECT DISTINCT UPPER(k) AS u FROM feed GROUP BY k, Tumbling(second, 1) ORDER BY LEN(UPPER(k))) SELECT u FROM s", "u")
}

// TestHistory: the sum of the windows on the longest path (saql.md 4.9).
func TestHistory(t *testing.T) {
	f := func(query string, want vec.Time) {
		t.Helper()
		if got := mustCompile(t, query).History(); got != want {
			t.Errorf("%s\ngot %s, want %s", query, duration(got), duration(want))
		}
	}
	f("SELECT a FROM feed", 0)
	f("SELECT COUNT(*) FROM feed GROUP BY System.Timestamp()", 0)
	f("SELECT COUNT(*) FROM feed GROUP BY Session(second, 5, 10)", 25*vec.Second)
	f("SELECT COUNT(*) FROM feed GROUP BY Windows(Tumbling(second, 5), Hopping(second, 10, 2))", 10*vec.Second)
	f("WITH a AS (SELECT COUNT(*) AS n FROM feed GROUP BY Tumbling(second, 5)) SELECT SUM(n) FROM a GROUP BY Sliding(minute, 1)", 65*vec.Second)
}

// TestPassedFields: a field that only reaches an output is handed on; one that is looked
// at on the way is not.
func TestPassedFields(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		p := mustCompile(t, query)
		var passed []string
		for _, field := range p.Inputs[0].Fields {
			if field.Passed {
				passed = append(passed, strings.Join(field.Path, "."))
			}
		}
		if got := strings.Join(passed, " "); got != want {
			t.Errorf("%s\npassed %q, want %q", query, got, want)
		}
	}
	f(`SELECT a, b.c FROM input TIMESTAMP BY at WHERE d = 1`, "a b.c")
	f(`SELECT a, UPPER(b) AS u FROM input WHERE a <> 'x'`, "")
	f(`SELECT a, COUNT(*) AS n FROM input GROUP BY a, TumblingWindow(second, 1)`, "")
	f(`WITH s AS (SELECT a, b FROM input) SELECT a INTO output FROM s SELECT b INTO alerts FROM s WHERE b = 1`, "a")
	f(`WITH s AS (SELECT a, b FROM input) SELECT b INTO output FROM s SELECT MAX(b) AS m INTO alerts FROM s GROUP BY SlidingWindow(second, 1)`, "")
	f(`SELECT i.a, o.b FROM input i JOIN other o ON i.k = o.k AND DATEDIFF(second, i, o) = 0`, "a")
	f(`SELECT i.a, l.b FROM input i JOIN lookup l ON i.k = l.k AND i.c < l.c`, "a")
	f(`SELECT i.a, e.ArrayValue AS v FROM input i CROSS APPLY GetArrayElements(i.list) AS e`, "a")
	f(`SELECT a, b, LAG(c) OVER (PARTITION BY k LIMIT DURATION(second, 1) WHEN b > 1) AS l FROM input`, "a")
}

// TestEventTimes: a cast of the field of TIMESTAMP BY reads the time that is there.
func TestEventTimes(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		p := mustCompile(t, query)
		for _, n := range p.Nodes {
			if op, ok := n.Op.(*Project); ok {
				if got := fmt.Sprint(op.Exprs); got != want {
					t.Errorf("%s\n%s, want %s", query, got, want)
				}
				return
			}
		}
		t.Errorf("%s: no projection", query)
	}
	f(`SELECT CAST(at AS datetime) AS x, at FROM input TIMESTAMP BY at`, `[$0 null($1)]`)
	f(`SELECT DATEADD(day, 1, TRY_CAST(at AS datetime)) AS x FROM input TIMESTAMP BY at WHERE n = 1`, `[DATEADD(day, 1, $0)]`)
	f(`SELECT CAST(other AS datetime) AS x FROM input TIMESTAMP BY at`, `[CAST($1 AS datetime)]`)
	f(`SELECT CAST(at AS datetime) AS x FROM input`, `[CAST($0 AS datetime)]`)
	f(`SELECT CAST(at AS nvarchar(max)) AS x FROM input TIMESTAMP BY at`, `[CAST($1 AS nvarchar(max))]`)
}
