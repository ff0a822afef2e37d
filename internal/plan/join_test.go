package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"weir/internal/vec"
)

// lastOf is the last node of a plan whose operation is a T.
func lastOf[T Op](t *testing.T, p *Plan) (*Node, T) {
	t.Helper()
	for _, n := range slices.Backward(p.Nodes) {
		if op, ok := n.Op.(T); ok {
			return n, op
		}
	}
	t.Fatal("the plan has no such node")
	panic("")
}

// seconds writes a time.
func seconds(d vec.Time) string { return fmt.Sprint(float64(d) / float64(vec.Second)) }

// TestJoinBounds: the distance of the sides holds every pair that the bounds of ON allow,
// and no more than these where both sides are single sources.
func TestJoinBounds(t *testing.T) {
	f := func(from, want string) {
		t.Helper()
		p := mustCompile(t, "SELECT a.x FROM "+from)
		n, op := lastOf[*Join](t, p)
		got := seconds(op.Lo) + ".." + seconds(op.Hi)
		x := &explainer{p: p, names: map[*Node][]string{}}
		for _, u := range op.Until {
			got += " until " + x.outName(n, Out{0, u.Col}) + "+" + seconds(u.Hi)
		}
		if op.On != nil {
			got += " on " + strings.ReplaceAll(op.On.text(x.columns(n)), "time of ", "")
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", from, got, want)
		}
	}
	const ab = "input a JOIN other b ON a.k = b.k AND "
	const lb = "input a LEFT JOIN other b ON a.k = b.k AND "
	f(ab+"DATEDIFF(second, a, b) BETWEEN -2 AND 10", "-2..10")
	f(ab+"DATEDIFF(second, b, a) BETWEEN -2 AND 10", "-10..2")
	f(ab+"DATEDIFF(minute, a, b) = 1", "60..60")
	f(ab+"5 !< DATEDIFF(second, a, b) AND DATEDIFF(second, b, a) !> 1", "-1..5")
	f(ab+"DATEDIFF(second, a, b) > 0 AND DATEDIFF(second, a, b) < 1", "1e-07..0.9999999")
	f(ab+"DATEDIFF(second, a, b) BETWEEN 0 AND 9 AND DATEDIFF(second, b, a) BETWEEN -7 AND 2", "0..7")
	f(lb+"DATEDIFF(second, a, b) BETWEEN 0 AND 10", "0..10")
	f(ab+"DATEDIFF(second, a, b) BETWEEN 0 AND 10 AND DATEDIFF(second, a, b) <> 5", "0..10 on ((b - a) in units of 1 s <> 5)")
	// The row of a and b has the time of the later one.
	f(ab+"DATEDIFF(second, a, b) = 0 JOIN feed c ON DATEDIFF(second, a, c) BETWEEN 0 AND 10", "0..10")
	f(ab+"DATEDIFF(second, a, b) BETWEEN 2 AND 5 JOIN feed c ON DATEDIFF(second, a, c) BETWEEN 0 AND 10",
		"-5..8 on (((c - a) >= 0 s) AND ((c - a) <= 10 s))")
	f(ab+"DATEDIFF(second, a, b) BETWEEN 2 AND 5 JOIN feed c ON DATEDIFF(second, b, c) BETWEEN 0 AND 10", "0..10")
	f(ab+"DATEDIFF(second, a, b) BETWEEN -5 AND -2 JOIN feed c ON DATEDIFF(second, b, c) BETWEEN 0 AND 10",
		"-5..8 on (((c - b) >= 0 s) AND ((c - b) <= 10 s))")
	// A left row that found no b comes up to 5 s later than a.
	f(lb+"DATEDIFF(second, a, b) BETWEEN 2 AND 5 LEFT JOIN feed c ON DATEDIFF(second, a, c) BETWEEN 0 AND 10",
		"-5..10 until time of a+10 on (((c - a) >= 0 s) AND ((c - a) <= 10 s))")
	f(lb+"DATEDIFF(second, a, b) = 0 LEFT JOIN feed c ON DATEDIFF(second, b, c) BETWEEN 0 AND 10",
		"0..10 until time of b+10 on (((c - b) >= 0 s) AND ((c - b) <= 10 s))")
	// The third source bounds the second.
	f("input a JOIN other b ON DATEDIFF(second, a, b) BETWEEN 0 AND 1 JOIN feed c ON DATEDIFF(second, a, c) <= 3 AND DATEDIFF(second, b, c) >= 0",
		"0..3 on ((c - a) <= 3 s)") // b is the later of a and b
	f("input a JOIN (other b JOIN feed c ON DATEDIFF(second, b, c) BETWEEN 1 AND 2) ON DATEDIFF(second, a, b) BETWEEN 0 AND 10",
		"1..12 on (((b - a) >= 0 s) AND ((b - a) <= 10 s))")
	f("input a LEFT JOIN (other b JOIN feed c ON DATEDIFF(second, b, c) BETWEEN 1 AND 2) ON DATEDIFF(second, a, c) BETWEEN 0 AND 10", "0..10")
	f("input a JOIN (other b JOIN feed c ON DATEDIFF(second, b, c) BETWEEN -2 AND 3 JOIN input d ON DATEDIFF(second, c, d) BETWEEN 3 AND 6) ON DATEDIFF(second, a, c) = 3",
		"6..9 on (((c - a) >= 3 s) AND ((c - a) <= 3 s))")
	// Without b, a match of c could come until a + 100 s, and the row comes no sooner.
	f(lb+"DATEDIFF(second, a, b) = 0 LEFT JOIN feed c ON DATEDIFF(second, a, c) BETWEEN 0 AND 100 AND DATEDIFF(second, b, c) <= 2 JOIN feed d ON DATEDIFF(second, a, d) BETWEEN 0 AND 5",
		"-100..5 on (((d - a) >= 0 s) AND ((d - a) <= 5 s))")
	// Reference data and elements have no time of their own.
	f("input a JOIN lookup l ON l.k = a.k CROSS APPLY GetArrayElements(a.list) AS e JOIN feed c ON DATEDIFF(second, e, c) BETWEEN 0 AND 10 AND c.k = l.k", "0..10")
}

