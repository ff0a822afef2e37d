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

// This file holds the slow twin of MATCH_RECOGNIZE: it walks over a pattern as backtracking
// does, from the text of saql.md section 9, and shares no code with the operator.

// mRow is an event.
type mRow struct {
	t vec.Time
	n int    // its number
	k string // its partition
	v vec.Value
}

// mPattern is a part of a pattern: a variable, ".", or an operator over parts.
type mPattern struct {
	op    string // "var", ".", " ", "|", "*", "+", "?"
	v     int
	parts []*mPattern
}

// mTest is a predicate of DEFINE: its text, and its truth when rows are taken.
type mTest struct {
	text  string
	holds func(c *mContext) mTruth
}

// mTruth is a truth value: -1 false, 0 unknown, 1 true.
type mTruth int

// mTake is a row of a path, and the variable that it is taken as, -1 for the dot.
type mTake struct {
	row *mRow
	v   int
}

// mContext is the rows taken so far; in DEFINE the last one is the one that is tried.
type mContext struct{ takes []mTake }

func (c *mContext) rows(v int) []*mRow {
	var out []*mRow
	for _, x := range c.takes {
		if x.v == v {
			out = append(out, x.row)
		}
	}
	return out
}

// of is First, Last, Min or Max of v over the rows of a variable.
func (c *mContext) of(fn string, v int) vec.Value {
	best := vec.NullValue()
	for i, r := range c.rows(v) {
		switch fn {
		case "Last":
			best = r.v
		case "First":
			if i == 0 {
				best = r.v
			}
		default:
			if r.v.Kind == vec.Null {
				continue
			}
			if best.Kind == vec.Null || fn == "Min" && r.v.Int < best.Int || fn == "Max" && r.v.Int > best.Int {
				best = r.v
			}
		}
	}
	return best
}

func (c *mContext) now() vec.Time { return c.takes[len(c.takes)-1].row.t }

var mNames = []string{"A", "Bb", "C", "D"}

// mQuery is a query with its pattern and definitions.
type mQuery struct {
	pattern *mPattern
	defs    []*mTest // per variable; nil: none
	limit   vec.Time
	keyed   bool
	n       int // variables
}

func (p *mPattern) String() string {
	switch p.op {
	case "var":
		return mNames[p.v]
	case ".":
		return "."
	case "*", "+", "?":
		return "(" + p.parts[0].String() + ")" + p.op
	}
	var parts []string
	for _, x := range p.parts {
		parts = append(parts, x.String())
	}
	return "(" + strings.Join(parts, p.op) + ")"
}

// has reports whether the pattern has a variable.
func (p *mPattern) has(v int) bool {
	return p.op == "var" && p.v == v || slices.ContainsFunc(p.parts, func(x *mPattern) bool { return x.has(v) })
}

func randomPattern(r *rand.Rand, vars, depth int) *mPattern {
	if depth == 0 || r.IntN(4) == 0 {
		if r.IntN(8) == 0 {
			return &mPattern{op: "."}
		}
		return &mPattern{op: "var", v: r.IntN(vars)}
	}
	p := &mPattern{op: pick(r, " ", " ", " ", "|", "*", "+", "?")}
	n := 1
	if p.op == " " || p.op == "|" {
		n = 2 + r.IntN(2)
	}
	for range n {
		p.parts = append(p.parts, randomPattern(r, vars, depth-1))
	}
	return p
}

