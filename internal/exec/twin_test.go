package exec_test

import (
	"cmp"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"weir/internal/vec"
)

// This file is the slow twin of the engine: it evaluates a query over events row by row,
// from the text of saql.md sections 4 and 5, with no state but lists of rows. It shares
// no code with the engine but the values themselves.

// twinRow is a row: its time, its place among all rows, and its columns by name.
type twinRow struct {
	t    vec.Time
	seq  int
	cols map[string]vec.Value
}

// twinResult is a row of the output.
type twinResult struct {
	t    vec.Time
	vals []vec.Value
}

// twinPolicy is the settings of saql.md 4.3.
type twinPolicy struct {
	late, outOfOrder vec.Time
	drop, sample     bool
	start            vec.Time
}

// twinEvent is an event of an input. arrival counts only if its input has arrival times.
type twinEvent struct {
	cols    map[string]vec.Value
	arrival vec.Time
	names   []string // the order of the fields; nil if it does not matter
}

// twinDrop is an event that a policy drops.
type twinDrop struct {
	event  int
	reason string
}

const minus = vec.MinTime

// twinStamp gives events their T by saql.md 4.3 to 4.5.
func twinStamp(q *twinQuery, p twinPolicy, events []twinEvent, arrives bool) (rows []twinRow, drops []twinDrop, moved int) {
	type line struct{ w, maxT vec.Time }
	lines := map[string]*line{}
	clock := minus
	for i, e := range events {
		dropped := func(why string) { drops = append(drops, twinDrop{i, why}) }
		if q.table != "" {
			var ok bool
			if e.cols, ok = twinTyped(e.cols, q.table); !ok {
				dropped("InputDeserializerError.TypeConversionError")
				continue
			}
		}
		if q.byArrival {
			a := p.start
			if arrives {
				a = e.arrival
			}
			clock = max(clock, a)
			rows = append(rows, twinRow{t: clock, cols: e.cols})
			continue
		}
		t, ok := e.cols["at"], true
		at := vec.Time(t.Int)
		if t.Kind == vec.String {
			at, ok = vec.ParseTime(t.Str)
		} else if t.Kind != vec.Datetime {
			ok = false
		}
		if !ok {
			dropped("InvalidInputTimeStamp")
			continue
		}
		key := ""
		if q.over != "" {
			if e.cols[q.over].Kind.IsNull() {
				dropped("InvalidInputTimeStampKey")
				continue
			}
			key = twinKey(e.cols[q.over])
		}
		if p.sample {
			rows = append(rows, twinRow{t: at, cols: e.cols})
			continue
		}
		if arrives && at-e.arrival > 5*vec.Minute {
			dropped("EarlyInputEvent")
			continue
		}
		if lines[key] == nil {
			lines[key] = &line{minus, minus}
		}
		l := lines[key]
		if clock != minus && p.late >= 0 {
			l.w = max(l.w, clock-p.late)
		}
		if arrives {
			clock = max(clock, e.arrival)
		}
		if arrives && p.late >= 0 && e.arrival-at > p.late {
			if p.drop {
				dropped("LateInputEvent")
				continue
			}
			moved++
			at = e.arrival - p.late
		}
		if at < l.w {
			if p.drop {
				dropped("OutOfOrderEvent")
				continue
			}
			moved++
			at = l.w
		}
		l.maxT = max(l.maxT, at)
		if p.outOfOrder >= 0 {
			l.w = max(l.w, l.maxT-p.outOfOrder)
		}
		rows = append(rows, twinRow{t: at, cols: e.cols})
	}
	return rows, drops, moved
}

