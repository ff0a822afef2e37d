package exec_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"weir/internal/vec"
)

// twinQuery is a random query, as text and as what the twin needs to know of it.
type twinQuery struct {
	inputs    []string // one, or two for a UNION
	table     string   // type of v in a CREATE TABLE of the inputs, or ""
	byArrival bool     // no TIMESTAMP BY
	over      string   // key of TIMESTAMP BY .. OVER, or ""
	where     *twinCond
	blocks    []*twinBlock // none: a projection
}

type twinCond struct {
	col  string
	than int64
}

type twinBlock struct {
	keys    []string
	windows []*twinWindow
	ids     bool // the windows have identities
	aggs    []*twinAgg
	having  int // least number of rows
}

type twinWindow struct {
	kind                    string
	size, hop, offset       vec.Time
	timeout, max            vec.Time
	over                    []string
	id                      string
	unit                    string
	rawOffset, perUnit      vec.Time
	sizeN, hopN, timeN, maN int64
}

// twinAgg is a call of an aggregate. Ordered ones have keys; n is the count of CollectTop,
// share the share of a percentile.
type twinAgg struct {
	fn, col, name string
	order         []twinSort
	n             int
	share         string
}

// twinSort is a key of ORDER BY: a column as a number, or "t".
type twinSort struct {
	col  string
	desc bool
}

// text is a key that is never a text: v as the number that it is.
func (o twinSort) text() string {
	s := "System.Timestamp()"
	if o.col != "t" {
		s = "CASE WHEN GetType(" + o.col + ") = 'nvarchar(max)' THEN NULL ELSE " + o.col + " END"
	}
	if o.desc {
		s += " DESC"
	}
	return s
}

// output is the columns of the result.
func (q *twinQuery) output() []string {
	if len(q.blocks) == 0 {
		return []string{"k", "v", "t"}
	}
	b := q.blocks[len(q.blocks)-1]
	out := append([]string{}, b.keys...)
	out = append(out, "t")
	for _, a := range b.aggs {
		out = append(out, a.name)
	}
	if b.ids {
		out = append(out, "w")
	}
	return out
}

// text is the query in SAQL.
func (q *twinQuery) text() string {
	tables := ""
	if q.table != "" {
		for _, in := range q.inputs {
			tables += "CREATE TABLE " + in + " (at datetime, k nvarchar(max), g nvarchar(max), v " + q.table + "); "
		}
	}
	return tables + q.body()
}

func (q *twinQuery) body() string {
	var steps []string
	from := func(in string) string {
		s := in
		if !q.byArrival {
			s += " TIMESTAMP BY at"
			if q.over != "" {
				s += " OVER " + q.over
			}
		}
		return s
	}
	source := from(q.inputs[0])
	if len(q.inputs) > 1 {
		var branches []string
		for _, in := range q.inputs {
			branches = append(branches, "SELECT k, g, v FROM "+from(in))
		}
		steps = append(steps, "u AS ("+strings.Join(branches, " UNION ")+")")
		source = "u"
	}
	where := ""
	if q.where != nil {
		where = fmt.Sprintf(" WHERE %s > %d", q.where.col, q.where.than)
	}
	last := "SELECT k, v, System.Timestamp() AS t FROM " + source + where
	for i, b := range q.blocks {
		if i > 0 {
			steps = append(steps, fmt.Sprintf("s%d AS (%s)", i, last))
			source, where = fmt.Sprintf("s%d", i), ""
		}
		last = b.text(source + where)
	}
	if len(steps) == 0 {
		return last
	}
	return "WITH " + strings.Join(steps, ", ") + " " + last
}