// TestJoinKeys: equalities of an expression per side are keys; one that can fail is tried
// only where the conditions of its side in front of it are true.
func TestJoinKeys(t *testing.T) {
	f := func(on, want string) {
		t.Helper()
		p := mustCompile(t, "SELECT a.x FROM input a JOIN other b ON DATEDIFF(second, a, b) = 0 AND "+on)
		n, op := lastOf[*Join](t, p)
		x := &explainer{p: p, names: map[*Node][]string{}}
		got := x.equalities(n, op.Keys)
		if op.On != nil {
			got += " on " + op.On.text(x.columns(n))
		}
		if got != want {
			t.Errorf("%s\ngot  %s\nwant %s", on, got, want)
		}
	}
	f("a.k = b.k AND b.j = a.j", "a.k = b.k, a.j = b.j")
	f("(a.k = b.k AND (a.j = b.j))", "a.k = b.k, a.j = b.j")
	f("a.r.k = b.k", "a.r.k = b.k")
	f("UPPER(a.k) = b.k + 1", "a.UPPER(k) = b.(k + 1)")
	f("a.k + b.k = b.j", " on ((a.k + b.k) = b.j)")
	f("a.k < b.k", " on (a.k < b.k)")
	f("(a.k = b.k OR a.j = b.j)", " on ((a.k = b.k) OR (a.j = b.j))")
	f("a.n = 'x' AND CAST(a.v AS bigint) = b.v", "a.CASE WHEN (n = 'x') THEN CAST(v AS bigint) ELSE NULL END = b.v")
	f("CAST(a.v AS bigint) = b.v AND a.n = 'x'", "a.CAST(v AS bigint) = b.v")
	f("b.n = 'x' AND CAST(a.v AS bigint) = b.v", "a.CAST(v AS bigint) = b.v")
	f("a.n = 'x' AND a.v = b.v", "a.v = b.v")
}