// twinTyped applies a CREATE TABLE (saql.md 3.3); not ok means that a value does not fit.
func twinTyped(cols map[string]vec.Value, v string) (out map[string]vec.Value, ok bool) {
	out = map[string]vec.Value{}
	for name, x := range cols {
		switch {
		case x.Kind.IsNull():
			out[name] = vec.NullValue()
			continue
		case name == "at":
			t, isTime := vec.ParseTime(x.Str)
			ok, x = isTime, vec.TimeValue(t)
		case name != "v":
			ok = x.Kind == vec.String
		case v == "float" && x.Kind == vec.Int:
			ok, x = true, vec.FloatValue(float64(x.Int))
		case v == "float":
			ok = x.Kind == vec.Float
		case x.Kind == vec.Bit:
			ok, x = true, vec.IntValue(x.Int)
		default:
			ok = x.Kind == vec.Int
		}
		if !ok {
			return nil, false
		}
		out[name] = x
	}
	return out, true
}

// twinOrder puts the rows of several inputs in the order (T, input, arrival) and numbers them.
func twinOrder(inputs [][]twinRow) []twinRow {
	var all []twinRow
	for _, rows := range inputs {
		all = append(all, rows...)
	}
	slices.SortStableFunc(all, func(a, b twinRow) int { return cmp.Compare(a.t, b.t) })
	for i := range all {
		all[i].seq = i
	}
	return all
}

// twinRun gives the rows of a query, in order.
func twinRun(q *twinQuery, rows []twinRow) []twinResult {
	if q.where != nil {
		rows = slices.DeleteFunc(slices.Clone(rows), func(r twinRow) bool { return !q.where.holds(r.cols) })
	}
	for _, b := range q.blocks {
		rows = twinBlockRows(b, rows)
	}
	var out []twinResult
	for _, r := range rows {
		res := twinResult{t: r.t}
		for _, name := range q.output() {
			v := r.cols[name]
			if name == "t" {
				v = vec.TimeValue(r.t)
			}
			if v.Kind == vec.Missing {
				v = vec.NullValue()
			}
			res.vals = append(res.vals, v)
		}
		out = append(out, res)
	}
	return out
}

// twinGroup is the rows of one group of one window.
type twinGroup struct {
	end    vec.Time
	window int
	rows   []twinRow
}

// twinBlockRows evaluates GROUP BY and HAVING (saql.md 5.1, 5.8).
func twinBlockRows(b *twinBlock, rows []twinRow) []twinRow {
	var groups []*twinGroup
	for i, w := range b.windows {
		for _, span := range w.spans(rows, b.keys) {
			groups = append(groups, twinGroups(b.keys, i, span)...)
		}
	}
	slices.SortStableFunc(groups, func(x, y *twinGroup) int {
		return cmp.Or(cmp.Compare(x.end, y.end), cmp.Compare(x.window, y.window), cmp.Compare(x.rows[0].seq, y.rows[0].seq))
	})
	var out []twinRow
	for _, g := range groups {
		if len(g.rows) < b.having {
			continue
		}
		r := twinRow{t: g.end, seq: len(out), cols: map[string]vec.Value{}}
		for _, k := range b.keys {
			r.cols[k] = g.rows[0].cols[k]
		}
		for _, a := range b.aggs {
			r.cols[a.name] = a.of(g.rows)
		}
		if b.ids {
			r.cols["w"] = vec.StringValue(b.windows[g.window].id)
		}
		out = append(out, r)
	}
	return out
}

// twinSpan is a window: its end and the rows in it. byGroup says that the window belongs to
// the group of its newest row only.
type twinSpan struct {
	end   vec.Time
	rows  []twinRow
	group string
	mine  bool
}

// twinGroups splits the rows of a window by key (saql.md 3.7).
func twinGroups(keys []string, window int, span twinSpan) []*twinGroup {
	found := map[string]*twinGroup{}
	var out []*twinGroup
	for _, r := range span.rows {
		key := twinKeys(r, keys)
		if span.mine && key != span.group {
			continue
		}
		if found[key] == nil {
			found[key] = &twinGroup{end: span.end, window: window}
			out = append(out, found[key])
		}
		found[key].rows = append(found[key].rows, r)
	}
	return out
}