// randomTest makes a definition of variable v, which may read those up to v.
func randomTest(r *rand.Rand, v, depth int) *mTest {
	if depth > 0 && r.IntN(3) == 0 {
		a, b := randomTest(r, v, depth-1), randomTest(r, v, depth-1)
		switch r.IntN(3) {
		case 0:
			return &mTest{"(" + a.text + " AND " + b.text + ")", func(c *mContext) mTruth { return min(a.holds(c), b.holds(c)) }}
		case 1:
			return &mTest{"(" + a.text + " OR " + b.text + ")", func(c *mContext) mTruth { return max(a.holds(c), b.holds(c)) }}
		}
		return &mTest{"NOT (" + a.text + ")", func(c *mContext) mTruth { return -a.holds(c) }}
	}
	own := mNames[v] + ".v"
	if r.IntN(6) == 0 {
		own = pick(r, "v", strings.ToLower(mNames[v])+".V", "Last("+mNames[v]+".v)")
	}
	op := pick(r, "<", "<=", ">", ">=", "=", "<>")
	left := func(c *mContext) vec.Value { return c.takes[len(c.takes)-1].row.v }
	switch r.IntN(10) {
	case 0:
		return &mTest{own + " IS NULL", func(c *mContext) mTruth { return mTruthOf(left(c).Kind == vec.Null) }}
	case 1: // a time of day
		at := base + vec.Time(r.IntN(20))*vec.Second
		return &mTest{"System.Timestamp() " + op + " '" + at.String() + "'", func(c *mContext) mTruth {
			return mCompare(op, vec.IntValue(int64(c.now())), vec.IntValue(int64(at)))
		}}
	case 2, 3, 4, 5:
		x := vec.IntValue(int64(r.IntN(6)))
		return &mTest{fmt.Sprintf("%s %s %d", own, op, x.Int), func(c *mContext) mTruth { return mCompare(op, left(c), x) }}
	}
	fn, u := pick(r, "First", "Last", "Min", "Max"), r.IntN(v+1)
	text := fn + "(" + mNames[u] + ".v)"
	if fn == "Last" && r.IntN(2) == 0 {
		text = mNames[u] + ".v"
	}
	switch r.IntN(4) {
	case 0:
		return &mTest{text + " IS NULL", func(c *mContext) mTruth { return mTruthOf(c.of(fn, u).Kind == vec.Null) }}
	case 1:
		return &mTest{fmt.Sprintf("%s %s %s + 1", own, op, text), func(c *mContext) mTruth {
			x := c.of(fn, u)
			x.Int++
			return mCompare(op, left(c), x)
		}}
	}
	return &mTest{fmt.Sprintf("%s %s %s", own, op, text), func(c *mContext) mTruth { return mCompare(op, left(c), c.of(fn, u)) }}
}

func mTruthOf(b bool) mTruth {
	if b {
		return 1
	}
	return -1
}

