package plan

import (
	"strings"

	"weir/internal/diag"
	"weir/internal/fn"
	"weir/internal/saql"
	"weir/internal/vec"
)

// Policies are the time policies of a job, as far as they are known when its query is
// checked (saql.md 4.3). Tolerances are in ticks; a negative one means no limit.
type Policies struct {
	Late       vec.Time
	OutOfOrder vec.Time
	Drop       bool
}

// longWindow is a window in which what keeps every row is worth a word.
const longWindow = vec.Hour

// lint warns of what is right by the rules of the language and yet often not meant: the
// mistakes that only a stream makes possible. It looks at the text alone.
func (c *compiler) lint(s *saql.Script) {
	l := &linter{compiler: c, steps: map[string]bool{}, tables: map[string]bool{}}
	for _, st := range s.Stmts {
		switch st := st.(type) {
		case *saql.CreateTable:
			l.tables[saql.Fold(st.Name.Text)] = true
		case *saql.Query:
			for _, step := range st.With {
				l.steps[saql.Fold(step.Name.Text)] = true
				l.query(step.Body)
			}
			l.query(st.Body)
		}
	}
	l.keylessHistory()
	l.policies()
}

// linter remembers what the lints of a whole script need.
type linter struct {
	*compiler
	steps  map[string]bool // by folded name
	tables map[string]bool // inputs with CREATE TABLE
	keyed  *saql.GroupItem // the first key of a GROUP BY
	alone  []*saql.Call    // analytic functions over all rows
	// shortest is the smallest window, 0 if there is none.
	shortest   vec.Time
	shortestAt diag.Span
}

func (l *linter) query(q saql.QueryExpr) {
	selects(q, func(_ int, s *saql.Select) {
		l.from(s.From)
		l.block(s)
	})
}

// from looks into the derived tables of FROM.
func (l *linter) from(t saql.TableExpr) {
	switch t := t.(type) {
	case *saql.Derived:
		l.query(t.Body)
	case *saql.ParenTable:
		l.from(t.Table)
	case *saql.Join:
		l.from(t.Left)
		l.from(t.Right)
	case *saql.Apply:
		l.from(t.Left)
	}
}

// block looks at one SELECT.
func (l *linter) block(s *saql.Select) {
	parted, raw := l.sources(s.From)
	longest := vec.Time(0)
	for i := range s.GroupBy {
		item := &s.GroupBy[i]
		if item.Key != nil && l.keyed == nil {
			l.keyed = item
		}
		if item.Window != nil {
			longest = max(longest, l.window(item.Window))
		}
		if item.Windows != nil {
			for _, e := range item.Windows.Entries {
				if e.Window != nil {
					longest = max(longest, l.window(e.Window))
				}
			}
		}
	}
	visit := func(e saql.Expr) {
		saql.Walk(e, func(e saql.Expr) bool {
			switch e := e.(type) {
			case *saql.Call:
				if isAnalytic(e) && len(e.Over.PartitionBy) == 0 && !parted {
					l.alone = append(l.alone, e)
				}
				if longest >= longWindow && e.Over == nil {
					l.keepsAll(e)
				}
			case *saql.Cast:
				if p, ok := bare(e.X).(*saql.Path); ok && !e.Try && raw && typeNames[strings.ToLower(e.Type.Text)] != vec.String {
					l.warn(diag.W3005, e.Span, "CAST of "+quote(l.text(p))+" stops the job at the first value that does not convert", "TRY_CAST gives NULL for such a value").
						Fix = []diag.Edit{{Span: diag.Span{Start: e.Span.Start, End: e.Span.Start}, Text: "TRY_"}}
				}
			}
			return true
		})
	}
	for i := range s.Items {
		it := &s.Items[i]
		if it.Expr == nil {
			continue
		}
		visit(it.Expr)
		if n := it.Alias; n != nil && it.AliasPos == saql.AliasBare && n.Quote == '[' && n.Span.Start == it.Expr.Pos().End {
			l.warn(diag.W1004, n.Span, quote(l.textAt(n.Span))+" is taken as the name of the column", "an element of an array is GetArrayElement("+l.text(it.Expr)+", "+n.Text+"); for a name write AS "+l.textAt(n.Span))
		}
		if call, ok := bare(it.Expr).(*saql.Call); ok && isSystem(call, "Timestamp") && it.Alias == nil {
			l.warn(diag.W4003, it.Span, `System.Timestamp() without an alias is the column "timestamp"`, "name it: System.Timestamp() AS Time").
				Fix = []diag.Edit{{Span: diag.Span{Start: it.Span.End, End: it.Span.End}, Text: " AS Time"}}
		}
	}
	visit(s.Where)
	visit(s.Having)
}