func (b *twinBlock) text(from string) string {
	items := append([]string{}, b.keys...)
	items = append(items, "System.Timestamp() AS t")
	for _, a := range b.aggs {
		items = append(items, a.text()+" AS "+a.name)
	}
	if b.ids {
		items = append(items, "System.Window().Id AS w")
	}
	group := append([]string{}, b.keys...)
	if len(b.windows) == 1 && !b.ids {
		group = append(group, b.windows[0].text())
	} else {
		var entries []string
		for _, w := range b.windows {
			e := w.text()
			if b.ids {
				e = "Window('" + w.id + "', " + e + ")"
			}
			entries = append(entries, e)
		}
		group = append(group, "Windows("+strings.Join(entries, ", ")+")")
	}
	s := "SELECT " + strings.Join(items, ", ") + " FROM " + from + " GROUP BY " + strings.Join(group, ", ")
	if b.having > 0 {
		s += fmt.Sprintf(" HAVING COUNT(*) >= %d", b.having)
	}
	return s
}

func (a *twinAgg) text() string {
	switch {
	case a.fn == "DISTINCT":
		return "COUNT(DISTINCT " + a.col + ")"
	case len(a.order) > 0:
		return a.orderedText()
	case a.col == "":
		return "COUNT(*)"
	}
	return a.fn + "(" + a.col + ")"
}

// orderedText is a call with OVER (ORDER BY ..).
func (a *twinAgg) orderedText() string {
	args := a.col
	switch a.fn {
	case "CollectTop":
		args = fmt.Sprintf("%d, %s", a.n, a.col)
	case "PERCENTILE_CONT", "PERCENTILE_DISC":
		args = a.share
	}
	var keys []string
	for _, o := range a.order {
		keys = append(keys, o.text())
	}
	return a.fn + "(" + args + ") OVER (ORDER BY " + strings.Join(keys, ", ") + ")"
}

func (w *twinWindow) text() string {
	switch w.kind {
	case "Snapshot":
		return "System.Timestamp()"
	case "Sliding":
		return fmt.Sprintf("SlidingWindow(%s, %d)", w.unit, w.sizeN)
	case "Session":
		s := fmt.Sprintf("SessionWindow(%s, %d, %d)", w.unit, w.timeN, w.maN)
		if len(w.over) > 0 {
			s += " OVER (PARTITION BY " + strings.Join(w.over, ", ") + ")"
		}
		return s
	}
	args := fmt.Sprintf("Duration(%s, %d)", w.unit, w.sizeN)
	if w.kind == "Hopping" {
		args += fmt.Sprintf(", Hop(%s, %d)", w.unit, w.hopN)
	}
	if w.rawOffset != 0 {
		args += fmt.Sprintf(", Offset(%s, %d)", w.unit, w.rawOffset)
	}
	return w.kind + "Window(" + args + ")"
}

// pick is one of several.
func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func randomQuery(r *rand.Rand) *twinQuery {
	q := &twinQuery{inputs: []string{"a"}}
	if r.IntN(5) == 0 {
		q.inputs = []string{"a", "b"}
	}
	if r.IntN(8) == 0 {
		q.table = pick(r, "bigint", "float")
	}
	q.byArrival = r.IntN(8) == 0
	if r.IntN(4) == 0 {
		q.where = &twinCond{pick(r, "v", "k"), int64(r.IntN(3))}
		if q.table != "" {
			q.where.col = "v"
		}
	}
	if r.IntN(12) == 0 {
		return q
	}
	b := randomBlock(r, []string{"k", "g", "v"}, []string{"k", "g"})
	q.blocks = append(q.blocks, b)
	if !q.byArrival && len(b.keys) > 0 && r.IntN(4) == 0 {
		q.over = b.keys[0]
	}
	if r.IntN(4) == 0 {
		values := append([]string{}, b.keys...)
		for _, a := range b.aggs {
			if a.fn != "Collect" && a.fn != "CollectTop" && a.fn != "TopOne" {
				values = append(values, a.name)
			}
		}
		if len(values) == len(b.keys) {
			return q // nothing left to count with
		}
		keys := b.keys
		if b.ids {
			keys = append(append([]string{}, keys...), "w")
		}
		second := randomBlock(r, values, keys)
		if q.over != "" && len(second.keys) == 0 || len(second.keys) > 0 && second.keys[0] != q.over && q.over != "" {
			second.keys = []string{q.over}
		}
		q.blocks = append(q.blocks, second)
	}
	return q
}