// TestPushFilters: conditions move below a join where they read one side, cannot fail and
// change no row of the result.
func TestPushFilters(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		p := mustCompile(t, query)
		join := slices.IndexFunc(p.Nodes, func(n *Node) bool { return n.outs() != nil })
		x := &explainer{p: p, names: map[*Node][]string{}}
		var got []string
		for _, n := range p.Nodes {
			if op, ok := n.Op.(*Filter); ok {
				place := "below "
				if n.ID > join {
					place = "above "
				}
				got = append(got, place+op.Pred.text(x.columns(n)))
			}
		}
		if on := p.Nodes[join].on(); on != nil {
			got = append(got, "on "+on.text(x.columns(p.Nodes[join])))
		}
		if text := strings.Join(got, "; "); text != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, text, want)
		}
	}
	const inner = "SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0"
	const left = "SELECT a.x FROM input a LEFT JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0"
	f(inner+" WHERE a.v = 1 AND b.v IS NOT NULL", "below (v = 1); below NOT ((v IS NULL))")
	f(inner+" WHERE a.v BETWEEN 1 AND 2 AND (b.v IN (1, 2) OR b.w.z = 3)", "below (v >= 1); below (v <= 2); below ((v IN (1, 2)) OR (w.z = 3))")
	f(inner+" WHERE a.v < b.v AND a.v < 5", "below (v < 5); above (a.v < b.v)")
	f(inner+" WHERE a.v + 1 = 2 AND a.w = 1", "above (((a.v + 1) = 2) AND (a.w = 1))")
	f(inner+" WHERE a.w = 1 AND a.v + 1 = 2", "below (w = 1); above ((a.v + 1) = 2)")
	f(inner+" WHERE System.Timestamp() > '2024-01-01' AND a.w = 1", "below (w = 1); above (System.Timestamp() > '2024-01-01')")
	f(inner+" WHERE 1 = 2", "above (1 = 2)")
	f(inner+" AND a.v = 1 AND b.v = 2", "below (v = 1); below (v = 2)")
	f(inner+" AND a.v + b.v = 1 WHERE a.w = 1", "above (a.w = 1); on ((a.v + b.v) = 1)")
	f(inner+" AND a.v LIKE 'x%'", "on (a.v LIKE 'x%')") // may be a record
	f(left+" WHERE a.v = 1 AND b.v = 2", "below (v = 1); above (b.v = 2)")
	f(left+" WHERE b.v IS NULL", "above (b.v IS NULL)")
	f(left+" AND a.v = 1 AND b.v = 2", "below (v = 2); on (a.v = 1)")
	f("SELECT a.x FROM input a JOIN lookup l ON a.k = l.k AND l.v = 1 WHERE a.v = 2 AND l.w = 3 AND System.Timestamp() > a.t",
		"below (v = 2); below (System.Timestamp() > t); below (v = 1); below (w = 3)")
	f("SELECT a.x FROM input a CROSS APPLY GetArrayElements(a.list) AS e WHERE a.v = 1", "above (v = 1)") // the list may be none
	f("SELECT a.x FROM input a CROSS APPLY GetArrayElements(TRY_CAST(a.list AS array)) AS e WHERE a.v = 1 AND e.ArrayValue = 2",
		"below (v = 1); above (e.ArrayValue = 2)")
	f("WITH s AS (SELECT a, UPPER(k) AS k, v FROM feed) SELECT s.a FROM s JOIN other b ON s.k = b.k AND DATEDIFF(second, s, b) = 0 WHERE s.v = 1", "below (v = 1)")
	f("SELECT s.a FROM (SELECT a, k, v FROM feed) s JOIN other b ON s.k = b.k AND DATEDIFF(second, s, b) = 0 WHERE s.v = 1", "below (null(v) = 1)")
	f(inner+" JOIN feed c ON b.k = c.k AND DATEDIFF(second, a, c) = 0 WHERE a.v = 1 AND c.v = 2", "below (v = 1); above (v = 2)") // c comes behind the first join
	f("SELECT a.x FROM input a JOIN other b ON CAST(a.k AS bigint) = b.k AND DATEDIFF(second, a, b) = 0 WHERE a.v = 1", "below (v = 1)")
}

// TestFailingKeyFirst: a condition of WHERE does not hide the errors of a key.
func TestFailingKeyFirst(t *testing.T) {
	p := mustCompile(t, "SELECT a.x FROM input a JOIN other b ON CAST(a.k AS bigint) = b.k AND DATEDIFF(second, a, b) = 0 WHERE a.v = 1")
	n, _ := lastOf[*Filter](t, p)
	if _, ok := n.In[0].Op.(*Project); !ok {
		t.Errorf("the filter reads a %T, want the projection that computes the key", n.In[0].Op)
	}
}