// sources tells whether a source of FROM is partitioned, and whether all are inputs
// without declared types.
func (l *linter) sources(t saql.TableExpr) (parted, raw bool) {
	switch t := t.(type) {
	case *saql.Source:
		key := saql.Fold(t.Name.Text)
		return t.PartitionBy != nil, !l.steps[key] && !l.tables[key] && t.Match == nil
	case *saql.Derived:
		return t.PartitionBy != nil, false
	case *saql.ParenTable:
		return l.sources(t.Table)
	case *saql.Join:
		p1, r1 := l.sources(t.Left)
		p2, r2 := l.sources(t.Right)
		return p1 || p2, r1 && r2
	case *saql.Apply:
		return l.sources(t.Left)
	}
	return false, false
}

// window looks at a window and gives its length.
func (l *linter) window(w *saql.WindowSpec) vec.Time {
	l.muted++
	s := l.windowSpec(w) // what is wrong with it has been said
	l.muted--
	size := max(s.Size, s.Max)
	if size > 0 && (l.shortest == 0 || size < l.shortest) {
		l.shortest, l.shortestAt = size, w.Span
	}
	if w.Kind == saql.Hopping && s.Hop > 0 && s.Size > 0 && s.Size%s.Hop != 0 {
		what := "the hop does not divide the size of the window: results cover parts of hops"
		if s.Hop > s.Size {
			what = "the hop is longer than the window: rows between two windows are in none"
		}
		l.warn(diag.W5002, w.Span, what, "a size that is a multiple of the hop")
	}
	return size
}

// isAnalytic reports whether e is an analytic function with its OVER.
func isAnalytic(e *saql.Call) bool {
	if e.Prefix != nil || e.Over == nil {
		return false
	}
	switch strings.ToUpper(e.Name.Text) {
	case "LAG", "LAST", "ISFIRST", "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT":
		return true
	}
	_, isAgg := fn.LookupAgg(e.Name.Text)
	return isAgg && e.Over.Limit != nil
}

// keepsAll warns of aggregates that keep every row or value of a long window.
func (l *linter) keepsAll(e *saql.Call) {
	what := ""
	switch {
	case e.Prefix != nil:
	case sameName(e.Name.Text, "Collect"):
		what = "Collect keeps every row of the window in memory"
	case sameName(e.Name.Text, "COUNT") && e.Distinct:
		what = "COUNT(DISTINCT) keeps every different value of the window in memory"
	}
	if what != "" {
		l.warn(diag.W7002, e.Span, what, "a shorter window, then aggregate again in a step")
	}
}

// keylessHistory warns of analytic functions over all rows where the query groups by a key
// elsewhere: they look at the rows of other keys.
func (l *linter) keylessHistory() {
	if l.keyed == nil {
		return
	}
	for _, e := range l.alone {
		d := l.warn(diag.W8003, e.Span, e.Name.Text+" without PARTITION BY looks at the rows of all keys",
			"OVER (PARTITION BY "+l.text(l.keyed.Key)+" ..)")
		d.Related = []diag.Label{{Span: l.keyed.Span, Text: "the query groups by this"}}
	}
}

// policies warns of settings that delay or lose what the query wants.
func (l *linter) policies() {
	p := l.env.Policies
	if p == nil || l.shortest == 0 {
		return
	}
	if p.Late > l.shortest || p.Late < 0 {
		l.warn(diag.W5003, l.shortestAt, "the late tolerance is longer than this window: without newer events, results wait for it", "a longer window, or a shorter tolerance")
	}
	if p.Drop && p.OutOfOrder == 0 {
		l.warn(diag.W5004, l.shortestAt, "events that are out of order by any time are dropped", "a tolerance above 0, or the policy Adjust")
	}
}