// randomBlock groups by some of keys and aggregates some of values.
func randomBlock(r *rand.Rand, values, keys []string) *twinBlock {
	b := &twinBlock{}
	for _, k := range keys {
		if r.IntN(3) > 0 {
			b.keys = append(b.keys, k)
		}
	}
	n := 1
	if r.IntN(5) == 0 {
		n = 2 + r.IntN(2)
		b.ids = r.IntN(2) == 0 && !slices.Contains(keys, "w")
	}
	for i := range n {
		w := randomWindow(r, keys)
		w.id = fmt.Sprintf("w%d", i)
		b.windows = append(b.windows, w)
	}
	fns := []string{"COUNT", "COUNT", "DISTINCT", "SUM", "AVG", "MIN", "MAX", "STDEV",
		"Collect", "TopOne", "CollectTop", "PERCENTILE_CONT", "PERCENTILE_DISC"}
	for i := range 1 + r.IntN(3) {
		a := &twinAgg{fn: pick(r, fns...), name: fmt.Sprintf("x%d", i)}
		var numeric []string
		for _, v := range values {
			if v != "k" && v != "g" && v != "w" {
				numeric = append(numeric, v)
			}
		}
		if slices.Contains(fns[9:], a.fn) {
			a.randomOrder(r, numeric)
		}
		switch {
		case a.fn == "Collect" || a.fn == "TopOne" || a.fn == "CollectTop":
			a.col = pick(r, values...)
		case a.fn == "COUNT" && r.IntN(2) == 0:
		case a.fn == "COUNT" || a.fn == "DISTINCT":
			a.col = pick(r, values...)
		default:
			a.col = pick(r, numeric...)
		}
		b.aggs = append(b.aggs, a)
	}
	if r.IntN(8) == 0 {
		b.having = 2
	}
	return b
}

// randomOrder gives an aggregate its order and literal.
func (a *twinAgg) randomOrder(r *rand.Rand, numeric []string) {
	cols := append([]string{"t"}, numeric...)
	keys := 1 + r.IntN(2)
	if strings.HasPrefix(a.fn, "PERCENTILE") {
		keys, cols = 1, numeric
	}
	for range keys {
		if len(cols) > 0 {
			a.order = append(a.order, twinSort{pick(r, cols...), r.IntN(2) == 0})
		}
	}
	a.n = pick(r, 1, 2, 3, 100)
	a.share = pick(r, "0", "0.07", "0.25", "0.5", "0.95", "1", "0.333")
}

func randomWindow(r *rand.Rand, keys []string) *twinWindow {
	w := &twinWindow{unit: "second", perUnit: vec.Second}
	if r.IntN(6) == 0 {
		w.unit, w.perUnit = "millisecond", vec.Millisecond
	}
	w.kind = pick(r, "Tumbling", "Tumbling", "Hopping", "Hopping", "Sliding", "Session", "Session", "Snapshot")
	w.sizeN = int64(1 + r.IntN(12))
	w.hopN = w.sizeN
	if w.kind == "Hopping" {
		w.hopN = int64(1 + r.IntN(8))
	}
	w.size, w.hop = vec.Time(w.sizeN)*w.perUnit, vec.Time(w.hopN)*w.perUnit
	if (w.kind == "Hopping" || w.kind == "Tumbling") && r.IntN(3) == 0 {
		w.rawOffset = vec.Time(r.IntN(61) - 30)
		w.offset = w.rawOffset * w.perUnit
	}
	w.timeN, w.maN = int64(1+r.IntN(6)), int64(1+r.IntN(20))
	w.timeout, w.max = vec.Time(w.timeN)*w.perUnit, vec.Time(w.maN)*w.perUnit
	if w.kind == "Session" && len(keys) > 0 {
		for _, k := range keys {
			if r.IntN(2) == 0 {
				w.over = append(w.over, k)
			}
		}
	}
	return w
}