func mCompare(op string, a, b vec.Value) mTruth {
	if a.Kind == vec.Null || b.Kind == vec.Null {
		return 0
	}
	c := cmp.Compare(a.Int, b.Int)
	return mTruthOf(map[string]bool{"<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0, "=": c == 0, "<>": c != 0}[op])
}

// text is the query.
func (q *mQuery) text() string {
	var b strings.Builder
	b.WriteString("SELECT * FROM a TIMESTAMP BY at MATCH_RECOGNIZE (\n")
	fmt.Fprintf(&b, "  LIMIT DURATION(second, %d)\n", q.limit/vec.Second)
	if q.keyed {
		b.WriteString("  PARTITION BY k\n")
	}
	b.WriteString("  MEASURES ")
	if q.keyed {
		b.WriteString("k AS k, ")
	}
	for v := range q.n {
		name := mNames[v]
		fmt.Fprintf(&b, "First(%s.n) AS f%d, %s.n AS l%d, Min(%s.v) AS i%d, Max(%s.v) AS a%d, ", name, v, name, v, name, v, name, v)
	}
	b.WriteString("Classifier() AS c, System.Timestamp() AS t\n  AFTER MATCH SKIP TO NEXT ROW\n")
	fmt.Fprintf(&b, "  PATTERN (%v)\n  DEFINE ", q.pattern)
	sep := ""
	for v, d := range q.defs {
		if d != nil {
			b.WriteString(sep + mNames[v] + " AS " + d.text)
			sep = ", "
		}
	}
	b.WriteString("\n) AS m")
	return b.String()
}

// mEnd is how a walk over a pattern ends: it can go on nowhere, it is complete, or it
// wants a row that is not there yet.
type mEnd int

const (
	mNowhere mEnd = iota
	mComplete
	mWaits
)

// mWalk tries to match a pattern from row i on, in the order of preference, and the rest of
// the pattern behind it, which is then.
type mWalk struct {
	q     *mQuery
	rows  []*mRow
	last  bool // no row comes any more
	found []mTake
}

func (w *mWalk) match(p *mPattern, i int, takes []mTake, then func(i int, takes []mTake) mEnd) mEnd {
	switch p.op {
	case "var", ".":
		return w.take(p, i, takes, then)
	case " ":
		return w.sequence(p.parts, i, takes, then)
	case "|":
		for _, x := range p.parts {
			if end := w.match(x, i, takes, then); end != mNowhere {
				return end
			}
		}
		return mNowhere
	case "+":
		return w.match(p.parts[0], i, takes, func(j int, takes []mTake) mEnd { return w.more(p, j, takes, then) })
	case "*":
		return w.more(p, i, takes, then)
	}
	end := w.match(p.parts[0], i, takes, func(j int, takes []mTake) mEnd {
		if j == i {
			return mNowhere
		}
		return then(j, takes)
	})
	if end != mNowhere {
		return end
	}
	return then(i, takes)
}

func (w *mWalk) sequence(parts []*mPattern, i int, takes []mTake, then func(int, []mTake) mEnd) mEnd {
	if len(parts) == 0 {
		return then(i, takes)
	}
	return w.match(parts[0], i, takes, func(j int, takes []mTake) mEnd { return w.sequence(parts[1:], j, takes, then) })
}

// more is any number of iterations; each takes a row.
func (w *mWalk) more(p *mPattern, i int, takes []mTake, then func(int, []mTake) mEnd) mEnd {
	end := w.match(p.parts[0], i, takes, func(j int, takes []mTake) mEnd {
		if j == i {
			return mNowhere
		}
		return w.more(p, j, takes, then)
	})
	if end != mNowhere {
		return end
	}
	return then(i, takes)
}

func (w *mWalk) take(p *mPattern, i int, takes []mTake, then func(int, []mTake) mEnd) mEnd {
	if i == len(w.rows) {
		if w.last {
			return mNowhere
		}
		return mWaits
	}
	v := p.v
	if p.op == "." {
		v = -1
	}
	takes = append(slices.Clone(takes), mTake{w.rows[i], v})
	if v >= 0 && w.q.defs[v] != nil && w.q.defs[v].holds(&mContext{takes}) != 1 {
		return mNowhere
	}
	return then(i+1, takes)
}

func (w *mWalk) run() mEnd {
	return w.match(w.q.pattern, 0, nil, func(_ int, takes []mTake) mEnd {
		w.found = takes
		return mComplete
	})
}

// mMatch is a match: its T and its rows.
type mMatch struct {
	t     vec.Time
	takes []mTake
}

// attempt is the match from the first of rows, shown to the walk one by one.
func (q *mQuery) attempt(rows []*mRow) (mMatch, bool) {
	end := 0
	for end < len(rows) && rows[end].t <= rows[0].t+q.limit {
		end++
	}
	for n := 1; n <= end; n++ {
		w := &mWalk{q: q, rows: rows[:n]}
		switch w.run() {
		case mNowhere:
			return mMatch{}, false
		case mComplete:
			return mMatch{rows[n-1].t, w.found}, len(w.found) > 0
		}
	}
	w := &mWalk{q: q, rows: rows[:end], last: true}
	ok := w.run() == mComplete && len(w.found) > 0
	return mMatch{rows[0].t + q.limit, w.found}, ok
}

// twin gives the rows of the query as texts.
func (q *mQuery) twin(rows []*mRow) []string {
	parts := map[string][]*mRow{}
	for _, r := range rows {
		key := r.k
		if !q.keyed {
			key = ""
		}
		parts[key] = append(parts[key], r)
	}
	var found []mMatch
	for _, part := range parts {
		for i := range part {
			if m, ok := q.attempt(part[i:]); ok {
				found = append(found, m)
			}
		}
	}
	slices.SortFunc(found, func(a, b mMatch) int {
		return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.takes[0].row.n, b.takes[0].row.n))
	})
	var out []string
	for _, m := range found {
		out = append(out, q.row(m))
	}
	return out
}