// spans gives all windows that have rows. rows are in order.
func (w *twinWindow) spans(rows []twinRow, keys []string) []twinSpan {
	switch w.kind {
	case "Sliding":
		return w.sliding(rows, keys)
	case "Session":
		return w.sessions(rows)
	case "Snapshot":
		return w.fixed(rows, 1, 1, 0)
	case "Tumbling":
		return w.fixed(rows, w.size, w.size, w.offset)
	}
	return w.fixed(rows, w.size, w.hop, w.offset)
}

// fixed is tumbling and hopping windows: the row at T is in the windows that end at
// e = k*hop + offset with T <= e < T + size (saql.md 5.3).
func (w *twinWindow) fixed(rows []twinRow, size, hop, offset vec.Time) []twinSpan {
	byEnd := map[vec.Time][]twinRow{}
	for _, r := range rows {
		k := new(big.Int).Div(big.NewInt(int64(r.t-offset)), big.NewInt(int64(hop))) // rounds down
		e := vec.Time(k.Int64())*hop + offset
		for e < r.t {
			e += hop
		}
		for ; e < r.t+size; e += hop {
			byEnd[e] = append(byEnd[e], r)
		}
	}
	var out []twinSpan
	for e, rows := range byEnd {
		out = append(out, twinSpan{end: e, rows: rows})
	}
	return out
}

// sliding: a window (c - size, c] per group and moment c at which a row of the group
// enters or leaves (saql.md 5.4).
func (w *twinWindow) sliding(rows []twinRow, keys []string) []twinSpan {
	moments := map[string]map[vec.Time]bool{}
	for _, r := range rows {
		key := twinKeys(r, keys)
		if moments[key] == nil {
			moments[key] = map[vec.Time]bool{}
		}
		moments[key][r.t], moments[key][r.t+w.size] = true, true
	}
	var out []twinSpan
	for key, at := range moments {
		for c := range at {
			span := twinSpan{end: c, group: key, mine: true}
			for _, r := range rows {
				if r.t > c-w.size && r.t <= c {
					span.rows = append(span.rows, r)
				}
			}
			out = append(out, span)
		}
	}
	return out
}

// sessions follows the pseudocode of saql.md 5.5, per partition.
func (w *twinWindow) sessions(rows []twinRow) []twinSpan {
	type open struct {
		start, last, limit vec.Time
		rows               []twinRow
	}
	ceil := func(t vec.Time) vec.Time { return (t + w.max - 1) / w.max * w.max }
	sessions := map[string]*open{}
	var out []twinSpan
	closeIt := func(s *open) { out = append(out, twinSpan{end: min(s.last+w.timeout, s.limit), rows: s.rows}) }
	for _, r := range rows {
		part := twinKeys(r, w.over)
		s := sessions[part]
		switch {
		case s == nil:
			s = &open{start: r.t, limit: ceil(r.t + w.max)}
		case r.t-s.last <= w.timeout && r.t <= s.limit:
		case r.t-s.last <= w.timeout:
			closeIt(s)
			s = &open{start: ceil(r.t) - w.max, limit: ceil(r.t)}
		default:
			closeIt(s)
			s = &open{start: r.t, limit: ceil(r.t + w.max)}
		}
		s.last = r.t
		s.rows = append(s.rows, r)
		sessions[part] = s
	}
	for _, s := range sessions {
		closeIt(s)
	}
	return out
}

func twinKeys(r twinRow, names []string) string {
	var b strings.Builder
	for _, n := range names {
		b.WriteString(strconv.Quote(twinKey(r.cols[n])))
	}
	return b.String()
}

// twinKey is a text that equal keys share (saql.md 3.7).
func twinKey(v vec.Value) string {
	if x := twinNumber(v); x != nil {
		return "number " + x.RatString()
	}
	switch v.Kind {
	case vec.String:
		return "text " + v.Str
	case vec.Datetime:
		return "time " + strconv.FormatInt(v.Int, 10)
	}
	return "null"
}