// base is the time about which random events lie.
var base = vec.FromCivil(2021, 3, 4) + 12*vec.Hour

// randomEvents makes events: few distinct times, ties, disorder, gaps, bad times.
func randomEvents(r *rand.Rand, n int, p twinPolicy, key func(*rand.Rand) vec.Value) []twinEvent {
	step := pick(r, vec.Second, vec.Second, 500*vec.Millisecond, vec.Millisecond)
	far := max(p.outOfOrder, 3*step)
	now, arrival := base, base
	var out []twinEvent
	for range n {
		switch r.IntN(12) {
		case 0, 1, 2, 3:
		case 11:
			if r.IntN(4) == 0 {
				now += pick(r, 30*vec.Second, 900*vec.Second, 100000*vec.Second)
			}
		default:
			now += step * vec.Time(1+r.IntN(3))
		}
		at := now
		switch r.IntN(10) {
		case 0, 1:
			at -= step * vec.Time(r.IntN(int(far/step)+1)) // within the tolerance
		case 2:
			at -= far + step*vec.Time(r.IntN(4)) // beyond
		}
		arrival = max(arrival, now)
		a := arrival + vec.Second*vec.Time(r.IntN(3))
		switch r.IntN(30) {
		case 0:
			a = at - 5*vec.Minute + pick(r, 0, -1, vec.Second, -vec.Second)
		case 1:
			a = at + max(p.late, 0) + pick(r, 0, 1, vec.Second, 20*vec.Second)
		}
		cols := map[string]vec.Value{"k": key(r), "g": randomText(r), "v": randomValue(r)}
		switch r.IntN(25) {
		case 0:
			cols["at"] = vec.NullValue()
		case 1:
			cols["at"] = vec.StringValue("no time")
		case 2:
		default:
			cols["at"] = vec.StringValue(at.String())
		}
		out = append(out, twinEvent{cols: cols, arrival: a})
	}
	return out
}

const big62 = int64(1)<<62 + int64(1)<<61

func randomKey(r *rand.Rand) vec.Value {
	switch r.IntN(14) {
	case 0, 1:
		return vec.IntValue(1)
	case 2:
		return vec.FloatValue(1)
	case 3:
		return vec.BitValue(true)
	case 4:
		return vec.IntValue(int64(r.IntN(3)))
	case 5:
		return vec.BitValue(false)
	case 6:
		return vec.NullValue()
	case 7:
		return vec.Value{}
	case 8:
		return vec.StringValue("日本")
	case 9:
		return vec.StringValue("1")
	case 10:
		return pick(r, vec.IntValue(big62), vec.FloatValue(float64(big62)))
	case 11:
		return vec.FloatValue(0.5)
	}
	return pick(r, vec.StringValue("x"), vec.StringValue("y"), vec.StringValue(""))
}

func randomText(r *rand.Rand) vec.Value {
	if r.IntN(15) == 0 {
		return pick(r, vec.NullValue(), vec.Value{})
	}
	return vec.StringValue(pick(r, "p", "q", "東京"))
}

func randomValue(r *rand.Rand) vec.Value {
	switch r.IntN(12) {
	case 0:
		return vec.NullValue()
	case 1:
		return vec.Value{}
	case 2, 3:
		return vec.FloatValue(float64(r.IntN(20)-5) / 4)
	case 4:
		return pick(r, vec.FloatValue(1e300), vec.FloatValue(0.1), vec.FloatValue(3))
	case 5:
		return vec.BitValue(r.IntN(2) == 0)
	case 6:
		return vec.StringValue(pick(r, "2", "2.5", "3"))
	case 7:
		return vec.IntValue(1<<53 + int64(r.IntN(3)))
	}
	return vec.IntValue(int64(r.IntN(7) - 2))
}