func (q *mQuery) row(m mMatch) string {
	cells := []string{clockText(m.t)}
	if q.keyed {
		cells = append(cells, "'"+m.takes[0].row.k+"'")
	}
	c := &mContext{m.takes}
	for v := range q.n {
		first, last := "null", "null"
		if rows := c.rows(v); len(rows) > 0 {
			first, last = fmt.Sprint(rows[0].n), fmt.Sprint(rows[len(rows)-1].n)
		}
		cells = append(cells, first, last, c.of("Min", v).String(), c.of("Max", v).String())
	}
	rec := &vec.Rec{}
	for _, x := range m.takes {
		name := "."
		if x.v >= 0 {
			name = mNames[x.v]
		}
		rec.Vals = append(rec.Vals, vec.StringValue(name))
	}
	return strings.Join(append(cells, vec.ArrayValue(rec).String(), clockText(m.t)), " ")
}

// mRound makes a query and events from a seed.
func mRound(seed uint64) (*mQuery, []*mRow, *play) {
	r := rand.New(rand.NewPCG(seed, 11))
	q := &mQuery{n: 1 + r.IntN(len(mNames)), limit: vec.Time(1+r.IntN(8)) * vec.Second, keyed: r.IntN(2) == 0}
	q.pattern = randomPattern(r, q.n, 1+r.IntN(3))
	defined := false
	for v := range q.n {
		var d *mTest
		if r.IntN(8) > 0 || v == q.n-1 && !defined || !q.pattern.has(v) {
			d, defined = randomTest(r, v, 2), true
		}
		q.defs = append(q.defs, d)
	}
	var rows []*mRow
	at := base
	p := &play{query: q.text(), events: map[string][]string{}}
	for n := range r.IntN(14) {
		at += pick(r, 0, 0, vec.Second, vec.Second, vec.Second/2, 3*vec.Second)
		x := &mRow{t: at, n: n, k: pick(r, "x", "y"), v: vec.IntValue(int64(r.IntN(6)))}
		if r.IntN(10) == 0 {
			x.v = vec.NullValue()
		}
		rows = append(rows, x)
		event := fmt.Sprintf(`{"at":"%s","n":%d,"k":"%s"`, clockText(at), n, x.k)
		if x.v.Kind == vec.Int {
			event += fmt.Sprintf(`,"v":%d`, x.v.Int)
		}
		p.events["a"] = append(p.events["a"], event+"}")
	}
	if rows == nil {
		p.events["a"] = nil
	}
	p.opts.Sample = r.IntN(2) == 0
	return q, rows, p
}

// TestMatchTwin compares the operator with the twin, in several ways of running.
func TestMatchTwin(t *testing.T) {
	matches := 0
	for i := range *twinRounds / slow {
		seed := *twinSeed + uint64(i)
		q, rows, p := mRound(seed)
		want := q.twin(rows)
		matches += len(want)
		for j, w := range ways {
			if j > 0 && (i+j)%3 > 0 {
				continue
			}
			func() {
				if w.small {
					defer exec.SetLimits(3, 8, 64, 5)()
				}
				p.way, p.opts.Shards = w, w.shards
				p.gives(t, want...)
			}()
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s", seed, strings.Join(p.events["a"], "\n"))
		}
	}
	if matches < *twinRounds/slow {
		t.Errorf("only %d matches", matches)
	}
}