// twinNumber is the exact value of a number; nil if v is none.
func twinNumber(v vec.Value) *big.Rat {
	switch v.Kind {
	case vec.Bit, vec.Int:
		return new(big.Rat).SetInt64(v.Int)
	case vec.Float:
		return new(big.Rat).SetFloat64(v.Float)
	}
	return nil
}

// twinRead is v as an aggregate of numbers takes it: text reads as a float (saql.md 7.6).
func twinRead(v vec.Value) vec.Value {
	if v.Kind == vec.String {
		x, err := strconv.ParseFloat(v.Str, 64)
		if err != nil {
			panic("the generator makes no such text: " + v.Str)
		}
		return vec.FloatValue(x)
	}
	return v
}

// of computes an aggregate (saql.md 7.6).
func (a *twinAgg) of(rows []twinRow) vec.Value {
	if a.fn == "Collect" || len(a.order) > 0 {
		return a.ordered(rows)
	}
	var vals []vec.Value
	for _, r := range rows {
		if a.col != "" && !r.cols[a.col].Kind.IsNull() {
			vals = append(vals, r.cols[a.col])
		}
	}
	switch a.fn {
	case "COUNT":
		if a.col == "" {
			return vec.IntValue(int64(len(rows)))
		}
		return vec.IntValue(int64(len(vals)))
	case "DISTINCT":
		seen := map[string]bool{}
		for _, v := range vals {
			seen[twinKey(v)] = true
		}
		return vec.IntValue(int64(len(seen)))
	}
	for i, v := range vals {
		vals[i] = twinRead(v)
	}
	if len(vals) == 0 {
		return vec.NullValue()
	}
	switch a.fn {
	case "MIN":
		return twinBest(vals, -1)
	case "MAX":
		return twinBest(vals, 1)
	}
	return twinMoments(a.fn, vals)
}

// twinBest is the first value in the order: by value; of equal ones bigint, float, bit.
func twinBest(vals []vec.Value, sign int) vec.Value {
	rank := map[vec.Kind]int{vec.Int: 0, vec.Float: 1, vec.Bit: 2}
	best := vals[0]
	for _, v := range vals[1:] {
		c := twinNumber(v).Cmp(twinNumber(best)) * sign
		if c > 0 || c == 0 && rank[v.Kind] < rank[best.Kind] {
			best = v
		}
	}
	return best
}

// twinMoments is SUM, AVG and STDEV, exact but for one rounding.
func twinMoments(fn string, vals []vec.Value) vec.Value {
	sum, squares, whole := new(big.Rat), new(big.Rat), true
	for _, v := range vals {
		x := twinNumber(v)
		sum.Add(sum, x)
		squares.Add(squares, new(big.Rat).Mul(x, x))
		whole = whole && v.Kind != vec.Float
	}
	n := new(big.Rat).SetInt64(int64(len(vals)))
	switch fn {
	case "SUM":
		if whole {
			return vec.IntValue(sum.Num().Int64())
		}
		x, _ := sum.Float64()
		return vec.FloatValue(x)
	case "AVG":
		x, _ := sum.Quo(sum, n).Float64()
		return vec.FloatValue(x)
	}
	if len(vals) < 2 {
		return vec.NullValue()
	}
	spread := squares.Mul(squares, n)
	spread.Sub(spread, sum.Mul(sum, sum))
	spread.Quo(spread, n.Mul(n, new(big.Rat).SetInt64(int64(len(vals)-1))))
	root := new(big.Float).SetPrec(200).SetRat(spread)
	x, _ := root.Sqrt(root).Float64()
	return vec.FloatValue(x)
}

// holds is the condition col > than (saql.md 3.6): by value, text as the number that it is.
func (c *twinCond) holds(cols map[string]vec.Value) bool {
	v := cols[c.col]
	if v.Kind == vec.String {
		x, err := strconv.ParseFloat(v.Str, 64)
		if err != nil {
			return false
		}
		v = vec.FloatValue(x)
	}
	x := twinNumber(v)
	return x != nil && x.Cmp(new(big.Rat).SetInt64(c.than)) > 0
}