// TestJoinInputs: a join reads sorted rows; a projection in front of it that only picks
// columns is gone; equal sides share the sort.
func TestJoinInputs(t *testing.T) {
	f := func(query string, want string) {
		t.Helper()
		p := mustCompile(t, query)
		var got []string
		for _, n := range p.Nodes {
			got = append(got, strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", n.Op), "*plan.")))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, text, want)
		}
	}
	f("SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0",
		"source stamp order source stamp order join project write")
	f("SELECT a.x, b.y FROM input a JOIN input b ON a.k = b.k AND DATEDIFF(second, a, b) = 0",
		"source stamp order join project write")
	f("SELECT a.x FROM input a JOIN other b ON UPPER(a.k) = b.k AND DATEDIFF(second, a, b) = 0",
		"source stamp project order source stamp order join project write")
	f("SELECT a.x, SUM(b.v) AS s FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0 GROUP BY a.x, Sliding(second, 5)",
		"source stamp order source stamp order join group project write")
	f("SELECT a.x, COUNT(*) AS n FROM input a JOIN lookup b ON a.k = b.k GROUP BY a.x, Tumbling(second, 5)",
		"source stamp source lookup group project write")
	f("SELECT a.x, COUNT(*) AS n FROM input a JOIN lookup b ON a.k = b.k GROUP BY a.x, Sliding(second, 5)",
		"source stamp source lookup order group project write")
	f("WITH r AS (SELECT k FROM lookup UNION SELECT j AS k FROM lookup) SELECT a.x, LAST(a.y) OVER (LIMIT DURATION(second, 1)) AS l FROM input a JOIN r b ON a.k = b.k",
		"source stamp source project project order lookup order history project write")
	f("SELECT TOP 1 k FROM input GROUP BY k, Tumbling(second, 1) ORDER BY k",
		"source stamp group project top write")
}

// TestReferenceInputs: only a look-up reads reference data, which has no time and no order.
func TestReferenceInputs(t *testing.T) {
	p := mustCompile(t, "WITH r AS (SELECT k FROM lookup UNION SELECT j AS k FROM lookup) SELECT a.x FROM input a JOIN r ON a.k = r.k")
	for i, in := range p.Inputs {
		if in.Reference != (in.Name == "lookup") {
			t.Errorf("input %d, %s: reference is %v", i, in.Name, in.Reference)
		}
	}
	n, _ := lastOf[*Lookup](t, p)
	o, ok := n.In[1].Op.(*Order)
	if !ok || !o.Concat {
		t.Errorf("the look-up reads a %T, want branches one behind the other", n.In[1].Op)
	}
}

// TestNullableColumns: what stands at the right of a LEFT JOIN may be NULL.
func TestNullableColumns(t *testing.T) {
	f := func(join string, want bool) {
		t.Helper()
		p := mustCompile(t, "CREATE TABLE input (k bigint, t datetime); SELECT w.n, w.n + 1 AS m FROM input a "+join+" (SELECT COUNT(*) AS n FROM other GROUP BY Tumbling(second, 1)) w ON a.k = w.n AND DATEDIFF(second, a, w) = 0")
		for _, c := range p.Outputs[0].Node.Cols {
			if c.Type.Has(vec.Null) != want {
				t.Errorf("%s: column %s has the type %v", join, c.Name, c.Type)
			}
		}
	}
	f("JOIN", false)
	f("LEFT JOIN", true)
}

// TestJoinStageID: what the query calls its sources makes no other stage.
func TestJoinStageID(t *testing.T) {
	last := func(query string) string {
		t.Helper()
		p := mustCompile(t, query)
		return p.StageID(p.Outputs[0].Node.Stage)
	}
	base := last("SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0")
	f := func(query string, same bool) {
		t.Helper()
		if (last(query) == base) != same {
			t.Errorf("%s\nis the same stage: %v, want %v", query, !same, same)
		}
	}
	f("SELECT foo.x FROM input foo JOIN other bar ON foo.k = bar.k AND DATEDIFF(second, foo, bar) = 0", true)
	f("SELECT b.y FROM input a JOIN other b ON DATEDIFF(second, b, a) BETWEEN 0 AND 0 AND b.k = a.k", true)
	f("SELECT a.x FROM input a LEFT JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0", false)
	f("SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 1", false)
	f("SELECT a.x FROM input a JOIN other b ON a.k = b.j AND DATEDIFF(second, a, b) = 0", false)
	f("SELECT a.x FROM other a JOIN input b ON a.k = b.k AND DATEDIFF(second, a, b) = 0", false)
	f("SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) = 0 AND a.v < b.v", false)
}

// TestJoinHistory: the reach of joins, patterns and analytic functions adds up.
func TestJoinHistory(t *testing.T) {
	f := func(query string, want vec.Time) {
		t.Helper()
		if got := mustCompile(t, query).History(); got != want {
			t.Errorf("%s\n%s s, want %s s", query, seconds(got), seconds(want))
		}
	}
	f("SELECT a.x FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN -20 AND 5", 20*vec.Second)
	f("SELECT a.k, COUNT(*) AS n FROM input a JOIN other b ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 0 AND 5 GROUP BY a.k, Tumbling(second, 10)", 15*vec.Second)
	f("SELECT a.x, LAG(a.x) OVER (LIMIT DURATION(second, 7)) AS l FROM input a JOIN lookup b ON a.k = b.k", 7*vec.Second)
}

// TestOrderColumns: a key of ORDER BY that is a column is not computed twice.
func TestOrderColumns(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		p := mustCompile(t, query)
		_, top := lastOf[*Top](t, p)
		if got := fmt.Sprint(top.By, top.Desc, top.N); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
	f("SELECT TOP 5 k, COUNT(*) AS n FROM feed GROUP BY k, Tumbling(second, 1) ORDER BY COUNT(*) DESC, k", "[0 1] [true false] 5")
	f("SELECT k, COUNT(*) AS n FROM feed GROUP BY k, Tumbling(second, 1) ORDER BY n + 1, MAX(v)", "[0 1] [false false] -1")
	f("SELECT TOP (0) k FROM feed GROUP BY k, Tumbling(second, 1)", "[] [] 0")
	f("SELECT DISTINCT COUNT(*) AS n, k FROM feed GROUP BY k, Tumbling(second, 1) ORDER BY k, n DESC", "[1 0] [false true] -1")
}
